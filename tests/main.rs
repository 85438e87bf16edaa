//! All integration tests: one binary.
//!
//! Tests that draw at random print their seed; ONEX_TEST_SEED=… repeats a run.

mod bad_input;
mod cli;
mod corpus;
mod crash;
mod data_directory;
mod house;
mod http;
mod lifetimes;
mod properties;
mod reading;
mod registration;
mod schema;
mod support;
mod watching;
mod websocket;
