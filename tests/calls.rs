//! Tools are called through the registry: what callers are told, whatever providers do.

use crate::support::provider::Provider;
use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::{PATIENCE, eventually};
use serde_json::{Value, json};

pub const INVOKE: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) {
    id status toolName toolVersion arguments result chunks warnings correlationId timeoutMs dryRun
    error { code type message details retryable } provider { id name }
    attempts { number nodeId outcome lateAnswerAt error { type } }
    plan { reason provider { name } arguments candidates { eligible reason node { name } } } } }";
const READ: &str = "query($id: UUID!) { invocation(id: $id) { status result arguments chunks
    error { code type message retryable } attempts { number nodeId outcome lateAnswerAt }
    events { type correlationId metadata } } }";

/// A tool without schemas.
fn tool(name: &str) -> Value {
    json!([{"name": name, "version": "1.0.0"}])
}

fn adder() -> Value {
    json!([{
        "name": "add", "version": "1.0.0",
        "inputSchema": {
            "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"],
        },
        "outputSchema": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
    }])
}

pub async fn invoke(server: &Server, input: Value) -> Value {
    server.query(INVOKE, json!({"input": input})).await["proxyInvoke"].take()
}

async fn read(server: &Server, id: &Value) -> Value {
    server.query(READ, json!({"id": id})).await["invocation"].take()
}

fn kinds(invocation: &Value) -> Vec<&str> {
    invocation["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// A call that is begun and not waited for: its id.
async fn begin(server: &Server, mut input: Value) -> Value {
    input["wait"] = json!(false);
    let mut begun = invoke(server, input).await;
    assert!(["ROUTED", "RUNNING"].contains(&begun["status"].as_str().unwrap()), "{begun}");
    begun["id"].take()
}

async fn ended(server: &Server, id: &Value) -> Value {
    let running = ["PENDING", "ROUTED", "RUNNING"];
    eventually("the call ends", async || {
        let call = read(server, id).await;
        (!running.contains(&call["status"].as_str().unwrap())).then_some(call)
    })
    .await
}

#[tokio::test]
async fn a_call_reaches_its_provider_and_its_answer_the_caller() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "adder", adder()).await;
    let calling = invoke(&server, json!({"tool": "add", "arguments": {"a": 2, "b": 3}, "correlationId": "c-1"}));
    let answering = async {
        let call = provider.call().await;
        assert_eq!((&call["tool"], &call["arguments"]), (&json!("add"), &json!({"a": 2, "b": 3})));
        assert_eq!((&call["correlationId"], &call["attempt"]), (&json!("c-1"), &json!(1)));
        provider.answer(&call, json!({"sum": 5})).await;
    };
    let (call, ()) = tokio::join!(calling, answering);
    assert_eq!((&call["status"], &call["result"]), (&json!("SUCCEEDED"), &json!({"sum": 5})), "{call}");
    assert_eq!((&call["provider"]["name"], &call["toolVersion"]), (&json!("adder"), &json!("1.0.0")));

    let seen = read(&server, &call["id"]).await;
    assert_eq!(kinds(&seen), ["TOOL_PROXY_INVOKE", "TOOL_PROXY_ACCEPTED", "TOOL_PROXY_RESULT"]);
    assert!(seen["events"].as_array().unwrap().iter().all(|event| event["correlationId"] == "c-1"));
    let listed = server.query("{ invocations { totalCount nodes { id status } } }", Value::Null).await;
    assert_eq!(listed["invocations"]["nodes"], json!([{"id": call["id"], "status": "SUCCEEDED"}]));
}

#[tokio::test]
async fn a_call_that_cannot_be_is_turned_away_with_what_is_wrong() {
    let server = Server::start();
    let _provider = Provider::start(&server, "adder", adder()).await;
    let call = invoke(&server, json!({"tool": "add", "arguments": {"a": "two"}})).await;
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("REJECTED"), &json!("TOOL_INVALID_ARGUMENTS")));
    let violations = call["error"]["details"]["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 2, "{call}");
    let of_a = violations.iter().find(|violation| violation["path"] == "/a").unwrap();
    assert_eq!((&of_a["got"], &of_a["expected"]), (&json!("two"), &json!("type: \"integer\"")));
    assert_eq!(kinds(&read(&server, &call["id"]).await), ["TOOL_PROXY_INVOKE", "TOOL_PROXY_REJECTED"]);

    for (input, code) in [
        (json!({"tool": "subtract", "arguments": {}}), "TOOL_NOT_FOUND"),
        (json!({"tool": "add", "version": "^2", "arguments": {"a": 1, "b": 1}}), "TOOL_NOT_FOUND"),
        (json!({"tool": "add", "arguments": {"a": 1, "b": 1}, "trustedOnly": true}), "TOOL_UNTRUSTED"),
        (json!({"tool": "add", "arguments": {"a": 1, "b": 1}, "nodeId": uuid::Uuid::nil()}), "TOOL_NO_PROVIDER"),
    ] {
        let call = invoke(&server, input.clone()).await;
        assert_eq!((&call["status"], &call["error"]["code"]), (&json!("REJECTED"), &json!(code)), "{input}");
        assert_eq!(call["attempts"], json!([]), "{input}");
    }
    for (input, says) in [
        (json!({"tool": "add", "arguments": {}, "timeoutMs": 0}), "timeoutMs: is not between 1 and 3600000"),
        (json!({"tool": "add", "arguments": {}, "maxFailovers": -1}), "maxFailovers: is less than 0"),
        (json!({"tool": "", "arguments": {}}), "tool: is empty"),
        (json!({"tool": "add", "arguments": {}, "version": "^"}), "version: "),
        (json!({"tool": "add", "arguments": {}, "idempotencyKey": ""}), "idempotencyKey: has 0 characters"),
    ] {
        let (code, message) = server.refused(INVOKE, json!({"input": input})).await;
        assert_eq!(code, "INVALID_ARGUMENT");
        assert!(message.starts_with(says), "{message}");
    }
}

#[tokio::test]
async fn without_anybody_who_listens_a_call_says_why_of_each_provider() {
    let server = Server::start();
    for name in ["idle", "gone"] {
        server
            .query(
                "mutation($input: RegisterInput!) { register(input: $input) { created } }",
                json!({"input": {"name": name, "tools": tool("ping"), "declareOnly": name == "gone"}}),
            )
            .await;
    }
    let call = invoke(&server, json!({"tool": "ping", "arguments": {}})).await;
    assert_eq!((&call["error"]["code"], &call["error"]["retryable"]), (&json!("TOOL_NO_PROVIDER"), &json!(true)));
    let reasons = call["error"]["details"]["providers"].to_string();
    assert!(reasons.contains("has no toolCalls subscription") && reasons.contains("only declared"), "{reasons}");
}

#[tokio::test]
async fn each_policy_picks_its_provider() {
    let server = Server::start();
    let mut providers = Vec::new();
    for name in ["one", "two", "three"] {
        providers.push(Provider::start(&server, name, tool("who")).await);
    }
    let nodes: Vec<String> = providers.iter().map(|provider| provider.node.clone()).collect();
    let answering = |provider: Provider| {
        let node = provider.node.clone();
        provider.answer_all(move |_| json!({"result": node}))
    };
    let tasks: Vec<_> = providers.into_iter().map(answering).collect();
    let who = async |input: Value| {
        let mut input = input;
        input["tool"] = json!("who");
        input["arguments"] = json!({});
        invoke(&server, input).await
    };
    let warned = who(json!({})).await;
    assert_eq!(warned["result"], json!(nodes[0]));
    assert!(warned["warnings"][0].as_str().unwrap().contains("names no policy"), "{warned}");
    let first = who(json!({"policy": "FIRST"})).await;
    assert_eq!((&first["result"], &first["warnings"]), (&json!(nodes[0]), &json!([])));
    let mut turns = Vec::new();
    for _ in 0..6 {
        turns.push(who(json!({"policy": "ROUND_ROBIN"})).await["result"].as_str().unwrap().to_owned());
    }
    assert!(nodes.iter().all(|node| turns.iter().filter(|turn| *turn == node).count() == 2), "{turns:?}");
    // What is only planned takes nobody's turn.
    let planned = json!({"policy": "ROUND_ROBIN", "dryRun": true});
    let plans = [who(planned.clone()).await["plan"].clone(), who(planned).await["plan"].clone()];
    assert_eq!(plans[0]["provider"], plans[1]["provider"]);
    let drawn = who(json!({"policy": "RANDOM"})).await;
    assert!(nodes.iter().any(|node| drawn["result"] == json!(node)));
    let named = who(json!({"nodeId": nodes[2]})).await;
    assert_eq!((&named["result"], &named["warnings"]), (&json!(nodes[2]), &json!([])));
    let all = who(json!({"policy": "ALL"})).await;
    let answers = all["result"].as_array().unwrap();
    assert_eq!(
        answers.iter().map(|answer| answer["result"].clone()).collect::<Vec<_>>(),
        [json!(nodes[0]), json!(nodes[1]), json!(nodes[2])]
    );
    assert_eq!((&all["status"], all["attempts"].as_array().unwrap().len()), (&json!("SUCCEEDED"), 3));

    // The one that says it is busy is not the first choice.
    let busy = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";
    server.query(busy, json!({"input": {"nodeId": nodes[0], "load": 0.9}})).await;
    server.query(busy, json!({"input": {"nodeId": nodes[1], "load": 0.5}})).await;
    for _ in 0..3 {
        assert_eq!(who(json!({"policy": "LEAST_LOADED"})).await["result"], json!(nodes[2]));
    }
    // One that drains gets no more.
    server.query(busy, json!({"input": {"nodeId": nodes[0], "draining": true}})).await;
    assert_eq!(who(json!({"policy": "FIRST"})).await["result"], json!(nodes[1]));
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_call_without_an_answer_times_out_and_a_late_answer_is_recorded_and_discarded() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "slow", tool("sleep")).await;
    let calling = invoke(&server, json!({"tool": "sleep", "arguments": {}, "timeoutMs": 100}));
    let (call, asked) = tokio::join!(calling, provider.call());
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("TIMED_OUT"), &json!("TOOL_TIMEOUT")));
    assert_eq!(call["timeoutMs"], 100);
    let stopped = provider.stopped().await;
    assert_eq!(stopped["invocationId"], asked["invocationId"]);
    assert!(stopped["reason"].as_str().unwrap().contains("within 100 ms"), "{stopped}");

    let late = provider.complete(&asked, json!({"result": "here I am"})).await;
    assert_eq!(late["data"]["completeInvocation"]["status"], "TIMED_OUT");
    let again = provider.complete(&asked, json!({"result": "and again"})).await;
    assert_eq!(again["errors"][0]["extensions"]["code"], "ALREADY_EXISTS", "{again}");
    let seen = read(&server, &call["id"]).await;
    let kinds = kinds(&seen);
    assert_eq!(kinds, ["TOOL_PROXY_INVOKE", "TOOL_PROXY_ACCEPTED", "TOOL_PROXY_TIMEOUT", "TOOL_PROXY_RESULT"]);
    assert_eq!((&seen["events"][3]["metadata"]["late"], &seen["result"]), (&json!(true), &Value::Null));
    assert!(seen["attempts"][0]["lateAnswerAt"].is_string(), "{seen}");
}

#[tokio::test]
async fn of_late_answers_to_a_call_that_only_the_log_remembers_the_first_alone_counts() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let mut provider = Provider::start(&server, "slow", tool("sleep")).await;
    let calling = invoke(&server, json!({"tool": "sleep", "arguments": {}, "timeoutMs": 1}));
    let (call, asked) = tokio::join!(calling, provider.call());
    assert_eq!(call["status"], "TIMED_OUT");
    assert!(server.stop().success());

    let server = Server::start_in(directory.path(), &[]);
    let answers = "mutation($first: CompleteInvocationInput!, $second: CompleteInvocationInput!) {
        first: completeInvocation(input: $first) { status } second: completeInvocation(input: $second) { status } }";
    let answer = |said| json!({"invocationId": asked["invocationId"], "result": said});
    let (code, _) = server.refused(answers, json!({"first": answer("here"), "second": answer("again")})).await;
    assert_eq!(code, "ALREADY_EXISTS");
    let seen = read(&server, &call["id"]).await;
    let expected = ["TOOL_PROXY_INVOKE", "TOOL_PROXY_ACCEPTED", "TOOL_PROXY_TIMEOUT", "TOOL_PROXY_RESULT"];
    assert_eq!(kinds(&seen), expected, "{seen}");
    assert!(seen["attempts"][0]["lateAnswerAt"].is_string(), "{seen}");
}

#[tokio::test]
async fn whoever_was_told_the_end_of_a_call_reads_that_it_has_ended() {
    let server = Server::start();
    let answering = Provider::start(&server, "echo", tool("echo")).await.answer_all(|_| json!({"result": null}));
    let asked = "query($id: UUID!, $of: String!) { invocation(id: $id) { status }
        invocations(filter: {correlationId: $of}) { nodes { status } } }";
    let one_by_one = async |caller: usize| {
        for number in 0..20 {
            let of = format!("{caller}-{number}");
            let call = invoke(&server, json!({"tool": "echo", "arguments": {}, "correlationId": of})).await;
            // Meanwhile the call goes from memory to the log.
            for _ in 0..8 {
                let read = server.query(asked, json!({"id": call["id"], "of": of})).await;
                let ended = json!({"status": "SUCCEEDED"});
                assert_eq!(read, json!({"invocation": ended, "invocations": {"nodes": [ended]}}), "{call}");
            }
        }
    };
    futures_util::future::join_all((0..8).map(one_by_one)).await;
    answering.abort();
}

#[tokio::test]
async fn lying_providers_are_found_out() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "liar", adder()).await;
    let arguments = json!({"a": 1, "b": 1});
    // An answer that does not fit.
    let calling = invoke(&server, json!({"tool": "add", "arguments": arguments}));
    let answering = async {
        let call = provider.call().await;
        let wrong = json!({"invocationId": uuid::Uuid::nil()});
        let unknown = provider.complete(&wrong, json!({"result": {"sum": 2}})).await;
        assert_eq!(unknown["errors"][0]["extensions"]["code"], "NOT_FOUND", "{unknown}");
        provider.answer(&call, json!({"sum": "two"})).await;
        let twice = provider.complete(&call, json!({"result": {"sum": 2}})).await;
        assert_eq!(twice["errors"][0]["extensions"]["code"], "ALREADY_EXISTS", "{twice}");
        let both = provider.complete(&call, json!({"result": 1, "error": {"message": "no"}})).await;
        assert_eq!(both["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT", "{both}");
    };
    let (call, ()) = tokio::join!(calling, answering);
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("FAILED"), &json!("TOOL_INVALID_RESULT")));
    assert_eq!(call["error"]["details"]["violations"][0]["path"], "/sum");

    // An answer that is too large ends the liar's connection, and with it the call: at once, not by its deadline.
    let id = begin(&server, json!({"tool": "add", "arguments": arguments})).await;
    let asked = provider.call().await;
    let huge = json!({"input": {"invocationId": asked["invocationId"], "result": "x".repeat(20 << 20)}});
    provider
        .shout("mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { id } }", huge)
        .await;
    let call = ended(&server, &id).await;
    assert_eq!((&call["status"], &call["error"]["type"]), (&json!("FAILED"), &json!("ProviderLost")));
}

#[tokio::test]
async fn a_tool_that_fails_says_so_in_its_own_words() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "divider", tool("divide")).await;
    let calling = invoke(&server, json!({"tool": "divide", "arguments": {"by": 0}}));
    let answering = async {
        let call = provider.call().await;
        let error = json!({"code": "DivisionByZero", "message": "nothing divides by 0", "details": {"by": 0}});
        provider.complete(&call, json!({"error": error, "traceLogId": "t-1"})).await;
    };
    let (call, ()) = tokio::join!(calling, answering);
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("FAILED"), &json!("TOOL_FAILED")));
    assert_eq!((&call["error"]["type"], &call["error"]["details"]), (&json!("DivisionByZero"), &json!({"by": 0})));
}

#[tokio::test]
async fn a_lost_provider_is_known_at_once_and_only_an_idempotent_call_goes_to_another() {
    let server = Server::start();
    let mut first = Provider::start(&server, "first", tool("work")).await;
    let mut second = Provider::start(&server, "second", tool("work")).await;
    let once = begin(&server, json!({"tool": "work", "arguments": {}, "policy": "FIRST"})).await;
    let again = begin(&server, json!({"tool": "work", "arguments": {}, "policy": "FIRST", "idempotent": true})).await;
    let asked = [first.call().await, first.call().await];
    drop(first);
    let call = ended(&server, &once).await;
    assert_eq!((&call["status"], &call["error"]["type"]), (&json!("FAILED"), &json!("ProviderLost")), "{call}");
    let moved = second.call().await;
    assert_eq!(moved["attempt"], 2);
    assert!(asked.iter().all(|asked| asked["invocationId"] != moved["invocationId"]), "each attempt has its own id");
    second.answer(&moved, json!("done")).await;
    let call = ended(&server, &again).await;
    assert_eq!((&call["status"], &call["result"]), (&json!("SUCCEEDED"), &json!("done")));
    let outcomes: Vec<&Value> =
        call["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, [&json!("FAILED"), &json!("SUCCEEDED")]);
    // The one that was lost answers the id that it knows: too late.
    let late = second.complete(&asked[1], json!({"result": "me too"})).await;
    assert_eq!(late["data"]["completeInvocation"]["status"], "SUCCEEDED", "{late}");
    assert_eq!(read(&server, &again).await["result"], "done");
}

#[tokio::test]
async fn a_provider_gets_no_more_calls_than_it_takes() {
    let server = Server::start();
    let tools = json!([{"name": "work", "version": "1.0.0", "maxInFlight": 2}]);
    let mut provider = Provider::start(&server, "busy", tools).await;
    let (one, two) = (
        begin(&server, json!({"tool": "work", "arguments": 1})).await,
        begin(&server, json!({"tool": "work", "arguments": 2})).await,
    );
    let call = invoke(&server, json!({"tool": "work", "arguments": 3})).await;
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("REJECTED"), &json!("TOOL_OVERLOADED")), "{call}");
    let asked = provider.call().await;
    provider.answer(&asked, json!(null)).await;
    assert_eq!(ended(&server, &one).await["status"], "SUCCEEDED");
    let three = begin(&server, json!({"tool": "work", "arguments": 3})).await;
    for id in [two, three] {
        let asked = provider.call().await;
        provider.answer(&asked, json!(null)).await;
        assert_eq!(ended(&server, &id).await["status"], "SUCCEEDED");
    }
    // A listener may take fewer than its tools.
    let node = provider.node.clone();
    drop(provider);
    let _narrow = Provider::listen(&server, node, json!(1)).await;
    begin(&server, json!({"tool": "work", "arguments": 4})).await;
    let call = invoke(&server, json!({"tool": "work", "arguments": 5})).await;
    assert_eq!(call["error"]["code"], "TOOL_OVERLOADED", "{call}");
}

#[tokio::test]
async fn the_same_key_gives_the_same_call_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let mut provider = Provider::start(&server, "payer", tool("pay")).await;
    let input = json!({"tool": "pay", "arguments": {"euros": 5}, "idempotencyKey": "order-7"});
    let answering = async {
        let call = provider.call().await;
        provider.answer(&call, json!("paid")).await;
    };
    let (first, second, ()) = tokio::join!(invoke(&server, input.clone()), invoke(&server, input.clone()), answering);
    assert_eq!((&first["id"], &first["result"]), (&second["id"], &json!("paid")));
    let other = json!({"tool": "pay", "arguments": {"euros": 6}, "idempotencyKey": "order-7"});
    let (code, message) = server.refused(INVOKE, json!({"input": other})).await;
    assert_eq!(code, "INVALID_ARGUMENT");
    assert!(message.contains("a new request needs a new key"), "{message}");
    // What is in the log survives a power cut.
    server.query("query($id: UUID!) { invocation(id: $id) { events { type } } }", json!({"id": first["id"]})).await;
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    let third = invoke(&server, input).await;
    assert_eq!((&third["id"], &third["result"]), (&first["id"], &json!("paid")), "{third}");
}

#[tokio::test]
async fn a_dry_run_says_who_would_get_the_call_and_leaves_no_trace() {
    let server = Server::start();
    let _one = Provider::start(&server, "one", adder()).await;
    server
        .query(
            "mutation($input: RegisterInput!) { register(input: $input) { created } }",
            json!({"input": {"name": "two", "tools": adder()}}),
        )
        .await;
    let sequence = server.sequence().await;
    let input = json!({"tool": "add", "arguments": {"a": 1, "b": 2}, "dryRun": true});
    let call = invoke(&server, input).await;
    assert_eq!((&call["dryRun"], &call["status"]), (&json!(true), &json!("ROUTED")));
    let plan = &call["plan"];
    assert_eq!((&plan["provider"]["name"], &plan["arguments"]), (&json!("one"), &json!({"a": 1, "b": 2})));
    assert_eq!(plan["reason"], "it is the only one that can take the call");
    assert_eq!(plan["candidates"][1]["eligible"], false);
    let wrong = invoke(&server, json!({"tool": "add", "arguments": {}, "dryRun": true})).await;
    assert_eq!((&wrong["status"], &wrong["error"]["code"]), (&json!("REJECTED"), &json!("TOOL_INVALID_ARGUMENTS")));
    let after = server.query("{ registry { sequence } invocations { totalCount } }", Value::Null).await;
    assert_eq!(
        (after["registry"]["sequence"].as_u64(), &after["invocations"]["totalCount"]),
        (Some(sequence), &json!(0))
    );
}

#[tokio::test]
async fn a_call_that_is_not_waited_for_is_followed_step_by_step() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "counter", tool("count")).await;
    let id = begin(&server, json!({"tool": "count", "arguments": {}, "correlationId": "both"})).await;
    let mut socket = Socket::ready(&server).await;
    let updates = "subscription($id: UUID) { invocationUpdates(id: $id) { status chunks result } }";
    socket.operate("one", updates, json!({"id": id})).await;
    let by_undertaking = "subscription { invocationUpdates(correlationId: \"both\") { id status } }";
    socket.operate("all", by_undertaking, json!({})).await;
    let call = provider.call().await;
    for chunk in 1..=3 {
        let progress = "mutation($input: ProgressInvocationInput!) { progressInvocation(input: $input) { status } }";
        let input = json!({"invocationId": call["invocationId"], "chunk": chunk});
        provider.ask(progress, json!({"input": input})).await;
    }
    provider.answer(&call, json!("three")).await;
    let (mut last, mut others) = (Value::Null, Vec::new());
    while last["status"] != "SUCCEEDED" || others.last() != Some(&json!("SUCCEEDED")) {
        let message = tokio::time::timeout(PATIENCE, socket.hear()).await.unwrap();
        match (message["id"].as_str(), message["type"].as_str()) {
            (Some("one"), Some("next")) => last = message["payload"]["data"]["invocationUpdates"].clone(),
            (Some("all"), Some("next")) => {
                others.push(message["payload"]["data"]["invocationUpdates"]["status"].clone());
            }
            _ => {}
        }
    }
    assert_eq!((&last["chunks"], &last["result"]), (&json!([1, 2, 3]), &json!("three")));
    // What came is still there for who comes back later.
    let mut later = Socket::ready(&server).await;
    later.operate("again", updates, json!({"id": id})).await;
    let message = later.hear().await;
    assert_eq!(message["payload"]["data"]["invocationUpdates"], last, "{message}");
    assert_eq!(later.hear().await["type"], "complete");
    // Nobody waits for parts of an answer that was given.
    let late = json!({"invocationId": call["invocationId"], "chunk": 4});
    let progress = "mutation($input: ProgressInvocationInput!) { progressInvocation(input: $input) { status } }";
    let late = provider.ask(progress, json!({"input": late})).await;
    assert_eq!(late["data"]["progressInvocation"], json!({"status": "SUCCEEDED"}));
}

#[tokio::test]
async fn a_call_that_is_taken_back_ends_and_its_provider_is_told() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "worker", tool("work")).await;
    let id = begin(&server, json!({"tool": "work", "arguments": {}})).await;
    let asked = provider.call().await;
    let cancel = "mutation($input: InvocationRefInput!) { cancelInvocation(input: $input) { status } }";
    let cancelled = server.query(cancel, json!({"input": {"invocationId": id}})).await;
    assert_eq!(cancelled["cancelInvocation"]["status"], "CANCELLED");
    assert_eq!(provider.stopped().await["invocationId"], asked["invocationId"]);
    let late = provider.complete(&asked, json!({"result": 1})).await;
    assert_eq!(late["data"]["completeInvocation"]["status"], "CANCELLED");
    let again = server.query(cancel, json!({"input": {"invocationId": id}})).await;
    assert_eq!(again["cancelInvocation"]["status"], "CANCELLED");
    let (code, _) = server.refused(cancel, json!({"input": {"invocationId": uuid::Uuid::nil()}})).await;
    assert_eq!(code, "NOT_FOUND");
}

#[tokio::test]
async fn a_batch_answers_in_order_and_stops_where_it_is_told_to() {
    let server = Server::start();
    let answering =
        Provider::start(&server, "echo", tool("echo")).await.answer_all(|call| match call["arguments"].as_u64() {
            Some(3) => json!({"error": {"message": "not three"}}),
            _ => json!({"result": call["arguments"]}),
        });
    let batch = "mutation($input: ProxyInvokeBatchInput!) { proxyInvokeBatch(input: $input) {
        succeeded failed invocations { status result } } }";
    let calls: Vec<Value> = (1..=20).map(|n| json!({"tool": "echo", "arguments": n})).collect();
    let all = server.query(batch, json!({"input": {"calls": calls, "parallelism": 4}})).await;
    let all = &all["proxyInvokeBatch"];
    assert_eq!((&all["succeeded"], &all["failed"]), (&json!(19), &json!(1)));
    assert_eq!(all["invocations"][19], json!({"status": "SUCCEEDED", "result": 20}));
    assert_eq!(all["invocations"][2]["status"], "FAILED");
    let stopped = json!({"input": {"calls": calls, "parallelism": 1, "stopOnError": true}});
    let stopped = server.query(batch, stopped).await;
    let statuses: Vec<Value> = stopped["proxyInvokeBatch"]["invocations"].as_array().unwrap().clone();
    assert_eq!(statuses[2]["status"], "FAILED");
    assert!(statuses[3..].iter().all(|call| call["status"] == "CANCELLED"), "{statuses:?}");
    let (code, message) = server.refused(batch, json!({"input": {"calls": []}})).await;
    assert_eq!((code.as_str(), message.as_str()), ("INVALID_ARGUMENT", "calls: has 0 entries; it has 1 to 1000"));
    answering.abort();
}

#[tokio::test]
async fn a_provider_that_fails_too_often_is_left_alone_for_a_while_and_says_why() {
    let server = Server::start();
    let answering = Provider::start(&server, "bad", adder()).await.answer_all(|_| json!({"result": "nonsense"}));
    let input = json!({"tool": "add", "arguments": {"a": 1, "b": 1}});
    for _ in 0..5 {
        assert_eq!(invoke(&server, input.clone()).await["error"]["code"], "TOOL_INVALID_RESULT");
    }
    let refused = invoke(&server, input.clone()).await;
    assert_eq!(refused["error"]["code"], "TOOL_NO_PROVIDER");
    assert!(refused["error"]["message"].as_str().unwrap().contains("it failed too often of late"), "{refused}");
    let asked = "{ tool(name: \"add\") { quarantine providers { healthy quarantine
        circuit { state failures retryAt cause } } } }";
    let shown = server.query(asked, Value::Null).await;
    let provider = &shown["tool"]["providers"][0];
    assert_eq!((&provider["circuit"]["state"], &provider["healthy"]), (&json!("OPEN"), &json!(false)), "{shown}");
    assert!(provider["circuit"]["retryAt"].is_string() && shown["tool"]["quarantine"].is_string(), "{shown}");
    // It hides nobody else.
    let mut good = Provider::start(&server, "good", adder()).await;
    let answer = async {
        let call = good.call().await;
        good.answer(&call, json!({"sum": 2})).await;
    };
    let (call, ()) = tokio::join!(invoke(&server, input), answer);
    assert_eq!((&call["status"], &call["provider"]["name"]), (&json!("SUCCEEDED"), &json!("good")), "{call}");
    answering.abort();
}

#[tokio::test]
async fn a_tool_with_a_broken_schema_is_kept_apart_and_hides_no_other() {
    let server = Server::start();
    let register = "mutation($input: RegisterInput!) { register(input: $input) { warnings } }";
    let broken = |version: &str| json!({"name": "add", "version": version, "inputSchema": {"type": "strin"}});
    let tools = json!([broken("2.0.0"), broken("1.0.0"), {"name": "fine", "version": "1.0.0"}]);
    let registered = server.query(register, json!({"input": {"name": "careless", "tools": tools}})).await;
    let warnings = registered["register"]["warnings"].to_string();
    assert!(warnings.contains("takes no calls until it is mended") && warnings.contains("inputSchema"), "{warnings}");
    let alone = invoke(&server, json!({"tool": "add", "arguments": {}})).await;
    assert!(alone["error"]["message"].as_str().unwrap().contains("does not compile"), "{alone}");

    let mut careful = Provider::start(&server, "careful", adder()).await;
    let shown = server.query("{ tool(name: \"add\") { version quarantine } }", Value::Null).await;
    assert_eq!(shown["tool"], json!({"version": "1.0.0", "quarantine": null}), "the broken 2.0.0 does not hide it");
    let answer = async {
        let call = careful.call().await;
        careful.answer(&call, json!({"sum": 2})).await;
    };
    let (call, ()) = tokio::join!(invoke(&server, json!({"tool": "add", "arguments": {"a": 1, "b": 1}})), answer);
    assert_eq!((&call["status"], &call["provider"]["name"]), (&json!("SUCCEEDED"), &json!("careful")), "{call}");
}

#[tokio::test]
async fn calls_under_way_when_the_registry_dies_have_failed_after_it_and_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let mut provider = Provider::start(&server, "worker", tool("work")).await;
    let id = begin(&server, json!({"tool": "work", "arguments": {}})).await;
    let asked = provider.call().await;
    // The event says that it is in the log.
    eventually("the acceptance is recorded", async || {
        kinds(&read(&server, &id).await).contains(&"TOOL_PROXY_ACCEPTED").then_some(())
    })
    .await;
    let node = provider.node.clone();
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    let call = read(&server, &id).await;
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("FAILED"), &json!("UNAVAILABLE")), "{call}");
    assert_eq!((&call["error"]["type"], &call["error"]["retryable"]), (&json!("RegistryRestarted"), &json!(false)));
    // Its provider answers after all: discarded, and recorded once.
    let mut provider = Provider::listen(&server, node, Value::Null).await;
    let late = provider.complete(&asked, json!({"result": "done"})).await;
    assert_eq!(late["data"]["completeInvocation"]["status"], "FAILED", "{late}");
    let call = eventually("the late answer is recorded", async || {
        let call = read(&server, &id).await;
        call["attempts"][0]["lateAnswerAt"].is_string().then_some(call)
    })
    .await;
    assert_eq!((call["events"].as_array().unwrap().len(), &call["result"]), (4, &Value::Null), "{call}");
    let again = provider.complete(&asked, json!({"result": "done"})).await;
    assert_eq!(again["errors"][0]["extensions"]["code"], "ALREADY_EXISTS", "{again}");
}

#[tokio::test]
async fn a_registry_that_stops_lets_calls_end_and_takes_no_new_ones() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "worker", tool("work")).await;
    let client = server.client();
    let calling = tokio::spawn(async move {
        client.query::<Value>(INVOKE, json!({"input": {"tool": "work", "arguments": {}}})).await.unwrap()
    });
    let asked = provider.call().await;
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    provider.answer(&asked, json!("just in time")).await;
    assert_eq!(calling.await.unwrap()["proxyInvoke"]["result"], "just in time");
    assert!(stopped.await.unwrap().success());
}

#[tokio::test]
async fn secrets_are_kept_from_everybody_but_the_caller_and_long_payloads_from_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let schema = json!({"type": "object", "properties": {"pin": {"type": "string", "writeOnly": true}}});
    let tools = json!([{"name": "login", "version": "1.0.0", "inputSchema": schema,
        "outputSchema": {"properties": {"token": {"x-onex-sensitive": true}}}}]);
    let mut provider = Provider::start(&server, "door", tools).await;
    let arguments = json!({"pin": "hunter2", "note": "n".repeat(10_000)});
    let answering = async {
        let call = provider.call().await;
        assert_eq!(call["arguments"]["pin"], "hunter2");
        provider.answer(&call, json!({"token": "s3cret", "ok": true})).await;
    };
    let calling = invoke(&server, json!({"tool": "login", "arguments": arguments.clone()}));
    let (call, ()) = tokio::join!(calling, answering);
    assert_eq!((&call["result"]["token"], &call["arguments"]), (&json!("s3cret"), &arguments));
    let mine = read(&server, &call["id"]).await;
    assert_eq!((&mine["result"]["token"], &mine["arguments"]), (&json!("s3cret"), &arguments), "its caller sees it");
    let listed = server
        .query("{ invocations { nodes { arguments result } } events { nodes { metadata } } }", Value::Null)
        .await
        .to_string();
    assert!(!listed.contains("hunter2") && !listed.contains("s3cret"), "{listed}");
    assert!(listed.contains("[redacted]") && listed.contains("onexTruncated"), "{listed}");
    drop(provider);
    assert!(server.stop().success());
    for file in std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).filter(|p| p.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [&b"hunter2"[..], b"s3cret"] {
            assert!(!bytes.windows(secret.len()).any(|at| at == secret), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn what_calls_add_up_to_is_told_by_tool_and_by_node_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let mut provider = Provider::start(&server, "worker", tool("work")).await;
    for number in 1..=4 {
        let calling = invoke(&server, json!({"tool": "work", "arguments": number, "timeoutMs": 200}));
        let answering = async {
            let call = provider.call().await;
            match number {
                2 => _ = provider.complete(&call, json!({"error": {"message": "no"}})).await,
                3 => {}
                _ => _ = provider.complete(&call, json!({"result": number * 10, "traceLogId": "t"})).await,
            }
        };
        tokio::join!(calling, answering);
    }
    let asked =
        "query($id: UUID!) { tool(name: \"work\") { metrics { calls failures timeouts p50DurationMs p99DurationMs } }
        node(by: {id: $id}) { execution { count successCount failureCount successRate lastInputs lastOutputs traceLogId
        lastDurationMs p50DurationMs } } }";
    let node = provider.node.clone();
    let told = eventually("all calls are counted", async || {
        let told = server.query(asked, json!({"id": node})).await;
        (told["tool"]["metrics"]["calls"] == 4).then_some(told)
    })
    .await;
    let metrics = &told["tool"]["metrics"];
    assert_eq!((&metrics["failures"], &metrics["timeouts"]), (&json!(2), &json!(1)), "{told}");
    assert!(metrics["p99DurationMs"].as_f64().unwrap() > 150.0 && metrics["p50DurationMs"].as_f64().unwrap() > 0.0);
    let execution = &told["node"]["execution"];
    assert_eq!((&execution["successCount"], &execution["successRate"]), (&json!(2), &json!(0.5)));
    assert_eq!((&execution["lastInputs"], &execution["lastOutputs"]), (&json!(4), &json!(40)), "{execution}");
    assert_eq!(execution["traceLogId"], "t");
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(server.query(asked, json!({"id": node})).await, told);
}

#[tokio::test]
async fn tools_of_nodes_that_nobody_trusts_are_hidden_where_the_registry_wants_trust() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("onex.toml");
    std::fs::write(&file, "[calls]\nleast_trust = \"TRUSTED\"\n").unwrap();
    let server = Server::start_in(&directory.path().join("data"), &["--config", file.to_str().unwrap()]);
    let node = {
        let registered = server
            .query(
                "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }",
                json!({"input": {"name": "stranger", "tools": tool("work")}}),
            )
            .await;
        registered["register"]["node"]["id"].clone()
    };
    let asked = "{ tool(name: \"work\") { name } tools { totalCount nodes { name } } }";
    let hidden = server.query(asked, Value::Null).await;
    assert_eq!(hidden, json!({"tool": null, "tools": {"totalCount": 0, "nodes": []}}));
    let call = invoke(&server, json!({"tool": "work", "arguments": {}})).await;
    assert_eq!(call["error"]["code"], "TOOL_NOT_FOUND");
    let attest = "mutation($input: AttestInput!) { attest(input: $input) { id } }";
    let input = json!({"nodeId": node, "validatorId": uuid::Uuid::nil(), "state": "TRUSTED"});
    server.query(attest, json!({"input": input})).await;
    assert_eq!(server.query(asked, Value::Null).await["tools"]["totalCount"], 1);
    let call = invoke(&server, json!({"tool": "work", "arguments": {}})).await;
    assert_eq!(call["error"]["code"], "TOOL_NO_PROVIDER", "it is known now, and nobody listens");
}

#[tokio::test]
async fn a_heartbeat_renews_the_tools_that_it_names() {
    let server = Server::start();
    let tools =
        json!([{"name": "a", "version": "1", "ttlSeconds": 100}, {"name": "b", "version": "1", "ttlSeconds": 100}]);
    let provider = Provider::start(&server, "worker", tools).await;
    let expiries =
        "{ a: tool(name: \"a\") { providers { expiresAt } } b: tool(name: \"b\") { providers { expiresAt } } }";
    let before = server.query(expiries, Value::Null).await;
    let heartbeat = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";
    server.query(heartbeat, json!({"input": {"nodeId": provider.node, "tools": ["b"]}})).await;
    let after = server.query(expiries, Value::Null).await;
    assert_eq!(before["a"], after["a"]);
    assert_ne!(before["b"], after["b"]);
}

#[tokio::test]
async fn a_provider_that_is_gone_hides_nobody_who_promises_something_else() {
    let server = Server::start();
    let register = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
    let other = json!([{"name": "add", "version": "1.0.0", "inputSchema": {"type": "string"}}]);
    let earlier = server.query(register, json!({"input": {"name": "earlier", "tools": other}})).await;
    let mut later = Provider::start(&server, "later", adder()).await;
    let input = json!({"tool": "add", "arguments": {"a": 1, "b": 1}});
    let refused = invoke(&server, input.clone()).await;
    assert_eq!(refused["error"]["code"], "TOOL_INVALID_ARGUMENTS", "the earlier provider's word counts: {refused}");
    let drain = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";
    let node = &earlier["register"]["node"]["id"];
    server.query(drain, json!({"input": {"nodeId": node, "draining": true}})).await;
    let answer = async {
        let call = later.call().await;
        later.answer(&call, json!({"sum": 2})).await;
    };
    let (call, ()) = tokio::join!(invoke(&server, input), answer);
    assert_eq!((&call["status"], &call["provider"]["name"]), (&json!("SUCCEEDED"), &json!("later")), "{call}");
}

#[tokio::test]
async fn a_request_that_was_turned_away_may_be_made_again_under_its_name() {
    let server = Server::start();
    let input = json!({"tool": "work", "arguments": {}, "idempotencyKey": "again"});
    assert_eq!(invoke(&server, input.clone()).await["error"]["code"], "TOOL_NOT_FOUND");
    let mut provider = Provider::start(&server, "worker", tool("work")).await;
    let answer = async {
        let call = provider.call().await;
        provider.answer(&call, json!("done")).await;
    };
    let (call, ()) = tokio::join!(invoke(&server, input.clone()), answer);
    assert_eq!(call["result"], "done", "{call}");
    assert_eq!(invoke(&server, input).await["id"], call["id"]);
}

#[tokio::test]
async fn a_caller_in_a_hurry_says_nothing_of_the_provider() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "worker", tool("work")).await;
    for _ in 0..6 {
        let calling = invoke(&server, json!({"tool": "work", "arguments": {}, "timeoutMs": 1}));
        assert_eq!(calling.await["status"], "TIMED_OUT");
    }
    let answer = async {
        let mut call = provider.call().await;
        while call["arguments"] != json!({"now": true}) {
            call = provider.call().await;
        }
        provider.answer(&call, json!("done")).await;
    };
    let (call, ()) = tokio::join!(invoke(&server, json!({"tool": "work", "arguments": {"now": true}})), answer);
    assert_eq!(call["status"], "SUCCEEDED", "{call}");
}

#[tokio::test]
async fn tools_are_listed_by_version() {
    let server = Server::start();
    let tools = json!([{"name": "a", "version": "1.0.0"}, {"name": "a", "version": "1.4.0"}, {"name": "b", "version": "2.0.0"}]);
    let _provider = Provider::start(&server, "worker", tools).await;
    let asked = "query($version: String) { tools(filter: {version: $version}) { totalCount nodes { version } } }";
    let listed = server.query(asked, json!({"version": "^1.2"})).await;
    assert_eq!(listed["tools"], json!({"totalCount": 1, "nodes": [{"version": "1.4.0"}]}));
    let listed = server.query(asked, json!({"version": "2.0.0"})).await;
    assert_eq!(listed["tools"]["nodes"], json!([{"version": "2.0.0"}]));
    assert_eq!(server.refused(asked, json!({"version": "^x"})).await.0, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn turns_are_taken_tool_by_tool() {
    let server = Server::start();
    let tools = json!([{"name": "a", "version": "1.0.0"}, {"name": "b", "version": "1.0.0"}]);
    for name in ["one", "two"] {
        Provider::start(&server, name, tools.clone()).await.answer_all(|_| json!({"result": null}));
    }
    let mut of_a = Vec::new();
    for _ in 0..4 {
        for tool in ["a", "b"] {
            let call = invoke(&server, json!({"tool": tool, "arguments": {}, "policy": "ROUND_ROBIN"})).await;
            if tool == "a" {
                of_a.push(call["provider"]["name"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(of_a, ["one", "two", "one", "two"]);
    let shown = server.stdout_of(&["describe", "--node", "one"]);
    assert!(shown.contains("Calls:") && shown.contains("Half within:"), "{shown}");
}
