//! Nodes: the object, and which nodes a list has.

use super::super::View;
use super::super::error::{ErrorCode, invalid, refuse, too_large};
use super::super::limits::budget::{List, spend};
use super::super::paging::{Connection, Key, Page, PageArgs, Rank, total};
use super::super::render::{rendered, rendered_enums};
use super::super::scalars::DateTime;
use super::contract::Contract;
use super::lease::PortLease;
use super::port::NodePort;
use super::tool::ExecutionSummary;
use super::tool::Tool;
use super::trust::{Trust, TrustState};
use crate::model::{self, NAME_LEN_MAX, NodeId, NodeName, Time, ToolName, TopicName};
use crate::registry::graph::{Direction, neighbours};
use crate::registry::state::State;
use async_graphql::{Context, Enum, InputObject, Object, OneofObject, Result, SimpleObject};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use uuid::Uuid;
use wildmatch::WildMatch;

/// What a node is for.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::NodeKind")]
pub enum NodeKind {
    /// Offers tools.
    Tool,
    /// Judges other nodes.
    Validator,
    /// Takes part in tests.
    Test,
    /// Translates between systems.
    Adapter,
    /// Acts on its own account, with tools.
    Agent,
    /// Computes without side effects.
    Compute,
    /// Acts on the world outside.
    Effect,
    /// Folds events into state.
    Reducer,
    /// Directs other nodes.
    Orchestrator,
    /// Serves a long-lived function to others.
    Service,
    /// None of these, or not said.
    Other,
}

/// Whether a node is there.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::NodeStatus")]
pub enum NodeStatus {
    /// Known from a contract; no live instance.
    Declared,
    /// Registered and within its lifetime.
    Online,
    /// Finishing its work; wants no new calls.
    Draining,
    /// Its registration lapsed.
    Offline,
}

/// Where a node's code runs.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::ExecutionMode")]
pub enum ExecutionMode {
    /// In a process on its host.
    Memory,
    /// In a container.
    Container,
    /// Somewhere the registry knows nothing of.
    External,
}

rendered_enums!(NodeKind, NodeStatus, ExecutionMode);

/// What a list of nodes is ordered by, from the least to the greatest.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum NodeOrder {
    /// By name.
    Name,
    /// By when they were first registered, the earliest first.
    RegisteredAt,
    /// By when they were last heard of; those that never were come first.
    LastSeenAt,
}

/// What a node can do beyond its contract.
#[derive(SimpleObject)]
pub struct Capabilities {
    /// Takes new code or configuration without a restart.
    supports_hot_reload: bool,
    /// Names of the models it can run.
    available_models: Vec<String>,
    /// Templates it holds, each by content.
    versioned_templates: Vec<VersionedTemplate>,
    /// Names of flags that change its behaviour.
    override_flags: Vec<String>,
}

/// One template in one version.
#[derive(SimpleObject)]
pub struct VersionedTemplate {
    /// The template's id.
    template_id: String,
    /// The hash of its content, as its owner computes it.
    hash: String,
}

rendered!(struct Capabilities { supports_hot_reload, available_models, versioned_templates, override_flags });
rendered!(struct VersionedTemplate { template_id, hash });

/// How many steps are gone to neighbours where the request does not say.
const STEPS_DEFAULT: i32 = 1;

/// A program that offers tools or takes part in event flow.
#[derive(Clone)]
pub struct Node {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) node: Arc<model::Node>,
}

impl Node {
    pub(in crate::graphql) fn by_id(view: &View, id: NodeId) -> Option<Node> {
        view.node(id).map(|node| Node { view: view.clone(), node: node.clone() })
    }

    /// The nodes with these ids, by name.
    pub(in crate::graphql) fn all_by_name(view: &View, ids: impl Iterator<Item = NodeId>) -> Vec<Node> {
        let mut nodes: Vec<Node> = ids.filter_map(|id| Node::by_id(view, id)).collect();
        nodes.sort_by(|a, b| a.node.declared.name.cmp(&b.node.declared.name));
        nodes
    }

    fn neighbours(&self, ctx: &Context<'_>, direction: Direction, depth: i32) -> Result<List<Node>> {
        spend(ctx, 0)?;
        let depth = u32::try_from(depth).map_err(|_| invalid("depth", format!("is {depth}; it is 0 or more")))?;
        let nodes = neighbours(&self.view, &self.node, direction, Some(depth)).map_err(too_large)?;
        Ok(nodes.into_iter().map(|node| Node { view: self.view.clone(), node }).collect())
    }
}

/// A program that offers tools or takes part in event flow.
#[Object]
impl Node {
    /// Kept through every update.
    async fn id(&self) -> Uuid {
        self.node.id.0
    }
    /// Unique dotted or snake name, e.g. validator.test.canary.001.
    async fn name(&self) -> &str {
        self.node.declared.name.as_str()
    }
    /// What it is for; OTHER where it did not say.
    async fn kind(&self) -> NodeKind {
        self.node.declared.kind.into()
    }
    /// Its version as it was written; null where it did not say.
    async fn version(&self) -> Option<&str> {
        self.node.declared.version.as_ref().map(model::Version::as_str)
    }
    /// SHA-256 of the canonical contract, 64 hexadecimal digits; null where it was registered without a contract.
    async fn version_hash(&self) -> Option<String> {
        self.node.declared.contract.map(|hash| hash.to_string())
    }
    /// One or a few sentences; null where there are none.
    async fn description(&self) -> Option<&str> {
        self.node.declared.description.as_deref()
    }
    /// In the order given, each once.
    async fn tags(&self) -> &[String] {
        &self.node.declared.tags
    }
    /// The name space it belongs to, e.g. omnibase.nodes; null where it did not say.
    async fn namespace(&self) -> Option<&str> {
        self.node.declared.namespace.as_deref()
    }
    /// The host it runs on; null where it did not say.
    async fn host(&self) -> Option<&str> {
        self.node.declared.host.as_deref()
    }
    /// Whether it is there.
    async fn status(&self) -> NodeStatus {
        self.node.status.into()
    }
    /// Where its code runs.
    async fn execution_mode(&self) -> ExecutionMode {
        self.node.declared.execution_mode.into()
    }
    /// A JSON object of the node's own; empty where it gave none.
    async fn metadata(&self) -> &serde_json::Value {
        &self.node.declared.metadata
    }
    /// When it was first registered.
    async fn registered_at(&self) -> DateTime {
        DateTime(self.node.registered_at)
    }
    /// When a live instance was last heard of; null where none ever was.
    async fn last_seen_at(&self) -> Option<DateTime> {
        self.node.last_seen_at.map(DateTime)
    }
    /// How many seconds the registration lasts without a heartbeat; null where it never lapses.
    async fn ttl_seconds(&self) -> Option<u32> {
        self.node.ttl.map(model::Ttl::as_seconds)
    }
    /// When the registration lapses unless a heartbeat renews it (for an OFFLINE node, when it did); null where it
    /// never does.
    async fn expires_at(&self) -> Option<DateTime> {
        self.node.expires_at.map(DateTime)
    }
    /// Until when a registration that lapsed while the registry was down is kept all the same; null where none is.
    async fn grace_until(&self) -> Option<DateTime> {
        self.node.grace_until.map(DateTime)
    }
    /// How far it is trusted, and why.
    async fn trust(&self) -> Trust {
        Trust(self.node.trust.clone())
    }
    /// The Ed25519 public key that its registrations are signed with, base64; null where it has none.
    async fn public_key(&self) -> Option<String> {
        self.node.declared.public_key.map(|key| BASE64_STANDARD.encode(key.0))
    }
    /// What it can do beyond its contract.
    async fn capabilities(&self) -> Capabilities {
        let model::Capabilities { supports_hot_reload, available_models, versioned_templates, override_flags } =
            self.node.declared.capabilities.clone();
        let versioned_templates = versioned_templates
            .into_iter()
            .map(|template| VersionedTemplate { template_id: template.template_id, hash: template.hash })
            .collect();
        Capabilities { supports_hot_reload, available_models, versioned_templates, override_flags }
    }
    /// The contract it keeps; null where it was registered without one.
    async fn contract(&self) -> Option<Contract> {
        Contract::by_hash(&self.view, self.node.declared.contract?)
    }
    /// What the calls that it took add up to.
    async fn execution(&self) -> ExecutionSummary {
        ExecutionSummary {
            node: self.node.id,
            stats: self.view.calls.of_node(self.node.id).cloned().unwrap_or_default(),
        }
    }
    /// The tools it offers, by name, then from the lowest version to the highest.
    async fn tools(
        &self,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
    ) -> Result<Connection<Tool>> {
        let page: Page<model::ToolKey> = PageArgs::forward(first, after).page()?;
        let (view, count) = (self.view.clone(), self.node.tools.len());
        let from = page.after.as_ref().map_or(0, |after| self.node.tools.partition_point(|key| key <= after));
        let tools = self.node.tools[from..].iter();
        let tools = tools.filter_map(|key| Some((key.clone(), Tool::by_key(&view, key)?)));
        Ok(page.take(tools, total(move || count)))
    }
    /// The port leases that go with it and hold, by host and number.
    async fn ports(&self) -> List<PortLease> {
        PortLease::of_node(&self.view, self.node.id).into()
    }
    /// Where it takes things in.
    async fn inbound_ports(&self) -> List<NodePort> {
        let port = |port: &model::NodePort| NodePort { view: self.view.clone(), port: port.clone() };
        self.node.declared.inbound.iter().map(port).collect()
    }
    /// Where it gives things out.
    async fn outbound_ports(&self) -> List<NodePort> {
        let port = |port: &model::NodePort| NodePort { view: self.view.clone(), port: port.clone() };
        self.node.declared.outbound.iter().map(port).collect()
    }
    /// Nodes that feed it, nearest first, then by name: see dependencyGraph.
    async fn upstream(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "STEPS_DEFAULT", desc = "How many steps to go: 0 or more.")] depth: i32,
    ) -> Result<List<Node>> {
        self.neighbours(ctx, Direction::Upstream, depth)
    }
    /// Nodes that it feeds, nearest first, then by name: what may break when it stops.
    async fn downstream(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "STEPS_DEFAULT", desc = "How many steps to go: 0 or more.")] depth: i32,
    ) -> Result<List<Node>> {
        self.neighbours(ctx, Direction::Downstream, depth)
    }
    /// The name of the agent it belongs to; null where it belongs to none.
    async fn owned_by_agent(&self) -> Option<&str> {
        self.node.declared.owned_by_agent.as_deref()
    }
    /// The names of the agents that follow what it does.
    async fn subscribed_by_agents(&self) -> &[String] {
        &self.node.declared.subscribed_by_agents
    }
}

rendered!(Node {
    id,
    name,
    kind,
    version,
    version_hash,
    description,
    tags,
    namespace,
    host,
    status,
    execution_mode,
    metadata,
    registered_at,
    last_seen_at,
    ttl_seconds,
    expires_at,
    grace_until,
    trust,
    public_key,
    capabilities,
    contract,
    execution,
    tools(first: Option<i32> = None, after: Option<String> = None),
    ports,
    inbound_ports,
    outbound_ports,
    upstream(depth: i32 = STEPS_DEFAULT),
    downstream(depth: i32 = STEPS_DEFAULT),
    owned_by_agent,
    subscribed_by_agents,
});

/// Which node: exactly one field is given.
#[derive(OneofObject)]
pub enum NodeBy {
    /// By its id.
    Id(Uuid),
    /// By its name, whole and in the same case.
    Name(String),
}

impl NodeBy {
    pub(in crate::graphql) fn find(&self, view: &View) -> Option<Node> {
        let node = match self {
            NodeBy::Id(id) => view.node(NodeId(*id)),
            NodeBy::Name(name) => view.node_by_name(name),
        };
        node.map(|node| Node { view: view.clone(), node: node.clone() })
    }

    /// The refusal of what needs the node.
    pub(in crate::graphql) fn unknown(&self) -> async_graphql::Error {
        let (what, details) = match self {
            NodeBy::Id(id) => (id.to_string(), serde_json::json!({ "nodeId": id })),
            NodeBy::Name(name) => (name.chars().take(NAME_LEN_MAX).collect(), serde_json::json!({ "name": name })),
        };
        let message = format!("no node is registered as {what:?}: look it up with nodes(filter: {{search: ...}})");
        refuse(ErrorCode::NodeNotFound, message, details)
    }
}

/// Which nodes. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct NodeFilter {
    /// Of this kind.
    kind: Option<NodeKind>,
    /// Of this status.
    status: Option<NodeStatus>,
    /// With this tag, in the same case.
    tag: Option<String>,
    /// With a name that matches: * is any characters, ? is one; in the same case.
    name_pattern: Option<String>,
    /// Trusted just so far.
    trust_state: Option<TrustState>,
    /// That offer a tool of this name, in any version.
    provides_tool: Option<String>,
    /// Whose contracts publish on or read this topic.
    topic: Option<String>,
    /// With all of these words, or words that begin so, in name, tags or description; best match first unless
    /// orderBy is given.
    search: Option<String>,
}

impl NodeFilter {
    fn matcher(&self) -> impl Fn(&model::Node) -> bool + Send + Sync + 'static {
        let (kind, status) = (self.kind.map(Into::into), self.status.map(Into::into));
        let (tag, trust_state) = (self.tag.clone(), self.trust_state.map(Into::into));
        let pattern = self.name_pattern.as_deref().map(WildMatch::new);
        move |node: &model::Node| {
            let declared = &node.declared;
            kind.is_none_or(|kind: model::NodeKind| declared.kind == kind)
                && status.is_none_or(|status: model::NodeStatus| node.status == status)
                && tag.as_ref().is_none_or(|tag| declared.tags.contains(tag))
                && trust_state.is_none_or(|state: model::TrustState| node.trust.state() == state)
                && pattern.as_ref().is_none_or(|pattern| pattern.matches(declared.name.as_str()))
        }
    }

    /// The nodes among which to look, where the filter says more than a look at each node can.
    fn candidates(&self, state: &State) -> Option<BTreeSet<NodeId>> {
        let mut sets: Vec<BTreeSet<NodeId>> = Vec::new();
        if let Some(tool) = &self.provides_tool {
            let versions = ToolName::try_new(tool).map(|name| state.tool_versions(&name)).unwrap_or_default();
            sets.push(versions.iter().flat_map(|tool| &tool.offers).map(|offer| offer.node).collect());
        }
        if let Some(topic) = &self.topic {
            let uses = TopicName::try_new(topic).ok().and_then(|name| state.topics.get(&name).cloned());
            let uses = uses.unwrap_or_default();
            sets.push(uses.publishers.iter().chain(&uses.subscribers).copied().collect());
        }
        let mut sets = sets.into_iter();
        let first = sets.next()?;
        Some(sets.fold(first, |found, set| found.intersection(&set).copied().collect()))
    }

    fn is_everything(&self) -> bool {
        self.candidates_may_be_all()
            && self.kind.is_none()
            && self.status.is_none()
            && self.tag.is_none()
            && self.name_pattern.is_none()
            && self.trust_state.is_none()
    }

    fn candidates_may_be_all(&self) -> bool {
        self.provides_tool.is_none() && self.topic.is_none() && self.search.is_none()
    }
}

/// A page of the nodes that match.
pub(in crate::graphql) fn list(
    view: &View,
    filter: NodeFilter,
    order: Option<NodeOrder>,
    args: &PageArgs,
) -> Result<Connection<Node>> {
    match (order, &filter.search) {
        (None, Some(words)) => best_matches(view, &filter, words, args),
        (None | Some(NodeOrder::Name), _) => in_order::<NodeName>(view, filter, args),
        (Some(NodeOrder::RegisteredAt), _) => in_order::<(Time, NodeId)>(view, filter, args),
        (Some(NodeOrder::LastSeenAt), _) => in_order::<(Option<Time>, NodeId)>(view, filter, args),
    }
}

/// An order in which the state keeps its nodes.
trait Order: Key {
    fn of(node: &model::Node) -> Self;
    fn walk(state: &State, bounds: (Bound<Self>, Bound<Self>)) -> impl DoubleEndedIterator<Item = (Self, NodeId)>;
}

impl Order for NodeName {
    fn of(node: &model::Node) -> Self {
        node.declared.name.clone()
    }
    fn walk(state: &State, bounds: (Bound<Self>, Bound<Self>)) -> impl DoubleEndedIterator<Item = (Self, NodeId)> {
        state.node_names.range(bounds).map(|(name, id)| (name.clone(), *id))
    }
}

impl Order for (Time, NodeId) {
    fn of(node: &model::Node) -> Self {
        (node.registered_at, node.id)
    }
    fn walk(state: &State, bounds: (Bound<Self>, Bound<Self>)) -> impl DoubleEndedIterator<Item = (Self, NodeId)> {
        state.nodes_by_registration.range(bounds).map(|key| (*key, key.1))
    }
}

impl Order for (Option<Time>, NodeId) {
    fn of(node: &model::Node) -> Self {
        (node.last_seen_at, node.id)
    }
    fn walk(state: &State, bounds: (Bound<Self>, Bound<Self>)) -> impl DoubleEndedIterator<Item = (Self, NodeId)> {
        state.nodes_by_last_seen.range(bounds).map(|key| (*key, key.1))
    }
}

fn in_order<O: Order>(view: &View, filter: NodeFilter, args: &PageArgs) -> Result<Connection<Node>> {
    let page: Page<O> = args.page()?;
    let matches = filter.matcher();
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), count(view, filter))) };
    let object = |node: &Arc<model::Node>| Node { view: view.clone(), node: node.clone() };
    let candidates = match (&filter.search, filter.candidates(view)) {
        (None, candidates) => candidates,
        (Some(words), among) => {
            let found = view.node_words.search(words).into_keys().map(NodeId);
            Some(found.filter(|id| among.as_ref().is_none_or(|among| among.contains(id))).collect())
        }
    };
    let connection = match candidates {
        None => {
            let walk = O::walk(view, bounds).filter_map(|(key, id)| Some((key, view.node(id)?)));
            let matching = walk.filter(|(_, node)| matches(node)).map(|(key, node)| (key, object(node)));
            page.take(matching, count(view, filter))
        }
        Some(ids) => {
            let nodes = ids.into_iter().filter_map(|id| view.node(id)).filter(|node| matches(node));
            let sorted: BTreeMap<O, Node> = nodes.map(|node| (O::of(node), object(node))).collect();
            page.take(sorted.range(bounds).map(|(key, node)| (key.clone(), node.clone())), count(view, filter))
        }
    };
    Ok(connection)
}

fn best_matches(view: &View, filter: &NodeFilter, words: &str, args: &PageArgs) -> Result<Connection<Node>> {
    let page: Page<Rank> = args.page()?;
    let total = count(view, filter.clone());
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    let (matches, among) = (filter.matcher(), filter.candidates(view));
    let mut ranked: BTreeMap<Rank, Node> = BTreeMap::new();
    for (id, score) in view.node_words.search(words) {
        let id = NodeId(id);
        let Some(node) = Node::by_id(view, id) else { continue };
        if matches(&node.node) && among.as_ref().is_none_or(|among| among.contains(&id)) {
            let name = node.node.declared.name.to_string();
            ranked.insert(Rank { score: Reverse(score), name, id: id.0 }, node);
        }
    }
    Ok(page.take(ranked.range(bounds).map(|(rank, node)| (rank.clone(), node.clone())), total))
}

fn count(view: &View, filter: NodeFilter) -> super::super::paging::Total {
    let view = view.clone();
    total(move || {
        if filter.is_everything() {
            return view.nodes.len();
        }
        let (matches, among) = (filter.matcher(), filter.candidates(&view));
        let found = filter.search.as_ref().map(|words| view.node_words.search(words));
        let within = |id: &NodeId| {
            among.as_ref().is_none_or(|among| among.contains(id))
                && found.as_ref().is_none_or(|found| found.contains_key(&id.0))
        };
        view.nodes.values().filter(|node| within(&node.id) && matches(node)).count()
    })
}
