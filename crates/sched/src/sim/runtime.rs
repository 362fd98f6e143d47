//! What the runtime of each worker does: obeys its scheduler, moves inputs, runs tasks, tells what has happened.

use super::job::{Job, Key, Outcome, Truth};
use super::machine::{Gathering, Queued, Running};
use super::world::{Happening, World};
use crate::action::Action;
use crate::estimate::FunctionKey;
use crate::event::Event;
use crate::life::Life;
use crate::message::{Ending, Message, Rest};
use crate::scheduler::Why;
use crate::spec::{Input, Reach, Spec};
use poniard_model::{ProcessorKind, TaskId, WorkerId};
use std::collections::VecDeque;
use std::time::Duration;

type Events = VecDeque<Event>;

/// A world in which more happens goes round in circles.
const EVENTS_MAX: u64 = 500_000;

impl World {
    /// Tells a scheduler what happened, does what it says, and goes on until nothing is left to tell.
    pub(super) fn tell_all(&mut self, at: Life, mut events: Events) {
        loop {
            self.settle(at, &mut events);
            let Some(event) = events.pop_front() else { return };
            self.events += 1;
            assert!(self.events < EVENTS_MAX, "spins at {} ns", self.now);
            let (now, is_checked) = (self.time(), self.events.is_multiple_of(self.nature.check_every));
            let told = self.is_logged.then(|| format!("{event:?}"));
            let Some(machine) = self.machine(at) else { return };
            let mut actions = Vec::new();
            machine.scheduler.on_event(now, event, &mut actions);
            if is_checked {
                machine.scheduler.check();
            }
            if let Some(told) = told {
                println!("{} {at} {told} -> {actions:?}", self.now);
            }
            for action in actions {
                self.perform(at, action, &mut events);
            }
        }
    }

    fn perform(&mut self, at: Life, action: Action, events: &mut Events) {
        match action {
            Action::Send { to, message } => {
                self.assert_may_send(at, to, &message);
                self.send(at, to, message);
            }
            Action::Depart => self.may_depart(at),
            Action::Start { owner, order } => {
                self.assert_has_not_parted(at, &order);
                let Some(machine) = self.machine(at) else { return };
                let key = machine.key(owner, order.sending.task);
                machine.told_idle = None;
                self.gather(at, key, events);
            }
            Action::RunHere { task, .. } => {
                self.machine(at).expect("it acts").told_idle = None;
                self.gather(at, (at, task), events);
            }
            Action::GiveBack(tasks) => {
                let since = self.now;
                let machine = self.machine(at).expect("it acts");
                for task in tasks.into_iter().rev() {
                    machine.own.push_front(Queued { key: (at, task), since });
                }
            }
            Action::Take(take) => {
                let is_wish = !take.to.is_empty();
                self.machine(at).expect("it acts").take = Some(take).filter(|_| is_wish);
                if is_wish && !self.offer(at, events) {
                    let queued = self.machine(at).expect("it acts").own.len() as u64;
                    events.push_back(Event::Offered { specs: Vec::new(), queued });
                }
            }
            Action::Withdraw { owner, tasks } => {
                let machine = self.machine(at).expect("it acts");
                let is_out = |task: &TaskId| {
                    let key = machine.key(owner, *task);
                    machine.unqueue(&key)
                };
                let tasks = tasks.into_iter().filter(is_out).collect();
                events.push_back(Event::Withdrawn { owner, tasks });
            }
            Action::Stop { owner, task } => {
                let machine = self.machine(at).expect("it acts");
                let key = machine.key(owner, task);
                machine.unqueue(&key);
                if machine.running.remove(&key).is_some_and(|running| running.children == 0) {
                    machine.busy -= 1;
                }
            }
            Action::Complete { task, ending, on, attempt } => {
                self.completed(at, task, ending, on, attempt, events);
            }
            Action::Fail { task, why } => self.end((at, task), Outcome::Refused(why), events),
            Action::Located { owner, result, at: holders } => {
                self.located_at(at, owner, result, &holders, events)
            }
            Action::Unobtainable { owner, result } => self.unobtainable_at(at, owner, result, events),
            Action::Free(task) => self.truths.get_mut(&(at, task)).unwrap().copies.clear(),
            Action::Forget(task) => self.truths.get_mut(&(at, task)).unwrap().is_forgotten = true,
            Action::WakeAt(time) => {
                let time = (time.as_nanos() as u64).max(self.now);
                self.at(time, Happening::Wake { at, time });
            }
        }
    }

    /// Starts what can start, offers what was asked for, and tells how many processors are left.
    fn settle(&mut self, at: Life, events: &mut Events) {
        while let Some(machine) = self.machine(at)
            && machine.busy < machine.processors
        {
            let next = machine.own.pop_back().or_else(|| machine.foreign.pop_front());
            let Some(next) = next else { break };
            self.begin(at, next.key, events);
        }
        let now = self.now;
        self.offer(at, events);
        let Some(machine) = self.machine(at) else { return };
        let idle = machine.processors.saturating_sub(machine.busy + machine.gathering.len()) as u32;
        if idle == 0 {
            machine.idle_since = None;
        } else {
            machine.idle_since.get_or_insert(now);
        }
        if machine.told_idle != Some(idle) {
            machine.told_idle = Some(idle);
            events.push_back(Event::Idle { processors: idle });
        }
    }

    /// Offers what there is, if that is more than nothing and somebody has asked.
    fn offer(&mut self, at: Life, events: &mut Events) -> bool {
        let Some(machine) = self.machine(at) else { return false };
        let Some(take) = machine.take.clone() else { return false };
        let own: Vec<Key> = machine.own.iter().map(|queued| queued.key).collect();
        let movable: Vec<Key> =
            own.into_iter().filter(|key| take.to.iter().any(|to| self.fits(key, *to))).collect();
        let amount = take.amount(movable.len() as u64) as usize;
        if amount == 0 {
            return false;
        }
        let taken = &movable[..amount];
        let specs = taken.iter().map(|key| self.spec(key)).collect();
        let machine = self.machine(at).expect("just seen");
        machine.own.retain(|queued| !taken.contains(&queued.key));
        machine.take = None;
        let queued = machine.own.len() as u64;
        events.push_back(Event::Offered { specs, queued });
        true
    }

    /// Whether the worker truly may run the task.
    pub(super) fn fits(&self, key: &Key, worker: WorkerId) -> bool {
        let job = &self.truths[key].job;
        let in_scope = |scope: &poniard_model::Scope| {
            scope.processors(&self.topology).iter().any(|processor| processor.worker == worker)
        };
        let is_home = job.pinned.is_none_or(|life| life.worker == worker && !self.over.contains(&life));
        is_home && job.scope.as_ref().is_none_or(in_scope)
    }

    fn spec(&self, key: &Key) -> Spec {
        let job = &self.truths[key].job;
        let mut spec = Spec::new(key.1, FunctionKey(job.function));
        spec.wishes.scope = job.scope.clone();
        for input in &job.reads {
            let truth = &self.truths[&(key.0, *input)];
            let at = truth.located.iter().map(|life| life.worker).collect();
            spec.inputs.push(Input {
                result: Some(*input),
                bytes: truth.job.bytes,
                at,
                reach: Reach::Anywhere,
            });
        }
        if let Some(life) = job.pinned {
            spec.inputs.push(Input {
                result: None,
                bytes: 8,
                at: vec![life.worker],
                reach: Reach::Pinned(life),
            });
        }
        spec
    }

    /// A task has all its inputs: to the pool of its owner, or to the scheduler.
    pub(super) fn make_ready(&mut self, key: Key, events: &mut Events) {
        let at = key.0;
        let spec = self.spec(&key);
        let here: u64 =
            spec.inputs.iter().filter(|input| input.at.contains(&at.worker)).map(|input| input.bytes).sum();
        let all: u64 = spec.inputs.iter().map(|input| input.bytes).sum();
        if !self.fits(&key, at.worker) || all - here > here.max(64 << 10) {
            let queued = self.machine(at).map_or(0, |machine| machine.own.len() as u64);
            events.push_back(Event::Ready { specs: vec![spec], queued });
        } else {
            self.gather(at, key, events);
        }
    }

    /// Fetches what a task reads, and puts it into the pool when all of it is there.
    fn gather(&mut self, at: Life, key: Key, events: &mut Events) {
        let reads = self.truths[&key].job.reads.clone();
        let inputs = reads.into_iter().map(|task| (key.0, task));
        let left: Vec<Key> = inputs.filter(|input| !self.truths[input].copies.contains(&at)).collect();
        let is_own = key.0 == at;
        let Some(machine) = self.machine(at) else { return };
        machine.gathering.insert(key, Gathering { left: left.clone(), is_own });
        for input in left {
            let located = self.truths[&input].located.clone();
            self.fetch(at, key, input, &located, events);
        }
        self.gathered(at, key);
    }

    fn fetch(&mut self, at: Life, key: Key, input: Key, located: &[Life], events: &mut Events) {
        let from = located.iter().find(|life| self.truths[&input].copies.contains(life));
        match from.copied() {
            Some(from) => {
                let takes = 2 * self.nature.delay_ns.0 + self.truths[&input].job.bytes;
                self.at(self.now + takes, Happening::Fetched { at, key, input, from });
            }
            None => {
                let (owner, result, tried) = (input.0.worker, input.1, located.to_vec());
                events.push_back(Event::Missing { owner, result, tried });
            }
        }
    }

    pub(super) fn fetched(&mut self, at: Life, key: Key, input: Key, from: Life) {
        let mut events = Events::new();
        if !self.truths[&input].copies.contains(&from) {
            let is_wanted = self.machine(at).is_some_and(|machine| machine.gathering.contains_key(&key));
            if is_wanted {
                self.fetch(at, key, input, &[from], &mut events);
            }
        } else if let Some(gathering) = self.machine(at).and_then(|machine| machine.gathering.get_mut(&key)) {
            gathering.left.retain(|other| *other != input);
            if self.random.chance(30) && at != input.0 {
                let later = self.now + self.nature.delay_ns.1;
                self.at(later, Happening::Copied { owner: input.0, task: input.1, to: at });
            }
            self.gathered(at, key);
        }
        self.tell_all(at, events);
    }

    fn gathered(&mut self, at: Life, key: Key) {
        let since = self.now;
        let Some(machine) = self.machine(at) else { return };
        if machine.gathering.get(&key).is_none_or(|gathering| !gathering.left.is_empty()) {
            return;
        }
        let is_own = machine.gathering.remove(&key).expect("just seen").is_own;
        let queued = Queued { key, since };
        match is_own {
            true => machine.own.push_back(queued),
            false => machine.foreign.push_back(queued),
        }
    }

    fn located_at(
        &mut self,
        at: Life,
        owner: WorkerId,
        result: TaskId,
        holders: &[Life],
        events: &mut Events,
    ) {
        let Some(machine) = self.machine(at) else { return };
        let input = machine.key(owner, result);
        let wanting = machine.gathering.iter().filter(|(_, gathering)| gathering.left.contains(&input));
        let wanting: Vec<Key> = wanting.map(|(key, _)| *key).collect();
        for key in wanting {
            self.fetch(at, key, input, holders, events);
        }
        if self.fetching.contains(&input) {
            self.look_at(input, holders, events);
        }
    }

    fn unobtainable_at(&mut self, at: Life, owner: WorkerId, result: TaskId, events: &mut Events) {
        let Some(machine) = self.machine(at) else { return };
        let input = machine.key(owner, result);
        let wanting = machine.gathering.iter().filter(|(_, gathering)| gathering.left.contains(&input));
        let wanting: Vec<Key> = wanting.map(|(key, _)| *key).collect();
        // What only cancelled tasks were to read may be freed before these hear of it.
        if self.fetching.contains(&input) || !wanting.iter().all(|key| self.truths[key].was_cancelled) {
            self.assert_may_be_lost(&input);
        }
        self.fetching.remove(&input);
        for key in wanting {
            self.machine(at).expect("just seen").gathering.remove(&key);
            self.end_run(at, key, Ending::Failed, 0, events);
        }
    }

    /// A processor begins a task.
    fn begin(&mut self, at: Life, key: Key, events: &mut Events) {
        self.assert_may_run(at, &key);
        let truth = self.truths.get_mut(&key).expect("every task is known");
        truth.starts += 1;
        let takes = truth.job.run_ns + self.nature.send_ns * u64::from(key.0 != at);
        self.runs += 1;
        let (run, now) = (self.runs, self.now);
        let machine = self.machine(at).expect("it has processors");
        machine.busy += 1;
        machine.first_run.get_or_insert(now);
        machine.running.insert(key, Running { since: now, run, children: 0 });
        if key.0 != at {
            events.push_back(Event::Started { owner: key.0.worker, task: key.1 });
        }
        self.at(now + takes, Happening::RunEnds { at, key, run });
    }

    pub(super) fn run_ends(&mut self, at: Life, key: Key, run: u64) {
        let now = self.now;
        let job = self.truths[&key].job.clone();
        let Some(machine) = self.machine(at) else { return };
        if machine.running.get(&key).is_none_or(|running| running.run != run) {
            return;
        }
        if job.kills {
            return self.kill(at.worker, 11);
        }
        machine.busy -= 1;
        machine.busy_ns += job.run_ns;
        let mut events = Events::new();
        match job.fork {
            Some(depth) if depth >= 2 => {
                machine.running.get_mut(&key).expect("just seen").children = 2;
                for depth in [depth - 1, depth - 2] {
                    let machine = self.machine(at).expect("just seen");
                    machine.next_task += 1;
                    let child = (at, TaskId(machine.next_task));
                    let mut truth = Truth::new(Job { fork: Some(depth), ..job.clone() });
                    truth.parent = Some(key);
                    self.truths.insert(child, truth);
                    self.unended += 1;
                    self.gather(at, child, &mut events);
                }
            }
            _ => {
                let since = machine.running.remove(&key).expect("just seen").since;
                let rest = if job.rides { Rest::Rides } else { Rest::Stays };
                let ending = Ending::Made { bytes: job.bytes, rest };
                let sending_ns = self.nature.send_ns * u64::from(key.0 != at);
                self.end_run(at, key, ending, now - since - sending_ns, &mut events);
            }
        }
        self.tell_all(at, events);
    }

    /// A task has ended in a pool: one of the scheduler's, or one that it has never heard of.
    fn end_run(&mut self, at: Life, key: Key, ending: Ending, ran_ns: u64, events: &mut Events) {
        let (now, ran, kind) = (self.time(), Duration::from_nanos(ran_ns), ProcessorKind::Cpu);
        let machine = self.machine(at).expect("it has ended something");
        let is_away = key.0 != at;
        let is_known = is_away || matches!(machine.scheduler.explain(now, key.1), Why::Here { .. });
        if is_known {
            // Made again: nobody is told, but the copy counts. The first time it is stored when the promise is completed.
            if !is_away && self.truths[&key].outcome.is_some() && ending != Ending::Failed {
                self.stored(key, at);
            }
            let (owner, task) = (key.0.worker, key.1);
            events.push_back(Event::Finished { owner, task, ending, ran, kind });
            return;
        }
        if self.runs.is_multiple_of(8) {
            let function = FunctionKey(self.truths[&key].job.function);
            events.push_back(Event::Sampled { function, kind, ran });
        }
        let outcome = match ending {
            Ending::Made { .. } => {
                self.stored(key, at);
                Outcome::Made
            }
            _ => Outcome::Failed,
        };
        self.end(key, outcome, events);
    }

    pub(super) fn deliver(&mut self, to: Life, from: Life, message: Message) {
        let Some(machine) = self.machine(to) else { return };
        let is_known = machine.scheduler.status().peers.iter().any(|peer| peer.life == from);
        if is_known && let Message::Run { .. } = message {
            machine.owners.insert(from.worker, from);
        }
        if let Message::Done(report) = &message
            && let Ending::Made { rest, .. } = report.ending
        {
            let key = (to, report.sending.task);
            let why = machine.scheduler.explain(Duration::ZERO, key.1);
            let truth = self.truths.get_mut(&key).expect("every task is known");
            let is_first = truth.reports.insert(report.sending.number);
            let is_there = matches!(why, Why::Away { on, .. } if on == from);
            // As above.
            if is_first && is_there && truth.outcome.is_some() {
                self.stored(key, if rest == Rest::Rides { to } else { from });
            }
        }
        self.tell(to, Event::Message { from, message });
    }

    /// The owner knows of a copy.
    pub(super) fn stored(&mut self, key: Key, holder: Life) {
        let is_over = self.over.contains(&holder);
        let truth = self.truths.get_mut(&key).expect("every task is known");
        truth.located = vec![holder];
        if !is_over {
            truth.copies.insert(holder);
        } else if truth.copies.is_empty() {
            truth.losses += 1;
        }
    }
}
