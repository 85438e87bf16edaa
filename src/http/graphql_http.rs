//! GraphQL over HTTP, by the draft (<https://github.com/graphql/graphql-over-http>): POST, and GET for what reads.
//! Subscriptions, and whatever else a client wants so, are answered as server-sent events.

use super::answer::{Accepted, Media, coded_error, errors_text};
use super::body;
use super::event_stream;
use super::identity::{Denied, admit, caller};
use super::request::{Asked, Operation, Unreadable, is_json, read_body, read_parameters};
use super::{Parts, Peer};
use crate::graphql::error::ErrorCode;
use crate::graphql::{Answer, Answers, AtHand, Caller, Documents, Executable, Kind, Refused};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{BufMut, BytesMut};
use std::sync::Arc;

/// What a request may do, by how it came.
#[derive(Clone, Copy)]
struct May {
    /// Change something: not by GET.
    change: bool,
    /// Be answered more than once: by events.
    follow: bool,
}

/// What came of an operation.
enum Outcome {
    Answer(Answer),
    Answers(Answers),
    Denied(Denied),
    Refused(Refused),
    /// It changes something, and came by GET.
    ChangeByGet,
    /// It is answered more than once, and that is not wanted.
    FollowOnce,
}

const CHANGE_BY_GET: &str = "a mutation is sent by POST";
const FOLLOW_ONCE: &str = "a subscription is answered as text/event-stream, which is to be accepted, or over a \
                           websocket (graphql-transport-ws) on this path";

pub(super) async fn post(
    State(parts): State<Arc<Parts>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let accepted = Accepted::of(request.headers());
    let caller = match first_look(&parts, &peer, &request, accepted) {
        Ok(caller) => caller,
        Err(response) => {
            body::pass_over(request.into_body());
            return *response;
        }
    };
    let body = match body::read(request, &parts.limits).await {
        Ok(body) => body,
        Err(unread) => return accepted.refused(unread.status(), ErrorCode::InvalidArgument, unread.to_string()),
    };
    match read_body(&body, parts.limits.batch_max) {
        Ok(Asked::One(operation)) => Box::pin(answer(&parts, accepted, &caller, &operation, true)).await,
        Ok(Asked::Batch(_)) if accepted.best == Some(Media::Events) => {
            accepted.malformed("an array of operations is answered as JSON, which is to be accepted")
        }
        Ok(Asked::Batch(operations)) => accepted.ran_all(Box::pin(answer_all(&parts, &caller, operations)).await),
        Err(unreadable) => unread(accepted, unreadable),
    }
}

pub(super) async fn get(parts: &Parts, caller: Caller, request: Request) -> Response {
    let accepted = Accepted::of(request.headers());
    if accepted.best.is_none() {
        return not_acceptable(accepted);
    }
    match read_parameters(request.uri().query().unwrap_or_default()) {
        Ok(operation) => answer(parts, accepted, &caller, &operation, false).await,
        Err(unreadable) => unread(accepted, unreadable),
    }
}

/// What can be said before the body is read: who asks, and whether an answer to this can be made and taken.
fn first_look(parts: &Parts, peer: &Peer, request: &Request, accepted: Accepted) -> Result<Caller, Box<Response>> {
    let headers = request.headers();
    let refuse = |status, message| Box::new(accepted.refused(status, ErrorCode::InvalidArgument, message));
    if !is_json(headers) {
        let message = "the Content-Type of a GraphQL request is application/json, in UTF-8";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if is_encoded(headers) {
        let mut response = refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is sent without a Content-Encoding");
        response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        return Err(response);
    }
    if accepted.best.is_none() {
        return Err(Box::new(not_acceptable(accepted)));
    }
    caller(parts, peer, headers).map_err(|denied| Box::new(accepted.denied(denied)))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|encoding| encoding != "identity")
}

fn not_acceptable(accepted: Accepted) -> Response {
    let message = "an answer is application/graphql-response+json, application/json or text/event-stream: Accept \
                   names none of them";
    accepted.refused(StatusCode::NOT_ACCEPTABLE, ErrorCode::InvalidArgument, message)
}

fn unread(accepted: Accepted, unreadable: Unreadable) -> Response {
    match unreadable {
        Unreadable::NoJson(reason) => accepted.refused(StatusCode::BAD_REQUEST, ErrorCode::InvalidArgument, reason),
        Unreadable::Malformed(reason) => accepted.malformed(reason),
    }
}

/// Runs an operation and answers as is wanted.
async fn answer(
    parts: &Parts,
    accepted: Accepted,
    caller: &Caller,
    operation: &Operation<'_>,
    change: bool,
) -> Response {
    let wants_events = accepted.best == Some(Media::Events);
    let may = May { change, follow: accepted.events };
    match run(parts, caller, operation, may).await {
        Outcome::Answer(answer) if wants_events => event_stream::once(&answer),
        Outcome::Answer(answer) => accepted.ran(answer, parts.limits.tell_partial),
        Outcome::Answers(answers) => event_stream::follow(answers, parts.stopping.clone()),
        Outcome::Denied(denied) => accepted.denied(denied),
        Outcome::Refused(refused) if wants_events => event_stream::refused(refused.errors()),
        Outcome::Refused(refused) => accepted.not_run(&refused),
        Outcome::ChangeByGet => {
            let mut response =
                accepted.refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidArgument, CHANGE_BY_GET);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Outcome::FollowOnce => accepted.not_run(&Refused::Request(vec![coded_error(FOLLOW_ONCE)])),
    }
}

/// Runs the operations of an array one after the other, as if each had come by itself.
async fn answer_all(parts: &Parts, caller: &Caller, operations: Vec<Result<Operation<'_>, Unreadable>>) -> Bytes {
    let may = May { change: true, follow: false };
    let mut answers = BytesMut::from(&b"["[..]);
    for operation in operations {
        let outcome = match &operation {
            Ok(operation) => run(parts, caller, operation, may).await,
            Err(Unreadable::NoJson(reason) | Unreadable::Malformed(reason)) => {
                Outcome::Refused(Refused::Malformed(vec![coded_error(reason)]))
            }
        };
        if answers.len() > 1 {
            answers.put_u8(b',');
        }
        match outcome {
            Outcome::Answer(answer) => answers.put_slice(&answer.text),
            Outcome::Denied(denied) => answers.put_slice(&errors_text(&[denied.into_error()])),
            Outcome::Refused(refused) => answers.put_slice(&errors_text(refused.errors())),
            Outcome::Answers(_) | Outcome::FollowOnce => answers.put_slice(&errors_text(&[coded_error(FOLLOW_ONCE)])),
            Outcome::ChangeByGet => answers.put_slice(&errors_text(&[coded_error(CHANGE_BY_GET)])),
        }
    }
    answers.put_u8(b']');
    answers.freeze()
}

async fn run(parts: &Parts, caller: &Caller, operation: &Operation<'_>, may: May) -> Outcome {
    if let Err(denied) = admit(parts, caller) {
        return Outcome::Denied(denied);
    }
    let documents = &*parts.documents;
    let text = match documents.text(&operation.named()) {
        Ok(text) => text,
        Err(refused) => return Outcome::Refused(refused),
    };
    let given = operation.given(&text);
    match documents.at_hand(&given, caller) {
        Some(AtHand::Answer(answer)) => return Outcome::Answer(answer),
        Some(AtHand::Mutation(mutation)) if may.change => {
            return Outcome::Answer(documents.answer(mutation, caller).await);
        }
        Some(AtHand::Subscription(subscription)) if may.follow => {
            return match documents.watch(subscription, caller) {
                Ok(answers) => Outcome::Answers(answers),
                Err(error) => Outcome::Refused(Refused::Request(vec![error])),
            };
        }
        // Refused below, with the words for what is refused.
        Some(AtHand::Mutation(_) | AtHand::Subscription(_)) | None => {}
    }
    match documents.prepare(&given, caller).await {
        Ok(executable) => execute(documents, caller, executable, may).await,
        Err(refused) => Outcome::Refused(refused),
    }
}

async fn execute(documents: &Documents, caller: &Caller, executable: Executable, may: May) -> Outcome {
    match executable.kind() {
        Kind::Mutation if !may.change => Outcome::ChangeByGet,
        Kind::Query | Kind::Mutation => Outcome::Answer(documents.execute(executable, caller).await),
        Kind::Subscription if may.follow => Outcome::Answers(documents.subscribe(executable, caller)),
        Kind::Subscription => Outcome::FollowOnce,
    }
}

/// What the path is for, where it is asked for that or for what it is not.
pub(super) async fn options(request: Request) -> Response {
    const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    let accepted = Accepted::of(request.headers());
    let mut response = match request.method().as_str() {
        "OPTIONS" => axum::response::IntoResponse::into_response(StatusCode::NO_CONTENT),
        method => {
            let message = format!("{method} means nothing here: a query comes by GET or POST, a mutation by POST");
            accepted.refused(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::InvalidArgument, message)
        }
    };
    response.headers_mut().insert(header::ALLOW, ALLOWED);
    response
}
