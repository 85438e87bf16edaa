//! The registry: a log of changes, and the state that they add up to.
//!
//! Read in this order: `command` (what is asked), `decide` (what is allowed, and the changes it makes),
//! `apply` (what a change does to the `state`), `engine` (the one writer), `view` (versions, now and
//! earlier), `watch` (history, then live), `graph` (who feeds whom).
//!
//! `command`, `refusal`, `state`, `leases`, `pool`, `words`, `decide` and `apply` are pure: no clock, no randomness, no I/O.

pub mod command;
pub mod leases;
pub mod pool;
pub mod refusal;
pub mod state;
pub mod topic_schemas;
pub mod words;

pub mod apply;
pub mod calls;
mod check;
pub mod decide;

pub mod engine;
pub mod graph;
pub mod keeper;
pub mod upkeep;
pub mod view;
pub mod watch;
