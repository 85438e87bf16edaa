//! Who asks: fixed requests over connections that stay open, each answer read whole.

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many connections ask at once.
const CONNECTIONS: usize = 16;

/// A request as it goes over the wire.
pub struct Question(String);

impl Question {
    pub fn new(address: &str, path: &str, query: &str, variables: &Value) -> Self {
        let mut body = json!({ "query": query });
        if variables.as_object().is_some_and(|variables| !variables.is_empty()) {
            body["variables"] = variables.clone();
        }
        let body = body.to_string();
        Question(format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// One connection, which asks one thing at a time.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        Connection { stream, answer: vec![0; 1024 * 1024] }
    }

    /// The answer's body.
    pub async fn ask(&mut self, question: &Question) -> &[u8] {
        self.stream.write_all(question.0.as_bytes()).await.expect("sent");
        let (mut length, mut whole) = (0, None);
        while whole.is_none_or(|(_, end)| length < end) {
            let read = self.stream.read(&mut self.answer[length..]).await.expect("answered");
            assert!(read > 0, "the server hung up");
            length += read;
            whole = whole.or_else(|| extent(&self.answer[..length]));
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.answer[..length]));
        let (start, end) = whole.expect("an answer");
        assert!(end == length, "more came than was asked for");
        &self.answer[start..end]
    }
}

/// Where the body begins and ends, once the head is there.
fn extent(answer: &[u8]) -> Option<(usize, usize)> {
    let start = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..start]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
    Some((start, start + length))
}

/// What a query is answered with.
pub async fn ask(address: &str, query: &str) -> Vec<u8> {
    let question = Question::new(address, "/graphql", query, &json!({}));
    let body = Connection::open(address).await.ask(&question).await.to_vec();
    assert!(!body.windows(9).any(|window| window == b"\"errors\":"), "{}", String::from_utf8_lossy(&body));
    body
}

/// Asks over and over; how many answers came, and in how many seconds.
pub async fn hammer(address: &str, question: &Arc<Question>, measured: Duration) -> (u64, f64) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let question = question.clone();
            tokio::spawn(async move {
                let mut answered = 0_u64;
                while begun.elapsed() < measured {
                    connection.ask(&question).await;
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for task in tasks {
        answered += task.await.expect("a connection");
    }
    (answered, begun.elapsed().as_secs_f64())
}
