//! A call as one HTTP request: the arguments are the body of a POST, and the answer's body is the result.

use super::address::Forbidden;
use super::{Failure, Sending};
use crate::model::NAME_LEN_MAX;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;
use std::error::Error;

/// The most bytes that are read of an answer which says that the call failed.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// The most characters of an answer that a message quotes.
const EXCERPT_LEN_MAX: usize = 200;

/// Sends a call to the endpoint, which was checked, and reads its answer.
pub(super) async fn call(client: &Client, url: Url, sending: &Sending, bytes_max: usize) -> Result<Value, Failure> {
    let body = serde_json::to_vec(&*sending.arguments)
        .map_err(|error| Failure::not_started("Unsendable", format!("the arguments cannot be written: {error}")))?;
    let request = client.post(url).timeout(sending.timeout).headers(headers(sending)).body(body);
    let response = request.send().await.map_err(|error| unsent(&error))?;
    let status = response.status();
    if status.is_success() { result(response, bytes_max).await } else { Err(refused(status, response).await) }
}

fn headers(sending: &Sending) -> HeaderMap {
    let fixed = |text| HeaderValue::from_static(text);
    let invocation = sending.invocation.to_string();
    let own = [
        ("idempotency-key", invocation.clone()),
        ("onex-invocation-id", invocation),
        ("onex-attempt", sending.attempt.to_string()),
        ("onex-tool", sending.tool.name.to_string()),
        ("onex-tool-version", sending.tool.version.to_string()),
        ("onex-caller", sending.caller.clone()),
        ("x-correlation-id", sending.correlation_id.clone()),
        ("onex-deadline", sending.deadline.to_string()),
        ("onex-timeout-ms", sending.timeout.as_millis().to_string()),
    ];
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, fixed("application/json")),
        (ACCEPT, fixed("application/json, application/problem+json")),
    ]);
    for (name, mut text) in own {
        // A header has one line; what stands for the caller or the correlation came from outside.
        text.retain(|character| !character.is_control());
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// What it means that a request has no answer.
fn unsent(error: &reqwest::Error) -> Failure {
    if let Some(forbidden) = causes(error).find_map(|cause| cause.downcast_ref::<Forbidden>()) {
        return Failure::not_started("EndpointRefused", format!("the endpoint may not be called: {forbidden}"));
    }
    let reason = reason(error);
    if error.is_connect() {
        return Failure::not_started("Unreachable", format!("the endpoint cannot be reached: {reason}"));
    }
    lost("before the answer came", error)
}

/// What it means that a connection broke, or took too long, once the request may have arrived.
fn lost(when: &str, error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::unknown("Timeout", format!("the time was over {when}"));
    }
    Failure::unknown("ConnectionLost", format!("the connection to the endpoint broke {when}: {}", reason(error)))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source())
}

/// What is at the bottom of an error, without the address: that stands in the offer, and may be long.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

async fn result(response: Response, bytes_max: usize) -> Result<Value, Failure> {
    let status = response.status();
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
        return Ok(Value::Null);
    }
    let body = match read(response, bytes_max).await {
        Ok(Body { bytes, whole: true }) => bytes,
        Ok(Body { whole: false, .. }) => {
            let message = format!("the endpoint answered with more than {bytes_max} bytes (calls.response_bytes_max)");
            return Err(Failure::unknown("ResponseTooLarge", message));
        }
        Err(error) => return Err(lost("in the middle of the answer", &error)),
    };
    serde_json::from_slice(&body).map_err(|error| {
        let message = match excerpt(&body) {
            None => format!("the endpoint answered {status} with nothing: 204 says that there is no result"),
            Some(excerpt) => format!("the endpoint answered {status}, but not with JSON ({error}): {excerpt}"),
        };
        Failure::unknown("ResponseInvalid", message)
    })
}

struct Body {
    bytes: Vec<u8>,
    /// Whether this is all of it.
    whole: bool,
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Body, reqwest::Error> {
    let said = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut bytes = Vec::with_capacity(said.unwrap_or(0).min(bytes_max).min(ERROR_BYTES_MAX));
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok(Body { bytes, whole: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes, whole: true })
}

/// What an answer means that is no success.
///
/// 429 and 425 say that nothing was begun, and so does a 503 that says when to come back. One that does not may come
/// from a proxy whose connection to the tool broke in mid-call.
async fn refused(status: StatusCode, response: Response) -> Failure {
    let again = response.headers().contains_key(RETRY_AFTER);
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_problem = media_type.trim_start().to_ascii_lowercase().starts_with("application/problem+json");
    // Who said no has said it; a rest that does not come changes nothing about that.
    let body = read(response, ERROR_BYTES_MAX).await.map_or(Vec::new(), |body| body.bytes);
    let json = serde_json::from_slice::<Value>(&body).ok();
    let problem = json.as_ref().filter(|json| is_problem && json.is_object());
    let text = |name: &str| problem.and_then(|problem| problem.get(name)?.as_str()).filter(|text| !text.is_empty());
    let said = text("detail").or(text("title")).map(str::to_owned);
    let message = said.unwrap_or_else(|| match excerpt(&body) {
        None => format!("the endpoint answered {status}"),
        Some(excerpt) => format!("the endpoint answered {status}: {excerpt}"),
    });
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY => Failure::not_started("ProviderOverloaded", message),
        StatusCode::SERVICE_UNAVAILABLE if again => Failure::not_started("ProviderUnavailable", message),
        StatusCode::SERVICE_UNAVAILABLE => Failure::unknown("ProviderUnavailable", message),
        StatusCode::REQUEST_TIMEOUT | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            Failure::unknown("GatewayFailed", message)
        }
        _ => Failure::Tool {
            code: text("type").and_then(code).unwrap_or_else(|| format!("HTTP_{}", status.as_u16())),
            message,
            retryable: problem.and_then(|problem| problem.get("retryable")?.as_bool()).unwrap_or(again),
            details: json,
        },
    }
}

/// The code in a problem's type: its last segment, as in `https://errors.example.org/DivisionByZero`.
fn code(kind: &str) -> Option<String> {
    let kind = kind.trim_end_matches('/');
    let last = kind.rsplit(['/', ':', '#']).next().unwrap_or_default();
    let usable = !last.is_empty() && last.len() <= NAME_LEN_MAX && last.bytes().all(|byte| byte.is_ascii_graphic());
    (usable && kind != "about:blank").then(|| last.to_owned())
}

/// The beginning of a body on one line; `None` where there is nothing.
fn excerpt(body: &[u8]) -> Option<String> {
    // Cutting may halve a character, which is then shown as one that is missing.
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_LEN_MAX * 4)]);
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(EXCERPT_LEN_MAX).collect();
    let more = if short.len() < line.len() { "…" } else { "" };
    (!short.is_empty()).then(|| format!("{short}{more}"))
}
