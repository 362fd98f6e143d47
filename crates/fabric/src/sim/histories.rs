//! Random histories of a cluster, against a plain account of what was sent.

use super::*;
use crate::event::{Event, Why};
use crate::handshake::{Build, Identity, Token};
use crate::link::{Piece, Transfer};
use crate::timing::Timing;
use poniard_model::codec::SharedBytes;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

const TIMING: Timing =
    Timing { lease: Duration::from_secs(2), grace: Duration::from_secs(3), ..Timing::DEFAULT };

/// Long enough for everything that is under way to arrive, and for everybody who is gone to be taken for that.
const QUIET: Duration = Duration::from_secs(30);

/// Data of which every byte is known by its place.
struct Pattern(Vec<u8>);

impl SharedBytes for Pattern {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A row of bytes that is repeated. Its length is a prime, so that no piece looks like one from elsewhere.
static ROW: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut chance = Chance::new(1);
    (0..4_093).map(|_| chance.number() as u8).collect()
});

fn pattern(tag: u64, offset: u64, bytes: usize) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(bytes);
    while pattern.len() < bytes {
        let at = (tag + offset + pattern.len() as u64) % ROW.len() as u64;
        let rest = &ROW[at as usize..];
        pattern.extend_from_slice(&rest[..rest.len().min(bytes - pattern.len())]);
    }
    pattern
}

/// What one life has sent to another, and what came of it.
#[derive(Debug, Default)]
struct Account {
    messages: VecDeque<Vec<u8>>,
    /// Tag and size, and how much of the first one came.
    transfers: VecDeque<(u64, u64)>,
    came: u64,
}

/// Of one life about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opinion {
    Joined,
    Gone,
}

struct History {
    cluster: Cluster,
    chance: Chance,
    accounts: BTreeMap<(Peer, Peer), Account>,
    opinions: BTreeMap<(Peer, Peer), Opinion>,
    /// Pieces that came and are not taken: who has them, from whom.
    untaken: Vec<(Peer, Peer)>,
    sent: u64,
    lives: u64,
    /// Nothing is worse than what must cost nobody anything.
    is_gentle: bool,
}

impl History {
    fn new(seed: u64) -> History {
        let mut chance = Chance::new(seed ^ 0x5eed);
        let mut odds = |of: &[u64]| *chance.choose(of);
        let faults = Faults {
            delay_max: Duration::from_micros(odds(&[0, 100, 5_000, 200_000])),
            lose_one_in: odds(&[0, 0, 100, 10]),
            double_one_in: odds(&[0, 20, 5]),
            late_one_in: odds(&[0, 5, 1]),
            silent_one_in: odds(&[0, 3, 1]),
        };
        let is_gentle = seed.is_multiple_of(3);
        let identity = Identity { build: Build([1; 32]), token: Token::new([2; 32]) };
        let mut history = History {
            cluster: Cluster::new(seed, faults, identity, TIMING),
            chance,
            accounts: BTreeMap::new(),
            opinions: BTreeMap::new(),
            untaken: Vec::new(),
            sent: 0,
            lives: 0,
            is_gentle,
        };
        (1..=3).for_each(|worker| history.start(worker));
        history
    }

    fn start(&mut self, worker: u32) {
        self.lives += 1;
        self.cluster.start(Peer::new(worker, self.lives));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.cluster.now() + time;
        while self.cluster.step(until) {
            self.look();
        }
        self.look();
    }

    fn look(&mut self) {
        for (me, event) in self.cluster.take_events() {
            match event {
                Event::Joined { peer } => {
                    let before = self.opinions.insert((me, peer), Opinion::Joined);
                    assert_eq!(before, None, "{peer} joins {me} a second time");
                    let mut others = self.opinions.range((me, Peer::new(peer.worker, 0))..(me, peer));
                    let is_alone = others.all(|(_, opinion)| *opinion == Opinion::Gone);
                    assert!(is_alone, "{me} knows {peer} in two lives");
                }
                Event::Message { from, bytes } => {
                    self.expect_joined(me, from);
                    let account = self.accounts.get_mut(&(from, me)).expect("something was sent");
                    assert_eq!(account.messages.pop_front(), Some(bytes), "{from} to {me}");
                }
                Event::Bulk { from, piece } => self.on_piece(me, from, &piece),
                Event::Gone { peer, why } => {
                    self.expect_joined(me, peer);
                    self.opinions.insert((me, peer), Opinion::Gone);
                    let is_right = !self.is_gentle || matches!(why, Why::Replaced { .. });
                    let is_dead = self.cluster.node(peer).is_none();
                    assert!(is_right || is_dead, "{me} takes {peer} for dead: {why}");
                }
                Event::Refused { peer, why } => panic!("{me} refuses {peer}: {why}"),
            }
        }
    }

    fn expect_joined(&self, me: Peer, of: Peer) {
        assert_eq!(self.opinions.get(&(me, of)), Some(&Opinion::Joined), "of {of} at {me}");
    }

    fn on_piece(&mut self, me: Peer, from: Peer, piece: &Piece) {
        self.expect_joined(me, from);
        let account = self.accounts.get_mut(&(from, me)).expect("something was sent");
        let (tag, total) = *account.transfers.front().expect("a transfer was sent");
        assert_eq!((piece.tag, piece.total, piece.offset), (tag, total, account.came), "{from} to {me}");
        assert_eq!(piece.bytes, pattern(tag, piece.offset, piece.bytes.len()));
        account.came += piece.bytes.len() as u64;
        if piece.is_last() {
            account.transfers.pop_front();
            account.came = 0;
        }
        self.untaken.push((me, from));
        let here = self.untaken.iter().filter(|way| **way == (me, from)).count() as u64;
        assert!(here <= crate::link::BULK_WINDOW_PIECES, "{here} pieces are not taken");
    }

    fn take_pieces(&mut self, count: u64) {
        for _ in 0..count.min(self.untaken.len() as u64) {
            let (me, from) = self.untaken.swap_remove(self.chance.below(self.untaken.len() as u64) as usize);
            self.cluster.taken(me, from);
        }
    }

    fn two(&mut self) -> Option<(Peer, Peer)> {
        let peers = self.cluster.peers();
        let (a, b) = (*self.chance.choose(&peers), *self.chance.choose(&peers));
        (a != b).then_some((a, b))
    }

    fn send_some(&mut self) {
        let Some((from, to)) = self.two() else { return };
        for _ in 0..1 + self.chance.below(20) {
            self.sent += 1;
            let size = *self.chance.choose(&[0, 8, 64, 64, 64, 3_000, 70_000]);
            let mut message = vec![7; 8 + size];
            message[..8].copy_from_slice(&self.sent.to_le_bytes());
            if self.cluster.send(from, to, message.clone()).is_ok() {
                self.accounts.entry((from, to)).or_default().messages.push_back(message);
            }
        }
    }

    fn send_data(&mut self) {
        let Some((from, to)) = self.two() else { return };
        let size = self.chance.below(*self.chance.clone().choose(&[1, 1_000, 2_000_000]));
        self.sent += 1;
        let bytes = Arc::new(Pattern(pattern(self.sent, 0, size as usize)));
        if self.cluster.send_bulk(from, to, Transfer { tag: self.sent, bytes }).is_ok() {
            self.accounts.entry((from, to)).or_default().transfers.push_back((self.sent, size));
        }
    }

    /// Something breaks for less than the grace, and there is time to recover.
    fn disturb_gently(&mut self) {
        let Some((a, b)) = self.two() else { return };
        let now = self.cluster.now();
        let is_cut = self.chance.one_in(2);
        if is_cut {
            self.cluster.sim.cut(now, a, b)
        } else {
            self.cluster.sim.freeze(a)
        }
        (0..3).for_each(|_| self.send_some());
        let time = Duration::from_millis(self.chance.below(1_500));
        self.pass(time);
        let now = self.cluster.now();
        if is_cut {
            self.cluster.sim.heal(now, a, b)
        } else {
            self.cluster.sim.thaw(now, a)
        }
        self.send_some();
        self.pass(Duration::from_secs(3));
    }

    fn disturb(&mut self) {
        let Some((a, b)) = self.two() else { return };
        let now = self.cluster.now();
        let sim = &mut self.cluster.sim;
        match self.chance.below(9) {
            0 | 1 => sim.cut(now, a, b),
            2..=4 => sim.heal(now, a, b),
            5 => sim.freeze(a),
            6 | 7 => {
                self.cluster.peers().into_iter().for_each(|peer| self.cluster.sim.thaw(now, peer));
            }
            _ => {
                self.cluster.kill(a);
                if self.chance.one_in(2) {
                    self.start(a.worker.0);
                }
            }
        }
    }

    fn act(&mut self) {
        match self.chance.below(20) {
            0..=6 => self.send_some(),
            7 => self.send_data(),
            8..=10 => self.take_pieces(8),
            11..=14 => {
                let time = *self.chance.choose(&[50, 2_000, 100_000, 1_000_000, 4_000_000]);
                let time = Duration::from_micros(self.chance.below(time));
                self.pass(time);
            }
            _ if self.is_gentle && self.chance.one_in(4) => self.disturb_gently(),
            _ if self.is_gentle => {}
            _ => self.disturb(),
        }
    }

    /// Everything is whole again. Then all that was sent between two who have not lost each other is there.
    fn finish(mut self) {
        let (peers, now) = (self.cluster.peers(), self.cluster.now());
        for a in &peers {
            peers.iter().for_each(|b| self.cluster.sim.heal(now, *a, *b));
            self.cluster.sim.thaw(now, *a);
        }
        for _ in 0..60 {
            self.take_pieces(u64::MAX);
            self.pass(QUIET / 60);
        }
        for a in &peers {
            for b in peers.iter().filter(|b| *b != a) {
                let opinion = self.opinions.get(&(*a, *b)).copied();
                let other = self.opinions.get(&(*b, *a)).copied();
                assert!(opinion.is_some(), "{b} never joined {a}");
                assert_eq!(opinion, other, "{a} of {b}, and {b} of {a}");
                let account = self.accounts.entry((*a, *b)).or_default();
                let is_settled = account.messages.is_empty() && account.transfers.is_empty();
                assert!(is_settled || opinion == Some(Opinion::Gone), "from {a} to {b} is lost");
            }
        }
        let dead = |peer: &Peer| self.cluster.node(*peer).is_none();
        for ((me, of), opinion) in &self.opinions {
            assert!(*opinion == Opinion::Gone || dead(me) || !dead(of), "{me} never missed {of}");
        }
    }
}

pub(super) fn play(seed: u64) {
    let mut history = History::new(seed);
    for _ in 0..120 {
        history.act();
    }
    history.finish();
}

#[test]
fn everything_arrives_once_and_in_order_or_the_peer_is_gone() {
    let seeds = match std::env::var("PONIARD_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("PONIARD_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..1_200,
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| play(seed)) {
            eprintln!("rerun with: PONIARD_SEED={seed} cargo test -p poniard-fabric everything_arrives");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let story = |seed| {
        let mut history = History::new(seed);
        (0..120).for_each(|_| history.act());
        (history.cluster.now(), history.opinions, history.sent, format!("{:?}", history.cluster.sim))
    };
    assert!(story(7) == story(7));
}
