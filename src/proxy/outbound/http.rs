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
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, fixed("application/json")),
        (ACCEPT, fixed("application/json, application/problem+json")),
    ]);
    for (name, text) in sending.headers() {
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// What it means that a request has no answer.
pub(super) fn unsent(error: &reqwest::Error) -> Failure {
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
fn reason(error: &(dyn Error + 'static)) -> String {
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

#[cfg(test)]
mod tests {
    use super::super::address::{Addresses, Rules};
    use super::super::testing::{policy, sending, serve};
    use super::super::{Outbound, Policy};
    use super::*;
    use crate::model::ToolTransport;
    use axum::Router;
    use axum::body::Bytes;
    use axum::response::{IntoResponse, Response};
    use axum::routing::post;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    async fn call(outbound: &Outbound, endpoint: &str) -> Result<Value, Failure> {
        outbound.call(sending(endpoint), |_| panic!("HTTP has no chunks")).await
    }

    /// What a call gives whose endpoint answers just this.
    async fn answered(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Value, Failure> {
        let mut response = (StatusCode::from_u16(status).unwrap(), body.into()).into_response();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let answer = move || async move { Response::from_parts(parts, axum::body::Body::from(body)) };
        let endpoint = serve(Router::new().route("/tool", post(answer))).await;
        call(&Outbound::try_new(policy()).unwrap(), &format!("{endpoint}/tool")).await
    }

    /// What a call gives whose endpoint reads the request, writes these bytes and closes the connection.
    async fn written(bytes: &'static [u8]) -> Result<Value, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(bytes).await.unwrap();
        });
        call(&Outbound::try_new(policy()).unwrap(), &endpoint).await
    }

    fn kind(result: Result<Value, Failure>) -> (&'static str, &'static str, String) {
        match result {
            Err(Failure::NotStarted { kind, message }) => ("not started", kind, message),
            Err(Failure::Unknown { kind, message }) => ("unknown", kind, message),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_call_is_one_post_that_says_what_it_is_and_nothing_of_the_caller_besides() {
        let seen = Arc::new(Mutex::new(None));
        let keep = seen.clone();
        let answer = async move |headers: HeaderMap, body: Bytes| {
            *keep.lock().unwrap() = Some((headers, body));
            json!({"sum": 3}).to_string()
        };
        let endpoint = serve(Router::new().route("/tool", post(answer))).await;
        let sent = sending(&format!("{endpoint}/tool?x=1"));
        let result = Outbound::try_new(policy()).unwrap().call(sent.clone(), |_| ()).await;
        assert_eq!(result, Ok(json!({"sum": 3})));

        let (headers, body) = seen.lock().unwrap().take().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), *sent.arguments);
        let mut found: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        found.sort();
        let mut expected = vec![
            ("accept", "application/json, application/problem+json".to_owned()),
            ("content-length", body.len().to_string()),
            ("content-type", "application/json".to_owned()),
            ("host", endpoint.strip_prefix("http://").unwrap().to_owned()),
            ("idempotency-key", sent.invocation.to_string()),
            ("onex-attempt", "2".to_owned()),
            ("onex-caller", "alice".to_owned()),
            ("onex-deadline", "2026-11-22T12:00:30Z".to_owned()),
            ("onex-invocation-id", sent.invocation.to_string()),
            ("onex-timeout-ms", "5000".to_owned()),
            ("onex-tool", "add".to_owned()),
            ("onex-tool-version", "1.2.0".to_owned()),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            ("user-agent", concat!("onex/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("x-correlation-id", "c-1 X-Evil: 1".to_owned()),
        ];
        expected.sort();
        assert_eq!(found.iter().map(|(a, b)| (a.as_str(), b.clone())).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_success_gives_its_json_and_204_gives_null() {
        for body in ["[1]", "null", "\"text\"", " {\"a\":1.5} "] {
            let expected = serde_json::from_str(body).unwrap();
            assert_eq!(answered(200, &[("content-type", "text/plain")], body).await, Ok(expected));
        }
        assert_eq!(answered(204, &[], "").await, Ok(Value::Null));
    }

    #[tokio::test]
    async fn a_success_that_cannot_be_read_may_have_done_the_work() {
        let long = format!("\"{}\"", "x".repeat(policy().response_bytes_max));
        for (body, kind_, says) in [
            ("", "ResponseInvalid", "answered 200 OK with nothing: 204 says"),
            ("<html>\n  no", "ResponseInvalid", ": <html> no"),
            ("{\"a\":", "ResponseInvalid", "not with JSON (EOF"),
            (&long, "ResponseTooLarge", "more than 1000 bytes (calls.response_bytes_max)"),
        ] {
            let (class, kind, message) = kind(answered(200, &[], body.to_owned()).await);
            assert_eq!((class, kind), ("unknown", kind_), "{message}");
            assert!(message.contains(says), "{message}");
        }
    }

    #[tokio::test]
    async fn a_problem_is_the_tools_own_error() {
        let problem = json!({
            "type": "https://errors.example.org/DivisionByZero", "title": "No.", "detail": "b is 0", "retryable": true
        });
        let headers = [("content-type", "application/problem+json; charset=utf-8")];
        let failure = answered(422, &headers, problem.to_string()).await.unwrap_err();
        let expected = Failure::Tool {
            code: "DivisionByZero".to_owned(),
            message: "b is 0".to_owned(),
            details: Some(problem),
            retryable: true,
        };
        assert_eq!(failure, expected);

        for (kind, code) in [
            ("about:blank", "HTTP_500"),
            ("", "HTTP_500"),
            ("urn:problem:NotNow", "NotNow"),
            ("https://e.example/#Gone", "Gone"),
            ("a b", "HTTP_500"),
        ] {
            let problem = json!({"type": kind, "title": "Broken"}).to_string();
            let Failure::Tool { code: found, message, retryable, .. } =
                answered(500, &headers, problem).await.unwrap_err()
            else {
                panic!("{kind}")
            };
            assert_eq!((found.as_str(), message.as_str(), retryable), (code, "Broken", false), "{kind}");
        }
    }

    #[tokio::test]
    async fn any_other_error_is_told_by_its_status_and_an_excerpt() {
        let long = format!("<html>{}", " no".repeat(1000));
        for (status, headers, body, code, says) in [
            (404, vec![], "Not here", "HTTP_404", "the endpoint answered 404 Not Found: Not here"),
            (400, vec![], "", "HTTP_400", "the endpoint answered 400 Bad Request"),
            (500, vec![], long.as_str(), "HTTP_500", "<html> no no"),
            (302, vec![("location", "http://127.0.0.1:1/")], "", "HTTP_302", "the endpoint answered 302 Found"),
            (307, vec![("location", "/tool")], "", "HTTP_307", "the endpoint answered 307"),
        ] {
            let failure = answered(status, &headers, body.to_owned()).await.unwrap_err();
            let Failure::Tool { code: found, message, retryable: false, .. } = failure else { panic!("{failure:?}") };
            assert_eq!(found, code);
            assert!(message.contains(says) && message.len() < 300, "{message}");
        }
        let failure = answered(500, &[("retry-after", "3")], "{\"a\":1}").await.unwrap_err();
        assert!(matches!(failure, Failure::Tool { details: Some(_), retryable: true, .. }), "{failure:?}");
    }

    #[tokio::test]
    async fn a_status_tells_whether_anything_was_begun() {
        let later = [("retry-after", "1")];
        for (status, headers, class, expected) in [
            (429, &[] as &[_], "not started", "ProviderOverloaded"),
            (425, &[], "not started", "ProviderOverloaded"),
            (503, &later, "not started", "ProviderUnavailable"),
            (503, &[], "unknown", "ProviderUnavailable"),
            (408, &[], "unknown", "GatewayFailed"),
            (502, &later, "unknown", "GatewayFailed"),
            (504, &[], "unknown", "GatewayFailed"),
        ] {
            let (found, kind, message) = kind(answered(status, headers, "busy").await);
            assert_eq!((found, kind), (class, expected), "{status}");
            assert!(message.ends_with(": busy"), "{message}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_reached_has_not_begun() {
        let outbound = Outbound::try_new(policy()).unwrap();
        let nobody = format!("http://127.0.0.1:{}/", crate::testing::free_port());
        let (class, name, message) = kind(call(&outbound, &nobody).await);
        assert_eq!((class, name), ("not started", "Unreachable"), "{message}");
        assert!(message.contains("refused"), "{message}");
        let (class, name, _) = kind(call(&outbound, "http://no.such.host.invalid/").await);
        assert_eq!((class, name), ("not started", "Unreachable"));
    }

    #[tokio::test]
    async fn a_connection_that_breaks_may_have_done_the_work() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"a\"",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
            b"no HTTP at all\r\n\r\n",
        ] {
            let (class, name, message) = kind(written(bytes).await);
            assert_eq!((class, name), ("unknown", "ConnectionLost"), "{message}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_allowed_is_never_connected_to() {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let answer = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            "1"
        };
        let endpoint = serve(Router::new().route("/", post(answer))).await;
        let port = endpoint.rsplit(':').next().unwrap();
        let strict = Outbound::try_new(Policy { allow_loopback: false, ..policy() }).unwrap();
        for endpoint in [
            endpoint.clone(),
            format!("http://localhost:{port}/"),
            format!("http://2130706433:{port}/"),
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            "https://example.org/".to_owned(),
            "ftp://example.org/".to_owned(),
            "http://user:secret@example.org/".to_owned(),
            "not a url".to_owned(),
            "/tool".to_owned(),
        ] {
            let (class, kind, message) = kind(call(&strict, &endpoint).await);
            assert_eq!((class, kind), ("not started", "EndpointRefused"), "{endpoint}");
            assert!(!message.contains("secret"), "{message}");
            assert_eq!(Err(message), strict.check(ToolTransport::Http, &endpoint));
        }
        // A name that does not show where it leads is judged when it is looked up.
        let resolving = Rules { allow_loopback: false, allow_private: false, allow: vec![] };
        let client = Client::builder().dns_resolver(Addresses(Arc::new(resolving))).build().unwrap();
        let url = format!("http://localhost:{port}/").parse().unwrap();
        let (class, name, message) = kind(super::call(&client, url, &sending(&endpoint), 9).await);
        assert_eq!((class, name), ("not started", "EndpointRefused"), "{message}");
        assert!(message.contains("calls.allow_loopback"), "{message}");
        assert_eq!(calls.load(Ordering::SeqCst), 0);

        let named =
            Outbound::try_new(Policy { allow_loopback: false, allow: vec!["localhost".parse().unwrap()], ..policy() });
        assert_eq!(call(&named.unwrap(), &format!("http://localhost:{port}/")).await, Ok(json!(1)));
    }

    /// Says when a request begins, and when nobody waits for its answer any more.
    async fn slow() -> (String, mpsc::UnboundedReceiver<&'static str>) {
        struct Told(mpsc::UnboundedSender<&'static str>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send("gone");
            }
        }
        let (tell, told) = mpsc::unbounded_channel();
        let answer = async move || {
            tell.send("begun").unwrap();
            let _told = Told(tell);
            std::future::pending::<()>().await
        };
        (serve(Router::new().route("/", post(answer))).await, told)
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_or_takes_too_long_closes_its_connection() {
        let outbound = Outbound::try_new(policy()).unwrap();
        let (endpoint, mut told) = slow().await;
        tokio::select! {
            result = call(&outbound, &endpoint) => panic!("{result:?}"),
            begun = told.recv() => assert_eq!(begun, Some("begun")),
        }
        assert_eq!(told.recv().await, Some("gone"));

        let (endpoint, mut told) = slow().await;
        let sending = crate::proxy::outbound::Sending { timeout: Duration::from_millis(50), ..sending(&endpoint) };
        let (class, name, message) = kind(outbound.call(sending, |_| ()).await);
        assert_eq!((class, name), ("unknown", "Timeout"), "{message}");
        assert_eq!((told.recv().await, told.recv().await), (Some("begun"), Some("gone")));
    }
}
