//! All integration tests: one binary.
//!
//! Tests that draw at random print their seed; ONEX_TEST_SEED=… repeats a run.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests wait by the clock, draw ids and print their seeds"
)]

#[cfg(target_os = "linux")]
mod abuse;
mod access;
mod answers;
mod bad_input;
mod brokers;
mod bus_access;
mod bus_calls;
mod bus_commands;
mod bus_schemas;
mod bus_sharing;
mod buses;
mod calls;
mod cli;
mod connections;
mod corpus;
mod crash;
mod data_directory;
mod demo;
mod direct;
mod durable;
mod event_streams;
mod generated_requests;
mod house;
mod http;
mod leases;
mod lifetimes;
mod limits;
mod node_programs;
#[cfg(target_os = "linux")]
mod nodes;
mod operations;
#[cfg(feature = "mcp")]
mod outbound;
mod persisted;
#[cfg(target_os = "linux")]
mod port_commands;
#[cfg(target_os = "linux")]
mod port_storm;
#[cfg(target_os = "linux")]
mod ports;
mod properties;
mod reading;
mod registration;
mod registry_bus;
mod schema;
mod support;
mod tls;
mod tool_commands;
mod watching;
mod web;
mod websocket;
