//! How fast it is, in virtual time.

use super::job::Job;
use super::world::{Happening, Nature, World};
use super::{MS, SECOND, config, life};
use poniard_model::{Scope, TaskId, WorkerId};

fn world(workers: u32, threads: usize) -> World {
    let nature = Nature { check_every: 257, send_ns: 2_000, ..Nature::default() };
    let mut world = World::new(1, nature);
    (1..=workers).for_each(|worker| world.join(config(worker, threads)));
    while world.now < 2 * MS && world.step() {}
    world
}

/// Nanoseconds from the submission to the end.
fn time_of(mut world: World, jobs: Vec<Job>) -> (u64, World) {
    let begin = world.now;
    world.submit(life(1), jobs);
    world.run();
    (world.ended_at - begin, world)
}

fn equal(count: usize, run_ns: u64) -> Vec<Job> {
    vec![Job::plain(run_ns); count]
}

#[test]
fn two_workers_are_both_busy_with_tasks_spawned_on_one() {
    let (took, world) = time_of(world(2, 1), equal(1_000, 10 * MS));
    let busy: u64 = world.machines.values().map(|machine| machine.busy_ns).sum();
    let percent = busy as f64 / (2 * took) as f64 * 100.0;
    println!("1,000 x 10 ms on 2 x 1: {:.3} s, {percent:.2} % busy", took as f64 / 1e9);
    assert!(percent >= 95.0, "{percent} %");
}

#[test]
pub(super) fn a_lost_worker_costs_its_share_and_no_more() {
    let jobs = || equal(2_000, 10 * MS);
    let (whole, _) = time_of(world(4, 1), jobs());
    let mut worst = 0;
    for at in [0, 1, 10, 100, 1_000, 2_500, 4_000, 4_900] {
        let mut world = world(4, 1);
        world.at(world.now + at * MS, Happening::Kill { worker: WorkerId(3), signal: 9 });
        let (took, world) = time_of(world, jobs());
        assert_eq!(world.deaths, 1);
        worst = worst.max(took);
    }
    println!("2,000 x 10 ms on 4 x 1: {:.3} s; one killed: {:.3} s", whole as f64 / 1e9, worst as f64 / 1e9);
    assert!(worst <= whole * 4 / 3 + SECOND);
}

#[test]
fn a_stopped_worker_is_worked_around() {
    let jobs = || equal(2_000, 10 * MS);
    let (without, _) = time_of(world(3, 1), jobs());
    let mut stopped = world(4, 1);
    stopped.at(stopped.now + SECOND, Happening::Freeze { worker: WorkerId(3), for_ns: 60 * SECOND });
    let (took, _) = time_of(stopped, jobs());
    println!(
        "2,000 x 10 ms, one of 4 stopped: {:.3} s; on 3: {:.3} s",
        took as f64 / 1e9,
        without as f64 / 1e9
    );
    assert!(took <= without * 3 / 2);
}

#[test]
fn who_joins_late_gets_work_within_a_second() {
    let mut world = world(2, 1);
    let at = world.now + 500 * MS;
    world.at(at, Happening::Join { life: life(3), threads: 1 });
    let (took, world) = time_of(world, equal(1_000, 10 * MS));
    let joined = &world.machines[&WorkerId(3)];
    let first = joined.first_run.expect("it got work") - at;
    println!(
        "joined at 0.5 s: first task after {:.1} ms, all in {:.3} s",
        first as f64 / 1e6,
        took as f64 / 1e9
    );
    assert!(first < SECOND && joined.busy_ns > 2 * SECOND);
}

#[test]
fn who_joins_late_gets_what_waits_at_others() {
    let mut world = world(2, 1);
    let at = world.now + 500 * MS;
    world.at(at, Happening::Join { life: life(3), threads: 1 });
    // All of it is sent to worker 2 at once; only the owner can call it back.
    let job = Job { scope: Some(!Scope::worker(1)), ..Job::plain(10 * MS) };
    let (took, world) = time_of(world, vec![job; 400]);
    let first = world.machines[&WorkerId(3)].first_run.expect("it got work") - at;
    println!(
        "joined at 0.5 s, all elsewhere: first task after {:.1} ms, all in {:.3} s",
        first as f64 / 1e6,
        took as f64 / 1e9
    );
    assert!(first < SECOND && took < 2_600 * MS);
}

#[test]
fn tiny_tasks_that_spawn_tiny_tasks_run_faster_on_two() {
    // As long beside a message as fib(27) of 25 ns is beside one of 50 us.
    let fib = || vec![Job { fork: Some(21), ..Job::plain(1_000) }];
    let (one, _) = time_of(world(1, 1), fib());
    let (two, world) = time_of(world(2, 1), fib());
    let sent: u64 = world.machines.values().map(|machine| machine.scheduler.counters().sent).sum();
    let speedup = one as f64 / two as f64;
    println!(
        "fib(21) of 1 us: {:.2} ms alone, {:.2} ms on two: {speedup:.2} x, {sent} tasks sent",
        one as f64 / 1e6,
        two as f64 / 1e6
    );
    assert!(speedup >= 1.5, "{speedup}");
}

#[test]
fn tasks_not_worth_a_trip_stay() {
    let (alone, _) = time_of(world(1, 1), equal(20_000, 200));
    let (two, world) = time_of(world(2, 1), equal(20_000, 200));
    let sent: u64 = world.machines.values().map(|machine| machine.scheduler.counters().sent).sum();
    println!(
        "20,000 x 200 ns: {:.2} ms alone, {:.2} ms on two, {sent} sent",
        alone as f64 / 1e6,
        two as f64 / 1e6
    );
    assert!(two <= alone * 21 / 20 + MS && sent < 200);
}

#[test]
fn small_tasks_go_in_large_gifts() {
    let (alone, _) = time_of(world(1, 1), equal(20_000, 20_000));
    let (two, world) = time_of(world(2, 1), equal(20_000, 20_000));
    let speedup = alone as f64 / two as f64;
    println!(
        "20,000 x 20 us: {:.1} ms alone, {:.1} ms on two: {speedup:.2} x, {} events",
        alone as f64 / 1e6,
        two as f64 / 1e6,
        world.events
    );
    assert!(speedup >= 1.7, "{speedup}");
}

/// Waves of tasks, each after all of the one before: everybody is idle again and again.
fn waves(count: u64, width: u64, run_ns: u64) -> Vec<Job> {
    let wave = |number: u64| {
        let mut job = Job::plain(run_ns);
        let before = (number.saturating_sub(1) * width + 1)..=(number * width);
        job.reads.extend(before.map(TaskId));
        vec![job; width as usize]
    };
    (0..count).flat_map(wave).collect()
}

/// How much longer than at best it takes when several owners have waves, and a third of all messages come again later.
fn time_of_waves(seed: u64, owners: &[u32], widths: &[u64]) -> f64 {
    let nature =
        Nature { delay_ns: (20_000, 400_000), twice_percent: 30, check_every: 61, ..Nature::default() };
    let mut world = World::new(seed, nature);
    (1..=4).for_each(|worker| world.join(config(worker, 1)));
    while world.now < 2 * MS && world.step() {}
    let begin = world.now;
    for (owner, width) in owners.iter().zip(widths) {
        world.submit(life(*owner), waves(40, *width, 3 * MS));
    }
    world.run();
    let work: u64 = widths.iter().map(|width| 40 * width * 3 * MS).sum();
    (world.ended_at - begin) as f64 / (work / 4) as f64
}

#[test]
fn messages_that_come_twice_and_late_leave_nobody_idle() {
    let worst = |owners: &[u32], widths: &[u64]| {
        (0..25).map(|seed| time_of_waves(seed, owners, widths)).fold(0.0, f64::max)
    };
    let (one, two) = (worst(&[1], &[12]), worst(&[1, 2], &[2, 12]));
    println!("waves of 3 ms on 4 x 1: at worst {one:.2} x the ideal with one owner, {two:.2} x with two");
    assert!(one < 1.3 && two < 1.3, "{one} {two}");
}
