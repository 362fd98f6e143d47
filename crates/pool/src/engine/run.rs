//! Running: what a thread does that holds a processor.

use super::context::{Context, Counts};
use super::{
    Engine, admission, attempt, away, finish, is_turn_of_others, lend, overdue, processor_id, queue,
};
use crate::board::{Assignment, NORMAL, Offer};
use crate::task::kept;
use crate::task::{CANCELLED, GATED, Ran, TaskRef};
use poniard_model::Cause;
use poniard_trace::{Event, note};

impl Engine {
    /// Runs tasks until nothing is found, or the thread has lost its processor.
    pub(crate) fn work(&'static self, context: &'static Context) {
        // A thread that has found work looks no more, so another one looks whether there is more than that.
        let mut call_another = true;
        while let Some(processor) = context.processor() {
            if self.board.wants(processor) && self.serve_board(context, processor, NORMAL) {
                continue;
            }
            match self.find(context) {
                Some(task) => {
                    if std::mem::take(&mut call_another) {
                        self.call_if_work();
                    }
                    self.run_chain(context, task);
                }
                None if self.board.wants_idle(processor)
                    && self.serve_board(context, processor, i32::MIN) => {}
                None => return,
            }
        }
    }

    /// Offers the thread's processor to the board; false when nothing fits.
    pub(crate) fn serve_board(
        &'static self,
        context: &'static Context,
        processor: u32,
        priority_min: i32,
    ) -> bool {
        match self.board.with(|plan| plan.offer(processor, priority_min)) {
            Offer::Nothing => return false,
            Offer::Given => {
                // The gathering task has it now; this thread goes on without, if it can get another.
                if context.take_processor().is_none() {
                    unreachable!("the timer takes processors only from threads that run a task");
                }
            }
            Offer::Run(task, assignment) | Offer::Gathered(task, assignment) => {
                if assignment.share.is_some() {
                    context.take_processor();
                    // The rest of the processor is there for others now.
                    self.start_beside();
                }
                // Who put more meanwhile counted on this thread's search, which is over.
                self.call_if_work();
                self.run_assigned(context, task, assignment);
            }
        }
        true
    }

    /// Runs a task of the board's, and gives back what it held.
    pub(crate) fn run_assigned(
        &'static self,
        context: &'static Context,
        task: TaskRef,
        assignment: Assignment,
    ) {
        if let Some((processor, _)) = assignment.share {
            context.set_home(processor);
        }
        context.hold(assignment);
        let next = self.execute_claimed(context, task);
        self.end_assignment(context.take_assignment());
        if let Some(next) = next {
            queue(next);
        }
    }

    /// Runs a queue entry, and then the dependents that it makes ready, one after the other.
    #[inline]
    pub(crate) fn run_chain(&'static self, context: &'static Context, task: TaskRef) {
        let mut next = self.execute_claimed(context, task);
        while let Some(task) = next {
            let wanted = context.processor().is_none_or(|processor| self.board.wants(processor));
            // A chain is left in time for older tasks.
            if wanted || is_turn_of_others(context.turns()) {
                return queue(task);
            }
            next = self.execute_claimed(context, task);
        }
    }

    /// Runs a queue entry, unless somebody else was faster.
    #[inline]
    fn execute_claimed(&'static self, context: &'static Context, task: TaskRef) -> Option<TaskRef> {
        if task.gate.claim() { self.execute(context, task) } else { None }
    }

    /// Runs a task that the caller has claimed. Gives the first dependent that is ready now.
    #[inline]
    pub(crate) fn execute(&'static self, context: &'static Context, task: TaskRef) -> Option<TaskRef> {
        if task.is_halted() {
            return stop_halted(&task);
        }
        if task.flags() & GATED != 0 || task.makes_much() {
            return self.execute_gated(context, task);
        }
        self.execute_now(context, task)
    }

    /// Runs a claimed task that reads or makes large values, with what it reads in memory; or leaves it until there is room.
    #[cold]
    #[inline(never)]
    fn execute_gated(&'static self, context: &'static Context, task: TaskRef) -> Option<TaskRef> {
        let task = lend::follow_inputs(self, task)?;
        let (task, pins) = admission::let_in(task)?;
        kept::holding(pins, || self.execute_now(context, task))
    }

    /// Runs a claimed task.
    #[inline(always)]
    fn execute_now(&'static self, context: &'static Context, task: TaskRef) -> Option<TaskRef> {
        context.take_turn();
        note(|| Event::Started { task: task.id(), on: context.processor().map(processor_id) });
        let frame = context.frame(&task);
        // SAFETY: `leave` comes below; no task unwinds.
        unsafe { context.enter(&frame) };
        context.show(Some(&task));
        if let Some(extra) = task.extra() {
            context.show_name(extra.name.clone());
            attempt::begin(self, &task);
        }
        // SAFETY: the caller has claimed it, and a ready task's inputs have ended well.
        let ran = unsafe { task.run() };
        if task.flags() & (GATED | CANCELLED) != 0 {
            before_its_end(&task);
        }
        context.leave(&frame);
        context.show(context.running());
        if let Some(extra) = task.extra() {
            if extra.timeout.is_some() {
                context.come_back(self);
            }
            context.show_name(context.running().and_then(|task| task.extra()?.name.clone()));
        }
        let next = if matches!(ran, Ran::Done) && !task.is_halted() {
            // Nothing in it is to be dropped; to look for that would take some thirty instructions.
            std::mem::forget(ran);
            Counts::add_one(&context.counts.done);
            finish::done(task)
        } else {
            after_unusual(task, ran);
            None
        };
        context.next_or_handed_on(next)
    }
}

/// What the body of a task leaves behind that has a mark.
#[cold]
#[inline(never)]
fn before_its_end(task: &TaskRef) {
    if task.flags() & GATED != 0 {
        // Who takes a value over must be its only reader.
        kept::let_go();
    }
    if task.flags() & CANCELLED != 0 {
        overdue::returned(task.id());
    }
}

/// What follows an attempt that did not simply end well.
#[cold]
#[inline(never)]
pub(super) fn after_unusual(task: TaskRef, ran: Ran) {
    match ran {
        Ran::Done => {
            // SAFETY: the value was put into the slot just now, and nobody has seen it.
            unsafe { task.discard_value() };
            finish::fail(&task, task.attempt(), Cause::halted());
        }
        Ran::Detached | Ran::TooLate => {}
        Ran::Packed(packed) => away::depart(task, *packed),
        Ran::Failed(cause) => {
            if task.resolve() {
                finish::fail(&task, task.attempt(), if task.is_halted() { Cause::halted() } else { cause });
            }
        }
        Ran::Again(cause) => attempt::try_again(task, cause),
    }
}

/// Ends a claimed task that belongs to the time before a halt and has not begun.
#[cold]
pub(super) fn stop_halted(task: &TaskRef) -> Option<TaskRef> {
    if task.resolve() {
        finish::fail(task, 0, Cause::halted());
    }
    // SAFETY: the claim is the caller's, and the task has not run.
    unsafe { task.drop_arguments() };
    None
}
