//! Keeps a node at its registry: registers it, listens for calls, sends heartbeats, and comes back after a loss.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::client::{Client, Connection, Error, Subscription};

use super::calls::{Calls, Incoming};
use super::link::{Link, State};
use super::tool::{Handler, Offer};

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { warnings node { id name } } }";
const HEARTBEAT: &str = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";
const DEREGISTER: &str = "mutation($input: DeregisterInput!) { deregister(input: $input) { id } }";
const CALLS: &str = "subscription($node: UUID!, $max: Int) { toolCalls(nodeId: $node, maxInFlight: $max) {
    invocationId tool version arguments caller correlationId deadline timeoutMs attempt
} }";
const CANCELLATIONS: &str = "subscription($node: UUID!) { toolCancellations(nodeId: $node) { invocationId } }";
const LISTENS: &str = "query($node: UUID!) {
    node(by: {id: $node}) { tools(first: 1) { nodes { providers { node { id } connected } } } }
}";

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// The least that a heartbeat's answer is waited for.
const HEARTBEAT_WITHIN_MIN: Duration = Duration::from_secs(5);
/// How long the registry may take at first until calls can come.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked whether they can.
const LISTENS_EVERY: Duration = Duration::from_millis(10);

/// What is asked of a node that runs.
pub(super) enum Command {
    Offer(Offer, Reply),
    /// No new calls, please.
    Drain(Reply),
    /// The end. It is forgotten, or known as a node that is not there.
    Leave {
        forget: bool,
        reply: Reply,
    },
}

pub(super) type Reply = oneshot::Sender<Result<(), Error>>;

/// What a node is.
pub(super) struct Shared {
    pub(super) client: Client,
    /// The members of a `RegisterInput`, without its tools and its id.
    pub(super) declared: Map<String, Value>,
    pub(super) ttl_seconds: u32,
    pub(super) max_in_flight: u32,
    pub(super) offer: Mutex<Offer>,
    /// Handlers of tools that the contract declares.
    pub(super) handlers: HashMap<String, Handler>,
    /// The handler of all other tools.
    pub(super) other: Option<Handler>,
    /// Its id and name, from when it was first registered on.
    pub(super) identity: OnceLock<Identity>,
    pub(super) draining: AtomicBool,
    pub(super) calls: Arc<Calls>,
}

/// Who a node is at its registry; the same through every reconnection.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Identity {
    pub(super) id: Uuid,
    pub(super) name: String,
}

/// Why a session ended.
enum Over {
    /// A new connection could help.
    Lost(Error),
    /// As it was asked to.
    Left,
}

impl Shared {
    pub(super) fn offer(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers the node with what it offers. From the second time on it says who it is by its id.
    pub(super) async fn register(&self, connection: &Connection, offer: &Offer) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            register: Registration,
        }
        #[derive(Deserialize)]
        struct Registration {
            warnings: Vec<String>,
            node: Identity,
        }
        let mut input = self.declared.clone();
        input.insert("ttlSeconds".to_owned(), self.ttl_seconds.into());
        input.insert("tools".to_owned(), offer.declared.clone().into());
        if let Some(identity) = self.identity.get() {
            input.insert("id".to_owned(), identity.id.to_string().into());
        }
        let answer: Answer = connection.query(REGISTER, json!({"input": input})).await?;
        // Only the first one sets it: a registry that has lost its log takes the node under the id that it had.
        let _ = self.identity.set(answer.register.node);
        Ok(answer.register.warnings)
    }

    fn id(&self) -> Result<Uuid, Error> {
        let unregistered = || self.client.inner.lost("the node is not registered".into());
        self.identity.get().map(|identity| identity.id).ok_or_else(unregistered)
    }

    async fn heartbeat(&self, connection: &Connection, ttl_seconds: u32) -> Result<(), Error> {
        // Left out where it does not drain: who drains a node from outside is not contradicted.
        let draining = self.draining.load(Ordering::Relaxed).then_some(true);
        let input = json!({"nodeId": self.id()?, "ttlSeconds": ttl_seconds, "draining": draining});
        connection.query::<Value>(HEARTBEAT, json!({"input": input})).await.map(drop)
    }

    fn handler(&self, call: &Incoming) -> Option<Handler> {
        let offered = self.offer().handler(&call.tool, &call.version);
        offered.or_else(|| self.handlers.get(&call.tool).cloned()).or_else(|| self.other.clone())
    }
}

/// A node's life at its registry.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) link: watch::Sender<Link>,
}

impl Keeper {
    /// Connects for the first time, and returns when calls can come.
    pub(super) async fn begin(&self) -> Result<(Connection, Listening), Error> {
        let (connection, listening) = self.come().await?;
        let listens = self.shared.wait_until_listening(&connection);
        timeout(LISTENS_WITHIN, listens).await.map_err(|elapsed| self.shared.client.inner.lost(elapsed.into()))??;
        Ok((connection, listening))
    }

    /// Keeps the node connected until it leaves, or the registry refuses it for good.
    pub(super) async fn keep(mut self, first: (Connection, Listening)) {
        let mut present: Result<_, Error> = Ok(first);
        let mut pause = BACKOFF_MIN;
        let ended = loop {
            let why = match present {
                Ok((connection, listening)) => {
                    let began = Instant::now();
                    let over = self.session(connection, listening).await;
                    if began.elapsed() > BACKOFF_MAX {
                        pause = BACKOFF_MIN;
                    }
                    match over {
                        Over::Lost(why) => why,
                        Over::Left => break None,
                    }
                }
                Err(why) if why.is_lost() => why,
                Err(why) => break Some(Arc::new(why)),
            };
            tracing::warn!(error = %why, "a node has lost its registry");
            self.tell(State::Lost(said(&why)), None);
            // At different moments for different nodes, so that a registry that is back is not met by all at once.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(BACKOFF_MAX);
            present = self.come().await;
        };
        self.shared.calls.cancel_all();
        self.tell(State::Ended(ended), None);
    }

    /// Connects, registers and listens.
    async fn come(&self) -> Result<(Connection, Listening), Error> {
        let Shared { client, max_in_flight, .. } = &*self.shared;
        let connection = client.connect().await?;
        let offer = self.shared.offer().clone();
        for warning in self.shared.register(&connection, &offer).await? {
            tracing::warn!("{warning}");
        }
        if self.shared.draining.load(Ordering::Relaxed) {
            self.shared.heartbeat(&connection, self.shared.ttl_seconds).await?;
        }
        let node = self.shared.id()?;
        // Cancellations first, so that none is missed of a call that comes.
        let cancellations = connection.subscribe(CANCELLATIONS, json!({"node": node})).await?;
        let calls = connection.subscribe(CALLS, json!({"node": node, "max": max_in_flight})).await?;
        self.tell(State::Connected, Some(connection.clone()));
        Ok((connection, Listening { calls, cancellations }))
    }

    fn tell(&self, state: State, connection: Option<Connection>) {
        self.link.send_modify(|link| {
            let number = link.number + u64::from(connection.is_some());
            *link = Link { state, connection, number };
        });
    }

    /// One connection's time.
    async fn session(&mut self, connection: Connection, listening: Listening) -> Over {
        let Self { shared, commands, .. } = self;
        tokio::select! {
            why = shared.take_calls(listening.calls) => Over::Lost(why),
            why = shared.take_cancellations(listening.cancellations) => Over::Lost(why),
            why = shared.send_heartbeats(&connection) => Over::Lost(why),
            over = shared.obey(&connection, commands) => over,
        }
    }
}

/// What a node hears.
pub(super) struct Listening {
    calls: Subscription<ToCall>,
    cancellations: Subscription<ToCancel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToCall {
    tool_calls: Incoming,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToCancel {
    tool_cancellations: Cancellation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancellation {
    invocation_id: Uuid,
}

impl Shared {
    async fn wait_until_listening(&self, connection: &Connection) -> Result<(), Error> {
        let node = self.id()?;
        loop {
            let answer: Value = connection.query(LISTENS, json!({"node": node})).await?;
            let Some(tool) = answer["node"]["tools"]["nodes"].get(0) else { return Ok(()) };
            let own = tool["providers"].as_array().into_iter().flatten();
            let mut own = own.filter(|provider| provider["node"]["id"].as_str() == Some(&node.to_string()));
            if own.any(|provider| provider["connected"] == true) {
                return Ok(());
            }
            sleep(LISTENS_EVERY).await;
        }
    }

    async fn take_calls(&self, mut calls: Subscription<ToCall>) -> Error {
        loop {
            match calls.next().await {
                Some(Ok(ToCall { tool_calls: call })) => {
                    let handler = self.handler(&call);
                    self.calls.begin(call, handler);
                }
                Some(Err(why)) => return why,
                None => return self.ended(),
            }
        }
    }

    async fn take_cancellations(&self, mut cancellations: Subscription<ToCancel>) -> Error {
        loop {
            match cancellations.next().await {
                Some(Ok(ToCancel { tool_cancellations: cancellation })) => {
                    self.calls.cancel(cancellation.invocation_id);
                }
                Some(Err(why)) => return why,
                None => return self.ended(),
            }
        }
    }

    /// A registry ends what it is listened to by when it shuts down, or forgets the node.
    fn ended(&self) -> Error {
        self.client.inner.lost("the registry sends no more calls".into())
    }

    async fn send_heartbeats(&self, connection: &Connection) -> Error {
        let every = Duration::from_secs(self.ttl_seconds.into()) / 3;
        loop {
            sleep(every).await;
            let beat = self.heartbeat(connection, self.ttl_seconds);
            match timeout(every.max(HEARTBEAT_WITHIN_MIN), beat).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return why,
                Err(elapsed) => return self.client.inner.lost(elapsed.into()),
            }
        }
    }

    async fn obey(&self, connection: &Connection, commands: &mut mpsc::Receiver<Command>) -> Over {
        loop {
            // Nobody can ask any more when the node's handle is gone, and that takes this along.
            let Some(command) = commands.recv().await else { return Over::Left };
            match command {
                Command::Offer(offer, reply) => {
                    let _ = reply.send(self.change(connection, offer).await);
                }
                Command::Drain(reply) => {
                    self.draining.store(true, Ordering::Relaxed);
                    let _ = reply.send(self.heartbeat(connection, self.ttl_seconds).await);
                }
                Command::Leave { forget, reply } => {
                    let left = if forget { self.deregister(connection).await } else { self.lapse(connection).await };
                    let _ = reply.send(left);
                    return Over::Left;
                }
            }
        }
    }

    /// Offers something else. What is refused is not offered, and all stays as it was.
    async fn change(&self, connection: &Connection, offer: Offer) -> Result<(), Error> {
        // The new handlers are there before the first call of a new tool can come.
        let former = std::mem::replace(&mut *self.offer(), offer.clone());
        match self.register(connection, &offer).await {
            Ok(_) => Ok(()),
            Err(error) => {
                *self.offer() = former;
                Err(error)
            }
        }
    }

    async fn deregister(&self, connection: &Connection) -> Result<(), Error> {
        let input = json!({"nodeId": self.id()?});
        connection.query::<Value>(DEREGISTER, json!({"input": input})).await.map(drop)
    }

    /// Lets the registration lapse at once, more or less. There is no shorter time to live.
    async fn lapse(&self, connection: &Connection) -> Result<(), Error> {
        self.heartbeat(connection, 1).await
    }
}

/// An error with its cause, for people.
fn said(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
