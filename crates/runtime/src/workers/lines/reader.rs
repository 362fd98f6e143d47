//! The side of whoever was lent something: threads that pull it, each over a line of its own, straight into memory of the arena.

use super::Told;
use super::pipe::{Pipe, Unconnected};
use super::pull::{Happened, Limits, Pull, Step};
use super::wire::{self, Request};
use crate::workers::reception::identity;
use poniard_fabric::tls::Tls;
use poniard_model::WorkerId;
use poniard_store::{Arena, BufMut};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Lines to one giver: enough that a large buffer does not hold up small ones, and that encryption has several processors.
const LINES_MAX: usize = 4;
/// A line that nothing was asked for on this long is closed. Givers close theirs later.
const IDLE: Duration = Duration::from_secs(20);
/// How long to wait for memory that others give back, and between looks.
const MEMORY_PATIENCE: Duration = Duration::from_secs(10);
const MEMORY_PAUSE: Duration = Duration::from_millis(10);

/// The threads that pull. Dropped, they end.
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    me: WorkerId,
    token: [u8; 32],
    tls: Option<Tls>,
    limits: Limits,
    tell: fn(Told),
    began: Instant,
    state: Mutex<State>,
    /// Told of jobs, of givers that are gone, and of the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    givers: BTreeMap<WorkerId, Giver>,
    threads: Vec<JoinHandle<()>>,
    /// Lines that were opened so far.
    last: u64,
    is_over: bool,
}

/// A worker that lends to this one.
struct Giver {
    /// Where its port is.
    address: String,
    jobs: VecDeque<Job>,
    /// Threads for it, and those among them that have nothing to do.
    threads: usize,
    idle: usize,
    /// The lines to it, by number.
    streams: BTreeMap<u64, TcpStream>,
    was_connected: bool,
    /// There is no way to it, for this reason.
    is_unreachable: Option<String>,
}

#[derive(Clone, Copy)]
struct Job {
    lease: u64,
    len: usize,
}

/// The line of a thread.
#[derive(Default)]
struct Line {
    number: u64,
    pipe: Option<Pipe>,
}

/// Why a buffer is not here.
enum Stop {
    /// Its giver is gone, or this process's cluster.
    Gone,
    Unreachable(String),
    Failed(String),
}

impl Readers {
    pub(super) fn new(
        me: WorkerId,
        token: [u8; 32],
        tls: Option<Tls>,
        limits: Limits,
        tell: fn(Told),
    ) -> Readers {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Readers(Arc::new(Shared { me, token, tls, limits, tell, began: Instant::now(), state, changed }))
    }

    /// A worker has said where it serves others.
    pub(super) fn add(&self, giver: WorkerId, address: String) {
        let giver_there = Giver {
            address,
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
            streams: BTreeMap::new(),
            was_connected: false,
            is_unreachable: None,
        };
        self.0.lock().givers.entry(giver).or_insert(giver_there);
    }

    /// Has a buffer pulled. What becomes of it is told, unless its giver is gone.
    pub(super) fn ask(&self, giver: WorkerId, lease: u64, len: usize) {
        let mut state = self.0.lock();
        let State { givers, threads, .. } = &mut *state;
        let Some(there) = givers.get_mut(&giver) else { return };
        if let Some(why) = there.is_unreachable.clone() {
            drop(state);
            return (self.0.tell)(Told::Unreachable { giver, lease, why });
        }
        there.jobs.push_back(Job { lease, len });
        if there.idle < there.jobs.len() && there.threads < LINES_MAX {
            threads.retain(|thread| !thread.is_finished());
            let shared = self.0.clone();
            let work = move || shared.work(giver);
            match thread::Builder::new().name(format!("line-{giver}")).spawn(work) {
                Ok(thread) => {
                    threads.push(thread);
                    there.threads += 1;
                }
                Err(error) if there.threads == 0 => {
                    there.jobs.clear();
                    drop(state);
                    let result = Err(format!("cannot start a thread: {error}"));
                    return (self.0.tell)(Told::Pulled { giver, lease, result });
                }
                // The others come to it.
                Err(_) => {}
            }
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// A worker is gone, and its lines with it.
    pub(super) fn lose(&self, giver: WorkerId) {
        let lost = self.0.lock().givers.remove(&giver);
        lost.iter().for_each(Giver::close);
        self.0.changed.notify_all();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_over = true;
        let (givers, threads) = (std::mem::take(&mut state.givers), std::mem::take(&mut state.threads));
        drop(state);
        givers.values().for_each(Giver::close);
        self.0.changed.notify_all();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Giver {
    fn close(&self) {
        for stream in self.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread: pulls what is asked for of one giver, and ends when nothing was for a while.
    fn work(&self, giver: WorkerId) {
        let mut line = Line::default();
        while let Some(job) = self.next(giver) {
            let Job { lease, .. } = job;
            match self.pull(giver, job, &mut line) {
                Ok(buf) => (self.tell)(Told::Pulled { giver, lease, result: Ok(buf.freeze()) }),
                Err(Stop::Failed(why)) => (self.tell)(Told::Pulled { giver, lease, result: Err(why) }),
                Err(Stop::Unreachable(why)) => self.give_up(giver, lease, &why),
                Err(Stop::Gone) => break,
            }
        }
        self.forget(giver, &mut line);
    }

    /// The next job; `None` when this thread is to end.
    fn next(&self, giver: WorkerId) -> Option<Job> {
        let deadline = Instant::now() + IDLE;
        let mut state = self.lock();
        loop {
            let there = state.givers.get_mut(&giver)?;
            if let Some(job) = there.jobs.pop_front() {
                return Some(job);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                there.threads -= 1;
                return None;
            }
            there.idle += 1;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if let Some(there) = state.givers.get_mut(&giver) {
                there.idle -= 1;
            }
        }
    }

    /// There is no way to a giver: it is to send all that it has lent by messages.
    fn give_up(&self, giver: WorkerId, lease: u64, why: &str) {
        let mut leases = vec![lease];
        if let Some(there) = self.lock().givers.get_mut(&giver) {
            there.is_unreachable = Some(why.to_owned());
            leases.extend(there.jobs.drain(..).map(|job| job.lease));
        }
        for lease in leases {
            (self.tell)(Told::Unreachable { giver, lease, why: why.to_owned() });
        }
    }

    /// Pulls one buffer.
    fn pull(&self, giver: WorkerId, Job { lease, len }: Job, line: &mut Line) -> Result<BufMut, Stop> {
        let mut buf = self.memory(giver, len)?;
        let was_connected = self.there(giver, |there| there.was_connected)?;
        let mut pull = Pull::new(len as u64, self.limits, was_connected);
        if let Some(pipe) = &line.pipe {
            // One that cannot be set is found out when it is read.
            let _ = pipe.stream().set_read_timeout(Some(pull.silence()));
        }
        let mut step = pull.begin(line.pipe.is_some());
        loop {
            let happened = match step {
                Step::Connect { after } => {
                    self.forget(giver, line);
                    self.rest(giver, after)?;
                    self.connect(giver, line, pull.silence())?
                }
                Step::Ask { offset, len } => ask(line, Request { reader: self.me, lease, offset, len }),
                Step::Read => read(line, &mut buf[pull.got() as usize..]),
                Step::Done => return Ok(buf),
                Step::GiveUp(why) => return Err(Stop::Unreachable(why)),
                Step::Fail(why) => {
                    return Err(Stop::Failed(format!("cannot read {len} bytes of {giver}: {why}")));
                }
            };
            // Whoever is gone may have been replaced at its address.
            self.there(giver, |_| ())?;
            step = pull.on(self.began.elapsed(), happened);
        }
    }

    /// Memory for a buffer, when others have given back enough.
    fn memory(&self, giver: WorkerId, len: usize) -> Result<BufMut, Stop> {
        let deadline = Instant::now() + MEMORY_PATIENCE;
        loop {
            match BufMut::take(Arena::global(), len) {
                Ok(buf) => return Ok(buf),
                Err(error) if Instant::now() >= deadline => {
                    return Err(Stop::Failed(format!("cannot read {len} bytes of {giver}: {error}")));
                }
                Err(_) => self.rest(giver, MEMORY_PAUSE)?,
            }
        }
    }

    /// What is known of a giver, if it is there.
    fn there<R>(&self, giver: WorkerId, look: impl FnOnce(&mut Giver) -> R) -> Result<R, Stop> {
        self.lock().givers.get_mut(&giver).map(look).ok_or(Stop::Gone)
    }

    /// Waits, unless the giver goes meanwhile.
    fn rest(&self, giver: WorkerId, time: Duration) -> Result<(), Stop> {
        let is_there = |state: &mut State| state.givers.contains_key(&giver);
        let waited = self.changed.wait_timeout_while(self.lock(), time, is_there);
        let is_there = is_there(&mut waited.unwrap_or_else(PoisonError::into_inner).0);
        if is_there { Ok(()) } else { Err(Stop::Gone) }
    }

    fn connect(&self, giver: WorkerId, line: &mut Line, silence: Duration) -> Result<Happened, Stop> {
        let address = self.there(giver, |there| there.address.clone())?;
        let pipe = Pipe::connect(giver, &address, self.tls.as_ref(), &identity(self.token), silence);
        let pipe = match pipe {
            Ok(pipe) => pipe,
            Err(Unconnected::Unreachable(why)) => return Ok(Happened::Unreachable(why)),
            Err(Unconnected::Stranger(why)) => return Ok(Happened::Stranger(why)),
        };
        let set = || -> io::Result<TcpStream> {
            pipe.stream().set_read_timeout(Some(silence))?;
            pipe.stream().set_write_timeout(Some(silence))?;
            pipe.stream().try_clone()
        };
        let stream = match set() {
            Ok(stream) => stream,
            Err(error) => return Ok(Happened::Unreachable(error.to_string())),
        };
        let mut state = self.lock();
        state.last += 1;
        line.number = state.last;
        let there = state.givers.get_mut(&giver).ok_or(Stop::Gone)?;
        there.streams.insert(line.number, stream);
        there.was_connected = true;
        line.pipe = Some(pipe);
        Ok(Happened::Connected)
    }

    /// Closes a line.
    fn forget(&self, giver: WorkerId, line: &mut Line) {
        line.pipe = None;
        if let Some(there) = self.lock().givers.get_mut(&giver) {
            there.streams.remove(&line.number);
        }
    }
}

/// Asks, and hears whether it comes.
fn ask(line: &mut Line, request: Request) -> Happened {
    let Some(pipe) = &mut line.pipe else { return Happened::Ended };
    match request.write(pipe).and_then(|()| wire::hear(pipe, request.len)) {
        Ok(Ok(())) => Happened::Begun,
        Ok(Err(why)) => Happened::Refused(why),
        Err(error) => ended(&error),
    }
}

/// Reads what has come, straight into the buffer.
fn read(line: &mut Line, rest: &mut [u8]) -> Happened {
    let Some(pipe) = &mut line.pipe else { return Happened::Ended };
    match pipe.read(rest) {
        Ok(0) => Happened::Ended,
        Ok(bytes) => Happened::Got(bytes as u64),
        Err(error) if error.kind() == ErrorKind::Interrupted => Happened::Begun,
        Err(error) => ended(&error),
    }
}

fn ended(error: &io::Error) -> Happened {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Happened::Silent,
        _ => Happened::Ended,
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let givers: Vec<WorkerId> = self.0.lock().givers.keys().copied().collect();
        f.debug_tuple("Readers").field(&givers).finish()
    }
}
