//! What all calls share: who is there, what is under way, and where things are looked up.

use super::call::{Answer, Call};
use super::choose::{Candidate, Wants, judge};
use super::deadlines::Deadlines;
use super::outbound::{Failure, Outbound, Sending};
use super::providers::Providers;
use super::record::Recorder;
use super::route::Event;
use super::schemas::Schemas;
use super::seen::Seen;
use crate::model::{
    CallError, CallErrorCode, DefinitionHash, InvocationId, NodeId, NodeStatus, Offer, Time, Tool, ToolKey,
    ToolTransport, TrustState,
};
use crate::registry::engine::Clock;
use crate::registry::state::State;
use crate::registry::view::Views;
use crate::telemetry;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How many bytes of payloads that the log has only in part are kept in memory, about.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many calls are expected among them, for the size of the table alone.
const KEPT_CALLS: usize = 1_000;
/// For how many tools it is known whose turn it is.
const TURNS_MAX: usize = 10_000;
/// How many steps a reader of all calls may be behind before it has to look for itself.
const STEPS_MAX: usize = 4_096;

/// How calls are made.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long a call may take where nobody says, in milliseconds.
    pub timeout_ms: u32,
    /// The longest that a call may take, in milliseconds.
    pub timeout_ms_max: u32,
    /// How many calls a provider takes at once that does not say.
    pub in_flight_max: u32,
    /// The most bytes of a payload that go into the log.
    pub record_bytes_max: usize,
    /// The least trust of a provider.
    pub least_trust: TrustState,
}

#[derive(Clone)]
struct Weight;

impl Weighter<InvocationId, Arc<Seen>> for Weight {
    fn weight(&self, _: &InvocationId, call: &Arc<Seen>) -> u64 {
        let whole = call.whole.iter().flat_map(|whole| whole.result.iter().chain([&whole.arguments]));
        let bytes = whole.chain(call.chunks.iter()).map(|value| value.to_string().len() as u64);
        bytes.sum::<u64>() + 1_000
    }
}

/// Calls by the id that a provider, or their caller, knows.
type Live = HashMap<InvocationId, Arc<Call>>;
/// Calls by their caller's principal and name for them.
type Named = HashMap<(String, String), Arc<Call>>;

/// What all calls share.
pub struct Core {
    pub(super) rules: Rules,
    pub(super) views: Arc<Views>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) providers: Arc<Providers>,
    pub(super) recorder: Recorder,
    pub(super) deadlines: Deadlines,
    pub(super) schemas: Schemas,
    pub(super) metrics: telemetry::Calls,
    outbound: Outbound,
    // Both held for a look-up, an insertion or a removal; nothing waits under them.
    live: Mutex<Live>,
    pub(super) named: Mutex<Named>,
    kept: Cache<InvocationId, Arc<Seen>, Weight>,
    /// Whose turn it is, of a tool's providers, where each has its turn. Held for a look-up.
    turns: Mutex<HashMap<ToolKey, usize>>,
    told: broadcast::Sender<Arc<Call>>,
}

impl Core {
    pub(super) fn new(
        rules: Rules,
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        outbound: Outbound,
        metrics: telemetry::Calls,
    ) -> Arc<Self> {
        let (told, _) = broadcast::channel(STEPS_MAX);
        Arc::new(Core {
            rules,
            views,
            clock,
            providers: Arc::default(),
            recorder: Recorder::default(),
            deadlines: Deadlines::default(),
            schemas: Schemas::default(),
            metrics,
            outbound,
            live: Mutex::default(),
            named: Mutex::default(),
            kept: Cache::with_weighter(KEPT_CALLS, KEPT_BYTES_MAX, Weight),
            turns: Mutex::default(),
            told,
        })
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is among a tool's providers; where somebody takes it, the next one's is next.
    pub(super) fn turn(&self, tool: &ToolKey, is_taken: bool) -> usize {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= TURNS_MAX && !turns.contains_key(tool) {
            // Tools come and go; beginning anew costs nobody more than a turn.
            turns.clear();
        }
        let next = turns.entry(tool.clone()).or_default();
        let turn = *next;
        *next = turn.wrapping_add(usize::from(is_taken));
        turn
    }

    /// The call that is in memory under this id, which may be that of one of its attempts.
    pub(super) fn find(&self, id: InvocationId) -> Option<Arc<Call>> {
        self.live().get(&id).cloned()
    }

    /// What memory has of a call whose end is in the log.
    pub(super) fn kept(&self, id: InvocationId) -> Option<Arc<Seen>> {
        self.kept.get(&id)
    }

    /// Every call that memory has, and a version that has all others. In this order: a call leaves memory when the
    /// current version has all of it, and in an earlier one it is as it was, or not at all.
    pub(super) fn known(&self) -> (Vec<Arc<Call>>, Arc<State>) {
        let live = self.all();
        (live, self.views.current())
    }

    /// Every call in memory, each once.
    pub(super) fn all(&self) -> Vec<Arc<Call>> {
        self.live().iter().filter(|(id, call)| **id == call.id).map(|(_, call)| call.clone()).collect()
    }

    /// How many calls have not ended, as far as memory knows.
    pub(super) fn open(&self) -> usize {
        self.all().iter().filter(|call| !call.has_ended()).count()
    }

    pub(super) fn add(&self, call: &Arc<Call>) {
        self.live().insert(call.id, call.clone());
        self.deadlines.add(call);
    }

    /// The provider of a later attempt knows the call by another id.
    pub(super) fn know_attempt(&self, call: &Arc<Call>, attempt: u32) {
        if attempt > 1 {
            self.live().insert(call.id.of_attempt(attempt), call.clone());
        }
    }

    /// All that there is to say of a call is in the log: memory need not have it.
    pub(super) fn forget(&self, call: &Arc<Call>) {
        if !call.is_recorded() {
            return;
        }
        if let Some(more) = call.more_than_recorded() {
            self.kept.insert(call.id, Arc::new(more));
        }
        let attempts = call.attempts();
        let mut live = self.live();
        (1..=attempts.max(1)).for_each(|attempt| _ = live.remove(&call.id.of_attempt(attempt)));
        drop(live);
        if let Some(request) = &call.asked.request {
            let name = (call.asked.caller.clone(), request.key.clone());
            let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            if named.get(&name).is_some_and(|known| known.id == call.id) {
                named.remove(&name);
            }
        }
    }

    /// Tells whoever follows all calls.
    pub(super) fn tell(&self, call: &Arc<Call>) {
        if self.told.receiver_count() > 0 {
            // Refused only where the last of them left just now.
            let _ = self.told.send(call.clone());
        }
    }

    pub(super) fn steps(&self) -> broadcast::Receiver<Arc<Call>> {
        self.told.subscribe()
    }

    /// What is known of every call of an undertaking, in the order in which they were asked for.
    pub(super) fn of_undertaking(&self, correlation_id: &str) -> Vec<Seen> {
        let (live, state) = self.known();
        let live = live.into_iter().filter(|call| *call.correlation_id == *correlation_id);
        let live = live.map(|call| call.seen().for_others());
        let mut all: BTreeMap<_, Seen> = BTreeMap::new();
        let stored = state.calls.all().filter(|call| *call.correlation_id == *correlation_id);
        let stored = stored.map(|call| Seen::stored(call.clone()));
        for seen in stored.chain(live) {
            all.insert((seen.invocation.asked.requested_at, seen.invocation.id), seen);
        }
        all.into_values().collect()
    }

    /// Judges everybody who offers a tool.
    pub(super) fn candidates(&self, state: &State, tool: &Tool, wants: &Wants, now: Time) -> Vec<Candidate> {
        let judged = tool.offers.iter().filter_map(|offer| {
            let node = state.node(offer.node)?;
            let known = self.providers.look(offer.node, &tool.key);
            Some(judge(wants, node, offer, &known, self.unreachable(offer), now))
        });
        judged.collect()
    }

    /// A node's offer of a tool, where calls may still be sent to it that were checked against this definition.
    pub(super) fn offer_now(&self, node: NodeId, tool: &ToolKey, hash: DefinitionHash, now: Time) -> Option<Offer> {
        let state = self.views.current();
        state.node(node).filter(|node| node.status == NodeStatus::Online)?;
        let mut offers = state.tools.get(tool)?.offers.iter();
        let offer = offers.find(|offer| offer.node == node && offer.definition.hash == hash)?;
        offer.expires_at.is_none_or(|at| at > now).then(|| offer.clone())
    }

    /// Why the registry cannot call this provider, as far as its registration tells.
    fn unreachable(&self, offer: &Offer) -> Option<String> {
        match (offer.transport, &offer.endpoint) {
            (ToolTransport::GraphQl, _) => None,
            (_, None) => Some("it names no endpoint".to_owned()),
            (transport, Some(endpoint)) => self.outbound.check(transport, endpoint).err(),
        }
    }

    /// Calls a provider that does not listen; the task ends with the call.
    pub(super) fn call_out(self: &Arc<Self>, call: &Arc<Call>, attempt: u32, offer: &Offer) -> AbortHandle {
        let sending = Sending {
            endpoint: offer.endpoint.clone().unwrap_or_default(),
            transport: offer.transport,
            tool: offer.definition.key.clone(),
            arguments: call.arguments.clone(),
            invocation: call.id.0,
            attempt,
            caller: call.asked.caller.clone(),
            correlation_id: call.correlation_id.to_string(),
            trace: call.trace,
            deadline: call.asked.deadline(),
            timeout: call.deadline.saturating_duration_since(Instant::now()),
        };
        let (core, call) = (self.clone(), call.clone());
        let calling = async move {
            let progress = |chunk| _ = call.progress(attempt, chunk);
            let answered = core.outbound.call(sending, progress).await;
            settle(&call, attempt, answered);
        };
        tokio::spawn(calling).abort_handle()
    }
}

/// What came of a call that the registry made itself.
fn settle(call: &Arc<Call>, attempt: u32, answered: Result<serde_json::Value, Failure>) {
    let failed =
        |code, kind: String, message, details, retryable| CallError { code, kind, message, details, retryable };
    let outcome = match answered {
        Ok(result) => Ok(Arc::new(result)),
        Err(Failure::Tool { code, message, details, retryable }) => {
            Err(failed(CallErrorCode::ToolFailed, code, message, details, retryable))
        }
        // Its clock and the call's own end at the same instant.
        Err(Failure::NotStarted { kind: "Timeout", .. } | Failure::Unknown { kind: "Timeout", .. }) => {
            return call.time_is_up();
        }
        Err(Failure::NotStarted { kind, message }) => {
            let code = match kind {
                "ProviderOverloaded" => CallErrorCode::ToolOverloaded,
                _ => CallErrorCode::ToolNoProvider,
            };
            let error = failed(code, kind.to_owned(), message, None, true);
            return call.on(Event::Refused(attempt, error));
        }
        Err(Failure::Unknown { kind, message }) => {
            let retryable = call.asked.idempotent;
            let error = failed(CallErrorCode::ToolFailed, kind.to_owned(), message, None, retryable);
            return call.on(Event::Lost(attempt, error));
        }
    };
    call.answer(attempt, Answer { outcome, trace_log_id: None, execution_log_url: None });
}
