//! What a server's answer, or that there is none, means for the call.

use super::super::{Failure, http};
use super::transport::{Connection, Error};
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ErrorCode, ServerResult};
use rmcp::service::{ClientInitializeError, RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::sync::oneshot::error::RecvError;

/// How a call ended.
pub(super) enum Ended {
    /// With a result.
    Well(Value),
    /// Without one; the connection is as it was.
    Badly(Failure),
    /// Without one; the connection is of no use any more.
    Broken(Failure),
    /// The server never saw it, since the connection was of no use any more.
    Stale,
}

/// What it means that a server could not be greeted: no call was begun.
pub(super) fn unconnected(error: &ClientInitializeError) -> Failure {
    let transport = match error {
        ClientInitializeError::TransportError { error, .. } => error.error.downcast_ref::<Error>(),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => return unconnected(fallback),
        _ => None,
    };
    match transport {
        // Only the greeting is lost.
        Some(Error::Client(error)) => match http::unsent(error) {
            Failure::Unknown { kind, message } => Failure::NotStarted { kind, message },
            failure => failure,
        },
        Some(Error::AuthRequired(_) | Error::InsufficientScope(_)) => {
            let message = "the MCP server asks for credentials, and the registry has none: no token is passed on";
            Failure::not_started("Unauthorized", message)
        }
        _ => Failure::not_started("HandshakeFailed", format!("the MCP server cannot be greeted: {error}")),
    }
}

/// What a call's answer means.
pub(super) fn read(answer: Result<Result<ServerResult, ServiceError>, RecvError>, tool: &str) -> Ended {
    match answer {
        Ok(Ok(result)) => result_of(result, tool),
        Ok(Err(ServiceError::McpError(error))) => refused(error, tool),
        Ok(Err(ServiceError::TransportSend(error))) => match error.downcast::<Connection, RoleClient>() {
            Ok(error) => unsent(error),
            Err(error) => Ended::Broken(lost(&error)),
        },
        Ok(Err(ServiceError::TransportClosed)) | Err(_) => Ended::Broken(Failure::unknown(
            "ConnectionLost",
            "the MCP server broke the connection before the answer came",
        )),
        Ok(Err(error)) => Ended::Broken(lost(&error)),
    }
}

fn lost(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::unknown("ConnectionLost", format!("the MCP server gave no answer: {error}"))
}

/// What it means that a call could not be sent, or was answered by the server's HTTP side.
fn unsent(error: Error) -> Ended {
    match error {
        // The server knows no session of that id, and looked no further.
        Error::SessionExpired => Ended::Stale,
        Error::Client(error) => Ended::Broken(http::unsent(&error)),
        Error::HttpStatus(error) => {
            let message = format!("the MCP server answered with the HTTP status {}", error.status);
            Ended::Badly(match error.status {
                429 => Failure::not_started("ProviderOverloaded", message),
                503 if error.retry_after.is_some() => Failure::not_started("ProviderUnavailable", message),
                503 => Failure::unknown("ProviderUnavailable", message),
                _ => Failure::unknown("GatewayFailed", message),
            })
        }
        Error::ResponseBodyTooLarge { max_size } => Ended::Badly(Failure::unknown(
            "ResponseTooLarge",
            format!("the MCP server answered with more than {max_size} bytes (calls.response_bytes_max)"),
        )),
        Error::AuthRequired(_) | Error::InsufficientScope(_) => {
            let message = "the MCP server asks for credentials, and the registry has none: no token is passed on";
            Ended::Badly(Failure::not_started("Unauthorized", message))
        }
        Error::UnexpectedServerResponse(_) | Error::UnexpectedContentType(_) | Error::Deserialize(_) => {
            let message = format!("the MCP server answered with something that is not MCP: {error}");
            Ended::Badly(Failure::unknown("ResponseInvalid", message))
        }
        error => Ended::Broken(lost(&error)),
    }
}

/// What a protocol error means.
fn refused(error: ErrorData, tool: &str) -> Ended {
    let ErrorData { code, message, data } = error;
    if code == ErrorCode::METHOD_NOT_FOUND || (code == ErrorCode::INVALID_PARAMS && names_no_tool(&message, tool)) {
        return Ended::Badly(Failure::not_started("ToolUnknown", message));
    }
    if code == ErrorCode::HEADER_MISMATCH || code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION {
        return Ended::Broken(Failure::not_started("HandshakeFailed", message));
    }
    // As a server says it that does not know the session; but it named the request, and a tool might say the same.
    if matches!(code.0, -32_001 | -32_000) && message.to_ascii_lowercase().contains("session") {
        return Ended::Broken(Failure::unknown("SessionLost", message));
    }
    let code = match code {
        ErrorCode::INVALID_PARAMS => "MCP_INVALID_PARAMS".to_owned(),
        ErrorCode::INTERNAL_ERROR => "MCP_INTERNAL_ERROR".to_owned(),
        ErrorCode(code) => format!("MCP_{code}"),
    };
    Ended::Badly(Failure::Tool { code, message: message.into_owned(), details: data, retryable: false })
}

/// Whether a message says that there is no such tool: the code for that is the one for wrong arguments, too.
fn names_no_tool(message: &str, tool: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains(&tool.to_ascii_lowercase())
        && ["unknown tool", "not found", "no such tool", "no tool"].iter().any(|words| message.contains(words))
}

fn result_of(result: ServerResult, tool: &str) -> Ended {
    let result = match result {
        ServerResult::CallToolResult(result) => result,
        // One without any content looks like the answer to a request that has none.
        ServerResult::EmptyResult(_) => CallToolResult::default(),
        ServerResult::InputRequiredResult(_) => {
            return Ended::Badly(Failure::Tool {
                code: "MCP_INPUT_REQUIRED".to_owned(),
                message: "the tool asks for more input, which nobody here can give".to_owned(),
                details: None,
                retryable: false,
            });
        }
        _ => {
            let message = "the MCP server answered with something that is no result of a call";
            return Ended::Badly(Failure::unknown("ResponseInvalid", message));
        }
    };
    let content = json!({"content": result.content});
    if result.is_error != Some(true) {
        return Ended::Well(result.structured_content.unwrap_or(content));
    }
    let texts: Vec<&str> = result.content.iter().filter_map(|block| Some(block.as_text()?.text.as_str())).collect();
    let message = texts.join("\n");
    // The reference server says it like this.
    if message.starts_with("MCP error -32602") && names_no_tool(&message, tool) {
        return Ended::Badly(Failure::not_started("ToolUnknown", message));
    }
    let message = if message.is_empty() { "the tool failed and does not say why".to_owned() } else { message };
    let details = Some(result.structured_content.unwrap_or(content));
    Ended::Badly(Failure::Tool { code: "MCP_TOOL_ERROR".to_owned(), message, details, retryable: false })
}
