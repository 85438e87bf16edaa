//! `onex port`: what users type to lease ports, and to run programs on them.

use crate::support::eventually;
use crate::support::server::{Server, onex};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(output: &str) -> Vec<&str> {
    output.lines().collect()
}

async fn active(server: &Server) -> Vec<Value> {
    let data = server.query("{ ports { nodes { id port key purpose status } } }", Value::Null).await;
    data["ports"]["nodes"].as_array().unwrap().clone()
}

/// `onex port exec` with these arguments, its output to be read.
fn exec(server: &Server, arguments: &[&str]) -> Child {
    let mut command = onex(&["port", "exec"]);
    command.args(arguments).env("ONEX_SERVER", server.url());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn a_shell_leases_renews_moves_and_releases_a_port_by_its_number() {
    let server = Server::start();
    let port = server.stdout_of(&["port", "allocate", "-q", "--purpose", "a demo", "--ttl", "60"]);
    let port = port.trim();
    assert!(port.parse::<u16>().is_ok(), "{port:?}");
    let renewed = server.stdout_of(&["port", "renew", port, "--ttl", "600", "--format", "json"]);
    let renewed: Value = serde_json::from_str(&renewed).unwrap();
    assert_eq!((&renewed[0]["ttlSeconds"], &renewed[0]["renewals"]), (&json!(600), &json!(1)));
    let moved = server.stdout_of(&["port", "rebind", port, "--reason", "the firewall blocks it", "-q"]);
    let moved = moved.trim();
    assert_ne!(moved, port);
    for listing in [&["port", "list"][..], &["inspect", "ports"]] {
        let table = server.stdout_of(listing);
        assert!(table.contains(moved) && table.contains("a demo") && !table.contains(port), "{table}");
    }
    server.stdout_of(&["port", "release", moved]);
    assert!(active(&server).await.is_empty());
    let again = server.run(&["port", "release", moved]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(said(&again).lines().count(), 1, "{}", said(&again));
    let pools = server.stdout_of(&["port", "pools"]);
    assert!(pools.contains("20000") && pools.contains("UDP"), "{pools}");
}

#[tokio::test]
async fn several_ports_come_in_a_row_and_a_key_gives_the_same_again() {
    let server = Server::start();
    let batch = server.stdout_of(&["port", "allocate", "-q", "--count", "3", "--contiguous", "--key", "shop"]);
    let numbers: Vec<u16> = batch.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.len() == 3 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(server.stdout_of(&["port", "allocate", "-q", "--count", "3", "--contiguous", "--key", "shop"]), batch);
    assert_eq!(active(&server).await.len(), 3);
    let taken = numbers[0].to_string();
    let refused = server.run(&["port", "allocate", "--from", &taken, "--to", &taken]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("has it since"), "{}", said(&refused));
    let other = "00000000-0000-4000-8000-000000000009";
    let refused =
        server.run(&["port", "release", active(&server).await[0]["id"].as_str().unwrap(), "--requester", other]);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("not yours"), "{}", said(&refused));
}

#[tokio::test]
async fn exec_gives_the_command_its_numbers_and_takes_them_back_with_its_status() {
    let server = Server::start();
    let script = "echo $HTTP {RPC} $RPC; exit 7";
    let output = server.run(&["port", "exec", "--port", "HTTP", "--port", "RPC", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u16> = shown.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(numbers.len() == 3 && numbers[0] != numbers[1] && numbers[1] == numbers[2], "{shown}");
    assert!(active(&server).await.is_empty(), "released with the command");
    for (command, status) in [("/nowhere/to/be/found", 127), ("/etc/passwd", 126)] {
        let output = server.run(&["port", "exec", "--", command]);
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert!(active(&server).await.is_empty());
    }
    let killed = server.run(&["port", "exec", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.code(), Some(137));
    // The same key, the same number, run after run.
    let keyed = ["port", "exec", "--key", "shop", "--", "sh", "-c", "echo {PORT}"];
    let first = server.stdout_of(&keyed);
    assert_eq!(server.stdout_of(&keyed), first);
}

#[tokio::test]
async fn exec_renews_while_the_command_runs_and_passes_signals_on() {
    let server = Server::start();
    let script = "trap 'echo stopped; exit 3' TERM; echo {PORT}; while :; do sleep 0.05; done";
    let mut child = exec(&server, &["--ttl", "1", "--", "sh", "-c", script]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut port = String::new();
    output.read_line(&mut port).unwrap();
    let renewals = "{ ports { nodes { port renewals } } }";
    eventually("the lease outlives its time to live by renewals", async || {
        let leases = server.query(renewals, Value::Null).await["ports"]["nodes"].take();
        assert_eq!(leases[0]["port"].to_string(), port.trim(), "the lease holds throughout");
        (leases[0]["renewals"].as_u64()? > 4).then_some(())
    })
    .await;
    signal(&child, "-TERM");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.trim(), child.wait().unwrap().code()), ("stopped", Some(3)));
    assert!(active(&server).await.is_empty());
}

#[tokio::test]
async fn a_command_does_not_outlive_the_exec_that_is_killed() {
    let server = Server::start();
    let mut child = exec(&server, &["--ttl", "1", "--", "sh", "-c", "echo $$; exec sleep 1000"]);
    let pid = first_line(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the command is ended", async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    })
    .await;
    eventually("its lease lapses", async || active(&server).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn exec_listens_for_the_command_and_hands_over_the_sockets() {
    let server = Server::start();
    let script =
        "ls -l /proc/$$/fd/3 /proc/$$/fd/4 >&2; echo $LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PID $$ $HTTP; exec sleep 1000";
    let arguments = ["--listen", "--port", "HTTP", "--port", "RPC", "--", "sh", "-c", script];
    let mut child = exec(&server, &arguments);
    let line = first_line(&mut child);
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[..2], ["2", "HTTP:RPC"]);
    assert_eq!(words[2], words[3], "LISTEN_PID is the command's own");
    // Nobody accepts, and yet the kernel takes the connection: the socket listens since before the command began.
    let mut stream = TcpStream::connect(("127.0.0.1", words[4].parse::<u16>().unwrap())).unwrap();
    stream.write_all(b"hello").unwrap();
    signal(&child, "-TERM");
    let status: ExitStatus = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    let mut shown = String::new();
    child.stderr.take().unwrap().read_to_string(&mut shown).unwrap();
    assert_eq!(lines(&shown).iter().filter(|line| line.contains("socket:")).count(), 2, "{shown}");
}

#[tokio::test]
async fn without_leases_nothing_is_run() {
    let server = Server::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = server.run(&["port", "allocate", "--from", &port, "--to", &port]);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("in use"), "{}", said(&refused));
    let url = server.url().to_owned();
    assert!(server.stop().success());
    let output = onex(&["port", "exec", "--", "echo", "ran"]).env("ONEX_SERVER", url).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    for typed in [&["port", "exec"][..], &["port", "exec", "--port", "1A", "--", "true"], &["port", "release"]] {
        assert_eq!(onex(typed).output().unwrap().status.code(), Some(2), "{typed:?}");
    }
}
