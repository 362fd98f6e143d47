//! Sending and receiving without waiting for anybody, in rounds.
//!
//! What MPI sends and receives must stay where it is until that has ended, and in safe Rust that means: until the end of a scope,
//! within which the places live. So the thread plays one round after the other, each with places for so many messages.
//! A round ends when its places are used up and everything in it has ended.
//!
//! A rank that is stopped has nothing end that concerns it. Then a further round is played within the first one, and so on, and each
//! looks after the unfinished messages of those around it as well. A rank gets little before it takes what it has (`desk`),
//! so there are few such rounds: of those around the innermost each has a message of a rank that is stopped, or was while
//! another one was. At [`DEPTH_MAX`] the thread waits for one of them.

use super::desk::{Parcel, Tag};
use super::owner::Owner;
use ::mpi::request::{LocalScope, Request, scope};
use ::mpi::traits::{Communicator, Destination, Equivalence, Source};
use std::cell::OnceCell;
use std::time::{Duration, Instant};

/// Messages each way in a round: some 8 MiB at most, and so many that the end of a round costs nothing.
const PLACES: usize = 128;
/// For so long the last messages of a round are waited for, before another one is begun inside.
const PATIENCE: Duration = Duration::from_millis(1);
/// Rounds within rounds: more need as many ranks that are stopped and go on in turn.
const DEPTH_MAX: usize = 256;

/// Something that MPI is about.
type Under<'a, 's> = Request<'a, [u8], &'s LocalScope<'a>>;

/// A round, seen from those within it.
pub(super) trait Around {
    /// Looks what has ended. Gives whether anything has.
    fn look(&mut self, owner: &mut Owner) -> bool;
    /// Whether anything is left, here or further around.
    fn is_done(&self) -> bool;
    /// How many rounds there are, this one included.
    fn depth(&self) -> usize;
}

/// One round.
struct Round<'a, 's, 'o> {
    scope: &'s LocalScope<'a>,
    to_send: std::slice::Iter<'a, OnceCell<Vec<u8>>>,
    to_receive: std::slice::IterMut<'a, Vec<u8>>,
    sends: Vec<(usize, Tag, Under<'a, 's>)>,
    /// From which rank, with which number there.
    receives: Vec<(usize, u64, Tag, Under<'a, 's>)>,
    around: Option<&'o mut dyn Around>,
}

/// Sends and receives until the places of a round are used up and nothing of it is under way; or until the thread is to end.
pub(super) fn play(owner: &mut Owner, around: Option<&mut dyn Around>) {
    let to_send: Vec<OnceCell<Vec<u8>>> = (0..PLACES).map(|_| OnceCell::new()).collect();
    let mut to_receive: Vec<Vec<u8>> = vec![Vec::new(); PLACES];
    scope(|scope| {
        let (to_send, to_receive) = (to_send.iter(), to_receive.iter_mut());
        let (sends, receives) = (Vec::new(), Vec::new());
        Round { scope, to_send, to_receive, sends, receives, around }.play(owner);
    });
}

impl Round<'_, '_, '_> {
    fn play(&mut self, owner: &mut Owner) {
        let mut full_since: Option<Instant> = None;
        loop {
            let was_ordered = owner.obey();
            let has_moved = self.send(owner) | self.receive(owner) | self.look(owner);
            if has_moved || was_ordered {
                owner.happened();
            }
            let is_quiet = self.sends.is_empty() && self.receives.is_empty();
            let is_full = self.to_send.len() == 0 || self.to_receive.len() == 0;
            // Those around can end, if there are any; or all of it can.
            let may_end = self.around.as_ref().map_or_else(|| owner.is_over(), |around| around.is_done());
            if is_quiet && (is_full || may_end) {
                return;
            }
            if !is_full || has_moved {
                full_since = None;
            } else if full_since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE
                && self.depth() < DEPTH_MAX
            {
                play(owner, Some(self));
                full_since = None;
                continue;
            }
            if !has_moved && !was_ordered {
                owner.rest();
            }
        }
    }

    /// Begins to send what waits, as far as there are places.
    fn send(&mut self, owner: &mut Owner) -> bool {
        let room = self.to_send.len();
        let parcels = owner.shared.lock().take(room);
        let is_any = !parcels.is_empty();
        for Parcel { rank, tag, bytes } in parcels {
            let place = self.to_send.next().expect("no more was taken than there are places");
            let bytes = place.get_or_init(|| bytes);
            let process = owner.world.process_at_rank(rank as i32);
            let request = process.immediate_send_with_tag(self.scope, &bytes[..], tag as i32);
            self.sends.push((rank, tag, request));
        }
        is_any
    }

    /// Begins to receive what comes, as far as there are places.
    fn receive(&mut self, owner: &mut Owner) -> bool {
        let mut is_any = false;
        while self.to_receive.len() > 0 {
            let Some((message, status)) = owner.world.any_process().immediate_matched_probe() else { break };
            is_any = true;
            let place = self.to_receive.next().expect("there is one");
            place.resize(status.count(u8::equivalent_datatype()) as usize, 0);
            let request = message.immediate_matched_receive_into(self.scope, &mut place[..]);
            let rank = status.source_rank() as usize;
            // Nobody else sends anything here.
            let tag = Tag::of_number(status.tag()).unwrap_or(Tag::Word);
            self.receives.push((rank, owner.see(rank, tag), tag, request));
        }
        is_any
    }
}

impl Around for Round<'_, '_, '_> {
    fn look(&mut self, owner: &mut Owner) -> bool {
        let mut has_ended = self.around.as_mut().is_some_and(|around| around.look(owner));
        for (rank, tag, request) in std::mem::take(&mut self.sends) {
            match request.test() {
                Ok(_) => {
                    owner.shared.do_and_tell(|desk| desk.sent(rank, tag));
                    has_ended = true;
                }
                Err(request) => self.sends.push((rank, tag, request)),
            }
        }
        for (rank, number, tag, request) in std::mem::take(&mut self.receives) {
            match request.test_with_data() {
                Ok((_, bytes)) => {
                    owner.take(rank, number, tag, bytes.to_vec());
                    has_ended = true;
                }
                Err(request) => self.receives.push((rank, number, tag, request)),
            }
        }
        has_ended
    }

    fn is_done(&self) -> bool {
        let is_done = self.sends.is_empty() && self.receives.is_empty();
        is_done && self.around.as_ref().is_none_or(|around| around.is_done())
    }

    fn depth(&self) -> usize {
        1 + self.around.as_ref().map_or(0, |around| around.depth())
    }
}
