//! What waits to be sent to each rank, and who plays which peer. Pure.
//!
//! A rank that is stopped takes nothing, so little is given to MPI for each of them, and what waits here is bounded by what the
//! link above has out to a peer: what goes beyond is lost, and the link makes good for it.

use super::Owner;
use super::word::Word;
use crate::engine::{Inbox, Lane};
use crate::link::{BULK_WINDOW_PIECES, CONTROL_WINDOW_BYTES};
use crate::peer::Peer;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// What may wait for one rank in control frames: the window of the link, and what keeps that going.
const CONTROL_BYTES_MAX: usize = 2 * CONTROL_WINDOW_BYTES;
/// Pieces of bulk that may wait for one rank: those that a link has out, twice.
const BULK_MAX: usize = 2 * BULK_WINDOW_PIECES as usize;
/// Frames of each lane that MPI may have for one rank: enough to keep it busy, and few before a message that is sent now.
const UNDER_WAY_MAX: [usize; 2] = [16, 4];

/// How MPI tells messages apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// A frame of the control lane.
    Control = 1,
    /// A piece of bulk.
    Bulk = 2,
    /// A [`Word`].
    Word = 3,
}

impl Tag {
    pub(super) fn of(lane: Lane) -> Tag {
        match lane {
            Lane::Control => Tag::Control,
            Lane::Bulk => Tag::Bulk,
        }
    }

    /// None when it is none of ours.
    pub(super) fn of_number(number: i32) -> Option<Tag> {
        [Tag::Control, Tag::Bulk, Tag::Word].into_iter().find(|tag| *tag as i32 == number)
    }

    /// The queue that it goes by: words keep their order among control frames.
    pub(super) fn lane(self) -> Lane {
        match self {
            Tag::Control | Tag::Word => Lane::Control,
            Tag::Bulk => Lane::Bulk,
        }
    }
}

/// What is between this rank and others.
#[derive(Debug)]
pub(super) struct Desk {
    rank: usize,
    lines: Vec<Line>,
    /// How much waits in all lines.
    waiting: usize,
    /// From which rank on the next is looked for: all have their turn.
    turn: usize,
    /// Whether something was left here since the owner looked.
    is_changed: bool,
    /// The owner sleeps until something is left here.
    pub(super) is_asleep: bool,
    /// How many threads wait for something that the owner does.
    pub(super) watchers: usize,
    /// Whom this rank plays.
    pub(super) me: Option<Peer>,
    pub(super) owner: Owner,
    pub(super) orders: VecDeque<Order>,
    /// What was said that is not of the engine.
    pub(super) heard: VecDeque<(usize, Vec<u8>)>,
}

/// What the owner is to do.
pub(super) enum Order {
    /// Tell of peers and frames.
    Start(Arc<dyn Inbox>),
    /// Tell nothing more, and say that so it is.
    Stop(Sender<()>),
    /// Leave MPI.
    Finish(Sender<()>),
}

/// What is between this rank and one other.
#[derive(Debug, Default)]
struct Line {
    peer: Option<Peer>,
    /// By lane.
    waiting: [VecDeque<(Tag, Vec<u8>)>; 2],
    control_bytes: usize,
    under_way: [usize; 2],
}

/// Something that is to be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) rank: usize,
    pub(super) tag: Tag,
    pub(super) bytes: Vec<u8>,
}

impl Desk {
    pub(super) fn new(rank: usize, size: usize, owner: Owner) -> Desk {
        Desk {
            rank,
            lines: (0..size).map(|_| Line::default()).collect(),
            waiting: 0,
            turn: 0,
            is_changed: false,
            is_asleep: false,
            watchers: 0,
            me: None,
            owner,
            orders: VecDeque::new(),
            heard: VecDeque::new(),
        }
    }

    /// Something was left here. Gives whether the owner must be woken for that.
    pub(super) fn is_wanted(&mut self) -> bool {
        self.is_changed = true;
        std::mem::take(&mut self.is_asleep)
    }

    /// The owner looks; gives whether something was left since it did.
    pub(super) fn look(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// The rank that plays a peer.
    pub(super) fn rank_of(&self, peer: Peer) -> Option<usize> {
        self.lines.iter().position(|line| line.peer == Some(peer))
    }

    /// The peer that a rank plays.
    pub(super) fn peer(&self, rank: usize) -> Option<Peer> {
        self.lines[rank].peer
    }

    /// All that are played.
    pub(super) fn peers(&self) -> Vec<Peer> {
        self.lines.iter().filter_map(|line| line.peer).collect()
    }

    /// A rank says whom it plays. Gives whom it has played.
    pub(super) fn plays(&mut self, rank: usize, peer: Option<Peer>) -> Option<Peer> {
        std::mem::replace(&mut self.lines[rank].peer, peer)
    }

    /// Leaves something to be sent, or loses it where too much waits.
    pub(super) fn push(&mut self, rank: usize, tag: Tag, bytes: Vec<u8>) {
        let line = &mut self.lines[rank];
        let is_full = match tag {
            Tag::Control => line.control_bytes + bytes.len() > CONTROL_BYTES_MAX,
            Tag::Bulk => line.waiting[Lane::Bulk as usize].len() >= BULK_MAX,
            Tag::Word => false,
        };
        if is_full {
            return;
        }
        if tag == Tag::Control {
            line.control_bytes += bytes.len();
        }
        line.waiting[tag.lane() as usize].push_back((tag, bytes));
        self.waiting += 1;
    }

    /// Leaves a word for another rank.
    pub(super) fn say(&mut self, rank: usize, word: &Word) {
        self.push(rank, Tag::Word, word.write());
    }

    /// Leaves a word for all others.
    pub(super) fn say_to_all(&mut self, word: &Word) {
        let me = self.rank;
        for rank in (0..self.lines.len()).filter(|rank| *rank != me) {
            self.push(rank, Tag::Word, word.write());
        }
    }

    /// What is to be sent now, at most so much: of each rank its control frames first, and no more than MPI may have.
    pub(super) fn take(&mut self, room: usize) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        let size = self.lines.len();
        for lane in [Lane::Control, Lane::Bulk] {
            for rank in (0..size).map(|step| (self.turn + step) % size) {
                if self.waiting == 0 || parcels.len() == room {
                    break;
                }
                let taken = self.lines[rank].take(lane, room - parcels.len());
                self.waiting -= taken.len();
                parcels.extend(taken.into_iter().map(|(tag, bytes)| Parcel { rank, tag, bytes }));
            }
        }
        self.turn = (self.turn + 1) % size;
        parcels
    }

    /// MPI has sent something to a rank.
    pub(super) fn sent(&mut self, rank: usize, tag: Tag) {
        self.lines[rank].under_way[tag.lane() as usize] -= 1;
    }

    /// Whether all that was left here is sent.
    pub(super) fn is_sent(&self) -> bool {
        self.waiting == 0 && self.lines.iter().all(|line| line.under_way == [0, 0])
    }
}

impl Line {
    fn take(&mut self, lane: Lane, room: usize) -> Vec<(Tag, Vec<u8>)> {
        let (waiting, under_way) = (&mut self.waiting[lane as usize], &mut self.under_way[lane as usize]);
        let count = waiting.len().min(UNDER_WAY_MAX[lane as usize] - *under_way).min(room);
        *under_way += count;
        let taken: Vec<(Tag, Vec<u8>)> = waiting.drain(..count).collect();
        let control = taken.iter().filter(|(tag, _)| *tag == Tag::Control);
        self.control_bytes -= control.map(|(_, bytes)| bytes.len()).sum::<usize>();
        taken
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Order::Start(_) => "Start",
            Order::Stop(_) => "Stop",
            Order::Finish(_) => "Finish",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Desk {
        Desk::new(0, 3, None)
    }

    fn tags(desk: &mut Desk, room: usize) -> Vec<(usize, Tag)> {
        desk.take(room).iter().map(|parcel| (parcel.rank, parcel.tag)).collect()
    }

    #[test]
    fn control_frames_of_all_go_before_bulk_of_anybody_and_words_keep_their_place_among_them() {
        let mut desk = desk();
        for (rank, tag) in
            [(1, Tag::Bulk), (1, Tag::Word), (1, Tag::Control), (2, Tag::Control), (1, Tag::Word)]
        {
            desk.push(rank, tag, vec![1]);
        }
        let control = [(1, Tag::Word), (1, Tag::Control), (1, Tag::Word), (2, Tag::Control)];
        assert_eq!(tags(&mut desk, 4), control);
        assert_eq!(tags(&mut desk, 4), [(1, Tag::Bulk)]);
        assert!(!desk.is_sent());
    }

    #[test]
    fn who_takes_nothing_is_given_little_and_others_go_on() {
        let mut desk = desk();
        for _ in 0..100 {
            desk.push(1, Tag::Control, vec![1]);
            desk.push(2, Tag::Control, vec![1]);
        }
        let first = tags(&mut desk, 1000);
        assert_eq!(first.len(), 32);
        (0..16).for_each(|_| desk.sent(2, Tag::Control));
        assert!(tags(&mut desk, 1000).iter().all(|(rank, _)| *rank == 2), "rank 1 has sixteen already");
    }

    #[test]
    fn what_waits_for_one_rank_is_bounded_and_words_are_never_lost() {
        let mut desk = desk();
        for _ in 0..10_000 {
            desk.push(1, Tag::Control, vec![0; 1 << 10]);
            desk.push(1, Tag::Bulk, vec![0; 1 << 10]);
        }
        desk.say(1, &Word::Told(vec![7]));
        let line = &desk.lines[1];
        assert_eq!(line.control_bytes, CONTROL_BYTES_MAX);
        assert_eq!(line.waiting[1].len(), BULK_MAX);
        assert_eq!(line.waiting[0].len(), CONTROL_BYTES_MAX / 1024 + 1);
    }

    #[test]
    fn a_peer_is_found_at_the_rank_that_says_so_until_it_says_otherwise() {
        let (mut desk, peer) = (desk(), Peer::new(2, 7));
        assert_eq!(desk.plays(1, Some(peer)), None);
        assert_eq!((desk.rank_of(peer), desk.peer(1), desk.peers()), (Some(1), Some(peer), vec![peer]));
        assert_eq!(desk.plays(1, None), Some(peer));
        assert_eq!(desk.rank_of(peer), None);
    }
}
