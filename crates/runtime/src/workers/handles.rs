//! Handles of tasks and data that are in other processes than those, and the results that are told to them.

use super::driver::Input;
use crate::message::{HandleTold, KindTold};
use poniard_model::codec::Thing;
use poniard_model::{Cause, ChunkId, TaskId, WorkerId};
use poniard_pool::travel::{
    Border, DatumStranger, DatumTraveller, Ender, Origin, Stranger, Traveller, Whereabouts, forget_strangers,
    lose_data, lose_datum, origin_of,
};
use poniard_store::refs::{Action, GlobalChunk, Note, Refs};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What this process knows of such handles.
pub(crate) struct Handles {
    me: WorkerId,
    refs: Refs,
    /// Handles of tasks and data of this process, for as long as others have some.
    kept: HashMap<ChunkId, Thing>,
    /// What ends the tasks of others that are waited for here.
    enders: HashMap<GlobalChunk, Ender>,
    /// Notes to be sent.
    notes: Vec<(WorkerId, Note)>,
    border: Arc<dyn Border>,
    /// This cluster, among those that the process has had: handles of an earlier one are nothing to it.
    era: u64,
}

/// Tells the driver of handles.
struct Told {
    tell: fn(Input),
    era: u64,
}

static ERAS: AtomicU64 = AtomicU64::new(0);

impl Border for Told {
    fn wants(&self, origin: Origin, end: Ender) {
        (self.tell)(Input::Wants(of(origin), end));
    }

    fn dropped(&self, origin: Origin) {
        (self.tell)(Input::HandleDropped { era: self.era, of: of(origin) });
    }
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
        Handles {
            me,
            refs: Refs::new(me),
            kept: HashMap::new(),
            enders: HashMap::new(),
            notes: Vec::new(),
            border: Arc::new(Told { tell, era }),
            era,
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
            let lives = origin_of(task).map_or(Whereabouts::Here(task), Whereabouts::There);
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

    /// One of the handles that came is gone.
    pub(crate) fn dropped(&mut self, era: u64, of: GlobalChunk) {
        if era != self.era {
            return;
        }
        let mut actions = Vec::new();
        self.refs.dropped(of, &mut actions);
        self.act(actions);
    }

    /// Somebody here waits for the result. Gives whether its owner is to be asked.
    pub(crate) fn want(&mut self, of: GlobalChunk, end: Ender) -> bool {
        if self.refs.is_lost(of) {
            end.end(Err(lost(of)));
            return false;
        }
        self.enders.insert(of, end);
        true
    }

    /// The task of this process whose result another worker wants.
    pub(crate) fn wanted(&self, of: GlobalChunk) -> Option<Arc<Traveller>> {
        self.kept.get(&of.chunk).cloned()?.downcast().ok()
    }

    /// How many data of this process others have handles of.
    pub(crate) fn lent_data(&self) -> u64 {
        self.kept.values().filter(|thing| thing.is::<DatumTraveller>()).count() as u64
    }

    /// What ends the task here of which the result has come.
    pub(crate) fn ender(&mut self, of: GlobalChunk) -> Option<Ender> {
        self.enders.remove(&of)
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
        let mut actions = Vec::new();
        self.refs.gone(worker, &mut actions);
        self.notes.retain(|(to, _)| *to != worker);
        self.act(actions);
    }

    /// Notes to be sent.
    pub(crate) fn take_notes(&mut self) -> Vec<(WorkerId, Note)> {
        std::mem::take(&mut self.notes)
    }

    /// What waits for a result fails: nobody is there any more.
    pub(crate) fn end(&mut self) {
        for (_, end) in self.enders.drain() {
            end.end(Err(Cause::scheduling("cannot be had: the cluster was stopped")));
        }
        self.kept.clear();
        forget_strangers();
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Tell(to, note) => self.notes.push((to, note)),
                Action::Free(chunk) => drop(self.kept.remove(&chunk)),
                Action::Lost(chunk) => match self.enders.remove(&chunk) {
                    Some(end) => end.end(Err(lost(chunk))),
                    None => lose_datum(origin(chunk)),
                },
            }
        }
    }
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
