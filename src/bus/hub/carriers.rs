//! What carries a bus, by its kind and endpoint.

use super::{Error, Leases, discovering};
#[cfg(feature = "zmq")]
use crate::bus::envelope;
#[cfg(feature = "zmq")]
use crate::bus::kind::Place;
#[cfg(any(feature = "jetstream", feature = "redis", feature = "zmq"))]
use crate::bus::kind::Retention;
use crate::bus::kind::{Carrier, Endpoints, Failure, Heard, local};
use crate::bus::topic::Rules;
use crate::model::{Bus, BusKind, BusTerms, LeaseId, TopicName, TopicTerms};
use crate::registry::engine::Clock;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Whether a bus can be as it is asked for; what its broker says shows when it is started.
pub fn check(terms: &BusTerms) -> Result<(), Error> {
    let refuse = |reason: &str| Err(Error::Unusable { what: "metadata", reason: reason.to_owned() });
    match terms.metadata.get(discovering::SETTING) {
        Some(wanted) if !wanted.is_boolean() => return refuse("importServices is neither true nor false"),
        Some(_) if terms.kind != BusKind::Jetstream => {
            return refuse("importServices is for JETSTREAM: on other kinds nobody can be asked who is there");
        }
        _ => {}
    }
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
        BusKind::Ipc | BusKind::Zmq if !cfg!(feature = "zmq") => Err(left_out("ZeroMQ", "zmq")),
        BusKind::Ipc if terms.endpoint.is_some() => {
            endpoint("an IPC bus has sockets in the registry's data directory, and no endpoint to choose")
        }
        BusKind::Ipc => keys_fit(terms),
        BusKind::Zmq if terms.endpoint.is_none() || bound_at(terms).is_some() => keys_fit(terms),
        BusKind::Zmq => endpoint("is no address to listen at, such as tcp://127.0.0.1; the ports are leased"),
    }
}

/// Whether what is said of keys can be meant: a bus that was to have keys must not run without.
fn keys_fit(terms: &BusTerms) -> Result<(), Error> {
    let (file, clients) = (terms.metadata.get("curveSecretKeyFile"), terms.metadata.get("curveClients"));
    let refuse = |reason: &str| Err(Error::Unusable { what: "metadata", reason: reason.to_owned() });
    match (file, clients) {
        (None, None) => Ok(()),
        (Some(file), _) if !file.is_string() => refuse("curveSecretKeyFile is not the name of a file"),
        (None, Some(_)) => refuse("curveClients without curveSecretKeyFile: the bus has no key of its own"),
        (Some(_), Some(clients)) => match clients.as_array() {
            Some(clients) if clients.iter().all(|key| key.is_string()) => Ok(()),
            _ => refuse("curveClients is no list of public keys in Z85"),
        },
        (Some(_), None) => Ok(()),
    }
}

/// At which address a ZMQ bus listens.
fn bound_at(terms: &BusTerms) -> Option<&str> {
    let Some(endpoint) = &terms.endpoint else { return Some("127.0.0.1") };
    let address = endpoint.strip_prefix("tcp://")?;
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    bare.parse::<std::net::IpAddr>().ok().map(|_| address)
}

fn left_out(kind: &str, feature: &str) -> Error {
    let reason = format!("{kind} is not in this build of onex, which was made without the feature {feature}");
    Error::Unusable { what: "kind", reason }
}

/// How much a bus keeps in memory that has no other place.
#[cfg(feature = "zmq")]
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// How often ports are leased for a bus that find themselves in use when it listens there.
#[cfg(feature = "zmq")]
const BOUND_TRIES: usize = 3;

/// Topics of which something is said.
pub(super) type Topics = Vec<(TopicName, Arc<TopicTerms>)>;

/// What a bus is opened with, whichever it is.
pub(super) struct Around<'a> {
    /// Where files of buses are.
    pub(super) directory: &'a Path,
    pub(super) clock: Arc<dyn Clock>,
    #[cfg_attr(not(feature = "zmq"), expect(dead_code, reason = "ZMQ alone listens at ports"))]
    pub(super) leases: &'a dyn Leases,
    /// What is said of the registry where programs are looked for.
    #[cfg_attr(not(feature = "jetstream"), expect(dead_code, reason = "programs are looked for on NATS alone"))]
    pub(super) about: &'a HashMap<String, String>,
}

/// What carries a bus, opened.
pub(super) struct Opened {
    pub(super) carrier: Arc<dyn Carrier>,
    /// Where programs connect to it, where it listens itself.
    pub(super) endpoints: Option<Endpoints>,
    /// The ports that it listens at.
    pub(super) leases: Vec<LeaseId>,
}

/// Opens what carries a bus.
pub(super) async fn open(bus: &Bus, topics: Topics, told: Sender<Heard>, around: Around<'_>) -> Result<Opened, Error> {
    check(&bus.terms)?;
    #[cfg(feature = "zmq")]
    if matches!(bus.terms.kind, BusKind::Ipc | BusKind::Zmq) {
        return zeromq(bus, told, around).await;
    }
    let carrier = opened(bus, topics, told, around).await?;
    Ok(Opened { carrier, endpoints: None, leases: Vec::new() })
}

fn failed(bus: &Bus, failure: Failure) -> Error {
    match failure {
        Failure::Away(reason) => Error::Unreachable { name: bus.terms.name.to_string(), reason },
        failure => Error::Unusable { what: "the bus", reason: failure.to_string() },
    }
}

async fn opened(bus: &Bus, topics: Topics, told: Sender<Heard>, around: Around<'_>) -> Result<Arc<dyn Carrier>, Error> {
    let Around { directory, clock, .. } = around;
    let failed = |failure| failed(bus, failure);
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
                about: around.about.clone(),
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

/// Sockets of our own: at leased ports, or in a folder of the data directory.
#[cfg(feature = "zmq")]
async fn zeromq(bus: &Bus, told: Sender<Heard>, around: Around<'_>) -> Result<Opened, Error> {
    use crate::bus::kind::zmq;
    let Around { directory, clock, leases, .. } = around;
    let unusable = |reason: String| Error::Unusable { what: "the bus's sockets", reason };
    let options = |endpoints| zmq::Options {
        endpoints,
        retention: Retention { bytes: MEMORY_BYTES, ..retention(bus) },
        // Behind all that was given before, as long as fewer than a million a second were.
        first: Place(u64::try_from(clock.now().as_micros()).unwrap_or_default()),
        event_bytes_max: envelope::EVENT_BYTES_MAX,
        curve: curve(bus),
    };
    let time: crate::bus::kind::Clock = {
        let clock = clock.clone();
        Arc::new(move || clock.now())
    };
    if bus.terms.kind == BusKind::Ipc {
        let folder = std::path::absolute(directory).map_err(|error| unusable(error.to_string()))?;
        // By its id: a name may have slashes and dots in it.
        let folder = folder.join(bus.id.to_string());
        let at = |what: &str| format!("ipc://{}", folder.join(what).display());
        let endpoints = Endpoints { publish: at("publish"), subscribe: at("subscribe"), request: at("request") };
        let carrier = zmq::open(options(endpoints), told, time).await.map_err(|failure| failed(bus, failure))?;
        let endpoints = Some(carrier.endpoints().clone());
        return Ok(Opened { carrier: Arc::new(carrier), endpoints, leases: Vec::new() });
    }
    let address = bound_at(&bus.terms).unwrap_or("127.0.0.1");
    let mut tries = 0;
    loop {
        let leased = leases.lease(bus, &["publish", "subscribe", "request"]).await.map_err(unusable)?;
        let (ids, ports): (Vec<LeaseId>, Vec<u16>) = leased.into_iter().unzip();
        let [publish, subscribe, request] = ports[..] else {
            return Err(unusable("three ports were asked for, and others came".to_owned()));
        };
        let at = |port: u16| format!("tcp://{address}:{port}");
        let endpoints = Endpoints { publish: at(publish), subscribe: at(subscribe), request: at(request) };
        match zmq::open(options(endpoints), told.clone(), time.clone()).await {
            Ok(carrier) => {
                let endpoints = Some(carrier.endpoints().clone());
                return Ok(Opened { carrier: Arc::new(carrier), endpoints, leases: ids });
            }
            Err(failure) => {
                leases.release(&ids).await;
                tries += 1;
                // A number that was leased before a restart may be somebody else's by now: then there are others.
                if tries == BOUND_TRIES || !matches!(failure, Failure::Away(_)) {
                    return Err(failed(bus, failure));
                }
            }
        }
    }
}

/// Whose keys are wanted on a ZMQ bus, as its metadata says.
#[cfg(feature = "zmq")]
fn curve(bus: &Bus) -> Option<crate::bus::kind::zmq::Curve> {
    let clients = bus.terms.metadata.get("curveClients").and_then(|clients| clients.as_array());
    let clients = clients.map(|clients| clients.iter().filter_map(|key| key.as_str()).map(str::to_owned).collect());
    let server_secret_key_file = setting(bus, "curveSecretKeyFile")?.into();
    Some(crate::bus::kind::zmq::Curve { server_secret_key_file, clients })
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
#[cfg(any(feature = "jetstream", feature = "redis", feature = "zmq"))]
fn retention(bus: &Bus) -> Retention {
    /// A gibibyte: more is for who makes the stream.
    const BYTES: u64 = 1 << 30;
    let policy = bus.terms.policy;
    // No age is for ever, to brokers.
    let age = Duration::from_secs(u64::from(policy.history_seconds.max(1)));
    Retention { events: u64::from(policy.history_events.max(1)), age, bytes: BYTES }
}

/// What the bus's metadata says of how its broker is reached.
#[cfg(any(feature = "jetstream", feature = "zmq"))]
fn setting<'a>(bus: &'a Bus, name: &str) -> Option<&'a str> {
    bus.terms.metadata.get(name)?.as_str()
}
