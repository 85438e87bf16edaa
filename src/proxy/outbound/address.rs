//! Which addresses may be called: endpoints are written by whoever registers a tool, and must not turn the registry into
//! a way to what only its own machine or network reaches.
//!
//! Names are judged by the addresses that a connection is then made to ([`Addresses`] is the client's resolver), so that
//! a name cannot show one address here and another one later.

use crate::model::HostName;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// What an address is good for; `None` of this is an address of the public network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    /// The machine itself.
    Loopback,
    /// A network of one organisation, or one that a provider shares among its customers.
    Private,
    /// What is on the same wire; clouds tell a machine's secrets there (169.254.169.254).
    LinkLocal,
    /// No single machine of the public network: nowhere, everybody, examples, or a way around this table.
    Unusable,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Special::Loopback => "a loopback address",
            Special::Private => "an address of a private network",
            Special::LinkLocal => "a link-local address",
            Special::Unusable => "no address of a single machine of the public network",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// IANA's special-purpose addresses, and multicast. <https://www.iana.org/assignments/iana-ipv4-special-registry>
const SPECIAL_V4: &[(Ipv4Net, Special)] = &[
    (v4(127, 0, 0, 8), Special::Loopback),
    (v4(10, 0, 0, 8), Special::Private),
    (v4(172, 16, 0, 12), Special::Private),
    (v4(192, 168, 0, 16), Special::Private),
    (v4(100, 64, 0, 10), Special::Private),
    (v4(169, 254, 0, 16), Special::LinkLocal),
    (v4(0, 0, 0, 8), Special::Unusable),
    (v4(192, 0, 0, 24), Special::Unusable),
    (v4(192, 0, 2, 24), Special::Unusable),
    (v4(192, 88, 99, 24), Special::Unusable),
    (v4(198, 18, 0, 15), Special::Unusable),
    (v4(198, 51, 100, 24), Special::Unusable),
    (v4(203, 0, 113, 24), Special::Unusable),
    (v4(224, 0, 0, 4), Special::Unusable),
    (v4(240, 0, 0, 4), Special::Unusable),
];

/// The same for IPv6. <https://www.iana.org/assignments/iana-ipv6-special-registry>
const SPECIAL_V6: &[(Ipv6Net, Special)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), Special::Loopback),
    (v6(0xfc00, 0, 0, 7), Special::Private),
    (v6(0xfec0, 0, 0, 10), Special::Private),
    (v6(0xfe80, 0, 0, 10), Special::LinkLocal),
    (v6(0x64, 0xff9b, 1, 48), Special::Unusable),
    (v6(0x100, 0, 0, 64), Special::Unusable),
    (v6(0x2001, 0, 0, 23), Special::Unusable),
    (v6(0x2001, 0xdb8, 0, 32), Special::Unusable),
    (v6(0x3fff, 0, 0, 20), Special::Unusable),
    (v6(0x5f00, 0, 0, 16), Special::Unusable),
    (v6(0xff00, 0, 0, 8), Special::Unusable),
];

/// The IPv4 address that a packet to this IPv6 address ends up at: mapped, compatible, translated (NAT64) or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let at = |at: usize| Ipv4Addr::from((u32::from(segments[at]) << 16) | u32::from(segments[at + 1]));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(at(6)),
        [0x2002, ..] => Some(at(1)),
        _ => None,
    }
}

fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, special)| *special),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Special::Unusable),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => special(inner.into()),
            None => SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, special)| *special),
        },
    }
}

/// A host, address or network that may be called wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// By its name, whatever address that has.
    Host(HostName),
    /// By address.
    Net(IpNet),
}

/// Why a text is no [`Allowed`]. Reads on after the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no host such as tools.example.org, address such as 10.1.2.3 or network such as 10.1.0.0/16")]
pub struct InvalidAllowed;

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Allowed::Net(net));
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Allowed::Net(address.to_canonical().into()));
        }
        let host = HostName::try_new(text).map_err(|_| InvalidAllowed)?;
        // A port, or what was to be an address: no name would ever be equal to it.
        let last = host.as_str().rsplit('.').next().unwrap_or_default();
        if host.as_str().contains(':') || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidAllowed);
        }
        Ok(Allowed::Host(host))
    }
}

/// The rule that says no, with what would change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {special}, which is not called: {remedy}", remedy = match .special {
    Special::Loopback => "set calls.allow_loopback, or name it in calls.allow",
    Special::Private => "set calls.allow_private, or name it in calls.allow",
    Special::LinkLocal | Special::Unusable => "name it in calls.allow if that is meant",
})]
pub(super) struct Forbidden {
    host: String,
    special: Special,
}

/// Which addresses may be called.
#[derive(Debug)]
pub(super) struct Rules {
    pub allow_loopback: bool,
    pub allow_private: bool,
    pub allow: Vec<Allowed>,
}

impl Rules {
    fn allows_host(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.allow.iter().any(|allowed| matches!(allowed, Allowed::Host(name) if name.as_str() == host))
    }

    fn judge(&self, address: IpAddr) -> Result<(), Special> {
        let Some(special) = special(address) else { return Ok(()) };
        let canonical = address.to_canonical();
        let named = self.allow.iter().any(|allowed| matches!(allowed, Allowed::Net(net) if net.contains(&canonical)));
        let allowed = match special {
            Special::Loopback => self.allow_loopback,
            Special::Private => self.allow_private,
            Special::LinkLocal | Special::Unusable => false,
        };
        if named || allowed { Ok(()) } else { Err(special) }
    }

    /// Judges what an endpoint says by itself: a literal address, in whatever way it is written, or a name that is
    /// always the machine's own.
    pub fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let shown = url.host_str().unwrap_or_default();
        // The URL's parser has brought 2130706433, 0x7f.1 and 127.1 into the one form by now.
        let literal = shown.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let judged = match literal {
            Ok(address) => self.judge(address),
            Err(_) if self.allows_host(shown) || self.allow_loopback => Ok(()),
            Err(_) if HostName::try_new(shown).is_ok_and(|host| host.is_loopback()) => Err(Special::Loopback),
            Err(_) => Ok(()),
        };
        judged.map_err(|special| Forbidden { host: shown.to_owned(), special })
    }

    /// Of the addresses that a name has, those that may be called.
    fn choose(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        if self.allows_host(host) {
            return Ok(found);
        }
        let mut forbidden = None;
        let mut chosen = Vec::with_capacity(found.len());
        for address in found {
            match self.judge(address.ip()) {
                Ok(()) => chosen.push(address),
                Err(special) => {
                    forbidden = Some(Forbidden { host: format!("{host} ({})", address.ip()), special });
                }
            }
        }
        match forbidden {
            Some(forbidden) if chosen.is_empty() => Err(forbidden),
            _ => Ok(chosen),
        }
    }
}

/// Resolves names for the client, and gives it only addresses that may be called.
pub(super) struct Addresses(pub Arc<Rules>);

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let chosen = rules.choose(name.as_str(), found)?;
            Ok(Box::new(chosen.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow_loopback: bool, allow_private: bool, allow: &[&str]) -> Rules {
        Rules { allow_loopback, allow_private, allow: allow.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn is_called(rules: &Rules, host: &str) -> bool {
        rules.check(&format!("http://{host}/tool").parse().unwrap()).is_ok()
    }

    const LOOPBACK: &[&str] = &[
        "127.0.0.1",
        "127.255.255.254",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "%31%32%37.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
    ];
    const PRIVATE: &[&str] = &[
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "3232235777",
        "100.64.0.1",
        "100.127.255.255",
        "[fc00::1]",
        "[fdff::1]",
        "[fec0::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::10.0.0.1]",
    ];
    const NEVER: &[&str] = &[
        "169.254.169.254",
        "2852039166",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[febf::1]",
        "0.0.0.0",
        "0",
        "0.1.2.3",
        "[::]",
        "[::ffff:0.0.0.0]",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "[::ffff:255.255.255.255]",
        "[ff02::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[64:ff9b:1::1]",
    ];
    const PUBLIC: &[&str] = &[
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.1.1",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "[2606:4700::1111]",
        "[::ffff:1.1.1.1]",
        "[64:ff9b::1.1.1.1]",
        "[2002:101:101::]",
        "tools.example.org",
        "localhost.example.org",
    ];

    #[test]
    fn what_is_called_follows_the_table() {
        for (loopback, private) in [(false, false), (true, false), (false, true), (true, true)] {
            let rules = rules(loopback, private, &[]);
            for (hosts, called) in [(LOOPBACK, loopback), (PRIVATE, private), (NEVER, false), (PUBLIC, true)] {
                for host in hosts {
                    assert_eq!(is_called(&rules, host), called, "{host} with {rules:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_named_is_called_and_nothing_beside_it() {
        let rules = rules(false, false, &["10.1.0.0/16", "169.254.169.254", "fd00::/8", "Tools.Internal", "::1"]);
        for host in ["10.1.2.3", "[::ffff:10.1.2.3]", "169.254.169.254", "[fd00::1]", "[::1]"] {
            assert!(is_called(&rules, host), "{host}");
        }
        for host in ["10.2.0.1", "169.254.169.253", "[fc00::1]", "127.0.0.1", "localhost"] {
            assert!(!is_called(&rules, host), "{host}");
        }
        let at = |address: &str| vec![SocketAddr::new(address.parse().unwrap(), 0)];
        assert!(rules.choose("tools.internal", at("127.0.0.1")).is_ok());
        assert!(rules.choose("tools.internal.", at("10.9.9.9")).is_ok());
        assert!(rules.choose("more.tools.internal", at("127.0.0.1")).is_err());
    }

    #[test]
    fn a_name_is_called_at_those_of_its_addresses_that_may_be() {
        let rules = rules(false, false, &[]);
        let found: Vec<SocketAddr> =
            ["127.0.0.1:0", "1.1.1.1:0", "[fe80::1]:0"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(rules.choose("a.example", found.clone()), Ok(vec!["1.1.1.1:0".parse().unwrap()]));
        let refused = rules.choose("a.example", vec![found[0]]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "a.example (127.0.0.1) is a loopback address, which is not called: set calls.allow_loopback, or name it in \
             calls.allow"
        );
    }

    #[test]
    fn what_cannot_be_allowed_is_refused() {
        for text in ["", " ", "10.0.0.0/33", "10.0.0.256", "host:80", "http://host/", "*.example.org", "a b"] {
            assert_eq!(text.parse::<Allowed>(), Err(InvalidAllowed), "{text:?}");
        }
        assert_eq!("[::1]".parse::<Allowed>(), "::1/128".parse());
    }
}
