//! How those who listen read in simulated time, each at its own speed.

use super::world::{Action, World};
use crate::bus::durable::{Durable, Moves};
use crate::bus::queue::Given;
use crate::bus::router::EndReason;
use crate::model::{Time, TrustState};

/// How many events one takes at once that reads as fast as they come.
const TAKEN_AT_ONCE: usize = 64;

impl World<'_> {
    /// Has one read as soon as it can.
    pub(super) fn wake(&mut self, number: usize) {
        let at = self.listeners[number].free_at;
        self.read_at(number, at);
    }

    fn read_at(&mut self, number: usize, at: Time) {
        let at = at.max(self.now);
        let listener = &mut self.listeners[number];
        if listener.is_attached && listener.reads_at.is_none_or(|planned| at < planned) {
            listener.reads_at = Some(at);
            self.plan(at, Action::Read(number));
        }
    }

    pub(super) fn read(&mut self, number: usize) {
        let listener = &mut self.listeners[number];
        // An earlier reading took the place of one that was planned for later.
        if listener.reads_at.take_if(|at| *at == self.now).is_none() || !listener.is_attached {
            return;
        }
        if let Some(over) = listener.pause_ends(self.now) {
            return self.read_at(number, over);
        }
        if self.now < listener.free_at {
            let at = listener.free_at;
            return self.read_at(number, at);
        }
        let speed = listener.speed(self.now);
        if listener.desk.is_some() {
            self.read_durable(number, speed)
        } else {
            self.read_queue(number, speed)
        }
        self.plan_tick(self.listeners[number].part.bus);
    }

    /// It is busy for as long as its speed says.
    fn is_busy(&mut self, number: usize, speed: Option<f64>) {
        let micros = speed.map_or(0.0, |speed| 1e6 / speed);
        self.listeners[number].free_at = Time::from_micros(self.now.as_micros().saturating_add(micros as i64));
    }

    fn read_queue(&mut self, number: usize, speed: Option<f64>) {
        let listener = &mut self.listeners[number];
        let bus = listener.part.bus;
        let taken = self.buses[bus].router.take(self.now, listener.id, speed.map_or(TAKEN_AT_ONCE, |_| 1));
        taken.given.iter().for_each(|given| listener.got.take(self.now, given));
        if let Some(end) = taken.ended {
            listener.is_attached = false;
            listener.got.untold = end.missed;
            listener.got.ended = Some(match end.reason {
                EndReason::Overflowed => "OVERFLOWED",
                EndReason::Stopped => "STOPPED",
                EndReason::Unknown => "UNKNOWN",
                EndReason::Forgotten => "FORGOTTEN",
            });
        }
        if !taken.given.is_empty() {
            self.is_busy(number, speed);
        }
        if taken.released {
            self.release(bus);
        }
        if taken.more {
            self.wake(number);
        }
    }

    fn read_durable(&mut self, number: usize, speed: Option<f64>) {
        self.with_machine(number, |machine, now| machine.tick(now));
        self.fetch(number);
        let mut looks = speed.map_or(TAKEN_AT_ONCE, |_| 1);
        while looks > 0
            && let Some(given) = self.listeners[number].desk.as_mut().and_then(|desk| desk.hands.pop_front())
        {
            looks -= 1;
            self.look_at(number, &given);
            self.is_busy(number, speed);
        }
        let listener = &self.listeners[number];
        let Some(desk) = &listener.desk else { return };
        let has_room = desk.machine.as_ref().is_some_and(Durable::has_room) && !self.buses[listener.part.bus].is_away;
        let next = [
            (!desk.hands.is_empty()).then_some(listener.free_at),
            desk.group.next_at().filter(|_| has_room).map(|at| at.max(listener.free_at)),
            desk.machine.as_ref().and_then(Durable::due),
        ];
        if let Some(at) = next.into_iter().flatten().min() {
            self.read_at(number, at);
        }
    }

    /// Takes from the group what there is room for.
    fn fetch(&mut self, number: usize) {
        let scenario = self.scenario;
        let trust_of = |node| scenario.trust.get(&node).copied().unwrap_or(TrustState::Untrusted);
        let bus = self.listeners[number].part.bus;
        while !self.buses[bus].is_away {
            let Some(desk) = &mut self.listeners[number].desk else { return };
            if !desk.machine.as_ref().is_some_and(Durable::has_room) {
                return;
            }
            let Some((carried, times)) = desk.group.next(self.now) else { return };
            match self.buses[bus].router.read(&carried, trust_of) {
                Ok(arrived) => self.with_machine(number, |machine, _| machine.delivered(arrived.into(), times)),
                Err(_) => desk.group.acknowledge(carried.place),
            }
        }
    }

    fn look_at(&mut self, number: usize, given: &Given) {
        let (now, place) = (self.now, given.event.place);
        let listener = &mut self.listeners[number];
        listener.got.take(now, given);
        let refuses = listener.desk.as_mut().is_some_and(|desk| desk.refuses(given));
        self.with_machine(number, |machine, now| machine.handed(now, place));
        // Its time may be up, or handing it over was enough: then there is nothing to answer.
        self.with_machine(number, |machine, _| {
            let answered = if refuses { machine.refused(place) } else { machine.acknowledged(place) };
            answered.unwrap_or_default()
        });
    }

    /// Asks a durable subscriber's machine, and does what it says.
    fn with_machine(&mut self, number: usize, ask: impl FnOnce(&mut Durable, Time) -> Moves) {
        let machine = self.listeners[number].desk.as_mut().and_then(|desk| desk.machine.as_mut());
        if let Some(moves) = machine.map(|machine| ask(machine, self.now)) {
            self.make(number, moves);
        }
    }

    fn make(&mut self, number: usize, moves: Moves) {
        let listener = &mut self.listeners[number];
        let (id, bus) = (listener.id, listener.part.bus);
        let Some(desk) = &mut listener.desk else { return };
        let Moves { give, bury, retry, acknowledge, tell } = moves;
        desk.hands.extend(give);
        retry.into_iter().for_each(|(place, after)| desk.group.retry(self.now, place, after));
        acknowledge.into_iter().for_each(|place| desk.group.acknowledge(place));
        tell.iter().for_each(|told| self.buses[bus].router.tell(self.now, id, told));
        for (place, letter) in bury {
            let is_away = self.buses[bus].is_away;
            if !is_away {
                self.carry(bus, letter.topic, letter.text);
            }
            let machine = self.listeners[number].desk.as_mut().and_then(|desk| desk.machine.as_mut());
            let Some(machine) = machine else { return };
            let moves = if is_away { machine.not_buried(place) } else { machine.buried(place) };
            self.make(number, moves);
        }
    }
}
