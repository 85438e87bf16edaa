//! The chain of hashes: how a batch follows on the one before, and walking it from end to end.

use super::{Columns, Hash, anchor, head_of, open};
use crate::log::record;
use crate::log::{Break, Head, ReadError, Verification};
use crate::model::{Sequence, Time};
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

/// The hash of a batch: over the hash of the one before, its bounds and time, and each change's entry and text.
pub(super) struct Link(Sha256);

impl Link {
    pub(super) fn new(previous: &Hash, first: Sequence, last: Sequence, time: Time) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(first.0.to_be_bytes());
        hasher.update(last.0.to_be_bytes());
        hasher.update(time.as_micros().to_be_bytes());
        Link(hasher)
    }

    pub(super) fn add(&mut self, entry: Sequence, body: &str) {
        self.0.update(entry.0.to_be_bytes());
        self.0.update((body.len() as u64).to_be_bytes());
        self.0.update(body.as_bytes());
    }

    pub(super) fn finish(self) -> Hash {
        self.0.finalize().into()
    }
}

/// Where the latest so many batches begin: what they follow on.
fn before_latest(connection: &Connection, batches: u32) -> rusqlite::Result<(Head, Hash)> {
    let before = connection
        .prepare("SELECT last, time, hash FROM batch ORDER BY first DESC LIMIT 1 OFFSET ?")?
        .query_row([batches], |row| Ok((head_of(row)?, row.get(2)?)))
        .optional()?;
    before.map_or_else(|| anchor(connection), Ok)
}

/// Walks the chain from what was pruned to the end, or the latest so many batches of it.
pub(super) fn verify(connection: &Connection, latest: Option<u32>) -> Result<Verification, ReadError> {
    // One transaction: the writer goes on meanwhile, and this sees one version.
    let transaction = connection.unchecked_transaction()?;
    let (start, mut previous) = match latest {
        None => anchor(&transaction)?,
        Some(batches) => before_latest(&transaction, batches)?,
    };
    let mut found = Verification { batches: 0, changes: 0, from: start.sequence, upto: start.sequence, broken: None };
    let mut batches =
        transaction.prepare("SELECT first, last, time, previous, hash FROM batch WHERE first > ? ORDER BY first")?;
    // Read as it is: only the registry itself brings an earlier layout into the present one.
    let layout = open::layout(&transaction)?;
    let lease = if layout < 2 { "NULL" } else { "lease" };
    let (bus, actor) = if layout < 3 { (open::BUS_OF_BODY, open::ACTOR_OF_BODY) } else { ("bus", "actor") };
    let mut changes = transaction.prepare(&format!(
        "SELECT sequence, entry, time, body, kind, node, tool, correlation_id, {lease}, {bus}, {actor} FROM change
         WHERE sequence BETWEEN ? AND ? ORDER BY sequence"
    ))?;
    let mut rows = batches.query([start.sequence.0])?;
    while let Some(row) = rows.next()? {
        let (first, last) = (Sequence(row.get(0)?), Sequence(row.get(1)?));
        let time = Time::from_micros(row.get(2)?);
        let (says_previous, says_hash): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
        let broken = |reason: String| Some(Break { place: first, reason });
        if first != found.upto.next() {
            found.broken = broken(format!("changes {} to {} are missing", found.upto.next(), first.previous()));
            return Ok(found);
        }
        if says_previous != previous {
            found.broken = broken("it does not follow on the batch before it".to_owned());
            return Ok(found);
        }
        let mut link = Link::new(&previous, first, last, time);
        match walk_batch(&mut changes, first, last, time, &mut link)? {
            Ok(()) => {}
            Err(reason) => {
                found.broken = broken(reason);
                return Ok(found);
            }
        }
        let hash = link.finish();
        if says_hash != hash {
            found.broken = broken("its content is not what was written".to_owned());
            return Ok(found);
        }
        found.batches += 1;
        found.changes += last.0 - first.0 + 1;
        (found.upto, previous) = (last, hash);
    }
    let beyond: Option<u64> =
        transaction
            .query_row("SELECT min(sequence) FROM change WHERE sequence > ?", [found.upto.0], |row| row.get(0))?;
    found.broken = beyond.map(|place| Break {
        place: Sequence(place),
        reason: "it is in no batch: the registry did not write it".to_owned(),
    });
    Ok(found)
}

/// Adds a batch's changes to its hash, or says what is wrong with them, the hash left aside.
fn walk_batch(
    changes: &mut rusqlite::Statement<'_>,
    first: Sequence,
    last: Sequence,
    time: Time,
    link: &mut Link,
) -> Result<Result<(), String>, ReadError> {
    let mut rows = changes.query([first.0, last.0])?;
    let mut expected = first;
    while let Some(row) = rows.next()? {
        let sequence = Sequence(row.get(0)?);
        if sequence != expected {
            return Ok(Err(format!("change {expected} is missing")));
        }
        let Ok(body) = row.get_ref(3)?.as_str() else { return Ok(Err(format!("change {sequence} is no text"))) };
        link.add(Sequence(row.get(1)?), body);
        let (origin, change) = match record::decode(body, time) {
            Ok(decoded) => decoded,
            Err(malformed) => return Ok(Err(format!("change {sequence}: {malformed}"))),
        };
        let columns = Columns::of(&origin, &change);
        let (says_node, says_lease): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(5)?, row.get(8)?);
        let (says_kind, says_tool, says_id): (Option<String>, Option<String>, Option<String>) =
            (row.get(4)?, row.get(6)?, row.get(7)?);
        let (says_bus, says_actor): (Option<Vec<u8>>, Option<String>) = (row.get(9)?, row.get(10)?);
        if row.get::<_, i64>(2)? != time.as_micros()
            || says_kind.as_deref() != columns.kind
            || says_node.as_deref() != columns.node.as_ref().map(|node| node.as_slice())
            || says_lease.as_deref() != columns.lease.as_ref().map(|lease| lease.as_slice())
            || says_bus.as_deref() != columns.bus.as_ref().map(|bus| bus.as_slice())
            || says_actor.as_deref() != Some(columns.actor)
            || says_tool.as_deref() != columns.tool
            || says_id.as_deref() != columns.correlation_id
        {
            return Ok(Err(format!("change {sequence} is indexed as something it is not")));
        }
        expected = sequence.next();
    }
    if expected != last.next() {
        return Ok(Err(format!("change {expected} is missing")));
    }
    Ok(Ok(()))
}
