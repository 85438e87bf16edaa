//! A topic's rules: what was said of it, and where nothing was, what the bus says.

use super::envelope::{self, Event};
use super::history::Bounds;
use super::schema::{Demand, Misfit, Unusable};
use crate::model::{BusTerms, SchemaMode, TopicName, TopicTerms};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What a topic's rules say of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// An event as it should be.
    Fits(Event),
    /// An event that does not fit its topic's schema, and is delivered all the same.
    Marked(Event, Misfit),
    /// No event, or one that does not fit where that is refused.
    Refused(Misfit),
}

/// A topic's rules.
#[derive(Debug)]
pub struct Rules {
    /// What its events must fit.
    pub demand: Option<Arc<Demand>>,
    /// What happens to those that do not.
    pub mode: SchemaMode,
    /// Whether only events of trusted nodes are delivered.
    pub trusted_only: bool,
    /// How much is kept.
    pub bounds: Bounds,
}

impl Rules {
    /// What holds for a topic of this bus of which this is said.
    pub fn try_new(bus: &BusTerms, topic: &TopicTerms) -> Result<Self, Unusable> {
        let demand = topic.schema.as_ref().map(|schema| Demand::compile(schema, topic.schema_hash)).transpose()?;
        Ok(Rules { demand: demand.map(Arc::new), ..Rules::without_schema(bus, topic) })
    }

    /// What holds for a topic of which nothing is said.
    pub fn of_bus(bus: &BusTerms) -> Self {
        Rules::without_schema(bus, &TopicTerms::default())
    }

    /// How much is kept of a topic of this bus of which this is said.
    pub fn bounds_of(bus: &BusTerms, topic: &TopicTerms) -> Bounds {
        let seconds = topic.history_seconds.unwrap_or(bus.policy.history_seconds);
        Bounds {
            events: topic.history_events.unwrap_or(bus.policy.history_events) as usize,
            age: Duration::from_secs(u64::from(seconds)),
            ..Bounds::default()
        }
    }

    /// What holds for a topic of this bus of which this is said, its schema left aside.
    pub(super) fn without_schema(bus: &BusTerms, topic: &TopicTerms) -> Self {
        Rules {
            demand: None,
            mode: topic.mode.unwrap_or(bus.schema_mode),
            trusted_only: topic.trusted_only.unwrap_or(bus.trusted_only),
            bounds: Rules::bounds_of(bus, topic),
        }
    }

    /// Looks at a text that is, or is to be, on this topic.
    pub fn judge(&self, topic: &TopicName, text: &[u8]) -> Verdict {
        let strict = self.mode == SchemaMode::Strict;
        let mut whole = match envelope::members(text) {
            Ok(members) => Value::Object(members),
            Err(fault) => return Verdict::Refused(Misfit::of_envelope(topic, fault)),
        };
        // The schema sees every member, and reading the event takes them apart: the schema goes first.
        let fitting = self.demand.as_ref().map_or(Ok(()), |demand| demand.check(topic, &whole));
        let members = whole.as_object_mut().map(std::mem::take).unwrap_or_default();
        match (envelope::event_of(members, strict), fitting) {
            (Err(fault), _) => Verdict::Refused(Misfit::of_envelope(topic, fault)),
            (Ok(event), Ok(())) => Verdict::Fits(event),
            (Ok(_), Err(misfit)) if strict => Verdict::Refused(misfit),
            (Ok(event), Err(misfit)) => Verdict::Marked(event, misfit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::{bus_terms, event_text, topic};
    use serde_json::json;

    fn rules(mode: SchemaMode) -> Rules {
        let schema = json!({"properties": {"event_type": {"const": "DONE"}}});
        let terms = TopicTerms { schema: Some(Arc::new(schema)), mode: Some(mode), ..TopicTerms::default() };
        Rules::try_new(&bus_terms(), &terms).unwrap()
    }

    #[test]
    fn strict_refuses_what_permissive_marks() {
        let (good, bad) = (event_text(1, "DONE"), event_text(2, "LOST"));
        assert!(matches!(rules(SchemaMode::Strict).judge(&topic("t"), &good), Verdict::Fits(_)));
        let Verdict::Refused(misfit) = rules(SchemaMode::Strict).judge(&topic("t"), &bad) else { panic!("it passed") };
        assert_eq!(misfit.path, "/event_type");
        assert!(
            matches!(rules(SchemaMode::Permissive).judge(&topic("t"), &bad), Verdict::Marked(_, told) if told == misfit)
        );
    }

    #[test]
    fn what_is_no_event_is_refused_in_both_modes() {
        for mode in [SchemaMode::Strict, SchemaMode::Permissive] {
            let Verdict::Refused(misfit) = rules(mode).judge(&topic("t"), b"hello") else { panic!("it passed") };
            assert_eq!(misfit.schema_hash, None);
        }
    }

    #[test]
    fn what_is_not_said_of_a_topic_is_as_the_bus_has_it() {
        let mut bus = bus_terms();
        (bus.schema_mode, bus.trusted_only, bus.policy.history_events) = (SchemaMode::Strict, true, 7);
        let rules = Rules::of_bus(&bus);
        assert_eq!((rules.mode, rules.trusted_only, rules.bounds.events), (SchemaMode::Strict, true, 7));
        let terms = TopicTerms { trusted_only: Some(false), history_events: Some(0), ..TopicTerms::default() };
        let rules = Rules::try_new(&bus, &terms).unwrap();
        assert_eq!((rules.mode, rules.trusted_only, rules.bounds.events), (SchemaMode::Strict, false, 0));
    }
}
