//! What the workers do, as JSON for programs.

use crate::status::WorkerStatus;
use poniard_model::WorkerId;

/// An object of these names and values, which are JSON already.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields = fields.into_iter().map(|(name, value)| format!("{}:{value}", string(name)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// A list of values, which are JSON already.
pub(crate) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

/// A text.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\u{0}'..='\u{1f}' => json += &format!("\\u{:04x}", c as u32),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// The workers, those that are gone, and what is said of tasks that do not stop.
pub(crate) fn status(workers: &[WorkerStatus], gone: &[(WorkerId, String)], overdue: &[String]) -> String {
    let gone =
        gone.iter().map(|(worker, how)| object([("worker", worker.0.to_string()), ("how", string(how))]));
    object([
        ("pid", std::process::id().to_string()),
        ("workers", array(workers.iter().map(worker))),
        ("gone", array(gone)),
        ("overdue", array(overdue.iter().map(|line| string(line)))),
    ])
}

fn worker(worker: &WorkerStatus) -> String {
    let tasks = worker.tasks.map_or_else(
        || "null".to_owned(),
        |tasks| {
            object([
                ("waiting", tasks.waiting.to_string()),
                ("ready", tasks.ready.to_string()),
                ("running", tasks.running.to_string()),
                ("done", tasks.done.to_string()),
                ("failed", tasks.failed.to_string()),
            ])
        },
    );
    let memory = object([
        ("budget_bytes", worker.memory.budget_bytes.to_string()),
        ("resident_bytes", worker.memory.resident_bytes.to_string()),
        ("stored_bytes", worker.memory.stored_bytes.to_string()),
    ]);
    object([
        ("worker", worker.worker.0.to_string()),
        ("node", string(&worker.node)),
        ("labels", array(worker.labels.iter().map(|label| string(label)))),
        ("processors", worker.processors.to_string()),
        ("lost_processors", worker.lost_processors.to_string()),
        ("is_leaving", worker.is_leaving.to_string()),
        ("answers", worker.tasks.is_some().to_string()),
        ("tasks", tasks),
        ("copied_bytes", worker.traffic.copied_bytes.to_string()),
        ("lent_bytes", worker.traffic.lent_bytes.to_string()),
        ("memory", memory),
        ("tasks_of_w1", worker.ours.0.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        assert_eq!(string("a \"b\" \\ c\n\u{1}ü"), r#""a \"b\" \\ c\u000a\u0001ü""#);
    }

    #[test]
    fn who_does_not_answer_has_no_tasks() {
        let text =
            status(&[WorkerStatus::of(WorkerId(7), None)], &[(WorkerId(3), "it \"ended\"".into())], &[]);
        assert!(text.contains(r#""worker":7,"node":"","labels":[],"processors":0"#), "{text}");
        assert!(text.contains(r#""answers":false,"tasks":null"#), "{text}");
        assert!(text.ends_with(r#""gone":[{"worker":3,"how":"it \"ended\""}],"overdue":[]}"#), "{text}");
    }
}
