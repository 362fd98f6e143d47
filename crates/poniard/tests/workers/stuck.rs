//! Tasks that are told to stop and do not: row F21 of the specification, its second half.

use super::*;

const GRACE: Duration = Duration::from_millis(400);

/// A file of this test, which goes with it.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> File {
        File(std::env::temp_dir().join(format!("poniard-stuck-{name}-{}", std::process::id())))
    }

    fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Never looks whether it was cancelled. The file says where it runs.
fn spins(file: String) {
    std::fs::write(&file, std::process::id().to_string()).unwrap();
    until("the test ends", || false);
}

fn cluster_of(workers: usize) -> Cluster {
    Cluster::local().workers(workers).threads(1).cancel_grace(GRACE).start().unwrap()
}

#[test]
fn f21_a_task_that_ignores_its_cancel_costs_its_worker_and_no_other_task() {
    alone(1, || {
        let cluster = cluster_of(2);
        let (file, process) = (File::new("spins"), process_of(2));
        let spinning = spawn!(spins(file.name()), scope = Scope::worker(2));
        until("it runs", || file.0.exists());
        // These wait behind it: on this worker if need be, or on any but the first.
        fn square(number: u64) -> u64 {
            number * number
        }
        let others: Vec<_> =
            (0..20_u64).map(|number| spawn!(square(number), scope = !Scope::worker(1))).collect();
        spinning.cancel();
        assert!(spinning.fetch().unwrap_err().is_cancelled());
        until("its worker is ended", || !is_alive(process));
        until("another one is there", || cluster.workers() == [WorkerId(1), WorkerId(3), WorkerId(4)]);
        for (number, square) in (0..).zip(fetch_all(&others).unwrap()) {
            assert_eq!(square, number * number);
        }
        let text = cluster.status().to_string();
        assert!(text.contains("w2 is gone: its process was ended, for a task that was cancelled"), "{text}");
        assert_eq!(spawn!(my_id(), scope = Scope::worker(4)).fetch().unwrap(), WorkerId(4));
    });
}

#[test]
fn f21_a_time_limit_that_is_ignored_costs_the_worker_and_who_was_there_is_not_blamed() {
    alone(1, || {
        let cluster = Cluster::local().workers(1).threads(2).cancel_grace(GRACE).start().unwrap();
        let gate = File::new("gate");
        fn waits(gate: String) -> WorkerId {
            wait_for(&gate);
            my_id()
        }
        // It is beside each of four that are not to be stopped: three deaths would be the end of it.
        let bystander = spawn!(waits(gate.name()), scope = !Scope::worker(1));
        for round in 0..4 {
            let file = File::new(&format!("late-{round}"));
            let limit = Duration::from_millis(100);
            let late = spawn!(spins(file.name()), scope = !Scope::worker(1), timeout = limit);
            until("it runs", || file.0.exists());
            let process: u32 = {
                until("it has said where", || {
                    std::fs::read_to_string(&file.0).is_ok_and(|text| !text.is_empty())
                });
                std::fs::read_to_string(&file.0).unwrap().parse().unwrap()
            };
            assert!(late.fetch().unwrap_err().is_timeout());
            until("its worker is ended", || !is_alive(process));
            until("another one is there", || cluster.workers() == [WorkerId(1), WorkerId(3 + round)]);
        }
        std::fs::write(&gate.0, "").unwrap();
        assert_eq!(bystander.fetch().unwrap(), WorkerId(6));
    });
}

#[test]
fn f21_who_returns_in_time_waits_in_the_middle_or_was_not_cancelled_costs_nothing() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(4).cancel_grace(GRACE).start().unwrap();
        let process = process_of(2);
        let (gate, begun) = (File::new("gate"), File::new("begun"));
        fn soon(begun: String) {
            std::fs::write(begun, "").unwrap();
            until("it is cancelled", cancelled);
            // Within the grace, as far as the machine lets it.
            let begin = Instant::now();
            until("it has taken its time", || begin.elapsed() > GRACE / 4);
        }
        fn waits_in_the_middle(gate: String) {
            // Its own thread gives its processor back meanwhile.
            let inner = spawn!(long(gate), scope = Scope::worker(2), name = "inner");
            inner.wait();
        }
        fn long(gate: String) {
            wait_for(&gate);
        }
        let there = Scope::worker(2);
        let in_time = spawn!(soon(begun.name()), scope = there.clone());
        let waiting = spawn!(waits_in_the_middle(gate.name()), scope = there.clone());
        let kept = spawn!(long(gate.name()), scope = there);
        until("it runs", || begun.0.exists());
        in_time.cancel();
        waiting.cancel();
        assert!(in_time.fetch().unwrap_err().is_cancelled());
        let begin = Instant::now();
        until("nobody ends anything", || begin.elapsed() > 4 * GRACE);
        assert!(is_alive(process));
        std::fs::write(&gate.0, "").unwrap();
        kept.fetch().unwrap();
        assert_eq!(process_of(2), process);
    });
}

#[test]
fn f21_in_this_process_the_processor_counts_as_lost_until_the_task_returns() {
    alone(2, || {
        use std::sync::atomic::{AtomicBool, Ordering};
        static MAY_END: AtomicBool = AtomicBool::new(false);
        let cluster = Cluster::local().threads(2).cancel_grace(GRACE / 4).start().unwrap();
        fn deaf() {
            until("the test lets it", || MAY_END.load(Ordering::Relaxed));
        }
        let task = spawn!(deaf(), name = "deaf");
        until("it runs", || task.explain().contains("runs on w1/cpu"));
        let lost = || cluster.status().workers[0].lost_processors;
        assert_eq!(lost(), 0);
        task.cancel();
        until("its processor is lost", || lost() == 1);
        let status = cluster.status().to_string();
        assert!(status.contains("a processor is lost to a task that was cancelled"), "{status}");
        assert!(task.explain().contains(", and was cancelled "), "{}", task.explain());
        assert_eq!(spawn!(my_id()).fetch().unwrap(), WorkerId(1), "the other one works");
        MAY_END.store(true, Ordering::Relaxed);
        task.wait();
        until("it has its processor again", || lost() == 0);
    });
}
