//! The life of a worker process, from before `main` to its end.

use super::birth::{Birth, Place};
use super::driver::{Core, Exits, Patience};
use super::inbox;
use super::job::job;
use super::join::join;
use super::lines::Site;
use super::mail::Mail;
use crate::environment::{settings_beside, variable};
use crate::message::Member;
use crate::settings::Settings;
use crate::status::set_grace;
use crate::{MemoryConfig, directory, memory};
use poniard_model::{ProcessorKind, Topology, Worker, WorkerId};
use poniard_store::{Arena, ArenaConfig, Backing, Buf, BufMut, SharedPlace};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long a worker that is told to end waits for tasks that run and do not look at `cancelled`.
const PATIENCE: Duration = Duration::from_secs(2);

/// Enough for a slot of its own in an arena.
const SAMPLE_BYTES: usize = 2048;

/// The exit status of a worker that ended by itself because worker 1 did, or waited no longer.
const ORPHANED: i32 = 3;

/// What the driver of a worker calls.
const EXITS: Exits =
    Exits { tell: inbox::tell, met: |_, _| (), stop, stays: |_, _| (), cut_off, perish: |_| () };

/// Whether this worker was told to end.
static STOPPED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// How a process became a worker.
pub(crate) enum Origin {
    /// Worker 1 has started it, and says here what it needs to know, and then nothing more until it is gone.
    Born(File),
    /// Somebody else has started it, and this file says where worker 1 is.
    Joins(PathBuf),
    /// It is in the job of worker 1, on a server where so many of the job are.
    Rank { here: usize },
}

/// Lives as a worker.
pub(crate) fn worker_main(origin: Origin) -> ! {
    let lived = begin_to_live(origin).and_then(|birth| birth.map_or(Ok(()), live));
    match lived {
        Ok(()) => {
            job().inspect(|job| job.leave());
            std::process::exit(0)
        }
        Err(why) => {
            eprintln!("a worker cannot start: {why}");
            std::process::exit(1)
        }
    }
}

/// Learns who it is; nothing when it is not needed.
fn begin_to_live(origin: Origin) -> Result<Option<Birth>, String> {
    match origin {
        Origin::Born(mut by_birth) => {
            let birth = Birth::read(&mut by_birth);
            let mut birth =
                birth.map_err(|error| format!("cannot learn from worker 1 who it is: {error}"))?;
            if birth.is_elsewhere {
                birth.settings = settings_beside(birth.settings, 1)?;
            }
            let folder = match &birth.place {
                Place::Here(folder) => Some(folder.clone()),
                Place::Server { .. } | Place::Job => None,
            };
            end_with_worker_1(by_birth, folder)?;
            Ok(Some(birth))
        }
        Origin::Joins(file) => {
            let (birth, line) = join(&file)?;
            end_with_worker_1(line, None)?;
            Ok(Some(birth))
        }
        Origin::Rank { here } => {
            let birth = job().ok_or("mpirun has not started it")?.birth()?;
            let Some(mut birth) = birth else { return Ok(None) };
            birth.settings = settings_beside(birth.settings, here)?;
            Ok(Some(birth))
        }
    }
}

/// Ends this process when worker 1 does, whatever ends that: the line has no other end then.
fn end_with_worker_1(mut line: impl Read + Send + 'static, folder: Option<PathBuf>) -> Result<(), String> {
    let watch = move || {
        let mut nothing = [0; 64];
        loop {
            match line.read(&mut nothing) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        // Nobody else may be left who would.
        folder.into_iter().for_each(|folder| drop(std::fs::remove_dir_all(folder)));
        orphaned();
    };
    let started = std::thread::Builder::new().name("watch-w1".into()).spawn(watch);
    started.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

/// Worker 1 is gone. Whoever was told to end by it may do so in order, if it is quick.
fn orphaned() {
    let (stopped, _) = &STOPPED;
    let is_ending = *stopped.lock().unwrap_or_else(PoisonError::into_inner);
    if is_ending {
        std::thread::sleep(PATIENCE + PATIENCE);
    }
    std::process::exit(ORPHANED);
}

/// A worker is out of reach for good. Without worker 1 there is nothing to do here any more.
fn cut_off(worker: WorkerId) {
    if worker == WorkerId::FIRST {
        let (stopped, _) = &STOPPED;
        if !*stopped.lock().unwrap_or_else(PoisonError::into_inner) {
            eprintln!("{} ends: it has lost worker 1", poniard_pool::me());
            match job() {
                None => std::process::exit(ORPHANED),
                // All would end with it that go on without it: it waits for the end of the job, and does nothing more.
                Some(_) => stop(worker),
            }
        }
    }
}

fn live(birth: Birth) -> Result<(), String> {
    poniard_pool::set_me(birth.number);
    let member = begin(birth.number, &birth.settings)?;
    let mail = Mail::new();
    set_grace(birth.settings.cancel_grace);
    let patience = Patience::of(&birth.settings);
    let lines = site(&birth).and_then(|site| {
        let Settings { worker_timeout, budget, .. } = birth.settings;
        Core::lines(site, birth.number, birth.token, worker_timeout, budget, inbox::tell_of_line)
    });
    let core = Core::new(member, mail.clone(), patience, EXITS).with_lines(lines);
    inbox::start(core).map_err(|error| format!("cannot start a thread: {error}"))?;
    mail.join(&birth)?;
    let (stopped, told) = &STOPPED;
    let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
    drop(told.wait_while(stopped, |stopped| !*stopped));
    mail.close();
    inbox::stop();
    poniard_pool::stop(PATIENCE, || *directory::lock() = None);
    Ok(())
}

/// Where this worker listens for those of other hosts, if there are any.
fn site(birth: &Birth) -> Option<Result<Site, String>> {
    match (&birth.lines, &birth.place) {
        (Some(site), _) => Some(Ok(site.clone())),
        (None, Place::Server { engine, tls }) => Some(Site::towards(engine, tls.clone())),
        (None, Place::Here(_) | Place::Job) => None,
    }
}

/// Starts the pool and the budget of this process.
fn begin(number: WorkerId, settings: &Settings) -> Result<Member, String> {
    let config = MemoryConfig {
        budget: settings.budget,
        alone: settings.alone,
        spill_folders: settings.spill_folders.clone(),
        spill_limit: settings.spill_limit,
        processors: settings.threads,
    };
    memory().configure(config).map_err(|error| error.to_string())?;
    let config = poniard_pool::Config { threads: settings.threads, memory: settings.budget };
    poniard_pool::start(config).map_err(|error| error.to_string())?;
    let member = member(number, settings);
    let mut topology = Topology::default();
    topology.join(member.worker.clone(), &member.processors);
    *directory::lock() = Some(std::sync::Arc::new(topology));
    Ok(member)
}

/// A worker of this machine, as it is told to others.
pub(crate) fn member(number: WorkerId, settings: &Settings) -> Member {
    let node = variable("PONIARD_NODE").unwrap_or_else(crate::machine::node);
    let worker = Worker { id: number, node, labels: settings.labels.clone() };
    Member { worker, processors: vec![ProcessorKind::Cpu; settings.threads], sample: sample(), line: None }
}

/// Some bytes that no other process has in its memory, and where they lie in that of this one.
fn sample() -> (Vec<u8>, Option<SharedPlace>) {
    static SAMPLE: OnceLock<Option<Buf>> = OnceLock::new();
    let sample = SAMPLE.get_or_init(|| {
        let arena = Arena::new(ArenaConfig { backing: Backing::Memfd, ..ArenaConfig::default() });
        let bytes = poniard_fabric::entropy::entropy().ok()?.repeat(SAMPLE_BYTES / 32);
        BufMut::copy_of(&arena, &bytes).ok().map(BufMut::freeze)
    });
    let place = sample.as_ref().and_then(Buf::shared_place);
    (sample.as_ref().map_or_else(Vec::new, |sample| sample.to_vec()), place)
}

/// Ends this worker, in order. Only worker 1 may say so.
fn stop(from: WorkerId) {
    if from == WorkerId::FIRST {
        let (stopped, told) = &STOPPED;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        told.notify_all();
    }
}
