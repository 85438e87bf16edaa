//! Scenarios, and what comes of them.

use super::*;
use proptest::prelude::*;

const EXAMPLES: [&str; 2] =
    [include_str!("../../../docs/simulate/slow-reader.yaml"), include_str!("../../../docs/simulate/broker-away.yaml")];

fn outcome_of(text: &str) -> Outcome {
    let scenario = Scenario::read(text).unwrap_or_else(|error| panic!("{error}"));
    run(&scenario, scenario.seed)
}

fn refused(text: &str) -> String {
    Scenario::read(text).unwrap_err().to_string()
}

#[test]
fn the_examples_go_as_they_say() {
    for text in EXAMPLES {
        let outcome = outcome_of(text);
        assert!(outcome.is_expected(), "{outcome}");
        assert!(outcome.to_string().ends_with("as expected\n"));
    }
}

#[test]
fn one_seed_always_gives_one_outcome_and_another_seed_another() {
    let scenario = Scenario::read(EXAMPLES[0]).unwrap();
    assert_eq!(run(&scenario, 3).to_json().unwrap(), run(&scenario, 3).to_json().unwrap());
    assert_ne!(run(&scenario, 3), Outcome { seed: 3, ..run(&scenario, 4) });
}

#[test]
fn what_is_not_as_expected_is_said_in_a_sentence_each() {
    let outcome = outcome_of(
        "{name: n, seconds: 5, buses: [{name: b}], subscribers: [{name: s}, {name: late, replay: {since: 1}}],
          publishers: [{name: p, event_type: T, count: 3}],
          expect: [{subscriber: s, received: 4, missed: {min: 1, max: 2}, in_order: false, p99_ms: {max: -1}},
                   {subscriber: s, ended: OVERFLOWED}, {publisher: p, refused: {min: 1}}, {bus: b, published: 3},
                   {notice: EVENT_DROPPED}, {notice: EVENT_RETRY, count: 0}]}",
    );
    let expected = [
        "subscriber s: received should be 4; it is 3",
        "subscriber s: missed should be from 1 to 2; it is 0",
        "subscriber s: p99_ms should be -1 or less; it is 0",
        "subscriber s: what it was given came in the order of the bus, each once",
        "subscriber s: ended should be OVERFLOWED; it was not sent away",
        "publisher p: refused should be 1 or more; it is 0",
        "notice EVENT_DROPPED: count should be 1 or more; it is 0",
    ];
    assert_eq!(outcome.failures, expected);
    assert!(outcome.to_string().contains("not as expected:\n  subscriber s: received"));
}

#[test]
fn what_is_published_while_the_carrier_is_away_is_refused_or_waits_as_the_bus_has_it() {
    for (policy, refused, received) in [("REFUSE", 20, 80), ("QUEUE", 0, 100)] {
        let outcome = outcome_of(&format!(
            "{{name: n, seconds: 60, buses: [{{name: b, while_away: {policy}}}], subscribers: [{{name: s}}],
               publishers: [{{name: p, event_type: T, rate: 10, count: 100}}],
               faults: [{{carrier_away: {{bus: b, at: 2, for: 2}}}}]}}"
        ));
        assert_eq!((outcome.publishers[0].refused, outcome.subscribers[0].received), (refused, received), "{outcome}");
        assert!(outcome.subscribers[0].in_order);
    }
}

#[test]
fn a_durable_subscriber_that_comes_back_gets_what_it_was_not_there_for() {
    let outcome = outcome_of(
        "{name: n, seconds: 60, buses: [{name: b, retry_backoff_ms: 100}],
          subscribers: [{name: s, detaches_at: 3, durable: {}},
                        {name: t, durable: {refuses_every: 4, refuses_times: 1}}],
          publishers: [{name: p, event_type: T, rate: 10, count: 100}]}",
    );
    let [gone, there] = &outcome.subscribers[..] else { panic!("{outcome}") };
    assert_eq!(gone.received + gone.waiting, 100);
    assert_eq!((there.received, there.redelivered, there.waiting), (125, 25, 0));
    assert_eq!(outcome.buses[0].retried, 25);
}

#[test]
fn a_scenario_that_cannot_be_is_refused_with_the_place() {
    let head = "name: n\nseconds: 5\nbuses: [{name: b}]\n";
    for (text, says) in [
        ("name: n\nseconds: 5\nbuses: []", "buses: there is none"),
        ("name: n\nseconds: -5\nbuses: [{name: b}]", "seconds: -5 is no number of seconds"),
        ("name: [", "the scenario: "),
        (&format!("{head}colour: red"), "colour"),
        (&format!("{head}subscribers: [{{name: s, topics: ['a.>.b']}}]"), "subscribers[0] (s).topics[0]: "),
        (&format!("{head}subscribers: [{{name: s}}, {{name: s}}]"), "subscribers[1] (s): there are two of this name"),
        (&format!("{head}subscribers: [{{name: s, bus: c}}]"), "subscribers[0] (s): there is none called \"c\""),
        (&format!("{head}subscribers: [{{name: s, replay: {{}}}}]"), "subscribers[0] (s).replay: is one of last"),
        (&format!("{head}publishers: [{{name: p, event_type: T}}]"), "publishers[0] (p): says neither its rate"),
        (&format!("{head}publishers: [{{name: p, event_type: T, rate: 0}}]"), "publishers[0] (p).rate: 0 is no rate"),
        (
            &format!("{head}publishers: [{{name: p, event_type: T, count: 9000000}}]"),
            "publishers: publish 9000000 events",
        ),
        (&format!("{head}faults: [{{duplicate: {{bus: c, every: 2}}}}]"), "faults[0]: there is none called \"c\""),
        (&format!("{head}expect: [{{received: 1}}]"), "expect[0]: is about one of"),
        (&format!("{head}expect: [{{subscriber: s, received: 1}}]"), "expect[0]: there is none called \"s\""),
        (
            &format!("{head}expect: [{{bus: b, received: 1}}]"),
            "expect[0]: received is nothing that can be expected of a bus",
        ),
        (&format!("{head}expect: [{{notice: EVENT_LOST}}]"), "expect[0]: there is no notice \"EVENT_LOST\""),
        (&format!("{head}subscribers: [{{name: s, nodes: [x]}}]"), "subscribers (s): there is no node called \"x\""),
        (
            "name: n\nseconds: 5\nbuses: [{name: b, topics: [{name: t, schema: {type: nothing}}]}]",
            "buses[0] (b).topics[0] (t).schema: does not compile",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains(says), "{error}\nshould say {says}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Failures that the run finds by itself are those that no scenario may have.
    #[test]
    fn whatever_the_speeds_and_policies_nothing_is_lost_unsaid(
        seed in any::<u64>(),
        readers in prop::collection::vec((0_usize..4, 1_u32..50, prop::option::of(1_u32..200), 0_u32..10), 1..5),
        rate in 1_u32..300,
        away in 0_u32..10,
    ) {
        let overflows = ["DROP_OLDEST", "DROP_NEWEST", "BLOCK", "DISCONNECT"];
        let subscribers = readers.iter().enumerate().map(|(number, (overflow, capacity, speed, at))| {
            let speed = speed.map_or(String::new(), |speed| format!("speed: {speed}, "));
            let overflow = overflows[*overflow];
            format!("{{name: s{number}, {speed}queue_capacity: {capacity}, overflow: {overflow}, attaches_at: {at}, \
                     detaches_at: {}, replay: {{all: true}}}}", at + 15)
        });
        let subscribers = subscribers.collect::<Vec<_>>().join(", ");
        let outcome = outcome_of(&format!(
            "{{name: n, seed: {seed}, seconds: 20, buses: [{{name: b, while_away: QUEUE}}],
               subscribers: [{subscribers}],
               publishers: [{{name: p, event_type: T, rate: {rate}, count: 500, jitter: 0.5}}],
               faults: [{{carrier_away: {{bus: b, at: {away}, for: 2}}}}, {{duplicate: {{bus: b, every: 7}}}}]}}"
        ));
        prop_assert!(outcome.is_expected(), "{outcome}");
        prop_assert!(outcome.subscribers.iter().all(|subscriber| subscriber.in_order));
        for (subscriber, (overflow, ..)) in outcome.subscribers.iter().zip(&readers) {
            prop_assert!(overflows[*overflow] != "BLOCK" || subscriber.missed == 0, "{outcome}");
        }
    }
}
