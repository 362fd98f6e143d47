//! Messages whose values are with their senders, on other hosts: they are opened when the values are here.

use super::Core;
use crate::message::{Message, PieceTold, Run};
use crate::traffic;
use crate::workers::guests::Guest;
use crate::workers::lines::{Lines, Parcel, Site, Told};
use poniard_model::{Numbered, TaskId, WorkerId};
use poniard_sched::{Event, Order, Sending};
use poniard_store::Buf;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Tasks of other workers whose arguments are not here.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// What came with the message that is being worked off.
    arrived: HashMap<TaskId, Run>,
    /// Those that wait for their arguments, and under which number.
    coming: HashMap<(WorkerId, TaskId), (Sending, u64)>,
}

impl Core {
    /// Has large values move by these lines.
    pub(crate) fn with_lines(mut self, lines: Option<Lines>) -> Core {
        self.me.line = lines.as_ref().map(|lines| lines.address().to_owned());
        self.desk.leases.lines = lines;
        self
    }

    /// Listens there for workers of other hosts. Without that, values go through worker 1.
    pub(crate) fn lines(
        site: Result<Site, String>,
        me: WorkerId,
        token: [u8; 32],
        worker_timeout: Duration,
        budget: u64,
        tell: fn(Told),
    ) -> Option<Lines> {
        let lines = site.and_then(|site| Lines::start(site, me, token, worker_timeout, budget, tell));
        lines.inspect_err(|why| eprintln!("{me} gives large values through worker 1 alone: {why}")).ok()
    }

    /// Whether there are other hosts.
    pub(crate) fn has_lines(&self) -> bool {
        self.desk.leases.lines.is_some()
    }

    /// Something has come; gives it back if it can be worked off now.
    pub(super) fn with_values(&mut self, from: WorkerId, mut message: Message) -> Option<Message> {
        let Some(lines) = &mut self.desk.leases.lines else { return Some(message) };
        if message.values().iter().all(|value| value.afar().next().is_none()) {
            return Some(message);
        }
        lines.fetch(self.began.elapsed(), from, Parcel::Message(message));
        self.open_whole();
        None
    }

    /// Tasks of another worker have come.
    pub(super) fn arrive(&mut self, from: WorkerId, runs: Vec<Run>) {
        let has_lines = self.desk.leases.lines.is_some();
        for mut run in runs {
            if has_lines && run.values().iter().any(|value| value.afar().next().is_some()) {
                self.far.arrived.insert(run.task, run);
            } else if let Some(guest) = Guest::arrive(run, from, &mut self.desk) {
                self.arrived.insert(guest.task(), guest);
            }
        }
    }

    /// The scheduler has been told of them: what it does not start is nobody's.
    pub(super) fn arrived(&mut self, from: WorkerId) {
        self.arrived = Numbered::new();
        for (_, mut run) in std::mem::take(&mut self.far.arrived) {
            let afar: Vec<u64> =
                run.values().iter().flat_map(|value| value.afar()).map(|(lease, _)| lease).collect();
            afar.into_iter().for_each(|lease| self.desk.leases.read_no_more(from, lease));
            self.refuse(from, run);
        }
        self.open_whole();
    }

    /// Starts a task of another worker, or has its arguments come first.
    pub(super) fn start(&mut self, owner: WorkerId, order: Order, events: &mut VecDeque<Event>) {
        let task = order.sending.task;
        if let (Some(run), Some(lines)) = (self.far.arrived.remove(&task), &mut self.desk.leases.lines) {
            let sending = order.sending;
            let number = lines.fetch(self.began.elapsed(), owner, Parcel::Guest(order, run));
            self.far.coming.insert((owner, task), (sending, number));
        } else if let Some(guest) = self.arrived.remove(&task) {
            self.begin_guest(owner, &order, guest, events);
        }
    }

    /// A task whose arguments are not here is called back, or nobody wants it. Gives which sending of
    /// it that was, if there was one.
    pub(super) fn withdraw_far(&mut self, owner: WorkerId, task: TaskId) -> Option<Sending> {
        let (sending, number) = self.far.coming.remove(&(owner, task))?;
        let parcel = self.desk.leases.lines.as_mut().and_then(|lines| lines.withdraw(number));
        if let Some(Parcel::Guest(_, run)) = parcel {
            self.refuse(owner, run);
        }
        Some(sending)
    }

    /// What came with a task that is not run: handles that were granted, and memory of this host.
    fn refuse(&mut self, from: WorkerId, run: Run) {
        for piece in run.pieces {
            match piece {
                PieceTold::Value(mut value) => {
                    drop(self.desk.handles.receive(value.take_handles()));
                    value.lent().for_each(|lease| self.desk.leases.read_no_more(from, lease));
                }
                PieceTold::Datum(handle) => drop(self.desk.handles.receive_one(handle)),
                PieceTold::Count(_) | PieceTold::Result { .. } => {}
            }
        }
    }

    pub(super) fn on_line(&mut self, told: Told) {
        let now = self.began.elapsed();
        let Some(lines) = &mut self.desk.leases.lines else { return };
        match told {
            Told::Pulled { giver, lease, result } => lines.arrived(now, giver, lease, result),
            Told::Ended { giver, lease, pull } => lines.ended(now, giver, lease, pull),
            Told::Unreachable { giver, lease, why } if self.met.contains(&giver) => {
                if lines.no_way(giver) {
                    let me = self.me.worker.id;
                    eprintln!("{me} gets large values of {giver} through worker 1, which is slower: {why}");
                }
                self.post.send(giver, Message::Unreached(vec![lease]));
            }
            Told::Unreachable { .. } => {}
        }
        self.open_whole();
    }

    /// A worker cannot come here by a line.
    pub(super) fn on_unreached(&mut self, by: WorkerId, leases: &[u64]) {
        let Some(lines) = &mut self.desk.leases.lines else { return };
        for (lease, bytes) in lines.cut(by, leases) {
            traffic::count(bytes.len(), 0);
            self.post.send(by, Message::Carried(lease, bytes));
        }
    }

    /// A buffer has come by a message.
    pub(super) fn on_carried(&mut self, from: WorkerId, lease: u64, bytes: Vec<u8>) {
        self.on_line(Told::Pulled { giver: from, lease, result: Ok(Buf::from_vec(bytes)) });
    }

    /// A worker has said where it gives what it has lent.
    pub(super) fn meet_line(&mut self, worker: WorkerId, address: Option<String>) {
        if let (Some(lines), Some(address)) = (&mut self.desk.leases.lines, address) {
            lines.meet(worker, address);
        }
    }

    /// A worker is gone.
    pub(super) fn lose_line(&mut self, worker: WorkerId) {
        let now = self.began.elapsed();
        if let Some(lines) = &mut self.desk.leases.lines {
            lines.lose(now, worker);
        }
        self.open_whole();
    }

    /// When something has to be done about lines.
    pub(super) fn lines_at(&self) -> Option<Duration> {
        self.desk.leases.lines.as_ref().and_then(Lines::at)
    }

    /// Whether workers of other hosts have all that was lent them.
    pub(super) fn is_all_sent(&self) -> bool {
        self.desk.leases.lines.as_ref().is_none_or(Lines::is_all_sent)
    }

    /// Does what the time has come for, and tells of leases that are over.
    pub(super) fn on_time_of_lines(&mut self, now: Duration) {
        let Some(lines) = &mut self.desk.leases.lines else { return };
        if lines.at().is_some_and(|at| at <= now) {
            lines.go_on(now);
            self.open_whole();
        }
        let Some(lines) = &mut self.desk.leases.lines else { return };
        for (owner, lease) in lines.take_over() {
            self.desk.leases.read_no_more(owner, lease);
        }
    }

    /// Works off what is whole.
    fn open_whole(&mut self) {
        let whole = self.desk.leases.lines.as_mut().map(Lines::take_whole).unwrap_or_default();
        for (number, from, parcel) in whole {
            match parcel {
                Parcel::Message(message) if self.met.contains(&from) => self.on_heard(from, message),
                Parcel::Message(_) => {}
                Parcel::Guest(order, run) => self.guest_is_whole(from, order, run, number),
            }
        }
    }

    fn guest_is_whole(&mut self, owner: WorkerId, order: Order, run: Run, number: u64) {
        let key = (owner, order.sending.task);
        if self.far.coming.get(&key).is_none_or(|(_, current)| *current != number) {
            return self.refuse(owner, run);
        }
        self.far.coming.remove(&key);
        let Some(guest) = Guest::arrive(run, owner, &mut self.desk) else { return };
        let mut events = VecDeque::new();
        self.begin_guest(owner, &order, guest, &mut events);
        events.into_iter().for_each(|event| self.tell(event));
    }
}
