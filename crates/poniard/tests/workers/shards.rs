//! A value for each worker, where the workers are processes.

use super::*;
use poniard::ProcessorId;

fn identity<T: Clone>(x: &T) -> T {
    x.clone()
}

fn add(bins: &mut [u64], samples: Vec<usize>) -> WorkerId {
    samples.into_iter().for_each(|sample| bins[sample] += 1);
    my_id()
}

fn here() -> ProcessorId {
    current_processor().expect("a task has a processor")
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
fn a23_the_expression_is_evaluated_once_on_each_worker() {
    alone(1, || {
        let _cluster = cluster(2);
        let x = shard!((my_id(), std::process::id()));
        assert_eq!(x.len(), 3, "this process has one too");
        let pieces = x.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        let (ids, mut processes): (Vec<WorkerId>, Vec<u32>) = pieces.into_iter().unzip();
        assert_eq!(ids, [WorkerId(1), WorkerId(2), WorkerId(3)]);
        processes.sort_unstable();
        processes.dedup();
        assert_eq!(processes.len(), 3);
        let y = shard!(here(), per_thread = true);
        let places = y.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        let all = (1..=3).flat_map(|w| (0..2).map(move |index| ProcessorId { worker: WorkerId(w), index }));
        assert_eq!(places, all.collect::<Vec<_>>(), "each processor of each worker");
        let some = shard!(my_id(), workers = [3, 1]);
        let ids = some.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        assert_eq!(ids, [WorkerId(3), WorkerId(1)]);
        let within = shard!(my_id(), scope = !Scope::worker(1));
        assert_eq!(within.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap().len(), 2);
        // What it uses is declared, and goes with it.
        let (n, word) = (2, "w".to_owned());
        let texts = shard!(n = n, word = word.clone() => vec![format!("{word}-{}", my_id().0); n]);
        let texts = texts.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        assert_eq!(texts, [1, 2, 3].map(|w| vec![format!("w-{w}"); 2]));
        let error = shard!(vec![n; 2]).error().unwrap().to_string();
        assert!(error.contains("cannot make the shard at") && error.contains("declare them"), "{error}");
        assert_eq!(shard!(vec![n; 2], workers = [1]).len(), 1, "what stays here may capture");
    });
}

#[test]
fn a24_a_task_gets_the_piece_of_the_worker_it_runs_on() {
    fn inside((x,): (Shard<WorkerId>,)) -> Vec<WorkerId> {
        workers()
            .into_iter()
            .map(|w| {
                let scope = Scope::worker(w);
                let piece = spawn!(identity(&x), scope = scope).fetch().unwrap();
                assert_eq!(piece, w);
                piece
            })
            .collect()
    }
    alone(1, || {
        let _cluster = cluster(2);
        let x = shard!(my_id());
        for w in workers() {
            assert_eq!(spawn!(identity(&x), scope = Scope::worker(w)).fetch().unwrap(), w);
        }
        fn matches(piece: &WorkerId) -> bool {
            *piece == my_id()
        }
        let mut seen = Vec::new();
        for _ in 0..60 {
            assert!(spawn!(matches(&x)).fetch().unwrap());
            seen.push(spawn!(identity(&x)).fetch().unwrap());
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, workers(), "no piece is left out");
        // A handle of it goes to others, inside values.
        for w in [2, 3] {
            let there = spawn!(inside((x.clone(),)), scope = Scope::worker(w)).fetch().unwrap();
            assert_eq!(there, workers());
        }
        let y = shard!(here(), per_thread = true);
        let place = ProcessorId { worker: WorkerId(3), index: 1 };
        assert_eq!(spawn!(identity(&y), scope = Scope::exact(place)).fetch().unwrap(), place);
    });
}

#[test]
fn a25_changes_to_the_local_piece_stay_on_its_worker() {
    fn change((bins, sample): (Shard<Vec<u64>>, usize)) -> WorkerId {
        let mut bins = bins;
        let scope = Scope::worker(my_id());
        spawn!(add(&mut bins, vec![sample]), scope = scope).fetch().unwrap()
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut bins = shard!(vec![0u64; 4]);
        for w in workers() {
            for _ in 0..2 {
                spawn!(add(&mut bins, vec![w.0 as usize]), scope = Scope::worker(w));
            }
        }
        // And by tasks that are spawned there.
        for w in [3, 1, 2] {
            let ran = spawn!(change((bins.clone(), 0)), scope = Scope::worker(w)).fetch().unwrap();
            assert_eq!(ran, WorkerId(w));
        }
        let pieces = bins.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        assert_eq!(pieces, [[1, 2, 0, 0], [1, 0, 2, 0], [1, 0, 0, 2]]);
        let all = bins.pieces();
        assert!(!all[0].is_same(&all[1]));
        assert_eq!(all[2].fetch().unwrap(), [1, 0, 0, 2]);
    });
}

#[test]
fn a26_tasks_with_two_shards_run_at_the_same_time_each_on_its_worker() {
    /// True when all of them have come.
    fn meet(folder: &str, count: u32) -> bool {
        std::fs::write(Path::new(folder).join(format!("came-{}", my_id())), "").unwrap();
        let all = || (1..=count).all(|w| Path::new(folder).join(format!("came-w{w}")).exists());
        until("all have come", all);
        true
    }
    fn update(x: &mut (WorkerId, u32), y: &mut (WorkerId, u32), folder: String) -> bool {
        x.1 += 1;
        y.1 += 10;
        x.0 == my_id() && y.0 == my_id() && meet(&folder, 3)
    }
    alone(1, || {
        let (_cluster, files) = (cluster(2), leaving::Files::new());
        let mut x = shard!((my_id(), 0u32));
        let mut y = shard!((my_id(), 0u32));
        let folder = files.0.to_string_lossy().into_owned();
        let tasks: Vec<_> = workers()
            .into_iter()
            .map(|w| {
                let scope = Scope::worker(w);
                spawn!(update(&mut x, &mut y, folder.clone()), scope = scope)
            })
            .collect();
        assert_eq!(fetch_all(&tasks).unwrap(), [true; 3]);
        let counts = |shard: &Shard<(WorkerId, u32)>| {
            shard.map(|piece| spawn!((|piece: &(WorkerId, u32)| piece.1)(&piece))).fetch_all().unwrap()
        };
        assert_eq!((counts(&x), counts(&y)), (vec![1; 3], vec![10; 3]));
        // Without a scope each goes where both of its pieces are.
        let loose: Vec<_> = (0..12)
            .map(|_| spawn!((|x: &mut (WorkerId, u32), y: &mut (WorkerId, u32)| x.0 == y.0)(&mut x, &mut y)))
            .collect();
        assert_eq!(fetch_all(&loose).unwrap(), [true; 12]);
    });
}

#[test]
fn a27_tasks_on_a_piece_run_where_it_is_and_their_results_come_here() {
    fn both(piece: &WorkerId) -> (WorkerId, WorkerId) {
        (*piece, my_id())
    }
    alone(1, || {
        let _cluster = cluster(2);
        let x = shard!(my_id());
        let mut calls = 0;
        let tasks = x.map(|piece| {
            calls += 1;
            spawn!(both(&piece))
        });
        assert_eq!((calls, tasks.len()), (3, 3));
        for (w, (piece, ran)) in (1..).zip(tasks.fetch_all().unwrap()) {
            assert_eq!((piece, ran), (WorkerId(w), WorkerId(w)));
        }
        let elsewhere = spawn!(both(&x.pieces()[1]), scope = Scope::worker(3)).fetch().unwrap_err();
        assert!(elsewhere.is_scheduling(), "{elsewhere}");
    });
}

#[test]
fn a28_a_histogram_by_workers_is_that_of_all_samples() {
    const SAMPLES: usize = 10_000;
    fn data(seed: &u32) -> Vec<usize> {
        samples(SAMPLES, 20, u64::from(*seed))
    }
    fn histogram(bins: &mut Vec<u64>, data: &Vec<usize>) -> WorkerId {
        add(bins, data.clone())
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut bins = shard!(vec![0u64; 20]);
        let data = shard!(data(&my_id().0));
        for w in workers() {
            let ran = spawn!(histogram(&mut bins, &data), scope = Scope::worker(w));
            assert_eq!(ran.fetch().unwrap(), w);
        }
        let pieces = bins.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        let totals: Vec<u64> = (0..20).map(|bin| pieces.iter().map(|piece| piece[bin]).sum()).collect();
        assert_eq!(totals.iter().sum::<u64>(), SAMPLES as u64 * 3);
        let mut serial = vec![0u64; 20];
        for all in data.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap() {
            add(&mut serial, all);
        }
        assert_eq!(totals, serial);
        // Whichever pieces the tasks get, nothing is lost.
        for sample in 0..60 {
            spawn!(add(&mut bins, vec![sample % 20; 3]));
        }
        let pieces = bins.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        assert_eq!(pieces.iter().flatten().sum::<u64>(), SAMPLES as u64 * 3 + 180);
    });
}

#[test]
fn a_worker_that_joins_later_gets_a_piece_when_it_is_first_used_there() {
    fn first_use((x, w): (Shard<WorkerId>, WorkerId)) -> WorkerId {
        spawn!(identity(&x), scope = Scope::worker(w)).fetch().unwrap()
    }
    fn count(bins: &mut u64) -> u64 {
        *bins += 1;
        *bins
    }
    alone(1, || {
        let cluster = cluster(1);
        let x = shard!(my_id());
        let mut counts = shard!(0_u64);
        let n = 3;
        let declared = shard!(n = n => n + u64::from(my_id().0));
        assert_eq!((x.len(), counts.len()), (2, 2));
        let added = cluster.add_workers(2).unwrap();
        // Asked for by several at once, from several workers, it is made once.
        for w in &added {
            let by: Vec<_> =
                (1..=3).map(|by| spawn!(first_use((x.clone(), *w)), scope = Scope::worker(by))).collect();
            assert_eq!(fetch_all(&by).unwrap(), [*w; 3]);
        }
        let all = x.map(|piece| spawn!(identity(&piece))).fetch_all().unwrap();
        assert_eq!(all, workers(), "and its maker knows of all of them");
        for expected in 1..=3 {
            for w in workers() {
                assert_eq!(spawn!(count(&mut counts), scope = Scope::worker(w)).fetch().unwrap(), expected);
            }
        }
        assert_eq!(spawn!(identity(&declared), scope = Scope::worker(4)).fetch().unwrap(), 7);
        // Those that name their workers get none, and those with captures say what to do.
        let named = shard!(my_id(), workers = workers());
        let captures = shard!(vec![n], scope = Scope::worker(1) | Scope::label("none"));
        let late = cluster.add_workers(1).unwrap()[0];
        let error = spawn!(identity(&named), scope = Scope::worker(late)).fetch().unwrap_err();
        assert!(
            error.is_scheduling() && error.to_string().contains("pieces for w1, w2, w3, w4 only"),
            "{error}"
        );
        let error = spawn!(identity(&captures), scope = Scope::worker(late)).fetch().unwrap_err();
        assert!(error.to_string().contains("declare them: `shard!(x = x.clone() => f(x))`"), "{error}");
    });
}

#[test]
fn a_piece_is_lost_with_its_worker_and_the_others_go_on() {
    alone(1, || {
        let cluster = cluster(2);
        let process = process_of(3);
        let mut bins = shard!(vec![0u64; 4]);
        for w in workers() {
            spawn!(add(&mut bins, vec![1]), scope = Scope::worker(w)).fetch().unwrap();
        }
        signal("-9", process);
        until("it is gone", || cluster.workers().len() == 2);
        let lost = bins.pieces().pop().unwrap();
        let error = spawn!(identity(&lost)).fetch().unwrap_err();
        assert!(error.is_state_lost(), "{error}");
        // Tasks without a scope go where pieces are.
        let ran: Vec<_> = (0..12).map(|_| spawn!(add(&mut bins, vec![2]))).collect();
        assert!(fetch_all(&ran).unwrap().iter().all(|w| *w != WorkerId(3)));
        let left = bins.pieces()[..2].iter().map(|piece| piece.fetch().unwrap()[2]).sum::<u64>();
        assert_eq!(left, 12);
    });
}

#[test]
fn a_shard_made_on_another_worker_is_used_here() {
    fn make() -> Shard<WorkerId> {
        shard!(my_id())
    }
    fn broken() -> Shard<WorkerId> {
        shard!(panic!("while a piece was made"))
    }
    alone(1, || {
        let cluster = cluster(1);
        let made = spawn!(make(), scope = Scope::worker(2)).fetch().unwrap();
        for w in workers() {
            assert_eq!(spawn!(identity(&made), scope = Scope::worker(w)).fetch().unwrap(), w);
        }
        let late = cluster.add_workers(1).unwrap()[0];
        assert_eq!(spawn!(identity(&made), scope = Scope::worker(late)).fetch().unwrap(), late);
        let broken = spawn!(broken(), scope = Scope::worker(2)).fetch().unwrap();
        assert!(broken.error().is_some_and(TaskError::is_panic));
        assert!(spawn!(identity(&broken)).fetch().unwrap_err().is_panic());
    });
}
