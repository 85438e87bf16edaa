//! Contracts: the object, which contracts a list has, and collisions.

use super::super::View;
use super::super::error::invalid;
use super::super::limits::budget::List;
use super::super::paging::{Connection, Page, PageArgs, total};
use super::super::render::{rendered, rendered_enums};
use super::super::scalars::DateTime;
use super::node::{Node, NodeKind};
use super::tool::Tool;
use crate::model::{self, CollisionKey, ContentHash, ContractHash, ContractName, Time, ToolKey, TopicName, Version};
use crate::registry::state::HeldContract;
use crate::registry::words::{QUERY_WORDS_MAX, split};
use async_graphql::{Enum, InputObject, Object, OneofObject, Result, SimpleObject};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// What a node or tool promises.
#[derive(Clone)]
pub struct Contract {
    view: View,
    held: Arc<HeldContract>,
}

impl Contract {
    pub(in crate::graphql) fn by_hash(view: &View, hash: ContractHash) -> Option<Contract> {
        view.contracts.get(&hash).map(|held| Contract { view: view.clone(), held: held.clone() })
    }

    fn contract(&self) -> &model::Contract {
        &self.held.contract
    }
}

fn names(topics: &[TopicName]) -> Vec<&str> {
    topics.iter().map(TopicName::as_str).collect()
}

/// What a node or tool promises: fields in and out, events, side effects.
#[Object]
impl Contract {
    /// SHA-256 of the canonical form (RFC 8785), 64 hexadecimal digits: the same content always has the same hash.
    async fn hash(&self) -> String {
        self.contract().hash.to_string()
    }
    /// The name the document gives itself.
    async fn name(&self) -> &str {
        self.contract().name.as_str()
    }
    /// The contract's own version; 0.0.0 where the document has none.
    async fn version(&self) -> &str {
        self.contract().version.as_str()
    }
    /// The kind of node it describes; null where the document does not say.
    async fn kind(&self) -> Option<NodeKind> {
        self.contract().kind.map(Into::into)
    }
    /// One or a few sentences; null where there are none.
    async fn description(&self) -> Option<&str> {
        self.contract().description.as_deref()
    }
    /// When this content was first registered.
    async fn registered_at(&self) -> DateTime {
        DateTime(self.held.registered_at)
    }
    /// What goes in.
    async fn inputs(&self) -> List<ContractField> {
        self.contract().inputs.iter().map(ContractField::of).collect()
    }
    /// What comes out.
    async fn outputs(&self) -> List<ContractField> {
        self.contract().outputs.iter().map(ContractField::of).collect()
    }
    /// Topics it publishes on, in the order of the document.
    async fn publishes(&self) -> Vec<&str> {
        names(&self.contract().publishes)
    }
    /// Topics it reads, in the order of the document.
    async fn subscribes(&self) -> Vec<&str> {
        names(&self.contract().subscribes)
    }
    /// Topics that take what could not be handled, in the order of the document.
    async fn dead_letters(&self) -> Vec<&str> {
        names(&self.contract().dead_letters)
    }
    /// What it depends on.
    async fn dependencies(&self) -> List<ContractDependency> {
        let dependencies = self.contract().dependencies.iter();
        dependencies
            .map(|dependency| ContractDependency {
                name: dependency.name.clone(),
                kind: dependency.kind.as_str().to_owned(),
                target: dependency.target.clone(),
                description: dependency.description.clone(),
                required: dependency.required,
            })
            .collect()
    }
    /// The error codes it may fail with.
    async fn error_codes(&self) -> &[String] {
        &self.contract().error_codes
    }
    /// Whether it takes a context along with its input.
    async fn accepts_context(&self) -> bool {
        self.contract().accepts_context
    }
    /// Whether it says that it changes state.
    async fn modifies_state(&self) -> bool {
        self.contract().modifies_state
    }
    /// What else it does, in words.
    async fn side_effects(&self) -> &[String] {
        &self.contract().side_effects
    }
    /// The document as it was registered, parsed: with every section, known to the registry or not.
    async fn document(&self) -> &serde_json::Value {
        &self.contract().document
    }
    /// The nodes that keep it, by name.
    async fn nodes(&self) -> List<Node> {
        Node::all_by_name(&self.view, self.held.holders.iter().copied()).into()
    }
    /// The tools that it declares, by name and version.
    async fn tools(&self) -> List<Tool> {
        let holders = self.held.holders.iter().filter_map(|id| self.view.node(*id));
        let mut keys: Vec<&ToolKey> = holders.flat_map(|node| &node.tools).collect();
        keys.sort();
        keys.dedup();
        let declared = |tool: &Tool| {
            let mut offers = tool.tool.offers.iter();
            offers.any(|offer| offer.source == model::OfferSource::Contract && self.held.holders.contains(&offer.node))
        };
        keys.into_iter().filter_map(|key| Tool::by_key(&self.view, key)).filter(declared).collect()
    }
}

rendered!(Contract {
    hash,
    name,
    version,
    kind,
    description,
    registered_at,
    inputs,
    outputs,
    publishes,
    subscribes,
    dead_letters,
    dependencies,
    error_codes,
    accepts_context,
    modifies_state,
    side_effects,
    document,
    nodes,
    tools,
});

/// One field of what goes in or comes out.
#[derive(SimpleObject)]
pub struct ContractField {
    /// Its name.
    name: String,
    /// Its type, as the document names it; any where it does not.
    #[graphql(name = "type")]
    type_name: String,
    /// Whether it must be there.
    required: bool,
    /// What it means; null where the document does not say.
    description: Option<String>,
    /// Its JSON Schema; null where the document gives none.
    schema: Option<serde_json::Value>,
    /// The fields within it.
    fields: Vec<ContractField>,
}

rendered!(struct ContractField { name, type_name as "type", required, description, schema, fields });

impl ContractField {
    fn of(field: &model::ContractField) -> Self {
        ContractField {
            name: field.name.clone(),
            type_name: field.type_name.clone(),
            required: field.required,
            description: field.description.clone(),
            schema: field.schema.clone(),
            fields: field.fields.iter().map(ContractField::of).collect(),
        }
    }
}

/// One thing a contract depends on.
#[derive(SimpleObject)]
pub struct ContractDependency {
    /// Its name within the contract.
    name: String,
    /// What it is, as the document says: node, tool, protocol, service, environment, library, handler…
    kind: String,
    /// For nodes and tools, the name it is registered under; else the same as name.
    target: String,
    /// What it is needed for; null where the document does not say.
    description: Option<String>,
    /// Whether the node cannot work without it.
    required: bool,
}

rendered!(struct ContractDependency { name, kind, target, description, required });

/// A name and a version.
#[derive(InputObject)]
pub struct NameVersion {
    /// The name.
    name: String,
    /// The version, as it was written.
    version: String,
}

/// Which contract: exactly one field is given.
#[derive(OneofObject)]
pub enum ContractBy {
    /// By its content: 64 hexadecimal digits.
    Hash(String),
    /// By name and version: where several share them, the one that was registered first.
    NameVersion(NameVersion),
}

impl ContractBy {
    pub(in crate::graphql) fn find(&self, view: &View) -> Result<Option<Contract>> {
        match self {
            ContractBy::Hash(hash) => {
                let hash = hash.parse().map_err(|error| invalid("by.hash", error))?;
                Ok(Contract::by_hash(view, hash))
            }
            ContractBy::NameVersion(NameVersion { name, version }) => {
                let name = ContractName::try_new(name).map_err(|error| invalid("by.nameVersion.name", error))?;
                let version = Version::try_new(version).map_err(|error| invalid("by.nameVersion.version", error))?;
                let held = view.contract_named(&name, &version);
                Ok(held.map(|held| Contract { view: view.clone(), held: held.clone() }))
            }
        }
    }
}

/// Which contracts. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct ContractFilter {
    /// With all of these words in name or description, or words that begin so.
    search: Option<String>,
    /// That describe a node of this kind.
    kind: Option<NodeKind>,
    /// That publish on or read this topic, or send there what they could not handle.
    topic: Option<String>,
}

impl ContractFilter {
    fn matcher(&self) -> impl Fn(&model::Contract) -> bool + Send + Sync + 'static {
        let words: Vec<String> = split(self.search.as_deref().unwrap_or_default()).take(QUERY_WORDS_MAX).collect();
        let (kind, topic) = (self.kind.map(model::NodeKind::from), self.topic.clone());
        move |contract| {
            let names = |topics: &[TopicName]| topics.iter().any(|name| Some(name.as_str()) == topic.as_deref());
            let text = format!("{} {}", contract.name, contract.description.as_deref().unwrap_or_default());
            let found: Vec<String> = if words.is_empty() { Vec::new() } else { split(&text).collect() };
            let has = |word: &String| found.iter().any(|found| found.starts_with(word.as_str()));
            kind.is_none_or(|kind| contract.kind == Some(kind))
                && (topic.is_none()
                    || names(&contract.publishes)
                    || names(&contract.subscribes)
                    || names(&contract.dead_letters))
                && words.iter().all(has)
        }
    }

    fn is_everything(&self) -> bool {
        self.search.is_none() && self.kind.is_none() && self.topic.is_none()
    }
}

/// A page of the contracts that match, by name, version and content.
pub(in crate::graphql) fn list(view: &View, filter: ContractFilter, args: &PageArgs) -> Result<Connection<Contract>> {
    let page: Page<(ContractName, Version, ContractHash)> = args.page()?;
    let matches = filter.matcher();
    let of_count = view.clone();
    let total = total(move || {
        let contracts = &of_count.contracts;
        if filter.is_everything() {
            return contracts.len();
        }
        let matches = filter.matcher();
        contracts.values().filter(|held| matches(&held.contract)).count()
    });
    let Some((after, before)) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    // The index has the contracts of one name and version together; within these, bounds are by content.
    let outer = |bound: &Bound<(ContractName, Version, ContractHash)>| match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included((name, version, _)) | Bound::Excluded((name, version, _)) => {
            Bound::Included((name.clone(), version.clone()))
        }
    };
    let groups = view.contract_names.range((outer(&after), outer(&before)));
    let within = groups
        .flat_map(|((name, version), hashes)| {
            let mut hashes: Vec<ContractHash> = hashes.iter().map(|(_, hash)| *hash).collect();
            hashes.sort();
            hashes.into_iter().map(|hash| (name.clone(), version.clone(), hash))
        })
        .filter(|key| RangeBounds::contains(&(after.clone(), before.clone()), key))
        .filter_map(|key| {
            let contract = Contract::by_hash(view, key.2)?;
            Some((key, contract))
        })
        .filter(|(_, contract)| matches(contract.contract()));
    Ok(page.take(within, total))
}

/// What two nodes say differently.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum CollisionSubject {
    /// Contracts.
    Contract,
    /// Definitions of a tool.
    Tool,
}

rendered_enums!(CollisionSubject);

/// One name and version under which nodes say different things.
pub struct ContractCollision {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) key: CollisionKey,
    pub(in crate::graphql) since: Time,
}

impl ContractCollision {
    pub(in crate::graphql) fn all(view: &View) -> Vec<ContractCollision> {
        let collisions = view.collisions.iter();
        collisions
            .map(|(key, since)| ContractCollision { view: view.clone(), key: key.clone(), since: *since })
            .collect()
    }
}

/// One name and version under which nodes say different things. All are kept; what was said first counts.
#[Object]
impl ContractCollision {
    /// Whether contracts or tools collide.
    async fn subject(&self) -> CollisionSubject {
        match self.key {
            CollisionKey::Contract(..) => CollisionSubject::Contract,
            CollisionKey::Tool(..) => CollisionSubject::Tool,
        }
    }
    /// The name they share.
    async fn name(&self) -> &str {
        match &self.key {
            CollisionKey::Contract(name, _) => name.as_str(),
            CollisionKey::Tool(name, _) => name.as_str(),
        }
    }
    /// The version they share.
    async fn version(&self) -> &str {
        match &self.key {
            CollisionKey::Contract(_, version) | CollisionKey::Tool(_, version) => version.as_str(),
        }
    }
    /// The contents, the one that counts first.
    async fn sides(&self) -> List<CollisionSide> {
        let sides = self.view.sides(&self.key).into_iter();
        sides
            .map(|(hash, nodes)| CollisionSide {
                hash: match hash {
                    ContentHash::Contract(hash) => hash.to_string(),
                    ContentHash::Definition(hash) => hash.to_string(),
                },
                nodes: Node::all_by_name(&self.view, nodes.into_iter()).into(),
            })
            .collect()
    }
    /// The contracts that collide, the one that counts first; for a tool, the contracts that declare it.
    async fn contracts(&self) -> List<Contract> {
        let mut contracts: Vec<Contract> = Vec::new();
        for (hash, nodes) in self.view.sides(&self.key) {
            let hashes: Vec<ContractHash> = match hash {
                ContentHash::Contract(hash) => vec![hash],
                ContentHash::Definition(_) => {
                    nodes.iter().filter_map(|id| self.view.node(*id)?.declared.contract).collect()
                }
            };
            contracts.extend(hashes.into_iter().filter_map(|hash| Contract::by_hash(&self.view, hash)));
        }
        contracts.into()
    }
    /// The nodes that say them, by name.
    async fn nodes(&self) -> List<Node> {
        Node::all_by_name(&self.view, self.view.sides(&self.key).into_iter().flat_map(|(_, nodes)| nodes)).into()
    }
    /// When the collision was first noticed.
    async fn first_seen_at(&self) -> DateTime {
        DateTime(self.since)
    }
}

rendered!(ContractCollision { subject, name, version, sides, contracts, nodes, first_seen_at });

/// One content of a collision, and who says it.
#[derive(SimpleObject)]
pub struct CollisionSide {
    /// SHA-256 of the contract or tool definition, 64 hexadecimal digits.
    hash: String,
    /// Who says it, by name.
    nodes: List<Node>,
}

rendered!(struct CollisionSide { hash, nodes });
