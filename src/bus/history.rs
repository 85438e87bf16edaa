//! What is kept in memory of a bus for those who come later: by count, by age and by bytes, each topic for itself, and
//! within one bound for all.
//!
//! Whatever is let go of leaves a mark, so that nobody is given the rest as if it were the whole.

use super::arrived::Arrived;
use super::kind::Place;
use crate::model::{Time, TopicName};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of texts that a bus keeps in memory.
pub const BUS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most bytes of texts that it keeps of one topic.
pub const TOPIC_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How often at most it is looked at what has become too old, in seconds.
const SWEEP_SECONDS: u64 = 1;

/// How much is kept of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many events; 0 keeps none.
    pub events: usize,
    /// For how long.
    pub age: Duration,
    /// How many bytes of texts.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { events: 1_000, age: Duration::from_secs(600), bytes: TOPIC_BYTES_MAX }
    }
}

/// What of the past somebody wants first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// Nothing.
    #[default]
    None,
    /// The last so many that fit, or as many as there are.
    Last(usize),
    /// Everything behind a place.
    Behind(Place),
    /// Everything that was carried at this instant or later.
    Since(Time),
    /// All that is kept.
    All,
}

/// Some of what was asked for is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("some of it is no longer kept; {}", self.rest())]
pub struct Gone {
    /// The oldest kept place from which on nothing is missing; `None` where nothing is kept.
    pub oldest: Option<Place>,
}

impl Gone {
    fn rest(&self) -> String {
        match self.oldest {
            Some(place) => format!("the oldest kept place is {}", place.0),
            None => "nothing is kept".to_owned(),
        }
    }
}

/// The latest that was let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    place: Place,
    at: Time,
}

#[derive(Debug)]
struct Kept {
    places: VecDeque<Place>,
    bytes: u64,
    bounds: Bounds,
    gone: Option<Mark>,
}

/// What is kept of a bus.
#[derive(Debug)]
pub struct History {
    events: BTreeMap<Place, Arc<Arrived>>,
    topics: HashMap<TopicName, Kept>,
    bytes: u64,
    bytes_max: u64,
    /// What is gone of topics that are forgotten themselves.
    gone: Option<Mark>,
    /// When it is next to be looked at what has become too old.
    sweep_at: Option<Time>,
}

impl History {
    /// Of a bus on which everything up to this place went before, unseen.
    pub fn new(now: Time, behind: Place, bytes_max: u64) -> Self {
        let gone = (behind > Place(0)).then_some(Mark { place: behind, at: now });
        History { events: BTreeMap::new(), topics: HashMap::new(), bytes: 0, bytes_max, gone, sweep_at: None }
    }

    /// Lets go of everything: what comes next lies behind this place, and what went before is not known to the end.
    pub fn begin_anew(&mut self, now: Time, behind: Place) {
        self.events.clear();
        for kept in self.topics.values_mut() {
            (kept.bytes, kept.gone) = (0, None);
            kept.places.clear();
        }
        (self.bytes, self.gone, self.sweep_at) = (0, Some(Mark { place: behind, at: now }), None);
    }

    /// Keeps an event that is behind all that came before, and lets go of what is too much by it.
    pub fn keep(&mut self, now: Time, event: &Arc<Arrived>, bounds: Bounds) {
        let (place, length) = (event.place, event.text.len() as u64);
        self.bound(&event.topic, bounds);
        let Some(kept) = self.topics.get_mut(&event.topic) else { return };
        kept.places.push_back(place);
        kept.bytes += length;
        self.bytes += length;
        self.events.insert(place, event.clone());
        let due = lapses(event, bounds).max(now);
        self.sweep_at = Some(self.sweep_at.map_or(due, |at| at.min(due)));
        self.trim(now, &event.topic);
        while self.bytes > self.bytes_max
            && let Some(topic) = self.events.first_key_value().map(|(_, event)| event.topic.clone())
        {
            self.drop_oldest_of(&topic);
        }
    }

    /// Says how much is kept of a topic from now on.
    pub fn bound(&mut self, topic: &TopicName, bounds: Bounds) {
        match self.topics.get_mut(topic) {
            Some(kept) => kept.bounds = bounds,
            None => {
                let kept = Kept { places: VecDeque::new(), bytes: 0, bounds, gone: None };
                self.topics.insert(topic.clone(), kept);
            }
        }
    }

    /// Lets go of a topic and all that is kept of it.
    pub fn forget(&mut self, topic: &TopicName) {
        while self.drop_oldest_of(topic) {}
        if let Some(Kept { gone: Some(mark), .. }) = self.topics.remove(topic)
            && self.gone.is_none_or(|earlier| earlier.place < mark.place)
        {
            self.gone = Some(mark);
        }
    }

    /// Lets go of what is too much or too old of one topic.
    pub fn trim(&mut self, now: Time, topic: &TopicName) {
        while let Some(kept) = self.topics.get(topic) {
            let Some(event) = kept.places.front().and_then(|place| self.events.get(place)) else { return };
            let too_much = kept.places.len() > kept.bounds.events || kept.bytes > kept.bounds.bytes;
            if !too_much && lapses(event, kept.bounds) > now {
                return;
            }
            self.drop_oldest_of(topic);
        }
    }

    fn drop_oldest_of(&mut self, topic: &TopicName) -> bool {
        let Some(kept) = self.topics.get_mut(topic) else { return false };
        let Some(event) = kept.places.pop_front().and_then(|place| self.events.remove(&place)) else { return false };
        let length = event.text.len() as u64;
        kept.bytes -= length;
        self.bytes -= length;
        let latest = kept.gone.map_or(event.at, |mark| mark.at.max(event.at));
        kept.gone = Some(Mark { place: event.place, at: latest });
        true
    }

    /// Lets go of what has become too old, where it is time to look.
    pub fn sweep(&mut self, now: Time) {
        if self.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let names: Vec<TopicName> =
            self.topics.iter().filter(|(_, kept)| !kept.places.is_empty()).map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.trim(now, name));
        let next = self.topics.values().filter_map(|kept| {
            let event = self.events.get(kept.places.front()?)?;
            Some(lapses(event, kept.bounds))
        });
        self.sweep_at = next.min().map(|at| at.max(now.plus_seconds(SWEEP_SECONDS)));
    }

    /// When something may have become too old.
    pub fn due(&self) -> Option<Time> {
        self.sweep_at
    }

    /// What of the past is wanted, in order. It is read as of now: what has become too old meanwhile is not in it.
    pub fn read(
        &mut self,
        now: Time,
        replay: Replay,
        reads: impl Fn(&TopicName) -> bool + Copy,
        takes: impl Fn(&Arrived) -> bool,
    ) -> Result<VecDeque<Arc<Arrived>>, Gone> {
        if replay == Replay::None {
            return Ok(VecDeque::new());
        }
        self.covers(now, replay, reads)?;
        let fits = |event: &Arc<Arrived>| reads(&event.topic) && takes(event);
        let behind = |place: Place| self.events.range(Place(place.0 + 1)..).map(|(_, event)| event);
        match replay {
            Replay::None => Ok(VecDeque::new()),
            Replay::All => Ok(self.events.values().filter(|event| fits(event)).cloned().collect()),
            Replay::Last(count) => {
                let mut last: VecDeque<_> =
                    self.events.values().rev().filter(|event| fits(event)).take(count).cloned().collect();
                last.make_contiguous().reverse();
                Ok(last)
            }
            Replay::Behind(place) => Ok(behind(place).filter(|event| fits(event)).cloned().collect()),
            Replay::Since(instant) => {
                Ok(self.events.values().filter(|event| event.at >= instant && fits(event)).cloned().collect())
            }
        }
    }

    /// Whether all of what is wanted of these topics is kept here, as far as it ever was kept.
    pub fn covers(&mut self, now: Time, replay: Replay, reads: impl Fn(&TopicName) -> bool) -> Result<(), Gone> {
        let topics: Vec<TopicName> = self.topics.keys().filter(|name| reads(name)).cloned().collect();
        topics.iter().for_each(|name| self.trim(now, name));
        let is_gone = match replay {
            // Before the first is what is kept, as it is of every kind.
            Replay::Behind(place) => place > Place(0) && self.marks(&topics).any(|mark| mark.place > place),
            Replay::Since(instant) => self.marks(&topics).any(|mark| mark.at >= instant),
            Replay::None | Replay::Last(_) | Replay::All => false,
        };
        if is_gone { Err(self.gone(&topics, reads)) } else { Ok(()) }
    }

    fn marks<'a>(&'a self, topics: &'a [TopicName]) -> impl Iterator<Item = Mark> + 'a {
        topics.iter().filter_map(|name| self.topics.get(name)?.gone).chain(self.gone)
    }

    fn gone(&self, topics: &[TopicName], reads: impl Fn(&TopicName) -> bool) -> Gone {
        let latest = self.marks(topics).map(|mark| mark.place).max().unwrap_or_default();
        let mut rest = self.events.range(Place(latest.0 + 1)..);
        Gone { oldest: rest.find(|(_, event)| reads(&event.topic)).map(|(place, _)| *place) }
    }

    /// How many events are kept.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many bytes of texts are kept.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many events are kept of a topic.
    pub fn len_of(&self, topic: &TopicName) -> usize {
        self.topics.get(topic).map_or(0, |kept| kept.places.len())
    }
}

/// When an event becomes too old.
fn lapses(event: &Arrived, bounds: Bounds) -> Time {
    event.at.plus_seconds(bounds.age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::{arrived, at, topic};
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { events: 3, age: Duration::from_secs(10), bytes: 1_000_000 };

    fn history() -> History {
        History::new(Time::default(), Place(0), BUS_BYTES_MAX)
    }

    fn keep(history: &mut History, name: &str, place: u64, seconds: u64, bounds: Bounds) {
        let event = Arrived { at: at(seconds), ..arrived(name, place) };
        history.keep(at(seconds), &Arc::new(event), bounds);
    }

    fn read(history: &mut History, seconds: u64, replay: Replay) -> Result<Vec<u64>, Option<u64>> {
        let found = history.read(at(seconds), replay, |_| true, |_| true);
        found
            .map(|events| events.iter().map(|event| event.place.0).collect())
            .map_err(|gone| gone.oldest.map(|place| place.0))
    }

    #[test]
    fn one_that_began_anew_gives_nobody_the_rest_as_if_it_were_the_whole() {
        for behind in [9, 0] {
            let mut history = history();
            (1..=3).for_each(|place| keep(&mut history, "t", place, 0, BOUNDS));
            history.begin_anew(at(2), Place(behind));
            assert_eq!((history.len(), history.bytes(), history.len_of(&topic("t"))), (0, 0, 0));
            keep(&mut history, "t", behind + 1, 3, BOUNDS);
            assert_eq!(read(&mut history, 3, Replay::All), Ok(vec![behind + 1]));
            assert_eq!(read(&mut history, 3, Replay::Since(at(1))), Err(Some(behind + 1)));
            assert_eq!(read(&mut history, 3, Replay::Since(at(3))), Ok(vec![behind + 1]));
            let before = read(&mut history, 3, Replay::Behind(Place(2)));
            assert_eq!(before, if behind > 2 { Err(Some(behind + 1)) } else { Ok(vec![]) });
        }
    }

    #[test]
    fn the_last_so_many_of_each_topic_are_kept_and_read_in_the_order_of_the_bus() {
        let mut history = history();
        (1..=9).for_each(|place| keep(&mut history, ["odd", "even"][place as usize % 2], place, 0, BOUNDS));
        assert_eq!(read(&mut history, 0, Replay::All), Ok(vec![4, 5, 6, 7, 8, 9]));
        assert_eq!(read(&mut history, 0, Replay::Last(2)), Ok(vec![8, 9]));
        assert_eq!(read(&mut history, 0, Replay::Last(99)), Ok(vec![4, 5, 6, 7, 8, 9]));
        assert_eq!(read(&mut history, 0, Replay::Behind(Place(7))), Ok(vec![8, 9]));
        assert_eq!(read(&mut history, 0, Replay::None), Ok(vec![]));
    }

    #[test]
    fn what_is_gone_is_said_with_the_oldest_place_from_which_on_nothing_is_missing() {
        let mut history = history();
        (1..=9).for_each(|place| keep(&mut history, "t", place, place, BOUNDS));
        assert_eq!(read(&mut history, 9, Replay::Behind(Place(5))), Err(Some(7)));
        assert_eq!(read(&mut history, 9, Replay::Behind(Place(6))), Ok(vec![7, 8, 9]));
        assert_eq!(read(&mut history, 9, Replay::Behind(Place(0))), Ok(vec![7, 8, 9]));
        assert_eq!(read(&mut history, 9, Replay::Since(at(6))), Err(Some(7)));
        assert_eq!(read(&mut history, 9, Replay::Since(at(7))), Ok(vec![7, 8, 9]));
        assert_eq!(read(&mut history, 60, Replay::Behind(Place(8))), Err(None));
        assert_eq!(
            Gone { oldest: Some(Place(7)) }.to_string(),
            "some of it is no longer kept; the oldest kept place is 7"
        );
    }

    #[test]
    fn what_went_before_it_was_looked_at_is_gone() {
        let mut history = History::new(at(5), Place(100), BUS_BYTES_MAX);
        keep(&mut history, "t", 101, 6, BOUNDS);
        assert_eq!(read(&mut history, 6, Replay::Behind(Place(99))), Err(Some(101)));
        assert_eq!(read(&mut history, 6, Replay::Behind(Place(100))), Ok(vec![101]));
        assert_eq!(read(&mut history, 6, Replay::Since(at(5))), Err(Some(101)));
    }

    #[test]
    fn what_has_become_too_old_goes_when_it_is_due() {
        let mut history = history();
        keep(&mut history, "t", 1, 0, BOUNDS);
        keep(&mut history, "t", 2, 5, BOUNDS);
        assert_eq!(history.due(), Some(at(10)));
        history.sweep(at(10));
        assert_eq!((history.len(), history.due()), (1, Some(at(15))));
        history.sweep(at(15));
        assert_eq!((history.len(), history.bytes(), history.due()), (0, 0, None));
    }

    #[test]
    fn a_topic_that_is_forgotten_leaves_its_mark() {
        let mut history = history();
        keep(&mut history, "a", 1, 0, BOUNDS);
        keep(&mut history, "b", 2, 0, BOUNDS);
        keep(&mut history, "c", 3, 0, BOUNDS);
        history.forget(&topic("b"));
        assert_eq!(read(&mut history, 0, Replay::Behind(Place(1))), Err(Some(3)));
        assert_eq!(read(&mut history, 0, Replay::Behind(Place(2))), Ok(vec![3]));
    }

    #[test]
    fn a_topic_of_which_nothing_is_kept_says_so() {
        let mut history = history();
        keep(&mut history, "t", 1, 0, Bounds { events: 0, ..BOUNDS });
        keep(&mut history, "t", 2, 0, Bounds { events: 0, ..BOUNDS });
        assert_eq!(read(&mut history, 0, Replay::All), Ok(vec![]));
        assert_eq!(read(&mut history, 0, Replay::Behind(Place(1))), Err(None));
        assert_eq!(read(&mut history, 0, Replay::Behind(Place(2))), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn it_never_exceeds_its_bounds(
            steps in prop::collection::vec((0_usize..3, 0_u64..4), 1..200),
            events in 0_usize..6,
            topic_bytes in 0_u64..1_000,
            bus_bytes in 0_u64..2_000,
        ) {
            let bounds = Bounds { events, age: Duration::from_secs(10), bytes: topic_bytes };
            let mut history = History::new(Time::default(), Place(0), bus_bytes);
            let mut now = 0;
            for (number, (name, seconds)) in steps.into_iter().enumerate() {
                now += seconds;
                keep(&mut history, ["a", "b", "c"][name], number as u64 + 1, now, bounds);
                history.sweep(at(now));
                prop_assert!(history.bytes() <= bus_bytes);
                let all = history.read(at(now), Replay::All, |_| true, |_| true).unwrap();
                prop_assert_eq!(all.len(), history.len());
                prop_assert_eq!(all.iter().map(|event| event.text.len() as u64).sum::<u64>(), history.bytes());
                prop_assert!(all.iter().all(|event| event.at.plus_seconds(10) > at(now)));
                for name in ["a", "b", "c"] {
                    let of: Vec<_> = all.iter().filter(|event| event.topic.as_str() == name).collect();
                    prop_assert!(of.len() <= events && of.len() == history.len_of(&topic(name)));
                    prop_assert!(of.iter().map(|event| event.text.len() as u64).sum::<u64>() <= topic_bytes);
                }
            }
        }
    }
}
