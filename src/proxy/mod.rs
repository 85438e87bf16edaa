//! Calls of tools: a call is looked at, sent to a provider, waited for, and kept.
//!
//! What a call may do next is decided by a machine without a clock or a wire (`route`); `call` is that machine with
//! its payloads and those who wait; `core` finds tools and providers for it. Providers listen (`providers`), or the
//! registry calls them (`outbound`). What happened goes to the log behind the call's back (`record`), but for calls
//! that promise something beyond their own end.

mod call;
mod choose;
mod circuit;
mod core;
mod deadlines;
mod ending;
pub mod outbound;
mod providers;
mod record;
mod redact;
mod route;
mod routing;
mod schemas;
mod seen;
mod service;

pub use call::{Answer, CHUNK_BYTES_MAX, CHUNKS_MAX};
pub use choose::{Candidate, Unfit};
pub use circuit::{Circuit, CircuitState};
pub use core::Rules;
pub use providers::{Deliveries, Delivery, Health, Presence, Stop};
pub use seen::{Seen, Whole};
pub use service::{Asking, BATCH_LEN_MAX, Counts, Error, Invoked, PARALLEL_MAX, Plan, Proxy, Wanted};
