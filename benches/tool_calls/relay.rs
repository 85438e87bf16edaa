//! What a call costs that is only passed on: a websocket relay that checks nothing and keeps nothing.

use super::call::{PROTOCOL, READ_BUFFER_BYTES};
use axum::Router;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The number of the provider; callers count from 1.
const PROVIDER: u64 = 0;

/// Who is connected, by number.
#[derive(Default)]
struct Relay {
    peers: RwLock<HashMap<u64, mpsc::Sender<String>>>,
    callers: AtomicU64,
}

impl Relay {
    async fn pass(&self, peer: u64, frame: String) {
        let to = self.peers.read().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned();
        // Who is gone waits for nothing.
        if let Some(to) = to {
            let _ = to.send(frame).await;
        }
    }

    async fn serve(&self, socket: WebSocket, number: u64) {
        let (mut sink, mut stream) = socket.split();
        let (sender, mut waiting) = mpsc::channel::<String>(256);
        self.peers.write().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
        if number == PROVIDER {
            self.pass(PROVIDER, "ready".to_owned()).await;
        }
        tokio::spawn(async move {
            let mut frames = Vec::new();
            while waiting.recv_many(&mut frames, 64).await > 0 {
                for frame in frames.drain(..) {
                    if sink.feed(Message::Text(frame.into())).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        });
        while let Some(Ok(Message::Text(text))) = stream.next().await {
            if number != PROVIDER {
                self.pass(PROVIDER, format!("{number} {text}")).await;
            } else if let Some((caller, answer)) = text.split_once(' ') {
                self.pass(caller.parse().expect("a caller"), answer.to_owned()).await;
            }
        }
        self.peers.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

/// Relays for as long as the process lives.
pub async fn serve() {
    async fn connected(
        State(relay): State<Arc<Relay>>,
        Path(role): Path<String>,
        upgrade: WebSocketUpgrade,
    ) -> Response {
        let caller = role == "caller";
        let number = if caller { relay.callers.fetch_add(1, Ordering::Relaxed) + 1 } else { PROVIDER };
        let upgrade = upgrade.protocols([PROTOCOL]).read_buffer_size(READ_BUFFER_BYTES);
        upgrade.on_upgrade(async move |socket| relay.serve(socket, number).await)
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("relay at {}", listener.local_addr().expect("an address"));
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
    let router = Router::new().route("/{role}", get(connected)).with_state(Arc::<Relay>::default());
    axum::serve(listener, router).await.expect("served");
}
