//! Which worker a ready task goes to: the one where it is expected to end first, among those that may run it.

use super::Scheduler;
use crate::action::Action;
use crate::cost::{Cost, UNKNOWN_RUN_NS};
use crate::estimate::nanos;
use crate::failure::Failure;
use crate::life::Life;
use crate::spec::{Input, Reach, Spec};
use crate::task::State;
use poniard_model::{ProcessorKind, Scope, TaskId, Topology, Worker, WorkerId, planted};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Scopes whose workers are remembered: programs write a few, and one that makes them in a loop must not fill memory.
const SCOPES_MAX: usize = 1024;

/// Workers that are gone and may be replaced: a task that fits one of them waits for another.
const DEPARTED_MAX: usize = 256;

/// The workers that exist, and which of them are in which scope.
#[derive(Debug)]
pub(super) struct Places {
    topology: Topology,
    departed: Topology,
    /// Cleared when the topology changes.
    known: HashMap<Option<Scope>, Arc<[Seat]>>,
    /// The one that was asked for last, which is most often the next one too.
    last: Option<(Option<Scope>, Arc<[Seat]>)>,
}

/// Processors of one kind, of one worker, within a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) worker: WorkerId,
    pub(super) kind: ProcessorKind,
}

/// Where a task goes.
#[derive(Debug)]
enum Choice {
    Here,
    Peer(WorkerId),
    /// To somebody who has another suspect now.
    Quarantine,
    /// Nobody now. Somebody who is gone would have fitted.
    Nobody,
    Never(Failure),
}

impl Places {
    pub(super) fn new(topology: Topology) -> Places {
        Places { topology, departed: Topology::default(), known: HashMap::new(), last: None }
    }

    pub(super) fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(super) fn join(&mut self, worker: Worker, processors: &[ProcessorKind]) {
        self.departed.leave(worker.id);
        self.topology.join(worker, processors);
        self.forget();
    }

    /// Nobody goes there any more: this became of it.
    pub(super) fn leave(&mut self, worker: WorkerId, how: &str) {
        if let Some(gone) = self.topology.worker(worker) {
            let kinds: Vec<ProcessorKind> =
                self.topology.processors_of(worker).iter().map(|processor| processor.kind).collect();
            self.departed.join(gone.clone(), &kinds);
        }
        if self.departed.workers.len() > DEPARTED_MAX {
            // Numbers grow: the lowest has been gone for longest, or nearly.
            let lowest = self.departed.workers[0].id;
            self.departed.leave(lowest);
        }
        self.topology.lose(worker, how);
        self.forget();
    }

    fn forget(&mut self) {
        self.known.clear();
        self.last = None;
    }

    /// Who may run the task, in the order of their numbers.
    pub(super) fn seats(&mut self, spec: &Spec) -> Arc<[Seat]> {
        let scope = if planted!(scope_ignored) { None } else { spec.scope() };
        if let Some((_, seats)) = self.last.as_ref().filter(|(last, _)| *last == scope) {
            return seats.clone();
        }
        let seats = self.find_seats(&scope);
        self.last = Some((scope, seats.clone()));
        seats
    }

    fn find_seats(&mut self, scope: &Option<Scope>) -> Arc<[Seat]> {
        if let Some(seats) = self.known.get(scope) {
            return seats.clone();
        }
        let mut seats: Vec<Seat> = Vec::new();
        for processor in &self.topology.processors {
            let seat = Seat { worker: processor.id.worker, kind: processor.kind };
            let fits = scope.as_ref().is_none_or(|scope| scope.contains(processor, &self.topology));
            if fits && seats.last() != Some(&seat) {
                seats.push(seat);
            }
        }
        if self.known.len() >= SCOPES_MAX {
            self.known.clear();
        }
        let seats: Arc<[Seat]> = seats.into();
        self.known.insert(scope.clone(), seats.clone());
        seats
    }

    /// Why nobody fits, in words, and whether somebody did who is gone.
    fn why_nobody(&self, spec: &Spec) -> (String, bool) {
        let scope = spec.scope().unwrap_or_else(Scope::default);
        let reason = scope.why_empty(&self.topology).unwrap_or_default();
        (reason, !scope.processors(&self.departed).is_empty())
    }
}

impl Scheduler {
    /// Sends a task whose inputs are there to where it ends first, or puts it where it has to wait.
    pub(super) fn place(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        match self.choose(id) {
            Choice::Here => self.run_here(now, id, out),
            Choice::Peer(worker) => self.dispatch(now, id, worker),
            Choice::Quarantine => {
                self.quarantined.insert(id);
                self.set_state(id, State::Quarantined);
            }
            Choice::Nobody => {
                self.homeless.insert((now, id));
                self.set_state(id, State::Homeless { since: now });
            }
            Choice::Never(why) => self.fail(now, id, why, out),
        }
    }

    pub(super) fn run_here(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        self.queued += 1;
        self.set_state(id, State::Here { since: now });
        out.push(Action::RunHere { task: id, attempt: self.tasks[&id].attempt });
    }

    pub(super) fn set_state(&mut self, id: TaskId, state: State) {
        self.tasks.get_mut(&id).expect("a task that is placed is in the table").state = state;
    }

    fn choose(&mut self, id: TaskId) -> Choice {
        let task = &self.tasks[&id];
        let gone = task.spec.inputs.iter().find_map(|input| match input.reach {
            Reach::Pinned(life) if !self.is_alive(life) => Some(life),
            _ => None,
        });
        if let Some(on) = gone {
            return Choice::Never(Failure::StateLost { on });
        }
        let seats = self.places.seats(&task.spec);
        if seats.is_empty() {
            return match self.places.why_nobody(&task.spec) {
                (_, true) => Choice::Nobody,
                (reason, false) => Choice::Never(Failure::NoProcessor { reason }),
            };
        }
        let task = &self.tasks[&id];
        let me = self.me();
        let has_others = seats.iter().any(|seat| seat.worker != me);
        let is_suspect = task.is_suspect();
        // What may have killed one worker runs here, in its owner's process, only if there is nobody else; what may have killed two
        // never does.
        let is_barred = |seat: &Seat| match seat.worker == me {
            true => task.has_killed() || (!task.deaths.is_empty() && has_others),
            // The suspect there may be the one that waits for this one's result.
            false => is_suspect && !task.is_awaited() && !self.peers[&seat.worker].suspects.is_empty(),
        };
        let open = seats.iter().filter(|seat| !is_barred(seat));
        let best = open.min_by_key(|seat| (self.cost(&task.spec, **seat).end_ns(), seat.worker != me));
        match best {
            Some(seat) if seat.worker == me => Choice::Here,
            Some(seat) => Choice::Peer(seat.worker),
            None if has_others => Choice::Quarantine,
            None => Choice::Nobody,
        }
    }

    fn is_alive(&self, life: Life) -> bool {
        life == self.config.me || self.peers.get(&life.worker).is_some_and(|peer| peer.life == life)
    }

    /// What running the task there costs.
    pub(super) fn cost(&self, spec: &Spec, seat: Seat) -> Cost {
        let run_ns = self.run_ns(spec, seat.kind).unwrap_or(UNKNOWN_RUN_NS);
        let wait_ns = if seat.worker == self.me() {
            let free = self.balance.idle().map_or(0, |idle| u64::from(idle.processors));
            let ahead = if self.queued < free { 0 } else { self.queued - free + 1 };
            run_ns.saturating_mul(ahead) / self.processors()
        } else {
            let peer = &self.peers[&seat.worker];
            // Who has not said that it is idle has something to do, which takes about as long as this.
            let busy_ns = if peer.hunger.is_some() { 0 } else { run_ns };
            let trip_ns = self.estimates.latency_ns(seat.worker);
            peer.wait_ns().saturating_add(busy_ns).max(trip_ns)
        };
        Cost { move_ns: self.move_ns(spec, seat.worker), wait_ns, run_ns }
    }

    /// Until the inputs of the task are there.
    pub(super) fn move_ns(&self, spec: &Spec, to: WorkerId) -> u64 {
        spec.inputs.iter().map(|input| self.input_ns(input, to)).fold(0, u64::saturating_add)
    }

    fn input_ns(&self, input: &Input, to: WorkerId) -> u64 {
        let known = input.result.and_then(|result| match &self.tasks.get(&result)?.state {
            State::Made { holders } => Some(holders.as_slice()),
            _ => None,
        });
        let at = known.unwrap_or(&input.at);
        if at.contains(&to) {
            return 0;
        }
        // The way between two others is not known here: each one's way to this process stands for it.
        let me = self.me();
        let from = |holder: &WorkerId| {
            let peer = if to == me { *holder } else { to };
            self.estimates.transfer_ns(peer, input.bytes)
        };
        at.iter().map(from).min().unwrap_or_else(|| self.estimates.transfer_ns(to, input.bytes))
    }

    /// How long the task runs, if that is known.
    pub(super) fn run_ns(&self, spec: &Spec, kind: ProcessorKind) -> Option<u64> {
        spec.time.map(nanos).or_else(|| self.estimates.run_ns(spec.function, kind))
    }

    /// How long the task runs on the best processor of that worker that it may use, if that is known.
    pub(super) fn expected_ns(&mut self, id: TaskId, on: WorkerId) -> Option<u64> {
        let spec = &self.tasks[&id].spec;
        let seats = self.places.seats(spec);
        let kinds = seats.iter().filter(|seat| seat.worker == on).map(|seat| seat.kind);
        kinds.filter_map(|kind| self.run_ns(spec, kind)).min()
    }

    /// How many processors this process has; at least 1, for it divides.
    pub(super) fn processors(&self) -> u64 {
        (self.config.processors.len() as u64).max(1)
    }

    /// Somebody has come or gone: places again what had no place.
    pub(super) fn retry_homeless(&mut self, now: Duration, out: &mut Vec<Action>) {
        let homeless = std::mem::take(&mut self.homeless);
        for (since, id) in homeless {
            // One of them may have gone with another.
            if !matches!(self.tasks.get(&id).map(|task| &task.state), Some(State::Homeless { .. })) {
                continue;
            }
            self.set_state(id, State::Waiting { missing: 0 });
            self.start(now, id, out);
            // Who still has no place has waited since then.
            if self.homeless.remove(&(now, id)) {
                self.homeless.insert((since, id));
                self.set_state(id, State::Homeless { since });
            }
        }
        self.retry_quarantined(now, out);
    }

    /// A suspect has ended, or a worker has come or gone: the next ones may go.
    pub(super) fn retry_quarantined(&mut self, now: Duration, out: &mut Vec<Action>) {
        let quarantined = self.quarantined.iter().copied().collect();
        self.leave_quarantine(now, quarantined, out);
        self.free_awaited(now, out);
    }

    /// Places again those who are quarantined and waited for: they do not come back, see [`choose`](Self::choose).
    pub(super) fn free_awaited(&mut self, now: Duration, out: &mut Vec<Action>) {
        loop {
            let is_awaited = |id: &&TaskId| self.tasks[*id].is_awaited();
            let awaited: Vec<TaskId> = self.quarantined.iter().filter(is_awaited).copied().collect();
            if awaited.is_empty() {
                return;
            }
            self.leave_quarantine(now, awaited, out);
        }
    }

    fn leave_quarantine(&mut self, now: Duration, ids: Vec<TaskId>, out: &mut Vec<Action>) {
        for id in ids {
            // Else it went with another one.
            if self.quarantined.remove(&id) {
                self.set_state(id, State::Waiting { missing: 0 });
                self.start_alone(now, id, out);
            }
        }
    }

    /// Fails those who have waited too long for a worker.
    pub(super) fn expire_homeless(&mut self, now: Duration, out: &mut Vec<Action>) {
        while let Some(&(since, id)) = self.homeless.first()
            && since + self.config.no_worker_timeout <= now
        {
            self.homeless.remove(&(since, id));
            let task = &self.tasks[&id];
            let why = if !task.has_killed() {
                let (reason, _) = self.places.why_nobody(&task.spec);
                Failure::NoWorkers { waited: now.saturating_sub(since), reason }
            } else {
                Failure::WorkerLost { deaths: task.deaths.clone() }
            };
            self.set_state(id, State::Waiting { missing: 0 });
            self.fail(now, id, why, out);
        }
    }

    /// Why nobody fits a task, in words.
    pub(super) fn why_nobody(&self, spec: &Spec) -> String {
        self.places.why_nobody(spec).0
    }
}
