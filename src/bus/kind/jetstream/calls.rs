//! Calls of tools as requests over the same connection, and who can be called: NATS services
//! (<https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-32.md>), which say of themselves on
//! `$SRV` what they are, as this registry does.

use super::{Failure, Shared, TIMEOUT, away};
use crate::bus::kind::{Service, ServiceEndpoint};
use crate::model::bus_call::{Answered, Call, Failed, Unanswered};
use async_nats::client::RequestErrorKind;
use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, ServiceExt};
use async_nats::{Client, HeaderMap, HeaderValue, Message, Request};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// As what the registry answers `$SRV`.
pub const SERVICE: &str = "onex";
/// Where all services say what they are.
const INFO: &str = "$SRV.INFO";
/// For how long services may answer in all, and how long nobody may before it is taken that all have.
const DISCOVERED_WITHIN: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_millis(400);
/// How many services are taken in at most.
const SERVICES_MAX: usize = 1_000;

/// Asks whoever serves the subject; the server tells at once where nobody does.
pub(super) async fn ask(shared: &Shared, call: Call) -> Result<Answered, Unanswered> {
    let not_begun = |reason: String| Unanswered::NotBegun(reason);
    let address = call.address.as_str();
    // What the server itself answers, answers to others, and what would be an event of the bus.
    if address.starts_with(['$', '_']) || shared.subjects.are(address) {
        return Err(not_begun(format!("{address} is no subject of a tool: it is the server's, or the bus's own")));
    }
    shared.check().map_err(|failure| not_begun(failure.to_string()))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        let value: HeaderValue = value.parse().map_err(|_| not_begun(format!("{name} cannot be a header")))?;
        headers.insert(*name, value);
    }
    let request =
        Request::new().payload(call.arguments).headers(headers).timeout(Some(Duration::from_millis(call.timeout_ms)));
    let mut link = shared.link.clone();
    link.mark_unchanged();
    let client = shared.context.client();
    let answered = tokio::select! {
        biased;
        answered = client.send_request(address.to_owned(), request) => answered,
        _ = link.changed() => return Err(Unanswered::Lost("the connection to the NATS server broke".to_owned())),
    };
    match answered {
        Ok(message) if message.payload.len() > call.answer_bytes_max => Err(Unanswered::TooLarge),
        Ok(message) => Ok(read(message)),
        Err(error) => Err(match error.kind() {
            RequestErrorKind::TimedOut => Unanswered::TimedOut,
            RequestErrorKind::NoResponders => not_begun(format!("nobody listens on the subject {address}")),
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                not_begun(format!("NATS: {error}"))
            }
            RequestErrorKind::Other => Unanswered::Lost(format!("NATS: {error}")),
        }),
    }
}

fn read(message: Message) -> Answered {
    let header = |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name)).map(HeaderValue::as_str);
    let (code, said) = (header(NATS_SERVICE_ERROR_CODE), header(NATS_SERVICE_ERROR));
    if code.is_none() && said.is_none() {
        return Answered::Result(message.payload);
    }
    Answered::Failed(Failed {
        code: code.map_or_else(|| Failed::UNNAMED.to_owned(), |code| format!("NATS_{code}")),
        message: said.unwrap_or_default().to_owned(),
        details: serde_json::from_slice(&message.payload).ok(),
        // As HTTP's codes, which services use by custom.
        retryable: matches!(code, Some("429" | "503")),
    })
}

/// A service as it says what it is; members that are missing or null are as if they were empty.
#[derive(Deserialize)]
struct Info {
    name: String,
    id: String,
    version: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Deserialize)]
struct Endpoint {
    name: String,
    subject: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// The services that say what they are, this registry and others like it not among them.
pub(super) async fn discover(shared: &Shared) -> Result<Vec<Service>, Failure> {
    shared.check()?;
    let client = shared.context.client();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(away)?;
    client.publish_with_reply(INFO, inbox, Bytes::new()).await.map_err(away)?;
    let until = Instant::now() + DISCOVERED_WITHIN;
    let mut services = Vec::new();
    while services.len() < SERVICES_MAX {
        let quiet = until.min(Instant::now() + QUIET);
        let Ok(Some(answer)) = timeout_at(quiet, answers.next()).await else { break };
        // Where nobody is, the server says so; what is no such answer is somebody's mistake, and not this service's.
        if let Ok(info) = serde_json::from_slice::<Info>(&answer.payload)
            && info.name != SERVICE
        {
            services.push(info.into());
        }
    }
    Ok(services)
}

impl From<Info> for Service {
    fn from(info: Info) -> Self {
        let endpoints = info.endpoints.unwrap_or_default().into_iter().map(|endpoint| ServiceEndpoint {
            name: endpoint.name,
            address: endpoint.subject,
            metadata: endpoint.metadata.unwrap_or_default(),
        });
        Service {
            name: info.name,
            instance: info.id,
            version: info.version,
            description: info.description.unwrap_or_default(),
            metadata: info.metadata.unwrap_or_default(),
            endpoints: endpoints.collect(),
        }
    }
}

/// The registry among the server's services, until this is dropped.
pub(super) struct Found(Option<async_nats::service::Service>);

impl Drop for Found {
    fn drop(&mut self) {
        // Its task holds the connection, and does not end by itself. Nothing is waited for in there.
        self.0.take().map(|service| service.stop().now_or_never());
    }
}

/// Answers `$SRV` for the registry.
pub(super) async fn be_found(client: &Client, metadata: HashMap<String, String>) -> Result<Found, Failure> {
    let service = client
        .service_builder()
        .description("The registry: who is there, what each promises, which tools can be called")
        .metadata(metadata)
        .start(SERVICE, env!("CARGO_PKG_VERSION"));
    match tokio::time::timeout(TIMEOUT, service).await {
        Ok(started) => started.map(|service| Found(Some(service))).map_err(away),
        Err(_) => Err(away("the registry could not be made a service in time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::StatusCode;

    fn message(headers: &[(&str, &str)], payload: &'static str) -> Message {
        let headers = HeaderMap::from_iter(
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse::<HeaderValue>().unwrap())),
        );
        Message {
            subject: "_INBOX.1".into(),
            reply: None,
            payload: Bytes::from_static(payload.as_bytes()),
            headers: Some(headers),
            status: None::<StatusCode>,
            description: None,
            length: 0,
        }
    }

    #[test]
    fn an_answer_says_by_its_headers_that_a_service_failed() {
        let failed = message(&[(NATS_SERVICE_ERROR_CODE, "503"), (NATS_SERVICE_ERROR, "busy")], "{\"left\": 3}");
        let details = Some(serde_json::json!({"left": 3}));
        let expected = Failed { code: "NATS_503".to_owned(), message: "busy".to_owned(), details, retryable: true };
        assert_eq!(read(failed), Answered::Failed(expected));
        assert_eq!(read(message(&[("x", "y")], "3")), Answered::Result(Bytes::from_static(b"3")));
    }

    #[test]
    fn a_service_is_read_as_its_library_writes_it_with_nulls_for_what_it_has_not() {
        let said = r#"{"type": "io.nats.micro.v1.info_response", "name": "math", "id": "x1", "version": "1.0.0",
            "description": null, "metadata": null, "endpoints": [
                {"name": "add", "subject": "math.add", "queue_group": "q", "metadata": {"description": "adds"}}]}"#;
        let service = Service::from(serde_json::from_str::<Info>(said).unwrap());
        let metadata = BTreeMap::from([("description".to_owned(), "adds".to_owned())]);
        let add = ServiceEndpoint { name: "add".to_owned(), address: "math.add".to_owned(), metadata };
        assert_eq!(
            (service.instance.as_str(), service.description.as_str(), &service.endpoints[..]),
            ("x1", "", &[add][..])
        );
    }
}
