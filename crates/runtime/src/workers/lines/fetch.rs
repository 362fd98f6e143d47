//! Messages whose values are still with the worker that lent them: which buffers are asked for, who waits for which, and what is over.
//! No thread, no socket: what is to be done is given back.

use super::credit::Credit;
use super::{Told, Want};
use crate::message::{Bytes, Message, Run};
use poniard_model::WorkerId;
use poniard_sched::Order;
use poniard_store::Buf;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Those that wait for buffers.
#[derive(Debug)]
pub(super) struct Fetches {
    last: u64,
    waiting: BTreeMap<u64, Fetch>,
    /// By giver and lease.
    buffers: HashMap<(WorkerId, u64), Buffer>,
    credit: Credit,
    /// Uses of leases that are over.
    over: Vec<(WorkerId, u64)>,
    tell: fn(Told),
}

/// What waits for its values.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A task of the worker that sent it.
    Guest(Order, Run),
    Message(Message),
}

#[derive(Debug)]
struct Fetch {
    from: WorkerId,
    parcel: Parcel,
    /// How many of its buffers are missing; `None` while it waits for room.
    missing: Option<usize>,
    got: HashMap<u64, Result<Buf, String>>,
}

/// A buffer that was lent to this process.
#[derive(Debug)]
struct Buffer {
    len: usize,
    /// How often it was told and asked for.
    uses: usize,
    /// Which of the pulls of this lease it comes from.
    pull: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// On its way, for these.
    Coming(Vec<u64>),
    /// Arguments of tasks have it.
    Here(Weak<Held>),
}

/// A buffer that is here for as long as somebody reads it; its giver keeps it as well until then, so that it is not sent twice.
struct Held {
    buf: Buf,
    giver: WorkerId,
    lease: u64,
    pull: u64,
    tell: fn(Told),
}

/// What many buffers of it share.
struct Share(Arc<Held>);

impl Parcel {
    fn values(&mut self) -> Vec<&mut Bytes> {
        match self {
            Parcel::Guest(_, run) => run.values(),
            Parcel::Message(message) => message.values(),
        }
    }

    /// The leases of its buffers and their lengths, as often as they are told.
    fn wants(&mut self) -> Vec<Want> {
        self.values()
            .into_iter()
            .flat_map(|value| value.afar())
            .map(|(lease, len)| Want { lease, len })
            .collect()
    }
}

impl Fetches {
    /// At most so many bytes are here or on their way at a time, as far as that can be said.
    pub(super) fn new(limit: u64, tell: fn(Told)) -> Fetches {
        Fetches {
            last: 0,
            waiting: BTreeMap::new(),
            buffers: HashMap::new(),
            credit: Credit::new(limit),
            over: Vec::new(),
            tell,
        }
    }

    /// Something has come of which values are with its sender. Gives its number.
    pub(super) fn begin(&mut self, now: Duration, from: WorkerId, parcel: Parcel) -> u64 {
        self.last += 1;
        let fetch = Fetch { from, parcel, missing: None, got: HashMap::new() };
        self.waiting.insert(self.last, fetch);
        self.credit.wait(now, self.last);
        self.last
    }

    /// Lets those in that may go on. Gives what is to be pulled, and what is whole already.
    pub(super) fn go_on(&mut self, now: Duration) -> (Vec<(WorkerId, Want)>, Vec<u64>) {
        let (mut asks, mut whole) = (Vec::new(), Vec::new());
        loop {
            let (waiting, buffers) = (&mut self.waiting, &self.buffers);
            let bytes = |fetch| waiting.get_mut(&fetch).map_or(0, |fetch| new_bytes(fetch, buffers));
            let Some(fetch) = self.credit.next(now, bytes) else { return (asks, whole) };
            if self.start(now, fetch, &mut asks) == Some(0) {
                whole.push(fetch);
            }
        }
    }

    /// Asks for what is neither here nor on its way. Gives how much of it is missing.
    fn start(&mut self, now: Duration, number: u64, asks: &mut Vec<(WorkerId, Want)>) -> Option<usize> {
        let fetch = self.waiting.get_mut(&number)?;
        let from = fetch.from;
        let mut missing = 0;
        for want in fetch.parcel.wants() {
            let key = (from, want.lease);
            if let Some(buffer) = self.buffers.get_mut(&key) {
                match &mut buffer.state {
                    State::Coming(fetches) => {
                        if !fetches.contains(&number) {
                            fetches.push(number);
                            missing += 1;
                        }
                        buffer.uses += 1;
                        continue;
                    }
                    State::Here(held) => {
                        if let Some(held) = held.upgrade() {
                            buffer.uses += 1;
                            fetch.got.insert(want.lease, Ok(Buf::from_owner(Share(held))));
                            continue;
                        }
                        // The word that it is over is on its way: it is over now, and the word changes nothing.
                        self.over.extend(std::iter::repeat_n(key, buffer.uses));
                        self.credit.give_back(now, buffer.len as u64);
                    }
                }
            }
            self.last += 1;
            let state = State::Coming(vec![number]);
            self.buffers.insert(key, Buffer { len: want.len, uses: 1, pull: self.last, state });
            missing += 1;
            asks.push((from, want));
        }
        fetch.missing = Some(missing);
        Some(missing)
    }

    /// A buffer has come, or cannot be had for this reason. Gives what is whole now.
    pub(super) fn arrived(
        &mut self,
        now: Duration,
        giver: WorkerId,
        lease: u64,
        result: Result<Buf, String>,
    ) -> Vec<u64> {
        let key = (giver, lease);
        let Some(buffer) = self.buffers.get_mut(&key) else { return Vec::new() };
        let State::Coming(fetches) = &mut buffer.state else { return Vec::new() };
        let fetches = std::mem::take(fetches);
        let (expected, pull, tell) = (buffer.len, buffer.pull, self.tell);
        let result = result.and_then(|buf| match buf.len() == expected {
            true => Ok(buf),
            false => Err(format!("{giver} has sent {} bytes instead of {expected}", buf.len())),
        });
        let is_argument = |fetch: &u64| {
            self.waiting.get(fetch).is_some_and(|fetch| matches!(fetch.parcel, Parcel::Guest(..)))
        };
        let held = match &result {
            Ok(buf) if fetches.iter().any(is_argument) => {
                Some(Arc::new(Held { buf: buf.clone(), giver, lease, pull, tell }))
            }
            _ => None,
        };
        match &held {
            Some(held) => buffer.state = State::Here(Arc::downgrade(held)),
            None => self.end(now, key),
        }
        let mut whole = Vec::new();
        for number in fetches {
            let Some(fetch) = self.waiting.get_mut(&number) else { continue };
            let got = match &held {
                Some(held) => Ok(Buf::from_owner(Share(held.clone()))),
                None => result.clone(),
            };
            fetch.got.insert(lease, got);
            let missing = fetch.missing.as_mut().expect("it has begun");
            *missing -= 1;
            if *missing == 0 {
                whole.push(number);
            }
        }
        whole
    }

    /// Nobody here reads any more what came by this pull.
    pub(super) fn ended(&mut self, now: Duration, giver: WorkerId, lease: u64, pull: u64) {
        if self.buffers.get(&(giver, lease)).is_some_and(|buffer| buffer.pull == pull) {
            self.end(now, (giver, lease));
        }
    }

    fn end(&mut self, now: Duration, key: (WorkerId, u64)) {
        if let Some(buffer) = self.buffers.remove(&key) {
            self.over.extend(std::iter::repeat_n(key, buffer.uses));
            self.credit.give_back(now, buffer.len as u64);
        }
    }

    /// What is whole, with its sender: its values are in it.
    pub(super) fn take(&mut self, number: u64) -> Option<(WorkerId, Parcel)> {
        let Fetch { from, mut parcel, got, .. } = self.waiting.remove(&number)?;
        parcel.values().into_iter().for_each(|value| value.fill(&got));
        Some((from, parcel))
    }

    /// Nobody wants it any more. Gives it back: what it was to receive besides is in it.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Parcel> {
        let mut fetch = self.waiting.remove(&number)?;
        if fetch.missing.is_none() {
            self.credit.forget(number);
            self.over.extend(fetch.parcel.wants().into_iter().map(|want| (fetch.from, want.lease)));
        }
        Some(fetch.parcel)
    }

    /// A worker is gone, and what it has lent.
    pub(super) fn lose(&mut self, now: Duration, giver: WorkerId) {
        let lost: Vec<u64> =
            self.waiting.iter().filter(|(_, fetch)| fetch.from == giver).map(|(number, _)| *number).collect();
        for number in lost {
            self.waiting.remove(&number);
            self.credit.forget(number);
        }
        let is_coming = |buffer: &Buffer| matches!(buffer.state, State::Coming(_));
        let coming: Vec<_> = self
            .buffers
            .iter()
            .filter(|(key, buffer)| key.0 == giver && is_coming(buffer))
            .map(|(key, _)| *key)
            .collect();
        coming.into_iter().for_each(|key| self.end(now, key));
        self.over.retain(|(owner, _)| *owner != giver);
    }

    /// Uses of leases that are over.
    pub(super) fn take_over(&mut self) -> Vec<(WorkerId, u64)> {
        std::mem::take(&mut self.over)
    }

    /// When the first that waits for room goes on in any case.
    pub(super) fn at(&self) -> Option<Duration> {
        self.credit.at()
    }
}

/// How many bytes something needs that are neither here nor on their way.
fn new_bytes(fetch: &mut Fetch, buffers: &HashMap<(WorkerId, u64), Buffer>) -> u64 {
    let mut wants = fetch.parcel.wants();
    wants.sort_by_key(|want| want.lease);
    wants.dedup_by_key(|want| want.lease);
    let is_here = |want: &&Want| match buffers.get(&(fetch.from, want.lease)).map(|buffer| &buffer.state) {
        Some(State::Coming(_)) => true,
        Some(State::Here(held)) => held.strong_count() > 0,
        None => false,
    };
    wants.iter().filter(|want| !is_here(want)).map(|want| want.len as u64).sum()
}

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.0.buf
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.tell)(Told::Ended { giver: self.giver, lease: self.lease, pull: self.pull });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held(lease {} of {})", self.lease, self.giver)
    }
}
