//! One connection's bytes: holds its place at the gate, gives up a peer that takes none, and spells the header names of
//! a websocket's handshake as RFC 6455 does.

use super::gate::Place;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a peer may take nothing of what waits for it.
const STALL_MAX: Duration = Duration::from_secs(60);

/// How the answer begins that turns a connection into a websocket.
const UPGRADED: &[u8] = b"HTTP/1.1 101 ";
/// What the names of the handshake's own headers begin with, as the library writes them.
const HANDSHAKE_HEADER: &[u8] = b"\r\nsec-websocket-";

/// A connection's bytes.
pub(super) struct Held<S> {
    stream: S,
    /// When a peer is given up; absent while it takes what is written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether nothing was written yet.
    untouched: bool,
    _place: Place,
}

impl<S> Held<S> {
    pub(super) fn new(stream: S, place: Place) -> Self {
        Held { stream, stalled: None, untouched: true, _place: place }
    }

    /// What came of writing; an error once it has waited for too long.
    fn judge<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL_MAX)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The header names of a handshake's answer as RFC 6455 spells them: they mean the same, but some clients look them up
/// by that spelling, and take the protocol for another where they miss it.
fn spelled(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    let mut from = 0;
    while let Some(at) = answer[from..].windows(HANDSHAKE_HEADER.len()).position(|part| part == HANDSHAKE_HEADER) {
        let name = from + at + 2;
        // S of Sec, W and S of WebSocket, and the first letter of what follows.
        for place in [0, 4, 7, 14] {
            if let Some(letter) = answer.get_mut(name + place) {
                letter.make_ascii_uppercase();
            }
        }
        from = name;
    }
    answer
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = if self.untouched && bytes.starts_with(UPGRADED) {
            Pin::new(&mut self.stream).poll_write(cx, &spelled(bytes))
        } else {
            Pin::new(&mut self.stream).poll_write(cx, bytes)
        };
        self.untouched &= polled.is_pending();
        self.judge(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.untouched
            && let Some(first) = parts.iter().find(|part| part.starts_with(UPGRADED))
        {
            return self.poll_write(cx, first);
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.untouched &= polled.is_pending();
        self.judge(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_spelled_as_its_rfc_does() {
        let written = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nsec-websocket-accept: \
                       a\r\nsec-websocket-protocol: sec-websocket-x\r\n\r\n";
        let spelled = String::from_utf8(spelled(written.as_bytes())).unwrap();
        assert_eq!(
            spelled,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nSec-WebSocket-Accept: \
             a\r\nSec-WebSocket-Protocol: sec-websocket-x\r\n\r\n"
        );
    }
}
