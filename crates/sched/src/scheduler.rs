//! The state of one process's scheduler, and the one place where it is told what happened.

mod balance;
mod cancel;
mod check;
mod executor;
mod explain;
mod give;
mod leave;
mod locate;
mod place;
mod recall;
mod recover;
mod result;

use crate::action::Action;
use crate::cost::UNKNOWN_RUN_NS;
use crate::counters::Counters;
use crate::estimate::{Estimates, FunctionKey, Whence};
use crate::event::Event;
use crate::life::Life;
use crate::message::{Message, Order, Report, Sending};
use crate::peer::Peer;
use crate::spec::Spec;
use crate::task::{Away, Held, State, Task};
use balance::Balance;
use leave::Leaving;
use place::Places;
use poniard_model::{ByOwner, Numbered, ProcessorKind, TaskId, Topology, Worker, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use explain::{PeerStatus, Status, Why};

/// Who this process is, and how patient.
#[derive(Clone, Debug)]
pub struct Config {
    /// This worker.
    pub me: Life,
    /// Its machine and labels.
    pub worker: Worker,
    /// Its processors.
    pub processors: Vec<ProcessorKind>,
    /// How long a task waits for a worker when all that fit it are gone.
    pub no_worker_timeout: Duration,
}

impl Config {
    /// A worker with so many CPU processors and no labels, which waits a minute for others.
    pub fn new(me: Life, node: String, threads: usize) -> Config {
        let worker = Worker { id: me.worker, node, labels: Vec::new() };
        let processors = vec![ProcessorKind::Cpu; threads];
        Config { me, worker, processors, no_worker_timeout: Duration::from_secs(60) }
    }
}

/// What one process decides: for the tasks that it owns, and as an executor of others'. Pure: no clock, no lock, no IO.
///
/// The crate's page has the protocol and its argument.
#[derive(Debug)]
pub struct Scheduler {
    config: Config,
    places: Places,
    peers: BTreeMap<WorkerId, Peer>,
    /// Our tasks that left or are to be placed, and those whose results are needed for making others again.
    /// Boxed, so that a page with few of them is small.
    tasks: Numbered<TaskId, Box<Task>>,
    /// Tasks of others that are here.
    held: ByOwner<Held>,
    /// Results of others that somebody here has asked for.
    needs: BTreeSet<(WorkerId, TaskId)>,
    /// Tasks that nobody fits now, those who have waited longest first.
    homeless: BTreeSet<(Duration, TaskId)>,
    quarantined: BTreeSet<TaskId>,
    /// Tasks that are kept only for making other results again.
    lineage: BTreeSet<TaskId>,
    estimates: Estimates,
    balance: Balance,
    /// Set while this process leaves.
    leaving: Option<Leaving>,
    /// Those that leave and were not told yet that nothing more comes.
    unparted: BTreeSet<WorkerId>,
    /// Ready tasks in the pool of this process, when last told.
    queued: u64,
    /// Orders that this event has brought about, to be sent together at its end.
    outbox: BTreeMap<WorkerId, Vec<Order>>,
    /// What was last wished for by [`Action::WakeAt`].
    wake: Option<Duration>,
    counters: Counters,
}

/// Tasks in one message: some 200 KB of specs, and enough of the smallest worthwhile tasks for several round trips.
const RUN_TASKS_MAX: usize = 1024;

impl Scheduler {
    /// The scheduler of a process that knows nobody yet.
    pub fn new(config: Config) -> Scheduler {
        let mut topology = Topology::default();
        topology.join(config.worker.clone(), &config.processors);
        Scheduler {
            places: Places::new(topology),
            config,
            peers: BTreeMap::new(),
            tasks: Numbered::new(),
            held: ByOwner::default(),
            needs: BTreeSet::new(),
            homeless: BTreeSet::new(),
            quarantined: BTreeSet::new(),
            lineage: BTreeSet::new(),
            estimates: Estimates::default(),
            balance: Balance::default(),
            leaving: None,
            unparted: BTreeSet::new(),
            queued: 0,
            outbox: BTreeMap::new(),
            wake: None,
            counters: Counters::default(),
        }
    }

    /// Takes in what happened at `now`, counted from the start of the process, and says what is to be done.
    pub fn on_event(&mut self, now: Duration, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Joined { life, worker, processors } => self.on_joined(now, life, worker, &processors, out),
            Event::Gone { life, signal } => self.on_gone(now, life, signal, out),
            Event::Message { from, message } => self.on_message(now, from, message, out),
            Event::Ready { specs, queued } => self.on_ready(now, specs, queued, out),
            Event::Offered { specs, queued } => self.on_offered(now, specs, queued, out),
            Event::Idle { processors } => self.on_idle(now, processors, out),
            Event::Started { owner, task } => self.on_started_here(owner, task, out),
            Event::Finished { owner, task, ending, ran, kind } => {
                let report = Report { sending: Sending { task, number: 0 }, ending, ran, kind };
                self.on_finished(now, owner, report, out);
            }
            Event::Withdrawn { owner, tasks } => self.on_withdrawn(owner, &tasks, out),
            Event::Cancel(task) => self.on_cancel(now, task, out),
            Event::Released(task) => self.on_released(task, out),
            Event::Missing { owner, result, tried } => self.on_missing(now, owner, result, tried, out),
            Event::Copied { result, to } => self.on_copied(result, to),
            Event::Dropped { result, by } => self.on_dropped(result, by, out),
            Event::Leave => self.on_leave(out),
            Event::Sampled { function, kind, ran } => {
                self.estimates.ran(function, kind, Whence::Near, ran);
            }
            Event::Moved { peer, bytes, took } => self.on_moved(peer, bytes, took),
            Event::Tick => self.on_tick(now, out),
        }
        self.flush(out);
        self.part(out);
        self.wish_to_wake(out);
    }

    /// How often what happened.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The workers that are alive, with this one.
    pub fn topology(&self) -> &Topology {
        self.places.topology()
    }

    /// How large a result of this function is on a CPU, if any was seen.
    pub fn expected_result_bytes(&self, function: FunctionKey) -> Option<u64> {
        self.estimates.result_bytes(function, ProcessorKind::Cpu)
    }

    fn me(&self) -> WorkerId {
        self.config.me.worker
    }

    fn on_message(&mut self, now: Duration, from: Life, message: Message, out: &mut Vec<Action>) {
        if self.peers.get(&from.worker).is_none_or(|peer| peer.life != from) {
            self.counters.stale_messages += 1;
            return;
        }
        match message {
            Message::Run { number, orders } => self.on_run(from.worker, number, orders, out),
            Message::Started(sending) => self.on_started_away(from.worker, sending),
            Message::Done(report) => self.on_done(now, from.worker, report, out),
            Message::Recall(sendings) => self.on_recall(from.worker, &sendings, out),
            Message::Returned(sendings) => self.on_returned(now, from.worker, &sendings, out),
            Message::Cancel(sending) => self.on_cancel_here(from.worker, sending, out),
            Message::Idle { ask, processors } => self.on_hungry(now, from.worker, ask, processors, out),
            Message::Busy { ask } => self.on_sated(from.worker, ask, out),
            Message::Need { result, tried } => self.on_need(now, from, result, tried, out),
            Message::Located { result, at } => self.on_located(from.worker, result, at, out),
            Message::Leaving => self.on_leaving(now, from.worker, out),
            Message::Parted => self.on_parted(from.worker),
            Message::Unobtainable { result } => self.on_unobtainable(from.worker, result, out),
        }
    }

    fn on_joined(
        &mut self,
        now: Duration,
        life: Life,
        worker: Worker,
        processors: &[ProcessorKind],
        out: &mut Vec<Action>,
    ) {
        let known = self.peers.get(&life.worker).map(|peer| peer.life);
        if life.worker == self.me() || known >= Some(life) {
            self.counters.stale_messages += 1;
            return;
        }
        if let Some(known) = known {
            // Its end was not told, and can only have been before its next beginning.
            self.on_gone(now, known, None, out);
        }
        self.peers.insert(life.worker, Peer::new(life, processors.len()));
        self.places.join(worker, processors);
        self.tell_leaving(life, out);
        self.tell_idle(life, out);
        self.retry_homeless(now, out);
    }

    fn on_ready(&mut self, now: Duration, specs: Vec<Spec>, queued: u64, out: &mut Vec<Action>) {
        self.queued = queued;
        for spec in specs {
            let id = spec.task;
            if self.admit(spec) {
                self.start(now, id, out);
            }
        }
        self.serve(now, out);
    }

    fn on_moved(&mut self, peer: Life, bytes: u64, took: Duration) {
        if self.peers.get(&peer.worker).is_some_and(|known| known.life == peer) {
            self.estimates.moved(peer.worker, bytes, took);
        }
    }

    fn on_tick(&mut self, now: Duration, out: &mut Vec<Action>) {
        self.wake = None;
        self.expire_homeless(now, out);
        self.balance.rest_is_over(now);
        self.serve(now, out);
    }

    /// Takes a task into the table. False when it is there already: a task is handed over once.
    fn admit(&mut self, spec: Spec) -> bool {
        let id = spec.task;
        if self.tasks.contains_key(&id) {
            self.counters.repeated_messages += 1;
            return false;
        }
        let inputs: Vec<TaskId> = spec.reads().collect();
        for input in inputs {
            if let Some(input) = self.tasks.get_mut(&input) {
                input.uses += 1;
                input.unfinished_uses += 1;
            }
        }
        self.tasks.insert(id, Box::new(Task::new(spec)));
        true
    }

    /// Sends one of our tasks to a peer.
    fn dispatch(&mut self, now: Duration, id: TaskId, to: WorkerId) {
        let expected = self.expected_ns(id, to);
        let task = self.tasks.get_mut(&id).expect("a task that is sent is in the table");
        let peer = self.peers.get_mut(&to).expect("tasks are sent to peers");
        task.sendings += 1;
        peer.sendings += 1;
        let away = Away {
            on: to,
            since: now,
            place: peer.sendings,
            expected_ns: expected.unwrap_or(UNKNOWN_RUN_NS),
            is_started: false,
            is_watched: !task.deaths.is_empty(),
            is_recalled: false,
        };
        let order = Order {
            sending: Sending { task: id, number: task.sendings },
            attempt: task.attempt,
            expected_ns: expected,
            is_watched: away.is_watched,
        };
        peer.sent.insert(away.place, id);
        peer.committed_ns += away.expected_ns;
        peer.hunger = None;
        if task.is_suspect() {
            peer.suspects.insert(id);
        }
        task.state = State::Away(away);
        self.counters.sent += 1;
        self.outbox.entry(to).or_default().push(order);
    }

    /// Takes a task off the books of the peer that it was sent to, if it was.
    fn undo_dispatch(&mut self, id: TaskId) -> Option<Away> {
        let task = self.tasks.get_mut(&id)?;
        let State::Away(away) = &task.state else { return None };
        let away = away.clone();
        task.state = State::Waiting { missing: 0 };
        let peer = self.peers.get_mut(&away.on).expect("who has a task of ours is a peer");
        peer.sent.remove(&away.place);
        peer.committed_ns -= away.expected_ns;
        peer.suspects.remove(&id);
        Some(away)
    }

    /// Whether this is the current sending of one of our tasks, to this worker.
    fn is_current(&self, on: WorkerId, sending: Sending) -> bool {
        let Some(task) = self.tasks.get(&sending.task) else { return false };
        let is_there = matches!(&task.state, State::Away(away) if away.on == on);
        is_there && task.sendings == sending.number
    }

    /// Sends a message, after the orders that it may be about.
    fn send(&mut self, to: WorkerId, message: Message, out: &mut Vec<Action>) {
        self.flush_to(to, out);
        if let Some(peer) = self.peers.get(&to) {
            out.push(Action::Send { to: peer.life, message });
        }
    }

    /// Sends the orders of this event, those to one peer together.
    fn flush(&mut self, out: &mut Vec<Action>) {
        while let Some(to) = self.outbox.keys().next().copied() {
            self.flush_to(to, out);
        }
    }

    fn flush_to(&mut self, to: WorkerId, out: &mut Vec<Action>) {
        let Some(orders) = self.outbox.remove(&to) else { return };
        let peer = self.peers.get_mut(&to).expect("orders are for peers");
        let mut rest = orders;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(RUN_TASKS_MAX));
            let orders = std::mem::replace(&mut rest, later);
            peer.runs_sent += 1;
            out.push(Action::Send {
                to: peer.life,
                message: Message::Run { number: peer.runs_sent, orders },
            });
        }
    }

    fn wish_to_wake(&mut self, out: &mut Vec<Action>) {
        let homeless = self.homeless.first().map(|(since, _)| *since + self.config.no_worker_timeout);
        let wake = [homeless, self.balance.wakes_at()].into_iter().flatten().min();
        if let Some(at) = wake
            && self.wake != wake
        {
            out.push(Action::WakeAt(at));
        }
        self.wake = wake;
    }
}
