//! Tasks that cannot simply run on whichever processor is free, and which of them starts next.
//!
//! A priority, a scope, a share of a processor, several processors, declared memory or time: such a task goes to the
//! board when it is ready. A thread that holds a processor asks the board before it looks into the deques. The order is:
//! higher priority first; of equal priority the one that is expected to run longest (the "longest processing time"
//! rule: Graham, "Bounds on Multiprocessing Timing Anomalies", 1969); then the one that was ready first. A task that does
//! not fit is passed over, and so are those behind it that ask for the same places and about as much memory:
//! [`ready`](crate::ready) says why.
//!
//! [`Plan`] decides and is pure; [`Board`] is the plan behind a lock, with counters that can be read without it.

use crate::ready::{Entry, Ready};
use crate::sync::Padded;
use crate::task::TaskRef;
use crate::task::extra::{Demand, WHOLE};
use poniard_model::TaskId;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a running task holds beside its thread's processor, or instead of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// A share, in thousandths, of a processor that several tasks hold.
    pub(crate) share: Option<(u32, u32)>,
    /// Processors that the task holds beside its thread's.
    pub(crate) gang: Vec<u32>,
    /// Bytes of the declared memory.
    pub(crate) memory: u64,
    /// It runs beside the processors, and its thread is counted among those that do.
    pub(crate) beside: bool,
}

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
    ready: Ready<T>,
    /// By processor: the shares that are held of it, in thousandths; 0 when no task holds a share.
    shares: Vec<u32>,
    /// Bytes of declared memory, in use and in all.
    memory: (u64, u64),
    /// The task that gathers processors, and those it has.
    gathering: Option<(Entry<T>, Vec<u32>)>,
}

impl<T> Plan<T> {
    pub(crate) fn new(processors: u32, memory: u64) -> Plan<T> {
        Plan {
            ready: Ready::new(),
            shares: vec![0; processors as usize],
            memory: (0, memory),
            gathering: None,
        }
    }

    /// Adds a ready task.
    pub(crate) fn put(&mut self, task: T, demand: Demand) {
        self.ready.put(task, demand);
    }

    /// Whether memory is left; with nothing else running, one task is always let in.
    fn has_memory(&self, demand: &Demand) -> bool {
        let (used, limit) = self.memory;
        let fits = || used.checked_add(demand.memory).is_some_and(|sum| sum <= limit);
        demand.memory == 0 || used == 0 || fits()
    }

    /// Whether a thread with the whole of a processor could start or serve the task, if it fits there.
    fn suits(&self, demand: &Demand) -> bool {
        let free = self.gathering.is_none() || demand.width == 1;
        free && demand.share > 0 && self.has_memory(demand)
    }

    /// Takes the first task of at least `priority_min` for a thread that holds the whole of `processor`.
    pub(crate) fn offer(&mut self, processor: u32, priority_min: i32) -> Offer<T> {
        if let Some(offer) = self.join_gathering(processor) {
            return offer;
        }
        let suits =
            |demand: &Demand| demand.priority >= priority_min && demand.fits(processor) && self.suits(demand);
        let Some(shape) = self.ready.find(suits) else { return Offer::Nothing };
        let entry = self.ready.take(&shape).expect("was found just now");
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
        Some(Offer::Gathered(entry.task, Assignment { gang, memory, ..Assignment::default() }))
    }

    /// Whether a task waits that can start without a processor of its own.
    fn has_beside(&self) -> bool {
        self.ready.firsts().any(|demand| self.fits_beside(demand))
    }

    /// Takes a task that can start without a processor of its own: it holds none, or a share of one that is shared already.
    pub(crate) fn beside(&mut self) -> Option<(T, Assignment)> {
        let shape = self.ready.find(|demand| self.fits_beside(demand))?;
        let entry = self.ready.take(&shape).expect("was found just now");
        let share = self.room(&entry.demand).map(|processor| (processor, entry.demand.share));
        self.memory.0 += entry.demand.memory;
        if let Some((processor, share)) = share {
            self.shares[processor as usize] += share;
        }
        let memory = entry.demand.memory;
        Some((entry.task, Assignment { share, memory, beside: true, ..Assignment::default() }))
    }

    /// Whether the task can start without a processor of its own.
    fn fits_beside(&self, demand: &Demand) -> bool {
        self.has_memory(demand) && (demand.share == 0 || self.room(demand).is_some())
    }

    /// A processor that is shared already, with room for the share of the task.
    fn room(&self, demand: &Demand) -> Option<u32> {
        let shared = |processor: &u32| {
            let held = self.shares[*processor as usize];
            held > 0 && held + demand.share <= WHOLE && demand.fits(*processor)
        };
        (0..self.shares.len() as u32).find(|processor| demand.share > 0 && shared(processor))
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

    /// By processor: the highest priority of what a thread with the whole of it could serve, or `NOTHING`.
    fn offers(&self) -> Vec<i64> {
        let mut offers = vec![NOTHING; self.shares.len()];
        let mut raise = |demand: &Demand, priority: i64| match &demand.fits {
            None => offers.iter_mut().for_each(|offer| *offer = priority.max(*offer)),
            Some(fits) => fits.iter().for_each(|processor| {
                if let Some(offer) = offers.get_mut(*processor as usize) {
                    *offer = priority.max(*offer);
                }
            }),
        };
        if let Some((entry, _)) = &self.gathering {
            // It was first when it began, and has taken processors from all others.
            raise(&entry.demand, i64::MAX);
        }
        let suits = |demand: &&Demand| self.suits(demand);
        self.ready.firsts().filter(suits).for_each(|demand| raise(demand, i64::from(demand.priority)));
        offers
    }

    fn drain(&mut self) -> (Vec<T>, Vec<u32>) {
        let mut tasks: Vec<T> = self.ready.drain().collect();
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
    /// What [`Plan::offers`] gives, by processor.
    offers: Box<[Padded<AtomicI64>]>,
    /// Whether [`Plan::beside`] would give a task.
    beside: Padded<AtomicBool>,
}

/// Tasks of lower priority wait until nothing else is ready.
pub(crate) const NORMAL: i32 = 0;
/// No task waits for the processor: less than every priority.
const NOTHING: i64 = i64::MIN;

impl Board {
    pub(crate) fn new(processors: u32, memory: u64) -> Board {
        Board {
            plan: Mutex::new(Plan::new(processors, memory)),
            offers: (0..processors).map(|_| Padded(AtomicI64::new(NOTHING))).collect(),
            beside: Padded::default(),
        }
    }

    /// Works on the plan, and tells everybody afterwards what it now offers.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Plan<TaskRef>) -> R) -> R {
        let mut plan = self.lock();
        let result = work(&mut plan);
        for (shown, offer) in self.offers.iter().zip(plan.offers()) {
            // Relaxed: a thread that sees an old offer asks in vain, or is called by whoever changed it.
            shown.store(offer, Ordering::Relaxed);
        }
        // SeqCst: comes before the look for a thread; `Crew::step_aside` says why.
        self.beside.store(plan.has_beside(), Ordering::SeqCst);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Plan<TaskRef>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task of at least normal priority waits for this processor.
    #[inline]
    pub(crate) fn wants(&self, processor: u32) -> bool {
        self.offers[processor as usize].load(Ordering::Relaxed) >= i64::from(NORMAL)
    }

    /// Whether any task waits for this processor.
    #[inline]
    pub(crate) fn wants_idle(&self, processor: u32) -> bool {
        self.offers[processor as usize].load(Ordering::Relaxed) != NOTHING
    }

    /// Whether a task waits that can start without a processor of its own.
    pub(crate) fn wants_beside(&self) -> bool {
        self.beside.load(Ordering::SeqCst)
    }

    /// Takes all ready tasks off, to make them fail; gives the processors that one of them had gathered too.
    pub(crate) fn drain(&self) -> (Vec<TaskRef>, Vec<u32>) {
        self.with(Plan::drain)
    }

    /// The task of this number, if it waits here.
    pub(crate) fn find(&self, id: TaskId) -> Option<TaskRef> {
        let plan = self.lock();
        let gathering = plan.gathering.iter().map(|(entry, _)| &entry.task);
        plan.ready.tasks().chain(gathering).find(|task| task.id() == id).cloned()
    }

    /// How many ready tasks there are.
    pub(crate) fn len(&self) -> usize {
        let plan = self.lock();
        plan.ready.len() + usize::from(plan.gathering.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Reverse;
    use std::time::Duration;

    fn demand() -> impl Strategy<Value = Demand> {
        let share = prop_oneof![Just(WHOLE), Just(0), Just(250), Just(500), 1..WHOLE];
        let fits = prop_oneof![3 => Just(None), 1 => prop::collection::vec(0u32..4, 1..4).prop_map(|fits| Some(fits.into()))];
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

    /// What can happen to a plan.
    #[derive(Clone, Debug)]
    enum Step {
        Put(Demand),
        Offer(u32, i32),
        Beside,
        End(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        let priority_min = prop_oneof![Just(NORMAL), Just(i32::MIN)];
        prop_oneof![
            3 => demand().prop_map(|demand| Step::Put(Demand { memory: 0, ..demand })),
            3 => (0u32..4, priority_min).prop_map(|(processor, min)| Step::Offer(processor, min)),
            1 => Just(Step::Beside),
            2 => any::<prop::sample::Index>().prop_map(Step::End),
        ]
    }

    /// All ready tasks in their order, and a look at each of them.
    #[derive(Default)]
    struct Scan(Vec<(usize, Demand)>);

    impl Scan {
        fn put(&mut self, task: usize, demand: Demand) {
            self.0.push((task, demand));
            self.0.sort_by_key(|(task, demand)| (Reverse(demand.priority), Reverse(demand.time), *task));
        }

        fn find(&self, suits: impl Fn(&Demand) -> bool) -> Option<&(usize, Demand)> {
            self.0.iter().find(|(_, demand)| suits(demand))
        }

        /// What a thread with the whole of `processor` would start.
        fn offer(&self, plan: &Plan<usize>, processor: u32, priority_min: i32) -> Option<usize> {
            if let Some((entry, _)) =
                plan.gathering.as_ref().filter(|(entry, _)| entry.demand.fits(processor))
            {
                return Some(entry.task);
            }
            let free = |demand: &Demand| demand.width == 1 || plan.gathering.is_none();
            let place = |demand: &Demand| demand.share > 0 && demand.fits(processor) && free(demand);
            self.find(|demand| demand.priority >= priority_min && place(demand)).map(|(task, _)| *task)
        }

        /// What would start without a processor of its own, and where.
        fn beside(&self, plan: &Plan<usize>) -> Option<(usize, Option<(u32, u32)>)> {
            let room = |demand: &Demand, processor: u32| {
                let held = plan.shares[processor as usize];
                held > 0 && held + demand.share <= WHOLE && demand.fits(processor)
            };
            let room = |demand: &Demand| (0..4).find(|processor| room(demand, *processor));
            let (task, demand) = self.find(|demand| demand.share == 0 || room(demand).is_some())?;
            let place = (demand.share > 0).then(|| room(demand)).flatten();
            Some((*task, place.map(|processor| (processor, demand.share))))
        }

        fn started(&mut self, task: usize) {
            self.0.retain(|(ready, _)| *ready != task);
        }
    }

    proptest! {
        /// Where nothing declares memory, the choice is that of a look at all ready tasks in their order.
        #[test]
        fn the_choice_is_that_of_a_scan(steps in prop::collection::vec(step(), 1..150)) {
            let (mut plan, mut scan) = (Plan::new(4, 0), Scan::default());
            let mut idle = [true; 4];
            let mut running: Vec<(Assignment, Option<u32>)> = Vec::new();
            for (task, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(demand) => {
                        plan.put(task, demand.clone());
                        scan.put(task, demand);
                    }
                    Step::Offer(processor, min) if std::mem::take(&mut idle[processor as usize]) => {
                        let expected = scan.offer(&plan, processor, min);
                        let chosen = match plan.offer(processor, min) {
                            Offer::Nothing => {
                                idle[processor as usize] = true;
                                None
                            }
                            Offer::Given => plan.gathering.as_ref().map(|(entry, _)| entry.task),
                            Offer::Run(task, assignment) | Offer::Gathered(task, assignment) => {
                                let own = assignment.share.is_none().then_some(processor);
                                running.push((assignment, own));
                                Some(task)
                            }
                        };
                        prop_assert_eq!(chosen, expected);
                        chosen.into_iter().for_each(|task| scan.started(task));
                    }
                    Step::Beside => {
                        let expected = scan.beside(&plan);
                        let chosen = plan.beside();
                        prop_assert_eq!(chosen.as_ref().map(|(task, held)| (*task, held.share)), expected);
                        if let Some((task, assignment)) = chosen {
                            scan.started(task);
                            running.push((assignment, None));
                        }
                    }
                    Step::End(which) if !running.is_empty() => {
                        let (assignment, own) = running.swap_remove(which.index(running.len()));
                        plan.end(assignment).into_iter().chain(own).for_each(|freed| idle[freed as usize] = true);
                    }
                    Step::Offer(..) | Step::End(_) => {}
                }
                plan.check();
                prop_assert_eq!(plan.ready.len(), scan.0.len());
                for (processor, offer) in (0..).zip(plan.offers()) {
                    for (min, told) in [(NORMAL, offer >= i64::from(NORMAL)), (i32::MIN, offer != NOTHING)] {
                        prop_assert_eq!(told, scan.offer(&plan, processor, min).is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn a_smaller_task_waits_behind_a_larger_one_that_declares_less_than_twice_as_much() {
        let declares = |memory| Demand { memory, ..Demand::default() };
        let mut plan = Plan::new(2, 100);
        plan.put("running", declares(60));
        let Offer::Run("running", assignment) = plan.offer(0, NORMAL) else { panic!("it is alone") };
        for (task, memory) in [("large", 63), ("small", 33), ("smaller", 31)] {
            plan.put(task, declares(memory));
        }
        assert!(matches!(plan.offer(1, NORMAL), Offer::Run("smaller", _)));
        assert!(matches!(plan.offer(1, NORMAL), Offer::Nothing));
        plan.end(assignment);
        assert!(matches!(plan.offer(0, NORMAL), Offer::Run("large", _)), "and nobody has overtaken it");
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
