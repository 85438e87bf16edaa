//! The calls that are under way: begun, cancelled, answered.
//!
//! They outlive the connection that brought them. An answer that was ready while the registry was away is given on the
//! next connection; the registry says whether anybody still wants it.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::client::Error;

use super::call::{Call, ToolError, time_left};
use super::link::Links;
use super::tool::Handler;

const COMPLETE: &str = "mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { status } }";
/// For how long after a call's own time its answer is still offered: the registry keeps it as a late one.
const LATE_MAX: Duration = Duration::from_secs(30);
/// How often an answer is sent anew because the connection was lost meanwhile. More would mean that the answer is what
/// breaks it.
const LOSSES_MAX: u32 = 3;
/// When to ask again a registry that was too busy.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A call as it comes from the registry.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Incoming {
    invocation_id: Uuid,
    pub(super) tool: String,
    pub(super) version: String,
    arguments: Value,
    caller: String,
    correlation_id: String,
    #[serde(deserialize_with = "instant")]
    deadline: Timestamp,
    timeout_ms: u64,
    attempt: u32,
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The calls of one node.
#[derive(Debug)]
pub(super) struct Calls {
    links: Links,
    /// By each call's id, how to tell it that nobody waits any more.
    under_way: Mutex<HashMap<Uuid, Arc<watch::Sender<bool>>>>,
    /// How many there are.
    count: watch::Sender<usize>,
    /// The places for handlers that run at once.
    places: Semaphore,
}

impl Calls {
    pub(super) fn new(links: Links, max_in_flight: u32) -> Self {
        let places = usize::try_from(max_in_flight).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self { links, under_way: Mutex::default(), count: watch::Sender::new(0), places: Semaphore::new(places) }
    }

    /// Begins a call. One that is under way already came twice, and is left alone.
    pub(super) fn begin(self: &Arc<Self>, incoming: Incoming, handler: Option<Handler>) {
        let cancelled = Arc::new(watch::Sender::new(false));
        {
            let mut under_way = self.under_way();
            if under_way.contains_key(&incoming.invocation_id) {
                return;
            }
            under_way.insert(incoming.invocation_id, cancelled.clone());
            self.count.send_replace(under_way.len());
        }
        let left = time_left(incoming.deadline, Duration::from_millis(incoming.timeout_ms));
        let call = Call {
            id: incoming.invocation_id,
            tool: incoming.tool,
            version: incoming.version,
            arguments: incoming.arguments,
            caller: incoming.caller,
            correlation_id: incoming.correlation_id,
            deadline: incoming.deadline,
            attempt: incoming.attempt,
            links: self.links.clone(),
            cancelled,
        };
        tokio::spawn(self.clone().run(call, handler, left));
    }

    /// Nobody waits for a call any more.
    pub(super) fn cancel(&self, id: Uuid) {
        if let Some(cancelled) = self.under_way().get(&id) {
            cancelled.send_replace(true);
        }
    }

    pub(super) fn cancel_all(&self) {
        for cancelled in self.under_way().values() {
            cancelled.send_replace(true);
        }
    }

    /// Waits until none is under way.
    pub(super) async fn idle(&self) {
        // The sender is this one's own, so that it cannot be gone.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<watch::Sender<bool>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, call: Call, handler: Option<Handler>, left: Duration) {
        let answer = tokio::select! {
            biased;
            () = call.cancelled() => None,
            () = sleep(left) => None,
            answer = self.answer(call.clone(), handler) => Some(answer),
        };
        match answer {
            Some(answer) => {
                if timeout(left + LATE_MAX, self.give(call.id, &call.tool, answer)).await.is_err() {
                    tracing::warn!(invocation = %call.id, tool = call.tool, "an answer could not be given in time");
                }
            }
            None => {
                call.cancelled.send_replace(true);
            }
        }
        let mut under_way = self.under_way();
        under_way.remove(&call.id);
        self.count.send_replace(under_way.len());
    }

    async fn answer(&self, call: Call, handler: Option<Handler>) -> Result<Value, ToolError> {
        let Some(handler) = handler else {
            let message = format!("this node has no handler for {} {}", call.tool, call.version);
            return Err(ToolError::new("NO_HANDLER", message));
        };
        // Places are never taken away, so that this waits and does not fail.
        let _place = self.places.acquire().await;
        let caught = AssertUnwindSafe(handler(call)).catch_unwind().await;
        caught.unwrap_or_else(|panic| Err(ToolError::new("PANIC", said_in_panic(&*panic))))
    }

    /// Gives an answer to the registry. One that it does not take is replaced by an error that says why.
    async fn give(&self, id: Uuid, tool: &str, answer: Result<Value, ToolError>) {
        let refused = match self.complete(id, &answer).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::warn!(invocation = %id, tool, error = %refused, "the registry did not take an answer");
        // An error that is not taken has nothing to be replaced by.
        if answer.is_ok() {
            let message = format!("the result could not be given to the registry: {refused}");
            let _ = self.complete(id, &Err(ToolError::new("RESULT_NOT_TAKEN", message))).await;
        }
    }

    async fn complete(&self, id: Uuid, answer: &Result<Value, ToolError>) -> Result<(), Error> {
        let input = match answer {
            Ok(result) => json!({"invocationId": id, "result": result}),
            Err(error) => json!({"invocationId": id, "error": error.input()}),
        };
        let variables = json!({"input": input});
        let (mut after, mut losses) = (0, 0);
        loop {
            let (number, connection) = self.links.next(after).await?;
            match connection.query::<Value>(COMPLETE, variables.clone()).await {
                Ok(_) => return Ok(()),
                Err(error @ Error::Lost { .. }) => {
                    (after, losses) = (number, losses + 1);
                    if losses == LOSSES_MAX {
                        return Err(error);
                    }
                }
                Err(Error::Refused { retryable: true, .. }) => sleep(RETRY_AFTER).await,
                // Said before, on a connection that was lost, or no longer known: nobody waits for it either way.
                Err(Error::Refused { code: Some(code), .. }) if ["ALREADY_EXISTS", "NOT_FOUND"].contains(&&*code) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn said_in_panic(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the tool panicked: {}", said.unwrap_or("it did not say why"))
}
