//! GraphQL over HTTP: POST for everything but subscriptions, GET for queries only.

use super::answer::{Media, coded_error};
use super::{Parts, caller};
use crate::graphql::error::ErrorCode;
use crate::graphql::{Caller, Kind};
use async_graphql::Variables;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A GraphQL request as it came.
struct Given {
    query: String,
    operation_name: Option<String>,
    variables: Variables,
}

pub(super) async fn post(
    State(parts): State<Arc<Parts>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let media = Media::accepted(request.headers());
    let caller = caller(address, request.headers());
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
        Ok(given) => Box::pin(answer(&parts, media, caller, given, false)).await,
        Err(reason) => media.refused(StatusCode::BAD_REQUEST, ErrorCode::InvalidArgument, reason),
    }
}

pub(super) async fn get(parts: &Parts, caller: Caller, request: Request) -> Response {
    let media = Media::accepted(request.headers());
    let parameters = Query::<HashMap<String, String>>::try_from_uri(request.uri());
    let given = parameters.map_err(|_| "the query string cannot be read".to_owned()).and_then(read_parameters);
    match given {
        Ok(given) => answer(parts, media, caller, given, true).await,
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

fn read_body(body: &[u8]) -> Result<Given, String> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the body is no JSON object with a query".to_owned());
    }
    let body: Body<'_> = serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    let query = member(body.query, "query", "text")?.ok_or("query is missing")?;
    let operation_name = member(body.operation_name, "operationName", "text")?;
    let variables = match member::<Variables>(body.variables.filter(|given| is_object(given)), "variables", "object")? {
        Some(variables) => variables,
        None if body.variables.is_none_or(|given| given.get() == "null") => Variables::default(),
        None => return Err("variables is no object".to_owned()),
    };
    match body.extensions {
        Some(given) if !is_object(given) && given.get() != "null" => Err("extensions is no object".to_owned()),
        _ => Ok(Given { query, operation_name, variables }),
    }
}

fn is_object(given: &RawValue) -> bool {
    given.get().starts_with('{')
}

/// A member of the body; `None` where it is absent or null.
fn member<'a, T: Deserialize<'a>>(given: Option<&'a RawValue>, name: &str, kind: &str) -> Result<Option<T>, String> {
    let Some(given) = given else { return Ok(None) };
    serde_json::from_str(given.get()).map_err(|_| format!("{name} is no {kind}"))
}

fn read_parameters(Query(mut given): Query<HashMap<String, String>>) -> Result<Given, String> {
    let query = given.remove("query").ok_or("the parameter query is missing")?;
    let operation_name = given.remove("operationName").filter(|name| !name.is_empty());
    let given = given.remove("variables").filter(|text| !text.is_empty());
    let parsed = given.map(|text| serde_json::from_str(&text)).transpose();
    let variables = variables(parsed.map_err(|error| format!("variables is no JSON: {error}"))?)?;
    Ok(Given { query, operation_name, variables })
}

fn variables(given: Option<Value>) -> Result<Variables, String> {
    match given {
        None | Some(Value::Null) => Ok(Variables::from_json(Value::Object(Map::new()))),
        Some(object @ Value::Object(_)) => Ok(Variables::from_json(object)),
        Some(_) => Err("variables is no object".to_owned()),
    }
}

async fn answer(parts: &Parts, media: Media, caller: Caller, given: Given, reading_only: bool) -> Response {
    let Given { query, operation_name, variables } = given;
    let executable = match parts.documents.prepare(&query, operation_name.as_deref(), variables).await {
        Ok(executable) => executable,
        Err(refused) => return media.not_run(status(&refused), refused.errors()),
    };
    match executable.kind() {
        Kind::Query => media.ran(&parts.documents.execute(executable, caller).await),
        Kind::Mutation if reading_only => {
            let message = "a mutation is sent by POST";
            let mut response = media.refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidArgument, message);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Kind::Mutation => media.ran(&parts.documents.execute(executable, caller).await),
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
