//! Blocks that are made again instead of written and read.

use super::*;

/// Runs the trace with results that can be made again; tells what was moved, and the most that was in use.
fn run_remade(trace: &[Step], room: u64) -> (Moved, u64) {
    let mut machine = Machine::new(Limits { budget: room * BLOCK, spill: 0, window: 0, ..Limits::default() });
    machine.spill = Spill::Remade;
    let tasks = || trace.iter().enumerate().map(|(number, step)| (TaskId(number as u64), step));
    tasks().for_each(|(task, step)| machine.submit(task, step));
    tasks().for_each(|(task, step)| machine.run(task, step));
    (machine.moved, machine.peak)
}

#[test]
fn a_second_scan_makes_again_what_did_not_fit_and_writes_nothing() {
    let (moved, peak) = run_remade(&scans(10, 2), 4);
    // Of ten blocks four are there when each scan begins: the least that can be.
    assert_eq!(moved, Moved { written: 0, read: 0, remade: 12 });
    assert_eq!(peak, 4 * BLOCK);
}

#[test]
fn what_a_block_was_made_of_is_made_again_first() {
    // Each block of the one before; then the last is read when there was room for none of them.
    let chain = (0..8).map(|i| if i == 0 { make(0) } else { step(i - 1, Some(i), Held::Keep) });
    let other = Step { makes: Some(100), ..Step::default() };
    let drop_it = Step { reads: vec![100], makes: None, drops: vec![100] };
    let trace: Vec<Step> = chain
        .chain([
            other,
            Step { reads: vec![100], makes: Some(101), ..Step::default() },
            drop_it,
            step(7, None, Held::Keep),
        ])
        .collect();
    let (moved, peak) = run_remade(&trace, 2);
    assert_eq!((moved.written, moved.read), (0, 0));
    assert!((1..=8).contains(&moved.remade), "{moved:?}");
    assert!(peak <= 3 * BLOCK, "one block at a time comes back, beside what it is made of: {peak}");
}
