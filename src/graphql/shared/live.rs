//! One execution for many: what it answers stands in a ring until all have taken it, or there is too much.

use super::super::Caller;
use super::super::answer::Answer;
use super::{Key, Runnable};
use crate::model::Sequence;
use futures_util::stream::{Stream, StreamExt};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tokio::task::AbortHandle;

/// How many answers that are there together are published together.
const PUBLISHED_AT_ONCE: usize = 16;
/// How many answers stand in the ring at most.
const LEN_MAX: usize = 1_024;
/// How many bytes they have at most, but for those that were published together.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Answers that were published together: never none.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) answers: Vec<Answer>,
    last: Sequence,
    bytes: usize,
}

/// A shared execution.
pub(super) struct Live {
    pub(super) key: Key,
    pub(super) asked: Runnable,
    pub(super) caller: Caller,
    // Held for a few pointer moves; nothing waits under it.
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    bursts: VecDeque<Arc<Burst>>,
    /// The number of the first burst in the ring.
    first: u64,
    /// Behind this place, the ring has everything.
    base: Sequence,
    len: usize,
    bytes: usize,
    seats: Vec<Option<Seat>>,
    free: Vec<usize>,
    /// How many share this, seated or not.
    members: usize,
    ended: bool,
    task: Option<AbortHandle>,
}

/// Where one of those who share this is.
struct Seat {
    next: u64,
    waker: Option<Waker>,
}

/// What there is for a seat.
pub(super) enum Found {
    Burst(Arc<Burst>),
    /// Nothing yet; the waker will be told.
    Nothing,
    /// Gone from the ring, or there will be nothing more.
    Lost,
}

impl Live {
    /// An execution that begins behind this place.
    pub(super) fn new(key: Key, asked: Runnable, caller: Caller, base: Sequence) -> Arc<Self> {
        Arc::new(Live { key, asked, caller, ring: Mutex::new(Ring { base, ..Ring::default() }) })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // No step under it can panic half way.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more shares this.
    pub(super) fn enter(&self) {
        self.ring().members += 1;
    }

    /// One less shares this; whether that was the last.
    pub(super) fn leave(&self) -> bool {
        let mut ring = self.ring();
        ring.members -= 1;
        ring.members == 0
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ring().ended
    }

    pub(super) fn stop(&self) {
        if let Some(task) = self.ring().task.take() {
            task.abort();
        }
    }

    /// Publishes the execution's answers until it ends.
    pub(super) fn follow(self: &Arc<Self>, answers: impl Stream<Item = Answer> + Send + 'static) {
        let end = End(self.clone());
        let task = tokio::spawn(async move {
            let live = &end.0;
            let mut answers = pin!(answers.ready_chunks(PUBLISHED_AT_ONCE));
            let mut wakers = Vec::new();
            while let Some(mut answers) = answers.next().await {
                // Each of those who share this is told by an execution of its own, as it would be without sharing.
                let failed = answers.iter().position(|answer| answer.place().is_none() || !answer.has_data());
                answers.truncate(failed.unwrap_or(answers.len()));
                if !answers.is_empty() {
                    live.publish(answers, &mut wakers);
                    wakers.drain(..).for_each(Waker::wake);
                }
                if failed.is_some() {
                    return;
                }
            }
        });
        self.ring().task = Some(task.abort_handle());
    }

    fn publish(&self, answers: Vec<Answer>, wakers: &mut Vec<Waker>) {
        let bytes = answers.iter().map(|answer| answer.text.len()).sum();
        let last = answers.last().and_then(Answer::place).unwrap_or_default();
        let mut ring = self.ring();
        ring.len += answers.len();
        ring.bytes += bytes;
        ring.bursts.push_back(Arc::new(Burst { answers, last, bytes }));
        let mut needed = ring.first + ring.bursts.len() as u64 - 1;
        for seat in ring.seats.iter_mut().flatten() {
            needed = needed.min(seat.next);
            wakers.extend(seat.waker.take());
        }
        while ring.bursts.len() > 1 && (ring.first < needed || ring.len > LEN_MAX || ring.bytes > BYTES_MAX) {
            let Some(burst) = ring.bursts.pop_front() else { break };
            ring.first += 1;
            ring.len -= burst.answers.len();
            ring.bytes -= burst.bytes;
            ring.base = burst.last;
        }
    }

    /// A seat from which everything behind this place is seen; `None` where the ring does not reach back so far.
    pub(super) fn sit_down(&self, place: Sequence) -> Option<usize> {
        let mut ring = self.ring();
        if ring.ended || place < ring.base {
            return None;
        }
        let passed = ring.bursts.partition_point(|burst| burst.last <= place);
        let seat = Some(Seat { next: ring.first + passed as u64, waker: None });
        match ring.free.pop() {
            Some(at) => {
                ring.seats[at] = seat;
                Some(at)
            }
            None => {
                ring.seats.push(seat);
                Some(ring.seats.len() - 1)
            }
        }
    }

    pub(super) fn stand_up(&self, seat: usize) {
        let mut ring = self.ring();
        if ring.seats[seat].take().is_some() {
            ring.free.push(seat);
        }
    }

    /// The next burst for a seat.
    pub(super) fn take(&self, seat: usize, waker: &Waker) -> Found {
        let mut ring = self.ring();
        let Ring { bursts, first, ended, seats, .. } = &mut *ring;
        let Some(seat) = &mut seats[seat] else { return Found::Lost };
        let Some(at) = seat.next.checked_sub(*first) else { return Found::Lost };
        match bursts.get(at as usize) {
            Some(burst) => {
                seat.next += 1;
                Found::Burst(burst.clone())
            }
            None if *ended => Found::Lost,
            None => {
                match &mut seat.waker {
                    Some(known) => known.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Found::Nothing
            }
        }
    }
}

/// Says that there will be nothing more, however the task ends.
struct End(Arc<Live>);

impl Drop for End {
    fn drop(&mut self) {
        let mut ring = self.0.ring();
        ring.ended = true;
        let wakers: Vec<Waker> = ring.seats.iter_mut().flatten().filter_map(|seat| seat.waker.take()).collect();
        drop(ring);
        wakers.into_iter().for_each(Waker::wake);
    }
}
