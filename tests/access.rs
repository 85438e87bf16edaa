//! Who may do what, from each role's side, against the real program.

use crate::support::eventually;
use crate::support::guarded::{
    CONTRACT, DENIED, Guarded, NOT_FOUND, OK, UNKNOWN, ask, code, guarded, guarded_by, public, signature,
};
use crate::support::server::{Server, onex};
use crate::support::socket::Socket;
use crate::support::testing::free_port;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use futures_util::{FutureExt, StreamExt};
use onex::client::{Client, Error};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use uuid::Uuid;

const ROLES: [&str; 5] = ["admin", "node", "agent", "viewer", "anonymous"];

/// Every operation, its document, and what comes of it for an admin, the node that it is about, an agent, a viewer, and
/// whoever shows nothing. In the variables, words in angle brackets are filled in.
const OPERATIONS: &[(&str, &str, &str, [&str; 5])] = &[
    (
        "register",
        "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }",
        r#"{"i": {"name": "one", "tools": [{"name": "add", "maxInFlight": 900}]}}"#,
        [OK, OK, DENIED, DENIED, UNKNOWN],
    ),
    (
        "heartbeat",
        "mutation($i: HeartbeatInput!) { heartbeat(input: $i) { id } }",
        r#"{"i": {"nodeId": "<node>"}}"#,
        [OK, OK, DENIED, DENIED, UNKNOWN],
    ),
    (
        "attest",
        "mutation($i: AttestInput!) { attest(input: $i) { id } }",
        r#"{"i": {"nodeId": "<node>", "validatorId": "<node>", "state": "TRUSTED"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "allocate",
        "mutation($i: AllocateInput!) { allocate(input: $i) { id } }",
        r#"{"i": {"requesterId": "<node>"}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "allocateBatch",
        "mutation($i: AllocateBatchInput!) { allocateBatch(input: $i) { id } }",
        r#"{"i": {"requests": [{"requesterId": "<node>"}]}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "renew",
        "mutation($i: RenewInput!) { renew(input: $i) { id } }",
        r#"{"i": {"leaseId": "<lease>"}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "rebind",
        "mutation($i: RebindInput!) { rebind(input: $i) { id } }",
        r#"{"i": {"leaseId": "<lease>", "reason": "a test"}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "release",
        "mutation($i: ReleaseInput!) { release(input: $i) { id } }",
        r#"{"i": {"leaseId": "<lease>"}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "proxyInvoke",
        "mutation($i: ProxyInvokeInput!) { proxyInvoke(input: $i) { id } }",
        r#"{"i": {"tool": "add", "arguments": {}, "wait": false}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "proxyInvokeBatch",
        "mutation($i: ProxyInvokeBatchInput!) { proxyInvokeBatch(input: $i) { succeeded } }",
        r#"{"i": {"calls": [{"tool": "add", "arguments": {}, "wait": false}]}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "progressInvocation",
        "mutation($i: ProgressInvocationInput!) { progressInvocation(input: $i) { id } }",
        r#"{"i": {"invocationId": "<agent's call>", "chunk": 1}}"#,
        [OK, OK, DENIED, NOT_FOUND, UNKNOWN],
    ),
    (
        "completeInvocation",
        "mutation($i: CompleteInvocationInput!) { completeInvocation(input: $i) { id } }",
        r#"{"i": {"invocationId": "<agent's call>", "result": 1}}"#,
        [OK, OK, DENIED, NOT_FOUND, UNKNOWN],
    ),
    (
        "cancelInvocation",
        "mutation($i: InvocationRefInput!) { cancelInvocation(input: $i) { id } }",
        r#"{"i": {"invocationId": "<agent's call>"}}"#,
        [OK, OK, OK, NOT_FOUND, UNKNOWN],
    ),
    (
        "createToken",
        "mutation($i: CreateTokenInput!) { createToken(input: $i) { token { id } } }",
        r#"{"i": {"name": "more", "roles": ["viewer"]}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "revokeToken",
        "mutation($i: RevokeTokenInput!) { revokeToken(input: $i) { id } }",
        r#"{"i": {"id": "<token>"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "createBus",
        "mutation($i: CreateBusInput!) { createBus(input: $i) { id } }",
        r#"{"i": {"name": "<fresh>", "kind": "LOCAL"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "startBus",
        "mutation($i: BusRefInput!) { startBus(input: $i) { id } }",
        r#"{"i": {"busId": "<stopped bus>"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "stopBus",
        "mutation($i: BusRefInput!) { stopBus(input: $i) { id } }",
        r#"{"i": {"busId": "<stopped bus>"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "deleteBus",
        "mutation($i: BusRefInput!) { deleteBus(input: $i) { id } }",
        r#"{"i": {"busId": "<stopped bus>"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "defineTopic",
        "mutation($i: DefineTopicInput!) { defineTopic(input: $i) { name } }",
        r#"{"i": {"bus": "shared", "topic": "a.b", "schema": {}}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "ackEvent",
        "mutation($i: AckEventInput!) { ackEvent(input: $i) { notOpen } }",
        r#"{"i": {"bus": "shared", "subscriber": "<admin's subscriber>", "sequences": [1]}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "deleteSubscriber",
        "mutation($i: SubscriberRefInput!) { deleteSubscriber(input: $i) { name } }",
        r#"{"i": {"bus": "shared", "name": "<admin's subscriber>"}}"#,
        [OK, DENIED, DENIED, DENIED, UNKNOWN],
    ),
    (
        "publish",
        "mutation($i: PublishInput!) { publish(input: $i) { eventId } }",
        r#"{"i": {"bus": "shared", "event": {"nodeId": "<node>", "eventType": "DONE"}}}"#,
        [OK, OK, OK, DENIED, UNKNOWN],
    ),
    (
        "busEvents",
        "subscription { busEvents(bus: \"shared\", replay: {all: true}) { sequence } }",
        "{}",
        [OK, OK, OK, OK, UNKNOWN],
    ),
    ("busMetrics", "subscription { busMetrics(bus: \"shared\") { published } }", "{}", [OK, OK, OK, OK, UNKNOWN]),
    ("registryEvents", "subscription { registryEvents(after: 0) { sequence } }", "{}", [OK, OK, OK, OK, UNKNOWN]),
    (
        "toolCalls",
        "subscription($n: UUID!) { toolCalls(nodeId: $n, maxInFlight: 900) { tool } }",
        r#"{"n": "<node>"}"#,
        [OK, OK, DENIED, DENIED, UNKNOWN],
    ),
    (
        "toolCancellations",
        "subscription($n: UUID!) { toolCancellations(nodeId: $n) { reason } }",
        r#"{"n": "<node>"}"#,
        [OK, OK, DENIED, DENIED, UNKNOWN],
    ),
    (
        "invocationUpdates",
        "subscription($i: UUID!) { invocationUpdates(id: $i) { id } }",
        r#"{"i": "<agent's call>"}"#,
        [OK, OK, OK, NOT_FOUND, UNKNOWN],
    ),
    (
        "deregister",
        "mutation($i: DeregisterInput!) { deregister(input: $i) { id } }",
        r#"{"i": {"nodeId": "<node>"}}"#,
        [OK, OK, DENIED, DENIED, UNKNOWN],
    ),
];

/// The operations of the schema: the fields of its mutations and subscriptions.
fn operations() -> BTreeSet<String> {
    use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
    let document = async_graphql::parser::parse_schema(onex::graphql::sdl()).unwrap();
    let mut found = BTreeSet::new();
    for definition in document.definitions {
        if let TypeSystemDefinition::Type(ty) = definition
            && ["Mutation", "Subscription"].contains(&ty.node.name.node.as_str())
            && let TypeKind::Object(object) = ty.node.kind
        {
            found.extend(object.fields.into_iter().map(|field| field.node.name.node.to_string()));
        }
    }
    found
}

#[test]
fn every_operation_has_its_row() {
    let tested: BTreeSet<String> = OPERATIONS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(operations(), tested, "each mutation and subscription has a row in OPERATIONS");
}

/// What the operations are about.
struct World {
    guarded: Guarded,
    clients: Vec<Client>,
    node: Uuid,
}

impl World {
    async fn new() -> Self {
        let guarded = guarded("");
        let (one, node, _) = guarded.client("one", &["node"], None).await;
        let (agent, ..) = guarded.client("ann", &["agent"], None).await;
        let (viewer, ..) = guarded.client("vic", &["viewer"], None).await;
        // A bus with an event on it.
        let create = "mutation { createBus(input: {name: \"shared\", kind: LOCAL}) { id } }";
        ask(&guarded.admin, create, json!({})).await.unwrap();
        let publish = "mutation($i: PublishInput!) { publish(input: $i) { eventId } }";
        let event = json!({"bus": "shared", "event": {"nodeId": node, "eventType": "DONE"}});
        ask(&guarded.admin, publish, json!({ "i": event })).await.unwrap();
        let clients = vec![guarded.admin.clone(), one, agent, viewer, guarded.server.client()];
        World { guarded, clients, node: node.unwrap() }
    }

    /// Fills in what variables name.
    async fn variables(&self, role: usize, template: &str) -> Value {
        let mut text = template.replace("<node>", &self.node.to_string());
        if text.contains("<lease>") {
            // Of the role itself, where it can have one.
            let holder = &self.clients[if role < 3 { role } else { 2 }];
            let made = ask(holder, OPERATIONS[3].1, json!({"i": {"requesterId": self.node}})).await.unwrap();
            text = text.replace("<lease>", made["allocate"]["id"].as_str().unwrap());
        }
        if text.contains("<agent's call>") {
            text = text.replace("<agent's call>", &self.call().await.to_string());
        }
        text = text.replace("<fresh>", &format!("bus_{}", Uuid::new_v4().simple()));
        if text.contains("<stopped bus>") {
            let create =
                "mutation($name: String!) { createBus(input: {name: $name, kind: LOCAL, start: false}) { id } }";
            let name = format!("bus_{}", Uuid::new_v4().simple());
            let made = ask(&self.clients[0], create, json!({ "name": name })).await.unwrap();
            text = text.replace("<stopped bus>", made["createBus"]["id"].as_str().unwrap());
        }
        if text.contains("<admin's subscriber>") {
            text = text.replace("<admin's subscriber>", &self.subscriber().await);
        }
        if text.contains("<token>") {
            text = text.replace("<token>", &self.guarded.client("spare", &["viewer"], None).await.2.to_string());
        }
        serde_json::from_str(&text).unwrap()
    }

    /// A durable subscriber of the bus that the admin made.
    async fn subscriber(&self) -> String {
        let name = format!("sub_{}", Uuid::new_v4().simple());
        let listen =
            "subscription($n: String!) { busEvents(bus: \"shared\", durable: $n, replay: {all: true}) { sequence } }";
        let mut events = self.clients[0].subscribe::<Value>(listen, json!({ "n": name })).await.unwrap();
        events.next().await.unwrap().unwrap();
        name
    }

    /// A call of the agent that its provider was handed.
    async fn call(&self) -> Uuid {
        let input = json!({"i": {"tool": "add", "arguments": {}, "wait": false, "timeoutMs": 60_000}});
        let made = ask(&self.clients[2], OPERATIONS[8].1, input).await.unwrap();
        let id = made["proxyInvoke"]["id"].as_str().unwrap().to_owned();
        let status = "query($id: UUID!) { invocation(id: $id) { status } }";
        eventually("the call is with its provider", async || {
            let seen = ask(&self.clients[2], status, json!({"id": id})).await.unwrap();
            (seen["invocation"]["status"] == "RUNNING").then_some(())
        })
        .await;
        id.parse().unwrap()
    }

    async fn attempt(&self, role: usize, name: &str, document: &str, template: &str) -> String {
        let client = &self.clients[role];
        let variables = self.variables(role, template).await;
        if !document.starts_with("subscription") {
            return code(&ask(client, document, variables).await);
        }
        let mut events = match client.subscribe::<Value>(document, variables).await {
            Ok(events) => events,
            Err(error) => return code(&Err::<(), _>(error)),
        };
        // What says something is allowed: calls are made, and taken back, until this listener has its turn.
        eventually(name, async || {
            if let Some(Some(event)) = events.next().now_or_never() {
                return Some(code(&event));
            }
            if name.starts_with("tool") {
                let id = self.call().await;
                let cancel = json!({"i": {"invocationId": id}});
                ask(
                    &self.clients[2],
                    "mutation($i: InvocationRefInput!) { cancelInvocation(input: $i) { id } }",
                    cancel,
                )
                .await
                .unwrap();
            }
            None
        })
        .await
    }
}

#[tokio::test]
async fn each_role_may_do_what_it_may_and_nothing_else() {
    let world = World::new().await;
    // The provider listens all the time.
    let mend = async || {
        let input = serde_json::from_str(OPERATIONS[0].2).unwrap();
        ask(&world.clients[1], OPERATIONS[0].1, input).await.unwrap()
    };
    assert_eq!(mend().await["register"]["node"]["id"], json!(world.node), "a bound token registers its own node");
    // One that goes loses the calls that it has, and after some of that its tool is left alone for a while.
    let listen = async || {
        let listening = world.clients[1].subscribe::<Value>(
            "subscription($n: UUID!) { toolCalls(nodeId: $n, maxInFlight: 900) { tool } }",
            json!({"n": world.node}),
        );
        let mut listener = listening.await.unwrap();
        tokio::spawn(async move { while listener.next().await.is_some() {} }).abort_handle()
    };
    let mut reading = listen().await;
    let mut wrong = Vec::new();
    for (name, document, template, expected) in OPERATIONS {
        for (role, expected) in expected.iter().enumerate() {
            mend().await;
            if *name == "deregister" || reading.is_finished() {
                reading.abort();
                reading = listen().await;
            }
            let found = world.attempt(role, name, document, template).await;
            if found != *expected {
                wrong.push(format!("{name} by {}: {found:?} instead of {expected:?}", ROLES[role]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_node_acts_for_itself_alone() {
    let guarded = guarded("");
    let (one, one_id, _) = guarded.client("one", &["node"], None).await;
    let (two, two_id, _) = guarded.client("two", &["node"], None).await;
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";
    for (client, name) in [(&one, "one"), (&two, "two")] {
        ask(client, register, json!({"i": {"name": name, "ttlSeconds": 600}})).await.unwrap();
    }
    for (document, input) in [
        (register, json!({"id": two_id, "name": "two"})),
        ("mutation($i: HeartbeatInput!) { heartbeat(input: $i) { id } }", json!({"nodeId": two_id})),
        ("mutation($i: DeregisterInput!) { deregister(input: $i) { id } }", json!({"nodeId": two_id})),
        ("mutation($i: AllocateInput!) { allocate(input: $i) { id } }", json!({"requesterId": two_id})),
        (
            "mutation($i: AllocateInput!) { allocate(input: $i) { id } }",
            json!({"requesterId": one_id, "nodeId": two_id}),
        ),
    ] {
        assert_eq!(code(&ask(&one, document, json!({"i": input})).await), DENIED, "{document}");
    }
    // Another's name is not to be had by registering under it without an id.
    let taken = ask(&one, register, json!({"i": {"name": "two"}})).await;
    assert_eq!(code(&taken), "ALREADY_EXISTS");
    // A lease is its holder's, whoever names the requester.
    let allocate = "mutation($i: AllocateInput!) { allocate(input: $i) { id allocatedBy } }";
    let lease = ask(&two, allocate, json!({"i": {"requesterId": two_id}})).await.unwrap();
    assert_eq!(lease["allocate"]["allocatedBy"], "two");
    let release = "mutation($i: ReleaseInput!) { release(input: $i) { id } }";
    let input = json!({"i": {"leaseId": lease["allocate"]["id"]}});
    assert_eq!(code(&ask(&one, release, input.clone()).await), DENIED);
    assert_eq!(code(&ask(&two, release, input).await), OK);
}

#[tokio::test]
async fn a_denial_says_which_rule_and_what_it_would_take() {
    let guarded = guarded("");
    let (viewer, ..) = guarded.client("vic", &["viewer"], None).await;
    let denied =
        ask(&viewer, "mutation { proxyInvoke(input: {tool: \"add\", arguments: {}}) { id } }", json!({})).await;
    let Err(Error::Refused { message, details, .. }) = denied else { panic!("{denied:?}") };
    assert!(message.contains("vic may not invoke tool add") && message.contains("role agent"), "{message}");
    assert_eq!((&details["action"], &details["principal"]), (&json!("invoke"), &json!("vic")));
    assert!(details["resource"].as_str().unwrap().starts_with("Tool::"), "{details}");
    assert!(details["needed"].to_string().contains("agent-calls"), "{details}");
    let denied = ask(&viewer, "{ tokens { name } }", json!({})).await;
    assert_eq!(code(&denied), DENIED);
}

const TENANTS: &str = r#"
@id("admin") permit (principal in Role::"admin", action, resource);
@id("a-reads-a") permit (principal in Role::"tenant", action == Action::"read", resource is Node) when { resource.namespace == "a" };
@id("a-acts-on-a") permit (principal in Role::"tenant", action == Action::"heartbeat", resource is Node);
@id("a-reads-tools") permit (principal in Role::"tenant", action == Action::"read", resource is Tool) when { resource.name like "a_*" };
@id("a-calls") permit (principal in Role::"tenant", action == Action::"invoke", resource is Tool);
@id("a-watches") permit (principal in Role::"tenant", action == Action::"subscribe", resource is Registry);
"#;

#[tokio::test]
async fn what_may_not_be_read_is_as_if_it_were_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let guarded = guarded_by(TENANTS, &folder.path().join("onex.cedar"));
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";
    let contract = |name: &str, topic: &str| {
        format!(
            "name: {name}\nversion: 1.0.0\nevent_bus:\n  publish_topics: [{topic}]\n  subscribe_topics: [shared.x]\n"
        )
    };
    let mut ids = Vec::new();
    for (name, namespace) in [("a_one", "a"), ("b_one", "b")] {
        let input = json!({"i": {"name": name, "namespace": namespace, "contract": contract(name, &format!("{namespace}.out")), "tools": [{"name": format!("{namespace}_tool")}, {"name": "common"}]}});
        ids.push(ask(&guarded.admin, register, input).await.unwrap()["register"]["node"]["id"].clone());
    }
    let (tenant, ..) = guarded.client("ten", &["tenant"], None).await;
    let query = "query($b: UUID!) {
        nodes { totalCount nodes { name upstream { name } downstream { name } tools { nodes { name } } contract { name } } }
        node(by: {id: $b}) { name } byName: node(by: {name: \"b_one\"}) { name } tool(name: \"b_tool\") { name }
        tools { totalCount nodes { name providers { node { name } } } } contracts { totalCount } topics { totalCount }
        ports { totalCount } portPools { host } invocations { totalCount }
        registry { counts { nodes tools contracts topics activeLeases } }
        dependencyGraph { nodes { name } edges { via } }
        events { totalCount nodes { type nodeId } }
        at(sequence: 3) { nodes { totalCount } }
    }";
    let seen = ask(&tenant, query, json!({"b": ids[1]})).await.unwrap();
    assert_eq!(seen["nodes"]["totalCount"], 1, "{seen}");
    let one = &seen["nodes"]["nodes"][0];
    assert_eq!((&one["name"], &one["upstream"], &one["downstream"]), (&json!("a_one"), &json!([]), &json!([])));
    assert_eq!((&one["tools"]["nodes"], &one["contract"]), (&json!([{"name": "a_tool"}]), &Value::Null));
    for absent in ["node", "byName", "tool"] {
        assert_eq!(seen[absent], Value::Null, "{absent}");
    }
    assert_eq!(
        seen["tools"],
        json!({"totalCount": 1, "nodes": [{"name": "a_tool", "providers": [{"node": {"name": "a_one"}}]}]})
    );
    assert_eq!(
        seen["registry"]["counts"],
        json!({"nodes": 1, "tools": 1, "contracts": 0, "topics": 0, "activeLeases": 0})
    );
    assert_eq!(seen["dependencyGraph"]["nodes"], json!([{"name": "a_one"}]));
    let events = seen["events"]["nodes"].as_array().unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event["nodeId"] == ids[0]), "{events:?}");
    assert_eq!(seen["events"]["totalCount"], events.len());
    assert_eq!(seen["portPools"], json!([]));
    // What is not to be known of is refused as what is not there, though another rule would allow it.
    let heartbeat = "mutation($i: HeartbeatInput!) { heartbeat(input: $i) { id } }";
    assert_eq!(code(&ask(&tenant, heartbeat, json!({"i": {"nodeId": ids[0]}})).await), OK);
    for unknown in [ids[1].clone(), json!(Uuid::from_u128(9))] {
        let refused = ask(&tenant, heartbeat, json!({"i": {"nodeId": unknown}})).await;
        assert_eq!(code(&refused), "NODE_NOT_FOUND", "{refused:?}");
    }
    let call = "mutation($t: String!) { proxyInvoke(input: {tool: $t, arguments: {}}) { status error { code } } }";
    for tool in ["b_tool", "nothing"] {
        let called = ask(&tenant, call, json!({"t": tool})).await.unwrap();
        assert_eq!(called["proxyInvoke"]["error"]["code"], "TOOL_NOT_FOUND", "{called}");
    }
    // Live events, too.
    let mut watching =
        tenant.subscribe::<Value>("subscription { registryEvents { nodeId } }", json!({})).await.unwrap();
    let mut first = watching.next();
    eventually("an event of one's own", async || {
        for (id, name) in [(&ids[1], "b_one"), (&ids[0], "a_one")] {
            let tags = json!([Uuid::new_v4().to_string()]);
            ask(&guarded.admin, register, json!({"i": {"id": id, "name": name, "tags": tags}})).await.unwrap();
        }
        (&mut first).now_or_never().map(|event| assert_eq!(event.unwrap().unwrap()["registryEvents"]["nodeId"], ids[0]))
    })
    .await;
}

#[tokio::test]
async fn calls_are_seen_by_their_callers_and_providers() {
    let guarded = guarded("");
    let (ann, ..) = guarded.client("ann", &["agent"], None).await;
    let (bob, ..) = guarded.client("bob", &["agent"], None).await;
    let made =
        ask(&ann, "mutation { proxyInvoke(input: {tool: \"none\", arguments: {}}) { id caller } }", json!({})).await;
    let made = made.unwrap();
    assert_eq!(made["proxyInvoke"]["caller"], "ann");
    let id = &made["proxyInvoke"]["id"];
    let look = "query($id: UUID!) { invocation(id: $id) { id } invocations { totalCount }
        events(filter: {types: [TOOL_PROXY_INVOKE]}) { totalCount } }";
    eventually("the call is in the log", async || {
        let seen = ask(&guarded.admin, look, json!({"id": id})).await.unwrap();
        (seen["events"]["totalCount"] == 1).then_some(())
    })
    .await;
    for (client, count) in [(&ann, 1), (&guarded.admin, 1), (&bob, 0)] {
        let seen = ask(client, look, json!({"id": id})).await.unwrap();
        assert_eq!((&seen["invocations"]["totalCount"], &seen["events"]["totalCount"]), (&json!(count), &json!(count)));
        assert_eq!(seen["invocation"].is_null(), count == 0);
    }
}

#[tokio::test]
async fn a_revoked_token_counts_no_longer_and_what_runs_ends() {
    let guarded = guarded("");
    let (viewer, _, id) = guarded.client("vic", &["viewer"], None).await;
    ask(&guarded.admin, "mutation { register(input: {name: \"a\"}) { created } }", json!({})).await.unwrap();
    let mut events =
        viewer.subscribe::<Value>("subscription { registryEvents(after: 0) { type } }", json!({})).await.unwrap();
    assert!(events.next().await.unwrap().is_ok());
    let revoke = "mutation($id: UUID!) { revokeToken(input: {id: $id}) { name } }";
    assert_eq!(ask(&guarded.admin, revoke, json!({"id": id})).await.unwrap()["revokeToken"]["name"], "vic");
    let last = loop {
        match events.next().await.unwrap() {
            Ok(_) => {}
            last => break last,
        }
    };
    assert_eq!(code(&last), UNKNOWN);
    assert_eq!(code(&ask(&viewer, "{ registry { sequence } }", json!({})).await), UNKNOWN);
    assert_eq!(code(&ask(&guarded.admin, revoke, json!({"id": id})).await), NOT_FOUND);
    // History shows the token, and nobody its secret or what it is known by.
    let history = guarded.admin.query::<Value>(
        "{ events(filter: {types: [TOKEN_CREATED, TOKEN_REVOKED]}) { nodes { type metadata } } tokens { name roles createdBy } }",
        json!({}),
    );
    let history = history.await.unwrap();
    assert_eq!(history["events"]["nodes"].as_array().unwrap().len(), 3, "{history}");
    assert!(!history.to_string().contains("onex_") && !history.to_string().contains("hash"), "{history}");
    assert_eq!(history["tokens"], json!([{"name": "admin", "roles": ["admin"], "createdBy": "registry"}]));
}

#[tokio::test]
async fn whoever_shows_nothing_or_what_is_wrong_is_told_so() {
    let guarded = guarded("");
    let http = reqwest::Client::new();
    let post = |authorization: Option<&str>| {
        let request =
            http.post(format!("{}/graphql", guarded.server.url())).json(&json!({"query": "{ principal { name } }"}));
        match authorization {
            Some(authorization) => request.header("authorization", authorization).send(),
            None => request.send(),
        }
    };
    for authorization in [None, Some("Bearer onex_wrong"), Some("Basic YTpi"), Some("Bearer a.b.c"), Some("Bearer ")] {
        let answer = post(authorization).await.unwrap();
        assert_eq!(answer.status(), 401, "{authorization:?}");
        assert_eq!(answer.headers()["www-authenticate"].to_str().unwrap().split(' ').next(), Some("Bearer"));
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], UNKNOWN, "{body}");
    }
    let who: Value =
        guarded.admin.query("{ principal { name roles authenticated accessControlled } }", json!({})).await.unwrap();
    assert_eq!(
        who["principal"],
        json!({"name": "admin", "roles": ["admin"], "authenticated": "token", "accessControlled": true})
    );
    // Over a websocket the token may come with the first message.
    let nobody = guarded.server.client().connect().await;
    assert_eq!(code(&nobody.map(drop)), UNKNOWN, "4403");
    guarded.admin.connect().await.unwrap();
}

#[tokio::test]
async fn a_websocket_is_let_in_or_refused_by_its_first_message_in_both_protocols() {
    let guarded = guarded("");
    let secret = fs::read_to_string(guarded.directory.path().join("data/admin.token")).unwrap();
    let bearer = |secret: &str| json!(format!("Bearer {}", secret.trim()));
    let wrong = bearer("onex_0000000000000000000000000000000000000000000");
    for (protocol, begin) in [("graphql-transport-ws", "subscribe"), ("graphql-ws", "start")] {
        for payload in [json!(null), json!({}), json!({"Authorization": wrong}), json!({"authorization": 7})] {
            let mut socket = Socket::open(&guarded.server, Some(protocol)).await;
            socket.say(json!({"type": "connection_init", "payload": payload})).await;
            if protocol == "graphql-ws" {
                let refused = socket.hear().await;
                assert_eq!(refused["type"], "connection_error", "{refused}");
            }
            let (code, reason) = socket.closed().await;
            assert_eq!(code, 4403, "{protocol}, {payload}: {reason}");
            assert!(reason.contains("token"), "{reason}");
        }
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let named = json!({"AUTHORIZATION": bearer(&secret), "traceparent": parent, "X-Correlation-Id": protocol});
        let mut socket = Socket::open(&guarded.server, Some(protocol)).await;
        socket.say(json!({"type": "connection_init", "payload": {"headers": named}})).await;
        assert_eq!(socket.hear().await["type"], "connection_ack");
        let query = format!("mutation {{ register(input: {{name: \"by_{begin}\"}}) {{ created }} }}");
        socket.say(json!({"type": begin, "id": "1", "payload": {"query": query}})).await;
        let answer =
            eventually("it is answered", async || Some(socket.hear().await).filter(|heard| heard["id"] == "1"));
        assert!(answer.await["payload"]["data"]["register"].is_object());
    }
    let asked = "{ events(last: 1) { nodes { actor correlationId } } }";
    let events = ask(&guarded.admin, asked, json!({})).await.unwrap();
    let expected = json!({"actor": "admin", "correlationId": "graphql-ws"});
    assert_eq!(events["events"]["nodes"][0], expected);
}

#[tokio::test]
async fn refused_attempts_are_in_the_audit_and_equal_ones_are_one() {
    let guarded = guarded("");
    let (viewer, ..) = guarded.client("vic", &["viewer"], None).await;
    for _ in 0..20 {
        let denied =
            ask(&viewer, "mutation { proxyInvoke(input: {tool: \"x\", arguments: {}}) { id } }", json!({})).await;
        assert_eq!(code(&denied), DENIED);
    }
    let audit = "query($f: AuditFilter) { audit(filter: $f) { totalCount nodes { actor address outcome type count details } } }";
    let found = eventually("the refusal is in the audit", async || {
        let seen = ask(&guarded.admin, audit, json!({"f": {"outcome": "REFUSED", "actor": "vic"}})).await.unwrap();
        (seen["audit"]["totalCount"] != 0).then_some(seen)
    })
    .await;
    let entries = found["audit"]["nodes"].as_array().unwrap();
    assert!(entries.len() <= 2, "{entries:?}");
    let first = &entries[0];
    assert_eq!(
        (&first["actor"], &first["type"], &first["details"]["action"]),
        (&json!("vic"), &json!("ACCESS_DENIED"), &json!("invoke"))
    );
    assert!(first["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
    // When the registry stops, what was counted is written.
    let data_dir = guarded.server.data_dir().to_owned();
    let secret = fs::read_to_string(data_dir.join("admin.token")).unwrap();
    let Guarded { server, directory: _kept, .. } = guarded;
    assert!(server.stop().success());
    let server = Server::start_in(&data_dir, &["--access"]);
    let listed = onex(&["audit", "list", "--actor", "vic", "--outcome", "refused", "--format", "json"])
        .env("ONEX_SERVER", server.url())
        .env("ONEX_TOKEN", secret.trim())
        .output()
        .unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let counts: u64 = listed.iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(counts, 20, "{listed:?}");
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("onex.toml");
    fs::write(&config, "[access]\nrequests_per_second = 1\nburst = 5\n").unwrap();
    let server = Server::start_in(&directory.path().join("data"), &["--config", config.to_str().unwrap()]);
    let http = reqwest::Client::new();
    let limited = eventually("a request is one too many", async || {
        let request =
            http.post(format!("{}/graphql", server.url())).json(&json!({"query": "{ registry { sequence } }"}));
        let answer = request.send().await.unwrap();
        (answer.status() == 429).then_some(answer)
    })
    .await;
    let wait: u64 = limited.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let body: Value = serde_json::from_str(&limited.text().await.unwrap()).unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{body}");
    assert!(body["errors"][0]["extensions"]["details"]["retryAfterSeconds"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_node_with_a_key_is_registered_by_that_key_alone() {
    let guarded = guarded("");
    let (one, ..) = guarded.client("one", &["node"], None).await;
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { publicKey } } }";
    let [first, second, foreign] = [1, 2, 3].map(|byte| SigningKey::from_bytes(&[byte; 32]));
    let input = |key: Option<&SigningKey>, signer: Option<&SigningKey>| {
        let signature = signer.map(|signer| signature(signer, CONTRACT));
        json!({"i": {"contract": CONTRACT, "publicKey": key.map(public), "signature": signature}})
    };
    for (key, signer, expected) in [
        (Some(&first), None, DENIED),
        (Some(&first), Some(&foreign), "INVALID_ARGUMENT"),
        (Some(&first), Some(&first), OK),
        (None, None, DENIED),
        (None, Some(&first), OK),
        (Some(&second), Some(&second), DENIED),
        (Some(&second), Some(&first), OK),
        (None, Some(&first), "INVALID_ARGUMENT"),
        (None, Some(&second), OK),
    ] {
        let outcome = ask(&one, register, input(key, signer)).await;
        assert_eq!(code(&outcome), expected, "{outcome:?}");
    }
    let shown = ask(&one, register, input(None, Some(&second))).await.unwrap();
    assert_eq!(shown["register"]["node"]["publicKey"], public(&second));
    // Where the key is lost, an admin's word takes its place.
    assert_eq!(code(&ask(&guarded.admin, register, input(Some(&first), Some(&first))).await), OK);
    let claim = json!({"i": {"name": "proud", "metadata": {"trust_state": "verified"}}});
    assert_eq!(code(&ask(&guarded.admin, register, claim).await), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_validator_with_a_key_speaks_by_that_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let default = onex::access::policy::DEFAULT;
    let validators =
        r#"@id("validators") permit (principal in Role::"validator", action == Action::"attest", resource);"#;
    let guarded = guarded_by(&format!("{default}\n{validators}\n"), &directory.path().join("policy.cedar"));
    let (validator, ..) = guarded.client("validator", &["validator", "viewer"], None).await;
    let [key, foreign] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { id contract { hash } } } }";
    let input = json!({"contract": CONTRACT, "publicKey": public(&key), "signature": signature(&key, CONTRACT)});
    let signer = ask(&guarded.admin, register, json!({ "i": input })).await.unwrap()["register"]["node"].clone();
    let judged = ask(&guarded.admin, register, json!({"i": {"name": "judged"}})).await.unwrap();
    let judged = judged["register"]["node"]["id"].clone();

    let attest = "mutation($i: AttestInput!) { attest(input: $i) { trust { state score } } }";
    let said = |by: Option<&SigningKey>, score: f64| {
        let message = json!({
            "contractHash": null, "failureModes": ["slow"], "lifecycle": "FROZEN", "nodeId": judged, "score": 0.75,
            "state": "TRUSTED", "validatorId": signer["id"],
        });
        let signed = |key: &SigningKey| key.sign(&onex::contracts::canonical_bytes(&message)).to_bytes();
        let signature = by.map(|key| BASE64_STANDARD.encode(signed(key)));
        json!({"i": {
            "nodeId": judged, "validatorId": signer["id"], "state": "TRUSTED", "score": score, "failureModes": ["slow"],
            "lifecycle": "FROZEN", "signature": signature,
        }})
    };
    for (by, score, expected) in [
        (None, 0.75, DENIED),
        (Some(&foreign), 0.75, "INVALID_ARGUMENT"),
        (Some(&key), 0.8, "INVALID_ARGUMENT"),
        (Some(&key), 0.75, OK),
    ] {
        let outcome = ask(&validator, attest, said(by, score)).await;
        assert_eq!(code(&outcome), expected, "{outcome:?}");
    }
    let shown = ask(&guarded.admin, attest, said(None, 0.5)).await.unwrap();
    assert_eq!(shown["attest"]["trust"], json!({"state": "TRUSTED", "score": 0.5}), "an admin overrules");
    // One that is no node needs none, and has none that could be checked.
    let mut unknown = said(None, 1.0);
    unknown["i"]["validatorId"] = json!(Uuid::from_u128(99));
    assert_eq!(code(&ask(&validator, attest, unknown.clone()).await), OK);
    unknown["i"]["signature"] = said(Some(&key), 1.0)["i"]["signature"].clone();
    assert_eq!(code(&ask(&validator, attest, unknown).await), "INVALID_ARGUMENT");
}

/// A token by a shared secret, as an identity provider would sign it.
fn jwt(claims: Value) -> String {
    let secret = b"a-secret-of-more-than-thirty-two-bytes";
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256), &claims, &key).unwrap()
}

#[tokio::test]
async fn tokens_of_an_identity_provider_count_for_what_their_claims_say() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    let secret = BASE64_URL_SAFE_NO_PAD.encode(b"a-secret-of-more-than-thirty-two-bytes");
    fs::write(&keys, json!({"keys": [{"kty": "oct", "alg": "HS256", "k": secret}]}).to_string()).unwrap();
    let config = directory.path().join("onex.toml");
    let settings = format!(
        "[access]\nenabled = true\njwt_keys = {:?}\njwt_issuer = \"https://login\"\njwt_audience = \"onex\"\n",
        keys.display().to_string()
    );
    fs::write(&config, settings).unwrap();
    let server = Server::start_in(&directory.path().join("data"), &["--config", config.to_str().unwrap()]);
    let node = Uuid::from_u128(77);
    let claims = |more: Value| {
        let mut claims = json!({"sub": "ada", "iss": "https://login", "aud": "onex", "exp": 4_102_444_800u64});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Client::try_new(server.url(), Some(jwt(claims))).unwrap()
    };
    let who = "{ principal { name roles nodeId authenticated } }";
    let seen = ask(&claims(json!({"roles": ["node"], "node": node})), who, json!({})).await.unwrap();
    assert_eq!(
        seen["principal"],
        json!({"name": "jwt:ada", "roles": ["node"], "nodeId": node, "authenticated": "jwt"})
    );
    let register = "mutation { register(input: {name: \"a\"}) { node { id } } }";
    let registered = ask(&claims(json!({"roles": ["node"], "node": node})), register, json!({})).await.unwrap();
    assert_eq!(registered["register"]["node"]["id"], json!(node));
    assert_eq!(
        code(&ask(&claims(json!({"roles": ["node"]})), register, json!({})).await),
        DENIED,
        "a node that is bound to none"
    );
    for wrong in [json!({"iss": "https://other"}), json!({"aud": "other"}), json!({"exp": 1_000})] {
        assert_eq!(code(&ask(&claims(wrong.clone()), who, json!({})).await), UNKNOWN, "{wrong}");
    }
}

#[tokio::test]
async fn a_changed_policy_is_in_force_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("onex.cedar");
    let guarded = guarded_by(onex::access::policy::DEFAULT, &policy);
    let (guest, ..) = guarded.client("guest", &["guest"], None).await;
    let reading = "{ nodes { totalCount } portPools { host } }";
    let before = ask(&guest, reading, json!({})).await.unwrap();
    assert_eq!(before["portPools"], json!([]));
    let more = "\n@id(\"guests\") permit (principal in Role::\"guest\", action == Action::\"read\", resource);\n";
    // One that cannot be is told, and the earlier one stays.
    fs::write(&policy, "permit nothing").unwrap();
    eventually("the mistake is told", async || guarded.server.said().contains("stays in force").then_some(())).await;
    fs::write(&policy, format!("{}{more}", onex::access::policy::DEFAULT)).unwrap();
    eventually("the guest may read", async || {
        let seen = ask(&guest, reading, json!({})).await.unwrap();
        (seen["portPools"] != json!([])).then_some(())
    })
    .await;
}

#[test]
fn a_registry_that_others_reach_asks_who_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("0.0.0.0:{}", free_port());
    let data_dir = directory.path().join("data");
    let (status, said) = Server::try_start_in(&data_dir, &["--listen", &address]).err().expect("it is refused");
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("--access") && said.contains("--insecure") && said.contains("127.0.0.1"), "{said}");
    assert!(!data_dir.exists(), "nothing was begun");
    let server = Server::start_in(&data_dir, &["--listen", &address, "--access"]);
    eventually_said(&server, "admin.token");
    let mode = fs::metadata(data_dir.join("admin.token")).unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    drop(server);
    let insecure = Server::start_in(&directory.path().join("other"), &["--listen", &address, "--insecure"]);
    eventually_said(&insecure, "EVERYTHING IS ALLOWED");
}

fn eventually_said(server: &Server, what: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(eventually(what, async || server.said().contains(what).then_some(())));
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = onex(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_on_the_data_directory_and_through_the_registry() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let here = data_dir.to_str().unwrap();
    let (status, secret, said) =
        run(&["token", "create", "--name", "ops", "--role", "admin", "--data-dir", here, "-q"]);
    assert_eq!(status, Some(0), "{said}");
    let secret = secret.trim().to_owned();
    assert!(secret.starts_with("onex_") && secret.len() == 48, "{secret}");
    let stored = fs::read(data_dir.join("registry.db")).unwrap();
    assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()), "the secret is not stored");
    let server = Server::start_in(&data_dir, &["--access"]);
    assert!(!data_dir.join("admin.token").exists(), "there is a token already");
    let (status, _, said) = run(&["token", "create", "--name", "x", "--role", "viewer", "--data-dir", here]);
    assert!(status == Some(1) && said.contains("onex process"), "{said}");
    let with_token = |arguments: &[&str]| {
        let output = onex(arguments).env("ONEX_SERVER", server.url()).env("ONEX_TOKEN", &secret).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let made =
        with_token(&["token", "create", "--name", "w1", "--role", "node", "--expires", "30d", "--format", "json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert!(made["token"]["nodeId"].is_string() && made["token"]["expiresAt"].is_string(), "{made}");
    let listed = with_token(&["token", "list"]);
    assert!(listed.contains("ops") && listed.contains("w1") && !listed.contains("onex_"), "{listed}");
    // The secret may stand in a file that its owner alone reads.
    let file = directory.path().join("token");
    fs::write(&file, &secret).unwrap();
    let with_file =
        || onex(&["token", "list"]).env("ONEX_SERVER", server.url()).env("ONEX_TOKEN_FILE", &file).output().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = with_file();
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(with_file().status.success());
    with_token(&["token", "revoke", made["token"]["id"].as_str().unwrap()]);
    let refused = Client::try_new(server.url(), made["secret"].as_str().map(str::to_owned)).unwrap();
    assert_eq!(code(&ask(&refused, "{ registry { sequence } }", json!({})).await), UNKNOWN);
}

#[test]
fn a_policy_is_checked_and_asked_before_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (status, shown, _) = run(&["policy", "show"]);
    assert_eq!(status, Some(0));
    let good = write(
        "good.cedar",
        &format!(
            "{shown}@id(\"no-x\") forbid (principal, action == Action::\"invoke\", resource is Tool) when {{ resource.name == \"x\" }};\n"
        ),
    );
    let (status, said, _) = run(&["policy", "check", &good]);
    assert!(status == Some(0) && said.contains("13 policies"), "{said}");
    let bad = write("bad.cedar", "permit (principal, action == Action::\"fly\", resource);");
    let (status, _, said) = run(&["policy", "check", &bad]);
    assert!(status == Some(2) && said.contains("line 1") && said.contains("fly"), "{status:?} {said}");
    let asked = |more: &[&str]| {
        let arguments: Vec<&str> = ["policy", "check", &good].iter().chain(more).copied().collect();
        run(&arguments)
    };
    let (status, said, _) =
        asked(&["--principal", "ann", "--role", "agent", "--action", "invoke", "--resource", "Tool::add"]);
    assert!(status == Some(0) && said.contains("allowed") && said.contains("agent-calls"), "{said}");
    let (status, said, _) =
        asked(&["--principal", "ann", "--role", "agent", "--action", "invoke", "--resource", "Tool::x"]);
    assert!(status == Some(1) && said.contains("denied") && said.contains("no-x"), "{said}");
    let (status, said, _) = asked(&[
        "--role",
        "viewer",
        "--action",
        "register",
        "--resource",
        "Node::00000000-0000-4000-8000-000000000001",
    ]);
    assert!(status == Some(1) && said.contains("role admin") && said.contains("node-acts-for-itself"), "{said}");
    assert!(Path::new(&good).exists());
}
