//! The sockets that listen on a bus, and the one that publishes.

use super::sockets::{PROTOCOL, Program, Side, Wire};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How many events have not yet come to all sockets.
const IN_FLIGHT: u64 = 16;
const CREATE: &str = r#"mutation { createBus(input: {name: \"bench\", kind: LOCAL}) { id } }"#;
const LISTEN: &str = concat!(
    r#"subscription { busEvents(bus: \"bench\", topics: [\"orders.*\"]) { missed sequence topic "#,
    r#"event { eventId nodeId eventType timestamp correlationId metadata } } }"#
);
const PUBLISH: &str = "mutation($input: PublishInput!) { publish(input: $input) { sequence } }";
/// What stands before the number of events that were missed.
const MISSED: &str = r#""missed":"#;
/// How many sockets are opened at once.
const OPENED_AT_ONCE: usize = 200;
/// How long events may take to come to all sockets.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a subscription may take to begin before another event is published for it.
const BEGIN_WAIT: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Heard {
    frames: Cell<u64>,
    missed: Cell<u64>,
    told: Notify,
}

pub struct Load {
    program: Program,
    /// What the bare broadcast sends.
    frame: String,
    sockets: u64,
    publisher: Wire,
    heard: Rc<Heard>,
    published: u64,
    /// One that listens and reads nothing, and how many were published since it does.
    stalled: Option<(Wire, u64)>,
    /// Those who listen; they end with this.
    _following: JoinSet<()>,
}

fn subscribe(id: &str, query: &str, variables: &Value) -> String {
    let variables = variables.to_string();
    format!(r#"{{"type":"subscribe","id":"{id}","payload":{{"query":"{query}","variables":{variables}}}}}"#)
}

fn id_of(number: usize) -> String {
    format!("0190c5a0-7a3e-7cc0-8f6e-{number:012}")
}

fn publication(number: u64) -> Value {
    let event = json!({
        "nodeId": "0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60", "eventType": "ORDER_PLACED",
        "metadata": {"number": 1_000_000 + number, "total": 19.99},
    });
    json!({"input": {"bus": "bench", "topic": "orders.placed", "event": event}})
}

/// Makes the bus, and says what a frame of its is.
pub async fn prepare(side: &Side) -> String {
    let mut request = format!("ws://{}/graphql", side.address).into_client_request().expect("an address");
    request.headers_mut().insert("sec-websocket-protocol", PROTOCOL.parse().expect("a name"));
    let (mut socket, _) = connect_async(request).await.expect("connected");
    let id = id_of(0);
    let nothing = json!({});
    let begin = [r#"{"type":"connection_init"}"#.to_owned(), subscribe("made", CREATE, &nothing)];
    let mut said: Vec<String> = begin.into();
    loop {
        for message in said.drain(..) {
            socket.send(Message::Text(message.into())).await.expect("sent");
        }
        let heard = socket.next().await.expect("an answer").expect("an answer");
        let text = heard.to_text().expect("text");
        let message: Value = serde_json::from_str(text).expect("JSON");
        match (message["type"].as_str(), message["id"].as_str()) {
            (Some("next"), Some(of)) if of == id => return text.to_owned(),
            (Some("complete"), Some("made")) => said = vec![subscribe(&id, LISTEN, &nothing), publish_again()],
            // The subscription begins some time after its message.
            (Some("complete"), _) => said = vec![publish_again()],
            (Some("error"), _) => panic!("{message}"),
            _ => assert!(message["payload"]["errors"].is_null(), "{message}"),
        }
    }
}

fn publish_again() -> String {
    subscribe("published", PUBLISH, &publication(0))
}

impl Load {
    /// Opens so many sockets that listen; done when events come to all of them.
    pub async fn open(side: &Side, frame: &str, sockets: usize) -> Self {
        let heard = Rc::new(Heard::default());
        let mut following = JoinSet::new();
        let program = side.program;
        let number_at = frame.find(MISSED).expect("a number") + MISSED.len();
        for from in (0..sockets).step_by(OPENED_AT_ONCE) {
            let opening: Vec<_> = (from..sockets.min(from + OPENED_AT_ONCE))
                .map(|number| {
                    let address = side.address.clone();
                    tokio::task::spawn_local(
                        async move { follow(open(&address, program).await, program, number).await },
                    )
                })
                .collect();
            for opening in opening {
                let (mut wire, heard) = (opening.await.expect("a socket"), heard.clone());
                wire.sum_up(number_at);
                following.spawn_local(async move {
                    loop {
                        let before = wire.sum();
                        let frames = wire.receive().await as u64;
                        heard.frames.set(heard.frames.get() + frames);
                        heard.missed.set(heard.missed.get() + wire.sum() - before);
                        heard.told.notify_one();
                    }
                });
            }
        }
        let path = if program == Program::Bare { "/publish" } else { "/graphql" };
        let mut publisher = Wire::open(&side.address, path, PROTOCOL).await;
        if program == Program::Onex {
            publisher.send(&[r#"{"type":"connection_init"}"#.to_owned()]).await;
            publisher.receive().await;
        }
        let mut load = Load {
            program,
            frame: frame.to_owned(),
            sockets: sockets as u64,
            publisher,
            heard,
            published: 0,
            stalled: None,
            _following: following,
        };
        load.settle().await;
        load
    }

    /// Publishes one event after the other, until one comes to all: a subscription begins some time after its message.
    async fn settle(&mut self) {
        loop {
            self.forget();
            self.publish(1).await;
            let all = timeout(Duration::from_secs(2), self.hear(self.sockets)).await.is_ok();
            if all && self.heard.frames.get() == self.sockets {
                return;
            }
        }
    }

    /// Lets one more listen, which reads one event and no more.
    pub async fn stall(&mut self, side: &Side) {
        let wire = Wire::narrow(&side.address, "/graphql", PROTOCOL).await;
        let mut wire = follow(wire, self.program, self.sockets as usize).await;
        wire.sum_up(self.frame.find(MISSED).expect("a number") + MISSED.len());
        loop {
            self.run(1).await;
            if let Ok(frames) = timeout(BEGIN_WAIT, wire.receive()).await {
                assert_eq!(frames, 1, "one at a time");
                self.stalled = Some((wire, self.published));
                return;
            }
        }
    }

    /// Lets the one that read nothing read everything; how many events it got, and how many it was told it missed.
    pub async fn catch_up(&mut self) -> (u64, u64) {
        let (mut wire, since) = self.stalled.take().expect("one that stalls");
        let mut frames = 0;
        let all = async {
            while frames + wire.sum() < self.published - since {
                frames += wire.receive().await as u64;
            }
        };
        let in_time = timeout(Duration::from_secs(10), all).await;
        assert!(in_time.is_ok(), "{frames} and {} of {} events", wire.sum(), self.published - since);
        (frames, wire.sum())
    }

    fn forget(&mut self) {
        self.heard.frames.set(0);
        self.heard.missed.set(0);
    }

    async fn publish(&mut self, count: u64) {
        let texts: Vec<String> = (self.published..self.published + count).map(|number| self.text(number)).collect();
        self.published += count;
        self.publisher.send(&texts).await;
    }

    fn text(&self, number: u64) -> String {
        match self.program {
            Program::Bare => self.frame.clone(),
            Program::Onex => subscribe(&number.to_string(), PUBLISH, &publication(number)),
        }
    }

    /// Waits until so many frames have come, or were told to be missing.
    async fn hear(&mut self, frames: u64) {
        while self.heard.frames.get() + self.heard.missed.get() < frames {
            tokio::select! {
                () = self.heard.told.notified() => {}
                // What publishing is answered with.
                _ = self.publisher.receive(), if self.program == Program::Onex => {}
            }
        }
    }

    /// Has so many events come to all sockets, so many at a time; how many frames that were, and how many are missing.
    pub async fn run(&mut self, events: u64) -> (u64, u64) {
        self.forget();
        let mut begun = 0;
        let run = async {
            while begun < events {
                let over = (self.heard.frames.get() + self.heard.missed.get()) / self.sockets;
                let next = (over + IN_FLIGHT).min(events);
                self.publish(next - begun).await;
                begun = next;
                self.hear((over + 1) * self.sockets).await;
            }
            self.hear(events * self.sockets).await;
        };
        timeout(PATIENCE, run).await.expect("events come in time");
        let (frames, missed) = (self.heard.frames.get(), self.heard.missed.get());
        assert_eq!(frames + missed, events * self.sockets, "nothing is lost unsaid, and nothing comes twice");
        (frames, missed)
    }

    /// Publishes so many events one after the other; how long each took from publishing to the last socket, in
    /// microseconds.
    pub async fn latencies(&mut self, events: u64) -> Vec<f64> {
        let mut found = Vec::new();
        for _ in 0..events {
            let begun = Instant::now();
            self.run(1).await;
            found.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        found
    }
}

async fn open(address: &str, program: Program) -> Wire {
    let path = if program == Program::Bare { "/follow" } else { "/graphql" };
    Wire::open(address, path, PROTOCOL).await
}

async fn follow(mut wire: Wire, program: Program, number: usize) -> Wire {
    if program == Program::Onex {
        let listen = subscribe(&id_of(number), LISTEN, &json!({}));
        wire.send(&[r#"{"type":"connection_init"}"#.to_owned(), listen]).await;
        let heard = wire.receive().await;
        assert_eq!(heard, 1, "more than an acknowledgement");
    }
    wire
}
