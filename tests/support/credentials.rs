//! Credentials of NATS's decentralised way (JWTs signed with nkeys), as `nsc` would make them:
//! <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt>.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use uuid::Uuid;

/// An operator of a NATS server, an account with JetStream, and users: as files.
pub struct Credentials {
    directory: TempDir,
    account: KeyPair,
}

impl Credentials {
    /// With `server.conf`, which a server is started with.
    pub fn new() -> Self {
        let (operator, account, system) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let directory = tempfile::tempdir().unwrap();
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        // The account that the server's own affairs are in has no streams.
        let own_limits = json!({"subs": -1, "data": -1, "payload": -1, "exports": -1, "conn": -1, "leaf": -1});
        let about_operator = json!({"type": "operator", "system_account": system.public_key()});
        let of_operator = token(&operator, &operator, about_operator);
        let of_account = token(&operator, &account, json!({"type": "account", "limits": limits}));
        let of_system = token(&operator, &system, json!({"type": "account", "limits": own_limits}));
        let configuration = format!(
            "operator: {of_operator}\nsystem_account: {system}\nresolver: MEMORY\n\
             resolver_preload: {{ {account}: {of_account}, {system}: {of_system} }}\n",
            account = account.public_key(),
            system = system.public_key(),
        );
        std::fs::write(directory.path().join("server.conf"), configuration).unwrap();
        Credentials { directory, account }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A user of the account in NAME.
    pub fn user(&self, name: &str) {
        self.write(name, &self.account);
    }

    /// A user of an account that the server knows nothing of.
    pub fn stranger(&self, name: &str) {
        self.write(name, &KeyPair::new_account());
    }

    fn write(&self, name: &str, account: &KeyPair) {
        let user = KeyPair::new_user();
        let token = token(account, &user, json!({"type": "user", "subs": -1, "data": -1, "payload": -1}));
        let seed = user.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        std::fs::write(self.path(name), text).unwrap();
    }
}

/// What `issuer` says of `subject`.
fn token(issuer: &KeyPair, subject: &KeyPair, mut about: Value) -> String {
    about["version"] = json!(2);
    let claims = json!({
        "jti": Uuid::new_v4().simple().to_string(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": "tested", "sub": subject.public_key(), "nats": about,
    });
    let written = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let said = format!("{}.{}", written(json!({"typ": "JWT", "alg": "ed25519-nkey"})), written(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(said.as_bytes()).unwrap());
    format!("{said}.{signature}")
}
