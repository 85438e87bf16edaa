//! The registry's log: what was ever changed, in order, hash-chained, and snapshots of what it adds up to.
//!
//! One trait, several homes: `memory` for tests and throw-away registries, `sqlite` for a data directory.
//! All pass one `conformance` suite. A home knows changes, never how they are decided or applied.

#[cfg(test)]
mod conformance;
pub mod memory;
pub mod record;
pub mod sqlite;

use crate::model::{BusId, Entry, EventKind, LeaseId, NodeId, RegistryId, Sequence, Thing, Time};

/// Where a log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last change; [`Sequence::ZERO`] in an empty log.
    pub sequence: Sequence,
    /// When it was made.
    pub time: Time,
}

/// A state as a snapshot keeps it.
#[derive(Debug)]
pub struct Snapshot {
    /// The last change that it reflects.
    pub sequence: Sequence,
    /// When that change was made.
    pub time: Time,
    /// What the state is made of, in the order that restoring needs.
    pub things: Vec<Thing>,
}

/// Which changes a reader wants. Empty fields let everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only these kinds; changes without a kind (heartbeats) never match.
    pub kinds: Vec<EventKind>,
    /// Only about this node.
    pub node: Option<NodeId>,
    /// Only about tools of this name.
    pub tool: Option<String>,
    /// Only about this lease.
    pub lease: Option<LeaseId>,
    /// Only about this bus.
    pub bus: Option<BusId>,
    /// Only of this undertaking.
    pub correlation_id: Option<String>,
    /// Only what this principal did.
    pub actor: Option<String>,
    /// Made at this instant or later.
    pub since: Option<Time>,
    /// Made before this instant.
    pub until: Option<Time>,
}

/// One change as a reader meets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its place.
    pub sequence: Sequence,
    /// The place of the first change of the same command.
    pub entry_first: Sequence,
    /// Who, when, why.
    pub origin: std::sync::Arc<crate::model::Origin>,
    /// What.
    pub change: crate::model::Change,
}

/// From where to where, and in which direction, a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Only changes behind this place.
    pub after: Sequence,
    /// Only changes up to and including this place.
    pub upto: Sequence,
    /// The latest first.
    pub backward: bool,
    /// At most so many.
    pub limit: usize,
}

/// Why a batch was not appended. But for [`AppendError::Unknown`], nothing of it is in the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log ends elsewhere than the writer thought: somebody else writes to it.
    #[error("the log ends at {actual}, not at {expected}: another process writes to it")]
    Elsewhere {
        /// Where the writer thought.
        expected: Sequence,
        /// Where it does.
        actual: Sequence,
    },
    /// The storage refused, and has not changed: trying again later may work.
    #[error("the log could not be written")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is on the disk is not known: only a restart, which reads it, can tell.
    #[error("writing the log failed in a way that leaves its end unknown")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The place was pruned away.
    #[error("changes up to {oldest} are no longer kept")]
    Pruned {
        /// The last place that is gone.
        oldest: Sequence,
    },
    /// What is stored is not what was written.
    #[error("the log is damaged at {place}: {reason}; restore the data directory from a backup")]
    Damaged {
        /// The change or batch.
        place: Sequence,
        /// What is wrong with it.
        reason: String,
    },
    /// The storage failed.
    #[error("the log could not be read")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What walking the hash chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Batches walked.
    pub batches: u64,
    /// Changes walked.
    pub changes: u64,
    /// Where the walk began: everything up to here was pruned.
    pub from: Sequence,
    /// Where it ended.
    pub upto: Sequence,
    /// The first thing that is not as it was written; `None` where all is.
    pub broken: Option<Break>,
}

/// Where a hash chain breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The first change of the batch.
    pub place: Sequence,
    /// What is wrong there.
    pub reason: String,
}

/// A log. One writer appends; any number of readers read meanwhile.
///
/// - **Durable**: when `append` returns, the batch survives the end of the process and of the machine's power.
/// - **Whole**: a batch is in the log with all of its entries or not at all.
/// - **Ordered**: places count up from 1 without a gap; readers see batches in that order.
/// - **Chained**: each batch carries the SHA-256 of the one before it.
pub trait Log: Send + Sync {
    /// The registry whose log this is.
    fn registry_id(&self) -> RegistryId;

    /// Where the log ends.
    fn head(&self) -> Result<Head, ReadError>;

    /// The last place that is no longer kept; [`Sequence::ZERO`] where everything is.
    fn pruned_upto(&self) -> Result<Sequence, ReadError>;

    /// Appends entries behind `expected`, which must be where the log ends. All entries bear the same time.
    fn append(&self, expected: Sequence, entries: &[Entry]) -> Result<(), AppendError>;

    /// Whole entries behind a place, oldest first, until at least `limit` changes are read or the log ends.
    /// A place in the middle of an entry gives that entry whole.
    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<Entry>, ReadError>;

    /// Changes of a kind that watchers see, within a range, in its direction.
    fn find(&self, filter: &Filter, range: Range) -> Result<Vec<Record>, ReadError>;

    /// How many changes of a kind that watchers see match, up to and including a place.
    fn count(&self, filter: &Filter, upto: Sequence) -> Result<u64, ReadError>;

    /// The last change made at this instant or earlier; [`Sequence::ZERO`] where none was.
    fn place_at(&self, time: Time) -> Result<Sequence, ReadError>;

    /// Keeps a snapshot. Takes long; the writer goes on meanwhile.
    fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), ReadError>;

    /// The latest whole snapshot at this place or earlier; damaged ones are passed over with a warning.
    fn load_snapshot(&self, upto: Sequence) -> Result<Option<Snapshot>, ReadError>;

    /// Where the snapshot stands that [`Log::load_snapshot`] would try first.
    fn snapshot_place(&self, upto: Sequence) -> Result<Option<Sequence>, ReadError>;

    /// Forgets changes up to the latest kept snapshot that is not beyond this place, and answers which place
    /// that was.
    fn prune(&self, upto: Sequence) -> Result<Sequence, ReadError>;

    /// Walks the hash chain from end to end.
    fn verify(&self) -> Result<Verification, ReadError>;
}

impl Filter {
    /// Whether watchers who asked with this filter see this change.
    pub fn matches(&self, origin: &crate::model::Origin, change: &crate::model::Change) -> bool {
        let Some(kind) = change.event_kind() else { return false };
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.node.is_none_or(|node| change.node() == Some(node))
            && self.tool.as_ref().is_none_or(|tool| change.tool().is_some_and(|name| name.as_str() == tool))
            && self.lease.is_none_or(|lease| change.lease() == Some(lease))
            && self.bus.is_none_or(|bus| change.bus() == Some(bus))
            && self.correlation_id.as_ref().is_none_or(|id| origin.correlation_id.as_ref() == Some(id))
            && self.actor.as_ref().is_none_or(|actor| origin.actor.principal == *actor)
            && self.since.is_none_or(|since| origin.time >= since)
            && self.until.is_none_or(|until| origin.time < until)
    }
}

/// The entry's changes that match, each as a record.
pub fn records<'a>(entry: &'a Entry, filter: &'a Filter) -> impl Iterator<Item = Record> + 'a {
    let origin = std::sync::Arc::new(entry.origin.clone());
    entry.placed().filter(|(_, change)| filter.matches(&entry.origin, change)).map(move |(sequence, change)| Record {
        sequence,
        entry_first: entry.first,
        origin: origin.clone(),
        change: change.clone(),
    })
}
