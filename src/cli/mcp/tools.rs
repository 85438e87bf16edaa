//! What a server lists and answers, in the registry's terms.

use rmcp::model::{ProgressNotificationParam, ServerResult};
use rmcp::service::ServiceError;
use serde_json::{Value, json};

use crate::client::node::{Tool, ToolError};

use super::server::Server;

/// A tool of the server as one of the node; why not, where it is none.
pub(super) fn tool(server: &Server, prefix: &str, listed: &Value) -> Result<Tool, String> {
    let name = listed["name"].as_str().ok_or("it has no name")?.to_owned();
    let called = server.clone();
    let answer = {
        let name = name.clone();
        move |call| {
            let (server, name) = (called.clone(), name.clone());
            async move { server.call(name, call).await }
        }
    };
    let mut tool = Tool::new(format!("{prefix}{name}"), answer).tags(["mcp"]);
    if let Some(said) = listed["description"].as_str().or(listed["title"].as_str()) {
        tool = tool.description(said);
    }
    if let Some(schema) = schema(listed, "inputSchema")? {
        tool = tool.input_schema(schema);
    }
    if let Some(schema) = schema(listed, "outputSchema")? {
        tool = tool.output_schema(schema);
    }
    let hints = &listed["annotations"];
    let is_repeatable = ["idempotentHint", "readOnlyHint"].iter().any(|hint| hints[hint] == true);
    Ok(tool.error_codes(["MCP_TOOL_ERROR"]).idempotent(is_repeatable))
}

fn schema(listed: &Value, member: &str) -> Result<Option<Value>, String> {
    match &listed[member] {
        Value::Null => Ok(None),
        schema @ Value::Object(_) => Ok(Some(schema.clone())),
        _ => Err(format!("its {member} is no object")),
    }
}

/// What a call came to.
pub(super) fn result(answered: ServerResult) -> Result<Value, ToolError> {
    match answered {
        ServerResult::CallToolResult(result) => complete(serde_json::to_value(result)?),
        // Content of a kind that is not known here.
        ServerResult::CustomResult(result) => complete(result.0),
        ServerResult::EmptyResult(_) | ServerResult::TaskAckResult(_) => Ok(json!({"content": []})),
        ServerResult::InputRequiredResult(_) => Err(ToolError::new(
            "MCP_INPUT_REQUIRED",
            "the tool asks its user something before it answers, and behind a registry there is nobody to ask",
        )),
        _ => {
            Err(ToolError::new("MCP_ERROR", "the server answered the call with something that is no result of a tool"))
        }
    }
}

fn complete(mut result: Value) -> Result<Value, ToolError> {
    if result["isError"] == true {
        let texts = result["content"].as_array().into_iter().flatten().filter_map(|block| block["text"].as_str());
        let said = texts.collect::<Vec<_>>().join("\n");
        let said = if said.is_empty() { "the tool failed and did not say why".to_owned() } else { said };
        let mut details = json!({"content": result["content"].take()});
        if !result["structuredContent"].is_null() {
            details["structuredContent"] = result["structuredContent"].take();
        }
        return Err(ToolError::new("MCP_TOOL_ERROR", said).with_details(details));
    }
    match result.get_mut("structuredContent") {
        Some(structured) => Ok(structured.take()),
        None => Ok(json!({"content": result["content"].take()})),
    }
}

/// How far a call is, as the caller sees it.
pub(super) fn step(step: &ProgressNotificationParam) -> Value {
    let mut chunk = json!({"progress": step.progress});
    if let Some(total) = step.total {
        chunk["total"] = total.into();
    }
    if let Some(message) = &step.message {
        chunk["message"] = message.as_str().into();
    }
    chunk
}

/// A call that the server refused, or could not take.
pub(super) fn failed(error: ServiceError) -> ToolError {
    match error {
        ServiceError::McpError(error) => {
            let details = json!({"code": error.code.0, "data": error.data});
            ToolError::new("MCP_ERROR", error.message).with_details(details)
        }
        ServiceError::TransportClosed | ServiceError::TransportSend(_) => {
            ToolError::new("MCP_SERVER_LOST", format!("the server cannot be reached: {error}")).retryable()
        }
        error => ToolError::new("MCP_ERROR", error.to_string()),
    }
}

/// A name in the characters that a registry's names have.
pub(super) fn as_name(text: &str) -> String {
    let fitting = text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-:/@".contains(c) { c } else { '-' });
    let name: String = fitting.skip_while(|c| !c.is_ascii_alphanumeric() && *c != '_').take(255).collect();
    if name.is_empty() { "mcp-server".to_owned() } else { name }
}

/// A version in the characters that a registry's versions have; `None` where nothing is left of it.
pub(super) fn as_version(text: &str) -> Option<String> {
    let fitting = |c: &char| c.is_ascii_alphanumeric() || "._-+".contains(*c);
    let version: String = text.chars().filter(fitting).take(255).collect();
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_the_structured_content_or_else_the_content() {
        let text = json!([{"type": "text", "text": "3"}]);
        assert_eq!(complete(json!({"content": text, "structuredContent": {"sum": 3}})), Ok(json!({"sum": 3})));
        assert_eq!(complete(json!({"content": text, "structuredContent": null})), Ok(Value::Null));
        assert_eq!(complete(json!({"content": text, "isError": false})), Ok(json!({"content": text})));
    }

    #[test]
    fn a_tools_error_has_its_text() {
        let content = json!([{"type": "text", "text": "no such"}, {"type": "image"}, {"type": "text", "text": "city"}]);
        let error = complete(json!({"content": content, "isError": true})).unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str()), ("MCP_TOOL_ERROR", "no such\ncity"));
        assert_eq!(error.details["content"], content);
        assert!(complete(json!({"isError": true})).unwrap_err().message.contains("did not say why"));
    }

    #[test]
    fn names_and_versions_keep_what_fits() {
        assert_eq!(as_name("mcp-servers/everything"), "mcp-servers/everything");
        assert_eq!(as_name(" My server (β)"), "My-server----");
        assert_eq!(as_name("→"), "mcp-server");
        assert_eq!(as_version("v1.2.0 beta").as_deref(), Some("v1.2.0beta"));
        assert_eq!(as_version(" "), None);
    }
}
