//! What is kept in memory: a map by place, bounded by topic, age and bytes. Pure: the instant comes in.

use super::Limits;
use crate::bus::kind::{Carried, Place};
use crate::model::{Time, TopicName};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What is kept in memory, and what readers must know to read it beside the file.
#[derive(Debug, Default)]
pub(super) struct Memory {
    events: BTreeMap<Place, Carried>,
    topics: HashMap<TopicName, VecDeque<Place>>,
    bytes: u64,
    /// The latest place that readers may see, here or in the file.
    pub(super) last: Option<Place>,
    /// The greatest place of all that is known to be missing.
    pub(super) gone: Place,
}

impl Memory {
    /// Keeps an event, as long as its bounds let it.
    pub(super) fn put(&mut self, carried: Carried, limits: &Limits) {
        let (topic, place, now) = (carried.topic.clone(), carried.place, carried.at);
        self.bytes += size_of(&carried);
        self.topics.entry(topic.clone()).or_default().push_back(place);
        self.events.insert(place, carried);
        let most = limits.of(&topic).events;
        while let Some(oldest) =
            self.topics.get(&topic).filter(|kept| kept.len() as u64 > most).and_then(VecDeque::front)
        {
            self.lose(*oldest);
        }
        self.prune(now, limits);
    }

    /// Gives up what is too old, and the oldest where there is too much.
    pub(super) fn prune(&mut self, now: Time, limits: &Limits) {
        while let Some((&place, oldest)) = self.events.first_key_value() {
            if self.bytes <= limits.memory_bytes && !limits.is_past(&oldest.topic, oldest.at, now) {
                break;
            }
            self.lose(place);
        }
        // Behind the oldest, topics that are kept for less long.
        if limits.ages_differ() {
            let fronts = self.topics.values().filter_map(VecDeque::front);
            let mut past: Vec<Place> = fronts.copied().filter(|place| self.is_past(*place, now, limits)).collect();
            while let Some(place) = past.pop() {
                let topic = self.events.get(&place).map(|carried| carried.topic.clone());
                self.lose(place);
                let next = topic.and_then(|topic| self.topics.get(&topic)?.front().copied());
                past.extend(next.filter(|next| self.is_past(*next, now, limits)));
            }
        }
    }

    fn is_past(&self, place: Place, now: Time, limits: &Limits) -> bool {
        self.events.get(&place).is_some_and(|carried| limits.is_past(&carried.topic, carried.at, now))
    }

    fn lose(&mut self, place: Place) {
        self.remove(place);
        self.gone = self.gone.max(place);
    }

    /// Takes one out that is kept elsewhere from now on.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(carried) = self.events.remove(&place) else { return };
        self.bytes -= size_of(&carried);
        if let Some(places) = self.topics.get_mut(&carried.topic) {
            // Almost always the first.
            if let Ok(at) = places.binary_search(&place) {
                places.remove(at);
            }
            if places.is_empty() {
                self.topics.remove(&carried.topic);
            }
        }
    }

    /// What is kept behind a place, in order.
    pub(super) fn behind(&self, after: Place) -> impl Iterator<Item = &Carried> {
        self.events.range(Place(after.0.saturating_add(1))..).map(|(_, carried)| carried)
    }

    /// The latest that was carried before an instant.
    pub(super) fn before(&self, instant: Time) -> Option<Place> {
        // Instants never go back from one place to the next.
        self.events.values().rev().find(|carried| carried.at < instant).map(|carried| carried.place)
    }

    /// The oldest place; how many; how many bytes.
    pub(super) fn extent(&self) -> (Option<Place>, u64, u64) {
        (self.events.first_key_value().map(|(place, _)| *place), self.events.len() as u64, self.bytes)
    }

    /// The greatest place that is kept.
    pub(super) fn newest(&self) -> Option<Place> {
        self.events.last_key_value().map(|(place, _)| *place)
    }
}

/// What an event counts for in bounds of bytes.
pub(super) fn size_of(carried: &Carried) -> u64 {
    (carried.text.len() + carried.traceparent.as_ref().map_or(0, |text| text.len())) as u64
}

#[cfg(test)]
mod tests {
    use super::super::{Kept, Options};
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn limits(events: u64, seconds: u64, bytes: u64) -> Limits {
        let mut options = Options::new("unused".into());
        options.kept = Kept { events, age: Duration::from_secs(seconds) };
        options.memory.bytes = bytes;
        Limits::new(&options)
    }

    fn event(place: u64, topic: &str, second: i64) -> Carried {
        Carried {
            topic: TopicName::try_new(topic).unwrap(),
            place: Place(place),
            at: Time::from_micros(second * 1_000_000),
            text: Bytes::from_static(b"1234567890"),
            traceparent: None,
        }
    }

    fn places(memory: &Memory) -> Vec<u64> {
        memory.behind(Place(0)).map(|carried| carried.place.0).collect()
    }

    #[test]
    fn each_topic_keeps_its_latest() {
        let (mut memory, limits) = (Memory::default(), limits(2, 1_000, 1_000));
        for (place, topic) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
            memory.put(event(place, topic, 0), &limits);
        }
        assert_eq!((places(&memory), memory.gone), (vec![2, 3, 4], Place(1)));
    }

    #[test]
    fn the_oldest_go_by_age_and_by_bytes() {
        let (mut memory, by_age) = (Memory::default(), limits(100, 10, 1_000));
        for place in 1..=4 {
            memory.put(event(place, "a", place as i64 * 5), &by_age);
        }
        assert_eq!(places(&memory), [2, 3, 4]);
        memory.prune(Time::from_micros(26_000_000), &by_age);
        assert_eq!((places(&memory), memory.gone), (vec![4], Place(3)));
        let (mut memory, by_bytes) = (Memory::default(), limits(100, 10, 25));
        (1..=4).for_each(|place| memory.put(event(place, "a", 0), &by_bytes));
        assert_eq!((places(&memory), memory.extent().2), (vec![3, 4], 20));
    }

    #[test]
    fn a_topic_that_is_kept_for_less_long_goes_before_older_ones() {
        let (mut memory, mut limits) = (Memory::default(), limits(100, 100, 1_000));
        let brief = Kept { events: 100, age: Duration::from_secs(1) };
        limits.set(TopicName::try_new("b").unwrap(), brief);
        memory.put(event(1, "a", 0), &limits);
        memory.put(event(2, "b", 0), &limits);
        memory.put(event(3, "b", 1), &limits);
        memory.put(event(4, "a", 9), &limits);
        assert_eq!(places(&memory), [1, 4]);
    }
}
