//! Asking the driver, and other workers by it, what they do.

use super::driver::{Core, Input};
use super::inbox;
use crate::message::Message;
use crate::status::TaskCounts;
use poniard_model::{TaskId, WorkerId};
use poniard_sched::{PeerStatus, Why};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer may take: of workers that live it comes in less than a millisecond, and whoever asks does not wait for others.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something to be looked up by the driver.
pub(crate) struct Question(pub(super) Box<dyn FnOnce(&mut Core) + Send>);

/// The last question to everybody, and who has answered it what.
struct Round {
    number: u64,
    answers: BTreeMap<WorkerId, TaskCounts>,
}

static ROUND: (Mutex<Round>, Condvar) =
    (Mutex::new(Round { number: 0, answers: BTreeMap::new() }), Condvar::new());

/// Has the driver look something up. Nothing when there is none, or it does not come to it.
fn ask<T: Send + 'static>(look: impl FnOnce(&mut Core) -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = sync_channel(1);
    let question = move |core: &mut Core| drop(answer.send(look(core)));
    inbox::tell(Input::Asked(Question(Box::new(question))));
    answered.recv_timeout(PATIENCE).ok()
}

/// Why a task of this process that has left it has not ended; `None` when there is no cluster.
pub fn explain(task: TaskId) -> Option<Why> {
    ask(move |core| core.explain(task))
}

/// What this process knows of the others, with what they say themselves.
pub(crate) fn peers() -> Vec<(PeerStatus, Option<TaskCounts>)> {
    // One round at a time: whoever asks meanwhile waits for its turn.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let number = {
        let mut round = ROUND.0.lock().unwrap_or_else(PoisonError::into_inner);
        round.number += 1;
        round.answers.clear();
        round.number
    };
    let asked = ask(move |core| core.ask_everybody(number)).unwrap_or_default();
    let deadline = Instant::now() + PATIENCE;
    let mut round = ROUND.0.lock().unwrap_or_else(PoisonError::into_inner);
    while asked.iter().any(|peer| !round.answers.contains_key(&peer.life.worker)) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        round = ROUND.1.wait_timeout(round, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    let answers = std::mem::take(&mut round.answers);
    drop(round);
    let with_answer = |peer: PeerStatus| {
        let answer = answers.get(&peer.life.worker).copied();
        (peer, answer)
    };
    asked.into_iter().map(with_answer).collect()
}

/// A worker has answered; to an earlier round nobody listens any more.
pub(super) fn answered(worker: WorkerId, number: u64, counts: TaskCounts) {
    let mut round = ROUND.0.lock().unwrap_or_else(PoisonError::into_inner);
    if round.number == number {
        round.answers.insert(worker, counts);
        drop(round);
        ROUND.1.notify_all();
    }
}

impl Core {
    /// Why a task of ours that has left has not ended.
    fn explain(&self, task: TaskId) -> Why {
        self.scheduler.explain(self.began.elapsed(), task)
    }

    /// Asks the others what they do. Gives what is known of them here.
    fn ask_everybody(&mut self, number: u64) -> Vec<PeerStatus> {
        let peers = self.scheduler.status().peers;
        for peer in &peers {
            self.post.send(peer.life.worker, Message::Asks(number));
        }
        peers
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").finish_non_exhaustive()
    }
}
