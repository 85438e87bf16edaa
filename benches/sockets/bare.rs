//! The floor: what comes from one socket goes to all others as it is.

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Sender;
use tokio::sync::broadcast::error::TryRecvError;

/// How many events may wait for a socket: never as many as are in flight.
const WAITING_MAX: usize = 256;
/// The library's own is 128 KiB for each socket, and zeroed for each read.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Takes what is published.
async fn publish(socket: WebSocket, events: Sender<Utf8Bytes>) {
    let (_sink, mut stream) = socket.split();
    while let Some(Ok(Message::Text(text))) = stream.next().await {
        let _ = events.send(text);
    }
}

/// Gives it to a socket, all that waits in one flush.
async fn follow(socket: WebSocket, events: Sender<Utf8Bytes>) {
    let mut events = events.subscribe();
    let (mut sink, _stream) = socket.split();
    while let Ok(text) = events.recv().await {
        if sink.feed(Message::Text(text)).await.is_err() {
            return;
        }
        loop {
            match events.try_recv() {
                Ok(text) => sink.feed(Message::Text(text)).await.expect("taken"),
                Err(TryRecvError::Empty) => break,
                Err(lost) => panic!("{lost}"),
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

/// Serves for as long as the process lives.
pub async fn serve() {
    let (events, _) = tokio::sync::broadcast::channel(WAITING_MAX);
    let publishing = async |State(events): State<Sender<Utf8Bytes>>, upgrade: WebSocketUpgrade| -> Response {
        upgrade.on_upgrade(async move |socket| publish(socket, events).await)
    };
    let following = async |State(events): State<Sender<Utf8Bytes>>, upgrade: WebSocketUpgrade| -> Response {
        let upgrade = upgrade.read_buffer_size(READ_BUFFER_BYTES);
        upgrade.on_upgrade(async move |socket| follow(socket, events).await)
    };
    let router = Router::new().route("/publish", get(publishing)).route("/follow", get(following)).with_state(events);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("bare at {}", listener.local_addr().expect("an address"));
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
    axum::serve(listener, router).await.expect("served");
}
