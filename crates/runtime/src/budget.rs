//! The budget: large results are told of here, and what the policy decides is done.
//!
//! One lock guards the policy and the list of what it wants done, and is never held while that is done: user code runs there
//! (a value is written, read or dropped), and the disk. Whoever tells something does what is to be done, in order, unless
//! another thread is at it already; so what is done stays behind what was decided by a little, and never overtakes it.

mod far;
mod incoming;
mod unknown;

#[cfg(feature = "cluster")]
pub(crate) use far::{Far, set_far};
use incoming::Incoming;
use poniard_model::codec::Encoded;
use poniard_model::{Cause, ChunkId, Site, Storage, TaskId};
use poniard_pool::kept::{self, Contents, Keeper, Wish};
use poniard_store::Arena;
use poniard_store::spill::{
    Action, Completion, Error, Event, FileOptions, Haste, Lane, Limits, Made, Naming, Outcome, Parts, Policy,
    Remade, Spill, SpillFile, Stored, Traffic, Transfer, Why, Writer, Written,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use unknown::Unknown;

/// What a process may use for large results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// Bytes of memory.
    pub budget: u64,
    /// Bytes that one task, let in alone, may bring it to.
    pub alone: u64,
    /// Where results go that do not fit.
    pub spill_folders: Vec<PathBuf>,
    /// Bytes on disk.
    pub spill_limit: u64,
    /// How many tasks run at a time.
    pub processors: usize,
}

/// What large results take, and what was moved, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// Bytes of memory that there may be.
    pub budget_bytes: u64,
    /// Bytes of large results in memory.
    pub resident_bytes: u64,
    /// Bytes of large results on disk.
    pub stored_bytes: u64,
    /// The most that was ever in memory, as far as results are counted.
    pub peak_bytes: u64,
    /// Bytes written to disk so far.
    pub written_bytes: u64,
    /// Bytes read back so far.
    pub read_bytes: u64,
    /// Results that were dropped and made again so far.
    pub remade: u64,
}

type Disk = Writer<Outgoing, Incoming>;

/// What looks after large results in this process.
pub struct Budget {
    state: Mutex<State>,
}

struct State {
    policy: Policy,
    /// Tasks that wait and whose results were not known when they asked.
    unknown: Unknown,
    /// What is to be done, in order.
    actions: VecDeque<Action>,
    /// Some thread is doing it.
    is_busy: bool,
    /// Chunks that other processes have made, and whether they are still there.
    remote: HashMap<ChunkId, bool>,
    /// Chunks whose transfers nobody wants any more.
    cancelled: HashSet<ChunkId>,
    /// Where chunks are on disk.
    stored: HashMap<ChunkId, Stored>,
    folders: Vec<PathBuf>,
    /// Folders that are full, or refuse: the first so many.
    folders_given_up: usize,
    /// Grows with each change of the folders or of the file.
    generation: u64,
    /// The file that is written to, from the first write on.
    disk: Option<Arc<Disk>>,
    /// Bytes moved by files that were given up.
    past: Traffic,
    peak: u64,
    /// Results that were made again.
    remade: u64,
}

/// The bytes of a chunk on its way to disk, until they are there.
struct Outgoing(Contents);

impl Parts for Outgoing {
    fn parts(&self) -> Vec<&[u8]> {
        self.0.parts()
    }
}

/// The budget of this process. Until [`Budget::configure`] there is no limit, and nothing goes to disk.
pub fn memory() -> &'static Budget {
    static BUDGET: OnceLock<Budget> = OnceLock::new();
    let budget = BUDGET.get_or_init(Budget::new);
    kept::set_keeper(budget);
    budget
}

/// Transfers under way at a time.
const TRANSFERS: usize = 64;

impl Budget {
    fn new() -> Budget {
        let state = State {
            policy: Policy::new(Limits { transfers: TRANSFERS, ..Limits::default() }),
            unknown: Unknown::default(),
            actions: VecDeque::new(),
            remote: HashMap::new(),
            is_busy: false,
            cancelled: HashSet::new(),
            stored: HashMap::new(),
            folders: Vec::new(),
            folders_given_up: 0,
            generation: 0,
            disk: None,
            past: Traffic::default(),
            peak: 0,
            remade: 0,
        };
        Budget { state: Mutex::new(state) }
    }

    /// Sets the limits, from now on. What is on disk stays where it is.
    ///
    /// # Errors
    /// When no folder to spill to is safe to use.
    pub fn configure(&'static self, config: MemoryConfig) -> Result<(), Error> {
        let mut refused = None;
        let is_safe = |folder: &PathBuf| match poniard_store::spill::check_folder(folder) {
            Ok(()) => true,
            Err(error) => {
                refused = Some(error);
                false
            }
        };
        if !config.spill_folders.iter().any(is_safe)
            && let Some(error) = refused
        {
            return Err(error);
        }
        Arena::global().set_resident_bytes_max(usize::try_from(config.budget).unwrap_or(usize::MAX));
        let limits = Limits {
            budget: config.budget,
            alone: config.alone.max(config.budget),
            spill: config.spill_limit,
            transfers: TRANSFERS,
            processors: config.processors,
            ..Limits::default()
        };
        let mut state = self.lock();
        let is_new =
            state.folders != config.spill_folders || state.policy.limits().spill != config.spill_limit;
        let old = if is_new { state.give_up_disk() } else { None };
        if is_new {
            (state.folders, state.folders_given_up) = (config.spill_folders, 0);
        }
        state.tell(Event::Limits(limits));
        self.perform(state);
        drop(old);
        Ok(())
    }

    /// What large results take now, and what was moved so far.
    pub fn usage(&self) -> MemoryUsage {
        let state = self.lock();
        let mut traffic = state.past;
        if let Some(disk) = &state.disk {
            traffic.written += disk.traffic().written;
            traffic.read += disk.traffic().read;
        }
        MemoryUsage {
            budget_bytes: state.policy.limits().budget,
            resident_bytes: state.policy.held(),
            stored_bytes: state.policy.stored(),
            peak_bytes: state.peak,
            written_bytes: traffic.written,
            read_bytes: traffic.read,
            remade: state.remade,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the policy, and does what it wants.
    fn tell(&self, event: Event) {
        let mut state = self.lock();
        state.tell(event);
        self.perform(state);
    }

    /// Does what is to be done, unless another thread is at it.
    fn perform<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        if state.is_busy {
            return;
        }
        while let Some(action) = state.actions.pop_front() {
            state.is_busy = true;
            drop(state);
            // Whatever panics in there, others wait for what comes after it.
            let _ = poniard_pool::caught(|| self.act(action));
            state = self.lock();
        }
        state.is_busy = false;
    }

    fn act(&self, action: Action) {
        match action {
            Action::Write(chunk) => self.write(chunk),
            Action::Drop(chunk) => kept::evict(chunk),
            Action::Read(chunk, _) if self.lock().is_remote(chunk) => far::fetch(chunk),
            Action::Read(chunk, haste) => self.read(chunk, haste),
            Action::Remake(chunk) => kept::remake(chunk),
            Action::Hurry(chunk) => self.with_disk(|disk| disk.hurry(chunk)),
            Action::Cancel(chunk) => {
                self.lock().cancelled.insert(chunk);
                self.with_disk(|disk| disk.cancel(chunk));
            }
            Action::Forget(chunk) => drop(self.take_stored(chunk)),
            Action::Free(chunk) => {
                kept::free(chunk);
                let mut state = self.lock();
                state.cancelled.remove(&chunk);
                let stored = state.stored.remove(&chunk);
                let was_remote = state.remote.remove(&chunk).is_some();
                drop(state);
                drop(stored);
                if was_remote {
                    far::release(chunk);
                }
            }
            Action::Admit(task) => kept::admit(task),
            Action::Fail(task, why) => kept::refuse(task, cause(why)),
        }
    }

    fn take_stored(&self, chunk: ChunkId) -> Option<Stored> {
        self.lock().stored.remove(&chunk)
    }

    fn with_disk(&self, work: impl FnOnce(&Disk)) {
        let disk = self.lock().disk.clone();
        if let Some(disk) = disk {
            work(&disk);
        }
    }

    fn write(&self, chunk: ChunkId) {
        let outcome = match kept::contents(chunk) {
            Some(Ok(contents)) => {
                let memory = Outgoing(contents);
                let begun =
                    self.disk().and_then(|disk| self.submit(&disk, Transfer::Write { chunk, memory }));
                let Err(error) = begun else { return };
                Written::Failed(error)
            }
            // A value that cannot be written stays, and so does one that somebody has just taken.
            Some(Err(_)) | None => Written::Unfit,
        };
        self.tell(Event::WriteEnded { chunk, outcome });
    }

    fn read(&self, chunk: ChunkId, haste: Haste) {
        if let Err(error) = self.begin_read(chunk, haste) {
            self.tell(Event::ReadEnded { chunk, outcome: Err(error) });
        }
    }

    /// Begins a read; if it cannot begin, the chunk stays on disk.
    fn begin_read(&self, chunk: ChunkId, haste: Haste) -> Result<(), Arc<Error>> {
        let disk = self.disk()?;
        let stored = self.take_stored(chunk).expect("what is read is on disk");
        match Incoming::new(stored.lengths()) {
            Ok(memory) => self.submit(&disk, Transfer::Read { chunk, stored, memory, haste }),
            Err(error) => {
                self.lock().stored.insert(chunk, stored);
                Err(Arc::new(Error::refused(&error.to_string())))
            }
        }
    }

    fn submit(&self, disk: &Disk, transfer: Transfer<Outgoing, Incoming>) -> Result<(), Arc<Error>> {
        disk.submit(transfer).map_err(|refused| {
            if let Transfer::Read { chunk, stored, .. } = refused.transfer {
                self.lock().stored.insert(chunk, stored);
            }
            Arc::new(Error::refused(&refused.why.to_string()))
        })
    }

    /// The file that is written to, made when it is first needed.
    fn disk(&self) -> Result<Arc<Disk>, Arc<Error>> {
        loop {
            let (next, generation) = {
                let state = self.lock();
                if let Some(disk) = &state.disk {
                    return Ok(disk.clone());
                }
                (state.places(state.folders_given_up), state.generation)
            };
            let (disk, place) = open(next, generation).map_err(Arc::new)?;
            let mut state = self.lock();
            // Else other folders were named meanwhile.
            if state.generation == generation {
                state.folders_given_up = place;
                return Ok(state.disk.get_or_insert(disk).clone());
            }
        }
    }

    /// A transfer has ended, on a thread of the disk's.
    fn completed(&self, completion: Completion<Outgoing, Incoming>, generation: u64) {
        let (Completion::Write { chunk, .. } | Completion::Read { chunk, .. }) = &completion;
        let is_cancelled = self.lock().cancelled.remove(chunk);
        let event = match completion {
            Completion::Write { chunk, memory, outcome } => {
                // Before the policy knows: then nothing keeps the value in its slot.
                drop(memory);
                let outcome = match outcome {
                    Outcome::Done(stored) => {
                        let bytes = stored.bytes();
                        self.lock().stored.insert(chunk, stored);
                        Written::Stored(bytes)
                    }
                    Outcome::Cancelled => Written::Cancelled,
                    // The next folder is tried before anybody fails.
                    Outcome::Failed(error) if error.is_full() && self.change_folder(generation) => {
                        Written::Cancelled
                    }
                    Outcome::Failed(error) => Written::Failed(error),
                };
                Event::WriteEnded { chunk, outcome }
            }
            Completion::Read { chunk, stored, memory, outcome } => {
                self.lock().stored.insert(chunk, stored);
                let outcome = match outcome {
                    Outcome::Done(()) => self.put_back(chunk, memory),
                    // The file that the disk wrote to was given up meanwhile; this one is not.
                    Outcome::Cancelled if !is_cancelled => return self.read(chunk, Haste::Task),
                    Outcome::Cancelled => Err(Arc::new(Error::unreadable(chunk, "the read was taken back"))),
                    Outcome::Failed(error) => Err(error),
                };
                Event::ReadEnded { chunk, outcome }
            }
        };
        self.tell(event);
    }

    /// Leaves the folder of this generation, which is full, for the next one that lets us; false when there is none.
    fn change_folder(&self, generation: u64) -> bool {
        let next = {
            let state = self.lock();
            if state.generation != generation {
                // The disk's other thread was faster.
                return true;
            }
            state.places(state.folders_given_up + 1)
        };
        let Ok((disk, place)) = open(next, generation + 1) else { return false };
        let mut state = self.lock();
        if state.generation != generation {
            return true;
        }
        let old = state.give_up_disk();
        (state.disk, state.folders_given_up) = (Some(disk), place);
        drop(state);
        drop(old);
        true
    }

    fn put_back(&self, chunk: ChunkId, memory: Incoming) -> Result<(), Arc<Error>> {
        let (head, buffers) = memory.into_parts();
        self.restore(chunk, &Encoded::from_parts(head, buffers))
    }

    fn restore(&self, chunk: ChunkId, value: &Encoded) -> Result<(), Arc<Error>> {
        kept::restore(chunk, value).map_err(|error| Arc::new(Error::unreadable(chunk, &error.to_string())))
    }
}

impl State {
    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.policy.on(event, &mut out);
        self.actions.extend(out);
        self.peak = self.peak.max(self.policy.held());
    }

    /// What the policy is told of a chunk that was made.
    fn announced(&mut self, made: kept::Made) -> Made {
        let kept::Made { chunk, bytes, storage, is_cached, is_remote } = made;
        let spill = match storage {
            Storage::Memory => Spill::Never,
            Storage::Disk => Spill::Eager,
            _ if is_cached => Spill::Remade,
            _ => Spill::Allowed,
        };
        if is_remote {
            self.remote.insert(chunk, true);
        }
        Made { chunk, bytes, spill, is_held: !is_remote, is_remote }
    }

    /// Whether another process has made the chunk, and has it.
    fn is_remote(&self, chunk: ChunkId) -> bool {
        self.remote.get(&chunk) == Some(&true)
    }

    /// The folders from this one on, with the limit of a file there.
    fn places(&self, first: usize) -> Vec<(usize, FileOptions)> {
        let limit = self.policy.limits().spill;
        let options =
            |folder: &PathBuf| FileOptions { folder: folder.clone(), limit, naming: Naming::Unnamed };
        let folders = self.folders.iter().enumerate().skip(first);
        folders.map(|(place, folder)| (place, options(folder))).collect()
    }

    /// Another file is written to from now on. What is in this one is still read from there.
    fn give_up_disk(&mut self) -> Option<Arc<Disk>> {
        self.generation += 1;
        let disk = self.disk.take()?;
        self.past.written += disk.traffic().written;
        self.past.read += disk.traffic().read;
        Some(disk)
    }
}

impl Keeper for Budget {
    fn made(&self, made: kept::Made) {
        let mut state = self.lock();
        let made = state.announced(made);
        state.tell(Event::Made(made));
        self.perform(state);
    }

    fn reads(&self, task: TaskId, chunk: ChunkId) {
        self.tell(Event::Reads(task, chunk));
    }

    fn asks(&self, task: TaskId, wish: Wish) -> bool {
        let mut state = self.lock();
        if state.policy.is_running(task) {
            return true;
        }
        // Until the first result of its site is seen: as much as the largest value that it reads, as if it mapped that.
        if let Some(chunk) = wish.again {
            state.tell(Event::AskedAgain(task, chunk));
        } else {
            let result = wish.result.unwrap_or_else(|| state.policy.largest_input(task));
            state.tell(Event::Makes(task, result));
            state.tell(Event::Asked(task, if wish.is_beside { Lane::Beside } else { Lane::Processor }));
        }
        let place =
            state.actions.iter().rposition(|action| matches!(action, Action::Admit(id) if *id == task));
        let is_admitted = place.is_some();
        if !is_admitted && wish.result.is_none() && wish.again.is_none() {
            state.unknown.insert(task, wish.site);
        }
        if let Some(place) = place {
            // The answer is here already.
            state.actions.remove(place);
        }
        self.perform(state);
        is_admitted
    }

    fn is_roomy(&self, more: Option<u64>) -> bool {
        let state = self.lock();
        let budget = state.policy.limits().budget;
        // The other half is for what runs here, and for what is read first by those who come.
        state.policy.used().saturating_add(more.unwrap_or(budget / 4)) <= budget / 2
    }

    fn learned(&self, site: &'static Site, bytes: u64) {
        let mut state = self.lock();
        // Others from there that wait will make as much.
        for task in state.unknown.take(site) {
            if state.policy.is_known(task) {
                state.tell(Event::Makes(task, bytes));
            }
        }
        self.perform(state);
    }

    fn ended(&self, task: TaskId, made: Option<kept::Made>) {
        let mut state = self.lock();
        state.unknown.forget(task);
        let result = made.map(|made| state.announced(made));
        state.tell(Event::Ended { task, result });
        self.perform(state);
    }

    fn paused(&self, task: TaskId) {
        self.tell(Event::Paused(task));
    }

    fn resumed(&self, task: TaskId) {
        self.tell(Event::Resumed(task));
    }

    fn pin(&self, chunk: ChunkId) -> bool {
        let mut state = self.lock();
        let is_resident = state.policy.is_resident(chunk);
        if is_resident {
            state.tell(Event::Pinned(chunk));
        }
        self.perform(state);
        is_resident
    }

    fn unpin(&self, chunk: ChunkId) {
        self.tell(Event::Unpinned(chunk));
    }

    fn remade(&self, chunk: ChunkId, outcome: kept::Remade) {
        let mut state = self.lock();
        let outcome = match outcome {
            kept::Remade::Made(bytes) => {
                state.remade += 1;
                Remade::Made(bytes)
            }
            kept::Remade::Halted => Remade::Halted,
            kept::Remade::Failed(error) => Remade::Failed(Arc::new(Error::unmade(chunk, error))),
        };
        state.tell(Event::Remade { chunk, outcome });
        self.perform(state);
    }

    fn released(&self, chunk: ChunkId) {
        self.tell(Event::Released(chunk));
    }

    fn why_out_of_reach(&self, chunk: ChunkId) -> Option<Cause> {
        let how = far::why_out_of_reach()?;
        let is_remote = self.lock().is_remote(chunk);
        is_remote.then(|| cause(Why::Unreadable(chunk, Arc::new(Error::unfetched(chunk, how)))))
    }
}

/// Why a task cannot run, as its error: the reason can be downcast to [`Why`].
fn cause(why: Why) -> Cause {
    Cause::returned(Box::new(why))
}

/// A file in the first of these places that lets us, and which one that is.
fn open(places: Vec<(usize, FileOptions)>, generation: u64) -> Result<(Arc<Disk>, usize), Error> {
    let mut refused = Error::no_folder();
    for (place, options) in places {
        match SpillFile::create(options) {
            Ok(file) => {
                let told = move |completion| memory().completed(completion, generation);
                return Ok((Arc::new(Writer::new(file, TRANSFERS, told)), place));
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("usage", &self.usage()).finish()
    }
}
