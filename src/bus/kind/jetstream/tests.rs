use super::super::{Heard, Retention};
use super::*;
use crate::bus::conformance::{
    Open, Site, a_group_is_told_how_many_a_bound_took, heard, name, next, outgoing, publish,
    who_listens_is_told_how_many_a_bound_took,
};
use crate::testing::Broker;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::{Semaphore, mpsc};

/// A NATS server of its own.
pub(in crate::bus) async fn site() -> Option<impl Site> {
    Broker::nats().await
}

fn options(port: u16, events: u64) -> Options {
    Options {
        servers: vec![format!("nats://127.0.0.1:{port}")],
        credentials: None,
        tls_ca: None,
        stream: "BUS".to_owned(),
        prefix: "test.bus".to_owned(),
        retention: Retention { events, age: Duration::from_secs(3_600), bytes: 1 << 30 },
        about: std::collections::HashMap::new(),
        replicas: 1,
    }
}

async fn opened(options: Options) -> Open {
    opened_hearing(options, 10_000).await
}

/// Opened by somebody who has room for so much that he has not looked at.
async fn opened_hearing(options: Options, room: usize) -> Open {
    let (sender, heard) = mpsc::channel(room);
    // JetStream is there a little after its server listens.
    let opening = async {
        loop {
            match open(options.clone(), sender.clone()).await {
                Ok(bus) => return bus,
                Err(Failure::Away(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(failure) => panic!("{failure}"),
            }
        }
    };
    let bus = tokio::time::timeout(Duration::from_secs(20), opening).await.expect("it never opens");
    Open { carrier: Box::new(bus), heard }
}

impl Site for Broker {
    fn open_keeping(&self, events: u64) -> BoxFuture<'_, Open> {
        Box::pin(opened(options(self.port, events)))
    }
}

/// Publishes until it is taken, with one id: what was taken already is no second event.
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
    let Some(mut broker) = Broker::nats().await else { return };
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
    assert_eq!(came.into_keys().collect::<BTreeSet<_>>(), published);
    // And who listens without a name heard each once, in order, and that the server was away.
    let (mut places, mut turns) = (Vec::new(), Vec::new());
    while places.len() < COUNT as usize {
        match tokio::time::timeout(Duration::from_secs(20), bus.heard.recv()).await.unwrap().unwrap() {
            Heard::Event(carried) => places.push(carried.place),
            Heard::Missed { .. } => panic!("nothing was lost"),
            Heard::Away { .. } => turns.push(false),
            Heard::Back => turns.push(true),
        }
    }
    assert_eq!(places, published.into_iter().collect::<Vec<_>>());
    assert!(!turns.is_empty() && turns.chunks(2).all(|turn| turn == [false, true]), "{turns:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_told_how_many_the_servers_bounds_took() {
    let Some(broker) = Broker::nats().await else { return };
    a_group_is_told_how_many_a_bound_took(&opened(options(broker.port, 20)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_is_told_how_many_went_while_the_server_was_away() {
    let Some(mut broker) = Broker::nats().await else { return };
    let mut slow = opened_hearing(options(broker.port, 20), 1).await;
    let published = publish(&*slow.carrier, 1, 5).await;
    broker.kill();
    broker.start_again().await;
    let other = opened(options(broker.port, 20)).await;
    who_listens_is_told_how_many_a_bound_took(&mut slow, &other, published).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_while_the_server_is_away_is_refused_at_once() {
    let Some(mut broker) = Broker::nats().await else { return };
    let mut bus = opened(options(broker.port, 100)).await;
    broker.kill();
    let Some(Heard::Away { reason }) = bus.heard.recv().await else { panic!("it is not said that the server is away") };
    assert!(reason.contains("NATS"), "{reason}");
    let refused = bus.carrier.publish(outgoing("t", 1)).await;
    assert!(matches!(refused, Err(Failure::Away(_))), "{refused:?}");
    assert!(matches!(bus.carrier.facts().await, Err(Failure::Away(_))));
    assert!(matches!(open(options(broker.port, 100), mpsc::channel(1).0).await, Err(Failure::Away(_))));
    broker.start_again().await;
    let place = insist(&*bus.carrier, 2).await;
    assert_eq!(heard(&mut bus).await.place, place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_serve_is_refused_with_the_reason() {
    let Some(broker) = Broker::nats().await else { return };
    let bus = opened(options(broker.port, 100)).await;
    let other = Options { prefix: "elsewhere".to_owned(), ..options(broker.port, 100) };
    let Err(Failure::Refused(reason)) = open(other, mpsc::channel(1).0).await else { panic!("it serves") };
    assert!(reason.contains("elsewhere.>") && reason.contains("test.bus.>"), "{reason}");
    // Other bounds of a stream that was made here are taken over.
    publish(&*bus.carrier, 1, 10).await;
    let narrower = opened(options(broker.port, 5)).await;
    assert_eq!(narrower.carrier.facts().await.unwrap().events, 5);
    let nobody = Options { tls_ca: Some("no/such/file".into()), ..options(broker.port, 100) };
    assert!(open(nobody, mpsc::channel(1).0).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_publish_is_heard_and_what_is_on_no_topic_is_passed_over() {
    let Some(broker) = Broker::nats().await else { return };
    let mut bus = opened(options(broker.port, 100)).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let theirs = async_nats::connect(format!("127.0.0.1:{}", broker.port)).await.unwrap();
    for subject in ["test.bus.ä", "test.bus.a.b"] {
        theirs.publish(subject, "{}".into()).await.unwrap();
    }
    theirs.flush().await.unwrap();
    let carried = heard(&mut bus).await;
    assert_eq!((carried.topic.as_str(), &carried.text[..], carried.traceparent.is_none()), ("a.b", &b"{}"[..], true));
    assert_eq!(next(&mut group).await.carried, carried);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_somebody_deletes_is_made_anew_and_heard_from_its_beginning() {
    let Some(broker) = Broker::nats().await else { return };
    let mut bus = opened(options(broker.port, 100)).await;
    publish(&*bus.carrier, 1, 5).await;
    for _ in 0..5 {
        heard(&mut bus).await;
    }
    let theirs = async_nats::connect(format!("127.0.0.1:{}", broker.port)).await.unwrap();
    async_nats::jetstream::new(theirs).delete_stream("BUS").await.unwrap();
    let place = insist(&*bus.carrier, 6).await;
    let said = loop {
        match tokio::time::timeout(Duration::from_secs(20), bus.heard.recv()).await.unwrap().unwrap() {
            Heard::Missed { lost, behind } => break (lost, behind),
            Heard::Event(carried) => panic!("{carried:?} comes before it is said that places begin anew"),
            Heard::Away { .. } | Heard::Back => {}
        }
    };
    assert_eq!((said, heard(&mut bus).await.place, place), ((0, Place(0)), Place(1), Place(1)));
}
