//! One that listens for a durable group.

use super::{Shared, UNHEARD_MAX, away, closed};
use crate::bus::kind::back_off;
use crate::bus::kind::{Delivery, Failure, Group, Place};
use crate::model::SubscriberName;
use async_nats::jetstream::consumer::pull::Stream;
use async_nats::jetstream::consumer::{PullConsumer, StreamError};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::stream::InfoError;
use async_nats::jetstream::{AckKind, Message};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// For how long one question for an event stands.
const ASKED_FOR: Duration = Duration::from_secs(30);
/// How often the server says that it still has the question.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// What a member has and has not acknowledged.
#[derive(Default)]
pub(super) struct Held {
    // Held for one look-up or change; nothing waits under it.
    events: Mutex<BTreeMap<Place, Arc<Acker>>>,
}

impl Held {
    fn events(&self) -> MutexGuard<'_, BTreeMap<Place, Arc<Acker>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, place: Place) -> Option<(Place, Arc<Acker>)> {
        self.events().get(&place).map(|acker| (place, acker.clone()))
    }

    /// Says of these what is to be done with them, and waits until the server has it. One that comes again meanwhile
    /// stays.
    async fn say(&self, of: Vec<(Place, Arc<Acker>)>, what: AckKind) -> Result<(), Failure> {
        let said = join_all(of.into_iter().map(async |(place, acker)| {
            acker.double_ack_with(what).await.map_err(away)?;
            let mut events = self.events();
            if events.get(&place).is_some_and(|latest| Arc::ptr_eq(latest, &acker)) {
                events.remove(&place);
            }
            Ok(())
        }));
        said.await.into_iter().collect()
    }

    /// Has all of it come again.
    pub(super) async fn give_back(&self) {
        let all = self.events().iter().map(|(place, acker)| (*place, acker.clone())).collect();
        // A server that is away finds out by itself.
        let _ = self.say(all, AckKind::Nak(None)).await;
    }

    /// Vouches for what is held, for ever.
    async fn vouch(&self) {
        loop {
            tokio::time::sleep(UNHEARD_MAX / 3).await;
            let all: Vec<Arc<Acker>> = self.events().values().cloned().collect();
            for acker in all {
                let _ = acker.ack_with(AckKind::Progress).await;
            }
        }
    }
}

/// One that listens for a durable group.
pub(super) struct Member {
    shared: Arc<Shared>,
    name: SubscriberName,
    consumer: PullConsumer,
    /// Kept over waits that are given up: what the server sends meanwhile is found here.
    messages: Option<Stream>,
    held: Arc<Held>,
    vouching: AbortHandle,
    forgotten: watch::Receiver<()>,
    runtime: Handle,
    attempt: u32,
    /// What came, and how far the group was before it: kept over waits that are given up, too.
    came: Option<(Delivery, Place)>,
    /// The question for the oldest event that the stream keeps; kept as well.
    looking: Option<BoxFuture<'static, Result<u64, InfoError>>>,
}

impl Member {
    pub(super) fn new(shared: Arc<Shared>, name: SubscriberName, consumer: PullConsumer) -> Self {
        let held = Arc::new(Held::default());
        shared.register(&held);
        let vouching = tokio::spawn({
            let held = held.clone();
            async move { held.vouch().await }
        });
        let forgotten = shared.forgotten.subscribe();
        // A group that is known is as far as it was seen here, or farther where others listen for it, too.
        let reached = Place(consumer.cached_info().delivered.stream_sequence);
        let mut known = shared.reached();
        let here = known.entry(name.clone()).or_default();
        here.upto = here.untold.take().unwrap_or(reached.max(here.upto));
        drop(known);
        Member {
            shared,
            forgotten,
            name,
            consumer,
            messages: None,
            held,
            vouching: vouching.abort_handle(),
            runtime: Handle::current(),
            attempt: 0,
            came: None,
            looking: None,
        }
    }

    async fn wait(&mut self) -> Result<Delivery, Failure> {
        let mut closing = self.shared.closed.subscribe();
        loop {
            let mut forgotten = self.forgotten.clone();
            let came = tokio::select! {
                biased;
                () = async { drop(closing.wait_for(|closed| *closed).await) } => return Err(closed()),
                _ = forgotten.changed() => {
                    self.forgotten = forgotten;
                    self.check().await?;
                    None
                }
                came = self.step() => came?,
            };
            if let Some(delivery) = came {
                self.attempt = 0;
                return Ok(delivery);
            }
        }
    }

    /// The next event; `None` where there was something else, and it is to be tried again.
    async fn step(&mut self) -> Result<Option<Delivery>, Failure> {
        if self.came.is_some() {
            return self.hand_over().await;
        }
        let messages = match &mut self.messages {
            Some(messages) => messages,
            none => match ask(&self.consumer).await {
                Ok(messages) => none.insert(messages),
                Err(error) => return self.look_into(&error.to_string()).await,
            },
        };
        match messages.next().await {
            Some(Ok(message)) => self.take(message).await,
            Some(Err(error)) => self.look_into(&error.to_string()).await,
            None => self.look_into("no more is sent").await,
        }
    }

    async fn take(&mut self, message: Message) -> Result<Option<Delivery>, Failure> {
        let Some((carried, number)) = self.shared.subjects.read(&message) else {
            // On no topic: nobody will ever want it.
            message.ack_with(AckKind::Term).await.map_err(away)?;
            return Ok(None);
        };
        let number = self.shared.given().entry(self.name.clone()).or_default().number(carried.place, number);
        let (_, acker) = message.split();
        let place = carried.place;
        self.held.events().insert(place, Arc::new(acker));
        let before = match self.shared.reached().get_mut(&self.name) {
            Some(reached) => {
                let before = reached.upto;
                reached.upto = place.max(before);
                before
            }
            // The group has just been forgotten.
            None => place,
        };
        self.came = Some((Delivery { carried, number }, before));
        self.hand_over().await
    }

    /// The event that came; first, once, what the stream's bounds took before it.
    async fn hand_over(&mut self) -> Result<Option<Delivery>, Failure> {
        if let Some((delivery, reached)) = &self.came
            && delivery.carried.place.0 > reached.0 + 1
        {
            // Others may have got what lies between, or it was deleted one by one: then older events are kept.
            let looking = self.looking.get_or_insert_with(|| {
                let shared = self.shared.clone();
                async move { shared.stream.get_info().await.map(|info| info.state.first_sequence) }.boxed()
            });
            let looked = looking.await;
            self.looking = None;
            let first = match looked {
                Ok(first) => first,
                Err(error) => return self.look_into(&error.to_string()).await,
            };
            let place = delivery.carried.place;
            let lost = first.min(place.0).saturating_sub(reached.0 + 1);
            self.came = self.came.take().map(|(delivery, _)| (delivery, place));
            if lost > 0 {
                return Err(Failure::Missed { lost, oldest: Place(first) });
            }
        }
        Ok(self.came.take().map(|(delivery, _)| delivery))
    }

    /// Something is wrong: with the group, which is told, or with the server, which is waited for.
    async fn look_into(&mut self, reason: &str) -> Result<Option<Delivery>, Failure> {
        self.messages = None;
        self.check().await?;
        tracing::debug!(group = %self.name, reason, "a durable group waits for its server");
        tokio::time::sleep(back_off(self.attempt)).await;
        self.attempt = self.attempt.saturating_add(1);
        Ok(None)
    }
}

impl Member {
    /// Fails where the group is no longer there.
    async fn check(&mut self) -> Result<(), Failure> {
        match self.consumer.get_info().await {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                ConsumerInfoErrorKind::NotFound => {
                    Err(Failure::Refused(format!("there is no durable group {}", self.name)))
                }
                // A server that is away.
                _ => Ok(()),
            },
        }
    }
}

async fn ask(consumer: &PullConsumer) -> Result<Stream, StreamError> {
    consumer.stream().max_messages_per_batch(1).expires(ASKED_FOR).heartbeat(HEARTBEAT).messages().await
}

impl Group for Member {
    fn next(&mut self) -> BoxFuture<'_, Result<Delivery, Failure>> {
        Box::pin(self.wait())
    }

    fn acknowledge<'a>(&'a mut self, places: &'a [Place]) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let theirs: Vec<_> = places.iter().filter_map(|place| self.held.get(*place)).collect();
            if !theirs.is_empty() {
                self.shared.check()?;
            }
            self.shared.unless_broken(self.held.say(theirs, AckKind::Ack)).await
        }
        .boxed()
    }

    fn retry(&mut self, place: Place, after: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        async move {
            let Some(held) = self.held.get(place) else { return Ok(()) };
            self.shared.check()?;
            let again = AckKind::Nak(Some(after).filter(|after| !after.is_zero()));
            self.shared.unless_broken(self.held.say(vec![held], again)).await
        }
        .boxed()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.vouching.abort();
        // What was lost before an event that nobody took is told to who listens next.
        if let Some((delivery, before)) = self.came.take()
            && delivery.carried.place.0 > before.0 + 1
            && let Some(reached) = self.shared.reached().get_mut(&self.name)
        {
            reached.untold = Some(before);
        }
        // Closing gives everything back itself, and waits for what is under way here.
        let Ok(under_way) = self.shared.giving_back.clone().try_read_owned() else { return };
        let held = self.held.clone();
        self.runtime.spawn(async move {
            held.give_back().await;
            drop(under_way);
        });
    }
}
