//! One that listens for a durable group.

use super::connection::{failure_or_closed, is_code};
use super::places::{self, Id};
use super::{Shared, closed, scripts};
use crate::bus::kind::{Carried, Delivery, Failure, Group, Place, back_off};
use crate::model::SubscriberName;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamId;
use redis::{Cmd, FromRedisValue, ParsingError, RedisError, RedisResult, Value, from_redis_value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// For how many milliseconds one question for an event stands; what becomes due meanwhile waits for its end.
const ASKED_FOR: u64 = 100;
/// How long nobody vouches for an event before it goes to somebody else.
const UNHEARD_MAX: Duration = Duration::from_secs(30);

/// What a member has and has not acknowledged.
pub(super) struct Held {
    name: SubscriberName,
    /// Who it is among the group's: a name of its own.
    consumer: String,
    // Held for one look-up or change; nothing waits under it.
    events: Mutex<BTreeMap<Place, Id>>,
}

impl Held {
    fn events(&self) -> MutexGuard<'_, BTreeMap<Place, Id>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self, script: &str, shared: &Shared) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(2).arg(&shared.events).arg(shared.due(&self.name)).arg(self.name.as_str());
        command.arg(&self.consumer);
        command
    }

    /// Has all of it come again.
    pub(super) async fn give_back(&self, shared: &Shared) {
        self.events().clear();
        // A server that is away, and a group that is gone, find out by themselves.
        let _ = shared.connections.ask::<Value>(&self.script(scripts::LEAVE, shared)).await;
    }

    /// Vouches for what is held, for ever.
    async fn vouch(&self, shared: &Shared) {
        loop {
            tokio::time::sleep(UNHEARD_MAX / 3).await;
            let ids: Vec<String> = self.events().values().map(Id::to_string).collect();
            if ids.is_empty() {
                continue;
            }
            let mut command = redis::cmd("XCLAIM");
            command.arg(&shared.events).arg(self.name.as_str()).arg(&self.consumer).arg(0).arg(ids).arg("JUSTID");
            let _ = shared.connections.ask::<Value>(&command).await;
        }
    }
}

/// One that listens for a durable group.
pub(super) struct Member {
    shared: Arc<Shared>,
    held: Arc<Held>,
    /// The next event is on its way here: kept over waits that are given up.
    coming: Option<JoinHandle<Result<(Carried, u32), Failure>>>,
    vouching: AbortHandle,
    runtime: Handle,
}

impl Member {
    pub(super) fn new(shared: Arc<Shared>, name: SubscriberName) -> Self {
        let consumer = format!("{:032x}", fastrand::u128(..));
        let held = Arc::new(Held { name, consumer, events: Mutex::default() });
        shared.register(&held);
        let vouching = tokio::spawn({
            let (held, shared) = (held.clone(), shared.clone());
            async move { held.vouch(&shared).await }
        });
        Member { shared, held, coming: None, vouching: vouching.abort_handle(), runtime: Handle::current() }
    }

    async fn wait(&mut self) -> Result<Delivery, Failure> {
        let coming = self.coming.get_or_insert_with(|| {
            let asking = Asking { shared: self.shared.clone(), held: self.held.clone(), connection: None };
            tokio::spawn(asking.run())
        });
        let came = coming.await.unwrap_or_else(|error| Err(Failure::Away(error.to_string())));
        self.coming = None;
        let (carried, number) = came?;
        let number = self.shared.given().entry(self.held.name.clone()).or_default().number(carried.place, number);
        Ok(Delivery { carried, number })
    }

    async fn done(&self, places: &[Place]) -> Result<(), Failure> {
        let theirs: Vec<(Place, String)> = {
            let events = self.held.events();
            places.iter().filter_map(|place| Some((*place, events.get(place)?.to_string()))).collect()
        };
        if theirs.is_empty() {
            return Ok(());
        }
        self.shared.check()?;
        let mut command = redis::cmd("XACK");
        command.arg(&self.shared.events).arg(self.held.name.as_str());
        for (_, id) in &theirs {
            command.arg(id);
        }
        self.ask::<u64>(&command).await?;
        let mut events = self.held.events();
        for (place, _) in &theirs {
            events.remove(place);
        }
        Ok(())
    }

    async fn again(&self, place: Place, after: Duration) -> Result<(), Failure> {
        let Some(id) = self.held.events().get(&place).copied() else { return Ok(()) };
        self.shared.check()?;
        let after = u64::try_from(after.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::RETRY).arg(1).arg(self.shared.due(&self.held.name)).arg(id.to_string()).arg(after);
        self.ask::<u64>(&command).await?;
        self.held.events().remove(&place);
        Ok(())
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let answer = self.shared.connections.ask(command).await;
        answer.map_err(|error| failure_or_closed(&error, *self.shared.closed.borrow()))
    }
}

impl Group for Member {
    fn next(&mut self) -> BoxFuture<'_, Result<Delivery, Failure>> {
        Box::pin(self.wait())
    }

    fn acknowledge<'a>(&'a mut self, places: &'a [Place]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.done(places))
    }

    fn retry(&mut self, place: Place, after: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        self.again(place, after).boxed()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.vouching.abort();
        // Closing gives everything back itself, and waits for what is under way here.
        let Ok(under_way) = self.shared.giving_back.clone().try_read_owned() else { return };
        let (shared, held, coming) = (self.shared.clone(), self.held.clone(), self.coming.take());
        self.runtime.spawn(async move {
            if let Some(coming) = coming {
                // A question that is out may still be answered, with an event that would be nobody's.
                coming.abort();
                let _ = coming.await;
            }
            held.give_back(&shared).await;
            drop(under_way);
        });
    }
}

/// What came within a little while.
enum Came {
    Entry(StreamId, u32),
    Lost { lost: u64, oldest: Place },
    Nothing,
}

/// What the script `TAKE` answers.
struct Taken {
    lost: u64,
    /// Where something was lost, the oldest that is kept; else what lies before what is new.
    at: Id,
    taken: Option<(StreamId, u32)>,
}

impl FromRedisValue for Taken {
    fn from_redis_value(answer: Value) -> Result<Self, ParsingError> {
        let (lost, at, taken) = match answer {
            Value::Array(parts) if parts.len() > 2 => {
                let (lost, at, id, number, map) = from_redis_value::<(_, String, _, _, _)>(Value::Array(parts))?;
                (lost, at, Some((StreamId { id, map, ..StreamId::default() }, number)))
            }
            answer => {
                let (lost, at) = from_redis_value(answer)?;
                (lost, at, None)
            }
        };
        Ok(Taken { lost, at: at.parse().unwrap_or_default(), taken })
    }
}

/// Waits for the next event, in a task: an answer of the server is never lost by who gives up waiting.
struct Asking {
    shared: Arc<Shared>,
    held: Arc<Held>,
    /// The server is made to wait on it; made anew where it broke.
    connection: Option<MultiplexedConnection>,
}

impl Asking {
    async fn run(mut self) -> Result<(Carried, u32), Failure> {
        let mut closing = self.shared.closed.subscribe();
        let mut attempt = 0;
        loop {
            let asked = tokio::select! {
                biased;
                () = async { drop(closing.wait_for(|closed| *closed).await) } => return Err(closed()),
                asked = self.ask() => asked,
            };
            match asked {
                Ok(Came::Lost { lost, oldest }) => return Err(Failure::Missed { lost, oldest }),
                Ok(Came::Entry(entry, number)) => {
                    attempt = 0;
                    if let Some(came) = self.take(entry, number).await {
                        return Ok(came);
                    }
                }
                Ok(Came::Nothing) => attempt = 0,
                Err(error) if is_code(&error, "NOGROUP") => {
                    return Err(Failure::Refused(format!("there is no durable group {}", self.held.name)));
                }
                Err(error) => {
                    tracing::debug!(group = %self.held.name, %error, "a durable group waits for its server");
                    self.connection = None;
                    tokio::time::sleep(back_off(attempt)).await;
                    attempt = attempt.saturating_add(1);
                }
            }
        }
    }

    /// What is due again, or else what is new. Where there is nothing, it is waited a little while until there is, which
    /// a script cannot do; it is read by the script all the same, which counts.
    async fn ask(&mut self) -> RedisResult<Came> {
        let mut connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => {
                let connection = self.shared.connections.another().await?;
                let connection = self.connection.insert(connection).clone();
                self.find_lost().await?;
                connection
            }
        };
        let mut due = self.held.script(scripts::TAKE, &self.shared);
        due.arg(u64::try_from(UNHEARD_MAX.as_millis()).unwrap_or(u64::MAX));
        let Taken { lost, at, taken } = due.query_async(&mut connection).await?;
        if lost > 0 {
            return Ok(Came::Lost { lost, oldest: at.place() });
        }
        if let Some((entry, number)) = taken {
            return Ok(Came::Entry(entry, number));
        }
        let mut new = redis::cmd("XREAD");
        new.arg("COUNT").arg(1).arg("BLOCK").arg(ASKED_FOR).arg("STREAMS").arg(&self.shared.events);
        new.arg(at.to_string()).query_async::<Value>(&mut connection).await?;
        Ok(Came::Nothing)
    }

    /// Has what the server gave, and what never arrived, come again.
    async fn find_lost(&self) -> RedisResult<()> {
        let mut command = redis::cmd("XPENDING");
        command.arg(&self.shared.events).arg(self.held.name.as_str()).arg("-").arg("+").arg(1_000);
        let pending: Vec<(String, String, u64, u64)> =
            self.shared.connections.ask(command.arg(&self.held.consumer)).await?;
        let held: Vec<String> = self.held.events().values().map(Id::to_string).collect();
        for (id, ..) in pending.into_iter().filter(|(id, ..)| !held.contains(id)) {
            let mut command = redis::cmd("ZADD");
            command.arg(self.shared.due(&self.held.name)).arg("NX").arg(0).arg(id);
            self.shared.connections.ask::<u64>(&command).await?;
        }
        Ok(())
    }

    async fn take(&self, entry: StreamId, number: u32) -> Option<(Carried, u32)> {
        match places::read(&entry) {
            Some((id, carried)) => {
                self.held.events().insert(carried.place, id);
                Some((carried, number))
            }
            None => {
                // No event: nobody will ever want it.
                let mut command = redis::cmd("XACK");
                command.arg(&self.shared.events).arg(self.held.name.as_str()).arg(&entry.id);
                let acknowledged: Result<u64, RedisError> = self.shared.connections.ask(&command).await;
                let _ = acknowledged;
                None
            }
        }
    }
}
