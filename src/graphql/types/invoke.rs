//! What is asked of calls: checked here, field by field.

use super::super::error::invalid;
use super::invocation::NodeSelection;
use crate::model::nests_too_deep;
use crate::model::{
    CallError, CallErrorCode, InvocationId, JSON_DEPTH_MAX, NAME_LEN_MAX, NodeId, RequestKey, TEXT_LEN_MAX, ToolName,
    VersionWanted,
};
use crate::proxy::{Answer, BATCH_LEN_MAX, PARALLEL_MAX, Wanted};
use async_graphql::{InputObject, InputType, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

// Read by serde where no library is asked (`direct`): whatever the library would refuse must be refused by it, too.
/// A call of a tool.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxyInvokeInput {
    /// The tool's name.
    pub(in crate::graphql) tool: String,
    /// The version as it was written, or a range such as ^1.2 of which the highest is taken; the highest release when
    /// absent.
    version: Option<String>,
    /// What the tool is given; checked against its input schema.
    #[serde(deserialize_with = "not_null")]
    arguments: Value,
    /// Which of several providers. FIRST when absent, and the call is warned where there are several.
    #[serde(default, deserialize_with = "as_the_library_does")]
    policy: Option<NodeSelection>,
    /// The only provider that will do.
    node_id: Option<Uuid>,
    /// True: only providers whose trust is TRUSTED or VERIFIED.
    trusted_only: Option<bool>,
    /// How many milliseconds the call may take: 1 or more. The tool's when absent, else the registry's default.
    timeout_ms: Option<i32>,
    /// How many other providers to try when one is lost or refuses: 0 or more, 2 when absent. Never after one may have
    /// begun, unless the call is idempotent.
    max_failovers: Option<i32>,
    /// True: the call may be made again, at another provider, when nobody knows what came of it; as the tool says when
    /// absent.
    idempotent: Option<bool>,
    /// True: only say who would get the call, and why. Nothing is sent, and nothing recorded.
    pub(in crate::graphql) dry_run: Option<bool>,
    /// False: answer at once; invocationUpdates and invocation tell the rest. True when absent.
    wait: Option<bool>,
    /// What the caller calls the whole undertaking; travels with the call and with every change.
    pub(in crate::graphql) correlation_id: Option<String>,
    /// Names this request: repeating it gives the same call, and calls nobody again; one that was REJECTED may be made
    /// again. The last 10,000 calls are remembered. 1 to 255 characters.
    idempotency_key: Option<String>,
}

fn not_null<'de, D: Deserializer<'de>>(given: D) -> Result<Value, D::Error> {
    match Value::deserialize(given)? {
        Value::Null => Err(D::Error::custom("is null")),
        value => Ok(value),
    }
}

/// Serde alone would take more than the library does.
fn as_the_library_does<'de, D: Deserializer<'de>, T: InputType>(given: D) -> Result<T, D::Error> {
    let value = async_graphql::Value::deserialize(given)?;
    T::parse(Some(value)).map_err(|_| D::Error::custom("does not fit its type"))
}

impl ProxyInvokeInput {
    /// `path` stands before the names of fields in errors.
    pub(in crate::graphql) fn read(self, path: &str, timeout_ms_max: u32) -> Result<Wanted> {
        let field = |name: &str| format!("{path}{name}");
        let tool = ToolName::try_new(&self.tool).map_err(|error| invalid(&field("tool"), error))?;
        let version = self.version.as_deref().map(VersionWanted::try_new).transpose();
        let version = version.map_err(|error| invalid(&field("version"), error))?;
        if nests_too_deep(&self.arguments) {
            return Err(invalid(&field("arguments"), format!("nests deeper than {JSON_DEPTH_MAX} levels")));
        }
        let timeout_ms = match self.timeout_ms.map(u32::try_from) {
            None => None,
            Some(Ok(timeout_ms)) if (1..=timeout_ms_max).contains(&timeout_ms) => Some(timeout_ms),
            Some(_) => {
                let reason = format!("is not between 1 and {timeout_ms_max}, which is calls.timeout_ms_max");
                return Err(invalid(&field("timeoutMs"), reason));
            }
        };
        let failovers_max = self.max_failovers.map(u32::try_from).transpose();
        let failovers_max = failovers_max.map_err(|_| invalid(&field("maxFailovers"), "is less than 0"))?;
        let mut wanted = Wanted {
            tool,
            version,
            arguments: Arc::new(self.arguments),
            policy: self.policy.map(Into::into),
            node: self.node_id.map(NodeId),
            trusted_only: self.trusted_only.unwrap_or(false),
            timeout_ms,
            failovers_max,
            idempotent: self.idempotent.unwrap_or(false),
            request: None,
            waits: self.wait.unwrap_or(true),
            unknown: false,
        };
        if let Some(key) = self.idempotency_key {
            let length = key.chars().count();
            if length == 0 || length > NAME_LEN_MAX {
                let reason = format!("has {length} characters; it has 1 to {NAME_LEN_MAX}");
                return Err(invalid(&field("idempotencyKey"), reason));
            }
            wanted.request = Some(RequestKey { key, asked: fingerprint(&wanted) });
        }
        Ok(wanted)
    }
}

/// What is asked, as a hash. How long to wait for it, and whether, is not part of it.
fn fingerprint(wanted: &Wanted) -> [u8; 32] {
    let asked = json!({
        "tool": wanted.tool.as_str(),
        "version": wanted.version.as_ref().map(VersionWanted::as_str),
        "arguments": *wanted.arguments,
        "policy": wanted.policy.map(|policy| format!("{policy:?}")),
        "node": wanted.node.map(|node| node.0),
        "trustedOnly": wanted.trusted_only,
    });
    Sha256::digest(asked.to_string()).into()
}

/// Several calls.
#[derive(InputObject)]
pub struct ProxyInvokeBatchInput {
    /// Each of them: 1 to 1,000. Not dry runs.
    calls: Vec<ProxyInvokeInput>,
    /// How many are made at once: 1 to 64, 8 when absent.
    parallelism: Option<i32>,
    /// True: once one fails, those that have not begun are not made, and answered as CANCELLED.
    stop_on_error: Option<bool>,
}

impl ProxyInvokeBatchInput {
    /// The calls with their correlation ids, how many at once, and whether one that fails stops the rest.
    #[expect(clippy::type_complexity, reason = "taken apart by its one reader")]
    pub(in crate::graphql) fn read(
        self,
        timeout_ms_max: u32,
    ) -> Result<(Vec<(Option<String>, Wanted)>, Option<usize>, bool)> {
        let count = self.calls.len();
        if count == 0 || count > BATCH_LEN_MAX {
            return Err(invalid("calls", format!("has {count} entries; it has 1 to {BATCH_LEN_MAX}")));
        }
        let parallel = match self.parallelism.map(usize::try_from) {
            None => None,
            Some(Ok(parallel)) if (1..=PARALLEL_MAX).contains(&parallel) => Some(parallel),
            Some(_) => return Err(invalid("parallelism", format!("is not between 1 and {PARALLEL_MAX}"))),
        };
        let read = |(at, mut call): (usize, ProxyInvokeInput)| {
            if call.dry_run.unwrap_or(false) {
                return Err(invalid(&format!("calls[{at}].dryRun"), "cannot be in a batch: ask proxyInvoke"));
            }
            let correlation_id = call.correlation_id.take();
            Ok((correlation_id, call.read(&format!("calls[{at}]."), timeout_ms_max)?))
        };
        let calls = self.calls.into_iter().enumerate().map(read).collect::<Result<_>>()?;
        Ok((calls, parallel, self.stop_on_error.unwrap_or(false)))
    }
}

/// A call.
#[derive(InputObject)]
pub struct InvocationRefInput {
    /// The call's id.
    invocation_id: Uuid,
}

impl InvocationRefInput {
    pub(in crate::graphql) fn id(&self) -> InvocationId {
        InvocationId(self.invocation_id)
    }
}

/// A part of an answer.
#[derive(InputObject)]
pub struct ProgressInvocationInput {
    /// The call, as its ToolCall names it.
    pub(in crate::graphql) invocation_id: Uuid,
    /// The part. A call takes 10,000 parts and 4 MiB of them at most.
    pub(in crate::graphql) chunk: Value,
}

// Read by serde as well, as above.
/// An answer: a result or an error.
#[derive(InputObject, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompleteInvocationInput {
    /// The call, as its ToolCall names it.
    pub(in crate::graphql) invocation_id: Uuid,
    /// What the tool answers; null when absent. Checked against its output schema.
    result: Option<Value>,
    /// Why the tool failed, in the place of a result.
    // Left to the library: those are few.
    #[serde(skip)]
    error: Option<ToolErrorInput>,
    /// Where the provider keeps its trace of the call, in its own words: at most 1,024 characters.
    trace_log_id: Option<String>,
    /// Where the provider's log of the call can be read: at most 1,024 characters.
    execution_log_url: Option<String>,
}

/// Why a tool failed.
#[derive(InputObject)]
pub struct ToolErrorInput {
    /// The tool's own error code, of those that it declares; Failed when absent. At most 255 characters.
    code: Option<String>,
    /// What happened, for people: at most 16,384 characters; what is longer is cut.
    message: String,
    /// What belongs to it.
    details: Option<Value>,
    /// True: the same call may succeed later. Where it is idempotent, another provider is tried.
    retryable: Option<bool>,
}

/// The longest of a provider's references to its own logs, in characters.
const REFERENCE_LEN_MAX: usize = 1_024;

impl CompleteInvocationInput {
    pub(in crate::graphql) fn read(self) -> Result<(InvocationId, Answer)> {
        let outcome = match (self.result, self.error) {
            (Some(result), Some(_)) if !result.is_null() => {
                return Err(invalid("error", "is given beside a result: a call has one or the other"));
            }
            (_, Some(error)) => Err(error.read()?),
            (result, None) => {
                let result = result.unwrap_or_default();
                if nests_too_deep(&result) {
                    return Err(invalid("result", format!("nests deeper than {JSON_DEPTH_MAX} levels")));
                }
                Ok(Arc::new(result))
            }
        };
        for (field, text) in [("traceLogId", &self.trace_log_id), ("executionLogUrl", &self.execution_log_url)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > REFERENCE_LEN_MAX) {
                return Err(invalid(field, format!("has more than {REFERENCE_LEN_MAX} characters")));
            }
        }
        let answer = Answer { outcome, trace_log_id: self.trace_log_id, execution_log_url: self.execution_log_url };
        Ok((InvocationId(self.invocation_id), answer))
    }
}

impl ToolErrorInput {
    fn read(self) -> Result<CallError> {
        let kind = self.code.filter(|code| !code.is_empty()).unwrap_or_else(|| "Failed".to_owned());
        if kind.chars().count() > NAME_LEN_MAX {
            return Err(invalid("error.code", format!("has more than {NAME_LEN_MAX} characters")));
        }
        if self.details.as_ref().is_some_and(nests_too_deep) {
            return Err(invalid("error.details", format!("nests deeper than {JSON_DEPTH_MAX} levels")));
        }
        Ok(CallError {
            code: CallErrorCode::ToolFailed,
            kind,
            message: self.message.chars().take(TEXT_LEN_MAX).collect(),
            details: self.details,
            retryable: self.retryable.unwrap_or(false),
        })
    }
}
