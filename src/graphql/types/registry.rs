//! The registry itself: who answers, and from where in its log.

use super::super::View;
use super::super::reach::live;
use super::super::render::rendered;
use super::super::scalars::{DateTime, Sequence};
use super::history::blocking;
use crate::model::{NodeStatus, RegistryId, Time};
use async_graphql::{Context, Object, Result, SimpleObject};
use uuid::Uuid;

/// This registry.
pub struct Registry {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) id: RegistryId,
    pub(in crate::graphql) started_at: Time,
}

/// This registry: who answers, and from which place in its log.
#[Object]
impl Registry {
    /// Drawn when the registry's log was made; the same through every restart.
    async fn id(&self) -> Uuid {
        self.id.0
    }
    /// The version of onex that answers.
    async fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
    /// When this process began to serve.
    async fn started_at(&self) -> DateTime {
        DateTime(self.started_at)
    }
    /// The last log entry that this answer reflects; every field of one request reflects the same one.
    async fn sequence(&self) -> Sequence {
        Sequence(self.view.sequence)
    }
    /// The oldest place that at and registryEvents(after:) still take: the changes up to it are no longer kept, but summed
    /// up in the state there. 0 where every change is kept. Of now, also within at.
    async fn oldest_sequence(&self, ctx: &Context<'_>) -> Result<Sequence> {
        blocking(&live(ctx)?.views, |views| views.log().pruned_upto()).await.map(Sequence)
    }
    /// How many of what there are.
    async fn counts(&self) -> RegistryCounts {
        let count = |status| self.view.count_of(status);
        RegistryCounts {
            nodes: self.view.nodes.len(),
            online_nodes: count(NodeStatus::Online) + count(NodeStatus::Draining),
            declared_nodes: count(NodeStatus::Declared),
            offline_nodes: count(NodeStatus::Offline),
            tools: self.view.tools.len(),
            contracts: self.view.contracts.len(),
            topics: self.view.topics.len(),
            active_leases: self.view.leases.active(),
            buses: self.view.buses.len(),
        }
    }
}

rendered!(Registry { id, version, started_at, sequence, counts });

/// How many of what there are.
#[derive(SimpleObject)]
pub struct RegistryCounts {
    /// Nodes of every status.
    nodes: usize,
    /// Nodes with a live instance, draining ones among them.
    online_nodes: usize,
    /// Nodes known from a contract only.
    declared_nodes: usize,
    /// Nodes whose registration lapsed.
    offline_nodes: usize,
    /// Tools, each version by itself.
    tools: usize,
    /// Contracts, each content by itself.
    contracts: usize,
    /// Topics that contracts name.
    topics: usize,
    /// Port leases that hold.
    active_leases: usize,
    /// Buses of every status.
    buses: usize,
}

rendered!(struct RegistryCounts {
    nodes,
    online_nodes,
    declared_nodes,
    offline_nodes,
    tools,
    contracts,
    topics,
    active_leases,
    buses,
});
