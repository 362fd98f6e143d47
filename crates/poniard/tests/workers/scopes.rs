//! Scopes with several workers: labels, nodes, of the computation, of the result.

use super::*;

#[test]
fn compute_scope_takes_the_place_of_scope() {
    alone(1, || {
        let _cluster = cluster(2);
        let there = spawn!(my_id(), scope = Scope::worker(2), compute_scope = Scope::worker(3));
        assert_eq!(there.fetch().unwrap(), WorkerId(3));
        let nested = with_options(Options::new().compute_scope(Scope::worker(2)), || spawn!(my_id()));
        assert_eq!(nested.fetch().unwrap(), WorkerId(2));
    });
}

#[test]
fn result_scope_binds_the_task_and_those_that_use_its_result() {
    alone(1, || {
        let _cluster = cluster(2);
        let made = spawn!(my_id(), result_scope = Scope::workers([2, 3]), compute_scope = !Scope::worker(2));
        assert_eq!(made.fetch().unwrap(), WorkerId(3), "the meet decides");
        fn used(made: &WorkerId) -> (WorkerId, WorkerId) {
            (*made, my_id())
        }
        for _ in 0..10 {
            let user = spawn!(used(&made)).fetch().unwrap().1;
            assert!([WorkerId(2), WorkerId(3)].contains(&user), "{user}");
        }
        assert_eq!(spawn!(used(&made), scope = Scope::worker(2)).fetch().unwrap().1, WorkerId(2));
        let both = [made.clone(), spawn!(my_id(), result_scope = Scope::worker(3))];
        let several = spawn!((|_: &[&WorkerId]| my_id())(&both)).fetch().unwrap();
        assert_eq!(several, WorkerId(3), "each argument counts");
        let chunk = both[1].chunk().unwrap();
        assert_eq!(spawn!(used(&chunk)).fetch().unwrap().1, WorkerId(3));
    });
}

#[test]
fn an_empty_meet_is_an_error_that_names_what_cut_it() {
    alone(1, || {
        let _cluster = cluster(2);
        let task = spawn!(my_id(), compute_scope = Scope::worker(2), result_scope = Scope::worker(3));
        let error = task.fetch().unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        let text = error.to_string();
        for word in [
            "scope `worker 2 & worker 3`",
            "w1/cpu0",
            "`worker 2` (compute_scope) cut w1/cpu0, w1/cpu1, w3/cpu0, w3/cpu1",
            "`worker 3` (result_scope) cut the last candidates w2/cpu0, w2/cpu1",
        ] {
            assert!(text.contains(word), "{text}");
        }
        fn used(_: &WorkerId) {}
        let made = spawn!(my_id(), result_scope = Scope::worker(3), name = "maker");
        let text = spawn!(used(&made), scope = Scope::worker(2)).fetch().unwrap_err().to_string();
        assert!(text.contains("`worker 2` (scope)") && text.contains("(the result of `maker`, t"), "{text}");
        fn uses_both(_: &mut u32, _: &WorkerId) {}
        let mut here = mutable!(0_u32);
        let text = spawn!(uses_both(&mut here, &made)).fetch().unwrap_err().to_string();
        assert!(text.contains("lives in `worker 1`") && text.contains("`worker 3`"), "{text}");
    });
}

#[test]
fn labels_and_nodes_name_workers() {
    alone(1, || {
        let cluster = Cluster::local().workers(1).threads(1).label("fast").label("big").start().unwrap();
        let node = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
        for scope in [Scope::label("fast"), Scope::label("big"), Scope::node(node.clone())] {
            let there = scope.clone() & !Scope::worker(1);
            assert_eq!(spawn!(my_id(), scope = there).fetch().unwrap(), WorkerId(2));
            assert_eq!(spawn!(my_id(), scope = scope & Scope::worker(1)).fetch().unwrap(), WorkerId(1));
        }
        let text = spawn!(my_id(), scope = Scope::label("slow")).fetch().unwrap_err().to_string();
        assert!(text.contains("label slow") && text.contains("labels fast, big"), "{text}");
        let text = spawn!(my_id(), scope = Scope::node("mars")).fetch().unwrap_err().to_string();
        assert!(text.contains("node mars") && text.contains(&node), "{text}");
        assert_eq!(cluster.on(2, my_id).unwrap(), WorkerId(2));
    });
}

#[test]
fn b35_single_runs_all_of_a_lazy_graph_on_one_worker() {
    alone(1, || {
        let _cluster = cluster(1);
        fn at(_: &WorkerId) -> WorkerId {
            my_id()
        }
        for worker in [1, 2] {
            let first = poniard::delayed_with(Options::new().single(worker), my_id).call(());
            assert_eq!(first.collect().unwrap(), WorkerId(worker));
            let graph = lazy!(at(&lazy!(my_id())));
            let ran = graph.collect_with(SchedulerOptions::new().single(worker)).unwrap();
            assert_eq!(ran, WorkerId(worker));
        }
    });
}
