//! Those who listen: how they come, take what waits for them, and go.

use super::Router;
use super::reader::{Attached, Attaching, End, EndReason, Left, Reader, Refused, SUBSCRIBERS_MAX, Taken};
use crate::bus::arrived::Arrived;
use crate::bus::filter::Filter;
use crate::bus::history::{Gone, Replay};
use crate::bus::metrics::Metrics;
use crate::bus::notice::{NoticeKind, Subject};
use crate::bus::queue::Queue;
use crate::model::{BusPolicy, EventWanted, SubscriberId, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// How full a queue is when its subscriber no longer counts as slow.
const KEEPS_UP_FULLNESS: f64 = 0.25;

impl Router {
    /// Lets one listen, from a place in the past on where it says so. Where something is replayed, it has to take.
    pub fn attach(&mut self, now: Time, attaching: Attaching) -> Result<Attached, Refused> {
        let BusPolicy { queue_capacity, overflow, .. } = self.terms.policy;
        let capacity = attaching.capacity.unwrap_or(queue_capacity);
        if self.is_stopped {
            return Err(Refused::Stopped);
        }
        if self.readers.slot_of(attaching.id).is_some() {
            return Err(Refused::Known);
        }
        if self.readers.len() >= SUBSCRIBERS_MAX {
            return Err(Refused::TooMany);
        }
        if !(1..=BusPolicy::QUEUE_CAPACITY_MAX).contains(&capacity) {
            return Err(Refused::Capacity);
        }
        let filter = Filter { wanted: attaching.wanted, trusted_only: attaching.trusted_only };
        let replayed = self.replay(now, attaching.id, attaching.replay, &filter)?;
        let attached = Attached { replayed: replayed.len(), behind: self.last };
        let reader = Reader {
            id: attaching.id,
            name: attaching.name,
            node: attaching.node,
            filter,
            queue: Queue::new(capacity as usize, attaching.overflow.unwrap_or(overflow), replayed),
            metrics: Metrics::default(),
            attached_at: now,
            taken_at: now,
            is_slow: false,
            end: None,
        };
        let filter = reader.filter.clone();
        let slot = self.readers.insert(reader);
        self.topics.attach(slot, |name| filter.reads(name));
        Ok(attached)
    }

    fn replay(
        &mut self,
        now: Time,
        id: SubscriberId,
        replay: Replay,
        filter: &Filter,
    ) -> Result<VecDeque<Arc<Arrived>>, Refused> {
        if replay == Replay::None {
            return Ok(VecDeque::new());
        }
        let about = |kind| Subject::new(kind).to(id);
        self.notices.note(now, about(NoticeKind::ReplayRequested), 1, || wanted_of(replay));
        match self.history.read(now, replay, |name| filter.reads(name), |event| filter.takes(event)) {
            Ok(replayed) => {
                if replayed.is_empty() {
                    let nothing = || "there was nothing to replay".to_owned();
                    self.notices.note(now, about(NoticeKind::ReplayDelivered), 1, nothing);
                }
                Ok(replayed)
            }
            Err(gone) => {
                self.notices.note(now, about(NoticeKind::ReplayFailed), 1, || gone.to_string());
                Err(Refused::Gone(gone))
            }
        }
    }

    /// Whether what of the past is wanted is in memory.
    pub fn covers(&mut self, now: Time, replay: Replay, wanted: &EventWanted) -> Result<(), Gone> {
        let filter = Filter { wanted: wanted.clone(), trusted_only: false };
        self.history.covers(now, replay, |name| filter.reads(name))
    }

    /// What waits for a subscriber, so much of it at most.
    pub fn take(&mut self, now: Time, id: SubscriberId, max: usize) -> Taken {
        let mut taken = Taken::default();
        let Some(reader) = self.readers.slot_of(id).and_then(|slot| self.readers.get_mut(slot)) else {
            taken.ended = Some(End { reason: EndReason::Unknown, missed: 0 });
            return taken;
        };
        let (did_block, did_replay) = (reader.queue.blocks(), reader.queue.is_replaying());
        let mut replayed = 0;
        while taken.given.len() < max {
            replayed += usize::from(reader.queue.is_replaying());
            let Some(given) = reader.queue.pop() else { break };
            // How long it took is told of topics and buses, not of each subscriber.
            reader.metrics.delivered(None);
            taken.given.push(given);
        }
        let mut at = 0;
        // Most that are taken together are of one topic, which is looked up once.
        for some in taken.given.chunk_by(|one, next| one.event.topic == next.event.topic) {
            let mut topic = self.topics.get_mut(&some[0].event.topic);
            for given in some {
                let micros = (at >= replayed).then(|| now.micros_since(given.event.at));
                at += 1;
                self.metrics.delivered(micros);
                if let Some(topic) = &mut topic {
                    topic.metrics.delivered(micros);
                }
            }
            if let (Some(topic), Some(node)) = (topic, reader.node) {
                topic.read_by.note(node);
            }
        }
        reader.taken_at = now;
        reader.is_slow &= reader.queue.fullness() > KEEPS_UP_FULLNESS;
        if did_replay && !reader.queue.is_replaying() {
            let about = Subject::new(NoticeKind::ReplayDelivered).to(id);
            self.notices.note(now, about, 1, || format!("{} has all of it", reader.name));
        }
        taken.more = !reader.queue.is_empty();
        taken.released = did_block && !reader.queue.blocks();
        self.blocking -= usize::from(taken.released);
        if !taken.more
            && let Some(reason) = reader.end
        {
            taken.ended = Some(End { reason, missed: reader.queue.missed_last() });
            self.remove(id);
        }
        taken
    }

    /// Lets one listen no longer. What waits for it is let go of. `None` where it does not listen.
    pub fn detach(&mut self, id: SubscriberId) -> Option<Left> {
        let reader = self.remove(id)?;
        let released = reader.queue.blocks();
        self.blocking -= usize::from(released);
        Some(Left { waiting: reader.queue.len(), untold: reader.queue.untold(), released })
    }

    fn remove(&mut self, id: SubscriberId) -> Option<Reader> {
        let (slot, reader) = self.readers.remove(id)?;
        self.topics.detach(slot, |name| reader.filter.reads(name));
        Some(reader)
    }
}

fn wanted_of(replay: Replay) -> String {
    match replay {
        Replay::None => "nothing".to_owned(),
        Replay::Last(count) => format!("the last {count}"),
        Replay::Behind(place) => format!("everything behind place {}", place.0),
        Replay::Since(instant) => format!("everything since {instant}"),
        Replay::All => "all that is kept".to_owned(),
    }
}
