//! A call's way between its providers, as a machine without a clock, a lock or a wire: what happened goes in, what is to
//! be done comes out.
//!
//! It holds what callers rely on, in whatever order answers, losses and timeouts come: a call ends exactly once, and a
//! call that is not idempotent is never sent on once a provider may have begun with it.

use crate::model::{Attempt, CallError, InvocationStatus, NodeId, Time};
use std::collections::VecDeque;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The provider was handed the call: from here on it may have begun.
    Handed(u32),
    /// The provider answered, well where there is no error.
    Answered(u32, Option<CallError>),
    /// The provider cannot have begun, and will not.
    Refused(u32, CallError),
    /// The provider is gone.
    Lost(u32, CallError),
    /// Nobody waits any longer.
    Deadline(CallError),
    /// The caller took the call back.
    Cancelled(CallError),
    /// The registry stops.
    Interrupted(CallError),
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// It was no answer, or nobody knows the attempt.
    #[default]
    Not,
    /// It counts.
    Counted,
    /// It came after the attempt's end: discarded.
    Late,
    /// There was one before: discarded.
    Repeated,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// Attempts to send.
    pub send: Vec<(u32, NodeId)>,
    /// Attempts that nobody waits for any more.
    pub stop: Vec<(u32, NodeId)>,
    /// Whether this ended the call, and how.
    pub end: Option<(InvocationStatus, Option<CallError>)>,
    /// What became of an answer.
    pub taken: Taken,
}

/// Where a call is.
#[derive(Clone, Debug)]
pub struct Route {
    /// Who may be tried, in order.
    waiting: VecDeque<NodeId>,
    /// All of them get the call at once.
    all: bool,
    idempotent: bool,
    failovers_left: u32,
    attempts: Vec<Tracked>,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Tracked {
    attempt: Attempt,
    handed: bool,
}

impl Route {
    /// A call that these may be asked for, in this order.
    pub fn new(candidates: impl IntoIterator<Item = NodeId>, all: bool, idempotent: bool, failovers_max: u32) -> Self {
        let waiting = candidates.into_iter().collect();
        Route { waiting, all, idempotent, failovers_left: failovers_max, attempts: Vec::new(), ended: false }
    }

    /// The first attempt, or all where all are to be asked.
    pub fn begin(&mut self, now: Time) -> Moves {
        let mut moves = Moves::default();
        while self.try_next(now, &mut moves) && self.all {}
        moves
    }

    /// Each provider's part so far.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().map(|tracked| &tracked.attempt)
    }

    /// Whether a provider has been handed the call and has not ended.
    pub fn is_running(&self) -> bool {
        self.attempts.iter().any(|tracked| tracked.handed && tracked.attempt.ended_at.is_none())
    }

    /// Takes in what happened.
    pub fn on(&mut self, now: Time, event: Event) -> Moves {
        let mut moves = Moves::default();
        match event {
            Event::Handed(number) => {
                if let Some(open) = self.open(number) {
                    open.handed = true;
                    open.attempt.outcome = InvocationStatus::Running;
                }
            }
            Event::Answered(number, error) => self.answered(now, number, error, &mut moves),
            Event::Refused(number, error) => {
                if let Some(open) = self.open(number) {
                    close(open, now, InvocationStatus::Failed, Some(error.clone()));
                    self.go_on(now, true, error, &mut moves);
                }
            }
            Event::Lost(number, error) => {
                if let Some(open) = self.open(number) {
                    let safe = !open.handed;
                    close(open, now, InvocationStatus::Failed, Some(error.clone()));
                    let safe = safe || self.idempotent;
                    self.go_on(now, safe, error, &mut moves);
                }
            }
            Event::Deadline(error) => self.give_up(now, InvocationStatus::TimedOut, error, &mut moves),
            Event::Cancelled(error) => self.give_up(now, InvocationStatus::Cancelled, error, &mut moves),
            Event::Interrupted(error) => self.give_up(now, InvocationStatus::Failed, error, &mut moves),
        }
        moves
    }

    fn open(&mut self, number: u32) -> Option<&mut Tracked> {
        let tracked = self.attempts.get_mut((number as usize).checked_sub(1)?)?;
        tracked.attempt.ended_at.is_none().then_some(tracked)
    }

    fn answered(&mut self, now: Time, number: u32, error: Option<CallError>, moves: &mut Moves) {
        let at = (number as usize).wrapping_sub(1);
        let Some(tracked) = self.attempts.get_mut(at) else { return };
        if tracked.attempt.answered {
            moves.taken = Taken::Repeated;
            return;
        }
        tracked.attempt.answered = true;
        if tracked.attempt.ended_at.is_some() {
            tracked.attempt.late_answer_at = Some(now);
            moves.taken = Taken::Late;
            return;
        }
        moves.taken = Taken::Counted;
        let outcome = if error.is_none() { InvocationStatus::Succeeded } else { InvocationStatus::Failed };
        close(tracked, now, outcome, error.clone());
        match error {
            None => self.settle(InvocationStatus::Succeeded, None, moves),
            Some(error) => {
                let safe = self.idempotent && error.retryable;
                self.go_on(now, safe, error, moves);
            }
        }
    }

    /// Another provider, where that is safe and there is one; else the end.
    fn go_on(&mut self, now: Time, safe: bool, error: CallError, moves: &mut Moves) {
        if safe && !self.all && self.failovers_left > 0 && self.try_next(now, moves) {
            self.failovers_left -= 1;
            return;
        }
        self.settle(InvocationStatus::Failed, Some(error), moves);
    }

    fn try_next(&mut self, now: Time, moves: &mut Moves) -> bool {
        let Some(node) = self.waiting.pop_front() else { return false };
        let number = self.attempts.len() as u32 + 1;
        self.attempts.push(Tracked { attempt: Attempt::new(number, node, now), handed: false });
        moves.send.push((number, node));
        true
    }

    /// Ends the call, once no attempt is open.
    fn settle(&mut self, status: InvocationStatus, error: Option<CallError>, moves: &mut Moves) {
        if self.ended || self.attempts.iter().any(|tracked| tracked.attempt.ended_at.is_none()) {
            return;
        }
        self.ended = true;
        // Where all were asked, one that failed counts, whoever answered last.
        let failed = self.attempts().find(|attempt| self.all && attempt.outcome != InvocationStatus::Succeeded);
        moves.end = Some(match failed {
            Some(failed) => (InvocationStatus::Failed, failed.error.clone().or(error)),
            None => (status, error),
        });
    }

    fn give_up(&mut self, now: Time, status: InvocationStatus, error: CallError, moves: &mut Moves) {
        if self.ended {
            return;
        }
        self.ended = true;
        for tracked in self.attempts.iter_mut().filter(|tracked| tracked.attempt.ended_at.is_none()) {
            close(tracked, now, status, Some(error.clone()));
            moves.stop.push((tracked.attempt.number, tracked.attempt.node));
        }
        moves.end = Some((status, Some(error)));
    }
}

fn close(tracked: &mut Tracked, now: Time, outcome: InvocationStatus, error: Option<CallError>) {
    tracked.attempt.ended_at = Some(now);
    tracked.attempt.outcome = outcome;
    tracked.attempt.error = error;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CallErrorCode;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    fn node(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    fn error(retryable: bool) -> CallError {
        CallError {
            code: CallErrorCode::ToolFailed,
            kind: "Test".to_owned(),
            message: "it failed".to_owned(),
            details: None,
            retryable,
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        let attempt = 0..5_u32;
        prop_oneof![
            attempt.clone().prop_map(Event::Handed),
            attempt.clone().prop_map(|number| Event::Answered(number, None)),
            (attempt.clone(), any::<bool>()).prop_map(|(number, again)| Event::Answered(number, Some(error(again)))),
            attempt.clone().prop_map(|number| Event::Refused(number, error(true))),
            attempt.prop_map(|number| Event::Lost(number, error(false))),
            Just(Event::Deadline(error(false))),
            Just(Event::Cancelled(error(false))),
        ]
    }

    proptest! {
        #[test]
        fn a_call_ends_exactly_once_and_is_sent_twice_only_where_that_is_safe(
            providers in 1..5_u128, all: bool, idempotent: bool, failovers in 0..4_u32,
            events in prop::collection::vec(event(), 0..40),
        ) {
            let mut route = Route::new((0..providers).map(node), all, idempotent, failovers);
            let now = Time::default();
            let begun = route.begin(now);
            let mut sent: Vec<NodeId> = begun.send.iter().map(|(_, node)| *node).collect();
            // Attempts that the world outside knows of, as it knows them.
            let (mut handed, mut closed, mut refused) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let mut ends = 0;
            let last = [Event::Deadline(error(false)), Event::Answered(1, None)];
            for event in events.into_iter().chain(last) {
                let known = |number: &u32| *number >= 1 && (*number as usize) <= sent.len();
                match &event {
                    Event::Handed(number) if known(number) && !closed.contains(number) => _ = handed.insert(*number),
                    Event::Refused(number, _) if known(number) && !closed.contains(number) => {
                        refused.insert(*number);
                        closed.insert(*number);
                    }
                    Event::Answered(number, _) | Event::Lost(number, _) if known(number) => _ = closed.insert(*number),
                    _ => {}
                }
                let moves = route.on(now, event);
                prop_assert!(ends == 0 || moves.send.is_empty(), "sent after the end");
                let may_have_begun = handed.iter().any(|number| !refused.contains(number));
                prop_assert!(all || idempotent || !may_have_begun || moves.send.is_empty(), "sent twice");
                sent.extend(moves.send.iter().map(|(_, node)| *node));
                ends += usize::from(moves.end.is_some());
                prop_assert!(ends <= 1, "ended twice");
            }
            prop_assert_eq!(ends, 1);
            let each_once: BTreeSet<NodeId> = sent.iter().copied().collect();
            prop_assert_eq!(each_once.len(), sent.len(), "a provider was asked twice");
            prop_assert!(all || sent.len() <= 1 + failovers as usize);
            prop_assert!(route.attempts().all(|attempt| attempt.ended_at.is_some()));
        }
    }

    #[test]
    fn all_succeed_or_the_call_has_failed() {
        let mut route = Route::new([node(1), node(2)], true, false, 0);
        assert_eq!(route.begin(Time::default()).send.len(), 2);
        assert!(route.on(Time::default(), Event::Answered(1, Some(error(false)))).end.is_none());
        let end = route.on(Time::default(), Event::Answered(2, None)).end.unwrap();
        assert_eq!(end.0, InvocationStatus::Failed);
        assert_eq!(end.1.unwrap().message, "it failed");
    }

    #[test]
    fn an_answer_after_the_end_is_late_once_and_then_a_repetition() {
        let mut route = Route::new([node(1)], false, false, 0);
        route.begin(Time::default());
        route.on(Time::default(), Event::Handed(1));
        assert!(route.on(Time::default(), Event::Deadline(error(false))).end.is_some());
        assert_eq!(route.on(Time::default(), Event::Answered(1, None)).taken, Taken::Late);
        assert_eq!(route.on(Time::default(), Event::Answered(1, None)).taken, Taken::Repeated);
        assert_eq!(route.on(Time::default(), Event::Answered(9, None)).taken, Taken::Not);
    }
}
