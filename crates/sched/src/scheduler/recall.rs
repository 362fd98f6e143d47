//! Calling back tasks that wait in somebody's queue while somebody else is idle.
//!
//! Only their owner does that: it knows where each of them is, so that no third one has to be told. A task is called back at most
//! once for each time that it is sent: what does not come back has started.

use super::{RUN_TASKS_MAX, Scheduler};
use crate::action::Action;
use crate::cost::is_worth;
use crate::estimate::nanos;
use crate::message::{Message, Sending};
use crate::task::State;
use poniard_model::{TaskId, WorkerId};
use std::time::Duration;

/// Tasks of one worker that are looked at in one step; the next step goes on from there.
const SCAN_MAX: usize = 64;

/// A task that came back so often needs no more reasons to stay: a thousand times the cost of calling it back. Without that two
/// workers that are idle in turns could pass it to and fro before it ever starts.
const RETURNS_MAX: u32 = 10;

/// What a look through the tasks of one worker has found.
#[derive(Debug, Default)]
struct Found {
    sendings: Vec<Sending>,
    /// Whether a later look might find more.
    is_more: bool,
}

impl Scheduler {
    /// Calls back tasks from everybody who has some that wait, for those who are idle: this process among them.
    pub(super) fn recall(&mut self, now: Duration, out: &mut Vec<Action>) {
        if self.balance.recall_at.is_some_and(|at| now < at) {
            return;
        }
        self.balance.recall_at = None;
        let idle_here = self.balance.idle().map(|hunger| (self.me(), hunger.processors));
        let hungry = self.peers.values().filter_map(|peer| Some((peer.life.worker, peer.hunger?.processors)));
        let hungry: Vec<(WorkerId, u32)> = hungry.chain(idle_here).collect();
        if hungry.is_empty() {
            return;
        }
        let is_busy =
            |peer: &&crate::peer::Peer| peer.hunger.is_none() && !peer.is_recalling && !peer.is_leaving;
        let from: Vec<WorkerId> = self
            .peers
            .values()
            .filter(is_busy)
            .filter(|peer| !peer.sent.is_empty())
            .map(|peer| peer.life.worker)
            .collect();
        let mut is_more = false;
        for from in from {
            let found = self.look_through(now, from, &hungry);
            is_more |= found.is_more;
            if !found.sendings.is_empty() {
                self.call_back(from, found.sendings, out);
            }
        }
        if is_more {
            self.balance.recall_at = Some(self.balance.next_look(now));
        }
    }

    pub(super) fn call_back(&mut self, from: WorkerId, sendings: Vec<Sending>, out: &mut Vec<Action>) {
        for sending in &sendings {
            if let Some(State::Away(away)) = self.tasks.get_mut(&sending.task).map(|task| &mut task.state) {
                away.is_recalled = true;
            }
        }
        self.peers.get_mut(&from).expect("who has tasks of ours is a peer").is_recalling = true;
        self.send(from, Message::Recall(sendings), out);
    }

    /// Looks through the last tasks that were sent to `from`, newest first: they are the last to start.
    fn look_through(&mut self, now: Duration, from: WorkerId, hungry: &[(WorkerId, u32)]) -> Found {
        let peer = &self.peers[&from];
        let below = peer.recall_below.unwrap_or(u64::MAX);
        let seen: Vec<(u64, TaskId)> =
            peer.sent.before(below).take(SCAN_MAX).map(|(place, id)| (place, *id)).collect();
        let theirs: u64 = hungry.iter().map(|(_, processors)| u64::from(*processors)).sum();
        // As large a part as the idle processors are of all.
        let share = (peer.sent.len() as u64 * theirs).div_ceil(theirs + peer.processors);
        let most = share.min(RUN_TASKS_MAX as u64) as usize;
        let mut found = Found::default();
        for (_, id) in &seen {
            if found.sendings.len() >= most {
                break;
            }
            match self.is_worth_calling(now, *id, from, hungry) {
                Some(true) => {
                    let number = self.tasks[id].sendings;
                    found.sendings.push(Sending { task: *id, number });
                }
                Some(false) => found.is_more = true,
                None => {}
            }
        }
        let is_end = seen.len() < SCAN_MAX;
        found.is_more |= !is_end;
        let peer = self.peers.get_mut(&from).expect("just seen");
        peer.recall_below = if is_end { None } else { seen.last().map(|(place, _)| *place) };
        found
    }

    /// Whether a task is worth calling back from where it waits; nothing if it cannot be, or nobody who is idle may run it.
    fn is_worth_calling(
        &mut self,
        now: Duration,
        id: TaskId,
        from: WorkerId,
        hungry: &[(WorkerId, u32)],
    ) -> Option<bool> {
        let task = &self.tasks[&id];
        let State::Away(away) = &task.state else { return None };
        // What may be a killer stays where it is: it would only meet others elsewhere.
        if away.is_recalled || away.is_started || !task.deaths.is_empty() {
            return None;
        }
        let seats = self.places.seats(&task.spec);
        let may = |worker: WorkerId| seats.iter().any(|seat| seat.worker == worker);
        // What is before it, and how long it has waited since its inputs should have come.
        let wait_ns = self.peers[&from].wait_ns_without(away.expected_ns);
        let moved_ns = self.move_ns(&task.spec, from);
        let waited_ns = nanos(now.saturating_sub(away.since)).saturating_sub(moved_ns);
        let weariness = 1 << task.returns.min(RETURNS_MAX);
        let costs = hungry.iter().filter(|(worker, _)| may(*worker)).map(|(worker, _)| {
            let trips_ns = self.estimates.latency_ns(from).saturating_mul(2);
            let to_ns = if *worker == self.me() { 0 } else { self.estimates.latency_ns(*worker) };
            trips_ns.saturating_add(to_ns).saturating_add(self.move_ns(&task.spec, *worker))
        });
        let cost_ns = costs.min()?.saturating_mul(weariness);
        Some(is_worth(wait_ns, cost_ns, waited_ns))
    }

    /// Tasks came back that had not started.
    pub(super) fn on_returned(
        &mut self,
        now: Duration,
        from: WorkerId,
        sendings: &[Sending],
        out: &mut Vec<Action>,
    ) {
        self.peers.get_mut(&from).expect("seen by `on_message`").is_recalling = false;
        let mut back = Vec::new();
        for sending in sendings {
            // Else it was cancelled meanwhile.
            if self.is_current(from, *sending) {
                self.undo_dispatch(sending.task);
                self.counters.returned += 1;
                self.tasks.get_mut(&sending.task).expect("just seen").returns += 1;
                back.push(sending.task);
            }
        }
        for id in back {
            self.start(now, id, out);
        }
        self.serve(now, out);
    }
}
