//! What the scheduler costs the owner of a task: `cargo bench -p poniard-sched`.

use poniard_model::{ProcessorKind, Scope, TaskId, Worker, WorkerId};
use poniard_sched::{
    Action, Config, Ending, Event, FunctionKey, Life, Message, Report, Rest, Scheduler, Sending, Spec,
};
use std::time::{Duration, Instant};

const TASKS: u64 = 200_000;

/// Tasks in one gift.
const GIFT: u64 = 1_000;

fn life(worker: u32) -> Life {
    Life { worker: WorkerId(worker), incarnation: 0 }
}

fn owner(workers: u32) -> Scheduler {
    let mut owner = Scheduler::new(Config::new(life(1), "a".into(), 1));
    for worker in 2..=workers {
        let who = Worker { id: WorkerId(worker), node: "b".into(), labels: Vec::new() };
        let joined = Event::Joined { life: life(worker), worker: who, processors: vec![ProcessorKind::Cpu] };
        owner.on_event(Duration::ZERO, joined, &mut Vec::new());
    }
    owner
}

fn sendings(actions: &[Action]) -> Vec<Sending> {
    let orders = actions.iter().filter_map(|action| match action {
        Action::Send { message: Message::Run { orders, .. }, .. } => Some(orders),
        _ => None,
    });
    orders.flatten().map(|order| order.sending).collect()
}

/// Gives tasks away in gifts, takes in their reports, and hears that nobody wants their results any more.
fn give(workers: u32) -> Duration {
    let (mut owner, mut out) = (owner(workers), Vec::new());
    let begin = Instant::now();
    for gift in 0..TASKS / GIFT {
        let now = Duration::from_micros(gift);
        let idle = Message::Idle { ask: gift + 1, processors: 1 };
        owner.on_event(now, Event::Message { from: life(2), message: idle }, &mut out);
        let run = Duration::from_micros(50);
        let spec = |task| Spec { time: Some(run), ..Spec::new(TaskId(task), FunctionKey(1)) };
        let specs = (gift * GIFT..(gift + 1) * GIFT).map(spec).collect();
        out.clear();
        owner.on_event(now, Event::Offered { specs, queued: TASKS }, &mut out);
        for sending in sendings(&out) {
            let ending = Ending::Made { bytes: 8, rest: Rest::Rides };
            let message = Message::Done(Report { sending, ending, ran: run, kind: ProcessorKind::Cpu });
            out.clear();
            owner.on_event(now, Event::Message { from: life(2), message }, &mut out);
            owner.on_event(now, Event::Released(sending.task), &mut out);
        }
    }
    let took = begin.elapsed();
    assert_eq!(owner.counters().ended_away, TASKS);
    took
}

/// Places tasks that may not run here.
fn place(workers: u32) -> Duration {
    let (mut owner, mut out) = (owner(workers), Vec::new());
    let begin = Instant::now();
    for task in 0..TASKS {
        let mut spec = Spec::new(TaskId(task), FunctionKey(1));
        spec.wishes.scope = Some(!Scope::worker(1));
        out.clear();
        owner.on_event(Duration::ZERO, Event::Ready { specs: vec![spec], queued: 0 }, &mut out);
    }
    assert_eq!(owner.counters().sent, TASKS);
    begin.elapsed()
}

fn main() {
    for workers in [2, 64] {
        let each = |took: Duration| took.as_nanos() / u128::from(TASKS);
        println!("{workers:>2} workers: {:>5} ns to give, take back and forget a task", each(give(workers)));
        println!("{workers:>2} workers: {:>5} ns to place a task by its scope", each(place(workers)));
    }
}
