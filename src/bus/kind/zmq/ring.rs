//! What is kept: the latest events, in memory. Pure: the instant comes in.

use crate::bus::kind::{Carried, Facts, Failure, Place, Retention};
use crate::model::{Time, TopicName};
use bytes::Bytes;
use std::collections::VecDeque;

/// Places end here.
const PLACES_END: u64 = 1 << 53;

/// The latest events, each with its place.
#[derive(Debug)]
pub(super) struct Ring {
    retention: Retention,
    events: VecDeque<Carried>,
    bytes: u64,
    /// The place of the next event.
    next: u64,
    /// Everything up to here is missing, or may be.
    gone: Place,
    /// The latest that was carried.
    last: Option<Place>,
    /// When that was: instants never go back from one place to the next.
    last_at: Time,
}

impl Ring {
    /// An empty one, which gives places from this one on.
    pub(super) fn new(retention: Retention, first: Place) -> Result<Self, Failure> {
        if first == Place(0) || first.0 >= PLACES_END {
            return Err(Failure::Refused(format!("the first place is {}: it lies between 1 and 2^53", first.0)));
        }
        let last_at = Time::from_micros(i64::MIN);
        let gone = Place(first.0 - 1);
        Ok(Ring { retention, events: VecDeque::new(), bytes: 0, next: first.0, gone, last: None, last_at })
    }

    /// Gives an event its place, and keeps it.
    pub(super) fn put(
        &mut self,
        topic: TopicName,
        text: Bytes,
        traceparent: Option<Box<str>>,
        now: Time,
    ) -> Result<Carried, Failure> {
        if self.next >= PLACES_END {
            return Err(Failure::Refused("the bus has given all of its places".to_owned()));
        }
        let place = Place(self.next);
        let carried = Carried { topic, place, at: now.max(self.last_at), text, traceparent };
        self.next += 1;
        (self.last, self.last_at) = (Some(place), carried.at);
        self.bytes += size_of(&carried);
        self.events.push_back(carried.clone());
        self.prune(now);
        Ok(carried)
    }

    /// Gives up what its bounds do not let it keep.
    pub(super) fn prune(&mut self, now: Time) {
        let age = u64::try_from(self.retention.age.as_micros()).unwrap_or(u64::MAX);
        while let Some(oldest) = self.events.front() {
            let is_within = self.events.len() as u64 <= self.retention.events && self.bytes <= self.retention.bytes;
            if is_within && now.micros_since(oldest.at) <= age {
                break;
            }
            self.bytes -= size_of(oldest);
            self.gone = oldest.place;
            self.events.pop_front();
        }
    }

    /// What is kept behind a place.
    pub(super) fn behind(&self, after: Place, limit: usize) -> Result<Vec<Carried>, Failure> {
        if after != Place(0) && after < self.gone {
            let oldest = self.events.front().map_or(Place(self.next), |oldest| oldest.place);
            return Err(Failure::Gone { oldest });
        }
        let from = self.events.partition_point(|carried| carried.place <= after);
        Ok(self.events.range(from..).take(limit).cloned().collect())
    }

    /// The place behind which everything lies that was carried at this instant or later.
    pub(super) fn before(&self, instant: Time) -> Place {
        let earlier = self.events.partition_point(|carried| carried.at < instant);
        earlier.checked_sub(1).and_then(|at| self.events.get(at)).map(|carried| carried.place).unwrap_or_default()
    }

    /// How much is kept.
    pub(super) fn facts(&self) -> Facts {
        let first = self.events.front().map(|carried| carried.place);
        Facts { events: self.events.len() as u64, bytes: self.bytes, first, last: self.last, groups: Vec::new() }
    }
}

fn size_of(carried: &Carried) -> u64 {
    (carried.text.len() + carried.traceparent.as_ref().map_or(0, |text| text.len())) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ring(events: u64, seconds: u64, bytes: u64) -> Ring {
        Ring::new(Retention { events, age: Duration::from_secs(seconds), bytes }, Place(100)).unwrap()
    }

    fn put(ring: &mut Ring, second: i64) -> Place {
        let topic = TopicName::try_new("t").unwrap();
        let now = Time::from_micros(second * 1_000_000);
        ring.put(topic, Bytes::from_static(b"1234567890"), None, now).unwrap().place
    }

    fn places(ring: &Ring) -> Vec<u64> {
        ring.behind(Place(0), 100).unwrap().iter().map(|carried| carried.place.0).collect()
    }

    #[test]
    fn the_oldest_go_by_number_by_age_and_by_bytes() {
        let mut by_number = ring(2, 1_000, 1_000);
        for second in 0..4 {
            put(&mut by_number, second);
        }
        assert_eq!(places(&by_number), [102, 103]);
        let mut by_bytes = ring(100, 1_000, 25);
        for second in 0..4 {
            put(&mut by_bytes, second);
        }
        assert_eq!((places(&by_bytes), by_bytes.facts().bytes), (vec![102, 103], 20));
        let mut by_age = ring(100, 10, 1_000);
        for number in 0..4 {
            put(&mut by_age, number * 5);
        }
        assert_eq!(places(&by_age), [101, 102, 103]);
        by_age.prune(Time::from_micros(60_000_000));
        assert_eq!((places(&by_age), by_age.facts().last), (Vec::new(), Some(Place(103))));
    }

    #[test]
    fn what_went_and_what_another_process_gave_is_gone() {
        let mut ring = ring(2, 1_000, 1_000);
        assert_eq!(ring.behind(Place(50), 9), Err(Failure::Gone { oldest: Place(100) }));
        assert_eq!(ring.behind(Place(99), 9), Ok(Vec::new()));
        for second in 0..4 {
            put(&mut ring, second);
        }
        assert_eq!(ring.behind(Place(100), 9), Err(Failure::Gone { oldest: Place(102) }));
        assert_eq!(ring.behind(Place(101), 9).map(|kept| kept.len()), Ok(2));
        assert_eq!(ring.behind(Place(500), 9), Ok(Vec::new()));
    }

    #[test]
    fn instants_never_go_back_when_the_clock_does() {
        let mut ring = ring(100, 1_000, 1_000);
        for second in [5, 3, 9] {
            put(&mut ring, second);
        }
        let second = |second: i64| Time::from_micros(second * 1_000_000);
        assert_eq!(
            (ring.before(second(5)), ring.before(second(6)), ring.before(second(99))),
            (Place(0), Place(101), Place(102))
        );
    }

    #[test]
    fn places_are_above_0_and_below_two_to_the_53() {
        let retention = Retention { events: 9, age: Duration::from_secs(9), bytes: 99 };
        assert!(Ring::new(retention, Place(0)).is_err() && Ring::new(retention, Place(1 << 53)).is_err());
        let mut last = Ring::new(retention, Place((1 << 53) - 1)).unwrap();
        put(&mut last, 1);
        let refused = last.put(TopicName::try_new("t").unwrap(), Bytes::new(), None, Time::from_micros(1));
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    }
}
