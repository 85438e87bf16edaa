use super::frame::{Frames, Message, Messages, Said, put_header};
use super::*;
use crate::bus::conformance::{Open, Site, name, outgoing, publish, topic};
use crate::testing::{free_port, passed_over};
use bytes::{Bytes, BytesMut};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);
const EVENT_BYTES_MAX: usize = 1024 * 1024;

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
fn clock() -> Clock {
    Arc::new(|| Time::from_micros(jiff::Timestamp::now().as_microsecond()))
}

/// Where a bus is bound, and where its places begin the next time.
struct Spot {
    folder: Option<TempDir>,
    first: AtomicU64,
}

/// Free ports of this machine.
pub(in crate::bus) async fn site() -> Option<impl Site> {
    Some(ports())
}

fn ports() -> Spot {
    Spot { folder: None, first: AtomicU64::new(1_795_000_000_000_000) }
}

/// The same over unix sockets.
pub(in crate::bus) mod ipc {
    use super::{Site, unix_sockets};

    pub(in crate::bus) use crate::bus::kind::zmq::CANNOT_CARRY;

    /// A folder with unix sockets.
    pub(in crate::bus) async fn site() -> Option<impl Site> {
        Some(unix_sockets())
    }
}

fn unix_sockets() -> Spot {
    Spot { folder: Some(tempfile::tempdir().unwrap()), ..ports() }
}

impl Spot {
    fn options(&self, events: u64) -> Options {
        let endpoint = |name: &str| match &self.folder {
            Some(folder) => format!("ipc://{}", folder.path().join(name).display()),
            None => "tcp://127.0.0.1:*".to_owned(),
        };
        Options {
            endpoints: Endpoints {
                publish: endpoint("publish"),
                subscribe: endpoint("subscribe"),
                request: endpoint("request"),
            },
            retention: Retention { events, age: Duration::from_secs(3_600), bytes: 1 << 30 },
            first: Place(self.first.fetch_add(1_000_000, Ordering::Relaxed)),
            event_bytes_max: EVENT_BYTES_MAX,
            curve: None,
        }
    }

    async fn open(&self) -> (Arc<Zmq>, mpsc::Receiver<Heard>) {
        opened(self.options(100_000)).await
    }
}

async fn opened(options: Options) -> (Arc<Zmq>, mpsc::Receiver<Heard>) {
    let (sender, heard) = mpsc::channel(10_000);
    (Arc::new(open(options, sender, clock()).await.unwrap()), heard)
}

impl Site for Spot {
    fn open_keeping(&self, events: u64) -> BoxFuture<'_, Open> {
        Box::pin(async move {
            let (sender, heard) = mpsc::channel(10_000);
            Open { carrier: Box::new(open(self.options(events), sender, clock()).await.unwrap()), heard }
        })
    }
}

async fn hears(heard: &mut mpsc::Receiver<Heard>) -> Carried {
    match timeout(PATIENCE, heard.recv()).await.expect("nothing is heard") {
        Some(Heard::Event(carried)) => carried,
        other => panic!("{other:?}"),
    }
}

/// A program's socket, as small as can be.
struct Socket {
    stream: TcpStream,
    bytes: BytesMut,
    frames: Frames,
    messages: Messages,
}

impl Socket {
    async fn connect(endpoint: &str, kind: &str) -> Self {
        let mut stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).await.unwrap();
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10], greeting[11]) = (0xff, 0x7f, 3, 1);
        greeting[12..16].copy_from_slice(b"NULL");
        stream.write_all(&greeting).await.unwrap();
        stream.read_exact(&mut greeting).await.unwrap();
        let mut socket =
            Socket { stream, bytes: BytesMut::new(), frames: Frames::new(1 << 24), messages: Messages::new(1 << 24) };
        let ready = [b"\x05READY\x0bSocket-Type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()].concat();
        socket.put(false, true, &ready).await;
        let Said::Command(_) = socket.next().await else { panic!("it does not say what it is") };
        socket
    }

    async fn put(&mut self, more: bool, is_command: bool, body: &[u8]) {
        let mut bytes = BytesMut::new();
        put_header(&mut bytes, more, is_command, body.len());
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn send(&mut self, frames: &[&[u8]]) {
        for (at, frame) in frames.iter().enumerate() {
            self.put(at + 1 < frames.len(), false, frame).await;
        }
    }

    async fn next(&mut self) -> Said {
        let next = async {
            loop {
                while let Some(frame) = self.frames.next(&mut self.bytes).unwrap() {
                    if let Some(said) = self.messages.take(frame) {
                        return said;
                    }
                }
                assert!(self.stream.read_buf(&mut self.bytes).await.unwrap() > 0, "the connection has ended");
            }
        };
        timeout(PATIENCE, next).await.expect("nothing comes")
    }

    async fn receive(&mut self) -> Vec<String> {
        match self.next().await {
            Said::Message(Message { frames, is_cut: false }) => {
                frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits until what was said before was heard.
    async fn settle(&mut self) {
        self.put(false, true, b"\x04PING\0\0now").await;
        assert_eq!(self.next().await, Said::Command(Bytes::from_static(b"\x04PONGnow")));
    }

    async fn subscriber(endpoint: &str, prefix: &[u8]) -> Self {
        let mut socket = Socket::connect(endpoint, "SUB").await;
        socket.send(&[&[b"\x01", prefix].concat()]).await;
        socket.settle().await;
        socket
    }

    async fn publisher(endpoint: &str) -> Self {
        let mut socket = Socket::connect(endpoint, "PUB").await;
        assert_eq!(socket.receive().await, ["\x01"], "it is asked for everything");
        socket
    }
}

#[tokio::test]
async fn a_text_goes_from_a_publisher_to_subscribers_and_the_registry_as_it_was() {
    let (bus, mut heard) = ports().open().await;
    let mut all = Socket::subscriber(&bus.endpoints().subscribe, b"").await;
    let mut some = Socket::subscriber(&bus.endpoints().subscribe, b"orders.").await;
    let mut publisher = Socket::publisher(&bus.endpoints().publish).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let long = "ü".repeat(300_000);
    publisher.send(&[b"stock", b"{}"]).await;
    publisher.send(&[b"orders.placed", long.as_bytes(), trace.as_bytes()]).await;
    assert_eq!(all.receive().await, ["stock", "{}"]);
    assert_eq!(all.receive().await, ["orders.placed", &long, trace]);
    assert_eq!(some.receive().await, ["orders.placed", &long, trace]);
    let (first, second) = (hears(&mut heard).await, hears(&mut heard).await);
    assert_eq!((first.topic.as_str(), &first.text[..], &first.traceparent), ("stock", &b"{}"[..], &None));
    assert_eq!((&second.text[..], second.traceparent.as_deref()), (long.as_bytes(), Some(trace)));
    assert!(second.place > first.place && second.at >= first.at);
    assert_eq!(bus.read(Place(0), 9).await, Ok(vec![first, second]));
}

#[tokio::test]
async fn what_the_registry_publishes_reaches_subscribers_and_is_heard_with_all_it_has() {
    let (bus, mut heard) = ports().open().await;
    let mut all = Socket::subscriber(&bus.endpoints().subscribe, b"").await;
    let sent = Outgoing { topic: topic("odd.$x/y:{z}"), traceparent: Some("00-a-b-01".into()), ..outgoing("t", 1) };
    let place = bus.publish(sent.clone()).await.unwrap();
    let carried = hears(&mut heard).await;
    assert_eq!((&carried.topic, carried.place, &carried.text), (&sent.topic, place, &sent.text));
    assert_eq!(
        (&carried.traceparent, carried.at > Time::from_micros(1_600_000_000_000_000)),
        (&sent.traceparent, true)
    );
    assert_eq!(all.receive().await, ["odd.$x/y:{z}", "{\"number\":1}", "00-a-b-01"]);
    let large = Outgoing { text: Bytes::from(vec![b' '; EVENT_BYTES_MAX + 1]), ..outgoing("t", 2) };
    assert!(matches!(bus.publish(large).await, Err(Failure::Refused(_))));
}

#[tokio::test]
async fn a_request_is_answered_with_its_place_or_the_reason() {
    let (bus, mut heard) = ports().open().await;
    let mut dealer = Socket::connect(&bus.endpoints().request, "DEALER").await;
    let mut req = Socket::connect(&bus.endpoints().request, "REQ").await;
    dealer.send(&[b"t", b"{}"]).await;
    let first = hears(&mut heard).await.place.0.to_string();
    assert_eq!(dealer.receive().await, ["ok", &first]);
    req.send(&[b"", b"t", b"{}"]).await;
    let second = hears(&mut heard).await.place.0.to_string();
    assert_eq!(req.receive().await, ["", "ok", &second]);
    dealer.send(&[b"7", b"", b"t", b"{}"]).await;
    let third = hears(&mut heard).await.place.0.to_string();
    assert_eq!(dealer.receive().await, ["7", "", "ok", &third]);
    let large = vec![b' '; 8 * EVENT_BYTES_MAX];
    for (frames, says) in [
        (&[&b"t"[..]][..], "frames is 1"),
        (&[b"no topic", b"{}"], "white space"),
        (&[b"t", b"{}", b"", b"x"], "frames is 1"),
        (&[b"t", &large], "1048576 bytes"),
    ] {
        dealer.send(frames).await;
        let answer = dealer.receive().await;
        let [.., error, code, reason] = &answer[..] else { panic!("{answer:?}") };
        assert_eq!(
            (error.as_str(), code.as_str(), reason.contains(says)),
            ("error", "INVALID_ARGUMENT", true),
            "{reason}"
        );
    }
    assert_eq!(bus.counted(), Counted { malformed: 4, ..Counted::default() });
    dealer.send(&[b"t", b"{}"]).await;
    assert_eq!(dealer.receive().await[0], "ok", "the connection stands");
}

#[tokio::test]
async fn what_is_no_event_reaches_nobody_and_is_counted() {
    let (bus, mut heard) = ports().open().await;
    let mut all = Socket::subscriber(&bus.endpoints().subscribe, b"").await;
    let mut publisher = Socket::publisher(&bus.endpoints().publish).await;
    let many = [&b"t"[..]; 100];
    for frames in [&[&b"t"[..]][..], &[b"a..b", b"{}"], &[b"\xff", b"{}"], &[b"t", &[0; 2 * EVENT_BYTES_MAX]], &many] {
        publisher.send(frames).await;
    }
    all.send(&[b"\x07", b"what"]).await;
    all.settle().await;
    publisher.send(&[b"t", b"{}"]).await;
    assert_eq!(all.receive().await, ["t", "{}"]);
    assert_eq!(hears(&mut heard).await.text, "{}");
    assert_eq!(bus.counted(), Counted { malformed: 6, ..Counted::default() });
}

#[tokio::test]
async fn a_length_that_is_only_claimed_does_not_end_the_process() {
    let (bus, _heard) = ports().open().await;
    let mut publisher = Socket::publisher(&bus.endpoints().publish).await;
    let mut claim = BytesMut::new();
    put_header(&mut claim, false, false, 1 << 62);
    claim.extend_from_slice(&[0; 1_000]);
    publisher.stream.write_all(&claim).await.unwrap();
    bus.publish(outgoing("t", 1)).await.unwrap();
}

#[tokio::test]
async fn whoever_is_not_for_a_socket_is_sent_away() {
    let (bus, _heard) = ports().open().await;
    let endpoint = bus.endpoints().request.strip_prefix("tcp://").unwrap();
    let mut stream = TcpStream::connect(endpoint).await.unwrap();
    stream.write_all(b"POST /graphql HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A greeting, and the end.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it stays open");
    let counted = async {
        while bus.counted().refused == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("it is not counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_takes_nothing_holds_nobody_up() {
    const COUNT: usize = 5_000;
    let (bus, mut heard) = ports().open().await;
    let _slow = Socket::subscriber(&bus.endpoints().subscribe, b"").await;
    let mut quick = Socket::subscriber(&bus.endpoints().subscribe, b"").await;
    let text = format!("{{\"filling\":\"{}\"}}", "x".repeat(16_000));
    let mut dropped_for_quick = 0;
    for number in 0..COUNT {
        let sent = Outgoing { text: Bytes::from(text.clone()), ..outgoing("t", number as u128) };
        bus.publish(sent).await.unwrap();
        hears(&mut heard).await;
        if timeout(PATIENCE, quick.receive()).await.is_err() {
            dropped_for_quick += 1;
        }
    }
    assert_eq!(dropped_for_quick, 0);
    assert!(bus.counted().dropped > 0, "more than waits, and than the system takes in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_subscribers_is_sent_before_a_bus_is_closed_and_nothing_is_carried_afterwards() {
    for place in [ports(), unix_sockets()] {
        let (bus, mut heard) = place.open().await;
        let mut subscriber = match place.folder {
            None => Some(Socket::subscriber(&bus.endpoints().subscribe, b"").await),
            Some(_) => None,
        };
        let published = publish(&*bus, 1, 500).await;
        bus.close().await;
        bus.close().await;
        if let Some(subscriber) = &mut subscriber {
            for number in 1..=500 {
                assert_eq!(subscriber.receive().await[1], format!("{{\"number\":{number}}}"));
            }
        }
        for place in published {
            assert_eq!(hears(&mut heard).await.place, place);
        }
        assert!(timeout(PATIENCE, heard.recv()).await.expect("it goes on for ever").is_none());
        assert!(matches!(bus.publish(outgoing("t", 2)).await, Err(Failure::Away(_))));
        assert!(matches!(bus.facts().await, Err(Failure::Away(_))));
        // Its endpoints are free, at once.
        let mut options = place.options(9);
        options.endpoints = bus.endpoints().clone();
        let (again, _) = opened(options).await;
        assert_eq!(again.endpoints(), bus.endpoints());
    }
}

#[tokio::test]
async fn facts_say_what_is_kept_and_places_grow_over_a_restart() {
    let place = ports();
    let (bus, _heard) = place.open().await;
    assert_eq!(bus.facts().await, Ok(Facts::default()));
    let before = publish(&*bus, 1, 5).await;
    let facts = bus.facts().await.unwrap();
    assert_eq!((facts.events, facts.first, facts.last), (5, Some(before[0]), Some(before[4])));
    assert!(facts.bytes > 0 && facts.groups.is_empty());
    bus.close().await;
    let (bus, _heard) = place.open().await;
    let gone = bus.read(before[4], 9).await;
    assert!(matches!(gone, Err(Failure::Gone { oldest }) if oldest > before[4]), "{gone:?}");
    let after = publish(&*bus, 6, 1).await;
    assert!(after[0] > before[4]);
    assert_eq!(bus.read(before[0], 9).await, Err(Failure::Gone { oldest: after[0] }));
}

#[tokio::test]
async fn a_durable_group_is_refused_with_what_to_use() {
    let (bus, _heard) = ports().open().await;
    let Err(Failure::Refused(reason)) = bus.group(name("g"), Begin::Now).await else { panic!("there is one") };
    assert!(reason.contains("JETSTREAM"), "{reason}");
    assert_eq!(bus.forget(name("g")).await, Ok(()));
}

#[tokio::test]
async fn an_endpoint_that_is_in_use_is_named_and_nothing_stays_bound() {
    let (bus, _heard) = ports().open().await;
    let mut options = ports().options(9);
    let free = format!("127.0.0.1:{}", free_port());
    options.endpoints.publish = format!("tcp://{free}");
    options.endpoints.request = bus.endpoints().request.clone();
    let Err(Failure::Away(reason)) = open(options, mpsc::channel(1).0, clock()).await else { panic!("it opens") };
    assert!(reason.contains(&bus.endpoints().request), "{reason}");
    assert!(std::net::TcpListener::bind(free).is_ok());
}

/// Runs the program of a foreign client; `None`, said on stderr, where there is no pyzmq.
fn python(arguments: &[&str]) -> Option<tokio::process::Child> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/python/bin/python");
    let has_it = std::process::Command::new(&program).args(["-c", "import zmq"]).stderr(Stdio::null()).status();
    if !has_it.is_ok_and(|status| status.success()) {
        passed_over("there is no pyzmq in target/python");
        return None;
    }
    let mut command = Command::new(program);
    command.arg(root.join("tests/python/bus_zmq.py")).args(arguments).kill_on_drop(true);
    Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

async fn finished(child: tokio::process::Child) -> Vec<serde_json::Value> {
    let output: Output = timeout(PATIENCE, child.wait_with_output()).await.expect("it does not end").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A foreign client says and hears all there is to be said; with more arguments, such as its keys.
async fn foreign_clients_take_part(bus: Arc<Zmq>, mut heard: mpsc::Receiver<Heard>, more: &[&str]) {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let endpoints = bus.endpoints().clone();
    let with = |arguments: &[&str], endpoint: &str| {
        let mut all: Vec<&str> = arguments.to_vec();
        all.extend(["--endpoint", endpoint]);
        all.extend(more);
        python(&all)
    };
    let arguments = &["publish", "--topic", "a.b", "--text", "{\"grün\": 1}", "--count", "3", "--traceparent", trace];
    let Some(publishing) = with(arguments, &endpoints.publish) else { return };
    for _ in 0..3 {
        let carried = hears(&mut heard).await;
        assert_eq!((carried.topic.as_str(), &carried.text[..]), ("a.b", "{\"grün\": 1}".as_bytes()));
        assert_eq!(carried.traceparent.as_deref(), Some(trace));
    }
    assert_eq!(finished(publishing).await.len(), 3);

    for kind in ["REQ", "DEALER"] {
        let arguments = &["request", "--topic", "a.c", "--text", "{}", "--socket", kind];
        let asking = with(arguments, &endpoints.request).unwrap();
        let carried = hears(&mut heard).await;
        let answer = serde_json::json!({"answer": ["ok", carried.place.0.to_string()]});
        assert_eq!(finished(asking).await, [answer]);
    }
    let asking = with(&["request", "--topic", "a..c", "--text", "{}", "--socket", "REQ"], &endpoints.request).unwrap();
    assert_eq!(finished(asking).await[0]["answer"][1], "INVALID_ARGUMENT");

    let subscribing = with(&["subscribe", "--topic", "a.", "--count", "3"], &endpoints.subscribe).unwrap();
    // Nobody knows when it listens: publishing goes on until it has what it wants.
    let going_on = tokio::spawn(async move {
        loop {
            let sent = Outgoing { topic: topic("a.d"), traceparent: Some(trace.into()), ..outgoing("t", 1) };
            bus.publish(sent).await.unwrap();
            bus.publish(outgoing("b", 1)).await.unwrap();
            hears(&mut heard).await;
            hears(&mut heard).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let line = serde_json::json!({"topic": "a.d", "text": "{\"number\":1}", "traceparent": trace});
    assert_eq!(finished(subscribing).await, [line.clone(), line.clone(), line]);
    going_on.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_clients_take_part_over_tcp() {
    let (bus, heard) = ports().open().await;
    foreign_clients_take_part(bus, heard, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_clients_take_part_over_unix_sockets() {
    let place = unix_sockets();
    let (bus, heard) = place.open().await;
    foreign_clients_take_part(bus, heard, &[]).await;
}

/// Pairs of keys, made with libzmq.
const SERVER: [&str; 2] = ["FYMyPw+./Maa#>Ul=f%EVW{l&d1iC#*qUhZT4#]E", "^&7R79?Sr}w5-$A.X$L)azP.>I#G$kb2+}cGXc$:"];
const CLIENT: [&str; 2] = ["L>k*yuq}WUm%%qA@7Le::VkHDYXtKqJgK@WDaFJ5", "z{AS3q/*enp#G3/ZtmnBBQ-k@Y7*rg/XpchzHkcf"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_clients_take_part_with_their_keys() {
    let place = unix_sockets();
    let file = place.folder.as_ref().unwrap().path().join("secret");
    std::fs::write(&file, SERVER[1]).unwrap();
    let curve = Curve { server_secret_key_file: file, clients: Some(vec![CLIENT[0].to_owned()]) };
    let (bus, heard) = opened(Options { curve: Some(curve), ..ports().options(100) }).await;
    let keys = ["--server-key", SERVER[0], "--public-key", CLIENT[0], "--secret-key", CLIENT[1]];
    foreign_clients_take_part(bus.clone(), heard, &keys).await;
    // One whose key is not known, and one without any.
    let stranger = ["--server-key", SERVER[0], "--public-key", SERVER[0], "--secret-key", SERVER[1]];
    for keys in [&stranger[..], &[]] {
        let endpoint = bus.endpoints().request.clone();
        let arguments = ["request", "--topic", "t", "--text", "{}", "--endpoint", &endpoint, "--patience", "1"];
        let Some(asking) = python(&[&arguments[..], keys].concat()) else { return };
        let output = timeout(PATIENCE, asking.wait_with_output()).await.expect("it does not end").unwrap();
        assert!(!output.status.success(), "it is let in: {}", String::from_utf8_lossy(&output.stdout));
    }
    // The other one goes by itself, when it sees that keys are wanted.
    assert!(bus.counted().refused >= 1);
}
