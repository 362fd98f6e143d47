//! Values on their way: their buffers stay where they are if the other worker can read them there, and are copied otherwise.
//!
//! Who lends a buffer keeps it until the reader says that it reads no more, or is gone. Three things follow.
//!
//! * What was lent is lent on by worker 1 alone: it is never gone before the others. When another reader is gone, who has lent it
//!   something uses that memory again, and does not know to whom that reader has lent it on; so that one lends on a copy of its own.
//! * One that is out of reach may read on, until its process has ended.
//! * A worker that ends leaves what it has lent as it is. The memory lives as long as somebody has mapped it.

use super::lines::{LINE_BYTES_MIN, Lines};
use crate::message::{BufferTold, Bytes};
use crate::traffic;
use poniard_model::WorkerId;
use poniard_model::codec::{Encoded, SharedBytes};
use poniard_store::{Arena, Buf, BufMut, Neighbours};
use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

/// Buffers below this size are copied: that costs less than to say that they are read no more.
const LENT_BYTES_MIN: usize = 16 << 10;

/// What this process has lent, and what it has mapped of others.
#[derive(Debug)]
pub(crate) struct Leases {
    me: WorkerId,
    /// By reader and number. Who is here can read this process's memory.
    lent: HashMap<WorkerId, HashMap<u64, Buf>>,
    /// What workers have that are out of reach, and may live.
    perhaps_read: HashMap<WorkerId, HashMap<u64, Buf>>,
    last: u64,
    neighbours: Neighbours,
    /// The workers whose memory this process can read.
    seen: BTreeSet<WorkerId>,
    /// Ends of leases of others that are not told yet.
    over: HashMap<WorkerId, Vec<u64>>,
    /// Where workers of other hosts read, if there are several.
    pub(crate) lines: Option<Lines>,
}

impl Leases {
    /// Of this worker.
    pub(crate) fn new(me: WorkerId) -> Leases {
        Leases {
            me,
            lent: HashMap::new(),
            perhaps_read: HashMap::new(),
            last: 0,
            neighbours: Neighbours::default(),
            seen: BTreeSet::new(),
            over: HashMap::new(),
            lines: None,
        }
    }

    /// Tries to read what another worker has in its memory; gives whether it can.
    pub(crate) fn look(&mut self, worker: WorkerId, sample: Bytes, expected: &[u8]) -> bool {
        let seen = self.open(sample, worker, |_| ()).is_ok_and(|sample| {
            sample.buffers().iter().all(|buffer| buffer.bytes() == expected) && !sample.buffers().is_empty()
        });
        if seen {
            self.seen.insert(worker);
        }
        seen
    }

    /// A worker can read this process's memory.
    pub(crate) fn let_read(&mut self, worker: WorkerId) {
        self.lent.entry(worker).or_default();
    }

    /// Whether this process and a worker read each other's memory.
    pub(crate) fn is_shared_with(&self, worker: WorkerId) -> bool {
        self.lent.contains_key(&worker) && self.seen.contains(&worker)
    }

    /// How many bytes of a value would have to be copied for a worker of this host.
    pub(crate) fn copied_bytes(value: &Encoded) -> usize {
        let stays = |buffer: &&Arc<dyn SharedBytes>| lendable(buffer).is_none();
        value.head().len()
            + value.buffers().iter().filter(stays).map(|buffer| buffer.bytes().len()).sum::<usize>()
    }

    /// A value for another worker.
    pub(crate) fn pack(&mut self, value: &Encoded, to: WorkerId) -> Bytes {
        let buffers = value.buffers().iter().map(|buffer| self.pack_buffer(buffer, to)).collect();
        traffic::count(value.head().len(), 0);
        Bytes::new(value.head().to_vec(), buffers)
    }

    fn pack_buffer(&mut self, buffer: &Arc<dyn SharedBytes>, to: WorkerId) -> BufferTold {
        let len = buffer.bytes().len();
        let may_be_lent = |buf: &Buf| self.me == WorkerId::FIRST || !buf.is_of_neighbour();
        if let Some(leases) = self.lent.get_mut(&to).filter(|_| len >= LENT_BYTES_MIN)
            && let Some(buf) = lendable(buffer).filter(may_be_lent).or_else(|| copy(buffer.bytes()))
            && let Some(place) = buf.shared_place()
        {
            self.last += 1;
            leases.insert(self.last, buf);
            traffic::count(0, len);
            return BufferTold::Lent { place, lease: self.last };
        }
        if let Some(lines) = self.lines.as_ref().filter(|_| len >= LINE_BYTES_MIN)
            && let Some(lease) = lines.lend(to, buffer, self.last + 1)
        {
            self.last = self.last.max(lease);
            return BufferTold::Afar { lease, len };
        }
        traffic::count(len, 0);
        BufferTold::Here(buffer.bytes().to_vec())
    }

    /// A value that another worker has packed. `over` is told the number of each of its leases that is read no more.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) when that worker's process is gone; else what the kernel says.
    pub(crate) fn open(
        &self,
        value: Bytes,
        from: WorkerId,
        over: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> io::Result<Encoded> {
        let (head, buffers) = value.into_parts();
        let open = |buffer| -> io::Result<Arc<dyn SharedBytes>> {
            Ok(match buffer {
                BufferTold::Here(bytes) => Arc::new(Buf::from_vec(bytes)),
                BufferTold::Lent { place, lease } => {
                    let over = over.clone();
                    let opened = Buf::open(&self.neighbours, place, move || over(lease));
                    Arc::new(opened.map_err(|error| with_words(&error, from, place.len()))?)
                }
                BufferTold::Pulled(pulled) => Arc::new(pulled.map_err(io::Error::other)?),
                BufferTold::Afar { len, .. } => {
                    let what =
                        format!("cannot read {len} bytes of {from}: there are no lines between hosts here");
                    return Err(io::Error::other(what));
                }
            })
        };
        Ok(Encoded::from_parts(head, buffers.into_iter().map(open).collect::<io::Result<_>>()?))
    }

    /// This process reads no more what a worker has lent it.
    pub(crate) fn read_no_more(&mut self, owner: WorkerId, lease: u64) {
        self.over.entry(owner).or_default().push(lease);
    }

    /// What is to be told of leases that are over.
    pub(crate) fn take_over(&mut self) -> Vec<(WorkerId, Vec<u64>)> {
        self.over.drain().collect()
    }

    /// A worker reads these no more.
    pub(crate) fn end(&mut self, reader: WorkerId, leases: &[u64]) {
        if let Some(lent) = self.lent.get_mut(&reader) {
            leases.iter().for_each(|lease| drop(lent.remove(lease)));
        }
        if let Some(lines) = &self.lines {
            leases.iter().for_each(|lease| lines.end(reader, *lease));
        }
    }

    /// A worker is gone, and reads nothing more; or is out of reach, and may.
    pub(crate) fn lose(&mut self, worker: WorkerId, is_cut_off: bool) {
        let lent = self.lent.remove(&worker).filter(|_| is_cut_off);
        match lent {
            Some(lent) => drop(self.perhaps_read.insert(worker, lent)),
            None if !is_cut_off => drop(self.perhaps_read.remove(&worker)),
            None => {}
        }
        self.seen.remove(&worker);
        self.over.remove(&worker);
        self.neighbours.forget_unused();
    }
}

impl Drop for Leases {
    /// Worker 1 ends after all that read here; others do not.
    fn drop(&mut self) {
        if self.me != WorkerId::FIRST {
            let lent = std::mem::take(&mut self.lent)
                .into_values()
                .chain(std::mem::take(&mut self.perhaps_read).into_values());
            lent.for_each(std::mem::forget);
        }
    }
}

/// A buffer that other processes of this host can read where it is.
fn lendable(buffer: &Arc<dyn SharedBytes>) -> Option<Buf> {
    let any: &dyn Any = &**buffer;
    let buf = any.downcast_ref::<Buf>().filter(|buf| buf.len() >= LENT_BYTES_MIN)?;
    buf.shared_place().map(|_| buf.clone())
}

/// The same bytes where others can read them: one copy, instead of two and a message.
fn copy(bytes: &[u8]) -> Option<Buf> {
    BufMut::copy_of(Arena::global(), bytes).ok().map(BufMut::freeze)
}

fn with_words(error: &io::Error, owner: WorkerId, bytes: usize) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {bytes} bytes in the memory of {owner}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_model::codec::Codec;
    use poniard_store::{ArenaConfig, Backing};
    use std::sync::Mutex;

    const ME: WorkerId = WorkerId::FIRST;
    const OTHER: WorkerId = WorkerId(2);

    fn block(len: usize) -> Encoded {
        let arena = Arena::new(ArenaConfig { backing: Backing::Memfd, ..ArenaConfig::default() });
        let buf = BufMut::copy_of(&arena, &vec![7; len]).unwrap().freeze();
        Encoded::from_parts(vec![1, 2], vec![Arc::new(buf)])
    }

    #[test]
    fn a_block_is_read_where_it_is_and_kept_until_it_is_read_no_more() {
        let (mut mine, mut others) = (Leases::new(OTHER), Leases::new(ME));
        mine.let_read(ME);
        let packed = mine.pack(&block(1 << 20), ME);
        assert!(matches!(packed.clone().into_parts().1[..], [BufferTold::Lent { .. }]));
        let ended: Arc<Mutex<Vec<u64>>> = Arc::default();
        let over = ended.clone();
        let opened = others.open(packed, OTHER, move |lease| over.lock().unwrap().push(lease)).unwrap();
        assert_eq!((opened.head(), opened.buffers()[0].bytes()), (&[1, 2][..], &vec![7; 1 << 20][..]));
        // A third worker gets it from the first as a place in that one's memory, without a copy.
        others.let_read(WorkerId(3));
        let third = Leases::new(WorkerId(3));
        let packed = others.pack(&opened, WorkerId(3));
        assert!(matches!(packed.clone().into_parts().1[..], [BufferTold::Lent { .. }]));
        let onwards = third.open(packed, ME, |_| ()).unwrap();
        assert_eq!(onwards.buffers()[0].bytes().len(), 1 << 20);
        drop(opened);
        assert!(ended.lock().unwrap().is_empty(), "it is lent on");
        others.end(WorkerId(3), &[1]);
        for lease in std::mem::take(&mut *ended.lock().unwrap()) {
            others.read_no_more(OTHER, lease);
        }
        for (owner, leases) in others.take_over() {
            assert_eq!(owner, OTHER);
            mine.end(ME, &leases);
        }
        assert!(mine.lent[&ME].is_empty());
    }

    fn is_lent(packed: &Bytes) -> bool {
        matches!(packed.clone().into_parts().1[..], [BufferTold::Lent { .. }])
    }

    #[test]
    fn what_another_has_lent_is_lent_on_as_a_copy_that_outlives_both() {
        // As in a cluster on one host.
        Arena::global().set_backing(Backing::Memfd);
        let (mut first, mut second) = (Leases::new(WorkerId(3)), Leases::new(OTHER));
        first.let_read(OTHER);
        second.let_read(ME);
        let opened = second.open(first.pack(&block(1 << 20), OTHER), WorkerId(3), |_| ()).unwrap();
        let packed = second.pack(&opened, ME);
        assert!(is_lent(&packed));
        // The second is lost, and the first uses its memory again.
        first.lose(OTHER, false);
        drop((opened, first));
        let read = Leases::new(ME).open(packed, OTHER, |_| ()).unwrap();
        assert!(read.buffers()[0].bytes().iter().all(|byte| *byte == 7));
        // It ends in order, and what it has lent is still there.
        drop(second);
        assert!(read.buffers()[0].bytes().iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_one_has_that_is_out_of_reach_is_kept_until_it_has_ended() {
        let mut mine = Leases::new(ME);
        mine.let_read(OTHER);
        let packed = mine.pack(&block(1 << 20), OTHER);
        mine.lose(OTHER, true);
        let read = Leases::new(OTHER).open(packed, ME, |_| ()).unwrap();
        assert!(read.buffers()[0].bytes().iter().all(|byte| *byte == 7));
        mine.lose(OTHER, false);
        assert!(mine.perhaps_read.is_empty());
    }

    #[test]
    fn what_others_cannot_read_is_copied() {
        let mut mine = Leases::new(ME);
        let packed = mine.pack(&block(1 << 20), OTHER);
        assert!(matches!(packed.clone().into_parts().1[..], [BufferTold::Here(_)]), "nobody may read here");
        let opened = mine.open(packed, ME, |_| ()).unwrap();
        assert_eq!(opened.buffers()[0].bytes(), vec![7; 1 << 20]);
        mine.let_read(OTHER);
        let small = Codec::<u64>::SERDE.encode(&5).unwrap();
        assert!(mine.pack(&small, OTHER).into_parts().1.is_empty());
        assert!(mine.lent[&OTHER].is_empty());
    }

    #[test]
    fn what_a_lost_worker_has_read_is_free() {
        let mut mine = Leases::new(ME);
        mine.let_read(OTHER);
        let packed = mine.pack(&block(1 << 20), OTHER);
        mine.lose(OTHER, false);
        let gone = Leases::new(OTHER).open(packed, ME, |_| ()).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound, "{gone}");
        assert!(gone.to_string().contains("in the memory of w1"), "{gone}");
    }
}
