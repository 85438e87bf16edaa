//! Calls of tools are answered byte for byte the same with the library and without it.
//!
//! A document that is not kept yet goes the library's way; the second time it is answered directly, where it can be.

use crate::support::provider::Provider;
use crate::support::server::Server;
use crate::support::socket::Socket;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

const INVOKE: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id toolName toolVersion caller
    correlationId status arguments result warnings requestedAt completedAt durationMs timeoutMs deadline dryRun
    idempotencyKey traceLogId executionLogUrl error { code type message details retryable } } }";
const COMPLETE: &str = "mutation Done($input: CompleteInvocationInput!) { completeInvocation(input: $input) {
    status result error { type } } }";
const CALLS: &str = "subscription($node: UUID!, $max: Int) { toolCalls(nodeId: $node, maxInFlight: $max) {
    invocationId tool version arguments caller correlationId deadline timeoutMs attempt } }";

fn tools() -> Value {
    json!([{
        "name": "add", "version": "1.0.0",
        "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    }])
}

/// The next frame as it came.
async fn heard(socket: &mut Socket) -> String {
    loop {
        match socket.0.next().await.unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Without what is another at each call: ids, instants and how long it took.
fn constant(frame: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let mut words = String::new();
    for piece in frame.split_inclusive(|c| !is_word(c)) {
        let word = piece.trim_end_matches(|c| !is_word(c));
        let differs = Uuid::parse_str(word).is_ok()
            || (word.starts_with("20") && word.ends_with('Z'))
            || word.strip_prefix(':').is_some_and(|number| number.contains('.') && number.parse::<f64>().is_ok());
        words.push_str(if differs { ":?" } else { word });
        words.push_str(&piece[word.len()..]);
    }
    words
}

/// What a provider does with a call.
enum Does {
    Nothing,
    /// Hears of it, and leaves it.
    Takes,
    Answers(Value),
}

#[tokio::test]
async fn a_call_is_answered_as_the_library_would() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "adder", tools()).await;
    let mut socket = Socket::ready(&server).await;
    let call = |more: Value| {
        let mut input =
            json!({"tool": "add", "arguments": {"b": [1.5, null, "\u{e9}\n"], "a": 1}, "correlationId": "c \"1\""});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "input": input })
    };
    let result = json!({"result": {"z": 1, "a": [1e300, -0.0, "\u{1}/\u{2028}"]}, "traceLogId": "t"});
    for (at, (variables, does)) in [
        (call(json!({})), Does::Answers(result)),
        (call(json!({"policy": "FIRST", "trustedOnly": null, "version": "^1"})), Does::Answers(json!({"result": 1}))),
        (call(json!({})), Does::Answers(json!({"error": {"code": "E", "message": "no", "details": {"why": [1]}}}))),
        (call(json!({"timeoutMs": 30})), Does::Takes),
        (call(json!({"dryRun": true})), Does::Nothing),
        (call(json!({"tool": "nobody"})), Does::Nothing),
        (call(json!({"arguments": {}})), Does::Nothing),
        (call(json!({"version": "9.9.9"})), Does::Nothing),
        (call(json!({"nodeId": Uuid::nil()})), Does::Nothing),
        // Refused by ourselves.
        (call(json!({"tool": "a b"})), Does::Nothing),
        (call(json!({"version": "^"})), Does::Nothing),
        (call(json!({"timeoutMs": 0})), Does::Nothing),
        (call(json!({"maxFailovers": -1})), Does::Nothing),
        (call(json!({"idempotencyKey": ""})), Does::Nothing),
        (call(json!({"correlationId": ""})), Does::Nothing),
        (call(json!({"arguments": nested(80)})), Does::Nothing),
        // Refused by the library.
        (call(json!({"tool": null})), Does::Nothing),
        (call(json!({"arguments": null})), Does::Nothing),
        (call(json!({"timeoutMs": 2_147_483_648_u32})), Does::Nothing),
        (call(json!({"timeoutMs": 5.0})), Does::Nothing),
        (call(json!({"policy": {"FIRST": null}})), Does::Nothing),
        (call(json!({"nodeId": "here"})), Does::Nothing),
        (call(json!({"more": 1})), Does::Nothing),
        (json!({"input": ["add"]}), Does::Nothing),
        (json!({"input": null}), Does::Nothing),
        (json!({}), Does::Nothing),
    ]
    .into_iter()
    .enumerate()
    {
        let document = format!("{INVOKE} # {at}");
        let mut said = Vec::new();
        for _ in 0..2 {
            socket.operate("i\"d", &document, variables.clone()).await;
            let call = match &does {
                Does::Nothing => None,
                Does::Takes | Does::Answers(_) => Some(provider.call().await),
            };
            if let (Does::Answers(answer), Some(call)) = (&does, call) {
                provider.complete(&call, answer.clone()).await;
            }
            said.push(constant(&heard(&mut socket).await));
            if said[0].starts_with(r#"{"type":"next""#) {
                assert_eq!(heard(&mut socket).await, r#"{"type":"complete","id":"i\"d"}"#);
            }
        }
        assert_eq!(said[0], said[1], "{variables}");
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[tokio::test]
async fn an_answer_is_taken_as_the_library_would() {
    let server = Server::start();
    let mut provider = Provider::start(&server, "adder", tools()).await;
    let mut socket = Socket::ready(&server).await;
    for (at, answer) in [
        json!({"result": {"a": 1}}),
        json!({"result": null, "error": null, "executionLogUrl": "u"}),
        json!({}),
        json!({"error": {"message": "no"}}),
        json!({"error": ["no"]}),
        json!({"result": 1, "error": {"message": "no"}}),
        json!({"result": nested(80)}),
        json!({"traceLogId": "t".repeat(2_000)}),
        json!({"more": 1}),
        json!({"invocationId": Uuid::nil()}),
        json!({"invocationId": "here"}),
    ]
    .into_iter()
    .enumerate()
    {
        let document = format!("{COMPLETE} # {at}");
        let mut said = Vec::new();
        for _ in 0..2 {
            let call = json!({"tool": "add", "arguments": {"a": 1}, "wait": false});
            server.query("mutation($i: ProxyInvokeInput!) { proxyInvoke(input: $i) { id } }", json!({"i": call})).await;
            let mut input = json!({"invocationId": provider.call().await["invocationId"]});
            input.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
            // The second is too late, or refused as the first.
            for _ in 0..2 {
                socket.operate("x", &document, json!({ "input": input })).await;
                said.push(constant(&heard(&mut socket).await));
                if said[said.len() - 1].starts_with(r#"{"type":"next""#) {
                    heard(&mut socket).await;
                }
            }
        }
        assert_eq!(said[..2], said[2..], "{answer}");
    }
}

#[tokio::test]
async fn a_provider_is_handed_calls_as_the_library_would() {
    let server = Server::start();
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";
    let mut registered = server.query(register, json!({"i": {"name": "adder", "tools": tools()}})).await;
    let node = registered["register"]["node"]["id"].take();
    let mut socket = Socket::ready(&server).await;
    let mut said = Vec::new();
    for round in 0..2 {
        socket.operate("none", CALLS, json!({"node": Uuid::nil()})).await;
        said.push(heard(&mut socket).await);
        socket.operate("none", CALLS, json!({"node": node, "max": 0})).await;
        said.push(heard(&mut socket).await);
        socket.operate("calls", CALLS, json!({"node": node})).await;
        let call = json!({"tool": "add", "arguments": {"a": round}, "wait": false, "correlationId": "c"});
        let invoked = crate::support::eventually("listens", async || {
            let asked = json!({ "i": call.clone() });
            let document = "mutation($i: ProxyInvokeInput!) { proxyInvoke(input: $i) { status } }";
            (server.query(document, asked).await["proxyInvoke"]["status"] != "REJECTED").then_some(())
        });
        invoked.await;
        let handed = heard(&mut socket).await;
        said.push(constant(&handed).replace(&format!("\"a\":{round}"), "\"a\":?"));
        let handed: Value = serde_json::from_str(&handed).unwrap();
        let id = &handed["payload"]["data"]["toolCalls"]["invocationId"];
        server
            .query(
                "mutation($i: CompleteInvocationInput!) { completeInvocation(input: $i) { status } }",
                json!({"i": {"invocationId": id, "result": 1}}),
            )
            .await;
        socket.say(json!({"type": "complete", "id": "calls"})).await;
    }
    assert_eq!(said[..3], said[3..]);
}
