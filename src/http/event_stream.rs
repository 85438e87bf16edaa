//! Answers as server-sent events, by the "distinct connections mode" of GraphQL over SSE
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>): a `next` for each answer, and `complete`.
//!
//! The reader sets the pace: what is not taken is not asked for, and a watcher reads on from the log later.

use super::answer::{Accepted, errors_text};
use super::stopped;
use crate::graphql::{Answer, Answers};
use async_graphql::ServerError;
use axum::body::{Body, Bytes};
use axum::response::Response;
use bytes::{BufMut, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often a line that says nothing is sent, so that nobody on the way takes the connection for dead.
const KEEP_EVERY: Duration = Duration::from_secs(12);
/// How many answers that wait leave at once at most.
const AT_ONCE: usize = 64;

const NOTHING: Bytes = Bytes::from_static(b":\n\n");
/// With empty data: browsers pass over an event without any.
const COMPLETE: &[u8] = b"event: complete\ndata: \n\n";
/// The end of the connection without `complete`, after which clients ask anew.
const STOPPING: Bytes = Bytes::from_static(b": the registry is shutting down: connect again later\n\n");

struct Following {
    answers: Answers,
    stopping: watch::Receiver<bool>,
    keep: Interval,
    over: bool,
}

/// Answers one after the other, until there are no more or the server stops.
pub(super) fn follow(answers: Answers, stopping: watch::Receiver<bool>) -> Response {
    let mut keep = interval(KEEP_EVERY);
    keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let following = Following { answers, stopping, keep, over: false };
    let events = stream::unfold(following, |mut following| async move {
        let part = following.next().await?;
        Some((Ok::<_, Infallible>(part), following))
    });
    Accepted::follow(Body::from_stream(events))
}

/// One answer, and that it was the only one.
pub(super) fn once(answer: &Answer) -> Response {
    only(&answer.text)
}

/// Why there is no answer. The protocol has it as an event: a browser shows no other.
pub(super) fn refused(errors: &[ServerError]) -> Response {
    only(&errors_text(errors))
}

fn only(text: &[u8]) -> Response {
    let mut events = BytesMut::new();
    next(&mut events, text);
    events.put_slice(COMPLETE);
    Accepted::follow(Body::from(events.freeze()))
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let first = tokio::select! {
            answer = self.answers.next() => answer,
            // The first tick comes at once, and takes the headers along.
            _ = self.keep.tick() => return Some(NOTHING),
            () = stopped(&mut self.stopping) => {
                self.over = true;
                return Some(STOPPING);
            }
        };
        self.keep.reset();
        let mut events = BytesMut::new();
        let mut answer = first;
        let mut count = 0;
        loop {
            let Some(one) = answer else {
                self.over = true;
                events.put_slice(COMPLETE);
                return Some(events.freeze());
            };
            next(&mut events, &one.text);
            count += 1;
            if count == AT_ONCE {
                return Some(events.freeze());
            }
            match self.answers.next().now_or_never() {
                Some(more) => answer = more,
                None => return Some(events.freeze()),
            }
        }
    }
}

/// An answer as an event. A line break in it, which JSON has between its parts only, would end the event.
fn next(events: &mut BytesMut, text: &[u8]) {
    events.reserve(text.len() + 32);
    events.put_slice(b"event: next\ndata: ");
    let from = events.len();
    events.put_slice(text);
    for byte in events[from..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    events.put_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_event_whatever_is_in_it() {
        let mut events = BytesMut::new();
        next(&mut events, b"{\"data\":\r\n{\"a\": \"\\n\"}}");
        assert_eq!(&events[..], b"event: next\ndata: {\"data\":  {\"a\": \"\\n\"}}\n\n");
    }
}
