use super::*;
use crate::bus::conformance::{
    Open, Site, a_group_is_told_how_many_a_bound_took, heard, name, next, outgoing, publish,
    who_listens_is_told_how_many_a_bound_took,
};
use crate::testing::Broker;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A Redis server of its own.
struct Server(Broker);

/// A Redis server of its own.
pub(in crate::bus) async fn site() -> Option<impl Site> {
    Broker::redis().await.map(Server)
}

fn options(port: u16, events: u64) -> Options {
    Options {
        url: format!("redis://127.0.0.1:{port}"),
        prefix: "test".to_owned(),
        retention: Retention { events, age: Duration::from_secs(3_600), bytes: u64::MAX },
    }
}

async fn opened(options: Options) -> Open {
    opened_hearing(options, 10_000).await
}

/// Opened by somebody who has room for so much that he has not looked at.
async fn opened_hearing(options: Options, room: usize) -> Open {
    let (sender, heard) = mpsc::channel(room);
    Open { carrier: Box::new(open(options, sender).await.unwrap()), heard }
}

impl Site for Server {
    fn open_keeping(&self, events: u64) -> BoxFuture<'_, Open> {
        Box::pin(opened(options(self.0.port, events)))
    }
}

/// Publishes until it is taken; what an answer that was lost took is there twice.
async fn insist(carrier: &dyn Carrier, number: u128) -> Place {
    loop {
        match carrier.publish(outgoing("t", number)).await {
            Ok(place) => return place,
            Err(Failure::Away(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_mid_flow_loses_nothing_and_marks_what_comes_again() {
    const COUNT: u128 = 300;
    let Some(mut broker) = Broker::redis().await else { return };
    let mut bus = opened(options(broker.port, 10_000)).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let carrier: Arc<dyn Carrier> = bus.carrier.into();
    // Publishing goes on while the server is killed: it is never far ahead of what came.
    let ahead = Arc::new(Semaphore::new(30));
    let publishing = tokio::spawn({
        let (carrier, ahead) = (carrier.clone(), ahead.clone());
        async move {
            let mut places = BTreeSet::new();
            for number in 1..=COUNT {
                ahead.acquire().await.unwrap().forget();
                places.insert(insist(&*carrier, number).await);
            }
            places
        }
    });
    let mut came: BTreeMap<Place, u32> = BTreeMap::new();
    let mut killed = 0;
    while came.len() < COUNT as usize {
        let delivery = next(&mut group).await;
        let again = came.insert(delivery.carried.place, delivery.number);
        assert!(again.is_none() || delivery.number > 1, "{delivery:?} comes again and does not say so");
        // An acknowledgement that is not taken: the event comes again.
        let _ = group.acknowledge(&[delivery.carried.place]).await;
        ahead.add_permits(1);
        if came.len() >= 100 * (killed + 1) && killed < 2 {
            killed += 1;
            broker.kill();
            tokio::time::sleep(Duration::from_millis(100)).await;
            broker.start_again().await;
        }
    }
    let published = publishing.await.unwrap();
    while !published.iter().all(|place| came.contains_key(place)) {
        came.insert(next(&mut group).await.carried.place, 1);
    }
    // And who listens without a name heard all of them, each once, in order, and that the server was away.
    let (mut places, mut turns) = (Vec::new(), Vec::new());
    while !published.iter().all(|place| places.contains(place)) {
        match tokio::time::timeout(Duration::from_secs(20), bus.heard.recv()).await.unwrap().unwrap() {
            Heard::Event(carried) => places.push(carried.place),
            Heard::Missed { .. } => panic!("nothing was lost"),
            Heard::Away { .. } => turns.push(false),
            Heard::Back => turns.push(true),
        }
    }
    assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
    assert!(!turns.is_empty() && turns.chunks(2).all(|turn| turn == [false, true]), "{turns:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_told_how_many_the_servers_bounds_took() {
    let Some(broker) = Broker::redis().await else { return };
    a_group_is_told_how_many_a_bound_took(&opened(options(broker.port, 20)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_kept_nothing_is_heard_from_its_beginning_and_goes_on_counting() {
    let Some(mut broker) = Broker::redis().await else { return };
    let mut slow = opened_hearing(options(broker.port, 20), 1).await;
    publish(&*slow.carrier, 1, 5).await;
    for _ in 0..5 {
        heard(&mut slow).await;
    }
    broker.kill();
    broker.start_empty().await;
    let place = insist(&*slow.carrier, 6).await;
    assert_eq!(heard(&mut slow).await.place, place);
    let other = opened(options(broker.port, 20)).await;
    let published = publish(&*other.carrier, 7, 5).await;
    who_listens_is_told_how_many_a_bound_took(&mut slow, &other, published).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_and_does_not_keep_up_is_told_how_many_went_meanwhile() {
    let Some(broker) = Broker::redis().await else { return };
    let mut slow = opened_hearing(options(broker.port, 20), 1).await;
    let other = opened(options(broker.port, 20)).await;
    let published = publish(&*other.carrier, 1, 5).await;
    who_listens_is_told_how_many_a_bound_took(&mut slow, &other, published).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_is_told_how_many_went_while_the_server_was_away() {
    let Some(mut broker) = Broker::redis().await else { return };
    let mut slow = opened_hearing(options(broker.port, 20), 1).await;
    let published = publish(&*slow.carrier, 1, 5).await;
    broker.kill();
    broker.start_again().await;
    let other = opened(options(broker.port, 20)).await;
    who_listens_is_told_how_many_a_bound_took(&mut slow, &other, published).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_had_everything_has_lost_nothing_when_its_server_is_back() {
    let Some(mut broker) = Broker::redis().await else { return };
    let bus = opened(options(broker.port, 20)).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    for number in 1..=300 {
        let place = publish(&*bus.carrier, number, 1).await[0];
        assert_eq!(next(&mut group).await.carried.place, place);
        assert_eq!(group.acknowledge(&[place]).await, Ok(()));
    }
    broker.kill();
    broker.start_again().await;
    let place = insist(&*bus.carrier, 301).await;
    assert_eq!(next(&mut group).await.carried.place, place);
    // What others read for a group, a server does not know any more when it is back.
    let client = redis::Client::open(options(broker.port, 1).url).unwrap();
    let mut theirs = client.get_multiplexed_async_connection().await.unwrap();
    let mut forget = redis::cmd("XGROUP");
    forget.arg("SETID").arg("test:events").arg("g").arg("$").arg("ENTRIESREAD").arg(0);
    let _: () = forget.query_async(&mut theirs).await.unwrap();
    for number in 302..=700 {
        let place = publish(&*bus.carrier, number, 1).await[0];
        assert_eq!(next(&mut group).await.carried.place, place);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_the_server_is_away_is_refused_at_once() {
    let Some(mut broker) = Broker::redis().await else { return };
    let mut bus = opened(options(broker.port, 100)).await;
    publish(&*bus.carrier, 1, 1).await;
    heard(&mut bus).await;
    broker.kill();
    let Some(Heard::Away { reason }) = bus.heard.recv().await else { panic!("it is not said that the server is away") };
    assert!(reason.contains("Redis"), "{reason}");
    let refused = bus.carrier.publish(outgoing("t", 2)).await;
    assert!(matches!(refused, Err(Failure::Away(_))), "{refused:?}");
    assert!(matches!(open(options(broker.port, 100), mpsc::channel(1).0).await, Err(Failure::Away(_))));
    broker.start_again().await;
    let place = insist(&*bus.carrier, 3).await;
    assert_eq!(heard(&mut bus).await.place, place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_publish_is_heard_and_what_is_no_event_is_passed_over() {
    let Some(broker) = Broker::redis().await else { return };
    let mut bus = opened(options(broker.port, 100)).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let client = redis::Client::open(options(broker.port, 1).url).unwrap();
    let mut theirs = client.get_multiplexed_async_connection().await.unwrap();
    for (topic, event) in [("field", "no event"), ("topic", "a.b")] {
        let mut command = redis::cmd("XADD");
        command.arg("test:events").arg("*").arg(topic).arg(event).arg("event").arg("{}");
        let _: String = command.query_async(&mut theirs).await.unwrap();
    }
    let carried = heard(&mut bus).await;
    assert_eq!((carried.topic.as_str(), &carried.text[..], carried.traceparent.is_none()), ("a.b", &b"{}"[..], true));
    assert_eq!(next(&mut group).await.carried, carried);
    assert_eq!(bus.carrier.read(Place(0), 1).await, Ok(vec![carried]), "fewer than asked for would be all there are");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_refused_with_the_reason() {
    let Some(broker) = Broker::redis().await else { return };
    for (url, says) in [
        ("rediss://127.0.0.1:1".to_owned(), "TLS"),
        ("nonsense".to_owned(), "URL"),
        (format!("redis://user:wrong@127.0.0.1:{}", broker.port), "uthentication"),
    ] {
        let Err(failure) = open(Options { url, ..options(1, 1) }, mpsc::channel(1).0).await else { panic!("it opens") };
        assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
        assert!(failure.to_string().contains(says), "{failure}");
    }
    let client = redis::Client::open(options(broker.port, 1).url).unwrap();
    let mut theirs = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("SET").arg("test:events").arg("a text").query_async(&mut theirs).await.unwrap();
    let refused = open(options(broker.port, 1), mpsc::channel(1).0).await;
    assert!(matches!(refused, Err(Failure::Refused(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_goes_when_something_is_published() {
    let Some(broker) = Broker::redis().await else { return };
    let mut kept = options(broker.port, 100_000);
    kept.retention.age = Duration::from_millis(1);
    let bus = opened(kept).await;
    let first = publish(&*bus.carrier, 1, 300).await[0];
    // Whole nodes of a hundred entries or so go at once.
    let gone = async {
        loop {
            publish(&*bus.carrier, 1_000, 1).await;
            if bus.carrier.facts().await.unwrap().first > Some(first) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("nothing goes");
}
