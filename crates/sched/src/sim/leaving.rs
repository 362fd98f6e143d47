//! Workers that leave in order, and the laws of that.

use super::MS;
use super::machine::Machine;
use super::world::{Happening, World};
use crate::event::Event;
use crate::life::Life;
use crate::message::{Message, Order};
use crate::scheduler::Why;
use poniard_model::{Scope, WorkerId};

impl World {
    /// A worker is told to leave; the first one stands for the user's own process, and stays.
    pub(super) fn leave(&mut self, worker: WorkerId) {
        let Some(machine) = self.machines.get(&worker) else { return };
        let life = machine.life;
        if !machine.frozen && self.leaving.insert(life) {
            self.tell(life, Event::Leave);
        }
    }

    pub(super) fn may_depart(&mut self, who: Life) {
        let machine = self.machine(who).expect("it acts");
        assert!(!machine.may_depart, "{who} may go twice");
        machine.may_depart = true;
        self.at(self.now, Happening::TryDepart { who });
    }

    /// It goes when all that it owns has ended. Nobody loses anything by that but copies of results.
    pub(super) fn try_depart(&mut self, who: Life) {
        let Some(machine) = self.machine(who) else { return };
        let is_busy = !machine.running.is_empty() || !machine.own.is_empty() || !machine.gathering.is_empty();
        let owns = self.truths.iter().any(|((owner, _), truth)| *owner == who && truth.outcome.is_none());
        if is_busy || owns {
            return self.at(self.now + MS, Happening::TryDepart { who });
        }
        let time = self.time();
        // On a bad network somebody may have met it whom it has not met, and could not tell.
        let met: Vec<Life> =
            self.machines[&who.worker].scheduler.status().peers.iter().map(|peer| peer.life).collect();
        let could_hear = |machine: &&Machine| self.wire.is_none() || met.contains(&machine.life);
        for machine in self.machines.values().filter(could_hear) {
            for (_, task) in self.truths.keys().filter(|(owner, _)| *owner == machine.life) {
                let why = machine.scheduler.explain(time, *task);
                let is_lost = matches!(why, Why::Away { on, .. } if on == who);
                assert!(!is_lost, "{who} goes with {task} of {}", machine.life);
            }
        }
        self.departed += 1;
        self.machines.remove(&who.worker);
        self.end_life(who, None);
    }

    /// Nobody sends tasks to who is known to leave.
    pub(super) fn assert_may_send(&mut self, from: Life, to: Life, message: &Message) {
        if !self.leaving.contains(&to) || !matches!(message, Message::Run { .. }) {
            return;
        }
        let peers = self.machine(from).expect("it acts").scheduler.status().peers;
        let knows = peers.iter().any(|peer| peer.life == to && peer.is_leaving);
        assert!(!knows, "{from} sends to {to}, which leaves: {message:?}");
    }

    /// No task comes to who has been told by everybody that none will.
    pub(super) fn assert_has_not_parted(&mut self, at: Life, order: &Order) {
        let may_depart = self.machine(at).is_some_and(|machine| machine.may_depart);
        assert!(!may_depart, "{:?} comes to {at}, which may go", order.sending);
    }

    /// Whether nobody is in the scope who takes tasks.
    pub(super) fn fits_nobody(&self, scope: &Scope) -> bool {
        let is_leaving = |worker: WorkerId| self.leaving.iter().any(|life| life.worker == worker);
        scope.processors(&self.topology).iter().all(|processor| is_leaving(processor.worker))
    }
}
