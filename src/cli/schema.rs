//! `onex schema`: the GraphQL schema, without a server.

use super::output;
use std::error::Error;

/// Prints the schema in its definition language.
pub fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(output::print(&crate::graphql::sdl())?)
}
