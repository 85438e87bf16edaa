//! What every command that asks a running registry shares.

use std::process::ExitCode;

use crate::client::Client;

use super::error::Error;

/// Which registry is asked, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// The registry's address.
    #[arg(long, value_name = "URL", env = "ONEX_SERVER", default_value = "http://127.0.0.1:4000")]
    server: String,
    /// The token that says who asks.
    #[arg(long, value_name = "TOKEN", env = "ONEX_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl ServerArgs {
    /// A client of the registry. Connects to nothing yet.
    pub(super) fn client(&self) -> Result<Client, Error> {
        Ok(Client::try_new(&self.server, self.token.clone())?)
    }
}

/// Runs a command to its end. One thread is enough for a program that mostly waits.
pub(super) fn block_on(command: impl Future<Output = Result<ExitCode, Error>>) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
    runtime.block_on(command)
}
