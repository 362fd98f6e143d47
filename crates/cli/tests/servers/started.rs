//! `poniard run`: workers that are started on this machine, and on others by ssh.

use super::stage::*;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[test]
fn run_n_4_is_a_cluster_of_four_workers() {
    let mut app = Process::start(poniard(&["run", "-n", "4"]));
    assert_eq!(app.says(), "begins with 1 2 3 4");
    app.ask("work 50");
    let all = app.ask("processes");
    assert_eq!(all.split(' ').next(), Some(app.id().to_string().as_str()), "the program is worker 1");
    assert!(app.end().success());
    assert!(!all.split(' ').any(|process| is_alive(process.parse().unwrap())));
}

#[test]
fn the_end_of_the_program_is_that_of_the_command() {
    let mut app = Process::start(poniard(&["run", "-n", "2"]));
    app.says();
    app.tell("exit 7");
    assert_eq!(app.end().code(), Some(7));
    let mut app = Process::start(poniard(&["run"]));
    assert_eq!(app.says(), "begins with 1");
    app.tell("abort");
    assert_eq!(app.end().signal(), Some(6));
    let mut app = Process::start(poniard(&["run", "-n", "2"]));
    app.says();
    signal("-TERM", app.id());
    assert_eq!(app.end().signal(), Some(15));
}

#[test]
fn what_cannot_be_started_is_said_in_one_line() {
    let command = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_poniard"));
        command.args(words);
        let (status, _, said) = run(command);
        (status.code(), said)
    };
    let (code, said) = command(&["run", "-n", "2", "--", "/nowhere/app"]);
    assert_eq!(code, Some(127));
    assert!(said.starts_with("poniard: cannot start /nowhere/app: No such file"), "{said}");
    let (code, said) = command(&["run", "-n", "2"]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    let (code, said) = command(&["worker", "start", "--", "./app"]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
}

#[test]
fn s01_processes_of_one_machine_listen_at_no_port() {
    let mut app = Process::start(poniard(&["run", "-n", "2"]));
    app.says();
    for process in app.ask("processes").split(' ') {
        assert_eq!(listens_at(process.parse().unwrap()), [""; 0]);
    }
    assert!(app.end().success());
}

/// Stands for ssh: keeps what it was told, and obeys here.
const SSH: &str = "#!/bin/sh
printf '%s\\n' \"$@\" >> \"$PONIARD_TEST_SSH\"
[ \"$1\" = -o ] && shift 2
[ \"$1\" = gone ] && exit 255
exec sh -c \"$2\"
";

#[test]
fn hosts_get_workers_in_turn_and_secrets_by_no_command_line() {
    let folder = Folder::new();
    let (ssh, log) = (folder.script("ssh", SSH), folder.path("log"));
    let ssh = format!("{} -o BatchMode=yes", text(&ssh));
    let mut command = poniard(&["run", "-n", "4", "--hosts", "127.0.0.1,me@localhost", "--ssh", &ssh]);
    let mut app = Process::start({
        command.env("PONIARD_TEST_SSH", &log);
        command
    });
    assert_eq!(app.says(), "begins with 1 2 3 4");
    app.ask("work 50");
    let told = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 12);
    let mut hosts: Vec<&str> = lines.iter().copied().skip(2).step_by(4).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["127.0.0.1", "127.0.0.1", "me@localhost"]);
    let here = std::env::current_dir().unwrap();
    let wanted = format!(
        "cd '{}' && exec env PONIARD_WORKER=1 PONIARD_THREADS='1' '{}'",
        here.display(),
        program().display()
    );
    assert!(lines.iter().skip(3).step_by(4).all(|line| *line == wanted), "{told}\n{wanted}");
    for process in app.ask("processes").split(' ') {
        assert!(holds_no_secret(process), "{process}");
        assert!(listens_at(process.parse().unwrap()).iter().all(|address| address == LOOPBACK));
    }
    assert!(app.end().success());
}

/// No word of the process's arguments and environment is as long a number as a token.
fn holds_no_secret(process: &str) -> bool {
    ["cmdline", "environ"].iter().all(|file| {
        let said = std::fs::read(format!("/proc/{process}/{file}")).unwrap();
        !said.split(|byte| !byte.is_ascii_hexdigit()).any(|digits| digits.len() >= 64)
    })
}

#[test]
fn a_host_that_cannot_be_reached_is_named_with_what_ssh_said() {
    let folder = Folder::new();
    let ssh = folder.script("ssh", SSH);
    let mut command = poniard(&["run", "--hosts", "gone", "--ssh", text(&ssh), "--listen", "127.0.0.1:0"]);
    command.env("PONIARD_TEST_SSH", folder.path("log"));
    let mut app = Process::start(command);
    let said = app.complains("w2 ended before");
    assert!(
        said.contains(
            "cannot start 1 workers: w2 ended before it had joined: its process ended with exit status 255"
        ),
        "{said}"
    );
    assert_eq!(app.end().code(), Some(4));
}

#[test]
fn a_hostfile_names_hosts_with_slots() {
    let folder = Folder::new();
    let ssh = folder.script("ssh", SSH);
    let hosts = folder.file("hosts", "127.0.0.1 slots=2\n# and\nlocalhost\n", 0o600);
    let mut command = poniard(&["run", "--hostfile", text(&hosts), "--ssh", text(&ssh)]);
    command.env("PONIARD_TEST_SSH", folder.path("log"));
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2 3 4");
    assert!(app.end().success());
}

#[test]
fn a_worker_of_another_host_that_is_lost_is_replaced_on_that_host() {
    let folder = Folder::new();
    let (ssh, log) = (folder.script("ssh", SSH), folder.path("log"));
    let mut command = poniard(&["run", "--hosts", "127.0.0.1,localhost", "--ssh", text(&ssh)]);
    command.env("PONIARD_TEST_SSH", &log).env("PONIARD_TEST_RESPAWN", "10");
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2 3");
    // The first on the second host, and then the one in its place: whose number alone would lead to the first.
    for (place, next) in [("3", "1 2 4"), ("4", "1 2 5")] {
        let processes = app.ask("processes");
        let lost = processes.split(' ').nth(2).unwrap().parse().unwrap();
        signal("-9", lost);
        until(&format!("w{place} is replaced"), || app.ask("who") == next);
        let told = app.complains("is lost");
        let is_whole = told.starts_with(&format!("w{place} is lost: its process "))
            && told.ends_with("; another one takes its place");
        assert!(is_whole, "{told}");
        app.ask("work 20");
    }
    let told = std::fs::read_to_string(&log).unwrap();
    let mut hosts: Vec<&str> = told.lines().step_by(2).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["127.0.0.1", "localhost", "localhost", "localhost"]);
    assert!(app.end().success());
}
