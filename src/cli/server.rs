//! What every command that asks a running registry shares.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::client::{Certificates, Client};

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
    /// A file that holds the token, and that its owner alone may read.
    #[arg(long, value_name = "FILE", env = "ONEX_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The certificates that an https registry's may be signed by, as PEM; otherwise those that this machine trusts.
    #[arg(long, value_name = "FILE", env = "ONEX_CA")]
    ca: Option<PathBuf>,
    /// The certificate to show to an https registry, as PEM.
    #[arg(long, value_name = "FILE", env = "ONEX_CLIENT_CERTIFICATE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// Its private key, as PEM.
    #[arg(long, value_name = "FILE", env = "ONEX_CLIENT_KEY", requires = "client_certificate")]
    client_key: Option<PathBuf>,
}

impl ServerArgs {
    /// A client of the registry. Connects to nothing yet.
    pub(super) fn client(&self) -> Result<Client, Error> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) if !token.is_empty() => Some(token.clone()),
            (_, Some(path)) => Some(read_token(path)?),
            _ => None,
        };
        let certificates = Certificates {
            ca: self.ca.clone(),
            certificate: self.client_certificate.clone(),
            key: self.client_key.clone(),
        };
        Ok(Client::try_with(&self.server, token, &certificates)?)
    }
}

/// The token in a file; refused where others may read it, too.
fn read_token(path: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(Error::Usage(format!("others may read the token in {path}: chmod 600 {path}")));
        }
    }
    Ok(std::fs::read_to_string(path).map_err(unreadable)?.trim().to_owned())
}

/// Runs a command to its end. One thread is enough for a program that mostly waits.
pub(super) fn block_on(command: impl Future<Output = Result<ExitCode, Error>>) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
    runtime.block_on(command)
}
