//! Why a task cannot be run.

use crate::life::{Death, Life};
use poniard_model::TaskId;
use std::fmt;
use std::time::Duration;

/// Why a task cannot be run. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No worker fits its scope, and none that ever was here did.
    NoProcessor {
        /// What was asked, what there is, and what cut it.
        reason: String,
    },
    /// The workers that fit are gone, and none came in time.
    NoWorkers {
        /// How long it waited.
        waited: Duration,
        /// What was asked, what there is, and what cut it.
        reason: String,
    },
    /// Workers died while they ran it.
    WorkerLost {
        /// Who, and by which signals.
        deaths: Vec<Death>,
    },
    /// It reads data that lived on a worker that is gone, and nowhere else.
    StateLost {
        /// Who.
        on: Life,
    },
    /// It reads a result that is lost and cannot be made again.
    InputLost {
        /// The task that made it.
        input: TaskId,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoProcessor { reason } => f.write_str(reason),
            Failure::NoWorkers { waited, reason } => {
                write!(f, "{reason}; no such worker came for {:.1} s", waited.as_secs_f64())
            }
            Failure::WorkerLost { deaths } => {
                let words: Vec<String> = deaths.iter().map(ToString::to_string).collect();
                write!(f, "{} workers died while they ran it: {}", deaths.len(), words.join(", "))
            }
            Failure::StateLost { on } => write!(f, "it uses data that lived on {on}, which is gone"),
            Failure::InputLost { input } => {
                write!(f, "the result of {input} is lost, and cannot be made again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_model::WorkerId;

    #[test]
    fn a_killer_task_is_told_with_the_signals() {
        let death = |worker, signal| Death { of: Life { worker: WorkerId(worker), incarnation: 0 }, signal };
        let deaths = vec![death(2, Some(11)), death(3, Some(6)), death(4, None)];
        let text = Failure::WorkerLost { deaths }.to_string();
        assert_eq!(
            text,
            "3 workers died while they ran it: w2 by signal 11 (a wrong address or a full stack: too deep a recursion), \
             w3 by signal 6, w4"
        );
    }
}
