//! What it costs to talk: over memory, with the feature `zenoh` to another process over a Unix socket, and with the feature
//! `mpi` to another rank of a job.
//!
//! `cargo bench -p poniard-fabric --features zenoh,mpi`

use poniard_fabric::memory::Hub;
use poniard_fabric::{
    Build, Engine, Event, Identity, Network, NetworkConfig, Peer, Sink, Timing, Token, Transfer,
};
use poniard_model::codec::SharedBytes;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const HEAD: Peer = Peer { worker: poniard_model::WorkerId(1), incarnation: 1 };
const WORKER: Peer = Peer { worker: poniard_model::WorkerId(2), incarnation: 1 };

const ROUND_TRIPS: usize = 5_000;
const MESSAGES: usize = 2_000_000;
const DATA_BYTES: usize = 256 << 20;

/// First bytes of messages.
const ECHO: u8 = 0;
const COUNT: u8 = 1;
const LAST: u8 = 2;

struct Data(Vec<u8>);

impl SharedBytes for Data {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Hands on what happens.
struct Told(Sender<Event>);

impl Sink for Told {
    fn on(&self, event: Event) {
        self.0.send(event).ok();
    }
}

/// Answers on the thread that brings the question.
#[derive(Default)]
struct Answers {
    network: OnceLock<Network>,
    gone: OnceLock<Sender<()>>,
}

impl Sink for Answers {
    fn on(&self, event: Event) {
        let network = || self.network.wait();
        match event {
            Event::Message { from, bytes } if bytes[0] != COUNT => network().send(from, bytes).unwrap(),
            Event::Bulk { from, piece } => {
                network().taken(from);
                if piece.is_last() {
                    network().send(from, vec![LAST]).unwrap();
                }
            }
            Event::Gone { .. } => self.gone.get().into_iter().for_each(|gone| gone.send(()).unwrap()),
            _ => {}
        }
    }
}

fn config(me: Peer) -> NetworkConfig {
    let identity = Identity { build: Build([1; 32]), token: Token::new([2; 32]) };
    NetworkConfig { me, identity, timing: Timing::DEFAULT, is_one_life: false }
}

fn answering(engine: Arc<dyn Engine>) -> Arc<Answers> {
    let answers = Arc::new(Answers::default());
    let network = Network::start(engine, config(WORKER), answers.clone()).unwrap();
    answers.network.set(network).unwrap();
    answers
}

fn wait_for_message(events: &Receiver<Event>) {
    while !matches!(events.recv_timeout(Duration::from_secs(60)), Ok(Event::Message { .. })) {}
}

fn measure(name: &str, network: &Network, events: &Receiver<Event>) {
    while !matches!(events.recv_timeout(Duration::from_secs(60)).unwrap(), Event::Joined { .. }) {}
    let mut trips: Vec<Duration> = (0..ROUND_TRIPS)
        .map(|_| {
            let start = Instant::now();
            network.send(WORKER, vec![ECHO; 64]).unwrap();
            wait_for_message(events);
            start.elapsed()
        })
        .collect();
    trips.sort();
    println!(
        "{name}: round trip of 64 B: median {:?}, 99th {:?}",
        trips[ROUND_TRIPS / 2],
        trips[ROUND_TRIPS * 99 / 100]
    );
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    for number in 0..MESSAGES {
        let message = vec![if number + 1 < MESSAGES { COUNT } else { LAST }; 64];
        let sent = Instant::now();
        let mut result = network.send(WORKER, message);
        while let Err(unsent) = result {
            std::thread::yield_now();
            result = network.send(WORKER, unsent.into_inner());
        }
        slowest = slowest.max(sent.elapsed());
    }
    wait_for_message(events);
    let rate = MESSAGES as f64 / start.elapsed().as_secs_f64() / 1e6;
    println!("{name}: messages of 64 B one way: {rate:.2} million a second, slowest send {slowest:?}");
    let bytes = Arc::new(Data(vec![1; DATA_BYTES]));
    for _ in 0..2 {
        let start = Instant::now();
        network.send_bulk(WORKER, Transfer { tag: 1, bytes: bytes.clone() }).unwrap();
        wait_for_message(events);
        println!("{name}: bulk: {:.2} GB/s", DATA_BYTES as f64 / start.elapsed().as_secs_f64() / 1e9);
    }
}

fn memory() {
    let hub = Hub::new();
    let answers = answering(Arc::new(hub.engine(WORKER)));
    let (sender, events) = channel();
    let network = Network::start(Arc::new(hub.engine(HEAD)), config(HEAD), Arc::new(Told(sender))).unwrap();
    measure("memory", &network, &events);
    drop((network, answers));
}

#[cfg(feature = "zenoh")]
mod zenoh {
    use super::*;
    use poniard_fabric::State;
    use poniard_fabric::zenoh::{Endpoint, Route, ZenohConfig, ZenohEngine};
    use std::path::PathBuf;
    use std::process::{Child, Command};

    fn engine(me: Peer, folder: PathBuf) -> Arc<ZenohEngine> {
        let mut config = ZenohConfig {
            me,
            cluster: "bench".to_owned(),
            token: Token::new([2; 32]),
            route: Route::Direct,
            listen: Vec::new(),
            connect: Vec::new(),
            lease: Timing::DEFAULT.lease,
            tls: None,
            folder,
        };
        let ends = if me == HEAD { &mut config.listen } else { &mut config.connect };
        ends.push(Endpoint::Socket("head".to_owned()));
        Arc::new(ZenohEngine::new(config))
    }

    /// Another process of this executable; it ends when the head is gone.
    pub(super) fn work(folder: PathBuf) {
        let (sender, gone) = channel();
        let answers = answering(engine(WORKER, folder));
        answers.gone.set(sender).unwrap();
        gone.recv().unwrap();
    }

    fn signal(child: &Child, signal: &str) {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }

    pub(super) fn measure_all() {
        let folder = std::env::temp_dir().join(format!("poniard-bench-{}", std::process::id()));
        let (sender, events) = channel();
        let network =
            Network::start(engine(HEAD, folder.clone()), config(HEAD), Arc::new(Told(sender))).unwrap();
        let start = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap()).arg(&folder).spawn().unwrap();
        measure("zenoh, unix socket", &network, &events);
        println!("all of that took {:?}", start.elapsed());
        freeze(&network, &events, &child);
        let killed = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        while network.state(WORKER) == Some(State::Alive) {
            std::thread::yield_now();
        }
        println!("zenoh, unix socket: kill -9 makes suspect after {:?}", killed.elapsed());
        network.dismiss(WORKER);
        drop(network);
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// Sends to a process that is stopped for 3 s.
    fn freeze(network: &Network, events: &Receiver<Event>, child: &Child) {
        signal(child, "-STOP");
        let (start, mut slowest, mut sent) = (Instant::now(), Duration::ZERO, 0);
        while start.elapsed() < Duration::from_secs(3) {
            if sent < 200_000 {
                let at = Instant::now();
                network.send(WORKER, vec![COUNT; 64]).unwrap();
                slowest = slowest.max(at.elapsed());
                sent += 1;
            } else {
                std::thread::yield_now();
            }
        }
        signal(child, "-CONT");
        network.send(WORKER, vec![LAST]).unwrap();
        wait_for_message(events);
        println!(
            "zenoh, unix socket: {sent} messages to a process stopped for 3 s: slowest send {slowest:?}, all arrived"
        );
    }
}

#[cfg(feature = "mpi")]
mod mpi {
    use super::*;
    use poniard_fabric::mpi::Job;
    use std::process::Command;

    /// What a process of a job gets as its argument.
    pub(super) const TALKS: &str = "mpi-talks";
    pub(super) const IDLES: &str = "mpi-idles";

    const IDLE: Duration = Duration::from_secs(10);
    const PARTING: Duration = Duration::from_secs(10);

    /// One rank measures, the other one answers.
    pub(super) fn talk() {
        let job = Job::join().unwrap();
        let (sender, events) = channel();
        if job.rank() == 0 {
            let network = Network::start(Arc::new(job.engine(HEAD)), config(HEAD), Arc::new(Told(sender)));
            measure("mpi, same host", &network.unwrap(), &events);
        } else {
            let (sender, gone) = channel();
            let answers = answering(Arc::new(job.engine(WORKER)));
            answers.gone.set(sender).unwrap();
            gone.recv().unwrap();
        }
        job.finish(PARTING).unwrap();
    }

    /// All ranks have links to all others, and nothing to say.
    pub(super) fn idle() {
        let job = Job::join().unwrap();
        let me = Peer::new(1 + job.rank() as u32, 1);
        let (sender, events) = channel();
        let network = Network::start(Arc::new(job.engine(me)), config(me), Arc::new(Told(sender))).unwrap();
        for _ in 1..job.size() {
            while !matches!(events.recv_timeout(PARTING), Ok(Event::Joined { .. })) {}
        }
        let before = processor_time();
        std::thread::sleep(IDLE);
        let share = 100.0 * (processor_time() - before).as_secs_f64() / IDLE.as_secs_f64();
        println!("mpi, idle: rank {} of {} takes {share:.2} % of a core", job.rank(), job.size());
        // Whoever leaves early would have the others work.
        std::thread::sleep(Duration::from_secs(1));
        drop(network);
        job.finish(PARTING).unwrap();
    }

    /// What this process has used of the processors, in nanoseconds as the kernel counts them for each thread.
    fn processor_time() -> Duration {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let of = |thread: std::fs::DirEntry| -> u64 {
            let told = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            told.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
        };
        Duration::from_nanos(threads.map(of).sum())
    }

    pub(super) fn measure_all() {
        for (ranks, what) in [("2", TALKS), ("3", IDLES)] {
            let mut command = Command::new("mpirun");
            command.args(["--oversubscribe", "--allow-run-as-root", "-n", ranks]);
            match command.arg(std::env::current_exe().unwrap()).arg(what).status() {
                Ok(status) => assert!(status.success(), "{status}"),
                Err(error) => return println!("SKIP mpi: cannot run mpirun: {error}"),
            }
        }
    }
}

fn main() {
    // Cargo passes `--bench`; a child gets what it is for.
    let child = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    match child.as_deref() {
        #[cfg(feature = "mpi")]
        Some(mpi::TALKS) => mpi::talk(),
        #[cfg(feature = "mpi")]
        Some(mpi::IDLES) => mpi::idle(),
        #[cfg(feature = "zenoh")]
        Some(folder) => zenoh::work(folder.into()),
        _ => {
            memory();
            #[cfg(feature = "zenoh")]
            zenoh::measure_all();
            #[cfg(feature = "mpi")]
            mpi::measure_all();
        }
    }
}
