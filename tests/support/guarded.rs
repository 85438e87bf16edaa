//! A registry that asks everybody who it is, and what comes of asking it.

use crate::support::server::Server;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use onex::client::{Client, Error};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

/// What comes of an attempt: it is allowed, or refused with a code.
pub const OK: &str = "";
pub const DENIED: &str = "PERMISSION_DENIED";
pub const UNKNOWN: &str = "UNAUTHENTICATED";
pub const NOT_FOUND: &str = "NOT_FOUND";

/// A registry that asks everybody who it is.
pub struct Guarded {
    pub server: Server,
    pub admin: Client,
    pub directory: TempDir,
}

pub fn guarded(settings: &str) -> Guarded {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("onex.toml");
    fs::write(&config, format!("[access]\nenabled = true\n{settings}")).unwrap();
    let data_dir = directory.path().join("data");
    let server = Server::start_in(&data_dir, &["--config", config.to_str().unwrap()]);
    let secret = fs::read_to_string(data_dir.join("admin.token")).unwrap();
    let admin = Client::try_new(server.url(), Some(secret.trim().to_owned())).unwrap();
    Guarded { server, admin, directory }
}

/// With a policy of its own, in this file.
pub fn guarded_by(policy: &str, file: &Path) -> Guarded {
    fs::write(file, policy).unwrap();
    guarded(&format!("policy = {:?}\n", file.display().to_string()))
}

impl Guarded {
    /// The client of a new token, and the token's node.
    pub async fn client(&self, name: &str, roles: &[&str], node: Option<Uuid>) -> (Client, Option<Uuid>, Uuid) {
        let document = "mutation($i: CreateTokenInput!) { createToken(input: $i) { secret token { id nodeId } } }";
        let input = json!({"i": {"name": name, "roles": roles, "nodeId": node}});
        let made: Value = self.admin.query(document, input).await.unwrap();
        let made = &made["createToken"];
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("onex_"));
        let id = |value: &Value| value.as_str().map(|text| text.parse::<Uuid>().unwrap());
        let client = Client::try_new(self.server.url(), Some(secret)).unwrap();
        (client, id(&made["token"]["nodeId"]), id(&made["token"]["id"]).unwrap())
    }
}

pub fn code<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> String {
    match outcome {
        Ok(_) => OK.to_owned(),
        Err(Error::Refused { code, .. }) => code.clone().unwrap_or_default(),
        Err(error) => panic!("{error:?}"),
    }
}

pub async fn ask(client: &Client, document: &str, variables: Value) -> Result<Value, Error> {
    client.query(document, variables).await
}

/// A contract that is signed.
pub const CONTRACT: &str = "name: signer\nversion: 1.0.0\nevent_bus: {publish_topics: [a.b]}\n";

pub fn signature(key: &SigningKey, document: &str) -> String {
    let read = onex::contracts::read(document).unwrap();
    let message = onex::contracts::canonical_bytes(&read.contract.document);
    BASE64_STANDARD.encode(key.sign(&message).to_bytes())
}

pub fn public(key: &SigningKey) -> String {
    BASE64_STANDARD.encode(key.verifying_key().to_bytes())
}
