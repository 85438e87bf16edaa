//! A provider of tools whose every frame the test decides.

use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::task::JoinHandle;

const CALLS: &str = "subscription($node: UUID!, $max: Int) { toolCalls(nodeId: $node, maxInFlight: $max)
    { invocationId tool version arguments caller correlationId deadline attempt traceparent } }";
const COMPLETE: &str = "mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { status } }";
const CANCELLATIONS: &str = "subscription($node: UUID!) { toolCancellations(nodeId: $node) { invocationId reason } }";

pub struct Provider {
    pub node: String,
    socket: Socket,
    /// What came while something else was waited for.
    unheard: VecDeque<Value>,
    said: u32,
}

impl Provider {
    /// A node with these tools that listens.
    pub async fn start(server: &Server, name: &str, tools: Value) -> Self {
        let registered = server
            .query(
                "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }",
                json!({"input": {"name": name, "tools": tools}}),
            )
            .await;
        let node = registered["register"]["node"]["id"].as_str().unwrap().to_owned();
        Provider::listen(server, node, Value::Null).await
    }

    /// Listens for a registered node's calls.
    pub async fn listen(server: &Server, node: String, max_in_flight: Value) -> Self {
        let mut socket = Socket::ready(server).await;
        socket.operate("stops", CANCELLATIONS, json!({"node": node})).await;
        socket.operate("calls", CALLS, json!({"node": node, "max": max_in_flight})).await;
        let mut provider = Provider { node, socket, unheard: VecDeque::new(), said: 0 };
        // The subscriptions are there once something asked behind them is answered.
        provider.ask("{ registry { sequence } }", Value::Null).await;
        let (name, node) = ("connected", provider.node.clone());
        crate::support::eventually(name, async || {
            let asked = server.query(
                "query($id: UUID!) { node(by: {id: $id}) { tools { nodes { providers { node { id } connected } } } } }",
                json!({"id": node}),
            );
            let tools = asked.await;
            let tools = tools["node"]["tools"]["nodes"].as_array().unwrap().clone();
            let mut providers = tools.iter().flat_map(|tool| tool["providers"].as_array().unwrap());
            let connected = |provider: &Value| provider["connected"] == true || provider["node"]["id"] != *node;
            providers.all(connected).then_some(())
        })
        .await;
        provider
    }

    async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unheard.iter().position(&wanted) {
            return self.unheard.remove(at).unwrap();
        }
        loop {
            let message = self.socket.hear().await;
            if wanted(&message) {
                return message;
            }
            self.unheard.push_back(message);
        }
    }

    /// Asks something on the provider's own socket; answers the whole payload.
    pub async fn ask(&mut self, query: &str, variables: Value) -> Value {
        self.said += 1;
        let id = format!("ask-{}", self.said);
        self.socket.operate(&id, query, variables).await;
        self.hear(|message| message["id"] == *id && message["type"] != "complete").await["payload"].take()
    }

    /// Says something and waits for no answer; the registry may hang up on it.
    pub async fn shout(&mut self, query: &str, variables: Value) {
        self.socket.try_operate("shout", query, variables).await;
    }

    /// The next call.
    pub async fn call(&mut self) -> Value {
        self.hear(|message| message["id"] == "calls").await["payload"]["data"]["toolCalls"].take()
    }

    /// The next call that nobody waits for any more.
    pub async fn stopped(&mut self) -> Value {
        self.hear(|message| message["id"] == "stops").await["payload"]["data"]["toolCancellations"].take()
    }

    /// Answers a call with whatever the input says beside the id.
    pub async fn complete(&mut self, call: &Value, mut answer: Value) -> Value {
        answer["invocationId"] = call["invocationId"].clone();
        self.ask(COMPLETE, json!({"input": answer})).await
    }

    /// Answers every call with what `answer` says beside the id, until the task is aborted.
    pub fn answer_all(mut self, answer: impl Fn(&Value) -> Value + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                let call = self.call().await;
                let answered = self.complete(&call, answer(&call)).await;
                assert!(answered.get("errors").is_none(), "{answered}");
            }
        })
    }

    pub async fn answer(&mut self, call: &Value, result: Value) {
        let answered = self.complete(call, json!({"result": result})).await;
        assert!(answered.get("errors").is_none(), "{answered}");
    }
}
