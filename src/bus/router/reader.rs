//! One that listens, as its bus knows it, and all of them.

use crate::bus::filter::Filter;
use crate::bus::history::{Gone, Replay};
use crate::bus::kind::Place;
use crate::bus::metrics::{Measured, Metrics};
use crate::bus::queue::{Given, Queue};
use crate::model::{BusPolicy, EventWanted, NodeId, Overflow, SubscriberId, Time};
use std::collections::HashMap;

/// The most that listen on one bus at once.
pub const SUBSCRIBERS_MAX: usize = 100_000;

/// What one that wants to listen says.
#[derive(Clone, Debug)]
pub struct Attaching {
    /// Its id.
    pub id: SubscriberId,
    /// What it calls itself, for those who look.
    pub name: String,
    /// Which events it wants.
    pub wanted: EventWanted,
    /// How many events wait for it at most; as the bus has it where it does not say.
    pub capacity: Option<u32>,
    /// What happens then; as the bus has it where it does not say.
    pub overflow: Option<Overflow>,
    /// What of the past it wants first.
    pub replay: Replay,
    /// Whether it wants only events of trusted nodes.
    pub trusted_only: bool,
    /// The node that it is.
    pub node: Option<NodeId>,
}

impl Attaching {
    /// One that wants everything from now on.
    pub fn new(id: SubscriberId, name: impl Into<String>) -> Self {
        Attaching {
            id,
            name: name.into(),
            wanted: EventWanted::default(),
            capacity: None,
            overflow: None,
            replay: Replay::None,
            trusted_only: false,
            node: None,
        }
    }
}

/// It listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// How many events of the past wait for it.
    pub replayed: usize,
    /// The latest place before it listened: what comes live lies behind it.
    pub behind: Place,
}

/// Why it does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bus is stopped.
    #[error("the bus is stopped")]
    Stopped,
    /// There is one with this id.
    #[error("a subscriber of this id listens already")]
    Known,
    /// There are [`SUBSCRIBERS_MAX`].
    #[error("{SUBSCRIBERS_MAX} subscribers listen; that is the most")]
    TooMany,
    /// No queue has that capacity.
    #[error("a queue has from 1 to {} places", BusPolicy::QUEUE_CAPACITY_MAX)]
    Capacity,
    /// Some of the past that it wants is no longer kept.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// Why a subscriber gets nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Nobody of that id listens.
    Unknown,
    /// Its queue was full, and it had asked to be sent away then.
    Overflowed,
    /// The bus stopped.
    Stopped,
    /// What carries the bus does not know the name any longer that it listened by: it was deleted, or lost there.
    Forgotten,
}

/// A subscriber's end: it has what waited for it, and is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// How many it lost behind the last that it was given.
    pub missed: u64,
}

/// What a subscriber takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// What it is given, in order.
    pub given: Vec<Given>,
    /// Whether more waits: nobody is woken again before all is taken.
    pub more: bool,
    /// Whether publishers that wait may look again.
    pub released: bool,
    /// Whether it gets nothing more.
    pub ended: Option<End>,
}

/// A subscriber that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// How many events still waited for it.
    pub waiting: usize,
    /// How many losses it had not yet been told.
    pub untold: u64,
    /// Whether publishers that wait may look again.
    pub released: bool,
}

/// A subscriber, for those who look.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriberView {
    /// Its id.
    pub id: SubscriberId,
    /// What it calls itself.
    pub name: String,
    /// The node that it is.
    pub node: Option<NodeId>,
    /// Which events it gets.
    pub filter: Filter,
    /// How many events wait for it.
    pub queued: usize,
    /// Since when it listens.
    pub attached_at: Time,
    /// When it last took something.
    pub taken_at: Time,
    /// How much it has to do.
    pub measured: Measured,
}

/// One that listens.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) id: SubscriberId,
    pub(super) name: String,
    pub(super) node: Option<NodeId>,
    pub(super) filter: Filter,
    pub(super) queue: Queue,
    pub(super) metrics: Metrics,
    pub(super) attached_at: Time,
    pub(super) taken_at: Time,
    /// It was told of that it is slow.
    pub(super) is_slow: bool,
    pub(super) end: Option<EndReason>,
}

impl Reader {
    pub(super) fn view(&self, now: Time) -> SubscriberView {
        SubscriberView {
            id: self.id,
            name: self.name.clone(),
            node: self.node,
            filter: self.filter.clone(),
            queued: self.queue.len(),
            attached_at: self.attached_at,
            taken_at: self.taken_at,
            measured: self.metrics.measure(now),
        }
    }
}

/// All that listen, each in a slot of its own, by which topics name it.
#[derive(Debug, Default)]
pub(super) struct Readers {
    slots: Vec<Option<Reader>>,
    free: Vec<usize>,
    by_id: HashMap<SubscriberId, usize>,
}

impl Readers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn slot_of(&self, id: SubscriberId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: usize) -> Option<&Reader> {
        self.slots.get(slot)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Reader> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn insert(&mut self, reader: Reader) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        self.by_id.insert(reader.id, slot);
        if slot == self.slots.len() {
            self.slots.push(Some(reader));
        } else {
            self.slots[slot] = Some(reader);
        }
        slot
    }

    pub(super) fn remove(&mut self, id: SubscriberId) -> Option<(usize, Reader)> {
        let slot = self.by_id.remove(&id)?;
        let reader = self.slots[slot].take()?;
        self.free.push(slot);
        Some((slot, reader))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Reader)> {
        self.slots.iter().enumerate().filter_map(|(slot, reader)| Some((slot, reader.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Reader> {
        self.slots.iter_mut().flatten()
    }
}
