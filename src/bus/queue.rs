//! What waits for one subscriber: first what is replayed, then what came since, in the order of the bus.
//!
//! A queue has a capacity, and a policy for when it is full. Whatever is lost is counted at the very place where it is
//! missing, and told with the event that comes behind it. What is replayed has its bound in the history, and does not
//! count against the capacity: else a replay would push out what is published meanwhile.

use super::arrived::Arrived;
use crate::model::Overflow;
use std::collections::VecDeque;
use std::sync::Arc;

/// An event for a subscriber.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The event, with its place, its topic and its text.
    pub event: Arc<Arrived>,
    /// How many the subscriber lost just before this one.
    pub missed: u64,
    /// How often it was delivered before; 0 the first time.
    pub redelivery: u32,
}

/// What became of an event that a queue was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, and there is room for more.
    Waits,
    /// It waits, and publishers must wait too, until there is room: nothing is lost.
    WaitsFull,
    /// It waits in the place of the oldest, which is lost.
    TookOldest,
    /// It is lost.
    Lost,
    /// It is lost, and nothing further is taken: the subscriber goes.
    Overflowed,
}

#[derive(Debug)]
struct Waiting {
    event: Arc<Arrived>,
    missed: u64,
}

/// What waits for one subscriber.
#[derive(Debug)]
pub struct Queue {
    replayed: VecDeque<Arc<Arrived>>,
    live: VecDeque<Waiting>,
    capacity: usize,
    overflow: Overflow,
    /// Lost behind everything that waits.
    missed_last: u64,
    closed: bool,
}

impl Queue {
    /// A queue that begins with what is replayed, and takes so many events besides; at least one.
    pub fn new(capacity: usize, overflow: Overflow, replayed: VecDeque<Arc<Arrived>>) -> Self {
        Queue { replayed, live: VecDeque::new(), capacity: capacity.max(1), overflow, missed_last: 0, closed: false }
    }

    /// Takes in an event, or counts what is lost by it.
    pub fn push(&mut self, event: Arc<Arrived>) -> Pushed {
        if self.closed {
            self.missed_last += 1;
            return Pushed::Lost;
        }
        if self.live.len() < self.capacity {
            self.append(event);
            let blocks = self.overflow == Overflow::Block && self.is_full();
            return if blocks { Pushed::WaitsFull } else { Pushed::Waits };
        }
        match self.overflow {
            // What has been carried is here, whoever should have waited.
            Overflow::Block => {
                self.append(event);
                Pushed::WaitsFull
            }
            Overflow::DropOldest => {
                self.lose_oldest();
                self.append(event);
                Pushed::TookOldest
            }
            Overflow::DropNewest => {
                self.missed_last += 1;
                Pushed::Lost
            }
            Overflow::Disconnect => {
                self.missed_last += 1;
                self.closed = true;
                Pushed::Overflowed
            }
        }
    }

    fn append(&mut self, event: Arc<Arrived>) {
        let missed = std::mem::take(&mut self.missed_last);
        self.live.push_back(Waiting { event, missed });
    }

    fn lose_oldest(&mut self) {
        let Some(oldest) = self.live.pop_front() else { return };
        let lost = oldest.missed + 1;
        match self.live.front_mut() {
            Some(next) => next.missed += lost,
            None => self.missed_last += lost,
        }
    }

    /// So many were lost behind everything that waits, before they could be pushed.
    pub fn miss(&mut self, lost: u64) {
        self.missed_last += lost;
    }

    /// The next event, with what is missing before it.
    pub fn pop(&mut self) -> Option<Given> {
        if let Some(event) = self.replayed.pop_front() {
            return Some(Given { event, missed: 0, redelivery: 0 });
        }
        let Waiting { event, missed } = self.live.pop_front()?;
        Some(Given { event, missed, redelivery: 0 })
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.replayed.len() + self.live.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.replayed.is_empty() && self.live.is_empty()
    }

    /// Whether some of what is replayed still waits.
    pub fn is_replaying(&self) -> bool {
        !self.replayed.is_empty()
    }

    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        self.live.len() >= self.capacity
    }

    /// Whether publishers are to wait for it.
    pub fn blocks(&self) -> bool {
        self.overflow == Overflow::Block && !self.closed && self.is_full()
    }

    /// How full it is, of 1.
    pub fn fullness(&self) -> f64 {
        self.live.len() as f64 / self.capacity as f64
    }

    /// Takes nothing further. What waits can still be had.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How many were lost behind everything that waits: told with the next event, or with the end.
    pub fn missed_last(&self) -> u64 {
        self.missed_last
    }

    /// How many losses are still to be told.
    pub fn untold(&self) -> u64 {
        self.live.iter().map(|waiting| waiting.missed).sum::<u64>() + self.missed_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::arrived;
    use proptest::prelude::*;

    fn queue(overflow: Overflow) -> Queue {
        Queue::new(3, overflow, VecDeque::new())
    }

    fn push(queue: &mut Queue, place: u64) -> Pushed {
        queue.push(Arc::new(arrived("t", place)))
    }

    fn rest(queue: &mut Queue) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| queue.pop()).map(|given| (given.event.place.0, given.missed)).collect()
    }

    #[test]
    fn the_oldest_makes_room_and_its_loss_is_told_with_what_follows_it() {
        let mut queue = queue(Overflow::DropOldest);
        let pushed: Vec<_> = (1..=5).map(|place| push(&mut queue, place)).collect();
        assert_eq!(&pushed[2..], [Pushed::Waits, Pushed::TookOldest, Pushed::TookOldest]);
        assert_eq!(rest(&mut queue), [(3, 2), (4, 0), (5, 0)]);
    }

    #[test]
    fn the_newest_is_lost_and_its_loss_is_told_with_what_comes_behind_it() {
        let mut queue = queue(Overflow::DropNewest);
        (1..=5).for_each(|place| _ = push(&mut queue, place));
        assert_eq!((queue.pop().unwrap().missed, queue.untold()), (0, 2));
        assert_eq!(push(&mut queue, 6), Pushed::Waits);
        assert_eq!(rest(&mut queue), [(2, 0), (3, 0), (6, 2)]);
    }

    #[test]
    fn a_queue_that_blocks_loses_nothing_even_of_those_who_did_not_wait() {
        let mut queue = queue(Overflow::Block);
        let pushed: Vec<_> = (1..=5).map(|place| push(&mut queue, place)).collect();
        assert_eq!(pushed[1..3], [Pushed::Waits, Pushed::WaitsFull]);
        (0..2).for_each(|_| _ = queue.pop());
        assert!(queue.blocks());
        queue.pop();
        assert!(!queue.blocks());
        assert_eq!(rest(&mut queue), [(4, 0), (5, 0)]);
    }

    #[test]
    fn one_that_is_sent_away_keeps_what_waits_for_it() {
        let mut queue = queue(Overflow::Disconnect);
        let pushed: Vec<_> = (1..=5).map(|place| push(&mut queue, place)).collect();
        assert_eq!(pushed[3..], [Pushed::Overflowed, Pushed::Lost]);
        assert_eq!((rest(&mut queue).len(), queue.missed_last()), (3, 2));
    }

    #[test]
    fn what_is_replayed_comes_first_and_takes_no_room() {
        let replayed = (1..=9).map(|place| Arc::new(arrived("t", place))).collect();
        let mut queue = Queue::new(3, Overflow::DropOldest, replayed);
        assert_eq!((10..=12).map(|place| push(&mut queue, place)).filter(|pushed| *pushed == Pushed::Waits).count(), 3);
        let places: Vec<u64> = rest(&mut queue).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, (1..=12).collect::<Vec<_>>());
    }

    fn overflows() -> impl Strategy<Value = Overflow> {
        prop::sample::select(vec![Overflow::DropOldest, Overflow::DropNewest, Overflow::Block, Overflow::Disconnect])
    }

    proptest! {
        #[test]
        fn what_was_given_what_was_told_and_what_waits_add_up(
            overflow in overflows(),
            capacity in 1_usize..8,
            steps in prop::collection::vec(prop::bool::weighted(0.7), 0..200),
        ) {
            let mut queue = Queue::new(capacity, overflow, VecDeque::new());
            let (mut pushed, mut given, mut told) = (0, Vec::new(), 0);
            for is_push in steps {
                if is_push {
                    pushed += 1;
                    push(&mut queue, pushed);
                } else if let Some(next) = queue.pop() {
                    // The places between this one and the one before are just those that it says are missing.
                    let before = given.last().copied().unwrap_or(0);
                    prop_assert_eq!(next.event.place.0 - before - 1, next.missed);
                    told += next.missed;
                    given.push(next.event.place.0);
                }
                prop_assert_eq!(given.len() as u64 + told + queue.untold() + queue.len() as u64, pushed);
                prop_assert!(overflow == Overflow::Block || queue.len() <= capacity);
                if overflow == Overflow::Block {
                    prop_assert_eq!(queue.untold() + told, 0);
                }
            }
            if overflow == Overflow::DropOldest && !queue.is_empty() {
                let waiting: Vec<u64> = rest(&mut queue).into_iter().map(|(place, _)| place).collect();
                prop_assert_eq!(waiting.clone(), (pushed + 1 - waiting.len() as u64..=pushed).collect::<Vec<_>>());
            }
        }
    }
}
