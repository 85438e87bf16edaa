//! One that listens on a bus: in a queue of its own, and with answers that all who ask the same share.

use super::super::Caller;
use super::super::answer::Answer;
use super::super::documents::panicked;
use super::super::subscription::listener::{Listener, Part};
use super::written::Written;
use super::{Key, Runnable, Shared};
use crate::bus::hub::Failed;
use futures_util::future::Either;
use futures_util::stream::{self, Stream, StreamExt};
use std::sync::{Arc, Mutex, PoisonError};

/// The answers of a subscription to a bus.
pub(super) fn answers(
    shared: Arc<Shared>,
    key: Key,
    asked: Runnable,
    caller: &Caller,
) -> impl Stream<Item = Answer> + Send + use<> {
    let place = Arc::new(Mutex::new(None));
    // Its arguments are read and its rights are asked as always; what it replays is looked for elsewhere than in the
    // task of a connection.
    let mut alone = shared.alone(&asked, caller, None, Some(Part::Listen(place.clone())));
    let begun = async move {
        // One that listens answers nothing here. Who was refused, or shares nothing, as those who listen by name and
        // those whose past is read from the carrier, is not handed over, and has its answers from here.
        let first = alone.next().await;
        let listener = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (first, listener) {
            (None, Some(listener)) => Either::Left(Member::answers(shared, key, asked, listener)),
            (first, _) => Either::Right(stream::iter(first).chain(alone)),
        }
    };
    stream::once(begun).flatten()
}

/// One of those who share what is written, each with a listener of its own.
struct Member {
    shared: Arc<Shared>,
    written: Arc<Written>,
    seat: usize,
    listener: Listener,
    /// Everything was said.
    over: bool,
}

impl Member {
    fn answers(
        shared: Arc<Shared>,
        key: Key,
        asked: Runnable,
        listener: Listener,
    ) -> impl Stream<Item = Answer> + Send + use<> {
        let (written, seat) = shared.join(key, asked, listener.caller());
        // Boxed: it is moved from hand to hand with each answer.
        let member = Box::new(Member { shared, written, seat, listener, over: false });
        stream::unfold(member, async |mut member| {
            let answer = member.next().await?;
            Some((answer, member))
        })
    }

    async fn next(&mut self) -> Option<Answer> {
        if self.over {
            return None;
        }
        match self.listener.next().await {
            Ok(given) => {
                let answer = self.written.answer(self.seat, &given, |given| self.listener.event(given)).await;
                // A defect in one field must not go for the end of all there is.
                Some(answer.unwrap_or_else(|| {
                    self.over = true;
                    Answer::from(&panicked())
                }))
            }
            Err(failed) => {
                self.over = true;
                self.farewell(failed).await
            }
        }
    }

    /// Why it ends is told to this one alone.
    async fn farewell(&self, failed: Failed) -> Option<Answer> {
        let error = self.listener.farewell(failed)?;
        let part = Part::answer(stream::iter([Err(error)]));
        self.shared.alone(&self.written.asked, self.listener.caller(), None, Some(part)).next().await
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.quit(&self.written, self.seat);
    }
}

impl Shared {
    /// What is written for all who share this key, and a seat there.
    fn join(&self, key: Key, asked: Runnable, caller: &Caller) -> (Arc<Written>, usize) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(written) = all.get(&key)
            && let Some(seat) = written.sit_down()
        {
            return (written.clone(), seat);
        }
        let (written, wanted) = Written::new(key.clone(), asked);
        // A new one is not over.
        let seat = written.sit_down().unwrap_or_default();
        let part = Part::answer(written.clone().handing_out(wanted));
        let (answers, _) = self.execute(&written.asked, caller, None, Some(part));
        written.keep(answers);
        all.insert(key, written.clone());
        (written, seat)
    }

    /// One less is there; the last one ends it.
    fn quit(&self, written: &Arc<Written>, seat: usize) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.stand_up(seat) {
            written.stop();
            if all.get(&written.key).is_some_and(|current| Arc::ptr_eq(current, written)) {
                all.remove(&written.key);
            }
        }
    }
}
