//! A request as it came, and what it is answered with: text in, text out. The transports see nothing of the library.

use super::render::put;
use crate::model::Sequence;
use async_graphql::{Response, Value};
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use serde_json::value::RawValue;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// A GraphQL request as it came, its parts by the names of the GraphQL-over-HTTP draft.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The document.
    pub query: &'a str,
    /// Which of its operations is meant.
    pub operation_name: Option<&'a str>,
    /// An object, as it was written.
    pub variables: Option<&'a RawValue>,
    /// An object, as it was written.
    pub extensions: Option<&'a RawValue>,
}

/// What a request is answered with, as text. Cheap to clone: an answer for many is written once.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The JSON of a GraphQL response; UTF-8.
    pub text: Bytes,
    has_data: bool,
    has_errors: bool,
    code: Option<&'static str>,
    place: Option<Sequence>,
}

impl Answer {
    /// A whole answer without errors that is written already.
    pub(super) fn of_text(text: Vec<u8>) -> Self {
        Answer { text: text.into(), has_data: true, has_errors: false, code: None, place: None }
    }

    /// Whether there is any data: not so where a field that must be there failed, up to the root.
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    /// The code of the first error; `None` where nothing went wrong.
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// Whether anything went wrong, be it in a single field.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Where in the log the change is that a subscription answers with: another one may go on behind it. `None` where
    /// the answer has no place in the log.
    pub fn place(&self) -> Option<Sequence> {
        self.place
    }

    pub(super) fn at(self, place: Option<Sequence>) -> Self {
        Answer { place, ..self }
    }
}

impl From<&Response> for Answer {
    fn from(response: &Response) -> Self {
        let mut text = br#"{"data":"#.to_vec();
        write(&response.data, &mut text);
        if !response.errors.is_empty() {
            text.extend_from_slice(br#","errors":"#);
            let _ = put(&mut text, &response.errors);
        }
        text.push(b'}');
        text.shrink_to_fit();
        let (has_data, has_errors) = (response.data != Value::Null, !response.errors.is_empty());
        let code = response.errors.first().and_then(super::observed::code_of);
        Answer { text: text.into(), has_data, has_errors, code, place: None }
    }
}

/// Writes a value; bytes are what was written already, in the place of a value (`render`).
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Binary(written) => out.extend_from_slice(written),
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, field)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                // Names of fields; within a JSON scalar anything may be a name.
                let _ = put(out, name.as_str());
                out.push(b':');
                write(field, out);
            }
            out.push(b'}');
        }
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        other => _ = put(out, other),
    }
}

/// Answers, one after the other. Looking for the next one costs little: what costs more is done elsewhere, and not far
/// ahead of who takes them.
pub struct Answers {
    stream: BoxStream<'static, Answer>,
    place: Option<Sequence>,
    progress: Option<Arc<Progress>>,
}

impl Answers {
    /// Answers that have no place in the log.
    pub(super) fn of(stream: impl Stream<Item = Answer> + Send + 'static) -> Self {
        Answers { stream: stream.boxed(), place: None, progress: None }
    }

    /// Answers behind a place in the log.
    pub(super) fn behind(place: Sequence, stream: impl Stream<Item = Answer> + Send + 'static) -> Self {
        Answers { place: Some(place), ..Answers::of(stream) }
    }

    /// Answers that may turn out to have places.
    pub(super) fn with(progress: Arc<Progress>, stream: impl Stream<Item = Answer> + Send + 'static) -> Self {
        Answers { progress: Some(progress), ..Answers::of(stream) }
    }

    /// The same on a way that it takes from here on.
    pub(super) fn through<S: Stream<Item = Answer> + Send + 'static>(self, way: impl FnOnce(Answers) -> S) -> Self {
        let (place, progress) = (self.place, self.progress.clone());
        Answers { stream: way(self).boxed(), place, progress }
    }

    /// Behind which place another subscription goes on where this one is now; `None` where it does not come from the
    /// log, or has not begun.
    pub fn place(&self) -> Option<Sequence> {
        self.place.or_else(|| self.progress.as_ref()?.begun())
    }
}

impl Stream for Answers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let next = self.stream.poll_next_unpin(context);
        if let Poll::Ready(Some(Answer { place: Some(place), .. })) = &next {
            self.place = Some(*place);
        }
        next
    }
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").field("place", &self.place()).finish_non_exhaustive()
    }
}

/// Where a subscription to changes begins, and how far it has come: the field says so beside its answers.
#[derive(Debug)]
pub(super) struct Progress {
    begin: Option<Sequence>,
    begun: AtomicU64,
    place: AtomicU64,
}

/// No place in the log.
const NOWHERE: u64 = u64::MAX;

impl Progress {
    /// Where it begins: instead of where its arguments say, or there.
    pub(super) fn new(begin: Option<Sequence>) -> Arc<Self> {
        Arc::new(Progress { begin, begun: AtomicU64::new(NOWHERE), place: AtomicU64::new(NOWHERE) })
    }

    /// Where it is to begin, in spite of its arguments.
    pub(super) fn begin(&self) -> Option<Sequence> {
        self.begin
    }

    /// It begins behind this place.
    pub(super) fn begins(&self, place: Sequence) {
        self.begun.store(place.0, Ordering::Relaxed);
    }

    /// The next answer is of the change at this place.
    pub(super) fn comes_to(&self, place: Sequence) {
        self.place.store(place.0, Ordering::Relaxed);
    }

    fn begun(&self) -> Option<Sequence> {
        known(self.begun.load(Ordering::Relaxed))
    }

    /// The place of the latest answer.
    pub(super) fn place(&self) -> Option<Sequence> {
        known(self.place.load(Ordering::Relaxed))
    }
}

fn known(place: u64) -> Option<Sequence> {
    (place != NOWHERE).then_some(Sequence(place))
}
