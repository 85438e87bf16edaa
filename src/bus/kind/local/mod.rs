//! LOCAL: the registry carries the bus itself.
//!
//! One thread gives events their places, in one order over all topics, and answers a publish when the event is where it
//! is kept. That is memory, unless there is a reason for the disk: while there is a durable group, or where a topic is
//! to be kept beyond what memory may hold. Then it is an SQLite file (write-ahead, synchronous=FULL), with the groups'
//! positions and what they owe in the same file. Whoever waits together is committed together.
//!
//! A place is given once. The file has places reserved ahead of use, so that a process that is killed begins behind all
//! that it may have given. What was only in memory is then known to be missing.
//!
//! The same event published twice with one id is two events here.

mod file;
mod groups;
mod limits;
mod member;
mod memory;
mod open;
mod writer;

pub use limits::Kept;
pub use open::{OpenError, open};

use super::{Begin, Carried, Carrier, Facts, Failure, Group, GroupFacts, Outgoing, Place, Retention};
use crate::model::{SubscriberName, Time, TopicName};
use file::File;
use futures_util::future::BoxFuture;
use limits::Limits;
use member::Member;
use memory::Memory;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use writer::{Request, Requests};

/// Which cases of the conformance suite it cannot carry: it does not look at ids.
pub const CANNOT_CARRY: &[&str] = &["the_same_id_twice_is_one_event"];

/// How a LOCAL bus is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The SQLite file, which is made where there is none. Beside it lies a lock, which says that it is in use.
    pub file: PathBuf,
    /// What is kept of topics that nothing else is said of.
    pub kept: Kept,
    /// What is kept of some topics.
    pub topics: Vec<(TopicName, Kept)>,
    /// What memory may hold: so many events of a topic and for so long, or the topic is kept on disk; so many bytes in
    /// all.
    pub memory: Retention,
    /// How many bytes are kept on disk that no durable group needs any more.
    pub disk_bytes: u64,
    /// How many bytes are kept on disk at most, whoever needs them: then the oldest go, and groups that have not got
    /// them are told.
    pub disk_bytes_max: u64,
}

impl Options {
    /// The defaults over this file: 1,000 events of a topic for 10 minutes in memory.
    pub fn new(file: PathBuf) -> Self {
        const MIB: u64 = 1024 * 1024;
        Options {
            file,
            kept: Kept { events: 1_000, age: Duration::from_secs(600) },
            topics: Vec::new(),
            memory: Retention { events: 10_000, age: Duration::from_secs(3_600), bytes: 64 * MIB },
            disk_bytes: 1024 * MIB,
            disk_bytes_max: 4096 * MIB,
        }
    }
}

/// A LOCAL bus that is open. Dropped without being closed, it ends as a process does that is killed.
pub struct Local {
    requests: Requests,
    shared: Arc<Shared>,
    reader: Arc<Mutex<File>>,
}

/// What readers look at beside the thread that writes.
#[derive(Default)]
struct Shared {
    // Held for look-ups and changes in memory; nothing waits under it.
    memory: Mutex<Memory>,
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Failure {
    Failure::Away("the bus is closed".to_owned())
}

fn broken(error: rusqlite::Error) -> Failure {
    Failure::Refused(format!("the file of the bus does not serve: {error}"))
}

/// Asks the thread that writes, and waits for its answer.
async fn ask<T>(
    requests: &Requests,
    request: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> Request,
) -> Result<T, Failure> {
    let (answer, answered) = oneshot::channel();
    requests.send(request(answer)).map_err(|_| closed())?;
    answered.await.unwrap_or_else(|_| Err(closed()))
}

impl Local {
    /// Reads the file where that holds nobody up.
    async fn with_file<T: Send + 'static>(
        &self,
        read: impl FnOnce(&File) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let reader = self.reader.clone();
        let reading = tokio::task::spawn_blocking(move || read(&reader.lock().unwrap_or_else(PoisonError::into_inner)));
        reading.await.map_err(|error| Failure::Away(error.to_string()))?.map_err(broken)
    }

    async fn read_behind(&self, after: Place, limit: usize) -> Result<Vec<Carried>, Failure> {
        // Memory first: what moves from there into the file meanwhile is found twice, and not missed.
        let (mut found, last) = {
            let memory = self.shared.memory();
            (memory.behind(after).take(limit).cloned().collect::<Vec<_>>(), memory.last)
        };
        let Some(last) = last else { return Ok(found) };
        found.extend(self.with_file(move |file| file.behind(after, last, limit)).await?);
        // Looked at last: what went while the file was read counts as well.
        let gone = self.shared.memory().gone;
        if after != Place(0) && after < gone {
            return Err(Failure::Gone { oldest: self.oldest_behind(gone).await? });
        }
        found.sort_by_key(|carried| carried.place);
        found.dedup_by_key(|carried| carried.place);
        found.truncate(limit);
        Ok(found)
    }

    async fn oldest_behind(&self, gone: Place) -> Result<Place, Failure> {
        let in_memory = self.shared.memory().behind(gone).next().map(|carried| carried.place);
        let in_file = self.with_file(move |file| file.first_behind(gone)).await?;
        Ok(in_memory.into_iter().chain(in_file).min().unwrap_or(Place(gone.0 + 1)))
    }

    async fn look(&self) -> Result<Facts, Failure> {
        let (mut facts, positions) = ask(&self.requests, |answer| Request::Facts { answer }).await?;
        facts.groups = self
            .with_file(move |file| {
                let group = |(name, unacknowledged, position)| {
                    Ok(GroupFacts { name, unacknowledged, waiting: file.count_behind(position)? })
                };
                positions.into_iter().map(group).collect()
            })
            .await?;
        Ok(facts)
    }
}

impl Carrier for Local {
    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(ask(&self.requests, |answer| Request::Publish { outgoing, answer }))
    }

    fn read(&self, after: Place, limit: usize) -> BoxFuture<'_, Result<Vec<Carried>, Failure>> {
        Box::pin(self.read_behind(after, limit))
    }

    fn place_at(&self, instant: Time) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(async move {
            let in_file = self.with_file(move |file| file.before(instant)).await?;
            let in_memory = self.shared.memory().before(instant);
            Ok(in_file.max(in_memory).unwrap_or_default())
        })
    }

    fn group(&self, name: SubscriberName, begin: Begin) -> BoxFuture<'_, Result<Box<dyn Group>, Failure>> {
        Box::pin(async move {
            let id = ask(&self.requests, |answer| Request::Join { name: name.clone(), begin, answer }).await?;
            Ok(Box::new(Member::new(self.requests.clone(), name, id)) as Box<dyn Group>)
        })
    }

    fn forget(&self, name: SubscriberName) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(ask(&self.requests, |answer| Request::Forget { name, answer }))
    }

    fn facts(&self) -> BoxFuture<'_, Result<Facts, Failure>> {
        Box::pin(self.look())
    }

    fn keep(&self, topic: TopicName, events: u64, age: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        let kept = Kept { events, age };
        Box::pin(ask(&self.requests, move |answer| Request::Keep { topic, kept, answer }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // One that is closed already has nothing to do.
            let _ = ask(&self.requests, |answer| Request::Close { answer }).await;
        })
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::bus) use tests::site;
