//! Data on other workers that tasks change in place, by handles that go everywhere.

use super::*;

fn push(list: &mut Vec<u32>, x: u32) {
    list.push(x);
}

fn sum(list: &[u32]) -> u32 {
    list.iter().sum()
}

/// Appends the worker that runs this.
fn sign(list: &mut Vec<u32>) -> WorkerId {
    list.push(my_id().0);
    my_id()
}

/// As an argument: a tuple, since a handle as it is would be opened.
type Carried = (Mutable<Vec<u32>>,);

fn sign_by_task((list,): Carried) -> WorkerId {
    let mut list = list;
    spawn!(sign(&mut list)).fetch().unwrap()
}

#[test]
fn a19_changes_on_another_worker_are_seen_by_later_tasks() {
    const N: usize = 200;
    fn prefix_sums(rows: &mut [Vec<f64>]) -> WorkerId {
        for row in 0..N {
            for column in 0..N {
                let (up, left) = (row.checked_sub(1), column.checked_sub(1));
                let at = |row: Option<usize>, column: Option<usize>| Some(rows[row?][column?]);
                let before = at(up, Some(column)).unwrap_or(0.0) + at(Some(row), left).unwrap_or(0.0)
                    - at(up, left).unwrap_or(0.0);
                rows[row][column] += before;
            }
        }
        my_id()
    }
    fn corner(rows: &[Vec<f64>]) -> f64 {
        rows[N - 1][N - 1]
    }
    fn again((rows,): (Mutable<Vec<Vec<f64>>>,)) -> WorkerId {
        let mut rows = rows;
        spawn!(prefix_sums(&mut rows)).fetch().unwrap()
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut m = mutable!(vec![vec![1.0f64; N]; N], worker = 2);
        let first = spawn!(prefix_sums(&mut m));
        assert_eq!(spawn!(corner(&m)).fetch().unwrap(), (N * N) as f64);
        assert_eq!(first.fetch().unwrap(), WorkerId(2));
        // And from a third one.
        let second = spawn!(again((m.clone(),)), scope = Scope::worker(3));
        assert_eq!(second.fetch().unwrap(), WorkerId(2));
        assert_eq!(m.fetch().unwrap()[0][N - 1], (N * (N + 1) / 2) as f64);
    });
}

#[test]
fn a19_tasks_of_one_spawner_have_their_turns_in_the_order_of_their_spawns() {
    fn hundred((list, first): (Mutable<Vec<u32>>, u32)) {
        let mut list = list;
        sync(|| {
            for x in first..first + 50 {
                spawn!(push(&mut list, x));
            }
        })
        .unwrap();
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut list = mutable!(Vec::<u32>::new(), worker = 2);
        let mut sums = Vec::new();
        for x in 0..50 {
            spawn!(push(&mut list, x));
            sums.push(spawn!(sum(&list)));
            sums.push(spawn!(sum(&list)));
        }
        for (x, pair) in (0..50_u32).zip(fetch_all(&sums).unwrap().chunks(2)) {
            assert_eq!(pair, [x * (x + 1) / 2; 2]);
        }
        // Three spawners at once: each in its own order, and nothing is lost.
        let other = spawn!(hundred((list.clone(), 1000)), scope = Scope::worker(3));
        let home = spawn!(hundred((list.clone(), 2000)), scope = Scope::worker(2));
        hundred((list.clone(), 3000));
        wait_all(&[other, home]);
        let all = list.fetch().unwrap();
        for first in [1000, 2000, 3000] {
            let of: Vec<u32> = all.iter().copied().filter(|x| (first..first + 50).contains(x)).collect();
            assert_eq!(of, (first..first + 50).collect::<Vec<_>>());
        }
        assert_eq!(all.len(), 200);
    });
}

#[test]
fn a19_who_changes_it_is_alone_with_it_whoever_spawned_it() {
    /// Fails if another one is in its middle.
    fn alone_in(value: &mut (bool, u32)) {
        assert!(!std::mem::replace(&mut value.0, true), "two at once");
        sharing::work(1);
        value.1 += 1;
        value.0 = false;
    }
    fn many((value,): (Mutable<(bool, u32)>,)) {
        let mut value = value;
        let tasks: Vec<_> = (0..10).map(|_| spawn!(alone_in(&mut value))).collect();
        tasks.iter().for_each(|task| task.fetch().unwrap());
    }
    alone(1, || {
        let _cluster = cluster(2);
        let value = mutable!((false, 0_u32), scope = Scope::worker(3));
        let tasks: Vec<_> =
            (1..=3).map(|w| spawn!(many((value.clone(),)), scope = Scope::worker(w))).collect();
        tasks.iter().for_each(|task| task.fetch().unwrap());
        assert_eq!(value.fetch().unwrap(), (false, 30));
    });
}

#[test]
fn a20_a_mutable_made_in_a_task_on_another_worker_is_used_by_tasks_spawned_anywhere() {
    fn make() -> Mutable<Vec<u32>> {
        mutable!(vec![my_id().0])
    }
    fn make_inside() -> Vec<(String, Mutable<Vec<u32>>)> {
        vec![("one".to_owned(), mutable!(vec![1])), ("two".to_owned(), mutable!(vec![2]))]
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut made = spawn!(make(), scope = Scope::worker(2)).fetch().unwrap();
        assert_eq!(made.scope(), Scope::worker(2));
        assert_eq!(spawn!(sign(&mut made)).fetch().unwrap(), WorkerId(2));
        for w in [3, 2, 1] {
            let spawned = spawn!(sign_by_task((made.clone(),)), scope = Scope::worker(w));
            assert_eq!(spawned.fetch().unwrap(), WorkerId(2));
        }
        assert_eq!(made.fetch().unwrap(), [2; 5]);
        // By a handle of the task that makes it.
        let task = spawn!(make(), scope = Scope::worker(3));
        fn by_handle(made: &Mutable<Vec<u32>>) -> WorkerId {
            sign_by_task((made.clone(),))
        }
        assert_eq!(spawn!(by_handle(&task), scope = Scope::worker(2)).fetch().unwrap(), WorkerId(3));
        assert_eq!(task.fetch().unwrap().fetch().unwrap(), [3, 3]);
        // Inside other values.
        let inside = spawn!(make_inside(), scope = Scope::worker(2)).fetch().unwrap();
        let values: Vec<u32> = inside.iter().map(|(_, m)| m.fetch().unwrap()[0]).collect();
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn a20_a_handle_that_comes_home_is_the_value_itself() {
    fn passed_on((m, path): (Mutable<Vec<u32>>, Vec<u32>)) -> Mutable<Vec<u32>> {
        let Some((next, rest)) = path.split_first() else { return m };
        spawn!(passed_on((m, rest.to_vec())), scope = Scope::worker(*next)).fetch().unwrap()
    }
    fn borrowed((m,): Carried) -> Option<usize> {
        m.with(Vec::len).ok()
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut here = mutable!(vec![1_u32]);
        let mut back = passed_on((here.clone(), vec![2, 3, 2]));
        assert!(back.is_same(&here));
        here.with_mut(|list| list.push(2)).unwrap();
        assert_eq!(back.with_mut(|list| list.len()).unwrap(), 2);
        let there = mutable!(vec![1_u32, 2, 3], worker = 2);
        let again = passed_on((there.clone(), vec![3, 2, 3]));
        assert!(again.is_same(&there), "one stands for it here");
        // It is borrowed where it lives, and elsewhere that is an error that says what to do.
        let at_home = spawn!(borrowed((again,)), scope = Scope::worker(2));
        assert_eq!(at_home.fetch().unwrap(), Some(3));
        let error = there.with(Vec::len).unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        assert!(error.to_string().contains("lives on w2"), "{error}");
        assert!(error.to_string().contains("`fetch` a copy, or spawn a task"), "{error}");
    });
}

#[test]
fn a21_a_mutable_is_made_on_the_worker_asked_for() {
    fn here() -> u32 {
        my_id().0
    }
    fn from_elsewhere() -> Mutable<Vec<u32>> {
        mutable!(vec![here()], worker = 2)
    }
    alone(1, || {
        let _cluster = cluster(2);
        assert_eq!(mutable!(my_id(), worker = 2).fetch().unwrap(), WorkerId(2));
        assert_eq!(mutable!(my_id(), scope = Scope::worker(3)).fetch().unwrap(), WorkerId(3));
        let processor = poniard::ProcessorId { worker: WorkerId(3), index: 1 };
        let mut m = mutable!(vec![current_processor().unwrap().index], processor = processor);
        fn place(list: &mut Vec<u32>) -> (WorkerId, u32) {
            list.push(current_processor().unwrap().index);
            (my_id(), current_processor().unwrap().index)
        }
        assert_eq!(spawn!(place(&mut m)).fetch().unwrap(), (WorkerId(3), 1));
        assert_eq!(m.fetch().unwrap(), [1, 1]);
        for caller in 1..=3 {
            let made = spawn!(from_elsewhere(), scope = Scope::worker(caller)).fetch().unwrap();
            assert_eq!(made.fetch().unwrap(), [2], "whoever calls");
        }
        // What it uses is declared, and goes there.
        let (n, name) = (3, "x".to_owned());
        let texts = mutable!(n = n, name = name.clone() => vec![format!("{name}{}", my_id()); n], worker = 2);
        assert_eq!(texts.fetch().unwrap(), ["xw2"; 3]);
        let error = mutable!(vec![n; 2], worker = 2).error().unwrap().to_string();
        assert!(error.contains("cannot make the mutable at") && error.contains("`worker 2`"), "{error}");
        assert!(
            error.contains("declare them") && error.contains("`mutable!(x = x.clone() => f(x), ..)`"),
            "{error}"
        );
        // A panic there is the error of who uses it.
        let mut lost: Mutable<Vec<u32>> = mutable!(panic!("while it was made"), worker = 2);
        assert!(spawn!(sign(&mut lost)).fetch().unwrap_err().is_panic());
    });
}

#[test]
fn a22_a_clash_of_scopes_names_the_cut_wherever_the_value_lives() {
    alone(1, || {
        let _cluster = cluster(2);
        let mut m = mutable!(vec![1_u32], worker = 2);
        let error = spawn!(sign(&mut m), scope = Scope::worker(3)).fetch().unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        let text = error.to_string();
        assert!(text.contains("`worker 3`") && text.contains("`worker 2`") && text.contains("cut"), "{text}");
        let other = mutable!(vec![1_u32]);
        fn both(_: &mut Vec<u32>, _: &Vec<u32>) {}
        let text = spawn!(both(&mut m, &other)).fetch().unwrap_err().to_string();
        assert!(text.contains("`worker 1`") && text.contains("`worker 2`"), "{text}");
        assert_eq!(spawn!(sign(&mut m), scope = Scope::workers([2, 3])).fetch().unwrap(), WorkerId(2));
        assert_eq!(m.fetch().unwrap(), [1, 2], "a refused task takes no turn");
    });
}

/// A value that leaves a file where it is freed.
struct Marks(String);

impl Drop for Marks {
    fn drop(&mut self) {
        std::fs::write(&self.0, my_id().to_string()).unwrap();
    }
}

#[test]
fn a_mutable_is_freed_at_its_home_when_its_last_handle_is_gone_anywhere() {
    fn kept((m, end): (Mutable<Marks>, String)) -> usize {
        wait_for(&end);
        let m = m;
        spawn!((|marks: &Marks| marks.0.len())(&m)).fetch().unwrap()
    }
    fn make(file: String) -> Mutable<Marks> {
        mutable!(Marks(file))
    }
    alone(1, || {
        let (_cluster, files) = (cluster(2), leaving::Files::new());
        let (freed, end) = (files.name("freed"), files.name("end"));
        let made = spawn!(make(freed.clone()), scope = Scope::worker(2)).fetch().unwrap();
        let user = spawn!(kept((made.clone(), end.clone())), scope = Scope::worker(3));
        drop(made);
        assert!(!Path::new(&freed).exists(), "another worker has a handle");
        std::fs::write(&end, "").unwrap();
        assert_eq!(user.fetch().unwrap(), freed.len());
        drop(user);
        until("it is freed", || std::fs::read(&freed).is_ok_and(|by| !by.is_empty()));
        assert_eq!(std::fs::read_to_string(&freed).unwrap(), "w2");
    });
}

#[test]
fn a_mutable_that_is_lost_with_its_worker_is_the_error_of_all_who_need_it() {
    fn waits(_: &mut Vec<u32>, begun: String) {
        std::fs::write(begun, "").unwrap();
        until("it is killed", || false);
    }
    fn fails((m,): Carried) -> (bool, String) {
        let error = m.fetch().unwrap_err();
        (error.is_state_lost(), error.to_string())
    }
    alone(1, || {
        let (_cluster, files) = (cluster(2), leaving::Files::new());
        let process = process_of(2);
        let mut m = mutable!(vec![1_u32], worker = 2);
        // The third one has a handle as well.
        assert_eq!(
            spawn!(sign_by_task((m.clone(),)), scope = Scope::worker(3)).fetch().unwrap(),
            WorkerId(2)
        );
        let begun = files.name("begun");
        let runs = spawn!(waits(&mut m, begun.clone()), retries = 3);
        let behind = spawn!(sign(&mut m));
        let on_it = spawn!((|by: &WorkerId| by.0)(&behind));
        until("it runs", || Path::new(&begun).exists());
        signal("-9", process);
        for error in [runs.fetch().unwrap_err(), behind.fetch().unwrap_err(), on_it.fetch().unwrap_err()] {
            assert!(error.is_state_lost() && error.is_worker_lost(), "{error}");
            assert!(error.to_string().contains("lost with w2"), "{error}");
        }
        until("the loss is known", || m.error().is_some());
        let error = spawn!(sign(&mut m)).fetch().unwrap_err();
        assert!(error.is_state_lost(), "{error}");
        assert!(error.to_string().contains("killed by signal 9"), "{error}");
        assert!(m.fetch().unwrap_err().is_state_lost());
        let (is_lost, text) = spawn!(fails((m.clone(),)), scope = Scope::worker(3)).fetch().unwrap();
        assert!(is_lost, "{text}");
        assert_eq!(mutable!(7, worker = 3).fetch().unwrap(), 7, "and others go on");
    });
}

#[test]
fn a_worker_whose_data_others_have_handles_of_is_not_removed_before_they_are_dropped() {
    alone(1, || {
        let cluster = cluster(2);
        let mut m = mutable!(vec![1_u32], worker = 3);
        let error = cluster.remove_worker(3).unwrap_err().to_string();
        assert!(error.contains("cannot remove w3: 1 mutables or pieces of shards live there"), "{error}");
        assert!(error.contains("`fetch` what is still needed, and drop their handles"), "{error}");
        assert_eq!(spawn!(sign(&mut m)).fetch().unwrap(), WorkerId(3), "it goes on");
        assert_eq!(cluster.workers().len(), 3);
        assert_eq!(m.fetch().unwrap(), [1, 3]);
        drop(m);
        cluster.remove_worker(3).unwrap();
        assert_eq!(cluster.workers().len(), 2);
    });
}

#[test]
fn a_task_keeps_its_turn_elsewhere_from_its_first_attempt_to_its_last() {
    fn third(list: &mut Vec<u32>) -> Result<usize, String> {
        list.push(0);
        if list.len() < 3 { Err(format!("{} is too few", list.len())) } else { Ok(list.len()) }
    }
    fn is_too_few(error: &TaskError) -> bool {
        error.to_string().contains("too few")
    }
    fn never(list: &mut Vec<u32>) -> Result<usize, String> {
        list.push(9);
        Err("no luck".to_owned())
    }
    alone(1, || {
        let _cluster = cluster(2);
        let mut m = mutable!(Vec::<u32>::new(), worker = 2);
        let retries = Retries::new(5).filter(is_too_few).backoff(Duration::from_millis(20));
        let task = spawn!(third(&mut m)?, retries = retries.clone());
        // Of another spawner: it stands behind at the home, in whichever pause it comes.
        let other = spawn!(sign_by_task((m.clone(),)), scope = Scope::worker(3));
        assert_eq!(task.fetch().unwrap(), 3, "each attempt finds what the one before has left");
        other.fetch().unwrap();
        let list = m.fetch().unwrap();
        let zeros = list.iter().position(|x| *x == 0).unwrap();
        assert_eq!(list[zeros..zeros + list.iter().filter(|x| **x == 0).count()].iter().sum::<u32>(), 0);
        // What the filter is against is not tried again, and the error names the attempt.
        let error = spawn!(never(&mut m)?, retries = retries).fetch().unwrap_err();
        assert!(error.to_string().contains("no luck"), "{error}");
        let error = spawn!(never(&mut m)?, retries = 2).fetch().unwrap_err();
        assert!(error.to_string().contains("on w2, attempt 3, failed: no luck"), "{error}");
        assert_eq!(m.fetch().unwrap().iter().filter(|x| **x == 9).count(), 4);
    });
}

#[test]
fn a_task_that_is_over_there_keeps_its_turn_until_its_function_returns() {
    fn long(list: &mut Vec<u32>, begun: String, end: String) {
        std::fs::write(begun, "").unwrap();
        wait_for(&end);
        list.push(1);
    }
    alone(1, || {
        let (_cluster, files) = (cluster(1), leaving::Files::new());
        for (number, is_cancelled) in [(0, true), (1, false)] {
            let mut m = mutable!(Vec::<u32>::new(), worker = 2);
            let (begun, end) = (files.name(&format!("begun-{number}")), files.name(&format!("end-{number}")));
            let limit = if is_cancelled { LIMIT } else { Duration::from_millis(100) };
            let first = spawn!(long(&mut m, begun.clone(), end.clone()), timeout = limit);
            let second = spawn!(sign(&mut m));
            until("it runs", || Path::new(&begun).exists());
            if is_cancelled {
                first.cancel();
            }
            let error = first.fetch().unwrap_err();
            assert!(if is_cancelled { error.is_cancelled() } else { error.is_timeout() }, "{error}");
            assert!(!second.is_ready(), "the function goes on, and has the value");
            std::fs::write(&end, "").unwrap();
            second.fetch().unwrap();
            assert_eq!(m.fetch().unwrap(), [1, 2]);
        }
        // One that waits for its turn is cancelled at once.
        let mut m = mutable!(Vec::<u32>::new(), worker = 2);
        let (begun, end) = (files.name("begun"), files.name("end"));
        let first = spawn!(long(&mut m, begun.clone(), end.clone()));
        let waits = spawn!(sign(&mut m));
        let last = spawn!(push(&mut m, 3));
        until("it runs", || Path::new(&begun).exists());
        waits.cancel();
        assert!(waits.fetch().unwrap_err().is_cancelled());
        std::fs::write(&end, "").unwrap();
        (first.fetch().unwrap(), last.fetch().unwrap());
        assert_eq!(m.fetch().unwrap(), [1, 3]);
    });
}

#[test]
fn a_halt_ends_the_tasks_that_wait_for_turns_elsewhere() {
    fn long(_: &mut Vec<u32>, begun: String) {
        std::fs::write(begun, "").unwrap();
        until("it is to stop", cancelled);
    }
    alone(1, || {
        let (_cluster, files) = (cluster(1), leaving::Files::new());
        let mut m = mutable!(Vec::<u32>::new(), worker = 2);
        let begun = files.name("begun");
        let first = spawn!(long(&mut m, begun.clone()));
        let others: Vec<_> = (0..10).map(|_| spawn!(sign(&mut m))).collect();
        until("it runs", || Path::new(&begun).exists());
        poniard::halt();
        assert!(first.fetch().unwrap_err().is_halted());
        assert!(others.iter().all(|task| task.fetch().unwrap_err().is_halted()));
        assert_eq!(spawn!(sign(&mut m)).fetch().unwrap(), WorkerId(2));
        assert_eq!(m.fetch().unwrap(), [2]);
    });
}

#[test]
fn a29_a_list_of_tasks_on_several_workers_is_waited_for_one_by_one() {
    alone(1, || {
        let _cluster = cluster(2);
        let mut lists: Vec<Mutable<Vec<u32>>> = (1..=3).map(|w| mutable!(Vec::new(), worker = w)).collect();
        let tasks: Vec<DTask<WorkerId>> =
            (0..30).map(|number| spawn!(sign(&mut lists[number % 3]))).collect();
        tasks.iter().for_each(DTask::wait);
        assert!(tasks.iter().all(DTask::is_ready));
        let ran: Vec<u32> = fetch_all(&tasks).unwrap().into_iter().map(|worker| worker.0).collect();
        assert_eq!(ran, [1, 2, 3].repeat(10));
        assert!(lists.iter().all(|list| list.fetch().unwrap().len() == 10));
    });
}

#[test]
fn b29_a_lazy_result_is_kept_where_it_is_computed_and_collected_here() {
    fn add(x: i64, y: i64) -> i64 {
        x + y
    }
    fn add_to(x: &i64, y: i64) -> i64 {
        x + y
    }
    fn worker(_: &i64) -> WorkerId {
        my_id()
    }
    alone(1, || {
        let _cluster = cluster(1);
        let one = lazy!(add(0, 1), scope = Scope::worker(2));
        let three = lazy!(add_to(&one, 2), scope = Scope::worker(2));
        let chunk: Chunk<i64> = three.compute().unwrap();
        assert_eq!(chunk.fetch().unwrap(), 3);
        assert_eq!(spawn!(add(chunk.clone(), 4), scope = Scope::worker(2)).fetch().unwrap(), 7);
        assert_eq!(spawn!(worker(&chunk), scope = Scope::worker(2)).fetch().unwrap(), WorkerId(2));
        // And on data that are changed in place there.
        let m = mutable!(vec![1_u32, 2], worker = 2);
        assert_eq!(lazy!(sum(&m)).compute().unwrap().fetch().unwrap(), 3);
    });
}
