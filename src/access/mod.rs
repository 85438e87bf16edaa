//! Who asks, what it may do and see, how often, and what is kept of it where it may not.
//!
//! `identity`: from what a request shows to a principal. `policy`: what principals may do. `resource`: what there is to be
//! done, and with what. `sight`: what somebody may know of. `quota`: how often. `audit`: refused attempts on their way to
//! the log. Tokens themselves are the registry's: they are in its log and state like everything else.
//!
//! Without access control everything is allowed to everybody, and none of this is asked.

mod audit;
pub mod certificate;
mod identity;
mod jwt;
pub mod policy;
pub mod principal;
mod quota;
pub mod resource;
pub mod secret;
mod sight;

pub use identity::Unknown;
pub use jwt::{Keys, Options as JwtOptions};
pub use policy::{Circumstances, Policy, Verdict};
pub use principal::{Known, Principal, Proof};
pub use resource::{Action, Kind, Resource};

use crate::model::{Actor, NodeId, Time};
use crate::registry::engine::{Clock, Handle};
use crate::registry::state::State;
use crate::registry::view::Views;
use arc_swap::ArcSwap;
use audit::Refusals;
use quick_cache::sync::Cache;
use quota::{Asker, Rates};
use sight::SeenKey;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many principals are remembered, so that not each of their requests makes them anew.
const KNOWN_MAX: usize = 4_096;
/// How many answers of policies are remembered.
const VERDICTS_MAX: usize = 16_384;
/// How many states that were made for somebody are remembered.
const SEEN_MAX: usize = 64;

/// What somebody may see and do, for comparing: those of equal rights get equal answers to equal questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rights(pub u64);

/// What access control needs to know.
#[derive(Debug)]
pub struct Options {
    /// What principals may do.
    pub policy: Policy,
    /// The keys of tokens that others sign.
    pub keys: Option<Keys>,
}

/// Who may do what.
pub struct Access {
    gate: Option<Gate>,
    rates: Option<Rates>,
    nobody: Known,
}

/// Access control where there is some.
struct Gate {
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    policy: ArcSwap<Policy>,
    keys: ArcSwap<Option<Keys>>,
    refusals: Refusals,
    known: Cache<crate::model::TokenHash, Known>,
    verdicts: Cache<(Rights, Action, Resource), bool>,
    seen: Cache<SeenKey, Arc<State>>,
    /// Turns whenever somebody may have lost its rights.
    turned: watch::Sender<u64>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("on", &self.is_on()).finish_non_exhaustive()
    }
}

/// Why something is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Who asked.
    pub principal: Known,
    /// What was to be done.
    pub action: Action,
    /// With what, as policies name it.
    pub resource: String,
    /// In words.
    pub message: String,
    /// The policies that forbid it; none where none permits it.
    pub policies: Vec<String>,
    /// The policies that would permit it, and to whom.
    pub needed: Vec<String>,
    /// Whether the caller may know that the thing is there.
    pub may_know: bool,
}

impl Access {
    /// Everything is allowed to everybody; each address may ask so many times a second, as often as it likes for 0.
    pub fn open(requests_per_second: u32, burst: u32) -> Self {
        let rates = Rates::try_new(requests_per_second, burst);
        Access { gate: None, rates, nobody: Arc::new(Principal::anonymous()) }
    }

    /// What a policy says is allowed, to those who show who they are.
    pub fn controlled(
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        options: Options,
        requests_per_second: u32,
        burst: u32,
    ) -> Self {
        let gate = Gate {
            refusals: Refusals::new(clock.clone()),
            views,
            clock,
            policy: ArcSwap::from_pointee(options.policy),
            keys: ArcSwap::from_pointee(options.keys),
            known: Cache::new(KNOWN_MAX),
            verdicts: Cache::new(VERDICTS_MAX),
            seen: Cache::new(SEEN_MAX),
            turned: watch::Sender::new(0),
        };
        Access { gate: Some(gate), ..Access::open(requests_per_second, burst) }
    }

    /// Whether anything is asked of anybody.
    pub fn is_on(&self) -> bool {
        self.gate.is_some()
    }

    /// Another policy is in force from now on.
    pub fn set_policy(&self, policy: Policy) {
        if let Some(gate) = &self.gate {
            gate.policy.store(Arc::new(policy));
            gate.turned.send_modify(|turn| *turn += 1);
        }
    }

    /// Other keys count from now on, and those who were known by the earlier ones show themselves anew.
    pub fn set_keys(&self, keys: Keys) {
        if let Some(gate) = &self.gate {
            gate.keys.store(Arc::new(Some(keys)));
            gate.known.clear();
            gate.turned.send_modify(|turn| *turn += 1);
        }
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        Some(self.gate.as_ref()?.policy.load_full())
    }

    /// Takes one request of somebody; else how long to wait.
    pub fn take(&self, visitor: &Visitor) -> Result<(), Duration> {
        let Some(rates) = &self.rates else { return Ok(()) };
        match visitor.principal.is_known() {
            true => rates.take(Asker::Principal(visitor.principal.name.clone())),
            false => rates.take(Asker::Address(visitor.address)),
        }
    }

    /// Brings refused attempts to the log, and notices when tokens change, for as long as the registry runs.
    pub async fn keep(&self, handle: Handle) {
        let Some(gate) = &self.gate else { return };
        let watching = async {
            let mut changes = gate.views.changes();
            let mut tokens = gate.views.current().tokens.clone();
            while changes.changed().await.is_ok() {
                let current = gate.views.current();
                if !tokens.ptr_eq(&current.tokens) {
                    tokens = current.tokens.clone();
                    gate.turned.send_modify(|turn| *turn += 1);
                }
            }
        };
        tokio::join!(watching, gate.refusals.keep(handle));
    }

    /// Brings what was refused of late to the log: before the registry stops.
    pub async fn flush(&self, handle: &Handle) {
        if let Some(gate) = &self.gate {
            gate.refusals.flush(handle).await;
        }
    }

    /// Keeps a refused attempt.
    pub fn refused(&self, actor: &Actor, correlation_id: Option<&str>, denied: &Denied, resource: &Resource) {
        if let Some(gate) = &self.gate {
            gate.refusals.add(actor, correlation_id, Some(denied.action), resource, &denied.message);
        }
    }

    /// Keeps an attempt of somebody whom nobody knows.
    pub fn refused_unknown(&self, actor: &Actor, correlation_id: Option<&str>, unknown: &Unknown) {
        if let Some(gate) = &self.gate {
            gate.refusals.add(actor, correlation_id, None, &Resource::Registry, &unknown.to_string());
        }
    }
}

/// Whoever asks, where it asks from, and who judges that. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Visitor {
    access: Arc<Access>,
    principal: Known,
    address: IpAddr,
}

impl Visitor {
    /// Somebody who is known to be that.
    pub fn new(access: Arc<Access>, principal: Known, address: IpAddr) -> Self {
        Visitor { access, principal, address }
    }

    /// Anybody, where everything is allowed.
    pub fn anybody() -> Self {
        let access = Arc::new(Access::open(0, 0));
        let principal = access.nobody.clone();
        Visitor { access, principal, address: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Who it is, shared.
    pub fn known(&self) -> Known {
        self.principal.clone()
    }

    /// Where it asks from.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Who judges.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The same for those who see the same. Whoever may read every call of a tool sees what all such do; to others calls
    /// are shown by who they are.
    pub fn rights(&self) -> Rights {
        let Some(policy) = self.access.policy() else { return Rights(0) };
        let mut hasher = DefaultHasher::new();
        policy.version().hash(&mut hasher);
        if !self.sees_all_changes() {
            (&self.principal.name, &self.principal.roles, self.principal.node).hash(&mut hasher);
            self.principal.proof.as_str().hash(&mut hasher);
            policy.asks_circumstances().then_some(self.address).hash(&mut hasher);
        }
        // Nobody's are those of a registry without access control.
        Rights(hasher.finish().max(1))
    }

    /// The only node that it may act for, where it is bound to one.
    pub fn bound_to(&self) -> Option<NodeId> {
        self.principal.node
    }

    /// Whether it may do something with everything of a kind.
    pub fn may_all(&self, action: Action, kind: Kind) -> bool {
        self.access.policy().is_none_or(|policy| policy.generally(&self.principal, action, kind) == Some(true))
    }

    /// Whether something is allowed; why is not asked.
    pub fn may(&self, action: Action, resource: &Resource) -> bool {
        let Some(gate) = &self.access.gate else { return true };
        let policy = gate.policy.load_full();
        if let Some(generally) = policy.generally(&self.principal, action, resource.kind()) {
            return generally;
        }
        let ask = || policy.ask(&self.principal, action, resource, self.circumstances(gate.clock.now())).allowed;
        if policy.asks_circumstances() {
            return ask();
        }
        let key = (self.rights(), action, resource.clone());
        if let Some(known) = gate.verdicts.get(&key) {
            return known;
        }
        let allowed = ask();
        gate.verdicts.insert(key, allowed);
        allowed
    }

    /// Whether something is allowed; else why not. The attempt is not kept by this.
    pub fn check(&self, action: Action, resource: &Resource) -> Result<(), Box<Denied>> {
        if self.may(action, resource) {
            return Ok(());
        }
        let Some(gate) = &self.access.gate else { return Ok(()) };
        let Verdict { policies, needed, .. } =
            gate.policy.load_full().ask(&self.principal, action, resource, self.circumstances(gate.clock.now()));
        let mut message = format!("{} may not {} {}", self.principal.name, action.as_str(), resource.words());
        match &policies[..] {
            [] => message.push_str(": no policy permits it"),
            policies => message.push_str(&format!(": forbidden by {}", policies.join(", "))),
        }
        if !needed.is_empty() && policies.is_empty() {
            message.push_str(&format!("; it would take {}", needed.join(" or ")));
        }
        let may_know = action == Action::Read || self.reads(resource);
        let (principal, resource) = (self.principal.clone(), resource.to_string());
        Err(Box::new(Denied { principal, action, resource, message, policies, needed, may_know }))
    }

    fn circumstances(&self, now: Time) -> Circumstances {
        Circumstances { address: self.address, now }
    }
}
