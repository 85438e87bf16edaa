//! Reading what the stream keeps, by consumers that are there for one reading.

use super::{Shared, away};
use crate::bus::kind::{Carried, Failure, Place};
use crate::model::Time;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::State;
use futures_util::StreamExt;
use std::time::Duration;

/// How many events are asked for at once.
const AT_ONCE: usize = 500;
/// When the server gives up a consumer that nobody took away.
const UNUSED_MAX: Duration = Duration::from_secs(10);

pub(super) async fn behind(shared: &Shared, after: Place, limit: usize) -> Result<Vec<Carried>, Failure> {
    shared.check()?;
    let state = shared.stream.get_info().await.map_err(away)?.state;
    check(&state, after)?;
    if state.messages == 0 || state.last_sequence <= after.0 || limit == 0 {
        return Ok(Vec::new());
    }
    let start = DeliverPolicy::ByStartSequence { start_sequence: after.0 + 1 };
    let consumer = consumer(shared, start).await?;
    let found = fetch(shared, &consumer, limit).await;
    take_away(shared, consumer);
    let found = found?;
    // Retention may have taken something between the first look and this one.
    match found.first() {
        Some(first) if after != Place(0) && first.place.0 > after.0 + 1 => {
            check(&shared.stream.get_info().await.map_err(away)?.state, after)?;
        }
        _ => {}
    }
    Ok(found)
}

/// Whether all that lies behind a place is still there.
fn check(state: &State, after: Place) -> Result<(), Failure> {
    if after != Place(0) && after.0 + 1 < state.first_sequence {
        return Err(Failure::Gone { oldest: Place(state.first_sequence) });
    }
    Ok(())
}

pub(super) async fn place_at(shared: &Shared, instant: Time) -> Result<Place, Failure> {
    shared.check()?;
    let nanos = i128::from(instant.as_micros()) * 1_000;
    let start_time = async_nats::datetime::from_nanos(nanos).map_err(away)?;
    // The server finds the place: it tells it as what the consumer has already passed.
    let consumer = consumer(shared, DeliverPolicy::ByStartTime { start_time }).await?;
    let passed = Place(consumer.cached_info().delivered.stream_sequence);
    let state = shared.stream.get_info().await.map_err(away)?.state;
    take_away(shared, consumer);
    Ok(if passed.0 < state.first_sequence { Place(0) } else { passed })
}

async fn consumer(shared: &Shared, deliver_policy: DeliverPolicy) -> Result<PullConsumer, Failure> {
    let config = pull::Config {
        deliver_policy,
        ack_policy: AckPolicy::None,
        inactive_threshold: UNUSED_MAX,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    shared.stream.create_consumer(config).await.map_err(away)
}

fn take_away(shared: &Shared, consumer: PullConsumer) {
    let stream = shared.stream.clone();
    tokio::spawn(async move {
        // The server gives it up anyway.
        let _ = stream.delete_consumer(&consumer.cached_info().name).await;
    });
}

async fn fetch(shared: &Shared, consumer: &PullConsumer, limit: usize) -> Result<Vec<Carried>, Failure> {
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = (limit - found.len()).min(AT_ONCE);
        let mut batch = consumer.fetch().max_messages(wanted).messages().await.map_err(away)?;
        let mut came = 0;
        while let Some(message) = batch.next().await {
            came += 1;
            found.extend(shared.subjects.read(&message.map_err(away)?).map(|(carried, _)| carried));
        }
        if came == 0 {
            break;
        }
    }
    Ok(found)
}
