//! What a hostile client may try, against the real program: each attempt is answered or cut within its bound, memory
//! stays bounded, and the registry serves everybody else, then and afterwards. docs/reliability.md has figures.

use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::{PATIENCE, eventually};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// How many sockets stand idle; fewer where the system allows no more.
const IDLE_SOCKETS: usize = 10_000;
/// How much memory an attempt may cost the server at its highest, in bytes.
const MEMORY_MAX: u64 = 64 * 1024 * 1024;
/// What an idle socket may cost the server, in bytes.
const IDLE_SOCKET_MEMORY_MAX: u64 = 40 * 1024;

/// The most memory that the server ever held, in bytes.
fn memory_peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs an attempt; then the server is alive, has not panicked and has held little more memory than before.
async fn survives(server: &Server, what: &str, memory_max: u64, attempt: impl Future<Output = ()>) {
    let before = memory_peak(server);
    timeout(2 * PATIENCE, attempt).await.unwrap_or_else(|_| panic!("{what}: neither answered nor cut"));
    server.query("{ registry { sequence } }", Value::Null).await;
    let held = memory_peak(server).saturating_sub(before);
    println!("{what}: {} KiB more at the highest", held / 1024);
    assert!(held < memory_max, "{what}: {held} bytes more");
    assert!(!server.said().contains("panicked"), "{}", server.said());
}

/// A request as it goes over the wire.
fn head(server: &Server, more: &str) -> String {
    let address = server.address();
    format!("POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{more}\r\n")
}

/// Sends as much as the server takes; answers what it says, until it hangs up or has answered whole.
async fn send(server: &Server, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let sending = async {
        // The server may hang up in the middle.
        let _ = writer.write_all(head.as_bytes()).await;
        let _ = writer.write_all(body).await;
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let hearing = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..length]);
            if is_whole(&said) {
                break;
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = hearing => {}
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether an answer has as many bytes as it says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

fn status(answer: &str) -> Option<u16> {
    answer.split_whitespace().nth(1)?.parse().ok()
}

/// Nothing, or a refusal: an attempt was cut, or answered.
fn is_refused(answer: &str, with: &[u16]) -> bool {
    status(answer).is_none_or(|status| with.contains(&status))
}

#[tokio::test]
async fn bodies_of_fifty_megabytes_are_cut_however_they_are_sent() {
    let server = Server::start();
    let body = vec![b'x'; 50_000_000];
    survives(&server, "50 MB with their length", MEMORY_MAX, async {
        let answer = send(&server, &head(&server, "content-length: 50000000\r\n"), &body).await;
        assert!(is_refused(&answer, &[413]), "{answer}");
    })
    .await;
    survives(&server, "50 MB in chunks", MEMORY_MAX, async {
        let chunked: Vec<u8> = body
            .chunks(60_000)
            .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
            .collect();
        let answer = send(&server, &head(&server, "transfer-encoding: chunked\r\n"), &chunked).await;
        assert!(is_refused(&answer, &[413]), "{answer}");
    })
    .await;
    survives(&server, "50 MB in one websocket message", MEMORY_MAX, async {
        let mut socket = Socket::ready(&server).await;
        let _ = socket.0.send(Message::Text("x".repeat(50_000_000).into())).await;
        // Closed, or hung up: in any case it ends.
        while let Some(Ok(_)) = socket.0.next().await {}
    })
    .await;
}

#[tokio::test]
async fn nesting_of_a_hundred_thousand_levels_is_refused_wherever_it_stands() {
    const DEPTH: usize = 100_000;
    let server = Server::start();
    let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
    let object = format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
    let query = |text: &str| json!({"query": text}).to_string();
    let bodies = [
        ("fields", query(&format!("{}a{}", "{a".repeat(DEPTH), "}".repeat(DEPTH)))),
        ("lists in arguments", query(&format!("{{ node(by: {{name: {open}{close}}}) {{ id }} }}"))),
        ("objects in arguments", query(&format!("{{ node(by: {}) {{ id }} }}", "{a:".repeat(DEPTH)))),
        ("types of variables", query(&format!("query($a: {open}Int{close}) {{ registry {{ id }} }}"))),
        ("a body", format!("{open}{close}")),
        ("variables", format!("{{\"query\": \"{{ registry {{ id }} }}\", \"variables\": {object}}}")),
        (
            "a variable",
            format!(
                "{{\"query\": \"mutation($m: JSON) {{ register(input: {{name: \\\"a\\\", metadata: $m}}) {{ created }} \
                 }}\", \"variables\": {{\"m\": {object}}}}}"
            ),
        ),
        (
            "arguments of a call",
            format!(
                "{{\"query\": \"mutation($input: ProxyInvokeInput!) {{ proxyInvoke(input: $input) {{ id status result \
                 }} }}\", \"variables\": {{\"input\": {{\"tool\": \"a\", \"arguments\": {object}}}}}}}"
            ),
        ),
        ("extensions", format!("{{\"query\": \"{{ registry {{ id }} }}\", \"extensions\": {object}}}")),
        ("what nobody reads", format!("{{\"query\": \"{{ registry {{ id }} }}\", \"more\": {object}}}")),
    ];
    for (what, body) in &bodies {
        survives(&server, &format!("{DEPTH} levels of {what} by HTTP"), MEMORY_MAX, async {
            let length = format!("content-length: {}\r\n", body.len());
            let answer = send(&server, &head(&server, &length), body.as_bytes()).await;
            assert!(matches!(status(&answer), Some(200 | 400 | 422)), "{what}: {answer}");
        })
        .await;
        survives(&server, &format!("{DEPTH} levels of {what} by websocket"), MEMORY_MAX, async {
            let mut socket = Socket::ready(&server).await;
            let message = format!("{{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": {body}}}");
            socket.0.send(Message::Text(message.into())).await.unwrap();
            // An answer, or the end of the connection.
            let heard = socket.0.next().await;
            assert!(!matches!(heard, Some(Ok(Message::Ping(_)))), "{what}: {heard:?}");
        })
        .await;
    }
    let contract = json!({"c": format!("name: a\nx: {open}{close}")});
    let register = "mutation($c: String!) { register(input: {contract: $c}) { created } }";
    survives(&server, "a contract", MEMORY_MAX, async {
        assert_eq!(server.refused(register, contract).await.0, "CONTRACT_INVALID");
    })
    .await;
    assert_eq!(server.sequence().await, 0);
}

#[tokio::test]
async fn malformed_utf8_is_refused_in_a_body_and_closes_a_websocket() {
    let server = Server::start();
    survives(&server, "malformed UTF-8", MEMORY_MAX, async {
        for body in [&b"{\"query\": \"{ registry { \xff\xfe } }\"}"[..], b"\xc3\x28", b"{\"query\": \"\\ud800\"}"] {
            let length = format!("content-length: {}\r\n", body.len());
            let answer = send(&server, &head(&server, &length), body).await;
            assert_eq!(status(&answer), Some(400), "{answer}");
        }
        let mut socket = Socket::ready(&server).await;
        let frame = Frame::message(
            &b"{\"type\": \"ping\", \"payload\": {\"a\": \"\xc3\x28\"}}"[..],
            OpCode::Data(Data::Text),
            true,
        );
        socket.0.send(Message::Frame(frame)).await.unwrap();
        // RFC 6455: 1007 is for text that is no UTF-8.
        assert_eq!(socket.closed().await.0, 1007);
    })
    .await;
}

#[tokio::test]
async fn a_thousand_aliases_cost_what_their_answer_costs() {
    let server = Server::start();
    let register = "mutation($input: RegisterInput!) { register(input: $input) { created } }";
    for number in 0..200 {
        server.query(register, json!({"input": {"name": format!("node_{number}")}})).await;
    }
    survives(&server, "1,000 aliases", MEMORY_MAX, async {
        let each = |number| format!("a{number}: node(by: {{name: \"node_{}\"}}) {{ id name status }}", number % 200);
        let all: Vec<String> = (0..1_000).map(each).collect();
        let answer = server.query(&format!("{{ {} }}", all.join(" ")), Value::Null).await;
        assert_eq!(answer.as_object().unwrap().len(), 1_000);
        assert_eq!(answer["a999"]["name"], "node_199");
    })
    .await;
    // Pages are another matter: a thousand of them are refused before the first is made.
    survives(&server, "1,000 pages", MEMORY_MAX, async {
        let each = |number| format!("a{number}: nodes(first: 500) {{ nodes {{ id name status }} }}");
        let all: Vec<String> = (0..1_000).map(each).collect();
        let (code, message) = server.refused(&format!("{{ {} }}", all.join(" ")), Value::Null).await;
        assert_eq!(code, "TOO_COMPLEX", "{message}");
    })
    .await;
}

/// Registers nodes that feed each other in chains of ten, each with a tool.
async fn fill(server: &Server, nodes: usize) {
    const A_REQUEST: usize = 50;
    let one = |number: usize| {
        let (chain, place) = (number / 10, number % 10);
        let contract = format!(
            "name: node_{number:05}\nversion: 1.0.{}\ndescription: Keeps part {number} in order and tells others\n\
             event_bus: {{subscribe_topics: [t.{chain}.{place}], publish_topics: [t.{chain}.{}]}}\n",
            number % 7,
            place + 1
        );
        let tool = json!({"name": format!("tool_{}", number % 500), "version": format!("1.0.{}", number / 500)});
        json!({"contract": contract, "tags": ["a", "b"], "tools": [tool]})
    };
    let numbers: Vec<usize> = (0..nodes).collect();
    let requests = numbers.chunks(A_REQUEST).map(|numbers| {
        let heads: Vec<String> = (0..numbers.len()).map(|at| format!("$i{at}: RegisterInput!")).collect();
        let fields = (0..numbers.len()).map(|at| format!("r{at}: register(input: $i{at}) {{ created }}"));
        let document = format!("mutation({}) {{ {} }}", heads.join(", "), fields.collect::<Vec<_>>().join(" "));
        let variables: serde_json::Map<String, Value> =
            numbers.iter().enumerate().map(|(at, number)| (format!("i{at}"), one(*number))).collect();
        (document, Value::Object(variables))
    });
    let sent = requests.map(|(document, variables)| async move { server.query(&document, variables).await });
    futures_util::stream::iter(sent).buffer_unordered(16).collect::<Vec<_>>().await;
}

/// The dearest queries that the limits allow, each of its kind, by name.
fn dear_queries() -> Vec<(&'static str, String)> {
    let repeat = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(" ");
    let wide = |first: usize, fields: usize| {
        let all = repeat(fields, &|at| format!("a{at}: description"));
        format!("{{ nodes(first: {first}) {{ nodes {{ {all} }} }} }}")
    };
    let graphs = repeat(9, &|at| format!("g{at}: dependencyGraph {{ nodes {{ id }} edges {{ from to }} cycles }}"));
    let searches =
        repeat(60, &|at| format!("s{at}: nodes(first: 1, filter: {{search: \"part {at}\"}}) {{ totalCount }}"));
    let patterns =
        repeat(60, &|at| format!("s{at}: nodes(first: 1, filter: {{namePattern: \"*_*{at}*\"}}) {{ totalCount }}"));
    let earlier =
        repeat(20, &|at| format!("e{at}: at(sequence: {}) {{ nodes(first: 1) {{ totalCount }} }}", 50 * (at + 1)));
    let events = repeat(80, &|at| format!("e{at}: events(first: 1, filter: {{tool: \"t{at}\"}}) {{ totalCount }}"));
    let types = "types { name fields { name type { name fields { name type { name } } } } }";
    let unknown = repeat(4_900, &|at| format!("{at:x<40}").replace(char::is_numeric, "n") + &at.to_string());
    let directives = repeat(500, &|_| "@include(if: true)".to_owned());
    let arguments = repeat(6_000, &|at| format!("\"t{at}\""));
    vec![
        ("a page of 500, 480 fields each", wide(500, 480)),
        ("900 fields of 270 nodes", wide(270, 900)),
        ("what feeds 400 nodes, from afar", "{ nodes(first: 400) { nodes { upstream(depth: 99) { id name } } } }".into()),
        (
            "lists in lists in lists",
            "{ tools(first: 500) { nodes { providers { node { tools(first: 3) { nodes { providers { node { downstream { \
             upstream { id name } } } } } } } } } } }"
                .into(),
        ),
        ("9 graphs", format!("{{ {graphs} }}")),
        ("60 searches", format!("{{ {searches} }}")),
        ("60 filters", format!("{{ {patterns} }}")),
        ("20 earlier states", format!("{{ {earlier} }}")),
        ("80 searches of history", format!("{{ {events} }}")),
        ("the schema, three deep", format!("{{ __schema {{ {types} }} }}")),
        ("4,900 fields that are none", format!("{{ registry {{ {unknown} }} }}")),
        ("500 directives", format!("{{ registry {{ id {directives} }} }}")),
        ("6,000 texts in a list", format!("mutation {{ register(input: {{name: \"a\", tags: [{arguments}]}}) {{ created }} }}")),
    ]
}

/// ONEX_ABUSE_NODES says of how many nodes; the figures of docs/reliability.md are of 10,000.
#[tokio::test]
async fn the_dearest_queries_of_each_kind_end_within_the_limits() {
    let nodes = std::env::var("ONEX_ABUSE_NODES").map_or(200, |text| text.parse().expect("a number"));
    let server = Server::start();
    fill(&server, nodes).await;
    for (what, query) in dear_queries() {
        survives(&server, what, 8 * MEMORY_MAX, async {
            let began = std::time::Instant::now();
            let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
            let body = json!({"query": query}).to_string();
            let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
            let text = answer.text().await.unwrap();
            let took = began.elapsed();
            let answer: Value = serde_json::from_str(&text).unwrap();
            let limit = &answer["errors"][0]["extensions"]["details"]["limit"];
            println!("{what}: {} ms, {} KiB, limit: {limit}", took.as_millis(), text.len() / 1024);
            assert_ne!(answer["errors"][0]["extensions"]["code"], "INTERNAL", "{what}: {answer}");
        })
        .await;
    }
}

#[tokio::test]
async fn ten_thousand_idle_sockets_keep_nobody_else_from_being_served() {
    let server = Server::start();
    let open_max = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    // Each takes one handle here and one in the server, which has this process's limit; some are needed otherwise.
    let count = IDLE_SOCKETS.min(usize::try_from(open_max).unwrap_or(IDLE_SOCKETS).saturating_sub(500));
    if count < IDLE_SOCKETS {
        println!("SCALED DOWN: {count} sockets, for \"ulimit -n\" is {open_max}");
    }
    let memory_max = MEMORY_MAX + count as u64 * IDLE_SOCKET_MEMORY_MAX;
    survives(&server, &format!("{count} idle sockets"), memory_max, async {
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            // Those that the server does not take, or cuts at once, are as good.
            let connecting = timeout(Duration::from_secs(5), TcpStream::connect(server.address())).await;
            sockets.extend(connecting.ok().and_then(Result::ok));
        }
        assert!(sockets.len() > count / 2, "{} sockets", sockets.len());
        eventually("an answer beside idle sockets", async || {
            server.client().query::<Value>("{ registry { sequence } }", Value::Null).await.ok()
        })
        .await;
    })
    .await;
}
