//! What the workers do, as a table for people.

use crate::status::{TaskCounts, WorkerMemory, WorkerStatus};
use poniard_model::WorkerId;

const HEAD: [&str; 12] = [
    "worker",
    "node",
    "processors",
    "running",
    "ready",
    "waiting",
    "done",
    "failed",
    "copied",
    "lent",
    "memory",
    "on disk",
];
/// Columns of words; the others are numbers, and end at one line.
const WORDS: usize = 2;

/// A line for each worker below their head, and one for each of those that are gone.
pub(crate) fn table(workers: &[WorkerStatus], gone: &[(WorkerId, String)]) -> String {
    let mut rows: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(workers.iter().map(row));
    let width = |column: usize| {
        let lengths = rows.iter().filter_map(|row| Some(row.get(column)?.chars().count()));
        lengths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut lines: Vec<String> = Vec::new();
    let notes = std::iter::once(Vec::new()).chain(workers.iter().map(notes));
    for (row, notes) in rows.iter().zip(notes) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column < WORDS {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        lines.push([vec![line.trim_end().to_owned()], notes].concat().join("  "));
    }
    lines.extend(gone.iter().map(|(worker, how)| format!("{worker} is gone: {how}")));
    lines.join("\n") + "\n"
}

fn row(worker: &WorkerStatus) -> Vec<String> {
    let processors = worker.processors.to_string();
    let mut row = vec![worker.worker.to_string(), worker.node.clone(), processors];
    let Some(TaskCounts { waiting, ready, running, done, failed }) = worker.tasks else { return row };
    row.extend([running, ready, waiting, done, failed].map(|count| count.to_string()));
    let WorkerMemory { budget_bytes, resident_bytes, stored_bytes } = worker.memory;
    row.extend([worker.traffic.copied_bytes, worker.traffic.lent_bytes].map(size));
    row.push(format!("{} of {}", size(resident_bytes), size(budget_bytes)));
    row.push(size(stored_bytes));
    row
}

/// What there is to say of a worker beyond its numbers.
fn notes(worker: &WorkerStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if worker.tasks.is_none() {
        notes.push("does not answer".to_owned());
    }
    if worker.is_leaving {
        notes.push("leaves".to_owned());
    }
    if !worker.labels.is_empty() {
        notes.push(format!("labels {}", worker.labels.join(",")));
    }
    if worker.lost_processors > 0 {
        notes.push(format!("{} lost to tasks that were cancelled", worker.lost_processors));
    }
    notes
}

/// Bytes in the largest unit of which there is one, with a digit behind the point.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..UNITS.len() - 1).find(|unit| bytes >> (10 * (unit + 1)) == 0).unwrap_or(UNITS.len() - 1);
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{:.1} {}", bytes as f64 / (1u64 << (10 * unit)) as f64, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Doing;
    use crate::traffic::Traffic;

    fn status(worker: u32, doing: Option<Doing>) -> WorkerStatus {
        let node = "far-away".to_owned();
        WorkerStatus { node, processors: 2, ..WorkerStatus::of(WorkerId(worker), doing) }
    }

    #[test]
    fn numbers_stand_below_each_other_and_words_behind_them() {
        let tasks = TaskCounts { waiting: 12345, ready: 0, running: 2, done: 9, failed: 1 };
        let memory = WorkerMemory { budget_bytes: 4 << 30, resident_bytes: 3 << 19, stored_bytes: 0 };
        let traffic = Traffic { copied_bytes: 2048, lent_bytes: 7, ..Traffic::default() };
        let doing = Doing { tasks, lost_processors: 1, traffic, memory };
        let text = table(
            &[status(1, Some(doing)), status(10, None)],
            &[(WorkerId(3), "its process was killed by signal 9".to_owned())],
        );
        let wanted = "\
worker  node      processors  running  ready  waiting  done  failed   copied  lent              memory  on disk
w1      far-away           2        2      0    12345     9       1  2.0 KiB   7 B  1.5 MiB of 4.0 GiB      0 B  1 lost to tasks that were cancelled
w10     far-away           2  does not answer
w3 is gone: its process was killed by signal 9
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_size_has_the_largest_unit_that_it_fills() {
        let sizes = [0, 1023, 1024, 1536 << 10, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777216.0 TiB"]);
    }
}
