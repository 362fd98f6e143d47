//! What this process has lent to workers of other hosts: each buffer stays until its reader says that it is over, or is gone.

use poniard_model::WorkerId;
use poniard_model::codec::SharedBytes;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Leases of all readers. The driver makes them, and threads that serve readers look them up.
#[derive(Default)]
pub(super) struct Lent(Mutex<HashMap<WorkerId, Reader>>);

/// A worker that reads here.
#[derive(Default)]
struct Reader {
    leases: HashMap<u64, Lease>,
    /// The lease of a buffer that lies there: while it is lent it stays as it is.
    by_place: HashMap<(usize, usize), u64>,
}

struct Lease {
    bytes: Arc<dyn SharedBytes>,
    /// How often it was told, and is not over.
    uses: usize,
    /// Its last byte was sent.
    is_sent: bool,
}

impl Lent {
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, Reader>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker may read here.
    pub(super) fn let_read(&self, reader: WorkerId) {
        self.lock().entry(reader).or_default();
    }

    /// Lends a buffer, under this number unless it is lent to the same worker already. Gives the number.
    pub(super) fn lend(&self, reader: WorkerId, bytes: Arc<dyn SharedBytes>, number: u64) -> u64 {
        let mut readers = self.lock();
        let reader = readers.entry(reader).or_default();
        let place = (bytes.bytes().as_ptr().addr(), bytes.bytes().len());
        if let Some(number) = reader.by_place.get(&place).copied()
            && let Some(lease) = reader.leases.get_mut(&number)
        {
            lease.uses += 1;
            return number;
        }
        reader.by_place.insert(place, number);
        reader.leases.insert(number, Lease { bytes, uses: 1, is_sent: false });
        number
    }

    /// A buffer that was lent; else the reason why there is none, in words.
    pub(super) fn bytes(&self, reader: WorkerId, lease: u64) -> Result<Arc<dyn SharedBytes>, String> {
        let readers = self.lock();
        let Some(of_reader) = readers.get(&reader) else {
            return Err(format!("{reader} is not known there"));
        };
        match of_reader.leases.get(&lease) {
            Some(lease) => Ok(lease.bytes.clone()),
            None => Err(format!("nothing is lent to {reader} under number {lease}")),
        }
    }

    /// All of a buffer was sent.
    pub(super) fn sent(&self, reader: WorkerId, lease: u64) {
        if let Some(lease) = self.lock().get_mut(&reader).and_then(|reader| reader.leases.get_mut(&lease)) {
            lease.is_sent = true;
        }
    }

    /// Whether nobody waits for what is lent here.
    pub(super) fn is_all_sent(&self) -> bool {
        self.lock().values().flat_map(|reader| reader.leases.values()).all(|lease| lease.is_sent)
    }

    /// A worker has done with one use of a buffer.
    pub(super) fn end(&self, reader: WorkerId, number: u64) {
        let mut readers = self.lock();
        let Some(reader) = readers.get_mut(&reader) else { return };
        let Some(lease) = reader.leases.get_mut(&number) else { return };
        lease.uses -= 1;
        if lease.uses > 0 {
            return;
        }
        let ended = reader.leases.remove(&number);
        if let Some(lease) = &ended {
            reader.by_place.remove(&(lease.bytes.bytes().as_ptr().addr(), lease.bytes.bytes().len()));
        }
        drop(readers);
        // Its memory is given back without the lock.
        drop(ended);
    }

    /// A worker is gone: it reads nothing more.
    pub(super) fn lose(&self, reader: WorkerId) {
        let lost = self.lock().remove(&reader);
        drop(lost);
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leases: Vec<(WorkerId, usize)> =
            self.lock().iter().map(|(reader, lent)| (*reader, lent.leases.len())).collect();
        f.debug_tuple("Lent").field(&leases).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poniard_store::Buf;

    const READER: WorkerId = WorkerId(2);

    #[test]
    fn a_buffer_is_lent_once_however_often_it_is_told_and_kept_until_all_of_that_is_over() {
        let lent = Lent::default();
        let buf = Buf::from_vec(vec![7_u8; 9000]);
        let lend = |buf: &Buf, number| lent.lend(READER, Arc::new(buf.clone()), number);
        assert_eq!((lend(&buf, 1), lend(&buf, 2), lend(&buf.slice(1..), 3)), (1, 1, 3));
        lent.end(READER, 3);
        lent.end(READER, 1);
        assert!(lent.bytes(READER, 1).is_ok() && buf.is_shared());
        lent.end(READER, 1);
        lent.end(READER, 1);
        assert!(!buf.is_shared());
        assert_eq!(lent.bytes(READER, 1).err().unwrap(), "nothing is lent to w2 under number 1");
        assert_eq!(lend(&buf, 4), 4);
    }

    #[test]
    fn what_a_lost_worker_has_read_is_free() {
        let lent = Lent::default();
        let buf = Buf::from_vec(vec![7_u8; 9000]);
        lent.let_read(READER);
        assert!(lent.is_all_sent());
        lent.lend(READER, Arc::new(buf.clone()), 1);
        assert!(!lent.is_all_sent());
        lent.sent(READER, 1);
        assert!(lent.is_all_sent());
        lent.lose(READER);
        assert!(!buf.is_shared());
        assert_eq!(lent.bytes(READER, 1).err().unwrap(), "w2 is not known there");
    }
}
