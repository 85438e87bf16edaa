//! Who listens on a bus, and how those who listen by name say what they are done with.

use super::super::limits::budget::List;
use super::super::render::{Never, Render, rendered_enums};
use super::super::scalars::{DateTime, Sequence};
use super::super::{Services, View};
use super::bus::Bus;
use super::node::Node;
use crate::bus::Acknowledging;
use crate::bus::router::SubscriberView;
use crate::model::{BusId, DurableSubscriber, EventWanted, TopicPattern, TrustState};
use async_graphql::{Enum, InputObject, Object, SimpleObject};
use std::sync::Arc;
use uuid::Uuid;

/// How long a subscriber is remembered.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// While it listens.
    Ephemeral,
    /// Until it is deleted: what it has not acknowledged comes again.
    Durable,
}

/// When an event counts as done with by a durable subscriber.
#[derive(Enum, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// When the subscriber says so by ackEvent; an event of which it says nothing for 30 seconds comes again.
    #[default]
    Explicit,
    /// When it was handed to the subscriber's connection: what is on the way when that breaks is lost to it.
    OnDelivery,
}

impl From<Acknowledge> for Acknowledging {
    fn from(acknowledge: Acknowledge) -> Self {
        match acknowledge {
            Acknowledge::Explicit => Acknowledging::Said,
            Acknowledge::OnDelivery => Acknowledging::Handed,
        }
    }
}

rendered_enums!(Durability, Acknowledge);

/// Who listens on a bus.
pub struct Subscriber {
    view: View,
    bus: BusId,
    is: Is,
}

enum Is {
    /// One that listens while it is there.
    Here(Box<SubscriberView>),
    /// One that listens by name.
    Kept(Box<Kept>),
}

struct Kept {
    held: Arc<DurableSubscriber>,
    /// How many events it was given and has not acknowledged.
    unacknowledged: u64,
    /// How many it has not been given yet.
    waiting: u64,
    /// How many listen by its name.
    seats: usize,
    /// How many events it has lost.
    lost: u64,
}

/// Those who listen on a bus, durable ones whether they are there or not; of those whose filter is let through.
pub(super) async fn all(
    services: &Services,
    view: &View,
    bus: BusId,
    lets_through: impl Fn(&EventWanted) -> bool,
) -> List<Subscriber> {
    let facts = services.buses.facts(bus).await.unwrap_or_default();
    let kept = view.subscribers_of(bus).filter(|held| lets_through(&held.wanted)).map(|held| {
        let group = facts.groups.iter().find(|group| group.name == held.name);
        Is::Kept(Box::new(Kept {
            held: held.clone(),
            unacknowledged: group.map_or(0, |group| group.unacknowledged),
            waiting: group.map_or(0, |group| group.waiting),
            seats: services.buses.count_by_name(bus, &held.name),
            lost: services.buses.lost_by_name(bus, &held.name),
        }))
    });
    let here = services.buses.listeners(bus).into_iter().filter(|seen| lets_through(&seen.filter.wanted));
    let here = here.map(|seen| Is::Here(Box::new(seen)));
    kept.chain(here).map(|is| Subscriber { view: view.clone(), bus, is }).collect()
}

impl Subscriber {
    /// One that listened by name, and is no longer known.
    pub(in crate::graphql) fn kept(view: &View, held: Arc<DurableSubscriber>) -> Self {
        let bus = held.bus;
        let kept = Kept { held, unacknowledged: 0, waiting: 0, seats: 0, lost: 0 };
        Subscriber { view: view.clone(), bus, is: Is::Kept(Box::new(kept)) }
    }

    fn wanted(&self) -> &EventWanted {
        match &self.is {
            Is::Here(seen) => &seen.filter.wanted,
            Is::Kept(kept) => &kept.held.wanted,
        }
    }
}

/// Who listens on a bus.
#[Object]
impl Subscriber {
    /// Its id.
    async fn id(&self) -> Uuid {
        match &self.is {
            Is::Here(seen) => seen.id.0,
            Is::Kept(kept) => kept.held.id.0,
        }
    }
    /// A durable one's own, unique on its bus; of others the principal that listens.
    async fn name(&self) -> &str {
        match &self.is {
            Is::Here(seen) => &seen.name,
            Is::Kept(kept) => kept.held.name.as_str(),
        }
    }
    /// The node that it is; null where it is none.
    async fn node(&self) -> Option<Node> {
        match &self.is {
            Is::Here(seen) => Node::by_id(&self.view, seen.node?),
            Is::Kept(_) => None,
        }
    }
    /// The bus; null where it is no longer known.
    async fn bus(&self) -> Option<Bus> {
        Bus::by_id(&self.view, self.bus)
    }
    /// The patterns of the topics that it reads; empty: all.
    async fn topics(&self) -> Vec<&str> {
        self.wanted().topics.iter().map(TopicPattern::as_str).collect()
    }
    /// How long it is remembered.
    async fn durability(&self) -> Durability {
        match &self.is {
            Is::Here(_) => Durability::Ephemeral,
            Is::Kept(_) => Durability::Durable,
        }
    }
    /// How many events wait for it here; of a durable one, how many it was given and has not acknowledged.
    async fn queued(&self) -> u64 {
        match &self.is {
            Is::Here(seen) => seen.queued as u64,
            Is::Kept(kept) => kept.unacknowledged,
        }
    }
    /// How many events it is behind: those that it was not given yet, or has not acknowledged.
    async fn lag(&self) -> u64 {
        match &self.is {
            Is::Here(seen) => seen.queued as u64,
            Is::Kept(kept) => kept.unacknowledged + kept.waiting,
        }
    }
    /// How many events it has lost; of a durable one, since the bus runs.
    async fn dropped(&self) -> u64 {
        match &self.is {
            Is::Here(seen) => seen.measured.dropped,
            Is::Kept(kept) => kept.lost,
        }
    }
    /// Events for it a second, over the last few; of those who listen while they are there.
    async fn messages_per_second(&self) -> f64 {
        match &self.is {
            Is::Here(seen) => seen.measured.messages_per_second,
            Is::Kept(_) => 0.0,
        }
    }
    /// Whether somebody listens so now.
    async fn connected(&self) -> bool {
        match &self.is {
            Is::Here(_) => true,
            Is::Kept(kept) => kept.seats > 0,
        }
    }
    /// When it last took something; null for a durable one.
    async fn last_seen_at(&self) -> Option<DateTime> {
        match &self.is {
            Is::Here(seen) => Some(DateTime(seen.taken_at)),
            Is::Kept(_) => None,
        }
    }
    /// Whether it gets only events of trusted nodes.
    async fn trusted_only(&self) -> bool {
        let trusted_only = matches!(&self.is, Is::Here(seen) if seen.filter.trusted_only);
        trusted_only || self.wanted().min_trust.is_some_and(|least| least >= TrustState::Trusted)
    }
}

impl Render for Subscriber {
    type Plan<'a> = Never;

    fn render(&self, plan: &Never, _: &mut Vec<u8>) -> Option<()> {
        match *plan {}
    }
}

/// Which durable subscriber.
#[derive(InputObject)]
pub struct SubscriberRefInput {
    /// The bus, by name or id.
    pub(in crate::graphql) bus: String,
    /// Its name.
    pub(in crate::graphql) name: String,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

/// What a durable subscriber says of events that it was given.
#[derive(InputObject)]
pub struct AckEventInput {
    /// The bus, by name or id.
    pub(in crate::graphql) bus: String,
    /// The subscriber's name.
    pub(in crate::graphql) subscriber: String,
    /// Where the events are in the bus's order: BusEvent.sequence. At most 1,000.
    pub(in crate::graphql) sequences: Vec<Sequence>,
    /// Whether they are to come again, after a while; done with when absent.
    pub(in crate::graphql) again: Option<bool>,
}

impl AckEventInput {
    /// The most events at once.
    pub(in crate::graphql) const SEQUENCES_MAX: usize = 1_000;
}

/// What became of what a durable subscriber said.
#[derive(SimpleObject, Default)]
pub struct EventAcknowledgement {
    /// It is so.
    #[graphql(name = "acknowledged")]
    pub(in crate::graphql) taken: Vec<Sequence>,
    /// No answer was waited for: the event was acknowledged before, or its time was up and it comes again.
    pub(in crate::graphql) not_open: Vec<Sequence>,
}
