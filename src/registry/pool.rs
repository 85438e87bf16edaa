//! Pools: which numbers may be leased on a host, which of them are free, and why another is not.
//!
//! Deciding asks the same questions as picking does before it, so that what is offered is what is granted.

use super::leases::Numbers;
use super::state::State;
use crate::model::{
    Band, EndCause, HostName, Lease, LeaseId, PortKey, Quarantine, RequesterId, Time, Transport, Transports, Ttl,
};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// How many quarantines are looked through for the next number to come back.
const LOOKED_THROUGH_MAX: usize = 1_000;

/// What the configuration says of ports.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The machine that the registry runs on, as leases name it: the only one whose numbers it can look at.
    pub host: HostName,
    /// Which numbers are given out: of the named host, or of every host that none names.
    pub bands: Vec<(Option<HostName>, Band)>,
    /// Which numbers never are: of the named host, or of all.
    pub reserved: Vec<(Option<HostName>, Band)>,
    /// How long a lease lasts that does not say.
    pub ttl: Ttl,
    /// How many leases one requester may hold; 0: as many as it likes.
    pub leases_per_requester_max: u32,
    /// For how many seconds a number is kept from others after its lease ended.
    pub quarantine_seconds: u32,
    /// For how many seconds a number that turned out to be in use is kept from everybody.
    pub conflict_quarantine_seconds: u32,
}

impl Rules {
    /// The bands of a host.
    pub fn bands<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = Band> + 'a {
        let own = self.bands.iter().any(|(named, _)| named.as_ref() == Some(host));
        let of_host = move |named: &Option<HostName>| if own { named.as_ref() == Some(host) } else { named.is_none() };
        self.bands.iter().filter(move |(named, _)| of_host(named)).map(|(_, band)| *band)
    }

    /// The numbers of a host that are never given out.
    pub fn reserved<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = Band> + 'a {
        let of_host = move |named: &Option<HostName>| named.as_ref().is_none_or(|named| named == host);
        self.reserved.iter().filter(move |(named, _)| of_host(named)).map(|(_, band)| *band)
    }
}

/// The lower part of a band, which is given out by itself only when the rest is taken, so that who prefers a number
/// finds it: min(max(16, size / 32), 128) numbers, as Kubernetes does for node ports. `None` where the band is too
/// small to be divided.
fn kept_part(band: Band) -> Option<(Band, Band)> {
    let kept = u16::try_from((band.size() / 32).clamp(16, 128)).ok()?;
    let first = band.from().checked_add(kept).filter(|first| *first <= band.to())?;
    Some((Band::try_new(band.from(), first - 1).ok()?, Band::try_new(first, band.to()).ok()?))
}

/// Why a number cannot be had. Reads on after "… cannot be leased: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// Somebody has it.
    Leased {
        /// The lease.
        lease: LeaseId,
        /// Who has it, in words.
        holder: String,
        /// Since when.
        since: Time,
        /// Until when, unless it is renewed; `None` where its holder's life decides.
        until: Option<Time>,
    },
    /// It is kept back a while.
    Quarantined {
        /// Until when.
        until: Time,
        /// Why.
        reason: String,
    },
    /// The configuration keeps it out.
    Reserved,
    /// Something outside the registry uses it.
    InUse(String),
    /// Another request, or another port of the same one, is about to have it.
    Claimed,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Leased { lease, holder, since, until } => {
                write!(f, "{holder} has it since {since}")?;
                match until {
                    Some(until) => write!(f, ", until {until} unless it renews")?,
                    None => f.write_str(", for as long as that lives")?,
                }
                write!(f, " (lease {lease}); take another number, or wait until it is released")
            }
            Because::Quarantined { until, reason } => {
                write!(f, "it is kept back until {until}, because {reason}; take another number, or try again then")
            }
            Because::Claimed => f.write_str("it is about to be another's; take another number, or try again"),
            Because::Reserved => f.write_str("the configuration reserves it (ports.reserved); take another number"),
            Because::InUse(found) => {
                write!(f, "{found}; end what uses it without a lease, or take another number")
            }
        }
    }
}

/// Who holds a lease, for people.
pub fn holder(state: &State, lease: &Lease) -> String {
    let node = lease.node.and_then(|id| state.node(id)).map(|node| node.declared.name.as_str());
    let by = lease.terms.allocated_by();
    match (node, lease.terms.process) {
        (Some(node), _) => format!("node {node}"),
        // The program that portserver noted names the process.
        (None, Some(_)) => by,
        (None, None) => format!("requester {} of {by}", lease.terms.requester),
    }
}

/// Why a number cannot be had by a requester; `None` where it can.
pub fn why_not(state: &State, rules: &Rules, now: Time, key: &PortKey, requester: RequesterId) -> Option<Because> {
    if let Some(lease) = state.leases.holding(key) {
        let (since, until) = (lease.allocated_at, lease.deadline());
        return Some(Because::Leased { lease: lease.id, holder: holder(state, lease), since, until });
    }
    if rules.reserved(&key.host).any(|band| band.contains(key.port)) {
        return Some(Because::Reserved);
    }
    let quarantine = state.leases.quarantine(key, now)?;
    (quarantine.except != Some(requester))
        .then(|| Because::Quarantined { until: quarantine.until, reason: quarantine.reason.clone() })
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// On which host.
    pub host: &'a HostName,
    /// For which transports.
    pub transports: Transports,
    /// For whom.
    pub requester: RequesterId,
    /// Numbers that are looked at first, in this order.
    pub first: Vec<u16>,
    /// Where to look; the pool's bands when absent.
    pub range: Option<Band>,
    /// Numbers that must not be taken.
    pub avoid: &'a HashSet<PortKey>,
}

impl Search<'_> {
    fn bands(&self, rules: &Rules) -> Vec<Band> {
        match self.range {
            Some(range) => vec![range],
            None => rules.bands(self.host).collect(),
        }
    }

    fn can_have(&self, state: &State, rules: &Rules, now: Time, port: u16) -> bool {
        self.transports_can_have(self.transports, state, rules, now, port)
    }

    fn transports_can_have(&self, transports: Transports, state: &State, rules: &Rules, now: Time, port: u16) -> bool {
        transports.all().iter().all(|transport| {
            let key = PortKey { host: self.host.clone(), port, transport: *transport };
            !self.avoid.contains(&key) && why_not(state, rules, now, &key, self.requester).is_none()
        })
    }

    /// The numbers that cannot be had for one of the transports.
    fn taken(&self, state: &State, rules: &Rules, now: Time, transports: Transports) -> Numbers {
        let mut taken = taken_on(state, rules, now, self.host, transports);
        for key in self.avoid.iter().filter(|key| key.host == *self.host) {
            if transports.all().contains(&key.transport) {
                taken.insert(key.port);
            }
        }
        taken
    }

    /// A number that can be had; `None` where there is none. `random` gives a number below its argument.
    pub fn one(&self, state: &State, rules: &Rules, now: Time, random: &mut dyn FnMut(u32) -> u32) -> Option<u16> {
        if let Some(port) = self.first.iter().find(|port| self.can_have(state, rules, now, **port)) {
            return Some(*port);
        }
        let taken = self.taken(state, rules, now, self.transports);
        let mut parts = Vec::new();
        let mut kept = Vec::new();
        for band in self.bands(rules) {
            match kept_part(band).filter(|_| self.range.is_none()) {
                Some((lower, upper)) => {
                    parts.push(upper);
                    kept.push(lower);
                }
                None => parts.push(band),
            }
        }
        any(&taken, &parts, random).or_else(|| any(&taken, &kept, random))
    }

    /// The first of `wanted.len()` consecutive numbers, each to be had for its own transports.
    pub fn run(
        &self,
        wanted: &[Transports],
        state: &State,
        rules: &Rules,
        now: Time,
        random: &mut dyn FnMut(u32) -> u32,
    ) -> Option<u16> {
        let mut taken: HashMap<Transports, Numbers> = HashMap::new();
        for transports in wanted {
            taken.entry(*transports).or_insert_with(|| {
                let mut taken = self.taken(state, rules, now, *transports);
                self.spare_own(&mut taken, state, rules, now, *transports);
                taken
            });
        }
        let alike = taken.len() == 1;
        let taken: Vec<&Numbers> = wanted.iter().filter_map(|transports| taken.get(transports)).collect();
        // Where a run cannot begin at `first`: how far on the next may begin. A number that is taken is so for every
        // place of the run only where all are for the same transports.
        let blocked = |band: Band, first: u16| {
            let at = (0..taken.len()).rev().find(|at| {
                let port = u16::try_from(*at).ok().and_then(|at| first.checked_add(at));
                port.is_none_or(|port| !band.contains(port) || taken[*at].contains(port))
            });
            at.map(|at| if alike { at + 1 } else { 1 })
        };
        let bands = self.bands(rules);
        for first in &self.first {
            let band = bands.iter().copied().find(|band| band.contains(*first));
            let band = band.or_else(|| Band::try_new(*first, u16::MAX).ok().filter(|_| self.range.is_none()));
            if band.is_some_and(|band| blocked(band, *first).is_none()) {
                return Some(*first);
            }
        }
        for band in bands {
            let start = u32::from(band.from()) + random(band.size());
            let halves = [(start, u32::from(band.to())), (u32::from(band.from()), start)];
            for (mut first, last) in halves {
                while first <= last
                    && let Ok(port) = u16::try_from(first)
                {
                    match blocked(band, port) {
                        None => return Some(port),
                        Some(on) => first += u32::try_from(on).unwrap_or(1),
                    }
                }
            }
        }
        None
    }

    /// Takes out what is kept back from others, and not from who asks.
    fn spare_own(&self, taken: &mut Numbers, state: &State, rules: &Rules, now: Time, transports: Transports) {
        let kept = state.leases.quarantine_ends().iter().filter(|(until, key)| *until > now && key.host == *self.host);
        for (_, key) in kept.filter(|(_, key)| transports.all().contains(&key.transport)) {
            if self.transports_can_have(transports, state, rules, now, key.port) {
                taken.remove(key.port);
            }
        }
    }

    /// Why there is none, for a refusal.
    pub fn shortage(&self, state: &State, rules: &Rules, now: Time) -> Shortage {
        let bands = self.bands(rules);
        let (mut leased, mut reserved, mut quarantined) = Default::default();
        reserve(&mut reserved, rules, self.host);
        for transport in self.transports.all() {
            if let Some(numbers) = state.leases.host(self.host) {
                Numbers::extend(&mut leased, numbers.held(*transport));
            }
            extend_quarantined(&mut quarantined, state, now, self.host, *transport);
        }
        let ends = state.leases.quarantine_ends().iter().take(LOOKED_THROUGH_MAX);
        let mut ends = ends.filter(|(until, key)| {
            *until > now && key.host == *self.host && bands.iter().any(|band| band.contains(key.port))
        });
        Shortage {
            size: bands.iter().map(|band| band.size()).sum(),
            leased: bands.iter().map(|band| leased.count(*band)).sum(),
            reserved: bands.iter().map(|band| reserved.count(*band)).sum(),
            quarantined: bands.iter().map(|band| quarantined.count(*band)).sum(),
            next_at: ends.next().map(|(until, _)| *until),
            bands,
        }
    }
}

/// How full the bands are that a search looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The bands.
    pub bands: Vec<Band>,
    /// How many numbers they have.
    pub size: u32,
    /// How many of them are leased.
    pub leased: u32,
    /// How many of them the configuration keeps out.
    pub reserved: u32,
    /// How many of them are kept back.
    pub quarantined: u32,
    /// When the next of those comes back; `None` where that is not known.
    pub next_at: Option<Time>,
}

fn any(taken: &Numbers, bands: &[Band], random: &mut dyn FnMut(u32) -> u32) -> Option<u16> {
    let absent: Vec<u32> = bands.iter().map(|band| band.size() - taken.count(*band)).collect();
    let all: u32 = absent.iter().sum();
    if all == 0 {
        return None;
    }
    let mut nth = random(all);
    for (band, absent) in bands.iter().zip(absent) {
        if nth < absent {
            return taken.nth_absent(*band, nth);
        }
        nth -= absent;
    }
    None
}

/// Adds the numbers whose quarantine is not over.
fn extend_quarantined(numbers: &mut Numbers, state: &State, now: Time, host: &HostName, transport: Transport) {
    let Some(of_host) = state.leases.host(host) else { return };
    // What is over is taken out by the next change; until then it is looked past.
    let over = state.leases.quarantine_ends().iter().take_while(|(until, _)| *until <= now).map(|(_, key)| key);
    let mut over = over.filter(|key| key.host == *host && key.transport == transport).peekable();
    if over.peek().is_none() {
        return numbers.extend(of_host.quarantined(transport));
    }
    let mut quarantined = of_host.quarantined(transport).clone();
    over.for_each(|key| quarantined.remove(key.port));
    numbers.extend(&quarantined);
}

/// The numbers that cannot be had for one of the transports.
fn taken_on(state: &State, rules: &Rules, now: Time, host: &HostName, transports: Transports) -> Numbers {
    let mut taken = Numbers::default();
    for transport in transports.all() {
        if let Some(numbers) = state.leases.host(host) {
            taken.extend(numbers.held(*transport));
        }
        extend_quarantined(&mut taken, state, now, host, *transport);
    }
    reserve(&mut taken, rules, host);
    taken
}

/// Adds the numbers that the configuration keeps out.
fn reserve(numbers: &mut Numbers, rules: &Rules, host: &HostName) {
    rules.reserved(host).for_each(|band| numbers.extend_band(band));
}

/// A band on one host, and how full it is for one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The host.
    pub host: HostName,
    /// The transport.
    pub transport: Transport,
    /// The numbers.
    pub band: Band,
    /// The instant that this is of.
    pub at: Time,
    /// The numbers that the configuration keeps out, in order and apart from each other.
    pub reserved_ranges: Vec<Band>,
    /// How many these are.
    pub reserved: u32,
    /// How many are leased.
    pub allocated: u32,
    /// How many are kept back after a lease or a conflict.
    pub quarantined: u32,
    /// How many can be had.
    pub available: u32,
}

/// Every pool: of the registry's own host, of those that the configuration names and of those that leases name.
pub fn pools(state: &State, rules: &Rules, now: Time) -> Vec<Pool> {
    let configured = rules.bands.iter().filter_map(|(host, _)| host.as_ref());
    let mut hosts: Vec<&HostName> = configured.chain(state.leases.hosts()).chain([&rules.host]).collect();
    hosts.sort();
    hosts.dedup();
    let mut pools = Vec::new();
    for host in hosts {
        let mut reserved = Numbers::default();
        reserve(&mut reserved, rules, host);
        for transport in [Transport::Tcp, Transport::Udp] {
            let held = state.leases.host(host).map(|numbers| numbers.held(transport).clone()).unwrap_or_default();
            let mut quarantined = Numbers::default();
            extend_quarantined(&mut quarantined, state, now, host, transport);
            let taken = taken_on(state, rules, now, host, Transports::One(transport));
            for band in rules.bands(host) {
                pools.push(Pool {
                    host: host.clone(),
                    transport,
                    band,
                    at: now,
                    reserved_ranges: reserved_in(rules, host, band),
                    reserved: reserved.count(band),
                    allocated: held.count(band),
                    quarantined: quarantined.count(band),
                    available: band.size() - taken.count(band),
                });
            }
        }
    }
    pools
}

/// What the configuration keeps out of a band, as bands that neither meet nor overlap, in order.
fn reserved_in(rules: &Rules, host: &HostName, band: Band) -> Vec<Band> {
    let within = rules.reserved(host).filter(|reserved| reserved.overlaps(band));
    let mut bounds: Vec<(u16, u16)> =
        within.map(|reserved| (reserved.from().max(band.from()), reserved.to().min(band.to()))).collect();
    bounds.sort_unstable();
    let mut apart: Vec<(u16, u16)> = Vec::new();
    for (from, to) in bounds {
        match apart.last_mut().filter(|last| from <= last.1.saturating_add(1)) {
            Some(last) => last.1 = last.1.max(to),
            None => apart.push((from, to)),
        }
    }
    apart.into_iter().filter_map(|(from, to)| Band::try_new(from, to).ok()).collect()
}

/// The numbers of a pool that are kept back, in order, and why.
pub fn quarantined<'a>(state: &'a State, pool: &'a Pool) -> impl Iterator<Item = (u16, &'a Arc<Quarantine>)> + 'a {
    let of_host = state.leases.host(&pool.host);
    let numbers = of_host.into_iter().flat_map(|of_host| of_host.quarantines(pool.transport, pool.band));
    numbers.filter(|(_, quarantine)| quarantine.until > pool.at)
}

/// A lease that holds, or the one that took its place, as long as that is known.
pub fn latest(state: &State, lease: LeaseId) -> Option<&Arc<Lease>> {
    let mut lease = state.leases.get(lease)?;
    while let Some(EndCause::Rebound { replacement, .. }) = lease.end.as_ref().map(|end| &end.cause)
        && let Some(next) = state.leases.get(*replacement)
    {
        lease = next;
    }
    Some(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_of_a_band_is_told_once_and_in_order() {
        let host = HostName::try_new("here").unwrap();
        let band = |from, to| Band::try_new(from, to).unwrap();
        let everywhere = [band(100, 110), band(500, 600), band(105, 120), band(121, 130), band(10, 50)];
        let elsewhere = (Some(HostName::try_new("there").unwrap()), band(200, 210));
        let rules = Rules {
            host: host.clone(),
            bands: Vec::new(),
            reserved: everywhere.into_iter().map(|band| (None, band)).chain([elsewhere]).collect(),
            ttl: Ttl::from_seconds(60).unwrap(),
            leases_per_requester_max: 0,
            quarantine_seconds: 0,
            conflict_quarantine_seconds: 0,
        };
        assert_eq!(reserved_in(&rules, &host, band(40, 550)), [band(40, 50), band(100, 130), band(500, 550)]);
        assert_eq!(reserved_in(&rules, &host, band(60, 90)), []);
    }

    #[test]
    fn the_lower_part_of_a_band_is_kept_as_kubernetes_does() {
        let part = |from, to| kept_part(Band::try_new(from, to).unwrap()).map(|(lower, _)| lower.size());
        assert_eq!(part(20_000, 29_999), Some(128));
        assert_eq!(part(20_000, 20_999), Some(31));
        assert_eq!(part(20_000, 20_099), Some(16));
        assert_eq!(part(20_000, 20_016), Some(16));
        assert_eq!(part(20_000, 20_015), None);
        assert_eq!(part(65_530, 65_535), None);
    }
}
