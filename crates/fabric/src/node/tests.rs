//! Two processes, and what they make of frames that somebody else has written.

use super::*;
use crate::chance::Chance;
use crate::frame::Refusal;
use crate::handshake::{Build, Token};

const A: Peer = Peer { worker: WorkerId(1), incarnation: 5 };
const B: Peer = Peer { worker: WorkerId(2), incarnation: 6 };

fn node(me: Peer) -> Node {
    let identity = Identity { build: Build([1; 32]), token: Token::new([2; 32]) };
    Node::new(me, identity, Timing::DEFAULT, [me.worker.0 as u8; 32])
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Gives what one has to send to the other, and the other way round, until there is nothing left. Returns what happened.
fn exchange(now: Duration, nodes: &mut [Node; 2], mut frames: Vec<(usize, Vec<u8>)>) -> Vec<(Peer, Event)> {
    let mut events = Vec::new();
    while let Some((to, frame)) = frames.pop() {
        let from = nodes[1 - to].me();
        let mut out = Out::default();
        nodes[to].on_engine(now, EngineEvent::Frame { from, lane: Lane::Control, frame }, &mut out);
        nodes[to].check();
        frames.extend(out.frames.into_iter().map(|(_, _, frame)| (1 - to, frame)));
        events.extend(out.events.into_iter().map(|event| (nodes[to].me(), event)));
    }
    events
}

fn pair() -> [Node; 2] {
    let mut nodes = [node(A), node(B)];
    let mut out = Out::default();
    nodes[0].on_engine(s(0.0), EngineEvent::Up(B), &mut out);
    let frames = out.frames.into_iter().map(|(_, _, frame)| (1, frame)).collect();
    let events = exchange(s(0.0), &mut nodes, frames);
    assert_eq!(events.len(), 2, "{events:?}");
    nodes
}

#[test]
fn before_a_peer_has_proved_itself_nothing_large_is_read_and_nothing_is_believed() {
    let mut node = node(A);
    let mut out = Out::default();
    let mut put = |frame: Vec<u8>| {
        node.on_engine(s(1.0), EngineEvent::Frame { from: B, lane: Lane::Control, frame }, &mut out);
        (node.counts().malformed, node.counts().unproved)
    };
    assert_eq!(put(vec![0; HANDSHAKE_BYTES_MAX + 1]), (1, 0));
    let (news, kind) = (News::default(), Kind::Data { lane: Lane::Control, number: 0 });
    assert_eq!(put(Head::Link { session: 0, news, kind }.frame(b"x")), (1, 1));
    put(Head::Over { session: 0, why: Over::Left }.frame(&[]));
    put(Head::Refusal(Refusal::Token).frame(&[]));
    put(Head::Proof { nonce: [0; 32], proof: [0; 32] }.frame(&[]));
    assert_eq!((out.events, out.frames.len()), (Vec::new(), 0));
    assert_eq!(node.state(B), None);
}

#[test]
fn a_flood_of_strangers_is_bounded() {
    let mut node = node(A);
    let mut out = Out::default();
    for worker in 0..2 * JOINING_MAX as u32 {
        node.on_engine(s(1.0), EngineEvent::Up(Peer::new(10 + worker, 1)), &mut out);
    }
    assert_eq!((node.contacts.len(), out.frames.len()), (JOINING_MAX, JOINING_MAX));
}

#[test]
fn who_says_what_no_peer_says_is_gone_and_the_word_of_a_stranger_counts_nothing() {
    let mut nodes = pair();
    let session = nodes[0].link(B).unwrap().session();
    let lie = |session| {
        let news = News { control: 9, ..News::default() };
        Head::Link { session, news, kind: Kind::News }.frame(&[])
    };
    assert_eq!(exchange(s(1.0), &mut nodes, vec![(0, lie(session + 1))]), []);
    let events = exchange(s(1.0), &mut nodes, vec![(0, lie(session))]);
    let why = Why::Misbehaved("acknowledges what was not sent");
    assert_eq!(events[0], (A, Event::Gone { peer: B, why }));
    assert_eq!(events[1], (B, Event::Gone { peer: A, why: Why::TakenForDead }));
}

#[test]
fn flipped_bits_of_real_frames_never_panic() {
    for seed in 0..300 {
        let (mut chance, mut nodes) = (Chance::new(seed), pair());
        for step in 0..20 {
            let mut out = Out::default();
            nodes[0].send(s(f64::from(step)), B, vec![7; chance.below(300) as usize], &mut out).ok();
            nodes[0].on_time(s(f64::from(step) + 0.5), &mut out);
            let mut frames: Vec<_> = out.frames.into_iter().map(|(_, _, frame)| (1, frame)).collect();
            for (_, frame) in &mut frames {
                let bit = chance.below(8 * frame.len() as u64) as usize;
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            exchange(s(f64::from(step) + 0.5), &mut nodes, frames);
        }
    }
}

#[test]
fn who_is_heard_and_does_not_answer_is_worth_a_new_connection() {
    let mut nodes = pair();
    let mut wanted = 0;
    for step in 1..=28 {
        let now = s(f64::from(step) * 0.5);
        // What A says does not arrive, what B says does.
        let mut out = Out::default();
        nodes[0].on_time(now, &mut out);
        wanted += out.renew.len();
        let mut out = Out::default();
        nodes[1].on_time(now, &mut out);
        for (_, lane, frame) in out.frames {
            nodes[0].on_engine(now, EngineEvent::Frame { from: B, lane, frame }, &mut Out::default());
        }
    }
    // Asked four times in a lease of 5 s, and looked at as often: unanswered for 5 s twice in 14 s.
    assert_eq!((nodes[0].state(B), wanted), (Some(State::Alive), 2));
}

#[test]
fn n07_who_claims_the_number_of_another_is_not_answered_whatever_he_has() {
    let mut nodes = pair().map(Node::with_one_life_each);
    let claim = |at: &mut Node, who: Peer| {
        let mut out = Out::default();
        let greeting = Handshake::new(who, at.me(), [9; 32]).hello(&node(who).identity);
        at.on_engine(s(1.0), EngineEvent::Up(who), &mut out);
        at.on_engine(
            s(1.0),
            EngineEvent::Frame { from: who, lane: Lane::Control, frame: greeting },
            &mut out,
        );
        at.check();
        (out.frames.len(), out.events.len(), at.counts().claims)
    };
    let again = |peer: Peer| Peer { incarnation: peer.incarnation + 1, ..peer };
    // He has the token; and comes as a worker that is here, as the one to which he speaks, and as one that was here.
    assert_eq!(claim(&mut nodes[0], again(B)), (0, 0, 2));
    assert_eq!(claim(&mut nodes[0], again(A)), (0, 0, 4));
    assert!(nodes[0].state(B).is_some_and(|state| state != State::Gone), "that one is here as before");
    let mut out = Out::default();
    nodes[0].dismiss(s(1.5), B, &mut out);
    assert_eq!(claim(&mut nodes[0], again(B)), (0, 0, 6));
    // Under a number of his own he is somebody.
    assert_ne!(claim(&mut nodes[0], Peer { worker: WorkerId(3), incarnation: 1 }).0, 0);
    // Elsewhere a number may have several lives.
    let [mut first, _] = pair();
    assert_ne!(claim(&mut first, again(B)).0, 0);
}
