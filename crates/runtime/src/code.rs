//! Code that processes of one build share: which build it is, and tasks that another process says where to find.

use crate::message::SiteTold;
use poniard_model::{Site, TaskError};
use poniard_pool::AnyHandle;
use poniard_pool::image;
use poniard_pool::travel::{Unmovable, Visit, host};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Has `work` done when the process ends in order: when `main` returns, or at `exit`.
pub(crate) fn at_exit(work: extern "C" fn()) {
    // SAFETY: the function is there until the process ends, and does not unwind.
    unsafe { libc::atexit(work) };
}

/// How another process of this build finds a site.
pub(crate) fn tell_site(site: &'static Site) -> SiteTold {
    match image::site_offset(site) {
        Some(offset) => SiteTold::Offset(offset),
        None => SiteTold::Words { name: site.name.to_owned(), file: site.file.to_owned(), line: site.line },
    }
}

/// The site with these words: made once, and kept. There are as many as the program's text has spawns.
fn kept_site(name: String, file: String, line: u32) -> &'static Site {
    type Words = (String, String, u32);
    static SITES: Mutex<BTreeMap<Words, &'static Site>> = Mutex::new(BTreeMap::new());
    let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    sites.entry((name, file, line)).or_insert_with_key(|(name, file, line)| {
        let (name, file) =
            (Box::leak(name.clone().into_boxed_str()), Box::leak(file.clone().into_boxed_str()));
        Box::leak(Box::new(Site::new(name, file, *line)))
    })
}

/// That another process is of this same build, so that its offsets mean the same here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SameBuild(());

/// The hash of all that never changes of the loaded executable: equal in two processes of the same build, and in no others.
pub(crate) fn build() -> [u8; 32] {
    static BUILD: OnceLock<[u8; 32]> = OnceLock::new();
    *BUILD.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        for part in image::constant_parts() {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    })
}

impl SameBuild {
    /// Of a worker that has just joined: the handshake has compared the hashes of both builds, by the cluster's secret.
    pub(crate) fn of_joined(_: poniard_fabric::Peer) -> SameBuild {
        SameBuild(())
    }

    /// Of this process.
    pub(crate) fn of_this() -> SameBuild {
        SameBuild(())
    }

    /// Where a task was spawned, as the other process says.
    pub(crate) fn site_told(self, told: SiteTold) -> Option<&'static Site> {
        match told {
            SiteTold::Offset(offset) => self.site(offset),
            SiteTold::Words { name, file, line } => Some(kept_site(name, file, line)),
        }
    }

    /// The site that the other process means.
    pub(crate) fn site(self, offset: u64) -> Option<&'static Site> {
        // SAFETY: the other process is of this build, and has got the offset from `site_offset`.
        unsafe { image::site_at(offset) }
    }

    /// The filter of retries that the other process means; `None` when no code lies there.
    pub(crate) fn filter(self, offset: u64) -> Option<fn(&TaskError) -> bool> {
        let address = image::code_at(offset)?;
        // SAFETY: the other process is of this build, and has got the offset from such a function.
        Some(unsafe { std::mem::transmute::<usize, fn(&TaskError) -> bool>(address) })
    }

    /// Launches a task that the other process has packed, by the offsets of its entry and its body. The visit's body is set here.
    ///
    /// # Errors
    /// When no code lies there, or the arguments cannot be read.
    pub(crate) fn launch(self, entry: u64, body: u64, mut visit: Visit) -> Result<AnyHandle, Unmovable> {
        let (Some(entry), Some(body)) = (image::code_at(entry), image::code_at(body)) else {
            return Err(Unmovable::new("there is no code where its function should be"));
        };
        visit.body = body;
        // SAFETY: the other process is of this build, where these are the offsets of the parcel.
        unsafe { host(entry, visit) }
    }
}
