//! What is freed is given back: the resident memory of this process, in a program of its own.

use poniard_store::{Arena, ArenaConfig, Backing, BufMut};

const MIB: usize = 1 << 20;

/// Memory that is this process's own: `RssAnon` and `RssShmem`, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells of this process");
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
    let kibibytes =
        |name| line(name).expect("both lines are there").parse::<usize>().expect("it is a number");
    (kibibytes("RssAnon:") + kibibytes("RssShmem:")) << 10
}

/// Takes, touches and frees blocks of many sizes; gives what was resident with them and after them.
fn peak_and_rest(arena: &Arena) -> (usize, usize) {
    let sizes = [64 * MIB, 9 * MIB + 5, MIB, 100_000, 4096];
    let blocks =
        sizes.iter().flat_map(|size| std::iter::repeat_n(*size, (64 * MIB).div_ceil(*size).min(2000)));
    let blocks: Vec<BufMut> = blocks
        .map(|size| {
            let mut block = BufMut::take(arena, size).expect("there is memory");
            block.fill(1);
            block
        })
        .collect();
    let in_use = arena.usage().in_use_bytes;
    let peak = resident();
    // Every second first, so that what is freed last has free neighbours.
    let (even, odd): (Vec<_>, Vec<_>) = blocks.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    drop(even);
    drop(odd);
    assert!(in_use > 250 * MIB);
    assert!(peak > in_use * 95 / 100, "{peak} resident with {in_use} in use");
    (peak, resident())
}

// One test, not several: they would see each other's memory.
#[test]
fn resident_memory_returns_but_for_what_is_warm() {
    for backing in [Backing::Anonymous, Backing::Memfd] {
        for warm in [0, 32 * MIB] {
            let arena = Arena::new(ArenaConfig { backing, warm_bytes_max: warm, ..ArenaConfig::default() });
            let before = resident();
            for _ in 0..3 {
                let (peak, rest) = peak_and_rest(&arena);
                let (above, kept) = (peak - before, rest.saturating_sub(before));
                println!("{backing:?}: {} MiB at most, {} MiB after", above / MIB, kept / MIB);
                assert!(kept < warm + 8 * MIB, "{backing:?}, {warm} may be warm: {kept} bytes are left");
                assert!(arena.usage().warm_bytes <= warm);
            }
            arena.cool();
            assert_eq!((arena.usage().warm_bytes, arena.usage().slabs), (0, 0));
            assert!(resident().saturating_sub(before) < 8 * MIB);
        }
    }
}
