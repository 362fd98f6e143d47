//! What running a task somewhere costs, all of it in nanoseconds.
//!
//! As in HEFT (Topcuoglu, Hariri & Wu, "Performance-effective and low-complexity task scheduling for heterogeneous computing",
//! 2002) a task goes where it is expected to end first: when its inputs are there, and those before it are done. Unlike there, only
//! tasks that are ready are placed, since the graph grows while it runs.

/// What a run is taken for that nobody has measured: small, so that a guess neither keeps a task from its data nor piles tasks up.
pub(crate) const UNKNOWN_RUN_NS: u64 = 1_000_000;

/// A gain must be so many times what it costs: both are guesses.
const WORTH_FACTOR: u64 = 2;

/// When a task is expected to end somewhere, counted from now, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Until its inputs are there.
    pub(crate) move_ns: u64,
    /// Until those before it are done.
    pub(crate) wait_ns: u64,
    /// Its own run.
    pub(crate) run_ns: u64,
}

impl Cost {
    /// Inputs travel while others run.
    pub(crate) fn end_ns(self) -> u64 {
        self.move_ns.max(self.wait_ns).saturating_add(self.run_ns)
    }
}

/// Whether work of `gain_ns` is worth moving for `cost_ns` to somebody who has been idle for `idle_ns`.
///
/// It is when it is worth more than it costs; and also when the idle one has idled for as long as the move takes, whatever the
/// estimates say. So a wrong estimate costs at most a constant factor (the argument of ski rental: Karlin et al., "Competitive snoopy
/// caching", 1988), and no ready task waits for ever beside an idle worker.
pub(crate) fn is_worth(gain_ns: u64, cost_ns: u64, idle_ns: u64) -> bool {
    let price = cost_ns.saturating_mul(WORTH_FACTOR);
    gain_ns >= price || idle_ns >= price
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_of_moving_and_waiting_counts() {
        let cost = |move_ns, wait_ns| Cost { move_ns, wait_ns, run_ns: 5 }.end_ns();
        assert_eq!((cost(10, 3), cost(3, 10), cost(u64::MAX, 1)), (15, 15, u64::MAX));
    }

    #[test]
    fn what_is_not_worth_its_move_moves_when_the_idle_one_has_waited_that_long() {
        assert!(is_worth(200, 100, 0));
        assert!(!is_worth(199, 100, 199));
        assert!(is_worth(1, 100, 200));
    }
}
