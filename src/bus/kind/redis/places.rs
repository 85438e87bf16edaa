//! Ids of a stream's entries as places, and entries as events.
//!
//! An id is a millisecond of the server's clock and a number within it; its place is `milliseconds * 4096 + number`.
//! That stays below 2^53 until September 2039. Up to 4,096 entries a millisecond have places of their own; further
//! ones, which a server can make only while its clock is behind where it was, share theirs with the millisecond after
//! it.

use crate::bus::kind::{Carried, Failure, Place};
use crate::model::{Time, TopicName};
use bytes::Bytes;
use redis::Value;
use redis::streams::StreamId;
use std::fmt;
use std::str::FromStr;

/// How many entries of a millisecond have places of their own.
const A_MILLISECOND: u64 = 4_096;

/// The id of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) milliseconds: u64,
    pub(super) number: u64,
}

impl Id {
    pub(super) fn place(self) -> Place {
        Place(self.milliseconds.saturating_mul(A_MILLISECOND).saturating_add(self.number))
    }

    /// The id behind which everything behind a place lies.
    pub(super) fn behind(place: Place) -> Self {
        Id { milliseconds: place.0 / A_MILLISECOND, number: place.0 % A_MILLISECOND }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        let (milliseconds, number) = parts.ok_or_else(|| format!("Redis: {text:?} is no id of a stream's entry"))?;
        Ok(Id { milliseconds, number })
    }
}

/// An entry as an event; `None` where it is none.
pub(super) fn read(entry: &StreamId) -> Option<(Id, Carried)> {
    let id: Id = entry.id.parse().ok()?;
    let bytes = |field: &str| match entry.map.get(field)? {
        Value::BulkString(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let text = |field: &str| String::from_utf8(bytes(field)?).ok();
    let carried = Carried {
        topic: TopicName::try_new(&text("topic")?).ok()?,
        place: id.place(),
        at: Time::from_micros(i64::try_from(id.milliseconds.saturating_mul(1_000)).unwrap_or(i64::MAX)),
        text: Bytes::from(bytes("event")?),
        traceparent: text("traceparent").map(String::into_boxed_str),
    };
    Some((id, carried))
}

/// How a stream stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stand {
    /// How many entries it has.
    pub(super) events: u64,
    /// The oldest of them.
    pub(super) first: Option<Id>,
    /// The latest that there ever was; `None` where there is no stream.
    pub(super) last: Option<Id>,
    /// How many there ever were; `None` where nobody knows.
    pub(super) added: Option<u64>,
}

impl Stand {
    /// Reads what [`super::scripts::STAND`] tells.
    pub(super) fn read(told: Option<(u64, String, String, String)>) -> Result<Self, Failure> {
        let Some((events, first, last, added)) = told else { return Ok(Stand { added: Some(0), ..Stand::default() }) };
        let id = |text: &str| text.parse::<Id>().map_err(Failure::Refused);
        let first = if first.is_empty() { None } else { Some(id(&first)?) };
        Ok(Stand { events, first, last: Some(id(&last)?), added: added.parse().ok() })
    }

    /// How many entries came before the first of these, which were read in one go behind `behind` before it stood so;
    /// `None` where it cannot be told from this. `known` is how many there were up to `behind`.
    pub(super) fn before(&self, behind: Id, known: u64, read: &[Id]) -> Option<u64> {
        let oldest = self.first?;
        if oldest <= behind {
            // What goes is always the oldest.
            return Some(known);
        }
        let gone = self.added?.checked_sub(self.events)?;
        let at = read.iter().position(|id| *id == oldest)?;
        gone.checked_sub(at as u64)
    }

    /// Whether all that lies behind a place is still there.
    pub(super) fn check(&self, after: Place) -> Result<(), Failure> {
        let last = self.last.map(Id::place).unwrap_or_default();
        let oldest = self.first.map_or(Place(last.0 + 1), Id::place);
        let has_lost = self.added.is_none_or(|added| added > self.events);
        if has_lost && after < oldest && after < last { Err(Failure::Gone { oldest }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_place() {
        for (milliseconds, number) in [(0, 1), (1_795_400_000_000, 0), (1_795_400_000_000, 4_095)] {
            let id = Id { milliseconds, number };
            assert_eq!((Id::behind(id.place()), id.to_string().parse()), (id, Ok(id)));
        }
        assert!("5".parse::<Id>().is_err() && "a-b".parse::<Id>().is_err());
    }

    #[test]
    fn places_stay_below_two_to_the_53_until_2039() {
        let september_2039 = Id { milliseconds: 2_198_880_000_000, number: 4_095 };
        assert!(september_2039.place() < Place(1 << 53));
    }

    #[test]
    fn a_place_before_the_oldest_is_gone_only_where_something_went() {
        let id = |milliseconds| Id { milliseconds, number: 0 };
        let whole = Stand { events: 2, first: Some(id(5)), last: Some(id(9)), added: Some(2) };
        assert_eq!(whole.check(id(4).place()), Ok(()));
        let cut = Stand { added: Some(3), ..whole };
        assert_eq!(cut.check(id(4).place()), Err(Failure::Gone { oldest: id(5).place() }));
        assert_eq!(cut.check(id(5).place()), Ok(()));
        let emptied = Stand { first: None, events: 0, ..cut };
        assert_eq!(emptied.check(id(9).place()), Ok(()));
        assert!(emptied.check(id(8).place()).is_err());
        assert!(Stand { added: None, ..whole }.check(id(4).place()).is_err(), "nobody knows");
    }

    #[test]
    fn how_many_came_before_what_was_read_shows_where_the_oldest_is_among_it() {
        let id = |milliseconds| Id { milliseconds, number: 0 };
        let stand = |first, events| Stand { events, first, last: Some(id(9)), added: Some(9) };
        let before = |stand: Stand| stand.before(id(3), 3, &[id(6), id(7), id(8)]);
        assert_eq!(before(stand(Some(id(2)), 8)), Some(3), "nothing went behind the third");
        assert_eq!(before(stand(Some(id(6)), 4)), Some(5), "the fourth and the fifth went");
        assert_eq!(before(stand(Some(id(7)), 3)), Some(5), "and the sixth since");
        assert_eq!(before(stand(Some(id(9)), 1)), None, "all that was read went since");
        assert_eq!(before(stand(None, 0)), None);
        assert_eq!(before(Stand { added: None, ..stand(Some(id(6)), 4) }), None);
    }
}
