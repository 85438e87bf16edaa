//! The buses of this registry as they run: each has a carrier, a router, and a task that brings what is carried to those
//! who want it.
//!
//! What buses there are, and how each is, stands in the registry's log; this makes it so and says what it found. Nothing
//! here is kept: after a restart, buses that ran are started again.

mod announcing;
mod calling;
mod carriers;
mod contracts;
mod defaults;
mod discovering;
mod durable;
mod latest;
mod listening;
mod of_registry;
mod past;
mod running;
mod waiting;
mod waking;

pub use announcing::Announced;
pub use carriers::check;
pub use defaults::Defaults;
pub use discovering::LASTS_SECONDS;
pub use durable::{ListeningByName, Named, Shown};
pub use listening::Listening;
pub use of_registry::{ListensToRegistry, event_of};
pub use past::{Failed, FromPast};

use super::envelope::{self, Event};
use super::kind::{Endpoints, Facts, Outgoing, Place};
use super::router::{Attaching, Refused, SubscriberView, TopicView, Traffic};
use super::schema::{Misfit, Unusable};
use super::topic::Rules;
use super::{Measured, Verdict};
use crate::model::{Actor, Bus, BusId, BusStatus, LeaseId, Time, TopicName, TopicTerms};
use crate::registry::command::{Command, Request, TurnBus};
use crate::registry::decide::Answer;
use crate::registry::engine::{self, Clock, Handle};
use crate::registry::graph::Observed;
use crate::registry::refusal::Refusal;
use crate::registry::view::Views;
use announcing::Announcing;
use futures_util::future::{BoxFuture, ready};
use of_registry::OfRegistry;
use running::Running;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a publisher waits for subscribers that asked to be waited for, before it is refused.
const BLOCKED_WAIT: Duration = Duration::from_secs(10);
/// How long it is waited until what was published has come back, which says for how many it was.
const ROUTED_WAIT: Duration = Duration::from_secs(2);
/// How long it is waited before a bus whose broker was away at the start is tried again; each time twice as long.
const TRIED_AGAIN_MIN: Duration = Duration::from_secs(1);
/// The longest that it is.
const TRIED_AGAIN_MAX: Duration = Duration::from_secs(30);
/// How many events a carrier may be ahead of the router.
const HEARD_MAX: usize = 1_024;

/// Why a bus did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry refuses, or cannot write.
    #[error(transparent)]
    Registry(#[from] engine::Error),
    /// The bus stands still.
    #[error("bus {name} is stopped: start it first")]
    Stopped {
        /// Its name.
        name: String,
    },
    /// What carries it is away, or does not take it.
    #[error("bus {name} cannot be reached: {reason}")]
    Unreachable {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Subscribers that asked to be waited for do not take what waits for them.
    #[error("bus {name} is held up by a subscriber that publishers wait for: try again, or look at its subscribers")]
    HeldUp {
        /// Its name.
        name: String,
    },
    /// A bus of this kind cannot be.
    #[error("{what}: {reason}")]
    Unusable {
        /// What cannot be used.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The event is none, or does not fit.
    #[error("{0}")]
    Misfit(Box<Misfit>),
    /// It is not listened as was asked.
    #[error(transparent)]
    NotAttached(Refused),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Registry(engine::Error::Refused(refusal))
    }
}

/// Where buses that listen themselves get their ports from.
pub trait Leases: Send + Sync {
    /// Leases a port of this machine for each use of a bus, for as long as the bus wants it; the same ones again where it
    /// has them. Fails with what is to be told.
    fn lease<'a>(&'a self, bus: &'a Bus, uses: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<(LeaseId, u16)>, String>>;

    /// Gives ports back.
    fn release<'a>(&'a self, leases: &'a [LeaseId]) -> BoxFuture<'a, ()>;
}

/// No ports: for a hub whose buses do not listen.
pub struct NoLeases;

impl Leases for NoLeases {
    fn lease<'a>(&'a self, _: &'a Bus, _: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<(LeaseId, u16)>, String>> {
        Box::pin(ready(Err("no ports are leased here".to_owned())))
    }

    fn release<'a>(&'a self, _: &'a [LeaseId]) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }
}

/// What came of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where in the bus's order.
    pub place: Place,
    /// For how many subscribers it was; `None` where that did not come back in time.
    pub matched: Option<usize>,
}

/// The buses of this registry.
pub struct Hub {
    handle: Handle,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    leases: Arc<dyn Leases>,
    announcing: Announcing,
    directory: PathBuf,
    /// What is said of the registry where programs are looked for.
    about: HashMap<String, String>,
    defaults: Arc<Defaults>,
    of_registry: Arc<OfRegistry>,
    // Held for look-ups and pointer moves; nothing waits under it.
    running: Mutex<HashMap<BusId, Arc<Running>>>,
    // Held while a bus is turned, so that no two do it at once.
    turning: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("running", &self.all().len()).finish_non_exhaustive()
    }
}

impl Hub {
    /// No bus runs yet. Files of buses are kept in a directory of their own, which is made when one is needed.
    pub fn new(
        handle: Handle,
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        leases: Arc<dyn Leases>,
        directory: PathBuf,
    ) -> Self {
        let (running, turning) = (Mutex::default(), tokio::sync::Mutex::default());
        let (announcing, about, defaults) = (Announcing::default(), HashMap::new(), Arc::default());
        let of_registry = OfRegistry::new(&views);
        Hub { handle, views, clock, leases, announcing, directory, about, defaults, of_registry, running, turning }
    }

    /// Says this of the registry to those who look for programs on a bus.
    pub fn saying(self, about: HashMap<String, String>) -> Self {
        Hub { about, ..self }
    }

    /// With this for buses and events that say nothing else.
    pub fn with_defaults(self, defaults: Defaults) -> Self {
        Hub { defaults: Arc::new(defaults), ..self }
    }

    /// What holds for buses and events that say nothing else.
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// From now on until the buses are closed, those who announce themselves on a bus are registered by this.
    pub fn register_by(&self, announced: Arc<dyn Announced>) {
        *self.announcing.lock().unwrap_or_else(PoisonError::into_inner) = Some(announced);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<BusId, Arc<Running>>> {
        // Each change of the table is one step.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, id: BusId) -> Result<Arc<Bus>, Error> {
        let state = self.views.current();
        Ok(state.buses.get(&id).cloned().ok_or(Refusal::BusNotFound { bus: id })?)
    }

    fn running(&self, id: BusId) -> Result<Arc<Running>, Error> {
        let found = self.all().get(&id).cloned();
        match found {
            Some(running) => Ok(running),
            None if id == BusId::REGISTRY => Err(Refusal::BusOfRegistry { bus: id }.into()),
            None => Err(Error::Stopped { name: self.known(id)?.terms.name.to_string() }),
        }
    }

    /// Starts the buses that ran when the registry stopped. One whose broker is away is tried again; one that cannot be
    /// started otherwise is said to be stopped, and why.
    pub async fn resume(self: &Arc<Self>) {
        let ran: Vec<BusId> = self
            .views
            .current()
            .buses
            .values()
            .filter(|bus| bus.status != BusStatus::Stopped && !bus.is_of_registry())
            .map(|bus| bus.id)
            .collect();
        for bus in ran {
            if !self.resume_one(bus).await {
                tokio::spawn(self.clone().keep_trying(bus));
            }
        }
    }

    /// Whether it needs no further try.
    async fn resume_one(&self, id: BusId) -> bool {
        let (status, error) = match self.start(id, of_registry).await {
            Ok(()) => return true,
            Err(error @ Error::Unreachable { .. }) => (BusStatus::Degraded, error),
            Err(error) => (BusStatus::Stopped, error),
        };
        tracing::error!(bus = %id, %error, "a bus that ran could not be started again");
        let command = self.turned(id, status, Some(error.to_string()), json!({}));
        if let Err(error) = self.handle.submit(of_registry(command)).await {
            tracing::error!(bus = %id, %error, "it could not be said how a bus is");
        }
        status == BusStatus::Stopped
    }

    /// Tries to start a bus whose broker was away, until it runs or nobody wants it to.
    async fn keep_trying(self: Arc<Self>, id: BusId) {
        let mut wait = TRIED_AGAIN_MIN;
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(TRIED_AGAIN_MAX);
            let is_wanted = self.views.current().buses.get(&id).is_some_and(|bus| bus.status == BusStatus::Degraded);
            if !is_wanted || self.all().contains_key(&id) || self.resume_one(id).await {
                return;
            }
        }
    }

    /// Starts a bus; nothing where it runs.
    pub async fn start(&self, id: BusId, request: impl Fn(Command) -> Request) -> Result<(), Error> {
        let _turn = self.turning.lock().await;
        let bus = self.known(id)?;
        if self.all().contains_key(&id) || bus.is_of_registry() {
            return Ok(());
        }
        let (told, heard) = tokio::sync::mpsc::channel(HEARD_MAX);
        let topics = self.views.current();
        let topics = topics.topics_of(id).map(|(topic, terms)| (topic.clone(), terms.clone())).collect();
        let around = carriers::Around {
            directory: &self.directory,
            clock: self.clock.clone(),
            leases: &*self.leases,
            about: &self.about,
        };
        let opened = carriers::open(&bus, topics, told, around).await?;
        let leases = opened.leases.clone();
        let running = match Running::begin(self, &bus, opened).await {
            Ok(running) => running,
            Err(error) => {
                self.leases.release(&leases).await;
                return Err(error);
            }
        };
        self.all().insert(id, running.clone());
        let mut diagnostics = json!({ "places": running.behind.0 });
        if let Some(Endpoints { publish, subscribe, request }) = &running.endpoints {
            diagnostics["endpoints"] = json!({"publish": publish, "subscribe": subscribe, "request": request});
        }
        let turn = TurnBus {
            bus: id,
            status: BusStatus::Running,
            reason: None,
            leases: leases.clone(),
            diagnostics: Arc::new(diagnostics),
        };
        if let Err(error) = self.handle.submit(request(Command::TurnBus(Box::new(turn)))).await {
            self.all().remove(&id);
            running.close().await;
            self.leases.release(&leases).await;
            return Err(error.into());
        }
        running.follow(heard);
        if discovering::is_wanted(&bus) {
            tokio::spawn(discovering::look(running, self.announcing.clone()));
        }
        Ok(())
    }

    fn turned(&self, bus: BusId, status: BusStatus, reason: Option<String>, diagnostics: Value) -> Command {
        let diagnostics = Arc::new(diagnostics);
        Command::TurnBus(Box::new(TurnBus { bus, status, reason, leases: Vec::new(), diagnostics }))
    }

    /// Stops a bus: nothing more is taken in, what waits is still given, and everybody is told. Nothing where it stands
    /// still.
    pub async fn stop(&self, id: BusId, request: impl Fn(Command) -> Request) -> Result<(), Error> {
        let _turn = self.turning.lock().await;
        let bus = self.known(id)?;
        let Some(running) = self.all().remove(&id) else {
            // One whose broker is away is not tried any more.
            if bus.status != BusStatus::Stopped {
                self.handle.submit(request(self.turned(id, BusStatus::Stopped, None, json!({})))).await?;
            }
            return Ok(());
        };
        let measured = running.measure();
        running.close().await;
        self.leases.release(&bus.leases).await;
        let diagnostics = json!({
            "published": measured.published, "delivered": measured.delivered, "dropped": measured.dropped,
        });
        self.handle.submit(request(self.turned(id, BusStatus::Stopped, None, diagnostics))).await?;
        Ok(())
    }

    /// Stops what runs without saying so: the registry stops, and starts them again when it is back.
    pub async fn close(&self) {
        *self.announcing.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let running: Vec<_> = self.all().drain().map(|(_, running)| running).collect();
        for running in running {
            running.close().await;
        }
    }

    /// Forgets a bus that stands still, and its file.
    pub async fn delete(&self, id: BusId, request: impl Fn(Command) -> Request) -> Result<Arc<Bus>, Error> {
        let _turn = self.turning.lock().await;
        let outcome = self.handle.submit(request(Command::DeleteBus(id))).await?;
        let file = self.directory.join(format!("{id}.db"));
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            // What is not there need not go; what cannot be taken away is of an id that never comes again.
            let _ = std::fs::remove_file(path);
        }
        // Where its sockets were, if it had any.
        let _ = std::fs::remove_dir(self.directory.join(id.to_string()));
        match outcome.answer {
            Answer::BusDeleted(bus) => Ok(bus),
            _ => Err(engine::Error::Stopped.into()),
        }
    }

    /// Says something of a topic, where its bus runs and does not know it yet.
    pub async fn define(&self, id: BusId, topic: &TopicName, terms: &TopicTerms) -> Result<(), Unusable> {
        let Ok(running) = self.running(id) else { return Ok(()) };
        running.router().define(self.clock.now(), topic, terms)?;
        let Ok(bus) = self.known(id) else { return Ok(()) };
        let bounds = Rules::bounds_of(&bus.terms, terms);
        if let Err(error) = running.carrier.keep(topic.clone(), bounds.events as u64, bounds.age).await {
            tracing::warn!(bus = running.name.as_str(), topic = topic.as_str(), %error, "a topic is kept as before");
        }
        Ok(())
    }

    /// Publishes an event to a topic, or to that of its type.
    pub async fn publish(
        &self,
        id: BusId,
        topic: &TopicName,
        event: &Event,
        traceparent: Option<Box<str>>,
    ) -> Result<Published, Error> {
        let running = self.running(id)?;
        let text = envelope::write(event);
        running.keep_up();
        let verdict = running.router().check(self.clock.now(), topic, &text);
        if let Verdict::Refused(misfit) = verdict {
            running.look_again();
            return Err(Error::Misfit(Box::new(misfit)));
        }
        timeout(BLOCKED_WAIT, running.unblocked(topic))
            .await
            .map_err(|_| Error::HeldUp { name: running.name.to_string() })?;
        let routed = running.await_routing(event.id);
        let outgoing = Outgoing { topic: topic.clone(), text, id: event.id.0, traceparent };
        let place = running.carry(outgoing).await.map_err(|failure| running.unreachable(&failure))?;
        let matched = timeout(ROUTED_WAIT, routed).await.ok().and_then(Result::ok);
        Ok(Published { place, matched })
    }

    /// Lets somebody listen.
    pub fn listen(&self, id: BusId, attaching: Attaching) -> Result<Listening, Error> {
        Listening::try_new(self.running(id)?, attaching)
    }

    /// Where programs connect to a bus that listens itself, while it runs.
    pub fn endpoints(&self, id: BusId) -> Option<Endpoints> {
        self.running(id).ok()?.endpoints.clone()
    }

    /// What a bus has to do, where it runs.
    pub fn measure(&self, id: BusId) -> Option<Measured> {
        if id == BusId::REGISTRY {
            return Some(self.measure_of_registry());
        }
        self.running(id).ok().map(|running| running.measure())
    }

    /// What there is to do on a topic of a bus that runs; on the whole bus where no topic is named.
    pub fn traffic(&self, id: BusId, topic: Option<&TopicName>) -> Option<Traffic> {
        self.running(id).ok().map(|running| running.router().traffic(self.clock.now(), topic))
    }

    /// How many listen on a bus now, those who listen by name left aside.
    pub fn count_listeners(&self, id: BusId) -> usize {
        if id == BusId::REGISTRY {
            return self.count_of_registry();
        }
        self.running(id).map_or(0, |running| running.router().subscriber_count())
    }

    /// Those who listen on a bus now.
    pub fn listeners(&self, id: BusId) -> Vec<SubscriberView> {
        self.running(id).map_or_else(|_| Vec::new(), |running| running.router().subscribers(self.clock.now()))
    }

    /// What is kept of a bus and who is how far, as its carrier last told: asked now, where it answers soon.
    pub async fn facts(&self, id: BusId) -> Option<Facts> {
        if id == BusId::REGISTRY {
            return self.facts_of_registry().await;
        }
        let running = self.running(id).ok()?;
        Some(running.facts().await)
    }

    /// Who was seen to publish what whom was seen to read, on the buses that run, since they were started.
    pub fn observed(&self) -> Observed {
        let mut observed = Observed::default();
        let running: Vec<Arc<Running>> = self.all().values().cloned().collect();
        for running in running {
            running.router().observed(|publisher, reader, topic| observed.add(publisher, reader, topic));
        }
        observed
    }

    /// The topics that a bus knows of, by name.
    pub fn topics(&self, id: BusId) -> Vec<TopicView> {
        if id == BusId::REGISTRY {
            return self.topics_of_registry();
        }
        self.running(id).map_or_else(|_| Vec::new(), |running| running.router().topics(self.clock.now()))
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

/// What the registry does by itself.
fn of_registry(command: Command) -> Request {
    Request { command, actor: Actor::registry(), correlation_id: None }
}
