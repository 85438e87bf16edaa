//! Topics, as far as contracts declare them.

use super::super::View;
use super::super::error::invalid;
use super::super::limits::budget::List;
use super::super::render::rendered;
use super::node::Node;
use crate::model::{NodeId, TopicName, TopicPattern};
use crate::registry::state::TopicUse;
use async_graphql::{InputObject, Object, Result};
use imbl::OrdSet;
use std::sync::Arc;

/// A name that events travel under.
pub struct Topic {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) name: TopicName,
    pub(in crate::graphql) uses: Arc<TopicUse>,
}

impl Topic {
    fn nodes(&self, ids: &OrdSet<NodeId>) -> List<Node> {
        Node::all_by_name(&self.view, ids.iter().copied()).into()
    }
}

/// A name that events travel under: dotted segments. Known because some contract names it.
#[Object]
impl Topic {
    /// The name, e.g. onex.evt.platform.node-heartbeat.v1.
    async fn name(&self) -> &str {
        self.name.as_str()
    }
    /// Nodes whose contracts publish on it, by name.
    async fn publishers(&self) -> List<Node> {
        self.nodes(&self.uses.publishers)
    }
    /// Nodes whose contracts read it, by name.
    async fn declared_subscribers(&self) -> List<Node> {
        self.nodes(&self.uses.subscribers)
    }
    /// Nodes whose contracts send there what they could not handle, by name.
    async fn dead_letter_publishers(&self) -> List<Node> {
        self.nodes(&self.uses.dead_letters)
    }
}

rendered!(Topic { name, publishers, declared_subscribers, dead_letter_publishers });

/// Which topics. Absent fields let everything through.
#[derive(InputObject, Default)]
pub struct TopicFilter {
    /// NATS-style: * is one segment, > at the end is one or more, e.g. onex.evt.>.
    pattern: Option<String>,
}

impl TopicFilter {
    pub(in crate::graphql) fn read(self) -> Result<Option<TopicPattern>> {
        let pattern = self.pattern.as_deref().map(TopicPattern::try_new).transpose();
        pattern.map_err(|error| invalid("filter.pattern", error))
    }
}
