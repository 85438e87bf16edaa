//! Allocators of every kind at once, while holders and the registry itself are killed at random.

use crate::ports::{Idler, fresh_name, pick_for};
use crate::support::server::{Server, onex};
use crate::support::{eventually, seed};
use onex::client::Client;
use onex::log::Log;
use onex::log::sqlite::SqliteLog;
use onex::model::{Change, LeaseId, PortKey, Sequence};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

const STORM: Duration = Duration::from_secs(10);
/// Short, so that what orphans held comes back within the test.
const TTL_SECONDS: u32 = 10;
const CONFIG: &str = "
    [registration]
    grace_seconds = 3
    [ports]
    bands = [\"31000-31299\"]
    quarantine_seconds = 1
    leases_per_requester_max = 0
";

/// What holders were told is theirs, and have not given up.
#[derive(Default)]
struct Ledger {
    held: Mutex<BTreeMap<u16, &'static str>>,
    acknowledged: Mutex<BTreeSet<LeaseId>>,
    wrong: Mutex<Vec<String>>,
}

impl Ledger {
    fn take(&self, port: u16, holder: &'static str) {
        if let Some(other) = self.held.lock().unwrap().insert(port, holder) {
            self.complain(format!("{port} was given to {holder} while {other} held it"));
        }
    }

    /// Before anything is done that lets the number go: from then on it may be somebody else's.
    fn give_up(&self, port: u16) {
        self.held.lock().unwrap().remove(&port);
    }

    fn complain(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }
}

#[derive(Clone)]
struct Storm {
    ledger: Arc<Ledger>,
    over: Arc<AtomicBool>,
    url: String,
    name: String,
}

impl Storm {
    fn rages(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Holds leases by renewing them; gives some back, and forgets others.
    async fn hold_by_renewing(self, mut random: fastrand::Rng) {
        const ALLOCATE: &str = "mutation($input: AllocateInput!) { allocate(input: $input) { id port } }";
        const RENEW: &str = "mutation($id: UUID!) { renew(input: {leaseId: $id}) { id } }";
        const RELEASE: &str = "mutation($id: UUID!) { release(input: {leaseId: $id}) { id } }";
        let client = Client::try_new(&self.url, None).unwrap();
        let requester = Uuid::from_u128(random.u128(..));
        while self.rages() {
            let input = json!({"requesterId": requester, "ttlSeconds": TTL_SECONDS});
            let Ok(answer) = client.query::<Value>(ALLOCATE, json!({"input": input})).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let lease = &answer["allocate"];
            let port = u16::try_from(lease["port"].as_u64().unwrap()).unwrap();
            self.ledger.take(port, "a holder that renews");
            let id: Uuid = lease["id"].as_str().unwrap().parse().unwrap();
            self.ledger.acknowledged.lock().unwrap().insert(LeaseId(id));
            for _ in 0..random.u32(1..6) {
                tokio::time::sleep(Duration::from_millis(random.u64(50..400))).await;
                // A registry that starts refuses for a moment, and the lease holds.
                if let Err(onex::client::Error::Refused { message, retryable: false, .. }) =
                    client.query::<Value>(RENEW, json!({"id": id})).await
                {
                    self.ledger.complain(format!("the lease of {port} was lost: {message}"));
                }
            }
            self.ledger.give_up(port);
            if random.bool() {
                let _ = client.query::<Value>(RELEASE, json!({"id": id})).await;
            }
        }
    }

    /// Processes that hold what portserver gives them until they are killed.
    fn hold_by_living(self, mut random: fastrand::Rng) {
        while self.rages() {
            let process = Idler::start();
            let wanted = random.usize(1..4);
            let ports: Vec<u16> = (0..wanted).filter_map(|_| pick_for(&self.name, process.0.id())).collect();
            ports.iter().for_each(|port| self.ledger.take(*port, "a process"));
            std::thread::sleep(Duration::from_millis(random.u64(50..1_200)));
            ports.iter().for_each(|port| self.ledger.give_up(*port));
        }
    }

    /// `onex port exec`, killed or stopped.
    fn hold_by_executing(self, mut random: fastrand::Rng) {
        while self.rages() {
            let ttl = TTL_SECONDS.to_string();
            let script = "echo {PORT}; exec sleep 1000";
            let mut command = onex(&["port", "exec", "--ttl", &ttl, "--", "sh", "-c", script]);
            command.env("ONEX_SERVER", &self.url).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = Idler(command.spawn().unwrap());
            let mut line = String::new();
            BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
            // Nothing where the registry was not there.
            let Ok(port) = line.trim().parse() else { continue };
            self.ledger.take(port, "port exec");
            std::thread::sleep(Duration::from_millis(random.u64(100..1_500)));
            self.ledger.give_up(port);
            if random.bool() {
                let pid = child.0.id().to_string();
                let _ = std::process::Command::new("kill").args(["-TERM", &pid]).status();
                let _ = child.0.wait();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_number_is_ever_held_by_two_whoever_is_killed() {
    let mut random = fastrand::Rng::with_seed(seed());
    let directory = tempfile::tempdir().unwrap();
    let (config, data_dir) = (directory.path().join("onex.toml"), directory.path().join("data"));
    std::fs::write(&config, CONFIG).unwrap();
    let name = fresh_name();
    // The first start picks an address, which the later ones keep.
    let mut server = Server::start_in(&data_dir, &["--config", config.to_str().unwrap()]);
    let address = server.address().to_owned();
    let url = server.url().to_owned();
    let portserver = format!("@{name}");
    let again = ["--config", config.to_str().unwrap(), "--listen", &address, "--portserver", &portserver];
    assert!(server.stop().success());
    server = Server::start_in(&data_dir, &again);

    let storm = Storm { ledger: Arc::default(), over: Arc::default(), url, name };
    let tasks: Vec<_> = (0..6).map(|_| tokio::spawn(storm.clone().hold_by_renewing(random.fork()))).collect();
    let mut threads = Vec::new();
    for _ in 0..3 {
        let (storm, random) = (storm.clone(), random.fork());
        threads.push(std::thread::spawn(move || storm.hold_by_living(random)));
    }
    for _ in 0..2 {
        let (storm, random) = (storm.clone(), random.fork());
        threads.push(std::thread::spawn(move || storm.hold_by_executing(random)));
    }
    let begun = Instant::now();
    let mut kills = 0;
    while begun.elapsed() < STORM {
        tokio::time::sleep(Duration::from_millis(random.u64(300..1_500))).await;
        server.kill();
        server = Server::start_in(&data_dir, &again);
        kills += 1;
    }
    storm.over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    tokio::task::spawn_blocking(|| threads.into_iter().for_each(|thread| thread.join().unwrap())).await.unwrap();

    // Everybody has let go: what was forgotten, or never acknowledged, comes back by itself.
    eventually("every orphan comes back", async || {
        let counts = server.query("{ registry { counts { activeLeases } } }", Value::Null).await;
        (counts["registry"]["counts"]["activeLeases"] == 0).then_some(())
    })
    .await;
    assert!(server.stop().success());
    let granted = check_history(&data_dir, &storm.ledger);
    let wrong = storm.ledger.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let acknowledged = storm.ledger.acknowledged.lock().unwrap().len();
    println!("{kills} kills of the registry, {granted} leases, {acknowledged} of them acknowledged to those who renew");
    assert!(kills > 3 && granted > 20, "a storm in a teacup: {kills} kills, {granted} leases");
}

/// Walks the log: no number is leased while it is leased, and every lease that was acknowledged is there.
fn check_history(data_dir: &Path, ledger: &Ledger) -> usize {
    let log = SqliteLog::open_read_only(data_dir).unwrap();
    assert_eq!(log.verify().unwrap().broken, None);
    let mut held: BTreeMap<PortKey, LeaseId> = BTreeMap::new();
    let mut granted = BTreeSet::new();
    for entry in log.read(Sequence::ZERO, usize::MAX).unwrap() {
        for change in entry.changes {
            match change {
                Change::PortAllocated { lease, terms, .. } => {
                    granted.insert(lease);
                    for key in terms.keys() {
                        assert_eq!(held.insert(key.clone(), lease), None, "{key:?} was leased to two");
                    }
                }
                Change::PortEnded { lease, .. } => held.retain(|_, holder| *holder != lease),
                _ => {}
            }
        }
    }
    let acknowledged = ledger.acknowledged.lock().unwrap();
    assert!(acknowledged.is_subset(&granted), "an acknowledged lease is not in the log");
    granted.len()
}
