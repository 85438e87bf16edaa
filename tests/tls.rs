//! TLS: certificates, their reload, and those of clients. They are made with openssl, as an operator would.

use crate::support::certificates::Certificates;
use crate::support::server::{Server, onex};
use crate::support::{Killed, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

impl Certificates {
    /// A server with the certificate of that name.
    fn server(&self, name: &str, client_ca: Option<&str>) -> Server {
        self.server_with(name, client_ca, &[])
    }

    fn server_with(&self, name: &str, client_ca: Option<&str>, more: &[(&str, &str)]) -> Server {
        let (certificate, key) = (self.text(&format!("{name}.pem")), self.text(&format!("{name}.key")));
        let client_ca = client_ca.map(|name| self.text(name)).unwrap_or_default();
        let files: [(&str, &str); 3] =
            [("ONEX_TLS_CERTIFICATE", &certificate), ("ONEX_TLS_KEY", &key), ("ONEX_TLS_CLIENT_CA", &client_ca)];
        Server::start_with(&[&files, more].concat())
    }

    /// What a command says that trusts this authority.
    fn run(&self, server: &Server, ca: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = onex(arguments);
        command.env("ONEX_SERVER", server.url()).env("ONEX_CA", self.path(ca));
        let output = command.output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
    }

    fn client(&self, server: &Server, name: Option<&str>) -> onex::client::Client {
        self.client_of(server.url(), name)
    }

    fn client_of(&self, url: &str, name: Option<&str>) -> onex::client::Client {
        let file = |kind: &str| name.map(|name| self.path(&format!("{name}.{kind}")));
        let files =
            onex::client::Certificates { ca: Some(self.path("ca.pem")), certificate: file("pem"), key: file("key") };
        onex::client::Client::try_with(url, None, &files).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    // In one step, as one who renews certificates should: a half-written file is passed over with an error.
    let beside = to.with_extension("new");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(beside, to).unwrap();
}

#[test]
fn the_commands_speak_tls_to_a_registry_whose_authority_they_are_told() {
    let certificates = Certificates::new();
    let server = certificates.server("server", None);
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let said = certificates.run(&server, "ca.pem", &["inspect", "nodes", "--format", "json"]).unwrap();
    assert!(serde_json::from_str::<Value>(&said).is_ok(), "{said}");
    certificates.authority("other");
    let error = certificates.run(&server, "other.pem", &["inspect", "nodes"]).unwrap_err();
    assert!(error.contains("no registry answers"), "{error}");
    let error = certificates.run(&server, "missing.pem", &["inspect", "nodes"]).unwrap_err();
    assert!(error.contains("missing.pem") && error.contains("--ca"), "{error}");
}

#[tokio::test]
async fn websockets_go_over_tls_too() {
    let certificates = Certificates::new();
    let server = certificates.server("server", None);
    let connection = certificates.client(&server, None).connect().await.unwrap();
    let answer: Value = connection.query("{ registry { sequence } }", json!({})).await.unwrap();
    assert_eq!(answer["registry"]["sequence"], 0);
}

#[tokio::test]
async fn a_certificate_that_changes_is_taken_up_and_connections_go_on() {
    let certificates = Certificates::new();
    let server = certificates.server("server", None);
    let connection = certificates.client(&server, None).connect().await.unwrap();
    certificates.authority("new-ca");
    certificates.sign("new-ca", "new", "/CN=localhost");
    copy(&certificates.path("new.key"), &certificates.path("server.key"));
    copy(&certificates.path("new.pem"), &certificates.path("server.pem"));
    eventually("the new certificate is shown", async || {
        certificates.run(&server, "new-ca.pem", &["inspect", "nodes"]).ok()
    })
    .await;
    let answer: Value = connection.query("{ registry { sequence } }", json!({})).await.unwrap();
    assert_eq!(answer["registry"]["sequence"], 0);

    std::fs::write(certificates.path("server.pem"), "nothing").unwrap();
    assert!(Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
    eventually("it says what is wrong", async || server.said().contains("the earlier ones stay").then_some(())).await;
    certificates.run(&server, "new-ca.pem", &["inspect", "nodes"]).unwrap();
}

#[tokio::test]
async fn a_client_with_a_certificate_is_known_by_its_subject_and_one_of_another_authority_is_refused() {
    let certificates = Certificates::new();
    certificates.sign("ca", "node", "/O=Example/CN=node-1");
    let server = certificates.server("server", Some("ca.pem"));
    let register = "mutation($name: String!) { register(input: {name: $name}) { created } }";
    for (name, certificate) in [("known", Some("node")), ("unknown", None)] {
        let client = certificates.client(&server, certificate);
        let _: Value = client.query(register, json!({ "name": name })).await.unwrap();
    }
    let events: Value =
        certificates.client(&server, None).query("{ events { nodes { actor } } }", json!({})).await.unwrap();
    assert_eq!(events["events"]["nodes"], json!([{"actor": "cert:CN=node-1,O=Example"}, {"actor": "anonymous"}]));

    certificates.authority("other");
    certificates.sign("other", "stranger", "/CN=node-1");
    let client = certificates.client(&server, Some("stranger"));
    assert!(client.query::<Value>("{ __typename }", json!({})).await.is_err());
}

#[tokio::test]
async fn a_certificate_lets_its_client_in_with_the_roles_and_the_node_that_its_authority_wrote_into_it() {
    let (own, other) = ("0190c5a0-7a3e-4cc0-8f6e-1b2c3d4e5f60", "0190c5a0-7a3e-4cc0-8f6e-1b2c3d4e5f61");
    let certificates = Certificates::new();
    certificates.sign_for("ca", "node", "/OU=node/CN=node-1", &format!("DNS:node-1,URI:urn:uuid:{own}"));
    certificates.sign("ca", "admin", "/OU=admin/OU=no role/CN=ada");
    certificates.sign("ca", "nobody", "/CN=eve");
    let server = certificates.server_with("server", Some("ca.pem"), &[("ONEX_ACCESS_ENABLED", "true")]);
    let who = "{ principal { name roles nodeId authenticated accessControlled } }";
    for (name, expected) in [
        ("node", json!({"name": "cert:CN=node-1,OU=node", "roles": ["node"], "nodeId": own})),
        ("admin", json!({"name": "cert:CN=ada,OU=no role,OU=admin", "roles": ["admin"], "nodeId": null})),
        ("nobody", json!({"name": "cert:CN=eve", "roles": [], "nodeId": null})),
    ] {
        let client = certificates.client(&server, Some(name));
        let mut found: Value = client.query(who, json!({})).await.unwrap();
        let found = found["principal"].as_object_mut().unwrap();
        assert_eq!(found.remove("authenticated"), Some(json!("certificate")));
        assert_eq!(found.remove("accessControlled"), Some(json!(true)));
        assert_eq!(json!(found), expected);
        // A websocket is of the same client, with nothing said in its connection_init.
        let found: Value = client.connect().await.unwrap().query("{ principal { name } }", json!({})).await.unwrap();
        assert_eq!(found["principal"]["name"], expected["name"]);
    }
    let register = "mutation($id: UUID, $name: String) { register(input: {id: $id, name: $name}) { created } }";
    let as_client = async |name: &str, id: &str| {
        certificates.client(&server, Some(name)).query::<Value>(register, json!({ "id": id, "name": name })).await
    };
    // Who may read nothing is not told whether the node is there.
    for (name, id, said) in [("nobody", own, "NODE_NOT_FOUND"), ("node", other, "cert:CN=node-1,OU=node may not")] {
        let error = as_client(name, id).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    as_client("node", own).await.unwrap();
    as_client("admin", other).await.unwrap();
    let refused = certificates.client(&server, None).query::<Value>(who, json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("send a token"), "{refused}");
}

#[tokio::test]
async fn while_the_log_is_read_it_is_said_so_over_tls_too() {
    let certificates = Certificates::new();
    // A pipe that nobody writes to is a log that takes for ever to read.
    let pipe = certificates.path("registry.db");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let address = format!("127.0.0.1:{}", crate::support::testing::free_port());
    let mut command = onex(&["serve", "--listen", &address, "--data-dir", &certificates.text("")]);
    command.env("ONEX_TLS_CERTIFICATE", certificates.path("server.pem"));
    command.env("ONEX_TLS_KEY", certificates.path("server.key"));
    let _killed = Killed(command.stderr(Stdio::null()).spawn().unwrap());
    let client = certificates.client_of(&format!("https://{address}"), None);
    eventually("it says so", async || {
        let error = client.query::<Value>("{ __typename }", json!({})).await.unwrap_err();
        error.to_string().contains("reads its log").then_some(())
    })
    .await;
}

#[test]
fn what_cannot_be_used_stops_the_start_with_its_file() {
    let certificates = Certificates::new();
    let start = |certificate: &str, key: &str| {
        let settings = [("ONEX_TLS_CERTIFICATE", certificate), ("ONEX_TLS_KEY", key)];
        match Server::try_start(&certificates.path("data"), &[], &settings) {
            Ok(_) => panic!("it started"),
            Err((_, said)) => said,
        }
    };
    let (certificate, other) = (certificates.text("server.pem"), certificates.text("ca.key"));
    assert!(start(&certificate, "").contains("tls.key"), "{}", start(&certificate, ""));
    assert!(start(&certificate, &other).contains("server.pem"), "{}", start(&certificate, &other));
    assert!(start(&certificate, "nowhere.key").contains("nowhere.key"));
}
