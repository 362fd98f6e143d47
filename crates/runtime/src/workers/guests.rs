//! Tasks of other workers that run here.

use super::desk::Desk;
use crate::code::SameBuild;
use crate::message::{
    AttemptsTold, DemandTold, InheritedTold, Outcome, PieceTold, RestTold, RetriesTold, Run,
};
use poniard_model::codec::Encoded;
use poniard_model::{Cause, Retries, TaskError, TaskOptions, WorkerId};
use poniard_pool::travel::{self, Piece, Visit};
use poniard_pool::{AnyHandle, Demand, Extra, image};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A task of another worker that has arrived.
#[derive(Debug)]
pub(crate) struct Guest {
    run: Run,
    /// Its arguments, or why they cannot be had.
    pieces: io::Result<VecDeque<Piece>>,
}

/// How a task ended on another worker than its owner, with what it made.
pub(crate) type Ended = Outcome<Encoded>;

impl Guest {
    /// Opens the arguments of a task that has come from its owner; `None` when that is gone.
    pub(crate) fn arrive(mut run: Run, from: WorkerId, desk: &mut Desk) -> Option<Guest> {
        let open = |piece| match piece {
            PieceTold::Value(bytes) => desk.open(bytes, from).map(Piece::Value),
            PieceTold::Result { task, name, at } => Ok(desk.result(from, task, &name, at)),
            PieceTold::Count(count) => Ok(Piece::Count(count)),
            PieceTold::Datum(handle) => Ok(Piece::Datum(desk.handles.receive_one(handle))),
        };
        let pieces: io::Result<VecDeque<Piece>> =
            std::mem::take(&mut run.pieces).into_iter().map(open).collect();
        let is_gone = pieces.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        (!is_gone).then_some(Guest { run, pieces })
    }

    pub(crate) fn task(&self) -> poniard_model::TaskId {
        self.run.task
    }

    /// Whether its result stays here.
    pub(crate) fn rest(&self) -> RestTold {
        self.run.rest
    }
}

/// Launches a task of another worker; `reply` is told of its end and how long it ran, or why it could not begin.
pub(crate) fn launch(
    build: SameBuild,
    Guest { run, pieces }: Guest,
    reply: impl FnOnce(Duration, Ended) + Send + Clone + 'static,
) -> Option<AnyHandle> {
    let refuse = |cause: Cause| {
        let error = TaskError::without_task(cause);
        reply.clone()(Duration::ZERO, Ended::Failed(error.told_cause(&image::site_offset), 1));
        None
    };
    let Some(site) = build.site_told(run.site) else {
        return refuse(Cause::scheduling("there is no spawn where it says that it was spawned"));
    };
    let pieces = match pieces {
        Ok(pieces) => pieces,
        Err(error) => return refuse(Cause::scheduling(error.to_string())),
    };
    let told = reply.clone();
    let ended = move |ran, outcome| {
        let outcome = match outcome {
            travel::Outcome::Made(value) => Ended::Made(value),
            travel::Outcome::Stays(why) => Ended::Stays(why),
            travel::Outcome::Failed(error) => {
                let attempt = error.task().map_or(1, |task| task.attempt);
                Ended::Failed(error.told_cause(&image::site_offset), attempt)
            }
        };
        told(ran, outcome);
    };
    let mut extra = extra_of(run.demand);
    extra.timeout = run.attempts.timeout;
    extra.retries = match run.attempts.retries.map(|told| retries_of(told, build)).transpose() {
        Ok(retries) => retries,
        Err(cause) => return refuse(cause),
    };
    extra.inherited = match run.inherited.map(|told| inherited_of(*told, build)).transpose() {
        Ok(inherited) => inherited,
        Err(cause) => return refuse(cause),
    };
    let visit = Visit { task: run.task, body: 0, site, extra, pieces, reply: Box::new(ended) };
    match build.launch(run.entry, run.body, visit) {
        Ok(task) => Some(task),
        Err(unmovable) => refuse(Cause::scheduling(format!("cannot be read: {unmovable}"))),
    }
}

/// What a task asked for, as it is told to another worker.
pub(crate) fn demand_told(extra: &Extra) -> DemandTold {
    let Demand { priority, share, width, fits: _, memory, time } = extra.demand;
    DemandTold {
        name: extra.name.as_deref().map(str::to_owned),
        priority,
        share,
        width,
        fits: None,
        memory,
        nanoseconds: time.as_nanos() as u64,
    }
}

/// How a task is tried where it goes, if that is decided there.
///
/// # Errors
/// When the filter of its retries cannot be told.
pub(crate) fn attempts_told(extra: &Extra) -> Result<AttemptsTold, String> {
    Ok(AttemptsTold {
        retries: extra.retries.as_ref().map(retries_told).transpose()?,
        timeout: extra.timeout,
    })
}

/// What a task hands to those that it spawns, as it is told to another worker.
///
/// # Errors
/// When the filter of its retries cannot be told.
pub(crate) fn inherited_told(extra: &Extra) -> Result<Option<Box<InheritedTold>>, String> {
    let told = |options: &Arc<TaskOptions>| {
        let retries = options.retries.as_ref().map(retries_told).transpose()?;
        Ok(Box::new(InheritedTold { options: (**options).clone(), retries }))
    };
    extra.inherited.as_ref().map(told).transpose()
}

fn inherited_of(told: InheritedTold, build: SameBuild) -> Result<Arc<TaskOptions>, Cause> {
    let retries = told.retries.map(|told| retries_of(told, build)).transpose()?;
    Ok(Arc::new(TaskOptions { retries, ..told.options }))
}

fn retries_told(retries: &Retries) -> Result<RetriesTold, String> {
    let Retries { max, on_error, backoff, backoff_max, filter } = retries.clone();
    let filter = filter.map(|filter| {
        let offset = image::code_offset(filter as usize);
        offset.ok_or_else(|| {
            "the filter of its retries is part of a shared library, not of the executable".to_owned()
        })
    });
    Ok(RetriesTold { max, on_error, backoff, backoff_max, filter: filter.transpose()? })
}

fn retries_of(told: RetriesTold, build: SameBuild) -> Result<Retries, Cause> {
    let RetriesTold { max, on_error, backoff, backoff_max, filter } = told;
    let none = || Cause::scheduling("there is no code where the filter of its retries should be");
    let filter = filter.map(|offset| build.filter(offset).ok_or_else(none)).transpose()?;
    Ok(Retries { max, on_error, backoff, backoff_max, filter })
}

fn extra_of(told: DemandTold) -> Extra {
    let mut extra = Extra::default();
    extra.name = told.name.map(Into::into);
    extra.demand = Demand {
        priority: told.priority,
        share: told.share,
        width: told.width,
        fits: told.fits.map(Into::into),
        memory: told.memory,
        time: Duration::from_nanos(told.nanoseconds),
    };
    extra
}
