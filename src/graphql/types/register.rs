//! Registration as clients give it: checked here, field by field, and made a command.

use super::super::error::{contract as contract_error, invalid, tool as tool_error};
use super::super::limits::budget::List;
use super::super::{Bounds, View};
use super::contract::{Contract, ContractCollision};
use super::node::{ExecutionMode, Node, NodeKind};
use super::port::NodePortInput;
use super::signature;
use super::tool::ToolTransport;
use crate::contracts::{self, Spelling, ToolFields};
use crate::model::{
    self, CollisionKey, JSON_DEPTH_MAX, LIST_LEN_MAX, NAME_LEN_MAX, NodeId, NodeName, TEXT_LEN_MAX, ToolKey, ToolName,
    Ttl, Version,
};
use crate::registry::command::{Heartbeat, OfferedTool, Patch, Register};
use crate::registry::decide;
use crate::registry::state::State;
use async_graphql::{InputObject, MaybeUndefined, Object, Result};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The most bytes of a node's metadata, as JSON.
const METADATA_LEN_MAX: usize = 64 * 1024;

/// A registration. What is absent is filled from the contract, else stays as it was; null clears it.
#[derive(InputObject)]
pub struct RegisterInput {
    /// The node to update, or the id that a new one is to have. When absent, the name says which node is meant.
    pub(in crate::graphql) id: Option<Uuid>,
    /// Unique dotted or snake name, 1 to 255 characters; the contract's when absent.
    name: Option<String>,
    /// What it is for; the contract's when absent.
    kind: Option<NodeKind>,
    /// Its version; the contract's when absent.
    version: MaybeUndefined<String>,
    /// One or a few sentences; the contract's when absent.
    description: MaybeUndefined<String>,
    /// At most 1,000, each once; the contract's when absent.
    tags: MaybeUndefined<Vec<String>>,
    /// The name space it belongs to; the contract's when absent.
    namespace: MaybeUndefined<String>,
    /// The host it runs on.
    host: MaybeUndefined<String>,
    /// Where its code runs; MEMORY when it was never given.
    execution_mode: Option<ExecutionMode>,
    /// A JSON object, at most 65,536 bytes.
    metadata: MaybeUndefined<Value>,
    /// Seconds until the registration lapses unless renewed; null: never. A new node that gives none never lapses.
    ttl_seconds: MaybeUndefined<i32>,
    /// True: known from a contract only, no live instance is speaking. Does not end a live instance.
    declare_only: Option<bool>,
    /// An ONEX contract document (contract.yaml or node.onex.yaml), YAML or JSON text, at most 1 MiB.
    contract: Option<String>,
    /// The tools it offers beside those of its contract; those that it offered before and are not named are
    /// withdrawn.
    tools: MaybeUndefined<Vec<ToolInput>>,
    /// Where it takes things in.
    inbound_ports: MaybeUndefined<Vec<NodePortInput>>,
    /// Where it gives things out.
    outbound_ports: MaybeUndefined<Vec<NodePortInput>>,
    /// An object with any of supportsHotReload, availableModels, versionedTemplates ({templateId, hash}) and
    /// overrideFlags.
    capabilities: MaybeUndefined<Value>,
    /// The name of the agent it belongs to.
    owned_by_agent: MaybeUndefined<String>,
    /// The names of the agents that follow what it does.
    subscribed_by_agents: MaybeUndefined<Vec<String>>,
    /// The node's own Ed25519 public key: 32 bytes as base64. From then on every registration is signed by it, until
    /// another takes its place: signed by the earlier one, or by an admin's word.
    public_key: Option<String>,
    /// An Ed25519 signature as base64, over the canonical form (RFC 8785) of the contract; of the one that the node keeps
    /// where this registration brings none.
    signature: Option<String>,
    /// What the caller calls the whole undertaking; travels with every change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

/// A tool that a node offers.
#[derive(InputObject)]
pub struct ToolInput {
    /// The name, 1 to 255 characters.
    name: String,
    /// The version; the node's when absent, else 0.0.0.
    version: Option<String>,
    /// What it does, for people and agents.
    description: Option<String>,
    /// At most 1,000, each once.
    tags: Option<Vec<String>>,
    /// JSON Schema (2020-12) of the arguments. References to other documents are never fetched.
    input_schema: Option<Value>,
    /// JSON Schema (2020-12) of the result.
    output_schema: Option<Value>,
    /// The error codes a call may fail with.
    error_codes: Option<Vec<String>>,
    /// How calls reach the provider; GRAPHQL when absent.
    transport: Option<ToolTransport>,
    /// The provider's address for this tool, where the transport has one: an http URL for HTTP and MCP, bus://NAME/ADDRESS
    /// for BUS.
    endpoint: Option<String>,
    /// Seconds until the offer lapses unless a heartbeat of the node renews it; when absent, with the node.
    ttl_seconds: Option<i32>,
    /// How many calls the provider takes at once: 1 or more.
    max_in_flight: Option<i32>,
    /// How many milliseconds a call may take where its caller does not say: 1 or more; the registry's default when
    /// absent.
    timeout_ms: Option<i32>,
    /// True: a call may be made again, at another provider, when nobody knows what came of it.
    idempotent: Option<bool>,
}

fn patch<T, U>(given: MaybeUndefined<T>, read: impl FnOnce(T) -> Result<U>) -> Result<Patch<U>> {
    Ok(match given {
        MaybeUndefined::Undefined => Patch::Keep,
        MaybeUndefined::Null => Patch::Clear,
        MaybeUndefined::Value(value) => Patch::Set(read(value)?),
    })
}

fn text(field: &'static str, longest: usize) -> impl Fn(String) -> Result<String> {
    move |text| match text.chars().count() {
        0 => Err(invalid(field, "is empty; null clears it")),
        length if length > longest => Err(invalid(field, format!("has {length} characters; the most is {longest}"))),
        _ => Ok(text),
    }
}

fn list<T, U>(field: &str, items: Vec<T>, read: impl FnMut((usize, T)) -> Result<U>) -> Result<Vec<U>> {
    if items.len() > LIST_LEN_MAX {
        return Err(invalid(field, format!("has {} entries; the most is {LIST_LEN_MAX}", items.len())));
    }
    items.into_iter().enumerate().map(read).collect()
}

/// Texts that name something, each once.
fn texts(field: &str, given: Vec<String>) -> Result<Vec<String>> {
    let checked = list(field, given, |(at, item)| {
        let path = format!("{field}[{at}]");
        match item.chars().count() {
            0 => Err(invalid(&path, "is empty")),
            length if length > NAME_LEN_MAX => {
                Err(invalid(&path, format!("has {length} characters; the most is {NAME_LEN_MAX}")))
            }
            _ => Ok(item),
        }
    })?;
    let mut texts = Vec::new();
    for item in checked {
        if !texts.contains(&item) {
            texts.push(item);
        }
    }
    Ok(texts)
}

fn ttl(field: &str, seconds: i32, bounds: &Bounds) -> Result<Ttl> {
    let longest = bounds.ttl_seconds_max;
    match u32::try_from(seconds).ok().filter(|seconds| *seconds <= longest).and_then(Ttl::from_seconds) {
        Some(ttl) => Ok(ttl),
        None => Err(invalid(field, format!("is {seconds}; a lifetime is 1 to {longest} seconds"))),
    }
}

fn version(field: &str, text: &str) -> Result<Version> {
    Version::try_new(text).map_err(|error| invalid(field, error))
}

fn metadata(value: Value) -> Result<Arc<Value>> {
    if !value.is_object() {
        return Err(invalid("metadata", "is no JSON object"));
    }
    if model::nests_too_deep(&value) {
        return Err(invalid("metadata", format!("nests deeper than {JSON_DEPTH_MAX} levels")));
    }
    let length = value.to_string().len();
    if length > METADATA_LEN_MAX {
        return Err(invalid("metadata", format!("has {length} bytes; the most is {METADATA_LEN_MAX}")));
    }
    Ok(Arc::new(value))
}

fn capabilities(value: Value) -> Result<model::Capabilities> {
    #[derive(serde::Deserialize, Default)]
    #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
    struct Given {
        supports_hot_reload: bool,
        available_models: Vec<String>,
        versioned_templates: Vec<Template>,
        override_flags: Vec<String>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Template {
        template_id: String,
        hash: String,
    }
    let length = value.to_string().len();
    if length > METADATA_LEN_MAX {
        return Err(invalid("capabilities", format!("has {length} bytes; the most is {METADATA_LEN_MAX}")));
    }
    let given: Given = serde_json::from_value(value).map_err(|error| invalid("capabilities", error))?;
    Ok(model::Capabilities {
        supports_hot_reload: given.supports_hot_reload,
        available_models: given.available_models,
        versioned_templates: given
            .versioned_templates
            .into_iter()
            .map(|template| model::TemplateVersion { template_id: template.template_id, hash: template.hash })
            .collect(),
        override_flags: given.override_flags,
    })
}

fn ports(field: &'static str) -> impl Fn(Vec<NodePortInput>) -> Result<Vec<model::NodePort>> {
    move |given| list(field, given, |(at, port)| port.read(&format!("{field}[{at}]")))
}

impl RegisterInput {
    /// `view` tells what is known of the node already.
    pub(in crate::graphql) fn read(
        self,
        fresh_id: Uuid,
        principal: &str,
        bounds: &Bounds,
        view: &State,
    ) -> Result<Register> {
        let contract = self.contract.as_deref().map(contracts::read).transpose();
        let contract = contract.map_err(|error| contract_error(&error))?;
        let name = self.name.as_deref().map(NodeName::try_new).transpose();
        let node_version = patch(self.version, |text| version("version", &text))?;
        let known = match (self.id, &name, &contract) {
            (Some(id), ..) => view.node(NodeId(id)),
            (None, Ok(Some(name)), _) => view.node_by_name(name.as_str()),
            (None, Ok(None), Some(document)) => {
                let by_id = document.node_id.and_then(|id| view.node(id));
                by_id.or_else(|| view.node_by_name(document.node_name.as_str()))
            }
            _ => None,
        };
        let document_version = contract.as_ref().and_then(|document| document.node_version.clone());
        let known_version = known.and_then(|node| node.declared.version.clone());
        let tool_version = node_version.clone().or(document_version).over(known_version);
        let tool_version = tool_version.unwrap_or_else(Version::unstated);
        let declare_only = self.declare_only.unwrap_or(false);
        let in_force = match &contract {
            Some(document) => Some(&document.contract),
            None => known.and_then(|node| view.contract_of(node)),
        };
        let metadata_claims = self.metadata.value().is_some_and(signature::claims_trust);
        let document_claims = contract.as_ref().is_some_and(|it| signature::claims_trust(&it.contract.document));
        if (metadata_claims || document_claims) && self.signature.is_none() {
            let reason =
                "is missing: who claims a trust state signs for it; others leave it out, and validators attest";
            return Err(invalid("signature", reason));
        }
        let known_key = known.and_then(|node| node.declared.public_key);
        let signature = signature::read(self.public_key.as_deref(), self.signature.as_deref(), known_key, in_force)?;
        Ok(Register {
            public_key: signature.key,
            signed_by: signature.signed_by,
            overrules_key: false,
            principal: principal.to_owned(),
            id: self.id.map(NodeId),
            fresh_id: NodeId(fresh_id),
            name: name.map_err(|error| invalid("name", error))?,
            kind: self.kind.map(Into::into),
            version: node_version,
            description: patch(self.description, text("description", TEXT_LEN_MAX))?,
            tags: patch(self.tags, |tags| texts("tags", tags))?,
            namespace: patch(self.namespace, text("namespace", NAME_LEN_MAX))?,
            host: patch(self.host, text("host", NAME_LEN_MAX))?,
            execution_mode: self.execution_mode.map(Into::into),
            metadata: patch(self.metadata, metadata)?,
            ttl: patch(self.ttl_seconds, |seconds| ttl("ttlSeconds", seconds, bounds))?,
            declare_only,
            contract,
            tools: patch(self.tools, |tools| {
                list("tools", tools, |(at, tool)| tool.read(&format!("tools[{at}]"), &tool_version, bounds))
            })?,
            inbound: patch(self.inbound_ports, ports("inboundPorts"))?,
            outbound: patch(self.outbound_ports, ports("outboundPorts"))?,
            capabilities: patch(self.capabilities, capabilities)?,
            owned_by_agent: patch(self.owned_by_agent, text("ownedByAgent", NAME_LEN_MAX))?,
            subscribed_by_agents: patch(self.subscribed_by_agents, |agents| texts("subscribedByAgents", agents))?,
        })
    }
}

impl ToolInput {
    fn read(self, path: &str, node_version: &Version, bounds: &Bounds) -> Result<OfferedTool> {
        let name = ToolName::try_new(&self.name).map_err(|error| invalid(&format!("{path}.name"), error))?;
        let version = match &self.version {
            Some(text) => version(&format!("{path}.version"), text)?,
            None => node_version.clone(),
        };
        let fields = ToolFields {
            key: ToolKey { name, version },
            description: self.description,
            tags: texts(&format!("{path}.tags"), self.tags.unwrap_or_default())?,
            input_schema: self.input_schema,
            output_schema: self.output_schema,
            error_codes: self.error_codes.unwrap_or_default(),
            timeout_ms: match self.timeout_ms.map(u32::try_from) {
                None => None,
                Some(Ok(timeout_ms)) => Some(timeout_ms),
                Some(Err(_)) => return Err(invalid(&format!("{path}.timeoutMs"), "is less than 1")),
            },
            idempotent: self.idempotent.unwrap_or(false),
        };
        let max_in_flight = match self.max_in_flight.map(u32::try_from) {
            None => None,
            Some(Ok(count)) if count > 0 => Some(count),
            Some(_) => return Err(invalid(&format!("{path}.maxInFlight"), "is not 1 or more")),
        };
        if self.endpoint.as_ref().is_some_and(|endpoint| endpoint.len() > TEXT_LEN_MAX) {
            return Err(invalid(&format!("{path}.endpoint"), "is too long"));
        }
        let ttl = self.ttl_seconds.map(|seconds| ttl(&format!("{path}.ttlSeconds"), seconds, bounds)).transpose()?;
        let transport = self.transport.map(Into::into).unwrap_or_default();
        let definition = contracts::define_tool(fields, path, Spelling::Api).map_err(|error| tool_error(&error))?;
        Ok(OfferedTool { definition, transport, endpoint: self.endpoint, ttl, max_in_flight })
    }
}

/// A live node says that it still is.
#[derive(InputObject)]
pub struct HeartbeatInput {
    /// The node. One whose registration lapsed is ONLINE again.
    node_id: Uuid,
    /// Seconds until the registration lapses from now; when absent, as at the registration.
    ttl_seconds: Option<i32>,
    /// True: it finishes its work and wants no new calls; false: it wants them again; when absent, as before.
    draining: Option<bool>,
    /// True: its port leases begin their lifetimes anew, each as long as it was asked for.
    renew_leases: Option<bool>,
    /// The names of the tools whose offers begin their lifetimes anew; all that the node offers when absent.
    tools: Option<Vec<String>>,
    /// How busy the node says it is, from 0 to 1: a call by LEAST_LOADED prefers the less busy. As before when absent;
    /// not kept in the registry's history.
    pub(in crate::graphql) load: Option<f64>,
    /// What the caller calls the whole undertaking; travels with every change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl HeartbeatInput {
    pub(in crate::graphql) fn read(self, bounds: &Bounds) -> Result<Heartbeat> {
        let ttl = self.ttl_seconds.map(|seconds| ttl("ttlSeconds", seconds, bounds)).transpose()?;
        let renew_leases = self.renew_leases.unwrap_or(false);
        let name = |(at, name): (usize, String)| {
            ToolName::try_new(&name).map_err(|error| invalid(&format!("tools[{at}]"), error))
        };
        let tools = self.tools.map(|tools| list("tools", tools, name)).transpose()?;
        Ok(Heartbeat { node: NodeId(self.node_id), ttl, draining: self.draining, renew_leases, tools })
    }
}

/// A node is to be forgotten.
#[derive(InputObject)]
pub struct DeregisterInput {
    /// The node.
    pub(in crate::graphql) node_id: Uuid,
    /// Why, in words: travels with the change. At most 16,384 characters.
    reason: Option<String>,
    /// What the caller calls the whole undertaking; travels with every change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl DeregisterInput {
    pub(in crate::graphql) fn reason(self) -> Result<Option<String>> {
        self.reason.map(text("reason", TEXT_LEN_MAX)).transpose()
    }
}

/// What came of a registration.
pub struct Registration {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) node: Arc<model::Node>,
    pub(in crate::graphql) registered: decide::Registered,
}

/// What came of a registration.
#[Object]
impl Registration {
    /// The node as it now is.
    async fn node(&self) -> Node {
        Node { view: self.view.clone(), node: self.node.clone() }
    }
    /// Whether it was unknown until now.
    async fn created(&self) -> bool {
        self.registered.created
    }
    /// Whether anything is now other than it was, lastSeenAt and expiresAt left aside.
    async fn changed(&self) -> bool {
        self.registered.changed
    }
    /// The contract it keeps; null where it has none.
    async fn contract(&self) -> Option<Contract> {
        Contract::by_hash(&self.view, self.node.declared.contract?)
    }
    /// What the node's contract and tools collide with.
    async fn collisions(&self) -> List<ContractCollision> {
        let contract = self.view.contract_of(&self.node);
        let contract = contract.map(|held| CollisionKey::Contract(held.name.clone(), held.version.clone()));
        let tools = self.node.tools.iter();
        let tools = tools.map(|key| CollisionKey::Tool(key.name.clone(), key.version.clone()));
        let collisions = contract.into_iter().chain(tools).filter_map(|key| {
            let since = *self.view.collisions.get(&key)?;
            Some(ContractCollision { view: self.view.clone(), key, since })
        });
        collisions.collect()
    }
    /// What the caller may want to know, in sentences.
    async fn warnings(&self) -> &[String] {
        &self.registered.warnings
    }
}
