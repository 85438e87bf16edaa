//! Somebody who listens by name, for as long as this is there. What it has not acknowledged comes to its name again,
//! whoever listens then; of several who listen by one name, each event comes to one.
//!
//! A task of its own drives each: it asks the carrier's group for what there is room for, does what the machine says
//! (`bus::durable`), and hears what is acknowledged. So answers are taken and times run out also while a connection is
//! slow.

use super::running::Running;
use super::{Error, Hub};
use crate::bus::durable::{Acknowledging, Durable, Moves, Terms};
use crate::bus::filter::Filter;
use crate::bus::history::Replay;
use crate::bus::kind::{Begin, Delivery, Failure, Group, Place};
use crate::bus::queue::Given;
use crate::bus::router::{End, EndReason};
use crate::model::{BusId, DurableSubscriber, NodeId, SubscriberName, TopicName};
use crate::registry::command::{Command, Request};
use crate::registry::decide::Answer;
use crate::registry::engine;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// How long it is waited until the carrier has an acknowledgement.
const ACKNOWLEDGED_WAIT: Duration = Duration::from_secs(10);
/// The longest that nothing is looked at: a clock that jumps must not keep events back.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many answers may wait for a subscriber's task.
const ASKED_MAX: usize = 1_024;

/// Which topics a subscriber may read.
pub type Shown = Arc<dyn Fn(&TopicName) -> bool + Send + Sync>;

/// How somebody listens by name.
pub struct ListeningByName {
    /// As the registry knows it.
    pub subscriber: Arc<DurableSubscriber>,
    /// Where it begins, the first time.
    pub begin: Replay,
    /// When an event counts as done with.
    pub acknowledging: Acknowledging,
    /// How many events it may have at once, unacknowledged; as the bus has it where it does not say.
    pub open_max: Option<u32>,
    /// The node that it is.
    pub node: Option<NodeId>,
    /// Which topics it may read.
    pub shown: Shown,
}

/// Somebody who listens by name. Dropped, it does no longer.
pub struct Named {
    given: mpsc::UnboundedReceiver<Result<Given, End>>,
    asked: mpsc::Sender<Asked>,
}

impl Named {
    /// The next event; why there is no further one once there is none, as when the name is forgotten.
    pub async fn next(&mut self) -> Result<Given, End> {
        let over = Err(End { reason: EndReason::Stopped, missed: 0 });
        let given = self.given.recv().await.unwrap_or(over)?;
        // A task that has ended has nobody whom it matters to.
        let _ = self.asked.send(Asked::Handed(given.event.place)).await;
        Ok(given)
    }
}

/// What a subscriber's task is told.
enum Asked {
    /// An event was handed over.
    Handed(Place),
    /// Events are done with, or are to come again. Those that are open here are told, once the carrier has heard of
    /// them.
    Answer { places: BTreeSet<Place>, is_done: bool, tell: oneshot::Sender<Result<BTreeSet<Place>, Failure>> },
}

/// Those who listen on one bus by name.
#[derive(Default)]
pub(super) struct Seats(HashMap<SubscriberName, Seated>);

/// Those who listen by one name, and who did since the bus runs.
#[derive(Default)]
struct Seated {
    seats: Vec<mpsc::Sender<Asked>>,
    /// How many events were lost to them.
    lost: u64,
    /// How many of those nobody was told of who is still there: told with what comes to the name next.
    untold: u64,
}

impl Seats {
    fn of(&mut self, name: &SubscriberName) -> Vec<mpsc::Sender<Asked>> {
        let Some(seated) = self.0.get_mut(name) else { return Vec::new() };
        seated.seats.retain(|seat| !seat.is_closed());
        seated.seats.clone()
    }

    fn seated(&mut self, name: &SubscriberName) -> &mut Seated {
        self.0.entry(name.clone()).or_default()
    }
}

impl Hub {
    /// Lets somebody listen by a name that the registry knows.
    pub async fn listen_by_name(&self, listening: ListeningByName) -> Result<Named, Error> {
        let subscriber = &listening.subscriber;
        let running = self.running(subscriber.bus)?;
        let begin = begin(&running, listening.begin).await.map_err(|failure| running.unreachable(&failure))?;
        let group = running.carrier.group(subscriber.name.clone(), begin).await;
        let group = group.map_err(|failure| match failure {
            Failure::Refused(reason) => Error::Unusable { what: "durable", reason },
            failure => running.unreachable(&failure),
        })?;
        let (asked, asks) = mpsc::channel(ASKED_MAX);
        let (out, given) = mpsc::unbounded_channel();
        running.seats().seated(&subscriber.name).seats.push(asked.clone());
        let ended = running.ended();
        tokio::spawn(Desk::new(running, listening, group, out).run(asks, ended));
        Ok(Named { given, asked })
    }

    /// How many listen by this name now.
    pub fn count_by_name(&self, id: BusId, name: &SubscriberName) -> usize {
        self.running(id).map_or(0, |running| running.seats().of(name).len())
    }

    /// How many events were lost to this name since its bus runs.
    pub fn lost_by_name(&self, id: BusId, name: &SubscriberName) -> u64 {
        self.running(id).map_or(0, |running| running.seats().0.get(name).map_or(0, |seated| seated.lost))
    }

    /// Says of events of a durable subscriber that they are done with, or are to come again. Which of them were open:
    /// what is not was acknowledged, or its time was up and it comes again.
    pub async fn acknowledge(
        &self,
        id: BusId,
        name: &SubscriberName,
        mut places: BTreeSet<Place>,
        is_done: bool,
    ) -> Result<BTreeSet<Place>, Error> {
        let running = self.running(id)?;
        let seats = running.seats().of(name);
        let mut open = BTreeSet::new();
        for seat in seats {
            if places.is_empty() {
                break;
            }
            let (tell, told) = oneshot::channel();
            let answered = async {
                // One that has ended has nothing open.
                let sent = seat.send(Asked::Answer { places: places.clone(), is_done, tell }).await;
                if sent.is_ok() { told.await.unwrap_or_else(|_| Ok(BTreeSet::new())) } else { Ok(BTreeSet::new()) }
            };
            let late = || Err(Failure::Away("it did not answer in time".to_owned()));
            let answered = timeout(ACKNOWLEDGED_WAIT, answered).await.unwrap_or_else(|_| late());
            let theirs = answered.map_err(|failure| running.unreachable(&failure))?;
            places.retain(|place| !theirs.contains(place));
            open.extend(theirs);
        }
        Ok(open)
    }

    /// Forgets a durable subscriber, with all that waits for it; those who listen by its name do no longer.
    pub async fn forget(
        &self,
        id: BusId,
        name: &SubscriberName,
        request: impl Fn(Command) -> Request,
    ) -> Result<Arc<DurableSubscriber>, Error> {
        // One that stands still cannot tell what keeps its events.
        let running = self.running(id)?;
        // First: a carrier that is away would keep what waits for whoever takes the name next.
        let forgotten = running.carrier.forget(name.clone()).await;
        forgotten.map_err(|failure| running.unreachable(&failure))?;
        let command = Command::DetachSubscriber { bus: id, name: name.clone() };
        let outcome = self.handle.submit(request(command)).await?;
        match outcome.answer {
            Answer::Subscriber(subscriber) => {
                running.seats().0.remove(name);
                Ok(subscriber)
            }
            _ => Err(engine::Error::Stopped.into()),
        }
    }
}

/// A group that refuses what its own member asks for is none any longer.
fn forgotten(failure: Failure) -> EndReason {
    tracing::debug!(%failure, "a durable subscriber has ended");
    EndReason::Forgotten
}

async fn over(ended: &mut watch::Receiver<bool>) {
    // A bus that is gone has ended, too.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Where a group begins that is new.
async fn begin(running: &Running, replay: Replay) -> Result<Begin, Failure> {
    Ok(match replay {
        Replay::None => Begin::Now,
        Replay::Behind(place) => Begin::Behind(place),
        Replay::Since(instant) => Begin::Behind(running.carrier.place_at(instant).await?),
        Replay::All => Begin::Behind(Place(0)),
        Replay::Last(_) => {
            let reason = "a durable subscriber begins at a place, at an instant or with all, and not with the last so \
                          many: leave replay.last out"
                .to_owned();
            return Err(Failure::Refused(reason));
        }
    })
}

/// One seat: its group, its machine, and what the carrier has still to hear.
struct Desk {
    running: Arc<Running>,
    subscriber: Arc<DurableSubscriber>,
    node: Option<NodeId>,
    shown: Shown,
    group: Box<dyn Group>,
    machine: Durable,
    out: mpsc::UnboundedSender<Result<Given, End>>,
    /// How many events were lost before the next one.
    lost: u64,
    /// Losses that were told with an event that has not been handed over.
    told: Vec<(Place, u64)>,
    /// Acknowledged, and the carrier has not heard of it.
    done: Vec<Place>,
    /// To come again, and the carrier has not heard of it.
    again: Vec<(Place, Duration)>,
}

impl Desk {
    fn new(
        running: Arc<Running>,
        listening: ListeningByName,
        group: Box<dyn Group>,
        out: mpsc::UnboundedSender<Result<Given, End>>,
    ) -> Self {
        let ListeningByName { subscriber, acknowledging, open_max, node, shown, .. } = listening;
        let filter = Filter { wanted: subscriber.wanted.clone(), trusted_only: false };
        let mut terms = Terms::of(&running.policy, subscriber.name.clone(), filter);
        terms.acknowledging = acknowledging;
        if let Some(open_max) = open_max {
            terms.open_max = open_max.max(1) as usize;
        }
        let machine = Durable::new(terms);
        let (told, done, again) = (Vec::new(), Vec::new(), Vec::new());
        let lost = std::mem::take(&mut running.seats().seated(&subscriber.name).untold);
        Desk { running, subscriber, node, shown, group, machine, out, lost, told, done, again }
    }

    async fn run(mut self, mut asks: mpsc::Receiver<Asked>, mut ended: watch::Receiver<bool>) {
        loop {
            let due = self.machine.due().map(|due| due.micros_since(self.running.clock().now()));
            let wait = due.map_or(LOOK_EVERY, Duration::from_micros).min(LOOK_EVERY);
            let turn = tokio::select! {
                () = self.out.closed() => Err(EndReason::Stopped),
                () = over(&mut ended) => Err(EndReason::Stopped),
                asked = asks.recv() => match asked {
                    Some(asked) => self.hear(asked).await,
                    None => Err(EndReason::Stopped),
                },
                delivery = self.group.next(), if self.machine.has_room() => self.take(delivery).await,
                () = sleep(wait) => self.look().await,
            };
            if let Err(reason) = turn {
                // A bus that is deleted forgets its names, too.
                return self.leave(if *ended.borrow() { EndReason::Stopped } else { reason });
            }
        }
    }

    /// What it lost is told with the end; where nobody is there to hear it, with what comes to the name next.
    fn leave(self, reason: EndReason) {
        let end = End { reason, missed: self.lost };
        if self.out.send(Err(end)).is_err() && reason != EndReason::Forgotten {
            let told: u64 = self.told.iter().map(|(_, lost)| lost).sum();
            self.running.seats().seated(&self.subscriber.name).untold += self.lost + told;
        }
    }

    async fn hear(&mut self, asked: Asked) -> Result<(), EndReason> {
        let now = self.running.clock().now();
        match asked {
            Asked::Handed(place) => {
                self.told.retain(|(with, _)| *with != place);
                let moves = self.machine.handed(now, place);
                self.make(moves).await.map_err(forgotten)
            }
            Asked::Answer { places, is_done, tell } => {
                let (mut open, mut all) = (BTreeSet::new(), Moves::default());
                for place in places {
                    let said = if is_done { self.machine.acknowledged(place) } else { self.machine.refused(place) };
                    if let Ok(moves) = said {
                        open.insert(place);
                        all.extend(moves);
                    }
                }
                let answer = self.make(all).await;
                let turn = answer.clone().map_err(forgotten);
                let mut unheard = self.done.iter().chain(self.again.iter().map(|(place, _)| place));
                let answer = match answer {
                    Ok(()) if unheard.any(|place| open.contains(place)) => {
                        Err(Failure::Away("it is told as soon as the carrier is back".to_owned()))
                    }
                    answer => answer,
                };
                // Who asked may have given up.
                let _ = tell.send(answer.map(|()| open));
                turn
            }
        }
    }

    async fn take(&mut self, delivery: Result<Delivery, Failure>) -> Result<(), EndReason> {
        let now = self.running.clock().now();
        match delivery {
            Ok(Delivery { carried, number }) => {
                let state = self.running.state();
                let trust_of = |node| state.trust_of(node);
                let read = self.running.router().read(&carried, trust_of);
                let moves = match read {
                    Ok(arrived) if (self.shown)(&arrived.topic) => self.machine.delivered(Arc::new(arrived), number),
                    _ => Moves { acknowledge: vec![carried.place], ..Moves::default() },
                };
                self.make(moves).await.map_err(forgotten)
            }
            Err(Failure::Missed { lost, oldest }) => {
                self.lost += lost;
                self.running.seats().seated(&self.subscriber.name).lost += lost;
                self.running.router().lost(now, self.subscriber.id, lost, oldest);
                self.running.look_again();
                Ok(())
            }
            Err(Failure::Away(reason)) => {
                tracing::debug!(bus = self.running.name.as_str(), subscriber = %self.subscriber.name, reason, "away");
                sleep(LOOK_EVERY).await;
                Ok(())
            }
            // A group goes on by itself: nothing that it asks for is gone.
            Err(failure @ (Failure::Refused(_) | Failure::Gone { .. })) => Err(forgotten(failure)),
        }
    }

    async fn look(&mut self) -> Result<(), EndReason> {
        self.lost += std::mem::take(&mut self.running.seats().seated(&self.subscriber.name).untold);
        let moves = self.machine.tick(self.running.clock().now());
        self.make(moves).await.map_err(forgotten)
    }

    /// Does what the machine says. Fails where there is no such group any longer; what an absent carrier has not heard
    /// is told it again.
    async fn make(&mut self, moves: Moves) -> Result<(), Failure> {
        let mut to_do = vec![moves];
        while let Some(Moves { give, bury, retry, acknowledge, tell }) = to_do.pop() {
            let now = self.running.clock().now();
            for mut given in give {
                given.missed = std::mem::take(&mut self.lost);
                if given.missed > 0 {
                    self.told.push((given.event.place, given.missed));
                }
                self.running.router().delivered(now, &given.event, given.redelivery, self.node);
                // One who has left is found out by the loop, and its events come again.
                let _ = self.out.send(Ok(given));
            }
            for told in &tell {
                self.running.router().tell(now, self.subscriber.id, told);
                self.running.look_again();
            }
            for (place, letter) in bury {
                let buried = self.running.carrier.publish(letter).await;
                to_do.push(match buried {
                    Ok(_) => self.machine.buried(place),
                    Err(_) => self.machine.not_buried(place),
                });
            }
            self.again.extend(retry);
            self.done.extend(acknowledge);
        }
        self.settle().await
    }

    /// Tells the carrier what it has not heard yet.
    async fn settle(&mut self) -> Result<(), Failure> {
        while let Some((place, after)) = self.again.last().copied() {
            match self.group.retry(place, after).await {
                Ok(()) => self.again.pop(),
                Err(refused @ Failure::Refused(_)) => return Err(refused),
                Err(_) => return Ok(()),
            };
        }
        if self.done.is_empty() {
            return Ok(());
        }
        match self.group.acknowledge(&self.done).await {
            Ok(()) => self.done.clear(),
            Err(refused @ Failure::Refused(_)) => return Err(refused),
            Err(_) => {}
        }
        Ok(())
    }
}
