//! What the carrier of a bus last told of itself.

use crate::bus::kind::{Facts, Failure};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a carrier may take to tell; then what it last told stands.
const WAIT: Duration = Duration::from_secs(2);

/// What a carrier last told.
pub(super) struct Latest {
    /// Counts those who ask, and the questions that are put to the carrier, in one order.
    turn: AtomicU64,
    /// When the last question was put, and what is known since. Held while a question is out, so that who asks meanwhile
    /// waits for it.
    known: Mutex<(u64, Facts)>,
}

impl Latest {
    pub(super) fn new(facts: Facts) -> Self {
        Latest { turn: AtomicU64::new(0), known: Mutex::new((0, facts)) }
    }

    /// As it is now, where the carrier tells soon. Of many who want it at once, each gets what was found out after it
    /// had asked, by few questions to the carrier.
    pub(super) async fn facts(&self, ask: impl AsyncFnOnce() -> Result<Facts, Failure>) -> Facts {
        let asked = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut known = self.known.lock().await;
        if known.0 <= asked {
            known.0 = self.turn.fetch_add(1, Ordering::Relaxed);
            if let Ok(Ok(facts)) = timeout(WAIT, ask()).await {
                known.1 = facts;
            }
        }
        known.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::cell::Cell;

    #[tokio::test]
    async fn many_who_ask_at_once_are_answered_by_two_questions_and_who_asks_later_by_another() {
        let (latest, questions) = (Latest::new(Facts::default()), Cell::new(0));
        let ask = async || {
            questions.set(questions.get() + 1);
            tokio::task::yield_now().await;
            Ok(Facts { events: questions.get(), ..Facts::default() })
        };
        let all = join_all((0..20).map(|_| latest.facts(ask))).await;
        assert_eq!((questions.get(), all[0].events), (2, 1));
        assert!(all[1..].iter().all(|facts| facts.events == 2), "told what was known before they asked");
        assert_eq!(latest.facts(ask).await.events, 3);
    }

    #[tokio::test]
    async fn a_carrier_that_does_not_tell_leaves_what_it_last_told() {
        let latest = Latest::new(Facts { events: 7, ..Facts::default() });
        assert_eq!(latest.facts(async || Err(Failure::Away("it is away".to_owned()))).await.events, 7);
    }
}
