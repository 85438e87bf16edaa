//! A port lease: a promise that one number on one host is nobody else's until it ends.

use super::{NodeId, Time, TopicName, Ttl};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

use super::id::{LeaseId, RequesterId};

/// How an address of a node is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "protocols are named by their own names")]
pub enum PortProtocol {
    Tcp,
    Udp,
    Zmq,
    Ipc,
    Jetstream,
    Redis,
    Grpc,
    Http,
    Websocket,
}

impl PortProtocol {
    /// The protocol's name: the same for ever, unlike the variant's.
    pub fn as_str(self) -> &'static str {
        match self {
            PortProtocol::Tcp => "tcp",
            PortProtocol::Udp => "udp",
            PortProtocol::Zmq => "zmq",
            PortProtocol::Ipc => "ipc",
            PortProtocol::Jetstream => "jetstream",
            PortProtocol::Redis => "redis",
            PortProtocol::Grpc => "grpc",
            PortProtocol::Http => "http",
            PortProtocol::Websocket => "websocket",
        }
    }

    /// What carries it; `None` for what has no port numbers.
    pub fn transport(self) -> Option<Transport> {
        match self {
            PortProtocol::Ipc => None,
            PortProtocol::Udp => Some(Transport::Udp),
            PortProtocol::Tcp
            | PortProtocol::Zmq
            | PortProtocol::Jetstream
            | PortProtocol::Redis
            | PortProtocol::Grpc
            | PortProtocol::Http
            | PortProtocol::Websocket => Some(Transport::Tcp),
        }
    }
}

/// What port numbers belong to: TCP's and UDP's are distinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "transports are named by their own names")]
pub enum Transport {
    Tcp,
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        })
    }
}

/// For which transports a number is promised: one of them, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transports {
    /// For one; the other's may be somebody else's.
    One(Transport),
    /// For both.
    Both,
}

impl Transports {
    /// Each of them.
    pub fn all(self) -> &'static [Transport] {
        match self {
            Transports::One(Transport::Tcp) => &[Transport::Tcp],
            Transports::One(Transport::Udp) => &[Transport::Udp],
            Transports::Both => &[Transport::Tcp, Transport::Udp],
        }
    }
}

impl fmt::Display for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transports::One(transport) => transport.fmt(f),
            Transports::Both => f.write_str("TCP and UDP"),
        }
    }
}

/// The name of a machine that port numbers belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

/// Why a text is no host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no host name or address: it has 1 to 253 letters, digits, '-', '.', '_' or ':'")]
pub struct InvalidHostName;

impl HostName {
    /// A name or address in lower case: 1 to 253 letters, digits, `-`, `.`, `_` or `:`.
    pub fn try_new(text: &str) -> Result<Self, InvalidHostName> {
        // A name that ends in a dot is the same, said to be whole.
        let text = text.strip_suffix('.').unwrap_or(text);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if text.is_empty() || text.len() > 253 || !text.bytes().all(allowed) {
            return Err(InvalidHostName);
        }
        Ok(HostName(text.to_ascii_lowercase().into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names whatever machine the speaker is on.
    pub fn is_loopback(&self) -> bool {
        let named = ["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"].contains(&&*self.0);
        let address = self.0.parse::<core::net::IpAddr>().map(|address| address.to_canonical());
        named
            || self.0.ends_with(".localhost")
            || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one promise is about: a number on a host, for one transport.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey {
    /// The host.
    pub host: HostName,
    /// The number, 1 to 65535.
    pub port: u16,
    /// The transport.
    pub transport: Transport,
}

impl PortKey {
    /// What a number is about for each of some transports.
    pub fn each(host: &HostName, port: u16, transports: Transports) -> impl Iterator<Item = PortKey> + '_ {
        transports.all().iter().map(move |transport| PortKey { host: host.clone(), port, transport: *transport })
    }
}

/// Consecutive port numbers, both ends included; never empty, never with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Band {
    from: u16,
    to: u16,
}

/// Why two numbers are no band.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no range of port numbers such as 20000-29999, from 1 to 65535")]
pub struct InvalidBand;

impl Band {
    /// The numbers from `from` to `to`, both included.
    pub fn try_new(from: u16, to: u16) -> Result<Self, InvalidBand> {
        if from == 0 || from > to { Err(InvalidBand) } else { Ok(Band { from, to }) }
    }

    /// The lowest number.
    pub fn from(self) -> u16 {
        self.from
    }

    /// The highest number.
    pub fn to(self) -> u16 {
        self.to
    }

    /// How many numbers: 1 to 65535.
    pub fn size(self) -> u32 {
        u32::from(self.to - self.from) + 1
    }

    /// Whether the number is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.from..=self.to).contains(&port)
    }

    /// Whether some number is in both.
    pub fn overlaps(self, other: Band) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

impl FromStr for Band {
    type Err = InvalidBand;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse().map_err(|_| InvalidBand);
        Band::try_new(number(from)?, number(to)?)
    }
}

/// One process, told apart from every later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Its number on its host.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine's start (proc(5), `starttime` of /proc/PID/stat).
    pub started: u64,
    /// Which start of the machine that counts from (/proc/sys/kernel/random/boot_id).
    pub boot: Uuid,
}

/// A caller's name for one request, so that repeating it does nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// The name, unique within the requester.
    pub key: String,
    /// What was asked, as a hash: the same key with another request is a mistake.
    pub asked: [u8; 32],
}

/// What a lease was granted for: never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseTerms {
    /// The host.
    pub host: HostName,
    /// The number, 1 to 65535.
    pub port: u16,
    /// How the port is spoken to; never one without a transport.
    pub protocol: PortProtocol,
    /// For which transports the number is promised.
    pub transports: Transports,
    /// Who asked.
    pub requester: RequesterId,
    /// The principal that asked: whoever renews or releases must be the same.
    pub principal: String,
    /// The program that asked, as it named itself.
    pub program: Option<String>,
    /// The process that holds it, for as long as that lives; `None` for one that is held by renewing it.
    pub process: Option<Process>,
    /// What it is for, in the caller's words.
    pub purpose: Option<String>,
    /// Topics that the port serves, each once.
    pub topics: Vec<TopicName>,
    /// The caller's name for this use.
    pub key: Option<String>,
    /// The caller's name for the request.
    pub request: Option<RequestKey>,
    /// The numbers that were asked for, where the request said so.
    pub range: Option<Band>,
    /// For how many seconds after the end the number is kept from others.
    pub quarantine_seconds: u32,
    /// Whether the number was found free just before; `false` for a host that the registry cannot look at.
    pub probed: bool,
    /// When the request came in.
    pub requested_at: Time,
    /// The lease that this one replaced.
    pub rebound_from: Option<LeaseId>,
}

impl LeaseTerms {
    /// Who asked: the principal, and the program where it named one.
    pub fn allocated_by(&self) -> String {
        match &self.program {
            Some(program) => format!("{} ({program})", self.principal),
            None => self.principal.clone(),
        }
    }

    /// The promises it is made of.
    pub fn keys(&self) -> impl Iterator<Item = PortKey> + '_ {
        PortKey::each(&self.host, self.port, self.transports)
    }
}

/// Why a lease ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// Its holder gave it back.
    Released,
    /// It was not renewed in time.
    Lapsed,
    /// Its node's registration lapsed.
    NodeExpired,
    /// Its node is no longer registered.
    NodeDeregistered,
    /// The process that held it is gone.
    ProcessGone,
    /// Its number turned out unusable.
    Rebound {
        /// The lease in its place.
        replacement: LeaseId,
        /// What was wrong with the number, in the holder's words.
        reason: String,
    },
}

/// Whether a lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseStatus {
    /// It holds.
    Active,
    /// It was given back, by its holder or because its holder is gone.
    Released,
    /// It was not renewed in time.
    Expired,
    /// Another took its place.
    Rebound,
}

impl EndCause {
    /// What a lease is that ended so.
    pub fn status(&self) -> LeaseStatus {
        match self {
            EndCause::Released | EndCause::NodeDeregistered | EndCause::ProcessGone => LeaseStatus::Released,
            EndCause::Lapsed | EndCause::NodeExpired => LeaseStatus::Expired,
            EndCause::Rebound { .. } => LeaseStatus::Rebound,
        }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndCause::Released => f.write_str("its holder released it"),
            EndCause::Lapsed => f.write_str("it was not renewed in time"),
            EndCause::NodeExpired => f.write_str("its node's registration lapsed"),
            EndCause::NodeDeregistered => f.write_str("its node was deregistered"),
            EndCause::ProcessGone => f.write_str("the process that held it is gone"),
            EndCause::Rebound { reason, .. } => write!(f, "another took its place: {reason}"),
        }
    }
}

/// How and when a lease ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseEnd {
    /// When.
    pub at: Time,
    /// Why.
    pub cause: EndCause,
}

/// A lease as the registry knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Drawn when it was asked for.
    pub id: LeaseId,
    /// What it was granted for.
    pub terms: Arc<LeaseTerms>,
    /// The node that it belongs to, and goes with.
    pub node: Option<NodeId>,
    /// When it was granted.
    pub allocated_at: Time,
    /// How long it lasts without a renewal; `None` where something else holds it.
    pub ttl: Option<Ttl>,
    /// When it lapses unless it is renewed.
    pub expires_at: Option<Time>,
    /// Until when it is kept all the same, having lapsed while the registry was down.
    pub grace_until: Option<Time>,
    /// When it was last renewed.
    pub last_heartbeat_at: Option<Time>,
    /// How often it was renewed.
    pub renewals: u32,
    /// How it ended; `None` while it holds.
    pub end: Option<LeaseEnd>,
}

impl Lease {
    /// Whether it holds.
    pub fn status(&self) -> LeaseStatus {
        self.end.as_ref().map_or(LeaseStatus::Active, |end| end.cause.status())
    }

    /// The instant after which the registry takes it for lapsed; `None` where that never comes.
    pub fn deadline(&self) -> Option<Time> {
        let expires_at = self.expires_at.filter(|_| self.end.is_none())?;
        Some(self.grace_until.map_or(expires_at, |grace| grace.max(expires_at)))
    }
}

/// A number that is kept from most for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantine {
    /// Until when.
    pub until: Time,
    /// Why, in a sentence's end: "… because `reason`".
    pub reason: String,
    /// Who may have it back before that; nobody where it turned out unusable.
    pub except: Option<RequesterId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_reads_back_what_it_prints_and_nothing_else() {
        let band = Band::try_new(20_000, 29_999).unwrap();
        assert_eq!(band.to_string().parse(), Ok(band));
        assert_eq!("8080".parse::<Band>().unwrap().to_string(), "8080");
        for wrong in ["", "0-1", "2-1", "1-65536", "a-b", "1-2-3", "-"] {
            assert_eq!(wrong.parse::<Band>(), Err(InvalidBand), "{wrong}");
        }
        assert_eq!(Band::try_new(1, u16::MAX).unwrap().size(), 65_535);
    }

    #[test]
    fn host_names_are_one_in_any_case() {
        assert_eq!(HostName::try_new("Build-2.Local"), HostName::try_new("build-2.local"));
        for wrong in ["", "a b", "a\n", "ä", &"a".repeat(254)] {
            assert_eq!(HostName::try_new(wrong), Err(InvalidHostName), "{wrong}");
        }
        for loopback in
            ["localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"]
        {
            assert!(HostName::try_new(loopback).unwrap().is_loopback(), "{loopback}");
        }
        assert!(!HostName::try_new("build-2").unwrap().is_loopback());
    }
}
