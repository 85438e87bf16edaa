//! Who may ask: tokens as the registry remembers them, keys of nodes, and attempts that were refused.

use super::{NodeId, Time, TokenId};
use std::fmt;
use std::str::FromStr;

/// The longest name of a principal, in bytes.
pub const PRINCIPAL_LEN_MAX: usize = 128;

/// Names that the registry uses for itself, and that nobody else may bear.
const RESERVED: &[&str] = &["anonymous", "registry", "operator"];

/// SHA-256 of a token's secret. The secret is drawn at random, so that nobody finds it from this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// Leaves the hash out: what is printed for debugging ends up in logs.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// What somebody shows to say who it is. The registry knows its hash, never the secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Drawn when it was made.
    pub id: TokenId,
    /// The principal that it is of. Several may be of one, so that a new one can take over from an old one.
    pub name: String,
    /// Of the secret.
    pub hash: TokenHash,
    /// Each once.
    pub roles: Vec<String>,
    /// The only node that it may act for, where it is bound to one.
    pub node: Option<NodeId>,
    /// From when on it counts no longer; `None`: never.
    pub expires_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// Who made it: a principal.
    pub created_by: String,
}

impl Token {
    /// Whether it counts at this instant.
    pub fn holds_at(&self, now: Time) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Why a text is no name of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no name: 1 to {PRINCIPAL_LEN_MAX} letters, digits, dots, hyphens and underscores, and none of anonymous, registry \
     and operator"
)]
pub struct InvalidPrincipal;

/// Checks the name of a token or role. Colons are for principals of other kinds, such as `jwt:ada`, so that no token
/// bears their names.
pub fn check_principal(name: &str) -> Result<(), InvalidPrincipal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = !name.is_empty() && name.len() <= PRINCIPAL_LEN_MAX && name.chars().all(fits);
    if is_name && !RESERVED.contains(&name) { Ok(()) } else { Err(InvalidPrincipal) }
}

/// A node's own key: Ed25519, by RFC 8032.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(pub [u8; 32]);

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for NodeKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<super::DefinitionHash>().map(|bytes| NodeKey(bytes.0))
    }
}

/// Attempts that were refused: equal ones within a while are one.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// What was to be done, such as `register`; `authenticate` where nobody knew who asked.
    pub action: String,
    /// With what, such as `Node::"…"`.
    pub resource: String,
    /// Why it was refused, in words.
    pub reason: String,
    /// How many times, at least 1.
    pub count: u32,
    /// The first time.
    pub first_at: Time,
    /// The last time.
    pub last_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_bears_the_registrys_names_nor_those_of_other_kinds() {
        for name in ["ci", "a.b-c_9", &"a".repeat(PRINCIPAL_LEN_MAX)] {
            assert_eq!(check_principal(name), Ok(()), "{name}");
        }
        for name in ["", "registry", "anonymous", "operator", "jwt:ada", "a b", "é", &"a".repeat(PRINCIPAL_LEN_MAX + 1)]
        {
            assert_eq!(check_principal(name), Err(InvalidPrincipal), "{name}");
        }
    }
}
