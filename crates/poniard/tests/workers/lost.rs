//! Workers that are lost while tasks run there.

use super::*;

/// A name for a file in the temporary folder.
fn file(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("poniard-{name}-{}", std::process::id()))
}

#[test]
fn f01_a_killed_worker_costs_only_what_it_ran() {
    alone(2, || {
        let _cluster = cluster(3);
        let victim = process_of(3);
        fn slow(number: u64) -> u64 {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            number * number
        }
        let tasks: Vec<_> =
            (0..200_u64).map(|number| spawn!(slow(number), scope = Scope::workers([2, 3, 4]))).collect();
        wait_any(&tasks);
        signal("-9", victim);
        for (number, square) in (0..).zip(fetch_all(&tasks).unwrap()) {
            assert_eq!(square, number * number);
        }
        assert_eq!(workers(), [WorkerId(1), WorkerId(2), WorkerId(4)]);
    });
}

#[test]
fn a_task_that_fits_nowhere_else_is_lost_with_its_worker() {
    alone(1, || {
        let _cluster = cluster(1);
        let process = process_of(2);
        let (begun, end) = (file("begun"), file("end"));
        fn waits(begun: String, end: String) {
            std::fs::write(begun, "").unwrap();
            wait_for(&end);
        }
        let name = |file: &std::path::Path| file.to_string_lossy().into_owned();
        let task = spawn!(waits(name(&begun), name(&end)), scope = Scope::worker(2));
        until("it runs", || begun.exists());
        std::fs::remove_file(&begun).unwrap();
        signal("-9", process);
        let error = task.fetch().unwrap_err();
        assert!(error.is_worker_lost(), "{error}");
        assert!(error.to_string().contains("was lost with w2"), "{error}");
        let later = spawn!(my_id(), scope = Scope::worker(2)).fetch().unwrap_err();
        assert!(later.is_scheduling(), "{later}");
    });
}

#[test]
fn f03_a_task_that_kills_three_workers_fails_and_names_them() {
    alone(1, || {
        let _cluster = cluster(4);
        fn killer() {
            std::process::abort();
        }
        let error = spawn!(killer(), scope = !Scope::worker(1)).fetch().unwrap_err();
        assert!(error.is_worker_lost());
        let text = error.to_string();
        // Which three of the four, and in which order, is the scheduler's.
        let (_, deaths) = text.split_once("3 workers died while they ran it: ").expect(&text);
        let named: Vec<&str> =
            deaths.split(", ").map(|death| death.strip_suffix(" by signal 6").expect(&text)).collect();
        let different: std::collections::BTreeSet<&str> = named.iter().copied().collect();
        assert_eq!((named.len(), different.len()), (3, 3), "{text}");
        assert!(different.is_subset(&["w2", "w3", "w4", "w5"].into()), "{text}");
        assert_eq!(workers().len(), 2, "one worker is left beside this process");
    });
}

#[test]
fn a_worker_that_exits_says_with_which_status() {
    alone(1, || {
        let _cluster = cluster(1);
        fn exits(status: i32) {
            std::process::exit(status);
        }
        let error = spawn!(exits(7), scope = Scope::worker(2)).fetch().unwrap_err();
        assert!(error.is_worker_lost() && error.to_string().contains("lost with w2"), "{error}");
    });
}
