//! Arguments that are in no task: copies for another attempt, and those that have moved out with the body.

use super::arg::Arg;
use super::closure::Code;
use super::kept::Pins;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Arguments that were copied for another attempt and are in no task: dropped, they are discarded.
pub(crate) struct Spare<A: Arg>(ManuallyDrop<A>);

impl<A: Arg> Spare<A> {
    pub(crate) fn new(arguments: A) -> Spare<A> {
        Spare(ManuallyDrop::new(arguments))
    }

    /// A copy of them; `None` when they cannot be copied.
    pub(crate) fn spare(&self) -> Option<A> {
        self.0.spare()
    }

    pub(crate) fn into_inner(self) -> A {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: it is not used or dropped again.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<A: Arg> Drop for Spare<A> {
    fn drop(&mut self) {
        let arguments = NonNull::from(&mut *self.0);
        crate::panics::contain(|| {
            // SAFETY: they were not opened.
            unsafe { A::discard(arguments) }
        });
        // SAFETY: they are not used again.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// Arguments that have moved out of their task, to be opened by whoever runs on with them.
pub struct Opened<A: Arg> {
    arguments: Box<ManuallyDrop<A>>,
    opened: bool,
    /// Keeps large values in memory that the arguments refer to.
    pins: Pins,
}

impl<A: Arg> Opened<A> {
    /// A copy of arguments that are not open yet, for another attempt; `None` when they cannot be copied.
    pub fn spare(&self) -> Option<Opened<A>> {
        if self.opened {
            return None;
        }
        self.arguments.spare().map(|spare| Opened::new(spare).with_pins(self.pins.clone()))
    }

    /// Keeps what the task had pinned for as long as these arguments live.
    pub(crate) fn with_pins(mut self, pins: Pins) -> Opened<A> {
        self.pins = pins;
        self
    }

    pub(crate) fn new(arguments: A) -> Opened<A> {
        Opened { arguments: Box::new(ManuallyDrop::new(arguments)), opened: false, pins: None }
    }

    /// What the function receives, for as long as these arguments live.
    ///
    /// # Panics
    /// When it is called twice.
    pub fn open(&mut self) -> A::Out<'_> {
        assert!(!self.opened, "arguments are opened once");
        self.opened = true;
        let arguments = NonNull::from(&mut **self.arguments).cast::<A>();
        // SAFETY: once only; the inputs had ended well when the arguments left their task.
        unsafe { A::open(arguments) }
    }
}

impl<F: Clone + Send + 'static, A: Arg> Opened<(Code<F>, A)> {
    /// The function, and the arguments for it, still to be opened.
    ///
    /// # Panics
    /// When they were opened.
    pub fn split(self) -> (F, Opened<A>) {
        assert!(!self.opened, "arguments are opened once");
        let mut whole = ManuallyDrop::new(self);
        let place: *mut Box<ManuallyDrop<(Code<F>, A)>> = &raw mut whole.arguments;
        // SAFETY: `whole` is never dropped, so the box moves out once.
        let arguments = unsafe { place.read() };
        let (code, arguments) = ManuallyDrop::into_inner(*arguments);
        (code.0, Opened::new(arguments).with_pins(whole.pins.take()))
    }
}

impl<A: Arg> Drop for Opened<A> {
    fn drop(&mut self) {
        let arguments = NonNull::from(&mut **self.arguments).cast::<A>();
        if !self.opened {
            crate::panics::contain(|| {
                // SAFETY: they were not opened.
                unsafe { A::discard(arguments) }
            });
        }
        // SAFETY: the box never drops them itself.
        unsafe { arguments.drop_in_place() };
    }
}

impl<A: Arg> fmt::Debug for Opened<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("opened", &self.opened).finish_non_exhaustive()
    }
}
