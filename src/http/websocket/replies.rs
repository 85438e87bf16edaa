//! What is said in answer to a peer's own messages, until the socket takes it. While too much of it waits, nothing more
//! is read: a peer that asks and does not read holds up itself alone.

use axum::extract::ws::Message;
use std::collections::VecDeque;

/// How many may wait before nothing more is read.
const LEN_MAX: usize = 64;
/// How many bytes of them.
const BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Replies {
    waiting: VecDeque<Message>,
    bytes: usize,
}

impl Replies {
    pub(super) fn push(&mut self, message: Message) {
        self.bytes += bytes_of(&message);
        self.waiting.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.waiting.pop_front()?;
        self.bytes -= bytes_of(&message);
        if self.waiting.is_empty() {
            // Most connections say nothing most of the time, and there are many.
            self.waiting = VecDeque::new();
        }
        Some(message)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= LEN_MAX || self.bytes >= BYTES_MAX
    }
}

fn bytes_of(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}
