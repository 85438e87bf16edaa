//! What a request may ask for: each limit at its value and one beyond it, over HTTP and over a websocket, with the
//! error that names it.

use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with these settings in the group `limits`.
struct Limited {
    server: Server,
    _directory: TempDir,
}

impl Limited {
    fn start(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("onex.toml");
        std::fs::write(&file, format!("[limits]\n{settings}\n")).unwrap();
        let arguments = ["--config", file.to_str().unwrap()];
        Limited { server: Server::start_in(&directory.path().join("data"), &arguments), _directory: directory }
    }

    /// The answer to a document by HTTP; the one by websocket has the same errors.
    async fn ask(&self, query: &str, variables: Value) -> Value {
        let by_http = post(&self.server, query, variables.clone()).await;
        let mut socket = Socket::ready(&self.server).await;
        socket.operate("1", query, variables).await;
        let message = socket.hear().await;
        let payload = &message["payload"];
        let errors = if message["type"] == "error" { payload } else { &payload["errors"] };
        let codes = |errors: &Value| {
            let errors = errors.as_array().cloned().unwrap_or_default();
            errors.iter().map(|error| error["extensions"]["code"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(codes(errors), codes(&by_http["errors"]), "{query}: {message}");
        by_http
    }

    async fn passes(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(query, variables).await;
        assert_eq!(answer["errors"], Value::Null, "{query}: {answer}");
        answer["data"].clone()
    }

    /// The one error of a document, which names the limit and says it in words, too.
    async fn refused(&self, query: &str, variables: Value, limit: &str, max: u64, found: u64) -> Value {
        let answer = self.ask(query, variables).await;
        let shown: String = query.chars().take(100).collect();
        assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{shown}: {answer}");
        assert_eq!(answer["data"], Value::Null, "{shown}: {answer}");
        let error = &answer["errors"][0];
        let details = json!({"limit": limit, "max": max, "found": found});
        assert_eq!(error["extensions"]["details"], details, "{shown}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("(limits.{limit})")), "{shown}: {message}");
        error["extensions"]["code"].clone()
    }
}

async fn post(server: &Server, query: &str, variables: Value) -> Value {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    let body = json!({"query": query, "variables": variables}).to_string();
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

const NO_VARIABLES: Value = Value::Null;

#[tokio::test]
async fn a_document_has_at_most_so_many_bytes() {
    let limited = Limited::start("document_bytes_max = 100");
    let document = |length: usize| format!("{:<length$}", "{ registry { sequence } }");
    limited.passes(&document(100), NO_VARIABLES).await;
    let code = limited.refused(&document(101), NO_VARIABLES, "document_bytes_max", 100, 101).await;
    assert_eq!(code, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_document_has_at_most_so_many_tokens() {
    let limited = Limited::start("tokens_max = 10");
    limited.passes("{ registry { id } nodes { totalCount } } # and a comment", NO_VARIABLES).await;
    let beyond = "{ registry { id } nodes { totalCount } __typename }";
    assert_eq!(limited.refused(beyond, NO_VARIABLES, "tokens_max", 10, 11).await, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn fields_nest_at_most_so_deep() {
    let limited = Limited::start("depth_max = 4");
    limited.passes("{ nodes { nodes { contract { name } } } }", NO_VARIABLES).await;
    for beyond in [
        "{ nodes { nodes { contract { nodes { name } } } } }",
        "{ nodes { nodes { ...N } } } fragment N on Node { ... { contract { nodes { name } } } }",
    ] {
        assert_eq!(limited.refused(beyond, NO_VARIABLES, "depth_max", 4, 5).await, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn a_document_asks_for_at_most_so_many_fields_and_fragments() {
    let limited = Limited::start("selections_max = 5");
    limited.passes("{ registry { id ...R } } fragment R on Registry { sequence version }", NO_VARIABLES).await;
    let beyond = "{ registry { id ...R } } fragment R on Registry { sequence version startedAt }";
    assert_eq!(limited.refused(beyond, NO_VARIABLES, "selections_max", 5, 6).await, "INVALID_ARGUMENT");
    // Each fragment is counted once, however often it is spread: a thousand million times here.
    let mut bomb = "{ ...F0 }".to_owned();
    for level in 0..30 {
        bomb.push_str(&format!(" fragment F{level} on Query {{ ...F{0} ... {{ ...F{0} }} }}", level + 1));
    }
    bomb.push_str(" fragment F30 on Query { __typename }");
    let answer = limited.ask(&bomb, NO_VARIABLES).await;
    assert!(answer["errors"][0]["message"].is_string(), "{answer}");
}

#[tokio::test]
async fn an_operation_has_at_most_so_many_root_fields() {
    let limited = Limited::start("root_fields_max = 2");
    limited.passes("{ registry { id sequence version } nodes { totalCount } }", NO_VARIABLES).await;
    let beyond = "{ registry { id } nodes { totalCount } ...Q } fragment Q on Query { topics { totalCount } }";
    assert_eq!(limited.refused(beyond, NO_VARIABLES, "root_fields_max", 2, 3).await, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_document_has_at_most_so_many_aliases() {
    let limited = Limited::start("aliases_max = 2");
    limited.passes("{ a: registry { b: id } }", NO_VARIABLES).await;
    let beyond = "{ a: registry { b: id } c: __typename }";
    assert_eq!(limited.refused(beyond, NO_VARIABLES, "aliases_max", 2, 3).await, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_document_has_at_most_so_many_directives() {
    let limited = Limited::start("directives_max = 1");
    let variables = json!({"yes": true});
    limited.passes("query($yes: Boolean!) { registry { id @include(if: $yes) } }", variables.clone()).await;
    let beyond = "query($yes: Boolean!) { registry @include(if: $yes) { __typename @include(if: $yes) } }";
    assert_eq!(limited.refused(beyond, variables, "directives_max", 1, 2).await, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_page_has_at_most_so_many_entries() {
    let limited = Limited::start("page_max = 60");
    let paged = "query($first: Int) { nodes(first: $first) { totalCount nodes { id } } }";
    limited.passes("{ nodes(first: 60) { totalCount } topics(last: 60) { totalCount } }", NO_VARIABLES).await;
    limited.passes(paged, json!({"first": 60})).await;
    for (beyond, variables) in [
        ("{ nodes(first: 61) { totalCount } }", NO_VARIABLES),
        ("{ nodes(last: 61) { totalCount } }", NO_VARIABLES),
        ("{ nodes { nodes { tools(first: 61) { totalCount } } } }", NO_VARIABLES),
        (paged, json!({"first": 61})),
        ("query($first: Int = 61) { nodes(first: $first) { nodes { id } } }", json!({})),
    ] {
        assert_eq!(limited.refused(beyond, variables, "page_max", 60, 61).await, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn an_answer_may_cost_at_most_so_much_with_its_variables() {
    let limited = Limited::start("complexity_max = 22");
    let paged = "query($first: Int) { nodes(first: $first) { nodes { id name } } }";
    limited.passes("{ nodes(first: 10) { nodes { id name } } }", NO_VARIABLES).await;
    limited.passes(paged, json!({"first": 10})).await;
    for (beyond, variables, found) in [
        ("{ nodes(first: 11) { nodes { id name } } }", NO_VARIABLES, 24),
        (paged, json!({"first": 11}), 24),
        // A page that does not say has fifty.
        (paged, json!({}), 102),
        ("{ nodes(first: 3) { nodes { tools(first: 5) { nodes { name } } } } }", NO_VARIABLES, 2 + 3 * (2 + 5)),
        ("{ dependencyGraph { cycles } }", NO_VARIABLES, 25_002),
        ("{ nodes(first: 0, filter: {search: \"a\"}) { totalCount } }", NO_VARIABLES, 4_002),
    ] {
        let code = limited.refused(beyond, variables, "complexity_max", 22, found).await;
        assert_eq!(code, "TOO_COMPLEX");
    }
}

async fn register(server: &Server, count: usize) {
    for number in 0..count {
        let contract = format!("name: node_{number:04}\nversion: 1.0.0\nevent_bus: {{publish_topics: [t.{number}]}}");
        let document = "mutation($c: String!) { register(input: {contract: $c}) { created } }";
        server.query(document, json!({"c": contract})).await;
    }
}

#[tokio::test]
async fn the_lists_of_an_answer_have_at_most_so_many_values() {
    let limited = Limited::start("values_max = 12");
    register(&limited.server, 3).await;
    // Three entries, each with three values below it.
    limited.passes("{ nodes { nodes { id name kind } } }", NO_VARIABLES).await;
    limited.passes("{ nodes { edges { cursor node { id } } } }", NO_VARIABLES).await;
    for (beyond, found) in [
        ("{ nodes { nodes { id name kind status } } }", 15),
        (
            "{ nodes { ...C } } fragment C on NodeConnection { nodes { ...N } } fragment N on Node { id name kind host }",
            15,
        ),
        // The lists in lists count for themselves: four of each of the three, and then two of each contract's one.
        ("{ nodes { nodes { contract { nodes { name } } } } }", 18),
    ] {
        let code = limited.refused(beyond, NO_VARIABLES, "values_max", 12, found).await;
        assert_eq!(code, "TOO_COMPLEX");
    }
}

#[tokio::test]
async fn a_mutation_is_done_even_where_its_answer_is_cut() {
    let limited = Limited::start("values_max = 2");
    let document = "mutation { register(input: {contract: \"name: a\"}) { created node { contract { nodes { id name \
                    kind } } } } }";
    let answer = post(&limited.server, document, NO_VARIABLES).await;
    assert_eq!(answer["data"]["register"]["created"], true, "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["details"]["limit"], "values_max", "{answer}");
    assert_eq!(limited.server.sequence().await, 2);
}

#[tokio::test]
async fn each_event_of_a_subscription_has_the_whole_budget() {
    let limited = Limited::start("values_max = 4");
    register(&limited.server, 4).await;
    let mut socket = Socket::ready(&limited.server).await;
    let watch = "subscription { registryEvents(after: 0, filter: {types: [NODE_REGISTERED]}) { sequence ... on \
                 NodeRegistered { node { contract { nodes { id name } } } } } }";
    socket.subscribe("1", watch).await;
    for _ in 0..4 {
        let message = socket.hear().await;
        assert_eq!((&message["type"], &message["payload"]["errors"]), (&json!("next"), &Value::Null), "{message}");
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up() {
    let limited = Limited::start("execution_ms = 1");
    register(&limited.server, 100).await;
    let long = "{ nodes(first: 500) { nodes { id name kind status contract { name document nodes { id name tools { \
                nodes { name } } } } upstream { name upstream { name } } } } }";
    let answer = limited.ask(long, NO_VARIABLES).await;
    let error = &answer["errors"][0];
    assert_eq!((&error["extensions"]["code"], &answer["data"]), (&json!("TOO_COMPLEX"), &Value::Null), "{answer}");
    assert_eq!(error["extensions"]["details"]["limit"], "execution_ms", "{answer}");
    assert!(error["message"].as_str().unwrap().contains("(limits.execution_ms)"), "{answer}");
    // What changes something is done all the same.
    let done = limited.server.query("mutation { register(input: {name: \"n\"}) { created } }", NO_VARIABLES).await;
    assert_eq!(done["register"]["created"], true);
}

#[tokio::test]
async fn questions_about_the_schema_can_be_switched_off() {
    let limited = Limited::start("introspection = false");
    limited.passes("{ __typename registry { __typename id } }", NO_VARIABLES).await;
    for beyond in [
        "{ __schema { queryType { name } } }",
        "{ t: __type(name: \"Node\") { name } }",
        "{ ...Q } fragment Q on Query { ... { __schema { types { name } } } }",
    ] {
        let code = limited.refused(beyond, NO_VARIABLES, "introspection", 0, 1).await;
        assert_eq!(code, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn what_validators_pass_over_is_counted_and_checked() {
    let limited = Limited::start("");
    let aliases = |count: usize| {
        let all: Vec<String> = (0..count).map(|number| format!("a{number}: __typename")).collect();
        format!("{{ registry {{ {} }} }}", all.join(" "))
    };
    limited.passes(&aliases(1_000), NO_VARIABLES).await;
    limited.refused(&aliases(1_001), NO_VARIABLES, "aliases_max", 1_000, 1_001).await;
    let many = aliases(200_000);
    limited.refused(&many, NO_VARIABLES, "document_bytes_max", 262_144, many.len() as u64).await;
    for wrong in ["{ __typename @nope }", "{ __typename @skip }", "{ __typename @skip(if: 1) }", "{ __typename(a: 1) }"]
    {
        let answer = limited.ask(wrong, NO_VARIABLES).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT", "{wrong}: {answer}");
    }
    let used_there = "query($yes: Boolean!) { registry { id } __typename @include(if: $yes) }";
    assert_eq!(limited.passes(used_there, json!({"yes": true})).await["__typename"], "Query");
    assert_eq!(limited.passes(used_there, json!({"yes": false})).await["__typename"], Value::Null);
}

#[tokio::test]
async fn what_is_asked_for_again_and_again_is_asked_for_once() {
    let limited = Limited::start("");
    register(&limited.server, 20).await;
    let once = limited.passes("{ registry { id } }", NO_VARIABLES).await;
    assert_eq!(limited.passes(&format!("{{ registry {{ {} }} }}", "id ".repeat(10_000)), NO_VARIABLES).await, once);
    let once = limited.passes("{ nodes(first: 500) { nodes { name } } }", NO_VARIABLES).await;
    let page = "nodes(first: 500) { nodes { name } } ";
    assert_eq!(limited.passes(&format!("{{ {} }}", page.repeat(1_000)), NO_VARIABLES).await, once);
    let fragments = "...P ".repeat(5_000);
    let text = format!("{{ {fragments} }} fragment P on Query {{ nodes(first: 500) {{ nodes {{ name }} }} }}");
    assert_eq!(limited.passes(&text, NO_VARIABLES).await, once);
}

#[tokio::test]
async fn json_nests_only_as_deep_as_it_can_be_read() {
    let limited = Limited::start("");
    let document = "mutation($m: JSON) { register(input: {name: \"a\", metadata: $m}) { created } }";
    for depth in [200, 100_000] {
        let deep = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let body = format!("{{\"query\": {}, \"variables\": {{\"m\": {deep}}}}}", json!(document));
        let request = reqwest::Client::new().post(format!("{}/graphql", limited.server.url()));
        let answer = request.header("content-type", "application/json").body(body.clone()).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT", "{answer}");
    }
    assert_eq!(limited.server.sequence().await, 0);
}

#[tokio::test]
async fn a_document_that_is_wrong_all_over_is_told_so_in_a_few_words() {
    let limited = Limited::start("");
    let wrong: Vec<String> = (0..4_000).map(|number| format!("nobody{number}")).collect();
    let answer = limited.ask(&format!("{{ registry {{ {} }} }}", wrong.join(" ")), NO_VARIABLES).await;
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 21);
    assert_eq!(errors[20]["message"], "and 3980 more errors");
}

#[test]
fn limits_that_cannot_be_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for (settings, says) in [
        ("depth_max = 0", "limits.depth_max (ONEX_LIMITS_DEPTH_MAX): is 0; it is 1 or more"),
        ("page_max = 501", "limits.page_max (ONEX_LIMITS_PAGE_MAX): is 501; it is 50 to 500"),
        ("page_max = 49", "is 49; it is 50 to 500"),
        ("tokens_max = -1", "tokens_max"),
    ] {
        let file = directory.path().join("onex.toml");
        std::fs::write(&file, format!("[limits]\n{settings}\n")).unwrap();
        let started = Server::try_start_in(&directory.path().join("data"), &["--config", file.to_str().unwrap()]);
        let Err((_, said)) = started else { panic!("{settings}: it started") };
        assert!(said.contains(says), "{settings}: {said}");
    }
}
