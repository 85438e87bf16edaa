//! What every kind of bus keeps: one suite, run over each, on its real carrier. A kind says itself which cases it
//! cannot carry (`CANNOT_CARRY`).

use super::kind::{Begin, Carried, Carrier, Delivery, Failure, Group, Heard, Outgoing, Place};
use super::kind::{jetstream, local, redis};
#[cfg(feature = "zmq")]
use super::kind::{zmq, zmq::ipc};
use crate::model::{SubscriberName, Time, TopicName};
use crate::testing::passed_over;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

/// Longer than anything takes; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place where a bus can be opened, closed, and opened again.
pub trait Site: Send + Sync {
    /// Opens the bus, which keeps about so many events of a topic.
    fn open_keeping(&self, events: u64) -> BoxFuture<'_, Open>;

    /// Opens the bus, which keeps as many as the cases need.
    fn open(&self) -> BoxFuture<'_, Open> {
        self.open_keeping(100_000)
    }
}

/// A bus that is open.
pub struct Open {
    /// What carries it.
    pub carrier: Box<dyn Carrier>,
    /// What is heard of it.
    pub heard: mpsc::Receiver<Heard>,
}

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod over {
            conformance!(@over local, $($case)*);
            conformance!(@over jetstream, $($case)*);
            conformance!(@over redis, $($case)*);
            #[cfg(feature = "zmq")]
            conformance!(@over zmq, $($case)*);
            #[cfg(feature = "zmq")]
            conformance!(@over ipc, $($case)*);
        }

        #[test]
        fn what_a_kind_cannot_carry_is_a_case() {
            let cases = [$(stringify!($case)),*];
            let all = [
                local::CANNOT_CARRY,
                jetstream::CANNOT_CARRY,
                redis::CANNOT_CARRY,
                #[cfg(feature = "zmq")]
                zmq::CANNOT_CARRY,
            ];
            for cannot in all.concat() {
                assert!(cases.contains(&cannot), "{cannot}");
            }
        }
    };
    (@over $kind:ident, $($case:ident)*) => {
        mod $kind {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                use super::super::{$case, $kind, passed_over};
                if $kind::CANNOT_CARRY.contains(&stringify!($case)) {
                    passed_over(concat!(stringify!($kind), " cannot carry ", stringify!($case)));
                    return;
                }
                // Without the program that carries it there is nothing to see.
                if let Some(site) = $kind::site().await {
                    $case(&site).await;
                }
            })*
        }
    };
}

conformance! {
    events_are_heard_once_in_the_order_of_their_places,
    a_text_arrives_as_it_was_published,
    what_is_kept_is_read_behind_a_place,
    what_is_gone_is_said_with_the_oldest_kept_place,
    a_reader_that_missed_nothing_goes_on_whatever_is_gone,
    instants_are_found_at_their_places,
    the_same_id_twice_is_one_event,
    a_group_begins_where_it_is_asked_to,
    acknowledged_events_do_not_come_again,
    unacknowledged_events_come_again_when_their_member_is_gone,
    whoever_stops_waiting_misses_nothing,
    a_retry_waits_and_counts,
    two_members_share_what_comes,
    two_groups_get_everything_each,
    a_forgotten_group_begins_anew,
    facts_say_what_is_kept_and_who_is_how_far,
    a_closed_carrier_carries_nothing_more,
    a_bus_that_is_opened_again_goes_on_where_it_was,
}

/// A topic's name.
pub fn topic(name: &str) -> TopicName {
    TopicName::try_new(name).unwrap()
}

/// A durable group's name.
pub fn name(name: &str) -> SubscriberName {
    SubscriberName::try_new(name).unwrap()
}

/// An event with a text of this number.
pub fn outgoing(on: &str, number: u128) -> Outgoing {
    let text = Bytes::from(format!("{{\"number\":{number}}}"));
    Outgoing { topic: topic(on), text, id: Uuid::from_u128(number), traceparent: None }
}

/// Publishes so many events on two topics, with the numbers from `first`.
pub async fn publish(carrier: &dyn Carrier, first: u128, count: u128) -> Vec<Place> {
    let mut places = Vec::new();
    for number in first..first + count {
        let on = if number % 2 == 0 { "t.even" } else { "t.odd" };
        places.push(carrier.publish(outgoing(on, number)).await.unwrap());
    }
    places
}

/// The next event that is heard.
pub async fn heard(open: &mut Open) -> Carried {
    loop {
        match timeout(PATIENCE, open.heard.recv()).await.expect("nothing is heard").expect("nothing comes any more") {
            Heard::Event(carried) => return carried,
            Heard::Missed { .. } | Heard::Away { .. } | Heard::Back => {}
        }
    }
}

/// The next event of a group.
pub async fn next(group: &mut Box<dyn Group>) -> Delivery {
    timeout(PATIENCE, group.next()).await.expect("the group gets nothing").unwrap()
}

async fn acknowledged(group: &mut Box<dyn Group>) -> Place {
    let place = next(group).await.carried.place;
    group.acknowledge(&[place]).await.unwrap();
    place
}

fn places(carried: &[Carried]) -> Vec<Place> {
    carried.iter().map(|carried| carried.place).collect()
}

async fn events_are_heard_once_in_the_order_of_their_places(site: &dyn Site) {
    let mut open = site.open().await;
    let published = publish(&*open.carrier, 1, 50).await;
    assert!(published.is_sorted_by(|one, other| one < other), "{published:?}");
    assert!(published[0] > Place(0) && published[49] < Place(1 << 53));
    for (number, place) in (1..).zip(&published) {
        let carried = heard(&mut open).await;
        assert_eq!((carried.place, carried.text), (*place, outgoing("t", number).text));
    }
    open.carrier.close().await;
    assert!(!matches!(timeout(PATIENCE, open.heard.recv()).await, Ok(Some(Heard::Event(_)))));
}

async fn a_text_arrives_as_it_was_published(site: &dyn Site) {
    let mut open = site.open().await;
    let before = Time::from_micros(1_600_000_000_000_000);
    let traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    let sent = Outgoing {
        topic: topic("odd.$x/y:{z}"),
        text: Bytes::from(format!("{{\"long\":\"{}\"}}", "ü".repeat(100_000))),
        id: Uuid::from_u128(1),
        traceparent,
    };
    let place = open.carrier.publish(sent.clone()).await.unwrap();
    let carried = heard(&mut open).await;
    assert_eq!((&carried.topic, carried.place, &carried.text), (&sent.topic, place, &sent.text));
    assert_eq!(carried.traceparent, sent.traceparent);
    assert!(carried.at > before);
    assert_eq!(open.carrier.read(Place(0), 9).await.unwrap(), std::slice::from_ref(&carried));
    let mut group = open.carrier.group(name("g"), Begin::Behind(Place(0))).await.unwrap();
    assert_eq!(next(&mut group).await, Delivery { carried, number: 1 });
}

async fn what_is_kept_is_read_behind_a_place(site: &dyn Site) {
    let open = site.open().await;
    assert_eq!(open.carrier.read(Place(0), 9).await.unwrap(), []);
    let published = publish(&*open.carrier, 1, 10).await;
    let read = async |after, limit| places(&open.carrier.read(after, limit).await.unwrap());
    assert_eq!(read(Place(0), 100).await, published);
    assert_eq!(read(Place(0), 3).await, published[..3]);
    assert_eq!(read(published[3], 4).await, published[4..8]);
    assert_eq!(read(published[9], 4).await, []);
}

async fn what_is_gone_is_said_with_the_oldest_kept_place(site: &dyn Site) {
    let open = site.open_keeping(20).await;
    let (gone, kept) = published_beyond_bounds(&open).await;
    assert_eq!(open.carrier.read(gone[0], 9).await, Err(Failure::Gone { oldest: kept[0] }));
    assert_eq!(places(&open.carrier.read(kept[0], 2).await.unwrap()), kept[1..3]);
}

async fn a_reader_that_missed_nothing_goes_on_whatever_is_gone(site: &dyn Site) {
    let open = site.open_keeping(20).await;
    let (gone, kept) = published_beyond_bounds(&open).await;
    assert_eq!(places(&open.carrier.read(gone[gone.len() - 1], 2).await.unwrap()), kept[..2]);
}

/// Of kinds whose bounds take also what is still to come to a group: the group is told how much, once, and goes on.
/// `open` keeps some twenty events.
pub async fn a_group_is_told_how_many_a_bound_took(open: &Open) {
    // First the group has got nothing at all, then it has.
    for first in [1, 1_001] {
        drop(open.carrier.group(name("g"), Begin::Now).await.unwrap());
        let published = publish(&*open.carrier, first, 400).await;
        let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
        let told = group.next().await;
        let Err(Failure::Missed { lost, oldest }) = told else { panic!("{told:?}") };
        let kept = published.iter().position(|place| *place == oldest).unwrap();
        assert!(kept > 0 && lost == kept as u64, "{lost} are said to be lost, {kept} are");
        for place in &published[kept..] {
            assert_eq!(next(&mut group).await.carried.place, *place);
            group.acknowledge(&[*place]).await.unwrap();
        }
    }
}

/// Of kinds whose bounds may take what was not heard yet: it is said how much went, and where it goes on. `slow` has room
/// for one event in what it hears, and has heard nothing; `other` is the same bus, and keeps some twenty events.
pub async fn who_listens_is_told_how_many_a_bound_took(slow: &mut Open, other: &Open, published: Vec<Place>) {
    let published = [published, publish(&*other.carrier, 1_001, 400).await].concat();
    let (mut at, mut missed) = (0, 0);
    while at < published.len() {
        match timeout(PATIENCE, slow.heard.recv()).await.expect("nothing is heard").expect("nothing comes any more") {
            Heard::Event(carried) => {
                assert_eq!(carried.place, published[at]);
                at += 1;
            }
            Heard::Missed { lost, behind } => {
                missed += lost;
                at += lost as usize;
                assert!(published[at - 1] <= behind && behind < published[at], "it does not go on behind {behind:?}");
            }
            Heard::Away { .. } | Heard::Back => {}
        }
    }
    assert!((100..400).contains(&missed), "{missed} are said to be lost");
}

/// Publishes more on one topic than is kept; says what went and what is there.
async fn published_beyond_bounds(open: &Open) -> (Vec<Place>, Vec<Place>) {
    let mut published = Vec::new();
    for number in 1..=500 {
        published.push(open.carrier.publish(outgoing("t", number)).await.unwrap());
    }
    let kept = places(&open.carrier.read(Place(0), 1_000).await.unwrap());
    assert!((20..300).contains(&kept.len()), "{} are kept", kept.len());
    assert_eq!(published.split_off(500 - kept.len()), kept);
    (published, kept)
}

async fn instants_are_found_at_their_places(site: &dyn Site) {
    let mut open = site.open().await;
    assert_eq!(open.carrier.place_at(Time::from_micros(1)).await, Ok(Place(0)));
    publish(&*open.carrier, 1, 1).await;
    let first = heard(&mut open).await;
    let mut second = first.clone();
    // Carriers' clocks have steps: until the next.
    for number in 2.. {
        publish(&*open.carrier, number, 1).await;
        let carried = heard(&mut open).await;
        second = carried;
        if second.at > first.at {
            break;
        }
    }
    let before = open.carrier.place_at(second.at).await.unwrap();
    assert!(before < second.place && before >= first.place, "{before:?}");
    assert!(open.carrier.place_at(first.at).await.unwrap() < first.place);
    assert_eq!(open.carrier.place_at(first.at.plus_seconds(3_600)).await, Ok(second.place));
}

async fn the_same_id_twice_is_one_event(site: &dyn Site) {
    let mut open = site.open().await;
    let first = open.carrier.publish(outgoing("t", 1)).await.unwrap();
    assert_eq!(open.carrier.publish(outgoing("t", 1)).await, Ok(first));
    let second = open.carrier.publish(outgoing("t", 2)).await.unwrap();
    assert_eq!((heard(&mut open).await.place, heard(&mut open).await.place), (first, second));
}

async fn a_group_begins_where_it_is_asked_to(site: &dyn Site) {
    let open = site.open().await;
    let published = publish(&*open.carrier, 1, 5).await;
    let mut all = open.carrier.group(name("all"), Begin::Behind(Place(0))).await.unwrap();
    let mut some = open.carrier.group(name("some"), Begin::Behind(published[2])).await.unwrap();
    let mut new = open.carrier.group(name("new"), Begin::Now).await.unwrap();
    let later = publish(&*open.carrier, 6, 1).await;
    assert_eq!(next(&mut all).await.carried.place, published[0]);
    assert_eq!(next(&mut some).await.carried.place, published[3]);
    assert_eq!(next(&mut new).await.carried.place, later[0]);
    // One that is there goes on where it is, whatever is asked.
    let mut again = open.carrier.group(name("new"), Begin::Behind(Place(0))).await.unwrap();
    new.acknowledge(&later).await.unwrap();
    let latest = publish(&*open.carrier, 7, 1).await;
    drop(new);
    assert_eq!(next(&mut again).await.carried.place, latest[0]);
}

async fn acknowledged_events_do_not_come_again(site: &dyn Site) {
    let open = site.open().await;
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*open.carrier, 1, 6).await;
    for place in &published[..3] {
        assert_eq!(next(&mut group).await.carried.place, *place);
    }
    group.acknowledge(&published[..3]).await.unwrap();
    // What is done, and what it never had, is passed over.
    group.acknowledge(&[published[0], Place(published[5].0 + 1_000_000)]).await.unwrap();
    drop(group);
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    for place in &published[3..] {
        assert_eq!(acknowledged(&mut group).await, *place);
    }
}

async fn unacknowledged_events_come_again_when_their_member_is_gone(site: &dyn Site) {
    let open = site.open().await;
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*open.carrier, 1, 3).await;
    assert_eq!(next(&mut group).await.number, 1);
    assert_eq!(next(&mut group).await.number, 1);
    group.acknowledge(&published[..1]).await.unwrap();
    drop(group);
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let mut came = Vec::new();
    for _ in 0..2 {
        let Delivery { carried, number } = next(&mut group).await;
        assert_eq!(number > 1, carried.place == published[1], "{carried:?} for the time {number}");
        came.push(carried.place);
    }
    came.sort();
    assert_eq!(came, published[1..]);
}

async fn whoever_stops_waiting_misses_nothing(site: &dyn Site) {
    let open = site.open().await;
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    for round in 0..20 {
        assert!(timeout(Duration::from_millis(round % 4), group.next()).await.is_err());
        let published = publish(&*open.carrier, u128::from(round) + 1, 1).await;
        let stopped = timeout(Duration::from_micros(round * 100), group.next()).await;
        let came = match stopped {
            Ok(came) => came.unwrap(),
            Err(_) => next(&mut group).await,
        };
        assert_eq!((came.carried.place, came.number), (published[0], 1));
        group.acknowledge(&published).await.unwrap();
    }
}

async fn a_retry_waits_and_counts(site: &dyn Site) {
    let open = site.open().await;
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*open.carrier, 1, 2).await;
    assert_eq!(next(&mut group).await.number, 1);
    let wait = Duration::from_millis(300);
    let asked_at = tokio::time::Instant::now();
    group.retry(published[0], wait).await.unwrap();
    // What is behind it does not wait for it.
    assert_eq!(acknowledged(&mut group).await, published[1]);
    for number in 2..4 {
        let again = next(&mut group).await;
        assert_eq!((again.carried.place, again.number), (published[0], number));
        assert!(asked_at.elapsed() >= wait, "after {:?}", asked_at.elapsed());
        group.retry(published[0], Duration::ZERO).await.unwrap();
    }
    assert_eq!(acknowledged(&mut group).await, published[0]);
    // Nothing is left of it.
    group.retry(published[0], Duration::ZERO).await.unwrap();
    let last = publish(&*open.carrier, 3, 1).await;
    assert_eq!(acknowledged(&mut group).await, last[0]);
}

async fn two_members_share_what_comes(site: &dyn Site) {
    let open = site.open().await;
    let mut one = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let mut other = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published: BTreeSet<Place> = publish(&*open.carrier, 1, 20).await.into_iter().collect();
    let mut came = BTreeSet::new();
    for _ in 0..10 {
        for member in [&mut one, &mut other] {
            let Delivery { carried, number } = next(member).await;
            assert!(number == 1 && came.insert(carried.place), "{carried:?} comes again");
            member.acknowledge(&[carried.place]).await.unwrap();
        }
    }
    assert_eq!(came, published);
}

async fn two_groups_get_everything_each(site: &dyn Site) {
    let open = site.open().await;
    let mut one = open.carrier.group(name("one"), Begin::Now).await.unwrap();
    let mut other = open.carrier.group(name("other.g:2/@x"), Begin::Now).await.unwrap();
    for place in publish(&*open.carrier, 1, 10).await {
        assert_eq!((acknowledged(&mut one).await, acknowledged(&mut other).await), (place, place));
    }
}

async fn a_forgotten_group_begins_anew(site: &dyn Site) {
    let open = site.open().await;
    open.carrier.forget(name("g")).await.unwrap();
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    publish(&*open.carrier, 1, 2).await;
    next(&mut group).await;
    open.carrier.forget(name("g")).await.unwrap();
    let refused = timeout(PATIENCE, group.next()).await.expect("the member waits for a group that is gone");
    assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    assert_eq!(open.carrier.facts().await.unwrap().groups, []);
    let mut anew = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let later = publish(&*open.carrier, 3, 1).await;
    let came = next(&mut anew).await;
    assert_eq!((came.carried.place, came.number), (later[0], 1));
}

async fn facts_say_what_is_kept_and_who_is_how_far(site: &dyn Site) {
    let open = site.open().await;
    let facts = open.carrier.facts().await.unwrap();
    assert_eq!((facts.events, facts.first, facts.last, facts.groups.len()), (0, None, None, 0));
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*open.carrier, 1, 5).await;
    next(&mut group).await;
    next(&mut group).await;
    group.acknowledge(&published[..1]).await.unwrap();
    let facts = open.carrier.facts().await.unwrap();
    assert_eq!((facts.events, facts.first, facts.last), (5, Some(published[0]), Some(published[4])));
    assert!(facts.bytes > 0);
    let group = &facts.groups[0];
    assert_eq!((facts.groups.len(), group.name.as_str()), (1, "g"));
    // A carrier may have sent on what nobody has looked at yet.
    assert_eq!(group.unacknowledged + group.waiting, 4, "{group:?}");
    assert!(group.unacknowledged >= 1, "{group:?}");
}

async fn a_closed_carrier_carries_nothing_more(site: &dyn Site) {
    let open = site.open().await;
    publish(&*open.carrier, 1, 1).await;
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    open.carrier.close().await;
    open.carrier.close().await;
    let refused = timeout(PATIENCE, open.carrier.publish(outgoing("t", 2))).await.expect("it never answers");
    assert!(matches!(refused, Err(Failure::Away(_))), "{refused:?}");
    let ended = timeout(PATIENCE, group.next()).await.expect("its group waits for ever");
    assert!(matches!(ended, Err(Failure::Away(_))), "{ended:?}");
}

async fn a_bus_that_is_opened_again_goes_on_where_it_was(site: &dyn Site) {
    let open = site.open().await;
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*open.carrier, 1, 4).await;
    next(&mut group).await;
    next(&mut group).await;
    group.acknowledge(&published[..1]).await.unwrap();
    drop(group);
    open.carrier.close().await;
    let mut open = site.open().await;
    assert_eq!(places(&open.carrier.read(published[0], 9).await.unwrap()), published[1..]);
    let later = publish(&*open.carrier, 5, 1).await;
    assert!(later[0] > published[3]);
    assert_eq!(heard(&mut open).await.place, later[0], "what was heard before is not heard again");
    let mut group = open.carrier.group(name("g"), Begin::Now).await.unwrap();
    let mut came = Vec::new();
    for _ in 0..4 {
        let Delivery { carried, number } = next(&mut group).await;
        assert_eq!(number > 1, carried.place == published[1], "{carried:?} for the time {number}");
        came.push(carried.place);
    }
    came.sort();
    assert_eq!(came, [&published[1..], &later].concat());
}
