//! Connecting, and the stream: made, or looked at whether it serves.

use super::calls;
use super::live::{self, Live};
use super::names::Subjects;
use super::{Failure, Jetstream, Place, Shared, TIMEOUT, away, refused};
use crate::bus::kind::{Heard, Retention, back_off};
use async_nats::datetime::DateTime;
use async_nats::jetstream::context::{ContextBuilder, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{RwLock, mpsc, watch};

/// What says of a stream that it was made here.
const STREAM: &str = "an onex bus";
/// For how long the server knows an id that was published.
const DUPLICATES_FOR: Duration = Duration::from_secs(120);

/// How a bus over JetStream is reached and kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers of a cluster: `nats://host:port` or `tls://host:port`, with `user:password@` or `token@` where they
    /// want one.
    pub servers: Vec<String>,
    /// A credentials file, as `nsc` writes it.
    pub credentials: Option<PathBuf>,
    /// Whom to trust: a file of certificates, besides those that the system trusts. Where it is said, the connection is
    /// TLS.
    pub tls_ca: Option<PathBuf>,
    /// The stream's name.
    pub stream: String,
    /// What subjects begin with: the topic `a.b` is the subject `<prefix>.a.b`.
    pub prefix: String,
    /// What a stream that is made here keeps.
    pub retention: Retention,
    /// What is said of the registry to those who look for services.
    pub about: HashMap<String, String>,
    /// On how many servers of a cluster such a stream is kept.
    pub replicas: usize,
}

/// Opens a bus over JetStream. Fails where the server is away; once it was there, it is waited for. What it carries
/// from now on is told to `heard`.
pub async fn open(options: Options, heard: mpsc::Sender<Heard>) -> Result<Jetstream, Failure> {
    let subjects = Subjects::new(&options.prefix)?;
    let (link, linked) = watch::channel(live::Link::default());
    let client = connect(&options, link).await?;
    let context = ContextBuilder::new().timeout(TIMEOUT).ack_timeout(TIMEOUT).build(client);
    let behind = prepare(&context, &options, &subjects).await?;
    let stream = context.get_stream_no_info(&options.stream).await.map_err(refused)?;
    let shared = Arc::new(Shared {
        context,
        stream,
        subjects,
        link: linked.clone(),
        closed: watch::channel(false).0,
        forgotten: watch::channel(()).0,
        held: Mutex::default(),
        given: Mutex::default(),
        reached: Mutex::default(),
        giving_back: Arc::new(RwLock::new(())),
    });
    let found = calls::be_found(&shared.context.client(), options.about.clone()).await?;
    let live = Live::new(shared.clone(), options, behind, heard, linked);
    // Before anything can be published here: what is, is heard.
    let begun = live.begin().await?;
    let live = tokio::spawn(live.run(begun)).abort_handle();
    Ok(Jetstream { shared, live, _found: found })
}

async fn connect(options: &Options, link: watch::Sender<live::Link>) -> Result<Client, Failure> {
    let mut asked = ConnectOptions::new()
        .name("onex")
        .connection_timeout(TIMEOUT)
        .request_timeout(Some(TIMEOUT))
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(|attempts| back_off(u32::try_from(attempts).unwrap_or(u32::MAX)))
        .event_callback(move |event| {
            link.send_if_modified(|link| link.hear(&event));
            if let Event::ServerError(_) | Event::ClientError(_) | Event::SlowConsumer(_) = event {
                tracing::warn!(%event, "NATS");
            }
            std::future::ready(())
        });
    if let Some(path) = &options.credentials {
        asked = asked.credentials_file(path).await.map_err(|error| refused(format!("{}: {error}", path.display())))?;
    }
    if let Some(path) = &options.tls_ca {
        asked = asked.add_root_certificates(path.clone()).require_tls(true);
    }
    let servers: Result<Vec<ServerAddr>, _> = options.servers.iter().map(|server| server.parse()).collect();
    let servers = servers.map_err(refused)?;
    // The client itself does not look for them there.
    if let Some(known) = servers.iter().find(|server| server.has_user_pass()) {
        let meant = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = known.username().map(meant).unwrap_or_default();
        asked = match known.password().map(meant) {
            Some(password) => asked.user_and_password(user, password),
            None => asked.token(user),
        };
    }
    asked.connect(servers).await.map_err(|error| match error.kind() {
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Authentication
        | ConnectErrorKind::AuthorizationViolation
        | ConnectErrorKind::Tls => refused(error),
        ConnectErrorKind::Dns | ConnectErrorKind::TimedOut | ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => {
            away(error)
        }
    })
}

fn wanted(options: &Options, subjects: &Subjects) -> Config {
    let bounded = |bound: u64| i64::try_from(bound).unwrap_or(-1);
    Config {
        name: options.stream.clone(),
        description: Some(STREAM.to_owned()),
        subjects: vec![subjects.all()],
        max_messages: bounded(options.retention.events),
        max_bytes: bounded(options.retention.bytes),
        max_age: options.retention.age,
        discard: DiscardPolicy::Old,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: options.replicas,
        // No longer than an event is kept, which the server insists on.
        duplicate_window: DUPLICATES_FOR.min(options.retention.age),
        ..Config::default()
    }
}

/// Sees to it that there is a stream that serves; says its last place, and when it was made.
pub(super) async fn prepare(
    context: &jetstream::Context,
    options: &Options,
    subjects: &Subjects,
) -> Result<(Place, DateTime), Failure> {
    let wanted = wanted(options, subjects);
    let there = match context.get_stream(&options.stream).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(told) if told.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                let made = context.create_stream(wanted).await.map_err(refused)?;
                let info = made.cached_info();
                return Ok((Place(info.state.last_sequence), info.created));
            }
            GetStreamErrorKind::Request => return Err(away(error)),
            _ => return Err(refused(error)),
        },
    };
    let has = &there.config;
    if has.description.as_deref() == Some(STREAM) && has.subjects == wanted.subjects {
        let bounds = |config: &Config| {
            (config.max_messages, config.max_bytes, config.max_age, config.duplicate_window, config.num_replicas)
        };
        if bounds(has) != bounds(&wanted) {
            context.update_stream(wanted).await.map_err(refused)?;
        }
    } else if has.retention != RetentionPolicy::Limits {
        return Err(refused(format!("the stream {} gives up events that were read", options.stream)));
    } else if !has.subjects.contains(&subjects.all()) {
        let (all, of) = (subjects.all(), has.subjects.join(", "));
        return Err(refused(format!("the stream {} is of {of}, not of {all}", options.stream)));
    }
    Ok((Place(there.state.last_sequence), there.created))
}
