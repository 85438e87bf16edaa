//! What is asked of port leases: checked here, field by field, and made a wish or a command.

use super::super::Bounds;
use super::super::error::invalid;
use super::lease::read_host;
use super::port::PortProtocol;
use crate::model::{self, Band, NAME_LEN_MAX, NodeId, RequestKey, RequesterId, TopicName, Transports, Ttl};
use crate::ports::{ALLOCATED_AT_ONCE_MAX, Ports};
use crate::registry::command::{Owner, Wanted};
use async_graphql::{InputObject, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The most characters of what is said of a lease. Many leases are remembered, also after they ended.
const WORDS_LEN_MAX: usize = 1_024;
/// The most topics of a lease.
const TOPICS_LEN_MAX: usize = 32;

/// One port that is wanted.
#[derive(InputObject)]
pub struct AllocateInput {
    /// For whom: an id that the requester has given itself and keeps.
    requester_id: Uuid,
    /// How the port will be spoken to: UDP takes a UDP number, all others a TCP one. IPC has no numbers.
    #[graphql(default_with = "PortProtocol::Tcp")]
    protocol: PortProtocol,
    /// True: the number for TCP and UDP alike.
    both_transports: Option<bool>,
    /// The number to try first; another is given where it cannot be had. To insist, give it as from and to as well.
    preferred_port: Option<i32>,
    /// The lowest number to choose from, with `to`; the pool's bands when absent.
    from: Option<i32>,
    /// The highest number to choose from, with `from`.
    to: Option<i32>,
    /// The machine; the registry's own when absent. On another, the number cannot be looked at before it is leased.
    host: Option<String>,
    /// The node that the lease is to go with, and end with.
    node_id: Option<Uuid>,
    /// Topics that the port will serve: at most 32.
    topics: Option<Vec<String>>,
    /// The program that asks, for whoever looks who holds a number.
    program: Option<String>,
    /// What the port is for, in words: 1 to 1,024 characters.
    purpose: Option<String>,
    /// Seconds until the lease lapses unless it is renewed; when absent, the configuration's, or for one still held under
    /// the key its own.
    ttl_seconds: Option<i32>,
    /// Names this use within the requester and host: asking again with the same key returns the lease still held,
    /// renewed, and after it has ended the same number where it can be had.
    key: Option<String>,
    /// Names this request: repeating it returns the first answer and leases nothing more.
    idempotency_key: Option<String>,
    /// What the caller calls the whole undertaking; travels with every change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl AllocateInput {
    /// `path` stands before the names of fields in errors.
    pub(in crate::graphql) fn read(
        self,
        path: &str,
        ports: &Ports,
        bounds: &Bounds,
        principal: &str,
    ) -> Result<Wanted> {
        let field = |name: &str| format!("{path}{name}");
        let protocol = model::PortProtocol::from(self.protocol);
        let Some(transport) = protocol.transport() else {
            return Err(invalid(&field("protocol"), "is IPC, which has no port numbers"));
        };
        let host = self.host.as_deref().map(|host| read_host(&field("host"), host)).transpose()?;
        let range = match (self.from, self.to) {
            (None, None) => None,
            (Some(from), Some(to)) => {
                let (from, to) = (number(&field("from"), from)?, number(&field("to"), to)?);
                Some(Band::try_new(from, to).map_err(|_| invalid(&field("to"), "is less than from"))?)
            }
            (Some(_), None) => return Err(invalid(&field("to"), "is missing, and from is given")),
            (None, Some(_)) => return Err(invalid(&field("from"), "is missing, and to is given")),
        };
        let mut wanted = ports.wanted(RequesterId(self.requester_id), principal);
        wanted.protocol = protocol;
        wanted.transports =
            if self.both_transports == Some(true) { Transports::Both } else { Transports::One(transport) };
        wanted.host = ports.host(host);
        wanted.node = self.node_id.map(NodeId);
        wanted.topics = topics(&field("topics"), self.topics.unwrap_or_default())?;
        wanted.program = name(&field("program"), self.program, NAME_LEN_MAX)?;
        wanted.purpose = name(&field("purpose"), self.purpose, WORDS_LEN_MAX)?;
        wanted.ttl = lifetime(&field("ttlSeconds"), self.ttl_seconds, bounds)?;
        wanted.key = name(&field("key"), self.key, NAME_LEN_MAX)?;
        wanted.range = range;
        wanted.preferred = self.preferred_port.map(|port| number(&field("preferredPort"), port)).transpose()?;
        if let (Some(preferred), Some(range)) = (wanted.preferred, range)
            && !range.contains(preferred)
        {
            return Err(invalid(&field("preferredPort"), format!("is {preferred}, which is not in {range}")));
        }
        let key = name(&field("idempotencyKey"), self.idempotency_key, NAME_LEN_MAX)?;
        wanted.request = key.map(|key| RequestKey { key, asked: fingerprint(&wanted) });
        Ok(wanted)
    }
}

/// What is asked, as a hash: the same for the same request, whoever's time it comes at.
fn fingerprint(wanted: &Wanted) -> [u8; 32] {
    let asked = json!({
        "protocol": wanted.protocol.as_str(),
        "transports": wanted.transports.to_string(),
        "host": wanted.host.as_str(),
        "node": wanted.node.map(|node| node.0),
        "topics": wanted.topics.iter().map(TopicName::as_str).collect::<Vec<_>>(),
        "purpose": wanted.purpose,
        "ttl": wanted.ttl.map(Ttl::as_seconds),
        "key": wanted.key,
        "range": wanted.range.map(|range| range.to_string()),
        "preferred": wanted.preferred,
    });
    Sha256::digest(asked.to_string()).into()
}

/// Several ports in one step: all of them, or none.
#[derive(InputObject)]
pub struct AllocateBatchInput {
    /// Each of them: 1 to 100.
    requests: Vec<AllocateInput>,
    /// True: consecutive numbers, in this order. The first request's host, range and preferred number count for all.
    contiguous: Option<bool>,
}

impl AllocateBatchInput {
    /// What is wanted, whether in a row, and the correlation id, which is the first that is given.
    pub(in crate::graphql) fn read(
        self,
        ports: &Ports,
        bounds: &Bounds,
        principal: &str,
    ) -> Result<(Vec<Wanted>, bool, Option<String>)> {
        let count = self.requests.len();
        if count == 0 || count > ALLOCATED_AT_ONCE_MAX {
            return Err(invalid("requests", format!("has {count} entries; it has 1 to {ALLOCATED_AT_ONCE_MAX}")));
        }
        let contiguous = self.contiguous.unwrap_or(false);
        let correlation_id = self.requests.iter().find_map(|request| request.correlation_id.clone());
        let requests = self.requests.into_iter().enumerate();
        let wanted = requests.map(|(at, request)| request.read(&format!("requests[{at}]."), ports, bounds, principal));
        let wanted: Vec<Wanted> = wanted.collect::<Result<_>>()?;
        if contiguous && wanted.windows(2).any(|pair| pair[0].host != pair[1].host) {
            return Err(invalid("contiguous", "is true, and the requests name different hosts"));
        }
        Ok((wanted, contiguous, correlation_id))
    }
}

/// A lease's lifetime is to start anew.
#[derive(InputObject)]
pub struct RenewInput {
    /// The lease.
    pub(in crate::graphql) lease_id: Uuid,
    /// Seconds until it lapses from now; as before when absent.
    ttl_seconds: Option<i32>,
    /// The requester that it is renewed for; where given, it must be the lease's.
    requester_id: Option<Uuid>,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl RenewInput {
    pub(in crate::graphql) fn ttl(&self, bounds: &Bounds) -> Result<Option<Ttl>> {
        lifetime("ttlSeconds", self.ttl_seconds, bounds)
    }

    pub(in crate::graphql) fn owner(&self, principal: &str) -> Owner {
        owner(principal, self.requester_id)
    }
}

/// A lease is given back.
#[derive(InputObject)]
pub struct ReleaseInput {
    /// The lease.
    pub(in crate::graphql) lease_id: Uuid,
    /// The requester that gives it back; where given, it must be the lease's.
    requester_id: Option<Uuid>,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl ReleaseInput {
    pub(in crate::graphql) fn owner(&self, principal: &str) -> Owner {
        owner(principal, self.requester_id)
    }
}

/// A leased number turned out unusable.
#[derive(InputObject)]
pub struct RebindInput {
    /// The lease.
    pub(in crate::graphql) lease_id: Uuid,
    /// What is wrong with the number, in words: 1 to 1,024 characters.
    reason: String,
    /// The number to try first.
    preferred_port: Option<i32>,
    /// The requester that holds the lease; where given, it must be the lease's.
    requester_id: Option<Uuid>,
    /// What the caller calls the whole undertaking; travels with every change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl RebindInput {
    pub(in crate::graphql) fn read(self, principal: &str) -> Result<(Owner, String, Option<u16>)> {
        let preferred = self.preferred_port.map(|port| number("preferredPort", port)).transpose()?;
        let reason = name("reason", Some(self.reason), WORDS_LEN_MAX)?.unwrap_or_default();
        Ok((owner(principal, self.requester_id), reason, preferred))
    }
}

fn owner(principal: &str, requester: Option<Uuid>) -> Owner {
    Owner { principal: principal.to_owned(), requester: requester.map(RequesterId) }
}

fn number(field: &str, port: i32) -> Result<u16> {
    match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(invalid(field, format!("is {port}; a port number is 1 to 65535"))),
    }
}

fn name(field: &str, text: Option<String>, length_max: usize) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    match text.chars().count() {
        0 => Err(invalid(field, "is empty")),
        length if length > length_max => {
            Err(invalid(field, format!("has {length} characters; the most is {length_max}")))
        }
        _ => Ok(Some(text)),
    }
}

fn topics(field: &str, topics: Vec<String>) -> Result<Vec<TopicName>> {
    if topics.len() > TOPICS_LEN_MAX {
        return Err(invalid(field, format!("has {} entries; the most is {TOPICS_LEN_MAX}", topics.len())));
    }
    let mut read: Vec<TopicName> = Vec::new();
    for (at, topic) in topics.iter().enumerate() {
        let topic = TopicName::try_new(topic).map_err(|error| invalid(&format!("{field}[{at}]"), error))?;
        if !read.contains(&topic) {
            read.push(topic);
        }
    }
    Ok(read)
}

fn lifetime(field: &str, seconds: Option<i32>, bounds: &Bounds) -> Result<Option<Ttl>> {
    let Some(seconds) = seconds else { return Ok(None) };
    let max = bounds.lease_ttl_seconds_max;
    let ttl = u32::try_from(seconds).ok().filter(|seconds| *seconds <= max).and_then(Ttl::from_seconds);
    ttl.map(Some).ok_or_else(|| invalid(field, format!("is {seconds}; a lease lasts 1 to {max} seconds")))
}
