//! Tasks that nobody has placed: idle workers get them.

use super::*;
use std::collections::BTreeSet;

/// Works for so many milliseconds, and tells where.
pub(super) fn work(milliseconds: u64) -> WorkerId {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(milliseconds) {
        std::hint::spin_loop();
    }
    my_id()
}

/// How many of these ran on a worker.
fn on(worker: u32, ran: &[WorkerId]) -> usize {
    ran.iter().filter(|ran| **ran == WorkerId(worker)).count()
}

/// How many tasks of a busy worker each idle one has to get.
const SHARE: usize = 30;

/// On worker `busy`, and on one that has run its share, it lasts until each other one has run its share: of such tasks, which it can
/// only have got from there.
fn one_of_many(busy: u32, others: Vec<u32>, file: String) -> WorkerId {
    let me = my_id().0;
    let has_share = |worker: u32| {
        let ran = std::fs::read(&file).unwrap();
        ran.iter().filter(|ran| **ran == worker as u8).count() >= SHARE
    };
    if me == busy || has_share(me) {
        until("each other worker has run its share", || others.iter().all(|other| has_share(*other)));
    }
    if me != busy {
        let mut file = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
        std::io::Write::write_all(&mut file, &[me as u8]).unwrap();
    }
    my_id()
}

/// Spawns many of them on worker `busy`, where this is called; gives where they ran.
fn many(busy: u32, others: Vec<u32>, file: String) -> Vec<WorkerId> {
    std::fs::write(&file, "").unwrap();
    let one = |_| spawn!(one_of_many(busy, others.clone(), file.clone()));
    let tasks: Vec<_> = (0..300).map(one).collect();
    let ran = fetch_all(&tasks).unwrap();
    std::fs::remove_file(&file).unwrap();
    ran
}

/// A file of this test's.
fn file() -> String {
    let path = std::env::temp_dir().join(format!("poniard-shared-{}", std::process::id()));
    path.to_str().unwrap().to_owned()
}

#[test]
fn idle_workers_get_tasks_of_a_busy_one() {
    alone(1, || {
        let _cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        let ran = many(1, vec![2, 3], file());
        let share = [1, 2, 3].map(|worker| on(worker, &ran));
        assert!(share[0] >= 1 && share[1] >= SHARE && share[2] >= SHARE, "{share:?}");
    });
}

#[test]
fn what_a_worker_spawns_is_shared_as_well() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let ran = spawn!(many(2, vec![1], file()), scope = Scope::worker(2)).fetch().unwrap();
        let share = [1, 2].map(|worker| on(worker, &ran));
        assert!(share[0] >= SHARE && share[1] >= 1, "{share:?}");
    });
}

#[test]
fn tasks_of_a_region_of_options_are_shared_and_hand_them_down_wherever_they_run() {
    fn is_worth_it(error: &TaskError) -> bool {
        error.to_string().contains("worth")
    }
    /// Fails at first, if the options say that it is tried again.
    fn unlucky(file: String) -> std::io::Result<String> {
        match std::fs::File::create_new(&file) {
            Ok(_) => Err(std::io::Error::other("it is worth another attempt")),
            Err(_) => Ok(current_task().unwrap().name.to_string()),
        }
    }
    fn spawns(file: String) -> (WorkerId, String) {
        let child = spawn!(unlucky(file)?).fetch().unwrap_or_else(|error| error.to_string());
        (work(3), child)
    }
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let folder = std::env::temp_dir().join(format!("poniard-region-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let options = || Options::new().name("region").retries(Retries::new(1).filter(is_worth_it));
        let file = |number: u32| folder.join(number.to_string()).to_str().unwrap().to_owned();
        let tasks: Vec<_> =
            with_options(options(), || (0..200).map(|number| spawn!(spawns(file(number)))).collect());
        let (ran, names): (Vec<_>, Vec<_>) = fetch_all(&tasks).unwrap().into_iter().unzip();
        let there = with_options(options(), || spawn!(spawns(file(200)), scope = Scope::worker(2)));
        let there = there.fetch();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(on(1, &ran) >= 30 && on(2, &ran) >= 30, "{} and {}", on(1, &ran), on(2, &ran));
        assert!(names.iter().all(|name| name == "region"), "{names:?}");
        assert_eq!(there.unwrap(), (WorkerId(2), "region".to_owned()));
    });
}

#[test]
fn a_tree_of_tasks_is_right_wherever_its_parts_run() {
    alone(1, || {
        fn fib(n: u64) -> u64 {
            if n < 2 {
                return n;
            }
            let left = spawn!(fib(n - 1));
            let right = fib(n - 2);
            left.fetch().unwrap() + right
        }
        let _cluster = Cluster::local().workers(2).threads(1).start().unwrap();
        for _ in 0..3 {
            assert_eq!(fib(22), 17_711);
        }
    });
}

#[test]
fn what_cannot_leave_stays_and_the_rest_is_shared() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        let local: Vec<_> = (0..50).map(|number| spawn!(move || work(1).0 + number)).collect();
        let shared: Vec<_> = (0..200).map(|_| spawn!(work(3))).collect();
        let ran = fetch_all(&shared).unwrap();
        assert!(on(2, &ran) >= 30, "{}", on(2, &ran));
        for (number, task) in (0..).zip(local) {
            assert_eq!(task.fetch_ref().unwrap().0, 1 + number);
        }
    });
}

#[test]
fn a_result_that_turns_out_to_stay_is_made_where_it_is_wanted() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        fn handles(number: u64) -> Vec<DTask<u64>> {
            work(2);
            (0..3).map(|part| spawn!((|x: u64| x)(10 * number + part))).collect()
        }
        let tasks: Vec<_> = (0..100_u64).map(|number| spawn!(handles(number))).collect();
        for (number, task) in (0..).zip(tasks) {
            let parts = fetch_all(&task.fetch().unwrap()).unwrap();
            assert_eq!(parts, [10 * number, 10 * number + 1, 10 * number + 2]);
        }
    });
}

#[test]
fn options_that_hold_here_hold_for_what_is_shared() {
    alone(1, || {
        let _cluster = Cluster::local().workers(1).threads(1).start().unwrap();
        fn fails(number: u64) -> Result<u64, std::io::Error> {
            work(2);
            Err(std::io::Error::other(format!("number {number}")))
        }
        let tasks: Vec<_> =
            (0..100).map(|number| spawn!(fails(number)?, name = format!("task-{number}"))).collect();
        let mut workers = BTreeSet::new();
        for (number, task) in (0..).zip(&tasks) {
            let error = task.fetch().unwrap_err();
            assert!(error.to_string().contains(&format!("`task-{number}`")), "{error}");
            assert!(error.to_string().contains(&format!("number {number}")), "{error}");
            workers.insert(error.task().unwrap().worker);
        }
        assert_eq!(workers.len(), 2);
    });
}

#[test]
fn f01_a_killed_worker_costs_only_what_it_had() {
    alone(1, || {
        let _cluster = Cluster::local().workers(3).threads(1).start().unwrap();
        let victim = process_of(3);
        fn square(number: u64) -> u64 {
            work(2);
            number * number
        }
        let tasks: Vec<_> = (0..500_u64).map(|number| spawn!(square(number))).collect();
        wait_any(&tasks[400..]);
        signal("-9", victim);
        for (number, square) in (0..).zip(fetch_all(&tasks).unwrap()) {
            assert_eq!(square, number * number);
        }
    });
}
