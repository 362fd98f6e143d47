//! What a user may ask for one task.

use crate::failure::TaskError;
use crate::ids::WorkerId;
use crate::scope::Scope;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use std::time::Duration;

/// What a user may ask for one task; a field that is `None` was not asked for. Written without its retries: their filter is code.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TaskOptions {
    /// The task's name in errors, traces and status.
    #[serde(serialize_with = "write_shared", deserialize_with = "read_text")]
    pub name: Option<Arc<str>>,
    /// Where the task may run.
    pub scope: Option<Scope>,
    /// Where the task may run, in place of `scope` when both are set.
    pub compute_scope: Option<Scope>,
    /// Where the result may be: the task, and those that use its result, run there.
    pub result_scope: Option<Scope>,
    /// The only worker on which the task may run.
    pub single: Option<WorkerId>,
    /// Of several ready tasks the one with the highest priority starts first; 0 unless set.
    pub priority: Option<i32>,
    /// The share of a processor that the task holds.
    pub occupancy: Option<Occupancy>,
    /// How many processors the task holds, because it runs that many threads itself.
    pub threads: Option<u32>,
    /// Bytes that the task will allocate.
    pub memory: Option<u64>,
    /// How long the task is expected to run.
    pub time: Option<Duration>,
    /// How often a failed task is run again.
    #[serde(skip)]
    pub retries: Option<Retries>,
    /// How long one attempt may run.
    pub timeout: Option<Duration>,
    /// Names of the options that this task hands to the tasks which it spawns.
    #[serde(serialize_with = "write_shared", deserialize_with = "read_names")]
    pub propagates: Option<Arc<[&'static str]>>,
    /// Keep the result as a raw value rather than behind a handle; never changes what is seen.
    pub get_result: Option<bool>,
    /// Keep the result until it is released by hand.
    pub persist: Option<bool>,
    /// Make a large result again instead of writing it to disk.
    pub cache: Option<bool>,
    /// Where a large result may be.
    pub storage: Option<Storage>,
}

/// Where a large result may be while nobody uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Storage {
    /// In memory as long as there is room, else on disk.
    #[default]
    Any,
    /// In memory, whatever else has to go for it.
    Memory,
    /// On disk: it leaves memory whenever nobody uses it, and others have the room.
    Disk,
}

/// Calls a macro with the names of all options.
macro_rules! all_options {
    ($call:ident!($($first:tt)*)) => {
        $call!($($first)* name, scope, compute_scope, result_scope, single, priority, occupancy, threads, memory, time, retries,
               timeout, propagates, get_result, persist, cache, storage)
    };
}

impl TaskOptions {
    /// These options where they are set, `weaker` ones elsewhere.
    #[must_use]
    pub fn or(self, weaker: &TaskOptions) -> TaskOptions {
        macro_rules! merged {
            ($($field:ident),*) => {
                TaskOptions { $($field: self.$field.or_else(|| weaker.$field.clone())),* }
            };
        }
        all_options!(merged!())
    }

    /// Whether anything is asked for.
    pub fn is_set(&self) -> bool {
        macro_rules! any {
            ($options:expr; $($field:ident),*) => { false $(|| $options.$field.is_some())* };
        }
        all_options!(any!(self;))
    }

    /// Those of these options that are named in `propagates`; the unnamed ones are not set.
    ///
    /// # Errors
    /// The first name that is no option.
    pub fn propagated(&self) -> Result<TaskOptions, &'static str> {
        let mut handed = TaskOptions::default();
        macro_rules! hand {
            ($name:expr; $($field:ident),*) => {
                match $name {
                    $(stringify!($field) => handed.$field = self.$field.clone(),)*
                    unknown => return Err(unknown),
                }
            };
        }
        for name in self.propagates.iter().flat_map(|names| names.iter()) {
            all_options!(hand!(*name;));
        }
        Ok(handed)
    }
}

fn write_shared<T: Serialize + ?Sized, S: Serializer>(
    shared: &Option<Arc<T>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    shared.as_deref().serialize(to)
}

fn read_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Into::into))
}

/// The names of options as the program has them: they may come from another process.
fn read_names<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<[&'static str]>>, D::Error> {
    macro_rules! named {
        ($name:expr; $($field:ident),*) => {
            match $name {
                $(stringify!($field) => Ok(stringify!($field)),)*
                unknown => Err(D::Error::custom(format!("`{unknown}` is no option"))),
            }
        };
    }
    let names = Option::<Vec<String>>::deserialize(from)?;
    names.map(|names| names.iter().map(|name| all_options!(named!(name.as_str();))).collect()).transpose()
}

/// The share of a processor that a task holds while it runs, from 0 to 1.
///
/// 1, the default, keeps every other task off the processor. 0 never blocks anybody: such a task
/// only waits for the outside (IO, a sleep). Shares between add up to at most 1 on one processor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Occupancy {
    /// The share of a CPU processor.
    pub cpu: f64,
}

impl From<f64> for Occupancy {
    fn from(cpu: f64) -> Occupancy {
        Occupancy { cpu }
    }
}

impl From<i32> for Occupancy {
    fn from(cpu: i32) -> Occupancy {
        Occupancy { cpu: f64::from(cpu) }
    }
}

/// How often, after what and how soon a failed task is run again.
///
/// ```
/// use poniard_model::Retries;
/// use std::time::Duration;
/// let retries = Retries::new(3).on_error(true).backoff(Duration::from_millis(10));
/// assert_eq!(retries.delay(2), Duration::from_millis(20)); // doubled for each attempt after the first
/// ```
#[derive(Clone, Debug)]
pub struct Retries {
    /// Attempts after the first one.
    pub max: u32,
    /// Whether a panic or an error that the task returned counts, or only a lost worker or a timeout.
    pub on_error: bool,
    /// The pause before the second attempt; it doubles for each one after that.
    pub backoff: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// Which failures are worth another attempt; all of them when not set.
    pub filter: Option<fn(&TaskError) -> bool>,
}

impl Retries {
    /// Up to `max` attempts after the first, at once, after any failure.
    pub fn new(max: u32) -> Retries {
        let backoff_max = Duration::from_secs(60);
        Retries { max, on_error: true, backoff: Duration::ZERO, backoff_max, filter: None }
    }

    /// Whether the task's own errors and panics count; `false` leaves lost workers and timeouts.
    #[must_use]
    pub fn on_error(mut self, on_error: bool) -> Retries {
        self.on_error = on_error;
        self
    }

    /// The pause before the second attempt; doubled for each one after that, up to a minute.
    #[must_use]
    pub fn backoff(mut self, first: Duration) -> Retries {
        self.backoff = first;
        self
    }

    /// Tries again only after failures for which `filter` is true.
    #[must_use]
    pub fn filter(mut self, filter: fn(&TaskError) -> bool) -> Retries {
        self.filter = Some(filter);
        self
    }

    /// The pause after attempt number `attempt` (from 1).
    pub fn delay(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.backoff.saturating_mul(1 << doublings).min(self.backoff_max)
    }

    /// Whether attempt number `attempt` (from 1) that ended in `error` is followed by another.
    pub fn again(&self, attempt: u32, error: &TaskError) -> bool {
        let counts = self.on_error || error.is_worker_lost() || error.is_timeout();
        attempt <= self.max
            && counts
            && !error.is_cancelled()
            && !error.is_scheduling()
            && self.filter.is_none_or(|worth| worth(error))
    }
}

impl From<u32> for Retries {
    fn from(max: u32) -> Retries {
        Retries::new(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_call_asks_wins_over_the_region() {
        let call = TaskOptions { priority: Some(5), ..TaskOptions::default() };
        let region = TaskOptions { priority: Some(1), threads: Some(2), ..TaskOptions::default() };
        let merged = call.or(&region);
        assert_eq!((merged.priority, merged.threads), (Some(5), Some(2)));
    }

    #[test]
    fn only_named_options_propagate() {
        let options = TaskOptions {
            priority: Some(5),
            threads: Some(2),
            propagates: Some(["priority"].into()),
            ..TaskOptions::default()
        };
        let handed = options.propagated().unwrap();
        assert_eq!((handed.priority, handed.threads), (Some(5), None));
        let wrong = TaskOptions { propagates: Some(["prio"].into()), ..TaskOptions::default() };
        assert_eq!(wrong.propagated().unwrap_err(), "prio");
    }

    #[test]
    fn options_go_from_process_to_process() {
        let options = TaskOptions {
            name: Some("name".into()),
            scope: Some(Scope::worker(2)),
            propagates: Some(["priority", "name"].into()),
            storage: Some(Storage::Disk),
            ..TaskOptions::default()
        };
        let written = postcard::to_allocvec(&options).unwrap();
        let read: TaskOptions = postcard::from_bytes(&written).unwrap();
        assert_eq!(format!("{read:?}"), format!("{options:?}"));
        let wrong = TaskOptions { propagates: Some(["prio"].into()), ..TaskOptions::default() };
        assert!(postcard::from_bytes::<TaskOptions>(&postcard::to_allocvec(&wrong).unwrap()).is_err());
    }

    #[test]
    fn pauses_double_up_to_the_bound() {
        let retries = Retries::new(9).backoff(Duration::from_secs(1));
        let pauses: Vec<u64> = (1..=8).map(|attempt| retries.delay(attempt).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retries.delay(u32::MAX), Duration::from_secs(60));
    }
}
