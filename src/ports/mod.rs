//! Ports: numbers are picked, looked at, and only then asked for.
//!
//! A request picks a number that the current version has free, claims it among the requests that are under way, binds
//! it to see whether something outside the registry uses it, and sends what it found along with the command. The
//! writer judges by its own state; what it refuses because somebody was quicker is tried again with another number.

mod claim;
mod counts;
#[cfg(target_os = "linux")]
pub mod portserver;
mod probe;
#[cfg(target_os = "linux")]
pub mod process;

pub use counts::Counts;

use crate::model::{
    Actor, Band, HostName, LeaseId, PortKey, PortProtocol, RequesterId, Time, Transport, Transports, Ttl,
};
use crate::registry::command::{Allocate, Command, Found, Owner, Probe, Rebind, Request, Wanted};
use crate::registry::decide::Answer;
use crate::registry::decide::port::{admit, held, owned};
use crate::registry::engine::{self, Clock, Handle, Outcome};
use crate::registry::pool::{self, Because, Pool, Rules, Search};
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use crate::registry::view::Views;
use claim::{Claim, Claims, Picking};
use counts::Counters;
use probe::Prober;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How often a request tries: each time with other numbers.
const TRIES_MAX: u32 = 8;
/// The longest wait before the second try; it doubles with each.
const BACK_OFF: Duration = Duration::from_millis(2);
/// How many ports one request may ask for.
pub const ALLOCATED_AT_ONCE_MAX: usize = 100;

/// The way to port leases.
pub struct Ports {
    handle: Handle,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    rules: Arc<Rules>,
    prober: Prober,
    /// This machine's own name, which names the registry's host whatever leases call it.
    nodename: Option<HostName>,
    claims: Claims,
    counters: Counters,
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

/// Why ports were not leased.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry refused, or could not.
    #[error(transparent)]
    Registry(#[from] engine::Error),
    /// This machine could not tell whether a number is free. Trying again may help.
    #[error("the system could not look at a port number")]
    Blind(#[source] std::io::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Registry(refusal.into())
    }
}

/// A number for what stands at this place in the list of what is wanted.
type Pick = (usize, Picked);

/// What picking a number came to.
enum Picked {
    Number(u16),
    /// All that are left were found in use.
    NothingLeft,
    /// All that are left are claimed by requests under way, which may yet let them go; what to answer if not.
    Claimed(Refusal),
}

impl Ports {
    /// Leases by these rules.
    pub fn new(handle: Handle, views: Arc<Views>, clock: Arc<dyn Clock>, mut rules: Rules) -> Self {
        let nodename = nodename();
        let own = rules.host.clone();
        for (host, _) in rules.bands.iter_mut().chain(&mut rules.reserved) {
            *host = host.take().map(|host| canonical(&own, nodename.as_ref(), host));
        }
        Ports {
            handle,
            views,
            clock,
            rules: Arc::new(rules),
            prober: Prober::new(),
            nodename,
            claims: Claims::default(),
            counters: Counters::default(),
        }
    }

    /// What the configuration says.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The host that is meant: the registry's own where none is named, or where it is named by another of its names.
    pub fn host(&self, named: Option<HostName>) -> HostName {
        match named {
            Some(host) => canonical(&self.rules.host, self.nodename.as_ref(), host),
            None => self.rules.host.clone(),
        }
    }

    /// A wish for one TCP port on the registry's own host; everything else is for the caller to add.
    pub fn wanted(&self, requester: RequesterId, principal: &str) -> Wanted {
        let requested_at = self.clock.now();
        Wanted {
            id: LeaseId(engine::fresh_id(requested_at)),
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
            requested_at,
            probes: Vec::new(),
        }
    }

    /// Leases all that is wanted, or nothing; in a row, where `contiguous`.
    pub async fn allocate(&self, asking: Asking, wanted: Vec<Wanted>, contiguous: bool) -> Result<Outcome, Error> {
        let pick = |state: &State, now: Time, wanted: &[Wanted], picking: &mut Picking<'_>| {
            let new = self.not_held(state, wanted)?;
            match contiguous && wanted.len() > 1 {
                true if new.len() == wanted.len() => self.pick_run(state, now, wanted, picking),
                true if new.is_empty() && in_a_row(state, wanted)? => Ok(Vec::new()),
                true => Err(Refusal::HeldApart),
                false => new.into_iter().map(|at| Ok((at, self.pick_one(state, now, &wanted[at], picking)?))).collect(),
            }
        };
        let command = |wanted: &[Wanted]| {
            let rules = self.rules.clone();
            Command::Allocate(Box::new(Allocate { wanted: wanted.to_vec(), contiguous, rules }))
        };
        self.lease(asking, wanted, pick, command).await
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
        let wanted = Wanted {
            program: terms.program.clone(),
            protocol: terms.protocol,
            transports: terms.transports,
            host: terms.host.clone(),
            topics: terms.topics.clone(),
            purpose: terms.purpose.clone(),
            ttl: before.ttl,
            key: terms.key.clone(),
            // Who insisted on the one number cannot have meant the one that does not work.
            range: terms.range.filter(|range| range.size() > 1),
            preferred,
            ..self.wanted(terms.requester, &terms.principal)
        };
        let pick = |state: &State, now: Time, wanted: &[Wanted], picking: &mut Picking<'_>| {
            let wanted = wanted.iter().enumerate();
            wanted.map(|(at, wanted)| Ok((at, self.pick_one(state, now, wanted, picking)?))).collect()
        };
        let command = |wanted: &[Wanted]| {
            let rules = self.rules.clone();
            // One goes in, and so one comes here.
            let wanted = wanted[0].clone();
            Command::Rebind(Box::new(Rebind { lease, owner: owner.clone(), reason: reason.clone(), wanted, rules }))
        };
        let outcome = self.lease(asking, vec![wanted], pick, command).await?;
        let only = Band::try_new(terms.port, terms.port).ok();
        self.counters.count(&self.rules, &terms.host, terms.transports, only, |counts| counts.conflicts += 1);
        Ok(outcome)
    }

    /// A lease's lifetime starts anew.
    pub async fn renew(
        &self,
        asking: Asking,
        lease: LeaseId,
        owner: Owner,
        ttl: Option<Ttl>,
    ) -> Result<Outcome, Error> {
        Ok(self.submit(&asking, Command::Renew { lease, owner, ttl }).await?)
    }

    /// Gives a lease back.
    pub async fn release(&self, asking: Asking, lease: LeaseId, owner: Owner) -> Result<Outcome, Error> {
        Ok(self.submit(&asking, Command::Release { lease, owner }).await?)
    }

    /// Every pool of a version, with what has become of requests since the registry started.
    pub fn pools(&self, state: &State) -> Vec<(Pool, Counts)> {
        // A version from the past is as full as it then was.
        let now = if state.sequence == self.views.current().sequence { self.clock.now() } else { state.time };
        self.counters.beside(pool::pools(state, &self.rules, now))
    }

    async fn submit(&self, asking: &Asking, command: Command) -> Result<Outcome, engine::Error> {
        let Asking { actor, correlation_id } = asking.clone();
        self.handle.submit(Request { command, actor, correlation_id }).await
    }

    /// Picks numbers, looks at them and asks for them, until they are leased or there is no use in trying.
    async fn lease(
        &self,
        asking: Asking,
        mut wanted: Vec<Wanted>,
        pick: impl Fn(&State, Time, &[Wanted], &mut Picking<'_>) -> Result<Vec<Pick>, Refusal>,
        command: impl Fn(&[Wanted]) -> Command,
    ) -> Result<Outcome, Error> {
        let mut claim = self.claims.begin();
        let mut tries = 1;
        let result = loop {
            match self.look(&mut claim, &mut wanted, &pick) {
                Err(error) => break Err(error),
                Ok(Looked::SomeInUse | Looked::Claimed(_)) if tries < TRIES_MAX => {}
                Ok(Looked::Claimed(refusal)) => break Err(refusal.into()),
                Ok(_) => match self.submit(&asking, command(&wanted)).await {
                    Err(engine::Error::Refused(Refusal::PortUnavailable { .. })) if tries < TRIES_MAX => {}
                    Ok(Outcome { answer: Answer::NotLeased(refusal), .. }) => break Err(refusal.into()),
                    result => break result.map_err(Error::from),
                },
            }
            back_off(tries).await;
            tries += 1;
        };
        self.count_outcome(&wanted, &result);
        result
    }

    /// Picks a number for everything that is wanted and looks at each.
    fn look(
        &self,
        claim: &mut Claim<'_>,
        wanted: &mut [Wanted],
        pick: impl Fn(&State, Time, &[Wanted], &mut Picking<'_>) -> Result<Vec<Pick>, Refusal>,
    ) -> Result<Looked, Error> {
        let mut picking = claim.picking(wanted);
        // Taken while nobody else picks: what others have got since they let go of their claims is in it.
        let picks = pick(&self.views.current(), self.clock.now(), wanted, &mut picking)?;
        drop(picking);
        let mut looked = Looked::AllFree;
        for (at, picked) in picks {
            let port = match picked {
                Picked::Number(port) => port,
                Picked::NothingLeft => return Ok(Looked::NothingLeft),
                Picked::Claimed(refusal) => return Ok(Looked::Claimed(refusal)),
            };
            let wanted = &mut wanted[at];
            let here = wanted.host == self.rules.host;
            let found = if here { self.prober.look(port, wanted.transports) } else { Ok(Found::Unprobed) };
            let found = found.map_err(Error::Blind)?;
            if let Found::InUse(reason) = &found {
                looked = Looked::SomeInUse;
                tracing::debug!(port, host = %wanted.host, %reason, "a free number is in use");
            }
            wanted.probes.push(Probe { port, found });
        }
        Ok(looked)
    }

    /// Where in the list stands what the requester does not hold already. Judged again by the writer; known here, it
    /// saves picking.
    fn not_held(&self, state: &State, wanted: &[Wanted]) -> Result<Vec<usize>, Refusal> {
        let mut granted: HashMap<RequesterId, usize> = HashMap::new();
        let mut new = Vec::new();
        for (at, wanted) in wanted.iter().enumerate() {
            if held(state, wanted)?.is_none() {
                let count = granted.entry(wanted.requester).or_default();
                admit(state, &self.rules, wanted, *count)?;
                *count += 1;
                new.push(at);
            }
        }
        Ok(new)
    }

    fn pick_one(
        &self,
        state: &State,
        now: Time,
        wanted: &Wanted,
        picking: &mut Picking<'_>,
    ) -> Result<Picked, Refusal> {
        let random = &mut |below| fastrand::u32(..below);
        let search = search(state, wanted, picking.claimed());
        if let Some(port) = search.one(state, &self.rules, now, random) {
            picking.claim(wanted, port);
            return Ok(Picked::Number(port));
        }
        if !wanted.probes.is_empty() {
            // What was found in use is worth telling the writer.
            return Ok(Picked::NothingLeft);
        }
        let refusal = self.shortage(&search, state, now, wanted);
        let unclaimed = Search { avoid: &HashSet::new(), ..search };
        match unclaimed.one(state, &self.rules, now, random) {
            Some(_) => Ok(Picked::Claimed(refusal)),
            None => Err(refusal),
        }
    }

    fn pick_run(
        &self,
        state: &State,
        now: Time,
        wanted: &[Wanted],
        picking: &mut Picking<'_>,
    ) -> Result<Vec<Pick>, Refusal> {
        let Some(first) = wanted.first() else { return Ok(Vec::new()) };
        let transports: Vec<Transports> = wanted.iter().map(|wanted| wanted.transports).collect();
        let random = &mut |below| fastrand::u32(..below);
        let search = search(state, first, picking.claimed());
        if let Some(port) = search.run(&transports, state, &self.rules, now, random) {
            let picks: Vec<(usize, u16)> = (0..wanted.len()).zip(port..=u16::MAX).collect();
            picks.iter().for_each(|(at, port)| picking.claim(&wanted[*at], *port));
            return Ok(picks.into_iter().map(|(at, port)| (at, Picked::Number(port))).collect());
        }
        if wanted.iter().any(|wanted| !wanted.probes.is_empty()) {
            return Ok(vec![(0, Picked::NothingLeft)]);
        }
        let shortage = Box::new(search.shortage(state, &self.rules, now));
        let refusal = Refusal::NoConsecutivePorts { count: wanted.len(), host: first.host.clone(), shortage };
        let unclaimed = Search { avoid: &HashSet::new(), ..search };
        match unclaimed.run(&transports, state, &self.rules, now, random) {
            Some(_) => Ok(vec![(0, Picked::Claimed(refusal))]),
            None => Err(refusal),
        }
    }

    fn shortage(&self, search: &Search<'_>, state: &State, now: Time, wanted: &Wanted) -> Refusal {
        let (host, transports) = (wanted.host.clone(), wanted.transports);
        if let Some(only) = wanted.range.filter(|range| range.size() == 1) {
            let mut keys = wanted.keys(only.from());
            let because = keys.find_map(|key| pool::why_not(state, &self.rules, now, &key, wanted.requester));
            let because = because.unwrap_or(Because::Claimed);
            return Refusal::PortUnavailable { host, port: only.from(), transports, because: Box::new(because) };
        }
        Refusal::PortExhausted { host, transports, shortage: Box::new(search.shortage(state, &self.rules, now)) }
    }

    /// Counts what was found in use on the way, and what was granted or refused in the end.
    fn count_outcome(&self, wanted: &[Wanted], result: &Result<Outcome, Error>) {
        for wanted in wanted {
            let count = |range, add: fn(&mut Counts)| {
                self.counters.count(&self.rules, &wanted.host, wanted.transports, range, add);
            };
            let only = |probe: &Probe| Band::try_new(probe.port, probe.port).ok();
            for probe in wanted.probes.iter().filter(|probe| matches!(probe.found, Found::InUse(_))) {
                count(only(probe), |counts| counts.conflicts += 1);
            }
            match result {
                Ok(Outcome { answer: Answer::Leased(leases), .. }) if leases.contains(&wanted.id) => {
                    count(wanted.probes.last().and_then(only), |counts| counts.granted += 1);
                }
                Err(Error::Registry(engine::Error::Refused(_))) => count(wanted.range, |counts| counts.refused += 1),
                _ => {}
            }
        }
    }
}

/// What looking for numbers came to.
enum Looked {
    /// Each can be asked for.
    AllFree,
    /// Another try may find others.
    SomeInUse,
    /// There is no other to try.
    NothingLeft,
    /// Others are looking at all that are left; what to answer if they keep them.
    Claimed(Refusal),
}

/// The host that a name means: the registry's own, where it is one of its names.
fn canonical(own: &HostName, nodename: Option<&HostName>, named: HostName) -> HostName {
    if named.is_loopback() || Some(&named) == nodename { own.clone() } else { named }
}

fn search<'a>(state: &State, wanted: &'a Wanted, avoid: &'a HashSet<PortKey>) -> Search<'a> {
    let named = wanted.key.as_deref().and_then(|key| state.leases.named(wanted.requester, &wanted.host, key));
    let named = named.map(|lease| lease.terms.port);
    let named = named.filter(|port| wanted.range.is_none_or(|range| range.contains(*port)));
    let only = wanted.range.filter(|range| range.size() == 1).map(Band::from);
    Search {
        host: &wanted.host,
        transports: wanted.transports,
        requester: wanted.requester,
        // Said now comes before remembered. A number that is insisted on is looked at by itself: it may be kept back
        // from all others.
        first: wanted.preferred.into_iter().chain(only).chain(named).collect(),
        range: wanted.range,
        avoid,
    }
}

/// Whether what is held already has consecutive numbers.
fn in_a_row(state: &State, wanted: &[Wanted]) -> Result<bool, Refusal> {
    let mut ports = Vec::new();
    for wanted in wanted {
        ports.extend(held(state, wanted)?.map(|held| held.lease().terms.port));
    }
    Ok(ports.windows(2).all(|pair| Some(pair[1]) == pair[0].checked_add(1)))
}

/// Waits up to twice as long with each try, so that two who met do not meet again.
async fn back_off(tries: u32) {
    let longest = BACK_OFF * 2u32.saturating_pow(tries - 1);
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

/// A new lease's id: a version 7 UUID, which begins with the time, so that what is written together lies together in the
/// log's index of leases.
#[cfg(unix)]
fn nodename() -> Option<HostName> {
    HostName::try_new(rustix::system::uname().nodename().to_str().ok()?).ok()
}

#[cfg(not(unix))]
fn nodename() -> Option<HostName> {
    None
}
