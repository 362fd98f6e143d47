//! The suite over Zenoh's Unix sockets, with proxies between the processes that can cut and freeze.

mod proxy;

use super::*;
use crate::conformance;
use crate::conformance::real_time::{Ground, RealStage};
use crate::engine::{Engine, EngineEvent, Inbox};
use crate::handshake::Token;
use crate::timing::Timing;
use crate::tls::Tls;
use proxy::Proxy;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A folder for sockets that is gone with all that is in it when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("poniard-fabric-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Worker 1 listens, and the others connect to it, each through a proxy of its own.
struct Star {
    lease: Duration,
    proxies: BTreeMap<Peer, Proxy>,
    folder: Folder,
}

impl Star {
    fn new(timing: Timing) -> Star {
        Star { lease: timing.lease, proxies: BTreeMap::new(), folder: Folder::new() }
    }

    fn proxy(&self, a: Peer, b: Peer) -> &Proxy {
        &self.proxies[if a.worker == WorkerId::FIRST { &b } else { &a }]
    }
}

fn config(me: Peer, folder: &Folder, lease: Duration) -> ZenohConfig {
    ZenohConfig {
        me,
        cluster: "test".to_owned(),
        token: Token::new([9; 32]),
        route: Route::Direct,
        listen: Vec::new(),
        connect: Vec::new(),
        lease,
        tls: None,
        folder: folder.0.clone(),
    }
}

impl Ground for Star {
    fn engine(&mut self, me: Peer) -> Arc<dyn Engine> {
        let mut config = config(me, &self.folder, self.lease);
        if me.worker == WorkerId::FIRST {
            config.listen.push(Endpoint::Socket("first".to_owned()));
        } else {
            let name = format!("to-first-{}-{:x}", me.worker.0, me.incarnation);
            let proxy = Proxy::start(self.folder.0.join(&name), self.folder.0.join("first"));
            self.proxies.insert(me, proxy);
            config.connect.push(Endpoint::Socket(name));
        }
        Arc::new(ZenohEngine::new(config))
    }

    fn kill(&mut self, peer: Peer) {
        self.proxies[&peer].cut();
    }

    fn cut(&mut self, a: Peer, b: Peer) {
        self.proxy(a, b).cut();
    }

    fn heal(&mut self, a: Peer, b: Peer) {
        self.proxy(a, b).heal();
    }

    fn freeze(&mut self, peer: Peer) {
        self.proxies[&peer].freeze();
    }

    fn thaw(&mut self, peer: Peer) {
        self.proxies[&peer].thaw();
    }
}

conformance!(unix_sockets, |timing: Timing| RealStage::new(Star::new(timing), timing));

struct Told(Sender<EngineEvent>);

impl Inbox for Told {
    fn on(&self, event: EngineEvent) {
        self.0.send(event).ok();
    }
}

fn started(config: ZenohConfig) -> (ZenohEngine, Receiver<EngineEvent>) {
    let (sender, events) = channel();
    let engine = ZenohEngine::new(config);
    engine.start(Arc::new(Told(sender))).unwrap();
    (engine, events)
}

#[test]
fn the_folder_holds_a_socket_and_no_secret_and_afterwards_nothing() {
    let folder = Folder::new();
    let mut config = config(Peer::new(1, 1), &folder, Duration::from_secs(10));
    config.listen.push(Endpoint::Socket("first".to_owned()));
    let (engine, _events) = started(config);
    let names = |folder: &Folder| -> Vec<String> {
        let files = fs::read_dir(&folder.0).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder), ["first", "first.lock"]);
    engine.stop();
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn without_the_token_there_is_not_even_a_session() {
    let folder = Folder::new();
    let patient = Duration::from_secs(10);
    let mut first = config(Peer::new(1, 1), &folder, patient);
    first.listen.push(Endpoint::Socket("first".to_owned()));
    let (first, events) = started(first);
    let mut stranger = config(Peer::new(2, 1), &folder, patient);
    stranger.token = Token::new([8; 32]);
    stranger.connect.push(Endpoint::Socket("first".to_owned()));
    let (stranger, _) = started(stranger);
    let mut friend = config(Peer::new(3, 1), &folder, patient);
    friend.connect.push(Endpoint::Socket("first".to_owned()));
    let (friend, _) = started(friend);
    // The stranger came first, and has been turned away by the time that the friend is there.
    assert_eq!(events.recv_timeout(Duration::from_secs(60)), Ok(EngineEvent::Up(Peer::new(3, 1))));
    [first, stranger, friend].iter().for_each(Engine::stop);
}

#[test]
fn what_is_not_safe_is_refused_before_anything_is_opened() {
    let folder = Folder::new();
    let refusal = |change: &dyn Fn(&mut ZenohConfig)| {
        let mut config = config(Peer::new(1, 1), &folder, Duration::from_secs(10));
        change(&mut config);
        config.settings(&Tunnels::default()).err().expect("it is refused").to_string()
    };
    let everybody = Endpoint::Tcp("0.0.0.0:0".parse().unwrap());
    let said = refusal(&|config| config.listen.push(everybody.clone()));
    assert_eq!(said, "0.0.0.0:0 is not of this host, so TLS must be used");
    let said = refusal(&|config| config.listen.push(Endpoint::Tls("0.0.0.0:1".to_owned())));
    assert_eq!(said, "TLS needs certificates");
    let said = refusal(&|config| config.listen.push(Endpoint::Socket("../x".to_owned())));
    assert_eq!(said, "\"../x\" is no name of a socket");
    let said = refusal(&|config| config.cluster = "**".to_owned());
    assert_eq!(said, "\"**\" is no name of a cluster");
    let said = refusal(&|config| {
        config.folder = std::env::temp_dir();
        config.connect.push(Endpoint::Socket("first".to_owned()));
    });
    assert!(said.ends_with("is not private: others can read it"), "{said}");
}

#[test]
fn tcp_on_this_host_works_as_well() {
    let folder = Folder::new();
    let patient = Duration::from_secs(10);
    // The system chooses a port, and we take that.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut first = config(Peer::new(1, 1), &folder, patient);
    first.listen.push(Endpoint::Tcp(port));
    let (first, events) = started(first);
    let mut second = config(Peer::new(2, 1), &folder, patient);
    second.connect.push(Endpoint::Tcp(port));
    let (second, _) = started(second);
    assert_eq!(events.recv_timeout(Duration::from_secs(60)), Ok(EngineEvent::Up(Peer::new(2, 1))));
    [first, second].iter().for_each(Engine::stop);
}

#[test]
fn tls_wants_a_certificate_of_this_cluster_from_both_sides() {
    let (folder, patient) = (Folder::new(), Duration::from_secs(10));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (of_first, of_others) = Tls::of_new_cluster().unwrap();
    let mut first = config(Peer::new(1, 1), &folder, patient);
    first.tls = Some(of_first);
    first.listen.push(Endpoint::Tls(port.to_string()));
    let (first, events) = started(first);
    let comes = |number: u32, tls: &Tls| {
        let mut other = config(Peer::new(number, 1), &folder, patient);
        other.tls = Some(tls.clone());
        other.connect.push(Endpoint::Tls(port.to_string()));
        started(other)
    };
    let (stranger, _) = comes(2, &Tls::of_new_cluster().unwrap().1);
    let mut open = config(Peer::new(3, 1), &folder, patient);
    open.connect.push(Endpoint::Tcp(port));
    let (open, _) = started(open);
    let (friend, _) = comes(4, &of_others);
    // The others came first, and have been turned away by the time that the friend is there.
    assert_eq!(events.recv_timeout(Duration::from_secs(60)), Ok(EngineEvent::Up(Peer::new(4, 1))));
    [first, stranger, open, friend].iter().for_each(Engine::stop);
}

/// What many frames of both sides are counted by.
fn frames_of(events: &Receiver<EngineEvent>, lane: Lane, count: usize) -> usize {
    let frames = std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(60)).ok());
    let right = frames.filter(|event| match event {
        EngineEvent::Frame { lane: of, frame, .. } => {
            *of == lane && frame.len() == 60_000 && frame.iter().all(|byte| *byte == frame[0])
        }
        _ => false,
    });
    right.take(count).count()
}

#[test]
fn both_sides_of_a_way_through_tls_may_say_much_at_once() {
    const COUNT: usize = 4000;
    let (folder, patient) = (Folder::new(), Duration::from_secs(10));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (of_first, of_others) = Tls::of_new_cluster().unwrap();
    let mut first = config(Peer::new(1, 1), &folder, patient);
    (first.tls, first.route) = (Some(of_first), Route::Router);
    first.listen.push(Endpoint::Tls(port.to_string()));
    let mut second = config(Peer::new(2, 1), &folder, patient);
    (second.tls, second.route) = (Some(of_others), Route::ThroughRouter);
    second.connect.push(Endpoint::Tls(port.to_string()));
    let (first, second) = (started(first), started(second));
    let says_and_hears = |(engine, events): &(ZenohEngine, Receiver<EngineEvent>), to: Peer| {
        assert_eq!(events.recv_timeout(Duration::from_secs(60)), Ok(EngineEvent::Up(to)));
        for number in 0..COUNT {
            engine.send(to, Lane::Bulk, vec![number as u8; 60_000]);
        }
        // Nobody holds back, so some are lost, as on every engine; all that come are whole.
        assert_eq!(frames_of(events, Lane::Bulk, COUNT / 2), COUNT / 2);
        engine.stop();
    };
    let other = std::thread::spawn(move || says_and_hears(&second, Peer::new(1, 1)));
    says_and_hears(&first, Peer::new(2, 1));
    other.join().unwrap();
}

#[test]
fn s03_a_port_of_tls_that_is_taken_is_said_before_anything_is_opened() {
    let (folder, taken) = (Folder::new(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = taken.local_addr().unwrap().to_string();
    let mut first = config(Peer::new(1, 1), &folder, Duration::from_secs(10));
    first.tls = Some(Tls::of_new_cluster().unwrap().0);
    first.listen.push(Endpoint::Tls(port.clone()));
    let (sender, _events) = channel();
    let said = ZenohEngine::new(first).start(Arc::new(Told(sender))).unwrap_err().to_string();
    assert!(said.starts_with(&format!("cannot listen at {port}: Address already in use")), "{said}");
}

#[test]
fn s03_a_way_to_another_server_takes_its_own_process_alone() {
    use std::io::Read;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    // Another process says whether something was said to it: this same test, which finds the name in its environment.
    const NAME: &str = "PONIARD_TEST_WAY";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    if let Ok(name) = std::env::var(NAME) {
        let mut way = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        assert_eq!(way.read(&mut [0]).unwrap_or(0), 0, "it is closed at once");
        return;
    }
    let port = listener.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let mut second = config(Peer::new(2, 1), &folder, Duration::from_secs(60));
    second.tls = Some(Tls::of_new_cluster().unwrap().1);
    second.connect.push(Endpoint::Tls(port.clone()));
    let tunnels = Tunnels::open(&second).unwrap();
    let name = tunnels.locator(&port).unwrap().split_once('\0').unwrap().1.to_owned();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "zenoh::tests::s03_a_way_to_another_server_takes_its_own_process_alone"]);
    assert!(command.env(NAME, &name).output().unwrap().status.success());
    // Nobody has come out at the other end, until this process goes in.
    let _way = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    let (mut come, _) = listener.accept().unwrap();
    let mut hello = [0];
    come.read_exact(&mut hello).unwrap();
    assert_eq!(hello, [0x16], "a handshake of TLS");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "and nobody else");
}
