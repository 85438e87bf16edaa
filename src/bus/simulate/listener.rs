//! One that listens in simulated time: how fast it reads, what it was given, and for durable ones the group behind it.

use super::scenario::{DurablePart, SubscriberPart};
use crate::bus::durable::{Durable, Terms};
use crate::bus::filter::Filter;
use crate::bus::kind::{Carried, Place};
use crate::bus::queue::Given;
use crate::model::{BusPolicy, SubscriberId, Time};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// One that listens, and what it was given.
pub(super) struct Listener<'a> {
    pub part: &'a SubscriberPart,
    pub id: SubscriberId,
    pub is_attached: bool,
    /// When it reads next, as far as that is on the agenda.
    pub reads_at: Option<Time>,
    /// From when on it can read again.
    pub free_at: Time,
    pub desk: Option<Desk<'a>>,
    pub got: Got,
}

/// What one was given.
#[derive(Default)]
pub(super) struct Got {
    pub by_topic: BTreeMap<String, u64>,
    pub received: u64,
    pub replayed: u64,
    pub told: u64,
    pub untold: u64,
    pub waiting: u64,
    pub redelivered: u64,
    pub marked: u64,
    pub latencies: Vec<u64>,
    pub last: Option<Place>,
    pub is_disordered: bool,
    pub ended: Option<&'static str>,
    pub refused: Option<String>,
}

impl Got {
    pub(super) fn take(&mut self, now: Time, given: &Given) {
        let event = &given.event;
        self.received += 1;
        self.told += given.missed;
        self.marked += u64::from(event.is_marked());
        *self.by_topic.entry(event.topic.to_string()).or_default() += 1;
        if given.redelivery > 0 {
            self.redelivered += 1;
            return;
        }
        // What is replayed is as old as it is.
        if self.received > self.replayed {
            self.latencies.push(now.micros_since(event.at));
        }
        self.is_disordered |= self.last.is_some_and(|last| last >= event.place);
        self.last = Some(event.place);
    }
}

impl<'a> Listener<'a> {
    pub(super) fn new(part: &'a SubscriberPart, id: SubscriberId) -> Self {
        let desk = part.durable.as_ref().map(Desk::new);
        let got = Got::default();
        Listener { part, id, is_attached: false, reads_at: None, free_at: Time::default(), desk, got }
    }

    /// How many events a second it reads now; `None` for as many as there are. 0 is a pause.
    pub(super) fn speed(&self, now: Time) -> Option<f64> {
        let slow = self.part.slow.iter().find(|(from, to, _)| (*from..*to).contains(&now));
        slow.map(|(.., speed)| *speed).or(self.part.speed)
    }

    /// When a pause that holds now is over.
    pub(super) fn pause_ends(&self, now: Time) -> Option<Time> {
        let paused = |(from, to, speed): &&(Time, Time, f64)| *speed == 0.0 && (*from..*to).contains(&now);
        self.part.slow.iter().find(paused).map(|(_, to, _)| *to)
    }

    /// Its retries, as the bus has them.
    pub(super) fn terms(&self, durable: &DurablePart, policy: &BusPolicy) -> Terms {
        let filter = Filter { wanted: self.part.wanted.clone(), trusted_only: self.part.trusted_only };
        let mut terms = Terms::of(policy, self.part.name.clone(), filter);
        terms.acknowledging = durable.acknowledging;
        terms.answer_within = durable.answer_within;
        terms.open_max = self.part.capacity.map_or(terms.open_max, |capacity| capacity.max(1) as usize);
        terms
    }
}

/// A durable subscriber's part of it: the group, as a carrier keeps it, and what lies before the subscriber.
pub(super) struct Desk<'a> {
    pub part: &'a DurablePart,
    /// While somebody is there.
    pub machine: Option<Durable>,
    pub group: Group,
    /// What was handed over and not yet looked at.
    pub hands: VecDeque<Given>,
    seen_first: u64,
    refusals: HashMap<Place, u32>,
}

impl<'a> Desk<'a> {
    fn new(part: &'a DurablePart) -> Self {
        let group = Group::default();
        Desk { part, machine: None, group, hands: VecDeque::new(), seen_first: 0, refusals: HashMap::new() }
    }

    /// Whether the subscriber refuses an event that it looks at now.
    pub(super) fn refuses(&mut self, given: &Given) -> bool {
        let place = given.event.place;
        if given.redelivery == 0 {
            self.seen_first += 1;
            if self.part.refuses_every.is_some_and(|every| self.seen_first.is_multiple_of(every)) {
                self.refusals.insert(place, 0);
            }
        }
        let Some(times) = self.refusals.get_mut(&place) else { return false };
        *times = times.saturating_add(1);
        *times <= self.part.refuses_times
    }
}

/// A durable group as carriers keep it: what comes, when, and for which time.
#[derive(Default)]
pub(super) struct Group {
    /// Whether it was made: it is when its subscriber first comes.
    pub is_made: bool,
    coming: BTreeMap<(Time, Place), (Carried, u32)>,
    open: BTreeMap<Place, (Carried, u32)>,
}

impl Group {
    pub(super) fn add(&mut self, carried: Carried) {
        self.coming.insert((carried.at, carried.place), (carried, 1));
    }

    pub(super) fn next(&mut self, now: Time) -> Option<(Carried, u32)> {
        let first = self.coming.first_entry().filter(|first| first.key().0 <= now)?;
        let (carried, number) = first.remove();
        self.open.insert(carried.place, (carried.clone(), number));
        Some((carried, number))
    }

    pub(super) fn next_at(&self) -> Option<Time> {
        self.coming.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn acknowledge(&mut self, place: Place) {
        self.open.remove(&place);
    }

    pub(super) fn retry(&mut self, now: Time, place: Place, after: Duration) {
        let Some((carried, number)) = self.open.remove(&place) else { return };
        let micros = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        let at = Time::from_micros(now.as_micros().saturating_add(micros));
        self.coming.insert((at, place), (carried, number + 1));
    }

    /// Nobody is there any more: what is open comes again.
    pub(super) fn leave(&mut self, now: Time) {
        let open: Vec<Place> = self.open.keys().copied().collect();
        open.into_iter().for_each(|place| self.retry(now, place, Duration::ZERO));
    }

    pub(super) fn waiting(&self) -> usize {
        self.coming.len() + self.open.len()
    }
}
