//! A refusal: `decide`'s other normal answer. Nothing changed.

use super::pool::{Because, Shortage};
use crate::model::{
    Band, BusId, BusName, EndCause, HostName, LeaseId, NodeId, NodeName, RequesterId, SubscriberName, Time, TokenId,
    Transports,
};

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node has this id.
    #[error("no node has the id {node}: register it first, or look it up by name")]
    NodeNotFound {
        /// The id.
        node: NodeId,
    },
    /// Neither id, name nor contract says which node is meant.
    #[error("the registration names no node: give id, name, or a contract that has a name")]
    NameMissing,
    /// Another node has this name.
    #[error("the name {name} belongs to node {holder}: register under another name, or with that id to update it")]
    NameTaken {
        /// The name.
        name: NodeName,
        /// Who has it.
        holder: NodeId,
    },
    /// A validator froze the registration.
    #[error("node {name} ({node}) is frozen: a validator must attest another lifecycle before it can change")]
    NodeFrozen {
        /// The node.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// A node without a live instance has nothing to keep alive.
    #[error("node {name} ({node}) is only declared: its live instance registers before it sends heartbeats")]
    NeverLive {
        /// The node.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// One registration offers a tool twice, with different content.
    #[error("tool {name} {version} is offered twice with different content: give each its own name or version")]
    ToolOfferedTwice {
        /// The tool.
        name: String,
        /// Its version.
        version: String,
    },
    /// A node that has a key signs what it says of itself.
    #[error(
        "node {name} ({node}) has a key, and this registration is not signed by it: sign the contract with that key, or \
         let an admin register it"
    )]
    SignatureMissing {
        /// The node.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// A validator that has a key signs what it says of others.
    #[error(
        "validator {name} ({validator}) is a node that has a key, and this attestation is not signed by it: sign it with \
         that key, or let an admin attest"
    )]
    AttestationUnsigned {
        /// The validator.
        validator: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// No such bus.
    #[error("no bus has the id {bus}: create it first, or look it up by name")]
    BusNotFound {
        /// What was asked for.
        bus: BusId,
    },
    /// Buses have names of their own.
    #[error("the name {name} belongs to bus {holder}: create yours under another name")]
    BusNameTaken {
        /// The name.
        name: BusName,
        /// Whose it is.
        holder: BusId,
    },
    /// A bus that runs is not deleted.
    #[error("bus {name} ({bus}) has not been stopped: stop it first")]
    BusNotStopped {
        /// The bus.
        bus: BusId,
        /// Its name.
        name: BusName,
    },
    /// The registry's own bus is as it is.
    #[error(
        "the bus registry carries the registry's own changes and is always there: listen to it with busEvents, without a \
         name; to publish, or to listen by name, create a bus of your own"
    )]
    BusOfRegistry {
        /// The bus.
        bus: BusId,
    },
    /// Nobody listens by this name.
    #[error("nobody listens on bus {bus} as {name}")]
    SubscriberNotFound {
        /// The bus.
        bus: BusId,
        /// The name.
        name: SubscriberName,
    },
    /// A durable subscriber is its maker's.
    #[error("{name} is a durable subscriber of somebody else: listen under another name")]
    SubscriberNotOwn {
        /// The name.
        name: SubscriberName,
    },
    /// A durable subscriber wants what it wanted when it was made.
    #[error("{name} is a durable subscriber to other events: listen under another name, or delete it first")]
    SubscriberDiffers {
        /// The name.
        name: SubscriberName,
    },
    /// There is a most of everything.
    #[error("there are {max} {what}, which is the most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
    /// Whoever names a key shows that it has it.
    #[error("node {name} names a key, and the registration is not signed by it: sign the contract with that key")]
    KeyUnproven {
        /// The node's name.
        name: NodeName,
    },
    /// No token has this id.
    #[error("no token has the id {token}: it was revoked, or never made; see onex token list")]
    TokenNotFound {
        /// The id.
        token: TokenId,
    },
    /// A token that would never count.
    #[error("the token {name} would expire before it is made: give a later instant")]
    TokenExpired {
        /// The principal.
        name: String,
    },
    /// An id or secret was drawn twice.
    #[error("the token {token} is known already: ask again")]
    TokenKnown {
        /// The id.
        token: TokenId,
    },
    /// There are as many as there may be.
    #[error("there are {max} tokens, which is the most: revoke those that are not used")]
    TooManyTokens {
        /// How many.
        max: usize,
    },
    /// A number cannot be had.
    #[error("port {port} ({transports}) on {host} cannot be leased: {because}")]
    PortUnavailable {
        /// The host.
        host: HostName,
        /// The number.
        port: u16,
        /// For which transports it was wanted.
        transports: Transports,
        /// Why.
        because: Box<Because>,
    },
    /// None of the numbers in question can be had.
    #[error(
        "no port is free ({transports}) on {host} in {}: of {} numbers {} are leased, {} are reserved and {} are kept \
         back{}; release some, ask for another range, or widen ports.bands (`ports` lists who holds them)",
        bands(&shortage.bands), shortage.size, shortage.leased, shortage.reserved, shortage.quarantined,
        next(shortage.next_at)
    )]
    PortExhausted {
        /// The host.
        host: HostName,
        /// For which transports it was wanted.
        transports: Transports,
        /// How full it is.
        shortage: Box<Shortage>,
    },
    /// There are not so many free numbers in a row.
    #[error("there are no {count} consecutive free ports on {host} in {}: ask for fewer, for single ones, or for another range", bands(&shortage.bands))]
    NoConsecutivePorts {
        /// How many were wanted.
        count: usize,
        /// The host.
        host: HostName,
        /// How full it is.
        shortage: Box<Shortage>,
    },
    /// Consecutive numbers are wanted, and some of the ports are held already.
    #[error(
        "some of the ports are held already, under their keys, and not in a row with the others: release those, or ask without contiguous"
    )]
    HeldApart,
    /// Leases name as many hosts as they may.
    #[error("leases already name {max} hosts, and {host} is none of them: release those of hosts that are gone")]
    TooManyHosts {
        /// The host.
        host: HostName,
        /// How many there may be.
        max: usize,
    },
    /// No lease has this id.
    #[error("no lease has the id {lease}: it never was one, or it ended long ago")]
    LeaseNotFound {
        /// The id.
        lease: LeaseId,
    },
    /// The lease no longer holds.
    #[error("the lease {lease} on port {port} ended at {at}: {cause}; {}", instead(cause))]
    LeaseEnded {
        /// The lease.
        lease: LeaseId,
        /// Its number.
        port: u16,
        /// When it ended.
        at: Time,
        /// Why.
        cause: EndCause,
    },
    /// The lease is somebody else's.
    #[error("the lease {lease} on port {port} is not yours: {holder} holds it")]
    LeaseNotOwned {
        /// The lease.
        lease: LeaseId,
        /// Its number.
        port: u16,
        /// Who holds it.
        holder: String,
    },
    /// The node's port says another number than its lease.
    #[error("the port {name:?} names lease {lease}, which is on {port}: leave the number out, or name that")]
    LeaseOfAnother {
        /// The lease.
        lease: LeaseId,
        /// Its number.
        port: u16,
        /// The node's name for the port.
        name: String,
    },
    /// The node's port is spoken to otherwise than its lease says.
    #[error("the port {name:?} names lease {lease}, which is for {transports}: name a lease for its protocol")]
    LeaseOfAnotherKind {
        /// The lease.
        lease: LeaseId,
        /// For which transports it is.
        transports: Transports,
        /// The node's name for the port.
        name: String,
    },
    /// The node that a lease is to go with is gone.
    #[error("node {name} ({node}) is offline: it registers or sends a heartbeat before it is given ports")]
    NodeOffline {
        /// The node.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// The requester holds as many leases as it may.
    #[error(
        "requester {requester} holds {held} leases and may hold {max}: release some, or raise ports.leases_per_requester_max"
    )]
    QuotaExceeded {
        /// The requester.
        requester: RequesterId,
        /// How many it would hold already.
        held: usize,
        /// How many it may.
        max: usize,
    },
    /// An idempotency key was used for another request before.
    #[error(
        "the idempotency key {key:?} named another request, which was answered with lease {lease}: give each request its own"
    )]
    RequestReused {
        /// The key.
        key: String,
        /// The lease that it named.
        lease: LeaseId,
    },
    /// One request names two ports alike.
    #[error("the {kind} {name:?} is given to two of the ports: give each its own")]
    NamedTwice {
        /// What kind of name.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A key names a lease that is not what is asked for.
    #[error(
        "the key {key:?} names lease {lease} on port {port}, which has another protocol or lies outside the range: release it, or give this use another key"
    )]
    KeyTaken {
        /// The key.
        key: String,
        /// The lease.
        lease: LeaseId,
        /// Its number.
        port: u16,
    },
}

fn instead(cause: &EndCause) -> String {
    match cause {
        EndCause::Rebound { replacement, .. } => format!("use the lease {replacement}"),
        _ => "allocate again (with a key, the same number is tried first)".to_owned(),
    }
}

fn bands(bands: &[Band]) -> String {
    bands.iter().map(Band::to_string).collect::<Vec<_>>().join(", ")
}

fn next(next_at: Option<Time>) -> String {
    next_at.map(|next_at| format!(" (the next comes back at {next_at})")).unwrap_or_default()
}
