//! Where this program answers who asks from outside what it does: the commands `poniard status` and `poniard task explain`.
//!
//! A Unix socket in a folder that only this user can look into, by which nothing can be changed. One visitor is answered at a time. Each
//! may say one line, of `REQUEST_BYTES_MAX` and within `PATIENCE`; what is said to him fits the memory of two lines a worker.

use crate::directory;
use crate::explain::{described, explain_number};
use crate::status::json::{self, object, string};
use crate::status::table::table;
use crate::status::{WorkerStatus, grace};
use crate::{code, workers};
use poniard_fabric::entropy::entropy;
use poniard_model::{TaskId, WorkerId};
use poniard_store::{own_user, peer_user};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A request: a few words.
const REQUEST_BYTES_MAX: usize = 128;
/// How long a visitor may take to say what he wants, and again to take what is said to him.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the window rests when the system has nothing left for another visitor.
const REST: Duration = Duration::from_millis(100);
/// What requests begin with: the name, and the version of what is said here.
const GREETING: [&str; 2] = ["poniard", "1"];
/// Tasks that do not stop and are named.
const OVERDUE_MAX: usize = 16;

/// An open window. Dropped, it is closed.
#[derive(Debug)]
struct Window {
    path: PathBuf,
    is_closed: Arc<AtomicBool>,
}

/// That of this program.
static WINDOW: Mutex<Option<Window>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Window>> {
    WINDOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has this program say what it does to who asks by the command `poniard`, until it is closed or the process ends in order.
pub fn open() {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| code::at_exit(close_at_exit));
    let mut window = lock();
    if window.is_none() {
        match Window::open() {
            Ok(open) => *window = Some(open),
            // It is no reason not to run.
            Err(why) => eprintln!("`poniard status` does not find this program: {why}"),
        }
    }
}

/// Says nothing more.
pub fn close() {
    let window = lock().take();
    drop(window);
}

extern "C" fn close_at_exit() {
    close();
}

/// Where the programs of this user are asked: each has a socket there, whose name begins with its process number.
fn folder() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    match runtime {
        Some(folder) => folder.join("poniard"),
        None => PathBuf::from(format!("/tmp/poniard-{}", own_user())),
    }
}

impl Window {
    /// Opens it.
    ///
    /// # Errors
    /// When there is no place for it that is this user's alone.
    fn open() -> Result<Window, String> {
        let folder = folder();
        let mut opened = Window::open_in(&folder);
        // The last program of before takes the folder with it.
        if opened.is_err() && !folder.exists() {
            opened = Window::open_in(&folder);
        }
        opened
    }

    fn open_in(folder: &Path) -> Result<Window, String> {
        make_private(folder)?;
        sweep(folder);
        let because = |error: io::Error| format!("cannot listen in {}: {error}", folder.display());
        let mark = entropy().map_err(because)?;
        let name = format!(
            "{}-{:08x}",
            std::process::id(),
            u32::from_le_bytes([mark[0], mark[1], mark[2], mark[3]])
        );
        // Who finds a socket at which nobody listens takes its program for dead: so it gets its name when somebody does.
        let (early, path) = (folder.join(format!(".{name}")), folder.join(&name));
        let listener = UnixListener::bind(&early).map_err(because)?;
        let named = fs::set_permissions(&early, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&early, &path));
        if let Err(error) = named {
            let _ = fs::remove_file(&early);
            return Err(because(error));
        }
        let is_closed = Arc::new(AtomicBool::new(false));
        let window = Window { path, is_closed: is_closed.clone() };
        let keep = move || keep(&listener, &is_closed);
        let keeper = thread::Builder::new().name("window".to_owned()).spawn(keep);
        keeper.map(|_| window).map_err(|error| format!("cannot start a thread: {error}"))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // So that the keeper looks. It is not waited for: it may be asking a worker that does not answer.
        let woken = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
        // If it was the last one there.
        let _ = self.path.parent().map(fs::remove_dir);
        drop(woken);
    }
}

/// Makes a folder that only this user can look into, or refuses one into which others can.
fn make_private(folder: &Path) -> Result<(), String> {
    let because = |error: io::Error| format!("cannot use {}: {error}", folder.display());
    if let Err(error) = DirBuilder::new().mode(0o700).create(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(because(error));
    }
    let there = fs::symlink_metadata(folder).map_err(because)?;
    if there.is_dir() && there.uid() == own_user() && there.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(format!("{} is no folder of this user alone; remove it", folder.display()))
}

/// Removes the sockets of programs that are dead. A name with a point is of one that is about to listen, unless it is old.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_early = entry.file_name().to_string_lossy().starts_with('.');
        let age = entry.metadata().ok().and_then(|there| there.modified().ok()?.elapsed().ok());
        if is_early && age.is_none_or(|age| age < Duration::from_secs(60)) {
            continue;
        }
        let path = entry.path();
        let refused =
            UnixStream::connect(&path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if refused {
            let _ = fs::remove_file(path);
        }
    }
}

/// Answers one visitor after the other until the window is closed.
fn keep(listener: &UnixListener, is_closed: &AtomicBool) {
    for stream in listener.incoming() {
        if is_closed.load(Ordering::Relaxed) {
            return;
        }
        match stream {
            // Whoever is gone, or too slow, hears nothing.
            Ok(stream) => drop(attend(&stream)),
            Err(_) => thread::sleep(REST),
        }
    }
}

fn attend(mut stream: &UnixStream) -> io::Result<()> {
    let user = peer_user(stream)?;
    // The folder keeps others out already. Root may look at everything.
    if user != own_user() && user != 0 {
        return Ok(());
    }
    let answer = match read_line(stream).as_deref().map(answer) {
        Ok(Ok(text)) => format!("ok\n{text}"),
        Ok(Err(why)) => format!("no\n{why}\n"),
        Err(error) => format!("no\nno request came: {error}\n"),
    };
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(answer.as_bytes())
}

/// The line that a visitor says.
fn read_line(mut stream: &UnixStream) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let (mut line, mut byte) = (Vec::new(), [0; 1]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || line.len() > REQUEST_BYTES_MAX {
            let why = format!("a line of at most {REQUEST_BYTES_MAX} bytes, within {PATIENCE:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if byte == *b"\n" => return Ok(String::from_utf8_lossy(&line).into_owned()),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is said to a request.
fn answer(line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let words = match words.split_at_checked(GREETING.len()) {
        Some((greeting, words)) if greeting == GREETING => words,
        Some((["poniard", version], _)) => {
            let [_, ours] = GREETING;
            return Err(format!(
                "this program speaks version {ours} of this protocol, and the command version {version}"
            ));
        }
        _ => {
            return Err(format!(
                "this is where a program with Poniard says what it does, and `{line}` is no request"
            ));
        }
    };
    match words {
        ["status", "text"] => Ok(status_text()),
        ["status", "json"] => Ok(status_json()),
        ["explain", task, form] => {
            let number = task.parse().map_err(|_| format!("`{task}` is no number of a task"))?;
            let why = explain_number(TaskId(number))?;
            match *form {
                "json" => Ok(object([("task", number.to_string()), ("why", string(&why))]) + "\n"),
                _ => Ok(why + "\n"),
            }
        }
        _ => Err(format!("this program does not know the request `{}`", words.join(" "))),
    }
}

/// The workers, and those that are gone.
fn looked_at() -> (Vec<WorkerStatus>, Vec<(WorkerId, String)>) {
    let gone = directory::lock().as_ref().map(|topology| topology.gone.clone()).unwrap_or_default();
    ([vec![WorkerStatus::here()], workers::status()].concat(), gone)
}

/// Tasks of this process that were cancelled and do not return.
fn overdue() -> Vec<String> {
    let overdue = poniard_pool::overdue(grace()).into_iter().take(OVERDUE_MAX);
    let line = |overdue: poniard_pool::Overdue| {
        let running = overdue.running;
        let task = described(&running.name, running.task, running.site);
        let on = running.on.map_or_else(|| "a processor".to_owned(), |on| on.to_string());
        format!("{task} was cancelled {:.1} s ago, and keeps {on}", overdue.asked.as_secs_f64())
    };
    overdue.map(line).collect()
}

fn status_text() -> String {
    let (workers, gone) = looked_at();
    overdue().into_iter().fold(table(&workers, &gone), |text, line| text + &line + "\n")
}

fn status_json() -> String {
    let (workers, gone) = looked_at();
    json::status(&workers, &gone, &overdue()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_said_to_be_none() {
        for (line, why) in [
            ("GET / HTTP/1.1", "is no request"),
            ("", "is no request"),
            ("poniard 7 status text", "speaks version 1 of this protocol, and the command version 7"),
            ("poniard 1 halt", "does not know the request `halt`"),
            ("poniard 1 explain x text", "`x` is no number of a task"),
        ] {
            let said = answer(line).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let folder = std::env::temp_dir().join(format!("poniard-window-{}", std::process::id()));
        DirBuilder::new().mode(0o755).create(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let said = make_private(&folder).unwrap_err();
        assert!(said.ends_with("is no folder of this user alone; remove it"), "{said}");
        let link = folder.join("link");
        let inside = folder.join("inside");
        make_private(&inside).unwrap();
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        assert!(make_private(&link).is_err(), "a link may lead anywhere");
        make_private(&inside).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_visitor_who_says_too_much_or_nothing_is_sent_away() {
        let (mut visitor, here) = UnixStream::pair().unwrap();
        visitor.write_all(&[b'x'; 4 * REQUEST_BYTES_MAX]).unwrap();
        attend(&here).unwrap();
        let (silent, there) = UnixStream::pair().unwrap();
        attend(&there).unwrap();
        drop((here, there));
        for mut visitor in [visitor, silent] {
            let mut said = String::new();
            let _ = visitor.read_to_string(&mut said);
            assert!(said.starts_with("no\nno request came: "), "{said}");
        }
    }
}
