//! Answers on the wire: media type by Accept, status by what happened, compression by Accept-Encoding.

use super::encoding::Encoding;
use super::identity::Denied;
use crate::graphql::error::{ErrorCode, extensions};
use crate::graphql::{Answer, Refused};
use async_graphql::ServerError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// What the GraphQL-over-HTTP draft would have for data beside errors.
const PARTIAL_SUCCESS: u16 = 294;

/// The media types that an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says what happened.
    GraphQl,
    /// `application/json`: what was a GraphQL request at all is answered with 200.
    Json,
    /// `text/event-stream`: what came of it follows as events.
    Events,
}

impl Media {
    fn as_str(self) -> &'static str {
        match self {
            Media::GraphQl => "application/graphql-response+json; charset=utf-8",
            Media::Json => "application/json; charset=utf-8",
            Media::Events => "text/event-stream; charset=utf-8",
        }
    }
}

/// What a client takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    /// What it prefers; `None` where it takes nothing that there is.
    pub(super) best: Option<Media>,
    /// Whether it takes events, if they are not what it prefers.
    pub(super) events: bool,
    /// What it prefers of what is answered once; JSON where it takes neither, since it has to be told so.
    plain: Media,
    encoding: Option<Encoding>,
}

/// How much a client wants something, and how exactly it named it.
type Wanted = (f32, u8);

/// One entry of an Accept header: the media type and how much it is wanted. Text that is no UTF-8 is wanted by nobody.
pub(super) fn range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next()?;
    let mut quality = 1.0;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim_end() {
            "q" | "Q" => quality = value.trim().parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q))?,
            name if name.eq_ignore_ascii_case("charset") && !is_utf8(value) => return None,
            _ => {}
        }
    }
    Some((media, quality))
}

/// Whether a charset is the one that is spoken here.
pub(super) fn is_utf8(charset: &str) -> bool {
    let charset = charset.trim().trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

impl Accepted {
    /// What the headers of a request say; JSON for those that say nothing.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let encoding = Encoding::accepted(headers);
        if !headers.contains_key(header::ACCEPT) {
            return Accepted { best: Some(Media::Json), events: false, plain: Media::Json, encoding };
        }
        let (mut graphql, mut json, mut events) = (None, None, None);
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for (media, quality) in accept.flat_map(|value| value.split(',')).filter_map(range) {
            // Of what fits, the entry that says it most exactly counts.
            let heed = |wanted: &mut Option<Wanted>, exactness| {
                if wanted.is_none_or(|(_, earlier)| earlier < exactness) {
                    *wanted = Some((quality, exactness));
                }
            };
            match media.to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => heed(&mut graphql, 2),
                "application/json" => heed(&mut json, 2),
                "application/*" => [&mut graphql, &mut json].into_iter().for_each(|wanted| heed(wanted, 1)),
                "*/*" => [&mut graphql, &mut json].into_iter().for_each(|wanted| heed(wanted, 0)),
                "text/event-stream" => heed(&mut events, 2),
                "text/*" => heed(&mut events, 1),
                _ => {}
            }
        }
        let wanted = |wanted: Option<Wanted>| wanted.filter(|(quality, _)| *quality > 0.0);
        let (graphql, json, events) = (wanted(graphql), wanted(json), wanted(events));
        // What is wanted alike is answered as GraphQL if it was named, else as what everybody reads.
        let plain = match (graphql, json) {
            (None, None) => None,
            (Some(graphql), Some(json)) if graphql > json || graphql == json && graphql.1 == 2 => {
                Some((Media::GraphQl, graphql))
            }
            (Some(graphql), None) => Some((Media::GraphQl, graphql)),
            (_, Some(json)) => Some((Media::Json, json)),
        };
        let best = match (plain, events) {
            (None, Some(_)) => Some(Media::Events),
            (Some((_, plain)), Some(events)) if events.0 > plain.0 => Some(Media::Events),
            (plain, _) => plain.map(|(media, _)| media),
        };
        let plain = plain.map_or(Media::Json, |(media, _)| media);
        Accepted { best, events: events.is_some(), plain, encoding }
    }

    /// An operation that ran, with whatever errors its fields had; where that has a status of its own, with it.
    pub(super) fn ran(self, answer: Answer, tell_partial: bool) -> Response {
        let status = match StatusCode::from_u16(PARTIAL_SUCCESS) {
            Ok(partial) if tell_partial && self.plain == Media::GraphQl && answer.has_errors() => partial,
            _ => StatusCode::OK,
        };
        self.respond(self.plain, status, answer.text)
    }

    /// The answers of several operations, as an array: no GraphQL response, but JSON.
    pub(super) fn ran_all(self, answers: Bytes) -> Response {
        self.respond(Media::Json, StatusCode::OK, answers)
    }

    /// Events that follow for as long as there are any. They are not compressed: each is to leave at once.
    pub(super) fn follow(events: Body) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(Media::Events.as_str())),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            // Some proxies gather what they pass on, unless they are told not to.
            (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        (headers, events).into_response()
    }

    /// A caller that may not ask, or not now.
    pub(super) fn denied(self, denied: Denied) -> Response {
        let (code, retry_after) = (denied.code, denied.retry_after);
        let status = match code {
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorCode::RateLimited | ErrorCode::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        };
        let mut response = self.errors(status, &[denied.into_error()]);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            // Whole seconds, and not a moment too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// A GraphQL request that was not run.
    pub(super) fn not_run(self, refused: &Refused) -> Response {
        let (status, legacy) = statuses(refused);
        let mut response = self.errors(if self.plain == Media::Json { legacy } else { status }, refused.errors());
        if matches!(refused, Refused::NotFound(_)) {
            // The next one may be answered otherwise.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        response
    }

    /// What was no GraphQL request, or one that may not be.
    pub(super) fn refused(self, status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Response {
        let error = ServerError { extensions: Some(extensions(code, json!({}))), ..coded_error(message) };
        self.errors(status, &[error])
    }

    /// What is no well-formed GraphQL-over-HTTP request: legacy clients know one status for it.
    pub(super) fn malformed(self, message: impl Into<String>) -> Response {
        self.not_run(&Refused::Malformed(vec![coded_error(message)]))
    }

    fn errors(self, status: StatusCode, errors: &[ServerError]) -> Response {
        self.respond(self.plain, status, errors_text(errors))
    }

    fn respond(self, media: Media, status: StatusCode, text: impl Into<Bytes>) -> Response {
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(media.as_str()));
        match self.encoding {
            Some(encoding) => encoding.respond(status, content_type, text.into()),
            None => (status, [content_type], Body::from(text.into())).into_response(),
        }
    }
}

/// The JSON of an answer that is errors alone.
pub(super) fn errors_text(errors: &[ServerError]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Refused<'a> {
        errors: &'a [ServerError],
    }
    // Errors are made of text and JSON values, which always can be written.
    serde_json::to_vec(&Refused { errors }).unwrap_or_else(|_| b"{\"errors\":[]}".to_vec())
}

/// The status of a request that was not run, by the GraphQL-over-HTTP draft, and the one for `application/json`: before
/// the draft, what was a GraphQL request at all was answered with 200.
fn statuses(refused: &Refused) -> (StatusCode, StatusCode) {
    match refused {
        Refused::Syntax(_) => (StatusCode::BAD_REQUEST, StatusCode::OK),
        Refused::Request(_) => (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::OK),
        Refused::Malformed(_) => (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::BAD_REQUEST),
        Refused::NotFound(_) => (StatusCode::NOT_FOUND, StatusCode::OK),
        Refused::Untrusted(_) => (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
    }
}

/// An error of the request itself.
pub(super) fn coded_error(message: impl Into<String>) -> ServerError {
    let extensions = extensions(ErrorCode::InvalidArgument, json!({}));
    ServerError { extensions: Some(extensions), ..ServerError::new(message.into(), None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_media_type_is_chosen() {
        let (graphql, json, events) = (Some(Media::GraphQl), Some(Media::Json), Some(Media::Events));
        for (accept, media) in [
            (None, json),
            (Some("*/*"), json),
            (Some("application/*"), json),
            (Some("application/graphql-response+json, application/json;q=0.9"), graphql),
            (Some("application/json, application/graphql-response+json"), graphql),
            (Some("application/graphql-response+json;q=0.5, application/json"), json),
            (Some("application/graphql-response+json; charset=utf-8"), graphql),
            (Some("application/graphql-response+json; charset=latin1, application/json"), json),
            (Some("Application/GraphQL-Response+JSON, */*;q=0.1"), graphql),
            (Some("application/json;q=0, */*"), graphql),
            (Some("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8"), json),
            (Some("text/event-stream"), events),
            (Some("text/event-stream, application/json;q=0.9"), events),
            (Some("application/json, text/event-stream"), json),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
            (Some(""), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Accepted::of(&headers).best, media, "{accept:?}");
        }
    }
}
