//! `onex port list`, which is also `onex inspect ports`.

use std::process::ExitCode;

use serde_json::json;
use uuid::Uuid;

use crate::cli::error::Error;
use crate::cli::inspect::{self, Common, Listing};

use super::lease::{self, Protocol, Status};
use super::{given, node_id_if_given, requester};

/// Which leases to list.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Only this status; without it, those that hold.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those on this machine.
    #[arg(long)]
    host: Option<String>,
    /// Only those that are spoken to like this.
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// Only those of this node.
    #[arg(long, value_name = "NAME|ID")]
    node: Option<String>,
    /// Only those of this requester.
    #[arg(long, value_name = "UUID")]
    requester: Option<Uuid>,
    /// Only your own: those of the requester that "onex port allocate" asks as.
    #[arg(long, conflicts_with = "requester")]
    mine: bool,
    /// Only this number.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

/// Prints the list.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let (common, listing) = args.split().await?;
    inspect::show(common, listing).await
}

impl Args {
    /// The list as `onex inspect` has them.
    pub(in crate::cli) async fn split(self) -> Result<(Common, Listing), Error> {
        let requester = if self.mine { Some(requester::mine()?) } else { self.requester };
        let node = node_id_if_given(&self.common.server.client()?, self.node.as_deref()).await?;
        let filter = given(json!({
            "status": self.status,
            "host": self.host,
            "protocol": self.protocol,
            "nodeId": node,
            "requesterId": requester,
            "port": self.port,
        }));
        let listing = Listing {
            field: "ports",
            filter_type: "PortFilter",
            selection: lease::FIELDS,
            filter,
            keep: None,
            table: lease::table,
            none: "no ports are leased: \"onex port allocate\" leases one",
        };
        Ok((self.common, listing))
    }
}
