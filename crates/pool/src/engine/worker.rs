//! The pool's own threads: they search for work, run it, and park.

use super::Engine;
use super::context::{self, Context};
use crate::crew::{Berth, Orders};
use std::sync::Arc;

/// Stack of a thread, in bytes, of which only what is touched costs memory.
const STACK: usize = 8 << 20;
/// Pauses of the processor while a thread looks for work before it parks: some hundred microseconds, a few times what
/// waking a parked thread costs.
const PAUSES_IN_ALL: u32 = 4096;
/// Pauses between two looks; while tasks come and go between them, twice as many each time, up to a limit.
const PAUSES: u32 = 32;
const PAUSES_MAX: u32 = 512;

/// How a search ended.
enum Search {
    Found,
    /// Somebody has taken the processor.
    Lost,
    /// Nothing to do: the thread is in the yard.
    Parked,
}

/// Starts a thread that begins with the orders in `berth`.
pub(crate) fn start(engine: &'static Engine, berth: Arc<Berth>) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("poniard-cpu".into()).stack_size(STACK);
    thread.spawn(move || run(engine, &berth)).map(drop)
}

fn run(engine: &'static Engine, berth: &Arc<Berth>) {
    let context = context::get();
    context.set_employer(Some(engine));
    loop {
        let parked = match berth.await_orders() {
            Orders::Stop => break,
            Orders::Run(task, assignment) => {
                context.sit_down(engine);
                engine.run_assigned(context, task, assignment);
                match engine.crew.take_any(context.home()) {
                    Some(processor) => {
                        engine.crew.search(processor);
                        serve(engine, context, processor, berth)
                    }
                    None => false,
                }
            }
            Orders::Search(processor) => {
                context.sit_down(engine);
                serve(engine, context, processor, berth)
            }
        };
        context.stand_up();
        if !parked {
            engine.crew.retire(berth);
        }
        engine.thread_came_free();
    }
    engine.crew.left();
    // Another thread may be started in its place.
    engine.thread_came_free();
}

/// Searches with `processor` and works, until nothing is left to do or no processor can be had. True when the thread is
/// in the yard already.
fn serve(engine: &'static Engine, context: &'static Context, processor: u32, berth: &Arc<Berth>) -> bool {
    let mut processor = processor;
    loop {
        match search(engine, processor, berth) {
            Search::Parked => return true,
            Search::Lost => return false,
            Search::Found => {}
        }
        context.set_processor(processor);
        engine.work(context);
        // Without its processor it goes on with any that can be had. If there is none, others find its tasks.
        let held = context.take_processor().or_else(|| engine.crew.take_any(context.home()));
        let Some(held) = held else { return false };
        processor = held;
        engine.crew.search(processor);
    }
}

/// Whether there is work that nobody takes at once. A thread that spawns a task and fetches it is about to run it itself:
/// to snatch it away would cost both threads more than the task.
fn lasting_work(engine: &'static Engine, processor: u32, pauses: u32) -> bool {
    let Some(work) = engine.work_in_sight(processor) else { return false };
    pause(pauses);
    engine.work_in_sight(processor) == Some(work)
}

fn pause(pauses: u32) {
    (0..pauses).for_each(|_| std::hint::spin_loop());
}

fn search(engine: &'static Engine, processor: u32, berth: &Arc<Berth>) -> Search {
    let (mut pauses, mut paused) = (PAUSES, 0);
    let mut taken = engine.tasks_taken();
    while paused < PAUSES_IN_ALL {
        if lasting_work(engine, processor, pauses) {
            if engine.crew.found(processor) {
                return Search::Found;
            }
            // Whoever pushed the task may have counted on us.
            engine.call_if_work();
            return Search::Lost;
        }
        let now = engine.tasks_taken();
        if std::mem::replace(&mut taken, now) != now {
            // Others take what they make. Each look takes a cache line away from them that they are about to write.
            pauses = (pauses * 2).min(PAUSES_MAX);
        }
        pause(pauses);
        paused += 2 * pauses;
        std::thread::yield_now();
    }
    engine.crew.give_up(processor, berth);
    engine.call_if_lone_work();
    super::away::run_dry(engine);
    Search::Parked
}
