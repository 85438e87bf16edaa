//! Port leases and pools as clients see them.

use super::super::View;
use super::super::error::invalid;
use super::super::limits::budget::List;
use super::super::paging::{Connection, Key, Page, PageArgs, total};
use super::super::reach::Fixed;
use super::super::render::{rendered, rendered_enums};
use super::super::scalars::DateTime;
use super::node::Node;
use super::port::PortProtocol;
use crate::model::{self, EndCause, HostName, LeaseId, NodeId, PortKey, RequesterId, Sequence, TopicName, Ttl};
use crate::ports::Counts;
use crate::registry::pool::{self, Pool};
use async_graphql::{Enum, InputObject, Object, Result, SimpleObject};
use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;
use uuid::Uuid;

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

rendered_enums!(Transport, LeaseStatus);

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

rendered!(PortLease {
    id,
    port,
    host,
    protocol,
    transports,
    status,
    node,
    requester_id,
    allocated_by,
    process_id,
    purpose,
    key,
    topics,
    probed,
    requested_at,
    allocated_at,
    ttl_seconds,
    expires_at,
    grace_until,
    last_heartbeat_at,
    renewals,
    ended_at,
    end_reason,
    rebound_from,
    rebound_to,
});

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
    fn matcher(&self, fixed: &Fixed) -> Result<impl Fn(&model::Lease) -> bool + Clone + Send + Sync + 'static> {
        let status = model::LeaseStatus::from(self.status.unwrap_or_default());
        let host = self.host.as_deref().map(|host| read_host("filter.host", host)).transpose()?;
        let host = host.map(|host| fixed.host(host));
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
    fixed: &Fixed,
    filter: &PortFilter,
    args: &PageArgs,
) -> Result<Connection<PortLease>> {
    let matches = filter.matcher(fixed)?;
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
pub struct PortPool {
    view: View,
    pool: Pool,
    counts: Counts,
    /// Whether the caller may know why numbers are kept back: what was said of leases may stand in it.
    tells_why: bool,
}

impl PortPool {
    pub(in crate::graphql) fn new(view: &View, (pool, counts): (Pool, Counts), tells_why: bool) -> Self {
        PortPool { view: view.clone(), pool, counts, tells_why }
    }
}

/// A band of numbers on one host for one transport, and how full it is.
#[Object]
impl PortPool {
    /// The machine.
    async fn host(&self) -> &str {
        self.pool.host.as_str()
    }
    /// The transport.
    async fn transport(&self) -> Transport {
        self.pool.transport.into()
    }
    /// The lowest number.
    async fn from(&self) -> i32 {
        self.pool.band.from().into()
    }
    /// The highest number.
    async fn to(&self) -> i32 {
        self.pool.band.to().into()
    }
    /// How many numbers it has.
    async fn size(&self) -> u32 {
        self.pool.band.size()
    }
    /// How many of them the configuration keeps out.
    async fn reserved(&self) -> u32 {
        self.pool.reserved
    }
    /// Which numbers these are: ranges that neither meet nor overlap, from the lowest on.
    async fn reserved_ranges(&self) -> List<PortRange> {
        let ranges = self.pool.reserved_ranges.iter();
        ranges.map(|range| PortRange { from: range.from().into(), to: range.to().into() }).collect()
    }
    /// How many of them are leased.
    async fn allocated(&self) -> u32 {
        self.pool.allocated
    }
    /// How many of them can be had.
    async fn available(&self) -> u32 {
        self.pool.available
    }
    /// How many of them are kept back after a lease or a conflict.
    async fn quarantined(&self) -> u32 {
        self.pool.quarantined
    }
    /// Which numbers these are, from the lowest on, until when and why.
    async fn quarantines(&self) -> List<PortQuarantine> {
        let kept_back = pool::quarantined(&self.view, &self.pool);
        let kept_back = kept_back.map(|(port, quarantine)| PortQuarantine {
            port: port.into(),
            until: DateTime(quarantine.until),
            reason: self.tells_why.then(|| quarantine.reason.clone()),
        });
        kept_back.collect()
    }
    /// Leases granted since the registry started.
    async fn granted(&self) -> u64 {
        self.counts.granted
    }
    /// Requests refused since the registry started.
    async fn refused(&self) -> u64 {
        self.counts.refused
    }
    /// Numbers that turned out to be in use since the registry started.
    async fn conflicts(&self) -> u64 {
        self.counts.conflicts
    }
}

rendered!(PortPool {
    host,
    transport,
    from,
    to,
    size,
    reserved,
    reserved_ranges,
    allocated,
    available,
    quarantined,
    quarantines,
    granted,
    refused,
    conflicts,
});

/// Consecutive port numbers.
#[derive(SimpleObject)]
pub struct PortRange {
    /// The lowest number.
    from: i32,
    /// The highest number; the lowest where it is one alone.
    to: i32,
}

rendered!(struct PortRange { from, to });

/// A number that is kept back for a while, and may be leased again then.
#[derive(SimpleObject)]
pub struct PortQuarantine {
    /// The number.
    port: i32,
    /// Until when.
    until: DateTime,
    /// Why, as the end of a sentence: it is kept back because ...; null for who may not read every lease.
    reason: Option<String>,
}

rendered!(struct PortQuarantine { port, until, reason });

pub(super) fn read_host(field: &str, host: &str) -> Result<HostName> {
    HostName::try_new(host).map_err(|error| invalid(field, error))
}
