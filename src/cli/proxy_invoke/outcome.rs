//! How a call ended: the exit status, and what is told of it.

use serde_json::Value;

use crate::cli::output::{note, note_below};
use crate::cli::value::{NOTHING, duration, list, text, time};

/// What is asked of every invocation.
pub(super) const FIELDS: &str = "id toolName toolVersion status caller correlationId arguments result idempotencyKey
    error { code type message details retryable } provider { id name }
    attempts { number nodeId node { name } startedAt endedAt outcome lateAnswerAt error { code type message } }
    warnings requestedAt completedAt durationMs timeoutMs deadline dryRun traceLogId executionLogUrl";

/// The longest value that is quoted in a line.
const QUOTE_MAX: usize = 200;

/// Whether an invocation changes no more.
pub(super) fn is_over(invocation: &Value) -> bool {
    !["PENDING", "ROUTED", "RUNNING"].iter().any(|under_way| invocation["status"] == *under_way)
}

pub(super) fn succeeded(invocation: &Value) -> bool {
    invocation["status"] == "SUCCEEDED"
}

/// The exit status, as the help has them. The code says more than the status, where there is one.
pub(super) fn exit_status(invocation: &Value) -> u8 {
    if succeeded(invocation) {
        return 0;
    }
    match (invocation["error"]["code"].as_str(), invocation["status"].as_str()) {
        (Some("TOOL_FAILED" | "TOOL_INVALID_RESULT"), _) => 3,
        (Some("TOOL_NOT_FOUND" | "TOOL_INVALID_ARGUMENTS" | "TOOL_UNTRUSTED"), _) => 4,
        (Some("TOOL_NO_PROVIDER" | "TOOL_OVERLOADED" | "UNAVAILABLE"), _) => 5,
        (Some("TOOL_TIMEOUT"), _) | (_, Some("TIMED_OUT")) => 6,
        (Some("TOOL_CANCELLED"), _) | (_, Some("CANCELLED")) => 7,
        (_, Some("REJECTED")) => 4,
        (_, Some("FAILED")) => 3,
        _ => 1,
    }
}

/// Says what went wrong, where and why, and what to try.
pub(super) fn tell_error(invocation: &Value) {
    lines_of_error(invocation).into_iter().enumerate().for_each(|(number, line)| match number {
        0 => note(&format!("onex: {line}")),
        _ => note_below(&line),
    });
}

/// The message, then what belongs to it, a line each.
fn lines_of_error(invocation: &Value) -> Vec<String> {
    let error = &invocation["error"];
    let code = error["code"].as_str().unwrap_or_default();
    let headline = match text(error, "/message") {
        message if message == NOTHING => format!("the call ended as {}", text(invocation, "/status")),
        message => message,
    };
    let kind = match error["type"].as_str() {
        // The tool's own code, or what became of its provider. Elsewhere it only repeats the code.
        Some(kind) if code == "TOOL_FAILED" && !kind.is_empty() => format!(", {kind}"),
        _ => String::new(),
    };
    let mut lines = vec![if code.is_empty() { headline } else { format!("{headline} ({code}{kind})") }];
    let violations = list(error, "/details/violations");
    lines.extend(violations.iter().map(violation));
    // Those of the registry are in its message already.
    if code == "TOOL_FAILED" && !error["details"].is_null() {
        lines.push(format!("details: {}", quoted(&error["details"])));
    }
    if let Some(advice) = advice(code, invocation) {
        lines.push(advice);
    }
    lines.push(format!("correlation id {}", text(invocation, "/correlationId")));
    lines
}

/// Where the arguments do not fit: the place, what is wanted there, and what came.
fn violation(violation: &Value) -> String {
    let place = match text(violation, "/path") {
        path if path == NOTHING => "the arguments".to_owned(),
        path => path,
    };
    let says = match text(violation, "/expected") {
        expected if expected == NOTHING => text(violation, "/message"),
        expected => format!("expected {expected}"),
    };
    match violation.get("got") {
        Some(got) => format!("{place}: {says}, got {}", quoted(got)),
        None => format!("{place}: {says}"),
    }
}

/// A value in one line, cut where it is long.
fn quoted(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What to do next.
fn advice(code: &str, invocation: &Value) -> Option<String> {
    let tool = text(invocation, "/toolName");
    Some(match code {
        "TOOL_NOT_FOUND" => "\"onex tools\" lists those that are registered, \"onex tools WORDS\" searches".to_owned(),
        "TOOL_INVALID_ARGUMENTS" => format!("\"onex describe-tool {tool}\" shows what it takes, with an example"),
        "TOOL_UNTRUSTED" => {
            format!("\"onex describe-tool {tool}\" shows who offers it; without --trusted-only others are called, too")
        }
        "TOOL_NO_PROVIDER" => format!("\"onex describe-tool {tool}\" shows who offers it, and what keeps calls away"),
        "TOOL_OVERLOADED" => {
            "try again in a moment; where several offer it, --policy least-loaded finds one with room".to_owned()
        }
        "UNAVAILABLE"
            if !list(invocation, "/attempts").is_empty() || invocation["error"]["type"] == "RegistryRestarted" =>
        {
            "whether it was done is unknown: try again where doing it twice does no harm".to_owned()
        }
        "UNAVAILABLE" => "try again in a moment".to_owned(),
        "TOOL_FAILED" if invocation["error"]["type"] == "ProviderLost" => {
            "whether it was done is unknown: with --idempotent another provider is tried in such a case".to_owned()
        }
        "TOOL_TIMEOUT" => format!("it had {}: --timeout gives it longer", duration(invocation, "/timeoutMs")),
        "TOOL_INVALID_RESULT" => {
            format!("{} does not answer as the tool promises: --node calls another provider", provider(invocation))
        }
        _ if invocation["error"]["retryable"] == true => "the same call may succeed later".to_owned(),
        _ => return None,
    })
}

/// Says what the user should know even of a call that succeeded.
pub(super) fn tell_warnings(invocation: &Value) {
    for warning in list(invocation, "/warnings") {
        note(&format!("warning: {}", text(warning, "")));
    }
}

/// Says how it went, with every id that leads further.
pub(super) fn tell_all(invocation: &Value) {
    let [tool, version, status, id] = ["/toolName", "/toolVersion", "/status", "/id"].map(|at| text(invocation, at));
    let took = duration(invocation, "/durationMs");
    note(&format!("{tool} {version} on {}: {status} in {took}", provider(invocation)));
    note_below(&format!("invocation {id}, correlation id {}", text(invocation, "/correlationId")));
    for (says, at) in [("idempotency key", "/idempotencyKey"), ("trace", "/traceLogId"), ("log", "/executionLogUrl")] {
        match text(invocation, at) {
            value if value == NOTHING => {}
            value => note_below(&format!("{says} {value}")),
        }
    }
    note_below(&format!(
        "requested {}, completed {}, time limit {}",
        text(invocation, "/requestedAt"),
        text(invocation, "/completedAt"),
        duration(invocation, "/timeoutMs")
    ));
    list(invocation, "/attempts").iter().for_each(|attempt| note_below(&line_of_attempt(attempt)));
    for event in list(invocation, "/events") {
        note_below(&format!("event {} {} {}", text(event, "/sequence"), text(event, "/type"), time(event, "/time")));
    }
}

fn line_of_attempt(attempt: &Value) -> String {
    let node = match text(attempt, "/node/name") {
        name if name == NOTHING => text(attempt, "/nodeId"),
        name => name,
    };
    let (number, outcome) = (text(attempt, "/number"), text(attempt, "/outcome"));
    let mut line = format!("attempt {number}: {node}, {outcome}, from {}", text(attempt, "/startedAt"));
    for (says, at) in [("to", "/endedAt"), ("answered too late at", "/lateAnswerAt"), ("because", "/error/message")] {
        match text(attempt, at) {
            value if value == NOTHING => {}
            value => line.push_str(&format!(", {says} {value}")),
        }
    }
    line
}

fn provider(invocation: &Value) -> String {
    match text(invocation, "/provider/name") {
        name if name == NOTHING => "no provider".to_owned(),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_code_has_its_exit_status() {
        for (code, status) in [
            ("TOOL_FAILED", 3),
            ("TOOL_INVALID_RESULT", 3),
            ("TOOL_NOT_FOUND", 4),
            ("TOOL_INVALID_ARGUMENTS", 4),
            ("TOOL_UNTRUSTED", 4),
            ("TOOL_NO_PROVIDER", 5),
            ("TOOL_OVERLOADED", 5),
            ("UNAVAILABLE", 5),
            ("TOOL_TIMEOUT", 6),
            ("TOOL_CANCELLED", 7),
        ] {
            assert_eq!(exit_status(&json!({"status": "FAILED", "error": {"code": code}})), status, "{code}");
        }
        for (ended, status) in [("SUCCEEDED", 0), ("FAILED", 3), ("REJECTED", 4), ("TIMED_OUT", 6), ("CANCELLED", 7)] {
            assert_eq!(exit_status(&json!({"status": ended, "error": null})), status, "{ended}");
        }
        assert_eq!(exit_status(&json!({"status": "RUNNING"})), 1);
    }

    #[test]
    fn an_error_says_where_what_and_what_next() {
        let invocation = json!({
            "toolName": "add", "correlationId": "c", "status": "REJECTED",
            "error": {"code": "TOOL_INVALID_ARGUMENTS", "type": "InvalidArguments", "message": "they do not fit", "details": {
                "violations": [
                    {"path": "/a", "expected": "an integer", "got": "x"},
                    {"path": "", "message": "b is missing"},
                    {"path": "/c", "expected": "null", "got": null},
                ],
            }},
        });
        assert_eq!(
            lines_of_error(&invocation),
            [
                "they do not fit (TOOL_INVALID_ARGUMENTS)",
                "/a: expected an integer, got \"x\"",
                "the arguments: b is missing",
                "/c: expected null, got null",
                "\"onex describe-tool add\" shows what it takes, with an example",
                "correlation id c",
            ]
        );
    }

    #[test]
    fn a_tool_s_own_error_is_told_in_its_words() {
        let long = "x".repeat(300);
        let invocation = json!({"correlationId": "c", "status": "FAILED", "error": {
            "code": "TOOL_FAILED", "type": "DivisionByZero", "message": "b is 0", "retryable": true, "details": {"b": long},
        }});
        let lines = lines_of_error(&invocation);
        assert_eq!(lines[0], "b is 0 (TOOL_FAILED, DivisionByZero)");
        assert!(lines[1].starts_with("details: {\"b\":\"xxx") && lines[1].ends_with('…'), "{lines:?}");
        assert!(lines[2].contains("may succeed later"), "{lines:?}");
        assert_eq!(lines_of_error(&json!({"status": "CANCELLED"}))[0], "the call ended as CANCELLED");
    }

    #[test]
    fn an_attempt_is_one_line() {
        let attempt = json!({
            "number": 2, "nodeId": "n", "node": null, "outcome": "TIMED_OUT", "startedAt": "s", "endedAt": "e",
            "lateAnswerAt": "l", "error": null,
        });
        assert_eq!(line_of_attempt(&attempt), "attempt 2: n, TIMED_OUT, from s, to e, answered too late at l");
    }
}
