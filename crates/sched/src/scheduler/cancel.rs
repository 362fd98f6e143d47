//! Cancelling a task of ours that the scheduler knows of.

use super::Scheduler;
use crate::action::Action;
use crate::message::{Ending, Message, Sending};
use crate::task::State;
use poniard_model::TaskId;
use std::time::Duration;

impl Scheduler {
    /// The task ends at once, wherever it is: its executor is told, and its report will be a late one. What ended before stays so, and
    /// what is only made again is not the user's to cancel.
    pub(super) fn on_cancel(&mut self, now: Duration, id: TaskId, out: &mut Vec<Action>) {
        let Some(task) = self.tasks.get(&id).filter(|task| task.is_unfinished() && !task.is_settled) else {
            return;
        };
        let (state, attempt) = (task.state.clone(), task.attempt);
        let sending = Sending { task: id, number: task.sendings };
        let mut on = self.config.me;
        match state {
            State::Away(away) => {
                on = self.life_of(away.on).expect("who has a task of ours is alive");
                self.send(away.on, Message::Cancel(sending), out);
            }
            State::Here { .. } => out.push(Action::Stop { owner: on.worker, task: id }),
            _ => {}
        }
        let was_suspect = self.leave_state(id);
        self.settle(id, Ending::Cancelled, on, attempt, out);
        self.end_in_vain(now, id, out);
        if was_suspect {
            self.retry_quarantined(now, out);
        }
    }
}
