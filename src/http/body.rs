//! The body of a request: bounded in bytes and in time, whether it says its length or not.

use super::Limits;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use bytes::BytesMut;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::timeout;

/// How much of a body is passed over that nobody will read, so that its sender comes to read the answer.
const PASSED_OVER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long that may take.
const PASSED_OVER_WAIT: Duration = Duration::from_secs(5);

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("the body has more than {0} bytes, which is the most (http.body_bytes_max)")]
    TooLarge(usize),
    #[error("the body took longer than {} seconds (http.body_seconds)", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body is cut short, or its framing cannot be read")]
    Broken,
}

impl Unread {
    /// The status that says so.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Unread::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Unread::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body. One that is too large is read no further than to know that.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<Bytes, Unread> {
    let limit = limits.body_bytes_max;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limit as u64) {
        pass_over(request.into_body());
        return Err(Unread::TooLarge(limit));
    }
    let mut parts = request.into_body().into_data_stream();
    match timeout(limits.body_wait, collect(&mut parts, limit)).await {
        Ok(Err(unread @ Unread::TooLarge(_))) => {
            pass_over_rest(parts);
            Err(unread)
        }
        Ok(read) => read,
        Err(_) => Err(Unread::TooSlow(limits.body_wait)),
    }
}

async fn collect(parts: &mut BodyDataStream, limit: usize) -> Result<Bytes, Unread> {
    let Some(first) = parts.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(|_| Unread::Broken)?;
    // Most come in one piece, which then is not copied.
    let Some(second) = parts.next().await else { return fitting(first, limit) };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(part) = next {
        let part = part.map_err(|_| Unread::Broken)?;
        if whole.len() + part.len() > limit {
            return Err(Unread::TooLarge(limit));
        }
        whole.extend_from_slice(&part);
        next = parts.next().await;
    }
    fitting(whole.freeze(), limit)
}

fn fitting(whole: Bytes, limit: usize) -> Result<Bytes, Unread> {
    if whole.len() > limit { Err(Unread::TooLarge(limit)) } else { Ok(whole) }
}

/// Reads on without keeping anything, for a while: a sender whose connection is closed while it sends may never see the
/// answer.
pub(super) fn pass_over(body: Body) {
    if !body.is_end_stream() {
        pass_over_rest(body.into_data_stream());
    }
}

fn pass_over_rest(mut parts: BodyDataStream) {
    tokio::spawn(async move {
        let mut passed = 0;
        let passing = async {
            while let Some(Ok(part)) = parts.next().await {
                passed += part.len();
                if passed > PASSED_OVER_BYTES_MAX {
                    break;
                }
            }
        };
        // Whoever takes longer is cut off.
        let _ = timeout(PASSED_OVER_WAIT, passing).await;
    });
}
