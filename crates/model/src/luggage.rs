//! What travels beside the bytes of a value: things of this process, and buffers.
//!
//! Serde's traits have no room for either, so they go through the thread: while a codec runs, there is luggage.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// A thing of this process that travels beside the bytes, such as a task handle.
pub type Thing = Arc<dyn Any + Send + Sync>;

/// A buffer that travels beside the bytes by reference; it can leave the process, as bytes.
pub trait SharedBytes: Any + Send + Sync {
    /// What is in it, always the same.
    fn bytes(&self) -> &[u8];
}

/// Buffers from this many bytes on travel beside the value: below, one more copy costs less than one more buffer.
pub const BESIDE_BYTES_MIN: usize = 4096;

/// What one run of a codec carries. Places are emptied as their numbers are read.
#[derive(Default)]
pub(crate) struct Luggage {
    pub(crate) things: Vec<Option<Thing>>,
    pub(crate) buffers: Vec<Option<Arc<dyn SharedBytes>>>,
    /// Why the value could not be written or read, in words that the format drops.
    pub(crate) complaint: Option<String>,
}

thread_local! {
    /// What the codec that runs on this thread carries; `None` while none runs.
    static LUGGAGE: RefCell<Option<Luggage>> = const { RefCell::new(None) };
}

/// A run of a codec on this thread, with luggage. One run may be inside another, whose luggage comes back at the end.
pub(crate) struct Run {
    outer: Option<Luggage>,
    is_over: bool,
}

impl Run {
    pub(crate) fn start(luggage: Luggage) -> Run {
        Run { outer: LUGGAGE.replace(Some(luggage)), is_over: false }
    }

    /// What is in the luggage now.
    pub(crate) fn end(mut self) -> Luggage {
        self.is_over = true;
        LUGGAGE.replace(self.outer.take()).expect("runs inside this one have put it back")
    }
}

impl Drop for Run {
    /// After a panic in the value's own code.
    fn drop(&mut self) {
        if !self.is_over {
            // What is left is dropped after the borrow: it may hold anything.
            let left = LUGGAGE.replace(self.outer.take());
            drop(left);
        }
    }
}

/// Puts a thing beside the bytes that are being written; `None` when no codec runs.
pub fn carry(thing: Thing) -> Option<u32> {
    LUGGAGE.with_borrow_mut(|luggage| push(&mut luggage.as_mut()?.things, thing))
}

/// The thing that [`carry`] gave this number, once.
pub fn carried(number: u32) -> Option<Thing> {
    LUGGAGE.with_borrow_mut(|luggage| luggage.as_mut()?.things.get_mut(number as usize)?.take())
}

/// Puts a buffer beside the bytes that are being written; `None` when no codec runs.
pub fn carry_bytes(buffer: Arc<dyn SharedBytes>) -> Option<u32> {
    LUGGAGE.with_borrow_mut(|luggage| push(&mut luggage.as_mut()?.buffers, buffer))
}

/// The buffer that [`carry_bytes`] gave this number, once.
pub fn carried_bytes(number: u32) -> Option<Arc<dyn SharedBytes>> {
    LUGGAGE.with_borrow_mut(|luggage| luggage.as_mut()?.buffers.get_mut(number as usize)?.take())
}

/// Whether a codec runs on this thread, so that something may be carried.
pub fn is_carrying() -> bool {
    LUGGAGE.with_borrow(Option::is_some)
}

/// Keeps a reason for the [`CodecError`](crate::CodecError) of the codec that runs, and gives it back for the error of
/// the format, which may drop it.
pub fn complain(reason: String) -> String {
    LUGGAGE.with_borrow_mut(|luggage| {
        if let Some(luggage) = luggage {
            luggage.complaint = Some(reason.clone());
        }
    });
    reason
}

fn push<T>(places: &mut Vec<Option<T>>, one: T) -> Option<u32> {
    let number = u32::try_from(places.len()).ok()?;
    places.push(Some(one));
    Some(number)
}
