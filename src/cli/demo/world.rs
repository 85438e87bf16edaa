//! What all parts of the demo share: the registry as a client meets it.

use crate::client::node::Running;
use crate::client::{Client, Error};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// The bus of what happens in the shop.
pub(super) const SHOP: &str = "shop";
/// The bus of what machines say of themselves.
pub(super) const TELEMETRY: &str = "telemetry";

const INVOKE: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { result } }";
const PUBLISH: &str = "mutation($input: PublishInput!) { publish(input: $input) { sequence } }";

/// The registry, and who is who in it.
pub(super) struct World {
    pub(super) client: Client,
    nodes: HashMap<String, Uuid>,
}

/// One event, before it is published.
pub(super) struct Event<'a> {
    pub(super) bus: &'a str,
    pub(super) topic: &'a str,
    pub(super) kind: &'a str,
    /// Whose it is, by name.
    pub(super) node: &'a str,
    /// The undertaking that it is part of.
    pub(super) undertaking: Option<&'a str>,
    pub(super) tags: &'a [&'a str],
    pub(super) metadata: Value,
}

impl World {
    pub(super) fn new(client: Client, nodes: &[Running]) -> Self {
        let nodes = nodes.iter().map(|node| (node.name().to_owned(), node.id())).collect();
        World { client, nodes }
    }

    /// The id of a node that runs, by its name.
    pub(super) fn id_of(&self, node: &str) -> Option<Uuid> {
        self.nodes.get(node).copied()
    }

    /// The names of all nodes that run, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Asks the registry for a change. What it refuses is part of the story, and is shown where it is recorded.
    pub(super) async fn ask(&self, document: &str, input: Value) -> Option<Value> {
        match self.client.query::<Value>(document, json!({ "input": input })).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(%error, "the demo was refused");
                None
            }
        }
    }

    /// Calls a tool, and waits for its result; none where it failed.
    pub(super) async fn call(
        &self,
        tool: &str,
        version: Option<&str>,
        arguments: Value,
        undertaking: &str,
    ) -> Option<Value> {
        let input = json!({"tool": tool, "version": version, "arguments": arguments, "correlationId": undertaking});
        let mut answer = self.ask(INVOKE, input).await?;
        Some(answer["proxyInvoke"]["result"].take()).filter(|result| !result.is_null())
    }

    /// Publishes an event of a node that runs.
    pub(super) async fn publish(&self, event: Event<'_>) {
        let Some(node) = self.id_of(event.node) else { return };
        self.publish_as(node, event).await;
    }

    /// Publishes an event of any node.
    pub(super) async fn publish_as(&self, node: Uuid, event: Event<'_>) {
        let written = json!({
            "nodeId": node, "eventType": event.kind, "tags": event.tags, "metadata": event.metadata,
            "correlationId": event.undertaking,
        });
        self.ask(PUBLISH, json!({"bus": event.bus, "topic": event.topic, "event": written})).await;
    }
}

/// Asks, where a refusal means that there can be no demo.
pub(super) async fn insist(client: &Client, document: &str, input: Value) -> Result<Value, Error> {
    client.query(document, json!({ "input": input })).await
}
