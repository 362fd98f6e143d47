//! TLS between servers, below Zenoh: it talks to a socket of this process, and what it says goes on from there by TLS.
//!
//! Zenoh's own TLS reads and writes one connection of rustls from two threads at once (its issue 2557, open in 1.10.2): with
//! 40 MiB that went through worker 1, a worker died of a segmentation fault, and 5 of 142 runs failed. Here a connection belongs to one task.
//!
//! ```text
//! who connects                                                                         who listens
//! Zenoh ── socket without a file, for this process alone ── TLS ──────── TLS ── port of 127.0.0.1 ── Zenoh
//! ```
//! The port is of loopback because a socket in a folder outlives who is killed. Who comes to it from this host still needs
//! Zenoh's password, and passes the handshake above.

use super::settings::{Endpoint, ZenohConfig};
use crate::engine::EngineError;
use crate::entropy::entropy;
use crate::tls::Tls;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener as StdUnixListener};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Handshakes at a time. Who comes then takes the place of the oldest: who belongs here needs it for milliseconds.
const HANDSHAKES_MAX: usize = 256;
/// How long one may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long nobody is let in when the system has nothing left for another connection.
const REST: Duration = Duration::from_millis(100);
/// How long what was said before the end of one side may take to the other.
const PARTING: Duration = Duration::from_secs(1);
/// So much is passed on at a time: what Zenoh writes at a time.
const PART_BYTES: usize = 64 << 10;

/// The ways through TLS of one process. Dropped, they end, when what was said before has gone.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    running: Option<Running>,
    /// Where Zenoh listens or connects instead.
    locators: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Running {
    runtime: Runtime,
    /// Each connection has a sender, and nothing is ever sent.
    last: Receiver<()>,
    /// Dropped, nobody more comes in.
    _open: Sender<()>,
    doors: Vec<tokio::task::AbortHandle>,
}

/// One way: what a connection needs.
#[derive(Clone)]
struct Way {
    tls: Tls,
    /// Where Zenoh listens, or the other server does.
    to: String,
    /// How long it may take to get there.
    patience: Duration,
    _open: Sender<()>,
}

impl Tunnels {
    /// Those that this configuration needs.
    ///
    /// # Errors
    /// When a port is taken, or the system gives no thread or socket.
    pub(super) fn open(config: &ZenohConfig) -> Result<Tunnels, EngineError> {
        let addresses = |endpoints: &[Endpoint]| -> Vec<String> {
            let address = |endpoint: &Endpoint| match endpoint {
                Endpoint::Tls(address) => Some(address.clone()),
                _ => None,
            };
            endpoints.iter().filter_map(address).collect()
        };
        let (listen, connect) = (addresses(&config.listen), addresses(&config.connect));
        let Some(tls) = config.tls.as_ref().filter(|_| !listen.is_empty() || !connect.is_empty()) else {
            return Ok(Tunnels::default());
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("tls").enable_all().build();
        let runtime = runtime.map_err(|cause| EngineError::because("cannot start a thread", cause))?;
        let (open, last) = channel(1);
        let mut tunnels = Tunnels {
            running: Some(Running { runtime, last, _open: open.clone(), doors: Vec::new() }),
            locators: BTreeMap::new(),
        };
        let way = |to| Way { tls: tls.clone(), to, patience: config.lease, _open: open.clone() };
        for address in listen {
            let because = |cause| EngineError::because(format!("cannot listen at {address}"), cause);
            let outside = StdListener::bind(&address).map_err(because)?;
            let inside = free_port().map_err(because)?;
            tunnels.locators.insert(address.clone(), format!("tcp/{inside}"));
            tunnels.listen(outside, way(inside)).map_err(because)?;
        }
        for address in connect {
            let because = |cause| EngineError::because(format!("cannot prepare a way to {address}"), cause);
            let name = format!("poniard-{:x}", u128::from_le_bytes(first_half(entropy().map_err(because)?)));
            let inside =
                UnixAddress::from_abstract_name(&name).and_then(|name| StdUnixListener::bind_addr(&name));
            tunnels.locators.insert(address.clone(), format!("unixsock-stream/\0{name}"));
            tunnels.connect(inside.map_err(because)?, way(address.clone())).map_err(because)?;
        }
        Ok(tunnels)
    }

    /// What Zenoh listens at or connects to instead of this address.
    pub(super) fn locator(&self, address: &str) -> Option<&str> {
        self.locators.get(address).map(String::as_str)
    }

    /// Lets in who shows a certificate of this cluster.
    fn listen(&mut self, outside: StdListener, way: Way) -> io::Result<()> {
        let acceptor = TlsAcceptor::from(way.tls.server().map_err(io::Error::other)?);
        self.run(|| {
            outside.set_nonblocking(true)?;
            let outside = TcpListener::from_std(outside)?;
            Ok(async move {
                let mut handshakes = VecDeque::new();
                loop {
                    // Descriptors are used up, or the like: those who wait outside go on waiting.
                    let Ok((stream, _)) = outside.accept().await else {
                        sleep(REST).await;
                        continue;
                    };
                    handshakes.retain(|turn_away: &oneshot::Sender<()>| !turn_away.is_closed());
                    if handshakes.len() >= HANDSHAKES_MAX {
                        handshakes.pop_front();
                    }
                    let (turn_away, turned_away) = oneshot::channel();
                    handshakes.push_back(turn_away);
                    tokio::spawn(way.clone().come(acceptor.clone(), stream, turned_away));
                }
            })
        })
    }

    /// Takes this process to another server.
    fn connect(&mut self, inside: StdUnixListener, way: Way) -> io::Result<()> {
        let connector = TlsConnector::from(way.tls.client().map_err(io::Error::other)?);
        self.run(|| {
            inside.set_nonblocking(true)?;
            let inside = UnixListener::from_std(inside)?;
            Ok(async move {
                loop {
                    match inside.accept().await {
                        // Others of this host could find its name.
                        Ok((stream, _)) if !is_ours(&stream) => {}
                        Ok((stream, _)) => drop(tokio::spawn(way.clone().go(connector.clone(), stream))),
                        Err(_) => sleep(REST).await,
                    }
                }
            })
        })
    }

    fn run<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        work: impl FnOnce() -> io::Result<F>,
    ) -> io::Result<()> {
        let running = self.running.as_mut().expect("it runs until it is dropped");
        let _inside = running.runtime.enter();
        running.doors.push(tokio::spawn(work()?).abort_handle());
        Ok(())
    }
}

impl Way {
    /// Somebody has come from another server. Zenoh may not listen yet, or any more: then this ends, as if there were nobody.
    async fn come(self, acceptor: TlsAcceptor, stream: TcpStream, mut turned_away: oneshot::Receiver<()>) {
        stream.set_nodelay(true).ok();
        let greeted = tokio::select! {
            greeted = timeout(HANDSHAKE, acceptor.accept(stream)) => greeted,
            _ = &mut turned_away => return,
        };
        drop(turned_away);
        let Ok(Ok(line)) = greeted else { return };
        let Ok(inside) = TcpStream::connect(&self.to).await else { return };
        inside.set_nodelay(true).ok();
        pass(line, inside).await;
    }

    /// Zenoh wants to go to the other server. When that fails this ends, and it tries again.
    async fn go(self, connector: TlsConnector, inside: UnixStream) {
        let greet = async {
            let stream = TcpStream::connect(&self.to).await?;
            stream.set_nodelay(true)?;
            connector.connect(Tls::name_of_first(), stream).await
        };
        if let Ok(Ok(line)) = timeout(self.patience, greet).await {
            pass(line, inside).await;
        }
    }
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        let Some(Running { runtime, mut last, _open, doors }) = self.running.take() else { return };
        doors.iter().for_each(tokio::task::AbortHandle::abort);
        drop(_open);
        let _ = runtime.block_on(async { timeout(PARTING, last.recv()).await });
        runtime.shutdown_timeout(PARTING);
    }
}

/// Passes on what each says to the other, until one of them ends.
async fn pass(a: impl AsyncRead + AsyncWrite, b: impl AsyncRead + AsyncWrite) {
    let ((from_a, mut to_a), (from_b, mut to_b)) = (split(a), split(b));
    tokio::select! {
        _ = pass_on(from_a, &mut to_b) => {}
        _ = pass_on(from_b, &mut to_a) => {}
    }
    // All that the one has said is with the other; whoever is out of reach is not waited for.
    let part = async {
        to_a.shutdown().await.ok();
        to_b.shutdown().await.ok();
    };
    timeout(PARTING, part).await.ok();
}

async fn pass_on(mut from: impl AsyncRead + Unpin, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut part = vec![0; PART_BYTES];
    loop {
        let bytes = from.read(&mut part).await?;
        if bytes == 0 {
            return Ok(());
        }
        to.write_all(&part[..bytes]).await?;
        // What TLS has encrypted and the socket did not take would wait for the next part.
        to.flush().await?;
    }
}

/// A port of loopback that is free now: Zenoh says nowhere which one it has got.
fn free_port() -> io::Result<String> {
    Ok(StdListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string())
}

fn is_ours(stream: &UnixStream) -> bool {
    let pid = stream.peer_cred().ok().and_then(|who| who.pid());
    pid.is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()))
}

fn first_half(bytes: [u8; 32]) -> [u8; 16] {
    *bytes.first_chunk().expect("it is longer")
}
