//! What the registry tells of itself while it runs: metrics, and where a request stands in a trace.
//!
//! Whoever counts is given typed handles (`Metrics` and its parts) when it is built, and knows nothing of names, labels
//! or formats; these stand here, and what each means in docs/operations.md. Imports nothing of ours, so that every room
//! may count. What the state already says is not counted a second time: it is read when somebody asks (`now`).

mod metrics;
mod now;
#[cfg(feature = "otlp")]
pub mod otlp;
mod process;
mod requests;
mod text;
pub mod trace;

pub use metrics::{Calls, Connections, Held, Metrics, Storage, Writer};
pub use now::{Now, Pool};
pub use requests::{Operation, Requests, Subscribed, Via};
pub use text::Format;
