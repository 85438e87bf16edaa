//! What a durable group has got, and what it owes. Pure: the instant comes in.
//!
//! The file has a group as it was when it was last written: how far it was, and what was given out and not
//! acknowledged. Acknowledgements wait until they are written; deliveries do not. Instead the file says how far the
//! group may have got meanwhile (`horizon`): what a killed process may have given out comes again as such.

use crate::bus::kind::Place;
use crate::model::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::ops::Bound;

/// How far ahead of its position a group may go before that is written.
const AHEAD: u64 = 256;

/// One that listens for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MemberId(pub(super) u64);

/// Given out and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    /// How often it was given out.
    pub(super) number: u32,
    /// When it may be given out again, once nobody has it.
    pub(super) due: Time,
    holder: Option<MemberId>,
}

/// A durable group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Everything up to here was given out at least once, or lies before the group's beginning.
    pub(super) position: Place,
    /// How far the file says that it may have got.
    pub(super) horizon: Place,
    /// Up to here, what comes for the first time may have been given out by a process that was killed.
    doubtful: Place,
    owed: BTreeMap<Place, Owed>,
    /// Those of them that nobody has.
    due: BTreeSet<(Time, Place)>,
    /// Those that are otherwise in the file.
    unwritten: BTreeSet<Place>,
    /// Who waits, the longest first.
    waiting: VecDeque<MemberId>,
    /// How many went that it had not got, or was to get again.
    missed: u64,
}

impl Group {
    /// A group as it stands in the file.
    pub(super) fn new(position: Place, horizon: Place, owed: impl IntoIterator<Item = (Place, u32, Time)>) -> Self {
        let mut group = Group { position, horizon, doubtful: horizon, ..Group::default() };
        for (place, number, due) in owed {
            group.owed.insert(place, Owed { number, due, holder: None });
            group.due.insert((due, place));
        }
        group
    }

    /// One waits for the next event.
    pub(super) fn wait(&mut self, member: MemberId) {
        self.waiting.push_back(member);
    }

    /// Who waits the longest.
    pub(super) fn first_waiting(&self) -> Option<MemberId> {
        self.waiting.front().copied()
    }

    /// The one that waits the longest is served.
    pub(super) fn served(&mut self) {
        self.waiting.pop_front();
    }

    /// Whether somebody waits for what becomes due, and when that is.
    pub(super) fn wakes_at(&self) -> Option<Time> {
        let (due, _) = self.due.first()?;
        self.first_waiting().map(|_| *due)
    }

    /// What is due again.
    pub(super) fn due(&self, now: Time) -> Option<Place> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, place)| *place)
    }

    /// Gives one out, and says for which time.
    pub(super) fn give(&mut self, place: Place, to: MemberId) -> u32 {
        let before = if place <= self.doubtful { 1 } else { 0 };
        let owed = self.owed.entry(place).or_insert(Owed { number: before, due: Time::default(), holder: None });
        self.due.remove(&(owed.due, place));
        owed.number = owed.number.saturating_add(1);
        owed.holder = Some(to);
        let number = owed.number;
        self.position = self.position.max(place);
        self.unwritten.insert(place);
        number
    }

    /// This one is done.
    pub(super) fn acknowledge(&mut self, place: Place) {
        if let Some(owed) = self.owed.remove(&place) {
            self.due.remove(&(owed.due, place));
            self.unwritten.insert(place);
        }
    }

    /// This one comes again at that instant.
    pub(super) fn retry(&mut self, place: Place, due: Time) {
        let Some(owed) = self.owed.get_mut(&place) else { return };
        self.due.remove(&(owed.due, place));
        (owed.due, owed.holder) = (due, None);
        self.due.insert((due, place));
        self.unwritten.insert(place);
    }

    /// One no longer listens: what it has is due now.
    pub(super) fn leave(&mut self, member: MemberId, now: Time) {
        self.waiting.retain(|waiting| *waiting != member);
        let held = self.owed.iter().filter(|(_, owed)| owed.holder == Some(member));
        let held: Vec<Place> = held.map(|(place, _)| *place).collect();
        held.into_iter().for_each(|place| self.retry(place, now));
    }

    /// These, the oldest of all, are no longer kept.
    pub(super) fn lose(&mut self, gone: &BTreeSet<Place>) {
        let Some(last) = gone.last().copied() else { return };
        let new = gone.range((Bound::Excluded(self.position), Bound::Unbounded)).count() as u64;
        let kept = self.owed.split_off(&Place(last.0 + 1));
        let owed = std::mem::replace(&mut self.owed, kept);
        // Whoever has one keeps it.
        let nobodys = owed.values().filter(|owed| owed.holder.is_none()).count() as u64;
        self.missed += new + nobodys;
        for (place, owed) in owed {
            self.due.remove(&(owed.due, place));
            self.unwritten.insert(place);
        }
        self.position = self.position.max(last);
    }

    /// How many went that it had not got, where any did; told once.
    pub(super) fn missed(&mut self) -> Option<NonZeroU64> {
        NonZeroU64::new(std::mem::take(&mut self.missed))
    }

    /// The first place that it needs.
    pub(super) fn needs_from(&self) -> Place {
        let next = Place(self.position.0 + 1);
        self.owed.first_key_value().map_or(next, |(place, _)| next.min(*place))
    }

    /// How many are given out and not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.owed.len() as u64
    }

    /// How far the file is to say that it may get, so that this place can be given out.
    pub(super) fn horizon_for(&self, place: Place) -> Place {
        self.horizon.max(Place(place.0 + AHEAD))
    }

    /// What is otherwise in the file.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = (Place, Option<&Owed>)> {
        self.unwritten.iter().map(|place| (*place, self.owed.get(place)))
    }

    /// The file has it as it is now, with this horizon.
    pub(super) fn written(&mut self, horizon: Place) {
        self.unwritten.clear();
        self.horizon = horizon;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: MemberId = MemberId(1);

    fn at(second: i64) -> Time {
        Time::from_micros(second * 1_000_000)
    }

    #[test]
    fn what_was_given_out_comes_again_when_its_holder_leaves() {
        let mut group = Group::default();
        assert_eq!((group.give(Place(3), ONE), group.give(Place(4), ONE)), (1, 1));
        group.acknowledge(Place(4));
        assert_eq!((group.due(at(9)), group.position), (None, Place(4)));
        group.leave(ONE, at(9));
        assert_eq!((group.due(at(8)), group.due(at(9))), (None, Some(Place(3))));
        assert_eq!((group.give(Place(3), ONE), group.due(at(9))), (2, None));
    }

    #[test]
    fn a_retry_waits_and_an_acknowledgement_ends_it() {
        let mut group = Group::default();
        group.give(Place(1), ONE);
        group.retry(Place(1), at(5));
        group.wait(ONE);
        assert_eq!((group.due(at(4)), group.wakes_at()), (None, Some(at(5))));
        group.acknowledge(Place(1));
        assert_eq!((group.due(at(6)), group.wakes_at(), group.needs_from()), (None, None, Place(2)));
    }

    #[test]
    fn what_a_killed_process_may_have_given_out_is_not_the_first_time() {
        let mut group = Group::new(Place(2), Place(10), [(Place(1), 4, at(0))]);
        assert_eq!(group.due(at(1)), Some(Place(1)));
        assert_eq!((group.give(Place(1), ONE), group.give(Place(3), ONE), group.give(Place(11), ONE)), (5, 2, 1));
    }

    #[test]
    fn what_went_before_it_was_got_is_told_once() {
        let mut group = Group::default();
        group.give(Place(1), ONE);
        group.acknowledge(Place(1));
        group.give(Place(2), ONE);
        group.lose(&BTreeSet::from([Place(1)]));
        assert_eq!(group.missed(), None);
        group.give(Place(3), ONE);
        group.retry(Place(3), at(9));
        group.lose(&BTreeSet::from([Place(2), Place(3), Place(5), Place(6)]));
        assert_eq!((group.missed(), group.missed()), (NonZeroU64::new(3), None));
        assert_eq!(group.needs_from(), Place(7));
    }
}
