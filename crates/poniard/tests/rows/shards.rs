//! Values of which each worker, or each processor, has one.

use crate::alone::{ONE_PROCESS, alone, alone_with};
use crate::signals::{Gate, LIMIT, Meeting, Seen, linger};
use poniard::prelude::*;
use poniard::{ProcessorId, TaskId};
use std::sync::mpsc::channel;

fn identity<T: Clone>(x: &T) -> T {
    x.clone()
}

fn add(bins: &mut [u64], samples: Vec<usize>) {
    samples.into_iter().for_each(|sample| bins[sample] += 1);
}

/// The processor that runs this.
fn here() -> ProcessorId {
    current_processor().expect("a task has a processor")
}

fn cpu(index: u32) -> ProcessorId {
    ProcessorId { worker: WorkerId(1), index }
}

/// Numbers that look random, the same in each run.
fn samples(count: usize, below: usize, seed: u64) -> Vec<usize> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..count).map(step).collect()
}

#[test]
fn a23_the_expression_is_evaluated_once_for_each_piece() {
    alone_with(3, &[ONE_PROCESS], || {
        let x = shard!(current_task().unwrap().id);
        assert_eq!(x.len(), 1, "one worker");
        let y = shard!((current_task().unwrap().id, here()), per_thread = true);
        let pieces: Vec<(TaskId, ProcessorId)> =
            y.pieces().iter().map(|piece| piece.fetch().unwrap()).collect();
        let places: Vec<ProcessorId> = pieces.iter().map(|(_, place)| *place).collect();
        assert_eq!(places, [cpu(0), cpu(1), cpu(2)], "each where it lives, in order");
        let mut tasks: Vec<TaskId> = pieces.iter().map(|(task, _)| *task).collect();
        tasks.dedup();
        assert_eq!(tasks.len(), 3, "and independently");
        let some = shard!(here(), procs = [cpu(2), cpu(0), cpu(2)]);
        assert_eq!(some.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap(), [cpu(2), cpu(0)]);
        let within = shard!(here(), scope = !Scope::thread(1), per_thread = true);
        assert_eq!(within.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap(), [cpu(0), cpu(2)]);
        assert_eq!(shard!(0, workers = [1], per_thread = true).len(), 3);
        assert_eq!((shard!(0, workers = workers()).len(), shard!(0, scope = Scope::worker(1)).len()), (1, 1));
    });
}

#[test]
fn a24_a_task_gets_the_piece_of_where_it_runs() {
    alone_with(3, &[ONE_PROCESS], || {
        let x = shard!(my_id());
        for w in workers() {
            assert_eq!(spawn!(identity(&x), scope = Scope::worker(w)).fetch().unwrap(), w);
        }
        let y = shard!(here(), per_thread = true);
        for index in 0..3 {
            let scope = Scope::thread(index);
            assert_eq!(spawn!(identity(&y), scope = scope).fetch().unwrap(), cpu(index));
        }
        fn matches(piece: &ProcessorId, worker: &WorkerId) -> bool {
            *piece == here() && *worker == my_id()
        }
        let seen = Seen::nothing();
        for _ in 0..100 {
            assert!(spawn!(matches(&y, &x)).fetch().unwrap());
            let place = spawn!(move place = &y => *place).fetch().unwrap().0;
            seen.add(place.index);
        }
        assert_eq!(seen.all(), [0, 1, 2], "no piece is left out");
        assert_eq!(lazy!(identity(&y), scope = Scope::thread(2)).collect().unwrap(), cpu(2));
        assert!(spawn(|place: &ProcessorId| *place == here(), (&y,)).fetch().unwrap());
    });
}

#[test]
fn a25_changes_to_a_piece_stay_and_touch_no_other() {
    alone_with(2, &[ONE_PROCESS], || {
        let mut bins = shard!(vec![0u64; 4], per_thread = true);
        for (index, sample) in [(0, 1), (1, 2), (0, 3)] {
            let scope = Scope::thread(index);
            spawn!(add(&mut bins, vec![sample]), scope = scope);
        }
        let pieces = bins.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        assert_eq!(pieces, [vec![0, 1, 0, 1], vec![0, 0, 1, 0]]);
        let mut all = bins.pieces();
        assert!(!all[0].is_same(&all[1]));
        all[1].with_mut(|bins| bins[0] = 7).unwrap();
        assert_eq!(spawn!(identity(&bins), scope = Scope::thread(1)).fetch().unwrap(), [7, 0, 1, 0]);
    });
}

#[test]
fn a26_tasks_with_two_shards_each_run_side_by_side_on_pieces_of_their_own() {
    fn update(x: &mut (ProcessorId, u32), y: &mut (ProcessorId, u32), meeting: &Pinned<Meeting>) -> bool {
        x.1 += 1;
        y.1 += 10;
        x.0 == here() && y.0 == here() && meeting.meet()
    }
    alone_with(2, &[ONE_PROCESS], || {
        let mut x = shard!((here(), 0u32), per_thread = true);
        let mut y = shard!((here(), 0u32), per_thread = true);
        let meeting = Meeting::of(2);
        let meeting = spawn!(move || meeting.clone());
        meeting.wait();
        let tasks: Vec<_> = (0..2).map(|_| spawn!(update(&mut x, &mut y, &meeting))).collect();
        assert_eq!(fetch_all(&tasks).unwrap(), [true, true], "at the same time");
        let counts = |shard: &Shard<(ProcessorId, u32)>| {
            shard.map(|piece| spawn!((|piece: &(ProcessorId, u32)| piece.1)(&piece))).fetch_all().unwrap()
        };
        assert_eq!((counts(&x), counts(&y)), (vec![1, 1], vec![10, 10]));
    });
}

#[test]
fn a27_tasks_on_a_piece_run_where_it_is() {
    fn both(piece: &ProcessorId) -> (ProcessorId, ProcessorId) {
        (*piece, here())
    }
    alone_with(3, &[ONE_PROCESS], || {
        let x = shard!(here(), per_thread = true);
        let mut calls = 0;
        let tasks = x.map(|piece| {
            calls += 1;
            spawn!(both(&piece))
        });
        assert_eq!((calls, tasks.len()), (3, 3));
        for (index, (piece, ran)) in tasks.fetch_all().unwrap().into_iter().enumerate() {
            assert_eq!((piece, ran), (cpu(index as u32), cpu(index as u32)));
        }
        let elsewhere = spawn!(both(&x.pieces()[1]), scope = Scope::thread(0)).fetch().unwrap_err();
        assert!(elsewhere.is_scheduling());
    });
}

#[test]
fn a28_a_histogram_by_shards_is_that_of_all_samples() {
    const SAMPLES: usize = 10_000;
    for per_thread in [false, true] {
        alone(4, move || {
            let mut bins = shard!(vec![0u64; 20], per_thread = per_thread);
            let all: Vec<Vec<usize>> =
                (0..bins.len() as u64).map(|seed| samples(SAMPLES, 20, seed)).collect();
            for (piece, samples) in bins.pieces().iter_mut().zip(&all) {
                spawn!(add(piece, samples.clone()));
            }
            let pieces = bins.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
            let totals: Vec<u64> = (0..20).map(|bin| pieces.iter().map(|piece| piece[bin]).sum()).collect();
            assert_eq!(totals.iter().sum::<u64>(), (SAMPLES * bins.len()) as u64);
            let mut serial = vec![0u64; 20];
            all.into_iter().for_each(|samples| add(&mut serial, samples));
            assert_eq!(totals, serial);
            // Whichever pieces the tasks get, nothing is lost.
            for samples in samples(100, 20, 9) {
                spawn!(add(&mut bins, vec![samples; 3]));
            }
            let pieces = bins.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
            assert_eq!(pieces.iter().flatten().sum::<u64>(), (SAMPLES * bins.len()) as u64 + 300);
        });
    }
}

#[test]
fn a_piece_has_one_writer_at_a_time_whatever_its_processor_runs() {
    alone_with(1, &[ONE_PROCESS], || {
        let mut bins = shard!(vec![0u64; 2], per_thread = true);
        let gate = Gate::aside();
        let waits = spawn!((|bins: &mut Vec<u64>, _: &Pinned<()>| bins[0] += 1)(&mut bins, &gate.task));
        let (ended, end) = channel();
        // It waits in the middle, so its processor runs others meanwhile; the piece stays its own.
        let middle = spawn!(move bins = &mut bins => {
            spawn!(|| 1).fetch().unwrap();
            ended.send(()).unwrap();
            bins[0] *= 10;
        }, occupancy = 0.5);
        let last = spawn!(add(&mut bins, vec![1]), occupancy = 0.25);
        linger();
        assert!(!waits.is_ready() && !middle.is_ready() && !last.is_ready());
        gate.open();
        end.recv_timeout(LIMIT).unwrap();
        last.fetch().unwrap();
        assert_eq!(bins.pieces()[0].fetch().unwrap(), [10, 1]);
        let mut clone = bins.clone();
        fn twice(_: &mut Vec<u64>, _: &mut Vec<u64>) {}
        assert!(spawn!(twice(&mut bins, &mut clone)).fetch().unwrap_err().is_scheduling());
    });
}

#[test]
fn the_piece_with_the_fewest_users_is_taken() {
    fn hold(_: &mut ProcessorId, _: &Pinned<()>) {}
    alone(2, || {
        let mut x = shard!(here(), per_thread = true);
        let gate = Gate::aside();
        let busy = spawn!(hold(&mut x, &gate.task), scope = Scope::thread(0));
        let tasks: Vec<_> = (0..10).map(|_| spawn!(identity(&x))).collect();
        assert!(fetch_all(&tasks[..1]).unwrap().contains(&cpu(1)));
        gate.open();
        busy.fetch().unwrap();
        wait_all(&tasks);
    });
}

#[test]
fn where_there_is_no_piece_the_task_fails_and_says_which_there_are() {
    alone(3, || {
        let x = shard!(here(), procs = [cpu(0), cpu(2)]);
        let error = spawn!(identity(&x), scope = Scope::thread(1)).fetch().unwrap_err();
        let text = error.to_string();
        assert!(error.is_scheduling() && text.contains("runs on w1/cpu1"), "{text}");
        assert!(text.contains("pieces for w1/cpu0, w1/cpu2 only"), "{text}");
        for _ in 0..10 {
            assert_ne!(spawn!(identity(&x)).fetch().unwrap(), cpu(1));
        }
        // Of two shards no processor has both pieces.
        let y = shard!(here(), procs = [cpu(1)]);
        fn both(_: &ProcessorId, _: &ProcessorId) {}
        assert!(spawn!(both(&x, &y)).fetch().unwrap_err().is_scheduling());
    });
}

#[test]
fn a_shard_that_cannot_be_made_is_the_error_of_its_tasks() {
    alone_with(2, &[ONE_PROCESS], || {
        let nobody = shard!(1, workers = Vec::<u32>::new());
        assert!(nobody.is_empty() && nobody.error().is_some());
        let error = spawn!(identity(&nobody)).fetch().unwrap_err();
        assert!(error.is_scheduling() && error.to_string().contains("`workers` names no worker"), "{error}");
        let none = shard!(1, procs = []);
        assert!(none.error().unwrap().to_string().contains("`procs` names no processor"));
        let nowhere = shard!(1, scope = Scope::thread(7));
        assert!(nowhere.error().unwrap().to_string().contains("`thread 7`"));
        let unknown = shard!(1, workers = [1, 2]);
        assert!(spawn!(identity(&unknown)).fetch().unwrap_err().to_string().contains("`worker 2`"));
        let panics: Shard<i32> = shard!(panic!("while a piece was made"), per_thread = true);
        assert!(spawn!(identity(&panics)).fetch().unwrap_err().is_panic() && panics.pieces().is_empty());
        // In a region that holds tasks back, and in a task.
        let inside = spawn_bulk(|| shard!(2, per_thread = true));
        assert_eq!(inside.len(), 2);
        let made = spawn!(|| shard!(my_id())).fetch().unwrap();
        assert_eq!(spawn!(identity(&made)).fetch().unwrap(), my_id());
        assert_eq!(made.pieces()[0].scope(), Scope::worker(1));
    });
}
