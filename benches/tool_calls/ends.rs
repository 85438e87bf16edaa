//! Both ends of a call: who makes it, and who provides the tool.

use super::call::{
    CALLS, Dialect, GraphQl, PROTOCOL, Plain, READ_BUFFER_BYTES, TOOL, arguments, number_of, result, tool,
};
use super::server::Kind;
use async_nats::Request;
use futures_util::{FutureExt, SinkExt, StreamExt};
use onex::client::Client;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

type Socket = WebSocketStream<TcpStream>;

async fn open(address: &str, path: &str) -> Socket {
    let mut request = format!("ws://{address}{path}").into_client_request().expect("an address");
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    let stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a socket");
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.expect("a websocket").0
}

async fn open_graphql(address: &str) -> Socket {
    let mut socket = open(address, "/graphql").await;
    socket.send(Message::text(r#"{"type":"connection_init"}"#)).await.expect("sent");
    let answer = socket.next().await;
    assert!(matches!(&answer, Some(Ok(Message::Text(text))) if text.contains("connection_ack")), "{answer:?}");
    socket
}

/// Waits for a frame, takes what else is there already, and sends all answers in one flush.
async fn exchange(socket: &mut Socket, mut answer: impl FnMut(&str) -> Option<String>) {
    let mut received = Some(socket.next().await);
    while let Some(message) = received {
        match message {
            Some(Ok(Message::Text(text))) => {
                if let Some(frame) = answer(&text) {
                    socket.feed(Message::text(frame)).await.expect("sent");
                }
            }
            // The library answers it.
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("the server hung up: {other:?}"),
        }
        received = socket.next().now_or_never();
    }
    socket.flush().await.expect("sent");
}

/// The numbers of the calls to make, shared by all who make them.
pub struct Numbers {
    next: AtomicUsize,
    end: usize,
}

impl Numbers {
    pub fn new(from: usize, upto: usize) -> Arc<Self> {
        Arc::new(Numbers { next: AtomicUsize::new(from), end: upto })
    }

    fn take(&self) -> Option<usize> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < self.end)
    }
}

/// A connection of callers.
pub enum Callers {
    Relay(Box<Socket>),
    Nats(async_nats::Client),
    Onex(Box<Socket>),
}

impl Callers {
    pub async fn connect(kind: Kind, address: &str) -> Self {
        match kind {
            Kind::Relay => Callers::Relay(Box::new(open(address, "/caller").await)),
            Kind::Nats => Callers::Nats(async_nats::connect(address).await.expect("connected")),
            Kind::Onex => Callers::Onex(Box::new(open_graphql(address).await)),
        }
    }

    /// Makes calls until none are left; how long each took, in microseconds.
    pub async fn make(mut self, in_flight: usize, numbers: Arc<Numbers>) -> (Self, Vec<f64>) {
        let times = match &mut self {
            Callers::Relay(socket) => over_websocket::<Plain>(socket, in_flight, &numbers).await,
            Callers::Nats(client) => over_nats(client, in_flight, &numbers).await,
            Callers::Onex(socket) => over_websocket::<GraphQl>(socket, in_flight, &numbers).await,
        };
        (self, times)
    }
}

async fn over_websocket<D: Dialect>(socket: &mut Socket, in_flight: usize, numbers: &Numbers) -> Vec<f64> {
    let mut begun = HashMap::with_capacity(in_flight);
    let mut times = Vec::new();
    for number in (0..in_flight).map_while(|_| numbers.take()) {
        begun.insert(number, Instant::now());
        socket.feed(Message::text(D::call(number))).await.expect("sent");
    }
    socket.flush().await.expect("sent");
    while !begun.is_empty() {
        let answered = |frame: &str| {
            let number = D::answered(frame)?;
            let sent = begun.remove(&number).unwrap_or_else(|| panic!("nobody waits for this: {frame}"));
            times.push(sent.elapsed().as_secs_f64() * 1e6);
            let number = numbers.take()?;
            begun.insert(number, Instant::now());
            Some(D::call(number))
        };
        exchange(socket, answered).await;
    }
    times
}

async fn over_nats(client: &async_nats::Client, in_flight: usize, numbers: &Arc<Numbers>) -> Vec<f64> {
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (client, numbers) = (client.clone(), numbers.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while let Some(number) = numbers.take() {
                    let begun = Instant::now();
                    // Without a timer for each; a load that does not end is noticed as a whole.
                    let request = Request::new().payload(arguments(number).into()).timeout(None);
                    let answer = client.send_request(TOOL, request).await.expect("answered");
                    times.push(begun.elapsed().as_secs_f64() * 1e6);
                    let text = std::str::from_utf8(&answer.payload).expect("text");
                    assert_eq!(number_of(text), number, "the answer of another call");
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.expect("a caller"));
    }
    times
}

/// Answers calls for as long as it is let, and says when it begins.
pub async fn provide(kind: Kind, address: String, ready: oneshot::Sender<()>) {
    match kind {
        Kind::Relay => {
            let mut socket = open(&address, "/provider").await;
            // The first frame is no call.
            exchange(&mut socket, Plain::reply).await;
            let _ = ready.send(());
            loop {
                exchange(&mut socket, Plain::reply).await;
            }
        }
        Kind::Nats => {
            let client = async_nats::connect(&address).await.expect("connected");
            let mut calls = client.subscribe(TOOL).await.expect("subscribed");
            client.flush().await.expect("sent");
            let _ = ready.send(());
            while let Some(call) = calls.next().await {
                let text = std::str::from_utf8(&call.payload).expect("text");
                let answer = result(number_of(text)).into();
                client.publish(call.reply.expect("who asks"), answer).await.expect("sent");
            }
        }
        Kind::Onex => {
            let mut socket = subscribe_to_calls(&address).await;
            let _ = ready.send(());
            loop {
                exchange(&mut socket, GraphQl::reply).await;
            }
        }
    }
}

/// Registers the provider and its tool; answers with the websocket that calls come on.
async fn subscribe_to_calls(address: &str) -> Socket {
    let client = Client::try_new(&format!("http://{address}"), None).expect("a client");
    let register = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
    let input = json!({"name": "bench_provider", "ttlSeconds": 3600, "tools": [tool()]});
    let answer: Value = client.query(register, json!({"input": input})).await.expect("registered");
    let mut socket = open_graphql(address).await;
    let variables = json!({"node": answer["register"]["node"]["id"]}).to_string();
    socket.send(Message::text(GraphQl::subscribe("calls", CALLS, &variables))).await.expect("sent");
    let connected = "query($name: String!) { tool(name: $name) { providers { connected } } }";
    loop {
        let answer: Value = client.query(connected, json!({"name": TOOL})).await.expect("a tool");
        if answer["tool"]["providers"][0]["connected"] == true {
            return socket;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
