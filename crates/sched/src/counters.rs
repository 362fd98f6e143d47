//! How often what happened. Exact.

/// How often what happened, since the scheduler was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Sendings of our tasks to others.
    pub sent: u64,
    /// Our tasks that came back from others before they had started.
    pub returned: u64,
    /// Our tasks that ended elsewhere, and whose end was accepted.
    pub ended_away: u64,
    /// Our tasks that are run again because a worker died that had them.
    pub run_again: u64,
    /// Lost results of ours that are made again.
    pub made_again: u64,
    /// Our tasks that failed because too many workers died of them.
    pub killers: u64,
    /// Reports of old sendings, and second ones of the same: dropped.
    pub late_reports: u64,
    /// Messages of lives that are over or not known: dropped.
    pub stale_messages: u64,
    /// Other messages that came twice or late: dropped.
    pub repeated_messages: u64,
    /// Tasks that were told to stop and kept their processor for too long.
    pub stuck: u64,
    /// Foreign tasks that were started here.
    pub started_here: u64,
    /// Specs forgotten because too many were kept only for making other results again.
    pub forgotten: u64,
}
