//! What went before: into memory when a bus begins, and, where memory does not reach back far enough, to a subscriber
//! straight from the carrier until it is where memory goes on.

use super::listening::Listening;
use super::running::Running;
use super::{Error, Hub};
use crate::bus::filter::Filter;
use crate::bus::history::{Gone, Replay};
use crate::bus::kind::{Carried, Carrier, Failure, Place};
use crate::bus::queue::Given;
use crate::bus::router::{Attaching, End, EndReason, Refused};
use crate::model::{BusId, Time};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How many events are read at once.
const READ_AT_ONCE: usize = 1_000;
/// How long a bus that begins may take to read what went before: what takes longer is read when somebody asks for it.
const RECALLED_WAIT: Duration = Duration::from_secs(5);

/// What is known of the past when a bus begins.
pub(super) struct Recalled {
    /// What lies before is not known, up to here...
    pub(super) behind: Place,
    /// ...and is from before this instant.
    pub(super) before: Time,
    /// What lies behind, in order.
    pub(super) events: Vec<Carried>,
}

/// Reads what was carried in this time before now, where the carrier can tell it soon.
pub(super) async fn recall(carrier: &dyn Carrier, now: Time, age: Duration, last: Place) -> Recalled {
    let read = timeout(RECALLED_WAIT, read_back(carrier, now, age)).await;
    let unknown = || Recalled { behind: last, before: now, events: Vec::new() };
    read.unwrap_or_else(|_| Err(Failure::Away("it took too long".to_owned()))).unwrap_or_else(|_| unknown())
}

async fn read_back(carrier: &dyn Carrier, now: Time, age: Duration) -> Result<Recalled, Failure> {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let since = Time::from_micros(now.as_micros().saturating_sub(micros));
    let mut recalled = Recalled { behind: carrier.place_at(since).await?, before: since, events: Vec::new() };
    // Place 0 is all that is kept, which may lack something: whether it does shows one place further.
    if let Err(failure) = carrier.read(recalled.behind.max(Place(1)), 1).await {
        let Failure::Gone { oldest } = failure else { return Err(failure) };
        recalled.behind = Place(oldest.0.saturating_sub(1));
        // What is gone was carried before what is left.
        let first = carrier.read(recalled.behind, 1).await?.pop();
        recalled.before = first.map_or(now, |first| first.at);
    }
    let mut at = recalled.behind;
    loop {
        let page = carrier.read(at, READ_AT_ONCE).await?;
        let is_last = page.len() < READ_AT_ONCE;
        at = page.last().map_or(at, |carried| carried.place);
        recalled.events.extend(page);
        if is_last {
            return Ok(recalled);
        }
    }
}

/// Somebody who listens, from the past on.
pub struct FromPast {
    running: Arc<Running>,
    /// Who it is, while it reads from the carrier.
    attaching: Option<Attaching>,
    /// How far it has read.
    read: Place,
    page: VecDeque<Carried>,
    live: Option<Listening>,
}

impl Hub {
    /// Whether memory has what of the past somebody asks for: then [`Hub::listen`] is enough.
    pub fn covers(&self, id: BusId, attaching: &Attaching) -> Result<bool, Error> {
        let running = self.running(id)?;
        Ok(match attaching.replay {
            // What the carrier has besides, only the carrier knows.
            Replay::All => false,
            replay => running.router().covers(running.clock().now(), replay, &attaching.wanted).is_ok(),
        })
    }

    /// Lets somebody listen, with what of the past it asks for, read from the carrier; fails where some of that is no
    /// longer kept there.
    pub async fn listen_from_past(&self, id: BusId, attaching: Attaching) -> Result<FromPast, Error> {
        let running = self.running(id)?;
        let begun = async {
            let from = match attaching.replay {
                Replay::Behind(place) => place,
                Replay::Since(instant) => running.carrier.place_at(instant).await?,
                Replay::None | Replay::Last(_) | Replay::All => Place(0),
            };
            Ok((from, running.carrier.read(from, READ_AT_ONCE).await?))
        };
        match begun.await {
            Ok((from, page)) => {
                let read = page.last().map_or(from, |carried| carried.place);
                Ok(FromPast { running, attaching: Some(attaching), read, page: page.into(), live: None })
            }
            Err(Failure::Gone { oldest }) => {
                // Memory does not have it either, and tells so.
                Listening::try_new(running, attaching).map(|_| ()).and(Ok(())).or_else(|error| match error {
                    Error::NotAttached(Refused::Gone(_)) => Ok(()),
                    error => Err(error),
                })?;
                Err(Error::NotAttached(Refused::Gone(Gone { oldest: Some(oldest) })))
            }
            Err(failure) => Err(running.unreachable(&failure)),
        }
    }
}

impl FromPast {
    /// The next event; why there is no further one once there is none.
    pub async fn next(&mut self) -> Result<Given, Failed> {
        loop {
            if let Some(live) = &mut self.live {
                return live.next().await.map_err(Failed::Ended);
            }
            while let Some(carried) = self.page.pop_front() {
                if let Some(given) = self.given(&carried) {
                    return Ok(given);
                }
            }
            self.go_on().await?;
        }
    }

    /// Reads on, or joins those who are live where memory reaches back to here.
    async fn go_on(&mut self) -> Result<(), Failed> {
        let over = || Failed::Ended(End { reason: EndReason::Stopped, missed: 0 });
        let Some(attaching) = &mut self.attaching else { return Err(over()) };
        attaching.replay = Replay::Behind(self.read);
        let now = self.running.clock().now();
        let covered = self.running.router().covers(now, attaching.replay, &attaching.wanted).is_ok();
        if covered && let Some(attaching) = self.attaching.take() {
            let live = Listening::try_new(self.running.clone(), attaching);
            self.live = Some(live.map_err(Failed::NotJoined)?);
            return Ok(());
        }
        let page = self.running.carrier.read(self.read, READ_AT_ONCE).await;
        let page = page.map_err(|failure| match failure {
            Failure::Gone { oldest } => {
                Failed::NotJoined(Error::NotAttached(Refused::Gone(Gone { oldest: Some(oldest) })))
            }
            failure => Failed::NotJoined(self.running.unreachable(&failure)),
        })?;
        self.read = page.last().map_or(self.read, |carried| carried.place);
        self.page = page.into();
        Ok(())
    }

    fn given(&self, carried: &Carried) -> Option<Given> {
        let attaching = self.attaching.as_ref()?;
        let state = self.running.state();
        let trust_of = |node| state.trust_of(node);
        let arrived = self.running.router().read(carried, trust_of).ok()?;
        let is_wanted = match attaching.replay {
            Replay::Since(instant) => arrived.at >= instant,
            _ => true,
        };
        let filter = Filter { wanted: attaching.wanted.clone(), trusted_only: attaching.trusted_only };
        (is_wanted && filter.wants(&arrived)).then(|| Given { event: Arc::new(arrived), missed: 0, redelivery: 0 })
    }
}

/// Why there is no further event.
pub enum Failed {
    /// It is over.
    Ended(End),
    /// What comes next could not be had.
    NotJoined(Error),
}
