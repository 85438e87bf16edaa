//! One call, answered by a command.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::cli::child::group::{Groups, Pipes};
use crate::cli::child::trampoline;
use crate::cli::output;
use crate::client::node::{Call, ToolError};

/// The most bytes that are read of a result: what a registry takes unless it is set otherwise.
const STDOUT_BYTES_MAX: usize = 4 << 20;
/// How many of the last bytes of stderr are kept for an error's message.
const STDERR_BYTES_KEPT: usize = 4096;
/// How much of an output that is no JSON is shown.
const EXCERPT_CHARS_MAX: usize = 200;
/// How long what a command has left behind may hold its output open once it has ended.
const OUTPUT_WITHIN: Duration = Duration::from_millis(500);
/// How many bytes are read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Starts the command and waits for its answer. Dropped before that, it takes the command along.
pub(super) async fn answer(typed: Arc<[OsString]>, groups: Groups, call: Call) -> Result<Value, ToolError> {
    let cannot = |error| ToolError::new("CANNOT_START", format!("the command cannot be started: {error}"));
    let mut command = trampoline(false).map_err(cannot)?;
    command
        .args(&*typed)
        .env("ONEX_TOOL", &call.tool)
        .env("ONEX_TOOL_VERSION", &call.version)
        .env("ONEX_INVOCATION_ID", call.id.to_string())
        .env("ONEX_CORRELATION_ID", &call.correlation_id)
        .env("ONEX_CALLER", &call.caller)
        .env("ONEX_DEADLINE", call.deadline.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = groups.start(command).map_err(cannot)?;
    let Pipes { stdin, stdout, stderr } = group.pipes();

    let arguments = format!("{}\n", call.arguments);
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command need not read what it does not care for.
            let _ = stdin.write_all(arguments.as_bytes()).await;
        }
    };
    let (mut result, mut complaint) = (Vec::new(), Vec::new());
    let (ended, fits) = {
        let read =
            async { tokio::join!(read_result(stdout, &mut result), read_complaint(stderr, &mut complaint), feed).0 };
        let mut read = std::pin::pin!(read);
        tokio::select! {
            ended = group.wait() => (ended, timeout(OUTPUT_WITHIN, &mut read).await.unwrap_or(true)),
            // All has been said, or too much.
            fits = &mut read => if fits { (group.wait().await, true) } else { return Err(too_large()) },
        }
    };
    Said { result, complaint }.understand(ended.map_err(cannot)?, fits)
}

/// What a command has said.
struct Said {
    result: Vec<u8>,
    /// The end of it.
    complaint: Vec<u8>,
}

impl Said {
    fn understand(&self, ended: ExitStatus, fits: bool) -> Result<Value, ToolError> {
        match (ended.code(), ended.signal()) {
            (Some(0), _) => {}
            (Some(status), _) => {
                let otherwise = || format!("the command ended with status {status} and said nothing on stderr");
                let code = format!("EXIT_{status}");
                return Err(ToolError::new(code, self.complaint().unwrap_or_else(otherwise)));
            }
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                let message = format!("the command was ended by signal {signal}");
                return Err(ToolError::new(format!("SIGNAL_{signal}"), message));
            }
        }
        if !fits {
            return Err(too_large());
        }
        serde_json::from_slice(&self.result).map_err(|error| self.no_json(&error))
    }

    fn complaint(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.complaint);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn no_json(&self, error: &serde_json::Error) -> ToolError {
        if self.result.iter().all(u8::is_ascii_whitespace) {
            return ToolError::new(
                "INVALID_OUTPUT",
                "the command wrote nothing to stdout: a result is JSON, such as null",
            );
        }
        let text = String::from_utf8_lossy(&self.result);
        let mut excerpt: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
        if excerpt.len() < text.len() {
            excerpt.push('…');
        }
        ToolError::new("INVALID_OUTPUT", format!("what the command wrote to stdout is no JSON ({error}): {excerpt}"))
    }
}

fn too_large() -> ToolError {
    let message = format!("the command wrote more than {STDOUT_BYTES_MAX} bytes to stdout");
    ToolError::new("OUTPUT_TOO_LARGE", message)
}

/// Reads all; `false` where it is too much.
async fn read_result(stdout: Option<impl AsyncRead + Unpin>, result: &mut Vec<u8>) -> bool {
    let Some(stdout) = stdout else { return true };
    let mut stdout = stdout.take(STDOUT_BYTES_MAX as u64 + 1);
    // A pipe that breaks has said all that it will.
    let _ = stdout.read_to_end(result).await;
    result.len() <= STDOUT_BYTES_MAX
}

/// Passes on what comes, and keeps the end of it.
async fn read_complaint(stderr: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        let read = chunk.get(..length).unwrap_or_default();
        output::pass_on(read);
        kept.extend_from_slice(read);
        kept.drain(..kept.len().saturating_sub(STDERR_BYTES_KEPT));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn understood(raw: i32, result: &str, complaint: &str) -> Result<Value, ToolError> {
        let said = Said { result: result.into(), complaint: complaint.into() };
        said.understand(ExitStatus::from_raw(raw), true)
    }

    #[test]
    fn a_result_is_what_stdout_has_as_json() {
        assert_eq!(understood(0, " {\"a\": 1}\n", "remarks"), Ok(json!({"a": 1})));
        assert_eq!(understood(0, "null", ""), Ok(Value::Null));
    }

    #[test]
    fn an_exit_status_is_an_error_with_the_end_of_stderr() {
        let error = understood(3 << 8, "{}", "no such file\n").unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("EXIT_3", "no such file"));
        assert!(understood(1 << 8, "", " \n").unwrap_err().message.contains("status 1"));
        assert_eq!(understood(9, "", "").unwrap_err().code, "SIGNAL_9");
    }

    #[test]
    fn what_is_no_json_is_quoted_in_part() {
        let error = understood(0, &"é".repeat(1000), "").unwrap_err();
        assert_eq!(error.code, "INVALID_OUTPUT");
        assert!(error.message.ends_with("é…") && error.message.chars().count() < 320, "{error}");
        assert!(understood(0, "\n", "").unwrap_err().message.contains("nothing"));
        assert!(understood(0, "{} {}", "").is_err());
    }
}
