//! Giving tasks from the cold end of this process's deques to workers that are idle: which, how many, and whether at all.

use super::balance::Taking;
use super::{RUN_TASKS_MAX, Scheduler};
use crate::action::Action;
use crate::cost::{UNKNOWN_RUN_NS, is_worth};
use crate::estimate::nanos;
use crate::peer::Hunger;
use crate::spec::Spec;
use poniard_model::{ProcessorKind, TaskId, WorkerId, planted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What one idle processor gets at most: long beside a round trip, so that its loss between two gifts is below a percent, and short
/// beside a job, so that little is with a worker that dies or stops, and others find something too.
const GRANT_TIME: Duration = Duration::from_millis(100);

/// But no less than so many round trips, for links that are slow.
const GRANT_TRIPS: u64 = 16;

/// Tasks for one idle processor when nobody knows how long they take: they may take for ever, and the first one tells.
const UNKNOWN_TASKS: u64 = 4;

/// What sending a task costs its owner: to encode it, to keep it on the books, to take its report. What takes no longer than that is
/// done sooner than given.
const SEND_NS: u64 = 2_000;

/// What one idle worker is going to get.
#[derive(Debug)]
struct Gift {
    hunger: Hunger,
    idle_ns: u64,
    /// What a message and its answer take.
    trip_ns: u64,
    tasks: Vec<TaskId>,
    /// What they take, those included that are unknown.
    work_ns: u64,
    has_unknown: bool,
    has_suspect: bool,
}

impl Gift {
    fn load(&self) -> u64 {
        self.work_ns / u64::from(self.hunger.processors)
    }

    fn add(&mut self, task: TaskId, run_ns: Option<u64>) {
        self.tasks.push(task);
        self.work_ns = self.work_ns.saturating_add(run_ns.unwrap_or(UNKNOWN_RUN_NS));
        self.has_unknown |= run_ns.is_none();
    }

    /// Whether one more task fits.
    fn has_room(&self, run_ns: Option<u64>) -> bool {
        let processors = u64::from(self.hunger.processors);
        let count = self.tasks.len() as u64;
        let most_ns = nanos(GRANT_TIME).max(self.trip_ns.saturating_mul(GRANT_TRIPS));
        let fits = match run_ns {
            None => count < processors.saturating_mul(UNKNOWN_TASKS),
            // What is done sooner than sent goes only because somebody has been idle for long: as a sample.
            Some(run_ns) if run_ns < SEND_NS => count < processors.saturating_mul(UNKNOWN_TASKS),
            Some(_) => count < processors || self.load() < most_ns,
        };
        fits && count < RUN_TASKS_MAX as u64
    }

    fn is_worth_its_trip(&self) -> bool {
        let is_gain = self.has_unknown || self.work_ns > SEND_NS.saturating_mul(self.tasks.len() as u64);
        let gain_ns = if self.has_unknown { u64::MAX } else { self.work_ns };
        !self.tasks.is_empty() && is_worth(if is_gain { gain_ns } else { 0 }, self.trip_ns, self.idle_ns)
    }
}

impl Scheduler {
    /// How many tasks one idle worker could get of what the pool offers: of those whose times differ much only as many as the long
    /// ones allow, or it would get almost all that there is, and then they would change places.
    pub(super) fn grant_max(&self, processors: u32) -> u64 {
        let each = match self.balance.long_ns {
            None => UNKNOWN_TASKS,
            Some(run_ns) => (nanos(GRANT_TIME) / run_ns.max(1)).clamp(1, RUN_TASKS_MAX as u64),
        };
        each.saturating_mul(u64::from(processors)).min(RUN_TASKS_MAX as u64)
    }

    /// The pool offers tasks, coldest first.
    pub(super) fn on_offered(&mut self, now: Duration, specs: Vec<Spec>, queued: u64, out: &mut Vec<Action>) {
        self.queued = queued + specs.len() as u64;
        if specs.is_empty() {
            if self.balance.taking == Taking::Asked {
                self.balance.taking = Taking::Standing;
            }
            if planted!(hungry_forgotten) {
                self.peers.values_mut().for_each(|peer| peer.hunger = None);
            }
            return self.recall(now, out);
        }
        let offered: Vec<TaskId> = specs.iter().map(|spec| spec.task).collect();
        let kept = self.share_out(now, specs);
        let gave = offered.len() - kept.len();
        self.queued -= gave as u64;
        if !kept.is_empty() {
            out.push(Action::GiveBack(offered.into_iter().filter(|task| kept.contains(task)).collect()));
        }
        self.balance.taking = Taking::Nothing;
        if gave > 0 {
            self.balance.be_eager();
        } else if self.peers.values().any(|peer| peer.hunger.is_some()) {
            self.balance.rest(now);
        }
        self.serve(now, out);
    }

    /// Sends to each idle worker what is worth its trip. Gives what nobody gets.
    fn share_out(&mut self, now: Duration, specs: Vec<Spec>) -> BTreeSet<TaskId> {
        let mut gifts = self.gifts(now);
        let mut kept = BTreeSet::new();
        let mut chosen = BTreeMap::new();
        for spec in specs {
            // What ran here says nothing of what waits at the cold end: of tasks that spawn tasks, most are leaves. A few that are
            // given tell.
            let away_ns = self.estimates.away_ns(spec.function, ProcessorKind::Cpu);
            let run_ns = spec.time.map(nanos).or(away_ns);
            let long_ns = self.estimates.long_away_ns(spec.function, ProcessorKind::Cpu);
            self.balance.long_ns = spec.time.map(nanos).or(long_ns);
            match self.receiver(&spec, run_ns, &gifts) {
                Some(to) => {
                    let is_suspect = self.is_suspect(spec.task);
                    let gift = gifts.get_mut(&to).expect("chosen among them");
                    gift.add(spec.task, run_ns);
                    gift.has_suspect |= is_suspect;
                    chosen.insert(spec.task, spec);
                }
                None => drop(kept.insert(spec.task)),
            }
        }
        for (to, gift) in gifts {
            if !gift.is_worth_its_trip() {
                kept.extend(gift.tasks);
                continue;
            }
            for task in gift.tasks {
                // One that came back here before is in the table.
                if !self.tasks.contains_key(&task) {
                    self.admit(chosen.remove(&task).expect("each is chosen once"));
                }
                self.dispatch(now, task, to);
            }
        }
        kept
    }

    /// Whether it came back here because workers died of it.
    fn is_suspect(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|task| task.is_suspect())
    }

    /// One gift, still empty, for each worker that is idle.
    fn gifts(&self, now: Duration) -> BTreeMap<WorkerId, Gift> {
        let hungry = self.peers.values().filter_map(|peer| Some((peer.life.worker, peer.hunger?)));
        let gift = |(worker, hunger)| {
            let gift = Gift {
                hunger,
                idle_ns: self.idle_ns(worker, now),
                trip_ns: self.estimates.latency_ns(worker).saturating_mul(2),
                tasks: Vec::new(),
                work_ns: 0,
                has_unknown: false,
                has_suspect: false,
            };
            (worker, gift)
        };
        hungry.map(gift).collect()
    }

    /// Who of those who are idle gets a task: the one who would have it done first, if it is worth the way of its inputs.
    fn receiver(
        &mut self,
        spec: &Spec,
        run_ns: Option<u64>,
        gifts: &BTreeMap<WorkerId, Gift>,
    ) -> Option<WorkerId> {
        let is_suspect = self.is_suspect(spec.task);
        let seats = self.places.seats(spec);
        // How long the last one in the queue would wait here.
        let wait_ns = run_ns.unwrap_or(UNKNOWN_RUN_NS).saturating_mul(self.queued) / self.processors();
        let open = seats.iter().filter_map(|seat| Some((seat.worker, gifts.get(&seat.worker)?)));
        // Suspects do not meet.
        let is_apart = |worker: &WorkerId, gift: &Gift| {
            !is_suspect || (!gift.has_suspect && self.peers[worker].suspects.is_empty())
        };
        let open = open.filter(|(worker, gift)| is_apart(worker, gift));
        let priced = open.filter(|(_, gift)| gift.has_room(run_ns)).filter_map(|(worker, gift)| {
            let move_ns = self.move_ns(spec, worker);
            let is_worth_it = move_ns == 0 || is_worth(wait_ns, move_ns, gift.idle_ns);
            is_worth_it.then(|| (gift.load().saturating_add(move_ns), worker))
        });
        priced.min().map(|(_, worker)| worker)
    }
}
