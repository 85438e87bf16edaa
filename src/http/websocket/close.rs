//! Why a connection ends, and how that is said.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// How long a close frame may take to leave, and the peer's to come.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// The most bytes of a close reason (RFC 6455, 5.5: 125, less two for the code).
const REASON_LEN_MAX: usize = 123;

/// Why a connection ends.
#[derive(Clone, Debug)]
pub(super) struct Close {
    code: u16,
    reason: Utf8Bytes,
}

impl Close {
    /// A code of the protocol or of RFC 6455, and a reason that is cut to what a close frame takes.
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason: String = reason.into();
        let end = (0..=REASON_LEN_MAX.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        reason.truncate(end);
        Close { code, reason: reason.into() }
    }

    /// A message that is none of the protocol's.
    pub(super) fn invalid(reason: impl std::fmt::Display) -> Self {
        Close::new(4400, format!("Invalid message received: {reason}"))
    }

    /// Why, in words.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// What to say of what could not be read; `None` where nobody is there to hear it.
    pub(super) fn of(error: axum::Error) -> Option<Self> {
        let error = error.into_inner();
        match error.downcast_ref::<Error>()? {
            Error::Utf8(_) => Some(Close::new(1007, "Text is UTF-8")),
            Error::Capacity(limit) => Some(Close::new(1009, limit.to_string())),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Protocol(broken) => Some(Close::new(1002, broken.to_string())),
            _ => None,
        }
    }

    /// Says it, and waits a while for the peer to have heard: what it still sends must not cut off what it is told.
    pub(super) async fn send(self, mut socket: WebSocket) {
        let frame = CloseFrame { code: self.code, reason: self.reason };
        let said = async {
            if socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = socket.next().await {}
            }
        };
        // The peer may be gone already.
        let _ = timeout(CLOSE_WAIT, said).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters_to_what_a_frame_takes() {
        for (reason, len) in [("x".repeat(500), 123), ("é".repeat(100), 122), ("short".to_owned(), 5)] {
            let cut = Close::new(4400, reason.clone()).reason;
            assert_eq!(cut.len(), len);
            assert!(reason.starts_with(cut.as_str()));
        }
    }
}
