//! `poniard scheduler start` and `poniard worker start`: workers that come from elsewhere.

use super::stage::*;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

/// A cluster of this many workers that were started by hand.
fn cluster(folder: &Folder, listen: &str, workers: usize) -> (Process, Vec<Process>) {
    let file = folder.path("connection");
    let mut first = Process::start(first(&file, listen, &workers.to_string()));
    let others = (0..workers).map(|_| Process::start(worker(&file))).collect();
    let wanted: Vec<String> = (1..=workers + 1).map(|number| number.to_string()).collect();
    assert_eq!(first.says(), format!("begins with {}", wanted.join(" ")));
    (first, others)
}

#[test]
fn workers_join_over_tcp_and_end_with_the_cluster() {
    let folder = Folder::new();
    let (mut first, mut others) = cluster(&folder, "tcp://127.0.0.1:0", 2);
    let file = folder.path("connection");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    first.ask("work 100");
    for process in first.ask("processes").split(' ') {
        let listens = listens_at(process.parse().unwrap());
        assert!(listens.iter().all(|address| address == LOOPBACK), "{listens:?}");
    }
    // One that comes later gets work too.
    others.push(Process::start(worker(&file)));
    assert_eq!(first.ask("until 4"), "1 2 3 4");
    first.ask("work 100");
    // What was said to the program is not said to those that it starts.
    assert_eq!(first.ask("child"), "it begins with 1");
    assert!(file.exists());
    assert_eq!(first.ask("end"), "ended");
    assert!(!file.exists());
    for mut other in others {
        assert!(other.end().success(), "{:?}", other.complaints());
    }
    assert!(first.end().success());
}

#[test]
fn workers_of_this_machine_and_of_others_are_one_cluster() {
    let folder = Folder::new();
    let file = folder.path("connection");
    let words = ["run", "-n", "2", "--file", text(&file), "--listen", "127.0.0.1:0", "--wait", "1"];
    let mut app = Process::start(poniard(&words));
    let mut other = Process::start(worker(&file));
    assert_eq!(app.says(), "begins with 1 2 3");
    app.ask("work 50");
    let all = app.ask("processes");
    assert!(all.split(' ').any(|process| process == other.id().to_string()), "{all}");
    assert!(app.end().success() && other.end().success());
    assert!(!all.split(' ').any(|process| is_alive(process.parse().unwrap())));
}

#[test]
fn workers_join_over_tls_and_one_without_a_certificate_is_refused() {
    let folder = Folder::new();
    let (mut first, _others) = cluster(&folder, "tls://127.0.0.1:0", 1);
    let text = std::fs::read_to_string(folder.path("connection")).unwrap();
    let (plain, _) = text.split_once("-----BEGIN").unwrap();
    let stripped = folder.file("stripped", plain, 0o600);
    let (status, _, said) = run(worker(&stripped));
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("does not let this process in: the other side is no worker of Poniard"), "{said}");
    first.complains("away: received corrupt message");
    first.ask("work 20");
    assert_eq!(first.ask("who"), "1 2");
    assert_eq!(first.ask("add 1"), "added 1");
    first.ask("work 20");
    assert_eq!(first.ask("who"), "1 2 3");
}

#[test]
fn s03_a_certificate_of_another_cluster_is_refused_on_both_sides() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let (mut first, _others) = cluster(&folder, "tls://127.0.0.1:0", 1);
    let (_second, _its) = cluster(&elsewhere, "tls://127.0.0.1:0", 1);
    let parts = |folder: &Folder| -> Vec<String> {
        let text = std::fs::read_to_string(folder.path("connection")).unwrap();
        text.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect()
    };
    // The address, the token and the authority of one cluster, the certificate and the key of the other.
    let (ours, theirs) = (parts(&folder), parts(&elsewhere));
    let mixed = folder.file("mixed", [&ours[0], &theirs[1], &theirs[2]].map(String::as_str).concat(), 0o600);
    let (status, _, said) = run(worker(&mixed));
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("does not let this process in"), "{said}");
    first.complains("away: invalid peer certificate");
    first.ask("work 20");
}

#[test]
fn f01_a_worker_that_is_killed_is_missed_at_once() {
    let folder = Folder::new();
    let (mut first, mut others) = cluster(&folder, "tcp://127.0.0.1:0", 2);
    first.tell("begin 3");
    first.tell("begin 3");
    assert_eq!(first.ask("who"), "1 2 3");
    let begin = Instant::now();
    others.pop().unwrap().kill();
    first.tell("until 2");
    let left = goes_on_with_one(&mut first);
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    assert!(["2", "3"].contains(&left.as_str()), "{left}");
    let lost = if left == "2" { "w3" } else { "w2" };
    assert_eq!(first.complains("is lost"), format!("{lost} is lost: its connection ended"));
    // Who ends in order is no news.
    assert_eq!(first.ask("end"), "ended");
    assert!(first.end().success());
    assert_eq!(first.complaints(), [""; 0]);
}

/// Worker 1 says that one other is left, and that this one has run both of its tasks; in the order in which it happens.
fn goes_on_with_one(first: &mut Process) -> String {
    let mut said = [first.says(), first.says(), first.says()];
    said.sort();
    let left = said[0].strip_prefix("1 ").expect("two are left").to_owned();
    assert_eq!(said[1..], [format!("ran on {left}"), format!("ran on {left}")]);
    left
}

#[test]
fn f06_workers_of_other_servers_end_with_worker_1_whatever_kills_it() {
    let folder = Folder::new();
    let (mut first, mut others) = cluster(&folder, "tcp://127.0.0.1:0", 2);
    let begin = Instant::now();
    first.kill();
    for other in &mut others {
        assert_eq!(other.end().code(), Some(3));
    }
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[test]
fn f08_a_worker_that_is_silent_for_too_long_is_lost_and_ends_when_it_wakes() {
    let folder = Folder::new();
    let file = folder.path("connection");
    let mut app = Process::start({
        let mut command = first(&file, "tcp://127.0.0.1:0", "2");
        command.env("PONIARD_WORKER_TIMEOUT", "3");
        command
    });
    let mut others: Vec<Process> = (0..2).map(|_| Process::start(worker(&file))).collect();
    assert_eq!(app.says(), "begins with 1 2 3");
    app.tell("begin 2");
    app.tell("begin 2");
    signal("-STOP", others[0].id());
    app.tell("until 2");
    goes_on_with_one(&mut app);
    app.complains("is lost: it was out of reach for too long");
    signal("-CONT", others[0].id());
    assert_eq!(others[0].end().code(), Some(3));
    app.ask("work 20");
    assert!(app.end().success());
}

#[test]
fn f12_a_worker_of_another_server_that_is_stopped_does_not_hold_up_the_end_and_ends_when_it_goes_on() {
    let folder = Folder::new();
    let (mut first, mut others) = cluster(&folder, "tcp://127.0.0.1:0", 2);
    first.ask("work 20");
    let stopped = others[0].id();
    signal("-STOP", stopped);
    // Nobody here can end it; its line is cut, and it finds that.
    assert_eq!(first.ask("end"), "ended");
    assert!(first.end().success() && others[1].end().success());
    assert!(is_alive(stopped));
    signal("-CONT", stopped);
    assert!(matches!(others[0].end().code(), Some(0 | 3)), "in order, or as one that is alone");
}

#[test]
fn f29_two_clusters_on_one_machine_know_nothing_of_each_other() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let (mut one, _of_one) = cluster(&folder, "tcp://127.0.0.1:0", 1);
    let (mut two, _of_two) = cluster(&elsewhere, "tcp://127.0.0.1:0", 1);
    one.ask("work 20");
    assert!(one.end().success());
    two.ask("work 20");
    assert_eq!(two.ask("who"), "1 2");
}
