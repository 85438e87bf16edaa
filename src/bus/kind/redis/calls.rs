//! Calls of tools over lists: one for the requests to an address, from which whoever serves it takes them, and one for
//! the answers to this registry.
//!
//! A request is the JSON `{id, address, arguments, reply_to, headers}` at the end of `<prefix>:calls:<address>`; an
//! answer is `{id, result}` or `{id, error: {code, message, details, retryable}}` at the end of the list that
//! `reply_to` names. What nobody takes is taken back, in one step of the server, so that it is certain that nobody has
//! begun.

use super::Shared;
use super::connection::failure;
use crate::bus::kind::{back_off, failed};
use crate::model::bus_call::{Answered, Call, Unanswered};
use bytes::Bytes;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

/// How long a request may lie there before it is taken back.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);
/// For how many seconds one question for answers stands.
const ASKED_FOR: u64 = 1;

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    address: &'a str,
    arguments: &'a RawValue,
    reply_to: &'a str,
    headers: BTreeMap<&'static str, &'a str>,
}

#[derive(Deserialize)]
struct Reply {
    id: String,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Box<RawValue>>,
}

/// What comes back for those who wait.
type Waiting = Mutex<HashMap<String, oneshot::Sender<Reply>>>;

/// The calls that are under way on one bus.
pub(super) struct Calls {
    shared: Arc<Shared>,
    /// The list of answers to this registry.
    reply_to: String,
    waiting: Arc<Waiting>,
    // Begun with the first call.
    reading: Mutex<Option<AbortHandle>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No step under either can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Calls {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "tells this run of a registry from every other on the server")]
        let reply_to = format!("{}:answers:{}", shared.prefix, Uuid::new_v4());
        Calls { shared, reply_to, waiting: Arc::default(), reading: Mutex::default() }
    }

    /// Has a request taken by whoever serves the address, and waits for the answer.
    pub(super) async fn ask(&self, call: Call) -> Result<Answered, Unanswered> {
        let not_begun = |reason: String| Unanswered::NotBegun(reason);
        self.shared.check().map_err(|failure| not_begun(failure.to_string()))?;
        self.read_answers();
        let until = Instant::now() + call.timeout;
        let text = self.written(&call).map_err(|error| not_begun(format!("the call cannot be written: {error}")))?;
        let (tell, mut told) = oneshot::channel();
        held(&self.waiting).insert(call.id.clone(), tell);
        let list = format!("{}:calls:{}", self.shared.prefix, call.address);
        let mut asked = Asked { calls: self, id: &call.id, list, text, may_lie: true };
        if let Err(error) = asked.push(call.timeout).await {
            let reason = failure(&error).to_string();
            return Err(if asked.take_back().await == Some(true) {
                not_begun(reason)
            } else {
                Unanswered::Lost(reason)
            });
        }
        let taken = until.min(Instant::now() + TAKEN_WITHIN);
        let reply = match timeout_at(taken, &mut told).await {
            Ok(reply) => reply,
            Err(_) if asked.take_back().await == Some(true) => {
                let seconds = TAKEN_WITHIN.as_secs();
                return Err(not_begun(format!("nobody took it from the list {} in {seconds} seconds", asked.list)));
            }
            Err(_) => timeout_at(until, &mut told).await.map_err(|_| Unanswered::TimedOut)?,
        };
        asked.may_lie = false;
        read(reply.map_err(|_| Unanswered::Lost("the bus is closed".to_owned()))?, call.answer_bytes_max)
    }

    fn written(&self, call: &Call) -> serde_json::Result<String> {
        let request = Request {
            id: &call.id,
            address: call.address.as_str(),
            arguments: serde_json::from_slice(&call.arguments)?,
            reply_to: &self.reply_to,
            headers: call.headers.iter().map(|(name, value)| (*name, value.as_str())).collect(),
        };
        serde_json::to_string(&request)
    }

    fn read_answers(&self) {
        held(&self.reading).get_or_insert_with(|| {
            let answers = read_answers(self.shared.clone(), self.reply_to.clone(), self.waiting.clone());
            tokio::spawn(answers).abort_handle()
        });
    }

    /// Nobody is answered any more.
    pub(super) async fn close(&self) {
        let reading = held(&self.reading).take();
        held(&self.waiting).clear();
        if let Some(reading) = reading {
            reading.abort();
            let forgotten = self.shared.connections.ask::<u64>(redis::cmd("DEL").arg(&self.reply_to)).await;
            if let Err(error) = forgotten {
                tracing::debug!(%error, "a list of answers is left behind");
            }
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        held(&self.reading).iter().for_each(AbortHandle::abort);
    }
}

/// A request that may still lie in its list: then it is taken back when nobody waits for it any more.
struct Asked<'a> {
    calls: &'a Calls,
    id: &'a str,
    list: String,
    text: String,
    may_lie: bool,
}

impl Asked<'_> {
    async fn push(&self, timeout: Duration) -> RedisResult<()> {
        let mut push = redis::cmd("RPUSH");
        push.arg(&self.list).arg(&self.text);
        self.calls.shared.connections.ask::<u64>(&push).await?;
        // What a registry leaves behind that is killed does not lie there for ever.
        let mut expire = redis::cmd("PEXPIRE");
        expire.arg(&self.list).arg(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(60_000));
        self.calls.shared.connections.ask::<u64>(&expire).await.map(|_| ())
    }

    /// Whether it was still there; `None` where the server does not say.
    async fn take_back(&mut self) -> Option<bool> {
        let removed = taken_back(&self.calls.shared, &self.list, &self.text).await;
        self.may_lie &= removed.is_none();
        removed
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        held(&self.calls.waiting).remove(self.id);
        if !self.may_lie {
            return;
        }
        let (shared, list, text) =
            (self.calls.shared.clone(), std::mem::take(&mut self.list), std::mem::take(&mut self.text));
        tokio::spawn(async move { taken_back(&shared, &list, &text).await });
    }
}

async fn taken_back(shared: &Shared, list: &str, text: &str) -> Option<bool> {
    let mut remove = redis::cmd("LREM");
    remove.arg(list).arg(1).arg(text);
    shared.connections.ask::<u64>(&remove).await.ok().map(|removed| removed > 0)
}

fn read(reply: Reply, bytes_max: usize) -> Result<Answered, Unanswered> {
    let bytes = |raw: &RawValue| Bytes::copy_from_slice(raw.get().as_bytes());
    let said = reply.error.as_ref().or(reply.result.as_ref());
    if said.is_some_and(|said| said.get().len() > bytes_max) {
        return Err(Unanswered::TooLarge);
    }
    Ok(match reply.error {
        Some(error) => Answered::Failed(failed::read(error.get().as_bytes())),
        None => Answered::Result(reply.result.as_deref().map(bytes).unwrap_or_default()),
    })
}

/// Gives answers to those who wait for them. What comes while the server is away, or this is, waits in the list.
async fn read_answers(shared: Arc<Shared>, reply_to: String, waiting: Arc<Waiting>) {
    let mut attempt = 0;
    loop {
        let error = match shared.connections.another().await {
            Ok(connection) => {
                attempt = 0;
                listen(connection, &reply_to, &waiting).await
            }
            Err(error) => error,
        };
        tracing::debug!(%error, "answers to calls are not heard for a while");
        sleep(back_off(attempt)).await;
        attempt = attempt.saturating_add(1);
    }
}

/// Listens as long as the connection stands; says why it does not.
async fn listen(mut connection: MultiplexedConnection, reply_to: &str, waiting: &Waiting) -> redis::RedisError {
    loop {
        let mut pop = redis::cmd("BLPOP");
        pop.arg(reply_to).arg(ASKED_FOR);
        let came: Option<(String, Vec<u8>)> = match pop.query_async(&mut connection).await {
            Ok(came) => came,
            Err(error) => return error,
        };
        let Some((_, text)) = came else { continue };
        match serde_json::from_slice::<Reply>(&text) {
            // Nobody waits for what comes late.
            Ok(reply) => drop(held(waiting).remove(&reply.id).map(|tell| tell.send(reply))),
            Err(error) => tracing::warn!(%error, "what came as the answer to a call is none"),
        }
    }
}
