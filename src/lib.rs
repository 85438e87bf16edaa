//! onex.
#![warn(missing_docs)]
pub mod contracts;
pub mod log;
pub mod model;
pub mod registry;
