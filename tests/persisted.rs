//! Documents that are named instead of sent, and lists of those that alone may run.

use crate::support::server::Server;
use serde_json::{Value, json};
use std::path::Path;

const TEXT: &str = "{ registry { sequence } }";
const HASH: &str = "736678eb8ae32bbee480e10a7a3bc7f13b0ed1d020638dae769c6e49dc63bc45";

fn extensions(hash: &str) -> Value {
    json!({"persistedQuery": {"version": 1, "sha256Hash": hash}})
}

async fn post(server: &Server, body: Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    let request = request.header("accept", "application/graphql-response+json").json(&body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn is_answer((status, body): &(u16, Value)) -> bool {
    *status == 200 && body["data"]["registry"]["sequence"].is_u64()
}

#[tokio::test]
async fn a_document_that_was_sent_with_its_hash_need_not_be_sent_again() {
    let server = Server::start();
    let (status, body) = post(&server, json!({ "extensions": extensions(HASH) })).await;
    assert_eq!((status, &body["errors"][0]["message"]), (404, &json!("PersistedQueryNotFound")));
    assert_eq!(body["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    assert!(is_answer(&post(&server, json!({ "query": TEXT, "extensions": extensions(HASH) })).await));
    assert!(is_answer(&post(&server, json!({ "extensions": extensions(HASH) })).await));
    assert!(is_answer(&post(&server, json!({ "documentId": format!("sha256:{HASH}") })).await));

    let by_get = reqwest::Client::new().get(format!("{}/graphql", server.url()));
    let by_get = by_get.query(&[("extensions", extensions(HASH).to_string())]).send().await.unwrap();
    assert!(is_answer(&(by_get.status().as_u16(), by_get.json().await.unwrap())));

    let wrong = json!({ "query": "{ __typename }", "extensions": extensions(HASH) });
    let (status, body) = post(&server, wrong).await;
    assert_eq!((status, &body["errors"][0]["message"]), (422, &json!("the sha256Hash is not that of the query")));
}

#[tokio::test]
async fn a_mutation_by_its_hash_runs_by_post_alone() {
    let server = Server::start();
    let text = "mutation { register(input: {name: \"a\"}) { created } }";
    let hash: String = <sha2::Sha256 as sha2::Digest>::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(post(&server, json!({ "query": text, "extensions": extensions(&hash) })).await.0, 200);
    let by_get = reqwest::Client::new().get(format!("{}/graphql", server.url()));
    let by_get = by_get.query(&[("extensions", extensions(&hash).to_string())]).send().await.unwrap();
    assert_eq!(by_get.status(), 405);
    assert_eq!(server.sequence().await, 1);
}

#[tokio::test]
async fn where_documents_are_listed_no_other_runs() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("documents.json");
    std::fs::write(&list, json!({ "Sequence": TEXT }).to_string()).unwrap();
    let server = Server::start_with(&[("ONEX_HTTP_TRUSTED_DOCUMENTS", list.to_str().unwrap())]);
    for body in [
        json!({ "documentId": "Sequence" }),
        json!({ "documentId": format!("sha256:{HASH}") }),
        json!({ "query": TEXT }),
        json!({ "extensions": extensions(HASH) }),
    ] {
        assert!(is_answer(&post(&server, body.clone()).await), "{body}");
    }
    let (status, body) = post(&server, json!({ "query": "{ __typename }" })).await;
    assert_eq!((status, &body["errors"][0]["extensions"]["code"]), (403, &json!("PERMISSION_DENIED")));
    assert_eq!(post(&server, json!({ "documentId": "Other" })).await.0, 404);
}

#[test]
fn a_list_that_cannot_be_read_stops_the_start_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("documents.json");
    let start = |list: &Path| {
        let settings = [("ONEX_HTTP_TRUSTED_DOCUMENTS", list.to_str().unwrap())];
        match Server::try_start(&directory.path().join("data"), &[], &settings) {
            Ok(_) => panic!("it started"),
            Err((_, said)) => said,
        }
    };
    assert!(start(&list).contains("documents.json"), "{}", start(&list));
    std::fs::write(&list, "[]").unwrap();
    let said = start(&list);
    assert!(said.contains("http.trusted_documents") && said.contains("no JSON object"), "{said}");
}
