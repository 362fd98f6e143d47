//! Files in object stores (feature `object-store`): of clouds, of web servers, or in memory.
//!
//! Formats read and write files of this machine, so an object is copied to a temporary file first, and from one at last.

use crate::background::runtime;
use crate::disk::atomic::{MODE_PRIVATE, write_aside};
use crate::disk::error::{Reason, Unfit};
use crate::disk::source::{Source, Target};
use object_store::path::Path as Key;
use object_store::{
    GetOptions, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, parse_url_opts,
};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::SystemTime;
use url::Url;

/// Bytes that are asked for, and sent, at once: more than every store's least for a part, few enough to hold.
const PART_BYTES: u64 = 8 << 20;

/// Where an object is.
#[derive(Clone, Debug)]
pub(crate) struct ObjectPlace {
    store: Arc<dyn ObjectStore>,
    key: Key,
    /// The address, or the store's own name with the key.
    shown: PathBuf,
    /// Whether the address alone leads there.
    is_address: bool,
}

/// An object that was found below a place.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) place: ObjectPlace,
    pub(crate) bytes: u64,
    pub(crate) written: SystemTime,
}

/// What an address such as `s3://bucket/key` leads to.
pub(crate) enum Found {
    File(PathBuf),
    Object(ObjectPlace),
}

impl ObjectPlace {
    /// An object of this store.
    pub(crate) fn of(store: Arc<dyn ObjectStore>, key: &str) -> Result<ObjectPlace, Reason> {
        let key = Key::parse(key)?;
        let shown = PathBuf::from(format!("{store}/{key}"));
        Ok(ObjectPlace { store, key, shown, is_address: false })
    }

    /// What the address leads to. The rest of what a store needs, such as keys, is in the environment, under the names that
    /// the tools of each cloud use.
    pub(crate) fn of_address(address: &str) -> Result<Found, Reason> {
        let url = Url::parse(address)?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| "it is no path of this machine")?;
            return Ok(Found::File(path));
        }
        let environment = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
        let (store, key) = parse_url_opts(&url, environment).map_err(|error| {
            format!(
                "{error}; enable the feature of crate `object_store` for addresses that begin with `{}://`",
                url.scheme()
            )
        })?;
        let shown = PathBuf::from(address);
        Ok(Found::Object(ObjectPlace { store: store.into(), key, shown, is_address: true }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.shown
    }

    pub(crate) fn is_address(&self) -> bool {
        self.is_address
    }

    /// Whether it is there; not a byte of it is read.
    pub(crate) fn check(&self) -> io::Result<()> {
        let ObjectPlace { store, key, .. } = self.clone();
        Ok(wait(async move { store.head(&key).await }).map(drop)?)
    }

    /// What lies directly below it: folders, and objects.
    fn below(&self) -> Result<ListResult, Reason> {
        let ObjectPlace { store, key, .. } = self.clone();
        Ok(wait(async move { store.list_with_delimiter(Some(&key)).await })?)
    }

    /// The place of a key below it.
    fn at(&self, key: Key) -> ObjectPlace {
        let below = key.as_ref().strip_prefix(self.key.as_ref()).unwrap_or_default();
        let shown = self.shown.join(below.trim_start_matches('/'));
        ObjectPlace { store: self.store.clone(), key, shown, is_address: self.is_address }
    }

    /// The folders directly below it.
    pub(crate) fn folders(&self) -> Result<Vec<ObjectPlace>, Reason> {
        Ok(self.below()?.common_prefixes.into_iter().map(|key| self.at(key)).collect())
    }

    /// The objects directly below it.
    pub(crate) fn objects(&self) -> Result<Vec<Object>, Reason> {
        let object = |meta: ObjectMeta| {
            let (bytes, written) = (meta.size, meta.last_modified.into());
            Object { place: self.at(meta.location), bytes, written }
        };
        Ok(self.below()?.objects.into_iter().map(object).collect())
    }

    /// Removes an object below it, by the path that it is shown with.
    pub(crate) fn remove(&self, shown: &Path) -> Result<(), Reason> {
        let below = shown.strip_prefix(&self.shown)?.to_str().ok_or("it is no text")?;
        let (store, key) = (self.store.clone(), Key::parse(format!("{}/{below}", self.key))?);
        match wait(async move { store.delete(&key).await }) {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A copy of it.
    pub(crate) fn source(&self) -> Result<Source, Reason> {
        let ObjectPlace { store, key, .. } = self.clone();
        let meta = {
            let (store, key) = (store.clone(), key.clone());
            wait(async move { store.head(&key).await }).map_err(io::Error::from)?
        };
        let copy = write_aside(&std::env::temp_dir(), MODE_PRIVATE, |target| {
            for start in (0..meta.size).step_by(PART_BYTES as usize) {
                let range = start..(start + PART_BYTES).min(meta.size);
                let len = range.end - range.start;
                // All parts are of one version of the object.
                let if_match = meta.e_tag.clone();
                let options = GetOptions { range: Some(range.into()), if_match, ..GetOptions::default() };
                let (store, key) = (store.clone(), key.clone());
                let part = wait(async move { store.get_opts(&key, options).await?.bytes().await })?;
                if part.len() as u64 != len {
                    return Err(Unfit::damaged("the object became shorter while it was read"));
                }
                target.write_all(&part)?;
            }
            Ok(())
        })?;
        Ok(Source::of_copy(copy)?)
    }

    /// Writes it anew, whole or not at all.
    pub(crate) fn replace(
        &self,
        write: impl FnOnce(&mut Target) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let source = Source::of_copy(write_aside(&std::env::temp_dir(), MODE_PRIVATE, write)?)?;
        let ObjectPlace { store, key, .. } = self.clone();
        if source.len() <= PART_BYTES {
            let bytes = source.take_vec(source.len())?;
            wait(async move { store.put(&key, bytes.into()).await })?;
            return Ok(());
        }
        let mut upload = wait(async move { store.put_multipart(&key).await })?;
        let sent = send(&mut upload, &source);
        // Until it is complete nothing is seen of it; parts that were sent cost storage.
        match sent {
            Ok(()) => wait(async move { upload.complete().await }).map(drop).map_err(Into::into),
            Err(reason) => {
                let _ = wait(async move { upload.abort().await });
                Err(reason)
            }
        }
    }
}

fn send(upload: &mut Box<dyn MultipartUpload>, source: &Source) -> Result<(), Reason> {
    let mut left = source.len();
    while left > 0 {
        let part = source.take_vec(left.min(PART_BYTES))?;
        left -= part.len() as u64;
        wait(upload.put_part(part.into()))?;
    }
    Ok(())
}

/// Runs a future on the runtime, whatever this thread is, and waits for it.
fn wait<T: Send + 'static>(
    work: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> Result<T, object_store::Error> {
    let (done, is_done) = channel();
    runtime().spawn(async move {
        let _ = done.send(work.await);
    });
    let lost = || {
        let source = io::Error::new(ErrorKind::Interrupted, "the store's client panicked").into();
        object_store::Error::Generic { store: "poniard", source }
    };
    is_done.recv().unwrap_or_else(|_| Err(lost()))
}

impl fmt::Display for ObjectPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.display().fmt(f)
    }
}
