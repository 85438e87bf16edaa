//! The sockets that events come to, and the one that brings them about.

use super::sockets::{PROTOCOL, Program, Side, Wire};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many events have not yet come to all sockets.
const IN_FLIGHT: u64 = 16;
const WATCH: &str =
    "subscription { registryEvents(filter: {types: [NODE_UPDATED]}) { sequence type time nodeId correlationId } }";
const CHANGE: &str = "mutation($input: RegisterInput!) { register(input: $input) { created } }";
/// What the bare broadcast sends: as long as an event is.
const EVENT: &str = concat!(
    r#"{"type":"next","id":"1","payload":{"data":{"registryEvents":{"sequence":10000,"type":"NODE_UPDATED","#,
    r#""time":"2026-11-22T12:00:00.123456Z","nodeId":"0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60","#,
    r#""correlationId":null}}}}"#
);
/// How many sockets are opened at once.
const OPENED_AT_ONCE: usize = 200;
/// How long events may take to come to all sockets.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which server, and how its sockets name their subscriptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bare,
    SameId,
    OwnIds,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Bare, Kind::SameId, Kind::OwnIds];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Bare => "bare broadcast",
            Kind::SameId => "onex, one id",
            Kind::OwnIds => "onex, ids of their own",
        }
    }

    pub fn program(self) -> Program {
        if self == Kind::Bare { Program::Bare } else { Program::Onex }
    }
}

#[derive(Default)]
struct Heard {
    frames: Cell<u64>,
    told: Notify,
}

pub struct Load {
    kind: Kind,
    sockets: u64,
    publisher: Wire,
    heard: Rc<Heard>,
    published: u64,
    /// Those who listen; they end with this.
    _following: JoinSet<()>,
}

impl Load {
    /// Opens so many sockets that follow; done when events come to all of them.
    pub async fn open(side: &Side, kind: Kind, sockets: usize) -> Self {
        let heard = Rc::new(Heard::default());
        let mut following = JoinSet::new();
        for from in (0..sockets).step_by(OPENED_AT_ONCE) {
            let opening: Vec<_> = (from..sockets.min(from + OPENED_AT_ONCE))
                .map(|number| {
                    let address = side.address.clone();
                    tokio::task::spawn_local(async move { follow(&address, kind, number).await })
                })
                .collect();
            for opening in opening {
                let (mut wire, heard) = (opening.await.expect("a socket"), heard.clone());
                following.spawn_local(async move {
                    loop {
                        let frames = wire.receive().await as u64;
                        heard.frames.set(heard.frames.get() + frames);
                        heard.told.notify_one();
                    }
                });
            }
        }
        let path = if kind == Kind::Bare { "/publish" } else { "/graphql" };
        let mut publisher = Wire::open(&side.address, path, PROTOCOL).await;
        if kind != Kind::Bare {
            publisher.send(&[r#"{"type":"connection_init"}"#.to_owned()]).await;
            publisher.receive().await;
        }
        let mut load = Load { kind, sockets: sockets as u64, publisher, heard, published: 0, _following: following };
        load.settle().await;
        load
    }

    /// Publishes one event after the other, until one comes to all: a subscription begins some time after its message.
    async fn settle(&mut self) {
        loop {
            self.heard.frames.set(0);
            self.publish(1).await;
            let all = timeout(Duration::from_secs(2), self.hear(self.sockets)).await.is_ok();
            if all && self.heard.frames.get() == self.sockets {
                return;
            }
        }
    }

    async fn publish(&mut self, count: u64) {
        let texts: Vec<String> = (self.published..self.published + count).map(|number| self.text(number)).collect();
        self.published += count;
        self.publisher.send(&texts).await;
    }

    fn text(&self, number: u64) -> String {
        if self.kind == Kind::Bare {
            return EVENT.to_owned();
        }
        let input = format!(r#"{{"name":"bench","ttlSeconds":3600,"description":"{number}"}}"#);
        format!(
            r#"{{"type":"subscribe","id":"{number}","payload":{{"query":"{CHANGE}","variables":{{"input":{input}}}}}}}"#
        )
    }

    /// Waits until so many frames have come.
    async fn hear(&mut self, frames: u64) {
        while self.heard.frames.get() < frames {
            tokio::select! {
                () = self.heard.told.notified() => {}
                // What the changes are answered with.
                _ = self.publisher.receive(), if self.kind != Kind::Bare => {}
            }
        }
    }

    /// Has so many events come to all sockets, so many at a time; how many frames that were.
    pub async fn run(&mut self, events: u64) -> u64 {
        self.heard.frames.set(0);
        let mut begun = 0;
        let run = async {
            while begun < events {
                let over = self.heard.frames.get() / self.sockets;
                let next = (over + IN_FLIGHT).min(events);
                self.publish(next - begun).await;
                begun = next;
                let wanted = (over + 1) * self.sockets;
                self.hear(wanted).await;
            }
            self.hear(events * self.sockets).await;
        };
        timeout(PATIENCE, run).await.expect("events come in time");
        events * self.sockets
    }
}

async fn follow(address: &str, kind: Kind, number: usize) -> Wire {
    if kind == Kind::Bare {
        return Wire::open(address, "/follow", PROTOCOL).await;
    }
    let mut wire = Wire::open(address, "/graphql", PROTOCOL).await;
    let id = match kind {
        Kind::OwnIds => format!("0190c5a0-7a3e-7cc0-8f6e-{number:012}"),
        _ => "1".to_owned(),
    };
    let subscribe = format!(r#"{{"type":"subscribe","id":"{id}","payload":{{"query":"{WATCH}"}}}}"#);
    wire.send(&[r#"{"type":"connection_init"}"#.to_owned(), subscribe]).await;
    let heard = wire.receive().await;
    assert_eq!(heard, 1, "more than an acknowledgement");
    wire
}
