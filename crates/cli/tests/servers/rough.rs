//! A bad network between worker 1 and the others: what is sent comes late, some of it very late, and connections go silent without an end.

use super::chance::Random;
use super::stage::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The address by which the others know worker 1, and at which the road begins.
const CONTACT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// From each port of [`CONTACT`] to the same port of worker 1.
struct Road {
    shared: Arc<Shared>,
    gates: Vec<(SocketAddr, JoinHandle<()>)>,
}

struct Shared {
    is_over: AtomicBool,
    /// Where delays come from.
    random: Mutex<Random>,
    connections: Mutex<Vec<Connection>>,
    pumps: Mutex<Vec<JoinHandle<()>>>,
}

struct Connection {
    port: u16,
    ends: [TcpStream; 2],
    /// Nothing comes through any more, and nobody is told.
    is_silent: Arc<AtomicBool>,
}

impl Road {
    fn to(ports: &[u16], seed: u64) -> Road {
        let shared = Arc::new(Shared {
            is_over: AtomicBool::default(),
            random: Mutex::new(Random::of(seed)),
            connections: Mutex::default(),
            pumps: Mutex::default(),
        });
        let gate = |port: &u16| {
            let at = SocketAddr::from((CONTACT, *port));
            let listener = TcpListener::bind(at).expect("nobody else is at this address");
            let shared = shared.clone();
            (at, thread::spawn(move || shared.let_through(&listener, at.port())))
        };
        let gates = ports.iter().map(gate).collect();
        Road { shared, gates }
    }

    /// Everything that goes through now at a port but `door` goes silent, and so stays open at both ends.
    fn silence_all_but(&self, door: u16) -> usize {
        let connections = self.shared.connections.lock().unwrap();
        let silenced = connections.iter().filter(|connection| connection.port != door);
        silenced.filter(|connection| !connection.is_silent.swap(true, Ordering::Relaxed)).count()
    }
}

impl Shared {
    fn let_through(self: &Arc<Shared>, listener: &TcpListener, port: u16) {
        for near in listener.incoming().map_while(Result::ok) {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            let is_silent = Arc::<AtomicBool>::default();
            let copy = |stream: &TcpStream| stream.try_clone().expect("there are descriptors left");
            for (from, to) in [(copy(&near), copy(&far)), (copy(&far), copy(&near))] {
                self.pump(from, to, is_silent.clone());
            }
            self.connections.lock().unwrap().push(Connection { port, ends: [near, far], is_silent });
        }
    }

    /// Hands on what comes, each part after a delay of its own, in order.
    fn pump(self: &Arc<Shared>, mut from: TcpStream, to: TcpStream, is_silent: Arc<AtomicBool>) {
        let (sender, parts) = sync_channel(64);
        let shared = self.clone();
        let reads = thread::spawn(move || {
            let mut space = vec![0; 16 << 10];
            while let Ok(count) = from.read(&mut space) {
                if count == 0 || !shared.sent(&sender, &space[..count]) {
                    break;
                }
            }
        });
        let writes = thread::spawn(move || deliver(&parts, to, &is_silent));
        self.pumps.lock().unwrap().extend([reads, writes]);
    }

    fn sent(&self, sender: &SyncSender<(Instant, Vec<u8>)>, part: &[u8]) -> bool {
        sender.send((Instant::now() + self.delay(), part.to_vec())).is_ok()
    }

    /// Up to half a second, and one in 32 two seconds more: as long as it takes when what was lost is sent anew.
    fn delay(&self) -> Duration {
        let mut random = self.random.lock().unwrap();
        let lost = if random.one_in(32) { 2000 } else { 0 };
        Duration::from_millis(random.below(500) as u64 + lost)
    }
}

fn deliver(parts: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream, is_silent: &AtomicBool) {
    for (at, part) in parts {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if !is_silent.load(Ordering::Relaxed) && to.write_all(&part).is_err() {
            break;
        }
    }
    if !is_silent.load(Ordering::Relaxed) {
        // It may be closed already.
        to.shutdown(Shutdown::Both).ok();
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for (at, gate) in self.gates.drain(..) {
            // So that it looks.
            TcpStream::connect(at).ok();
            gate.join().ok();
        }
        for end in self.shared.connections.lock().unwrap().iter().flat_map(|connection| &connection.ends) {
            end.shutdown(Shutdown::Both).ok();
        }
        for pump in std::mem::take(&mut *self.shared.pumps.lock().unwrap()) {
            pump.join().ok();
        }
    }
}

/// Everything between worker 1 and the others takes this road; while they work, all that is open goes silent, and so does what they
/// have opened instead while they work again.
fn tasks_on_a_bad_road(listen: &str, seed: u64) {
    let folder = Folder::new();
    let (file, count) = (folder.path("connection"), folder.path("count"));
    let contact = CONTACT.to_string();
    let place = ["--file", text(&file), "--listen", listen, "--contact", &contact];
    let mut command = poniard(&[&["scheduler", "start"], &place[..], &["--wait", "2"]].concat());
    // A third of it is silence before a connection is given up; to make a new one takes some ten messages to and fro.
    command.env("PONIARD_TEST_COUNT", &count).env("PONIARD_WORKER_TIMEOUT", "24");
    let mut app = Process::start(command);
    until("it can be found", || file.exists());
    let door = std::fs::read_to_string(&file).unwrap();
    let door = door.lines().find_map(|line| line.strip_prefix(&format!("address {CONTACT}:"))).unwrap();
    let road = Road::to(&ports_of(app.id()), seed);
    let mut others: Vec<Process> = (0..2).map(|_| Process::start(worker(&file))).collect();
    assert_eq!(app.says(), "begins with 1 2 3");
    let lines = || std::fs::read_to_string(&count).unwrap_or_default().lines().count();
    for done in [0, 150] {
        assert_eq!(app.ask("runs"), "runs");
        until("some tasks have run", || lines() >= done + 20);
        assert_ne!(road.silence_all_but(door.parse().unwrap()), 0, "something was open");
        assert_eq!(app.says(), (0..150).sum::<u32>().to_string());
        assert_eq!(lines(), done + 150, "each ran once");
    }
    assert_eq!(app.ask("who"), "1 2 3");
    assert_eq!(app.ask("end"), "ended");
    for other in &mut others {
        assert!(other.end().success(), "{:?}", other.complaints());
    }
    assert!(app.end().success());
}

#[test]
fn f10_late_stalled_and_silent_connections_lose_nothing_and_run_nothing_again() {
    tasks_on_a_bad_road("tcp://127.0.0.1:0", 1);
}

#[test]
fn f10_neither_do_they_over_tls() {
    tasks_on_a_bad_road("tls://127.0.0.1:0", 2);
}
