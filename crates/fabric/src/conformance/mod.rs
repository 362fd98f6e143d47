//! What every engine must pass, with the link above it: one suite, played on a [`Stage`].
//!
//! [`virtual_time`] is a stage on the simulator, [`real_time`] one for engines of which there are several in a process.
//! `conformance!(name, stage)` makes a test of each law, where `stage` is an expression that makes a stage from a
//! [`Timing`]. Waiting is always for something to happen; a stage gives up after a while.
//!
//! `conformance!(name, in processes play, but none that break: "why")` is for an engine of which each process has one, and nobody
//! can break a connection or come back: `play` is given the path of the test, the times and the law. Of the laws about
//! such breaks the tests say why they are not played.

pub mod real_time;
pub mod virtual_time;

use crate::event::{Event, Unsent, Why};
use crate::handshake::{Build, HandshakeError, Identity, Token};
use crate::link::{BULK_WINDOW_PIECES, Transfer};
use crate::peer::Peer;
use crate::timing::Timing;
use poniard_model::codec::SharedBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Makes a module of tests, one for each law.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $stage:expr) => {
        mod $name {
            use super::*;
            $crate::conformance!(@of_all [on $stage]);
            $crate::conformance!(@of_breaks [on $stage]);
        }
    };
    ($name:ident, in processes $play:ident, but none that break: $why:literal) => {
        mod $name {
            use super::*;
            $crate::conformance!(@of_all [in processes $play]);
            $crate::conformance!(@of_breaks [never $why]);
        }
    };
    (@of_all $how:tt) => {
        $crate::conformance!(@laws $how
            messages_arrive_once_and_in_order_both_ways
            large_messages_arrive_whole
            a_frozen_peer_blocks_nobody_and_loses_nothing
            messages_overtake_data
            data_waits_for_whoever_reads_it
            who_leaves_is_gone_at_once
            who_has_not_the_token_never_joins
            who_is_another_program_never_joins
        );
    };
    (@of_breaks $how:tt) => {
        $crate::conformance!(@laws $how
            a_short_cut_loses_nothing
            many_short_cuts_lose_nothing
            a_long_cut_is_death_and_the_next_life_is_somebody_else
            the_killed_are_gone_and_come_back_as_somebody_else
        );
    };
    (@laws $how:tt $($law:ident)*) => {
        $(#[test]
        fn $law() {
            $crate::conformance!(@play $how $law);
        })*
    };
    (@play [on $stage:expr] $law:ident) => {
        $crate::conformance::$law(&mut ($stage)($crate::conformance::timing_of(stringify!($law))))
    };
    (@play [in processes $play:ident] $law:ident) => {
        $play(
            concat!(module_path!(), "::", stringify!($law)),
            $crate::conformance::timing_of(stringify!($law)),
            $crate::conformance::$law,
        )
    };
    (@play [never $why:literal] $law:ident) => {
        println!("SKIP {}: {}", stringify!($law), $why)
    };
}

/// The times that a law is played with: short ones where somebody must be taken for dead.
pub fn timing_of(law: &str) -> Timing {
    let (lease, grace) = match law {
        "a_long_cut_is_death_and_the_next_life_is_somebody_else"
        | "the_killed_are_gone_and_come_back_as_somebody_else" => (1_500, 500),
        // Long enough for a machine that is busy with other things.
        _ => (10_000, 30_000),
    };
    let (lease, grace) = (Duration::from_millis(lease), Duration::from_millis(grace));
    Timing { lease, grace, ..Timing::DEFAULT }
}

/// Processes, the network between them, and what can happen to both. Process 1 is part of every connection that is used.
pub trait Stage {
    /// A process starts.
    fn start(&mut self, peer: Peer, identity: Identity);
    /// A process ends without a word.
    fn kill(&mut self, peer: Peer);
    /// A process leaves in order.
    fn leave(&mut self, peer: Peer);
    /// See [`Network::send`](crate::network::Network::send).
    ///
    /// # Errors
    /// As there.
    fn send(&mut self, from: Peer, to: Peer, message: Vec<u8>) -> Result<(), Unsent<Vec<u8>>>;
    /// See [`Network::send_bulk`](crate::network::Network::send_bulk).
    ///
    /// # Errors
    /// As there.
    fn send_bulk(&mut self, from: Peer, to: Peer, transfer: Transfer) -> Result<(), Unsent<Transfer>>;
    /// See [`Network::taken`](crate::network::Network::taken).
    fn taken(&mut self, me: Peer, from: Peer);
    /// The connection between two breaks.
    fn cut(&mut self, a: Peer, b: Peer);
    /// It comes back.
    fn heal(&mut self, a: Peer, b: Peer);
    /// Nothing reaches the process.
    fn freeze(&mut self, peer: Peer);
    /// It does again, with all that waited.
    fn thaw(&mut self, peer: Peer);
    /// Waits for the next event, and says to whom it came. Panics when there is none for long.
    fn next(&mut self) -> (Peer, Event);
}

/// The identity of all who belong together here.
pub fn identity() -> Identity {
    Identity { build: Build([3; 32]), token: Token::new([4; 32]) }
}

const A: Peer = Peer { worker: poniard_model::WorkerId(1), incarnation: 1 };
const B: Peer = Peer { worker: poniard_model::WorkerId(2), incarnation: 1 };
/// The next life of `B`.
const C: Peer = Peer { worker: poniard_model::WorkerId(2), incarnation: 2 };

/// Zeros, to be sent as data.
struct Zeros(Vec<u8>);

impl SharedBytes for Zeros {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What has happened on a stage so far.
struct Play<'a, S> {
    stage: &'a mut S,
    joined: BTreeSet<(Peer, Peer)>,
    gone: BTreeMap<(Peer, Peer), Why>,
    refused: BTreeMap<Peer, HandshakeError>,
    /// How many messages came: to whom, from whom.
    came: BTreeMap<(Peer, Peer), u64>,
    data_bytes: u64,
    untaken: u64,
    takes_at_once: bool,
}

impl<'a, S: Stage> Play<'a, S> {
    fn new(stage: &'a mut S, cast: &[Peer]) -> Play<'a, S> {
        cast.iter().for_each(|peer| stage.start(*peer, identity()));
        Play {
            stage,
            joined: BTreeSet::new(),
            gone: BTreeMap::new(),
            refused: BTreeMap::new(),
            came: BTreeMap::new(),
            data_bytes: 0,
            untaken: 0,
            takes_at_once: true,
        }
    }

    /// `A` and `B`, who know each other.
    fn of_two(stage: &'a mut S) -> Play<'a, S> {
        let mut play = Play::new(stage, &[A, B]);
        play.until(|play| play.know_each_other(A, B));
        play
    }

    fn know_each_other(&self, a: Peer, b: Peer) -> bool {
        self.joined.contains(&(a, b)) && self.joined.contains(&(b, a))
    }

    /// Lets things happen until something is so.
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            let (me, event) = self.stage.next();
            self.see(me, event);
        }
    }

    fn see(&mut self, me: Peer, event: Event) {
        match event {
            Event::Joined { peer } => assert!(self.joined.insert((me, peer)), "{peer} joins {me} twice"),
            Event::Message { from, bytes } => {
                self.expect_here(me, from);
                let count = self.came.entry((me, from)).or_default();
                assert_eq!(bytes[..8], count.to_le_bytes(), "{from} to {me}");
                *count += 1;
            }
            Event::Bulk { from, piece } => {
                self.expect_here(me, from);
                self.data_bytes += piece.bytes.len() as u64;
                self.untaken += 1;
                assert!(self.untaken <= BULK_WINDOW_PIECES);
                if self.takes_at_once {
                    self.take(me, from);
                }
            }
            Event::Gone { peer, why } => {
                self.expect_here(me, peer);
                self.gone.insert((me, peer), why);
            }
            Event::Refused { peer, why } => {
                self.refused.insert(peer, why);
            }
        }
    }

    fn expect_here(&self, me: Peer, peer: Peer) {
        let is_here = self.joined.contains(&(me, peer)) && !self.gone.contains_key(&(me, peer));
        assert!(is_here, "{peer} is not there for {me}");
    }

    fn take(&mut self, me: Peer, from: Peer) {
        self.untaken -= 1;
        self.stage.taken(me, from);
    }

    /// Sends messages with numbers from `first` on, of `bytes` each.
    fn send(&mut self, from: Peer, to: Peer, numbers: std::ops::Range<u64>, bytes: usize) {
        for number in numbers {
            let mut message = vec![0; bytes.max(8)];
            message[..8].copy_from_slice(&number.to_le_bytes());
            self.stage.send(from, to, message).expect("the peer is there");
        }
    }

    fn came(&self, me: Peer, from: Peer) -> u64 {
        self.came.get(&(me, from)).copied().unwrap_or(0)
    }

    fn send_data(&mut self, from: Peer, to: Peer, bytes: usize) {
        let transfer = Transfer { tag: 9, bytes: Arc::new(Zeros(vec![0; bytes])) };
        self.stage.send_bulk(from, to, transfer).expect("the peer is there");
    }
}

/// A law; see its name.
pub fn messages_arrive_once_and_in_order_both_ways<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    for round in 0..50 {
        play.send(A, B, 100 * round..100 * (round + 1), 8 + round as usize);
        play.send(B, A, 100 * round..100 * (round + 1), 64);
    }
    play.until(|play| play.came(B, A) == 5_000 && play.came(A, B) == 5_000);
}

/// A law; see its name.
pub fn large_messages_arrive_whole<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.send(A, B, 0..5, 1 << 20);
    play.send(A, B, 5..6, crate::link::MESSAGE_BYTES_MAX);
    play.until(|play| play.came(B, A) == 6);
    let too_large = vec![0; crate::link::MESSAGE_BYTES_MAX + 1];
    assert!(matches!(play.stage.send(A, B, too_large), Err(Unsent::TooLarge(_))));
}

/// A law; see its name.
pub fn a_short_cut_loses_nothing<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.send(A, B, 0..2_000, 100);
    play.send(B, A, 0..2_000, 100);
    play.until(|play| play.came(B, A) >= 100);
    play.send_data(B, A, 4 << 20);
    play.stage.cut(A, B);
    play.send(A, B, 2_000..3_000, 100);
    play.send(B, A, 2_000..3_000, 100);
    play.stage.heal(A, B);
    play.until(|play| play.came(B, A) == 3_000 && play.came(A, B) == 3_000 && play.data_bytes == 4 << 20);
    assert_eq!(play.gone, BTreeMap::new());
}

/// A law; see its name.
pub fn many_short_cuts_lose_nothing<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    for round in 0..10 {
        play.send(A, B, 500 * round..500 * (round + 1), 200);
        play.send(B, A, 500 * round..500 * (round + 1), 20);
        play.until(|play| play.came(B, A) > 500 * round);
        play.stage.cut(A, B);
        play.stage.heal(A, B);
    }
    play.until(|play| play.came(B, A) == 5_000 && play.came(A, B) == 5_000);
    assert_eq!(play.gone, BTreeMap::new());
}

/// A law; see its name.
pub fn a_long_cut_is_death_and_the_next_life_is_somebody_else<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.send(A, B, 0..10, 8);
    play.until(|play| play.came(B, A) == 10);
    play.stage.cut(A, B);
    play.until(|play| play.gone.contains_key(&(A, B)) && play.gone.contains_key(&(B, A)));
    play.stage.heal(A, B);
    assert!(matches!(play.stage.send(A, B, vec![1]), Err(Unsent::NotJoined(_))));
    assert!(matches!(play.stage.send(B, A, vec![1]), Err(Unsent::NotJoined(_))));
    // The old life goes on, and is nobody.
    play.stage.start(C, identity());
    play.until(|play| play.know_each_other(A, C));
    play.send(A, C, 0..10, 8);
    play.send(C, A, 0..10, 8);
    play.until(|play| play.came(C, A) == 10 && play.came(A, C) == 10);
    assert_eq!((play.came(B, A), play.came(A, B)), (10, 0));
}

/// A law; see its name.
pub fn a_frozen_peer_blocks_nobody_and_loses_nothing<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.stage.freeze(B);
    // Far more than an engine's queues and a kernel's sockets hold.
    play.send(A, B, 0..20_000, 1_000);
    play.send_data(A, B, 20 << 20);
    play.stage.thaw(B);
    play.until(|play| play.came(B, A) == 20_000 && play.data_bytes == 20 << 20);
    assert_eq!(play.gone, BTreeMap::new());
}

/// A law; see its name.
pub fn messages_overtake_data<S: Stage>(stage: &mut S) {
    const DATA_BYTES: u64 = 64 << 20;
    let mut play = Play::of_two(stage);
    play.send_data(A, B, DATA_BYTES as usize);
    play.until(|play| play.data_bytes > 0);
    for round in 0..5 {
        play.send(A, B, round..round + 1, 64);
        play.until(|play| play.came(B, A) > round);
        play.send(B, A, round..round + 1, 64);
        play.until(|play| play.came(A, B) > round);
    }
    assert!(play.data_bytes < DATA_BYTES, "five round trips took as long as all of the data");
    play.until(|play| play.data_bytes == DATA_BYTES);
}

/// A law; see its name.
pub fn data_waits_for_whoever_reads_it<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.takes_at_once = false;
    play.send_data(A, B, 4 << 20);
    play.until(|play| play.untaken == BULK_WINDOW_PIECES);
    // Messages go on, and no piece more comes beside them.
    play.send(A, B, 0..1_000, 64);
    play.until(|play| play.came(B, A) == 1_000);
    assert_eq!(play.untaken, BULK_WINDOW_PIECES);
    play.takes_at_once = true;
    (0..BULK_WINDOW_PIECES).for_each(|_| play.take(B, A));
    play.until(|play| play.data_bytes == 4 << 20);
}

/// A law; see its name.
pub fn the_killed_are_gone_and_come_back_as_somebody_else<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.send(A, B, 0..10, 8);
    play.stage.kill(B);
    play.stage.start(C, identity());
    play.until(|play| play.know_each_other(A, C) && play.gone.contains_key(&(A, B)));
    play.send(A, C, 0..10, 8);
    play.until(|play| play.came(C, A) == 10);
}

/// A law; see its name.
pub fn who_leaves_is_gone_at_once<S: Stage>(stage: &mut S) {
    let mut play = Play::of_two(stage);
    play.stage.leave(B);
    // The grace is far longer than a stage waits.
    play.until(|play| play.gone.contains_key(&(A, B)));
    assert_eq!(play.gone[&(A, B)], Why::Left);
}

/// A law; see its name.
pub fn who_has_not_the_token_never_joins<S: Stage>(stage: &mut S) {
    let mut play = Play::new(stage, &[A]);
    play.stage.start(B, Identity { token: Token::new([5; 32]), ..identity() });
    play.until(|play| play.refused.contains_key(&B) && play.refused.contains_key(&A));
    assert!(play.refused.values().all(|why| *why == HandshakeError::WrongToken));
    assert!(matches!(play.stage.send(A, B, vec![1]), Err(Unsent::NotJoined(_))));
    play.stage.start(C, identity());
    play.until(|play| play.know_each_other(A, C));
}

/// A law; see its name.
pub fn who_is_another_program_never_joins<S: Stage>(stage: &mut S) {
    let (ours, theirs) = (identity().build, Build([6; 32]));
    let mut play = Play::new(stage, &[A]);
    play.stage.start(B, Identity { build: theirs, ..identity() });
    play.until(|play| play.refused.contains_key(&B) && play.refused.contains_key(&A));
    assert_eq!(play.refused[&B], HandshakeError::BuildMismatch { ours, theirs });
    assert_eq!(play.refused[&A], HandshakeError::BuildMismatch { ours: theirs, theirs: ours });
}
