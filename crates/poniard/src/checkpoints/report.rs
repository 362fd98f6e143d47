//! Failures of checkpoints: they are told, and stop nobody.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Lines that are remembered so that they are not told twice; a program with more different ones is told them all.
const REMEMBERED_MAX: usize = 1000;

/// Tells a line on the standard error, once.
pub(crate) fn tell(line: String) {
    static TOLD: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let line = line.replace('\n', "\\n");
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let told = told.get_or_insert_default();
    if told.contains(&line) {
        return;
    }
    eprintln!("{line}");
    if told.len() < REMEMBERED_MAX {
        told.insert(line);
    }
}
