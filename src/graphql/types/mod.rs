//! What clients see, one file a thing: object, filter, order and inputs together.

pub mod access;
pub mod allocate;
pub mod bus;
pub mod bus_metrics;
pub mod contract;
pub mod event;
pub mod graph;
pub mod history;
pub mod invocation;
pub mod invoke;
pub mod lease;
pub mod node;
pub mod onex_event;
pub mod port;
pub mod register;
pub mod registry;
pub mod signature;
pub mod subscriber;
pub mod tool;
pub mod topic;
pub mod trust;
