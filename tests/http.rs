//! GraphQL over HTTP.

use crate::support::server::Server;
use serde_json::{Value, json};

struct Answer {
    status: u16,
    content_type: String,
    allow: Option<String>,
    body: Value,
}

async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (content_type, allow) = (header("content-type").unwrap_or_default(), header("allow"));
    let status = response.status().as_u16();
    Answer { status, content_type, allow, body: response.json().await.unwrap() }
}

fn post(server: &Server, accept: &str, body: impl Into<String>) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    request.header("content-type", "application/json").header("accept", accept).body(body.into())
}

const MODERN: &str = "application/graphql-response+json";
const LEGACY: &str = "application/json";

#[tokio::test]
async fn the_status_says_what_happened_to_those_who_accept_it() {
    let server = Server::start();
    let query = |query: &str| json!({"query": query}).to_string();
    for (body, modern, legacy) in [
        (query("{ registry { id } }"), 200, 200),
        (query("{ registry { "), 400, 200),
        (query("{ nobody }"), 422, 200),
        (json!({"query": "query($id: UUID!) { node(by: {id: $id}) { id } }"}).to_string(), 422, 200),
        (json!({"query": "query a { __typename } query b { __typename }"}).to_string(), 422, 200),
        (query("subscription { registryEvents { sequence } }"), 422, 200),
        ("{".to_owned(), 400, 400),
        ("[]".to_owned(), 400, 400),
        (json!({"query": 1}).to_string(), 400, 400),
        (json!({"query": "{ __typename }", "variables": []}).to_string(), 400, 400),
        (json!({"query": "{ __typename }", "unheardOf": 1, "extensions": {}}).to_string(), 200, 200),
    ] {
        let answer = send(post(&server, MODERN, body.clone())).await;
        assert_eq!(answer.status, modern, "{body}");
        assert!(answer.content_type.starts_with(MODERN), "{}", answer.content_type);
        if modern != 200 {
            assert_eq!(answer.body["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT", "{body}");
            assert!(answer.body.get("data").is_none(), "{}", answer.body);
        }
        let answer = send(post(&server, LEGACY, body.clone())).await;
        assert_eq!(answer.status, legacy, "{body}");
        assert!(answer.content_type.starts_with(LEGACY), "{}", answer.content_type);
    }
}

#[tokio::test]
async fn a_get_reads_and_never_changes() {
    let server = Server::start();
    let get = |query: &str| {
        let client = reqwest::Client::new().get(format!("{}/graphql", server.url()));
        client.query(&[("query", query), ("variables", "{\"first\": 1}")])
    };
    let answer = send(get("query($first: Int) { nodes(first: $first) { totalCount } }")).await;
    assert_eq!((answer.status, &answer.body["data"]["nodes"]["totalCount"]), (200, &json!(0)));
    let answer = send(get("mutation { register(input: {name: \"a\"}) { created } }")).await;
    assert_eq!((answer.status, answer.allow.as_deref()), (405, Some("POST")));
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn what_a_browser_sends_unasked_is_refused() {
    let server = Server::start();
    let body = json!({"query": "mutation { register(input: {name: \"a\"}) { created } }"}).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
        let answer = send(request.header("content-type", content_type).body(body.clone())).await;
        assert_eq!(answer.status, 415, "{content_type}");
    }
    let untyped = reqwest::Client::new().post(format!("{}/graphql", server.url())).body(body);
    assert_eq!(send(untyped).await.status, 415);
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn a_correlation_id_travels_from_the_header_to_the_event() {
    let server = Server::start();
    let body = json!({"query": "mutation { register(input: {name: \"a\"}) { created } }"}).to_string();
    send(post(&server, LEGACY, body).header("x-correlation-id", "c-7")).await;
    let events =
        server.query("{ events(filter: {correlationId: \"c-7\"}) { nodes { type actor } } }", Value::Null).await;
    assert_eq!(events["events"]["nodes"], json!([{"type": "NODE_REGISTERED", "actor": "anonymous"}]));
}

#[tokio::test]
async fn a_mutation_whose_variables_do_not_fit_does_nothing_of_it() {
    let server = Server::start();
    let document = "mutation($second: RegisterInput!) { a: register(input: {name: \"a\"}) { created } b: \
                    register(input: $second) { created } }";
    let (code, message) = server.refused(document, json!({"second": {"name": "b", "kind": "NONE"}})).await;
    assert_eq!(code, "INVALID_ARGUMENT");
    assert!(message.starts_with("$second.kind is no NodeKind"), "{message}");
    assert_eq!(server.sequence().await, 0);
    // The same document, kept by now, with variables that fit and again with ones that do not.
    server.query(document, json!({"second": {"name": "b", "kind": "TOOL"}})).await;
    server.refused(document, json!({"second": {"name": "c", "ttlSeconds": "1"}})).await;
    assert_eq!(server.sequence().await, 2);
}

#[tokio::test]
async fn a_variable_that_is_not_given_says_nothing_and_a_default_counts() {
    let server = Server::start();
    let document = "mutation($name: String, $description: String, $tags: [String!], $ttl: Int = 60) { register(input: \
                    {name: $name, description: $description, tags: $tags, ttlSeconds: $ttl}) { node { description tags \
                    ttlSeconds } } }";
    let all = json!({"name": "a", "description": "kept", "tags": ["t"]});
    let expected = json!({"description": "kept", "tags": ["t"], "ttlSeconds": 60});
    assert_eq!(server.query(document, all).await["register"]["node"], expected);
    assert_eq!(server.query(document, json!({"name": "a"})).await["register"]["node"], expected);
    let cleared = server.query(document, json!({"name": "a", "description": null})).await;
    assert_eq!(cleared["register"]["node"]["description"], Value::Null);

    let read = "query($full: Boolean = true, $depth: Int) { node(by: {name: \"a\"}) { name @include(if: $full) \
                upstream(depth: $depth) { name } } }";
    let answer = server.query(read, Value::Null).await;
    assert_eq!(answer["node"], json!({"name": "a", "upstream": []}));
    let answer = server.query(read, json!({"full": false})).await;
    assert_eq!(answer["node"], json!({"upstream": []}));
}

#[tokio::test]
async fn a_literal_beside_a_variable_is_checked_before_anything_runs() {
    let server = Server::start();
    for wrong in ["descripton: \"typo\"", "kind: WRONG", "ttlSeconds: \"1\""] {
        let document = format!(
            "mutation($n: String) {{ a: register(input: {{name: \"a\"}}) {{ created }} b: register(input: {{name: $n, \
             {wrong}}}) {{ created }} }}"
        );
        let (code, _) = server.refused(&document, json!({"n": "b"})).await;
        assert_eq!(code, "INVALID_ARGUMENT");
    }
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn documents_that_would_end_the_stack_or_the_memory_are_refused() {
    let server = Server::start();
    let deep = "[".repeat(2_000);
    server.refused(&format!("{{ node(by: {{name: {deep}}}) {{ id }} }}"), Value::Null).await;
    let mut bomb = "{ ...F0 }".to_owned();
    for level in 0..30 {
        bomb.push_str(&format!(" fragment F{level} on Query {{ ...F{0} ... on Query {{ ...F{0} }} }}", level + 1));
    }
    bomb.push_str(" fragment F30 on Query { __typename }");
    server.refused(&bomb, Value::Null).await;
    let nested = (0..120).fold(json!(1), |inner, _| json!({"a": inner}));
    let document = "mutation($m: JSON) { register(input: {name: \"a\", metadata: $m}) { created } }";
    let (_, message) = server.refused(document, json!({"m": nested})).await;
    assert!(message.contains("nests deeper than 64 levels"), "{message}");
    assert_eq!(server.sequence().await, 0);
}
