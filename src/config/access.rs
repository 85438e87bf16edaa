use crate::access::JwtOptions;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Ask everybody who it is, and allow what the policy permits.
    pub enabled: bool,
    /// A policy in Cedar; the default one when empty. Read anew when the file changes.
    pub policy: PathBuf,
    /// Where the first token is written, where there is none; admin.token in the data directory when empty.
    pub bootstrap_token_file: PathBuf,
    /// How many requests a second each principal may make; 0: as many as it likes.
    pub requests_per_second: u32,
    /// How many it may make at once; as many as in a second when 0.
    pub burst: u32,
    /// The keys of tokens that others sign: a JWK set, or a public key as PEM. Read anew when the file changes.
    pub jwt_keys: PathBuf,
    /// Who must have issued them; anybody who has a key when empty.
    pub jwt_issuer: String,
    /// For whom they must be.
    pub jwt_audience: String,
    /// How far clocks may be apart, in seconds.
    pub jwt_leeway_seconds: u64,
    /// The claim that has the roles.
    pub jwt_roles_claim: String,
    /// The claim that has the id of the node that the token is bound to.
    pub jwt_node_claim: String,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            enabled: false,
            policy: PathBuf::new(),
            bootstrap_token_file: PathBuf::new(),
            requests_per_second: 0,
            burst: 0,
            jwt_keys: PathBuf::new(),
            jwt_issuer: String::new(),
            jwt_audience: String::new(),
            jwt_leeway_seconds: 30,
            jwt_roles_claim: "roles".to_owned(),
            jwt_node_claim: "node".to_owned(),
        }
    }
}

impl Access {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let idle = "is set, and access.enabled is not: nobody would be asked who it is".to_owned();
        let needs = [("access.policy", &self.policy), ("access.jwt_keys", &self.jwt_keys)];
        match needs.into_iter().find(|(_, path)| !self.enabled && !path.as_os_str().is_empty()) {
            Some((name, _)) => Err((name, idle)),
            None if self.jwt_roles_claim.is_empty() => Err(("access.jwt_roles_claim", "is empty".to_owned())),
            None if self.jwt_node_claim.is_empty() => Err(("access.jwt_node_claim", "is empty".to_owned())),
            None => Ok(()),
        }
    }

    /// How tokens that others sign are read.
    pub fn jwt(&self) -> JwtOptions {
        JwtOptions {
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            leeway_seconds: self.jwt_leeway_seconds,
            roles_claim: self.jwt_roles_claim.clone(),
            node_claim: self.jwt_node_claim.clone(),
        }
    }
}
