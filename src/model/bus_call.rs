//! Calls of tools that travel over a bus: a request goes to whoever serves an address, and one answer comes back.
//!
//! Buses know no tools: they carry bytes to an address and tell what came of it. What a caller may do next is for who
//! asked to say.

use super::TopicName;
use bytes::Bytes;
use serde_json::Value;

/// A call on its way.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whoever serves this gets it. Addresses are as restricted as topics, and are no topics: nothing that is
    /// published goes there.
    pub address: TopicName,
    /// What tells it from every other call, and this attempt from others of it.
    pub id: String,
    /// JSON.
    pub arguments: Bytes,
    /// What is said of it besides, by lower-case names as HTTP's headers have them; on one line each.
    pub headers: Vec<(&'static str, String)>,
    /// How many milliseconds it is waited for the answer.
    pub timeout_ms: u64,
    /// The most bytes of an answer.
    pub answer_bytes_max: usize,
}

/// What a program answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// It did what was asked: JSON, or nothing.
    Result(Bytes),
    /// It says that it failed.
    Failed(Failed),
}

/// How a program says that it failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// For programs: its own.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whatever it says besides.
    pub details: Option<Value>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl Failed {
    /// The code of a failure that has none of its own.
    pub const UNNAMED: &str = "FAILED";
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody got it, nor will: nobody serves the address, or the carrier is away.
    NotBegun(String),
    /// The time was over; whoever got it may have begun.
    TimedOut,
    /// Whoever got it may have begun, and no answer will come.
    Lost(String),
    /// The answer has more bytes than it may have.
    TooLarge,
}
