//! Where a worker listens for others that read what it has lent.

use poniard_fabric::tls::Tls;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};

/// Where a worker listens for others that read what it has lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Site {
    /// Of this server.
    pub(crate) address: IpAddr,
    /// What others call it; else by the address.
    pub(crate) told: Option<String>,
    /// What is shown there, and wanted of those who come.
    pub(crate) tls: Option<Tls>,
}

impl Site {
    /// At the address that this server has towards the engine of worker 1. Nothing is sent for that.
    ///
    /// # Errors
    /// When there is no way there.
    pub(crate) fn towards(engine: &str, tls: Option<Tls>) -> Result<Site, String> {
        let address = own_address(engine);
        let address = address
            .map_err(|error| format!("cannot tell by which address {engine} reaches this server: {error}"))?;
        Ok(Site { address, told: None, tls })
    }

    /// Listens at a free port. Gives how others reach it.
    ///
    /// # Errors
    /// When the address is not of this server, or there is no port.
    pub(super) fn listen(self) -> Result<(TcpListener, String, Option<Tls>), String> {
        let Site { address, told, tls } = self;
        let listener = TcpListener::bind(SocketAddr::new(address, 0));
        let listener = listener.map_err(|error| format!("cannot listen at {address}: {error}"))?;
        let here = listener.local_addr().map_err(|error| format!("cannot listen at {address}: {error}"))?;
        let told = told.map_or_else(|| here.to_string(), |told| format!("{told}:{}", here.port()));
        Ok((listener, told, tls))
    }
}

fn own_address(engine: &str) -> io::Result<IpAddr> {
    let mut last = io::Error::other("it has no address");
    for there in engine.to_socket_addrs()? {
        let any: IpAddr = match there {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let found = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect(there)?;
            socket.local_addr()
        });
        match found {
            Ok(address) => return Ok(address.ip()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s01_towards_this_machine_it_is_this_machine_alone() {
        let site = Site::towards("127.0.0.1:9", None).unwrap();
        let (_listener, told, _) = site.listen().unwrap();
        assert!(told.starts_with("127.0.0.1:"), "{told}");
        assert!(Site::towards("no port", None).is_err());
        let named = Site { address: Ipv4Addr::LOCALHOST.into(), told: Some("here".into()), tls: None };
        assert!(named.listen().unwrap().1.starts_with("here:"));
    }
}
