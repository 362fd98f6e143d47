//! TLS between servers: certificates that are made for one cluster and end with it, and streams that want them of both sides.
//!
//! The authority's key is thrown away when it has signed twice, for worker 1 and for those who come: nobody can sign for this
//! cluster afterwards, and its certificates are worth nothing anywhere else.

use crate::engine::EngineError;
use poniard_model::WorkerId;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::client::ClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ServerConnection, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, RootCertStore, ServerConfig, StreamOwned};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

/// What worker 1 is called in its certificate.
const FIRST: &str = "worker-1.poniard";
/// What the others are called in theirs.
const OTHERS: &str = "worker.poniard";

/// What one side shows the other, and what that must be signed by: PEM. The key prints as nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The certificate of the authority.
    pub authority: String,
    /// The certificate of this process.
    pub certificate: String,
    key: Key,
}

/// A key, which prints as nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(..)")
    }
}

/// What a stream of TLS runs over.
pub trait Wire: Read + Write {}

impl<S: Read + Write> Wire for S {}

impl Tls {
    /// Of these texts.
    pub fn new(authority: String, certificate: String, key: String) -> Tls {
        Tls { authority, certificate, key: Key(key) }
    }

    /// The key of the certificate.
    pub fn key(&self) -> &str {
        &self.key.0
    }

    /// Makes an authority, and a certificate for worker 1 and one for all others.
    ///
    /// # Errors
    /// When the system gives no entropy.
    pub fn of_new_cluster() -> Result<(Tls, Tls), EngineError> {
        make().map_err(|cause| EngineError::because("cannot make certificates", cause))
    }

    /// The side of whoever listens: it wants to see a certificate too.
    ///
    /// # Errors
    /// When the texts are no certificates.
    pub fn accept<S: Wire>(&self, stream: S) -> Result<Accepted<S>, EngineError> {
        let connection = ServerConnection::new(self.server()?);
        Ok(StreamOwned::new(connection.map_err(|error| unusable(error.into()))?, stream))
    }

    /// The side of whoever comes to worker 1.
    ///
    /// # Errors
    /// When the texts are no certificates.
    pub fn connect<S: Wire>(&self, stream: S) -> Result<Connected<S>, EngineError> {
        self.connect_to(FIRST, stream)
    }

    /// The side of whoever comes to this worker.
    ///
    /// # Errors
    /// When the texts are no certificates.
    pub fn connect_to_worker<S: Wire>(
        &self,
        worker: WorkerId,
        stream: S,
    ) -> Result<Connected<S>, EngineError> {
        self.connect_to(if worker == WorkerId::FIRST { FIRST } else { OTHERS }, stream)
    }

    fn connect_to<S: Wire>(&self, name: &'static str, stream: S) -> Result<Connected<S>, EngineError> {
        let connection = ClientConnection::new(self.client()?, name_of(name));
        Ok(StreamOwned::new(connection.map_err(|error| unusable(error.into()))?, stream))
    }

    /// What worker 1 is called in its certificate.
    pub(crate) fn name_of_first() -> ServerName<'static> {
        name_of(FIRST)
    }

    /// How whoever listens does that.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, EngineError> {
        let make = || -> Result<ServerConfig, Problem> {
            let roots = Arc::new(self.roots()?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
            let (chain, key) = self.shown()?;
            let builder =
                ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
            Ok(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?)
        };
        make().map(Arc::new).map_err(unusable)
    }

    /// How whoever comes does that.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, EngineError> {
        let make = || -> Result<ClientConfig, Problem> {
            let (chain, key) = self.shown()?;
            let builder =
                ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
            Ok(builder.with_root_certificates(self.roots()?).with_client_auth_cert(chain, key)?)
        };
        make().map(Arc::new).map_err(unusable)
    }

    fn roots(&self) -> Result<RootCertStore, Problem> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes())?)?;
        Ok(roots)
    }

    fn shown(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Problem> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        Ok((vec![certificate], PrivateKeyDer::from_pem_slice(self.key().as_bytes())?))
    }
}

fn name_of(worker: &'static str) -> ServerName<'static> {
    ServerName::try_from(worker).expect("it is a name")
}

/// The cryptography, the cipher of fewest rounds first: large values go through it, and the key lives as long as the connection.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider.into()
}

/// The stream of whoever listens.
pub type Accepted<S> = StreamOwned<ServerConnection, S>;

/// The stream of whoever comes.
pub type Connected<S> = StreamOwned<ClientConnection, S>;

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn unusable(cause: Problem) -> EngineError {
    EngineError::because("cannot use the certificates of this cluster", cause)
}

fn make() -> Result<(Tls, Tls), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let signed = |name: &str| {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &authority)?;
        Ok(Tls::new(authority.pem(), certificate.pem(), key.serialize_pem()))
    };
    Ok((signed(FIRST)?, signed(OTHERS)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// What each side reads when both say their name.
    fn talk(first: &Tls, other: &Tls) -> (Result<String, String>, Result<String, String>) {
        let (here, there) = UnixStream::pair().unwrap();
        let (first, other) = (first.accept(here).unwrap(), other.connect(there).unwrap());
        let side = |mut stream: Box<dyn TestStream>, says: &'static str| {
            move || {
                let said = stream.write_all(says.as_bytes()).and_then(|()| stream.flush());
                let mut heard = [0; 5];
                let heard = said.and_then(|()| stream.read_exact(&mut heard)).map(|()| heard);
                heard
                    .map(|heard| String::from_utf8(heard.to_vec()).unwrap())
                    .map_err(|error| error.to_string())
            }
        };
        let first = thread::spawn(side(Box::new(first), "first"));
        let other = side(Box::new(other), "other")();
        (first.join().unwrap(), other)
    }

    trait TestStream: Read + Write + Send {}
    impl<S: Read + Write + Send> TestStream for S {}

    #[test]
    fn two_of_a_cluster_understand_each_other() {
        let (first, others) = Tls::of_new_cluster().unwrap();
        assert_eq!(talk(&first, &others), (Ok("other".to_owned()), Ok("first".to_owned())));
        assert!(!format!("{others:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_certificate_of_another_cluster_is_refused() {
        let (first, others) = Tls::of_new_cluster().unwrap();
        let (_, strangers) = Tls::of_new_cluster().unwrap();
        // It trusts this cluster, and has a certificate of another.
        let thief = Tls { authority: others.authority.clone(), ..strangers.clone() };
        let (at_first, at_thief) = talk(&first, &thief);
        assert!(at_first.unwrap_err().contains("invalid peer certificate"));
        assert!(at_thief.is_err());
        // It does not even trust it.
        let (at_first, at_stranger) = talk(&first, &strangers);
        assert!(at_first.is_err());
        assert!(at_stranger.unwrap_err().contains("invalid peer certificate"));
    }
}
