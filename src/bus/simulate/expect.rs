//! Whether what came of a scenario is what was expected of it.

use super::file::{Expected, Range};
use super::outcome::{BusOutcome, NoticeOutcome, Outcome, PublisherOutcome, SubscriberOutcome};
use crate::bus::notice::NoticeKind;

/// What something is expected of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Subscriber,
    Publisher,
    Bus,
    Notice,
}

fn about(expected: &Expected) -> Option<About> {
    let Expected { subscriber, publisher, bus, notice, .. } = expected;
    // Of a notice it may be said to whom and on which bus it is.
    match (notice.is_some(), subscriber.is_some(), publisher.is_some(), bus.is_some()) {
        (true, _, false, _) => Some(About::Notice),
        (false, true, false, false) => Some(About::Subscriber),
        (false, false, true, false) => Some(About::Publisher),
        (false, false, false, true) => Some(About::Bus),
        _ => None,
    }
}

/// Why nothing of the kind can be expected; `None` where it can.
pub(super) fn unsuited(expected: &Expected) -> Option<String> {
    let Some(about) = about(expected) else {
        return Some("is about one of subscriber, publisher, bus and notice".to_owned());
    };
    if let Some(kind) = &expected.notice
        && !NoticeKind::ALL.iter().any(|known| known.event_type() == kind)
    {
        return Some(format!("there is no notice {kind:?}"));
    }
    let Expected { received, missed, waiting, redelivered, marked, p99_ms, published, refused, .. } = expected;
    let Expected { waited, delivered, dropped, invalid, retried, repeated, count, .. } = expected;
    use About::{Bus, Notice, Publisher, Subscriber};
    let said: [(&str, bool, &[About]); 18] = [
        ("received", received.is_some(), &[Subscriber]),
        ("missed", missed.is_some(), &[Subscriber]),
        ("waiting", waiting.is_some(), &[Subscriber]),
        ("redelivered", redelivered.is_some(), &[Subscriber]),
        ("marked", marked.is_some(), &[Subscriber]),
        ("in_order", expected.in_order.is_some(), &[Subscriber]),
        ("p99_ms", p99_ms.is_some(), &[Subscriber]),
        ("ended", expected.ended.is_some(), &[Subscriber]),
        ("refused", refused.is_some(), &[Subscriber, Publisher]),
        ("published", published.is_some(), &[Publisher, Bus]),
        ("waited", waited.is_some(), &[Publisher]),
        ("delivered", delivered.is_some(), &[Bus]),
        ("dropped", dropped.is_some(), &[Bus]),
        ("invalid", invalid.is_some(), &[Bus]),
        ("retried", retried.is_some(), &[Bus]),
        ("repeated", repeated.is_some(), &[Bus]),
        ("count", count.is_some(), &[Notice]),
        ("topic", expected.topic.is_some(), &[Notice]),
    ];
    let wrong = said.iter().find(|(_, is_said, of)| *is_said && !of.contains(&about));
    wrong.map(|(name, ..)| format!("{name} is nothing that can be expected of a {}", word(about)))
}

fn word(about: About) -> &'static str {
    match about {
        About::Subscriber => "subscriber",
        About::Publisher => "publisher",
        About::Bus => "bus",
        About::Notice => "notice",
    }
}

/// What is not as it is expected, a sentence each.
pub(super) fn failures(expected: &Expected, outcome: &Outcome) -> Vec<String> {
    fn named<'a, T>(of: &'a [T], name_of: impl Fn(&T) -> &str, name: &Option<String>) -> Option<&'a T> {
        of.iter().find(|one| name.as_deref() == Some(name_of(one)))
    }
    let failures = match about(expected) {
        Some(About::Notice) => Some(of_notice(expected, &outcome.notices)),
        Some(About::Subscriber) => named(&outcome.subscribers, |one| &one.name, &expected.subscriber)
            .map(|found| of_subscriber(expected, found)),
        Some(About::Publisher) => {
            named(&outcome.publishers, |one| &one.name, &expected.publisher).map(|found| of_publisher(expected, found))
        }
        Some(About::Bus) => named(&outcome.buses, |one| &one.name, &expected.bus).map(|found| of_bus(expected, found)),
        None => None,
    };
    failures.unwrap_or_default()
}

fn of_subscriber(expected: &Expected, got: &SubscriberOutcome) -> Vec<String> {
    let mut judge = Judge::new(format!("subscriber {}", got.name));
    judge.number("received", expected.received, got.received as f64);
    judge.number("missed", expected.missed, got.missed as f64);
    judge.number("waiting", expected.waiting, got.waiting as f64);
    judge.number("redelivered", expected.redelivered, got.redelivered as f64);
    judge.number("marked", expected.marked, got.marked as f64);
    if expected.p99_ms.is_some() {
        judge.number("p99_ms", expected.p99_ms, got.p99_ms.unwrap_or(f64::NAN));
    }
    if expected.in_order.is_some_and(|in_order| in_order != got.in_order) {
        let really = if got.in_order { "in the order of the bus, each once" } else { "out of order" };
        judge.say(format!("what it was given came {really}"));
    }
    if let Some(ended) = expected.ended.as_ref().filter(|ended| got.ended.as_ref() != Some(ended)) {
        let really = got.ended.as_deref().unwrap_or("it was not sent away");
        judge.say(format!("ended should be {ended}; {really}"));
    }
    if let Some(refused) = got.refused.as_ref().filter(|_| expected.refused.is_none()) {
        judge.say(format!("it could not attach: {refused}"));
    }
    judge.number("refused", expected.refused, f64::from(u8::from(got.refused.is_some())));
    judge.failures
}

fn of_publisher(expected: &Expected, did: &PublisherOutcome) -> Vec<String> {
    let mut judge = Judge::new(format!("publisher {}", did.name));
    judge.number("published", expected.published, did.published as f64);
    judge.number("refused", expected.refused, did.refused as f64);
    judge.number("waited", expected.waited, did.waited as f64);
    judge.failures
}

fn of_bus(expected: &Expected, did: &BusOutcome) -> Vec<String> {
    let mut judge = Judge::new(format!("bus {}", did.name));
    judge.number("published", expected.published, did.published as f64);
    judge.number("delivered", expected.delivered, did.delivered as f64);
    judge.number("dropped", expected.dropped, did.dropped as f64);
    judge.number("invalid", expected.invalid, did.invalid as f64);
    judge.number("retried", expected.retried, did.retried as f64);
    judge.number("repeated", expected.repeated, did.repeated as f64);
    judge.failures
}

fn of_notice(expected: &Expected, notices: &[NoticeOutcome]) -> Vec<String> {
    let kind = expected.notice.as_deref().unwrap_or_default();
    let is_meant = |notice: &&NoticeOutcome| {
        notice.event_type == kind
            && expected.subscriber.as_ref().is_none_or(|name| notice.subscriber.as_ref() == Some(name))
            && expected.bus.as_ref().is_none_or(|bus| notice.bus == *bus)
            && expected.topic.as_ref().is_none_or(|topic| notice.topic.as_ref() == Some(topic))
    };
    let count: u64 = notices.iter().filter(is_meant).map(|notice| notice.count).sum();
    let mut judge = Judge::new(format!("notice {kind}"));
    // One that is named without a count is there.
    judge.number("count", expected.count.or(Some(Range::Within { min: Some(1.0), max: None })), count as f64);
    judge.failures
}

struct Judge {
    subject: String,
    failures: Vec<String>,
}

impl Judge {
    fn new(subject: String) -> Self {
        Judge { subject, failures: Vec::new() }
    }

    fn say(&mut self, sentence: String) {
        self.failures.push(format!("{}: {sentence}", self.subject));
    }

    fn number(&mut self, name: &str, expected: Option<Range>, really: f64) {
        let Some(range) = expected else { return };
        let (min, max) = match range {
            Range::Exactly(number) => (number, number),
            Range::Within { min, max } => (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY)),
        };
        // Not a number is in no range.
        if (min..=max).contains(&really) {
            return;
        }
        let should = match range {
            Range::Exactly(number) => number.to_string(),
            Range::Within { min: Some(min), max: Some(max) } => format!("from {min} to {max}"),
            Range::Within { min: Some(min), max: None } => format!("{min} or more"),
            Range::Within { max: Some(max), .. } => format!("{max} or less"),
            Range::Within { .. } => "a number".to_owned(),
        };
        let really = if really.is_nan() { "unknown".to_owned() } else { really.to_string() };
        self.say(format!("{name} should be {should}; it is {really}"));
    }
}
