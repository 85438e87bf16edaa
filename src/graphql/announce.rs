//! Nodes that say on a bus that they are there: an event NODE_ANNOUNCE registers one, as `register` does, with the same
//! checks. Nobody knows who published an event: where access is configured, only nodes that the registry knows with a
//! key are registered so, by what they have signed.

use super::Services;
use super::types::register::RegisterInput;
use super::types::signature;
use crate::bus::hub::{Announced, LASTS_SECONDS};
use crate::bus::kind::Service;
use crate::bus::{Arrived, Event};
use crate::model::{Actor, BusId, BusName, NodeId};
use crate::registry::command::{Command, Heartbeat, Register, Request};
use crate::registry::decide::Answer;
use async_graphql::{InputType, Value as Input};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Registers those who announce themselves.
pub struct Announcer {
    services: Services,
    /// Whether everybody may register nodes.
    is_open: bool,
}

impl Announcer {
    /// `is_open`: whether everybody may do everything here.
    pub fn new(services: Services, is_open: bool) -> Self {
        Announcer { services, is_open }
    }

    async fn register(&self, bus: &BusName, event: &Event) -> Result<NodeId, String> {
        let register = self.read(bus, input(event)?)?;
        let view = self.services.views.current();
        let known_key = view.node(event.node).and_then(|node| node.declared.public_key);
        if !self.is_open && !known_key.is_some_and(|key| register.signed_by.contains(&key)) {
            return Err("access is configured: a node registers on a bus only by a signature of the key that the \
                        registry knows of it; the first time it registers with a token"
                .to_owned());
        }
        self.submit(bus, register, event.correlation_id.clone()).await
    }

    /// What found programs are, was said by who made the bus: whoever may, and has it import them.
    async fn take_in(&self, name: &BusName, bus: BusId, service: &Service) -> Result<NodeId, String> {
        let register = self.read(name, service_input(name, bus, service))?;
        self.submit(name, register, None).await
    }

    fn read(&self, bus: &BusName, input: Value) -> Result<Register, String> {
        let given = Input::from_json(input).map_err(|error| error.to_string())?;
        let input =
            RegisterInput::parse(Some(given)).map_err(|error| error.into_server_error(Default::default()).message)?;
        let view = self.services.views.current();
        #[expect(clippy::disallowed_methods, reason = "node ids are drawn at the doors, of which a bus is one")]
        let id = Uuid::new_v4();
        input.read(id, &actor(bus).principal, &self.services.bounds, &view).map_err(|error| error.message)
    }

    async fn submit(
        &self,
        bus: &BusName,
        register: Register,
        correlation_id: Option<String>,
    ) -> Result<NodeId, String> {
        let command = Command::Register(Box::new(register));
        let request = Request { command, actor: actor(bus), correlation_id };
        let outcome = self.services.handle.submit(request).await.map_err(|error| error.to_string())?;
        match outcome.answer {
            Answer::Registered(registered) => Ok(registered.node),
            _ => Err("the registry answered something else".to_owned()),
        }
    }
}

impl Announced for Announcer {
    fn announced<'a>(&'a self, bus: &'a BusName, arrived: &'a Arrived) -> BoxFuture<'a, Result<NodeId, String>> {
        Box::pin(self.register(bus, &arrived.event))
    }

    fn found<'a>(
        &'a self,
        name: &'a BusName,
        bus: BusId,
        service: &'a Service,
    ) -> BoxFuture<'a, Result<NodeId, String>> {
        Box::pin(self.take_in(name, bus, service))
    }

    fn seen<'a>(&'a self, bus: &'a BusName, node: NodeId) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let heartbeat = Heartbeat { node, ttl: None, draining: None, renew_leases: false, tools: None };
            let request = Request { command: Command::Heartbeat(heartbeat), actor: actor(bus), correlation_id: None };
            self.services.handle.submit(request).await.is_ok()
        })
    }

    fn speaker(&self) -> NodeId {
        NodeId(self.services.views.registry_id().0)
    }
}

/// Who registers what comes over a bus.
fn actor(bus: &BusName) -> Actor {
    Actor { principal: format!("bus:{bus}"), address: None }
}

/// What a program that was found says of itself, as `register` takes it: a node of its own for each instance, and a
/// tool for each endpoint.
fn service_input(name: &BusName, bus: BusId, service: &Service) -> Value {
    // The same one each time, and nobody else's.
    let id = Uuid::new_v5(&bus.0, service.instance.as_bytes());
    let tools = service.endpoints.iter().map(|endpoint| {
        let said = |key: &str| endpoint.metadata.get(key);
        // What is no JSON is no schema: the tool is called unchecked.
        let schema = |key: &str| serde_json::from_str::<Value>(said(key)?).ok().filter(Value::is_object);
        json!({
            "name": format!("{}.{}", service.name, endpoint.name),
            "version": service.version,
            "description": said("description"),
            "inputSchema": schema("input_schema"),
            "outputSchema": schema("output_schema"),
            "idempotent": said("idempotent").is_some_and(|said| said == "true"),
            "transport": "BUS",
            "endpoint": format!("bus://{name}/{}", endpoint.address),
        })
    });
    json!({
        "id": id.to_string(),
        "name": format!("{}.{}", service.name, service.instance),
        "kind": "TOOL",
        "version": service.version,
        "description": Some(&service.description).filter(|said| !said.is_empty()),
        "ttlSeconds": LASTS_SECONDS,
        "metadata": { "bus": name.as_str(), "service": service.name, "instance": service.instance,
            "said": service.metadata },
        "tools": tools.collect::<Vec<_>>(),
    })
}

/// What an event says of a node, as `register` takes it.
fn input(event: &Event) -> Result<Value, String> {
    let said = &event.metadata;
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    if text("node_id").is_some_and(|id| id.parse::<Uuid>() != Ok(event.node.0)) {
        return Err("metadata.node_id is another node's than the event's node_id".to_owned());
    }
    let mut input = Map::new();
    let mut put = |name: &str, value: Value| _ = input.insert(name.to_owned(), value);
    put("id", event.node.to_string().into());
    match said.get("metadata_block") {
        Some(Value::String(document)) => put("contract", document.clone().into()),
        Some(document @ Value::Object(_)) => put("contract", document.to_string().into()),
        Some(_) => return Err("metadata.metadata_block is no contract: an object, or its text".to_owned()),
        None => match text("name") {
            Some(name) => put("name", name.into()),
            None => return Err("metadata has neither a metadata_block nor a name: nobody knows what it is".to_owned()),
        },
    }
    if let Some(ttl) = said.get("ttl").filter(|ttl| !ttl.is_null()) {
        put("ttlSeconds", ttl.clone());
    }
    if let Some(mode) = text("execution_mode") {
        put("executionMode", mode.to_ascii_uppercase().into());
    }
    if let Some(version) = text("node_version") {
        put("version", version.into());
    }
    if text("status").is_some_and(|status| status.eq_ignore_ascii_case("declared")) {
        put("declareOnly", true.into());
    }
    let block = said.get("signature_block");
    let signature = block.and_then(|block| block.as_str().or_else(|| block.get("signature")?.as_str()));
    let key = block.and_then(|block| block.get("public_key")?.as_str());
    signature.into_iter().for_each(|signature| put("signature", signature.into()));
    key.into_iter().for_each(|key| put("publicKey", key.into()));
    if signature.is_none() && signature::claims_trust(&Value::Object(said.clone())) {
        return Err("metadata.trust_state is claimed without a signature_block".to_owned());
    }
    // What the registry has no field for stays with the node.
    let kept = ["inputs", "outputs", "graph_binding", "schema_version"];
    let kept = kept.iter().filter_map(|name| Some(((*name).to_owned(), said.get(*name)?.clone())));
    let kept: Map<String, Value> = kept.collect();
    if !kept.is_empty() {
        put("metadata", Value::Object(kept));
    }
    Ok(Value::Object(input))
}
