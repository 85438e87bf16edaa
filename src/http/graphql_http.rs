//! GraphQL over HTTP: POST for everything but subscriptions, GET for queries only.

use super::Parts;
use super::answer::{Media, coded_error};
use super::identity::{admit, caller};
use crate::graphql::error::ErrorCode;
use crate::graphql::{AtHand, Caller, Given, Kind};
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A GraphQL request, read.
struct Owned<'a> {
    query: String,
    operation_name: Option<String>,
    variables: Option<Cow<'a, RawValue>>,
}

impl Owned<'_> {
    fn given(&self) -> Given<'_> {
        Given {
            query: &self.query,
            operation_name: self.operation_name.as_deref(),
            variables: self.variables.as_deref(),
            extensions: None,
        }
    }
}

pub(super) async fn post(
    State(parts): State<Arc<Parts>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let media = Media::accepted(request.headers());
    let caller = match caller(&parts, address, request.headers()) {
        Ok(caller) => caller,
        Err(denied) => return media.denied(denied),
    };
    if !is_json(request.headers()) {
        // Anything that a browser sends to another site without asking first is refused with this.
        let message = "the Content-Type of a GraphQL request is application/json";
        return media.refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::InvalidArgument, message);
    }
    let limit = parts.limits.body_bytes_max;
    let Ok(body) = to_bytes(request.into_body(), limit).await else {
        let message = format!("the request is cut short, or has more than {limit} bytes");
        return media.refused(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::InvalidArgument, message);
    };
    match read_body(&body) {
        Ok(given) => Box::pin(answer(&parts, media, caller, given.given(), false)).await,
        Err(reason) => media.refused(StatusCode::BAD_REQUEST, ErrorCode::InvalidArgument, reason),
    }
}

pub(super) async fn get(parts: &Parts, caller: Caller, request: Request) -> Response {
    let media = Media::accepted(request.headers());
    let parameters = Query::<HashMap<String, String>>::try_from_uri(request.uri());
    let given = parameters.map_err(|_| "the query string cannot be read".to_owned()).and_then(read_parameters);
    match given {
        Ok(given) => answer(parts, media, caller, given.given(), true).await,
        Err(reason) => media.refused(StatusCode::BAD_REQUEST, ErrorCode::InvalidArgument, reason),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// The members of a body, each as it came: read once, straight into what runs. Unknown ones are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(default, borrow)]
    query: Option<&'a RawValue>,
    #[serde(default, borrow)]
    operation_name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    variables: Option<&'a RawValue>,
    #[serde(default, borrow)]
    extensions: Option<&'a RawValue>,
}

fn read_body(body: &[u8]) -> Result<Owned<'_>, String> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the body is no JSON object with a query".to_owned());
    }
    let body: Body<'_> = serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let query = member(body.query, "query", "text")?.ok_or("query is missing")?;
    let operation_name = member(body.operation_name, "operationName", "text")?;
    let variables = object(body.variables, "variables")?.map(Cow::Borrowed);
    object(body.extensions, "extensions")?;
    Ok(Owned { query, operation_name, variables })
}

/// A member of the body that is an object; `None` where it is absent or null.
fn object<'a>(given: Option<&'a RawValue>, name: &str) -> Result<Option<&'a RawValue>, String> {
    match given {
        Some(given) if given.get() == "null" => Ok(None),
        Some(given) if !given.get().starts_with('{') => Err(format!("{name} is no object")),
        given => Ok(given),
    }
}

/// A member of the body; `None` where it is absent or null.
fn member<'a, T: Deserialize<'a>>(given: Option<&'a RawValue>, name: &str, kind: &str) -> Result<Option<T>, String> {
    let Some(given) = given else { return Ok(None) };
    serde_json::from_str(given.get()).map_err(|_| format!("{name} is no {kind}"))
}

fn read_parameters(Query(mut given): Query<HashMap<String, String>>) -> Result<Owned<'static>, String> {
    let query = given.remove("query").ok_or("the parameter query is missing")?;
    let operation_name = given.remove("operationName").filter(|name| !name.is_empty());
    let given = given.remove("variables").filter(|text| !text.is_empty());
    let parsed = given.map(|text| serde_json::from_str::<Box<RawValue>>(&text)).transpose();
    let parsed = parsed.map_err(|error| format!("variables is no JSON: {error}"))?;
    let variables = object(parsed.as_deref(), "variables")?.map(|variables| Cow::Owned(variables.to_owned()));
    Ok(Owned { query, operation_name, variables })
}

async fn answer(parts: &Parts, media: Media, caller: Caller, given: Given<'_>, reading_only: bool) -> Response {
    if let Err(denied) = admit(parts, &caller) {
        return media.denied(denied);
    }
    match parts.documents.at_hand(&given, &caller) {
        Some(AtHand::Answer(answer)) => return media.ran(answer),
        Some(AtHand::Mutation(mutation)) if !reading_only => {
            return media.ran(parts.documents.answer(mutation, &caller).await);
        }
        // Refused below, with the words for what is refused.
        Some(AtHand::Mutation(_) | AtHand::Subscription(_)) | None => {}
    }
    let executable = match parts.documents.prepare(&given, &caller).await {
        Ok(executable) => executable,
        Err(refused) => return media.not_run(status(&refused), refused.errors()),
    };
    match executable.kind() {
        Kind::Query => media.ran(parts.documents.execute(executable, &caller).await),
        Kind::Mutation if reading_only => {
            let message = "a mutation is sent by POST";
            let mut response = media.refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidArgument, message);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Kind::Mutation => media.ran(parts.documents.execute(executable, &caller).await),
        Kind::Subscription => {
            let error = coded_error("a subscription needs a websocket (graphql-transport-ws) on this path");
            media.not_run(StatusCode::UNPROCESSABLE_ENTITY, &[error])
        }
    }
}

/// By the GraphQL-over-HTTP draft: what is no document is 400, a document that cannot be run is 422.
fn status(refused: &crate::graphql::Refused) -> StatusCode {
    match refused {
        crate::graphql::Refused::Syntax(_) => StatusCode::BAD_REQUEST,
        crate::graphql::Refused::Request(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
