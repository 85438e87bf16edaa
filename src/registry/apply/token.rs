//! Tokens come and go.

use crate::model::{Token, TokenId};
use crate::registry::state::State;
use std::sync::Arc;

pub(super) fn put(state: &mut State, token: Arc<Token>) {
    state.token_hashes.insert(token.hash, token.id);
    state.tokens.insert(token.id, token);
}

pub(super) fn revoked(state: &mut State, id: TokenId) {
    if let Some(token) = state.tokens.remove(&id) {
        state.token_hashes.remove(&token.hash);
    }
}
