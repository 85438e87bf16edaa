//! Buses in simulated time: a scenario from a file, run against the real [`Router`](super::Router) and the real
//! [`Durable`](super::Durable), without a carrier and without a clock.
//!
//! A scenario says who publishes what and how fast, who listens and how fast, and what goes wrong. It is run in no
//! time, the same way each time for one seed, and what came of it is compared with what the file expects.
//!
//! `file` is the scenario as it is written, `scenario` as it was checked; `world` runs it, with `listener` and
//! `reading` for those who listen; `outcome` is what came of it, and `expect` compares.

mod expect;
mod file;
mod listener;
mod outcome;
mod reading;
mod scenario;
mod world;

pub use outcome::{BusOutcome, NoticeOutcome, Outcome, PublisherOutcome, SubscriberOutcome};
pub use scenario::{Invalid, Scenario};

/// Runs a scenario with this seed, and compares what comes of it with what the scenario expects.
pub fn run(scenario: &Scenario, seed: u64) -> Outcome {
    let mut outcome = world::World::new(scenario, seed).run();
    let failures = scenario.expect.iter().flat_map(|expected| expect::failures(expected, &outcome));
    let failures: Vec<String> = failures.collect();
    outcome.failures.extend(failures);
    outcome
}

#[cfg(test)]
mod tests;
