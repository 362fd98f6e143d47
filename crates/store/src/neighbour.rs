//! Memory of other processes of this host, read where it is.
//!
//! Who has bytes in a memory file says where ([`Buf::shared_place`]); another process of the same user opens that file by its
//! name under `/proc`, maps it once, and reads. Nothing is copied. That the bytes stay as they are meanwhile is for the two to
//! agree on: the giver keeps a `Buf` of them until the taker says that it is done.

use crate::mapping::Mapping;
use crate::place::{SharedFile, SharedPlace};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Mapped memory files of neighbours, beyond which those are given back that no buffer lies in.
const MAPPED_MAX: usize = 64;

/// The memory files of other processes that this one has mapped.
#[derive(Debug, Default)]
pub struct Neighbours(Mutex<HashMap<u64, Arc<Mapped>>>);

/// A memory file of another process, and what is mapped of it.
#[derive(Debug)]
struct Mapped {
    file: File,
    /// What was told of it.
    told: SharedFile,
    /// `None` where there are no addresses left for it: then it is read.
    mapping: Option<Mapping>,
}

/// Bytes in the memory of another process.
pub(crate) struct Neighbour {
    mapped: Arc<Mapped>,
    offset: usize,
    len: usize,
    /// A copy of them, where they could not be mapped.
    copy: Option<Vec<u8>>,
    _over: Over,
}

/// Told when nobody here reads the bytes any more.
struct Over(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Neighbours {
    /// The bytes at a place of another process.
    pub(crate) fn open(
        &self,
        place: SharedPlace,
        over: impl FnOnce() + Send + Sync + 'static,
    ) -> io::Result<Neighbour> {
        let over = Over(Some(Box::new(over)));
        let mapped = self.mapped(place.file)?;
        let (offset, len) = (place.offset as usize, place.len as usize);
        if place.offset.checked_add(place.len).is_none_or(|end| end > mapped.told.bytes) {
            let what = format!("{place:?} ends behind its memory");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let copy = match mapped.mapping {
            Some(_) => None,
            None => {
                let mut bytes = vec![0_u8; len];
                mapped.file.read_exact_at(&mut bytes, place.offset)?;
                Some(bytes)
            }
        };
        Ok(Neighbour { mapped, offset, len, copy, _over: over })
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Gives back what was mapped and no buffer lies in.
    pub fn forget_unused(&self) {
        self.lock().retain(|_, mapped| Arc::strong_count(mapped) > 1);
    }

    fn mapped(&self, file: SharedFile) -> io::Result<Arc<Mapped>> {
        if let Some(mapped) = self.lock().get(&file.inode) {
            return Ok(mapped.clone());
        }
        let mapped = Arc::new(Mapped::open(file)?);
        let is_crowded = self.lock().len() >= MAPPED_MAX;
        if is_crowded {
            self.forget_unused();
        }
        Ok(self.lock().entry(file.inode).or_insert(mapped).clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mapped>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mapped {
    fn open(told: SharedFile) -> io::Result<Mapped> {
        let file = File::open(format!("/proc/{}/fd/{}", told.process, told.descriptor))?;
        let metadata = file.metadata()?;
        if (metadata.ino(), metadata.len()) != (told.inode, told.bytes) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the memory is gone, and another file is there",
            ));
        }
        let bytes = usize::try_from(told.bytes).map_err(io::Error::other)?;
        let mapping = Mapping::neighbour(&file, bytes).ok();
        Ok(Mapped { file, told, mapping })
    }
}

impl Neighbour {
    /// Where a third process finds the part of it that begins at `skipped`: in the file that this process has open.
    pub(crate) fn place(&self, skipped: usize, len: usize) -> SharedPlace {
        let SharedFile { inode, bytes, .. } = self.mapped.told;
        SharedPlace::new(SharedFile::of(&self.mapped.file, inode, bytes), self.offset + skipped, len)
    }
}

impl AsRef<[u8]> for Neighbour {
    fn as_ref(&self) -> &[u8] {
        match (&self.copy, &self.mapped.mapping) {
            (None, Some(mapping)) => mapping.neighbours_bytes(self.offset, self.len),
            (copy, _) => copy.as_deref().unwrap_or_default(),
        }
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        if let Some(over) = self.0.take() {
            over();
        }
    }
}

impl fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Neighbour({} bytes at {} of {:?})", self.len, self.offset, self.mapped.file)
    }
}
