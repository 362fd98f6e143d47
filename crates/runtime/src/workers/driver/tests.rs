//! What a worker may say, and what it may not: row N7 of the specification, each kind of message.

use super::*;
use crate::message::Outcome;
use crate::status::Doing;
use crate::workers::post::Post;
use poniard_model::{ChunkId, Worker};
use poniard_sched::{Message as Said, Report};
use poniard_store::refs::{Grant, Note};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Mutex;

thread_local! {
    /// What the driver of this test had its process do.
    static DONE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn done(what: String) {
    DONE.with_borrow_mut(|done| done.push(what));
}

const EXITS: Exits = Exits {
    tell: |input| done(format!("tells {input:?}")),
    met: |who, _| done(format!("{who} has met")),
    stays: |who, _| done(format!("{who} stays")),
    stop: |by| done(format!("stops by {by}")),
    cut_off: |who| done(format!("cuts {who} off")),
    perish: |who| done(format!("ends {who}")),
};

/// Keeps what was sent.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<(WorkerId, Message)>>);

impl Post for Sent {
    fn deliver(&self, to: WorkerId, letter: Vec<u8>) {
        let messages = Message::read_all(&letter).map(|message| (to, message.expect("it is a message")));
        self.0.lock().unwrap().extend(messages);
    }

    fn deliver_behind_large(&self, to: WorkerId, letter: Vec<u8>) {
        self.deliver(to, letter);
    }
}

fn heard(from: WorkerId, message: Message) -> Input {
    Input::Letter(from, message.encode())
}

fn member(worker: u32) -> Member {
    let worker = Worker { id: WorkerId(worker), node: "here".into(), labels: Vec::new() };
    Member { worker, processors: vec![ProcessorKind::Cpu], sample: (Vec::new(), None), line: None }
}

/// The driver of a worker that has met these others.
fn core(me: u32, others: &[u32]) -> (Core, Arc<Sent>) {
    let sent = Arc::new(Sent::default());
    let patience = Patience { no_worker: Duration::from_secs(60), grace: Duration::from_secs(5) };
    let mut core = Core::new(member(me), sent.clone(), patience, EXITS);
    for other in others {
        let peer = poniard_fabric::Peer::new(WorkerId(*other), 1);
        core.on(Input::Joined(peer.worker, SameBuild::of_joined(peer)));
        core.on(heard(peer.worker, Message::Hello(member(*other))));
    }
    core.post.deliver();
    sent.0.lock().unwrap().clear();
    DONE.with_borrow_mut(Vec::clear);
    (core, sent)
}

/// Which kind of message it is: a new one has a line here, and a case below.
fn kind(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "hello",
        Message::Sees => "sees",
        Message::Over(_) => "over",
        Message::Unreached(_) => "unreached",
        Message::Carried(..) => "carried",
        Message::Handles(_) => "handles",
        Message::Wants(_) => "wants",
        Message::Cancel(_) => "cancel",
        Message::Result(..) => "result",
        Message::Met(_) => "met",
        Message::Run { .. } => "run",
        Message::Done(..) => "done",
        Message::Drop(_) => "drop",
        Message::Begin(_) => "begin",
        Message::Scheduling(_) => "scheduling",
        Message::Asks(_) => "asks",
        Message::Answers(..) => "answers",
        Message::Leave => "leave",
        Message::Stays(_) => "stays",
        Message::Perish => "perish",
        Message::Stop => "stop",
    }
}
const KINDS: usize = 21;

/// Every kind of message, about things in which worker 3 has no part: a task and a chunk of worker 4, another worker's number.
fn out_of_role() -> Vec<Message> {
    let theirs = GlobalChunk { owner: WorkerId(4), chunk: ChunkId(7) };
    let unknown = GlobalChunk { owner: WorkerId(2), chunk: ChunkId(70) };
    let sending = Sending { task: TaskId(7), number: 1 };
    let grant = Grant { from: WorkerId(2), number: 1 };
    let ending = Ending::Made { bytes: 1, rest: Rest::Rides };
    let report = Report { sending, ending, ran: Duration::ZERO, kind: ProcessorKind::Cpu };
    let nothing = || Bytes::new(Vec::new(), Vec::new());
    let mut all = vec![
        Message::Hello(member(4)),
        Message::Sees,
        Message::Over(vec![1, 2, 3]),
        Message::Unreached(vec![1]),
        Message::Carried(1, vec![7]),
        Message::Cancel(unknown),
        Message::Cancel(theirs),
        Message::Result(theirs, Outcome::Made(nothing())),
        Message::Met(vec![WorkerId(1)]),
        Message::Run { number: 1, tasks: Vec::new() },
        Message::Done(report, Outcome::Made(nothing())),
        Message::Drop(vec![TaskId(7)]),
        Message::Begin(sending),
        Message::Answers(9, Doing::here()),
        Message::Answers(FAREWELL, Doing::here()),
        Message::Leave,
        Message::Stays(1),
        Message::Perish,
        Message::Stop,
    ];
    let notes = [Note::Hold(theirs, grant), Note::Release(theirs), Note::Redeemed(grant), Note::Gone(theirs)];
    all.extend(notes.map(Message::Handles));
    let said = [
        Said::Done(report),
        Said::Returned(vec![sending]),
        Said::Cancel(sending),
        Said::Busy { ask: 3 },
        Said::Located { result: TaskId(7), at: Vec::new() },
        Said::Unobtainable { result: TaskId(7) },
        Said::Parted,
        Said::Noted,
    ];
    all.extend(said.map(Message::Scheduling));
    all
}

#[test]
fn n07_what_is_not_a_workers_to_say_has_no_effect() {
    let (mut core, sent) = core(2, &[1, 3, 4]);
    let mut kinds = BTreeSet::new();
    for message in out_of_role() {
        kinds.insert(kind(&message));
        let told = format!("{message:?}");
        core.on(heard(WorkerId(3), message));
        core.post.deliver();
        let said: Vec<_> = std::mem::take(&mut *sent.0.lock().unwrap());
        assert!(said.is_empty(), "{told} makes this one say {said:?}");
        DONE.with_borrow(|done| assert!(done.is_empty(), "{told} makes this one do {done:?}"));
    }
    // Questions are answered: to who asks, and to nobody else. What is not there, or not his, is said not to be.
    let theirs = GlobalChunk { owner: WorkerId(4), chunk: ChunkId(7) };
    let need = Said::Need { result: TaskId(70), tried: Vec::new() };
    let started = Said::Started(Sending { task: TaskId(7), number: 1 });
    let recall = Said::Recall(vec![Sending { task: TaskId(7), number: 1 }]);
    for (question, answer) in [
        (Message::Wants(theirs), "result"),
        (Message::Asks(5), "answers"),
        (Message::Scheduling(need), "scheduling"),
        (Message::Scheduling(recall), "scheduling"),
        // It may begin what nobody here knows: it has to have that first.
        (Message::Scheduling(started), "begin"),
    ] {
        kinds.insert(kind(&question));
        let told = format!("{question:?}");
        core.on(heard(WorkerId(3), question));
        core.post.deliver();
        let said: Vec<_> = std::mem::take(&mut *sent.0.lock().unwrap());
        let told_to: Vec<_> = said.iter().map(|(to, message)| (*to, kind(message))).collect();
        assert_eq!(told_to, [(WorkerId(3), answer)], "{told}");
    }
    assert_eq!(kinds.len(), KINDS, "every kind is tried: {kinds:?}");
    assert_eq!(core.met, [WorkerId(1), WorkerId(3), WorkerId(4)]);
}

#[test]
fn a_result_that_nobody_wants_is_dropped_where_it_stayed_and_who_has_none_says_so() {
    let (mut core, sent) = core(1, &[2, 3]);
    let sending = Sending { task: TaskId(7), number: 1 };
    let ending = Ending::Made { bytes: 1 << 20, rest: Rest::Stays };
    let report = Report { sending, ending, ran: Duration::ZERO, kind: ProcessorKind::Cpu };
    core.on(heard(WorkerId(2), Message::Done(report, Outcome::Elsewhere)));
    // Of a task of worker 2, which says that this one has what it made.
    let theirs = GlobalChunk { owner: WorkerId(2), chunk: ChunkId(7) };
    core.on(heard(WorkerId(3), Message::Wants(theirs)));
    core.post.deliver();
    let sent = sent.0.lock().unwrap();
    let [(WorkerId(2), Message::Drop(tasks)), (WorkerId(3), Message::Result(of, Outcome::Elsewhere))] =
        &sent[..]
    else {
        panic!("{sent:?}");
    };
    assert_eq!((tasks.as_slice(), *of), (&[TaskId(7)][..], theirs));
}

#[test]
fn n07_worker_1_ends_others_and_one_may_have_itself_ended() {
    let (mut second, _) = core(2, &[1, 3]);
    second.on(heard(WorkerId(1), Message::Stop));
    DONE.with_borrow(|done| assert_eq!(done.as_slice(), ["stops by w1"]));
    let (mut first, _) = core(1, &[2, 3]);
    first.on(heard(WorkerId(3), Message::Perish));
    first.on(heard(WorkerId(3), Message::Stop));
    first.on(heard(WorkerId(3), Message::Leave));
    DONE.with_borrow(|done| assert_eq!(done.as_slice(), ["ends w3"]));
}
