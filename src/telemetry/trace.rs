//! Where a request stands in a trace: the W3C's traceparent (<https://www.w3.org/TR/trace-context/>), and the span that
//! its log lines belong to.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::Span;

/// Whether spans are exported: only then are they made for requests that say nothing of a trace.
static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Spans are exported from now on.
#[cfg(feature = "otlp")]
pub(super) fn exported() {
    EXPORTED.store(true, Ordering::Relaxed);
}

/// Whether spans are exported.
pub fn is_exported() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// A place in a trace, as a traceparent names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace; not 0.
    pub trace_id: u128,
    /// The step in it that asks; not 0.
    pub span_id: u64,
    /// What is asked of whoever takes part: bit 0 says that the trace is recorded.
    pub flags: u8,
}

/// A text that is no traceparent: by the recommendation it is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no traceparent, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
pub struct InvalidTraceparent;

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    /// Of a later version only what this one knows is read.
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let (Some(version), Some(trace_id), Some(span_id), Some(flags)) = (hex(2), hex(32), hex(16), hex(2)) else {
            return Err(InvalidTraceparent);
        };
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) || trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        // Both have just so many digits.
        Ok(TraceContext { trace_id, span_id: span_id as u64, flags: flags as u8 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags & 1)
    }
}

impl TraceContext {
    /// The place that a request's `extensions` name as `traceparent`, for clients that cannot send headers.
    pub fn of_extensions(extensions: Option<&RawValue>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Named<'a> {
            #[serde(borrow)]
            traceparent: Cow<'a, str>,
        }
        // Most say nothing of it, and are not read for it.
        let text = extensions?.get();
        let named: Option<Named<'_>> = text.contains("traceparent").then(|| serde_json::from_str(text).ok()).flatten();
        named?.traceparent.parse().ok()
    }
}

/// The span of an operation: its log lines say what stands here. None at all where there is nothing to say and nobody to
/// tell it to, which is what makes it free.
pub fn request_span(
    kind: &'static str,
    operation: &str,
    transport: &'static str,
    correlation_id: Option<&str>,
    came: Option<TraceContext>,
) -> Span {
    if correlation_id.is_none() && came.is_none() && !is_exported() {
        return Span::none();
    }
    // At the level of errors, so that it is there at whatever level lines are logged.
    let span = tracing::error_span!(
        "request",
        otel.name = operation,
        otel.kind = "server",
        kind,
        operation,
        transport,
        correlation_id,
        trace_id = came.map(|came| tracing::field::display(format!("{:032x}", came.trace_id))),
    );
    #[cfg(feature = "otlp")]
    super::otlp::continue_from(&span, came);
    span
}

/// What is passed on to whom the present request has something done: the present span where spans are exported, else
/// what came.
pub fn onward(came: Option<TraceContext>) -> Option<TraceContext> {
    #[cfg(feature = "otlp")]
    if let Some(own) = super::otlp::current() {
        return Some(own);
    }
    came
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written_back() {
        let read: TraceContext = USUAL.parse().unwrap();
        assert_eq!((read.span_id, read.flags), (0xb7ad_6b71_6920_3331, 1));
        assert_eq!(read.to_string(), USUAL);
        let later = format!("cc{}-what-the-future-brings", &USUAL[2..]);
        assert_eq!(later.parse(), Ok(read));
    }

    #[test]
    fn extensions_may_name_it() {
        let read = |text: &str| {
            let extensions: Box<RawValue> = serde_json::from_str(text).unwrap();
            TraceContext::of_extensions(Some(&extensions))
        };
        assert_eq!(read(&format!("{{\"a\": 1, \"traceparent\": \"{USUAL}\"}}")), USUAL.parse().ok());
        assert_eq!(read("{\"traceparent\": 1}"), None);
        assert_eq!(read("{\"a\": \"traceparent\"}"), None);
        assert_eq!(TraceContext::of_extensions(None), None);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceparent), "{text}");
        }
    }
}
