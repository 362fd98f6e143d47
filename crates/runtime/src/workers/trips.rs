//! Tasks of this process that other workers have, or may get.

use super::desk::Desk;
use super::guests::{attempts_told, demand_told, inherited_told};
use super::leases::Leases;
use super::lines::LINE_BYTES_MIN;
use crate::code::tell_site;
use crate::directory;
use crate::message::{AttemptsTold, DemandTold, InheritedTold, PieceTold, RestTold, Run};
use poniard_model::{Cause, Numbered, Scope, Site, Storage, TaskId, WorkerId};
use poniard_pool::image;
use poniard_pool::travel::{Away, DatumTraveller, Piece, Whereabouts};
use poniard_sched::{Failure, FunctionKey, Input, Life, Reach, Scheduler, Spec};

/// Arguments of fewer bytes cost nothing beside the message that they are in.
const WEIGHED_BYTES_MIN: u64 = 1 << 10;

/// The tasks of this process that its scheduler knows of.
#[derive(Debug, Default)]
pub(crate) struct Trips(Numbered<TaskId, Box<Trip>>);

/// Results whose tasks take fewer bytes of values may stay where they are made: these bytes are kept, to make them again.
const KEPT_VALUES_BYTES_MAX: usize = LINE_BYTES_MIN;

/// A task with its call, packed.
#[derive(Debug)]
struct Trip {
    /// `None` when it has ended, and its result stays where it was made.
    away: Option<Away>,
    /// What the task asked for, and where it has to run, when that is not to be seen from `away` any more.
    asked: Option<Box<(Asked, Option<Scope>)>>,
    /// Offsets of its entry and its function.
    entry: u64,
    body: u64,
    site: &'static Site,
    pieces: Vec<Piece>,
    rest: RestTold,
    /// Where it was sent last.
    to: Option<WorkerId>,
    /// Who has its result, if that stays where it was made.
    rests_at: Option<WorkerId>,
    /// The workers that were lost while they had it.
    lost_with: Vec<WorkerId>,
}

/// What a task asked for.
#[derive(Clone, Debug)]
struct Asked {
    demand: DemandTold,
    attempts: AttemptsTold,
    inherited: Option<Box<InheritedTold>>,
}

impl Asked {
    /// By a task all of whose attempts are made where it goes, or one after the other.
    ///
    /// # Errors
    /// When the filter of its retries cannot be told.
    fn of(away: &Away, is_tried_there: bool) -> Result<Asked, String> {
        let extra = away.extra();
        Ok(Asked {
            demand: demand_told(extra),
            attempts: if is_tried_there { attempts_told(extra)? } else { AttemptsTold::default() },
            inherited: inherited_told(extra)?,
        })
    }
}

/// How many bytes are kept with a part of the arguments; `None` when that cannot be kept for long.
fn kept_bytes(piece: &Piece) -> Option<usize> {
    match piece {
        // What is beside the bytes keeps tasks.
        Piece::Value(value) => value.things().is_empty().then(|| value.total_bytes()),
        Piece::Result { .. } | Piece::Count(_) => Some(0),
        // Who changes data would change them again.
        Piece::Datum(_) | Piece::Here(_) | Piece::Absent(_) => None,
    }
}

/// Where the datum lives that is this part of the arguments.
fn home_of(piece: &Piece) -> Option<WorkerId> {
    let Piece::Datum(datum) = piece else { return None };
    match datum.downcast_ref::<DatumTraveller>()?.lives() {
        Whereabouts::There(origin) => Some(origin.owner),
        Whereabouts::Here(_) => None,
    }
}

impl Trips {
    /// Takes a task on; gives what the scheduler has to know of it, or the task back with the reason why it cannot go anywhere.
    ///
    /// `is_near`: all workers are of this host and read each other's memory.
    pub(crate) fn begin(
        &mut self,
        mut away: Away,
        is_near: bool,
        scheduler: &Scheduler,
    ) -> Result<Spec, (Away, String)> {
        let parcel = away.take_parcel();
        let code = image::code_offset;
        let (Some(entry), Some(body)) = (code(parcel.entry.address()), code(parcel.body)) else {
            return Err((away, "its function is part of a shared library, not of the executable".to_owned()));
        };
        let task = away.handle().id();
        let site = parcel.site;
        // Each function has a body of its own where it has no site of its own in the executable.
        let function = image::site_offset(site).unwrap_or(body);
        let mut spec = Spec::new(task, FunctionKey(function));
        spec.wishes.scope = away.scope().cloned();
        spec.time = Some(away.extra().demand.time).filter(|time| !time.is_zero());
        let pieces = parcel.pieces;
        let bytes = |piece: &Piece| match piece {
            Piece::Value(value) if is_near => Leases::copied_bytes(value),
            Piece::Value(value) => value.total_bytes(),
            _ => 0,
        };
        let bytes = pieces.iter().map(bytes).sum::<usize>() as u64;
        if bytes >= WEIGHED_BYTES_MIN {
            let at = vec![poniard_pool::me()];
            spec.inputs.push(Input { result: None, bytes, at, reach: Reach::Anywhere });
        }
        // When the home of its data is gone, it cannot be run any more.
        let homes = pieces.iter().filter_map(home_of);
        spec.inputs.extend(homes.map(|owner| {
            let reach = Reach::Pinned(Life { worker: owner, incarnation: 0 });
            Input { result: None, bytes: 0, at: vec![owner], reach }
        }));
        spec.inputs.extend(pieces.iter().filter_map(|piece| match piece {
            Piece::Result { task, bytes, .. } => {
                let (result, at) = (Some(*task), scheduler.holders(*task).to_vec());
                Some(Input { result, bytes: *bytes, at, reach: Reach::Anywhere })
            }
            _ => None,
        }));
        let kept = pieces.iter().map(kept_bytes).sum::<Option<usize>>();
        // Where it is kept is by the word of its owner's process, if it says so.
        let may_be_anywhere = !is_near && away.may_rest_there() && away.extra().storage == Storage::Any;
        let may_rest = may_be_anywhere && kept.is_some_and(|kept| kept < KEPT_VALUES_BYTES_MAX);
        let rest = if may_rest { RestTold::IfLarge } else { RestTold::Never };
        // That it can be told is seen while the task can still stay.
        let is_told = match away.is_tried_there() {
            true => attempts_told(away.extra()).map(drop),
            false => Ok(()),
        };
        if let Err(why) = is_told.and_then(|()| inherited_told(away.extra()).map(drop)) {
            return Err((away, why));
        }
        let (away, asked, to, rests_at, lost_with) = (Some(away), None, None, None, Vec::new());
        let trip = Trip { away, asked, entry, body, site, pieces, rest, to, rests_at, lost_with };
        self.0.insert(task, Box::new(trip));
        Ok(spec)
    }

    /// The message's part that has a worker run a task.
    pub(crate) fn run(
        &mut self,
        task: TaskId,
        to: WorkerId,
        scheduler: &Scheduler,
        desk: &mut Desk,
    ) -> Option<Run> {
        let topology = scheduler.topology();
        let trip = &mut **self.0.get_mut(&task)?;
        trip.to = Some(to);
        let (asked, scope) = match (&trip.away, &trip.asked) {
            (Some(away), _) => (Asked::of(away, away.is_tried_there()).ok()?, away.scope()),
            (None, Some(asked)) => (asked.0.clone(), asked.1.as_ref()),
            (None, None) => return None,
        };
        let Asked { mut demand, attempts, inherited } = asked;
        let me = poniard_pool::me();
        let told = |piece: &Piece| match piece {
            Piece::Value(value) => PieceTold::Value(desk.pack(value, to)),
            Piece::Count(count) => PieceTold::Count(*count),
            Piece::Datum(datum) => PieceTold::Datum(desk.handles.send_one(datum, to)),
            Piece::Result { task, name, .. } => {
                let at = scheduler.holders(*task).first().copied().unwrap_or(me);
                PieceTold::Result { task: *task, name: name.to_string(), at }
            }
            Piece::Here(_) | Piece::Absent(_) => unreachable!("these arrive, and do not leave"),
        };
        let pieces = trip.pieces.iter().map(told).collect();
        demand.fits = scope.filter(|scope| !scope.is_worker(to)).and_then(|scope| {
            let there = scope.processors(topology).into_iter().filter(|id| id.worker == to);
            let there: Vec<u32> = there.map(|id| id.index).collect();
            (there.len() < topology.processors_of(to).len()).then_some(there)
        });
        let &mut Trip { entry, body, site, rest, .. } = trip;
        let run = Run { task, entry, body, site: tell_site(site), demand, attempts, rest, inherited, pieces };
        Some(run)
    }

    /// Takes a task off.
    pub(crate) fn end(&mut self, task: TaskId) -> Option<Away> {
        self.0.remove(&task)?.away
    }

    /// A task has ended, and its result stays where it was made: keeps what makes it again.
    pub(crate) fn rest(&mut self, task: TaskId) -> Option<Away> {
        let trip = self.0.get_mut(&task)?;
        trip.rest = RestTold::Always;
        // It is tried there from now on: nobody is here who could try again.
        trip.asked = trip.away.as_ref().and_then(|away| {
            let asked = Asked::of(away, true).or_else(|_| Asked::of(away, false)).ok()?;
            Some(Box::new((asked, away.scope().cloned())))
        });
        trip.away.take()
    }

    /// Whether a task has ended, and its result stays where it was made.
    pub(crate) fn is_resting(&self, task: TaskId) -> bool {
        self.0.get(&task).is_some_and(|trip| trip.away.is_none())
    }

    /// The result of a task that has ended need not be made again.
    pub(crate) fn forget(&mut self, task: TaskId) {
        if self.is_resting(task) {
            self.0.remove(&task);
        }
    }

    /// The result of a task stays there; or nowhere any more. Gives where it was.
    pub(crate) fn rests_at(&mut self, task: TaskId, at: Option<WorkerId>) -> Option<WorkerId> {
        std::mem::replace(&mut self.0.get_mut(&task)?.rests_at, at)
    }

    /// A worker is lost, with what it had.
    pub(crate) fn lose(&mut self, worker: WorkerId) {
        for trip in self.0.values_mut() {
            trip.rests_at = trip.rests_at.filter(|at| *at != worker);
            if trip.to == Some(worker) && trip.away.is_some() {
                trip.to = None;
                trip.lost_with.push(worker);
            }
        }
    }

    /// Ends a task that cannot be run.
    pub(crate) fn fail(&mut self, task: TaskId, why: &Failure) {
        let Some(trip) = self.0.remove(&task) else { return };
        let Trip { away: Some(away), lost_with, .. } = *trip else { return };
        let workers: Vec<WorkerId> = match why {
            Failure::WorkerLost { deaths } => deaths.iter().map(|death| death.of.worker).collect(),
            Failure::NoWorkers { .. } => lost_with,
            Failure::StateLost { on } => {
                let how = directory::fate_of(on.worker).unwrap_or_else(|| "it is gone".to_owned());
                return away.fail_for_good(on.worker, Cause::state_lost(on.worker, how));
            }
            _ => Vec::new(),
        };
        match workers.last().copied() {
            Some(last) => away.fail_for_good(last, Cause::worker_lost(workers, why.to_string())),
            None => away.fail_for_good(poniard_pool::me(), Cause::scheduling(why.to_string())),
        }
    }

    /// Takes all of them off.
    pub(crate) fn end_all(&mut self) -> Vec<Away> {
        std::mem::take(&mut self.0).into_values().filter_map(|trip| trip.away).collect()
    }
}
