//! What the thread knows and does that owns MPI.

use super::Shared;
use super::desk::{Desk, Order, Tag};
use super::order::InOrder;
use super::rest::rest;
use super::word::Word;
use crate::engine::{EngineEvent, Inbox, Lane};
use ::mpi::topology::SimpleCommunicator;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A message that has come.
type Arrival = (Tag, Vec<u8>);

/// What the thread knows that owns MPI.
pub(super) struct Owner {
    pub(super) world: SimpleCommunicator,
    pub(super) shared: Arc<Shared>,
    /// Who is told, while an engine runs.
    inbox: Option<Arc<dyn Inbox>>,
    /// What comes from each rank, by lane.
    coming: Vec<[InOrder<Arrival>; 2]>,
    /// When something has happened last.
    happened: Instant,
    /// Who waits for the end.
    pub(super) finish: Option<Sender<()>>,
}

impl Owner {
    /// With no engine yet, of so many ranks.
    pub(super) fn new(world: SimpleCommunicator, size: usize, shared: Arc<Shared>) -> Owner {
        let coming = (0..size).map(|_| Default::default()).collect();
        Owner { world, shared, inbox: None, coming, happened: Instant::now(), finish: None }
    }

    /// Whether everything is done, and the end was asked for.
    pub(super) fn is_over(&self) -> bool {
        self.finish.is_some() && self.shared.lock().is_sent()
    }

    /// Something has happened: more may be about to.
    pub(super) fn happened(&mut self) {
        self.happened = Instant::now();
    }

    /// Since when nothing has happened.
    pub(super) fn idle(&self) -> Duration {
        self.happened.elapsed()
    }

    /// Does what was ordered. Gives whether something was.
    pub(super) fn obey(&mut self) -> bool {
        let orders = {
            let mut desk = self.shared.lock();
            if !desk.look() {
                return false;
            }
            std::mem::take(&mut desk.orders)
        };
        for order in orders {
            match order {
                Order::Start(inbox) => {
                    let peers = self.shared.lock().peers();
                    peers.into_iter().for_each(|peer| inbox.on(EngineEvent::Up(peer)));
                    self.inbox = Some(inbox);
                }
                Order::Stop(done) => {
                    self.inbox = None;
                    done.send(()).ok();
                }
                Order::Finish(done) => self.finish = Some(done),
            }
        }
        true
    }

    /// A message of a rank is seen to come; gives its number.
    pub(super) fn see(&mut self, rank: usize, tag: Tag) -> u64 {
        self.coming[rank][tag.lane() as usize].see()
    }

    /// It is here.
    pub(super) fn take(&mut self, rank: usize, number: u64, tag: Tag, bytes: Vec<u8>) {
        let lane = tag.lane();
        let here: Vec<_> = self.coming[rank][lane as usize].take(number, (tag, bytes)).collect();
        for (tag, bytes) in here {
            match tag {
                Tag::Word => self.hear(rank, &bytes),
                Tag::Control | Tag::Bulk => self.tell_of_frame(rank, lane, bytes),
            }
        }
    }

    fn tell_of_frame(&self, rank: usize, lane: Lane, frame: Vec<u8>) {
        let Some(inbox) = &self.inbox else { return };
        let from = self.shared.lock().peer(rank);
        // It is of the engine of a rank that has stopped, or of none.
        let Some(from) = from else { return };
        inbox.on(EngineEvent::Frame { from, lane, frame });
    }

    fn hear(&self, rank: usize, bytes: &[u8]) {
        let (was, is) = match Word::read(bytes) {
            Some(Word::Is(peer)) => (self.shared.lock().plays(rank, Some(peer)), Some(peer)),
            Some(Word::Was(_)) => (self.shared.lock().plays(rank, None), None),
            Some(Word::Told(words)) => {
                return self.shared.do_and_tell(|desk| desk.heard.push_back((rank, words)));
            }
            // The ranks of one job may be other programs.
            None => return,
        };
        let Some(inbox) = &self.inbox else { return };
        was.into_iter().for_each(|peer| inbox.on(EngineEvent::Down(peer)));
        is.into_iter().for_each(|peer| inbox.on(EngineEvent::Up(peer)));
    }

    /// Sleeps, the longer the longer nothing has happened, until something is left on the desk.
    pub(super) fn rest(&self) {
        let Some(pause) = rest(self.idle()) else { return thread::yield_now() };
        let mut desk = self.shared.lock();
        desk.is_asleep = true;
        let is_quiet = |desk: &mut Desk| desk.is_asleep;
        let waited = self.shared.wanted.wait_timeout_while(desk, pause, is_quiet);
        let (mut desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
        desk.is_asleep = false;
    }
}
