//! The leases of a state, and the indexes that find them: by number, holder, name and request.

use crate::model::{
    Band, HostName, Lease, LeaseId, NodeId, PortKey, Process, Quarantine, RequesterId, Sequence, Thing, Time, Transport,
};
use imbl::{HashMap, OrdMap, OrdSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// How many leases that have ended are remembered, with a name and without one each: the oldest goes first.
const ENDED_KEPT_MAX: usize = 10_000;

/// A set of port numbers, as bits: 8 KiB, so that one free number of a full pool is found at once.
#[derive(Clone, PartialEq, Eq)]
pub struct Numbers([u64; 1024]);

impl Default for Numbers {
    fn default() -> Self {
        Numbers([0; 1024])
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..=u16::MAX).filter(|port| self.contains(*port))).finish()
    }
}

impl Numbers {
    /// Whether the number is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] & (1 << (port % 64)) != 0
    }

    /// Puts a number in.
    pub fn insert(&mut self, port: u16) {
        self.0[usize::from(port / 64)] |= 1 << (port % 64);
    }

    /// Takes a number out.
    pub fn remove(&mut self, port: u16) {
        self.0[usize::from(port / 64)] &= !(1 << (port % 64));
    }

    /// Puts in what another set has.
    pub fn extend(&mut self, other: &Numbers) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// Puts in every number of a band.
    pub fn extend_band(&mut self, band: Band) {
        (band.from()..=band.to()).for_each(|port| self.insert(port));
    }

    /// How many numbers of the band are in the set.
    pub fn count(&self, band: Band) -> u32 {
        words(band).map(|(at, mask)| (self.0[at] & mask).count_ones()).sum()
    }

    /// The number of the band that has `nth` others of the band before it which, like itself, are not in the set.
    pub fn nth_absent(&self, band: Band, nth: u32) -> Option<u16> {
        let mut left = nth;
        for (at, mask) in words(band) {
            let mut absent = !self.0[at] & mask;
            let count = absent.count_ones();
            if left >= count {
                left -= count;
                continue;
            }
            for _ in 0..left {
                absent &= absent - 1;
            }
            return u16::try_from(at * 64 + absent.trailing_zeros() as usize).ok();
        }
        None
    }
}

/// The words that hold a band, each with a mask of the band's bits in it.
fn words(band: Band) -> impl Iterator<Item = (usize, u64)> {
    let (from, to) = (usize::from(band.from()), usize::from(band.to()));
    (from / 64..=to / 64).map(move |at| {
        let low = from.saturating_sub(at * 64);
        let high = (to - at * 64).min(63);
        (at, (u64::MAX << low) & (u64::MAX >> (63 - high)))
    })
}

/// A number for one transport.
type Number = (u16, Transport);

/// The numbers of one host that cannot be had.
#[derive(Clone, Debug, Default)]
pub struct HostNumbers {
    held: OrdMap<Number, LeaseId>,
    quarantined: OrdMap<Number, Arc<Quarantine>>,
    /// The same as sets, by transport; absent where there was never one.
    held_bits: [Option<Arc<Numbers>>; 2],
    quarantined_bits: [Option<Arc<Numbers>>; 2],
}

impl PartialEq for HostNumbers {
    fn eq(&self, other: &Self) -> bool {
        let sets = |numbers: &Self| {
            [Transport::Tcp, Transport::Udp].map(|of| (numbers.held(of).clone(), numbers.quarantined(of).clone()))
        };
        self.held == other.held && self.quarantined == other.quarantined && sets(self) == sets(other)
    }
}

static NONE: Numbers = Numbers([0; 1024]);

impl HostNumbers {
    /// The numbers that are leased.
    pub fn held(&self, transport: Transport) -> &Numbers {
        self.held_bits[transport as usize].as_deref().unwrap_or(&NONE)
    }

    /// The numbers of a band that are in quarantine, and perhaps some whose quarantine is over by now, in order.
    pub fn quarantines(&self, transport: Transport, band: Band) -> impl Iterator<Item = (u16, &Arc<Quarantine>)> {
        let within = (band.from(), Transport::Tcp)..=(band.to(), Transport::Udp);
        let of_both = self.quarantined.range(within);
        of_both.filter(move |((_, of), _)| *of == transport).map(|((port, _), quarantine)| (*port, quarantine))
    }

    /// The numbers that are in quarantine, and perhaps some whose quarantine is over by now.
    pub fn quarantined(&self, transport: Transport) -> &Numbers {
        self.quarantined_bits[transport as usize].as_deref().unwrap_or(&NONE)
    }
}

/// The caller's name for a use of a port: unique within the requester and host.
type UseKey = (RequesterId, HostName, Arc<str>);

/// Every lease that holds, and the last that ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leases {
    by_id: HashMap<LeaseId, Arc<Lease>>,
    /// Where in the log leases ended, those without a name and those with a key or a request's name.
    ended: [OrdMap<Sequence, LeaseId>; 2],
    quarantine_ends: OrdSet<(Time, PortKey)>,
    of_node: HashMap<NodeId, OrdSet<LeaseId>>,
    of_requester: HashMap<RequesterId, OrdSet<LeaseId>>,
    of_process: HashMap<Process, OrdSet<LeaseId>>,
    named: HashMap<UseKey, LeaseId>,
    requests: HashMap<(RequesterId, Arc<str>), LeaseId>,
    hosts: OrdMap<HostName, HostNumbers>,
    active: usize,
}

impl Leases {
    /// The lease with this id: one that holds, or one of the last that ended.
    pub fn get(&self, id: LeaseId) -> Option<&Arc<Lease>> {
        self.by_id.get(&id)
    }

    /// How many leases hold.
    pub fn active(&self) -> usize {
        self.active
    }

    /// The lease that holds a number.
    pub fn holding(&self, key: &PortKey) -> Option<&Arc<Lease>> {
        self.by_id.get(self.hosts.get(&key.host)?.held.get(&(key.port, key.transport))?)
    }

    /// What is leased, by host, number and transport.
    pub fn held(
        &self,
        (after, before): (Bound<PortKey>, Bound<PortKey>),
    ) -> impl DoubleEndedIterator<Item = (PortKey, LeaseId)> {
        let host = |bound: &Bound<PortKey>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => Bound::Included(key.host.clone()),
            Bound::Unbounded => Bound::Unbounded,
        };
        self.hosts.range((host(&after), host(&before))).flat_map(move |(host, numbers)| {
            let within = |bound: &Bound<PortKey>| match bound {
                Bound::Included(key) if key.host == *host => Bound::Included((key.port, key.transport)),
                Bound::Excluded(key) if key.host == *host => Bound::Excluded((key.port, key.transport)),
                _ => Bound::Unbounded,
            };
            let held = numbers.held.range((within(&after), within(&before)));
            held.map(|((port, transport), id)| {
                (PortKey { host: host.clone(), port: *port, transport: *transport }, *id)
            })
        })
    }

    /// Leases that ended, in the order in which they did.
    pub fn ended(&self) -> impl DoubleEndedIterator<Item = (Sequence, &Arc<Lease>)> {
        let [unnamed, named] = &self.ended;
        let mut places: Vec<(Sequence, LeaseId)> = unnamed.iter().chain(named).map(|(at, id)| (*at, *id)).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|(place, id)| Some((place, self.by_id.get(&id)?)))
    }

    /// Why a number is kept back, if its quarantine is not over by `now`.
    pub fn quarantine(&self, key: &PortKey, now: Time) -> Option<&Arc<Quarantine>> {
        let quarantined = &self.hosts.get(&key.host)?.quarantined;
        quarantined.get(&(key.port, key.transport)).filter(|quarantine| quarantine.until > now)
    }

    /// The numbers in quarantine by when it is over, the earliest first.
    pub fn quarantine_ends(&self) -> &OrdSet<(Time, PortKey)> {
        &self.quarantine_ends
    }

    /// The leases that go with a node and hold.
    pub fn of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Lease>> {
        self.of_node.get(&node).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// How many leases a requester holds.
    pub fn count_of_requester(&self, requester: RequesterId) -> usize {
        self.of_requester.get(&requester).map_or(0, OrdSet::len)
    }

    /// The processes that hold leases.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.of_process.keys()
    }

    /// The leases that a process holds.
    pub fn of_process(&self, process: &Process) -> impl Iterator<Item = &Arc<Lease>> {
        self.of_process.get(process).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// The latest lease that was named so, whether it holds or has ended.
    pub fn named(&self, requester: RequesterId, host: &HostName, key: &str) -> Option<&Arc<Lease>> {
        self.by_id.get(self.named.get(&(requester, host.clone(), key.into()))?)
    }

    /// The lease that a request of this name was answered with, whether it holds or has ended.
    pub fn requested(&self, requester: RequesterId, key: &str) -> Option<&Arc<Lease>> {
        self.by_id.get(self.requests.get(&(requester, key.into()))?)
    }

    /// The numbers of a host that cannot be had; `None` where there are none.
    pub fn host(&self, host: &HostName) -> Option<&HostNumbers> {
        self.hosts.get(host)
    }

    /// The hosts that have leases or numbers in quarantine.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &HostName> {
        self.hosts.keys()
    }

    /// What a snapshot keeps of this: ended leases in the order in which they ended, then those that hold.
    pub(super) fn things(&self) -> impl Iterator<Item = Thing> + '_ {
        let ended = self.ended().map(|(place, lease)| Thing::EndedLease(lease.clone(), place));
        let held = self.by_id.values().filter(|lease| lease.end.is_none()).map(|lease| Thing::Lease(lease.clone()));
        let quarantined = self.hosts.iter().flat_map(|(host, numbers)| {
            numbers.quarantined.iter().map(|((port, transport), quarantine)| {
                let key = PortKey { host: host.clone(), port: *port, transport: *transport };
                Thing::Quarantine(key, Quarantine::clone(quarantine))
            })
        });
        ended.chain(held).chain(quarantined)
    }

    /// Adds a lease that holds.
    pub(super) fn add(&mut self, lease: Arc<Lease>) {
        let numbers = self.hosts.entry(lease.terms.host.clone()).or_default();
        for transport in lease.terms.transports.all() {
            bits(&mut numbers.held_bits, *transport).insert(lease.terms.port);
            numbers.held.insert((lease.terms.port, *transport), lease.id);
        }
        if let Some(node) = lease.node {
            self.of_node.entry(node).or_default().insert(lease.id);
        }
        self.of_requester.entry(lease.terms.requester).or_default().insert(lease.id);
        if let Some(process) = lease.terms.process {
            self.of_process.entry(process).or_default().insert(lease.id);
        }
        self.name(&lease);
        self.active += 1;
        self.by_id.insert(lease.id, lease);
    }

    /// Makes a lease findable by the names that its requester gave.
    fn name(&mut self, lease: &Lease) {
        let terms = &lease.terms;
        if let Some(key) = &terms.key {
            self.named.insert((terms.requester, terms.host.clone(), key.as_str().into()), lease.id);
        }
        if let Some(request) = &terms.request {
            self.requests.insert((terms.requester, request.key.as_str().into()), lease.id);
        }
    }

    /// Changes a lease that holds, but not what it is about.
    pub(super) fn update(&mut self, id: LeaseId, update: impl FnOnce(&mut Lease)) -> Option<(Arc<Lease>, Arc<Lease>)> {
        let before = self.by_id.get(&id).filter(|lease| lease.end.is_none())?.clone();
        let mut lease = Lease::clone(&before);
        update(&mut lease);
        if lease.node != before.node {
            if let Some(node) = before.node {
                remove_from(&mut self.of_node, &node, id);
            }
            if let Some(node) = lease.node {
                self.of_node.entry(node).or_default().insert(id);
            }
        }
        let lease = Arc::new(lease);
        self.by_id.insert(id, lease.clone());
        Some((before, lease))
    }

    /// Takes a lease that no longer holds out of everything that finds those that do.
    pub(super) fn end(&mut self, lease: Arc<Lease>, place: Sequence) {
        self.change_numbers(&lease.terms.host, |numbers| {
            for transport in lease.terms.transports.all() {
                bits(&mut numbers.held_bits, *transport).remove(lease.terms.port);
                numbers.held.remove(&(lease.terms.port, *transport));
            }
        });
        if let Some(node) = lease.node {
            remove_from(&mut self.of_node, &node, lease.id);
        }
        remove_from(&mut self.of_requester, &lease.terms.requester, lease.id);
        if let Some(process) = lease.terms.process {
            remove_from(&mut self.of_process, &process, lease.id);
        }
        self.active -= 1;
        self.add_ended(lease, place);
    }

    /// Remembers a lease that has ended, and forgets the oldest where there are too many.
    pub(super) fn add_ended(&mut self, lease: Arc<Lease>, place: Sequence) {
        self.name(&lease);
        let named = lease.terms.key.is_some() || lease.terms.request.is_some();
        let ended = &mut self.ended[usize::from(named)];
        ended.insert(place, lease.id);
        self.by_id.insert(lease.id, lease);
        if ended.len() <= ENDED_KEPT_MAX {
            return;
        }
        let Some((oldest, id)) = ended.get_min().copied() else { return };
        ended.remove(&oldest);
        let Some(forgotten) = self.by_id.remove(&id) else { return };
        let terms = &forgotten.terms;
        if let Some(key) = &terms.key {
            let name = (terms.requester, terms.host.clone(), key.as_str().into());
            if self.named.get(&name) == Some(&id) {
                self.named.remove(&name);
            }
        }
        if let Some(request) = &terms.request {
            let name = (terms.requester, request.key.as_str().into());
            if self.requests.get(&name) == Some(&id) {
                self.requests.remove(&name);
            }
        }
    }

    /// Keeps a number back; where it is kept already, for the longer of both times, and by the stricter of both.
    pub(super) fn quarantine_number(&mut self, key: PortKey, mut quarantine: Quarantine) {
        let known = self.hosts.get(&key.host).and_then(|numbers| numbers.quarantined.get(&(key.port, key.transport)));
        if let Some(known) = known.filter(|known| known.until > quarantine.until || known.except.is_none()) {
            let except = known.except.filter(|_| quarantine.except.is_some());
            let until = quarantine.until.max(known.until);
            let reason = if known.until > quarantine.until { known.reason.clone() } else { quarantine.reason };
            quarantine = Quarantine { until, reason, except };
        }
        self.release_number(&key);
        let numbers = self.hosts.entry(key.host.clone()).or_default();
        bits(&mut numbers.quarantined_bits, key.transport).insert(key.port);
        let until = quarantine.until;
        numbers.quarantined.insert((key.port, key.transport), Arc::new(quarantine));
        self.quarantine_ends.insert((until, key));
    }

    /// Ends a number's quarantine, where it is in one.
    pub(super) fn release_number(&mut self, key: &PortKey) {
        let number = (key.port, key.transport);
        let Some(until) = self.hosts.get(&key.host).and_then(|numbers| numbers.quarantined.get(&number)) else {
            return;
        };
        self.quarantine_ends.remove(&(until.until, key.clone()));
        self.change_numbers(&key.host, |numbers| {
            numbers.quarantined.remove(&number);
            bits(&mut numbers.quarantined_bits, key.transport).remove(key.port);
        });
    }

    /// Ends every quarantine that is over.
    pub(super) fn lift_quarantines(&mut self, now: Time) {
        while let Some((until, key)) = self.quarantine_ends.get_min().cloned()
            && until <= now
        {
            self.release_number(&key);
        }
    }

    /// Takes something out of a host's numbers, and forgets the host where nothing is left.
    fn change_numbers(&mut self, host: &HostName, change: impl FnOnce(&mut HostNumbers)) {
        let Some(numbers) = self.hosts.get_mut(host) else { return };
        change(numbers);
        if numbers.held.is_empty() && numbers.quarantined.is_empty() {
            self.hosts.remove(host);
        }
    }
}

fn bits(sets: &mut [Option<Arc<Numbers>>; 2], transport: Transport) -> &mut Numbers {
    Arc::make_mut(sets[transport as usize].get_or_insert_default())
}

fn remove_from<K: std::hash::Hash + Eq + Clone>(index: &mut HashMap<K, OrdSet<LeaseId>>, key: &K, id: LeaseId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_and_found_within_a_band() {
        for band in [(1, 65_535), (20_000, 29_999), (63, 64), (64, 127), (65, 65), (65_500, 65_535)] {
            let band = Band::try_new(band.0, band.1).unwrap();
            let mut numbers = Numbers::default();
            assert_eq!(numbers.count(band), 0, "{band}");
            let size = band.size();
            for nth in [0, size / 2, size - 1] {
                assert_eq!(numbers.nth_absent(band, nth).map(u32::from), Some(u32::from(band.from()) + nth), "{band}");
            }
            assert_eq!(numbers.nth_absent(band, size), None);
            numbers.insert(band.from());
            assert_eq!((numbers.count(band), numbers.contains(band.from())), (1, true));
            assert_eq!(numbers.nth_absent(band, size - 1), None, "{band}");
            numbers.remove(band.from());
            assert_eq!(numbers, Numbers::default());
            numbers.extend_band(band);
            assert_eq!((numbers.count(band), numbers.nth_absent(band, 0)), (size, None), "{band}");
        }
    }
}
