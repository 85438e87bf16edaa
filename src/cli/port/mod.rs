//! `onex port`: leases of port numbers.
//!
//! A lease is the registry's promise that one number on one host is nobody else's until it lapses. `allocate`, `renew`,
//! `release` and `rebind` are the API's commands by hand; `exec` does all of it around another command; `list` and
//! `pools` show what is promised to whom.

mod allocate;
#[cfg(unix)]
mod exec;
#[cfg(not(unix))]
#[path = "exec_elsewhere.rs"]
mod exec;
mod lease;
mod list;
mod pools;
mod rebind;
mod release;
mod renew;
mod requester;

use std::process::ExitCode;

use super::describe::node_id_if_given;
use super::error::Error;
use super::server::block_on;
use super::value::given;

pub(super) use list::Args as ListArgs;

/// What to do with leases.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lease port numbers.
    Allocate(allocate::Args),
    /// Keep a lease for longer.
    Renew(renew::Args),
    /// Give leases back.
    Release(release::Args),
    /// Change a number that turned out unusable for another.
    Rebind(rebind::Args),
    /// List the leases.
    List(list::Args),
    /// Show where numbers come from, and how many are left.
    Pools(pools::Args),
    /// Run a command with leased ports, and give them back when it ends.
    Exec(exec::Args),
}

/// Does it.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    match args.what {
        What::Allocate(args) => block_on(allocate::run(args)),
        What::Renew(args) => block_on(renew::run(args)),
        What::Release(args) => block_on(release::run(args)),
        What::Rebind(args) => block_on(rebind::run(args)),
        What::List(args) => block_on(list::run(args)),
        What::Pools(args) => block_on(pools::run(args)),
        What::Exec(args) => exec::run(args),
    }
}
