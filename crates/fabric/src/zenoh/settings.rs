//! What a session of Zenoh is opened with.

use crate::engine::EngineError;
use crate::handshake::Token;
use crate::peer::Peer;
use crate::tls::Tls;
use crate::zenoh::tunnels::Tunnels;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zenoh::Config;

/// The longest path of a socket that the kernel takes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How a process takes part.
#[derive(Clone, Debug)]
pub struct ZenohConfig {
    /// Who it is.
    pub me: Peer,
    /// The name of the cluster: letters, digits and `-`.
    pub cluster: String,
    /// What it must have to be let into a session at all. The handshake above asks again, for more.
    pub token: Token,
    /// How it reaches others.
    pub route: Route,
    /// Where others may connect to it.
    pub listen: Vec<Endpoint>,
    /// What it connects to, again and again until it succeeds.
    pub connect: Vec<Endpoint>,
    /// A connection that says nothing for this long is closed; that of [`Timing`](crate::timing::Timing).
    pub lease: Duration,
    /// What proves who is who beyond this host.
    pub tls: Option<Tls>,
    /// A folder that only this user can read, for the sockets and what is secret. It is made if it is not there. Who only
    /// connects to servers needs none.
    pub folder: PathBuf,
}

/// How a process reaches others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Over connections of its own.
    Direct,
    /// Over a router that it connects to.
    ThroughRouter,
    /// It is that router.
    Router,
}

/// Where a process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket in the private folder, of this name.
    Socket(String),
    /// TCP without encryption, on this host only.
    Tcp(SocketAddr),
    /// TLS, of this address or host name and port.
    Tls(String),
    /// TCP without encryption beyond this host, of this address or host name and port: only for who asks for it by name.
    Open(String),
}

/// What a session is opened with.
pub(super) struct Settings {
    pub(super) config: Config,
    /// Read while the session is opened.
    pub(super) dictionary: Option<Dictionary>,
}

/// The file from which Zenoh takes the password that it asks others for. It is there as long as this is.
pub(super) struct Dictionary(PathBuf);

impl Drop for Dictionary {
    fn drop(&mut self) {
        // If somebody else has removed it, that is what we want.
        fs::remove_file(&self.0).ok();
    }
}

impl ZenohConfig {
    /// What all keys of the cluster begin with.
    pub(super) fn root(&self) -> String {
        format!("poniard/{}", self.cluster)
    }

    /// Checks it, makes the folder, and says it in Zenoh's words.
    pub(super) fn settings(&self, tunnels: &Tunnels) -> Result<Settings, EngineError> {
        self.check()?;
        let has_socket =
            self.listen.iter().chain(&self.connect).any(|endpoint| matches!(endpoint, Endpoint::Socket(_)));
        if has_socket || !self.listen.is_empty() {
            make_private(&self.folder)?;
        }
        let password: String = self.token.derive("zenoh").iter().map(|byte| format!("{byte:02x}")).collect();
        let dictionary = match self.listen.is_empty() {
            true => None,
            false => Some(write_dictionary(&self.folder, self.me, &password)?),
        };
        let mut config = Config::default();
        for (key, value) in self.values(tunnels, &password, dictionary.as_ref()) {
            let what = format!("cannot set {key} of Zenoh");
            config.insert_json5(&key, &value).map_err(|cause| EngineError::because(what, cause))?;
        }
        Ok(Settings { config, dictionary })
    }

    fn check(&self) -> Result<(), EngineError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_name = |name: &str| !name.is_empty() && name.chars().all(is_plain);
        if !is_name(&self.cluster) {
            return Err(EngineError::new(format!("{:?} is no name of a cluster", self.cluster)));
        }
        for endpoint in self.listen.iter().chain(&self.connect) {
            let what = match endpoint {
                Endpoint::Socket(name) if !is_name(name) => format!("{name:?} is no name of a socket"),
                Endpoint::Socket(name) => {
                    let path = self.folder.join(name);
                    let is_plain = |c: char| c.is_ascii_graphic() && !"?#;\"\\".contains(c);
                    match path.to_str().filter(|path| path.chars().all(is_plain)) {
                        Some(path) if path.len() <= SOCKET_PATH_BYTES_MAX => continue,
                        Some(_) => format!("{} is too long for a socket", path.display()),
                        None => format!("{} has characters that Zenoh does not take", path.display()),
                    }
                }
                Endpoint::Tcp(address) if !address.ip().is_loopback() => {
                    format!("{address} is not of this host, so TLS must be used")
                }
                Endpoint::Tls(_) if self.tls.is_none() => "TLS needs certificates".to_owned(),
                Endpoint::Tcp(_) | Endpoint::Tls(_) | Endpoint::Open(_) => continue,
            };
            return Err(EngineError::new(what));
        }
        Ok(())
    }

    /// What differs from Zenoh's own settings, with the reason where it is not plain.
    fn values(
        &self,
        tunnels: &Tunnels,
        password: &str,
        dictionary: Option<&Dictionary>,
    ) -> Vec<(String, String)> {
        let mode = match self.route {
            Route::Direct => "peer",
            Route::ThroughRouter => "client",
            Route::Router => "router",
        };
        let mut values = vec![
            ("mode", quoted(mode)),
            ("listen/endpoints", self.list(&self.listen, tunnels)),
            ("connect/endpoints", self.list(&self.connect, tunnels)),
            // Whoever cannot connect yet goes on trying, and so does who has lost its connection.
            ("connect/timeout_ms", "-1".to_owned()),
            ("connect/exit_on_failure", "false".to_owned()),
            (
                "connect/retry",
                "{ period_init_ms: 50, period_max_ms: 1000, period_increase_factor: 2 }".to_owned(),
            ),
            ("scouting/multicast/enabled", "false".to_owned()),
            ("scouting/gossip/enabled", "false".to_owned()),
            // A router sleeps for this long before it is open, half a second by default, for others that it might find by scouting.
            ("scouting/delay", "0".to_owned()),
            // An attempt that hangs is as bad as a connection that does.
            ("transport/unicast/open_timeout", self.lease.as_millis().to_string()),
            ("transport/unicast/accept_timeout", self.lease.as_millis().to_string()),
            ("transport/unicast/max_sessions", "20000".to_owned()),
            ("transport/unicast/accept_pending", "10000".to_owned()),
            ("transport/link/tx/lease", self.lease.as_millis().to_string()),
            // Batches of 64 KiB for each peer: a window of the link fits, so that a put does not block.
            ("transport/link/tx/queue/size/real_time", "16".to_owned()),
            ("transport/link/tx/queue/size/data_low", "16".to_owned()),
            // In microseconds. Should a put block all the same, nothing is lost by it for ten minutes.
            ("transport/link/tx/queue/congestion_control/block/wait_before_close", "600000000".to_owned()),
            // Ours have 64 KiB at most; by default somebody could have us gather a gigabyte.
            ("transport/link/rx/max_message_size", "1048576".to_owned()),
            ("transport/auth/usrpwd/user", quoted("poniard")),
            ("transport/auth/usrpwd/password", quoted(password)),
        ];
        if let Some(Dictionary(path)) = dictionary {
            values.push(("transport/auth/usrpwd/dictionary_file", quoted(&path.display().to_string())));
        }
        values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    fn list(&self, endpoints: &[Endpoint], tunnels: &Tunnels) -> String {
        let locator = |endpoint: &Endpoint| match endpoint {
            Endpoint::Socket(name) => format!("unixsock-stream/{}", self.folder.join(name).display()),
            Endpoint::Tcp(address) => format!("tcp/{address}"),
            Endpoint::Tls(address) => tunnels.locator(address).expect("it was opened").to_owned(),
            Endpoint::Open(address) => format!("tcp/{address}"),
        };
        let list: Vec<String> = endpoints.iter().map(|endpoint| quoted(&locator(endpoint))).collect();
        format!("[{}]", list.join(","))
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Makes a folder that only we can read, or refuses one that others can.
fn make_private(folder: &Path) -> Result<(), EngineError> {
    let because = |cause| EngineError::because(format!("cannot use {}", folder.display()), cause);
    if let Err(error) = fs::DirBuilder::new().mode(0o700).create(folder)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(because(error));
    }
    let metadata = fs::symlink_metadata(folder).map_err(because)?;
    if !metadata.is_dir() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(EngineError::new(format!("{} is not private: others can read it", folder.display())));
    }
    Ok(())
}

/// Zenoh takes the passwords that it asks for from a file only.
fn write_dictionary(folder: &Path, me: Peer, password: &str) -> Result<Dictionary, EngineError> {
    let path = folder.join(format!("secret-{}-{:x}", me.worker.0, me.incarnation));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&path).and_then(|mut file| {
        let dictionary = Dictionary(path.clone());
        writeln!(file, "poniard:{password}").map(|()| dictionary)
    });
    written.map_err(|cause| EngineError::because(format!("cannot write {}", path.display()), cause))
}
