//! Results that the next run finds.

use crate::alone::{ONE_PROCESS, alone_with};
use crate::folder::Folder;
use poniard::checkpoints::{Stale, clean, list};
use poniard::prelude::*;
use poniard::{Checkpoint, by_reader};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

const PLACE: &str = "PONIARD_CHECKPOINTS";

/// Where the results of this process lie.
fn shelf() -> PathBuf {
    std::env::var_os(PLACE).expect("the test is alone").into()
}

/// How often functions ran.
static RUNS: AtomicUsize = AtomicUsize::new(0);

fn runs() -> usize {
    RUNS.swap(0, SeqCst)
}

fn simulate(n: u64, scale: f64) -> Vec<f64> {
    RUNS.fetch_add(1, SeqCst);
    (0..n).map(|at| at as f64 * scale).collect()
}

fn sum(xs: &[f64]) -> f64 {
    RUNS.fetch_add(1, SeqCst);
    xs.iter().sum()
}

fn fails(n: u64) -> Result<u64, io::Error> {
    RUNS.fetch_add(1, SeqCst);
    Err(io::Error::other(format!("{n} is too much")))
}

#[test]
fn a_result_is_found_and_the_task_does_not_run() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        assert!(!shelf().exists(), "it is made when something is kept");
        let first = spawn!(simulate(1000, 0.5), checkpoint = "sim").fetch().unwrap();
        assert_eq!((runs(), list(shelf()).unwrap().len()), (1, 1));
        assert_eq!(spawn!(simulate(1000, 0.5), checkpoint = "sim").fetch().unwrap(), first);
        assert_eq!(runs(), 0);
        // Another argument, name or function is another result.
        spawn!(simulate(1000, 0.25), checkpoint = "sim").wait();
        spawn!(simulate(1000, 0.5), checkpoint = "other").wait();
        assert_eq!(runs(), 2);
        let options = Options::new().checkpoint("sim");
        assert_eq!(spawn_with(options.clone(), simulate, (1000, 0.5)).fetch().unwrap(), first);
        runs();
        assert_eq!(spawn_with(options, simulate, (1000, 0.5)).fetch().unwrap(), first);
        assert_eq!(runs(), 0);
        // A failure is not kept.
        assert!(spawn!(fails(3)?, checkpoint = "fails").fetch().is_err());
        assert!(spawn!(fails(3)?, checkpoint = "fails").fetch().is_err());
        assert_eq!(runs(), 2);
    });
}

#[test]
fn results_among_the_arguments_count_by_their_bytes_when_they_are_there() {
    let folder = Folder::new();
    // The calls are counted in this process: it has no workers.
    let place = folder.file("kept");
    alone_with(2, &[(PLACE, place.to_str().unwrap()), ONE_PROCESS], || {
        let total = |scale: f64| {
            let xs = spawn!(simulate(100, scale));
            let more = [xs.clone(), spawn!(simulate(10, scale))];
            let first = spawn!(sum(&xs), checkpoint = "sum");
            let all = spawn!((|all: &[&Vec<f64>]| { sum(all[0]) + sum(all[1]) })(&more), checkpoint = "all");
            (first.fetch().unwrap(), all.fetch().unwrap())
        };
        let before = total(0.5);
        assert_eq!(runs(), 5);
        assert_eq!(total(0.5), before);
        assert_eq!(runs(), 2, "only those without a checkpoint");
        assert_ne!(total(0.25), before);
        assert_eq!(runs(), 5);
    });
}

/// Opened by the test.
static GATE: (Mutex<bool>, Condvar) = (Mutex::new(true), Condvar::new());

fn behind_the_gate(n: u64) -> Vec<f64> {
    let open = GATE.0.lock().unwrap();
    drop(GATE.1.wait_while(open, |open| !*open).unwrap());
    vec![n as f64]
}

fn set_gate(is_open: bool) {
    *GATE.0.lock().unwrap() = is_open;
    GATE.1.notify_all();
}

#[test]
fn a_result_is_found_without_its_inputs_where_these_have_checkpoints() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        let both = || {
            let input = spawn!(behind_the_gate(7), checkpoint = "input");
            let last = spawn!(sum(&input), checkpoint = "last");
            (input, last)
        };
        assert_eq!(both().1.fetch().unwrap(), 7.0);
        assert_eq!(clean(shelf(), &Stale::all().named("input")).unwrap(), 1);
        set_gate(false);
        let (input, last) = both();
        assert_eq!(last.fetch().unwrap(), 7.0);
        assert!(!input.is_ready());
        set_gate(true);
        assert_eq!((input.fetch().unwrap(), runs()), (vec![7.0], 1));
    });
}

#[test]
fn a_lazy_graph_is_not_run_where_a_result_of_it_is_found() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        let graph = |scale: f64| {
            let xs = lazy!(simulate(100, scale));
            let total = lazy!(sum(&xs), checkpoint = "total");
            lazy!((|total: &f64| total + 1.0)(&total))
        };
        let before = graph(0.5).collect().unwrap();
        assert_eq!(runs(), 2);
        let again = graph(0.5);
        assert_eq!(again.to_dot().matches(" -> ").count(), 1, "the inputs of what is found are not needed");
        assert_eq!(again.collect().unwrap(), before);
        assert_eq!(runs(), 0);
        assert_ne!(graph(0.25).collect().unwrap(), before);
        assert_eq!(runs(), 2);
        // What was found and cannot be read after all is made by the graph behind it.
        let again = graph(0.5);
        clean(shelf(), &Stale::all()).unwrap();
        assert_eq!(again.collect().unwrap(), before);
        assert_eq!(runs(), 2);
    });
}

#[test]
fn a_long_chain_of_lazy_tasks_is_known_by_how_it_is_made() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        fn step(x: &u64) -> u64 {
            RUNS.fetch_add(1, SeqCst);
            x + 1
        }
        let chain = || {
            let last = (0..20_000).fold(lazy!((|x: u64| x)(0)), |task, _| lazy!(step(&task)));
            lazy!(step(&last), checkpoint = "chain")
        };
        assert_eq!(chain().collect().unwrap(), 20_001);
        assert_eq!(runs(), 20_001);
        assert_eq!(chain().collect().unwrap(), 20_001);
        assert_eq!(runs(), 0);
    });
}

#[test]
fn what_is_kept_can_be_listed_and_removed() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        assert!(list(shelf()).unwrap().is_empty());
        for n in 0..3 {
            spawn!(simulate(n, 1.0), checkpoint = "a/b c").wait();
        }
        spawn!(simulate(9, 1.0), checkpoint = "other").wait();
        let all = list(shelf()).unwrap();
        let names: Vec<&str> = all.iter().map(|kept| &*kept.name).collect();
        assert_eq!(names, ["a/b c", "a/b c", "a/b c", "other"]);
        assert!(all.iter().all(|kept| kept.bytes > 64 && kept.path.starts_with(shelf())));
        assert_eq!(clean(shelf(), &Stale::all().older_than(Duration::from_secs(3600))).unwrap(), 0);
        assert_eq!(clean(shelf(), &Stale::all().named("a/b c")).unwrap(), 3);
        assert_eq!(list(shelf()).unwrap().len(), 1);
        assert_eq!(clean(shelf(), &Stale::all()).unwrap(), 1);
        assert!(std::fs::read_dir(shelf()).unwrap().next().is_none(), "empty folders go");
    });
}

#[test]
fn a_cluster_may_say_where_results_lie() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        let other = shelf().with_file_name("other");
        let cluster = Cluster::local().checkpoints(&other).start().unwrap();
        spawn!(simulate(3, 1.0), checkpoint = "sim").wait();
        assert_eq!((list(shelf()).unwrap().len(), list(other).unwrap().len()), (0, 1));
        drop(cluster);
    });
}

#[test]
fn functions_of_the_users_keep_and_find_results() {
    let folder = Folder::new();
    alone_with(2, &[(PLACE, folder.file("kept").to_str().unwrap())], || {
        static KEPT: Mutex<Option<f64>> = Mutex::new(None);
        let own = Checkpoint::new(
            |value: &f64| {
                *KEPT.lock().unwrap() = Some(*value);
                io::Result::Ok(())
            },
            || io::Result::Ok(*KEPT.lock().unwrap()),
        );
        let xs = spawn!(|| vec![1.0, 2.0]);
        assert_eq!(spawn!(sum(&xs), checkpoint_with = own.clone()).fetch().unwrap(), 3.0);
        assert_eq!((runs(), *KEPT.lock().unwrap()), (1, Some(3.0)));
        *KEPT.lock().unwrap() = Some(4.0);
        assert_eq!(spawn!(sum(&xs), checkpoint_with = own).fetch().unwrap(), 4.0);
        assert_eq!(runs(), 0);
        assert!(list(shelf()).unwrap().is_empty());
    });
}

/// Runs this test once more, in another process, where it plays a scene and ends.
fn scene(test: &str, folder: &Folder) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("checkpoints::{test}"), "--exact", "--nocapture"]);
    command.env("PONIARD_SCENE", "1").env(PLACE, folder.file("kept")).env("PONIARD_THREADS", "2");
    command.env("RUST_BACKTRACE", "0").output().unwrap()
}

fn is_scene() -> bool {
    std::env::var_os("PONIARD_SCENE").is_some()
}

/// The lines that the process told of checkpoints.
fn told(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().filter(|line| line.starts_with("poniard: ")).map(str::to_owned).collect()
}

#[test]
fn a_damaged_result_is_told_of_once_and_made_again() {
    if is_scene() {
        let total = || spawn!(simulate(1000, 0.5), checkpoint = "sim").fetch().unwrap();
        let before = total();
        assert_eq!(runs(), 1);
        let file = list(shelf()).unwrap()[0].path.clone();
        let whole = std::fs::read(&file).unwrap();
        for bit in (0..whole.len() * 8).step_by(whole.len() / 6 * 8 + 1) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(total(), before);
            assert_eq!(runs(), 1);
            assert_eq!(std::fs::read(&file).unwrap(), whole, "and kept again");
        }
        std::fs::write(&file, &whole[..100]).unwrap();
        assert_eq!(total(), before);
        std::fs::write(&file, &whole[..100]).unwrap();
        assert_eq!(total(), before);
        return;
    }
    let folder = Folder::new();
    let lines = told(&scene("a_damaged_result_is_told_of_once_and_made_again", &folder));
    let start = "poniard: cannot restore checkpoint `sim` of task `simulate` (crates/poniard/tests/rows/checkpoints.rs:";
    assert!(
        lines.iter().all(|line| line.starts_with(start) && line.ends_with("; the task runs")),
        "{lines:#?}"
    );
    let cut = lines.iter().filter(|line| line.contains(" bytes were written, and 100 are there"));
    assert_eq!(cut.count(), 1, "{lines:#?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_of_once_and_stops_nobody() {
    if is_scene() {
        for n in 0..3 {
            assert_eq!(spawn!(simulate(5, 1.0), checkpoint = "sim").fetch().unwrap().len(), 5, "{n}");
        }
        assert_eq!(runs(), 3);
        return;
    }
    let folder = Folder::new();
    std::fs::write(folder.file("kept"), "a file where the folder should be").unwrap();
    let lines = told(&scene("a_folder_that_cannot_be_written_is_told_of_once_and_stops_nobody", &folder));
    let ends = |end: &str| lines.iter().filter(|line| line.ends_with(end)).count();
    assert_eq!((ends("; the result is not kept"), ends("; the task runs")), (1, 1), "{lines:#?}");
}

#[test]
fn hooks_that_fail_panic_or_find_another_type_are_told_of_and_the_task_runs() {
    if is_scene() {
        let keeps = |_: &f64| io::Result::Ok(());
        let run = |own: Checkpoint| {
            let xs = spawn!(|| vec![1.0, 2.0]);
            assert_eq!(spawn!(sum(&xs), checkpoint_with = own).fetch().unwrap(), 3.0);
            assert_eq!(runs(), 1);
        };
        run(Checkpoint::new(keeps, || io::Result::Ok(None)));
        run(Checkpoint::new(|_: &f64| Err(io::Error::other("no room")), || io::Result::Ok(None)));
        run(Checkpoint::new(keeps, || Err(io::Error::other("no luck"))));
        run(Checkpoint::new(keeps, || -> io::Result<Option<f64>> { panic!("in restore") }));
        run(Checkpoint::new(|_: &f64| -> io::Result<()> { panic!("in store") }, || io::Result::Ok(None)));
        run(Checkpoint::new(|_: &u8| io::Result::Ok(()), || io::Result::Ok(Some(7_u8))));
        let no_bytes = spawn!((|x: Pinned<u8>| x.0)(Pinned(4)), checkpoint = "pinned");
        assert_eq!(no_bytes.fetch().unwrap(), 4);
        return;
    }
    let folder = Folder::new();
    let output = scene("hooks_that_fail_panic_or_find_another_type_are_told_of_and_the_task_runs", &folder);
    let lines = told(&output);
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has(": no room; the result is not kept"), "{lines:#?}");
    assert!(has(": no luck; the task runs"), "{lines:#?}");
    assert!(has(": the user's code panicked; the task runs"), "{lines:#?}");
    assert!(has(": the user's code panicked; the result is not kept"), "{lines:#?}");
    assert!(
        has(": a value of type `u8` was found, and the task's result is `f64`; the task runs"),
        "{lines:#?}"
    );
    assert!(has(": the function that keeps results takes `u8`; the result is not kept"), "{lines:#?}");
    assert!(has("has no bytes to be known by; the task runs without"), "{lines:#?}");
    assert_eq!(lines.len(), 7, "{lines:#?}");
}

#[test]
fn a_process_that_dies_while_it_writes_leaves_nothing_half() {
    let place = || PathBuf::from(std::env::var_os(PLACE).unwrap()).join("sim/result.checkpoint");
    if is_scene() {
        let dies = |text: &String, to: &mut dyn Write| -> io::Result<()> {
            to.write_all(text.as_bytes())?;
            to.flush()?;
            std::process::abort()
        };
        let read = |from: &mut dyn Read| io::read_to_string(from);
        let _ = to_file_with(&"new".repeat(1000), place(), by_reader(read, dies));
        unreachable!("the process is gone");
    }
    let folder = Folder::new();
    let kept = folder.file("kept");
    std::fs::create_dir_all(kept.join("sim")).unwrap();
    std::fs::write(kept.join("sim/result.checkpoint"), "old").unwrap();
    let output = scene("a_process_that_dies_while_it_writes_leaves_nothing_half", &folder);
    assert!(!output.status.success());
    assert_eq!(std::fs::read_to_string(kept.join("sim/result.checkpoint")).unwrap(), "old");
    let files = || std::fs::read_dir(kept.join("sim")).unwrap().count();
    assert_eq!(files(), 2, "the old one, and what the process left");
    assert_eq!(list(&kept).unwrap().len(), 1);
    assert_eq!(clean(&kept, &Stale::all().named("nothing")).unwrap(), 0);
    assert_eq!(files(), 1, "what it left went");
}
