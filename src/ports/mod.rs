//! Ports: numbers are picked, looked at, and only then asked for.
//!
//! A request picks a number that the current version has free, claims it among the requests that are under way, binds
//! it to see whether something outside the registry uses it, and sends what it found along with the command. The
//! writer judges by its own state; what it refuses because somebody was quicker is tried again with another number.

#[cfg(target_os = "linux")]
pub mod portserver;
mod probe;
#[cfg(target_os = "linux")]
pub mod process;

use crate::model::{Actor, Band, HostName, LeaseId, PortKey, PortProtocol, RequesterId, Time, Transport, Transports};
use crate::registry::command::{Allocate, Command, Found, Owner, Probe, Rebind, Request, Wanted};
use crate::registry::decide::Answer;
use crate::registry::decide::port::{Held, admit, held, owned};
use crate::registry::engine::{Clock, Error, Handle, Outcome};
use crate::registry::pool::{self, Pool, Rules, Search};
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use crate::registry::view::Views;
use probe::Prober;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How often a request tries: each time with other numbers.
const TRIES_MAX: u32 = 8;
/// The longest wait before the second try; it doubles with each.
const BACK_OFF: Duration = Duration::from_millis(2);
/// How many ports one request may ask for.
pub const ALLOCATED_AT_ONCE_MAX: usize = 100;

/// What has become of requests since the registry started, for one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leases granted.
    pub granted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Numbers that turned out to be in use.
    pub conflicts: u64,
}

type PoolKey = (HostName, Transport, Band);

/// The way to port leases.
pub struct Ports {
    handle: Handle,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    prober: Prober,
    /// This machine's own name, which names the registry's host whatever leases call it.
    nodename: Option<HostName>,
    /// Numbers that requests under way are looking at, or found in use.
    claimed: Mutex<HashSet<PortKey>>,
    counts: Mutex<HashMap<PoolKey, Counts>>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Who asks, as with every command.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Who.
    pub actor: Actor,
    /// What the caller calls the whole undertaking.
    pub correlation_id: Option<String>,
}

impl Ports {
    /// Leases by these rules.
    pub fn new(handle: Handle, views: Arc<Views>, clock: Arc<dyn Clock>, rules: Rules) -> Self {
        Ports {
            handle,
            views,
            clock,
            rules: Arc::new(rules),
            prober: Prober::new(),
            nodename: nodename(),
            claimed: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// What the configuration says.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The host that is meant: the registry's own where none is named, or where it is named by another of its names.
    pub fn host(&self, named: Option<HostName>) -> HostName {
        match named {
            Some(host) if !host.is_loopback() && Some(&host) != self.nodename.as_ref() => host,
            _ => self.rules.host.clone(),
        }
    }

    /// A wish for one TCP port on the registry's own host; everything else is for the caller to add.
    pub fn wanted(&self, requester: RequesterId, principal: &str) -> Wanted {
        #[expect(clippy::disallowed_methods, reason = "the one place where lease ids are drawn")]
        let id = LeaseId(Uuid::new_v4());
        Wanted {
            id,
            requester,
            principal: principal.to_owned(),
            program: None,
            process: None,
            protocol: PortProtocol::Tcp,
            transports: Transports::One(Transport::Tcp),
            host: self.rules.host.clone(),
            node: None,
            topics: Vec::new(),
            purpose: None,
            ttl: None,
            key: None,
            request: None,
            preferred: None,
            range: None,
            requested_at: self.clock.now(),
            probes: Vec::new(),
        }
    }

    /// Leases all that is wanted, or nothing; in a row, where `contiguous`.
    pub async fn allocate(&self, asking: Asking, wanted: Vec<Wanted>, contiguous: bool) -> Result<Outcome, Error> {
        let asked: Vec<_> =
            wanted.iter().map(|wanted| (wanted.host.clone(), wanted.transports, wanted.range)).collect();
        let result = self.try_allocate(asking, wanted, contiguous).await;
        if let Err(Error::Refused(_)) = &result {
            asked.iter().for_each(|(host, transports, range)| {
                self.count(host, *transports, *range, |counts| counts.refused += 1);
            });
        }
        result
    }

    async fn try_allocate(&self, asking: Asking, mut wanted: Vec<Wanted>, contiguous: bool) -> Result<Outcome, Error> {
        let mut claim = Claim { ports: self, keys: Vec::new() };
        for tries in 1.. {
            let found = self.look(&mut claim, &mut wanted, contiguous)?;
            if found == Looked::SomeInUse && tries < TRIES_MAX {
                back_off(tries).await;
                continue;
            }
            let allocate = Allocate { wanted: wanted.clone(), rules: self.rules.clone() };
            match self.submit(&asking, Command::Allocate(Box::new(allocate))).await {
                Err(Error::Refused(Refusal::PortUnavailable { .. })) if tries < TRIES_MAX => back_off(tries).await,
                Ok(Outcome { answer: Answer::NotLeased(refusal), .. }) => return Err(Error::Refused(refusal)),
                Ok(outcome) => {
                    self.count_granted(&wanted, &outcome);
                    return Ok(outcome);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stopped)
    }

    /// Puts another number in the place of a lease's, which turned out unusable.
    pub async fn rebind(
        &self,
        asking: Asking,
        lease: LeaseId,
        owner: Owner,
        reason: String,
        preferred: Option<u16>,
    ) -> Result<Outcome, Error> {
        let before = owned(&self.views.current(), lease, &owner)?.clone();
        let terms = &before.terms;
        let mut wanted = self.wanted(terms.requester, &terms.principal);
        wanted.program = terms.program.clone();
        wanted.protocol = terms.protocol;
        wanted.transports = terms.transports;
        wanted.host = terms.host.clone();
        wanted.topics = terms.topics.clone();
        wanted.purpose = terms.purpose.clone();
        wanted.ttl = before.ttl;
        wanted.key = terms.key.clone();
        wanted.range = terms.range;
        wanted.preferred = preferred;
        let result = self.try_rebind(asking, lease, owner, reason, wanted).await;
        if let Err(Error::Refused(_)) = &result {
            self.count(&terms.host, terms.transports, terms.range, |counts| counts.refused += 1);
        }
        result
    }

    async fn try_rebind(
        &self,
        asking: Asking,
        lease: LeaseId,
        owner: Owner,
        reason: String,
        wanted: Wanted,
    ) -> Result<Outcome, Error> {
        let mut claim = Claim { ports: self, keys: Vec::new() };
        let mut wanted = vec![wanted];
        for tries in 1.. {
            let found = self.look_for_another(&mut claim, &mut wanted)?;
            if found == Looked::SomeInUse && tries < TRIES_MAX {
                back_off(tries).await;
                continue;
            }
            let Some(wanted) = wanted.first().cloned() else { break };
            let rebind =
                Rebind { lease, owner: owner.clone(), reason: reason.clone(), wanted, rules: self.rules.clone() };
            match self.submit(&asking, Command::Rebind(Box::new(rebind))).await {
                Err(Error::Refused(Refusal::PortUnavailable { .. })) if tries < TRIES_MAX => back_off(tries).await,
                Ok(Outcome { answer: Answer::NotLeased(refusal), .. }) => return Err(Error::Refused(refusal)),
                Ok(outcome) => {
                    if let Some(before) = outcome.view.leases.get(lease) {
                        let terms = &before.terms;
                        self.count(
                            &terms.host,
                            terms.transports,
                            Band::try_new(terms.port, terms.port).ok(),
                            |counts| {
                                counts.conflicts += 1;
                            },
                        );
                    }
                    self.count_lease(&outcome);
                    return Ok(outcome);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stopped)
    }

    /// A lease's lifetime starts anew.
    pub async fn renew(
        &self,
        asking: Asking,
        lease: LeaseId,
        owner: Owner,
        ttl: Option<crate::model::Ttl>,
    ) -> Result<Outcome, Error> {
        self.submit(&asking, Command::Renew { lease, owner, ttl }).await
    }

    /// Gives a lease back.
    pub async fn release(&self, asking: Asking, lease: LeaseId, owner: Owner) -> Result<Outcome, Error> {
        self.submit(&asking, Command::Release { lease, owner }).await
    }

    /// Every pool of a version, with what has become of requests since the registry started.
    pub fn pools(&self, state: &State) -> Vec<(Pool, Counts)> {
        // A version from the past is as full as it then was.
        let now = if state.sequence == self.views.current().sequence { self.clock.now() } else { state.time };
        let counts = self.counts();
        let counted = |pool: Pool| {
            let counts = counts.get(&(pool.host.clone(), pool.transport, pool.band)).copied().unwrap_or_default();
            (pool, counts)
        };
        pool::pools(state, &self.rules, now).into_iter().map(counted).collect()
    }

    async fn submit(&self, asking: &Asking, command: Command) -> Result<Outcome, Error> {
        let Asking { actor, correlation_id } = asking.clone();
        self.handle.submit(Request { command, actor, correlation_id }).await
    }

    /// Picks a number for everything that is wanted and looks at each.
    fn look(&self, claim: &mut Claim<'_>, wanted: &mut [Wanted], contiguous: bool) -> Result<Looked, Error> {
        self.pick(claim, wanted, |state, now, wanted, avoid| {
            let mut granted: HashMap<RequesterId, usize> = HashMap::new();
            let mut new = Vec::new();
            for (at, wanted) in wanted.iter().enumerate() {
                // Judged again by the writer; known here, it saves picking.
                match held(state, wanted)? {
                    Some(Held::Answered(_) | Held::Named(_)) => {}
                    None => {
                        let count = granted.entry(wanted.requester).or_default();
                        admit(state, &self.rules, wanted, *count)?;
                        *count += 1;
                        new.push(at);
                    }
                }
            }
            match contiguous && new.len() > 1 {
                true if new.len() < wanted.len() => Err(Refusal::PartlyHeld),
                true => self.pick_run(state, now, wanted, avoid),
                false => new.into_iter().map(|at| Ok((at, self.pick_one(state, now, &wanted[at], avoid)?))).collect(),
            }
        })
    }

    /// Picks a number in the place of another.
    fn look_for_another(&self, claim: &mut Claim<'_>, wanted: &mut [Wanted]) -> Result<Looked, Error> {
        self.pick(claim, wanted, |state, now, wanted, avoid| {
            wanted.iter().enumerate().map(|(at, wanted)| Ok((at, self.pick_one(state, now, wanted, avoid)?))).collect()
        })
    }

    fn pick(
        &self,
        claim: &mut Claim<'_>,
        wanted: &mut [Wanted],
        choose: impl FnOnce(&State, Time, &[Wanted], &mut HashSet<PortKey>) -> Result<Vec<(usize, Pick)>, Refusal>,
    ) -> Result<Looked, Error> {
        for wanted in wanted.iter_mut() {
            wanted.probes.retain(|probe| matches!(probe.found, Found::InUse(_)));
        }
        let picks = {
            let mut claimed = self.claimed();
            claim.keep_what_is_in_use(&mut claimed, wanted);
            // Taken while nobody else picks: what others have got since they let go of their claims is in it.
            let state = self.views.current();
            let before = claimed.len();
            let mut avoid = claimed.clone();
            let picks = choose(&state, self.clock.now(), wanted, &mut avoid)?;
            if avoid.len() > before {
                claim.keys.extend(avoid.difference(&claimed).cloned());
                *claimed = avoid;
            }
            picks
        };
        let mut looked = Looked::AllFree;
        for (at, pick) in picks {
            let Pick::Number(port) = pick else { return Ok(Looked::NothingLeft) };
            let wanted = &mut wanted[at];
            let found = if wanted.host == self.rules.host {
                self.prober.look(port, wanted.transports)
            } else {
                Found::Unprobed
            };
            if let Found::InUse(reason) = &found {
                looked = Looked::SomeInUse;
                tracing::debug!(port, host = %wanted.host, %reason, "a free number is in use");
                let only = Band::try_new(port, port).ok();
                self.count(&wanted.host, wanted.transports, only, |counts| counts.conflicts += 1);
            }
            wanted.probes.push(Probe { port, found });
        }
        Ok(looked)
    }

    fn pick_one(
        &self,
        state: &State,
        now: Time,
        wanted: &Wanted,
        avoid: &mut HashSet<PortKey>,
    ) -> Result<Pick, Refusal> {
        let search = self.search(state, wanted, avoid);
        let Some(port) = search.one(state, &self.rules, now, &mut |below| fastrand::u32(..below)) else {
            return match wanted.probes.is_empty() {
                true => Err(self.shortage(&search, state, now, wanted)),
                // What was found in use is worth telling the writer.
                false => Ok(Pick::NothingLeft),
            };
        };
        avoid.extend(keys_of(wanted, port));
        Ok(Pick::Number(port))
    }

    fn pick_run(
        &self,
        state: &State,
        now: Time,
        wanted: &[Wanted],
        avoid: &mut HashSet<PortKey>,
    ) -> Result<Vec<(usize, Pick)>, Refusal> {
        let Some(first) = wanted.first() else { return Ok(Vec::new()) };
        let transports: Vec<Transports> = wanted.iter().map(|wanted| wanted.transports).collect();
        let search = self.search(state, first, avoid);
        let random = &mut |below| fastrand::u32(..below);
        let Some(port) = search.run(&transports, state, &self.rules, now, random) else {
            if wanted.iter().any(|wanted| !wanted.probes.is_empty()) {
                return Ok(vec![(0, Pick::NothingLeft)]);
            }
            let shortage = Box::new(search.shortage(state, &self.rules, now));
            return Err(Refusal::NoConsecutivePorts { count: wanted.len(), host: first.host.clone(), shortage });
        };
        let picks: Vec<(usize, u16)> = (0..wanted.len()).zip(port..).collect();
        picks.iter().for_each(|(at, port)| avoid.extend(keys_of(&wanted[*at], *port)));
        Ok(picks.into_iter().map(|(at, port)| (at, Pick::Number(port))).collect())
    }

    fn search<'a>(&self, state: &State, wanted: &'a Wanted, avoid: &'a HashSet<PortKey>) -> Search<'a> {
        let named = wanted.key.as_deref().and_then(|key| state.leases.named(wanted.requester, &wanted.host, key));
        let named = named.map(|lease| lease.terms.port);
        let fits = |port: &u16| wanted.range.is_none_or(|range| range.contains(*port));
        Search {
            host: &wanted.host,
            transports: wanted.transports,
            requester: wanted.requester,
            // Said now comes before remembered.
            first: wanted.preferred.into_iter().chain(named).filter(fits).collect(),
            range: wanted.range,
            avoid,
        }
    }

    fn shortage(&self, search: &Search<'_>, state: &State, now: Time, wanted: &Wanted) -> Refusal {
        let (host, transports) = (wanted.host.clone(), wanted.transports);
        if let Some(only) = wanted.range.filter(|range| range.size() == 1) {
            let mut keys = keys_of(wanted, only.from());
            let because = keys.find_map(|key| pool::why_not(state, &self.rules, now, &key, wanted.requester));
            let because =
                because.unwrap_or_else(|| pool::Because::InUse("another request is looking at it".to_owned()));
            return Refusal::PortUnavailable { host, port: only.from(), transports, because: Box::new(because) };
        }
        Refusal::PortExhausted { host, transports, shortage: Box::new(search.shortage(state, &self.rules, now)) }
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<PortKey>> {
        // A set is whole after every step.
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<PoolKey, Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts for the pools that a range is in; for all of the host's where there is none.
    fn count(&self, host: &HostName, transports: Transports, range: Option<Band>, add: impl Fn(&mut Counts)) {
        let mut counts = self.counts();
        for band in self.rules.bands(host).filter(|band| range.is_none_or(|range| range.overlaps(*band))) {
            for transport in transports.all() {
                add(counts.entry((host.clone(), *transport, band)).or_default());
            }
        }
    }

    fn count_granted(&self, wanted: &[Wanted], outcome: &Outcome) {
        let Answer::Leased(leases) = &outcome.answer else { return };
        for wanted in wanted.iter().filter(|wanted| leases.contains(&wanted.id)) {
            let port = wanted.probes.last().map(|probe| probe.port);
            let only = port.and_then(|port| Band::try_new(port, port).ok());
            self.count(&wanted.host, wanted.transports, only, |counts| counts.granted += 1);
        }
    }

    fn count_lease(&self, outcome: &Outcome) {
        let Answer::Leased(leases) = &outcome.answer else { return };
        for lease in leases.iter().filter_map(|id| outcome.view.leases.get(*id)) {
            let terms = &lease.terms;
            let only = Band::try_new(terms.port, terms.port).ok();
            self.count(&terms.host, terms.transports, only, |counts| counts.granted += 1);
        }
    }
}

/// What looking for numbers came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// Each can be asked for.
    AllFree,
    /// Another try may find others.
    SomeInUse,
    /// There is no other to try.
    NothingLeft,
}

/// A number that was picked.
enum Pick {
    Number(u16),
    /// All that are left were found in use.
    NothingLeft,
}

fn keys_of(wanted: &Wanted, port: u16) -> impl Iterator<Item = PortKey> + '_ {
    let transports = wanted.transports.all().iter();
    transports.map(move |transport| PortKey { host: wanted.host.clone(), port, transport: *transport })
}

/// Waits up to twice as long with each try, so that two who met do not meet again.
async fn back_off(tries: u32) {
    let longest = BACK_OFF * 2u32.saturating_pow(tries - 1);
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

/// The numbers that a request is looking at: nobody else picks them until it ends.
struct Claim<'a> {
    ports: &'a Ports,
    keys: Vec<PortKey>,
}

impl Claim<'_> {
    fn keep_what_is_in_use(&mut self, claimed: &mut HashSet<PortKey>, wanted: &[Wanted]) {
        let in_use = |key: &PortKey| {
            let mut probes = wanted.iter().filter(|wanted| wanted.host == key.host).flat_map(|wanted| &wanted.probes);
            probes.any(|probe| probe.port == key.port)
        };
        self.keys.retain(|key| in_use(key) || !claimed.remove(key));
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claimed = self.ports.claimed();
        self.keys.iter().for_each(|key| _ = claimed.remove(key));
    }
}

#[cfg(unix)]
fn nodename() -> Option<HostName> {
    HostName::try_new(rustix::system::uname().nodename().to_str().ok()?).ok()
}

#[cfg(not(unix))]
fn nodename() -> Option<HostName> {
    None
}
