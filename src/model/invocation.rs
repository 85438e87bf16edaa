//! An invocation: one call of a tool through the registry, and what calls add up to.

use super::{InvocationId, NodeId, RequestKey, Time, ToolKey, ToolName};
use serde_json::Value;
use std::sync::Arc;

/// Which of several providers gets a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeSelection {
    /// The one that has offered the tool the longest.
    First,
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest calls under way for what it takes.
    LeastLoaded,
    /// Any.
    Random,
    /// All of them.
    All,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvocationStatus {
    /// Asked for, and not looked at yet.
    Pending,
    /// A provider is chosen, and has not been handed the call yet.
    Routed,
    /// A provider has been handed the call.
    Running,
    /// The tool answered.
    Succeeded,
    /// The tool failed, its answer was wrong, or its provider was lost.
    Failed,
    /// Nobody answered in time.
    TimedOut,
    /// Its caller took it back.
    Cancelled,
    /// It reached no provider.
    Rejected,
}

impl InvocationStatus {
    /// The status as the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            InvocationStatus::Pending => "PENDING",
            InvocationStatus::Routed => "ROUTED",
            InvocationStatus::Running => "RUNNING",
            InvocationStatus::Succeeded => "SUCCEEDED",
            InvocationStatus::Failed => "FAILED",
            InvocationStatus::TimedOut => "TIMED_OUT",
            InvocationStatus::Cancelled => "CANCELLED",
            InvocationStatus::Rejected => "REJECTED",
        }
    }

    /// Whether nothing more can come.
    pub fn is_final(self) -> bool {
        self > InvocationStatus::Running
    }
}

/// Why a call did not succeed, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallErrorCode {
    /// Nobody offers the tool.
    ToolNotFound,
    /// Nobody who offers it can take a call now.
    ToolNoProvider,
    /// Those who could take it are not trusted as far as is wanted.
    ToolUntrusted,
    /// The arguments do not fit the tool's schema.
    ToolInvalidArguments,
    /// What the tool answered does not fit its schema.
    ToolInvalidResult,
    /// Nobody answered in time.
    ToolTimeout,
    /// The tool says that it failed, or its provider was lost.
    ToolFailed,
    /// Those who could take it have as many calls as they take.
    ToolOverloaded,
    /// Its caller took it back.
    ToolCancelled,
    /// The registry could not go on with it.
    Unavailable,
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct CallError {
    /// For programs.
    pub code: CallErrorCode,
    /// The tool's own error code where the tool failed, else what sort of failure it is, e.g. `ProviderLost`.
    pub kind: String,
    /// For people.
    pub message: String,
    /// What belongs to it.
    pub details: Option<Value>,
    /// Whether the same call may succeed later without doing anything twice.
    pub retryable: bool,
}

impl CallError {
    /// The status of a call that ended so before anybody was sent it.
    pub fn status_of_rejected(&self) -> InvocationStatus {
        match self.code {
            CallErrorCode::ToolCancelled => InvocationStatus::Cancelled,
            CallErrorCode::ToolTimeout => InvocationStatus::TimedOut,
            CallErrorCode::Unavailable => InvocationStatus::Failed,
            _ => InvocationStatus::Rejected,
        }
    }
}

/// One provider's part in a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Counts up from 1 within the call.
    pub number: u32,
    /// The provider.
    pub node: NodeId,
    /// When the call was sent its way.
    pub started_at: Time,
    /// When it ended; `None` while it has not.
    pub ended_at: Option<Time>,
    /// [`InvocationStatus::Routed`] or [`InvocationStatus::Running`] while it has not ended.
    pub outcome: InvocationStatus,
    /// Why it failed.
    pub error: Option<CallError>,
    /// Whether the provider answered, in time or not.
    pub answered: bool,
    /// When the provider answered after all, too late to count.
    pub late_answer_at: Option<Time>,
}

impl Attempt {
    /// A call that was sent to this provider just now.
    pub fn new(number: u32, node: NodeId, started_at: Time) -> Self {
        Attempt {
            number,
            node,
            started_at,
            ended_at: None,
            outcome: InvocationStatus::Routed,
            error: None,
            answered: false,
            late_answer_at: None,
        }
    }
}

/// What was asked: never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The tool.
    pub tool: ToolName,
    /// The version, or range of versions, where the caller named one.
    pub version: Option<String>,
    /// The only provider that will do, where the caller named one.
    pub node: Option<NodeId>,
    /// Which of several providers; `None` where the caller did not say.
    pub policy: Option<NodeSelection>,
    /// The arguments as they are shown: without what the tool's schema keeps secret, and no longer than records are.
    pub arguments: Arc<Value>,
    /// The principal that asks.
    pub caller: String,
    /// How long the call may take, in milliseconds.
    pub timeout_ms: u32,
    /// Whether the call may be made again when nobody knows what came of it.
    pub idempotent: bool,
    /// The caller's name for the request, and what was asked as a hash.
    pub request: Option<RequestKey>,
    /// When the request came in.
    pub requested_at: Time,
}

impl Asked {
    /// Nobody waits for an answer any longer than this.
    pub fn deadline(&self) -> Time {
        Time::from_micros(self.requested_at.as_micros().saturating_add(i64::from(self.timeout_ms) * 1_000))
    }
}

/// One call of a tool through the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// Its id.
    pub id: InvocationId,
    /// What was asked.
    pub asked: Arc<Asked>,
    /// What its caller calls the whole undertaking; the id as text where it did not say.
    pub correlation_id: Arc<str>,
    /// The tool that was found.
    pub tool: Option<ToolKey>,
    /// How far it has come.
    pub status: InvocationStatus,
    /// What the tool answered, as it is shown.
    pub result: Option<Arc<Value>>,
    /// Why it did not succeed.
    pub error: Option<CallError>,
    /// Each provider's part, the first first.
    pub attempts: Vec<Attempt>,
    /// What the caller may want to know, in sentences.
    pub warnings: Vec<String>,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// Where the provider keeps its trace of the call, in its own words.
    pub trace_log_id: Option<String>,
    /// Where the provider's log of the call can be read.
    pub execution_log_url: Option<String>,
}

impl Invocation {
    /// A call that was asked for just now.
    pub fn new(id: InvocationId, asked: Arc<Asked>, correlation_id: Arc<str>) -> Self {
        Invocation {
            id,
            asked,
            correlation_id,
            tool: None,
            status: InvocationStatus::Pending,
            result: None,
            error: None,
            attempts: Vec::new(),
            warnings: Vec::new(),
            completed_at: None,
            trace_log_id: None,
            execution_log_url: None,
        }
    }

    /// The provider that has, or had, the call: of several the last.
    pub fn provider(&self) -> Option<NodeId> {
        self.attempts.last().map(|attempt| attempt.node)
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// A final status.
    pub status: InvocationStatus,
    /// What the tool answered.
    pub result: Option<Arc<Value>>,
    /// Why it did not succeed.
    pub error: Option<CallError>,
    /// Each provider's part, the first first.
    pub attempts: Vec<Attempt>,
    /// When.
    pub at: Time,
    /// Where the provider keeps its trace of the call.
    pub trace_log_id: Option<String>,
    /// Where the provider's log of the call can be read.
    pub execution_log_url: Option<String>,
}

/// How many calls took how long, in classes that are each at most a fifth wider than the one before: a percentile is
/// at most a tenth off.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations([u32; Durations::CLASSES]);

impl Default for Durations {
    fn default() -> Self {
        Durations([0; Durations::CLASSES])
    }
}

impl Durations {
    /// Four classes for each doubling, from 1 microsecond to 71 minutes.
    const CLASSES: usize = 128;

    /// Counts a duration.
    pub fn add(&mut self, micros: u64) {
        let class = &mut self.0[Self::class(micros)];
        *class = class.saturating_add(1);
    }

    fn class(micros: u64) -> usize {
        let micros = micros.max(1);
        let doubling = micros.ilog2();
        let quarter = ((u128::from(micros) * 4) >> doubling) as usize - 4;
        (doubling as usize * 4 + quarter).min(Self::CLASSES - 1)
    }

    /// The duration in microseconds that this share of the calls, from 0 to 1, did not exceed; `None` without calls.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        let found = self.0.iter().position(|count| {
            below += u64::from(*count);
            below >= rank
        })?;
        let start = f64::from(4 + (found % 4) as u32) / 4.0 * f64::exp2((found / 4) as f64);
        let width = f64::exp2((found / 4) as f64) / 4.0;
        // Below four microseconds a class holds one whole number, or none.
        Some(if found < 8 { start.floor() } else { start + width / 2.0 })
    }

    /// The classes that have any, with how many.
    pub fn counts(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..).zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// What [`Durations::counts`] gave; classes that there are not are left out.
    pub fn of_counts(counts: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut durations = Durations::default();
        for (class, count) in counts {
            if let Some(held) = durations.0.get_mut(class as usize) {
                *held = count;
            }
        }
        durations
    }
}

/// What the calls of a tool, or those that a node took, add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallStats {
    /// How many ended with a provider's answer, or for want of one.
    pub calls: u64,
    /// How many of them succeeded.
    pub successes: u64,
    /// How many of them got no answer in time.
    pub timeouts: u64,
    /// How long they took.
    pub durations: Durations,
    /// The latest of them.
    pub last: Option<LastCall>,
}

/// The latest call of a tool or node.
#[derive(Clone, Debug, PartialEq)]
pub struct LastCall {
    /// When it ended.
    pub at: Time,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Its arguments, as they are shown.
    pub arguments: Arc<Value>,
    /// Its result, as it is shown; `None` where there was none.
    pub result: Option<Arc<Value>>,
    /// Where the provider keeps its trace of it.
    pub trace_log_id: Option<String>,
    /// Where the provider's log of it can be read.
    pub execution_log_url: Option<String>,
}

impl CallStats {
    /// How many did not succeed.
    pub fn failures(&self) -> u64 {
        self.calls - self.successes
    }

    /// Adds one that ended.
    pub fn add(&mut self, status: InvocationStatus, last: LastCall) {
        self.calls += 1;
        match status {
            InvocationStatus::Succeeded => self.successes += 1,
            InvocationStatus::TimedOut => self.timeouts += 1,
            _ => {}
        }
        self.durations.add(last.micros);
        self.last = Some(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_a_tenth_off() {
        for micros in (0..32).flat_map(|doubling| [1_u64 << doubling, (1 << doubling) * 5 / 4, (1 << doubling) * 7 / 4])
        {
            let mut durations = Durations::default();
            durations.add(micros);
            let found = durations.quantile(0.5).unwrap();
            assert!((found / micros.max(1) as f64 - 1.0).abs() <= 0.125, "{micros}: {found}");
        }
        assert_eq!(Durations::default().quantile(0.5), None);
    }

    #[test]
    fn percentiles_are_of_all_that_was_counted() {
        let mut durations = Durations::default();
        (0..99).for_each(|_| durations.add(1_000));
        durations.add(1_000_000);
        assert!(durations.quantile(0.5).unwrap() < 1_200.0);
        assert!(durations.quantile(0.99).unwrap() < 1_200.0);
        assert!(durations.quantile(1.0).unwrap() > 800_000.0);
        assert_eq!(Durations::of_counts(durations.counts()), durations);
    }
}
