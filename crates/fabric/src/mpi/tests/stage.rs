//! The suite's stage in the ranks of a job: process 1 is here, the next one that starts is rank 1, the one after it rank 2.

use super::actor::{Cue, Line, read, written};
use super::mpirun;
use crate::conformance::Stage;
use crate::event::{Event, Unsent};
use crate::handshake::{Identity, Token};
use crate::link::Transfer;
use crate::mpi::Job;
use crate::network::{Network, NetworkConfig, Sink};
use crate::peer::Peer;
use crate::timing::Timing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Nothing that a law waits for takes longer, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// What rank 0 directs.
pub(super) struct RankStage {
    job: Arc<Job>,
    timing: Timing,
    here: BTreeMap<Peer, Network>,
    /// The ranks of those that are not here, and their processes.
    ranks: BTreeMap<Peer, (usize, u32)>,
    sender: Sender<(Peer, Event)>,
    events: Receiver<(Peer, Event)>,
    /// What ranks have answered.
    answers: Receiver<Line>,
}

struct Told(Peer, Sender<(Peer, Event)>);

impl Sink for Told {
    fn on(&self, event: Event) {
        // Nobody listens any more when the stage is taken down.
        self.1.send((self.0, event)).ok();
    }
}

impl RankStage {
    pub(super) fn new(job: Arc<Job>, timing: Timing) -> RankStage {
        let ((sender, events), (answer, answers)) = (channel(), channel());
        let (heard, told) = (job.clone(), sender.clone());
        // It waits for the ranks as long as they live, and ends with this process.
        thread::spawn(move || {
            loop {
                match read::<Line>(&heard.hear().1) {
                    Line::Happened(peer, event) => drop(told.send((peer, event.event()))),
                    line => drop(answer.send(line)),
                }
            }
        });
        let (here, ranks) = Default::default();
        RankStage { job, timing, here, ranks, sender, events, answers }
    }

    fn cue(&self, peer: Peer, cue: &Cue) {
        let (rank, _) = self.ranks.get(&peer).expect("it has started");
        self.job.tell(*rank, written(cue));
    }

    fn answer(&self) -> Line {
        self.answers.recv_timeout(PATIENCE).expect("a rank answers")
    }

    /// Has a rank send something, and waits for what came of it.
    fn ask<T>(&self, peer: Peer, cue: &Cue, what: T) -> Result<(), Unsent<T>> {
        self.cue(peer, cue);
        match self.answer() {
            Line::Sent(result) => result.map_err(|refused| refused.with(what)),
            other => unreachable!("it was not asked for {other:?}"),
        }
    }

    fn signal(&self, peer: Peer, signal: &str) {
        let (_, process) = self.ranks.get(&peer).expect("it has started");
        mpirun::signal(signal, *process);
    }
}

/// The ranks end as well, however a law does.
impl Drop for RankStage {
    fn drop(&mut self) {
        self.here.clear();
        for rank in 1..self.job.size() {
            self.job.tell(rank, written(&Cue::End));
        }
    }
}

impl Stage for RankStage {
    fn start(&mut self, peer: Peer, identity: Identity) {
        if self.here.is_empty() {
            let config = NetworkConfig { me: peer, identity, timing: self.timing, is_one_life: false };
            let (engine, sink) = (Arc::new(self.job.engine(peer)), Arc::new(Told(peer, self.sender.clone())));
            self.here.insert(peer, Network::start(engine, config, sink).expect("the engine starts"));
            return;
        }
        let rank = 1 + self.ranks.len();
        // A token does not tell its bytes; the suite has two.
        let is_it = |bytes: &[u8; 32]| Token::new(*bytes).derive("") == identity.token.derive("");
        let token = [[4; 32], [5; 32]].into_iter().find(is_it).expect("the suite has no other");
        self.job.tell(rank, written(&Cue::Start { me: peer, build: identity.build.0, token }));
        let Line::Runs(process) = self.answer() else { unreachable!("nothing else was asked for") };
        self.ranks.insert(peer, (rank, process));
    }

    fn kill(&mut self, _: Peer) {
        unreachable!("OpenMPI ends the job of a rank that dies");
    }

    fn leave(&mut self, peer: Peer) {
        self.cue(peer, &Cue::Leave);
    }

    fn send(&mut self, from: Peer, to: Peer, message: Vec<u8>) -> Result<(), Unsent<Vec<u8>>> {
        match self.here.get(&from) {
            Some(network) => network.send(to, message),
            None => self.ask(from, &Cue::Send(to, message.clone()), message),
        }
    }

    fn send_bulk(&mut self, from: Peer, to: Peer, transfer: Transfer) -> Result<(), Unsent<Transfer>> {
        match self.here.get(&from) {
            Some(network) => network.send_bulk(to, transfer),
            None => {
                let bytes = transfer.bytes.bytes().to_vec();
                self.ask(from, &Cue::SendBulk { to, tag: transfer.tag, bytes }, transfer)
            }
        }
    }

    fn taken(&mut self, me: Peer, from: Peer) {
        match self.here.get(&me) {
            Some(network) => network.taken(from),
            None => self.cue(me, &Cue::Taken(from)),
        }
    }

    fn cut(&mut self, _: Peer, _: Peer) {
        unreachable!("MPI tells of no cut");
    }

    fn heal(&mut self, _: Peer, _: Peer) {
        unreachable!("MPI tells of no cut");
    }

    fn freeze(&mut self, peer: Peer) {
        self.signal(peer, "-STOP");
    }

    fn thaw(&mut self, peer: Peer) {
        self.signal(peer, "-CONT");
    }

    fn next(&mut self) -> (Peer, Event) {
        self.events.recv_timeout(PATIENCE).expect("something happens")
    }
}
