//! Who may use a datum now, and who comes next: a lock that nobody waits in.
//!
//! Whoever wants the datum enters, and is told whether it may use it at once. If not, it stands in a queue, first come first
//! served, and whoever leaves is told who may use it next. Several may share the datum; one that wants it for itself has it
//! alone. A reader that comes after a waiting writer waits behind it: the order of entering is the order of use.

use crate::sync::Mutex;
use std::collections::VecDeque;
use std::fmt;

/// Whether somebody shares the datum or has it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Shared,
    Alone,
}

/// The queue of one datum. `W` says who waits.
pub(crate) struct Turns<W>(Mutex<State<W>>);

struct State<W> {
    /// How many share the datum now.
    sharing: u32,
    /// Whether somebody has it alone now.
    alone: bool,
    /// Of whoever enters next. They start at 1.
    next: u64,
    /// Those that wait, in the order of their numbers.
    waiting: VecDeque<Waiting<W>>,
}

struct Waiting<W> {
    turn: u64,
    usage: Usage,
    who: W,
}

/// Waiters for which an emptied queue keeps its room.
const ROOM_KEPT: usize = 64;

impl<W: Copy> Turns<W> {
    pub(crate) fn new() -> Turns<W> {
        Turns(Mutex::new(State { sharing: 0, alone: false, next: 1, waiting: VecDeque::new() }))
    }

    fn state<R>(&self, work: impl FnOnce(&mut State<W>) -> R) -> R {
        // Nothing panics while it is locked.
        work(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Enters: gives the number of the turn, and whether it has come. If it has not, `who` is told by whoever leaves.
    pub(crate) fn enter(&self, usage: Usage, who: W) -> (u64, bool) {
        self.state(|state| {
            let turn = state.next;
            state.next += 1;
            let comes = state.waiting.is_empty() && state.admits(usage);
            if comes {
                state.admit(usage);
            } else {
                state.waiting.push_back(Waiting { turn, usage, who });
            }
            (turn, comes)
        })
    }

    /// Leaves; gives the one whose turn has come by that. There may be more: see [`Turns::next`].
    pub(crate) fn leave(&self, usage: Usage) -> Option<W> {
        self.state(|state| {
            match usage {
                Usage::Shared => state.sharing -= 1,
                Usage::Alone => state.alone = false,
            }
            state.next()
        })
    }

    /// The next one whose turn has come.
    pub(crate) fn next(&self) -> Option<W> {
        self.state(State::next)
    }

    /// Shows all that wait until whoever has this turn leaves.
    pub(crate) fn behind(&self, turn: u64, usage: Usage, mut show: impl FnMut(W)) {
        self.state(|state| {
            let first = state.waiting.partition_point(|waiting| waiting.turn <= turn);
            // Those that share with it do not wait for it, up to the first that wants the datum alone.
            let apart = |waiting: &&Waiting<W>| usage == Usage::Shared && waiting.usage == Usage::Shared;
            state.waiting.range(first..).skip_while(apart).for_each(|waiting| show(waiting.who));
        });
    }

    /// How many use the datum or wait for it.
    pub(crate) fn len(&self) -> usize {
        self.state(|state| state.waiting.len() + state.sharing as usize + usize::from(state.alone))
    }
}

impl<W: Copy> State<W> {
    fn admits(&self, usage: Usage) -> bool {
        !self.alone && (usage == Usage::Shared || self.sharing == 0)
    }

    fn admit(&mut self, usage: Usage) {
        match usage {
            Usage::Shared => self.sharing += 1,
            Usage::Alone => self.alone = true,
        }
    }

    fn next(&mut self) -> Option<W> {
        let usage = self.waiting.front()?.usage;
        if !self.admits(usage) {
            return None;
        }
        self.admit(usage);
        let next = self.waiting.pop_front().map(|waiting| waiting.who);
        if self.waiting.is_empty() && self.waiting.capacity() > ROOM_KEPT {
            // A million readers once do not cost their room for ever.
            self.waiting = VecDeque::new();
        }
        next
    }
}

impl<W> fmt::Debug for Turns<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turns_come_in_the_order_of_entering() {
        let turns = Turns::new();
        assert_eq!(turns.enter(Usage::Shared, 'a'), (1, true));
        assert_eq!(turns.enter(Usage::Shared, 'b'), (2, true));
        assert_eq!(turns.enter(Usage::Alone, 'c'), (3, false));
        assert_eq!(turns.enter(Usage::Shared, 'd'), (4, false), "not before the writer that came first");
        assert_eq!(turns.enter(Usage::Shared, 'e'), (5, false));
        assert_eq!(turns.leave(Usage::Shared), None);
        assert_eq!(turns.leave(Usage::Shared), Some('c'));
        assert_eq!(turns.next(), None);
        assert_eq!(turns.leave(Usage::Alone), Some('d'));
        assert_eq!((turns.next(), turns.next()), (Some('e'), None));
        assert_eq!(turns.len(), 2);
    }

    #[test]
    fn who_waits_for_a_turn_is_known() {
        let turns = Turns::new();
        let usages = [Usage::Shared, Usage::Alone, Usage::Shared, Usage::Shared, Usage::Alone];
        for (who, usage) in usages.into_iter().enumerate() {
            turns.enter(usage, who);
        }
        let behind = |turn, usage| {
            let mut all = Vec::new();
            turns.behind(turn, usage, |who| all.push(who));
            all
        };
        assert_eq!(behind(1, Usage::Shared), [1, 2, 3, 4]);
        assert_eq!(behind(2, Usage::Alone), [2, 3, 4]);
        assert_eq!(behind(3, Usage::Shared), [4], "readers do not wait for each other");
        assert_eq!(behind(5, Usage::Alone), [0; 0]);
    }

    proptest! {
        /// Against a plain list: nobody is alone with others, nobody is forgotten, and nobody overtakes.
        #[test]
        fn turns_are_a_fair_lock(steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0usize..8), 1..200)) {
            let turns = Turns::new();
            let mut inside: Vec<(Usage, u64)> = Vec::new();
            let mut waiting: VecDeque<(Usage, u64)> = VecDeque::new();
            for (enters, alone, which) in steps {
                let usage = if alone { Usage::Alone } else { Usage::Shared };
                if enters || inside.is_empty() {
                    let number = turns.state(|state| state.next);
                    let (turn, comes) = turns.enter(usage, number);
                    prop_assert_eq!(turn, number);
                    if comes { inside.push((usage, turn)) } else { waiting.push_back((usage, turn)) }
                } else {
                    let (usage, _) = inside.swap_remove(which % inside.len());
                    let mut next = turns.leave(usage);
                    while let Some(turn) = next {
                        let (usage, first) = waiting.pop_front().expect("only who waits is told");
                        prop_assert_eq!(turn, first);
                        inside.push((usage, turn));
                        next = turns.next();
                    }
                }
                let alone = inside.iter().filter(|(usage, _)| *usage == Usage::Alone).count();
                prop_assert!(alone == 0 || inside.len() == 1);
                prop_assert_eq!(turns.len(), inside.len() + waiting.len());
                prop_assert!(!inside.is_empty() || waiting.is_empty(), "nobody waits for nobody");
            }
        }
    }
}
