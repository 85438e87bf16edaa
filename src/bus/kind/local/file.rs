//! The SQLite file: its statements, and what is known of it without asking.

use super::groups::Group;
use super::limits::{Limits, earlier};
use crate::bus::kind::{Carried, Place};
use crate::model::{SubscriberName, Time, TopicName};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeSet, HashMap};

/// How many events one sweep takes away for one reason, so that nobody waits long for it.
const SWEPT_AT_ONCE: u64 = 1_000;

/// What the tables are.
pub(super) const TABLES: &str = "
    CREATE TABLE bus (reserved INTEGER NOT NULL, gone INTEGER NOT NULL, volatile INTEGER NOT NULL);
    INSERT INTO bus VALUES (0, 0, 0);
    CREATE TABLE event (place INTEGER PRIMARY KEY, topic TEXT NOT NULL, at INTEGER NOT NULL, text BLOB NOT NULL,
        traceparent TEXT);
    CREATE INDEX event_topic ON event (topic, place);
    CREATE INDEX event_at ON event (at);
    CREATE TABLE durable (name TEXT PRIMARY KEY, position INTEGER NOT NULL, horizon INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE owed (name TEXT NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL, due INTEGER NOT NULL,
        PRIMARY KEY (name, place)) WITHOUT ROWID;";

const COLUMNS: &str = "place, topic, at, text, traceparent";
const SIZE: &str = "length(text) + coalesce(length(traceparent), 0)";

/// Where a bus stands between two runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Places up to here may have been given.
    pub(super) reserved: Place,
    /// The greatest place of all that is known to be missing.
    pub(super) gone: Place,
    /// Whether there may be events that are in memory only.
    pub(super) volatile: bool,
}

/// A topic in the file.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    events: i64,
    bytes: i64,
}

/// The file, opened by one thread. What it says of itself in numbers counts what is committed.
#[derive(Debug)]
pub(super) struct File {
    connection: Connection,
    topics: HashMap<TopicName, Held>,
    /// What this transaction changes.
    changing: Vec<(TopicName, Held)>,
    newest: Option<Place>,
}

fn carried(row: &Row<'_>) -> rusqlite::Result<Carried> {
    let topic = topic(row, 1)?;
    Ok(Carried {
        topic,
        place: Place(row.get(0)?),
        at: Time::from_micros(row.get(2)?),
        text: Bytes::from(row.get::<_, Vec<u8>>(3)?),
        traceparent: row.get::<_, Option<String>>(4)?.map(String::into_boxed_str),
    })
}

fn topic(row: &Row<'_>, at: usize) -> rusqlite::Result<TopicName> {
    let text: String = row.get(at)?;
    TopicName::try_new(&text).map_err(|error| malformed(at, error))
}

fn malformed(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
}

impl File {
    /// Takes over a connection, and counts what there is.
    pub(super) fn new(connection: Connection) -> rusqlite::Result<Self> {
        let mut file = File { connection, topics: HashMap::new(), changing: Vec::new(), newest: None };
        {
            let sql = format!("SELECT topic, count(*), sum({SIZE}) FROM event GROUP BY topic");
            let mut statement = file.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                file.topics.insert(topic(row, 0)?, Held { events: row.get(1)?, bytes: row.get(2)? });
            }
        }
        file.newest = file.place("SELECT max(place) FROM event")?;
        Ok(file)
    }

    /// A second one, to read beside the one that writes.
    pub(super) fn reading(connection: Connection) -> Self {
        File { connection, topics: HashMap::new(), changing: Vec::new(), newest: None }
    }

    fn place(&self, sql: &str) -> rusqlite::Result<Option<Place>> {
        let place: Option<u64> = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(place.map(Place))
    }

    // What is read.

    pub(super) fn behind(&self, after: Place, upto: Place, limit: usize) -> rusqlite::Result<Vec<Carried>> {
        let sql = format!("SELECT {COLUMNS} FROM event WHERE place > ? AND place <= ? ORDER BY place LIMIT ?");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection.prepare_cached(&sql)?.query_map(params![after.0, upto.0, limit], carried)?.collect()
    }

    pub(super) fn next_behind(&self, after: Place) -> rusqlite::Result<Option<Carried>> {
        if self.newest.is_none_or(|newest| newest <= after) {
            return Ok(None);
        }
        let sql = format!("SELECT {COLUMNS} FROM event WHERE place > ? ORDER BY place LIMIT 1");
        self.connection.prepare_cached(&sql)?.query_row([after.0], carried).optional()
    }

    pub(super) fn event(&self, place: Place) -> rusqlite::Result<Option<Carried>> {
        let sql = format!("SELECT {COLUMNS} FROM event WHERE place = ?");
        self.connection.prepare_cached(&sql)?.query_row([place.0], carried).optional()
    }

    pub(super) fn first_behind(&self, after: Place) -> rusqlite::Result<Option<Place>> {
        let mut statement = self.connection.prepare_cached("SELECT min(place) FROM event WHERE place > ?")?;
        Ok(statement.query_row([after.0], |row| row.get::<_, Option<u64>>(0))?.map(Place))
    }

    pub(super) fn count_behind(&self, after: Place) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached("SELECT count(*) FROM event WHERE place > ?")?
            .query_row([after.0], |row| row.get(0))
    }

    /// The latest that was carried before an instant.
    pub(super) fn before(&self, instant: Time) -> rusqlite::Result<Option<Place>> {
        let found = self
            .connection
            .prepare_cached("SELECT place FROM event WHERE at < ? ORDER BY at DESC, place DESC LIMIT 1")?
            .query_row([instant.as_micros()], |row| row.get(0))
            .optional()?;
        Ok(found.map(Place))
    }

    /// The oldest place; how many events; how many bytes.
    pub(super) fn extent(&self) -> rusqlite::Result<(Option<Place>, u64, u64)> {
        let events: i64 = self.topics.values().map(|held| held.events).sum();
        Ok((self.first_behind(Place(0))?, events.unsigned_abs(), self.bytes()))
    }

    fn bytes(&self) -> u64 {
        self.topics.values().map(|held| held.bytes).sum::<i64>().unsigned_abs()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(super) fn mark(&self) -> rusqlite::Result<Mark> {
        self.connection.query_row("SELECT reserved, gone, volatile FROM bus", [], |row| {
            Ok(Mark { reserved: Place(row.get(0)?), gone: Place(row.get(1)?), volatile: row.get(2)? })
        })
    }

    /// The instant of the latest event.
    pub(super) fn latest(&self) -> rusqlite::Result<Time> {
        let micros: Option<i64> = self.connection.query_row("SELECT max(at) FROM event", [], |row| row.get(0))?;
        Ok(micros.map(Time::from_micros).unwrap_or_default())
    }

    pub(super) fn groups(&self) -> rusqlite::Result<Vec<(SubscriberName, Group)>> {
        let mut found = Vec::new();
        let mut owed = self.connection.prepare("SELECT place, number, due FROM owed WHERE name = ?")?;
        let mut groups = self.connection.prepare("SELECT name, position, horizon FROM durable")?;
        let mut rows = groups.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let owed =
                owed.query_map([&name], |row| Ok((Place(row.get(0)?), row.get(1)?, Time::from_micros(row.get(2)?))))?;
            let owed = owed.collect::<rusqlite::Result<Vec<_>>>()?;
            let name = SubscriberName::try_new(&name).map_err(|error| malformed(0, error))?;
            found.push((name, Group::new(Place(row.get(1)?), Place(row.get(2)?), owed)));
        }
        Ok(found)
    }

    // What is written, between `begin` and `commit`.

    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")
    }

    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("COMMIT")?;
        for (topic, change) in self.changing.drain(..) {
            let held = self.topics.entry(topic.clone()).or_default();
            (held.events, held.bytes) = (held.events + change.events, held.bytes + change.bytes);
            if held.events == 0 {
                self.topics.remove(&topic);
            }
        }
        self.newest = self.place("SELECT max(place) FROM event")?;
        Ok(())
    }

    pub(super) fn roll_back(&mut self) {
        self.changing.clear();
        // What is left open by a failure that has ended the transaction already is nothing.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    pub(super) fn set_mark(&self, mark: Mark) -> rusqlite::Result<()> {
        let values = params![mark.reserved.0, mark.gone.0, mark.volatile];
        self.connection.prepare_cached("UPDATE bus SET reserved = ?, gone = ?, volatile = ?")?.execute(values)?;
        Ok(())
    }

    pub(super) fn insert(&mut self, event: &Carried) -> rusqlite::Result<()> {
        let sql = format!("INSERT INTO event ({COLUMNS}) VALUES (?, ?, ?, ?, ?)");
        self.connection.prepare_cached(&sql)?.execute(params![
            event.place.0,
            event.topic.as_str(),
            event.at.as_micros(),
            &event.text[..],
            event.traceparent
        ])?;
        let bytes = i64::try_from(super::memory::size_of(event)).unwrap_or(i64::MAX);
        self.changing.push((event.topic.clone(), Held { events: 1, bytes }));
        Ok(())
    }

    /// Writes down how a group is now, and that it may get as far as `horizon`.
    pub(super) fn write_group(&self, name: &SubscriberName, group: &Group, horizon: Place) -> rusqlite::Result<()> {
        let values = params![name.as_str(), group.position.0, horizon.0];
        self.connection.prepare_cached("INSERT OR REPLACE INTO durable VALUES (?, ?, ?)")?.execute(values)?;
        let mut put = self.connection.prepare_cached("INSERT OR REPLACE INTO owed VALUES (?, ?, ?, ?)")?;
        let mut remove = self.connection.prepare_cached("DELETE FROM owed WHERE name = ? AND place = ?")?;
        for (place, owed) in group.unwritten() {
            match owed {
                Some(owed) => put.execute(params![name.as_str(), place.0, owed.number, owed.due.as_micros()])?,
                None => remove.execute(params![name.as_str(), place.0])?,
            };
        }
        Ok(())
    }

    pub(super) fn remove_group(&self, name: &SubscriberName) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM owed WHERE name = ?", [name.as_str()])?;
        self.connection.execute("DELETE FROM durable WHERE name = ?", [name.as_str()])?;
        Ok(())
    }

    /// Takes away what topics have too many of, below what groups need; says the greatest place that went.
    pub(super) fn bound_topics<'t>(
        &mut self,
        topics: impl Iterator<Item = &'t TopicName>,
        limits: &Limits,
        needed_from: Place,
    ) -> rusqlite::Result<Option<Place>> {
        let mut gone = None;
        for topic in topics {
            let changing = self.changing.iter().filter(|(of, _)| of == topic).map(|(_, change)| change.events);
            let held = self.topics.get(topic).map_or(0, |held| held.events) + changing.sum::<i64>();
            let excess = held - i64::try_from(limits.of(topic).events).unwrap_or(i64::MAX);
            if excess > 0 {
                let condition = "topic = ?1 AND place < ?2";
                gone = gone.max(self.take_away(topic, condition, needed_from.0, excess.unsigned_abs())?);
            }
        }
        Ok(gone)
    }

    /// Takes away what is too old, and the oldest of what is too much, below what groups need; says the greatest place
    /// that went.
    pub(super) fn sweep(&mut self, now: Time, limits: &Limits, needed_from: Place) -> rusqlite::Result<Option<Place>> {
        let topics: Vec<TopicName> = self.topics.keys().cloned().collect();
        let mut gone = self.bound_topics(topics.iter(), limits, needed_from)?;
        for topic in &topics {
            let oldest = earlier(now, limits.of(topic).age).as_micros();
            let condition = format!("topic = ?1 AND place < ?2 AND at < {oldest}");
            gone = gone.max(self.take_away(topic, &condition, needed_from.0, SWEPT_AT_ONCE)?);
        }
        let oldest = self.take_oldest(limits.disk_bytes, needed_from)?;
        Ok(gone.max(oldest.last().copied()))
    }

    /// Takes away the oldest where there is more than may ever be; the places that went.
    pub(super) fn cut(&mut self, limits: &Limits) -> rusqlite::Result<BTreeSet<Place>> {
        self.take_oldest(limits.disk_bytes_max, Place(i64::MAX as u64))
    }

    fn take_oldest(&mut self, bytes_max: u64, below: Place) -> rusqlite::Result<BTreeSet<Place>> {
        let changing: i64 = self.changing.iter().map(|(_, change)| change.bytes).sum();
        let mut excess =
            i64::try_from(self.bytes()).unwrap_or(i64::MAX) + changing - i64::try_from(bytes_max).unwrap_or(i64::MAX);
        if excess <= 0 {
            return Ok(BTreeSet::new());
        }
        let mut upto = None;
        {
            let sql = format!("SELECT place, {SIZE} FROM event WHERE place < ? ORDER BY place LIMIT {SWEPT_AT_ONCE}");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([below.0])?;
            while let Some(row) = rows.next()?.filter(|_| excess > 0) {
                upto = Some(row.get::<_, u64>(0)?);
                excess -= row.get::<_, i64>(1)?;
            }
        }
        let mut gone = BTreeSet::new();
        let Some(upto) = upto else { return Ok(gone) };
        let sql = format!("DELETE FROM event WHERE place <= ? RETURNING place, topic, {SIZE}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([upto])?;
        while let Some(row) = rows.next()? {
            gone.insert(Place(row.get(0)?));
            self.changing.push((topic(row, 1)?, Held { events: -1, bytes: -row.get::<_, i64>(2)? }));
        }
        Ok(gone)
    }

    /// Takes away a topic's oldest that a condition holds for.
    fn take_away(&mut self, of: &TopicName, where_: &str, below: u64, most: u64) -> rusqlite::Result<Option<Place>> {
        let sql = format!(
            "DELETE FROM event WHERE place IN (SELECT place FROM event WHERE {where_} ORDER BY place LIMIT ?3)
             RETURNING place, {SIZE}"
        );
        // Not kept prepared where the condition has an instant in it: that is another each time.
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params![of.as_str(), below, most])?;
        let mut gone = None;
        while let Some(row) = rows.next()? {
            gone = gone.max(Some(Place(row.get(0)?)));
            self.changing.push((of.clone(), Held { events: -1, bytes: -row.get::<_, i64>(1)? }));
        }
        Ok(gone)
    }
}
