//! Asking programs that run what they do. They answer at Unix sockets in a folder of this user's, which need not be told.
//!
//! A program that is stopped does not answer, and so nothing here is waited for without an end.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take: it asks its workers for a second or two.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to let somebody in: the system does that.
const KNOCKING: Duration = Duration::from_secs(2);
/// What an answer may weigh: two lines of each of thousands of workers.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// What requests begin with: the name, and the version of what is said.
const GREETING: &str = "poniard 1";

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) question: Question,
    /// Of which program; of the only one, unless it is said.
    pub(crate) pid: Option<u32>,
    pub(crate) is_json: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    Status,
    /// Why the task of this number waits.
    Explain(u64),
}

/// A program that answers.
#[derive(Debug)]
struct Program {
    pid: u32,
    command: Vec<String>,
    socket: PathBuf,
}

/// What is to be printed.
///
/// # Errors
/// What to say when there is nothing, and the status to end with.
pub(crate) fn look(look: &Look) -> Result<String, (String, u8)> {
    let folder = folder();
    let mut programs = programs(&folder);
    let there = list(&programs);
    if let Some(pid) = look.pid {
        programs.retain(|program| program.pid == pid);
        if programs.is_empty() {
            let there = if there.is_empty() { String::new() } else { format!("; there are:\n{there}") };
            return Err((format!("no program {pid} of this user answers here{there}"), 1));
        }
    }
    match &programs[..] {
        [] => Err((
            format!(
                "no program of this user with workers runs here (none answers in {}); one without is found if it is started \
                 with PONIARD_STATUS=1",
                folder.display()
            ),
            1,
        )),
        [program] => ask(program, look).map_err(|why| (why, 1)),
        several if look.question == Question::Status => Ok(match look.is_json {
            true => json_of(several),
            false => format!("several programs run; choose one with --pid:\n{there}"),
        }),
        _ => Err((format!("several programs run; choose one with --pid:\n{there}"), 2)),
    }
}

/// Where the programs of this user are asked.
fn folder() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    match runtime {
        Some(folder) => folder.join("poniard"),
        None => PathBuf::from(format!("/tmp/poniard-{}", own_user())),
    }
}

/// The user of this process, as the kernel tells it.
fn own_user() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    // Real, effective, and two more.
    line.split_whitespace().nth(1).unwrap_or("0").to_owned()
}

/// Those that live, by their numbers. The sockets of those that are dead are swept away.
fn programs(folder: &Path) -> Vec<Program> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A name that begins with a point is of one that is about to be there.
        let Some(pid) = name.split('-').next().and_then(|pid| pid.parse().ok()) else { continue };
        let socket = entry.path();
        match knock(&socket) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => drop(fs::remove_file(socket)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // One that is too busy to be asked is there all the same.
            _ => programs.push(Program { pid, command: command(pid), socket }),
        }
    }
    programs.sort_by_key(|program| program.pid);
    programs
}

/// Connects. The system does not say how long that may take where too many wait, so it is another thread that waits.
fn knock(socket: &Path) -> io::Result<UnixStream> {
    let (sender, connected) = sync_channel(1);
    let socket = socket.to_owned();
    thread::spawn(move || drop(sender.send(UnixStream::connect(socket))));
    connected.recv_timeout(KNOCKING).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// What a process was started as.
fn command(pid: u32) -> Vec<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn ask(program: &Program, look: &Look) -> Result<String, String> {
    let form = if look.is_json { "json" } else { "text" };
    let request = match look.question {
        Question::Status => format!("{GREETING} status {form}\n"),
        Question::Explain(task) => format!("{GREETING} explain {task} {form}\n"),
    };
    let answer = exchange(&program.socket, &request).map_err(|error| unanswered(program, &error))?;
    match answer.split_once('\n') {
        Some(("ok", text)) if look.is_json || look.question != Question::Status => Ok(text.to_owned()),
        Some(("ok", text)) => Ok(format!("program {program}\n{text}")),
        Some(("no", why)) => Err(format!("program {program} says: {}", why.trim_end())),
        _ => Err(format!("program {program} says what is no answer")),
    }
}

fn exchange(socket: &Path, request: &str) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = knock(socket)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            Ok(len) => answer.extend_from_slice(&part[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() as u64 > ANSWER_BYTES_MAX {
            return Err(io::Error::other("the answer has no end"));
        }
    }
}

/// Why nothing came, in words.
fn unanswered(program: &Program, error: &io::Error) -> String {
    let pid = program.pid;
    let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    match (is_late, state(pid)) {
        (true, Some('T' | 't')) => format!(
            "program {program} is stopped (by SIGSTOP, or a debugger) and answers nobody; `kill -CONT {pid}` lets it go on"
        ),
        (true, _) => format!("program {program} does not answer within {PATIENCE:?}"),
        (false, None) => format!("program {program} has just ended"),
        (false, _) => format!("program {program} cannot be asked: {error}"),
    }
}

/// The letter by which the kernel tells what a process does; `None` of one that is gone.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pid)?;
        if self.command.is_empty() { Ok(()) } else { write!(f, " ({})", self.command.join(" ")) }
    }
}

/// A line for each.
fn list(programs: &[Program]) -> String {
    let line = |program: &Program| format!("  {:>7}  {}\n", program.pid, program.command.join(" "));
    programs.iter().map(line).collect()
}

fn json_of(programs: &[Program]) -> String {
    let one = |program: &Program| {
        let words: Vec<String> = program.command.iter().map(|word| quoted(word)).collect();
        format!("{{\"pid\":{},\"command\":[{}]}}", program.pid, words.join(","))
    };
    let all: Vec<String> = programs.iter().map(one).collect();
    format!("{{\"programs\":[{}]}}\n", all.join(","))
}

/// A text of JSON.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\u{0}'..='\u{1f}' => json += &format!("\\u{:04x}", c as u32),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
