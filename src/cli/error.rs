//! Why a command failed, and how that is told.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::client;

/// Why a command failed. Each says its own part; [`chain`] puts the causes behind it, once, at the end of the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// Stdout did not take the output.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    /// The output could not be written as YAML.
    #[error("cannot write the output as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
    /// The output could not be written as JSON.
    #[error("cannot write the output as JSON")]
    Json(#[source] serde_json::Error),
    /// A file or folder that was named cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder holds nothing to register.
    #[error("no contract file in {}: looked for {names} in it and the folders below, except hidden ones, node_modules and target; name a file to register it whatever it is called", path.display())]
    NoContracts {
        /// The folder.
        path: PathBuf,
        /// The names that are looked for.
        names: String,
    },
    /// The registry does not know the thing that was asked for.
    #[error("no {thing} is registered as {name:?}: \"onex inspect {thing}s\" lists those that are")]
    NotFound {
        /// What it was asked for as.
        thing: &'static str,
        /// Its name, id or hash.
        name: String,
    },
    /// No bus is called so.
    #[error("no bus has the name or id {0:?}: \"onex bus list\" shows those that there are (BUS_NOT_FOUND)")]
    NoBus(String),
    /// A lease was named by a number of which nobody, or not who asks, holds one.
    #[error("{}: \"onex port list --port {port}\" shows who holds it", no_lease(*port, *holder))]
    NoLease {
        /// The number.
        port: u16,
        /// The requester that was to hold it; absent where anybody was.
        holder: Option<Uuid>,
    },
    /// A lease was named by a number of which there are several.
    #[error("port {port} is leased more than once: name the lease by its id, one of {leases}")]
    SeveralLeases {
        /// The number.
        port: u16,
        /// Their ids, each with what tells it from the others.
        leases: String,
    },
    /// A leased port could not be listened at.
    #[error("cannot listen at {address} for {name}")]
    Listen {
        /// What the port is called.
        name: String,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A node would have nothing to offer.
    #[error("the contract declares no tool: list some under tools, set mcp.expose, or name one with --tool")]
    NoTools,
    /// A Model Context Protocol server cannot be reached, or is gone.
    #[cfg(feature = "mcp")]
    #[error("the MCP server {server} is not there")]
    Mcp {
        /// Its command or address.
        server: String,
        /// What happened to it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// What was typed, or a file that it names, is not what the command takes.
    #[error("{0}")]
    Usage(String),
    /// A call was followed until the registry could no longer be asked how it goes.
    #[error("the registry has not answered for {} seconds, so what came of invocation {id} is unknown: ask it later by this id", waited.as_secs())]
    CallLost {
        /// The call.
        id: String,
        /// For how long it was tried.
        waited: Duration,
        /// Why there was no answer.
        source: Box<client::Error>,
    },
    /// The program's own machinery could not start.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// A command of another room failed.
    #[error(transparent)]
    Other(#[from] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// The exit status that tells of it: 2 for what was typed wrongly, as for the options themselves.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }

    /// Whether stdout's reader has gone, as in `onex … | head`: it has what it wanted, and there is nothing to say.
    ///
    /// A broken pipe further down a chain of causes is a connection's, and is told.
    pub(super) fn is_closed_pipe(&self) -> bool {
        let error = match self {
            Self::Output(error) => Some(error),
            Self::Other(error) => error.downcast_ref::<io::Error>(),
            _ => None,
        };
        error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn no_lease(port: u16, holder: Option<Uuid>) -> String {
    match holder {
        Some(holder) => format!("requester {holder} holds no lease of port {port}"),
        None => format!("nobody holds a lease of port {port}"),
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut causes = Vec::new();
    let mut below = error.source();
    while let Some(cause) = below {
        let said = cause.to_string();
        // Many libraries repeat their cause in their own text; once is enough.
        if !line.contains(&said) && !causes.iter().any(|cause: &String| cause.contains(&said)) {
            causes.push(said);
        }
        below = cause.source();
    }
    if !causes.is_empty() {
        line.push_str(&format!(" (caused by: {})", causes.join(": ")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_one_line_with_each_cause_once() {
        let error = Error::Read { path: "a.yaml".into(), source: io::Error::other("it is gone") };
        assert_eq!(chain(&error), "cannot read a.yaml (caused by: it is gone)");
        let error = Error::Other("all said".into());
        assert_eq!(chain(&error), "all said");
    }

    #[test]
    fn only_a_broken_stdout_ends_quietly() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Error::Output(broken()).is_closed_pipe());
        assert!(Error::Other(broken().into()).is_closed_pipe());
        assert!(!Error::Output(io::Error::other("disk full")).is_closed_pipe());
        assert!(!Error::Read { path: "a".into(), source: broken() }.is_closed_pipe());
    }
}
