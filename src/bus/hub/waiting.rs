//! What is published while a carrier is away, on buses that have it wait: in the order in which it came, until the
//! carrier is back or the publisher has waited long enough.

use crate::bus::kind::{Carrier, Failure, Outgoing, Place};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a publisher waits at most.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often the one at the front tries again.
const TRIED_EVERY: Duration = Duration::from_millis(100);

/// Those who wait, one behind the other.
#[derive(Debug)]
pub(super) struct Line {
    wait_max: Duration,
    length: AtomicU32,
    // Fair: who came first has it first.
    front: Mutex<()>,
}

impl Default for Line {
    fn default() -> Self {
        Line { wait_max: WAIT_MAX, length: AtomicU32::new(0), front: Mutex::default() }
    }
}

/// A place in the line.
struct Standing<'a>(&'a AtomicU32);

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Line {
    /// Has a text carried, behind what waits already; so many wait at most.
    ///
    /// Where the carrier went in the middle of it, it may have been carried before it is again: kinds that look at ids
    /// take that for one event.
    pub(super) async fn carry(&self, carrier: &dyn Carrier, outgoing: Outgoing, most: u32) -> Result<Place, Failure> {
        if self.length.load(Ordering::Relaxed) == 0 {
            match carrier.publish(outgoing.clone()).await {
                Err(Failure::Away(_)) => {}
                carried => return carried,
            }
        }
        let before = self.length.fetch_add(1, Ordering::Relaxed);
        let _standing = Standing(&self.length);
        if before >= most {
            return Err(Failure::Away(format!("{before} events wait for it already, and that is the most")));
        }
        let until = Instant::now() + self.wait_max;
        let gone = |reason: &str| Failure::Away(format!("{reason}, for {} seconds", self.wait_max.as_secs()));
        let Ok(_front) = timeout_at(until, self.front.lock()).await else {
            return Err(gone("others waited for it before"));
        };
        loop {
            match carrier.publish(outgoing.clone()).await {
                Err(Failure::Away(reason)) if Instant::now() + TRIED_EVERY > until => return Err(gone(&reason)),
                Err(Failure::Away(_)) => sleep(TRIED_EVERY).await,
                carried => return carried,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kind::{Begin, Carried, Facts, Group};
    use crate::model::{SubscriberName, Time, TopicName};
    use bytes::Bytes;
    use futures_util::future::{BoxFuture, join_all, ready};
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::AtomicBool;
    use uuid::Uuid;

    /// One that is away until it is back, and remembers in which order it was given what.
    #[derive(Default)]
    struct Coming {
        is_back: AtomicBool,
        carried: StdMutex<Vec<u128>>,
    }

    impl Carrier for Coming {
        fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Place, Failure>> {
            Box::pin(ready(if self.is_back.load(Ordering::Relaxed) {
                let mut carried = self.carried.lock().unwrap();
                carried.push(outgoing.id.as_u128());
                Ok(Place(carried.len() as u64))
            } else {
                Err(Failure::Away("it is away".to_owned()))
            }))
        }

        fn read(&self, _: Place, _: usize) -> BoxFuture<'_, Result<Vec<Carried>, Failure>> {
            unimplemented!("nothing is read")
        }

        fn place_at(&self, _: Time) -> BoxFuture<'_, Result<Place, Failure>> {
            unimplemented!("nothing is read")
        }

        fn group(&self, _: SubscriberName, _: Begin) -> BoxFuture<'_, Result<Box<dyn Group>, Failure>> {
            unimplemented!("nobody listens")
        }

        fn forget(&self, _: SubscriberName) -> BoxFuture<'_, Result<(), Failure>> {
            unimplemented!("nobody listens")
        }

        fn facts(&self) -> BoxFuture<'_, Result<Facts, Failure>> {
            unimplemented!("nothing is asked")
        }

        fn close(&self) -> BoxFuture<'_, ()> {
            Box::pin(ready(()))
        }
    }

    fn outgoing(number: u128) -> Outgoing {
        let (topic, text) = (TopicName::try_new("t").unwrap(), Bytes::from_static(b"{}"));
        Outgoing { topic, text, id: Uuid::from_u128(number), traceparent: None }
    }

    #[tokio::test]
    async fn what_waits_is_carried_in_its_order_once_the_carrier_is_back() {
        let (line, carrier) = (Line::default(), Coming::default());
        let publishing = join_all((0..20).map(|number| line.carry(&carrier, outgoing(number), 100)));
        let coming = async {
            sleep(TRIED_EVERY).await;
            carrier.is_back.store(true, Ordering::Relaxed);
        };
        let (carried, ()) = tokio::join!(publishing, coming);
        assert!(carried.iter().all(Result::is_ok), "{carried:?}");
        assert_eq!(*carrier.carried.lock().unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(line.length.load(Ordering::Relaxed), 0);
        assert_eq!(line.carry(&carrier, outgoing(20), 1).await, Ok(Place(21)));
    }

    #[tokio::test]
    async fn so_many_wait_and_no_longer_than_is_said() {
        let line = Line { wait_max: 3 * TRIED_EVERY, ..Line::default() };
        let carrier = Coming::default();
        let refused = join_all((0..4).map(|number| line.carry(&carrier, outgoing(number), 3))).await;
        let reasons: Vec<String> = refused.into_iter().map(|refused| refused.unwrap_err().to_string()).collect();
        assert_eq!(reasons.iter().filter(|reason| reason.contains("that is the most")).count(), 1, "{reasons:?}");
        assert_eq!(line.length.load(Ordering::Relaxed), 0);
    }
}
