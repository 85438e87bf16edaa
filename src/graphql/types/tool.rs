//! Tools: the object, and which tools a list has.

use super::super::error::invalid;
use super::super::limits::budget::List;
use super::super::paging::{Connection, Page, PageArgs, Rank, Total, total};
use super::super::reach::{Fixed, asker, live};
use super::super::render::{rendered, rendered_enums};
use super::super::scalars::DateTime;
use super::super::{Services, View};
use super::contract::Contract;
use super::node::Node;
use crate::model::{self, NodeId, OfferSource, ToolKey, ToolName, TrustState, VersionWanted};
use crate::proxy::{self, Health, Presence};
use crate::registry::state::State;
use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use wildmatch::WildMatch;

/// How a call reaches a provider.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::ToolTransport")]
pub enum ToolTransport {
    /// Over this registry's own websocket.
    #[graphql(name = "GRAPHQL")]
    GraphQl,
    /// Over an event bus.
    Bus,
    /// By an HTTP request to the provider's endpoint.
    Http,
    /// By the Model Context Protocol.
    Mcp,
}

rendered_enums!(ToolTransport, CircuitState);

/// Something that can be called by name.
#[derive(Clone)]
pub struct Tool {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) tool: Arc<model::Tool>,
}

impl Tool {
    pub(in crate::graphql) fn by_key(view: &View, key: &ToolKey) -> Option<Tool> {
        view.tools.get(key).map(|tool| Tool { view: view.clone(), tool: tool.clone() })
    }

    /// What calls are checked against.
    fn definition(&self) -> &Arc<model::ToolDefinition> {
        self.view.definition_of(&self.tool)
    }

    /// The tool of this name: in this version, else the highest release, else the highest version.
    pub(in crate::graphql) fn find(
        view: &View,
        fixed: &Fixed,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Tool>> {
        let Ok(name) = ToolName::try_new(name) else { return Ok(None) };
        let version = version.map(VersionWanted::try_new).transpose().map_err(|error| invalid("version", error))?;
        let tool = view.tool_wanted(&name, version.as_ref(), |tool| fixed.is_shown(view, tool));
        Ok(tool.map(|tool| Tool { view: view.clone(), tool: tool.clone() }))
    }
}

/// Something that can be called by name and version, offered by one node or several. Where providers disagree on what
/// it promises, the word of the most trusted that is ONLINE counts, among equals of the earliest, and calls go to those who
/// agree; see contractCollisions.
#[Object]
impl Tool {
    /// The same for the same name and version, everywhere.
    async fn id(&self) -> Uuid {
        self.tool.key.id().0
    }
    /// The name, without the version.
    async fn name(&self) -> &str {
        self.tool.key.name.as_str()
    }
    /// The version; where the provider gave none, its own, else 0.0.0.
    async fn version(&self) -> &str {
        self.tool.key.version.as_str()
    }
    /// What it does, for people and agents; null where the provider did not say.
    async fn description(&self) -> Option<&str> {
        self.definition().description.as_deref()
    }
    /// In the order given, each once.
    async fn tags(&self) -> &[String] {
        &self.definition().tags
    }
    /// JSON Schema (2020-12) of the arguments; null where the provider declared none.
    async fn input_schema(&self) -> Option<&serde_json::Value> {
        self.definition().input_schema.as_ref()
    }
    /// JSON Schema (2020-12) of the result; null where the provider declared none.
    async fn output_schema(&self) -> Option<&serde_json::Value> {
        self.definition().output_schema.as_ref()
    }
    /// The error codes a call may fail with, as far as the provider says.
    async fn error_codes(&self) -> &[String] {
        &self.definition().error_codes
    }
    /// How many milliseconds a call may take where its caller does not say; null where the registry's default counts.
    async fn timeout_ms(&self) -> Option<u32> {
        self.definition().timeout_ms
    }
    /// Whether a call may be made again when nobody knows what came of it.
    async fn idempotent(&self) -> bool {
        self.definition().idempotent
    }
    /// Why no call can reach it: each of its offers has a defect or failed too often of late; null where one can.
    async fn quarantine(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let services = live(ctx)?;
        let causes = self.tool.offers.iter().map(|offer| quarantine(services, offer)).collect::<Option<Vec<_>>>();
        Ok(causes.map(|causes| causes.join("; ")))
    }
    /// What its calls add up to, those of the last moment left aside.
    async fn metrics(&self) -> ToolMetrics {
        ToolMetrics(self.view.calls.of_tool(&self.tool.key).cloned().unwrap_or_default())
    }
    /// The contract that declares the tool; null where it was registered by fields.
    async fn contract(&self) -> Option<Contract> {
        let offer = self.tool.offers.first().filter(|offer| offer.source == OfferSource::Contract)?;
        Contract::by_hash(&self.view, self.view.node(offer.node)?.declared.contract?)
    }
    /// Who offers it, the earliest first.
    async fn providers(
        &self,
        #[graphql(default_with = "TRUSTED_ONLY_DEFAULT", desc = "Only nodes whose trust is TRUSTED or VERIFIED.")]
        trusted_only: Option<bool>,
    ) -> List<ToolProvider> {
        let offers = self.tool.offers.iter();
        let providers = offers.filter_map(|offer| {
            let node = Node::by_id(&self.view, offer.node)?;
            Some(ToolProvider { node, offer: offer.clone() })
        });
        providers.filter(|provider| !trusted_only.unwrap_or(false) || is_trusted(&provider.node.node)).collect()
    }
}

rendered!(Tool {
    id,
    name,
    version,
    description,
    tags,
    input_schema,
    output_schema,
    error_codes,
    timeout_ms,
    idempotent,
    quarantine,
    metrics,
    contract,
    providers(trusted_only: Option<bool> = TRUSTED_ONLY_DEFAULT),
});

/// Whether only trusted providers are shown where the request does not say.
const TRUSTED_ONLY_DEFAULT: Option<bool> = Some(false);

fn is_trusted(node: &model::Node) -> bool {
    node.trust.state() >= TrustState::Trusted
}

/// One node's offer of a tool.
pub struct ToolProvider {
    node: Node,
    offer: model::Offer,
}

/// One node's offer of a tool.
#[Object]
impl ToolProvider {
    /// Who offers it.
    async fn node(&self) -> &Node {
        &self.node
    }
    /// How calls reach it.
    async fn transport(&self) -> ToolTransport {
        self.offer.transport.into()
    }
    /// The provider's address for this tool; null where the transport needs none.
    async fn endpoint(&self) -> Option<&str> {
        self.offer.endpoint.as_deref()
    }
    /// When this offer was first made.
    async fn registered_at(&self) -> DateTime {
        DateTime(self.offer.registered_at)
    }
    /// When the offer lapses unless a heartbeat of its node renews it; null where it lasts as long as the node.
    async fn expires_at(&self) -> Option<DateTime> {
        self.offer.expires_at.map(DateTime)
    }
    /// How many calls it takes at once; null where it did not say.
    async fn max_in_flight(&self) -> Option<u32> {
        self.offer.max_in_flight
    }
    /// How many calls of the tool it has under way.
    async fn in_flight(&self, ctx: &Context<'_>) -> Result<u32> {
        Ok(self.look(ctx)?.1.in_flight)
    }
    /// How busy the node says it is, from 0 to 1; null where it does not say.
    async fn load(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        Ok(self.look(ctx)?.0.load)
    }
    /// Whether calls reach it: its node listens, or it has an endpoint.
    async fn connected(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.offer.transport != model::ToolTransport::GraphQl && self.offer.endpoint.is_some()
            || self.look(ctx)?.0.connected)
    }
    /// Whether calls are sent to it: the node is ONLINE, calls reach it, and it is not in quarantine.
    async fn healthy(&self, ctx: &Context<'_>) -> Result<bool> {
        let is_online = self.node.node.status == model::NodeStatus::Online;
        Ok(is_online && self.connected(ctx).await? && self.quarantine(ctx).await?.is_none())
    }
    /// Why no calls are sent to it: its definition has a defect, or it failed too often of late; null where they are.
    async fn quarantine(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(quarantine(live(ctx)?, &self.offer))
    }
    /// Whether calls go through to it, by how the last ones went.
    async fn circuit(&self, ctx: &Context<'_>) -> Result<Circuit> {
        Ok(Circuit::from(self.look(ctx)?.1.circuit))
    }
}

rendered!(ToolProvider {
    node,
    transport,
    endpoint,
    registered_at,
    expires_at,
    max_in_flight,
    in_flight,
    load,
    connected,
    healthy,
    quarantine,
    circuit,
});

impl ToolProvider {
    fn look(&self, ctx: &Context<'_>) -> Result<(Presence, Health)> {
        Ok(live(ctx)?.proxy.look(self.offer.node, &self.offer.definition.key))
    }
}

/// Why no calls are sent to an offer, whatever its node does.
fn quarantine(services: &Services, offer: &model::Offer) -> Option<String> {
    if let Some(defect) = &offer.definition.defect {
        return Some(defect.clone());
    }
    let (_, health) = services.proxy.look(offer.node, &offer.definition.key);
    let waits = !health.circuit.admits(services.clock.now());
    waits.then(|| format!("it failed too often of late: {}", health.circuit.cause.unwrap_or_default()))
}

/// Where a circuit stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "proxy::CircuitState")]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// No calls go through.
    Open,
    /// One call is on its way to find out.
    HalfOpen,
}

/// Whether calls go through to a provider. After five failures in a row none do for ten seconds; then one is tried, and
/// where that fails, too, none do for twice as long, up to five minutes. A tool that says that it failed works.
#[derive(SimpleObject)]
pub struct Circuit {
    /// Where it stands.
    state: CircuitState,
    /// Failures in a row.
    failures: u32,
    /// When it last opened; null while it is closed.
    opened_at: Option<DateTime>,
    /// From when on a call is tried; null while it is closed.
    retry_at: Option<DateTime>,
    /// The latest failure in words; null where there is none.
    cause: Option<String>,
}

rendered!(struct Circuit { state, failures, opened_at, retry_at, cause });

impl From<proxy::Circuit> for Circuit {
    fn from(circuit: proxy::Circuit) -> Self {
        Circuit {
            state: circuit.state.into(),
            failures: circuit.failures,
            opened_at: circuit.opened_at.map(DateTime),
            retry_at: circuit.retry_at.map(DateTime),
            cause: circuit.cause,
        }
    }
}

/// What calls of a tool add up to. Calls that were taken back, or reached no provider, do not count.
pub struct ToolMetrics(Arc<model::CallStats>);

/// What calls of a tool add up to. Calls that were taken back, or reached no provider, do not count.
#[Object]
impl ToolMetrics {
    /// How many ended.
    async fn calls(&self) -> u64 {
        self.0.calls
    }
    /// How many of them did not succeed.
    async fn failures(&self) -> u64 {
        self.0.failures()
    }
    /// How many of them got no answer in time.
    async fn timeouts(&self) -> u64 {
        self.0.timeouts
    }
    /// Half of them took at most so many milliseconds, a tenth more or less; null without calls.
    async fn p50_duration_ms(&self) -> Option<f64> {
        milliseconds(&self.0, 0.5)
    }
    /// All but one in a hundred took at most so many milliseconds, a tenth more or less; null without calls.
    async fn p99_duration_ms(&self) -> Option<f64> {
        milliseconds(&self.0, 0.99)
    }
}

rendered!(ToolMetrics { calls, failures, timeouts, p50_duration_ms, p99_duration_ms });

fn milliseconds(stats: &model::CallStats, share: f64) -> Option<f64> {
    stats.durations.quantile(share).map(|micros| micros / 1_000.0)
}

/// What the calls that a node took add up to: each provider's part in a call counts for itself.
pub struct ExecutionSummary {
    pub(super) node: NodeId,
    pub(super) stats: Arc<model::CallStats>,
}

impl ExecutionSummary {
    fn last(&self) -> Option<&model::LastCall> {
        self.stats.last.as_ref()
    }

    /// Whether the caller may see what calls of the node were given and answered.
    fn shows_calls(&self, ctx: &Context<'_>) -> bool {
        let visitor = asker(ctx).map(|caller| &caller.visitor);
        visitor.is_ok_and(|visitor| visitor.reads_all_calls() || visitor.bound_to() == Some(self.node))
    }
}

/// What the calls that a node took add up to: each provider's part in a call counts for itself. Those of the last moment
/// are left aside, and those that their caller took back.
#[Object]
impl ExecutionSummary {
    /// How many ended.
    async fn count(&self) -> u64 {
        self.stats.calls
    }
    /// How many of them succeeded.
    async fn success_count(&self) -> u64 {
        self.stats.successes
    }
    /// How many of them did not.
    async fn failure_count(&self) -> u64 {
        self.stats.failures()
    }
    /// The share of those that succeeded, from 0 to 1; null without calls.
    async fn success_rate(&self) -> Option<f64> {
        (self.stats.calls > 0).then(|| self.stats.successes as f64 / self.stats.calls as f64)
    }
    /// When the latest ended; null without calls.
    async fn last_at(&self) -> Option<DateTime> {
        self.last().map(|last| DateTime(last.at))
    }
    /// How many milliseconds the latest took; null without calls.
    async fn last_duration_ms(&self) -> Option<f64> {
        self.last().map(|last| last.micros as f64 / 1_000.0)
    }
    /// Half of them took at most so many milliseconds, a tenth more or less; null without calls.
    async fn p50_duration_ms(&self) -> Option<f64> {
        milliseconds(&self.stats, 0.5)
    }
    /// All but one in a hundred took at most so many milliseconds, a tenth more or less; null without calls.
    async fn p99_duration_ms(&self) -> Option<f64> {
        milliseconds(&self.stats, 0.99)
    }
    /// The arguments of the latest, without what is secret, cut to what is kept; null without calls, and
    /// for who may see neither the node's calls nor everybody's.
    async fn last_inputs(&self, ctx: &Context<'_>) -> Result<Option<&serde_json::Value>> {
        Ok(self.last().filter(|_| self.shows_calls(ctx)).map(|last| &*last.arguments))
    }
    /// The result of the latest, without what is secret, cut to what is kept; null where it had none, and
    /// for who may see neither the node's calls nor everybody's.
    async fn last_outputs(&self, ctx: &Context<'_>) -> Result<Option<&serde_json::Value>> {
        Ok(self.last().filter(|_| self.shows_calls(ctx)).and_then(|last| last.result.as_deref()))
    }
    /// Where the provider keeps its trace of the latest; null where it did not say.
    async fn trace_log_id(&self) -> Option<&str> {
        self.last()?.trace_log_id.as_deref()
    }
    /// Where the provider's log of the latest can be read; null where it did not say.
    async fn execution_log_url(&self) -> Option<&str> {
        self.last()?.execution_log_url.as_deref()
    }
}

rendered!(ExecutionSummary {
    count,
    success_count,
    failure_count,
    success_rate,
    last_at,
    last_duration_ms,
    p50_duration_ms,
    p99_duration_ms,
    last_inputs,
    last_outputs,
    trace_log_id,
    execution_log_url,
});

/// Which tools. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct ToolFilter {
    /// With all of these words, or words that begin so, in name, tags or description; best match first.
    search: Option<String>,
    /// With this tag, in the same case.
    tag: Option<String>,
    /// That this node offers.
    node_id: Option<Uuid>,
    /// True: only those that a node offers whose trust is TRUSTED or VERIFIED.
    trusted_only: Option<bool>,
    /// True: only those that some ONLINE node offers; false: only those that none does.
    has_provider: Option<bool>,
    /// With a name that matches: * is any characters, ? is one; in the same case.
    name_pattern: Option<String>,
    /// In this version, or in a range of versions such as ^1.2.
    version: Option<String>,
}

impl ToolFilter {
    /// What the filter says of versions.
    fn versions(&self) -> Result<Option<VersionWanted>> {
        let wanted = self.version.as_deref().map(VersionWanted::try_new).transpose();
        wanted.map_err(|error| invalid("version", error))
    }

    fn matcher(
        &self,
        fixed: &Fixed,
        versions: Option<VersionWanted>,
    ) -> impl Fn(&State, &model::Tool) -> bool + Send + Sync + 'static {
        let fixed = fixed.clone();
        let (tag, node) = (self.tag.clone(), self.node_id.map(NodeId));
        let (trusted_only, has_provider) = (self.trusted_only.unwrap_or(false), self.has_provider);
        let pattern = self.name_pattern.as_deref().map(WildMatch::new);
        move |state, tool| {
            let any_provider = |fits: fn(&model::Node) -> bool| {
                tool.offers.iter().filter_map(|offer| state.node(offer.node)).any(|node| fits(node))
            };
            tag.as_ref().is_none_or(|tag| tool.definition().tags.contains(tag))
                && node.is_none_or(|node| tool.offers.iter().any(|offer| offer.node == node))
                && (!trusted_only || any_provider(is_trusted))
                && has_provider
                    .is_none_or(|wanted| any_provider(|node| node.status == model::NodeStatus::Online) == wanted)
                && pattern.as_ref().is_none_or(|pattern| pattern.matches(tool.key.name.as_str()))
                && versions.as_ref().is_none_or(|wanted| wanted.matches(&tool.key.version))
                && fixed.is_shown(state, tool)
        }
    }

    fn is_everything(&self, fixed: &Fixed) -> bool {
        fixed.least_trust() == TrustState::Untrusted
            && self.search.is_none()
            && self.tag.is_none()
            && self.node_id.is_none()
            && !self.trusted_only.unwrap_or(false)
            && self.has_provider.is_none()
            && self.name_pattern.is_none()
            && self.version.is_none()
    }
}

/// A page of the tools that match: best match first where words are searched, else by name and version.
/// Those that the registry calls for nobody are not listed.
pub(in crate::graphql) fn list(
    view: &View,
    fixed: &Fixed,
    filter: ToolFilter,
    args: &PageArgs,
) -> Result<Connection<Tool>> {
    let versions = filter.versions()?;
    let matches = filter.matcher(fixed, versions.clone());
    let object = |tool: &Arc<model::Tool>| Tool { view: view.clone(), tool: tool.clone() };
    if let Some(words) = &filter.search {
        let page: Page<Rank> = args.page()?;
        let total = count(view, fixed, versions, filter.clone());
        let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
        let mut ranked: BTreeMap<Rank, Tool> = BTreeMap::new();
        for (id, score) in view.tool_words.search(words) {
            let key = view.tool_ids.get(&model::ToolId(id));
            let Some(tool) = key.and_then(|key| view.tools.get(key)).filter(|tool| matches(view, tool)) else {
                continue;
            };
            let name = tool.key.name.to_string();
            ranked.insert(Rank { score: Reverse(score), name, id }, object(tool));
        }
        return Ok(page.take(ranked.range(bounds).map(|(rank, tool)| (rank.clone(), tool.clone())), total));
    }
    let page: Page<ToolKey> = args.page()?;
    let total = count(view, fixed, versions, filter);
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    let walk = view.tools.range(bounds).filter(|(_, tool)| matches(view, tool));
    Ok(page.take(walk.map(|(key, tool)| (key.clone(), object(tool))), total))
}

fn count(view: &View, fixed: &Fixed, versions: Option<VersionWanted>, filter: ToolFilter) -> Total {
    let (view, fixed) = (view.clone(), fixed.clone());
    total(move || {
        if filter.is_everything(&fixed) {
            return view.tools.len();
        }
        let matches = filter.matcher(&fixed, versions.clone());
        match &filter.search {
            None => view.tools.values().filter(|tool| matches(&view, tool)).count(),
            Some(words) => {
                let found = view.tool_words.search(words).into_keys();
                let tools = found.filter_map(|id| view.tools.get(view.tool_ids.get(&model::ToolId(id))?));
                tools.filter(|tool| matches(&view, tool)).count()
            }
        }
    })
}
