//! Whoever asks.

use crate::model::{Actor, NodeId, Time, TokenHash};
use std::sync::Arc;

/// How it is known who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Not at all.
    None,
    /// By a token of this registry.
    Token(TokenHash),
    /// By a token that somebody else has signed.
    Jwt,
    /// By the certificate of its connection.
    Certificate,
}

impl Proof {
    /// In a word, as policies see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::None => "none",
            Proof::Token(_) => "token",
            Proof::Jwt => "jwt",
            Proof::Certificate => "certificate",
        }
    }
}

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its name, as changes record it.
    pub name: String,
    /// Its roles as they were given, each once, in order.
    pub roles: Vec<String>,
    /// The only node that it may act for, where it is bound to one.
    pub node: Option<NodeId>,
    /// How it is known.
    pub proof: Proof,
    /// Until when it is; `None`: as long as the token is not revoked.
    pub until: Option<Time>,
}

impl Principal {
    /// Whoever shows nothing.
    pub fn anonymous() -> Self {
        Principal {
            name: Actor::anonymous(None).principal,
            roles: vec!["anonymous".to_owned()],
            node: None,
            proof: Proof::None,
            until: None,
        }
    }

    /// Whether it has this role, or one that is in it: nodes and agents are viewers, too.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role || parents(own).contains(&role))
    }

    /// Whether anybody knows who this is.
    pub fn is_known(&self) -> bool {
        self.proof != Proof::None
    }
}

/// The roles that a role is in.
pub(super) fn parents(role: &str) -> &'static [&'static str] {
    match role {
        "node" | "agent" => &["viewer"],
        _ => &[],
    }
}

/// Whoever asks, shared by all that it asks.
pub type Known = Arc<Principal>;
