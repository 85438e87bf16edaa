//! Buses: events travel from those who publish to those who subscribe.
//!
//! What carries events differs (`kind`), and knows only texts on topics in an order. Everything else is the same over
//! every kind, and stands here as a machine without clock, lock, wire or task: what happened goes in with its instant,
//! what is to be done comes out. Whoever holds the machine waits, wakes, connects and counts time.
//!
//! ```text
//!   publisher ─► Router::check ─► carrier ─► Router::publish ─► queue of each that wants it ─► Router::take ─► subscriber
//!                 (topic)          (kind)     (filter, history)          (queue)
//! ```
//!
//! In the order to read them:
//!
//! - `envelope`: what an event says of itself. `schema`, `topic`: what a topic demands, and what becomes of what does
//!   not fit. `arrived`: an event that came in, which all who get it share; its text is never copied.
//! - `filter`: who wants it. `queue`: what waits for one subscriber, and what is lost where that is too much.
//!   `history`: what is kept for those who come later.
//! - `notice`: what the registry is told. `metrics`: how much there is to do, and how fast.
//! - `router`: one bus, which joins these. Publishing costs one pointer for each that wants the event.
//! - `durable`: a subscriber that acknowledges, over a carrier's group: retries, and dead letters.
//! - `simulate`: all of this in simulated time, from a file.
//!
//! What holds over all: for every subscriber, what it was given, what it was told that it lost and what still waits add
//! up to what matched, in the order of the bus, each once. Nothing is lost unsaid.

pub mod arrived;
pub mod durable;
pub mod envelope;
pub mod filter;
pub mod history;
pub mod hub;
pub mod kind;
pub mod metrics;
pub mod notice;
pub mod queue;
pub mod router;
pub mod schema;
pub mod simulate;
pub mod topic;

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod testing;

pub use arrived::Arrived;
pub use durable::{Acknowledging, Durable};
pub use envelope::{Event, Fault};
pub use filter::Filter;
pub use history::{Gone, Replay};
pub use metrics::Measured;
pub use notice::{Notice, NoticeKind};
pub use queue::Given;
pub use router::{Attached, Attaching, Fate, Refused, Routed, Router, Taken};
pub use schema::{Misfit, Unusable};
pub use topic::Verdict;
