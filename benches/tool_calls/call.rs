//! A call as it goes over a websocket: what is asked and answered, and in which frames.

use serde_json::{Value, json};

pub const PROTOCOL: &str = "graphql-transport-ws";
/// How much the websocket library reads at once. It zeroes as much before each read, and its own 128 KiB would be most
/// of what a short frame costs.
pub const READ_BUFFER_BYTES: usize = 8 * 1024;
pub const TOOL: &str = "forecast";
const INVOKE: &str =
    "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id status result error { code message } } }";
const COMPLETE: &str = "mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { status } }";
pub const CALLS: &str =
    "subscription($node: UUID!) { toolCalls(nodeId: $node) { invocationId tool arguments deadline } }";

pub fn arguments(number: usize) -> String {
    format!(r#"{{"number":{number},"city":"Amsterdam","days":3,"units":"METRIC","tags":["coast","hourly"]}}"#)
}

pub fn result(number: usize) -> String {
    format!(r#"{{"number":{number},"celsius":[12.5,13.1,11.9],"summary":"Clouds, then rain from the west."}}"#)
}

/// The tool with the schemas that each call is checked against.
pub fn tool() -> Value {
    json!({
        "name": TOOL,
        "version": "1.0.0",
        "maxInFlight": 256,
        "inputSchema": {
            "type": "object",
            "properties": {
                "number": {"type": "integer", "minimum": 0},
                "city": {"type": "string", "minLength": 1, "maxLength": 100},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "units": {"enum": ["METRIC", "IMPERIAL"]},
                "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 10}
            },
            "required": ["number", "city", "days"],
            "additionalProperties": false
        },
        "outputSchema": {
            "type": "object",
            "properties": {
                "number": {"type": "integer"},
                "celsius": {"type": "array", "items": {"type": "number"}},
                "summary": {"type": "string"}
            },
            "required": ["number", "celsius", "summary"],
            "additionalProperties": false
        }
    })
}

/// What stands behind this mark, as far as it is a number.
fn number_behind(text: &str, mark: &str) -> Option<usize> {
    let rest = &text[text.find(mark)? + mark.len()..];
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The number of the call that arguments or a result belong to.
pub fn number_of(text: &str) -> usize {
    number_behind(text, r#""number":"#).unwrap_or_else(|| panic!("no number in {text}"))
}

/// How callers and provider speak with a server over websockets.
pub trait Dialect: 'static {
    /// A caller's frame for a call.
    fn call(number: usize) -> String;
    /// Which call a frame answers; none, where it answers none.
    fn answered(frame: &str) -> Option<usize>;
    /// The provider's frame that answers a call; none, where the frame is no call.
    fn reply(frame: &str) -> Option<String>;
}

/// The relay's: a call is its arguments, an answer is its result. To the provider, who is to have the answer stands
/// before it.
pub struct Plain;

impl Dialect for Plain {
    fn call(number: usize) -> String {
        arguments(number)
    }

    fn answered(frame: &str) -> Option<usize> {
        Some(number_of(frame))
    }

    fn reply(frame: &str) -> Option<String> {
        let (caller, arguments) = frame.split_once(' ')?;
        Some(format!("{caller} {}", result(number_of(arguments))))
    }
}

/// Our own.
pub struct GraphQl;

impl GraphQl {
    pub fn subscribe(id: &str, document: &str, variables: &str) -> String {
        format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"{document}","variables":{variables}}}}}"#)
    }

    /// Whether a frame carries data. What is neither that nor a mere end must not go unseen.
    fn is_next(frame: &str) -> bool {
        let next = frame.contains(r#""type":"next""#);
        let expected = if next { !frame.contains(r#""errors":"#) } else { frame.contains(r#""type":"complete""#) };
        assert!(expected, "the registry refuses: {frame}");
        next
    }
}

impl Dialect for GraphQl {
    fn call(number: usize) -> String {
        let variables = format!(r#"{{"input":{{"tool":"{TOOL}","arguments":{}}}}}"#, arguments(number));
        GraphQl::subscribe(&number.to_string(), INVOKE, &variables)
    }

    fn answered(frame: &str) -> Option<usize> {
        if !GraphQl::is_next(frame) {
            return None;
        }
        assert!(frame.contains(r#""status":"SUCCEEDED""#), "a call did not succeed: {frame}");
        let number = number_of(frame);
        assert_eq!(number_behind(frame, r#""id":""#), Some(number), "the answer of another call: {frame}");
        Some(number)
    }

    fn reply(frame: &str) -> Option<String> {
        const MARK: &str = r#""invocationId":""#;
        const UUID_LEN: usize = 36;
        if !GraphQl::is_next(frame) {
            return None;
        }
        // Without one it is the answer to a completion.
        let rest = &frame[frame.find(MARK)? + MARK.len()..];
        let id = &rest[..UUID_LEN];
        let variables = format!(r#"{{"input":{{"invocationId":"{id}","result":{}}}}}"#, result(number_of(frame)));
        Some(GraphQl::subscribe(id, COMPLETE, &variables))
    }
}
