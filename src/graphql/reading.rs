//! Every reading field, once: Query answers them from the version that the request pinned, RegistryView from an
//! earlier one.

use super::View;
use super::error::invalid;
use super::limits::budget::{List, spend};
use super::paging::{Connection, Page, PageArgs, total};
use super::reach::{asker, fixed, live, pinned};
use super::render::Straight;
use super::types::bus::{self, Bus, BusBy, BusFilter};
use super::types::contract::{self, Contract, ContractBy, ContractCollision, ContractFilter};
use super::types::graph::{DependencyGraph, GraphDirection};
use super::types::invocation::{self, Invocation, InvocationFilter};
use super::types::lease::{self, PortFilter, PortLease, PortPool};
use super::types::node::{self, Node, NodeBy, NodeFilter, NodeOrder};
use super::types::registry::Registry;
use super::types::tool::{self, Tool, ToolFilter};
use super::types::topic::{self, Topic, TopicFilter};
use crate::access::{Action, Kind, Resource};
use crate::model::{HostName, InvocationId, LeaseId, RequesterId, TopicName};
use crate::registry::graph;
use async_graphql::{Context, Object, Result};
use uuid::Uuid;

/// The reading fields of one version.
#[derive(Default)]
pub struct Reading {
    /// The version; `None`: the one that the request pinned.
    pub(super) view: Option<View>,
}

impl Reading {
    fn view(&self, ctx: &Context<'_>) -> Result<View> {
        // Nothing more is looked for when the time is over.
        spend(ctx, 0)?;
        match &self.view {
            Some(view) => Ok(view.clone()),
            None => Ok(pinned(ctx)?.clone()),
        }
    }
}

/// The reading fields of one version.
#[Object]
impl Reading {
    /// This registry: who answers, and from which place in the log.
    async fn registry(&self, ctx: &Context<'_>) -> Result<Straight<Registry>> {
        let fixed = fixed(ctx)?;
        let (id, started_at) = (fixed.registry_id(), fixed.started_at());
        Ok(Straight(Registry { view: self.view(ctx)?, id, started_at }))
    }

    /// One node by id or name; null where there is none.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which node.")] by: NodeBy,
    ) -> Result<Option<Straight<Node>>> {
        Ok(by.find(&self.view(ctx)?).map(Straight))
    }

    /// Nodes that match.
    #[expect(clippy::too_many_arguments, reason = "a Relay connection has four of its own")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which nodes; all when absent.")] filter: Option<NodeFilter>,
        #[graphql(desc = "What to order by; by name when absent, unless words are searched.")] order_by: Option<
            NodeOrder,
        >,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Straight<Connection<Node>>> {
        let args = PageArgs { first, after, last, before };
        node::list(&self.view(ctx)?, filter.unwrap_or_default(), order_by, &args).map(Straight)
    }

    /// One tool by name: of the version, or of the highest in a range; without either the highest release, else the
    /// highest version. Null where there is none.
    async fn tool(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name, whole and in the same case.")] name: String,
        #[graphql(desc = "The version, as it was written, or a range such as ^1.2, ~1.2.3 or >=1, <2.")]
        version: Option<String>,
    ) -> Result<Option<Straight<Tool>>> {
        Ok(Tool::find(&self.view(ctx)?, &fixed(ctx)?, &name, version.as_deref())?.map(Straight))
    }

    /// Tools that match, best match first where words are searched, else by name, then from the lowest version.
    async fn tools(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tools; all when absent.")] filter: Option<ToolFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Straight<Connection<Tool>>> {
        let args = PageArgs { first, after, last, before };
        tool::list(&self.view(ctx)?, &fixed(ctx)?, filter.unwrap_or_default(), &args).map(Straight)
    }

    /// One port lease that holds, or one of the last that ended; null where there is none.
    async fn port(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The lease's id.")] lease_id: Uuid,
    ) -> Result<Option<Straight<PortLease>>> {
        Ok(PortLease::by_id(&self.view(ctx)?, LeaseId(lease_id)).map(Straight))
    }

    /// Port leases that match: those that hold by host and number, others from the latest end on.
    async fn ports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which leases; all that hold when absent.")] filter: Option<PortFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Straight<Connection<PortLease>>> {
        let args = PageArgs { first, after, last, before };
        lease::list(&self.view(ctx)?, &fixed(ctx)?, &filter.unwrap_or_default(), &args).map(Straight)
    }

    /// The bands of numbers that are leased, by host and transport, and how full they are.
    async fn port_pools(&self, ctx: &Context<'_>) -> Result<List<PortPool>> {
        let view = self.view(ctx)?;
        let pools = live(ctx)?.ports.pools(&view);
        let visitor = &asker(ctx)?.visitor;
        let is_shown = |host: &HostName| visitor.reads(&Resource::of_pool(host, RequesterId(Uuid::nil()), None));
        let shown = pools.into_iter().filter(|(pool, _)| visitor.reads_all() || is_shown(&pool.host));
        let tells_why = visitor.reads_all_of(Kind::Lease);
        Ok(shown.map(|pool| PortPool::new(&view, pool, tells_why)).collect())
    }

    /// One call of a tool; null where there is none, or it is no longer remembered. The last 10,000 that have ended are.
    async fn invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The call's id.")] id: Uuid,
    ) -> Result<Option<Straight<Invocation>>> {
        Ok(invocation::find(ctx, &self.view(ctx)?, self.view.is_none(), InvocationId(id))?.map(Straight))
    }

    /// Calls of tools that match, the latest first: those under way, and the last 10,000 that have ended.
    async fn invocations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which calls; all when absent.")] filter: Option<InvocationFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Straight<Connection<Invocation>>> {
        let args = PageArgs { first, after, last, before };
        // What is not in the log yet belongs to no earlier state.
        let proxy = self.view.is_none().then_some(&live(ctx)?.proxy);
        let proxy = proxy.map(|proxy| &**proxy);
        invocation::list(&self.view(ctx)?, proxy, asker(ctx)?, filter.unwrap_or_default(), &args).map(Straight)
    }

    /// One contract by content, or by name and version; null where there is none.
    async fn contract(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which contract.")] by: ContractBy,
    ) -> Result<Option<Straight<Contract>>> {
        Ok(by.find(&self.view(ctx)?)?.map(Straight))
    }

    /// Contracts that match, by name, then from the lowest version.
    async fn contracts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which contracts; all when absent.")] filter: Option<ContractFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Straight<Connection<Contract>>> {
        let args = PageArgs { first, after, last, before };
        contract::list(&self.view(ctx)?, filter.unwrap_or_default(), &args).map(Straight)
    }

    /// Names and versions under which nodes registered different contents, by name and version.
    async fn contract_collisions(&self, ctx: &Context<'_>) -> Result<List<ContractCollision>> {
        Ok(ContractCollision::all(&self.view(ctx)?).into())
    }

    /// One bus by id or name; null where there is none.
    async fn bus(&self, ctx: &Context<'_>, #[graphql(desc = "Which bus.")] by: BusBy) -> Result<Option<Bus>> {
        Ok(by.find(&self.view(ctx)?))
    }

    /// Buses that match, by name.
    async fn buses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which buses; all when absent.")] filter: Option<BusFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Bus>> {
        let args = PageArgs { first, after, last, before };
        bus::list(&self.view(ctx)?, filter.unwrap_or_default(), &args)
    }

    /// Topics that contracts name, or those of a bus, by name.
    async fn topics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which topics; all when absent.")] filter: Option<TopicFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Straight<Connection<Topic>>> {
        let view = self.view(ctx)?;
        let page: Page<TopicName> = PageArgs { first, after, last, before }.page()?;
        let filter = filter.unwrap_or_default();
        let pattern = filter.read()?;
        if let Some(bus) = &filter.bus {
            return Ok(Straight(topic::list_of_bus(ctx, &view, bus, pattern.as_ref(), &page)?));
        }
        let (of_count, of_pattern) = (view.clone(), pattern.clone());
        let total = total(move || match &of_pattern {
            None => of_count.topics.len(),
            Some(pattern) => of_count.topics.keys().filter(|name| pattern.matches(name)).count(),
        });
        let Some(bounds) = page.bounds() else { return Ok(Straight(page.take(std::iter::empty(), total))) };
        let topics = view.topics.range(bounds);
        let topics = topics.filter(|(name, _)| pattern.as_ref().is_none_or(|pattern| pattern.matches(name)));
        let topics = topics.map(|(name, uses)| (name.clone(), Topic::declared(&view, name, uses)));
        Ok(Straight(page.take(topics, total)))
    }

    /// Who feeds whom: from topics, declared dependencies, tools and agent relations. Without a root, the whole graph.
    async fn dependency_graph(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node to begin at; the whole graph when absent.")] root: Option<NodeBy>,
        #[graphql(default_with = "GraphDirection::Both", desc = "Which way to go from the root.")]
        direction: GraphDirection,
        #[graphql(desc = "How many steps to go from the root, 0 or more; as far as it goes when absent.")]
        depth: Option<i32>,
        #[graphql(
            desc = "Add what was seen besides: who published what whom read, on buses since they were started, as \
                          far as it is known which node somebody is. GraphEdge.origin tells the two apart.",
            default
        )]
        observed: bool,
    ) -> Result<Straight<DependencyGraph>> {
        let view = self.view(ctx)?;
        let observed = match observed {
            true if self.view.is_some() => {
                return Err(invalid("observed", "is of now, and cannot be had of an earlier state"));
            }
            true => {
                let (services, caller) = (live(ctx)?, asker(ctx)?);
                let all = [Kind::Node, Kind::Topic, Kind::Bus];
                // Who may not see everything is not told who does what with what it may not see.
                let sees_all = all.into_iter().all(|kind| caller.visitor.may_all(Action::Read, kind));
                if sees_all { services.buses.observed() } else { graph::Observed::default() }
            }
            false => graph::Observed::default(),
        };
        let depth = match depth.map(u32::try_from) {
            None => None,
            Some(Ok(depth)) => Some(depth),
            Some(Err(_)) => return Err(invalid("depth", "is less than 0")),
        };
        let graph = match root {
            Some(by) => {
                let Some(root) = by.find(&view) else { return Err(by.unknown()) };
                graph::around(&view, &observed, &root.node, direction.into(), depth)
            }
            None if depth.is_some() => return Err(invalid("depth", "needs a root to count from")),
            None => graph::whole(&view, &observed),
        };
        let graph = graph.map_err(super::error::too_large)?;
        Ok(Straight(DependencyGraph { view, graph, observed }))
    }
}
