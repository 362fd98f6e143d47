//! Starts processes, hears what they say, and ends them.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a wait for something lasts that must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Makes the program of these tests the one in `obeys`.
pub(crate) const MARK: &str = "PONIARD_TEST_OBEYS";
/// What stands before each line that the program says.
pub(crate) const SAYS: &str = "» ";

/// A process that was started by a test, and does not outlive it.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
    /// What it has said so far, for who wonders why a test fails.
    heard: Vec<String>,
}

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

/// This test program, as a program of a user.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe().expect("a process has an executable")
}

/// The arguments by which it is one.
pub(crate) const ARGUMENTS: [&str; 3] = ["obeys::program", "--exact", "--nocapture"];

/// `poniard` with these words, and then the program.
pub(crate) fn poniard(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poniard"));
    command.args(words).arg("--").arg(program()).args(ARGUMENTS).env(MARK, "1").env("PONIARD_THREADS", "1");
    command
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be started");
        let mut readers = Vec::new();
        let mut listen = |stream: Box<dyn Read + Send>| {
            let (sender, lines) = channel();
            readers.push(thread::spawn(move || hear(stream, &sender)));
            lines
        };
        let output = listen(Box::new(child.stdout.take().expect("it was asked for")));
        let errors = listen(Box::new(child.stderr.take().expect("it was asked for")));
        let input = child.stdin.take();
        Process { child, input, output, errors, readers, heard: Vec::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has the program do something.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has an input");
        writeln!(input, "{line}").expect("it reads");
    }

    /// The next thing that the program says.
    pub(crate) fn says(&mut self) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.output.recv_timeout(left) else {
                let errors: Vec<String> = self.errors.try_iter().collect();
                panic!("it says nothing more: {:?}, {errors:?}", self.heard);
            };
            let said = line.split_once(SAYS).map(|(_, said)| said.to_owned());
            self.heard.push(line);
            if let Some(said) = said {
                return said;
            }
        }
    }

    /// Has the program do something, and hears what comes of it.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.says()
    }

    /// The next line on the standard error that has this in it.
    pub(crate) fn complains(&mut self, part: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.errors.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => others.push(line),
                Err(_) => {
                    panic!("it does not complain of {part:?}, but of {others:?}; it said {:?}", self.heard)
                }
            }
        }
    }

    /// What it has complained of that nobody has asked for yet.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.errors.try_iter().collect()
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.input = None;
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status.expect("it has ended")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is a child");
        self.child.wait().expect("it is a child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            // What a failed test has left unsaid.
            let ended = self.child.try_wait().ok().flatten();
            let ended = ended.map_or("runs".to_owned(), |status| format!("has ended with {status}"));
            println!("process {} {ended}; it complained of {:#?}", self.id(), self.complaints());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Workers have its output open, and end with it.
        if !thread::panicking() {
            self.readers.drain(..).for_each(|reader| reader.join().expect("a reader does not panic"));
        }
    }
}

fn hear(stream: Box<dyn Read + Send>, lines: &Sender<String>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        // Whoever started it may want nothing more of it.
        let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
    }
}

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("poniard-servers-{}-{count}", std::process::id()));
        std::fs::create_dir(&folder).expect("the name is new");
        Folder(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file that can be run.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, text, 0o700)
    }

    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).expect("the folder takes files");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// Whether a process is there that runs.
pub(crate) fn is_alive(process: u32) -> bool {
    // A process that has ended and was not waited for is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Sends a signal to a process that this test has started.
pub(crate) fn signal(signal: &str, process: u32) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.expect("there is a kill").success(), "kill {signal} {process}");
}

/// Runs a command to its end. Gives its status, what it printed, and what it complained of.
pub(crate) fn run(mut command: Command) -> (ExitStatus, String, String) {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status, text(output.stdout), text(output.stderr))
}

/// Where a process listens for others, as the kernel writes it: an address and a port.
fn sockets_of(process: u32) -> Vec<(String, u16)> {
    let links = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").flatten();
    let targets: Vec<String> = links
        .filter_map(|link| std::fs::read_link(link.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    let mut sockets = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // 0A is a socket that listens.
            if fields[3] == "0A" && targets.contains(&format!("socket:[{}]", fields[9])) {
                let (address, port) = fields[1].split_once(':').expect("an address and a port");
                let port = u16::from_str_radix(port, 16).expect("the kernel writes it so");
                sockets.push((address.to_owned(), port));
            }
        }
    }
    sockets
}

/// Local addresses at which a process listens for others.
pub(crate) fn listens_at(process: u32) -> Vec<String> {
    sockets_of(process).into_iter().map(|(address, _)| address).collect()
}

/// The ports at which it does.
pub(crate) fn ports_of(process: u32) -> Vec<u16> {
    sockets_of(process).into_iter().map(|(_, port)| port).collect()
}

/// As the kernel writes 127.0.0.1.
pub(crate) const LOOPBACK: &str = "0100007F";

/// The executable with other constants in it: another build, to all who compare.
pub(crate) fn other_build(folder: &Folder) -> PathBuf {
    let mut bytes = std::fs::read(program()).expect("a program can read itself");
    let mark = super::obeys::BUILD;
    let places: Vec<usize> =
        bytes.windows(mark.len()).enumerate().filter(|(_, part)| *part == mark).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the mark is in the executable");
    for at in places {
        bytes[at] = b'q';
    }
    folder.file("other-build", bytes, 0o700)
}

/// A worker that is started by hand, by this executable.
pub(crate) fn worker_of(executable: impl AsRef<OsStr>, file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poniard"));
    command.args(["worker", "start", "--patience", "20", "--connect", text(file), "--"]).arg(executable);
    command.args(ARGUMENTS).env("PONIARD_THREADS", "1");
    command
}

/// A worker that is started by hand.
pub(crate) fn worker(file: &Path) -> Command {
    worker_of(program(), file)
}

/// Worker 1 of a cluster by hand: it listens, and waits for so many.
pub(crate) fn first(file: &Path, listen: &str, wait: &str) -> Command {
    poniard(&["scheduler", "start", "--file", text(file), "--listen", listen, "--wait", wait])
}
