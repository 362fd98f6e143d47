//! Handles of tasks and data that are in other processes than those, and the results that are told to them.

use super::driver::Input;
use crate::message::{HandleTold, KindTold};
use poniard_model::codec::Thing;
use poniard_model::{Cause, ChunkId, TaskId, WorkerId};
use poniard_pool::travel::{
    Border, DatumStranger, DatumTraveller, Ender, Origin, Stranger, Traveller, Whereabouts, ask_all_of,
    forget_strangers, lose_data, lose_datum, origin_of,
};
use poniard_store::refs::{Action, GlobalChunk, Note, Refs};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What this process knows of such handles.
pub(crate) struct Handles {
    me: WorkerId,
    refs: Refs,
    /// Handles of tasks and data of this process, for as long as others have some.
    kept: HashMap<ChunkId, Thing>,
    /// Results of others' tasks that are waited for here.
    wanted: HashMap<GlobalChunk, Wanted>,
    /// Notes to be sent.
    notes: Vec<(WorkerId, Note)>,
    border: Arc<dyn Border>,
    tell: fn(Input),
    /// This cluster, among those that the process has had: handles of an earlier one are nothing to it.
    era: u64,
    going: Going,
}

/// A result that is waited for here.
struct Wanted {
    /// What ends the task that stands for it here.
    end: Ender,
    asked: WorkerId,
}

/// Tells the driver of handles.
struct Told {
    tell: fn(Input),
    era: u64,
    going: Going,
}

/// The same of a result that a task of its owner's reads here. It does not count as a handle: that task has one as long as it runs.
struct Visit {
    tell: fn(Input),
    era: u64,
    /// Who has the result.
    at: WorkerId,
}

/// Workers that leave, or are gone. What they have made is asked for while it can be had, and handles of it that are sent on from
/// here are those of tasks of this process.
type Going = Arc<Mutex<BTreeSet<WorkerId>>>;

fn is_going(going: &Going, worker: WorkerId) -> bool {
    going.lock().unwrap_or_else(PoisonError::into_inner).contains(&worker)
}

static ERAS: AtomicU64 = AtomicU64::new(0);

impl Border for Told {
    fn wants(&self, origin: Origin, end: Ender) {
        (self.tell)(Input::Wants { era: self.era, of: of(origin), at: origin.owner, end });
    }

    fn cancels(&self, origin: Origin) {
        (self.tell)(Input::CancelsThere { era: self.era, of: of(origin) });
    }

    fn is_urgent(&self, owner: WorkerId) -> bool {
        is_going(&self.going, owner)
    }

    fn dropped(&self, origin: Origin) {
        (self.tell)(Input::HandleDropped { era: self.era, of: of(origin) });
    }
}

impl Border for Visit {
    fn wants(&self, origin: Origin, end: Ender) {
        (self.tell)(Input::Wants { era: self.era, of: of(origin), at: self.at, end });
    }

    // What made it has ended.
    fn cancels(&self, _: Origin) {}

    // The task that reads it asks when it is launched.
    fn is_urgent(&self, _: WorkerId) -> bool {
        false
    }

    fn dropped(&self, _: Origin) {}
}

fn of(Origin { owner, task }: Origin) -> GlobalChunk {
    GlobalChunk { owner, chunk: task.into() }
}

fn origin(of: GlobalChunk) -> Origin {
    Origin { owner: of.owner, task: TaskId(of.chunk.0) }
}

impl Handles {
    pub(crate) fn new(me: WorkerId, tell: fn(Input)) -> Handles {
        let era = ERAS.fetch_add(1, Ordering::Relaxed);
        let going = Going::default();
        Handles {
            me,
            refs: Refs::new(me),
            kept: HashMap::new(),
            wanted: HashMap::new(),
            notes: Vec::new(),
            border: Arc::new(Told { tell, era, going: going.clone() }),
            tell,
            era,
            going,
        }
    }

    /// The handles beside a value that goes to another worker.
    pub(crate) fn send(&mut self, things: &[Thing], to: WorkerId) -> Vec<HandleTold> {
        things.iter().map(|thing| self.send_one(thing, to)).collect()
    }

    /// One handle that goes to another worker.
    ///
    /// # Panics
    /// When it is none of a task or of a datum: nothing else was packed.
    pub(crate) fn send_one(&mut self, thing: &Thing, to: WorkerId) -> HandleTold {
        let (lives, kind) = if let Some(traveller) = thing.downcast_ref::<Traveller>() {
            let task = traveller.task().id();
            // Whose owner goes has the value here alone, or why there is none: whoever gets the handle asks this process.
            let origin = origin_of(task).filter(|origin| !is_going(&self.going, origin.owner));
            let lives = origin.map_or(Whereabouts::Here(task), Whereabouts::There);
            (lives, KindTold::Task(traveller.task().name().to_string()))
        } else if let Some(datum) = thing.downcast_ref::<DatumTraveller>() {
            (datum.lives(), KindTold::Datum)
        } else {
            unreachable!("what can cross is a handle of a task or of a datum")
        };
        let (of, grant) = match lives {
            Whereabouts::There(origin) => (of(origin), self.refs.sent(of(origin), to)),
            Whereabouts::Here(number) => {
                self.kept.insert(number.into(), thing.clone());
                self.refs.lent(number.into(), to)
            }
        };
        HandleTold { of, grant, kind }
    }

    /// The handles beside a value that has come.
    pub(crate) fn receive(&mut self, handles: Vec<HandleTold>) -> Vec<Thing> {
        handles.into_iter().map(|handle| self.receive_one(handle)).collect()
    }

    /// One handle that has come.
    pub(crate) fn receive_one(&mut self, HandleTold { of, grant, kind }: HandleTold) -> Thing {
        let mut actions = Vec::new();
        // Taken before what is counted may let go of it.
        let own = if of.owner == self.me { self.kept.get(&of.chunk).cloned() } else { None };
        self.refs.received(of, grant, &mut actions);
        let thing: Thing = match own {
            Some(own) => {
                self.refs.dropped(of, &mut actions);
                own
            }
            None => {
                let border = self.border.clone();
                match kind {
                    KindTold::Task(name) => Arc::new(Stranger::new(origin(of), name.into(), border)),
                    KindTold::Datum if self.refs.is_lost(of) => {
                        Arc::new(DatumStranger::new(origin(of), border).lost())
                    }
                    KindTold::Datum => Arc::new(DatumStranger::new(origin(of), border)),
                }
            }
        };
        self.act(actions);
        thing
    }

    /// What stands for a result of a task of another worker that a task of that one reads here.
    pub(crate) fn visitor(&self, origin: Origin, name: &str, at: WorkerId) -> Stranger {
        // Who is gone cannot be asked; the owner knows where it is now.
        let at = if self.is_going(at) { origin.owner } else { at };
        Stranger::new(origin, name.into(), Arc::new(Visit { tell: self.tell, era: self.era, at }))
    }

    /// One of the handles that came is gone.
    pub(crate) fn dropped(&mut self, era: u64, of: GlobalChunk) {
        if era != self.era {
            return;
        }
        let mut actions = Vec::new();
        self.refs.dropped(of, &mut actions);
        self.act(actions);
    }

    /// Somebody here waits for the result, and `at` has it. Gives whether that one is to be asked.
    pub(crate) fn want(&mut self, era: u64, of: GlobalChunk, at: WorkerId, end: Ender) -> bool {
        if era != self.era {
            end.end(Err(stopped()));
            return false;
        }
        if self.refs.is_lost(of) {
            end.end(Err(lost(of)));
            return false;
        }
        self.wanted.insert(of, Wanted { end, asked: at });
        true
    }

    /// A result that is waited for here is said to be there; false when nobody waits for it any more.
    pub(crate) fn is_at(&mut self, of: GlobalChunk, at: WorkerId) -> bool {
        self.wanted.get_mut(&of).map(|wanted| wanted.asked = at).is_some()
    }

    /// Whether this worker was asked for the result.
    pub(crate) fn was_asked(&self, worker: WorkerId, of: GlobalChunk) -> bool {
        self.wanted.get(&of).is_some_and(|wanted| wanted.asked == worker)
    }

    /// The results that a worker was asked for and that are others'.
    pub(crate) fn asked_of(&self, worker: WorkerId) -> Vec<GlobalChunk> {
        let is_asked = |(of, wanted): &(&GlobalChunk, &Wanted)| wanted.asked == worker && of.owner != worker;
        self.wanted.iter().filter(is_asked).map(|(of, _)| *of).collect()
    }

    /// A result that is waited for here cannot be had.
    pub(crate) fn is_unobtainable(&mut self, of: GlobalChunk, why: &str) {
        if let Some(wanted) = self.wanted.remove(&of) {
            wanted.end.end(Err(Cause::scheduling(why)));
        }
    }

    /// How many data of this process others have handles of.
    pub(crate) fn lent_data(&self) -> u64 {
        self.kept.values().filter(|thing| thing.is::<DatumTraveller>()).count() as u64
    }

    /// Whether the owner of a task can be told that nobody wants it any more.
    pub(crate) fn may_cancel(&self, era: u64, of: GlobalChunk) -> bool {
        era == self.era && !self.refs.is_lost(of)
    }

    /// The task of this process about which another worker says something, if that has a handle of it.
    pub(crate) fn meant(&self, by: WorkerId, of: GlobalChunk) -> Option<Arc<Traveller>> {
        if self.refs.is_with(of, by) { self.kept.get(&of.chunk).cloned()?.downcast().ok() } else { None }
    }

    /// What ends the task here of which the result has come: the word of who was asked, and of nobody else.
    pub(crate) fn ender(&mut self, from: WorkerId, of: GlobalChunk) -> Option<Ender> {
        if self.was_asked(from, of) { self.wanted.remove(&of).map(|wanted| wanted.end) } else { None }
    }

    /// Whether a worker leaves, or is gone.
    pub(crate) fn is_going(&self, worker: WorkerId) -> bool {
        is_going(&self.going, worker)
    }

    /// A worker leaves: what it has made, and is known here by handles, is asked for while it is there.
    pub(crate) fn leaves(&mut self, worker: WorkerId) {
        self.going.lock().unwrap_or_else(PoisonError::into_inner).insert(worker);
        ask_all_of(worker);
    }

    /// A worker says who has handles.
    pub(crate) fn told(&mut self, from: WorkerId, note: Note) {
        let mut actions = Vec::new();
        self.refs.told(from, note, &mut actions);
        self.act(actions);
    }

    /// A worker is gone, with its tasks, its data and its handles: this became of it.
    pub(crate) fn lose(&mut self, worker: WorkerId, how: &str) {
        lose_data(worker, how);
        self.going.lock().unwrap_or_else(PoisonError::into_inner).insert(worker);
        let mut actions = Vec::new();
        self.refs.gone(worker, &mut actions);
        self.notes.retain(|(to, _)| *to != worker);
        self.act(actions);
        // Those that did not count.
        for (of, wanted) in self.wanted.extract_if(|of, _| of.owner == worker) {
            wanted.end.end(Err(lost(of)));
        }
    }

    /// Notes to be sent.
    pub(crate) fn take_notes(&mut self) -> Vec<(WorkerId, Note)> {
        std::mem::take(&mut self.notes)
    }

    /// What waits for a result fails: nobody is there any more.
    pub(crate) fn end(&mut self) {
        for (_, wanted) in self.wanted.drain() {
            wanted.end.end(Err(stopped()));
        }
        self.kept.clear();
        forget_strangers();
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Tell(to, note) => self.notes.push((to, note)),
                Action::Free(chunk) => drop(self.kept.remove(&chunk)),
                Action::Lost(chunk) => match self.wanted.remove(&chunk) {
                    Some(wanted) => wanted.end.end(Err(lost(chunk))),
                    None => lose_datum(origin(chunk)),
                },
            }
        }
    }
}

/// Nobody is there to be asked.
pub(crate) fn stopped() -> Cause {
    Cause::scheduling("cannot be had: the cluster was stopped")
}

fn lost(of: GlobalChunk) -> Cause {
    let owner = of.owner;
    Cause::worker_lost(vec![owner], format!("{owner} is gone, and with it the task that it had spawned"))
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles").field("refs", &self.refs).finish_non_exhaustive()
    }
}
