//! REDIS: one stream of a Redis server carries the bus.
//!
//! The key `<prefix>:events` has an entry an event, with the fields `topic`, `event`, `traceparent` and `id`, so that
//! the bus has one order. Places are the entries' ids (`places`). How many events are kept is bounded over the bus, and
//! about, as Redis does it; for how long, now and then when something is published; bytes are not bounded. The bounds
//! hold for durable groups as well: what they take before a group got it, the group is told.
//!
//! Redis knows nothing of an event's id: what is published twice, as after an answer that was lost, is two events with
//! one `id`. How much outlives a server that is killed is the server's own matter (`appendfsync`).
//!
//! A durable group is a consumer group. When an event is due again stands in a sorted set beside it,
//! `<prefix>:due:<group>`. Every few seconds a member says that it still has what it has; what nobody vouches for goes
//! to the next who asks.
//!
//! Tools are called through lists beside the stream (`calls`).
//!
//! Redis 6.2 or later; before 7 it is not known whether anything was taken, and so any place before the oldest counts
//! as gone. TLS is not built in.

mod calls;
mod connection;
mod live;
mod member;
mod places;
mod scripts;

use super::given::Given;
use super::{Begin, Carried, Carrier, Facts, Failure, Group, GroupFacts, Heard, Outgoing, Place, Retention};
use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::model::{SubscriberName, Time};
use calls::Calls;
use connection::{Connections, is_code};
use futures_util::future::BoxFuture;
use live::Live;
use member::{Held, Member};
use places::{Id, Stand};
use redis::streams::{StreamInfoGroupsReply, StreamRangeReply};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{RwLock, mpsc, watch};
use tokio::task::AbortHandle;

/// Which cases of the conformance suite it cannot carry: it does not look at ids, and does not know which places went.
pub const CANNOT_CARRY: &[&str] =
    &["the_same_id_twice_is_one_event", "a_reader_that_missed_nothing_goes_on_whatever_is_gone"];

/// How many of a group's events are counted that wait, where Redis does not know.
const COUNTED_MAX: usize = 10_000;
/// How many milliseconds pass at least between two looks for what is too old.
const TRIM_EVERY: u64 = 1_000;

/// How a bus over Redis is reached and kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server: `redis://user:password@host:port/database`.
    pub url: String,
    /// What the names of keys begin with.
    pub prefix: String,
    /// What is kept; its bytes are not looked at.
    pub retention: Retention,
}

/// A bus over Redis, connected. Dropped, it lets go without waiting.
pub struct Redis {
    shared: Arc<Shared>,
    retention: Retention,
    /// At which of the server's milliseconds it was last looked for what is too old.
    trimmed_at: AtomicU64,
    live: AbortHandle,
    calls: Calls,
}

/// What the bus and its members share.
struct Shared {
    connections: Connections,
    /// The stream's key.
    events: String,
    prefix: String,
    /// Turns true once.
    closed: watch::Sender<bool>,
    /// What members have and have not acknowledged.
    held: Mutex<Vec<Weak<Held>>>,
    /// What groups were given from here.
    given: Mutex<HashMap<SubscriberName, Given>>,
    /// Read-locked while something is given back; closing waits for it.
    giving_back: Arc<RwLock<()>>,
}

impl Shared {
    fn check(&self) -> Result<(), Failure> {
        if *self.closed.borrow() { Err(closed()) } else { Ok(()) }
    }

    /// Where it stands when which event of a group is due again.
    fn due(&self, group: &SubscriberName) -> String {
        format!("{}:due:{group}", self.prefix)
    }

    fn given(&self) -> MutexGuard<'_, HashMap<SubscriberName, Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, held: &Arc<Held>) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| held.strong_count() > 0);
        all.push(Arc::downgrade(held));
    }

    async fn stand(&self) -> Result<Stand, Failure> {
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::STAND).arg(1).arg(&self.events);
        let told = self.connections.ask(&command).await.map_err(|error| connection::failure(&error))?;
        Stand::read(told)
    }

    async fn range(&self, after: Id, limit: usize) -> Result<StreamRangeReply, Failure> {
        let mut command = redis::cmd("XRANGE");
        command.arg(&self.events).arg(format!("({after}")).arg("+").arg("COUNT").arg(limit);
        self.connections.ask(&command).await.map_err(|error| connection::failure(&error))
    }
}

fn closed() -> Failure {
    Failure::Away("the bus is closed".to_owned())
}

/// Opens a bus over Redis. Fails where the server is away; once it was there, it is waited for. What it carries from
/// now on is told to `heard`.
pub async fn open(options: Options, heard: mpsc::Sender<Heard>) -> Result<Redis, Failure> {
    let shared = Arc::new(Shared {
        connections: Connections::new(&options.url)?,
        events: format!("{}:events", options.prefix),
        prefix: options.prefix,
        closed: watch::channel(false).0,
        held: Mutex::default(),
        given: Mutex::default(),
        giving_back: Arc::new(RwLock::new(())),
    });
    let stand = shared.stand().await?;
    let live = Live::new(shared.clone(), &stand, heard);
    let live = tokio::spawn(live.run()).abort_handle();
    let calls = Calls::new(shared.clone());
    Ok(Redis { shared, retention: options.retention, trimmed_at: AtomicU64::new(0), live, calls })
}

impl Redis {
    async fn publish_now(&self, outgoing: Outgoing) -> Result<Place, Failure> {
        self.shared.check()?;
        let mut command = redis::cmd("XADD");
        command.arg(&self.shared.events).arg("MAXLEN").arg("~").arg(self.retention.events.max(1)).arg("*");
        command.arg("topic").arg(outgoing.topic.as_str()).arg("event").arg(&outgoing.text[..]);
        command.arg("id").arg(outgoing.id.to_string());
        if let Some(traceparent) = &outgoing.traceparent {
            command.arg("traceparent").arg(&**traceparent);
        }
        let id: String = self.shared.connections.ask(&command).await.map_err(|error| connection::failure(&error))?;
        let id: Id = id.parse().map_err(Failure::Refused)?;
        self.trim(id).await;
        Ok(id.place())
    }

    /// Gives up what is too old, now and then.
    async fn trim(&self, now: Id) {
        let last = self.trimmed_at.load(Ordering::Relaxed);
        let is_due = now.milliseconds >= last.saturating_add(TRIM_EVERY);
        // Of several at once, one.
        let exchanged =
            |last| self.trimmed_at.compare_exchange(last, now.milliseconds, Ordering::Relaxed, Ordering::Relaxed);
        if !is_due || exchanged(last).is_err() {
            return;
        }
        let age = u64::try_from(self.retention.age.as_millis()).unwrap_or(u64::MAX);
        let mut command = redis::cmd("XTRIM");
        command.arg(&self.shared.events).arg("MINID").arg("~").arg(now.milliseconds.saturating_sub(age));
        if let Err(error) = self.shared.connections.ask::<u64>(&command).await {
            tracing::warn!(%error, "what is too old could not be given up");
        }
    }

    async fn read_behind(&self, after: Place, limit: usize) -> Result<Vec<Carried>, Failure> {
        self.shared.check()?;
        let (mut found, mut behind) = (Vec::new(), Id::behind(after));
        loop {
            let wanted = limit - found.len();
            let entries = self.shared.range(behind, wanted).await?.ids;
            found.extend(entries.iter().filter_map(places::read).map(|(_, carried)| carried));
            // Among them may be some that are no events: then there may be more.
            match entries.last() {
                Some(last) if found.len() < limit && entries.len() == wanted => {
                    behind = last.id.parse().map_err(Failure::Refused)?;
                }
                _ => break,
            }
        }
        // Looked at afterwards: what went meanwhile counts as well.
        if after != Place(0) {
            self.shared.stand().await?.check(after)?;
        }
        Ok(found)
    }

    async fn place_before(&self, instant: Time) -> Result<Place, Failure> {
        self.shared.check()?;
        // The first millisecond that is not before the instant.
        let micros = u64::try_from(instant.as_micros()).unwrap_or(0);
        let first = Id { milliseconds: micros.div_ceil(1_000), number: 0 };
        let mut command = redis::cmd("XREVRANGE");
        command.arg(&self.shared.events).arg(format!("({first}")).arg("-").arg("COUNT").arg(1);
        if first == Id::default() {
            return Ok(Place(0));
        }
        let found: StreamRangeReply =
            self.shared.connections.ask(&command).await.map_err(|error| connection::failure(&error))?;
        let id = found.ids.first().and_then(|entry| entry.id.parse::<Id>().ok());
        Ok(id.map(Id::place).unwrap_or_default())
    }

    async fn join(&self, name: SubscriberName, begin: Begin) -> Result<Box<dyn Group>, Failure> {
        self.shared.check()?;
        let from = match begin {
            Begin::Now => "$".to_owned(),
            Begin::Behind(place) => Id::behind(place).to_string(),
        };
        let mut command = redis::cmd("EVAL");
        command.arg(scripts::CREATE).arg(1).arg(&self.shared.events).arg(name.as_str()).arg(from);
        match self.shared.connections.ask::<()>(&command).await {
            Ok(()) => {}
            Err(error) if is_code(&error, "BUSYGROUP") => {}
            Err(error) => return Err(connection::failure(&error)),
        }
        Ok(Box::new(Member::new(self.shared.clone(), name)))
    }

    async fn forget_group(&self, name: SubscriberName) -> Result<(), Failure> {
        self.shared.check()?;
        let mut destroy = redis::cmd("XGROUP");
        destroy.arg("DESTROY").arg(&self.shared.events).arg(name.as_str());
        match self.shared.connections.ask::<u64>(&destroy).await {
            Ok(_) => {}
            // No stream: no group.
            Err(error) if error.to_string().contains("requires the key to exist") => {}
            Err(error) => return Err(connection::failure(&error)),
        }
        self.shared.given().remove(&name);
        let due = self.shared.due(&name);
        let forgotten = self.shared.connections.ask::<u64>(redis::cmd("DEL").arg(due)).await;
        forgotten.map(|_| ()).map_err(|error| connection::failure(&error))
    }

    async fn look(&self) -> Result<Facts, Failure> {
        self.shared.check()?;
        let stand = self.shared.stand().await?;
        if stand.last.is_none() {
            return Ok(Facts::default());
        }
        let failed = |error| connection::failure(&error);
        let ask = &self.shared.connections;
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(&self.shared.events);
        let bytes: Option<u64> = ask.ask(&usage).await.map_err(failed)?;
        let told: StreamInfoGroupsReply =
            ask.ask(redis::cmd("XINFO").arg("GROUPS").arg(&self.shared.events)).await.map_err(failed)?;
        let mut groups = Vec::new();
        for group in told.groups {
            let Ok(name) = SubscriberName::try_new(&group.name) else { continue };
            let waiting = match group.lag {
                Some(lag) => lag as u64,
                None => self.count_behind(&group.last_delivered_id).await?,
            };
            groups.push(GroupFacts { name, unacknowledged: group.pending as u64, waiting });
        }
        let last = stand.last.filter(|last| *last > Id::default()).map(Id::place);
        Ok(Facts { events: stand.events, bytes: bytes.unwrap_or(0), first: stand.first.map(Id::place), last, groups })
    }

    async fn count_behind(&self, id: &str) -> Result<u64, Failure> {
        let after = id.parse().map_err(Failure::Refused)?;
        Ok(self.shared.range(after, COUNTED_MAX).await?.ids.len() as u64)
    }

    async fn let_go(&self) {
        if self.shared.closed.send_replace(true) {
            return;
        }
        self.live.abort();
        self.calls.close().await;
        let held = std::mem::take(&mut *self.shared.held.lock().unwrap_or_else(PoisonError::into_inner));
        for held in held.into_iter().filter_map(|held| held.upgrade()) {
            held.give_back(&self.shared).await;
        }
        let _given_back = self.shared.giving_back.write().await;
        self.shared.connections.close().await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.live.abort();
        self.shared.closed.send_replace(true);
    }
}

impl Carrier for Redis {
    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(self.publish_now(outgoing))
    }

    fn read(&self, after: Place, limit: usize) -> BoxFuture<'_, Result<Vec<Carried>, Failure>> {
        Box::pin(self.read_behind(after, limit))
    }

    fn place_at(&self, instant: Time) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(self.place_before(instant))
    }

    fn group(&self, name: SubscriberName, begin: Begin) -> BoxFuture<'_, Result<Box<dyn Group>, Failure>> {
        Box::pin(self.join(name, begin))
    }

    fn forget(&self, name: SubscriberName) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.forget_group(name))
    }

    fn facts(&self) -> BoxFuture<'_, Result<Facts, Failure>> {
        Box::pin(self.look())
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Answered, Unanswered>> {
        Box::pin(self.calls.ask(call))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.let_go())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::bus) use tests::site;
