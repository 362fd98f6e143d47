//! Chunks: values that stay where they are, in memory or on disk.

use crate::alone::{ONE_PROCESS, alone, alone_with};
use crate::signals::eventually;
use poniard::prelude::*;
use poniard::{Order, Tile, memory_usage};
use serde::{Deserialize, Serialize};

/// 64 KiB of numbers that begin with `first`.
fn block(first: u64) -> Vec<u64> {
    (first..first + 8192).collect()
}

#[test]
fn a_chunk_gives_its_value_and_tells_of_itself() {
    let chunk: Chunk<Vec<f64>> = put(vec![1.0; 1 << 20]).unwrap();
    assert_eq!((chunk.bytes(), chunk.is_resident(), chunk.worker()), (8 << 20, true, WorkerId(1)));
    assert_eq!(chunk.scope(), Scope::worker(1));
    assert_eq!(chunk.fetch().unwrap().len(), 1 << 20);
    assert_eq!(chunk.fetch_ref().unwrap()[7], 1.0);
    let small = put(7).unwrap();
    assert_eq!((small.fetch().unwrap(), small.bytes()), (7, 0));
}

#[test]
fn tasks_take_chunks_as_they_take_results() {
    fn sum(parts: &[&Vec<u64>]) -> u64 {
        parts.iter().map(|part| part.iter().sum::<u64>()).sum()
    }
    let chunks: Vec<_> = (0..3).map(|i| put(block(i)).unwrap()).collect();
    let expected: u64 = (0..3).flat_map(block).sum();
    assert_eq!(spawn!(sum(&chunks)).fetch().unwrap(), expected);
    assert_eq!(poniard::spawn(|one: &Vec<u64>| one[0], (&chunks[2],)).fetch().unwrap(), 2);
    assert_eq!(spawn!((|mut own: Vec<u64>| own.pop())(chunks[0].clone())).fetch().unwrap(), Some(8191));
}

#[test]
fn a_chunk_travels_inside_a_value() {
    #[derive(Serialize, Deserialize, Clone)]
    struct Pair(Chunk<Vec<u64>>, u8);
    fn make() -> Result<Pair, TaskError> {
        Ok(Pair(put(block(5))?, 1))
    }
    fn first(pair: Pair) -> Result<u64, TaskError> {
        Ok(pair.0.fetch_ref()?[0])
    }
    let pair = spawn!(make()?);
    assert_eq!(spawn!(first(pair)?, retries = 1).fetch().unwrap(), 5);
}

/// What a value of each kind comes to when it is spilled and read again.
fn comes_back<T: Data + Clone + PartialEq>(make: fn(u64) -> T) {
    let chunks: Vec<_> = (0..64).map(|i| put(make(i)).unwrap()).collect();
    let usage = memory_usage();
    assert!(usage.written_bytes > 0 && usage.resident_bytes <= usage.budget_bytes, "{usage:?}");
    assert!(chunks.iter().any(|chunk| !chunk.is_resident()));
    for (i, chunk) in chunks.iter().enumerate() {
        assert!(chunk.fetch().unwrap() == make(i as u64), "chunk {i}");
    }
    assert!(memory_usage().read_bytes > 0);
}

#[test]
fn plain_vectors_come_back_from_disk() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || comes_back(block));
}

#[test]
fn tiles_come_back_from_disk() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        comes_back(|i| Tile::from_vec(block(i), &[64, 128], Order::Col).unwrap());
    });
}

#[test]
fn other_values_come_back_from_disk() {
    #[derive(Serialize, Deserialize, Clone, PartialEq)]
    struct Page {
        words: Vec<String>,
        marks: Vec<u32>,
    }
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        comes_back(|i| Page {
            words: (0..2000).map(|word| format!("{i}-{word}-of-a-page")).collect(),
            marks: vec![i as u32; 5000],
        });
    });
}

#[test]
fn f16_results_of_many_budgets_go_to_disk_and_tasks_read_them() {
    alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
        fn double(x: &Vec<u64>) -> Vec<u64> {
            x.iter().map(|x| x * 2).collect()
        }
        fn sum(x: &Vec<u64>) -> u64 {
            x.iter().sum()
        }
        let xs: Vec<_> = (0..64).map(|i| spawn!(block(i))).collect();
        wait_all(&xs);
        let ys: Vec<_> = xs.iter().map(|x| spawn!(double(x))).collect();
        wait_all(&ys);
        let sums: Vec<_> = ys.iter().map(|y| spawn!(sum(y))).collect();
        for (i, total) in sums.iter().enumerate() {
            assert_eq!(total.fetch().unwrap(), 2 * block(i as u64).iter().sum::<u64>());
        }
        let usage = memory_usage();
        assert!(usage.written_bytes >= 3 << 20, "{usage:?}");
        assert!(usage.peak_bytes <= usage.budget_bytes + (4 << 16), "{usage:?}");
        drop((xs, ys));
        // What is on its way to the disk goes when that is told.
        eventually(|| (memory_usage().resident_bytes, memory_usage().stored_bytes) == (0, 0));
    });
}

#[test]
fn what_is_borrowed_stays_in_memory() {
    alone_with(2, &[("PONIARD_MEMORY", "512KiB")], || {
        let held: Vec<_> = (0..4).map(|i| put(block(i)).unwrap().fetch_ref().unwrap()).collect();
        let others: Vec<_> = (0..32).map(|i| put(block(i)).unwrap()).collect();
        for (i, block) in held.iter().enumerate() {
            assert_eq!(block[0], i as u64);
        }
        assert!(others.iter().filter(|chunk| chunk.is_resident()).count() <= 4);
    });
}

#[test]
fn depth_first_programs_write_nothing() {
    // In one process: what others make comes home when it is done, and not when it is its readers' turn.
    alone_with(1, &[("PONIARD_MEMORY", "512KiB"), ONE_PROCESS], || {
        fn double(x: &Vec<u64>) -> Vec<u64> {
            x.iter().map(|x| x * 2).collect()
        }
        let gate = crate::signals::Gate::aside();
        let sums: Vec<_> = (0..200)
            .map(|i| {
                let x = spawn!(block(i), after = &gate.task);
                let y = spawn!(double(&x));
                spawn!((|y: &Vec<u64>| y.iter().sum::<u64>())(&y))
            })
            .collect();
        gate.open();
        for (i, total) in sums.iter().enumerate() {
            assert_eq!(total.fetch().unwrap(), 2 * block(i as u64).iter().sum::<u64>());
        }
        let usage = memory_usage();
        assert_eq!(usage.written_bytes, 0, "{usage:?}");
    });
}

#[test]
fn a_value_larger_than_the_budget_is_let_in_alone() {
    alone_with(2, &[("PONIARD_MEMORY", "100KiB")], || {
        let large = spawn!((|n: usize| vec![1_u8; n])(1 << 20));
        assert_eq!(large.fetch_ref().unwrap().len(), 1 << 20);
        let larger = spawn!((|large: &Vec<u8>| [&large[..], &large[..]].concat())(&large));
        assert_eq!(larger.fetch_ref().unwrap().len(), 2 << 20);
    });
}

#[test]
fn resident_memory_returns_when_the_last_handle_goes() {
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        (kilobytes("RssAnon:") + kilobytes("RssShmem:")) << 10
    }
    fn tile(i: u64) -> Tile<u64> {
        Tile::from_vec(vec![i + 1; 1 << 20], &[1 << 20], Order::Col).unwrap()
    }
    alone(2, || {
        poniard::Arena::global().set_warm_bytes_max(0);
        let before = resident();
        // The memory of this process is looked at.
        let tasks: Vec<_> = (0..16).map(|i| spawn!(tile(i), scope = Scope::worker(1))).collect();
        wait_all(&tasks);
        let chunk = tasks[3].chunk().unwrap();
        assert!(resident() - before >= 128 << 20);
        drop(tasks);
        let kept = resident() - before;
        assert!((8 << 20..20 << 20).contains(&kept), "{kept} bytes for one tile of 8 MiB");
        drop(chunk);
        assert!(resident() - before < 12 << 20);
    });
}
