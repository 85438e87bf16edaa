//! One bus that runs.

use super::carriers::Opened;
use super::contracts::FromContracts;
use super::defaults::Defaults;
use super::durable::Seats;
use super::latest::Latest;
use super::waking::Waking;
use super::{Error, Hub, announcing, past, waiting};
use crate::bus::durable;
use crate::bus::filter::Filter;
use crate::bus::kind::{Carrier, Endpoints, Facts, Failure, Heard, Outgoing, Place};
use crate::bus::notice::Notice;
use crate::bus::router::{Fate, Router};
use crate::bus::{Arrived, Measured, NoticeKind};
use crate::model::{
    Actor, Bus, BusId, BusName, BusNotice, BusPolicy, BusStatus, Change, DurableSubscriber, LeaseId, OnexEventId,
    SubscriberId, TopicName, TopicTerms,
};
use crate::registry::command::{Command, Request, TurnBus};
use crate::registry::engine::{Clock, Handle};
use crate::registry::state::State;
use crate::registry::view::Views;
use serde_json::json;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long a bus that stops waits until everybody has taken what waits for it.
const DRAINED_WAIT: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const DRAINED_LOOK: Duration = Duration::from_millis(10);
/// The longest that nothing is looked at: a clock that jumps must not keep notices back.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Running {
    pub(super) id: BusId,
    pub(super) name: BusName,
    pub(super) policy: BusPolicy,
    pub(super) carrier: Arc<dyn Carrier>,
    /// Where programs connect to it, where it listens itself.
    pub(super) endpoints: Option<Endpoints>,
    /// The ports that it listens at.
    leases: Vec<LeaseId>,
    /// What was carried before it began.
    pub(super) behind: Place,
    handle: Handle,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    // Held for one step of the router; nothing waits under it.
    router: Mutex<Router>,
    waking: Waking,
    /// Publishers that wait to hear for how many their event was.
    routed: Mutex<HashMap<OnexEventId, oneshot::Sender<usize>>>,
    /// Told when publishers that wait may look again.
    released: Notify,
    /// Told when there is something to tell the registry.
    noted: Notify,
    tasks: Mutex<Vec<AbortHandle>>,
    /// Nodes that say here that they are there.
    announcements: announcing::Desk,
    /// Those who listen by name.
    seats: Mutex<Seats>,
    /// Whether it has ended, for those who listen by name.
    ended: watch::Sender<bool>,
    /// What the carrier last told of itself.
    facts: Latest,
    /// What waits for a carrier that is away.
    waiting: waiting::Line,
    /// What was found in contracts, where the bus goes by them. Held while the router is told.
    contracts: Option<Mutex<FromContracts>>,
    pub(super) defaults: Arc<Defaults>,
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No step under any of them can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// A bus on a carrier that was opened.
    pub(super) async fn begin(hub: &Hub, bus: &Bus, opened: Opened) -> Result<Arc<Self>, Error> {
        let Opened { carrier, endpoints, leases } = opened;
        let name = bus.terms.name.clone();
        let facts = carrier.facts().await;
        let facts = facts.map_err(|failure| Error::Unreachable { name: name.to_string(), reason: failure.to_string() });
        let facts = facts?;
        let behind = facts.last.unwrap_or_default();
        let state = hub.views.current();
        let seconds = |terms: &TopicTerms| terms.history_seconds.unwrap_or_default();
        let longest = state.topics_of(bus.id).map(|(_, terms)| seconds(terms)).max().unwrap_or_default();
        let age = Duration::from_secs(u64::from(longest.max(bus.terms.policy.history_seconds)));
        let recalled = past::recall(&*carrier, hub.now(), age, behind).await;
        let mut router = Router::new(recalled.before, bus.id, bus.terms.clone(), recalled.behind);
        for (topic, terms) in state.topics_of(bus.id) {
            let defined = router.define(hub.now(), topic, terms);
            let what = "a topic's schema";
            defined.map_err(|unusable| Error::Unusable { what, reason: format!("{topic}: {unusable}") })?;
        }
        let mut contracts = bus.terms.contract_schemas.then(FromContracts::default);
        if let Some(schemas) = contracts.as_mut().and_then(|contracts| contracts.news(&name, &state)) {
            router.declare(schemas);
        }
        let trust_of = |node| state.trust_of(node);
        recalled.events.iter().for_each(|carried| router.remember(hub.now(), carried, trust_of));
        Ok(Arc::new(Running {
            id: bus.id,
            name,
            policy: bus.terms.policy,
            carrier,
            endpoints,
            leases,
            behind,
            handle: hub.handle.clone(),
            views: hub.views.clone(),
            clock: hub.clock.clone(),
            router: Mutex::new(router),
            waking: Waking::default(),
            routed: Mutex::default(),
            released: Notify::new(),
            noted: Notify::new(),
            tasks: Mutex::default(),
            announcements: announcing::Desk::new(hub.announcing.clone()),
            seats: Mutex::default(),
            ended: watch::Sender::new(false),
            facts: Latest::new(facts),
            waiting: waiting::Line::default(),
            contracts: contracts.map(Mutex::new),
            defaults: hub.defaults.clone(),
        }))
    }

    /// Goes by what contracts now demand, where it does so at all.
    pub(super) fn keep_up(&self) {
        let Some(contracts) = &self.contracts else { return };
        let mut contracts = held(contracts);
        // The version is taken under the hold: an earlier one must not come after a later one.
        if let Some(schemas) = contracts.news(&self.name, &self.views.current()) {
            self.router().declare(schemas);
        }
    }

    pub(super) fn router(&self) -> MutexGuard<'_, Router> {
        held(&self.router)
    }

    pub(super) fn seats(&self) -> MutexGuard<'_, Seats> {
        held(&self.seats)
    }

    /// Turns true when it ends.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.views.current()
    }

    /// What the carrier tells of itself; what it last told where it does not soon.
    pub(super) async fn facts(&self) -> Facts {
        self.facts.facts(async || self.carrier.facts().await).await
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn measure(&self) -> Measured {
        self.router().measure(self.clock.now())
    }

    pub(super) fn unreachable(&self, failure: &Failure) -> Error {
        Error::Unreachable { name: self.name.to_string(), reason: failure.to_string() }
    }

    /// Who is woken when this subscriber has something to take.
    pub(super) fn waker(&self, id: SubscriberId) -> Arc<Notify> {
        self.waking.waker(id)
    }

    /// This one takes nothing any more.
    pub(super) fn leave(&self, id: SubscriberId) {
        self.waking.forget(id);
        let left = self.router().detach(id);
        if left.is_some_and(|left| left.released) {
            self.release();
        }
    }

    pub(super) fn release(&self) {
        self.released.notify_waiters();
    }

    /// There is something to tell the registry.
    pub(super) fn look_again(&self) {
        self.noted.notify_one();
    }

    /// Waits until publishers to this topic need not wait.
    pub(super) async fn unblocked(&self, topic: &TopicName) {
        loop {
            let released = self.released.notified();
            if !self.router().must_wait(topic) {
                return;
            }
            released.await;
        }
    }

    /// Has a text carried; where the carrier is away, and the bus has it so, once it is back.
    pub(super) async fn carry(&self, outgoing: Outgoing) -> Result<Place, Failure> {
        if !self.policy.queues_while_away {
            return self.carrier.publish(outgoing).await;
        }
        let mut ended = self.ended();
        tokio::select! {
            carried = self.waiting.carry(&*self.carrier, outgoing, self.policy.queue_capacity) => carried,
            _ = ended.wait_for(|ended| *ended) => Err(Failure::Away("the bus is closed".to_owned())),
        }
    }

    /// Hears for how many subscribers the event of this id was, once it has come back.
    pub(super) fn await_routing(&self, id: OnexEventId) -> oneshot::Receiver<usize> {
        let (tell, told) = oneshot::channel();
        let mut waiting = held(&self.routed);
        // Those who gave up are of no use any more.
        waiting.retain(|_, tell| !tell.is_closed());
        waiting.insert(id, tell);
        told
    }

    /// Brings what is carried to those who want it, until it is closed.
    pub(super) fn follow(self: &Arc<Self>, mut heard: mpsc::Receiver<Heard>) {
        let running = self.clone();
        let task = tokio::spawn(async move {
            loop {
                let due = running.router().due();
                let wait = due.map(|due| Duration::from_micros(due.micros_since(running.clock.now())));
                tokio::select! {
                    next = heard.recv() => match next {
                        Some(heard) => running.hear(heard).await,
                        None => return,
                    },
                    () = running.noted.notified() => {}
                    () = sleep(wait.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)), if due.is_some() => {}
                }
                running.tick().await;
            }
        });
        let running = self.clone();
        let waking = tokio::spawn(async move { running.waking.run().await });
        held(&self.tasks).extend([task.abort_handle(), waking.abort_handle()]);
    }

    async fn hear(self: &Arc<Self>, heard: Heard) {
        match heard {
            Heard::Event(carried) => {
                self.keep_up();
                let state = self.views.current();
                let trust_of = |node| state.trust_of(node);
                let routed = self.router().publish(self.clock.now(), &carried, trust_of);
                if let Fate::Routed(arrived) = &routed.fate
                    && let Some(tell) = held(&self.routed).remove(&arrived.event.id)
                {
                    // Who asked may have given up.
                    let _ = tell.send(routed.matched + self.matched_by_name(arrived));
                }
                if let Fate::Routed(arrived) = &routed.fate {
                    self.announcements.look(self, arrived).await;
                }
                self.waking.soon(routed.wake.iter().chain(&routed.detached).copied());
                if routed.must_wait {
                    // What is carried waits as well: a queue that nobody may lose from has its bound only so.
                    let mut unblocked = pin!(self.unblocked(&carried.topic));
                    while timeout(LOOK_EVERY, unblocked.as_mut()).await.is_err() {
                        self.tick().await;
                    }
                }
            }
            Heard::Missed { lost, behind } => {
                tracing::warn!(
                    bus = self.name.as_str(),
                    lost,
                    behind = behind.0,
                    "events were lost before they were heard"
                );
                self.router().missed(self.clock.now(), lost, behind);
            }
            Heard::Away { reason } => {
                self.turn(BusStatus::Degraded, Some(reason)).await;
            }
            Heard::Back => {
                self.turn(BusStatus::Running, None).await;
            }
        }
    }

    /// How many durable subscribers an event is for, whether they are there or not.
    fn matched_by_name(&self, arrived: &Arrived) -> usize {
        let wants = |subscriber: &DurableSubscriber| {
            durable::wants(&Filter { wanted: subscriber.wanted.clone(), trusted_only: false }, arrived)
        };
        self.views.current().subscribers_of(self.id).filter(|subscriber| wants(subscriber)).count()
    }

    async fn turn(&self, status: BusStatus, reason: Option<String>) {
        let diagnostics = Arc::new(json!({}));
        let turn = TurnBus { bus: self.id, status, reason, leases: self.leases.clone(), diagnostics };
        let command = Command::TurnBus(Box::new(turn));
        let request = Request { command, actor: Actor::registry(), correlation_id: None };
        if let Err(error) = self.handle.submit(request).await {
            tracing::error!(bus = self.name.as_str(), %error, "it could not be said how a bus is");
        }
    }

    /// Tells the registry what there is to tell.
    async fn tick(&self) {
        let notices = self.router().tick(self.clock.now());
        self.tell(notices).await;
    }

    async fn tell(&self, notices: Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        let changes = notices.into_iter().map(|notice| Change::BusNoticed { notice: Box::new(told(notice)) });
        let command = Command::Record(changes.collect());
        let request = Request { command, actor: Actor::registry(), correlation_id: None };
        if let Err(error) = self.handle.submit(request).await {
            tracing::error!(bus = self.name.as_str(), %error, "what a bus tells could not be written down");
        }
    }

    /// Ends: nothing more is taken in, and those who listen have a moment to take what waits.
    pub(super) async fn close(&self) {
        held(&self.tasks).drain(..).for_each(|task| task.abort());
        let (_, notices) = self.router().stop();
        self.ended.send_replace(true);
        self.waking.all();
        self.release();
        let drained = async {
            while self.router().subscriber_count() > 0 {
                sleep(DRAINED_LOOK).await;
            }
        };
        if timeout(DRAINED_WAIT, drained).await.is_err() {
            tracing::warn!(bus = self.name.as_str(), "a bus stopped before everybody had taken what waited");
        }
        self.carrier.close().await;
        self.tell(notices).await;
        let notices = self.router().tick(self.clock.now().plus_seconds(LOOK_EVERY.as_secs() + 1));
        self.tell(notices).await;
    }
}

fn told(notice: Notice) -> BusNotice {
    let kind: NoticeKind = notice.subject.kind;
    BusNotice {
        kind,
        bus: notice.bus,
        topic: notice.subject.topic,
        subscriber: notice.subject.subscriber,
        schema_hash: notice.subject.schema_hash,
        count: notice.count,
        reason: notice.reason,
        first_at: notice.first_at,
        last_at: notice.last_at,
    }
}
