//! GraphQL over HTTP.

use crate::support::server::Server;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
    }
}

async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

fn post(server: &Server, accept: &str, body: impl Into<String>) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    request.header("content-type", "application/json").header("accept", accept).body(body.into())
}

fn get(server: &Server, parameters: &[(&str, &str)]) -> reqwest::RequestBuilder {
    reqwest::Client::new().get(format!("{}/graphql", server.url())).query(parameters)
}

fn query(query: &str) -> String {
    json!({ "query": query }).to_string()
}

const MODERN: &str = "application/graphql-response+json";
const LEGACY: &str = "application/json";
const REGISTER: &str = "mutation { register(input: {name: \"a\"}) { created } }";

#[tokio::test]
async fn the_status_says_what_happened_to_those_who_accept_it() {
    let server = Server::start();
    for (body, modern, legacy) in [
        (query("{ registry { id } }"), 200, 200),
        (query("{ registry { "), 400, 200),
        (query("{ nobody }"), 422, 200),
        (json!({"query": "query($id: UUID!) { node(by: {id: $id}) { id } }"}).to_string(), 422, 200),
        (json!({"query": "query a { __typename } query b { __typename }"}).to_string(), 422, 200),
        (query("subscription { registryEvents { sequence } }"), 422, 200),
        ("{".to_owned(), 400, 400),
        (String::new(), 400, 400),
        ("[]".to_owned(), 422, 400),
        ("1".to_owned(), 422, 400),
        ("{}".to_owned(), 422, 400),
        (json!({"query": 1}).to_string(), 422, 400),
        (json!({"query": "{ __typename }", "variables": []}).to_string(), 422, 400),
        (json!({"query": "{ __typename }", "operationName": 1}).to_string(), 422, 400),
        (json!({"query": "{ __typename }", "extensions": "x"}).to_string(), 422, 400),
        (json!({"query": "{ __typename }", "unheardOf": 1, "extensions": {}, "variables": null}).to_string(), 200, 200),
    ] {
        let answer = send(post(&server, MODERN, body.clone())).await;
        assert_eq!(answer.status, modern, "{body}: {}", answer.body);
        assert_eq!(answer.content_type(), format!("{MODERN}; charset=utf-8"));
        if modern != 200 {
            assert_eq!(answer.code(), "INVALID_ARGUMENT", "{body}");
            assert!(answer.body.get("data").is_none(), "{}", answer.body);
        }
        let answer = send(post(&server, LEGACY, body.clone())).await;
        assert_eq!(answer.status, legacy, "{body}: {}", answer.body);
        assert_eq!(answer.content_type(), format!("{LEGACY}; charset=utf-8"));
    }
}

#[tokio::test]
async fn data_beside_errors_has_a_status_of_its_own_where_that_is_set() {
    let partial = query("{ registry { id } at(sequence: 99) { registry { id } } }");
    for (setting, modern) in [("false", 200), ("true", 294)] {
        let server = Server::start_with(&[("ONEX_HTTP_PARTIAL_STATUS", setting)]);
        let answer = send(post(&server, MODERN, partial.clone())).await;
        assert!(answer.body.get("data").is_some() && answer.body.get("errors").is_some(), "{}", answer.body);
        assert_eq!(answer.status, modern);
        assert_eq!(send(post(&server, LEGACY, partial.clone())).await.status, 200);
        assert_eq!(send(post(&server, MODERN, query("{ __typename }"))).await.status, 200);
    }
}

#[tokio::test]
async fn what_nobody_can_take_is_not_made() {
    let server = Server::start();
    let answer = send(post(&server, "text/html", query(REGISTER))).await;
    assert_eq!((answer.status, answer.code()), (406, "INVALID_ARGUMENT"));
    assert_eq!(send(get(&server, &[("query", "{ __typename }")]).header("accept", "image/png")).await.status, 406);
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn only_plain_json_in_utf_8_is_read() {
    let server = Server::start();
    let url = format!("{}/graphql", server.url());
    for (name, value) in [("content-type", "application/json; charset=latin1"), ("content-type", "application/xml")] {
        let answer = send(reqwest::Client::new().post(&url).header(name, value).body(query(REGISTER))).await;
        assert_eq!(answer.status, 415, "{value}");
    }
    let answer = send(post(&server, LEGACY, query(REGISTER)).header("content-encoding", "gzip")).await;
    assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("identity")));
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn what_the_path_is_for_is_said_where_it_is_asked_for_something_else() {
    let server = Server::start();
    let url = format!("{}/graphql", server.url());
    let client = reqwest::Client::new();
    let answer = send(client.put(&url).body("{}")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST, OPTIONS")));
    let answer = send(client.request(reqwest::Method::OPTIONS, &url)).await;
    assert_eq!((answer.status, answer.header("allow")), (204, Some("GET, HEAD, POST, OPTIONS")));
    let answer = send(client.head(&url).query(&[("query", "{ __typename }")])).await;
    assert_eq!((answer.status, answer.body), (200, json!("")));
    assert_eq!(send(client.head(&url).query(&[("query", REGISTER)])).await.status, 405);
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn an_array_of_operations_is_answered_by_an_array_up_to_a_bound() {
    let server = Server::start_with(&[("ONEX_HTTP_BATCH_MAX", "3")]);
    let one = |query: &str| json!({ "query": query });
    let batch = json!([one(REGISTER), one("{ registry { sequence } }"), {"query": 1}]);
    let answer = send(post(&server, MODERN, batch.to_string())).await;
    assert_eq!((answer.status, answer.content_type()), (200, "application/json; charset=utf-8"));
    assert_eq!(answer.body[0]["data"]["register"]["created"], true);
    assert_eq!(answer.body[1]["data"]["registry"]["sequence"], 1);
    assert_eq!(answer.body[2]["errors"][0]["message"], "query is no text");
    let many = json!(vec![one(REGISTER); 4]);
    let answer = send(post(&server, MODERN, many.to_string())).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.body["errors"][0]["message"], "the array has 4 operations; it has 1 to 3 (http.batch_max)");
    assert_eq!(server.sequence().await, 1);
}

#[tokio::test]
async fn a_get_reads_and_never_changes() {
    let server = Server::start();
    let ask = |query: &str| get(&server, &[("query", query), ("variables", "{\"first\": 1}"), ("operationName", "")]);
    let answer = send(ask("query($first: Int) { nodes(first: $first) { totalCount } }")).await;
    assert_eq!((answer.status, &answer.body["data"]["nodes"]["totalCount"]), (200, &json!(0)));
    for accept in [MODERN, LEGACY, "text/event-stream"] {
        let answer = send(ask(REGISTER).header("accept", accept)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{accept}");
    }
    for (parameters, status) in [(vec![], 422), (vec![("query", "{ a }"), ("variables", "{")], 400)] {
        assert_eq!(send(get(&server, &parameters).header("accept", MODERN)).await.status, status);
    }
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
    let answer = send(post(&server, LEGACY, body).header("x-correlation-id", "c-7")).await;
    assert_eq!(answer.header("x-correlation-id"), Some("c-7"));
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
