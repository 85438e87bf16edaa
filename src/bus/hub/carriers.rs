//! What carries a bus, by its kind and endpoint.

use super::Error;
#[cfg(any(feature = "jetstream", feature = "redis"))]
use crate::bus::kind::Retention;
use crate::bus::kind::{Carrier, Failure, Heard, local};
use crate::bus::topic::Rules;
use crate::model::{Bus, BusKind, BusTerms, TopicName, TopicTerms};
use crate::registry::engine::Clock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Whether a bus can be as it is asked for; what its broker says shows when it is started.
pub fn check(terms: &BusTerms) -> Result<(), Error> {
    let endpoint = |reason: &str| Err(Error::Unusable { what: "endpointUri", reason: reason.to_owned() });
    let begins = |schemes: &[&str]| {
        let given = terms.endpoint.as_deref().unwrap_or_default();
        given.split(',').all(|one| schemes.iter().any(|scheme| one.trim().starts_with(scheme)))
    };
    match terms.kind {
        BusKind::Local if terms.endpoint.is_some() => endpoint("a LOCAL bus is inside of the registry, and has none"),
        BusKind::Local => Ok(()),
        BusKind::Jetstream if !cfg!(feature = "jetstream") => Err(left_out("JETSTREAM", "jetstream")),
        BusKind::Jetstream if begins(&["nats://", "tls://"]) => Ok(()),
        BusKind::Jetstream => endpoint("is no address of NATS servers, such as nats://127.0.0.1:4222"),
        BusKind::Redis if !cfg!(feature = "redis") => Err(left_out("REDIS", "redis")),
        BusKind::Redis if begins(&["redis://"]) => Ok(()),
        BusKind::Redis => endpoint("is no address of a Redis server, such as redis://127.0.0.1:6379/0"),
        BusKind::Ipc | BusKind::Zmq => {
            let reason = "IPC and ZMQ are not run by this version yet: LOCAL, JETSTREAM and REDIS are".to_owned();
            Err(Error::Unusable { what: "kind", reason })
        }
    }
}

fn left_out(kind: &str, feature: &str) -> Error {
    let reason = format!("{kind} is not in this build of onex, which was made without the feature {feature}");
    Error::Unusable { what: "kind", reason }
}

/// Topics of which something is said.
pub(super) type Topics = Vec<(TopicName, Arc<TopicTerms>)>;

/// Opens what carries a bus.
pub(super) async fn open(
    bus: &Bus,
    topics: Topics,
    directory: &Path,
    told: Sender<Heard>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Carrier>, Error> {
    check(&bus.terms)?;
    let failed = |failure: Failure| match failure {
        Failure::Away(reason) => Error::Unreachable { name: bus.terms.name.to_string(), reason },
        failure => Error::Unusable { what: "the bus", reason: failure.to_string() },
    };
    match bus.terms.kind {
        BusKind::Local => local(bus, topics, directory, told, clock),
        #[cfg(feature = "jetstream")]
        BusKind::Jetstream => {
            use crate::bus::kind::jetstream;
            let servers = bus.terms.endpoint.as_deref().unwrap_or_default().split(',');
            let options = jetstream::Options {
                servers: servers.map(|server| server.trim().to_owned()).collect(),
                credentials: setting(bus, "credentials").map(Into::into),
                tls_ca: setting(bus, "tlsCa").map(Into::into),
                stream: format!("onex-{}", bus.terms.name.as_str().replace('.', "-")),
                prefix: format!("onex.{}", bus.terms.name),
                retention: retention(bus),
                replicas: 1,
            };
            Ok(Arc::new(jetstream::open(options, told).await.map_err(failed)?))
        }
        #[cfg(feature = "redis")]
        BusKind::Redis => {
            use crate::bus::kind::redis;
            let url = bus.terms.endpoint.clone().unwrap_or_default();
            let options = redis::Options { url, prefix: format!("onex:{}", bus.terms.name), retention: retention(bus) };
            Ok(Arc::new(redis::open(options, told).await.map_err(failed)?))
        }
        // Refused above.
        _ => Err(failed(Failure::Refused("it cannot be run".to_owned()))),
    }
}

fn local(
    bus: &Bus,
    topics: Topics,
    directory: &Path,
    told: Sender<Heard>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Carrier>, Error> {
    let unusable = |reason: String| Error::Unusable { what: "the bus's file", reason };
    std::fs::create_dir_all(directory).map_err(|error| unusable(error.to_string()))?;
    let policy = bus.terms.policy;
    let age = Duration::from_secs(u64::from(policy.history_seconds));
    let mut options = local::Options::new(directory.join(format!("{}.db", bus.id)));
    options.kept = local::Kept { events: u64::from(policy.history_events), age };
    let kept = |terms: &TopicTerms| {
        let bounds = Rules::bounds_of(&bus.terms, terms);
        local::Kept { events: bounds.events as u64, age: bounds.age }
    };
    options.topics = topics.into_iter().map(|(topic, terms)| (topic, kept(&terms))).collect();
    let opened = local::open(options, told, Arc::new(move || clock.now()));
    Ok(Arc::new(opened.map_err(|error| unusable(error.to_string()))?))
}

/// What a broker's stream keeps that is made for a bus.
#[cfg(any(feature = "jetstream", feature = "redis"))]
fn retention(bus: &Bus) -> Retention {
    /// A gibibyte: more is for who makes the stream.
    const BYTES: u64 = 1 << 30;
    let policy = bus.terms.policy;
    // No age is for ever, to brokers.
    let age = Duration::from_secs(u64::from(policy.history_seconds.max(1)));
    Retention { events: u64::from(policy.history_events.max(1)), age, bytes: BYTES }
}

/// What the bus's metadata says of how its broker is reached.
#[cfg(feature = "jetstream")]
fn setting<'a>(bus: &'a Bus, name: &str) -> Option<&'a str> {
    bus.terms.metadata.get(name)?.as_str()
}
