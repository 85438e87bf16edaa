//! A tool: something callable by name and version, offered by one node or several.

use super::{DefinitionHash, NodeId, Time, ToolId, ToolName, Ttl, Version};
use serde_json::Value;
use std::sync::Arc;

/// A tool's identity: ordered by name, then from the lowest version to the highest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolKey {
    /// The name.
    pub name: ToolName,
    /// The version.
    pub version: Version,
}

impl ToolKey {
    /// The key as one id.
    pub fn id(&self) -> ToolId {
        ToolId::of(self.name.as_str(), self.version.as_str())
    }
}

/// How a call reaches a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ToolTransport {
    /// Over this registry's own websocket.
    #[default]
    GraphQl,
    /// Over an event bus.
    Bus,
    /// By an HTTP request to the provider's endpoint.
    Http,
    /// By the Model Context Protocol.
    Mcp,
}

/// What a tool promises its callers.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// Name and version.
    pub key: ToolKey,
    /// What it does, for people and agents.
    pub description: Option<String>,
    /// In the order given, each once.
    pub tags: Vec<String>,
    /// JSON Schema (2020-12) of the arguments.
    pub input_schema: Option<Value>,
    /// JSON Schema (2020-12) of the result.
    pub output_schema: Option<Value>,
    /// The error codes a call may fail with.
    pub error_codes: Vec<String>,
    /// How long a call may take, in milliseconds, where its caller does not say; `None`: the registry's default.
    pub timeout_ms: Option<u32>,
    /// Whether a call may be made again when nobody knows what came of it.
    pub idempotent: bool,
    /// Why no call can be checked against it, in words; such an offer is kept and shown, and takes no calls.
    pub defect: Option<String>,
    /// SHA-256 of all of the above in canonical JSON, the defect left aside.
    pub hash: DefinitionHash,
}

/// Where a node's offer of a tool was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfferSource {
    /// In the list of tools beside the registration.
    Fields,
    /// In the node's contract.
    Contract,
}

/// One node's offer of one tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Who offers it.
    pub node: NodeId,
    /// What is promised.
    pub definition: Arc<ToolDefinition>,
    /// Where the offer was written.
    pub source: OfferSource,
    /// How calls reach the provider.
    pub transport: ToolTransport,
    /// The provider's address for this tool, where the transport has one.
    pub endpoint: Option<String>,
    /// How long the offer lasts without a heartbeat of its node; `None`: as long as the node.
    pub ttl: Option<Ttl>,
    /// When the offer lapses unless renewed; `None`: with the node.
    pub expires_at: Option<Time>,
    /// How many calls the provider takes at once; `None`: the registry's default.
    pub max_in_flight: Option<u32>,
    /// When this offer was first made.
    pub registered_at: Time,
}

/// A tool with everyone who offers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Name and version.
    pub key: ToolKey,
    /// The offers in the order they were first made; never empty.
    pub offers: Vec<Offer>,
}

impl Tool {
    /// The definition that a call is checked against: the earliest offer's that has no defect.
    ///
    /// Where providers disagree, the others are kept and shown as a collision; a node that wants its own
    /// to count registers it under a version of its own.
    pub fn definition(&self) -> &Arc<ToolDefinition> {
        let sound = self.offers.iter().find(|offer| offer.definition.defect.is_none());
        &sound.unwrap_or(&self.offers[0]).definition
    }

    /// Whether some offer's definition has no defect.
    pub fn is_sound(&self) -> bool {
        self.definition().defect.is_none()
    }
}
