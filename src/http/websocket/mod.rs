//! GraphQL over websocket, by two protocols: `graphql-transport-ws`, and for older clients `graphql-ws`. The handshake
//! chooses.
//!
//! One task drives a connection (`connection`): it reads, gives each operation its turn (`operations`) and writes; what
//! computes for long does so in tasks of its own. An operation is asked for its next answer only when the socket takes
//! more, so little waits for a peer that reads slowly: what was answered to its own messages (`replies`) and what
//! operations have in hand. Both are bounded, in number and in bytes. A watcher that is not asked reads on from the log
//! later. A peer that takes nothing for too long is ended, each of its subscriptions with the place to go on from.

mod close;
mod connection;
mod operations;
mod protocol;
mod replies;
mod work;

use super::Parts;
use crate::graphql::Caller;
use crate::telemetry::Via;
use axum::extract::WebSocketUpgrade;
use axum::response::Response;
use close::Close;
use connection::Connection;
use protocol::Protocol;
use std::sync::Arc;

/// How much is read from a socket at once. The library zeroes so much before each read, whatever comes, and keeps it for
/// each connection: its own 128 KiB took a third of the processor where many connections say little each.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// From how much on that waits to be flushed the socket is written to. More waits only while it takes none.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// Answers a handshake, and serves the websocket that comes of it.
pub(super) fn upgrade(upgrade: WebSocketUpgrade, parts: Arc<Parts>, caller: Caller) -> Response {
    let caller = Caller { via: Via::WebSocket, ..caller };
    let upgrade = upgrade
        .protocols(Protocol::ALL.map(Protocol::name))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(parts.limits.body_bytes_max)
        .max_frame_size(parts.limits.body_bytes_max);
    let chosen = upgrade.selected_protocol().and_then(|name| name.to_str().ok()).and_then(Protocol::named);
    upgrade.on_upgrade(async move |socket| match chosen {
        Some(protocol) => Connection::serve(socket, parts, caller, protocol).await,
        None => Close::new(4406, "Subprotocol not acceptable").send(socket).await,
    })
}
