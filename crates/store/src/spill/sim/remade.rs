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

#[test]
fn a_tree_is_made_again_depth_first() {
    // 64 leaves, and sums of two each, up to the root: block n has the children 2n and 2n + 1.
    let sums =
        (1..64).rev().map(|n| Step { reads: vec![2 * n, 2 * n + 1], makes: Some(n), ..Step::default() });
    let others = [
        Step { makes: Some(200), ..Step::default() },
        step(200, Some(201), Held::Drop),
        step(201, None, Held::Drop),
    ];
    let trace: Vec<Step> =
        (64..128).map(make).chain(sums).chain(others).chain([step(1, None, Held::Keep)]).collect();
    for room in [3, 4, 8] {
        let (moved, peak) = run_remade(&trace, room);
        assert_eq!((moved.written, moved.read), (0, 0));
        assert!(moved.remade > 0);
        // What goes on side by side within the room; then one path: a block for each of six levels, and what a sum reads.
        assert!(peak <= (room + 6 + 2) * BLOCK, "{room} {moved:?} {}", peak / BLOCK);
    }
}

#[test]
fn what_can_be_dropped_is_found_behind_what_cannot_be_written() {
    let mut machine = Machine::new(Limits { budget: 16 * BLOCK, spill: 0, window: 0, ..Limits::default() });
    let made =
        |id: u64, spill| Made { chunk: ChunkId(id), bytes: BLOCK, spill, is_held: false, is_remote: false };
    (0..9).for_each(|id| machine.tell(Event::Made(made(id, Spill::Allowed))));
    for id in 9..16 {
        machine.tell(Event::Made(made(id, Spill::Remade)));
        // It is needed, so what nobody is known to need would leave before it.
        machine.tell(Event::Submitted { task: TaskId(id), inputs: vec![ChunkId(id)], result: 0 });
    }
    machine.submit(TaskId(100), &make(100));
    machine.run(TaskId(100), &make(100));
    assert_eq!(machine.moved, Moved::default());
}
