//! What others say, and what is said to them.

use super::{Core, FAREWELL, FAREWELL_LARGE, life};
use crate::message::{Message, Outcome};
use crate::status::Doing;
use crate::workers::asking;
use crate::workers::departure::Kind;
use crate::workers::guests::Ended;
use poniard_model::{Cause, TaskError, WorkerId};
use poniard_sched::Event;
use poniard_store::{Arena, Backing};
use std::convert::Infallible;

impl Core {
    pub(super) fn on_letter(&mut self, from: WorkerId, letter: &[u8]) {
        for message in Message::read_all(letter) {
            match message {
                Ok(message) => self.on_heard(from, message),
                Err(error) => eprintln!("{from} said what is no message: {error}"),
            }
        }
    }

    pub(super) fn on_heard(&mut self, from: WorkerId, message: Message) {
        let Some(message) = self.with_values(from, message) else { return };
        let peer = life(from);
        match message {
            Message::Hello(member) => self.meet(from, member),
            Message::Met(met) if self.is_first() => (self.exits.met)(from, met),
            Message::Run { number, tasks } => {
                let (orders, runs): (Vec<_>, Vec<_>) = tasks.into_iter().unzip();
                self.arrive(from, runs);
                let message = poniard_sched::Message::Run { number, orders };
                self.tell(Event::Message { from: peer, message });
                self.arrived(from);
            }
            Message::Done(report, outcome) => {
                // What cannot be read any more is lost with its worker, of which we are told as well.
                let Some(outcome) = self.open(outcome, from) else { return };
                let rests = matches!(outcome, Outcome::Elsewhere);
                self.came_home = Some(outcome);
                let message = poniard_sched::Message::Done(report);
                self.tell(Event::Message { from: peer, message });
                self.came_home = None;
                if rests {
                    self.rests_there(report.sending.task, from);
                }
            }
            Message::Scheduling(message) => {
                let started = if let poniard_sched::Message::Started(sending) = &message {
                    Some(*sending)
                } else {
                    None
                };
                if message == poniard_sched::Message::Leaving {
                    return self.on_leaves_us(from);
                }
                self.tell(Event::Message { from: peer, message });
                started.into_iter().for_each(|sending| self.post.send(from, Message::Begin(sending)));
            }
            Message::Drop(tasks) => tasks.iter().for_each(|task| self.desk.results.drop_one(from, *task)),
            Message::Begin(sending) => {
                let key = (from, sending.task);
                if let Some((_, guest)) = self.watched.remove(key).filter(|(waits, _)| *waits == sending) {
                    self.host(from, sending, guest);
                }
            }
            Message::Sees => {
                self.desk.leases.let_read(from);
                Arena::global().set_backing(Backing::Memfd);
                self.share();
            }
            Message::Over(leases) => self.desk.leases.end(from, &leases),
            Message::Unreached(leases) => self.on_unreached(from, &leases),
            Message::Carried(lease, bytes) => self.on_carried(from, lease, bytes),
            Message::Handles(note) => self.desk.handles.told(from, note),
            Message::Wants(of) => self.on_wanted(from, of),
            Message::Cancel(of) => self.on_cancelled(from, of),
            Message::Result(of, outcome) => self.on_result(from, of, outcome),
            Message::Asks(number) => {
                self.post.send(from, Message::Answers(number, Doing::here()));
            }
            Message::Answers(FAREWELL, _) => self.heard_farewell(from, Kind::Small),
            Message::Answers(FAREWELL_LARGE, _) => self.heard_farewell(from, Kind::Large),
            Message::Answers(number, counts) => asking::answered(from, number, counts),
            // Worker 1 alone has others end; one may have itself ended.
            Message::Leave if from == WorkerId::FIRST => match self.desk.handles.lent_data() {
                0 => self.tell(Event::Leave),
                data => self.post.send(from, Message::Stays(data)),
            },
            Message::Stays(data) if self.is_first() => (self.exits.stays)(from, data),
            Message::Stop if from == WorkerId::FIRST => {
                self.post.deliver();
                (self.exits.stop)(from);
            }
            Message::Perish if self.is_first() => (self.exits.perish)(from),
            Message::Met(_) | Message::Leave | Message::Stays(_) | Message::Stop | Message::Perish => {
                eprintln!("{} does not let {from} say who meets, leaves or ends", self.me.worker.id);
            }
        }
    }

    pub(super) fn send(&mut self, to: WorkerId, message: poniard_sched::Message) {
        // Whoever is gone takes nothing with it that was packed later.
        if !self.met.contains(&to) {
            return;
        }
        use poniard_sched::Message as Said;
        let message = match message {
            Said::Run { number, orders } => {
                let (scheduler, trips, desk) = (&self.scheduler, &mut self.trips, &mut self.desk);
                let run = |order: poniard_sched::Order| {
                    let run = trips.run(order.sending.task, to, scheduler, desk)?;
                    Some((order, run))
                };
                Message::Run { number, tasks: orders.into_iter().filter_map(run).collect() }
            }
            Said::Done(report) => match self.outcomes.remove((to, report.sending.task)) {
                Some(outcome) => Message::Done(report, self.pack(outcome, to)),
                None => return,
            },
            other => Message::Scheduling(other),
        };
        self.post.send(to, message);
    }

    /// How a task ended, for another worker.
    pub(super) fn pack(&mut self, outcome: Ended, to: WorkerId) -> Outcome {
        let Ok(packed) = outcome.try_map(|value| Ok::<_, Infallible>(self.desk.pack(&value, to)));
        packed
    }

    /// How a task ended elsewhere; `None` when what it made is lost with the worker that made it.
    pub(super) fn open(&mut self, outcome: Outcome, from: WorkerId) -> Option<Ended> {
        let opened = outcome.try_map(|bytes| self.desk.open(bytes, from));
        match opened {
            Ok(ended) => Some(ended),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let error = TaskError::without_task(Cause::scheduling(error.to_string()));
                Some(Ended::Failed(error.told_cause(&poniard_pool::image::site_offset), 1))
            }
        }
    }
}
