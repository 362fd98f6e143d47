//! `poniard status` and `poniard task explain`: programs that run, and what they say of themselves.

use super::stage::*;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

/// A place where no other test's programs are found.
struct Place {
    folder: Folder,
}

impl Place {
    fn new() -> Place {
        Place { folder: Folder::new() }
    }

    /// A program there with so many workers in all.
    fn program(&self, workers: &str) -> Process {
        let mut app = Process::start(self.of(poniard(&["run", "-n", workers])));
        assert!(app.says().starts_with("begins with 1"));
        app
    }

    fn of(&self, mut command: Command) -> Command {
        command.env("XDG_RUNTIME_DIR", self.folder.path(""));
        command
    }

    /// What the command says there: its status, what it printed, what it complained of.
    fn asked(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_poniard"));
        command.args(words);
        let (status, said, wrong) = run(self.of(command));
        (status.code(), said, wrong)
    }

    /// The same, which must be well.
    fn told(&self, words: &[&str]) -> String {
        let (status, said, wrong) = self.asked(words);
        assert_eq!((status, wrong.as_str()), (Some(0), ""), "{words:?}: {said}");
        said
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path("poniard"));
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

#[test]
fn status_finds_a_program_with_workers_and_has_a_row_for_each() {
    let place = Place::new();
    let mut app = place.program("3");
    app.ask("work 30");
    let text = place.told(&["status"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(&format!("program {} (", app.id())), "{text}");
    let head =
        ["worker", "node", "processors", "running", "ready", "waiting", "done", "failed", "copied", "lent"];
    assert!(lines[1].split_whitespace().take(10).eq(head), "{text}");
    for (line, worker) in lines[2..].iter().zip(["w1", "w2", "w3"]) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((cells[0], cells[2]), (worker, "1"), "{text}");
        assert!(line.contains(" of "), "its memory: {text}");
    }
    assert_eq!(lines.len(), 5, "{text}");
    let json = place.told(&["status", "--output", "json"]);
    let begin = format!("{{\"pid\":{},\"workers\":[{{\"worker\":1,", app.id());
    assert!(json.starts_with(&begin) && json.ends_with("\"gone\":[],\"overdue\":[]}\n"), "{json}");
    assert_eq!(json.matches("\"answers\":true").count(), 3, "{json}");
    // It is this user's alone.
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.folder.path("poniard")), 0o700);
    assert_eq!(place.sockets().iter().map(mode).collect::<Vec<_>>(), [0o600]);
    assert!(app.end().success());
    assert_eq!(place.sockets(), Vec::<PathBuf>::new(), "it takes its socket with it");
}

#[test]
fn a_task_is_explained_wherever_it_is_and_one_that_is_unknown_said_to_be() {
    let place = Place::new();
    let mut app = place.program("2");
    app.ask("work 1");
    let said = app.ask("wait");
    let (first, second) = said.split_once(' ').unwrap();
    let explain = |task: &str| place.told(&["task", "explain", task]);
    until("the first is there", || explain(first).contains("was sent to w2"));
    let text = explain(&format!("t{first}"));
    assert!(
        text.starts_with(&format!("task `first` (t{first}, ")) && text.contains("behind 0 others"),
        "{text}"
    );
    assert!(text.contains("obeys.rs"), "{text}");
    let text = explain(second);
    assert!(text.contains("task `second`"), "{text}");
    assert!(text.trim_end().ends_with("waits for one task, or turn, that has not ended"), "{text}");
    let json = place.told(&["task", "explain", second, "--output", "json"]);
    assert!(json.starts_with(&format!("{{\"task\":{second},\"why\":\"task `second` (")), "{json}");
    let (status, _, wrong) = place.asked(&["task", "explain", "t70000000"]);
    let wanted = "says: t70000000 is no task of this program: it has not spawned so many\n";
    assert!(status == Some(1) && wrong.ends_with(wanted), "{wrong}");
    let (status, _, wrong) = place.asked(&["task", "explain", "t0"]);
    assert!(status == Some(1) && wrong.contains("t0 is no task of this program"), "{wrong}");
    // One that has ended.
    let (status, _, wrong) = place.asked(&["task", "explain", "t1"]);
    assert!(status == Some(1) && wrong.contains("t1 has ended; or it is ready, or waits"), "{wrong}");
}

#[test]
fn of_several_programs_one_is_chosen_and_a_dead_one_is_swept_away() {
    let place = Place::new();
    let (status, _, wrong) = place.asked(&["status"]);
    assert!(
        status == Some(1) && wrong.starts_with("poniard: no program of this user with workers runs here"),
        "{wrong}"
    );
    let (mut one, two) = (place.program("2"), place.program("2"));
    let text = place.told(&["status"]);
    assert!(text.starts_with("several programs run; choose one with --pid:\n"), "{text}");
    for app in [&one, &two] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(&app.id().to_string())), "{text}");
        let of_one = place.told(&["status", "--pid", &app.id().to_string()]);
        assert!(of_one.starts_with(&format!("program {} (", app.id())), "{of_one}");
    }
    let json = place.told(&["status", "--output", "json"]);
    assert!(json.starts_with("{\"programs\":[{\"pid\":"), "{json}");
    let (status, _, wrong) = place.asked(&["task", "explain", "t1"]);
    assert!(status == Some(2) && wrong.starts_with("poniard: several programs run; choose one"), "{wrong}");
    assert_eq!(place.sockets().len(), 2);
    one.kill();
    let (status, _, wrong) = place.asked(&["status", "--pid", &one.id().to_string()]);
    let wanted = format!("poniard: no program {} of this user answers here; there are:\n", one.id());
    assert!(status == Some(1) && wrong.starts_with(&wanted), "{wrong}");
    assert_eq!(place.sockets().len(), 1, "the dead one's socket is gone");
    assert!(place.told(&["status"]).starts_with(&format!("program {} (", two.id())));
}

#[test]
fn a_program_that_is_stopped_is_said_to_be_and_not_waited_for() {
    let place = Place::new();
    let app = place.program("2");
    signal("-STOP", app.id());
    let (status, _, wrong) = place.asked(&["status"]);
    signal("-CONT", app.id());
    assert_eq!(status, Some(1));
    let end = format!(
        "is stopped (by SIGSTOP, or a debugger) and answers nobody; `kill -CONT {}` lets it go on\n",
        app.id()
    );
    assert!(wrong.ends_with(&end), "{wrong}");
    until("it answers again", || place.asked(&["status"]).0 == Some(0));
}

#[test]
fn a_worker_that_does_not_answer_has_a_row_that_says_so() {
    let place = Place::new();
    let mut app = place.program("2");
    let processes = app.ask("processes");
    let second = processes.split(' ').nth(1).unwrap().parse().unwrap();
    signal("-STOP", second);
    let text = place.told(&["status"]);
    let json = place.told(&["status", "--output", "json"]);
    signal("-CONT", second);
    assert!(text.lines().nth(3).is_some_and(|line| line.ends_with("does not answer")), "{text}");
    assert!(json.contains("\"answers\":false,\"tasks\":null"), "{json}");
}

#[test]
fn a_program_without_workers_listens_nowhere_unless_it_is_asked_to() {
    let place = Place::new();
    let mut app = place.program("1");
    app.ask("who");
    assert!(!place.folder.path("poniard").exists());
    let mut command = place.of(poniard(&["run"]));
    command.env("PONIARD_STATUS", "1");
    let mut shown = Process::start(command);
    shown.says();
    let text = place.told(&["status"]);
    assert!(text.starts_with(&format!("program {} (", shown.id())) && text.lines().count() == 3, "{text}");
    assert!(shown.end().success() && app.end().success());
    assert_eq!(place.sockets(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_no_program_of_poniard_is_not_waited_for() {
    let place = Place::new();
    let app = place.program("2");
    // One that says nothing, and one that says something else.
    let folder = place.folder.path("poniard");
    let _silent = UnixListener::bind(folder.join("1-silent")).unwrap();
    let (status, _, wrong) = place.asked(&["status", "--pid", "1"]);
    assert_eq!(status, Some(1));
    assert!(wrong.contains("program 1") && wrong.contains("does not answer within 10s"), "{wrong}");
    std::fs::remove_file(folder.join("1-silent")).unwrap();
    assert!(place.told(&["status"]).starts_with(&format!("program {} (", app.id())));
}
