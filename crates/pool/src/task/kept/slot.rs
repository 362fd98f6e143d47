//! The state of one kept value: where it is, who has it pinned, and what is to become of it. Pure: it says what is to be done.
//!
//! ```text
//!           evict, no pins                    restore
//!   HERE ──────────────────► AWAY ──────────────────────► HERE
//!     │ evict, pins: leaves with the last pin, unless it is restored before
//!     └─ take, by the only reader ──► TAKEN
//!   free: at once, or with the last pin
//! ```
//! What another process has made and has begins as AWAY.

/// The state of a kept value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) place: Place,
    pins: u32,
    /// It leaves when the last pin goes.
    is_leaving: bool,
    /// No handle is left: the task object is this slot's.
    is_orphan: bool,
    /// It was freed, and goes when the last pin goes.
    is_over: bool,
}

/// Where a kept value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In its task's slot.
    Here,
    /// On disk, with another process, or nowhere.
    Away,
    /// It moved out, to the last task that wanted it.
    Taken,
}

/// What is to be done, under the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Next {
    Nothing,
    /// Move the value out; it is `Away` already.
    MoveOut,
    /// Remove the slot, and free the task object.
    Free,
}

impl Slot {
    /// Of a value that was just made.
    pub(crate) fn new() -> Slot {
        Slot { place: Place::Here, pins: 0, is_leaving: false, is_orphan: false, is_over: false }
    }

    /// Of a value that another process has made, and has.
    pub(crate) fn remote() -> Slot {
        Slot { place: Place::Away, ..Slot::new() }
    }

    /// Pins the value; false when it is not there.
    pub(crate) fn pin(&mut self) -> bool {
        let is_here = self.place == Place::Here;
        self.pins += u32::from(is_here);
        is_here
    }

    pub(crate) fn unpin(&mut self) -> Next {
        self.pins -= 1;
        if self.pins > 0 {
            Next::Nothing
        } else if self.is_over {
            Next::Free
        } else if self.is_leaving {
            self.evict()
        } else {
            Next::Nothing
        }
    }

    /// The value is to leave: now, or with the last pin.
    pub(crate) fn evict(&mut self) -> Next {
        self.is_leaving = self.place == Place::Here && self.pins > 0;
        if self.place != Place::Here || self.is_leaving {
            return Next::Nothing;
        }
        self.place = Place::Away;
        Next::MoveOut
    }

    /// The value is wanted again; true when it has to be put back.
    pub(crate) fn restore(&mut self) -> bool {
        self.is_leaving = false;
        let is_away = self.place == Place::Away;
        if is_away {
            self.place = Place::Here;
        }
        is_away
    }

    /// Whoever has the one pin takes the value; false when others read it too.
    pub(crate) fn take(&mut self) -> bool {
        let is_free = self.pins == 1 && self.place == Place::Here;
        if is_free {
            self.place = Place::Taken;
        }
        is_free
    }

    /// The last handle is gone.
    pub(crate) fn orphan(&mut self) {
        self.is_orphan = true;
    }

    /// The keeper frees it: now, or with the last pin.
    pub(crate) fn free(&mut self) -> Next {
        debug_assert!(self.is_orphan, "what is freed has no handle");
        self.is_over = true;
        if self.pins == 0 { Next::Free } else { Next::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the outside does, in any order that the keeper's protocol allows.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Pin,
        Unpin,
        Evict,
        Restore,
        Take,
        Free,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => Just(Act::Pin),
            4 => Just(Act::Unpin),
            2 => Just(Act::Evict),
            2 => Just(Act::Restore),
            1 => Just(Act::Take),
            1 => Just(Act::Free),
        ]
    }

    proptest! {
        /// Whatever order: what is pinned stays, what left or was taken is not read, and a value is freed once, at the end.
        #[test]
        fn a_value_moves_only_while_nobody_reads_it(
            is_remote in any::<bool>(),
            acts in prop::collection::vec(act(), 1..80),
        ) {
            let mut slot = if is_remote { Slot::remote() } else { Slot::new() };
            // The oracle: what is in memory, and who reads it.
            let (mut is_here, mut readers, mut was_taken, mut is_released) = (!is_remote, 0, false, false);
            for act in acts {
                let next = match act {
                    Act::Pin if !is_released => {
                        let pinned = slot.pin();
                        prop_assert_eq!(pinned, is_here && !was_taken);
                        readers += u32::from(pinned);
                        Next::Nothing
                    }
                    Act::Unpin if readers > 0 => {
                        readers -= 1;
                        slot.unpin()
                    }
                    Act::Evict if !is_released => slot.evict(),
                    Act::Restore if !is_released && !was_taken => {
                        let puts_back = slot.restore();
                        prop_assert_eq!(puts_back, !is_here);
                        is_here = true;
                        Next::Nothing
                    }
                    Act::Take if readers == 1 && is_here && !was_taken => {
                        was_taken = slot.take();
                        prop_assert!(was_taken, "the only reader may have it");
                        Next::Nothing
                    }
                    Act::Free if !is_released => {
                        slot.orphan();
                        is_released = true;
                        slot.free()
                    }
                    _ => Next::Nothing,
                };
                match next {
                    Next::Nothing => {}
                    Next::MoveOut => {
                        prop_assert!(is_here && readers == 0 && !was_taken && !is_released);
                        is_here = false;
                    }
                    Next::Free => {
                        prop_assert!(is_released && readers == 0);
                        return Ok(());
                    }
                }
            }
            // Once the readers are gone and the handles too, it is freed.
            for _ in 0..readers {
                let _ = slot.unpin();
            }
            if !is_released {
                slot.orphan();
                prop_assert_eq!(slot.free(), Next::Free);
            }
        }
    }
}
