//! A circuit breaker for one node's offer of one tool: after failures in a row no calls go there for a while, then one
//! is tried (M. Nygard, "Release It!", Pragmatic Bookshelf 2007, chapter 5).
//!
//! What counts is whether the provider works, not whether the tool is content: an answer that says that the tool failed
//! is a good answer here. Lost providers, missing and wrong answers are not.

use crate::model::Time;

/// How many failures in a row open the circuit.
pub const FAILURES_MAX: u32 = 5;
/// How long it stays open the first time, in seconds; each further time twice as long.
const OPEN_SECONDS: u64 = 10;
/// The longest that it stays open, in seconds.
const OPEN_SECONDS_MAX: u64 = 300;

/// Where a circuit stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls go through.
    #[default]
    Closed,
    /// No calls go through.
    Open,
    /// One call is on its way to find out.
    HalfOpen,
}

/// A circuit, with why it is as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circuit {
    /// Where it stands.
    pub state: CircuitState,
    /// Failures in a row.
    pub failures: u32,
    /// When it last opened; `None` while it is closed.
    pub opened_at: Option<Time>,
    /// From when on a call is tried; `None` while it is closed.
    pub retry_at: Option<Time>,
    /// The latest failure in words.
    pub cause: Option<String>,
    /// How many times in a row it has opened.
    openings: u32,
}

impl Circuit {
    /// Whether a call may go through now.
    pub fn admits(&self, now: Time) -> bool {
        match self.state {
            CircuitState::Closed => true,
            CircuitState::Open => self.retry_at.is_none_or(|at| now >= at),
            // The one that finds out may never answer.
            CircuitState::HalfOpen => self.retry_at.is_none_or(|at| now >= at.plus_seconds(OPEN_SECONDS)),
        }
    }

    /// A call goes through.
    pub fn tried(&mut self, now: Time) {
        if self.state != CircuitState::Closed {
            self.state = CircuitState::HalfOpen;
            self.retry_at = Some(now);
        }
    }

    /// A provider answered as it should.
    pub fn worked(&mut self) {
        if *self != Circuit::default() {
            *self = Circuit::default();
        }
    }

    /// A provider was lost, did not answer, or answered what cannot be.
    pub fn failed(&mut self, now: Time, cause: &str) {
        self.failures += 1;
        self.cause = Some(cause.to_owned());
        if self.state == CircuitState::HalfOpen || self.failures == FAILURES_MAX {
            self.state = CircuitState::Open;
            self.openings += 1;
            let seconds = OPEN_SECONDS << (self.openings - 1).min(10);
            self.opened_at = Some(now);
            self.retry_at = Some(now.plus_seconds(seconds.min(OPEN_SECONDS_MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::default().plus_seconds(seconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_tries_one_call_later() {
        let mut circuit = Circuit::default();
        for _ in 1..FAILURES_MAX {
            circuit.failed(at(0), "lost");
        }
        assert!(circuit.admits(at(0)));
        circuit.failed(at(0), "lost");
        assert_eq!((circuit.state, circuit.admits(at(9)), circuit.admits(at(10))), (CircuitState::Open, false, true));
        circuit.tried(at(10));
        assert!(!circuit.admits(at(11)), "one call at a time finds out");
        circuit.failed(at(11), "lost again");
        assert_eq!((circuit.admits(at(30)), circuit.admits(at(31))), (false, true));
        circuit.tried(at(31));
        circuit.worked();
        assert_eq!(circuit, Circuit::default());
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let mut circuit = Circuit::default();
        for _ in 0..10 * FAILURES_MAX {
            circuit.failed(at(0), "lost");
            circuit.worked();
        }
        assert!(circuit.admits(at(0)));
    }

    #[test]
    fn a_trial_that_never_ends_does_not_keep_it_open_for_ever() {
        let mut circuit = Circuit::default();
        (0..FAILURES_MAX).for_each(|_| circuit.failed(at(0), "lost"));
        circuit.tried(at(10));
        assert!(circuit.admits(at(20)));
    }
}
