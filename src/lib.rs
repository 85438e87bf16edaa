//! `onex`, a registry node: it knows every program of a system, what each promises, and who depends on whom.
//!
//! One idea carries everything: the registry is a log, and its state is what the log adds up to. Read the rooms in
//! this order; arrows between them run one way, from the bottom of this list to the top (`tests/house.rs` holds
//! that), and docs/architecture.md draws the house.
//!
//! - [`model`]: the plain types of the domain. Does no I/O and imports nothing of ours.
//! - [`telemetry`]: metrics and traces. Imports nothing of ours, so that every room may count.
//! - [`log`]: keeps changes durably, in order, hash-chained. Knows changes, never how they are decided.
//! - [`registry`]: commands, what is allowed (`decide`), what it changes (`apply`), the one writer (`engine`),
//!   versions (`view`), watchers (`watch`), the dependency graph (`graph`).
//! - [`contracts`]: reads contract documents into the model.
//! - [`ports`]: picks and probes port numbers, speaks portserver, notices when holders are gone.
//! - [`proxy`]: a call's way from its caller to a provider.
//! - [`access`]: who asks, what it may do and see, how often.
//! - [`bus`]: how events travel: what carries them, who gets them, and what is lost is said.
//! - [`graphql`]: the API's types and fields, translated to commands and versions. Knows no transport.
//! - [`http`]: routes and the GraphQL transports.
//! - [`config`]: settings. [`app`]: the one place where parts are built and meet.
//! - [`client`]: the GraphQL client that the command line uses. [`cli`]: one file a command.

// What comes from outside must not end the process. Tests may.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod model;

pub mod telemetry;

pub mod log;

pub mod registry;

pub mod contracts;

pub mod ports;

pub mod proxy;

pub mod access;

pub mod bus;

pub mod graphql;

pub mod http;

pub mod config;

pub mod app;

pub mod client;

pub mod cli;

#[cfg(test)]
mod testing;
