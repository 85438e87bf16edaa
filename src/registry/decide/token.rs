//! Tokens: made and revoked. Who may do so is for access to judge.

use super::{Answer, Decision};
use crate::model::{Change, Time, Token, TokenId};
use crate::registry::command::CreateToken;
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use std::sync::Arc;

/// The most tokens there are: each costs memory in every version.
pub const TOKENS_MAX: usize = 10_000;

pub(super) fn create(state: &State, now: Time, create: &CreateToken) -> Result<Decision, Refusal> {
    if state.tokens.len() >= TOKENS_MAX {
        return Err(Refusal::TooManyTokens { max: TOKENS_MAX });
    }
    if create.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Refusal::TokenExpired { name: create.name.clone() });
    }
    // An id or secret that was drawn twice would be a defect of whoever draws.
    if state.tokens.contains_key(&create.id) || state.token_hashes.contains_key(&create.hash) {
        return Err(Refusal::TokenKnown { token: create.id });
    }
    let token = Arc::new(Token {
        id: create.id,
        name: create.name.clone(),
        hash: create.hash,
        roles: create.roles.clone(),
        node: create.node,
        expires_at: create.expires_at,
        created_at: now,
        created_by: create.created_by.clone(),
    });
    let changes = vec![Change::TokenCreated { token: token.clone() }];
    Ok(Decision { changes, answer: Answer::Token(token) })
}

pub(super) fn revoke(state: &State, id: TokenId) -> Result<Decision, Refusal> {
    let token = state.tokens.get(&id).ok_or(Refusal::TokenNotFound { token: id })?;
    let changes = vec![Change::TokenRevoked { token: id, name: token.name.clone(), node: token.node }];
    Ok(Decision { changes, answer: Answer::Token(token.clone()) })
}
