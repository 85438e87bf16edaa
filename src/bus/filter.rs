//! Which events somebody gets.

use super::arrived::Arrived;
use crate::model::{EventWanted, TopicName, TrustState};

/// What somebody wants, and from whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Which events.
    pub wanted: EventWanted,
    /// Whether only those of trusted nodes.
    pub trusted_only: bool,
}

impl Filter {
    /// Whether anything on a topic may be wanted.
    pub fn reads(&self, topic: &TopicName) -> bool {
        self.wanted.topics.is_empty() || self.wanted.topics.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether an event is wanted, its topic aside: that is asked once a topic, not once an event.
    pub fn takes(&self, arrived: &Arrived) -> bool {
        let (wanted, event) = (&self.wanted, &arrived.event);
        (wanted.event_types.is_empty() || wanted.event_types.contains(&event.event_type))
            && (wanted.nodes.is_empty() || wanted.nodes.contains(&event.node))
            && wanted.tags.iter().all(|tag| event.tags.contains(tag))
            && wanted.correlation_id.as_ref().is_none_or(|id| event.correlation_id.as_ref() == Some(id))
            && arrived.trust >= self.least_trust()
    }

    /// Whether an event is wanted.
    pub fn wants(&self, arrived: &Arrived) -> bool {
        self.reads(&arrived.topic) && self.takes(arrived)
    }

    fn least_trust(&self) -> TrustState {
        let least = self.wanted.min_trust.unwrap_or_default();
        if self.trusted_only { least.max(TrustState::Trusted) } else { least }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::{arrived, pattern};
    use crate::model::NodeId;
    use uuid::Uuid;

    fn wants(change: impl FnOnce(&mut Filter)) -> bool {
        let mut event = arrived("shop.orders", 1);
        event.event.tags = vec!["red".to_owned(), "big".to_owned()];
        event.event.correlation_id = Some("c-1".to_owned());
        event.trust = TrustState::Trusted;
        let mut filter = Filter::default();
        change(&mut filter);
        filter.wants(&event)
    }

    #[test]
    fn what_is_empty_lets_everything_through() {
        assert!(wants(|_| {}));
    }

    #[test]
    fn each_part_is_asked_and_all_must_agree() {
        assert!(wants(|filter| filter.wanted.topics = vec![pattern("other"), pattern("shop.*")]));
        assert!(!wants(|filter| filter.wanted.topics = vec![pattern("other.>")]));
        assert!(wants(|filter| filter.wanted.event_types = vec!["DONE".to_owned()]));
        assert!(!wants(|filter| filter.wanted.event_types = vec!["LOST".to_owned()]));
        assert!(!wants(|filter| filter.wanted.nodes = vec![NodeId(Uuid::from_u128(99))]));
        assert!(wants(|filter| filter.wanted.tags = vec!["big".to_owned(), "red".to_owned()]));
        assert!(!wants(|filter| filter.wanted.tags = vec!["big".to_owned(), "blue".to_owned()]));
        assert!(wants(|filter| filter.wanted.correlation_id = Some("c-1".to_owned())));
        assert!(!wants(|filter| filter.wanted.correlation_id = Some("c-2".to_owned())));
    }

    #[test]
    fn trusted_only_raises_the_least_trust_and_never_lowers_it() {
        assert!(wants(|filter| filter.trusted_only = true));
        assert!(!wants(|filter| filter.wanted.min_trust = Some(TrustState::Verified)));
        assert!(!wants(|filter| {
            filter.trusted_only = true;
            filter.wanted.min_trust = Some(TrustState::Verified);
        }));
    }
}
