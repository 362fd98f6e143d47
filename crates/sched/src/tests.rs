//! Single laws, told in a few events each.

use crate::*;
use poniard_model::{ProcessorKind, Scope, TaskId, Worker, WorkerId};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn life(worker: u32) -> Life {
    Life { worker: WorkerId(worker), incarnation: 0 }
}

/// Worker 1, and what it has last been told to do.
struct Owner {
    scheduler: Scheduler,
    now: Duration,
    actions: Vec<Action>,
    /// Tasks in its pool.
    queued: u64,
}

impl Owner {
    /// With workers 2 to `workers`, of one processor each.
    fn among(workers: u32) -> Owner {
        let scheduler = Scheduler::new(Config::new(life(1), "here".into(), 1));
        let mut owner = Owner { scheduler, now: Duration::ZERO, actions: Vec::new(), queued: 0 };
        (2..=workers).for_each(|worker| owner.join(life(worker)));
        owner
    }

    fn tell(&mut self, event: Event) -> &[Action] {
        self.now += MS;
        self.actions.clear();
        self.scheduler.on_event(self.now, event, &mut self.actions);
        self.scheduler.check();
        let is_here = |action: &&Action| matches!(action, Action::RunHere { .. });
        self.queued += self.actions.iter().filter(is_here).count() as u64;
        &self.actions
    }

    fn join(&mut self, life: Life) {
        let worker = Worker { id: life.worker, node: "there".into(), labels: Vec::new() };
        self.tell(Event::Joined { life, worker, processors: vec![ProcessorKind::Cpu] });
    }

    fn hear(&mut self, from: Life, message: Message) -> &[Action] {
        self.tell(Event::Message { from, message })
    }

    fn ready(&mut self, spec: Spec) -> &[Action] {
        self.tell(Event::Ready { specs: vec![spec], queued: self.queued })
    }

    /// To whom the task was sent last, and which sending that was.
    fn sent(&self, task: TaskId) -> Option<(Life, Sending)> {
        self.actions.iter().find_map(|action| match action {
            Action::Send { to, message: Message::Run { orders, .. } } => {
                let order = orders.iter().find(|order| order.sending.task == task)?;
                Some((*to, order.sending))
            }
            _ => None,
        })
    }

    fn idle_processors_of(&self, worker: u32) -> u32 {
        let peers = self.scheduler.status().peers;
        peers.iter().find(|peer| peer.life.worker == WorkerId(worker)).unwrap().idle
    }
}

fn spec(task: u64) -> Spec {
    Spec::new(TaskId(task), FunctionKey(1))
}

fn elsewhere(task: u64) -> Spec {
    let wishes = Wishes { scope: Some(!Scope::worker(1)), ..Wishes::default() };
    Spec { wishes, ..spec(task) }
}

fn report(sending: Sending, rest: Rest) -> Message {
    let ending = Ending::Made { bytes: 100, rest };
    Message::Done(Report { sending, ending, ran: MS, kind: ProcessorKind::Cpu })
}

#[test]
pub(crate) fn an_old_word_of_work_does_not_end_a_newer_wish() {
    let mut owner = Owner::among(2);
    owner.hear(life(2), Message::Idle { ask: 1, processors: 1 });
    owner.hear(life(2), Message::Busy { ask: 1 });
    assert_eq!(owner.idle_processors_of(2), 0);
    owner.hear(life(2), Message::Idle { ask: 2, processors: 1 });
    owner.hear(life(2), Message::Busy { ask: 1 });
    owner.hear(life(2), Message::Idle { ask: 1, processors: 1 });
    assert_eq!(owner.idle_processors_of(2), 1);
    assert_eq!(owner.scheduler.counters().repeated_messages, 2);
}

#[test]
pub(crate) fn who_asked_in_vain_is_served_when_there_is_work_and_never_asks_again() {
    let mut owner = Owner::among(2);
    let asked = owner.hear(life(2), Message::Idle { ask: 1, processors: 1 }).to_vec();
    assert!(matches!(asked[..], [Action::Take(_)]), "{asked:?}");
    assert_eq!(owner.tell(Event::Offered { specs: Vec::new(), queued: 0 }), []);
    owner.tell(Event::Offered { specs: vec![spec(1)], queued: 3 });
    assert_eq!(owner.sent(TaskId(1)).unwrap().0, life(2));
}

/// Upstream ran 24 of 24 on the first process of eight.
#[test]
fn tasks_that_may_run_anywhere_are_spread_by_load() {
    let mut owner = Owner::among(8);
    for task in 1..=24 {
        owner.ready(spec(task));
    }
    let status = owner.scheduler.status();
    assert!(status.peers.iter().all(|peer| (2..=4).contains(&peer.tasks)), "{:?}", status.peers);
}

/// Upstream added seconds to nanoseconds, so that bytes weighed nothing.
#[test]
fn a_task_goes_to_its_bytes_until_waiting_there_takes_longer_than_moving_them() {
    let mut owner = Owner::among(3);
    let mut to = Vec::new();
    for task in 1..=20 {
        // 10 MB are 10 ms away from anywhere else.
        let input = Input { result: None, bytes: 10_000_000, at: vec![WorkerId(3)], reach: Reach::Anywhere };
        owner.ready(Spec { inputs: vec![input], time: Some(MS), ..elsewhere(task) });
        to.push(owner.sent(TaskId(task)).unwrap().0.worker.0);
    }
    assert_eq!(to[..9], [3; 9], "{to:?}");
    assert!(to[9..].contains(&2), "{to:?}");
}

#[test]
fn what_nothing_ever_fitted_fails_at_once_and_says_what_cut_it() {
    let mut owner = Owner::among(2);
    let wishes = Wishes { single: Some(WorkerId(2)), scope: Some(Scope::worker(1)), ..Wishes::default() };
    let actions = owner.ready(Spec { wishes, ..spec(1) });
    let [Action::Fail { why, .. }, Action::Forget(_)] = actions else { panic!("{actions:?}") };
    assert_eq!(
        why.to_string(),
        "no processor fits scope `worker 1 & worker 2`: there are w1/cpu0 on node `here` with no labels, w2/cpu0 \
         on node `there` with no labels; `worker 1` cut w2/cpu0; `worker 2` cut the last candidates w1/cpu0"
    );
}

#[test]
fn what_fitted_one_that_is_gone_waits_for_another_and_not_for_ever() {
    let mut owner = Owner::among(2);
    owner.tell(Event::Gone { life: life(2), signal: None });
    owner.ready(elsewhere(1));
    assert_eq!(owner.actions, [Action::WakeAt(owner.now + Duration::from_secs(60))]);
    let why = owner.scheduler.explain(owner.now + Duration::from_secs(3), TaskId(1)).to_string();
    assert!(why.starts_with("waits since 3.0 s for a worker, 60.0 s at most: no processor fits"), "{why}");
    owner.join(life(3));
    assert_eq!(owner.sent(TaskId(1)).unwrap().0, life(3));
    owner.tell(Event::Gone { life: life(3), signal: None });
    owner.now += Duration::from_secs(60);
    let actions = owner.tell(Event::Tick);
    assert!(matches!(actions[0], Action::Fail { why: Failure::NoWorkers { .. }, .. }), "{actions:?}");
}

#[test]
pub(crate) fn who_kills_three_workers_fails_with_their_signals_and_others_do_not() {
    let mut owner = Owner::among(2);
    owner.ready(elsewhere(1));
    owner.ready(elsewhere(2));
    for incarnation in 0..3 {
        let on = Life { worker: WorkerId(2), incarnation };
        if incarnation > 0 {
            owner.join(on);
            let sent = owner.sent(TaskId(1)).expect("it is tried again");
            assert_eq!(sent.0, on);
            let other = owner.sent(TaskId(2));
            owner.hear(on, Message::Started(sent.1));
            // The other one is done before the killer strikes.
            if let Some((_, sending)) = other {
                owner.hear(on, report(sending, Rest::Rides));
            }
        }
        owner.tell(Event::Gone { life: on, signal: Some(11) });
    }
    let fails = |action: &&Action| matches!(action, Action::Fail { .. });
    let [Action::Fail { task, why }] = owner.actions.iter().filter(fails).collect::<Vec<_>>()[..] else {
        panic!("{:?}", owner.actions)
    };
    let by = "by signal 11 (a wrong address or a full stack: too deep a recursion)";
    let text = format!("3 workers died while they ran it: w2 {by}, w2#1 {by}, w2#2 {by}");
    assert_eq!((*task, why.to_string()), (TaskId(1), text));
    assert_eq!(owner.scheduler.counters().killers, 1);
    assert_eq!(owner.scheduler.explain(owner.now, TaskId(2)), Why::Made { at: vec![WorkerId(1)] });
}

/// Two quarantined tasks at one worker would wait for each other for ever.
#[test]
fn a_suspect_does_not_wait_for_one_that_waits_for_its_result() {
    let mut owner = Owner::among(1);
    let life = |incarnation| Life { worker: WorkerId(2), incarnation };
    owner.join(life(0));
    owner.ready(elsewhere(1));
    let reads = Input { result: Some(TaskId(1)), bytes: 8, at: Vec::new(), reach: Reach::Anywhere };
    let sending = owner.sent(TaskId(1)).unwrap().1;
    owner.hear(life(0), report(sending, Rest::Stays));
    owner.ready(Spec { inputs: vec![reads], ..elsewhere(2) });
    // Neither is ever known to have started: both come into doubt.
    for incarnation in 0..5 {
        owner.tell(Event::Gone { life: life(incarnation), signal: None });
        owner.join(life(incarnation + 1));
        let (_, sending) = owner.sent(TaskId(1)).expect("the input first");
        if incarnation >= 2 {
            owner.hear(life(incarnation + 1), report(sending, Rest::Stays));
            assert!(owner.sent(TaskId(2)).is_some());
        }
        if incarnation == 3 {
            break;
        }
    }
    let last = life(4);
    owner.tell(Event::Dropped { result: TaskId(1), by: last });
    owner.hear(last, Message::Need { result: TaskId(1), tried: vec![last] });
    assert_eq!(owner.sent(TaskId(1)).expect("not behind the one that needs it").0, last);
}

#[test]
fn a_report_of_an_earlier_sending_is_dropped_and_counted() {
    let mut owner = Owner::among(2);
    owner.ready(elsewhere(1));
    let (first, sending) = owner.sent(TaskId(1)).unwrap();
    owner.tell(Event::Gone { life: first, signal: None });
    let next = Life { incarnation: 1, ..first };
    owner.join(next);
    let again = owner.sent(TaskId(1)).unwrap();
    assert_eq!((again.0, again.1.number), (next, 2));
    assert_eq!(owner.hear(first, report(sending, Rest::Stays)), []);
    assert_eq!(owner.hear(next, report(sending, Rest::Stays)), []);
    let counters = owner.scheduler.counters();
    assert_eq!((counters.stale_messages, counters.late_reports, counters.run_again), (1, 1, 1));
    assert!(matches!(owner.hear(next, report(again.1, Rest::Stays))[0], Action::Complete { attempt: 2, .. }));
    assert_eq!(owner.hear(next, report(again.1, Rest::Stays)), []);
}

#[test]
fn a_lost_result_is_made_again_when_somebody_needs_it_and_its_inputs_before_it() {
    let mut owner = Owner::among(3);
    for task in 1..=3 {
        let mut spec = elsewhere(task);
        spec.wishes.scope = Some(Scope::worker(2) | Scope::worker(3));
        let reads = (task > 1).then(|| TaskId(task - 1));
        spec.inputs.extend(reads.map(|result| Input {
            result: Some(result),
            bytes: 100_000_000,
            at: Vec::new(),
            reach: Reach::Anywhere,
        }));
        owner.ready(spec);
        let (on, sending) = owner.sent(TaskId(task)).unwrap();
        assert_eq!(on, life(2), "each is where its input is");
        owner.hear(on, report(sending, Rest::Stays));
    }
    owner.tell(Event::Released(TaskId(1)));
    owner.tell(Event::Released(TaskId(2)));
    let lost = owner.tell(Event::Gone { life: life(2), signal: Some(9) }).to_vec();
    assert_eq!(lost, [], "nobody needs it yet");
    owner.tell(Event::Missing { owner: WorkerId(1), result: TaskId(3), tried: vec![life(2)] });
    let text = owner.scheduler.explain(owner.now, TaskId(3)).to_string();
    assert_eq!(text, "waits for t2, which workers that are gone had made");
    for task in 1..=3 {
        let (on, sending) = owner.sent(TaskId(task)).expect("one after the other");
        assert_eq!((on, sending.number), (life(3), 2));
        owner.hear(on, report(sending, Rest::Stays));
    }
    let located = Action::Located { owner: WorkerId(1), result: TaskId(3), at: vec![life(3)] };
    assert_eq!(owner.actions[0], located);
    assert_eq!(owner.actions[1..], [Action::Free(TaskId(2))], "it was made only for t3");
    assert_eq!(owner.scheduler.counters().made_again, 3);
}

#[test]
fn what_lived_on_a_lost_worker_alone_is_lost() {
    let mut owner = Owner::among(2);
    owner.tell(Event::Gone { life: life(2), signal: None });
    owner.join(Life { incarnation: 1, ..life(2) });
    let reach = Reach::Pinned(life(2));
    let input = Input { result: None, bytes: 8, at: vec![WorkerId(2)], reach };
    let actions = owner.ready(Spec { inputs: vec![input], ..spec(1) });
    assert!(matches!(actions[0], Action::Fail { why: Failure::StateLost { .. }, .. }), "{actions:?}");
}

#[test]
fn a_cancelled_task_ends_at_once_and_its_report_is_late() {
    let mut owner = Owner::among(2);
    owner.ready(elsewhere(1));
    let (on, sending) = owner.sent(TaskId(1)).unwrap();
    let actions = owner.tell(Event::Cancel(TaskId(1))).to_vec();
    assert_eq!(actions[0], Action::Send { to: on, message: Message::Cancel(sending) });
    assert!(matches!(actions[1], Action::Complete { ending: Ending::Cancelled, .. }), "{actions:?}");
    assert_eq!(owner.tell(Event::Cancel(TaskId(1))), []);
    assert_eq!(owner.hear(on, report(sending, Rest::Rides)), []);
    assert_eq!(owner.scheduler.counters().late_reports, 1);
}

#[test]
fn specs_kept_for_others_are_bounded() {
    let mut owner = Owner::among(2);
    let count = 70_000;
    for task in 1..=count {
        let reads = (task > 1).then(|| TaskId(task - 1));
        let mut spec = elsewhere(task);
        spec.inputs.extend(reads.map(|result| Input {
            result: Some(result),
            bytes: 8,
            at: Vec::new(),
            reach: Reach::Anywhere,
        }));
        let mut out = Vec::new();
        owner.scheduler.on_event(owner.now, Event::Ready { specs: vec![spec], queued: 0 }, &mut out);
        let message = report(Sending { task: TaskId(task), number: 1 }, Rest::Stays);
        owner.scheduler.on_event(owner.now, Event::Message { from: life(2), message }, &mut out);
        let last = TaskId(task.saturating_sub(1));
        owner.scheduler.on_event(owner.now, Event::Released(last), &mut out);
    }
    owner.scheduler.check();
    let status = owner.scheduler.status();
    assert!(status.known <= (1 << 16) + 2, "{}", status.known);
    assert_eq!(status.counters.forgotten, count - 1 - (1 << 16));
    // The whole chain that is left is made again, without recursion, or said to be impossible.
    owner.tell(Event::Gone { life: life(2), signal: None });
    let result = TaskId(count);
    let actions = owner.tell(Event::Missing { owner: WorkerId(1), result, tried: vec![life(2)] });
    assert!(actions.contains(&Action::Unobtainable { owner: WorkerId(1), result }));
}

#[test]
fn an_idle_worker_gets_its_share_of_the_queue_and_never_more_than_asked() {
    let take = |theirs, ours, at_most| Take { to: vec![WorkerId(2)], theirs, ours, at_most };
    assert_eq!(take(1, 1, 100).amount(10), 5);
    assert_eq!(take(1, 1, 100).amount(1), 1);
    assert_eq!(take(1, 3, 100).amount(10), 3);
    assert_eq!(take(1, 1, 4).amount(10), 4);
    assert_eq!(take(3, 1, 100).amount(0), 0);
    assert_eq!(Take { to: Vec::new(), theirs: 0, ours: 1, at_most: 9 }.amount(10), 0);
}

/// Most tasks of a tree are leaves. What lies coldest are its branches, each as long as all that follow together.
#[test]
fn of_a_tree_an_idle_worker_gets_one_branch_at_a_time_and_of_a_loop_many_tasks() {
    let asked = |times: [u64; 5]| {
        let mut owner = Owner::among(2);
        for (ask, ran) in (1..).zip(times.map(Duration::from_millis)) {
            owner.hear(life(2), Message::Idle { ask, processors: 1 });
            owner.tell(Event::Offered { specs: vec![spec(ask)], queued: 0 });
            let (_, sending) = owner.sent(TaskId(ask)).unwrap();
            let ending = Ending::Made { bytes: 8, rest: Rest::Rides };
            let report = Report { sending, ending, ran, kind: ProcessorKind::Cpu };
            owner.hear(life(2), Message::Done(report));
        }
        owner.hear(life(2), Message::Idle { ask: 6, processors: 1 });
        owner.tell(Event::Offered { specs: vec![spec(6)], queued: 9 });
        let actions = owner.hear(life(2), Message::Idle { ask: 7, processors: 1 });
        let take = actions.iter().find_map(|action| match action {
            Action::Take(take) => Some(take.at_most),
            _ => None,
        });
        take.unwrap()
    };
    assert_eq!(asked([128, 64, 32, 16, 8]), 1);
    assert_eq!(asked([1, 1, 128, 1, 1]), 100, "one of them has waited for something");
    assert_eq!(asked([1; 5]), 100);
}

/// A process with this patience, which is among workers 1 to 3 as worker 3.
fn executor(grace: Duration) -> Owner {
    let config = Config { grace: Some(grace), ..Config::new(life(3), "here".into(), 1) };
    let scheduler = Scheduler::new(config);
    let mut executor = Owner { scheduler, now: Duration::ZERO, actions: Vec::new(), queued: 0 };
    (1..=2).for_each(|worker| executor.join(life(worker)));
    executor
}

/// A task of worker 1 comes, and is cancelled. Gives which sending it was.
fn come_and_cancel(executor: &mut Owner, task: u64) -> Sending {
    let sending = Sending { task: TaskId(task), number: 1 };
    let order = Order { sending, attempt: 1, expected_ns: None, is_watched: false };
    executor.hear(life(1), Message::Run { number: task, orders: vec![order] });
    let actions = executor.hear(life(1), Message::Cancel(sending)).to_vec();
    assert!(actions.contains(&Action::Stop { owner: WorkerId(1), task: TaskId(task) }), "{actions:?}");
    sending
}

/// Time passes until something is to be looked at.
fn tick(executor: &mut Owner, after: Duration) -> Vec<Action> {
    executor.now += after;
    executor.tell(Event::Tick).to_vec()
}

#[test]
fn a_process_whose_cancelled_task_keeps_a_processor_tells_everybody_and_then_ends() {
    let mut executor = executor(100 * MS);
    let sending = come_and_cancel(&mut executor, 1);
    let look = Action::Look { owner: WorkerId(1), sending };
    assert!(!tick(&mut executor, 90 * MS).contains(&look), "it has time left");
    assert!(tick(&mut executor, 20 * MS).contains(&look));
    let stuck = |keeps_processor| Event::Stuck { owner: WorkerId(1), sending, keeps_processor };
    let actions = executor.tell(stuck(false)).to_vec();
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Perish | Action::Send { .. })),
        "{actions:?}"
    );
    assert!(tick(&mut executor, 110 * MS).contains(&look), "it is looked at once more");
    let actions = executor.tell(stuck(true)).to_vec();
    for peer in [1, 2] {
        assert!(
            actions.contains(&Action::Send { to: life(peer), message: Message::Perishing }),
            "{actions:?}"
        );
    }
    assert!(!executor.hear(life(1), Message::Noted).contains(&Action::Perish), "not all have heard of it");
    assert!(executor.hear(life(2), Message::Noted).contains(&Action::Perish));
    assert!(!tick(&mut executor, 5_000 * MS).contains(&Action::Perish), "once");
    assert_eq!(executor.scheduler.counters().stuck, 1);
}

#[test]
fn a_process_does_not_wait_for_ever_for_those_who_should_hear_that_it_ends() {
    let mut executor = executor(10 * MS);
    let sending = come_and_cancel(&mut executor, 1);
    tick(&mut executor, 20 * MS);
    executor.tell(Event::Stuck { owner: WorkerId(1), sending, keeps_processor: true });
    assert!(!tick(&mut executor, 1_900 * MS).contains(&Action::Perish));
    assert!(tick(&mut executor, 200 * MS).contains(&Action::Perish));
}

#[test]
fn nothing_is_looked_at_that_has_stopped_was_not_cancelled_or_runs_where_nobody_is_ended() {
    let is_look = |action: &Action| matches!(action, Action::Look { .. });
    let mut executor = executor(10 * MS);
    let sending = come_and_cancel(&mut executor, 1);
    executor.tell(Event::Stopped { owner: WorkerId(1), sending });
    assert!(!tick(&mut executor, 1_000 * MS).iter().any(is_look), "it has stopped");
    let late = executor.tell(Event::Stuck { owner: WorkerId(1), sending, keeps_processor: true });
    assert!(late.is_empty(), "{late:?}");
    // Its owner is gone: it is told to stop, and nobody has cancelled it.
    let order = |task| {
        let sending = Sending { task: TaskId(task), number: 1 };
        Order { sending, attempt: 1, expected_ns: None, is_watched: false }
    };
    executor.hear(life(2), Message::Run { number: 1, orders: vec![order(7)] });
    let actions = executor.tell(Event::Gone { life: life(2), signal: None }).to_vec();
    assert!(actions.contains(&Action::Stop { owner: WorkerId(2), task: TaskId(7) }), "{actions:?}");
    assert!(!tick(&mut executor, 1_000 * MS).iter().any(is_look), "it was not cancelled");
    // Worker 1 is the user's own process.
    let mut first = Owner::among(2);
    first.hear(life(2), Message::Run { number: 1, orders: vec![order(7)] });
    first.hear(life(2), Message::Cancel(order(7).sending));
    assert!(!tick(&mut first, 3_600_000 * MS).iter().any(is_look), "it is never ended");
}

#[test]
pub(crate) fn who_is_ended_for_one_task_is_held_against_none_of_the_others() {
    let mut owner = Owner::among(5);
    owner.ready(elsewhere(1));
    // It is on four of them in turn, and each is ended on purpose meanwhile.
    for ended in 1..=4 {
        let (on, _) = owner.sent(TaskId(1)).unwrap();
        let said = owner.hear(on, Message::Perishing).to_vec();
        assert!(said.contains(&Action::Send { to: on, message: Message::Noted }), "{said:?}");
        owner.tell(Event::Gone { life: on, signal: Some(9) });
        assert_eq!(owner.scheduler.counters().run_again, ended);
    }
    let why = owner.scheduler.explain(owner.now, TaskId(1));
    assert!(matches!(why, Why::Homeless { .. }), "{why:?}");
    assert_eq!(owner.scheduler.counters().killers, 0);
}

#[test]
fn nothing_is_sent_to_a_process_that_is_about_to_end() {
    let mut owner = Owner::among(3);
    owner.hear(life(2), Message::Perishing);
    for task in 1..=6 {
        owner.ready(elsewhere(task));
        assert_eq!(owner.sent(TaskId(task)).unwrap().0, life(3));
    }
    assert_eq!(owner.hear(life(2), Message::Idle { ask: 1, processors: 1 }), []);
}

#[test]
fn n07_nobody_else_than_its_executor_says_what_becomes_of_a_task() {
    let mut owner = Owner::among(3);
    let wishes = Wishes { scope: Some(Scope::worker(2)), ..Wishes::default() };
    owner.ready(Spec { wishes, ..spec(1) });
    let (on, sending) = owner.sent(TaskId(1)).unwrap();
    assert_eq!(on, life(2));
    let (result, at) = (TaskId(1), vec![life(3)]);
    for message in [
        Message::Started(sending),
        report(sending, Rest::Stays),
        report(sending, Rest::Rides),
        Message::Returned(vec![sending]),
        Message::Cancel(sending),
        Message::Located { result, at },
        Message::Unobtainable { result },
        Message::Parted,
        Message::Noted,
    ] {
        assert_eq!(owner.hear(life(3), message.clone()), [], "{message:?}");
        let why = owner.scheduler.explain(owner.now, TaskId(1));
        assert!(
            matches!(why, Why::Away { on, is_started: false, .. } if on == life(2)),
            "{message:?}: {why:?}"
        );
    }
    // Nor does one whose life is over, under the same number.
    let earlier = Life { worker: WorkerId(2), incarnation: 7 };
    assert_eq!(owner.hear(earlier, report(sending, Rest::Rides)), []);
    assert!(!owner.hear(life(2), report(sending, Rest::Rides)).is_empty(), "it is the executor's to say");
}
