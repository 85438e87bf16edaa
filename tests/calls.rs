//! Tools are called through the registry.

use crate::support::provider::Provider;
use crate::support::server::Server;
use serde_json::{Value, json};

const INVOKE: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) {
    id status toolName toolVersion arguments result chunks warnings correlationId timeoutMs durationMs dryRun
    error { code type message details retryable } provider { id name }
    attempts { number nodeId outcome lateAnswerAt error { type } } } }";

fn adder() -> Value {
    json!([{
        "name": "add", "version": "1.0.0",
        "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
        "outputSchema": {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
    }])
}

async fn invoke(server: &Server, input: Value) -> Value {
    server.query(INVOKE, json!({"input": input})).await["proxyInvoke"].take()
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
    assert_eq!(call["provider"]["name"], "adder");

    let id = call["id"].clone();
    let read = server
        .query(
            "query($id: UUID!) { invocation(id: $id) { status result events { type correlationId } }
                invocations { totalCount nodes { id status } } }",
            json!({"id": id}),
        )
        .await;
    let kinds: Vec<&str> =
        read["invocation"]["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["TOOL_PROXY_INVOKE", "TOOL_PROXY_ACCEPTED", "TOOL_PROXY_RESULT"]);
    assert_eq!(read["invocations"]["nodes"][0]["id"], id);
}
