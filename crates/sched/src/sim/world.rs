//! Several workers, the links between them, and what goes wrong: events in virtual time, by seed.

use super::job::{Job, Key, Outcome, Truth};
use super::machine::Machine;
use super::random::Random;
use super::wire::Wire;
use super::{SECOND, with_grace};
use crate::event::Event;
use crate::life::Life;
use crate::message::Message;
use crate::scheduler::Config;
use poniard_model::{TaskId, Topology, WorkerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What happens at one time.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Deliver {
        to: Life,
        from: Life,
        message: Message,
    },
    JoinedAt {
        at: Life,
        who: Life,
    },
    GoneAt {
        at: Life,
        who: Life,
        signal: Option<i32>,
    },
    RunEnds {
        at: Life,
        key: Key,
        run: u64,
    },
    Fetched {
        at: Life,
        key: Key,
        input: Key,
        from: Life,
    },
    Wake {
        at: Life,
        time: u64,
    },
    Kill {
        worker: WorkerId,
        signal: i32,
    },
    Freeze {
        worker: WorkerId,
        for_ns: u64,
    },
    Thaw {
        who: Life,
    },
    Join {
        life: Life,
        threads: usize,
    },
    /// A worker is told to leave in order.
    Leave {
        worker: WorkerId,
    },
    /// It goes, if nothing of its own is left.
    TryDepart {
        who: Life,
    },
    Cancel {
        owner: Life,
        task: TaskId,
    },
    /// Once it runs elsewhere.
    CancelDeaf {
        owner: Life,
        task: TaskId,
    },
    TryRelease {
        owner: Life,
        task: TaskId,
    },
    Copied {
        owner: Life,
        task: TaskId,
        to: Life,
    },
    Watch,
    /// A worker cannot be reached for a while, where there is a wire.
    Cut {
        worker: WorkerId,
    },
    Heal {
        who: Life,
    },
}

impl Happening {
    /// The worker that it happens to, if it is one that can be stopped.
    fn machine(&self) -> Option<Life> {
        match self {
            Happening::Deliver { to: at, .. }
            | Happening::JoinedAt { at, .. }
            | Happening::GoneAt { at, .. }
            | Happening::RunEnds { at, .. }
            | Happening::Fetched { at, .. }
            | Happening::Wake { at, .. }
            | Happening::TryDepart { who: at } => Some(*at),
            _ => None,
        }
    }
}

/// Every kind of message.
pub(super) const KINDS: [&str; 15] = [
    "Run",
    "Started",
    "Done",
    "Recall",
    "Returned",
    "Cancel",
    "Idle",
    "Busy",
    "Need",
    "Located",
    "Leaving",
    "Parted",
    "Unobtainable",
    "Perishing",
    "Noted",
];

fn kind(message: &Message) -> &'static str {
    let place = match message {
        Message::Run { .. } => 0,
        Message::Started(_) => 1,
        Message::Done(_) => 2,
        Message::Recall(_) => 3,
        Message::Returned(_) => 4,
        Message::Cancel(_) => 5,
        Message::Idle { .. } => 6,
        Message::Busy { .. } => 7,
        Message::Need { .. } => 8,
        Message::Located { .. } => 9,
        Message::Leaving => 10,
        Message::Parted => 11,
        Message::Unobtainable { .. } => 12,
        Message::Perishing => 13,
        Message::Noted => 14,
    };
    KINDS[place]
}

/// How the world behaves.
#[derive(Clone, Debug)]
pub(super) struct Nature {
    /// One way, at least and at most.
    pub(super) delay_ns: (u64, u64),
    /// Messages that come twice.
    pub(super) twice_percent: u64,
    /// Between a death and the first word of it, at most.
    pub(super) detect_ns: u64,
    /// A worker that is stopped for longer is declared gone.
    pub(super) patience_ns: u64,
    /// What starting, sending and taking in a task costs the processor that does it.
    pub(super) send_ns: u64,
    /// A worker that died is replaced after this.
    pub(super) respawn_ns: Option<u64>,
    /// The state checks itself after every so many events.
    pub(super) check_every: u64,
}

impl Default for Nature {
    fn default() -> Nature {
        Nature {
            delay_ns: (100_000, 100_000),
            twice_percent: 0,
            detect_ns: 5_000_000,
            patience_ns: 2_000_000_000,
            send_ns: 0,
            respawn_ns: None,
            check_every: 1,
        }
    }
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) nature: Nature,
    pub(super) random: Random,
    pub(super) queue: BTreeMap<(u64, u64), Happening>,
    pub(super) sequence: u64,
    pub(super) machines: BTreeMap<WorkerId, Machine>,
    pub(super) configs: BTreeMap<WorkerId, Config>,
    /// Workers as they truly are, and as they were.
    pub(super) topology: Topology,
    pub(super) truths: BTreeMap<Key, Truth>,
    /// When the last message of a pair arrives.
    last: BTreeMap<(Life, Life), u64>,
    /// Lives that were declared gone, or died.
    pub(super) over: BTreeSet<Life>,
    /// Lives that were told to leave, and are not over.
    pub(super) leaving: BTreeSet<Life>,
    /// Workers that left in order.
    pub(super) departed: u64,
    /// Lives with a task that was told to stop and kept its processor for too long.
    pub(super) stuck: BTreeSet<Life>,
    /// Workers that were ended for that.
    pub(super) perished: u64,
    pub(super) unended: usize,
    /// Results that the user looks at in the end and has not seen.
    pub(super) fetching: BTreeSet<Key>,
    pub(super) events: u64,
    pub(super) runs: u64,
    pub(super) deaths: u64,
    pub(super) ended_at: u64,
    /// Every event and what is done about it goes to the output: `PONIARD_SIM_LOG=1`.
    pub(super) is_logged: bool,
    /// Kinds of messages that came twice.
    pub(super) doubled: BTreeSet<&'static str>,
    /// What killed those who were killed.
    pub(super) signals: BTreeMap<Life, i32>,
    /// The network by which they talk; without one, nothing is lost and all is in order.
    pub(super) wire: Option<Wire>,
}

impl World {
    pub(super) fn new(seed: u64, nature: Nature) -> World {
        World {
            now: 0,
            nature,
            random: Random(seed),
            queue: BTreeMap::new(),
            sequence: 0,
            machines: BTreeMap::new(),
            configs: BTreeMap::new(),
            topology: Topology::default(),
            truths: BTreeMap::new(),
            last: BTreeMap::new(),
            over: BTreeSet::new(),
            leaving: BTreeSet::new(),
            departed: 0,
            stuck: BTreeSet::new(),
            perished: 0,
            unended: 0,
            fetching: BTreeSet::new(),
            events: 0,
            runs: 0,
            deaths: 0,
            ended_at: 0,
            doubled: BTreeSet::new(),
            signals: BTreeMap::new(),
            wire: None,
            is_logged: std::env::var_os("PONIARD_SIM_LOG").is_some(),
        }
    }

    pub(super) fn at(&mut self, time: u64, what: Happening) {
        self.sequence += 1;
        self.queue.insert((time.max(self.now), self.sequence), what);
    }

    pub(super) fn time(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// A worker is there from now on.
    pub(super) fn join(&mut self, config: Config) {
        let me = config.me;
        self.topology.join(config.worker.clone(), &config.processors);
        let others: Vec<Life> = self.machines.values().map(|machine| machine.life).collect();
        self.configs.insert(me.worker, config.clone());
        self.machines.insert(me.worker, Machine::new(config));
        if let Some(wire) = &mut self.wire {
            wire.start(me);
            return self.tell_nothing(me);
        }
        for other in others {
            self.post(me, other, |at, who| Happening::JoinedAt { at, who });
            self.post(other, me, |at, who| Happening::JoinedAt { at, who });
        }
        self.tell_nothing(me);
    }

    /// Something on the link between two, in order.
    fn post(&mut self, from: Life, to: Life, what: impl FnOnce(Life, Life) -> Happening) {
        let (least, most) = self.nature.delay_ns;
        let arrives = self.now + least + self.random.below(most - least + 1);
        let last = self.last.entry((from, to)).or_default();
        *last = arrives.max(*last);
        let at = *last;
        self.at(at, what(to, from));
    }

    pub(super) fn send(&mut self, from: Life, to: Life, message: Message) {
        if let Some(wire) = &mut self.wire {
            return wire.send(from, to, message);
        }
        // The rarest kind always does, where others do at all: else 1,500 worlds are too few to see it.
        let is_rare = matches!(message, Message::Unobtainable { .. }) && self.nature.twice_percent > 0;
        let percent = if is_rare { 100 } else { self.nature.twice_percent };
        let again = self.random.chance(percent).then(|| message.clone());
        self.post(from, to, |to, from| Happening::Deliver { to, from, message });
        if let Some(message) = again {
            self.doubled.insert(kind(&message));
            let later = self.now + self.random.below(20_000_000) + self.nature.delay_ns.1;
            self.at(later, Happening::Deliver { to, from, message });
        }
    }

    /// Adds a program; all that reads nothing is ready at once.
    pub(super) fn submit(&mut self, owner: Life, jobs: Vec<Job>) {
        let mut ready = Vec::new();
        for (number, job) in jobs.into_iter().enumerate() {
            let task = TaskId(number as u64 + 1);
            for input in &job.reads {
                self.truths.get_mut(&(owner, *input)).unwrap().readers.push(task);
            }
            let mut truth = Truth::new(job);
            truth.missing = truth.job.reads.len();
            if truth.missing == 0 {
                ready.push(task);
            }
            self.truths.insert((owner, task), truth);
            self.unended += 1;
        }
        let mut events = VecDeque::new();
        ready.into_iter().for_each(|task| self.make_ready((owner, task), &mut events));
        self.tell_all(owner, events);
    }

    pub(super) fn machine(&mut self, life: Life) -> Option<&mut Machine> {
        self.machines.get_mut(&life.worker).filter(|machine| machine.life == life)
    }

    /// One more step; false when nothing will ever happen again, or everything is done.
    pub(super) fn step(&mut self) -> bool {
        if self.wire.is_some() {
            let until = self.queue.first_key_value().map_or(self.now + SECOND, |((time, _), _)| *time);
            if self.wire_tells(until) || self.queue.is_empty() {
                return true;
            }
        }
        let Some(((time, _), what)) = self.queue.pop_first() else { return false };
        self.now = time;
        if let Some(life) = what.machine()
            && let Some(machine) = self.machine(life)
            && machine.frozen
        {
            machine.deferred.push(what);
            return true;
        }
        self.happen(what);
        true
    }

    pub(super) fn happen(&mut self, what: Happening) {
        match what {
            Happening::Deliver { to, from, message } => self.deliver(to, from, message),
            Happening::JoinedAt { at, who } => self.joined_at(at, who),
            Happening::GoneAt { at, who, signal } => self.gone_at(at, who, signal),
            Happening::RunEnds { at, key, run } => self.run_ends(at, key, run),
            Happening::Fetched { at, key, input, from } => self.fetched(at, key, input, from),
            Happening::Wake { at, time } => {
                debug_assert!(time <= self.now);
                self.tell(at, Event::Tick);
            }
            Happening::Kill { worker, signal } => self.kill(worker, signal),
            Happening::Freeze { worker, for_ns } => self.freeze(worker, for_ns),
            Happening::Thaw { who } => self.thaw(who),
            Happening::Join { life, threads } => {
                // A life that has left in order is not lived again.
                if !self.machines.contains_key(&life.worker) && !self.over.contains(&life) {
                    let node = if life.worker.0.is_multiple_of(2) { "b" } else { "a" };
                    self.join(with_grace(Config::new(life, node.into(), threads)));
                }
            }
            Happening::Leave { worker } => self.leave(worker),
            Happening::TryDepart { who } => self.try_depart(who),
            Happening::Cancel { owner, task } => self.cancel(owner, task),
            Happening::CancelDeaf { owner, task } => self.cancel_deaf(owner, task),
            Happening::TryRelease { owner, task } => self.try_release(owner, task),
            Happening::Copied { owner, task, to } => self.copied(owner, task, to),
            Happening::Watch => self.watch(),
            Happening::Cut { worker } => self.cut(worker),
            Happening::Heal { who } => self.heal(who),
        }
    }

    fn joined_at(&mut self, at: Life, who: Life) {
        let config = self.configs[&who.worker].clone();
        let (worker, processors) = (config.worker, config.processors);
        // The next life may be heard of before the end of the last one.
        if let Some(machine) = self.machine(at) {
            let peers = machine.scheduler.status().peers;
            let last =
                peers.iter().map(|peer| peer.life).find(|life| life.worker == who.worker && *life < who);
            last.into_iter().for_each(|last| self.count_deaths(at, last));
        }
        self.tell(at, Event::Joined { life: who, worker, processors });
    }

    fn gone_at(&mut self, at: Life, who: Life, signal: Option<i32>) {
        self.count_deaths(at, who);
        self.tell(at, Event::Gone { life: who, signal });
    }

    /// An owner is about to hear that a life is over: what it had sent there was with one who died.
    fn count_deaths(&mut self, at: Life, who: Life) {
        let is_on_purpose = self.knows_end_of(at, who);
        let time = self.time();
        let Some(machine) = self.machines.get(&at.worker).filter(|machine| machine.life == at) else {
            return;
        };
        for ((_, task), truth) in self.truths.range_mut((at, TaskId(0))..=(at, TaskId(u64::MAX))) {
            let why = machine.scheduler.explain(time, *task);
            let was_there = u32::from(matches!(why, crate::Why::Away { on, .. } if on == who));
            *(if is_on_purpose { &mut truth.spared } else { &mut truth.deaths }) += was_there;
        }
    }

    pub(super) fn kill(&mut self, worker: WorkerId, signal: i32) {
        let Some(machine) = self.machines.remove(&worker) else { return };
        self.deaths += 1;
        self.signals.insert(machine.life, signal);
        self.end_life(machine.life, Some(signal));
        if let Some(after) = self.nature.respawn_ns {
            let life = Life { incarnation: machine.life.incarnation + 1, ..machine.life };
            let threads = machine.processors;
            self.at(self.now + after, Happening::Join { life, threads });
        }
    }

    /// The end of a life: what was there is lost, what it owned is nobody's, and the others are told.
    pub(super) fn end_life(&mut self, life: Life, signal: Option<i32>) {
        self.over.insert(life);
        self.leaving.remove(&life);
        self.topology.leave(life.worker);
        for (key, truth) in &mut self.truths {
            if truth.copies.remove(&life) && truth.copies.is_empty() {
                truth.losses += 1;
            }
            if key.0 == life && truth.outcome.is_none() {
                truth.outcome = Some(Outcome::Upstream);
                self.unended -= 1;
            }
        }
        self.fetching.retain(|(owner, _)| *owner != life);
        if let Some(wire) = &mut self.wire {
            return wire.end(life);
        }
        let others: Vec<Life> = self.machines.values().map(|machine| machine.life).collect();
        for other in others {
            let after = 1 + self.random.below(self.nature.detect_ns);
            self.at(self.now + after, Happening::GoneAt { at: other, who: life, signal });
        }
    }

    fn freeze(&mut self, worker: WorkerId, for_ns: u64) {
        let patience = self.nature.patience_ns;
        let Some(machine) = self.machines.get_mut(&worker) else { return };
        machine.frozen = true;
        let who = machine.life;
        self.wire.iter_mut().for_each(|wire| wire.freeze(who));
        self.at(self.now + for_ns.min(patience), Happening::Thaw { who });
        if for_ns > patience {
            // Declared gone: what it was is over when the others hear of it, and it comes back as another life.
            let life = Life { incarnation: who.incarnation + 1, ..who };
            let threads = self.machines[&worker].processors;
            self.at(self.now + for_ns + 1, Happening::Join { life, threads });
        }
        if for_ns <= patience {
            return;
        }
        // Marks it as lost at the end of patience.
        self.machines.get_mut(&worker).expect("just seen").told_idle = Some(u32::MAX);
    }

    fn thaw(&mut self, who: Life) {
        let Some(machine) = self.machine(who) else { return };
        if machine.told_idle == Some(u32::MAX) {
            // What it has sent may come at any time after its end was declared, and means nothing.
            self.machines.remove(&who.worker);
            return self.end_life(who, None);
        }
        machine.frozen = false;
        let deferred = std::mem::take(&mut machine.deferred);
        self.wire.iter_mut().for_each(|wire| wire.thaw(who));
        deferred.into_iter().for_each(|what| self.happen(what));
    }

    pub(super) fn cancel(&mut self, owner: Life, task: TaskId) {
        let Some(truth) = self.truths.get_mut(&(owner, task)) else { return };
        if truth.outcome.is_some() || self.machine(owner).is_none() {
            return;
        }
        let is_known = self
            .machine(owner)
            .is_some_and(|machine| machine.scheduler.explain(Duration::ZERO, task) != crate::Why::Unknown);
        // Others are the local engine's business.
        if is_known {
            self.truths.get_mut(&(owner, task)).unwrap().was_cancelled = true;
            self.tell(owner, Event::Cancel(task));
        }
    }

    fn copied(&mut self, owner: Life, task: TaskId, to: Life) {
        let has = self.machine(to).is_some();
        let Some(truth) = self.truths.get_mut(&(owner, task)) else { return };
        if has && !truth.is_released && !truth.copies.is_empty() && self.machines.contains_key(&owner.worker)
        {
            let is_known = self.machines[&owner.worker].scheduler.explain(Duration::ZERO, task);
            if let crate::Why::Made { .. } = is_known
                && self.machines[&owner.worker].scheduler.status().peers.iter().any(|peer| peer.life == to)
            {
                let truth = self.truths.get_mut(&(owner, task)).unwrap();
                truth.copies.insert(to);
                truth.located.push(to);
                self.tell(owner, Event::Copied { result: task, to });
            }
        }
    }

    fn tell_nothing(&mut self, life: Life) {
        self.tell_all(life, VecDeque::new());
    }

    pub(super) fn tell(&mut self, at: Life, event: Event) {
        self.tell_all(at, VecDeque::from([event]));
    }
}
