//! What is written once of a bus's events, for all who ask the same: the first who comes to an event has it written, in
//! a task that does nothing else, and it stands here until all have come past it, or there is too much.
//!
//! Who has lost something before an event is answered differently, and so has it written anew, as does who comes so
//! late that it stands here no longer. Whoever waits is handed the answer itself: nothing that is needed can be pushed
//! out.

use super::super::answer::Answer;
use super::super::types::onex_event::BusEvent;
use super::{Key, Runnable};
use crate::bus::Arrived;
use crate::bus::kind::Place;
use crate::bus::queue::Given;
use async_graphql::Result;
use futures_util::stream::{self, Stream, StreamExt};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// How many answers stand here at most.
const LEN_MAX: usize = 1_024;
/// How many bytes they and their events have at most.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What an answer is made of. Where it is equal, the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Which {
    place: Place,
    /// Where the event is in memory: a bus that begins anew may have the same places.
    event: usize,
    missed: u64,
    redelivery: u32,
}

impl Which {
    fn of(given: &Given) -> Self {
        let Given { event, missed, redelivery } = given;
        Which { place: event.place, event: Arc::as_ptr(event).addr(), missed: *missed, redelivery: *redelivery }
    }
}

enum Entry {
    /// On its way, to those who wait for it.
    Wanted(Vec<oneshot::Sender<Answer>>),
    /// With its event: as long as that is held, no other is where it is in memory.
    Written(Answer, Arc<Arrived>),
}

/// What was written of a bus's events.
pub(super) struct Written {
    pub(super) key: Key,
    pub(super) asked: Runnable,
    // Held for look-ups and pointer moves; nothing waits under it.
    table: Mutex<Table>,
    // Not bounded by itself: each who shares this wants one at a time.
    wanted: mpsc::UnboundedSender<BusEvent>,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<Which, Entry>,
    /// How many of them are written.
    len: usize,
    bytes: usize,
    /// What the execution is answering.
    in_hand: Option<Given>,
    /// How far each has come that shares this.
    seats: Vec<Option<Place>>,
    free: Vec<usize>,
    ended: bool,
    task: Option<AbortHandle>,
}

/// What there is for one who asks.
enum Found {
    Written(Answer),
    /// It will be there.
    Wanted(oneshot::Receiver<Answer>),
    /// It will be there once somebody has asked for it.
    Unknown(oneshot::Receiver<Answer>),
}

impl Written {
    /// Nothing yet; and what is wanted, in the order in which it was asked for.
    pub(super) fn new(key: Key, asked: Runnable) -> (Arc<Self>, mpsc::UnboundedReceiver<BusEvent>) {
        let (wanted, asked_for) = mpsc::unbounded_channel();
        (Arc::new(Written { key, asked, table: Mutex::default(), wanted }), asked_for)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No step under it can panic half way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more shares this; `None` where nothing is written any more.
    pub(super) fn sit_down(&self) -> Option<usize> {
        let mut table = self.table();
        if table.ended {
            return None;
        }
        let at = table.free.pop().unwrap_or(table.seats.len());
        if at == table.seats.len() {
            table.seats.push(None);
        }
        table.seats[at] = Some(Place::default());
        Some(at)
    }

    /// One less shares this; whether that was the last.
    pub(super) fn stand_up(&self, seat: usize) -> bool {
        let mut table = self.table();
        if table.seats[seat].take().is_some() {
            table.free.push(seat);
        }
        table.free.len() == table.seats.len()
    }

    pub(super) fn stop(&self) {
        if let Some(task) = self.table().task.take() {
            task.abort();
        }
    }

    /// The answer to what somebody was given; `None` where there will be none.
    pub(super) async fn answer(
        &self,
        seat: usize,
        given: &Given,
        event: impl FnOnce(Given) -> BusEvent,
    ) -> Option<Answer> {
        let found = self.table().look(seat, given)?;
        match found {
            Found::Written(answer) => Some(answer),
            Found::Wanted(answer) => answer.await.ok(),
            Found::Unknown(answer) => {
                self.wanted.send(event(given.clone())).ok()?;
                answer.await.ok()
            }
        }
    }

    /// What is wanted, one after the other: what the execution answers next is known by it.
    pub(super) fn handing_out(
        self: Arc<Self>,
        wanted: mpsc::UnboundedReceiver<BusEvent>,
    ) -> impl Stream<Item = Result<BusEvent>> + Send {
        stream::unfold((self, wanted), async |(written, mut wanted)| {
            let event = wanted.recv().await?;
            written.table().in_hand = Some(event.given.clone());
            Some((Ok(event), (written, wanted)))
        })
    }

    /// Keeps an execution's answers until it ends.
    pub(super) fn keep(self: &Arc<Self>, answers: impl Stream<Item = Answer> + Send + 'static) {
        let end = End(self.clone());
        let task = tokio::spawn(async move {
            let mut answers = pin!(answers);
            while let Some(answer) = answers.next().await {
                let waiting = end.0.table().put(&answer);
                // Who waited may be gone.
                waiting.into_iter().for_each(|waiting| _ = waiting.send(answer.clone()));
            }
        });
        self.table().task = Some(task.abort_handle());
    }
}

impl Table {
    fn look(&mut self, seat: usize, given: &Given) -> Option<Found> {
        if self.ended {
            return None;
        }
        self.seats[seat] = Some(given.event.place);
        let which = Which::of(given);
        if let Some(Entry::Written(answer, _)) = self.entries.get(&which) {
            return Some(Found::Written(answer.clone()));
        }
        let (tell, told) = oneshot::channel();
        match self.entries.get_mut(&which) {
            Some(Entry::Wanted(waiting)) => {
                waiting.push(tell);
                Some(Found::Wanted(told))
            }
            _ => {
                self.entries.insert(which, Entry::Wanted(vec![tell]));
                Some(Found::Unknown(told))
            }
        }
    }

    /// Keeps an answer to what is in hand; says who waits for it.
    fn put(&mut self, answer: &Answer) -> Vec<oneshot::Sender<Answer>> {
        let Some(Given { event, missed, redelivery }) = self.in_hand.take() else { return Vec::new() };
        let which = Which::of(&Given { event: event.clone(), missed, redelivery });
        self.len += 1;
        self.bytes += bytes_of(answer, &event);
        let before = self.entries.insert(which, Entry::Written(answer.clone(), event));
        self.trim();
        match before {
            Some(Entry::Wanted(waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    /// Lets go of what all have come past, and of the oldest where there is too much.
    fn trim(&mut self) {
        let needed = self.seats.iter().flatten().min().copied();
        let is_written = |entry: &Entry| matches!(entry, Entry::Written(..));
        while let Some((&which, _)) = self.entries.iter().find(|(_, entry)| is_written(entry)) {
            let is_past = needed.is_none_or(|needed| which.place <= needed);
            if !is_past && self.len <= LEN_MAX && self.bytes <= BYTES_MAX {
                return;
            }
            if let Some(Entry::Written(answer, event)) = self.entries.remove(&which) {
                self.len -= 1;
                self.bytes -= bytes_of(&answer, &event);
            }
        }
    }
}

fn bytes_of(answer: &Answer, event: &Arrived) -> usize {
    answer.text.len() + event.text.len()
}

/// Says that nothing more is written, however the task ends.
struct End(Arc<Written>);

impl Drop for End {
    fn drop(&mut self) {
        let mut table = self.0.table();
        table.ended = true;
        // Those who wait hear of it by this.
        let entries = std::mem::take(&mut table.entries);
        drop(table);
        drop(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::arrived;

    fn given(place: u64, missed: u64) -> Given {
        Given { event: Arc::new(arrived("t", place)), missed, redelivery: 0 }
    }

    fn table(seats: usize) -> Table {
        Table { seats: vec![Some(Place::default()); seats], ..Table::default() }
    }

    /// How many wait for what is written now.
    fn write(table: &mut Table, given: &Given) -> usize {
        table.in_hand = Some(given.clone());
        table.put(&Answer::of_text(b"{}".to_vec())).len()
    }

    #[test]
    fn an_event_is_asked_for_once_and_stands_until_all_have_come_past_it() {
        let (mut table, first, second) = (table(3), given(1, 0), given(2, 0));
        let asked = table.look(0, &first);
        assert!(matches!(asked, Some(Found::Unknown(_))));
        let waits = table.look(1, &first);
        assert!(matches!(waits, Some(Found::Wanted(_))));
        assert_eq!(write(&mut table, &first), 2);
        assert!(matches!(table.look(2, &first), Some(Found::Written(_))));
        let asked = table.look(0, &second);
        assert!(matches!(asked, Some(Found::Unknown(_))));
        write(&mut table, &second);
        assert_eq!((table.len, table.entries.len()), (1, 1), "only what two have yet to take");
    }

    #[test]
    fn what_is_missed_before_an_event_makes_another_answer_of_it() {
        let (mut table, event) = (table(2), given(5, 0));
        let after_a_loss = Given { missed: 3, ..event.clone() };
        let asked = (table.look(0, &event), table.look(1, &after_a_loss));
        assert!(matches!(asked, (Some(Found::Unknown(_)), Some(Found::Unknown(_)))));
        assert_eq!((write(&mut table, &event), write(&mut table, &after_a_loss)), (1, 1));
    }

    #[test]
    fn an_event_of_the_same_place_is_another_one() {
        let (mut table, of_one_run, of_the_next) = (table(2), given(1, 0), given(1, 0));
        let asked = table.look(0, &of_one_run);
        write(&mut table, &of_one_run);
        assert!(matches!((asked, table.look(1, &of_the_next)), (Some(_), Some(Found::Unknown(_)))));
    }

    #[test]
    fn there_is_never_too_much_and_who_is_far_behind_is_handed_what_it_waits_for() {
        let (mut table, oldest) = (table(2), given(1, 0));
        for place in 2..=LEN_MAX as u64 + 50 {
            let event = given(place, 0);
            let asked = table.look(0, &event);
            assert_eq!((write(&mut table, &event), asked.is_some()), (1, true));
        }
        assert_eq!(table.len, LEN_MAX);
        let asked = table.look(1, &oldest);
        assert!(matches!(asked, Some(Found::Unknown(_))));
        let newest = given(10_000, 0);
        write(&mut table, &newest);
        assert_eq!(write(&mut table, &oldest), 1);
        assert!(table.len <= LEN_MAX && table.bytes <= BYTES_MAX);
    }
}
