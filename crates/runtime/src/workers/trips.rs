//! Tasks of this process that other workers have, or may get.

use super::desk::Desk;
use super::guests::{attempts_told, demand_told, inherited_told};
use super::leases::Leases;
use crate::code::tell_site;
use crate::directory;
use crate::message::{AttemptsTold, PieceTold, Run, SiteTold};
use poniard_model::{Cause, Numbered, TaskId, Topology, WorkerId};
use poniard_pool::image;
use poniard_pool::travel::{Away, DatumTraveller, Piece, Whereabouts};
use poniard_sched::{Failure, FunctionKey, Input, Life, Reach, Spec};

/// Arguments of fewer bytes cost nothing beside the message that they are in.
const WEIGHED_BYTES_MIN: u64 = 1 << 10;

/// The tasks of this process that its scheduler knows of.
#[derive(Debug, Default)]
pub(crate) struct Trips(Numbered<TaskId, Box<Trip>>);

/// A task with its call, packed.
#[derive(Debug)]
struct Trip {
    away: Away,
    /// What is told of it, but for its arguments.
    run: Run,
    pieces: Vec<Piece>,
    /// Where it was sent last.
    to: Option<WorkerId>,
    /// The workers that were lost while they had it.
    lost_with: Vec<WorkerId>,
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
    pub(crate) fn begin(&mut self, mut away: Away, is_near: bool) -> Result<Spec, (Away, String)> {
        let parcel = away.take_parcel();
        let code = image::code_offset;
        let (Some(entry), Some(body)) = (code(parcel.entry.address()), code(parcel.body)) else {
            return Err((away, "its function is part of a shared library, not of the executable".to_owned()));
        };
        let task = away.handle().id();
        let site = tell_site(parcel.site);
        // Each function has a body of its own where it has no site of its own in the executable.
        let function = if let SiteTold::Offset(offset) = &site { *offset } else { body };
        let mut spec = Spec::new(task, FunctionKey(function));
        spec.wishes.scope = away.scope().cloned();
        spec.time = Some(away.extra().demand.time).filter(|time| !time.is_zero());
        let bytes = |piece: &Piece| match piece {
            Piece::Value(value) if is_near => Leases::copied_bytes(value),
            Piece::Value(value) => value.total_bytes(),
            Piece::Count(_) | Piece::Datum(_) => 0,
        };
        let bytes = parcel.pieces.iter().map(bytes).sum::<usize>() as u64;
        if bytes >= WEIGHED_BYTES_MIN {
            let at = vec![poniard_pool::me()];
            spec.inputs.push(Input { result: None, bytes, at, reach: Reach::Anywhere });
        }
        // When the home of its data is gone, it cannot be run any more.
        let homes = parcel.pieces.iter().filter_map(home_of);
        spec.inputs.extend(homes.map(|owner| {
            let reach = Reach::Pinned(Life { worker: owner, incarnation: 0 });
            Input { result: None, bytes: 0, at: vec![owner], reach }
        }));
        let demand = demand_told(away.extra());
        let attempts = match away.is_tried_there() {
            true => attempts_told(away.extra()),
            false => Ok(AttemptsTold::default()),
        };
        let told = attempts.and_then(|attempts| Ok((attempts, inherited_told(away.extra())?)));
        let (attempts, inherited) = match told {
            Ok(told) => told,
            Err(why) => return Err((away, why)),
        };
        let run = Run { task, entry, body, site, demand, attempts, inherited, pieces: Vec::new() };
        let pieces = parcel.pieces;
        self.0.insert(task, Box::new(Trip { away, run, pieces, to: None, lost_with: Vec::new() }));
        Ok(spec)
    }

    /// The message's part that has a worker run a task.
    pub(crate) fn run(
        &mut self,
        task: TaskId,
        to: WorkerId,
        topology: &Topology,
        desk: &mut Desk,
    ) -> Option<Run> {
        let Trip { away, run, pieces, to: sent_to, .. } = &mut **self.0.get_mut(&task)?;
        *sent_to = Some(to);
        let mut run = run.clone();
        let told = |piece: &Piece| match piece {
            Piece::Value(value) => PieceTold::Value(desk.pack(value, to)),
            Piece::Count(count) => PieceTold::Count(*count),
            Piece::Datum(datum) => PieceTold::Datum(desk.handles.send_one(datum, to)),
        };
        run.pieces = pieces.iter().map(told).collect();
        run.demand.fits = away.scope().filter(|scope| !scope.is_worker(to)).and_then(|scope| {
            let there = scope.processors(topology).into_iter().filter(|id| id.worker == to);
            let there: Vec<u32> = there.map(|id| id.index).collect();
            (there.len() < topology.processors_of(to).len()).then_some(there)
        });
        Some(run)
    }

    /// Takes a task off.
    pub(crate) fn end(&mut self, task: TaskId) -> Option<Away> {
        self.0.remove(&task).map(|trip| trip.away)
    }

    /// A worker is lost, with what it had.
    pub(crate) fn lose(&mut self, worker: WorkerId) {
        for trip in self.0.values_mut().filter(|trip| trip.to == Some(worker)) {
            trip.to = None;
            trip.lost_with.push(worker);
        }
    }

    /// Ends a task that cannot be run.
    pub(crate) fn fail(&mut self, task: TaskId, why: &Failure) {
        let Some(trip) = self.0.remove(&task) else { return };
        let Trip { away, lost_with, .. } = *trip;
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
        std::mem::take(&mut self.0).into_values().map(|trip| trip.away).collect()
    }
}
