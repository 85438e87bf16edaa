//! Answers on the wire: media type by Accept, status by what happened.

use super::identity::Denied;
use crate::graphql::Answer;
use crate::graphql::error::{ErrorCode, extensions};
use async_graphql::ServerError;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// The media types that an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says what happened.
    GraphQl,
    /// `application/json`: what was a GraphQL request at all is answered with 200.
    Json,
}

impl Media {
    /// The media type that the client prefers; JSON for those that do not say.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (Media::Json, 0.0);
        for range in accept.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = match parts.next() {
                Some("application/graphql-response+json") => Media::GraphQl,
                Some("application/json" | "application/*" | "*/*") => Media::Json,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            if quality > best.1 {
                best = (media, quality);
            }
        }
        best.0
    }

    fn as_str(self) -> &'static str {
        match self {
            Media::GraphQl => "application/graphql-response+json; charset=utf-8",
            Media::Json => "application/json; charset=utf-8",
        }
    }

    fn respond(self, status: StatusCode, body: impl Into<Body>) -> Response {
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(self.as_str()));
        (status, [content_type], body.into()).into_response()
    }

    /// An operation that ran, with whatever errors its fields had.
    pub(super) fn ran(self, answer: Answer) -> Response {
        self.respond(StatusCode::OK, answer.text)
    }

    /// A caller that may not ask.
    pub(super) fn denied(self, denied: Denied) -> Response {
        let (status, name, value) = match (denied.code, denied.retry_after) {
            (_, Some(wait)) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                (StatusCode::TOO_MANY_REQUESTS, header::RETRY_AFTER, HeaderValue::from(seconds))
            }
            (ErrorCode::Unauthenticated, None) => {
                (StatusCode::UNAUTHORIZED, header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            _ => return self.errors(StatusCode::FORBIDDEN, &[denied.into_error()]),
        };
        let mut response = self.errors(status, &[denied.into_error()]);
        response.headers_mut().insert(name, value);
        response
    }

    /// A GraphQL request that was not run.
    pub(super) fn not_run(self, status: StatusCode, errors: &[ServerError]) -> Response {
        let status = if self == Media::Json { StatusCode::OK } else { status };
        self.errors(status, errors)
    }

    /// What was no GraphQL request.
    pub(super) fn refused(self, status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Response {
        let error = ServerError { extensions: Some(extensions(code, json!({}))), ..coded_error(message) };
        self.errors(status, &[error])
    }

    fn errors(self, status: StatusCode, errors: &[ServerError]) -> Response {
        #[derive(Serialize)]
        struct Refused<'a> {
            errors: &'a [ServerError],
        }
        // Errors are made of text and JSON values, which always can be written.
        let body = serde_json::to_vec(&Refused { errors }).unwrap_or_else(|_| b"{\"errors\":[]}".to_vec());
        self.respond(status, body)
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
        for (accept, media) in [
            (None, Media::Json),
            (Some("*/*"), Media::Json),
            (Some("application/graphql-response+json, application/json;q=0.9"), Media::GraphQl),
            (Some("application/graphql-response+json;q=0.5, application/json"), Media::Json),
            (Some("application/graphql-response+json; charset=utf-8"), Media::GraphQl),
            (Some("text/html"), Media::Json),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Media::accepted(&headers), media, "{accept:?}");
        }
    }
}
