//! Who listens for calls, how many each has, and how well each has done.

use super::call::Call;
use super::circuit::Circuit;
use crate::model::{InvocationId, NodeId, Time, ToolKey};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A call on its way to a provider that listens.
#[derive(Debug)]
pub struct Delivery {
    /// The call.
    pub call: Arc<Call>,
    /// The number of the attempt.
    pub attempt: u32,
}

/// How many calls wait for a listener that does not read, those among them that nobody waits for any more.
const WAITING_MAX: usize = 1_024;

/// Why a call cannot be sent to a provider just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It does not listen any more.
    Gone,
    /// It has as many calls as it takes.
    Full,
    /// It failed too often of late.
    Open,
}

/// A provider need not go on with a call.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The call, as its provider knows it.
    pub call: InvocationId,
    /// Why nobody waits, in words.
    pub reason: String,
}

/// What is known of one node's offer of one tool, beyond what was registered.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Calls under way there.
    pub in_flight: u32,
    /// Whether calls still go there.
    pub circuit: Circuit,
}

/// What is known of one node as a provider.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    /// Whether it listens for calls.
    pub connected: bool,
    /// How many more calls its listeners take; `None` where it does not listen.
    pub room: Option<u32>,
    /// How busy it says it is, from 0 to 1.
    pub load: Option<f64>,
}

#[derive(Default)]
struct Provider {
    listeners: Vec<Listener>,
    /// The listener whose turn it is.
    turn: usize,
    stops: Vec<mpsc::Sender<Stop>>,
    tools: HashMap<ToolKey, Health>,
    load: Option<f64>,
}

struct Listener {
    number: u64,
    calls: mpsc::Sender<Delivery>,
    under_way: HashMap<InvocationId, (Weak<Call>, u32)>,
    room_max: u32,
}

impl Listener {
    fn room(&self) -> u32 {
        self.room_max.saturating_sub(self.under_way.len() as u32)
    }
}

/// Every node that takes, or took, calls.
#[derive(Default)]
pub struct Providers {
    // Held for a few moves of pointers; nothing waits, and no call is locked, under it.
    nodes: Mutex<HashMap<NodeId, Provider>>,
    listeners_ever: std::sync::atomic::AtomicU64,
}

impl Providers {
    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, Provider>> {
        // What a panicking holder left is a count that is off by one at worst.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a node's calls sent to a new listener, so many at once at most.
    pub fn listen(self: &Arc<Self>, node: NodeId, room_max: u32) -> (Listening, mpsc::Receiver<Delivery>) {
        let (calls, waiting) = mpsc::channel(WAITING_MAX);
        let number = self.listeners_ever.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let listener = Listener { number, calls, under_way: HashMap::new(), room_max };
        self.nodes().entry(node).or_default().listeners.push(listener);
        (Listening { providers: self.clone(), node, number }, waiting)
    }

    /// Tells which calls of a node nobody waits for any more, from now on.
    pub fn stops(&self, node: NodeId) -> mpsc::Receiver<Stop> {
        let (told, waiting) = mpsc::channel(WAITING_MAX);
        let mut nodes = self.nodes();
        let provider = nodes.entry(node).or_default();
        provider.stops.retain(|stops| !stops.is_closed());
        provider.stops.push(told);
        waiting
    }

    /// Sends a call to one of the node's listeners, where it has fewer than so many under way.
    pub fn send(
        &self,
        node: NodeId,
        tool: &ToolKey,
        delivery: Delivery,
        in_flight_max: u32,
        now: Time,
    ) -> Result<(), NotSent> {
        let mut nodes = self.nodes();
        let provider = nodes.get_mut(&node).ok_or(NotSent::Gone)?;
        check(provider, tool, in_flight_max, now)?;
        let count = provider.listeners.len();
        let turn = (0..count).map(|step| (provider.turn + step) % count).find(|at| provider.listeners[*at].room() > 0);
        let turn = turn.ok_or(if count == 0 { NotSent::Gone } else { NotSent::Full })?;
        provider.turn = turn + 1;
        let listener = &mut provider.listeners[turn];
        let id = delivery.call.id.of_attempt(delivery.attempt);
        let known = (Arc::downgrade(&delivery.call), delivery.attempt);
        listener.calls.try_send(delivery).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => NotSent::Full,
            mpsc::error::TrySendError::Closed(_) => NotSent::Gone,
        })?;
        listener.under_way.insert(id, known);
        take(provider, tool, now);
        Ok(())
    }

    /// A call that does not go by a listener is sent, where the provider has fewer than so many under way.
    pub fn take(&self, node: NodeId, tool: &ToolKey, in_flight_max: u32, now: Time) -> Result<(), NotSent> {
        let mut nodes = self.nodes();
        let provider = nodes.entry(node).or_default();
        check(provider, tool, in_flight_max, now)?;
        take(provider, tool, now);
        Ok(())
    }

    /// A call is no longer under way: what became of it says how the provider does; `None` where it says nothing.
    pub fn release(&self, node: NodeId, tool: &ToolKey, id: InvocationId, worked: Option<Result<(), &str>>, now: Time) {
        let mut nodes = self.nodes();
        let Some(provider) = nodes.get_mut(&node) else { return };
        for listener in &mut provider.listeners {
            listener.under_way.remove(&id);
        }
        let Some(health) = provider.tools.get_mut(tool) else { return };
        health.in_flight = health.in_flight.saturating_sub(1);
        match worked {
            Some(Ok(())) => health.circuit.worked(),
            Some(Err(cause)) => health.circuit.failed(now, cause),
            None => {}
        }
        // Most have nothing to remember but that all is well.
        if health.in_flight == 0 && health.circuit == Circuit::default() {
            provider.tools.remove(tool);
        }
        if provider.is_idle() {
            nodes.remove(&node);
        }
    }

    /// Tells a node that nobody waits for a call.
    pub fn stop(&self, node: NodeId, stop: &Stop) {
        if let Some(provider) = self.nodes().get_mut(&node) {
            // Where a reader has so many unread, one more is lost: it works on what nobody waits for.
            provider
                .stops
                .retain(|stops| !matches!(stops.try_send(stop.clone()), Err(mpsc::error::TrySendError::Closed(_))));
        }
    }

    /// How many listeners there are.
    pub fn listeners(&self) -> usize {
        self.nodes().values().map(|provider| provider.listeners.len()).sum()
    }

    /// What a node says of how busy it is.
    pub fn report_load(&self, node: NodeId, load: f64) {
        self.nodes().entry(node).or_default().load = Some(load);
    }

    /// What is known of a node, and of its offer of a tool.
    pub fn look(&self, node: NodeId, tool: &ToolKey) -> (Presence, Health) {
        let nodes = self.nodes();
        let Some(provider) = nodes.get(&node) else { return Default::default() };
        let connected = !provider.listeners.is_empty();
        let room = connected.then(|| provider.listeners.iter().map(Listener::room).fold(0, u32::saturating_add));
        let presence = Presence { connected, room, load: provider.load };
        (presence, provider.tools.get(tool).cloned().unwrap_or_default())
    }
}

/// Judged again at the moment of sending: others may have been quicker.
fn check(provider: &Provider, tool: &ToolKey, in_flight_max: u32, now: Time) -> Result<(), NotSent> {
    match provider.tools.get(tool) {
        Some(health) if health.in_flight >= in_flight_max => Err(NotSent::Full),
        Some(health) if !health.circuit.admits(now) => Err(NotSent::Open),
        _ => Ok(()),
    }
}

fn take(provider: &mut Provider, tool: &ToolKey, now: Time) {
    let health = match provider.tools.get_mut(tool) {
        Some(health) => health,
        None => provider.tools.entry(tool.clone()).or_default(),
    };
    health.in_flight += 1;
    health.circuit.tried(now);
}

impl Provider {
    fn is_idle(&self) -> bool {
        self.listeners.is_empty() && self.tools.is_empty() && self.load.is_none() && self.stops.is_empty()
    }
}

/// A listener's hold on its node's calls: when it goes, so do the calls.
pub struct Listening {
    providers: Arc<Providers>,
    node: NodeId,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let gone = {
            let mut nodes = self.providers.nodes();
            let Some(provider) = nodes.get_mut(&self.node) else { return };
            let at = provider.listeners.iter().position(|listener| listener.number == self.number);
            let gone = at.map(|at| provider.listeners.remove(at));
            if provider.is_idle() {
                nodes.remove(&self.node);
            }
            gone
        };
        for (call, attempt) in gone.into_iter().flat_map(|listener| listener.under_way.into_values()) {
            if let Some(call) = call.upgrade() {
                call.provider_lost(attempt);
            }
        }
    }
}

/// The calls of a node, one after the other; ends with the registry.
pub struct Deliveries {
    waiting: mpsc::Receiver<Delivery>,
    _listening: Listening,
}

impl Deliveries {
    pub(super) fn new(listening: Listening, waiting: mpsc::Receiver<Delivery>) -> Self {
        Deliveries { waiting, _listening: listening }
    }
}

impl futures_util::Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            match self.waiting.poll_recv(context) {
                // One that nobody waits for any more is not handed over: its provider has not begun.
                Poll::Ready(Some(delivery)) if !delivery.call.handed(delivery.attempt) => {}
                polled => return polled,
            }
        }
    }
}
