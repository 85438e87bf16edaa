//! From what a request shows to a principal.

use super::principal::{Known, Principal, Proof};
use super::{Access, Visitor, secret};
use crate::model::{Time, TokenHash};
use std::sync::Arc;
use std::time::Duration;

/// The longest that is looked at, in bytes: a JWT has a few thousand.
const SHOWN_LEN_MAX: usize = 16 * 1024;

/// Why it is not known who asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nothing is shown.
    #[error("it is not known who asks: send a token, as in Authorization: Bearer onex_...")]
    Missing,
    /// What is shown is no bearer token.
    #[error("the Authorization is no bearer token: send it as Authorization: Bearer onex_...")]
    Malformed,
    /// No such token is known: it was never made, or was revoked.
    #[error("the token is not known: it was revoked, or is of another registry")]
    NotKnown,
    /// The token or the certificate has expired.
    #[error("what is shown has expired: make a new token with onex token create, or get a new certificate")]
    Expired,
    /// A token that somebody else signed, and that does not count.
    #[error("the token does not count: {0}")]
    Jwt(String),
}

impl Access {
    /// Who shows this Authorization, over a connection of somebody with a certificate. The Authorization counts where
    /// there are both. Whoever shows nothing is let in where some policy permits it anything.
    pub fn identify(&self, authorization: Option<&str>, certificate: Option<&Known>) -> Result<Known, Unknown> {
        let certified = certificate.filter(|_| authorization.is_none());
        let Some(gate) = &self.gate else { return Ok(certified.unwrap_or(&self.nobody).clone()) };
        if let Some(known) = certified {
            return self.is_current(known).map(|()| known.clone());
        }
        let Some(authorization) = authorization else {
            return match gate.policy.load().admits_anonymous() {
                true => Ok(self.nobody.clone()),
                false => Err(Unknown::Missing),
            };
        };
        let token = bearer(authorization).ok_or(Unknown::Malformed)?;
        let (hash, now) = (secret::hash(token), gate.clock.now());
        if let Some(known) = gate.known.get(&hash) {
            return self.is_current(&known).map(|()| known);
        }
        let principal = match token.starts_with(secret::PREFIX) {
            true => self.of_token(hash, now)?,
            false => match &**gate.keys.load() {
                Some(keys) => keys.principal(token).map_err(Unknown::Jwt)?,
                None => return Err(Unknown::NotKnown),
            },
        };
        let known = Arc::new(principal);
        gate.known.insert(hash, known.clone());
        Ok(known)
    }

    /// Whoever shows nothing.
    pub fn nobody(&self) -> Known {
        self.nobody.clone()
    }

    fn of_token(&self, hash: TokenHash, now: Time) -> Result<Principal, Unknown> {
        let Some(gate) = &self.gate else { return Err(Unknown::NotKnown) };
        let state = gate.views.current();
        let token = state.token_of(&hash).ok_or(Unknown::NotKnown)?;
        if !token.holds_at(now) {
            return Err(Unknown::Expired);
        }
        Ok(Principal {
            name: token.name.clone(),
            roles: token.roles.clone(),
            node: token.node,
            proof: Proof::Token(hash),
            until: token.expires_at,
        })
    }

    /// Whether somebody still is who it was.
    pub fn is_current(&self, principal: &Principal) -> Result<(), Unknown> {
        let Some(gate) = &self.gate else { return Ok(()) };
        if principal.until.is_some_and(|until| gate.clock.now() >= until) {
            return Err(Unknown::Expired);
        }
        match principal.proof {
            Proof::Token(hash) if gate.views.current().token_of(&hash).is_none() => Err(Unknown::NotKnown),
            Proof::None if !gate.policy.load().admits_anonymous() => Err(Unknown::Missing),
            _ => Ok(()),
        }
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= SHOWN_LEN_MAX;
    fits.then_some(token)
}

impl Visitor {
    /// Whether it still is who it was.
    pub fn is_current(&self) -> Result<(), Unknown> {
        self.access.is_current(&self.principal)
    }

    /// Whether this can come to an end before its connection does.
    pub fn may_lapse(&self) -> bool {
        self.access.is_on()
    }

    /// Waits until it is no longer who it was: its token was revoked, or has expired. For ever where that cannot be.
    pub async fn lapsed(self) -> Unknown {
        let Some(gate) = &self.access.gate else { return std::future::pending().await };
        let mut turned = gate.turned.subscribe();
        loop {
            turned.mark_unchanged();
            if let Err(unknown) = self.is_current() {
                return unknown;
            }
            let left = self.principal.until.map(|until| until.micros_since(gate.clock.now()));
            let expired = async {
                match left {
                    // A little later, so that it has.
                    Some(micros) => tokio::time::sleep(Duration::from_micros(micros) + Duration::from_millis(1)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                turned = turned.changed() => if turned.is_err() { return std::future::pending().await },
                () = expired => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_one() {
        assert_eq!(bearer("Bearer onex_a"), Some("onex_a"));
        assert_eq!(bearer(" bearer   onex_a "), Some("onex_a"));
        for other in ["", "Bearer", "Bearer ", "Basic YTpi", "onex_a"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
