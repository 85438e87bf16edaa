//! What a group was given: so that what a server forgot, and sends as if for the first time, is known.

use crate::bus::kind::Place;
use std::collections::BTreeSet;

/// How many places are remembered one by one.
const REMEMBERED: usize = 8_192;

/// The places that a group was given. Events come for the first time in order, but for those that several members get
/// at once: all but the latest places count as given.
#[derive(Debug, Default)]
pub(super) struct Given {
    latest: BTreeSet<Place>,
    /// Everything up to here counts as given.
    upto: Place,
}

impl Given {
    /// For which time an event is given that the server sends for this one.
    pub(super) fn number(&mut self, place: Place, number: u32) -> u32 {
        if place <= self.upto || !self.latest.insert(place) {
            return number.max(2);
        }
        if self.latest.len() > REMEMBERED {
            self.upto = self.latest.pop_first().unwrap_or(self.upto);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_for_the_first_time_is_marked() {
        let mut given = Given::default();
        assert_eq!((given.number(Place(2), 1), given.number(Place(1), 1)), (1, 1));
        assert_eq!((given.number(Place(2), 1), given.number(Place(1), 3)), (2, 3));
        for place in 3..20_000 {
            assert_eq!(given.number(Place(place), 1), 1);
        }
        assert_eq!((given.number(Place(5), 1), given.latest.len()), (2, REMEMBERED));
    }
}
