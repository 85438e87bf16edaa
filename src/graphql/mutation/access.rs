//! Tokens are made and revoked.

use super::super::reach::asker;
use super::super::types::access::{CreateTokenInput, CreatedToken, RevokeTokenInput, Token};
use super::{submit, unexpected};
use crate::access::Action;
use crate::model::TokenId;
use crate::registry::command::Command;
use crate::registry::decide::Answer;
use async_graphql::{Context, Object, Result};

/// Tokens are made and revoked.
#[derive(Default)]
pub struct AccessMutation;

/// Tokens are made and revoked.
#[Object]
impl AccessMutation {
    /// Make a token. Its secret is in this answer and in no other.
    async fn create_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose, with what roles, for how long.")] mut input: CreateTokenInput,
    ) -> Result<CreatedToken> {
        let caller = asker(ctx)?;
        caller.permit_here(Action::Administer)?;
        let correlation_id = input.correlation_id.take();
        let (create, secret) = input.read(&caller.actor.principal)?;
        let outcome = submit(ctx, Command::CreateToken(Box::new(create)), correlation_id).await?;
        match outcome.answer {
            Answer::Token(token) => Ok(CreatedToken { token: Token(token), secret }),
            _ => Err(unexpected()),
        }
    }

    /// Let a token count no longer: what its holder has under way ends. Answers the token as it last was.
    async fn revoke_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which token.")] mut input: RevokeTokenInput,
    ) -> Result<Token> {
        asker(ctx)?.permit_here(Action::Administer)?;
        let correlation_id = input.correlation_id.take();
        let outcome = submit(ctx, Command::RevokeToken(TokenId(input.id)), correlation_id).await?;
        match outcome.answer {
            Answer::Token(token) => Ok(Token(token)),
            _ => Err(unexpected()),
        }
    }
}
