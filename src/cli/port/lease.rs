//! One lease: how it is named, what is asked of it, and how leases are shown.

use std::str::FromStr;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::error::Error;
use crate::cli::output::{self, Format};
use crate::cli::table::Table;
use crate::cli::value::{NOTHING, list, text};
use crate::client::Client;

use super::requester::RequesterArgs;

/// Everything about a lease.
pub(super) const FIELDS: &str = "id port host protocol transports status node { id name } requesterId allocatedBy \
    processId purpose key topics probed requestedAt allocatedAt expiresAt graceUntil lastHeartbeatAt endedAt endReason \
    renewals ttlSeconds reboundFrom reboundTo";

/// How a port is spoken to.
#[derive(Clone, Copy, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Protocol {
    #[default]
    Tcp,
    Udp,
    Zmq,
    Jetstream,
    Redis,
    Grpc,
    Http,
    Websocket,
}

/// Whether a lease holds.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    /// It holds.
    Active,
    /// It was given back.
    Released,
    /// It was not renewed in time.
    Expired,
    /// Another took its place.
    Rebound,
}

/// What somebody types to name a lease.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    Id(Uuid),
    /// The number: its active lease is meant.
    Port(u16),
}

/// Neither an id nor a number.
#[derive(Debug, thiserror::Error)]
#[error("a lease is named by its id, or by its port number from 1 to 65535")]
pub(super) struct InvalidName;

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err(InvalidName),
            Ok(port) => Ok(Self::Port(port)),
            Err(_) => Uuid::try_parse(text).map(Self::Id).map_err(|_| InvalidName),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Port(port) => port.fmt(f),
        }
    }
}

/// Whose lease may be changed.
#[derive(Debug, clap::Args)]
pub(super) struct Holder {
    #[command(flatten)]
    requester: RequesterArgs,
    /// Do it also where another requester holds the lease.
    #[arg(long)]
    force: bool,
}

impl Holder {
    /// The requester that must hold the lease; `None` where anybody may.
    pub(super) fn id(&self) -> Option<Uuid> {
        (!self.force).then(|| self.requester.id())
    }
}

/// The id of a named lease. An id that is given is not looked up: the registry refuses it where it knows none.
pub(super) async fn find(client: &Client, name: Name, holder: Option<Uuid>) -> Result<Uuid, Error> {
    let port = match name {
        Name::Id(id) => return Ok(id),
        Name::Port(port) => port,
    };
    let document = "query($filter: PortFilter) { ports(filter: $filter, first: 20) {
        nodes { id host protocol requesterId } } }";
    let filter = super::given(json!({"port": port, "requesterId": holder}));
    let answer: Value = client.query(document, json!({"filter": filter})).await?;
    match list(&answer, "/ports/nodes") {
        [] => Err(Error::NoLease { port, holder }),
        [lease] => {
            let id = text(lease, "/id");
            Uuid::try_parse(&id).map_err(|_| Error::NotFound { thing: "port", name: id })
        }
        several => {
            let one =
                |lease| format!("{} ({} at {})", text(lease, "/id"), text(lease, "/protocol"), text(lease, "/host"));
            Err(Error::SeveralLeases { port, leases: several.iter().map(one).collect::<Vec<_>>().join(", ") })
        }
    }
}

/// Prints leases.
pub(super) fn show(leases: &[Value], format: Format) -> Result<(), Error> {
    match format {
        Format::Json => output::print_json(&leases),
        Format::Yaml => output::print_yaml(&leases),
        Format::Table => table(leases).print(),
    }
}

/// Leases for people.
pub(super) fn table(leases: &[Value]) -> Table {
    let now = now();
    let mut table = Table::new(&["PORT", "HOST", "PROTOCOL", "STATUS", "HOLDER", "PURPOSE", "EXPIRES", "ID"]);
    for lease in leases {
        let [port, host, status, purpose, id] =
            ["/port", "/host", "/status", "/purpose", "/id"].map(|at| text(lease, at));
        table.row([port, host, protocol(lease), status, holder(lease), purpose, expires(lease, now), id]);
    }
    table
}

#[expect(clippy::disallowed_methods, reason = "what is left of a lease is counted from now")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The protocol, and that the number is promised for both transports where it is.
fn protocol(lease: &Value) -> String {
    let both = if list(lease, "/transports").len() > 1 { " +both" } else { "" };
    text(lease, "/protocol") + both
}

/// The node where the lease belongs to one; else the program that asked, which names the process that holds it.
fn holder(lease: &Value) -> String {
    let node = text(lease, "/node/name");
    if node != NOTHING {
        return node;
    }
    text(lease, "/allocatedBy")
}

/// How long a lease holds unless it is renewed, or when it ended. By this machine's clock, so that it is off by as much
/// as that differs from the registry's.
fn expires(lease: &Value, now: Timestamp) -> String {
    let instant = |at: &str| lease[at].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(ended) = instant("endedAt") {
        return format!("ended {} ago", span(now.as_second() - ended.as_second()));
    }
    if lease["processId"].is_number() {
        return "with its process".to_owned();
    }
    let Some(until) = instant("expiresAt").map(|until| instant("graceUntil").map_or(until, |grace| until.max(grace)))
    else {
        return NOTHING.to_owned();
    };
    match until.as_second() - now.as_second() {
        left @ 1.. => format!("in {}", span(left)),
        _ => "now".to_owned(),
    }
}

/// Seconds in the two largest units that they fill.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days}d {}h", hours % 24),
        (_, 1.., _) => format!("{hours}h {}m", minutes % 60),
        (_, _, 1..) => format!("{minutes}m {}s", seconds % 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_named_by_number_or_id() {
        let id = "0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60";
        assert_eq!("8080".parse::<Name>().unwrap(), Name::Port(8080));
        assert_eq!(id.parse::<Name>().unwrap().to_string(), id);
        for wrong in ["", "0", "65536", "-1", "web", "0190c5a0"] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_left_is_told_in_two_units() {
        for (seconds, shown) in
            [(-5, "0s"), (59, "59s"), (60, "1m 0s"), (3_599, "59m 59s"), (3_600, "1h 0m"), (90_000, "1d 1h")]
        {
            assert_eq!(span(seconds), shown);
        }
    }

    #[track_caller]
    fn check_expires(lease: Value, shown: &str) {
        assert_eq!(expires(&lease, "2026-11-22T12:00:00Z".parse().unwrap()), shown);
    }

    #[test]
    fn a_lease_expires_in_a_while_or_ended_a_while_ago() {
        check_expires(json!({"expiresAt": "2026-11-22T12:00:30.5Z", "graceUntil": null}), "in 30s");
        check_expires(json!({"expiresAt": "2026-11-22T11:59:00Z", "graceUntil": "2026-11-22T12:00:05Z"}), "in 5s");
        check_expires(json!({"expiresAt": "2026-11-22T12:00:30Z", "graceUntil": "2026-11-22T12:00:05Z"}), "in 30s");
        check_expires(json!({"expiresAt": "2026-11-22T11:59:00Z"}), "now");
        check_expires(json!({"expiresAt": null}), "-");
        check_expires(json!({"expiresAt": null, "processId": 7}), "with its process");
        check_expires(
            json!({"expiresAt": "2026-11-22T12:09:00Z", "endedAt": "2026-11-22T11:00:00Z"}),
            "ended 1h 0m ago",
        );
    }

    #[test]
    fn the_holder_is_the_node_and_else_who_asked() {
        assert_eq!(holder(&json!({"node": {"name": "a"}, "allocatedBy": "b", "processId": 1})), "a");
        assert_eq!(holder(&json!({"node": null, "allocatedBy": "b", "processId": null})), "b");
    }
}
