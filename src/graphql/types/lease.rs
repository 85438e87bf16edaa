//! Port leases and pools as clients see them, and what they ask of them.

use super::super::error::invalid;
use super::super::paging::{Connection, Key, Page, PageArgs, total};
use super::super::scalars::DateTime;
use super::super::{Bounds, View};
use super::node::Node;
use super::port::PortProtocol;
use crate::model::{
    self, Band, EndCause, HostName, LeaseId, NAME_LEN_MAX, NodeId, PortKey, RequestKey, RequesterId, Sequence,
    TopicName, Transports, Ttl,
};
use crate::ports::{ALLOCATED_AT_ONCE_MAX, Counts, Ports};
use crate::registry::command::{Owner, Wanted};
use crate::registry::pool::Pool;
use async_graphql::{Enum, InputObject, Object, Result, SimpleObject};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;
use uuid::Uuid;

/// The most characters of what is said of a lease. Many leases are remembered, also after they ended.
const WORDS_LEN_MAX: usize = 1_024;
/// The most topics of a lease.
const TOPICS_LEN_MAX: usize = 32;

/// What port numbers belong to: TCP's and UDP's are distinct.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::Transport")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Whether a lease holds.
#[derive(Enum, Clone, Copy, Default, PartialEq, Eq)]
#[graphql(remote = "model::LeaseStatus")]
pub enum LeaseStatus {
    /// It holds.
    #[default]
    Active,
    /// It was given back, by its holder or because its holder is gone.
    Released,
    /// It was not renewed in time, or its node was not.
    Expired,
    /// Its number turned out unusable, and another lease took its place.
    Rebound,
}

/// A promise that one number on one host is nobody else's until it ends.
pub struct PortLease {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) lease: Arc<model::Lease>,
}

impl PortLease {
    pub(in crate::graphql) fn by_id(view: &View, id: LeaseId) -> Option<PortLease> {
        view.leases.get(id).map(|lease| PortLease { view: view.clone(), lease: lease.clone() })
    }

    /// The leases that go with a node, by number.
    pub(in crate::graphql) fn of_node(view: &View, node: NodeId) -> Vec<PortLease> {
        let mut leases: Vec<Arc<model::Lease>> = view.leases.of_node(node).cloned().collect();
        leases.sort_by(|a, b| (&a.terms.host, a.terms.port, a.id).cmp(&(&b.terms.host, b.terms.port, b.id)));
        leases.into_iter().map(|lease| PortLease { view: view.clone(), lease }).collect()
    }
}

/// A promise that one number on one host is nobody else's until expiresAt, or for as long as what holds it lives.
#[Object]
impl PortLease {
    /// Drawn when it was asked for.
    async fn id(&self) -> Uuid {
        self.lease.id.0
    }
    /// The number, 1 to 65535.
    async fn port(&self) -> i32 {
        self.lease.terms.port.into()
    }
    /// The machine that the number is on.
    async fn host(&self) -> &str {
        self.lease.terms.host.as_str()
    }
    /// How the port is spoken to.
    async fn protocol(&self) -> PortProtocol {
        self.lease.terms.protocol.into()
    }
    /// For which transports the number is promised; the other's may be somebody else's.
    async fn transports(&self) -> Vec<Transport> {
        self.lease.terms.transports.all().iter().map(|transport| (*transport).into()).collect()
    }
    /// Whether it holds.
    async fn status(&self) -> LeaseStatus {
        self.lease.status().into()
    }
    /// The node that it goes with, and ends with; null where it goes with none, or that is no longer registered.
    async fn node(&self) -> Option<Node> {
        Node::by_id(&self.view, self.lease.node?)
    }
    /// Who asked.
    async fn requester_id(&self) -> Uuid {
        self.lease.terms.requester.0
    }
    /// Who asked: the principal, and in brackets the program that it named.
    async fn allocated_by(&self) -> String {
        self.lease.terms.allocated_by()
    }
    /// The process that holds it, for as long as that lives; null for a lease that is held by renewing it.
    async fn process_id(&self) -> Option<u32> {
        self.lease.terms.process.map(|process| process.pid)
    }
    /// What it is for, in the requester's words; null where it did not say.
    async fn purpose(&self) -> Option<&str> {
        self.lease.terms.purpose.as_deref()
    }
    /// The requester's name for this use; null where it gave none.
    async fn key(&self) -> Option<&str> {
        self.lease.terms.key.as_deref()
    }
    /// Topics that the port serves.
    async fn topics(&self) -> Vec<&str> {
        self.lease.terms.topics.iter().map(TopicName::as_str).collect()
    }
    /// Whether the number was found free just before the grant; false for a host that the registry cannot look at.
    async fn probed(&self) -> bool {
        self.lease.terms.probed
    }
    /// When the request came in.
    async fn requested_at(&self) -> DateTime {
        DateTime(self.lease.terms.requested_at)
    }
    /// When it was granted.
    async fn allocated_at(&self) -> DateTime {
        DateTime(self.lease.allocated_at)
    }
    /// How many seconds it lasts without a renewal; null where a process holds it.
    async fn ttl_seconds(&self) -> Option<u32> {
        self.lease.ttl.map(Ttl::as_seconds)
    }
    /// When it lapses unless it is renewed; null where a process holds it.
    async fn expires_at(&self) -> Option<DateTime> {
        self.lease.expires_at.map(DateTime)
    }
    /// Until when it is kept all the same, having lapsed while the registry was down; null where it has not.
    async fn grace_until(&self) -> Option<DateTime> {
        self.lease.grace_until.map(DateTime)
    }
    /// When it was last renewed; null where it never was.
    async fn last_heartbeat_at(&self) -> Option<DateTime> {
        self.lease.last_heartbeat_at.map(DateTime)
    }
    /// How often it was renewed.
    async fn renewals(&self) -> u32 {
        self.lease.renewals
    }
    /// When it ended; null while it holds.
    async fn ended_at(&self) -> Option<DateTime> {
        self.lease.end.as_ref().map(|end| DateTime(end.at))
    }
    /// Why it ended, in words; null while it holds.
    async fn end_reason(&self) -> Option<String> {
        self.lease.end.as_ref().map(|end| end.cause.to_string())
    }
    /// The lease that this one replaced after a rebind; null where it replaced none.
    async fn rebound_from(&self) -> Option<Uuid> {
        self.lease.terms.rebound_from.map(|lease| lease.0)
    }
    /// The lease that replaced this one in a rebind; null where none did.
    async fn rebound_to(&self) -> Option<Uuid> {
        match self.lease.end.as_ref().map(|end| &end.cause) {
            Some(EndCause::Rebound { replacement, .. }) => Some(replacement.0),
            _ => None,
        }
    }
}

/// Which leases. Absent fields let everything through, but for status; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct PortFilter {
    /// Of this status; ACTIVE when absent. Of those that ended, the latest 10,000 are known, and as many that had a key.
    status: Option<LeaseStatus>,
    /// On this host.
    host: Option<String>,
    /// Of this protocol.
    protocol: Option<PortProtocol>,
    /// That go with this node.
    node_id: Option<Uuid>,
    /// Of this requester.
    requester_id: Option<Uuid>,
    /// On this number.
    port: Option<i32>,
}

impl PortFilter {
    fn matcher(&self, ports: &Ports) -> Result<impl Fn(&model::Lease) -> bool + Clone + Send + Sync + 'static> {
        let status = model::LeaseStatus::from(self.status.unwrap_or_default());
        let host = self.host.as_deref().map(|host| read_host("filter.host", host)).transpose()?;
        let host = host.map(|host| ports.host(Some(host)));
        let protocol = self.protocol.map(model::PortProtocol::from);
        let (node, requester) = (self.node_id.map(NodeId), self.requester_id.map(RequesterId));
        let port = self.port;
        Ok(move |lease: &model::Lease| {
            let terms = &lease.terms;
            lease.status() == status
                && host.as_ref().is_none_or(|host| terms.host == *host)
                && protocol.is_none_or(|protocol| terms.protocol == protocol)
                && node.is_none_or(|node| lease.node == Some(node))
                && requester.is_none_or(|requester| terms.requester == requester)
                && port.is_none_or(|port| i32::from(terms.port) == port)
        })
    }
}

impl Key for PortKey {
    const TAG: char = 'p';
    fn write(&self) -> String {
        format!("{}\n{}\n{}", self.port, self.transport, self.host)
    }
    fn read(text: &str) -> Option<Self> {
        let (port, rest) = text.split_once('\n')?;
        let (transport, host) = rest.split_once('\n')?;
        let transport = match transport {
            "TCP" => model::Transport::Tcp,
            "UDP" => model::Transport::Udp,
            _ => return None,
        };
        Some(PortKey { host: HostName::try_new(host).ok()?, port: port.parse().ok()?, transport })
    }
}

/// A page of leases: those that hold by host and number, others from the latest end on.
pub(in crate::graphql) fn list(
    view: &View,
    ports: &Ports,
    filter: &PortFilter,
    args: &PageArgs,
) -> Result<Connection<PortLease>> {
    let matches = filter.matcher(ports)?;
    let lease = |lease: &Arc<model::Lease>| PortLease { view: view.clone(), lease: lease.clone() };
    let (of_count, matches_too) = (view.clone(), matches.clone());
    if filter.status.unwrap_or_default() != LeaseStatus::Active {
        let page: Page<(Reverse<Sequence>, LeaseId)> = args.page()?;
        let total = total(move || of_count.leases.ended().filter(|(_, lease)| matches_too(lease)).count());
        let ended = view.leases.ended().rev().map(|(place, lease)| ((Reverse(place), lease.id), lease));
        let ended = ended.filter(|(key, _)| {
            page.after.as_ref().is_none_or(|after| key > after) && page.before.as_ref().is_none_or(|end| key < end)
        });
        return Ok(page.take(ended.filter(|(_, of)| matches(of)).map(|(key, of)| (key, lease(of))), total));
    }
    let page: Page<PortKey> = args.page()?;
    let all = (Bound::Unbounded, Bound::Unbounded);
    let total = total(move || held(&of_count, all.clone()).filter(|(_, lease)| matches_too(lease)).count());
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    let within = held(view, bounds).filter(|(_, of)| matches(of)).map(|(key, of)| (key, lease(of)));
    Ok(page.take(within, total))
}

/// The leases that hold, each once: one for both transports is listed under the first.
fn held(
    view: &View,
    bounds: (Bound<PortKey>, Bound<PortKey>),
) -> impl DoubleEndedIterator<Item = (PortKey, &Arc<model::Lease>)> {
    view.leases.held(bounds).filter_map(|(key, id)| {
        let lease = view.leases.get(id)?;
        (lease.terms.transports.all().first() == Some(&key.transport)).then_some((key, lease))
    })
}

impl Key for (Reverse<Sequence>, LeaseId) {
    const TAG: char = 'q';
    fn write(&self) -> String {
        format!("{}\n{}", self.0.0, self.1)
    }
    fn read(text: &str) -> Option<Self> {
        let (place, id) = text.split_once('\n')?;
        Some((Reverse(Sequence(place.parse().ok()?)), LeaseId(id.parse().ok()?)))
    }
}

/// A band of numbers on one host for one transport, and how full it is.
#[derive(SimpleObject)]
pub struct PortPool {
    /// The machine.
    host: String,
    /// The transport.
    transport: Transport,
    /// The lowest number.
    from: i32,
    /// The highest number.
    to: i32,
    /// How many numbers it has.
    size: u32,
    /// How many of them the configuration keeps out.
    reserved: u32,
    /// How many of them are leased.
    allocated: u32,
    /// How many of them can be had.
    available: u32,
    /// How many of them are kept back after a lease or a conflict.
    quarantined: u32,
    /// Leases granted since the registry started.
    granted: u64,
    /// Requests refused since the registry started.
    refused: u64,
    /// Numbers that turned out to be in use since the registry started.
    conflicts: u64,
}

impl From<(Pool, Counts)> for PortPool {
    fn from((pool, counts): (Pool, Counts)) -> Self {
        PortPool {
            host: pool.host.to_string(),
            transport: pool.transport.into(),
            from: pool.band.from().into(),
            to: pool.band.to().into(),
            size: pool.band.size(),
            reserved: pool.reserved,
            allocated: pool.allocated,
            available: pool.available,
            quarantined: pool.quarantined,
            granted: counts.granted,
            refused: counts.refused,
            conflicts: counts.conflicts,
        }
    }
}

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

fn read_host(field: &str, host: &str) -> Result<HostName> {
    HostName::try_new(host).map_err(|error| invalid(field, error))
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
