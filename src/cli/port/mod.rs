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

use serde_json::{Map, Value};

use crate::client::Client;

use super::describe::node_id;
use super::error::Error;
use super::server::block_on;

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

/// The id of a node that an option names; null where the option is absent.
async fn node_id_if_given(client: &Client, name_or_id: Option<&str>) -> Result<Value, Error> {
    match name_or_id {
        Some(name_or_id) => node_id(client, name_or_id).await,
        None => Ok(Value::Null),
    }
}

/// An object's members that say something: what was not typed is not sent, so that the registry's defaults hold.
fn given(object: Value) -> Value {
    match object {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_typed_is_not_sent() {
        let none: Option<u16> = None;
        assert_eq!(given(json!({"a": none, "b": 0, "c": false, "d": ""})), json!({"b": 0, "c": false, "d": ""}));
    }
}
