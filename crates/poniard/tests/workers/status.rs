//! What the workers do, and why tasks wait.

use super::*;

/// A file of this test, which goes with it.
struct Gate(std::path::PathBuf);

impl Gate {
    fn new(name: &str) -> Gate {
        Gate(std::env::temp_dir().join(format!("poniard-{name}-{}", std::process::id())))
    }

    fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn passes(begun: String, gate: String) -> WorkerId {
    std::fs::write(begun, "").unwrap();
    wait_for(&gate);
    my_id()
}

#[test]
fn a_task_says_why_it_waits_wherever_it_is() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let (begun, gate) = (Gate::new("begun"), Gate::new("gate"));
        let first = spawn!(passes(begun.name(), gate.name()), scope = Scope::worker(2), name = "first");
        until("it runs", || begun.0.exists());
        let behind = spawn!(my_id(), scope = Scope::worker(2));
        fn after(_: &WorkerId) {}
        let one = spawn!(after(&first));
        let both = [first.clone(), behind.clone()];
        let two = spawn!((|_: &[&WorkerId]| ())(&both));
        let says = |what: &str, text: &dyn Fn() -> String| until(what, || text().contains(what));
        says("was sent to w2", &|| first.explain());
        says("behind 0 others", &|| first.explain());
        says("behind 1 others", &|| behind.explain());
        says("waits for one task, or turn, that has not ended", &|| one.explain());
        says("waits for 2 tasks, or turns, that have not ended", &|| two.explain());
        let text = first.explain();
        assert!(text.contains("`first`") && text.contains("status.rs"), "{text}");
        let held = spawn_bulk(|| {
            let held = spawn!(my_id());
            assert!(held.explain().contains("is held back by a region"), "{}", held.explain());
            held
        });
        held.wait();
        let nowhere = spawn!(my_id(), scope = Scope::worker(9));
        nowhere.wait();
        assert!(nowhere.explain().contains("no processor fits scope `worker 9`"), "{}", nowhere.explain());
        let here = spawn!(passes(begun.name(), gate.name()), scope = Scope::worker(1));
        says("runs on w1/cpu0", &|| here.explain());
        let queued = spawn!(my_id(), scope = Scope::worker(1));
        says("is ready, and waits for a processor of w1", &|| queued.explain());
        gate.open();
        for task in [first.any(), behind.any(), one.any(), two.any(), queued.any()] {
            task.wait();
            assert!(task.explain().ends_with("has ended well"), "{}", task.explain());
        }
    });
}

#[test]
fn a_task_whose_worker_is_gone_says_for_whom_it_waits() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let (begun, gate) = (Gate::new("begun"), Gate::new("gate"));
        let process = process_of(2);
        let task = spawn!(passes(begun.name(), gate.name()), scope = Scope::worker(2));
        until("it runs", || begun.0.exists());
        signal("-9", process);
        until("it is told", || task.explain().contains("for a worker, 60.0 s at most"));
        assert!(task.explain().contains("gone are w2 (was killed by signal 9)"), "{}", task.explain());
        task.cancel();
    });
}

#[test]
fn the_status_tells_what_each_worker_does() {
    alone(1, || {
        let cluster = Cluster::local().workers(3).threads(1).label("big").start().unwrap();
        let (begun, gate) = (Gate::new("begun"), Gate::new("gate"));
        let (killed, stopped) = (process_of(4), process_of(3));
        let tasks: Vec<_> =
            (0..3).map(|_| spawn!(passes(begun.name(), gate.name()), scope = Scope::worker(2))).collect();
        until("one runs", || begun.0.exists());
        let of = |status: &poniard::ClusterStatus, worker| {
            status.workers.iter().find(|other| other.worker == WorkerId(worker)).unwrap().clone()
        };
        let status = cluster.status();
        assert_eq!(status.workers.len(), 4);
        assert_eq!(of(&status, 2).tasks.unwrap().running, 1, "{status}");
        assert_eq!(of(&status, 2).ours.0, 3, "{status}");
        assert_eq!(of(&status, 3).tasks.unwrap().running, 0, "{status}");
        let text = status.to_string();
        assert!(text.contains("w2: 1 processor on node `") && text.contains("with labels big"), "{text}");
        assert!(text.contains("3 of this process are there"), "{text}");
        // One that is stopped does not answer; one that is killed is told as gone.
        signal("-STOP", stopped);
        signal("-9", killed);
        until("it is gone", || cluster.workers().len() == 3);
        let status = cluster.status();
        assert_eq!(of(&status, 3).tasks, None, "{status}");
        let text = status.to_string();
        assert!(text.contains("it does not answer"), "{text}");
        assert!(text.contains("w4 is gone: its process was killed by signal 9"), "{text}");
        signal("-CONT", stopped);
        // One that leaves says so.
        std::thread::scope(|scope| {
            let removed = scope.spawn(|| cluster.remove_worker(2));
            until("it leaves", || cluster.status().to_string().contains("w2 leaves"));
            gate.open();
            removed.join().unwrap().unwrap();
        });
        assert_eq!(fetch_all(&tasks).unwrap(), [WorkerId(2); 3]);
    });
}
