//! What one process does with what crosses its border: one thread asks the scheduler, and does what it says, in order.

mod going;
mod handles;
mod home;
mod hosting;
mod lending;
mod lines;
mod rest;
mod talk;
#[cfg(test)]
mod tests;

use super::asking::Question;
use super::departure::Departure;
use super::desk::Desk;
use super::guests::{Ended, Guest};
use super::lines::Told;
use super::post::{Outgoing, Post};
use super::trips::Trips;
use crate::code::SameBuild;
use crate::directory;
use crate::message::{BufferTold, Bytes, Member, Message, RestTold};
use crate::settings::Settings;
use poniard_model::codec::Encoded;
use poniard_model::{ByOwner, Cause, Numbered, ProcessorKind, TaskError, TaskId, WorkerId};
use poniard_pool::AnyHandle;
use poniard_pool::travel::Ender;
use poniard_pool::travel::{self, Away, Crossing};
use poniard_sched::{Action, Ending, Event, Life, Rest, Scheduler, Sending, Spec, Take};
use poniard_store::refs::GlobalChunk;
pub(crate) use rest::{STOPPED, not_fetched};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When the pool said that it has work and then had none that can leave: how long it is not asked again, at first and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(256);

/// Tasks that are placed together: more gain nothing, and the first would wait for the last.
const READY_MAX: usize = 128;

/// How long a worker that others speak of may take to be met; then it is taken for gone.
const ACQUAINTANCE_MAX: Duration = Duration::from_secs(10);
/// The question by which a worker that leaves learns that everything it said before was heard. Others count up from 1.
const FAREWELL: u64 = 0;
/// The same, behind what is large.
const FAREWELL_LARGE: u64 = u64::MAX;

/// What the driver is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// A task is to run elsewhere.
    Leaves(Away),
    /// So many processors have nothing to do.
    Idle(u32),
    /// The pool has a ready task.
    HasWork,
    /// A worker has joined, and is of this build.
    Joined(WorkerId, SameBuild),
    /// A worker is gone.
    Gone {
        worker: WorkerId,
        /// What killed it, if that is known.
        signal: Option<i32>,
        /// What became of it, in words.
        how: String,
        /// Its process may live on.
        is_cut_off: bool,
    },
    /// A worker says something: messages, one behind the other.
    Letter(WorkerId, Vec<u8>),
    /// A guest has ended, which ran for so long.
    Ended { owner: WorkerId, sending: Sending, ran: Duration, outcome: Ended },
    /// What this worker has lent us is read no more.
    ReadNoMore { owner: WorkerId, lease: u64 },
    /// Somebody here waits for the result of another worker's task, which ends so.
    Wants { era: u64, of: GlobalChunk, at: WorkerId, end: Ender },
    /// Somebody here wants another worker's task to stop.
    CancelsThere { era: u64, of: GlobalChunk },
    /// One handle less of another worker's task.
    HandleDropped { era: u64, of: GlobalChunk },
    /// Somebody here reads the result of a task of ours, which is with the worker that made it.
    Fetch(TaskId),
    /// Nobody here has a handle any more of a task of ours whose result was with the worker that made it.
    Released(TaskId),
    /// A result cannot be had of these workers.
    Missing { of: GlobalChunk, tried: Vec<WorkerId> },
    /// The result of a task of ours cannot be brought here from this worker, which leaves.
    NotBrought { task: TaskId, from: WorkerId },
    /// A task of ours has ended whose result another worker wants.
    Told { to: WorkerId, of: GlobalChunk, result: Result<Encoded, TaskError> },
    /// A task of ours that came back to run here has ended.
    EndedHere { task: TaskId, is_done: bool, ran: Duration },
    /// Nobody wants the result of a task of ours.
    Cancel(TaskId),
    /// A worker leaves, and was asked for what it has made.
    LeavesUs(WorkerId),
    /// A line to another host has something to tell.
    Line(Told),
    /// Somebody wants to know something.
    Asked(Question),
}

/// What the driver calls in its process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exits {
    /// Takes the inputs that are made while it works.
    pub(crate) tell: fn(Input),
    /// A worker has met these others.
    pub(crate) met: fn(WorkerId, Vec<WorkerId>),
    /// This worker says that this process is to end.
    pub(crate) stop: fn(WorkerId),
    /// A worker that was told to leave does not: so many data live there of which others have handles.
    pub(crate) stays: fn(WorkerId, u64),
    /// A worker is out of reach for good.
    pub(crate) cut_off: fn(WorkerId),
    /// A worker has itself ended, because a task that was cancelled does not return.
    pub(crate) perish: fn(WorkerId),
}

/// How long what is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a worker, by a task that fits no other one.
    pub(crate) no_worker: Duration,
    /// For a task that was cancelled, while it keeps a processor here.
    pub(crate) grace: Duration,
}

impl Patience {
    pub(crate) fn of(settings: &Settings) -> Patience {
        Patience { no_worker: settings.no_worker_timeout, grace: settings.cancel_grace }
    }
}

/// What the driver's thread knows.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) scheduler: Scheduler,
    me: Member,
    pub(super) began: Instant,
    pub(super) post: Outgoing,
    exits: Exits,
    /// Tasks of ours that the scheduler knows of.
    trips: Trips,
    /// Tasks of others that are here.
    guests: ByOwner<Hosted>,
    /// Those that were told to stop, until they have.
    stopping: BTreeMap<(WorkerId, Sending), AnyHandle>,
    /// Those among them whose owner has to know that they begin, until it does.
    watched: ByOwner<(Sending, Guest)>,
    /// What has ended, until it is sent.
    outcomes: ByOwner<Ended>,
    /// What came with the message that is being worked off.
    arrived: Numbered<TaskId, Guest>,
    /// What the scheduler is told and what it says, empty between two inputs.
    events: VecDeque<Event>,
    actions: Vec<Action>,
    came_home: Option<Ended>,
    /// Results of tasks of ours that are read here, and who was asked for each; `None` while that is looked for.
    fetches: BTreeMap<TaskId, Option<WorkerId>>,
    /// Tasks of others whose arguments are not here.
    far: lines::Far,
    /// Tasks of ours that are to be placed, together.
    ready: Vec<Spec>,
    /// The memory of this host that workers read of each other.
    desk: Desk,
    /// Whether all workers are of this host, and read each other's memory.
    is_near: bool,
    /// The workers that have joined.
    builds: HashMap<WorkerId, SameBuild>,
    /// Those that have said who they are.
    met: Vec<WorkerId>,
    /// What others want of the pool, as soon as there is something.
    standing: Option<Take>,
    /// Messages for workers that others know and this one has not met yet, and since when they wait.
    unmet: BTreeMap<WorkerId, (Duration, Vec<Message>)>,
    /// This process has left the others, and ends with its own tasks: it looks again then whether they have.
    departure: Option<Departure>,
    pause: Duration,
    wants_again_at: Option<Duration>,
    wakes_at: Option<Duration>,
}

/// A task of another worker that is here.
#[derive(Debug)]
struct Hosted {
    sending: Sending,
    /// `None` for one that could not begin, and whose end is about to be told.
    task: Option<AnyHandle>,
    rest: RestTold,
}

fn life(worker: WorkerId) -> Life {
    // Numbers are not given twice.
    Life { worker, incarnation: 0 }
}

impl Core {
    /// Of a process that knows nobody yet.
    pub(crate) fn new(me: Member, post: Arc<dyn Post>, patience: Patience, exits: Exits) -> Core {
        // Worker 1 is the user's own process: nobody ends it.
        let grace = (me.worker.id != WorkerId::FIRST).then_some(patience.grace);
        let config = poniard_sched::Config {
            me: life(me.worker.id),
            worker: me.worker.clone(),
            processors: me.processors.clone(),
            no_worker_timeout: patience.no_worker,
            grace: grace.filter(|grace| *grace < Duration::MAX),
        };
        let desk = Desk::new(me.worker.id, exits.tell);
        Core {
            scheduler: Scheduler::new(config),
            me,
            began: Instant::now(),
            post: Outgoing::new(post),
            exits,
            trips: Trips::default(),
            guests: ByOwner::default(),
            stopping: BTreeMap::new(),
            watched: ByOwner::default(),
            outcomes: ByOwner::default(),
            arrived: Numbered::new(),
            events: VecDeque::new(),
            actions: Vec::new(),
            came_home: None,
            fetches: BTreeMap::new(),
            far: lines::Far::default(),
            ready: Vec::new(),
            desk,
            is_near: false,
            builds: HashMap::new(),
            met: Vec::new(),
            standing: None,
            unmet: BTreeMap::new(),
            departure: None,
            pause: PAUSE_FIRST,
            wants_again_at: None,
            wakes_at: None,
        }
    }

    /// How long nothing has to be done.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let unmet = self.unmet.values().map(|(since, _)| *since + ACQUAINTANCE_MAX).min();
        let departs_at = self.departure.as_ref().map(|departure| departure.at);
        let at = [self.wakes_at, self.wants_again_at, departs_at, unmet, self.lines_at()]
            .into_iter()
            .flatten()
            .min()?;
        Some(at.saturating_sub(self.began.elapsed()))
    }

    /// Does what the time has come for.
    pub(crate) fn on_time(&mut self) {
        self.tell_what_is_over();
        let now = self.began.elapsed();
        self.give_up_unmet(now);
        if self.wakes_at.is_some_and(|at| at <= now) {
            self.wakes_at = None;
            self.tell(Event::Tick);
        }
        if self.departure.as_ref().is_some_and(|departure| departure.at <= now) {
            self.depart(now);
        }
        if self.wants_again_at.is_some_and(|at| at <= now) {
            self.wants_again_at = None;
            if self.standing.is_some() {
                travel::want_work(true);
            }
        }
    }

    /// The round is over: what was said in it goes.
    pub(crate) fn deliver(&mut self) {
        self.place();
        self.post.deliver();
    }

    pub(crate) fn on(&mut self, input: Input) {
        if !matches!(input, Input::Leaves(_)) || self.ready.len() >= READY_MAX {
            self.place();
        }
        match input {
            Input::Leaves(away) => self.on_leaves(away),
            Input::Idle(processors) => self.tell(Event::Idle { processors }),
            Input::HasWork => self.on_work(),
            Input::Joined(worker, build) => {
                self.builds.insert(worker, build);
                self.post.send(worker, Message::Hello(self.me.clone()));
            }
            Input::Gone { worker, signal, how, is_cut_off } => {
                if is_cut_off {
                    (self.exits.cut_off)(worker);
                }
                self.on_gone(worker, signal, &how, is_cut_off);
            }
            Input::Letter(from, letter) => self.on_letter(from, &letter),
            Input::Ended { owner, sending, ran, outcome } => self.on_ended(owner, sending, ran, outcome),
            Input::ReadNoMore { owner, lease } => self.desk.leases.read_no_more(owner, lease),
            Input::Wants { era, of, at, end } => {
                if self.desk.handles.want(era, of, at, end) {
                    self.ask(at, of);
                }
            }
            Input::Fetch(task) => self.fetch(task),
            Input::Released(task) => self.release(task),
            Input::Missing { of, tried } => self.on_missing(of, tried),
            Input::NotBrought { task, from } => self.give_up_copy(task, from),
            Input::CancelsThere { era, of } => self.cancel_there(era, of),
            Input::HandleDropped { era, of } => self.desk.handles.dropped(era, of),
            Input::Told { to, of, result } => self.on_told(to, of, result),
            Input::EndedHere { task, is_done, ran } => {
                let ending =
                    if is_done { Ending::Made { bytes: 0, rest: Rest::Rides } } else { Ending::Failed };
                let owner = self.me.worker.id;
                self.tell(Event::Finished { owner, task, ending, ran, kind: ProcessorKind::Cpu });
            }
            Input::Cancel(task) => self.tell(Event::Cancel(task)),
            Input::LeavesUs(worker) => {
                let message = poniard_sched::Message::Leaving;
                self.tell(Event::Message { from: life(worker), message });
            }
            Input::Line(told) => self.on_line(told),
            Input::Asked(Question(look)) => look(self),
        }
    }

    /// Nobody is there any more: what was to come home fails.
    pub(crate) fn end(mut self) {
        travel::want_work(false);
        for away in self.trips.end_all() {
            let me = poniard_pool::me();
            away.fail_for_good(me, Cause::scheduling("cannot run: the cluster was stopped"));
        }
        self.desk.handles.end();
        self.fetches.keys().for_each(|task| not_fetched(*task));
        for guest in self.guests.into_values() {
            guest.task.inspect(AnyHandle::cancel);
        }
    }

    /// Tells the scheduler, and does what it says, until it says no more.
    fn tell(&mut self, event: Event) {
        let (mut events, mut actions) = (std::mem::take(&mut self.events), std::mem::take(&mut self.actions));
        events.push_back(event);
        while let Some(event) = events.pop_front() {
            self.scheduler.on_event(self.began.elapsed(), event, &mut actions);
            for action in actions.drain(..) {
                self.act(action, &mut events);
            }
        }
        (self.events, self.actions) = (events, actions);
    }

    fn act(&mut self, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Send { to, message } => self.send(to.worker, message),
            Action::Start { owner, order } => self.start(owner, order, events),
            Action::RunHere { task, attempt } => self.run_here(task, attempt),
            Action::GiveBack(tasks) => {
                tasks.into_iter().filter_map(|task| self.trips.end(task)).for_each(Away::stay);
            }
            Action::Take(take) => events.extend(self.take(take)),
            Action::Withdraw { owner, tasks } => {
                let tasks = tasks.into_iter().filter(|task| self.withdraw(owner, *task)).collect();
                events.push_back(Event::Withdrawn { owner, tasks });
            }
            Action::Stop { owner, task } => events.extend(self.stop(owner, task)),
            Action::Look { owner, sending } => {
                let guest = self.stopping.get(&(owner, sending));
                let keeps_processor = guest.is_some_and(AnyHandle::keeps_processor);
                events.push_back(Event::Stuck { owner, sending, keeps_processor });
            }
            Action::Perish => self.perish(),
            Action::Complete { task, on, attempt, ending } => {
                if !self.complete(task, on.worker, attempt, ending) {
                    events.push_back(Event::Released(task));
                }
            }
            Action::Fail { task, why } => {
                events.push_back(Event::Released(task));
                self.trips.fail(task, &why);
            }
            Action::WakeAt(at) => self.wakes_at = Some(at),
            Action::Depart => self.departure = Some(Departure::new(self.began.elapsed())),
            Action::Located { owner, result, at } => self.located(owner, result, &at),
            Action::Unobtainable { owner, result } => self.unobtainable(owner, result),
            Action::Free(task) => self.drop_copy(task),
            Action::Forget(task) => {
                self.drop_copy(task);
                self.trips.forget(task);
            }
        }
    }

    /// Whether this is worker 1.
    fn is_first(&self) -> bool {
        self.me.worker.id == WorkerId::FIRST
    }

    /// A worker has said who it is.
    fn meet(&mut self, from: WorkerId, member: Member) {
        if member.worker.id != from || self.met.contains(&from) {
            return;
        }
        self.met.push(from);
        directory::change(|topology| topology.join(member.worker.clone(), &member.processors));
        for message in self.unmet.remove(&from).map(|(_, messages)| messages).unwrap_or_default() {
            self.post.send(from, message);
        }
        let Member { worker, processors, sample: (sample, place), line } = member;
        self.meet_line(from, line);
        if let Some(place) = place.filter(|_| worker.node == self.me.worker.node) {
            let there = Bytes::new(Vec::new(), vec![BufferTold::Lent { place, lease: 0 }]);
            if self.desk.leases.look(from, there, &sample) {
                self.post.send(from, Message::Sees);
            }
        }
        self.share();
        self.tell(Event::Joined { life: life(from), worker, processors });
        if self.is_first() {
            (self.exits.met)(WorkerId::FIRST, self.met.clone());
        } else if self.met.contains(&WorkerId::FIRST) {
            self.post.send(WorkerId::FIRST, Message::Met(self.met.clone()));
        }
    }

    /// Large values may cross as soon as that costs nothing: all workers read each other's memory. Large results may be made elsewhere
    /// as well where they stay there.
    fn share(&mut self) {
        self.is_near =
            !self.met.is_empty() && self.met.iter().all(|worker| self.desk.leases.is_shared_with(*worker));
        travel::lend_large(match self.is_near {
            true => Crossing::Shared,
            false if self.has_lines() => Crossing::Stay,
            false => Crossing::Copied,
        });
    }
}
