//! Why a task has not ended, or how it has: in one line.

use poniard_model::{Site, TaskId};
use poniard_pool::travel::{Origin, origin_of};
use poniard_pool::{AnyHandle, Standing};

/// The task, and why it has not ended or how it has. What it says was so a moment ago.
pub fn explain(task: &AnyHandle) -> String {
    let me = poniard_pool::me();
    let stops =
        task.asked_to_stop().map(|asked| format!(", and was cancelled {:.1} s ago", asked.as_secs_f64()));
    let stops = stops.unwrap_or_default();
    let origin = origin_of(task.id());
    let why = match task.standing() {
        Standing::Done => "has ended well".to_owned(),
        Standing::Failed => return task.error().map_or_else(String::new, ToString::to_string),
        _ if origin.is_some() => origin.map_or_else(String::new, |Origin { owner, task }| {
            format!("is {owner}'s task {task}: its result comes from there when somebody here needs it")
        }),
        Standing::Held => "is held back by a region, or nobody has asked for it yet".to_owned(),
        Standing::Waits { inputs: 1 } => "waits for one task, or turn, that has not ended".to_owned(),
        Standing::Waits { inputs } => format!("waits for {inputs} tasks, or turns, that have not ended"),
        Standing::Ready => format!("is ready, and waits for a processor of {me}"),
        Standing::Runs { on: Some(processor) } => format!("runs on {processor}{stops}"),
        Standing::Runs { on: None } => {
            format!("runs on {me}, and waits in the middle or needs no processor{stops}")
        }
        Standing::Away => {
            let why = crate::workers::explain(task.id());
            why.map_or_else(|| "is with another worker".to_owned(), |why| why.to_string())
        }
        _ => "has begun, and waits for memory, a future, or its next attempt".to_owned(),
    };
    format!("{} {why}", described(&task.name(), task.id(), task.site()))
}

/// What a task is called, and where it was spawned.
pub(crate) fn described(name: &str, task: TaskId, site: &Site) -> String {
    format!("task `{name}` ({task}, {site})")
}

/// The same of the task of this number.
///
/// # Errors
/// When there is none in sight.
#[cfg(feature = "cluster")]
pub(crate) fn explain_number(task: TaskId) -> Result<String, String> {
    use poniard_pool::{Found, find};
    match find(task) {
        Found::Task(handle) => Ok(explain(&handle)),
        Found::Runs(running) => {
            let on = match running.on {
                Some(processor) => format!("runs on {processor}"),
                None => "runs, and waits in the middle or needs no processor".to_owned(),
            };
            Ok(format!("{} {on}", described(&running.name, task, running.site)))
        }
        Found::Never => Err(format!("{task} is no task of this program: it has not spawned so many")),
        _ => Err(out_of_sight(task)),
    }
}

/// A task that only its handles lead to.
#[cfg(feature = "cluster")]
fn out_of_sight(task: TaskId) -> String {
    let running = poniard_pool::status().tasks;
    let named = running.iter().take(LISTED_MAX);
    let named: Vec<String> =
        named.map(|running| described(&running.name, running.task, running.site)).collect();
    let what = match running.len().saturating_sub(LISTED_MAX) {
        _ if named.is_empty() => "nothing runs there now".to_owned(),
        0 => format!("there run: {}", named.join("; ")),
        more => format!("there run: {}; and {more} more", named.join("; ")),
    };
    let me = poniard_pool::me();
    format!(
        "{task} has ended; or it is ready, or waits for tasks that run or are ready, in {me}, where only its handle finds \
         it (`explain`); {what}"
    )
}

/// Running tasks that are named in one line.
#[cfg(feature = "cluster")]
const LISTED_MAX: usize = 8;
