//! The process of a worker: started with a line to this one, and ended for certain.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The environment's mark of a worker; what it needs to know comes by its standard input.
pub(crate) const MARK: &str = "PONIARD_WORKER";
/// Between looks at a process that has let go of its line and has not quite ended: at first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// A process of this same program that lives as a worker.
#[derive(Debug)]
pub(super) struct Process {
    /// Waited for under the lock alone, so that no signal ever meets another process of the same number.
    child: Mutex<Child>,
    /// Its standard input. Nobody else has the other end, so it tells of the end of each of the two.
    line: UnixStream,
}

impl Process {
    /// Starts one.
    pub(super) fn start() -> io::Result<Process> {
        let (line, theirs) = UnixStream::pair()?;
        // The file that runs, even if another has taken its name since.
        let mut command = Command::new("/proc/self/exe");
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command.env(MARK, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
        // What the environment says of workers is said to this process: not to those that tasks start there.
        command.env_remove("PONIARD_WORKERS");
        // A Ctrl-C in the terminal is for worker 1, which ends the others in order.
        command.process_group(0);
        let child = command.spawn()?;
        Ok(Process { child: Mutex::new(child), line })
    }

    /// The line, to tell it who it is.
    pub(super) fn line(&self) -> &UnixStream {
        &self.line
    }

    /// Has it end by itself, as if this process were gone.
    pub(super) fn cut(&self) {
        let _ = self.line.shutdown(Shutdown::Write);
    }

    /// Ends it, whatever it does.
    pub(super) fn kill(&self) {
        let _ = self.child().kill();
    }

    /// Waits for its end.
    pub(super) fn wait(&self) -> io::Result<ExitStatus> {
        let mut nothing = [0; 64];
        loop {
            match (&self.line).read(&mut nothing) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        let mut pause = PAUSE_FIRST;
        loop {
            if let Some(status) = self.child().try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
