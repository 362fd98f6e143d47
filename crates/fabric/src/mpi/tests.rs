//! The suite of all engines, and what is MPI's own, in ranks: each test starts itself again by `mpirun`.

mod actor;
mod mpirun;
mod stage;

use super::*;
use crate::conformance;
use crate::timing::Timing;
use mpirun::in_ranks;
use stage::RankStage;

/// Plays a law in three ranks: this one is process 1, and all that the law starts besides are the others.
fn play(test: &str, timing: Timing, law: fn(&mut RankStage)) {
    in_ranks(3, test, |job| match job.rank() {
        0 => law(&mut RankStage::new(job, timing)),
        _ => actor::act(job, timing),
    });
}

conformance!(ranks, in processes play, but none that break: "MPI tells of no cut and heals none, and OpenMPI ends the job of a rank that dies");

/// One test of this module, in so many ranks.
macro_rules! in_ranks {
    ($test:ident, $count:literal, $play:expr) => {
        #[test]
        fn $test() {
            in_ranks($count, concat!(module_path!(), "::", stringify!($test)), $play);
        }
    };
}

in_ranks!(who_is_told_something_hears_it_in_order_without_an_engine, 2, |job: Arc<Job>| {
    assert_eq!(job.size(), 2);
    let other = 1 - job.rank();
    for number in 0..300_u32 {
        job.tell(other, vec![number as u8; 1 + 100 * number as usize]);
    }
    for number in 0..300_u32 {
        assert_eq!(job.hear(), (other, vec![number as u8; 1 + 100 * number as usize]));
    }
});

in_ranks!(mpi_is_joined_once_in_the_life_of_a_process, 2, |job: Arc<Job>| {
    let again = Job::join().expect_err("it runs already").to_string();
    assert_eq!(again, "MPI cannot be initialised: something else in this program has done so before");
    let engine = job.engine(Peer::new(1, job.rank() as u64));
    struct Nobody;
    impl Inbox for Nobody {
        fn on(&self, _: crate::engine::EngineEvent) {}
    }
    engine.start(Arc::new(Nobody)).unwrap();
    let second = job.engine(Peer::new(2, 1)).start(Arc::new(Nobody)).unwrap_err().to_string();
    assert_eq!(second, "w2#1 is in this process already");
    engine.stop();
    engine.stop();
});

in_ranks!(a_rank_that_is_stopped_holds_up_nobody_and_gets_everything_in_order, 3, |job: Arc<Job>| {
    // Large enough that MPI waits for who receives it, and more than one round has places for.
    let (to_stopped, to_other) = (40_u32, 1_000_u32);
    let word = |number: u32, bytes: usize| [number.to_le_bytes().to_vec(), vec![7; bytes]].concat();
    match job.rank() {
        0 => {
            let (_, process) = job.hear();
            let process = u32::from_le_bytes(process.try_into().unwrap());
            mpirun::signal("-STOP", process);
            (0..to_stopped).for_each(|number| job.tell(1, word(number, 100_000)));
            for number in 0..to_other {
                job.tell(2, word(number, 20_000));
                assert!(job.hear() == (2, word(number, 20_000)));
            }
            mpirun::signal("-CONT", process);
            for number in 0..to_stopped {
                assert!(job.hear() == (1, word(number, 100_000)), "rank 1 sends back what it gets, {number}");
            }
        }
        rank => {
            if rank == 1 {
                job.tell(0, std::process::id().to_le_bytes().to_vec());
            }
            for _ in 0..if rank == 1 { to_stopped } else { to_other } {
                job.tell(0, job.hear().1);
            }
        }
    }
});

in_ranks!(an_idle_rank_takes_little_of_a_core, 2, |job: Arc<Job>| {
    // A blocking receive would take all of it. The benchmark has the figure.
    let (before, time) = (mpirun::processor_time(), Duration::from_secs(2));
    std::thread::sleep(time);
    let used = mpirun::processor_time() - before;
    assert!(used < time / 4, "rank {} took {used:?} of {time:?}", job.rank());
});
