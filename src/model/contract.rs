//! A contract: the document in which a node or tool says what it promises.

use super::{ContractHash, ContractName, NodeKind, TopicName, Version};
use serde_json::Value;
use std::sync::Arc;

/// The most characters of a description, purpose or other free text.
pub const TEXT_LEN_MAX: usize = 16 * 1024;
/// The most entries of a list such as tags, topics, tools or ports.
pub const LIST_LEN_MAX: usize = 1_000;
/// How many levels deep JSON from outside may nest. What is stored adds some, and the reader of the log stops at 127.
pub const JSON_DEPTH_MAX: usize = 64;
/// How deep fields of a contract are read; what lies deeper stays in the document.
pub const FIELD_DEPTH_MAX: usize = 8;

/// What a contract depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DependencyKind {
    /// Another node: an edge of the dependency graph.
    Node,
    /// A tool: an edge to whoever offers it.
    Tool,
    /// Anything else, named as the document names it, e.g. `protocol`, `environment`.
    Other(String),
}

impl DependencyKind {
    /// The kind as documents name it.
    pub fn as_str(&self) -> &str {
        match self {
            DependencyKind::Node => "node",
            DependencyKind::Tool => "tool",
            DependencyKind::Other(name) => name,
        }
    }
}

/// One thing a contract depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name within the contract.
    pub name: String,
    /// What it is.
    pub kind: DependencyKind,
    /// The name it is registered under, for nodes and tools: the last part of the module that the document
    /// names, else `name`.
    pub target: String,
    /// What it is needed for.
    pub description: Option<String>,
    /// Whether the node cannot work without it.
    pub required: bool,
}

/// One field of what goes in or comes out.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractField {
    /// Its name.
    pub name: String,
    /// Its type, as the document names it.
    pub type_name: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub description: Option<String>,
    /// Its JSON Schema, where the document gives one.
    pub schema: Option<Value>,
    /// The fields within it.
    pub fields: Vec<ContractField>,
}

/// What a node or tool promises, read from its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// SHA-256 of the document in canonical JSON.
    pub hash: ContractHash,
    /// The name the document gives itself.
    pub name: ContractName,
    /// The contract's own version.
    pub version: Version,
    /// The kind of node it describes; `None` where the document does not say.
    pub kind: Option<NodeKind>,
    /// One or a few sentences.
    pub description: Option<String>,
    /// What goes in.
    pub inputs: Vec<ContractField>,
    /// What comes out.
    pub outputs: Vec<ContractField>,
    /// Topics it publishes on, each once, in the order of the document.
    pub publishes: Vec<TopicName>,
    /// Topics it reads, each once, in the order of the document.
    pub subscribes: Vec<TopicName>,
    /// Topics that take what could not be handled, each once, in the order of the document.
    pub dead_letters: Vec<TopicName>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// The error codes it may fail with.
    pub error_codes: Vec<String>,
    /// Whether it takes a context along with its input.
    pub accepts_context: bool,
    /// Whether it changes state.
    pub modifies_state: bool,
    /// What else it does, in words.
    pub side_effects: Vec<String>,
    /// The whole document, parsed: nothing of it is lost, known to the registry or not.
    pub document: Arc<Value>,
}

impl Contract {
    /// The JSON Schema that it gives for the events on a topic that it publishes on; `None` where it gives none. Documents
    /// also have the name of a class there, which says nothing to the registry.
    pub fn topic_schema(&self, topic: &TopicName) -> Option<&Value> {
        let schema = self.document.get("event_bus")?.get("topic_schemas")?.get(topic.as_str())?;
        (schema.is_object() && self.publishes.contains(topic)).then_some(schema)
    }
}

/// Whether a value nests deeper than what is stored may. Recursion ends where the answer is known.
pub fn nests_too_deep(value: &Value) -> bool {
    fn deeper_than(value: &Value, levels: usize) -> bool {
        match value {
            Value::Array(items) => levels == 0 || items.iter().any(|item| deeper_than(item, levels - 1)),
            Value::Object(items) => levels == 0 || items.values().any(|item| deeper_than(item, levels - 1)),
            _ => false,
        }
    }
    deeper_than(value, JSON_DEPTH_MAX)
}
