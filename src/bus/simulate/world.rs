//! A scenario's run: an agenda of what happens when, and the parts to which it happens.
//!
//! The carrier is a counter: what is published is carried at once, and comes back in order, as every kind promises.

use super::listener::Listener;
use super::outcome::{BusOutcome, NoticeOutcome, Outcome, PublisherOutcome, SubscriberOutcome};
use super::scenario::{BusPart, PublisherPart, Scenario, Wrong};
use crate::bus::durable::Durable;
use crate::bus::envelope::{self, Event};
use crate::bus::kind::{Carried, Place};
use crate::bus::notice::Notice;
use crate::bus::router::{Attaching, Fate, Router};
use crate::bus::topic::Verdict;
use crate::model::{BusId, OnexEventId, SubscriberId, Time, TopicName, TrustState};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Away(usize),
    Back(usize),
    Attach(usize),
    Detach(usize),
    Publish(usize),
    Read(usize),
    Tick(usize),
}

pub(super) struct Bus<'a> {
    part: &'a BusPart,
    pub(super) router: Router,
    places: u64,
    pub(super) is_away: bool,
    /// What waits for the carrier.
    outbox: Vec<(TopicName, Bytes)>,
    /// Publishers that wait for a subscriber.
    waiting: Vec<usize>,
    ticks_at: Option<Time>,
    notices: Vec<Notice>,
    repeated: u64,
}

struct Publisher<'a> {
    part: &'a PublisherPart,
    begun: u64,
    outcome: PublisherOutcome,
}

/// A scenario under way.
pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    seed: u64,
    chance: fastrand::Rng,
    pub(super) now: Time,
    agenda: BTreeMap<(Time, u64), Action>,
    /// How much was ever put on the agenda: what is due at one instant happens in that order.
    planned: u64,
    pub(super) buses: Vec<Bus<'a>>,
    pub(super) listeners: Vec<Listener<'a>>,
    publishers: Vec<Publisher<'a>>,
    failures: Vec<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let now = Time::default();
        let bus = |(number, part): (usize, &'a BusPart)| {
            let id = BusId(Uuid::from_u128(number as u128 + 1));
            let router = Router::new(now, id, part.terms.clone(), Place(0));
            let (outbox, waiting, notices) = (Vec::new(), Vec::new(), Vec::new());
            Bus { part, router, places: 0, is_away: false, outbox, waiting, ticks_at: None, notices, repeated: 0 }
        };
        let publisher = |part: &'a PublisherPart| {
            let outcome = PublisherOutcome { name: part.name.clone(), ..PublisherOutcome::default() };
            Publisher { part, begun: 0, outcome }
        };
        let listener = |(number, part)| Listener::new(part, SubscriberId(Uuid::from_u128(number as u128 + 1)));
        let mut world = World {
            scenario,
            seed,
            chance: fastrand::Rng::with_seed(seed),
            now,
            agenda: BTreeMap::new(),
            planned: 0,
            buses: scenario.buses.iter().enumerate().map(bus).collect(),
            listeners: scenario.subscribers.iter().enumerate().map(listener).collect(),
            publishers: scenario.publishers.iter().map(publisher).collect(),
            failures: Vec::new(),
        };
        world.begin();
        world
    }

    /// Who is there at an instant is there before anything is published at it.
    fn begin(&mut self) {
        for (number, bus) in self.scenario.buses.iter().enumerate() {
            for (topic, terms) in &bus.topics {
                if let Err(error) = self.buses[number].router.define(self.now, topic, terms) {
                    self.failures.push(format!("bus {}: topic {topic}: {error}", bus.terms.name));
                }
            }
            for (from, to) in &bus.away {
                self.plan(*from, Action::Away(number));
                self.plan(*to, Action::Back(number));
            }
        }
        for (number, part) in self.scenario.subscribers.iter().enumerate() {
            self.plan(part.attaches_at, Action::Attach(number));
            part.detaches_at.into_iter().for_each(|at| self.plan(at, Action::Detach(number)));
        }
        for (number, part) in self.scenario.publishers.iter().enumerate() {
            if part.count > 0 {
                self.plan(part.starts_at, Action::Publish(number));
            }
        }
    }

    pub(super) fn plan(&mut self, at: Time, action: Action) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), action);
    }

    pub(super) fn run(mut self) -> Outcome {
        while let Some(((at, _), action)) = self.agenda.pop_first() {
            if at > self.scenario.end {
                break;
            }
            self.now = at;
            match action {
                Action::Away(bus) => self.buses[bus].is_away = true,
                Action::Back(bus) => self.back(bus),
                Action::Attach(listener) => self.attach(listener),
                Action::Detach(listener) => self.detach(listener),
                Action::Publish(publisher) => self.publish(publisher),
                Action::Read(listener) => self.read(listener),
                Action::Tick(bus) => self.tick(bus),
            }
        }
        self.now = self.scenario.end;
        self.outcome()
    }

    fn tick(&mut self, bus: usize) {
        if self.buses[bus].ticks_at.take_if(|at| *at == self.now).is_some() {
            let told = self.buses[bus].router.tick(self.now);
            self.buses[bus].notices.extend(told);
        }
        self.plan_tick(bus);
    }

    pub(super) fn plan_tick(&mut self, bus: usize) {
        let Some(due) = self.buses[bus].router.due().map(|due| due.max(self.now)) else { return };
        if self.buses[bus].ticks_at.is_none_or(|at| due < at) {
            self.buses[bus].ticks_at = Some(due);
            self.plan(due, Action::Tick(bus));
        }
    }

    fn back(&mut self, bus: usize) {
        self.buses[bus].is_away = false;
        for (topic, text) in std::mem::take(&mut self.buses[bus].outbox) {
            self.carry(bus, topic, text);
        }
        for listener in 0..self.listeners.len() {
            if self.listeners[listener].part.bus == bus {
                self.wake(listener);
            }
        }
    }

    fn publish(&mut self, number: usize) {
        let part = self.publishers[number].part;
        let bus = part.bus;
        let is_away = self.buses[bus].is_away;
        if !is_away && !part.natively && self.buses[bus].router.must_wait(&part.topic) {
            self.publishers[number].outcome.waited += 1;
            self.buses[bus].waiting.push(number);
            return;
        }
        self.publishers[number].begun += 1;
        let text = self.text_of(part, self.publishers[number].begun);
        let is_refused = (is_away && !self.buses[bus].part.terms.policy.queues_while_away)
            || (!part.natively
                && matches!(self.buses[bus].router.check(self.now, &part.topic, &text), Verdict::Refused(_)));
        if is_refused {
            self.publishers[number].outcome.refused += 1;
            self.plan_tick(bus);
        } else {
            self.publishers[number].outcome.published += 1;
            if is_away {
                self.buses[bus].outbox.push((part.topic.clone(), text));
            } else {
                self.carry(bus, part.topic.clone(), text);
            }
        }
        if self.publishers[number].begun < part.count {
            let wobble = 1.0 + part.jitter * (2.0 * self.chance.f64() - 1.0);
            let next = self.now.as_micros().saturating_add((part.micros_between * wobble) as i64);
            self.plan(Time::from_micros(next), Action::Publish(number));
        }
    }

    fn text_of(&mut self, part: &PublisherPart, number: u64) -> Bytes {
        let wrong = part.wrong.as_ref().filter(|wrong| number.is_multiple_of(wrong.every));
        let metadata = match wrong {
            Some(Wrong { metadata: None, .. }) => return Bytes::from_static(b"this is no event"),
            Some(Wrong { metadata: Some(metadata), .. }) => metadata,
            None => &part.metadata,
        };
        envelope::write(&Event {
            id: OnexEventId(uuid::Builder::from_random_bytes(self.chance.u128(..).to_be_bytes()).into_uuid()),
            timestamp: self.now,
            node: part.node,
            event_type: part.event_type.clone(),
            correlation_id: part.correlation_id.clone(),
            tags: part.tags.clone(),
            metadata: numbered(metadata, number),
        })
    }

    /// The carrier has it, and tells everybody.
    pub(super) fn carry(&mut self, bus: usize, topic: TopicName, text: Bytes) {
        let scenario = self.scenario;
        let trust_of = |node| scenario.trust.get(&node).copied().unwrap_or(TrustState::Untrusted);
        let one = &mut self.buses[bus];
        one.places += 1;
        let carried = Carried { topic, place: Place(one.places), at: self.now, text, traceparent: None };
        let routed = one.router.publish(self.now, &carried, trust_of);
        if one.part.duplicate_every.is_some_and(|every| one.places.is_multiple_of(every)) {
            let again = one.router.publish(self.now, &carried, trust_of);
            one.repeated += u64::from(again.fate == Fate::Repeated);
        }
        for id in routed.wake {
            self.wake(id.0.as_u128() as usize - 1);
        }
        for number in 0..self.listeners.len() {
            let listener = &mut self.listeners[number];
            let Some(desk) = listener.desk.as_mut().filter(|desk| desk.group.is_made) else { continue };
            if listener.part.bus == bus {
                desk.group.add(carried.clone());
                self.wake(number);
            }
        }
        self.plan_tick(bus);
    }

    fn attach(&mut self, number: usize) {
        let listener = &mut self.listeners[number];
        let (part, bus) = (listener.part, listener.part.bus);
        if let Some(durable) = &part.durable {
            let terms = listener.terms(durable, &self.buses[bus].part.terms.policy);
            if let Some(desk) = &mut listener.desk {
                desk.machine = Some(Durable::new(terms));
                desk.group.is_made = true;
            }
            listener.is_attached = true;
            return self.wake(number);
        }
        let attaching = Attaching {
            wanted: part.wanted.clone(),
            capacity: part.capacity,
            overflow: part.overflow,
            replay: part.replay,
            trusted_only: part.trusted_only,
            ..Attaching::new(listener.id, part.name.to_string())
        };
        match self.buses[bus].router.attach(self.now, attaching) {
            Ok(attached) => {
                listener.is_attached = true;
                listener.got.replayed = attached.replayed as u64;
                self.wake(number);
            }
            Err(refused) => listener.got.refused = Some(refused.to_string()),
        }
        self.plan_tick(bus);
    }

    fn detach(&mut self, number: usize) {
        let listener = &mut self.listeners[number];
        if !std::mem::take(&mut listener.is_attached) {
            return;
        }
        let bus = listener.part.bus;
        if let Some(desk) = &mut listener.desk {
            desk.machine = None;
            desk.hands.clear();
            desk.group.leave(self.now);
            return;
        }
        let matched = self.buses[bus].router.subscriber(self.now, listener.id).map(|view| view.measured.published);
        let Some(left) = self.buses[bus].router.detach(listener.id) else { return };
        let got = &mut listener.got;
        (got.waiting, got.untold) = (left.waiting as u64, left.untold);
        let sum = got.received + got.told + got.untold + got.waiting;
        if matched.is_some_and(|matched| matched + got.replayed != sum) {
            self.failures.push(format!("subscriber {}: something was lost unsaid", listener.part.name));
        }
        if left.released {
            self.release(bus);
        }
    }

    pub(super) fn release(&mut self, bus: usize) {
        for publisher in std::mem::take(&mut self.buses[bus].waiting) {
            self.plan(self.now, Action::Publish(publisher));
        }
    }

    fn outcome(mut self) -> Outcome {
        for number in 0..self.listeners.len() {
            if let Some(desk) = &self.listeners[number].desk {
                self.listeners[number].got.waiting = desk.group.waiting() as u64;
            }
            self.detach(number);
        }
        let mut notices = Vec::new();
        let mut buses = Vec::new();
        for bus in &mut self.buses {
            let measured = bus.router.measure(self.now);
            bus.notices.extend(bus.router.stop().1);
            let name = bus.part.terms.name.to_string();
            notices.extend(bus.notices.iter().map(|notice| told(notice, &name, self.scenario)));
            buses.push(BusOutcome {
                name,
                published: measured.published,
                delivered: measured.delivered,
                dropped: measured.dropped,
                invalid: measured.invalid,
                retried: measured.retried,
                repeated: bus.repeated,
            });
        }
        notices.sort_by(|one, other| one.at.total_cmp(&other.at));
        let scenario = self.scenario;
        Outcome {
            scenario: scenario.name.clone(),
            seed: self.seed,
            seconds: scenario.end.as_micros() as f64 / 1e6,
            buses,
            publishers: self.publishers.into_iter().map(|publisher| publisher.outcome).collect(),
            subscribers: self.listeners.into_iter().map(|listener| got_by(listener, scenario)).collect(),
            notices,
            failures: self.failures,
        }
    }
}

fn got_by(listener: Listener<'_>, scenario: &Scenario) -> SubscriberOutcome {
    let mut got = listener.got;
    got.latencies.sort_unstable();
    let quantile = |part: f64| {
        let at = ((got.latencies.len() as f64 * part).ceil() as usize).max(1) - 1;
        got.latencies.get(at).map(|micros| *micros as f64 / 1e3)
    };
    SubscriberOutcome {
        name: listener.part.name.to_string(),
        bus: scenario.buses[listener.part.bus].terms.name.to_string(),
        received: got.received,
        missed: got.told + got.untold,
        untold: got.untold,
        waiting: got.waiting,
        redelivered: got.redelivered,
        marked: got.marked,
        in_order: !got.is_disordered,
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
        ended: got.ended.map(str::to_owned),
        refused: got.refused,
        by_topic: got.by_topic,
    }
}

fn told(notice: &Notice, bus: &str, scenario: &Scenario) -> NoticeOutcome {
    let subject = &notice.subject;
    let listener = |id: SubscriberId| scenario.subscribers.get((id.0.as_u128() as usize).wrapping_sub(1));
    NoticeOutcome {
        at: notice.first_at.as_micros() as f64 / 1e6,
        bus: bus.to_owned(),
        event_type: subject.kind.event_type().to_owned(),
        topic: subject.topic.as_ref().map(ToString::to_string),
        subscriber: subject.subscriber.and_then(listener).map(|part| part.name.to_string()),
        schema_hash: subject.schema_hash.map(|hash| hash.to_string()),
        count: notice.count,
        reason: notice.reason.clone(),
    }
}

/// Metadata in which `{number}` stands for the number of the event.
fn numbered(metadata: &Map<String, Value>, number: u64) -> Map<String, Value> {
    fn filled(value: &Value, number: u64) -> Value {
        match value {
            Value::String(text) if text == "{number}" => number.into(),
            Value::String(text) => text.replace("{number}", &number.to_string()).into(),
            Value::Array(items) => items.iter().map(|item| filled(item, number)).collect(),
            Value::Object(items) => Value::Object(numbered(items, number)),
            other => other.clone(),
        }
    }
    metadata.iter().map(|(name, value)| (name.clone(), filled(value, number))).collect()
}
