//! What holds of a bus, in examples and by chance.

use super::*;
use crate::bus::envelope;
use crate::bus::history::{Gone, Replay};
use crate::bus::kind::Carried;
use crate::bus::queue::Given;
use crate::bus::testing::{at, at_millis, bus_terms, carried, carried_at, event, pattern, topic};
use crate::model::{EventWanted, Overflow, SchemaMode, TrustState};
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

fn router_of(terms: BusTerms) -> Router {
    Router::new(at(0), BusId(Uuid::from_u128(1)), Arc::new(terms), Place(0))
}

fn router() -> Router {
    router_of(bus_terms())
}

fn id(number: u128) -> SubscriberId {
    SubscriberId(Uuid::from_u128(number))
}

fn one(number: u128) -> Attaching {
    Attaching::new(id(number), format!("s{number}"))
}

fn attach(router: &mut Router, attaching: Attaching) -> Attached {
    router.attach(at(0), attaching).unwrap()
}

fn publish(router: &mut Router, name: &str, place: u64) -> Routed {
    router.publish(at(0), &carried(name, place), |_| TrustState::Untrusted)
}

fn take(router: &mut Router, number: u128) -> Vec<(u64, u64)> {
    let taken = router.take(at(0), id(number), usize::MAX);
    taken.given.iter().map(|given| (given.event.place.0, given.missed)).collect()
}

fn kinds(notices: &[Notice]) -> Vec<(NoticeKind, u64)> {
    notices.iter().map(|notice| (notice.subject.kind, notice.count)).collect()
}

#[test]
fn an_event_goes_to_those_who_want_it_and_all_share_its_bytes() {
    let mut router = router();
    attach(&mut router, one(1));
    let wanted = EventWanted { topics: vec![pattern("shop.>")], ..EventWanted::default() };
    attach(&mut router, Attaching { wanted, ..one(2) });
    let text = carried("shop.orders", 1);
    let routed = router.publish(at(0), &text, |_| TrustState::Untrusted);
    assert_eq!((routed.matched, routed.wake.as_slice()), (2, [id(1), id(2)].as_slice()));
    assert_eq!(publish(&mut router, "other", 2).wake, [], "the first has not taken, and is awake");
    let given: Vec<Given> = (1..=2).flat_map(|number| router.take(at(0), id(number), 1).given).collect();
    assert!(given.iter().all(|given| given.event.text.as_ptr() == text.text.as_ptr()));
    assert!(Arc::ptr_eq(&given[0].event, &given[1].event));
    assert_eq!(take(&mut router, 2), []);
    assert_eq!(take(&mut router, 1), [(2, 0)]);
}

#[test]
fn the_past_comes_first_and_what_is_gone_is_refused_with_the_oldest_kept_place() {
    let mut terms = bus_terms();
    terms.policy.history_events = 3;
    let mut router = router_of(terms);
    (1..=5).for_each(|place| _ = publish(&mut router, "t", place));
    let attached = attach(&mut router, Attaching { replay: Replay::Behind(Place(3)), ..one(1) });
    assert_eq!(attached, Attached { replayed: 2, behind: Place(5) });
    assert_eq!(publish(&mut router, "t", 6).wake, []);
    assert_eq!(take(&mut router, 1), [(4, 0), (5, 0), (6, 0)]);
    let gone = router.attach(at(0), Attaching { replay: Replay::Behind(Place(1)), ..one(2) });
    assert_eq!(gone, Err(Refused::Gone(Gone { oldest: Some(Place(4)) })));
    let told = kinds(&router.tick(at(1)));
    let kinds: Vec<NoticeKind> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            NoticeKind::ReplayRequested,
            NoticeKind::ReplayRequested,
            NoticeKind::ReplayDelivered,
            NoticeKind::ReplayFailed
        ]
    );
}

#[test]
fn what_the_carrier_lost_is_told_to_everybody_with_the_next_event_and_is_in_no_history() {
    let mut router = router();
    let wanted = EventWanted { topics: vec![pattern("t")], ..EventWanted::default() };
    attach(&mut router, Attaching { wanted, overflow: Some(Overflow::Block), ..one(1) });
    attach(&mut router, Attaching { overflow: Some(Overflow::Disconnect), ..one(2) });
    publish(&mut router, "t", 1);
    router.missed(at(0), 7, Place(8));
    publish(&mut router, "other", 9);
    publish(&mut router, "t", 10);
    assert_eq!((take(&mut router, 1), take(&mut router, 2)), (vec![(1, 0), (10, 7)], vec![(1, 0), (9, 7), (10, 0)]));
    assert_eq!(router.measure(at(0)).dropped, 7);
    let gone = router.attach(at(0), Attaching { replay: Replay::Behind(Place(1)), ..one(3) });
    assert_eq!(gone, Err(Refused::Gone(Gone { oldest: Some(Place(9)) })));
    // One that begins anew gives places away once more.
    router.missed(at(0), 0, Place(0));
    assert_eq!(publish(&mut router, "t", 1).matched, 2);
    assert_eq!(take(&mut router, 1), [(1, 0)]);
    assert!(kinds(&router.tick(at(1))).contains(&(NoticeKind::Dropped, 7)));
}

#[test]
fn publishers_wait_for_one_that_blocks_and_are_released_when_it_takes_or_leaves() {
    let mut router = router();
    let wanted = EventWanted { topics: vec![pattern("t")], ..EventWanted::default() };
    attach(&mut router, Attaching { wanted, capacity: Some(2), overflow: Some(Overflow::Block), ..one(1) });
    assert!(!publish(&mut router, "t", 1).must_wait);
    assert!(publish(&mut router, "t", 2).must_wait && publish(&mut router, "t", 3).must_wait);
    assert_eq!((router.must_wait(&topic("t")), router.must_wait(&topic("other"))), (true, false));
    assert!(!router.take(at(0), id(1), 1).released, "it holds as many as it has places");
    assert!(router.take(at(0), id(1), 1).released);
    assert!(!router.must_wait(&topic("t")));
    publish(&mut router, "t", 4);
    assert_eq!(router.detach(id(1)), Some(Left { waiting: 2, untold: 0, released: true }));
    assert!(!router.must_wait(&topic("t")) && !publish(&mut router, "t", 5).must_wait);
    assert!(kinds(&router.tick(at(1))).contains(&(NoticeKind::Backpressure, 2)));
}

#[test]
fn one_that_is_sent_away_takes_what_waits_and_is_told_what_it_lost() {
    let mut router = router();
    attach(&mut router, Attaching { capacity: Some(2), overflow: Some(Overflow::Disconnect), ..one(1) });
    let detached: Vec<_> = (1..=4).flat_map(|place| publish(&mut router, "t", place).detached).collect();
    assert_eq!(detached, [id(1)]);
    let taken = router.take(at(0), id(1), 9);
    assert_eq!((taken.given.len(), taken.ended), (2, Some(End { reason: EndReason::Overflowed, missed: 1 })));
    assert_eq!(router.subscriber_count(), 0);
    assert_eq!(router.take(at(0), id(1), 9).ended.unwrap().reason, EndReason::Unknown);
}

#[test]
fn a_flood_of_losses_is_one_notice_a_second() {
    let mut router = router();
    attach(&mut router, Attaching { capacity: Some(10), ..one(1) });
    (1..=1_010).for_each(|place| _ = publish(&mut router, "t", place));
    assert_eq!(router.due(), Some(at(1)));
    let told = router.tick(at(1));
    assert_eq!(kinds(&told), [(NoticeKind::Dropped, 1_000), (NoticeKind::SubscriberSlow, 1)]);
    assert_eq!(router.measure(at(1)).dropped, 1_000);
    assert_eq!(take(&mut router, 1)[0], (1_001, 1_000));
}

#[test]
fn a_strict_topic_refuses_what_does_not_fit_and_a_permissive_one_marks_it() {
    let mut router = router();
    attach(&mut router, one(1));
    let schema = Arc::new(json!({"properties": {"event_type": {"const": "OTHER"}}}));
    let mut terms = TopicTerms { schema: Some(schema), mode: Some(SchemaMode::Strict), ..TopicTerms::default() };
    router.define(at(0), &topic("t"), &terms).unwrap();
    let text = carried("t", 1);
    assert!(matches!(router.check(at(0), &topic("t"), &text.text), Verdict::Refused(_)));
    assert!(matches!(publish(&mut router, "t", 1).fate, Fate::Withheld(Withheld::Invalid(_))));
    terms.mode = None;
    router.define(at(0), &topic("t"), &terms).unwrap();
    assert!(matches!(router.check(at(0), &topic("t"), &text.text), Verdict::Marked(..)));
    publish(&mut router, "t", 2);
    router.define(at(0), &topic("t"), &TopicTerms::default()).unwrap();
    publish(&mut router, "t", 3);
    let given = router.take(at(0), id(1), 9).given;
    assert_eq!(given.iter().map(|given| given.event.is_marked()).collect::<Vec<_>>(), [true, false]);
    let told = router.tick(at(1));
    assert_eq!((kinds(&told), router.measure(at(1)).invalid), (vec![(NoticeKind::InvalidSchema, 3)], 3));
    assert!(told[0].subject.schema_hash.is_some());
}

#[test]
fn a_topic_for_trusted_nodes_carries_nothing_of_others_and_says_so() {
    let mut router = router();
    attach(&mut router, one(1));
    let terms = TopicTerms { trusted_only: Some(true), ..TopicTerms::default() };
    router.define(at(0), &topic("t"), &terms).unwrap();
    assert!(matches!(publish(&mut router, "t", 1).fate, Fate::Withheld(Withheld::Untrusted(_))));
    let trusted = router.publish(at(0), &carried("t", 2), |_| TrustState::Trusted);
    assert_eq!((trusted.matched, router.take(at(0), id(1), 9).given.len()), (1, 1));
    assert_eq!(kinds(&router.tick(at(1))), [(NoticeKind::Dropped, 1)]);
}

#[test]
fn what_comes_twice_is_taken_once() {
    let mut router = router();
    attach(&mut router, one(1));
    publish(&mut router, "t", 5);
    assert_eq!(publish(&mut router, "t", 5).fate, Fate::Repeated);
    assert_eq!(publish(&mut router, "t", 4).fate, Fate::Repeated);
    assert_eq!(take(&mut router, 1), [(5, 0)]);
}

#[test]
fn a_bus_that_stops_gives_what_waits_and_then_ends() {
    let mut router = router();
    attach(&mut router, Attaching { overflow: Some(Overflow::Block), capacity: Some(1), ..one(1) });
    attach(&mut router, one(2));
    (1..=3).for_each(|place| _ = publish(&mut router, "t", place));
    let (wake, told) = router.stop();
    assert_eq!((wake, told.is_empty()), (vec![id(1), id(2)], false));
    assert_eq!((publish(&mut router, "t", 4).fate, router.must_wait(&topic("t"))), (Fate::Stopped, false));
    assert_eq!(router.attach(at(0), one(3)), Err(Refused::Stopped));
    assert_eq!(router.take(at(0), id(1), 2).ended, None);
    let last = router.take(at(0), id(1), 2);
    assert_eq!((last.given.len(), last.ended.unwrap().reason), (1, EndReason::Stopped));
    assert_eq!((take(&mut router, 2).len(), router.subscriber_count()), (3, 0));
}

#[test]
fn topics_beyond_the_bound_push_out_those_that_were_idle_for_longest() {
    let mut router = router();
    router.define(at(0), &topic("defined"), &TopicTerms::default()).unwrap();
    attach(&mut router, one(1));
    for number in 0..TOPICS_MAX as u64 + 10 {
        let text = carried_at(&format!("t.{number}"), number + 1, at_millis(number));
        assert_eq!(router.publish(at_millis(number), &text, |_| TrustState::Untrusted).matched, 1);
    }
    let topics = router.topics(at(0));
    assert!(topics.len() <= TOPICS_MAX && topics.iter().any(|topic| topic.name.as_str() == "defined"));
    assert!(topics.iter().all(|topic| topic.name.as_str() != "t.0" && topic.subscribers == 1));
    let gone = router.attach(at(0), Attaching { replay: Replay::Behind(Place(1)), ..one(2) });
    assert!(matches!(gone, Err(Refused::Gone(_))));
}

#[test]
fn what_a_bus_has_to_do_is_measured_for_it_its_topics_and_its_subscribers() {
    let mut router = router();
    attach(&mut router, one(1));
    attach(&mut router, one(2));
    publish(&mut router, "t", 1);
    let bytes = carried("t", 1).text.len() as u64;
    router.take(at_millis(8), id(1), 9);
    for measured in [router.measure(at(0)), router.topics(at(0))[0].measured] {
        assert_eq!((measured.published, measured.delivered, measured.bytes), (1, 1, bytes));
        assert!((8_000..10_000).contains(&measured.p50_micros.unwrap()));
    }
    let views = router.subscribers(at(0));
    assert_eq!(views.iter().map(|view| view.queued).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(views[0].taken_at, at_millis(8));
}

/// A step of a run by chance.
#[derive(Clone, Debug)]
enum Step {
    Publish { topic: usize, is_rare: bool },
    Take { subscriber: u128, max: usize },
    Attach { subscriber: u128, pattern: usize, rare_only: bool, capacity: u32, overflow: Overflow, replay: Replay },
    Detach { subscriber: u128 },
}

const TOPICS: [&str; 3] = ["a.x", "a.y", "b.x"];
const PATTERNS: [&str; 4] = [">", "a.*", "*.x", "b.x"];

fn replays() -> impl Strategy<Value = Replay> {
    prop_oneof![
        Just(Replay::None),
        Just(Replay::All),
        (0_usize..9).prop_map(Replay::Last),
        (0_u64..60).prop_map(|place| Replay::Behind(Place(place))),
    ]
}

fn attaches() -> impl Strategy<Value = Step> {
    let overflows = vec![Overflow::DropOldest, Overflow::DropNewest, Overflow::Block, Overflow::Disconnect];
    let parts = (1_u128..5, 0_usize..4, any::<bool>(), 1_u32..6, prop::sample::select(overflows), replays());
    parts.prop_map(|(subscriber, pattern, rare_only, capacity, overflow, replay)| Step::Attach {
        subscriber,
        pattern,
        rare_only,
        capacity,
        overflow,
        replay,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0_usize..3, any::<bool>()).prop_map(|(topic, is_rare)| Step::Publish { topic, is_rare }),
        5 => (1_u128..5, 1_usize..5).prop_map(|(subscriber, max)| Step::Take { subscriber, max }),
        2 => attaches(),
        1 => (1_u128..5).prop_map(|subscriber| Step::Detach { subscriber }),
    ];
    prop::collection::vec(step, 1..150)
}

/// A subscriber as it should be.
struct Expected {
    wanted: EventWanted,
    overflow: Overflow,
    capacity: usize,
    /// The places of all that matched, in order, and how many of them are done with: given or told as missed.
    matched: Vec<u64>,
    done: usize,
    told: u64,
    is_ended: bool,
}

impl Expected {
    fn wants(&self, event: &(u64, &str, bool)) -> bool {
        let (_, name, is_rare) = event;
        self.wanted.topics[0].matches(&topic(name)) && (self.wanted.event_types.is_empty() || *is_rare)
    }

    /// What it takes is what matched, but for just as many as it is told that it missed.
    fn took(&mut self, taken: &Taken) -> Result<(), TestCaseError> {
        for given in &taken.given {
            self.done += given.missed as usize;
            self.told += given.missed;
            prop_assert_eq!(Some(&given.event.place.0), self.matched.get(self.done));
            self.done += 1;
        }
        if let Some(end) = taken.ended {
            prop_assert_eq!(self.done + end.missed as usize, self.matched.len());
        }
        Ok(())
    }
}

struct Run {
    router: Router,
    published: Vec<(u64, &'static str, bool)>,
    expected: HashMap<u128, Expected>,
}

impl Run {
    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish { topic, is_rare } => self.publish(TOPICS[topic], is_rare)?,
            Step::Take { subscriber, max } => self.take(subscriber, max)?,
            Step::Detach { subscriber } => {
                let left = self.router.detach(id(subscriber));
                if let (Some(left), Some(expected)) = (left, self.expected.remove(&subscriber)) {
                    prop_assert_eq!(expected.done + left.untold as usize + left.waiting, expected.matched.len());
                }
            }
            Step::Attach { subscriber, pattern: number, rare_only, capacity, overflow, replay } => {
                let event_types = if rare_only { vec!["RARE".to_owned()] } else { Vec::new() };
                let wanted =
                    EventWanted { topics: vec![pattern(PATTERNS[number])], event_types, ..EventWanted::default() };
                let attaching = Attaching {
                    wanted: wanted.clone(),
                    capacity: Some(capacity),
                    overflow: Some(overflow),
                    replay,
                    ..one(subscriber)
                };
                if self.expected.contains_key(&subscriber) {
                    prop_assert_eq!(self.router.attach(at(0), attaching), Err(Refused::Known));
                    return Ok(());
                }
                let attached = self.router.attach(at(0), attaching).unwrap();
                let capacity = capacity as usize;
                let mut expected =
                    Expected { wanted, overflow, capacity, matched: Vec::new(), done: 0, told: 0, is_ended: false };
                expected.matched = self.past(&expected, replay);
                prop_assert_eq!(attached.replayed, expected.matched.len());
                self.expected.insert(subscriber, expected);
            }
        }
        self.check()
    }

    fn past(&self, expected: &Expected, replay: Replay) -> Vec<u64> {
        let all = self.published.iter().filter(|event| expected.wants(event)).map(|(place, ..)| *place);
        let all: Vec<u64> = all.collect();
        match replay {
            Replay::All => all,
            Replay::Behind(behind) => all.into_iter().filter(|place| *place > behind.0).collect(),
            Replay::Last(count) => all[all.len().saturating_sub(count)..].to_vec(),
            _ => Vec::new(),
        }
    }

    fn publish(&mut self, name: &'static str, is_rare: bool) -> Result<(), TestCaseError> {
        let place = self.router.last().0 + 1;
        let kind = if is_rare { "RARE" } else { "DONE" };
        let carried = Carried { text: envelope::write(&event(place, kind)), ..carried(name, place) };
        let routed = self.router.publish(at(0), &carried, |_| TrustState::Untrusted);
        self.published.push((place, name, is_rare));
        let this = (place, name, is_rare);
        let mut matched = 0;
        for expected in self.expected.values_mut().filter(|one| !one.is_ended && one.wants(&this)) {
            expected.matched.push(place);
            matched += 1;
        }
        for gone in &routed.detached {
            self.expected.get_mut(&gone.0.as_u128()).unwrap().is_ended = true;
        }
        prop_assert_eq!(routed.matched, matched);
        Ok(())
    }

    fn take(&mut self, subscriber: u128, max: usize) -> Result<(), TestCaseError> {
        let taken = self.router.take(at(0), id(subscriber), max);
        if let Some(expected) = self.expected.get_mut(&subscriber) {
            expected.took(&taken)?;
            if taken.ended.is_some() {
                self.expected.remove(&subscriber);
            }
        }
        Ok(())
    }

    /// What was given, what was told, what is still to be told and what waits add up to what matched.
    fn check(&self) -> Result<(), TestCaseError> {
        let mut blocks = false;
        for (number, expected) in &self.expected {
            let slot = self.router.readers.slot_of(id(*number)).unwrap();
            let queue = &self.router.readers.get(slot).unwrap().queue;
            prop_assert_eq!(expected.done as u64 + queue.untold() + queue.len() as u64, expected.matched.len() as u64);
            if expected.overflow == Overflow::Block {
                prop_assert_eq!(queue.untold() + expected.told, 0);
                blocks |= queue.blocks();
            } else if !queue.is_replaying() {
                prop_assert!(queue.len() <= expected.capacity);
            }
        }
        prop_assert_eq!(self.router.blocking > 0, blocks);
        Ok(())
    }

    /// Takes all that waits: where the oldest are dropped, that ends with the newest there was.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        let numbers: Vec<u128> = self.expected.keys().copied().collect();
        for number in numbers {
            let newest = self.expected[&number].matched.last().copied();
            let keeps_newest = self.expected[&number].overflow == Overflow::DropOldest;
            let waited = self.router.subscriber(at(0), id(number)).unwrap().queued > 0;
            let taken = self.router.take(at(0), id(number), usize::MAX);
            self.expected.get_mut(&number).unwrap().took(&taken)?;
            if keeps_newest && waited {
                prop_assert_eq!(taken.given.last().map(|given| given.event.place.0), newest);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_unsaid_nothing_comes_twice_and_all_is_in_order(steps in steps()) {
        let mut run = Run { router: router(), published: Vec::new(), expected: HashMap::new() };
        for step in steps {
            run.step(step)?;
        }
        run.drain()?;
    }

    #[test]
    fn a_replay_of_a_short_history_is_whole_or_refused(
        published in prop::collection::vec(0_usize..3, 1..60),
        kept in 0_u32..8,
        behind in 1_u64..60,
        more in 0_u64..5,
    ) {
        let mut terms = bus_terms();
        terms.policy.history_events = kept;
        let mut router = router_of(terms);
        let mut place = 0;
        let mut expected = Vec::new();
        for number in published {
            place += 1;
            publish(&mut router, TOPICS[number], place);
            expected.extend((place > behind).then_some(place));
        }
        match router.attach(at(0), Attaching { replay: Replay::Behind(Place(behind)), ..one(1) }) {
            Ok(_) => {
                for place in place + 1..=place + more {
                    publish(&mut router, "a.x", place);
                    expected.extend((place > behind).then_some(place));
                }
                let given: Vec<u64> = take(&mut router, 1).into_iter().map(|(place, _)| place).collect();
                // One that asks for what is still to come gets what is live from the beginning.
                prop_assert!(given.ends_with(&expected));
                prop_assert!(given.len() == expected.len() || behind > router.last().0 - more);
            }
            Err(Refused::Gone(gone)) => {
                if let Some(oldest) = gone.oldest {
                    let again = Attaching { replay: Replay::Behind(Place(oldest.0 - 1)), ..one(1) };
                    prop_assert!(router.attach(at(0), again).is_ok(), "nothing is missing from there on");
                }
                prop_assert!(expected.len() > kept as usize, "something is missing");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn what_contracts_demand_holds_where_nothing_is_defined_and_no_longer_than_they_do() {
    let mut router = router_of(BusTerms { schema_mode: SchemaMode::Strict, ..bus_terms() });
    let refuses = |router: &mut Router, name: &str| {
        let text = carried(name, 1).text;
        matches!(router.check(at(0), &topic(name), &text), Verdict::Refused(_))
    };
    let demands = |schema| Arc::new(Demand::compile(&schema, None).unwrap());
    let never = demands(json!({"not": {}}));
    let own = TopicTerms { schema: Some(Arc::new(json!({}))), ..TopicTerms::default() };
    let mode = TopicTerms { mode: Some(SchemaMode::Permissive), ..TopicTerms::default() };
    publish(&mut router, "met", 1);
    router.define(at(0), &topic("own"), &own).unwrap();
    router.define(at(0), &topic("mode"), &mode).unwrap();
    let names = ["met", "new", "own", "mode", "later"];
    router.declare(names.iter().map(|name| (topic(name), never.clone())).collect());
    router.define(at(0), &topic("later"), &TopicTerms::default()).unwrap();
    assert_eq!(names.map(|name| refuses(&mut router, name)), [true, true, false, false, true]);
    let marked = router.check(at(0), &topic("mode"), &carried("mode", 1).text);
    assert!(matches!(marked, Verdict::Marked(..)), "the schema is the contract's, the mode is its own");
    router.define(at(0), &topic("own"), &TopicTerms::default()).unwrap();
    assert!(refuses(&mut router, "own"));
    router.declare(HashMap::new());
    assert_eq!(names.map(|name| refuses(&mut router, name)), [false; 5]);
}
