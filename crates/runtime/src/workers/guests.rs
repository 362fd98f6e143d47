//! Tasks of other workers that run here.

use crate::code::SameBuild;
use crate::message::{Bytes, DemandTold, Outcome, PieceTold, Run};
use poniard_model::codec::Encoded;
use poniard_model::{Cause, TaskError};
use poniard_pool::travel::{self, Arrived, Visit};
use poniard_pool::{AnyHandle, Demand, Extra, image};
use std::time::Duration;

/// Launches a task of another worker; `reply` is told of its end and how long it ran, or why it could not begin.
pub(crate) fn launch(
    build: SameBuild,
    run: Run,
    reply: impl FnOnce(Duration, Outcome) + Send + Clone + 'static,
) -> Option<AnyHandle> {
    let refuse = |cause: Cause| {
        let error = TaskError::without_task(cause);
        reply.clone()(Duration::ZERO, Outcome::Failed(error.told_cause(&image::site_offset)));
        None
    };
    let Some(site) = build.site(run.site) else {
        return refuse(Cause::scheduling("there is no spawn where it says that it was spawned"));
    };
    let arrived = |piece| match piece {
        PieceTold::Value(bytes) => Arrived::Value(Encoded::from(bytes)),
        PieceTold::Count(count) => Arrived::Count(count),
    };
    let pieces = run.pieces.into_iter().map(arrived).collect();
    let told = reply.clone();
    let ended = move |ran, outcome| {
        let outcome = match outcome {
            travel::Outcome::Made(value) => Outcome::Made(Bytes::from(&value)),
            travel::Outcome::Stays(why) => Outcome::Stays(why),
            travel::Outcome::Failed(error) => Outcome::Failed(error.told_cause(&image::site_offset)),
        };
        told(ran, outcome);
    };
    let extra = extra_of(run.demand);
    let visit = Visit { body: 0, site, extra, pieces, reply: Box::new(ended) };
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
