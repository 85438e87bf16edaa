//! The registry in process with its GraphQL door, and random questions to ask there.

use super::registry::Registry;
use fastrand::Rng;
use onex::bus::hub::Hub;
use onex::graphql::{Answer, AtHand, Bounds, Caller, Documents, Given, Limits, Services};
use onex::model::Actor;
use onex::proxy::Proxy;
use onex::registry::engine::Clock;
use onex::telemetry::Metrics;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Door {
    pub registry: Registry,
    pub proxy: Arc<Proxy>,
    pub documents: Documents,
    pub buses: Arc<Hub>,
}

pub fn caller() -> Caller {
    Caller::anybody(Actor::anonymous(None))
}

impl Door {
    /// One through which no bus is created: nothing is written there.
    pub fn new() -> Self {
        Door::with_buses_in(std::env::temp_dir().join("no-bus-of-this-test"))
    }

    /// One that keeps files of buses in a folder.
    pub fn with_buses_in(directory: PathBuf) -> Self {
        let registry = Registry::new();
        let (handle, views) = (registry.engine.handle(), registry.engine.views().clone());
        let calls = onex::config::Calls::default();
        let outbound = onex::proxy::outbound::Outbound::try_new(calls.policy().unwrap()).unwrap();
        let clock: Arc<dyn Clock> = registry.clock.clone();
        let metrics = Metrics::default();
        let told = metrics.calls.clone();
        let proxy = Proxy::start(handle.clone(), views.clone(), clock.clone(), calls.rules(), outbound, told);
        let proxy = Arc::new(proxy);
        let leases = Arc::new(onex::bus::hub::NoLeases);
        let buses = Arc::new(Hub::new(handle.clone(), views.clone(), clock.clone(), leases, directory));
        let services = Services {
            buses: buses.clone(),
            ports: Arc::new(registry.ports(onex::config::Ports::default().rules().unwrap())),
            proxy: proxy.clone(),
            handle,
            views,
            requests: metrics.requests.clone(),
            started_at: clock.now(),
            clock,
            bounds: Bounds { ttl_seconds_max: 86_400, lease_ttl_seconds_max: 86_400, limits: Limits::default() },
        };
        Door { registry, proxy, documents: Documents::new(services), buses }
    }

    /// Answers anew; `None` where the document is refused.
    pub async fn fresh(&self, given: &Given<'_>) -> Option<Answer> {
        let executable = self.documents.prepare(given, &caller()).await.ok()?;
        Some(self.documents.execute(executable, &caller()).await)
    }

    /// The kept answer.
    pub fn kept(&self, given: &Given<'_>) -> Option<Answer> {
        match self.documents.at_hand(given, &caller())? {
            AtHand::Answer(answer) => Some(answer),
            AtHand::Mutation(_) | AtHand::Subscription(_) => None,
        }
    }

    /// Asks, and reads the answer.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let variables = serde_json::value::to_raw_value(&variables).unwrap();
        let given = Given { query, variables: Some(&variables), ..Given::default() };
        let prepared = self.documents.prepare(&given, &caller()).await;
        let executable = prepared.unwrap_or_else(|refused| panic!("{query}: {refused:?}"));
        let answer = self.documents.execute(executable, &caller()).await;
        serde_json::from_slice(&answer.text).unwrap()
    }

    /// Some of everything, for questions to find.
    pub async fn fill(&self) {
        for (name, feeds) in [("alpha", "beta"), ("beta", "gamma"), ("gamma", "alpha")] {
            let contract = json!({
                "name": name, "version": "1.0.0", "node_type": "EFFECT_GENERIC", "description": "Feeds \"others\" \u{e9}",
                "event_bus": {"publish_topics": [format!("t.{feeds}")], "subscribe_topics": [format!("t.{name}")]},
                "inputs": [{"name": "a", "type": "int", "description": "one\nline"}],
                "dependencies": [{"name": feeds, "type": "node"}], "unknown": {"kept": [1.5, null, 1e300]},
            });
            let input = json!({
                "name": name, "ttlSeconds": 3_600, "tags": ["x", "\u{2028}"], "host": "a.example", "namespace": "n",
                "metadata": {"any": [1, {"b": null}]}, "contract": contract.to_string(),
                "ownedByAgent": "agent", "subscribedByAgents": ["other"],
                "capabilities": {"availableModels": ["m"], "versionedTemplates": [{"templateId": "t", "hash": "h"}]},
                "inboundPorts": [{"name": "metrics", "protocol": "HTTP", "port": 80}],
                "tools": [{"name": "lookup", "version": format!("1.0.{}", feeds.len()), "tags": ["x"],
                    "description": "Looks", "inputSchema": {"type": "object"}, "maxInFlight": 3}],
            });
            let register = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
            let answer = self.ask(register, json!({ "input": input })).await;
            let id = &answer["data"]["register"]["node"]["id"];
            assert!(id.is_string(), "{answer}");
            let lease = json!({"requesterId": uuid::Uuid::from_u128(9), "ttlSeconds": 600, "nodeId": id});
            let allocate = "mutation($input: AllocateInput!) { allocate(input: $input) { id } }";
            let answer = self.ask(allocate, json!({ "input": lease })).await;
            assert!(answer["errors"].is_null(), "{answer}");
        }
    }
}

struct Field {
    name: String,
    /// Name and type of each argument; the type ends with ! where it must be given.
    arguments: Vec<(String, String)>,
    /// The type's name, without list and !.
    ty: String,
}

/// Draws documents that read, from the schema as the registry tells it.
pub struct Questions(BTreeMap<String, Vec<Field>>);

/// What must be given, by the field that wants it.
const REQUIRED: [(&str, &str); 6] = [
    ("node", "by: {name: \"alpha\"}"),
    ("tool", "name: \"lookup\""),
    ("port", "leaseId: \"00000000-0000-4000-8000-000000000000\""),
    ("invocation", "id: \"00000000-0000-4000-8000-000000000000\""),
    ("contract", "by: {nameVersion: {name: \"beta\", version: \"1.0.0\"}}"),
    ("at", "sequence: 2"),
];

impl Questions {
    pub async fn new(door: &Door) -> Self {
        let ty = "type { ...T } fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { name } } } }";
        let (ty, fragment) = ty.split_once("} f").map(|(ty, rest)| (format!("{ty}}}"), format!("f{rest}"))).unwrap();
        let query = format!(
            "{{ __schema {{ types {{ kind name fields {{ name {ty} args {{ name {ty} }} }} }} }} }} {fragment}"
        );
        let answer = door.ask(&query, json!({})).await;
        let mut types = BTreeMap::new();
        for ty in answer["data"]["__schema"]["types"].as_array().unwrap_or_else(|| panic!("{answer}")) {
            let name = ty["name"].as_str().unwrap().to_owned();
            if ty["kind"] != "OBJECT" && ty["kind"] != "INTERFACE" || name.starts_with("__") {
                continue;
            }
            let fields = ty["fields"].as_array().unwrap().iter().map(|field| Field {
                name: field["name"].as_str().unwrap().to_owned(),
                arguments: (field["args"].as_array().unwrap().iter())
                    .map(|argument| (argument["name"].as_str().unwrap().to_owned(), text_of(&argument["type"])))
                    .collect(),
                ty: text_of(&field["type"]).trim_matches(['[', ']', '!']).to_owned(),
            });
            types.insert(name, fields.collect());
        }
        Questions(types)
    }

    /// A document with one to three root fields.
    pub fn draw(&self, rng: &mut Rng) -> String {
        let mut roots = Vec::new();
        for at in 0..rng.usize(1..4) {
            let fields = &self.0["Query"];
            let field = &fields[rng.usize(0..fields.len())];
            roots.extend(self.field(rng, field, 4).map(|text| format!("r{at}: {text}")));
        }
        if roots.is_empty() {
            roots.push("registry { sequence }".to_owned());
        }
        format!("{{ {} }}", roots.join(" "))
    }

    fn field(&self, rng: &mut Rng, field: &Field, depth: usize) -> Option<String> {
        let mut arguments = Vec::new();
        if field.arguments.iter().any(|(_, ty)| ty.ends_with('!')) {
            let (_, given) = REQUIRED.iter().find(|(name, _)| *name == field.name)?;
            arguments.push((*given).to_owned());
        } else if field.name == "at" {
            arguments.push("sequence: 2".to_owned());
        }
        for (name, ty) in &field.arguments {
            if rng.u8(0..5) > 0 {
                continue;
            }
            match (name.as_str(), ty.as_str()) {
                ("first" | "depth", "Int" | "Int!") => arguments.push(format!("{name}: {}", rng.u8(0..4))),
                (_, "Boolean" | "Boolean!") => arguments.push(format!("{name}: {}", rng.bool())),
                _ => {}
            }
        }
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let directive = if rng.u8(0..20) == 0 { " @include(if: true)" } else { "" };
        let below = match self.0.get(&field.ty) {
            None => String::new(),
            Some(_) if depth == 0 => return None,
            Some(_) => self.set(rng, &field.ty, depth - 1)?,
        };
        Some(format!("{}{arguments}{directive}{below}", field.name))
    }

    fn set(&self, rng: &mut Rng, ty: &str, depth: usize) -> Option<String> {
        let share = rng.u8(1..10);
        let mut parts: Vec<String> = Vec::new();
        for field in &self.0[ty] {
            if rng.u8(0..10) >= share {
                continue;
            }
            let Some(text) = self.field(rng, field, depth) else { continue };
            let text = if rng.u8(0..8) == 0 { format!("other_{}: {text}", field.name) } else { text };
            parts.push(match rng.u8(0..16) {
                0 => format!("... on {ty} {{ {text} }}"),
                1 => format!("... {{ {text} }}"),
                _ => text,
            });
        }
        if parts.is_empty() || rng.u8(0..6) == 0 {
            parts.push("__typename".to_owned());
        }
        Some(format!(" {{ {} }}", parts.join(" ")))
    }
}

/// A type as the schema writes it.
fn text_of(ty: &Value) -> String {
    match (ty["kind"].as_str(), ty["name"].as_str()) {
        (Some("NON_NULL"), _) => format!("{}!", text_of(&ty["ofType"])),
        (Some("LIST"), _) => format!("[{}]", text_of(&ty["ofType"])),
        (_, name) => name.unwrap_or_default().to_owned(),
    }
}
