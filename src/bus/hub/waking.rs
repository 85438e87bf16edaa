//! Waking those who listen, when there is something for them to take.
//!
//! A task of its own does it, in rounds: nobody is woken again before everybody had its turn. What comes meanwhile then
//! waits in the subscribers' queues, and is taken, written and sent together. Were each woken by the event itself, a
//! thousand who listen would be sent each event alone, and publishers would wait for their answers behind them.

use super::running::held;
use crate::model::SubscriberId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::Instant;

/// How many are woken together. The more, the later a publisher has its turn: measured with `benches/bus_fanout`.
const TOGETHER: usize = 2;
/// After how long whoever is left is woken at once.
const ROUND_MAX: Duration = Duration::from_millis(100);

/// Who is woken how, and whose turn it is.
#[derive(Default)]
pub(super) struct Waking {
    // Both held for a look-up or an append; nothing waits under them.
    wakers: Mutex<HashMap<SubscriberId, Arc<Notify>>>,
    due: Mutex<Vec<SubscriberId>>,
    /// Told when somebody is due.
    some: Notify,
}

impl Waking {
    /// Who is woken when this subscriber has something to take.
    pub(super) fn waker(&self, id: SubscriberId) -> Arc<Notify> {
        held(&self.wakers).entry(id).or_default().clone()
    }

    /// This one takes nothing any more.
    pub(super) fn forget(&self, id: SubscriberId) {
        held(&self.wakers).remove(&id);
    }

    /// These have something to take.
    pub(super) fn soon(&self, ids: impl IntoIterator<Item = SubscriberId>) {
        held(&self.due).extend(ids);
        self.some.notify_one();
    }

    /// Wakes everybody, now.
    pub(super) fn all(&self) {
        held(&self.wakers).values().for_each(|waker| waker.notify_one());
    }

    /// Wakes whoever is due, round by round, for ever.
    pub(super) async fn run(&self) {
        loop {
            self.some.notified().await;
            let due = std::mem::take(&mut *held(&self.due));
            let [first, others @ ..] = &due[..] else { continue };
            // The first is let go ahead: what it has written of an event, all find there who ask the same.
            self.notify(&[*first]);
            if others.is_empty() {
                continue;
            }
            yield_now().await;
            // Few at a time: publishers, whose tasks wait among theirs, have their turn in between, so that there is more
            // for everybody in the next round. Where other work takes all the time, nobody waits for such turns long.
            let until = Instant::now() + ROUND_MAX;
            let mut left = others;
            while let Some((some, rest)) = left.split_at_checked(TOGETHER).filter(|_| Instant::now() < until) {
                self.notify(some);
                left = rest;
                yield_now().await;
            }
            self.notify(left);
        }
    }

    fn notify(&self, ids: &[SubscriberId]) {
        let wakers = held(&self.wakers);
        ids.iter().filter_map(|id| wakers.get(id)).for_each(|waker| waker.notify_one());
    }
}
