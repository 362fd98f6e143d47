//! `mpirun ./app`: the processes of a job are a cluster, by MPI where this is built with the feature `mpi`, else by a file and
//! sockets like those of a step of Slurm.

use super::stage::*;
use std::process::{Command, Stdio};

/// The program under `mpirun` in so many processes, or nothing where there is no such command.
fn mpirun(count: &str, home: &Folder) -> Option<Command> {
    let mut command = job(count, home)?;
    command.args(ARGUMENTS).env(MARK, "1");
    Some(command)
}

/// The same with the test program's own arguments still to come.
fn job(count: &str, home: &Folder) -> Option<Command> {
    let version =
        Command::new("mpirun").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        println!("SKIP: mpirun is not installed (apt-get install openmpi-bin)");
        return None;
    }
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--allow-run-as-root", "-n", count]).arg(program());
    command.env("PONIARD_THREADS", "1").env("HOME", home.path("home"));
    // What it keeps in files stays there when it is killed.
    command.env("OMPI_MCA_orte_tmpdir_base", home.path(""));
    Some(command)
}

/// The processes of a job, that of worker 1 first.
fn processes(app: &mut Process) -> Vec<u32> {
    app.ask("processes").split(' ').map(|process| process.parse().unwrap()).collect()
}

fn until_none_is_alive(processes: &[u32]) {
    until("no process is left", || !processes.iter().any(|process| is_alive(*process)));
}

#[test]
fn mpirun_n_3_is_a_cluster_of_three_workers() {
    let folder = Folder::new();
    let Some(command) = mpirun("3", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2 3");
    assert_eq!(app.ask("work 50"), "40425");
    let processes = processes(&mut app);
    assert!(processes[0] != processes[1] && processes[1] != processes[2] && processes[0] != processes[2]);
    // By MPI they need no file to find each other.
    let is_there = folder.path("home/.poniard").exists();
    assert_eq!(is_there, !cfg!(feature = "mpi"), "{}", text(&folder.path("home")));
    assert_eq!(app.ask("end"), "ended");
    assert!(app.end().success(), "{:?}", app.complaints());
    until_none_is_alive(&processes);
}

#[test]
fn values_of_other_ranks_of_this_host_are_read_where_they_lie() {
    let folder = Folder::new();
    let Some(command) = mpirun("2", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2");
    assert_eq!(app.ask("lent 64"), "67108864 bytes, none of them copied");
    assert!(app.end().success(), "{:?}", app.complaints());
}

#[test]
fn what_a_task_starts_is_no_rank() {
    let folder = Folder::new();
    let Some(command) = mpirun("2", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2");
    assert_eq!(app.ask("child"), "it begins with 1");
    assert!(app.end().success(), "{:?}", app.complaints());
}

#[test]
fn a_panic_on_another_rank_is_an_error_and_the_job_goes_on() {
    let folder = Folder::new();
    let Some(command) = mpirun("3", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2 3");
    let said = app.ask("panic 3");
    assert!(said.contains("panicked") && said.contains("on purpose"), "{said}");
    assert_eq!(app.ask("work 20"), "2470");
    assert!(app.end().success(), "{:?}", app.complaints());
}

#[test]
fn the_exit_status_of_the_program_is_that_of_mpirun() {
    let folder = Folder::new();
    let Some(command) = mpirun("2", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2");
    let processes = processes(&mut app);
    app.tell("exit 7");
    assert_eq!(app.end().code(), Some(7), "{:?}", app.complaints());
    until_none_is_alive(&processes);
}

#[test]
fn the_death_of_one_rank_is_told_and_ends_all() {
    for victim in [0, 2] {
        let folder = Folder::new();
        let Some(command) = mpirun("3", &folder) else { return };
        let mut app = Process::start(command);
        assert_eq!(app.says(), "begins with 1 2 3");
        let processes = processes(&mut app);
        signal("-KILL", processes[victim]);
        app.complains("signal 9");
        assert!(!app.end().success());
        until_none_is_alive(&processes);
    }
}

/// Takes seconds by MPI alone: by sockets such a worker is somebody else when it comes back.
#[cfg(feature = "mpi")]
#[test]
fn a_rank_that_is_stopped_for_too_long_is_lost_and_the_job_goes_on_and_ends() {
    for is_woken in [true, false] {
        let folder = Folder::new();
        let Some(mut command) = mpirun("3", &folder) else { return };
        command.env("PONIARD_WORKER_TIMEOUT", "2");
        let mut app = Process::start(command);
        assert_eq!(app.says(), "begins with 1 2 3");
        let processes = processes(&mut app);
        signal("-STOP", processes[2]);
        assert_eq!(app.ask("until 2"), "1 2");
        assert_eq!(app.ask("work 20"), "2470");
        if is_woken {
            signal("-CONT", processes[2]);
            app.complains("w3 ends: it has lost worker 1");
            assert_eq!(app.ask("work 20"), "2470");
        }
        let status = app.end();
        assert_eq!(status.success(), is_woken, "{:?}", app.complaints());
        if !is_woken {
            app.complains("the other processes that mpirun has started have not ended within 10s");
        }
        until_none_is_alive(&processes);
    }
}

#[test]
fn when_mpirun_is_killed_no_process_is_left() {
    let folder = Folder::new();
    let Some(command) = mpirun("3", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2 3");
    let processes = processes(&mut app);
    app.kill();
    until_none_is_alive(&processes);
}

#[test]
fn mpirun_n_1_is_a_program_like_others() {
    let folder = Folder::new();
    let Some(command) = mpirun("1", &folder) else { return };
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1");
    assert!(app.end().success(), "{:?}", app.complaints());
}

#[cfg(feature = "mpi")]
#[test]
fn a_program_that_never_spawns_ends_with_all_its_ranks() {
    let folder = Folder::new();
    let Some(mut command) = job("3", &folder) else { return };
    command.arg("--list");
    let (status, said, complaints) = run(command);
    assert!(status.success(), "{said}{complaints}");
    let names = said.lines().filter(|line| line.starts_with("mpirun::a_program_that_never_spawns")).count();
    assert_eq!(names, 1, "only rank 0 runs main: {said}");
}

#[cfg(feature = "mpi")]
#[test]
fn workers_that_mpirun_has_not_started_are_refused_in_words() {
    let folder = Folder::new();
    let Some(mut command) = mpirun("2", &folder) else { return };
    command.env("PONIARD_WORKERS", "2");
    let (status, said, complaints) = run(command);
    assert_eq!(status.code(), Some(4), "{said}{complaints}");
    let why = "the workers of this cluster are the processes that mpirun has started; start more of them, by its -n";
    assert!(complaints.contains(&format!("cannot start 2 workers: {why}")), "{complaints}");
    let mut app = Process::start(mpirun("2", &folder).unwrap());
    assert_eq!(app.says(), "begins with 1 2");
    assert_eq!(app.ask("add 1"), format!("cannot add 1 workers: {why}"));
    assert!(app.end().success(), "{:?}", app.complaints());
}

#[cfg(feature = "mpi")]
#[test]
fn a_rank_that_cannot_start_says_why_and_ends_the_job() {
    let folder = Folder::new();
    let other = other_build(&folder);
    let much = ["-x", "PONIARD_MEMORY=much"];
    for (options, executable, why) in
        [(&much[..], program(), "PONIARD_MEMORY is `much`"), (&[], other, "the executable is ")]
    {
        // Two programs in one job: the first one is worker 1.
        let Some(mut command) = mpirun("1", &folder) else { return };
        command.args([":", "-n", "1"]).args(options).arg(executable).args(ARGUMENTS);
        let (status, said, complaints) = run(command);
        assert!(!status.success(), "{said}");
        assert!(complaints.contains(&format!("a worker cannot start: {why}")), "{complaints}");
    }
}
