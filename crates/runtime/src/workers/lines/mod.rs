#![doc = include_str!("README.md")]

mod credit;
mod fetch;
mod giver;
mod lent;
mod pipe;
mod pull;
mod reader;
mod site;
mod wire;

pub(crate) use fetch::Parcel;
pub(crate) use site::Site;

use fetch::Fetches;
use giver::Giver;
use lent::Lent;
use poniard_fabric::Timing;
use poniard_model::WorkerId;
use poniard_model::codec::SharedBytes;
use poniard_store::{Arena, ArenaConfig, Buf};
use pull::Limits;
use reader::Readers;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Buffers below this size go with their message: a question and its answer cost more than their copies.
pub(crate) const LINE_BYTES_MIN: usize = 64 << 10;
/// What may be here of others at a time, whatever the budget is.
const CREDIT_MIN: u64 = 64 << 20;
/// The part of the budget that memory of freed slots may have: what comes next from another host comes into it, which is faster than the
/// network, and fresh memory is not.
const WARM_PART: u64 = 8;
/// How long a worker may be out of reach that never was in it, before what it has lent is sent by messages.
const PATIENCE_FIRST: Duration = Duration::from_secs(5);

/// What the driver is told of lines.
#[derive(Debug)]
pub(crate) enum Told {
    /// A buffer has come, or cannot be had for this reason.
    Pulled { giver: WorkerId, lease: u64, result: Result<Buf, String> },
    /// There is no way to the giver of a buffer.
    Unreachable { giver: WorkerId, lease: u64, why: String },
    /// Nobody here reads any more what came by this pull.
    Ended { giver: WorkerId, lease: u64, pull: u64 },
}

/// A buffer that was lent to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Want {
    lease: u64,
    len: usize,
}

/// The lines of this process: what it has lent by them, and what it pulls.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Where others ask for what this process has lent.
    address: String,
    lent: Arc<Lent>,
    giver: Giver,
    readers: Readers,
    fetches: Fetches,
    /// Workers that read here by lines.
    read_by: BTreeSet<WorkerId>,
    /// Workers to which there is no way: one line was printed about each.
    unreachable: BTreeSet<WorkerId>,
    /// What is whole, until it is taken.
    whole: Vec<u64>,
}

impl Lines {
    /// Listens there from now on. `budget`: the memory of this process.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn start(
        site: Site,
        me: WorkerId,
        token: [u8; 32],
        worker_timeout: Duration,
        budget: u64,
        tell: fn(Told),
    ) -> Result<Lines, String> {
        let lease = Timing::with_limit(worker_timeout).lease;
        let limits = Limits {
            silence: lease / 4,
            silence_max: lease,
            // By then the link has said whether it is gone.
            patience: worker_timeout,
            patience_first: PATIENCE_FIRST.min(worker_timeout),
        };
        let (listener, address, tls) = site.listen()?;
        let warm = usize::try_from(budget / WARM_PART).unwrap_or(usize::MAX);
        Arena::global().set_warm_bytes_max(warm.max(ArenaConfig::default().warm_bytes_max));
        let lent = Arc::<Lent>::default();
        let giver = Giver::open(listener, me, token, tls.clone(), lent.clone(), worker_timeout);
        let giver = giver.map_err(|error| format!("cannot start a thread: {error}"))?;
        let readers = Readers::new(me, token, tls, limits, tell);
        let fetches = Fetches::new((budget / 2).max(CREDIT_MIN), tell);
        let (read_by, unreachable, whole) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        Ok(Lines { address, lent, giver, readers, fetches, read_by, unreachable, whole })
    }

    /// Where others ask for what this process has lent.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A worker has said that it has lines, and where.
    pub(crate) fn meet(&mut self, worker: WorkerId, address: String) {
        self.lent.let_read(worker);
        self.read_by.insert(worker);
        self.readers.add(worker, address);
    }

    /// A worker is gone: what waits for its buffers is lost.
    pub(crate) fn lose(&mut self, now: Duration, worker: WorkerId) {
        self.fetches.lose(now, worker);
        self.read_by.remove(&worker);
        self.unreachable.remove(&worker);
        self.readers.lose(worker);
        self.giver.lose(worker);
        self.lent.lose(worker);
        self.go_on(now);
    }

    /// Lends a buffer to a worker that can ask for it, under this number or one that it has already.
    pub(crate) fn lend(&self, to: WorkerId, bytes: &Arc<dyn SharedBytes>, number: u64) -> Option<u64> {
        self.read_by.contains(&to).then(|| self.lent.lend(to, bytes.clone(), number))
    }

    /// A worker has done with one use of a buffer.
    pub(crate) fn end(&self, reader: WorkerId, lease: u64) {
        self.lent.end(reader, lease);
    }

    /// Whether nobody waits for what is lent here.
    pub(crate) fn is_all_sent(&self) -> bool {
        self.lent.is_all_sent()
    }

    /// A worker cannot come here. Gives the buffers that it waits for, which are sent by messages, like all later ones.
    pub(crate) fn cut(&mut self, reader: WorkerId, leases: &[u64]) -> Vec<(u64, Vec<u8>)> {
        self.read_by.remove(&reader);
        let bytes = |lease: &u64| {
            let bytes =
                self.lent.bytes(reader, *lease).map_or_else(|_| Vec::new(), |bytes| bytes.bytes().to_vec());
            self.lent.sent(reader, *lease);
            (*lease, bytes)
        };
        leases.iter().map(bytes).collect()
    }

    /// Something has come of which values are with its sender. Gives its number.
    pub(crate) fn fetch(&mut self, now: Duration, from: WorkerId, parcel: Parcel) -> u64 {
        let number = self.fetches.begin(now, from, parcel);
        self.go_on(now);
        number
    }

    /// A buffer has come, or cannot be had for this reason.
    pub(crate) fn arrived(
        &mut self,
        now: Duration,
        giver: WorkerId,
        lease: u64,
        result: Result<Buf, String>,
    ) {
        self.whole.extend(self.fetches.arrived(now, giver, lease, result));
        self.go_on(now);
    }

    /// Nobody here reads any more what came by this pull.
    pub(crate) fn ended(&mut self, now: Duration, giver: WorkerId, lease: u64, pull: u64) {
        self.fetches.ended(now, giver, lease, pull);
        self.go_on(now);
    }

    /// There is no way to a giver. Gives whether that is news.
    pub(crate) fn no_way(&mut self, giver: WorkerId) -> bool {
        self.unreachable.insert(giver)
    }

    /// Lets those in for which there is room, or which have waited for long enough.
    pub(crate) fn go_on(&mut self, now: Duration) {
        let (asks, whole) = self.fetches.go_on(now);
        self.whole.extend(whole);
        asks.into_iter().for_each(|(giver, want)| self.readers.ask(giver, want.lease, want.len));
    }

    /// What is whole, with its number and its sender.
    pub(crate) fn take_whole(&mut self) -> Vec<(u64, WorkerId, Parcel)> {
        let whole = std::mem::take(&mut self.whole);
        let take = |number| self.fetches.take(number).map(|(from, parcel)| (number, from, parcel));
        whole.into_iter().filter_map(take).collect()
    }

    /// Nobody wants it any more. Gives it back.
    pub(crate) fn withdraw(&mut self, number: u64) -> Option<Parcel> {
        self.fetches.withdraw(number)
    }

    /// Uses of leases that are over.
    pub(crate) fn take_over(&mut self) -> Vec<(WorkerId, u64)> {
        self.fetches.take_over()
    }

    /// When something has to be done.
    pub(crate) fn at(&self) -> Option<Duration> {
        self.fetches.at()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        Arena::global().set_warm_bytes_max(ArenaConfig::default().warm_bytes_max);
    }
}

#[cfg(test)]
mod tests;
