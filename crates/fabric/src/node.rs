//! One process among its peers: their handshakes, links and memberships. Pure: time and entropy are arguments.

#[cfg(test)]
mod tests;

use crate::engine::{EngineEvent, Lane};
use crate::event::{Counts, Event, Unsent, Why};
use crate::frame::{FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX, Head, Kind, News, Over, Protocol};
use crate::handshake::{Handshake, HandshakeError, Identity};
use crate::link::{Link, MESSAGE_BYTES_MAX, Output, Transfer};
use crate::member::{Member, State};
use crate::peer::Peer;
use crate::secret::Secret;
use crate::timing::Timing;
use poniard_model::{WorkerId, planted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many peers may be in their handshakes: a cluster that starts at once fits, a flood does not.
pub const JOINING_MAX: usize = 4096;

/// The first pause between two hellos; each is twice the one before, up to [`HELLO_PAUSE_MAX`].
const HELLO_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two hellos.
const HELLO_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub struct Out {
    /// Frames to be given to the engine.
    pub frames: Vec<(Peer, Lane, Vec<u8>)>,
    /// What has happened.
    pub events: Vec<Event>,
    /// Peers that do not answer: a new connection may help.
    pub renew: Vec<Peer>,
}

/// Everything that one process knows of its peers.
#[derive(Debug)]
pub struct Node {
    me: Peer,
    identity: Identity,
    timing: Timing,
    /// Nobody else knows it; what must be fresh and unforeseeable is made of it.
    entropy: Secret<[u8; 32]>,
    contacts: BTreeMap<Peer, Contact>,
    /// The life of each worker that has a link.
    joined: BTreeMap<WorkerId, Peer>,
    /// The last life of each worker that is gone. That one and earlier ones never come back.
    fences: BTreeMap<WorkerId, Fence>,
    /// When something is to be done for a peer. It may be too early, never too late.
    timers: BTreeSet<(Duration, Peer)>,
    /// When this process did anything last.
    ran_at: Duration,
    /// Whether a number is given once: who comes with one that another life has, or had, is nobody.
    is_one_life: bool,
    counts: Counts,
}

#[derive(Debug)]
struct Contact {
    handshake: Handshake,
    member: Member,
    stage: Stage,
    /// What stands in `timers`.
    timer: Option<Duration>,
}

#[derive(Debug)]
enum Stage {
    /// It has not proved itself: hellos are repeated.
    Greeting { again_at: Duration, pause: Duration },
    /// It is none of ours. That is said, once more with each hello that it repeats, for what was said may have been lost; else there
    /// is silence until the engine says that it went.
    Refused { answer: Vec<u8> },
    /// Both have proved themselves, as far as is known here.
    Linked(Box<Link>),
}

#[derive(Debug)]
struct Fence {
    incarnation: u64,
    session: Secret<u64>,
}

impl Contact {
    fn deadline(&self, timing: &Timing) -> Option<Duration> {
        match &self.stage {
            Stage::Greeting { again_at, .. } => Some(*again_at),
            Stage::Refused { .. } => None,
            Stage::Linked(link) => {
                let verdict = self.member.deadline(timing).unwrap_or(Duration::MAX);
                Some(verdict.min(link.deadline()))
            }
        }
    }
}

impl Node {
    /// Of the process `me`, which has met nobody yet.
    pub fn new(me: Peer, identity: Identity, timing: Timing, entropy: [u8; 32]) -> Node {
        Node {
            me,
            identity,
            timing,
            entropy: Secret(entropy),
            contacts: BTreeMap::new(),
            joined: BTreeMap::new(),
            fences: BTreeMap::new(),
            timers: BTreeSet::new(),
            ran_at: Duration::ZERO,
            is_one_life: false,
            counts: Counts::default(),
        }
    }

    /// The same where numbers are given once: a worker that is gone is replaced under another one, and who claims the number of one
    /// that was here is not answered.
    #[must_use]
    pub fn with_one_life_each(self) -> Node {
        Node { is_one_life: true, ..self }
    }

    /// Who this is.
    pub fn me(&self) -> Peer {
        self.me
    }

    /// What came and was dropped.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What is known of this life of a worker.
    pub fn state(&self, peer: Peer) -> Option<State> {
        match self.contacts.get(&peer) {
            Some(contact) => Some(contact.member.state()),
            None => self
                .fences
                .get(&peer.worker)
                .filter(|f| peer.incarnation <= f.incarnation)
                .map(|_| State::Gone),
        }
    }

    /// When [`on_time`](Node::on_time) has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(deadline, _)| *deadline)
    }

    /// The engine tells of something.
    pub fn on_engine(&mut self, now: Duration, event: EngineEvent, out: &mut Out) {
        self.wake(now);
        match event {
            EngineEvent::Up(peer) => self.on_up(now, peer, out),
            EngineEvent::Down(peer) => self.on_down(now, peer, out),
            EngineEvent::Frame { from, lane: _, frame } => self.on_frame(now, from, &frame, out),
        }
    }

    /// Sends a message to a peer that has joined: it arrives once and in order, or the peer is gone.
    ///
    /// # Errors
    /// When the peer has no link, or too much waits for it. The message comes back.
    pub fn send(
        &mut self,
        now: Duration,
        to: Peer,
        message: Vec<u8>,
        out: &mut Out,
    ) -> Result<(), Unsent<Vec<u8>>> {
        self.wake(now);
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Unsent::TooLarge(message));
        }
        let Some(link) = self.link(to) else { return Err(Unsent::NotJoined(message)) };
        let mut outputs = Vec::new();
        link.send(now, message, &mut outputs).map_err(Unsent::Full)?;
        self.obey(to, outputs, out);
        self.arm(to);
        Ok(())
    }

    /// Sends data to a peer that has joined, in pieces and beside the messages.
    ///
    /// # Errors
    /// When the peer has no link, or too many transfers wait for it. The transfer comes back.
    pub fn send_bulk(
        &mut self,
        now: Duration,
        to: Peer,
        transfer: Transfer,
        out: &mut Out,
    ) -> Result<(), Unsent<Transfer>> {
        self.wake(now);
        let Some(link) = self.link(to) else { return Err(Unsent::NotJoined(transfer)) };
        let mut outputs = Vec::new();
        link.send_bulk(now, transfer, &mut outputs).map_err(Unsent::Full)?;
        self.obey(to, outputs, out);
        self.arm(to);
        Ok(())
    }

    /// A piece of bulk is worked off, and its sender may send one more.
    ///
    /// # Panics
    /// When more is taken than came.
    pub fn taken(&mut self, now: Duration, from: Peer) {
        // It may be gone meanwhile.
        if let Some(link) = self.link(from) {
            link.taken(now);
            self.arm(from);
        }
    }

    /// Somebody else knows that this life of a worker is over.
    pub fn dismiss(&mut self, now: Duration, peer: Peer, out: &mut Out) {
        self.wake(now);
        self.bury(peer, Why::Dismissed, out);
    }

    /// Tells everybody that this process leaves.
    pub fn leave(&self, out: &mut Out) {
        for (peer, contact) in &self.contacts {
            if let Stage::Linked(link) = &contact.stage {
                let head = Head::Over { session: link.session(), why: Over::Left };
                out.frames.push((*peer, Lane::Control, head.frame(&[])));
            }
        }
    }

    /// Time passes.
    pub fn on_time(&mut self, now: Duration, out: &mut Out) {
        self.wake(now);
        while let Some((_, peer)) = self.timers.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.timers.pop_first();
            let contact = self.contacts.get_mut(&peer).expect("a timer is of a contact");
            contact.timer = None;
            match &mut contact.stage {
                Stage::Greeting { again_at, pause } if now >= *again_at => {
                    *pause = (2 * *pause).min(HELLO_PAUSE_MAX);
                    *again_at = now + *pause;
                    out.frames.push((peer, Lane::Control, contact.handshake.hello(&self.identity)));
                }
                Stage::Greeting { .. } | Stage::Refused { .. } => {}
                Stage::Linked(link) => {
                    if contact.member.on_time(now, &self.timing) {
                        self.bury(peer, Why::Silent, out);
                        continue;
                    }
                    if link.is_unanswered(now) {
                        out.renew.push(peer);
                    }
                    let mut outputs = Vec::new();
                    link.on_time(now, &mut outputs);
                    self.obey(peer, outputs, out);
                }
            }
            self.arm(peer);
        }
    }

    /// Whoever did not run itself heard nobody meanwhile. Signs of life are sent every quarter of a lease, so nobody who
    /// runs stays away from here for half of one.
    fn wake(&mut self, now: Duration) {
        let away = now.saturating_sub(self.ran_at);
        if away > self.timing.lease / 2 {
            for contact in self.contacts.values_mut() {
                contact.member.slept(away);
                if let Stage::Linked(link) = &mut contact.stage {
                    link.slept(away);
                }
            }
        }
        self.ran_at = now;
    }

    fn on_up(&mut self, now: Duration, peer: Peer, out: &mut Out) {
        if self.is_stale(peer) {
            return self.tell_stale(peer, out);
        }
        let Some(contact) = self.meet(now, peer, out) else { return };
        if let Stage::Linked(link) = &mut contact.stage {
            let mut outputs = Vec::new();
            link.on_break(now, &mut outputs);
            self.obey(peer, outputs, out);
            self.arm(peer);
        }
    }

    fn on_down(&mut self, now: Duration, peer: Peer, out: &mut Out) {
        let Some(contact) = self.contacts.get_mut(&peer) else { return };
        if let Stage::Linked(link) = &mut contact.stage {
            contact.member.down(now);
            let mut outputs = Vec::new();
            link.on_break(now, &mut outputs);
            self.obey(peer, outputs, out);
            self.arm(peer);
        } else {
            // It greets again, with the same nonce, when it comes back.
            self.forget(peer);
        }
    }

    fn on_frame(&mut self, now: Duration, from: Peer, frame: &[u8], out: &mut Out) {
        let linked = self.link(from).map(|link| link.session());
        let max = if linked.is_some() { FRAME_BYTES_MAX } else { HANDSHAKE_BYTES_MAX };
        let Ok((head, body)) = Head::read(frame, max) else {
            return self.counts.malformed += 1;
        };
        if self.is_stale(from) {
            self.counts.stale += 1;
            match head {
                // Two who take each other for dead do not go on about it.
                Head::Over { .. } => {}
                // It never got our proof, or has forgotten our hello: without that it cannot know the session.
                Head::Hello(_) => {
                    let handshake = Handshake::new(self.me, from, self.nonce(from));
                    out.frames.push((from, Lane::Control, handshake.hello(&self.identity)));
                    self.tell_stale(from, out);
                }
                _ => self.tell_stale(from, out),
            }
            return;
        }
        match head {
            Head::Hello(protocol) => self.on_hello(now, from, protocol, body, out),
            Head::Proof { nonce, proof } => self.on_proof(now, from, (nonce, proof), out),
            Head::Refusal(refusal) if linked.is_none() => {
                let why = HandshakeError::told(refusal, &self.identity);
                self.refuse(from, why, out);
            }
            Head::Over { session, why } => self.on_over(now, from, session, why, out),
            Head::Link { session, news, kind } if linked == Some(session) => {
                self.on_link_frame(now, from, (news, kind), body, out);
            }
            Head::Refusal(_) | Head::Link { .. } => self.counts.unproved += 1,
        }
    }

    fn on_hello(&mut self, now: Duration, from: Peer, protocol: Protocol, body: &[u8], out: &mut Out) {
        let identity = self.identity.clone();
        let Some(contact) = self.meet(now, from, out) else { return };
        if let Stage::Refused { answer } = &contact.stage {
            return out.frames.push((from, Lane::Control, answer.clone()));
        }
        let is_linked = contact.handshake.is_proved();
        match contact.handshake.on_hello(&identity, protocol, body) {
            Ok(Some(proof)) => out.frames.push((from, Lane::Control, proof)),
            Ok(None) => self.counts.malformed += 1,
            // Whoever has proved itself speaks our protocol: this is somebody else.
            Err(_) if is_linked => self.counts.unproved += 1,
            Err(why) => {
                out.frames.push((from, Lane::Control, why.frame()));
                self.refuse(from, why, out);
            }
        }
    }

    fn on_proof(&mut self, now: Duration, from: Peer, said: ([u8; 32], [u8; 32]), out: &mut Out) {
        let Some(contact) = self.contacts.get_mut(&from) else { return };
        if matches!(contact.stage, Stage::Refused { .. }) {
            return;
        }
        match contact.handshake.on_proof(&self.identity, said.0, said.1) {
            Ok(false) => {}
            Ok(true) => self.join(now, from, out),
            Err(why) => {
                out.frames.push((from, Lane::Control, why.frame()));
                self.refuse(from, why, out);
            }
        }
    }

    /// Whoever knows the session has proved itself by that: the word that it is over may come before any proof did.
    fn on_over(&mut self, now: Duration, from: Peer, said: u64, why: Over, out: &mut Out) {
        let Some(contact) = self.contacts.get(&from) else { return };
        let session = match &contact.stage {
            Stage::Greeting { .. } => contact.handshake.session(&self.identity),
            Stage::Refused { .. } => None,
            Stage::Linked(link) => Some(link.session()),
        };
        if session != Some(said) {
            return self.counts.unproved += 1;
        }
        if matches!(contact.stage, Stage::Greeting { .. }) {
            self.join(now, from, out);
        }
        self.bury(from, if why == Over::Left { Why::Left } else { Why::TakenForDead }, out);
    }

    fn on_link_frame(&mut self, now: Duration, from: Peer, said: (News, Kind), body: &[u8], out: &mut Out) {
        let contact = self.contacts.get_mut(&from).expect("it has a link");
        let Stage::Linked(link) = &mut contact.stage else { unreachable!("as above") };
        contact.member.heard(now);
        let mut outputs = Vec::new();
        let result = link.on_frame(now, said, body, &mut outputs);
        self.obey(from, outputs, out);
        match result {
            Ok(()) => self.arm(from),
            Err(violation) => self.bury(from, Why::Misbehaved(violation.0), out),
        }
    }

    /// The contact with a peer, who is greeted if it is new.
    fn meet(&mut self, now: Duration, peer: Peer, out: &mut Out) -> Option<&mut Contact> {
        if !self.contacts.contains_key(&peer) {
            if self.is_claim(peer) {
                self.counts.claims += 1;
                return None;
            }
            if peer == self.me || self.contacts.len() - self.joined.len() >= JOINING_MAX {
                self.counts.unproved += 1;
                return None;
            }
            let handshake = Handshake::new(self.me, peer, self.nonce(peer));
            out.frames.push((peer, Lane::Control, handshake.hello(&self.identity)));
            let stage = Stage::Greeting { again_at: now + HELLO_PAUSE, pause: HELLO_PAUSE };
            self.contacts.insert(peer, Contact { handshake, member: Member::new(now), stage, timer: None });
            self.arm(peer);
        }
        self.contacts.get_mut(&peer)
    }

    /// The peer has proved itself: it is this worker now, and its earlier lives are over.
    fn join(&mut self, now: Duration, peer: Peer, out: &mut Out) {
        let contact = self.contacts.get_mut(&peer).expect("it has been met");
        let session = contact.handshake.session(&self.identity).expect("its hello came before its proof");
        contact.stage = Stage::Linked(Box::new(Link::new(now, session, self.timing)));
        contact.member.heard(now);
        if let Some(before) = self.joined.get(&peer.worker).copied() {
            self.bury(before, Why::Replaced { by: peer.incarnation }, out);
        }
        let earlier: Vec<Peer> =
            self.contacts.range(Peer::lives(peer.worker)).map(|(life, _)| *life).collect();
        earlier.into_iter().filter(|life| *life < peer).for_each(|life| self.forget(life));
        self.joined.insert(peer.worker, peer);
        out.events.push(Event::Joined { peer });
        self.arm(peer);
    }

    /// Whether somebody else has, or had, the number under which this one comes.
    fn is_claim(&self, peer: Peer) -> bool {
        let is_other = |life: &Peer| *life != peer;
        let has_joined = self.joined.get(&peer.worker).is_some_and(is_other);
        let is_mine = self.me.worker == peer.worker && is_other(&self.me);
        self.is_one_life && (has_joined || is_mine || self.fences.contains_key(&peer.worker))
    }

    fn refuse(&mut self, peer: Peer, why: HandshakeError, out: &mut Out) {
        if let Some(contact) = self.contacts.get_mut(&peer)
            && matches!(contact.stage, Stage::Greeting { .. })
        {
            contact.stage = Stage::Refused { answer: why.frame() };
            out.events.push(Event::Refused { peer, why });
        }
    }

    /// The peer is gone, and stays gone.
    fn bury(&mut self, peer: Peer, why: Why, out: &mut Out) {
        let Some(link) = self.link(peer) else { return };
        let fence = Fence { incarnation: peer.incarnation, session: Secret(link.session()) };
        self.forget(peer);
        self.joined.remove(&peer.worker);
        if !planted!(zombie_accepted) {
            self.fences.insert(peer.worker, fence);
        }
        if why != Why::Left && why != Why::TakenForDead {
            self.tell_stale(peer, out);
        }
        out.events.push(Event::Gone { peer, why });
    }

    fn forget(&mut self, peer: Peer) {
        let contact = self.contacts.remove(&peer);
        if let Some(timer) = contact.and_then(|contact| contact.timer) {
            self.timers.remove(&(timer, peer));
        }
    }

    /// Whether this is a life that is over, or must be because a later one is here.
    fn is_stale(&self, peer: Peer) -> bool {
        let is_over =
            self.fences.get(&peer.worker).is_some_and(|fence| peer.incarnation <= fence.incarnation);
        is_over || self.joined.get(&peer.worker).is_some_and(|life| peer < *life)
    }

    /// Tells a life that is over that it is.
    fn tell_stale(&mut self, peer: Peer, out: &mut Out) {
        if let Some(fence) =
            self.fences.get(&peer.worker).filter(|fence| fence.incarnation == peer.incarnation)
        {
            let head = Head::Over { session: fence.session.0, why: Over::Fenced };
            out.frames.push((peer, Lane::Control, head.frame(&[])));
        }
    }

    fn link(&mut self, peer: Peer) -> Option<&mut Link> {
        match &mut self.contacts.get_mut(&peer)?.stage {
            Stage::Linked(link) => Some(link),
            Stage::Greeting { .. } | Stage::Refused { .. } => None,
        }
    }

    fn obey(&mut self, peer: Peer, outputs: Vec<Output>, out: &mut Out) {
        for output in outputs {
            match output {
                Output::Frame(lane, frame) => out.frames.push((peer, lane, frame)),
                Output::Message(bytes) => out.events.push(Event::Message { from: peer, bytes }),
                Output::Piece(piece) => out.events.push(Event::Bulk { from: peer, piece }),
            }
        }
    }

    /// Sees to it that the peer's timer is early enough. One that has become too early stays: then nothing is moved
    /// with every message.
    fn arm(&mut self, peer: Peer) {
        let Some(contact) = self.contacts.get_mut(&peer) else { return };
        let Some(deadline) = contact.deadline(&self.timing) else { return };
        if contact.timer.is_none_or(|timer| deadline < timer) {
            if let Some(timer) = contact.timer.replace(deadline) {
                self.timers.remove(&(timer, peer));
            }
            self.timers.insert((deadline, peer));
        }
    }

    /// The same for one life of a peer whenever it is asked: a peer that was met again is met as before.
    fn nonce(&self, peer: Peer) -> [u8; 32] {
        let name = postcard::to_allocvec(&(self.me, peer)).expect("numbers can be written");
        *blake3::keyed_hash(&self.entropy.0, &name).as_bytes()
    }

    /// Panics when what is known contradicts itself.
    pub fn check(&self) {
        for (peer, contact) in &self.contacts {
            let is_joined = self.joined.get(&peer.worker) == Some(peer);
            assert_eq!(matches!(contact.stage, Stage::Linked(_)), is_joined, "{peer}");
            assert!(!self.is_stale(*peer), "{peer} is gone and here");
            assert!(contact.timer.is_none_or(|timer| self.timers.contains(&(timer, *peer))));
            let deadline = contact.deadline(&self.timing);
            assert!(deadline.is_none_or(|deadline| contact.timer.is_some_and(|timer| timer <= deadline)));
            if let Stage::Linked(link) = &contact.stage {
                link.check();
            }
        }
        let timers = self.contacts.values().filter(|contact| contact.timer.is_some()).count();
        assert_eq!(self.timers.len(), timers);
    }
}
