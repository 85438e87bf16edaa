//! Port leases on the real binary: over GraphQL, over portserver, with real processes that come and go.

use crate::support::server::Server;
use crate::support::{eventually, python};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

const ALLOCATE: &str = "mutation($input: AllocateInput!) { allocate(input: $input) { id port status expiresAt } }";
const REQUESTER: &str = "00000000-0000-4000-8000-000000000001";

/// A registry that speaks portserver at a name of its own.
pub struct PortServer {
    pub server: Server,
    pub name: String,
}

impl PortServer {
    pub fn start_in(data_dir: &Path, name: &str) -> Self {
        let server = Server::start_in(data_dir, &["--portserver", &format!("@{name}")]);
        PortServer { server, name: name.to_owned() }
    }
}

pub fn fresh_name() -> String {
    format!("onex-test-{}", Uuid::new_v4())
}

fn connect(name: &str) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// What portserver answers to these bytes, until it closes.
fn ask(name: &str, request: &[u8]) -> std::io::Result<String> {
    let mut stream = connect(name)?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The port that portserver gives a process; `None` where it refuses or is not there.
pub fn pick_for(name: &str, pid: u32) -> Option<u16> {
    ask(name, format!("{pid}\n").as_bytes()).ok()?.trim_end().parse().ok()
}

/// A process that does nothing until it is ended.
pub struct Idler(pub Child);

impl Idler {
    pub fn start() -> Self {
        Idler(Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap())
    }

    /// Ends it, and takes notice of its end only when it is dropped.
    fn kill(&mut self) {
        self.0.kill().unwrap();
    }
}

impl Drop for Idler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn active(server: &Server) -> BTreeSet<u64> {
    let data = server.query("{ ports(first: 500) { nodes { port } } }", Value::Null).await;
    data["ports"]["nodes"].as_array().unwrap().iter().map(|lease| lease["port"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_lease_survives_the_registrys_sudden_end_and_lapses_at_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let long = json!({"requesterId": REQUESTER, "ttlSeconds": 600, "purpose": "the one that stays"});
    let long = server.query(ALLOCATE, json!({"input": long})).await["allocate"].take();
    let short = json!({"requesterId": REQUESTER, "ttlSeconds": 1});
    let short = server.query(ALLOCATE, json!({"input": short})).await["allocate"].take();
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    let port = "query($id: UUID!) { port(leaseId: $id) { id port status expiresAt } }";
    assert_eq!(server.query(port, json!({"id": long["id"]})).await["port"], long);
    let insists = json!({"requesterId": Uuid::new_v4(), "from": long["port"], "to": long["port"]});
    let (code, message) = server.refused(ALLOCATE, json!({"input": insists})).await;
    assert_eq!(code, "PORT_UNAVAILABLE");
    assert!(message.contains(REQUESTER) && message.contains("until"), "{message}");
    let refuse = "mutation($id: UUID!) { renew(input: {leaseId: $id}) { id } }";
    eventually("the short lease lapses", async || {
        let lease = server.query(port, json!({"id": short["id"]})).await["port"].take();
        (lease["status"] == "EXPIRED").then_some(())
    })
    .await;
    assert_eq!(server.refused(refuse, json!({"id": short["id"]})).await.0, "LEASE_EXPIRED");
}

#[tokio::test]
async fn a_leased_number_can_be_bound_and_is_in_the_history() {
    let server = Server::start();
    let input = json!({"requesterId": REQUESTER, "bothTransports": true, "correlationId": "deploy"});
    let lease = server.query(ALLOCATE, json!({"input": input})).await["allocate"].take();
    let port = u16::try_from(lease["port"].as_u64().unwrap()).unwrap();
    drop((TcpListener::bind(("127.0.0.1", port)).unwrap(), UdpSocket::bind(("127.0.0.1", port)).unwrap()));
    server.query("mutation($id: UUID!) { release(input: {leaseId: $id}) { id } }", json!({"id": lease["id"]})).await;
    let events = "query($id: UUID!) { events(filter: {leaseId: $id}) { nodes { type correlationId
        ... on PortAllocated { lease { port status } } ... on PortReleased { lease { port status } } } } }";
    let found = server.query(events, json!({"id": lease["id"]})).await;
    assert_eq!(
        found["events"]["nodes"],
        json!([
            {"type": "PORT_ALLOCATED", "correlationId": "deploy", "lease": {"port": port, "status": "ACTIVE"}},
            {"type": "PORT_RELEASED", "correlationId": null, "lease": {"port": port, "status": "RELEASED"}},
        ])
    );
    let pools = server.query("{ portPools { transport size allocated quarantined granted } }", Value::Null).await;
    let pool =
        |transport| json!({"transport": transport, "size": 10_000, "allocated": 0, "quarantined": 1, "granted": 1});
    assert_eq!(pools["portPools"], json!([pool("TCP"), pool("UDP")]));
    let kept_back = "{ portPools { reservedRanges { from } quarantines { port until reason } } }";
    let kept_back = server.query(kept_back, Value::Null).await["portPools"][0].take();
    assert_eq!((&kept_back["reservedRanges"], &kept_back["quarantines"][0]["port"]), (&json!([]), &json!(port)));
    let quarantine = &kept_back["quarantines"][0];
    assert!(quarantine["until"].is_string(), "{quarantine}");
    assert!(quarantine["reason"].as_str().unwrap().starts_with("a lease on it ended at"), "{quarantine}");
    let then = "{ at(sequence: 1) { ports { nodes { port } } portPools { allocated } } }";
    let then = server.query(then, Value::Null).await["at"].take();
    assert_eq!(then, json!({"ports": {"nodes": [{"port": port}]}, "portPools": [{"allocated": 1}, {"allocated": 1}]}));
}

#[tokio::test]
async fn requests_that_cannot_be_are_refused_by_field() {
    let server = Server::start();
    let cases: &[(Value, &str)] = &[
        (json!({"protocol": "IPC"}), "protocol"),
        (json!({"from": 5}), "to"),
        (json!({"from": 9, "to": 5}), "to"),
        (json!({"from": 0, "to": 5}), "from"),
        (json!({"from": 20_000, "to": 20_001, "preferredPort": 20_002}), "preferredPort"),
        (json!({"preferredPort": 65_536}), "preferredPort"),
        (json!({"host": "not a host"}), "host"),
        (json!({"ttlSeconds": 0}), "ttlSeconds"),
        (json!({"ttlSeconds": 99_999_999}), "ttlSeconds"),
        (json!({"key": ""}), "key"),
        (json!({"topics": ["a..b"]}), "topics[0]"),
        (json!({"purpose": "x".repeat(16_385)}), "purpose"),
    ];
    for (fields, field) in cases {
        let mut input = fields.clone();
        input["requesterId"] = json!(REQUESTER);
        let (code, message) = server.refused(ALLOCATE, json!({"input": input})).await;
        assert_eq!(code, "INVALID_ARGUMENT", "{fields}");
        assert!(message.starts_with(&format!("{field}: ")), "{fields}: {message}");
    }
    let batch = "mutation($input: AllocateBatchInput!) { allocateBatch(input: $input) { id } }";
    let too_many = vec![json!({"requesterId": REQUESTER}); 101];
    for requests in [json!([]), json!(too_many)] {
        assert_eq!(server.refused(batch, json!({"input": {"requests": requests}})).await.0, "INVALID_ARGUMENT");
    }
    let named = vec![json!({"requesterId": REQUESTER, "key": "a"}); 2];
    assert_eq!(server.refused(batch, json!({"input": {"requests": named}})).await.0, "INVALID_ARGUMENT");
    assert_eq!(server.sequence().await, 0);
}

#[test]
fn a_band_among_the_kernels_own_numbers_is_warned_about() {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let ephemeral = range.split_whitespace().next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("onex.toml");
    std::fs::write(&config, format!("[ports]\nbands = [\"{ephemeral}-{ephemeral}\"]\n")).unwrap();
    let overlapping = ["--config", config.to_str().unwrap()];
    assert!(Server::start_in(&directory.path().join("a"), &overlapping).said().contains("ports.bands overlaps"));
    assert!(!Server::start_in(&directory.path().join("b"), &[]).said().contains("ports.bands overlaps"));
}

#[tokio::test]
async fn another_hosts_numbers_are_leased_unprobed() {
    let server = Server::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let input = json!({"requesterId": REQUESTER, "host": "Elsewhere.Example", "from": taken, "to": taken});
    let allocate = "mutation($input: AllocateInput!) { allocate(input: $input) { host port probed } }";
    let lease = server.query(allocate, json!({"input": input})).await["allocate"].take();
    assert_eq!(lease, json!({"host": "elsewhere.example", "port": taken, "probed": false}));
    for here in ["localhost", "127.0.0.1", "::1"] {
        let input = json!({"requesterId": REQUESTER, "host": here});
        let lease = server.query(allocate, json!({"input": input})).await["allocate"].take();
        assert_eq!((lease["host"].as_str(), lease["probed"].as_bool()), (Some("localhost"), Some(true)));
    }
}

#[tokio::test]
async fn this_machine_keeps_its_name_while_its_numbers_are_leased() {
    let directory = tempfile::tempdir().unwrap();
    let (config, data_dir) = (directory.path().join("onex.toml"), directory.path().join("data"));
    let server = Server::start_in(&data_dir, &[]);
    let input = json!({"requesterId": REQUESTER, "ttlSeconds": 600});
    let lease = server.query(ALLOCATE, json!({"input": input})).await["allocate"].take();
    assert!(server.stop().success());
    let renamed = ["--config", config.to_str().unwrap()];
    std::fs::write(&config, "[ports]\nhost = \"build-1\"\n").unwrap();
    let (_, said) = Server::try_start_in(&data_dir, &renamed).err().expect("refused");
    assert!(said.contains("ports.host") && said.contains("as localhost"), "{said}");
    let server = Server::start_in(&data_dir, &[]);
    server.query("mutation($id: UUID!) { release(input: {leaseId: $id}) { id } }", json!({"id": lease["id"]})).await;
    assert!(server.stop().success());
    let server = Server::start_in(&data_dir, &renamed);
    let input = json!({"requesterId": REQUESTER, "host": "localhost"});
    let allocate = "mutation($input: AllocateInput!) { allocate(input: $input) { host probed } }";
    let lease = server.query(allocate, json!({"input": input})).await["allocate"].take();
    assert_eq!(lease, json!({"host": "build-1", "probed": true}));
}

/// A registry that cannot open files knows nothing of processes and ports: it takes nothing away, and blames no number.
#[tokio::test]
async fn a_registry_out_of_file_handles_takes_no_lease_away_and_keeps_no_number_back() {
    let directory = tempfile::tempdir().unwrap();
    let PortServer { server, name } = PortServer::start_in(directory.path(), &fresh_name());
    let process = Idler::start();
    let port = u64::from(pick_for(&name, process.0.id()).expect("a port"));
    let client = server.client();
    // Connected before the handles are gone, and kept.
    let count = "{ portPools { quarantined } registry { counts { activeLeases } } }";
    let counted: Value = client.query(count, Value::Null).await.unwrap();
    assert_eq!(counted["registry"]["counts"]["activeLeases"], 1);
    // What is open stays open, and nothing more can be opened.
    let limit = Command::new("prlimit").args(["--pid", &server.pid().to_string(), "--nofile=3:"]).status().unwrap();
    assert!(limit.success());
    let input = json!({"requesterId": REQUESTER});
    let refused = client.query::<Value>(ALLOCATE, json!({"input": input})).await;
    let Err(onex::client::Error::Refused { code, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code.as_deref(), Some("UNAVAILABLE"));
    eventually("processes were looked at in vain", async || {
        server.said().contains("cannot be looked at").then_some(())
    })
    .await;
    let counted: Value = client.query(count, Value::Null).await.unwrap();
    assert_eq!(counted["registry"]["counts"]["activeLeases"], 1, "the process lives and holds {port}");
    assert_eq!(counted["portPools"], json!([{"quarantined": 0}, {"quarantined": 0}]));
}

#[tokio::test]
async fn a_process_holds_what_portserver_gave_it_until_it_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let PortServer { server, name } = PortServer::start_in(directory.path(), &fresh_name());
    let (mut first, second) = (Idler::start(), Idler::start());
    let of_first: BTreeSet<u64> = (0..3).map(|_| u64::from(pick_for(&name, first.0.id()).expect("a port"))).collect();
    let of_second = u64::from(pick_for(&name, second.0.id()).expect("a port"));
    assert_eq!(of_first.len(), 3);
    let lease = "{ ports { nodes { port processId transports expiresAt allocatedBy } } }";
    let leases = server.query(lease, Value::Null).await["ports"]["nodes"].take();
    let of_second_lease = leases.as_array().unwrap().iter().find(|lease| lease["port"] == of_second).unwrap();
    assert_eq!(
        (&of_second_lease["processId"], &of_second_lease["transports"], &of_second_lease["expiresAt"]),
        (&json!(second.0.id()), &json!(["TCP", "UDP"]), &Value::Null)
    );
    // This test asked for it: told, not refused.
    let told = format!("asked for by process {}", std::process::id());
    assert!(of_second_lease["allocatedBy"].as_str().unwrap().contains(&told), "{of_second_lease}");

    // A zombie still holds: what it bound may linger, and its parent may yet ask what became of it.
    first.kill();
    let status = format!("/proc/{}/stat", first.0.id());
    eventually("the process is a zombie", async || {
        std::fs::read_to_string(&status).unwrap().contains(") Z ").then_some(())
    })
    .await;
    let third = Idler::start();
    for _ in 0..20 {
        let port = pick_for(&name, third.0.id()).expect("a port");
        assert!(!of_first.contains(&u64::from(port)));
    }
    assert!(active(&server).await.is_superset(&of_first));
    drop(first);
    eventually("the ports of the process that is gone are free", async || {
        active(&server).await.is_disjoint(&of_first).then_some(())
    })
    .await;
    let ended = "{ ports(filter: {status: RELEASED}) { nodes { endReason } } }";
    let ended = server.query(ended, Value::Null).await["ports"]["nodes"].take();
    assert_eq!(ended[0]["endReason"], "the process that held it is gone");

    // What a process holds is kept over a restart, and so is the notice of its end.
    server.kill();
    drop(second);
    let PortServer { server, .. } = PortServer::start_in(directory.path(), &name);
    eventually("a process that ended while the registry was down is noticed", async || {
        (!active(&server).await.contains(&of_second)).then_some(())
    })
    .await;
    assert!(!active(&server).await.is_empty(), "the third process is there");
}

#[tokio::test]
async fn portserver_refuses_what_is_no_process_and_outlasts_clients_that_say_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let PortServer { server, name } = PortServer::start_in(directory.path(), &fresh_name());
    let silent: Vec<UnixStream> = (0..20).map(|_| connect(&name).unwrap()).collect();
    for wrong in ["0\n", "1\n", "-5\n", "x\n", "\n", "4294967295\n", "99999999999999999999999999999999999999\n"] {
        // A connection that is cut with bytes unread ends in a reset.
        assert_eq!(ask(&name, wrong.as_bytes()).unwrap_or_default(), "", "{wrong:?}");
    }
    assert!(active(&server).await.is_empty());
    let pid = std::process::id();
    assert!(pick_for(&name, pid).is_some(), "those who are silent are in nobody's way");
    // A client may send its line in parts, or end it by ending.
    let mut slow = connect(&name).unwrap();
    for part in [pid.to_string(), "\n".to_owned()] {
        slow.write_all(part.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut line = String::new();
    BufReader::new(slow).read_line(&mut line).unwrap();
    assert!(line.trim_end().parse::<u16>().is_ok(), "{line:?}");
    for mut stream in silent {
        let mut answer = String::new();
        assert_eq!(stream.read_to_string(&mut answer).unwrap(), 0, "cut off by the deadline");
    }
}

#[tokio::test]
async fn a_portserver_path_is_taken_over_from_the_dead_and_not_from_the_living() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portserver.sock");
    let at = ["--portserver", path.to_str().unwrap()];
    let first = Server::start_in(&directory.path().join("a"), &at);
    let (status, said) = Server::try_start_in(&directory.path().join("b"), &at).err().expect("refused");
    assert!(status.code() == Some(1) && said.contains("somebody listens there"), "{said}");
    first.kill();
    assert!(path.exists());
    let second = Server::start_in(&directory.path().join("a"), &at);
    let mut stream = UnixStream::connect(&path).unwrap();
    writeln!(stream, "{}", std::process::id()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.trim_end().parse::<u16>().is_ok(), "{answer:?}");
    assert!(second.stop().success());
    assert!(!path.exists(), "a server that stops takes its socket away");
    std::fs::write(&path, "precious").unwrap();
    let (_, said) = Server::try_start_in(&directory.path().join("a"), &at).err().expect("refused");
    assert!(said.contains("no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

/// The real client: Google's portpicker for Python.
#[tokio::test]
async fn eight_python_processes_pick_two_hundred_ports_each_all_distinct_and_bindable() {
    const PROCESSES: usize = 8;
    const EACH: usize = 200;
    let Some(python) = python("portpicker") else { return };
    let directory = tempfile::tempdir().unwrap();
    let PortServer { server, name } = PortServer::start_in(directory.path(), &fresh_name());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/hold.py");
    let start = |_| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(EACH.to_string()).env("PORTSERVER_ADDRESS", format!("@{name}"));
        Idler(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    };
    let mut holders: Vec<Idler> = (0..PROCESSES).map(start).collect();
    let mut held: Vec<BTreeSet<u64>> = Vec::new();
    for holder in &mut holders {
        let mut line = String::new();
        BufReader::new(holder.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Vec<u64> = serde_json::from_str(&line).unwrap_or_else(|_| panic!("could not bind all: {line:?}"));
        held.push(ports.into_iter().collect());
    }
    let all: BTreeSet<u64> = held.iter().flatten().copied().collect();
    assert_eq!(all.len(), PROCESSES * EACH, "all distinct while they are held");
    let counts = "{ registry { counts { activeLeases } } portPools { allocated granted } }";
    let counted = server.query(counts, Value::Null).await;
    assert_eq!(counted["registry"]["counts"]["activeLeases"], PROCESSES * EACH, "all from the registry");
    assert_eq!(counted["portPools"][0], json!({"allocated": PROCESSES * EACH, "granted": PROCESSES * EACH}));
    let mut first = holders.remove(0);
    drop(first.0.stdin.take());
    assert!(first.0.wait().unwrap().success());
    eventually("the ports of the process that ended come back", async || {
        let counted = server.query(counts, Value::Null).await;
        (counted["portPools"][0]["allocated"] == (PROCESSES - 1) * EACH).then_some(())
    })
    .await;
}
