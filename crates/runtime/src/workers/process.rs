//! The process of a worker: started with a line to this one, and ended for certain.

use super::birth::Birth;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The environment's mark of a worker.
pub(crate) const MARK: &str = "PONIARD_WORKER";
/// Its value for one that learns what it needs to know by its standard input.
pub(super) const BORN: &str = "1";
/// Its value for one that finds worker 1 by a connection file.
pub(crate) const JOINS: &str = "join";
/// Between looks at a process that has let go of its line and has not quite ended: at first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// A process of this same program that lives as a worker.
#[derive(Debug)]
pub(super) enum Process {
    /// It was started by this one, here or by a command that has it run elsewhere.
    Ours {
        /// Waited for under the lock alone, so that no signal ever meets another process of the same number.
        child: Mutex<Child>,
        /// Its standard input. Nobody else has the other end, so it tells of the end of each of the two.
        line: UnixStream,
    },
    /// It was started by somebody else, and came in by this connection: whose end is the end of each of the two.
    Elsewhere(TcpStream),
    /// `mpirun` has started it, like this one, and ends all of them when one dies.
    Rank,
}

impl Process {
    /// Starts one.
    pub(super) fn start(mut command: Command) -> io::Result<Process> {
        let (line, theirs) = UnixStream::pair()?;
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        // A Ctrl-C in the terminal is for worker 1, which ends the others in order.
        command.process_group(0);
        let child = command.spawn()?;
        Ok(Process::Ours { child: Mutex::new(child), line })
    }

    /// One that has come in.
    pub(super) fn elsewhere(stream: TcpStream) -> Process {
        Process::Elsewhere(stream)
    }

    /// Tells it who it is.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn tell(&self, birth: &Birth) -> io::Result<()> {
        match self {
            Process::Ours { line, .. } => birth.write(&mut &*line),
            Process::Elsewhere(stream) => birth.write(&mut &*stream),
            Process::Rank => Ok(()),
        }
    }

    /// Has it end by itself, as if this process were gone.
    pub(super) fn cut(&self) {
        let _ = match self {
            Process::Ours { line, .. } => line.shutdown(Shutdown::Write),
            Process::Elsewhere(stream) => stream.shutdown(Shutdown::Both),
            Process::Rank => Ok(()),
        };
    }

    /// Ends it, whatever it does; one that was not started here when it wakes.
    pub(super) fn kill(&self) {
        match self {
            Process::Ours { child, .. } => drop(locked(child).kill()),
            Process::Elsewhere(_) | Process::Rank => self.cut(),
        }
    }

    /// Waits for its end.
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        let Process::Ours { child, line } = self else {
            return Err(io::Error::other("it was not started here"));
        };
        let (mut line, mut nothing) = (line, [0; 64]);
        loop {
            match line.read(&mut nothing) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        let mut pause = PAUSE_FIRST;
        loop {
            if let Some(status) = locked(child).try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Whether it was started by somebody else.
    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self, Process::Elsewhere(_) | Process::Rank)
    }
}

fn locked(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is done to a process.
type Step = fn(&Process);

/// What becomes of workers that are told to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// How long it may take until their lines are cut,
    pub(super) in_order: Duration,
    /// and then until they are killed,
    pub(super) by_itself: Duration,
    /// and then until nobody waits for them any more.
    pub(super) killed: Duration,
}

impl Ends {
    pub(super) const DEFAULT: Ends = Ends {
        in_order: Duration::from_secs(5),
        by_itself: Duration::from_millis(500),
        killed: Duration::from_secs(5),
    };

    /// What is done one after the other, each after so long.
    pub(super) fn steps(self) -> [(Duration, Step); 3] {
        [(self.in_order, Process::cut), (self.by_itself, Process::kill), (self.killed, |_| ())]
    }
}
