//! A node in a few lines: a program that offers tools through a registry.
//!
//! ```no_run
//! use onex::client::Client;
//! use onex::client::node::{Call, Node, Tool};
//! use serde_json::json;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::try_new("http://127.0.0.1:4000", None)?;
//! let greet = Tool::new("greet", |call: Call| async move {
//!     Ok(json!({"text": format!("Hello, {}", call.arguments["name"].as_str().unwrap_or("you"))}))
//! });
//! let running = Node::new("greeter").version("1.0.0").tool(greet).connect(&client).await?;
//! running.closed().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Node::connect`] registers the node and listens for calls. From then on it keeps itself there: it sends heartbeats,
//! and after a lost connection comes back as the same node, with the answers of calls that were under way. It says so
//! through `tracing`, and by [`Running::states`].

mod call;
mod calls;
mod keeper;
mod link;
mod tool;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Client, Error};

use calls::Calls;
use keeper::{Command, Keeper, Shared};
use link::{Link, Links};
use tool::{Handler, Offer, handler, texts};

pub use call::{Call, ToolError};
pub use link::State;
pub use tool::Tool;

/// How long a node that sends no heartbeats counts as there, where nothing else is said.
const TTL_SECONDS: u32 = 30;
/// How many calls a node answers at once, where nothing else is said.
const MAX_IN_FLIGHT: u32 = 64;
/// How long calls that are under way may take to end when the node leaves, where nothing else is said.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);
/// How long the registry may take to hear that the node leaves. It notices by itself, too.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// How many commands to one node may wait.
const COMMANDS_MAX: usize = 16;

/// What a node is to be. [`connect`](Node::connect) makes it so.
#[must_use = "a node does nothing until it connects"]
pub struct Node {
    /// The members of a `RegisterInput`.
    declared: Map<String, Value>,
    tools: Vec<Tool>,
    handlers: HashMap<String, Handler>,
    other: Option<Handler>,
    ttl_seconds: u32,
    max_in_flight: u32,
    drain_within: Duration,
}

impl Node {
    /// A node of this name, whatever a contract calls it.
    pub fn new(name: impl Into<String>) -> Self {
        Self::blank().with("name", name.into())
    }

    /// A node of the name that its [`contract`](Self::contract) has.
    pub fn of_contract(document: impl Into<String>) -> Self {
        Self::blank().contract(document)
    }

    fn blank() -> Self {
        Self {
            declared: Map::new(),
            tools: Vec::new(),
            handlers: HashMap::new(),
            other: None,
            ttl_seconds: TTL_SECONDS,
            max_in_flight: MAX_IN_FLIGHT,
            drain_within: DRAIN_WITHIN,
        }
    }

    /// Its version, which is also that of tools without one.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.with("version", version.into())
    }

    /// What it is, in one or a few sentences.
    pub fn description(self, description: impl Into<String>) -> Self {
        self.with("description", description.into())
    }

    /// Words to find it by.
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        self.with("tags", texts(tags))
    }

    /// What it is for, as the API has it: `TOOL`, `EFFECT`, …
    pub fn kind(self, kind: impl Into<String>) -> Self {
        self.with("kind", kind.into())
    }

    /// The name space that it belongs to.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.with("namespace", namespace.into())
    }

    /// What else there is to say of it: a JSON object.
    pub fn metadata(self, metadata: Value) -> Self {
        self.with("metadata", metadata)
    }

    /// The contract document that describes it, YAML or JSON text. What is said by other methods counts before it. Its
    /// tools are offered beside those of [`tool`](Self::tool); [`handler`](Self::handler) answers their calls.
    pub fn contract(self, document: impl Into<String>) -> Self {
        self.with("contract", document.into())
    }

    /// How long it counts as there after its last heartbeat, which comes three times as often; 30 without it.
    pub fn ttl_seconds(self, ttl_seconds: u32) -> Self {
        Self { ttl_seconds: ttl_seconds.max(1), ..self }
    }

    /// How many calls it answers at once; 64 without it.
    pub fn max_in_flight(self, calls: u32) -> Self {
        Self { max_in_flight: calls.max(1), ..self }
    }

    /// How long calls that are under way may take to end when it leaves; 30 seconds without it.
    pub fn drain_within(self, drain_within: Duration) -> Self {
        Self { drain_within, ..self }
    }

    /// A tool that it offers.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// The function that answers the calls of a tool that the contract declares.
    pub fn handler<F, A>(mut self, tool: impl Into<String>, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        self.handlers.insert(tool.into(), handler(answer));
        self
    }

    /// The function that answers the calls of all tools without one of their own.
    pub fn other_handler<F, A>(mut self, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        self.other = Some(handler(answer));
        self
    }

    /// Registers the node, and returns when calls can come. From then on it keeps itself connected.
    ///
    /// # Errors
    /// Where the registry is not there, or refuses the node. Only later losses are made up for.
    pub async fn connect(self, client: &Client) -> Result<Running, Error> {
        let link = watch::Sender::new(Link {
            state: State::Lost("not connected yet".to_owned()),
            connection: None,
            number: 0,
        });
        let links = Links { client: client.clone(), link: link.subscribe() };
        let shared = Arc::new(Shared {
            client: client.clone(),
            declared: self.declared,
            ttl_seconds: self.ttl_seconds,
            max_in_flight: self.max_in_flight,
            offer: Mutex::new(Offer::of(self.tools)),
            handlers: self.handlers,
            other: self.other,
            identity: OnceLock::new(),
            draining: AtomicBool::new(false),
            calls: Arc::new(Calls::new(links.clone(), self.max_in_flight)),
        });
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let keeper = Keeper { shared: shared.clone(), commands, link };
        let first = keeper.begin().await?;
        let keeping = tokio::spawn(keeper.keep(first));
        Ok(Running { shared, commands: sender, links, keeping, drain_within: self.drain_within })
    }

    fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.declared.insert(member.to_owned(), value.into());
        self
    }
}

/// A node that is at its registry, or on its way back. Dropping it ends it without a word: the registry sees the
/// connection go, and the registration lapses.
pub struct Running {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    links: Links,
    keeping: JoinHandle<()>,
    drain_within: Duration,
}

impl Running {
    /// Its id, which stays the same through every reconnection.
    pub fn id(&self) -> Uuid {
        self.shared.identity.get().map(|identity| identity.id).unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.shared.identity.get().map(|identity| identity.name.as_str()).unwrap_or_default()
    }

    /// Offers other tools than before, beside those of the contract. While the registry is away this waits for it.
    ///
    /// # Errors
    /// Where the registry refuses one of them; then none has changed.
    pub async fn set_tools(&self, tools: Vec<Tool>) -> Result<(), Error> {
        self.ask(|reply| Command::Offer(Offer::of(tools), reply)).await
    }

    /// Leaves in good order: wants no new calls, ends those that are under way, as far as their time allows, and is then
    /// known as a node that is not there. It keeps its id, its trust and its history for when it comes back.
    ///
    /// # Errors
    /// Where the registry could not be told, which notices by itself later. The node has ended all the same.
    pub async fn drain(&self) -> Result<(), Error> {
        self.leave(false).await
    }

    /// Leaves in the same order, and is forgotten: its tools and its verdicts go with it.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub async fn deregister(&self) -> Result<(), Error> {
        self.leave(true).await
    }

    /// Waits until the node has ended: because it left, or for an error that no new connection can mend.
    ///
    /// # Errors
    /// That error.
    pub async fn closed(&self) -> Result<(), Arc<Error>> {
        let mut link = self.links.link.clone();
        // Without a sender there is no keeper any more, which is the end too.
        let ended = link.wait_for(|link| matches!(link.state, State::Ended(_))).await;
        match ended.as_deref() {
            Ok(Link { state: State::Ended(Some(error)), .. }) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// How the node stands with its registry, from now on.
    pub fn states(&self) -> States {
        let mut link = self.links.link.clone();
        link.mark_unchanged();
        States { link }
    }

    async fn leave(&self, forget: bool) -> Result<(), Error> {
        // Whatever comes of it, the node ends: who cannot be told of it now notices later.
        let told = self.ask_in_time(Command::Drain).await;
        let _ = timeout(self.drain_within, self.shared.calls.idle()).await;
        let left = match told {
            Ok(()) => self.ask_in_time(|reply| Command::Leave { forget, reply }).await,
            Err(error) => Err(error),
        };
        self.end();
        left
    }

    async fn ask_in_time(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Command,
    ) -> Result<(), Error> {
        let asked = timeout(HEARD_WITHIN, self.ask(command)).await;
        asked.map_err(|elapsed| self.shared.client.inner.unreachable(elapsed.into()))?
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Command) -> Result<(), Error> {
        let ended = || self.shared.client.inner.lost("the node has ended".into());
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    fn end(&self) {
        self.keeping.abort();
        self.shared.calls.cancel_all();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The changes of how a node stands with its registry.
#[derive(Clone, Debug)]
pub struct States {
    link: watch::Receiver<Link>,
}

impl States {
    /// The next change; of several at once, the last one. `None` after the end.
    pub async fn next(&mut self) -> Option<State> {
        self.link.changed().await.ok()?;
        Some(self.link.borrow_and_update().state.clone())
    }
}
