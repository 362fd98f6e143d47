#![doc = include_str!("README.md")]

#[cfg(test)]
mod tests;

use poniard_model::{ChunkId, WorkerId, planted};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A chunk, whichever process speaks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GlobalChunk {
    /// The worker that made it, where it is counted.
    pub owner: WorkerId,
    /// Its number there.
    pub chunk: ChunkId,
}

/// A handle on its way in a message: whose message, and which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The worker that has sent the handle.
    pub from: WorkerId,
    /// Its number there.
    pub number: u64,
}

/// What workers tell each other of handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// To the owner: the sender has a handle, which came with this grant.
    Hold(GlobalChunk, Grant),
    /// To the owner: the sender has no handle, and none of its is on the way.
    Release(GlobalChunk),
    /// To the maker of a grant: the handle's new holder is counted.
    Redeemed(Grant),
    /// To a holder: there is no such chunk any more.
    Gone(GlobalChunk),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the note.
    Tell(WorkerId, Note),
    /// Nobody has a handle of this chunk of ours.
    Free(ChunkId),
    /// The chunk is no more, and handles of it are here.
    Lost(GlobalChunk),
}

/// The handles that one process has and has sent. Pure: no clock, no lock, no IO.
#[derive(Debug)]
pub struct Refs {
    me: WorkerId,
    chunks: BTreeMap<GlobalChunk, Count>,
    /// Of each grant that is not over: the chunk, and who gets the handle.
    grants: BTreeMap<u64, (GlobalChunk, WorkerId)>,
    next_grant: u64,
    /// Workers that are gone: handles of their chunks may still come from others.
    gone: BTreeSet<WorkerId>,
}

/// What a process knows of a chunk.
#[derive(Debug, Default)]
struct Count {
    /// Handles here.
    handles: u64,
    /// Handles that were sent from here and are not counted elsewhere yet.
    grants: u64,
    /// The workers that hold it, at its owner.
    holders: BTreeSet<WorkerId>,
    is_lost: bool,
}

impl Count {
    fn is_over(&self) -> bool {
        self.handles == 0 && self.grants == 0 && self.holders.is_empty()
    }
}

impl Refs {
    /// Of the process `me`, which has no handle yet.
    pub fn new(me: WorkerId) -> Refs {
        Refs { me, chunks: BTreeMap::new(), grants: BTreeMap::new(), next_grant: 0, gone: BTreeSet::new() }
    }

    /// Whether nothing is known of any chunk.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.grants.is_empty()
    }

    /// Whether there is a handle here of a chunk that is no more.
    pub fn is_lost(&self, chunk: GlobalChunk) -> bool {
        self.chunks.get(&chunk).is_some_and(|count| count.is_lost)
    }

    /// Whether a worker has a handle of a chunk of this process, or one is on its way there from here.
    pub fn is_with(&self, chunk: GlobalChunk, worker: WorkerId) -> bool {
        let holds = || self.chunks.get(&chunk).is_some_and(|count| count.holders.contains(&worker));
        let gets = || self.grants.values().any(|grant| *grant == (chunk, worker));
        chunk.owner == self.me && (holds() || gets())
    }

    /// A chunk was made here, with its first handle.
    ///
    /// # Panics
    /// When it was made before.
    pub fn made(&mut self, chunk: ChunkId) -> GlobalChunk {
        let chunk = GlobalChunk { owner: self.me, chunk };
        let old = self.chunks.insert(chunk, Count { handles: 1, ..Count::default() });
        assert!(old.is_none(), "{chunk:?} was made twice");
        chunk
    }

    /// There is one more handle here.
    ///
    /// # Panics
    /// When there was none to clone.
    pub fn cloned(&mut self, chunk: GlobalChunk) {
        self.held(chunk).handles += 1;
    }

    /// There is one handle less here.
    ///
    /// # Panics
    /// When there was none.
    pub fn dropped(&mut self, chunk: GlobalChunk, out: &mut Vec<Action>) {
        self.held(chunk).handles -= 1;
        self.settle(chunk, out);
    }

    /// A handle goes into a message. The grant travels with it.
    ///
    /// # Panics
    /// When there is no handle here.
    pub fn sent(&mut self, chunk: GlobalChunk, to: WorkerId) -> Grant {
        self.next_grant += u64::from(!planted!(double_grant));
        let grant = Grant { from: self.me, number: self.next_grant };
        let count = self.held(chunk);
        // Nobody answers for a chunk that is no more.
        if !count.is_lost && !planted!(uncounted_grant) {
            count.grants += 1;
            self.grants.insert(grant.number, (chunk, to));
        }
        grant
    }

    /// A handle of a chunk of this process goes into a message, be there another one here or not: who makes the chunk keeps it
    /// until [`Action::Free`] says that no other process needs it.
    pub fn lent(&mut self, chunk: ChunkId, to: WorkerId) -> (GlobalChunk, Grant) {
        self.next_grant += 1;
        let grant = Grant { from: self.me, number: self.next_grant };
        let chunk = GlobalChunk { owner: self.me, chunk };
        self.chunks.entry(chunk).or_default().grants += 1;
        self.grants.insert(grant.number, (chunk, to));
        (chunk, grant)
    }

    /// A handle came with a message, and is here now. A message that was not sent after all gives its handles back like this.
    pub fn received(&mut self, chunk: GlobalChunk, grant: Grant, out: &mut Vec<Action>) {
        let is_ours = chunk.owner == self.me;
        // Its owner died, or whoever had sent it to others, and nobody else had it.
        if (is_ours || self.gone.contains(&chunk.owner)) && !self.chunks.contains_key(&chunk) {
            self.chunks.insert(chunk, Count { is_lost: true, ..Count::default() });
            out.push(Action::Lost(chunk));
        }
        let count = self.chunks.entry(chunk).or_default();
        count.handles += 1;
        if grant.from == self.me {
            self.redeem(grant, out);
        } else if is_ours {
            out.push(Action::Tell(grant.from, Note::Redeemed(grant)));
        } else if !count.is_lost {
            out.push(Action::Tell(chunk.owner, Note::Hold(chunk, grant)));
        }
    }

    /// A note came. Those of a worker that is gone must not be told any more; and what is not the sender's to say is not heard.
    pub fn told(&mut self, from: WorkerId, note: Note, out: &mut Vec<Action>) {
        let is_theirs_to_say = match note {
            Note::Hold(chunk, _) | Note::Release(chunk) => chunk.owner == self.me,
            Note::Gone(chunk) => chunk.owner == from,
            Note::Redeemed(grant) => {
                let granted = self.grants.get(&grant.number);
                grant.from == self.me && granted.is_none_or(|(chunk, _)| chunk.owner == from)
            }
        };
        if !is_theirs_to_say {
            return;
        }
        match note {
            Note::Hold(chunk, grant) => match self.chunks.get_mut(&chunk).filter(|count| !count.is_lost) {
                Some(count) => {
                    if !planted!(holder_not_noted) {
                        count.holders.insert(from);
                    }
                    if grant.from == self.me {
                        self.redeem(grant, out);
                    } else {
                        out.push(Action::Tell(grant.from, Note::Redeemed(grant)));
                    }
                }
                None => out.push(Action::Tell(from, Note::Gone(chunk))),
            },
            Note::Release(chunk) => {
                if let Some(count) = self.chunks.get_mut(&chunk) {
                    count.holders.remove(&from);
                    self.settle(chunk, out);
                }
            }
            Note::Redeemed(grant) => self.redeem(grant, out),
            Note::Gone(chunk) => self.lose(chunk, out),
        }
    }

    /// A worker is gone, with all that it held and had sent.
    pub fn gone(&mut self, worker: WorkerId, out: &mut Vec<Action>) {
        self.gone.insert(worker);
        let its: Vec<u64> =
            self.grants.iter().filter(|(_, (_, to))| *to == worker).map(|(number, _)| *number).collect();
        for number in its {
            self.redeem(Grant { from: self.me, number }, out);
        }
        let all: Vec<GlobalChunk> = self.chunks.keys().copied().collect();
        for chunk in all {
            if chunk.owner == worker {
                self.lose(chunk, out);
            } else if self.chunks.get_mut(&chunk).is_some_and(|count| count.holders.remove(&worker))
                && !planted!(dead_holder_kept)
            {
                self.settle(chunk, out);
            }
        }
    }

    fn held(&mut self, chunk: GlobalChunk) -> &mut Count {
        let count = self.chunks.get_mut(&chunk).filter(|count| count.handles > 0);
        count.unwrap_or_else(|| panic!("there is no handle of {chunk:?} here"))
    }

    /// A grant of ours is over.
    fn redeem(&mut self, grant: Grant, out: &mut Vec<Action>) {
        // Else it was over before: its receiver was gone, or the chunk.
        if let Some((chunk, _)) = self.grants.remove(&grant.number)
            && let Some(count) = self.chunks.get_mut(&chunk)
        {
            count.grants -= 1;
            self.settle(chunk, out);
        }
    }

    /// The chunk is no more.
    fn lose(&mut self, chunk: GlobalChunk, out: &mut Vec<Action>) {
        let Some(count) = self.chunks.get_mut(&chunk).filter(|count| !count.is_lost) else { return };
        (count.is_lost, count.grants) = (true, 0);
        self.grants.retain(|_, (other, _)| *other != chunk);
        if count.handles > 0 {
            out.push(Action::Lost(chunk));
        }
        self.settle(chunk, out);
    }

    /// Lets go of the chunk if nothing here needs it.
    fn settle(&mut self, chunk: GlobalChunk, out: &mut Vec<Action>) {
        if !self.chunks[&chunk].is_over() {
            return;
        }
        let count = self.chunks.remove(&chunk).expect("just seen");
        if count.is_lost || planted!(missing_release) {
            return;
        }
        out.push(match chunk.owner == self.me {
            true => Action::Free(chunk.chunk),
            false => Action::Tell(chunk.owner, Note::Release(chunk)),
        });
    }
}
