//! Tasks that cannot simply run on whichever processor is free, and which of them starts next.
//!
//! A priority, a scope, a share of a processor, several processors, declared memory or time: such a task goes to the
//! board when it is ready. A thread that holds a processor asks the board before it looks into the deques. The order is:
//! higher priority first; of equal priority the one that is expected to run longest (the "longest processing time"
//! rule: Graham, "Bounds on Multiprocessing Timing Anomalies", 1969); then the one that was ready first.
//!
//! [`Plan`] decides and is pure; [`Board`] is the plan behind a lock, with counters that can be read without it.

use crate::sync::Padded;
use crate::task::TaskRef;
use crate::task::extra::{Demand, WHOLE};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a running task holds beside its thread's processor, or instead of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// A share, in thousandths, of a processor that several tasks hold.
    pub(crate) share: Option<(u32, u32)>,
    /// Processors that the task holds beside its thread's.
    pub(crate) gang: Vec<u32>,
    /// Bytes of the declared memory.
    pub(crate) memory: u64,
}

/// The order of ready tasks: the smallest key starts first.
type Key = (Reverse<i32>, Reverse<Duration>, u64);

/// What the board tells a thread that offers its processor.
#[derive(Debug)]
pub(crate) enum Offer<T> {
    /// Nothing fits.
    Nothing,
    /// Run this, on the processor, which stays the thread's own unless the assignment has a share of it.
    Run(T, Assignment),
    /// The processor now belongs to a task that gathers several.
    Given,
    /// As `Given`, and with it the task has all: run it. The thread's own processor is the last one.
    Gathered(T, Assignment),
}

/// Which ready task starts next, as a pure function of what is ready and what is held.
#[derive(Debug)]
pub(crate) struct Plan<T> {
    entries: BTreeMap<Key, Entry<T>>,
    next: u64,
    /// By processor: the shares that are held of it, in thousandths; 0 when no task holds a share.
    shares: Vec<u32>,
    /// Bytes of declared memory, in use and in all.
    memory: (u64, u64),
    /// The task that gathers processors, and those it has.
    gathering: Option<(Entry<T>, Vec<u32>)>,
}

#[derive(Debug)]
struct Entry<T> {
    task: T,
    demand: Demand,
}

impl<T> Plan<T> {
    pub(crate) fn new(processors: u32, memory: u64) -> Plan<T> {
        Plan {
            entries: BTreeMap::new(),
            next: 0,
            shares: vec![0; processors as usize],
            memory: (0, memory),
            gathering: None,
        }
    }

    /// Adds a ready task.
    pub(crate) fn put(&mut self, task: T, demand: Demand) {
        let key = (Reverse(demand.priority), Reverse(demand.time), self.next);
        self.next += 1;
        self.entries.insert(key, Entry { task, demand });
    }

    /// Whether memory is left; with nothing else running, one task is always let in.
    fn has_memory(&self, demand: &Demand) -> bool {
        let (used, limit) = self.memory;
        let fits = || used.checked_add(demand.memory).is_some_and(|sum| sum <= limit);
        demand.memory == 0 || used == 0 || fits()
    }

    /// Whether a thread with the whole of `processor` could start or serve the task.
    fn suits(&self, processor: u32, demand: &Demand) -> bool {
        let free = self.gathering.is_none() || demand.width == 1;
        free && demand.fits(processor) && self.has_memory(demand)
    }

    /// Takes the first task of at least `priority_min` for a thread that holds the whole of `processor`.
    pub(crate) fn offer(&mut self, processor: u32, priority_min: i32) -> Offer<T> {
        if let Some(offer) = self.join_gathering(processor) {
            return offer;
        }
        let suits = |(key, entry): (&Key, &Entry<T>)| {
            (key.0.0 >= priority_min && entry.demand.share > 0 && self.suits(processor, &entry.demand))
                .then_some(*key)
        };
        let Some(key) = self.entries.iter().find_map(suits) else { return Offer::Nothing };
        let entry = self.entries.remove(&key).expect("was found just now");
        self.memory.0 += entry.demand.memory;
        if entry.demand.width > 1 {
            self.gathering = Some((entry, Vec::new()));
            return self.join_gathering(processor).expect("this processor fits");
        }
        let mut assignment = Assignment { memory: entry.demand.memory, ..Assignment::default() };
        if entry.demand.share < WHOLE {
            self.shares[processor as usize] += entry.demand.share;
            assignment.share = Some((processor, entry.demand.share));
        }
        Offer::Run(entry.task, assignment)
    }

    fn join_gathering(&mut self, processor: u32) -> Option<Offer<T>> {
        let (entry, gang) = self.gathering.as_mut()?;
        if !entry.demand.fits(processor) {
            return None;
        }
        if gang.len() as u32 + 1 < entry.demand.width {
            gang.push(processor);
            return Some(Offer::Given);
        }
        let (entry, gang) = self.gathering.take()?;
        let memory = entry.demand.memory;
        Some(Offer::Gathered(entry.task, Assignment { share: None, gang, memory }))
    }

    /// Takes a task that can start without a processor of its own: it holds none, or a share of one that is shared already.
    pub(crate) fn beside(&mut self) -> Option<(T, Assignment)> {
        let room = |demand: &Demand| {
            let shared = |processor: &u32| {
                let held = self.shares[*processor as usize];
                held > 0 && held + demand.share <= WHOLE && demand.fits(*processor)
            };
            (0..self.shares.len() as u32).find(shared)
        };
        let found = self.entries.iter().find_map(|(key, entry)| {
            let demand = &entry.demand;
            match demand.share {
                _ if !self.has_memory(demand) => None,
                0 => Some((*key, None)),
                WHOLE.. => None,
                share => room(demand).map(|processor| (*key, Some((processor, share)))),
            }
        });
        let (key, share) = found?;
        let entry = self.entries.remove(&key).expect("was found just now");
        self.memory.0 += entry.demand.memory;
        if let Some((processor, share)) = share {
            self.shares[processor as usize] += share;
        }
        Some((entry.task, Assignment { share, gang: Vec::new(), memory: entry.demand.memory }))
    }

    /// Takes back what a task held. Gives the processors that are nobody's now.
    pub(crate) fn end(&mut self, assignment: Assignment) -> Vec<u32> {
        self.memory.0 -= assignment.memory;
        let mut freed = assignment.gang;
        if let Some((processor, share)) = assignment.share {
            let held = &mut self.shares[processor as usize];
            *held -= share;
            if *held == 0 {
                freed.push(processor);
            }
        }
        freed
    }

    /// How many ready tasks a thread with the whole of `processor` could serve, with at least `priority_min`.
    fn offers(&self, processor: u32, priority_min: i32) -> usize {
        let gathering = self.gathering.as_ref().is_some_and(|(entry, _)| entry.demand.fits(processor));
        let ready = self.entries.iter().filter(|(key, entry)| {
            key.0.0 >= priority_min && entry.demand.share > 0 && self.suits(processor, &entry.demand)
        });
        usize::from(gathering) + ready.take(1).count()
    }

    fn drain(&mut self) -> (Vec<T>, Vec<u32>) {
        let entries = std::mem::take(&mut self.entries).into_values();
        let mut tasks: Vec<T> = entries.map(|entry| entry.task).collect();
        let mut freed = Vec::new();
        if let Some((entry, gang)) = self.gathering.take() {
            self.memory.0 -= entry.demand.memory;
            tasks.push(entry.task);
            freed = gang;
        }
        (tasks, freed)
    }

    /// Checks what must hold after every step.
    #[cfg(test)]
    fn check(&self) {
        assert!(self.shares.iter().all(|held| *held <= WHOLE), "shares of one processor add up to at most 1");
        if let Some((entry, gang)) = &self.gathering {
            assert!((gang.len() as u32) < entry.demand.width, "a gang that is complete runs");
        }
    }
}

/// The plan, behind a lock.
#[derive(Debug)]
pub(crate) struct Board {
    plan: Mutex<Plan<TaskRef>>,
    /// By processor: whether a task of priority 0 or more waits for it, and whether any task does.
    offers: Box<[Padded<(AtomicUsize, AtomicUsize)>]>,
}

/// Tasks of lower priority wait until nothing else is ready.
pub(crate) const NORMAL: i32 = 0;

impl Board {
    pub(crate) fn new(processors: u32, memory: u64) -> Board {
        Board {
            plan: Mutex::new(Plan::new(processors, memory)),
            offers: (0..processors).map(|_| Padded::default()).collect(),
        }
    }

    /// Works on the plan, and tells everybody afterwards what it now offers.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Plan<TaskRef>) -> R) -> R {
        let mut plan = self.lock();
        let result = work(&mut plan);
        for (processor, offers) in self.offers.iter().enumerate() {
            // Relaxed: a thread that sees an old count asks in vain, or is called by whoever changed it.
            offers.0.0.store(plan.offers(processor as u32, NORMAL), Ordering::Relaxed);
            offers.0.1.store(plan.offers(processor as u32, i32::MIN), Ordering::Relaxed);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Plan<TaskRef>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task of at least normal priority waits for this processor.
    #[inline]
    pub(crate) fn wants(&self, processor: u32) -> bool {
        self.offers[processor as usize].0.0.load(Ordering::Relaxed) != 0
    }

    /// Whether any task waits for this processor.
    #[inline]
    pub(crate) fn wants_idle(&self, processor: u32) -> bool {
        self.offers[processor as usize].0.1.load(Ordering::Relaxed) != 0
    }

    /// Takes all ready tasks off, to make them fail; gives the processors that one of them had gathered too.
    pub(crate) fn drain(&self) -> (Vec<TaskRef>, Vec<u32>) {
        self.with(Plan::drain)
    }

    /// How many ready tasks there are.
    pub(crate) fn len(&self) -> usize {
        let plan = self.lock();
        plan.entries.len() + usize::from(plan.gathering.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn demand() -> impl Strategy<Value = Demand> {
        let share = prop_oneof![Just(WHOLE), Just(0), Just(250), Just(500), 1..WHOLE];
        let fits = prop_oneof![3 => Just(None), 1 => prop::collection::vec(0u32..4, 1..4).prop_map(Some)];
        (-2i32..3, share, 1u32..3, fits, 0u64..100, 0u64..3).prop_map(
            |(priority, share, width, fits, memory, time)| {
                let width = if share < WHOLE || fits.is_some() { 1 } else { width };
                Demand { priority, share, width, fits, memory, time: Duration::from_secs(time) }
            },
        )
    }

    proptest! {
        /// Whatever is put and in whichever order tasks end: every task starts once, within all limits.
        #[test]
        fn every_task_starts_once_within_all_limits(
            demands in prop::collection::vec(demand(), 1..40),
            choices in prop::collection::vec(any::<prop::sample::Index>(), 400),
        ) {
            let total = demands.len();
            let mut plan = Plan::new(4, 120);
            for (task, demand) in demands.iter().cloned().enumerate() {
                plan.put(task, demand);
            }
            let mut idle: Vec<u32> = vec![0, 1, 2, 3];
            // A running task: what it was assigned, and the processor of its thread.
            let mut running: Vec<(usize, Assignment, Option<u32>)> = Vec::new();
            let mut started = vec![false; total];
            let mut choices = choices.into_iter().cycle();
            let mut rounds = 0;
            while started.contains(&false) {
                rounds += 1;
                prop_assert!(rounds < 1000, "nothing moves");
                while let Some((task, assignment)) = plan.beside() {
                    plan.check();
                    prop_assert!(!std::mem::replace(&mut started[task], true));
                    running.push((task, assignment, None));
                }
                idle.retain(|processor| match plan.offer(*processor, i32::MIN) {
                    Offer::Nothing => true,
                    Offer::Given => false,
                    Offer::Run(task, assignment) | Offer::Gathered(task, assignment) => {
                        assert!(!std::mem::replace(&mut started[task], true), "started twice");
                        let own = assignment.share.is_none().then_some(*processor);
                        running.push((task, assignment, own));
                        false
                    }
                });
                plan.check();
                for (task, assignment, own) in &running {
                    let held = assignment.gang.len() + usize::from(own.is_some());
                    let demand = &demands[*task];
                    prop_assert_eq!(held, if demand.share < WHOLE { 0 } else { demand.width as usize });
                    let places = assignment.gang.iter().chain(own).chain(assignment.share.as_ref().map(|share| &share.0));
                    prop_assert!(places.into_iter().all(|processor| demand.fits(*processor)));
                }
                let memory: u64 = running.iter().map(|(task, ..)| demands[*task].memory).sum();
                prop_assert!(memory <= 120 || running.iter().filter(|(task, ..)| demands[*task].memory > 0).count() == 1);
                if !running.is_empty() {
                    let (_, assignment, own) = running.swap_remove(choices.next().unwrap().index(running.len()));
                    idle.extend(plan.end(assignment));
                    idle.extend(own);
                }
            }
        }
    }

    #[test]
    fn higher_priority_first_then_longest_then_oldest() {
        let mut plan = Plan::new(1, 0);
        let wants =
            |priority, seconds| Demand { priority, time: Duration::from_secs(seconds), ..Demand::default() };
        for (task, demand) in
            [wants(0, 0), wants(5, 0), wants(5, 9), wants(5, 0), wants(-1, 0)].into_iter().enumerate()
        {
            plan.put(task, demand);
        }
        let mut order = Vec::new();
        while let Offer::Run(task, _) = plan.offer(0, i32::MIN) {
            order.push(task);
        }
        assert_eq!(order, [2, 1, 3, 0, 4]);
    }
}
