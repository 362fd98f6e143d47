//! Workers that pass handles around over slow channels and die, against a plain account of who has what.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{TestRng, TestRunner};
use std::collections::VecDeque;

/// What travels between two workers.
#[derive(Clone, Copy, Debug)]
enum Message {
    Handle(GlobalChunk, Grant),
    Note(Note),
    /// The other end is gone; nothing of it comes after that.
    Gone,
}

/// What happens next; numbers choose among what can happen.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Make(u8),
    Clone(u8),
    Drop(u8),
    /// Which handle, and to whom.
    Send(u8, u8),
    /// From one worker to another, the oldest.
    Deliver(u8),
    /// A message is given back to who wrote it, because it could not be sent.
    Return(u8),
    Kill(u8),
}

#[derive(Debug)]
struct World {
    workers: BTreeMap<WorkerId, Refs>,
    /// Handles that are somewhere, one for each.
    handles: Vec<(WorkerId, GlobalChunk)>,
    channels: BTreeMap<(WorkerId, WorkerId), VecDeque<Message>>,
    freed: BTreeSet<GlobalChunk>,
    lost: BTreeSet<(WorkerId, GlobalChunk)>,
    /// Chunks of which a dead worker had a handle on its way, or the only ones.
    at_risk: BTreeSet<GlobalChunk>,
    made: Vec<GlobalChunk>,
}

fn nth<T: Copy>(of: &[T], choice: u8) -> Option<T> {
    (!of.is_empty()).then(|| of[usize::from(choice) % of.len()])
}

impl World {
    fn new(workers: u32) -> World {
        World {
            workers: (1..=workers).map(|id| (WorkerId(id), Refs::new(WorkerId(id)))).collect(),
            handles: Vec::new(),
            channels: BTreeMap::new(),
            freed: BTreeSet::new(),
            lost: BTreeSet::new(),
            at_risk: BTreeSet::new(),
            made: Vec::new(),
        }
    }

    fn living(&self) -> Vec<WorkerId> {
        self.workers.keys().copied().collect()
    }

    fn obey(&mut self, me: WorkerId, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Tell(to, note) => self.send(me, to, Message::Note(note)),
                Action::Free(chunk) => self.free(GlobalChunk { owner: me, chunk }),
                Action::Lost(chunk) => {
                    let owner_lives = self.workers.contains_key(&chunk.owner);
                    assert!(!owner_lives || self.at_risk.contains(&chunk), "{chunk:?} is lost for no reason");
                    assert!(self.lost.insert((me, chunk)), "told once");
                }
            }
        }
    }

    /// What is sent to the dead goes nowhere.
    fn send(&mut self, from: WorkerId, to: WorkerId, message: Message) {
        if self.workers.contains_key(&to) {
            self.channels.entry((from, to)).or_default().push_back(message);
        }
    }

    fn free(&mut self, chunk: GlobalChunk) {
        assert!(self.freed.insert(chunk), "{chunk:?} is freed once");
        if self.at_risk.contains(&chunk) {
            return;
        }
        assert!(!self.handles.iter().any(|(_, other)| *other == chunk), "{chunk:?} is freed under a handle");
        let mut on_the_way = self.channels.values().flatten();
        let is_it = |message: &Message| matches!(message, Message::Handle(other, _) if *other == chunk);
        assert!(!on_the_way.any(is_it), "{chunk:?} is freed while a handle is on its way");
    }

    fn act(&mut self, me: WorkerId, act: impl FnOnce(&mut Refs, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        act(self.workers.get_mut(&me).expect("the dead do nothing"), &mut actions);
        self.obey(me, actions);
    }

    fn drop_handle(&mut self, place: usize) {
        let (me, chunk) = self.handles.swap_remove(place);
        self.act(me, |refs, out| refs.dropped(chunk, out));
        if !self.handles.contains(&(me, chunk)) {
            self.lost.remove(&(me, chunk));
        }
    }

    fn deliver(&mut self, from: WorkerId, to: WorkerId) {
        let channel = self.channels.get_mut(&(from, to)).expect("it has a message");
        let message = channel.pop_front().expect("as above");
        if channel.is_empty() {
            self.channels.remove(&(from, to));
        }
        match message {
            Message::Handle(chunk, grant) => {
                self.handles.push((to, chunk));
                self.act(to, |refs, out| refs.received(chunk, grant, out));
            }
            Message::Note(note) => self.act(to, |refs, out| refs.told(from, note, out)),
            Message::Gone => self.act(to, |refs, out| refs.gone(from, out)),
        }
    }

    fn kill(&mut self, worker: WorkerId) {
        let refs = self.workers.remove(&worker).expect("it lives");
        self.handles.retain(|(at, _)| *at != worker);
        self.lost.retain(|(at, _)| *at != worker);
        self.at_risk.extend(refs.grants.values().map(|(chunk, _)| *chunk));
        self.channels.retain(|(_, to), _| *to != worker);
        for other in self.living() {
            // Some of what it has sent may still come.
            self.send(worker, other, Message::Gone);
        }
    }

    fn make(&mut self, choice: Choice) {
        match choice {
            Choice::Make(who) => {
                let me = nth(&self.living(), who).expect("somebody lives");
                let number = ChunkId(self.made.len() as u64);
                let chunk = self.workers.get_mut(&me).expect("as above").made(number);
                self.made.push(chunk);
                self.handles.push((me, chunk));
            }
            Choice::Clone(which) => {
                if let Some((me, chunk)) = nth(&self.handles, which) {
                    self.workers.get_mut(&me).expect("only the living have handles").cloned(chunk);
                    self.handles.push((me, chunk));
                }
            }
            Choice::Drop(which) if !self.handles.is_empty() => {
                self.drop_handle(usize::from(which) % self.handles.len());
            }
            Choice::Drop(_) => {}
            Choice::Send(which, to) => {
                if let (Some((me, chunk)), Some(to)) = (nth(&self.handles, which), nth(&self.living(), to))
                    && to != me
                {
                    let grant = self.workers.get_mut(&me).expect("as above").sent(chunk, to);
                    self.send(me, to, Message::Handle(chunk, grant));
                }
            }
            Choice::Deliver(which) => {
                let channels: Vec<_> = self.channels.keys().copied().collect();
                if let Some((from, to)) = nth(&channels, which) {
                    self.deliver(from, to);
                }
            }
            Choice::Return(which) => {
                let channels: Vec<_> = self.channels.keys().copied().collect();
                if let Some((from, to)) = nth(&channels, which)
                    && self.workers.contains_key(&from)
                    && let Some(channel) = self.channels.get_mut(&(from, to))
                    && let Some(Message::Handle(chunk, grant)) = channel.back().copied()
                {
                    channel.pop_back();
                    self.channels.retain(|_, channel| !channel.is_empty());
                    self.handles.push((from, chunk));
                    self.act(from, |refs, out| refs.received(chunk, grant, out));
                }
            }
            Choice::Kill(who) => {
                let living = self.living();
                if living.len() > 1 {
                    self.kill(nth(&living, who).expect("somebody lives"));
                }
            }
        }
    }

    /// Nothing is on its way: whoever has a handle knows whether there is still something behind it.
    fn check_handles(&self) {
        for (me, chunk) in &self.handles {
            let is_there = self.workers.contains_key(&chunk.owner) && !self.freed.contains(chunk);
            assert_eq!(self.workers[me].is_lost(*chunk), !is_there, "{me} has a handle of {chunk:?}");
        }
    }

    /// Everything is delivered, and all handles are dropped: then nothing is left anywhere.
    fn finish(mut self) {
        while !self.channels.is_empty() || !self.handles.is_empty() {
            while let Some((from, to)) = self.channels.keys().next().copied() {
                self.deliver(from, to);
            }
            self.check_handles();
            if !self.handles.is_empty() {
                self.drop_handle(0);
            }
        }
        for (worker, refs) in &self.workers {
            assert!(refs.is_empty(), "{worker} still counts: {refs:?}");
        }
        let of_living = self.made.iter().filter(|chunk| self.workers.contains_key(&chunk.owner));
        of_living.for_each(|chunk| assert!(self.freed.contains(chunk), "{chunk:?} was not freed"));
    }
}

fn choice() -> impl Strategy<Value = Choice> {
    let any = any::<u8>;
    prop_oneof![
        2 => any().prop_map(Choice::Make),
        2 => any().prop_map(Choice::Clone),
        6 => any().prop_map(Choice::Drop),
        8 => (any(), any()).prop_map(|(which, to)| Choice::Send(which, to)),
        12 => any().prop_map(Choice::Deliver),
        1 => any().prop_map(Choice::Return),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn while_nobody_dies_nothing_is_lost_and_everything_is_freed(
        workers in 2u32..5,
        choices in prop::collection::vec(choice(), 1..120),
    ) {
        let mut world = World::new(workers);
        choices.into_iter().for_each(|choice| world.make(choice));
        prop_assert!(world.lost.is_empty());
        world.finish();
    }

    #[test]
    fn whoever_dies_only_what_hung_by_its_word_is_lost_and_nothing_stays(
        workers in 2u32..6,
        choices in prop::collection::vec(
            prop_oneof![30 => choice(), 1 => any::<u8>().prop_map(Choice::Kill)], 1..150),
    ) {
        let mut world = World::new(workers);
        choices.into_iter().for_each(|choice| world.make(choice));
        world.finish();
    }
}

/// Worlds without deaths and with some, always the same ones, up to the first in which something is wrong.
fn some_worlds() {
    let config =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::with_cases(1000) };
    let mut runner =
        TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(config.rng_algorithm));
    let choice = prop_oneof![60 => choice(), 1 => any::<u8>().prop_map(Choice::Kill)];
    let all = (2u32..6, prop::collection::vec(choice, 1..150));
    let played = runner.run(&all, |(workers, choices)| {
        let mut world = World::new(workers);
        choices.into_iter().for_each(|choice| world.make(choice));
        world.finish();
        Ok(())
    });
    played.expect("every world keeps the law");
}

#[test]
fn every_planted_bug_is_found() {
    some_worlds();
    crate::planted::assert_each_is_found(&[
        ("double_grant", "some_worlds", some_worlds),
        ("uncounted_grant", "some_worlds", some_worlds),
        ("missing_release", "some_worlds", some_worlds),
        ("holder_not_noted", "some_worlds", some_worlds),
        ("dead_holder_kept", "some_worlds", some_worlds),
    ]);
}

#[test]
fn a_handle_goes_round_and_the_chunk_lives_as_long_as_it() {
    let mut world = World::new(3);
    world.make(Choice::Make(0));
    for (which, to) in [(0, 1), (0, 2), (0, 0)] {
        world.make(Choice::Send(which, to));
        world.make(Choice::Drop(0));
        // The handle, and the notes about it.
        while !world.channels.is_empty() {
            world.make(Choice::Deliver(0));
        }
        assert_eq!((world.handles.len(), world.freed.len()), (1, 0));
    }
    world.make(Choice::Drop(0));
    assert_eq!(world.freed.len(), 1, "it is home again, and was dropped there");
    world.finish();
}

#[test]
fn what_is_lent_is_kept_until_nobody_else_needs_it() {
    let mut owner = Refs::new(WorkerId(1));
    let mut other = Refs::new(WorkerId(2));
    let mut out = Vec::new();
    for _ in 0..2 {
        let (chunk, grant) = owner.lent(ChunkId(5), WorkerId(2));
        other.received(chunk, grant, &mut out);
        let [Action::Tell(WorkerId(1), hold)] = out[..] else { panic!("{out:?}") };
        out.clear();
        owner.told(WorkerId(2), hold, &mut out);
        assert!(out.is_empty(), "the grant was the owner's own: {out:?}");
    }
    let chunk = GlobalChunk { owner: WorkerId(1), chunk: ChunkId(5) };
    other.dropped(chunk, &mut out);
    assert!(out.is_empty(), "there is another handle: {out:?}");
    other.dropped(chunk, &mut out);
    let [Action::Tell(WorkerId(1), release)] = out[..] else { panic!("{out:?}") };
    out.clear();
    owner.told(WorkerId(2), release, &mut out);
    assert_eq!(out, [Action::Free(ChunkId(5))]);
    assert!(owner.is_empty() && other.is_empty());
    // One that is never received ends with its receiver.
    owner.lent(ChunkId(6), WorkerId(2));
    out.clear();
    owner.gone(WorkerId(2), &mut out);
    assert_eq!(out, [Action::Free(ChunkId(6))]);
}

#[test]
fn n07_what_is_not_a_workers_to_say_changes_nothing() {
    let (me, owner, rogue) = (WorkerId(1), WorkerId(2), WorkerId(3));
    let mut refs = Refs::new(me);
    let mut out = Vec::new();
    let theirs = GlobalChunk { owner, chunk: ChunkId(7) };
    refs.received(theirs, Grant { from: owner, number: 1 }, &mut out);
    let grant = refs.sent(theirs, WorkerId(4));
    refs.dropped(theirs, &mut out);
    out.clear();
    // Neither the end of the owner's chunk, nor the arrival of what was sent to another.
    refs.told(rogue, Note::Gone(theirs), &mut out);
    refs.told(rogue, Note::Redeemed(grant), &mut out);
    // Nor handles of a chunk that is another's.
    refs.told(rogue, Note::Hold(theirs, Grant { from: rogue, number: 1 }), &mut out);
    refs.told(rogue, Note::Release(theirs), &mut out);
    assert_eq!((out.as_slice(), refs.is_lost(theirs)), (&[][..], false));
    assert!(!refs.is_with(theirs, rogue), "it is not ours to give");
    refs.told(owner, Note::Redeemed(grant), &mut out);
    assert_eq!(out, [Action::Tell(owner, Note::Release(theirs))]);
    // Of our own: who has none releases none.
    let (mine, _) = refs.lent(ChunkId(9), WorkerId(4));
    out.clear();
    refs.told(rogue, Note::Release(mine), &mut out);
    assert!(out.is_empty() && refs.is_with(mine, WorkerId(4)) && !refs.is_with(mine, rogue));
}
