//! Durable writes over HTTP: heartbeats as GraphQL mutations at 64 connections, beside a bare axum handler that
//! appends the same bytes to a file and answers after a group fdatasync.
//!
//! `cargo bench --bench http_writes`. Server and load share the machine in both cases, in one process, round by round.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use onex::app::App;
use onex::config::Config;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::median;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(3);
const MUTATION: &str = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Waiting = mpsc::Sender<(Bytes, oneshot::Sender<()>)>;

/// The bare handler: one thread writes what waits, syncs once, answers all of it.
async fn bare(file: File) -> SocketAddr {
    let (sender, mut waiting) = mpsc::channel::<(Bytes, oneshot::Sender<()>)>(4_096);
    std::thread::spawn(move || {
        let mut file = file;
        let mut batch = Vec::new();
        while waiting.blocking_recv_many(&mut batch, 1_024) > 0 {
            let bytes: Vec<u8> = batch.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
            file.write_all(&bytes).and_then(|()| file.sync_data()).expect("written");
            batch.drain(..).for_each(|(_, answer)| _ = answer.send(()));
        }
    });
    async fn append(State(waiting): State<Waiting>, body: Bytes) -> &'static str {
        let (answer, answered) = oneshot::channel();
        waiting.send((body, answer)).await.expect("a writer");
        answered.await.expect("an answer");
        "{\"data\":{}}"
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().route("/graphql", post(append)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends one request over and over on one connection; how many were answered.
async fn hammer(address: SocketAddr, body: Arc<String>, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a socket");
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = vec![0; 16 * 1024];
    let mut answered = 0;
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut length = 0;
        loop {
            let read = stream.read(&mut answer[length..]).await.expect("answered");
            assert!(read > 0, "the server hung up");
            length += read;
            if complete(&answer[..length]) {
                break;
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
        answered += 1;
    }
    answered
}

fn complete(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

async fn pace(address: SocketAddr, bodies: &[Arc<String>]) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> =
        bodies.iter().map(|body| tokio::spawn(hammer(address, body.clone(), begun + MEASURED))).collect();
    let mut answered = 0;
    for task in tasks {
        answered += task.await.expect("a connection");
    }
    answered as f64 / begun.elapsed().as_secs_f64()
}

fn main() {
    let directory = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: directory.path().join("data"),
            ..Config::default()
        };
        let app = App::start(&config).await.expect("a registry");
        let client = onex::client::Client::try_new(&format!("http://{}", app.address()), None).expect("a client");
        let mut bodies = Vec::new();
        for number in 0..CONNECTIONS {
            let register =
                "mutation($name: String!) { register(input: {name: $name, ttlSeconds: 3600}) { node { id } } }";
            let answer: Value =
                client.query(register, json!({"name": format!("bench_{number}")})).await.expect("registered");
            let input = json!({"nodeId": answer["register"]["node"]["id"]});
            bodies.push(Arc::new(json!({"query": MUTATION, "variables": {"input": input}}).to_string()));
        }
        let bare = bare(File::create(directory.path().join("bare")).expect("a file")).await;
        let (mut limits, mut paces, mut ratios) = (vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let limit = pace(bare, &bodies).await;
            let pace = pace(app.address(), &bodies).await;
            limits.push(limit);
            paces.push(pace);
            ratios.push(pace / limit);
        }
        println!(
            "durable writes over HTTP, {CONNECTIONS} connections: bare axum and fdatasync {:.0}/s, GraphQL heartbeats \
             {:.0}/s, ratio {:.2} (median of {ROUNDS} rounds)",
            median(&mut limits),
            median(&mut paces),
            median(&mut ratios)
        );
        app.stop().await;
    });
}
