//! Google portpicker's portserver protocol on a unix socket.
//!
//! A client connects, sends a process id as ASCII digits and a newline, and reads a port number and a newline; a
//! refusal is the connection's end without a byte. One request a connection. The process holds the port until it is
//! gone. Source: portpicker 1.6.0 for Python, `get_port_from_port_server` and `portserver.py`.

use super::{Asking, Ports, process};
use crate::model::{Actor, RequesterId, Transports};
use crate::registry::decide::Answer;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How long a client may take to say who it is, and to take the answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest request: a process id and a newline, with room for white space.
const REQUEST_LEN_MAX: usize = 32;
/// How many clients are served at once; those who come later wait in the socket's queue.
const CLIENTS_MAX: usize = 512;
/// How long to wait where connections cannot be accepted, for want of file handles.
const PAUSE: Duration = Duration::from_millis(100);
/// The name space of the requester ids of processes (a version 5 UUID's, so that they never meet another's).
const SPACE: Uuid = Uuid::from_u128(0x6f6e_6578_706f_5273_8e11_70c5_2f0e_91d4);

/// A portserver that listens.
#[derive(Debug)]
pub struct PortServer {
    listener: UnixListener,
    address: String,
    /// The socket's file, to be taken away at the end; an abstract name has none.
    path: Option<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// The file's device and number there: another server may have put its own in the place.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: PathBuf) -> Self {
        let identity = identity(&path);
        SocketFile { path, identity }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == self.identity {
            // Somebody may have taken it away already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl PortServer {
    /// Listens at a path, or at an abstract name that begins with `@`. A file that an earlier server left is taken
    /// away; one that somebody listens at, or that is no socket, is not.
    pub fn bind(address: &str) -> io::Result<Self> {
        let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason);
        match address.strip_prefix('@') {
            Some("") => Err(invalid("an abstract name is @ and at least one character")),
            Some(name) => {
                let listener = UnixListener::bind(format!("\0{name}"))?;
                Ok(PortServer { listener, address: address.to_owned(), path: None })
            }
            None => {
                // Clients may be started anywhere.
                let path = std::path::absolute(address)?;
                let Some(address) = path.to_str().map(str::to_owned) else { return Err(invalid("it is not UTF-8")) };
                remove_left_over(&path)?;
                Ok(PortServer { listener: UnixListener::bind(&path)?, address, path: Some(SocketFile::at(path)) })
            }
        }
    }

    /// Where it listens, as PORTSERVER_ADDRESS names it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Serves until the task is ended.
    pub async fn serve(self, ports: Arc<Ports>, boot: Uuid) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        let _path = self.path;
        loop {
            // Closed never: it is ours.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let ports = ports.clone();
                    tokio::spawn(async move {
                        serve_client(stream, &ports, boot).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a portserver client could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn remove_left_over(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            Err(error) => Err(error),
        },
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

async fn serve_client(mut stream: UnixStream, ports: &Ports, boot: Uuid) {
    let request = tokio::time::timeout(DEADLINE, read_request(&mut stream)).await;
    let pid = match request {
        Ok(Ok(pid)) => pid,
        Ok(Err(reason)) => return tracing::info!(reason, "a portserver client is refused"),
        Err(_) => return tracing::info!("a portserver client said nothing for {DEADLINE:?} and is cut off"),
    };
    match grant(&stream, ports, boot, pid).await {
        Ok(port) => {
            // Who has gone has no port: its process does not end with the connection, so the lease stays.
            let _ = tokio::time::timeout(DEADLINE, stream.write_all(format!("{port}\n").as_bytes())).await;
        }
        Err(reason) => tracing::info!(pid, reason, "a portserver client is refused"),
    }
}

/// The process id that the client names.
async fn read_request(stream: &mut UnixStream) -> Result<u32, String> {
    let mut request = [0; REQUEST_LEN_MAX];
    let mut length = 0;
    loop {
        let read = stream.read(&mut request[length..]).await.map_err(|error| error.to_string())?;
        length += read;
        let line = &request[..length];
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            return parse(&line[..end]);
        }
        if read == 0 {
            // The end of what is sent ends the line, too, as Google's server has it.
            return parse(line);
        }
        if length == REQUEST_LEN_MAX {
            return Err(format!("no line ends within {REQUEST_LEN_MAX} bytes"));
        }
    }
}

fn parse(line: &[u8]) -> Result<u32, String> {
    let text = str::from_utf8(line).unwrap_or_default().trim();
    match text.parse() {
        Ok(pid) => Ok(pid),
        Err(_) => Err(format!("{:?} is no process id", String::from_utf8_lossy(line))),
    }
}

async fn grant(stream: &UnixStream, ports: &Ports, boot: Uuid, pid: u32) -> Result<u16, String> {
    let peer = stream.peer_cred().map_err(|error| error.to_string())?;
    let asked_by = peer.pid().and_then(|asked_by| u32::try_from(asked_by).ok());
    // Who asks for another process is told, not refused: it may be a parent that asks for its child.
    let (holder, note) = match asked_by {
        Some(asked_by) if asked_by != pid => {
            let holder = process::named_by(asked_by, pid);
            let holder = holder.ok_or_else(|| format!("where process {asked_by} runs there is no process {pid}"))?;
            (holder, if holder == asked_by { String::new() } else { format!("; asked for by process {asked_by}") })
        }
        _ => (pid, String::new()),
    };
    if holder <= 1 {
        // 0 is no process, and what process 1 holds would be held for ever.
        return Err(format!("process {holder} may not hold ports"));
    }
    let found =
        process::find(holder, boot).map_err(|error| format!("process {holder} cannot be looked at: {error}"))?;
    let (process, name) = found.ok_or_else(|| format!("process {holder} is not there"))?;
    let program = format!("{name}, process {holder}{note}");
    let principal = format!("unix:{}", peer.uid());
    let requester = format!("{}:{}:{}", process.boot, process.pid, process.started);
    let mut wanted = ports.wanted(RequesterId(Uuid::new_v5(&SPACE, requester.as_bytes())), &principal);
    // Portpicker promises its callers both.
    wanted.transports = Transports::Both;
    wanted.process = Some(process);
    wanted.program = Some(program);
    let address = asked_by.map(|asked_by| format!("portserver, process {asked_by}"));
    let asking = Asking { actor: Actor { principal, address }, correlation_id: None };
    let outcome = ports.allocate(asking, vec![wanted], false).await.map_err(|error| error.to_string())?;
    let Answer::Leased(leases) = &outcome.answer else { return Err("no lease came of it".to_owned()) };
    let lease = leases.first().and_then(|lease| outcome.view.leases.get(*lease));
    lease.map(|lease| lease.terms.port).ok_or_else(|| "the lease ended at once".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_process_ids_are_taken_for_process_ids() {
        assert_eq!(parse(b"4711"), Ok(4711));
        assert_eq!(parse(b" 4711\r"), Ok(4711));
        for wrong in [&b""[..], b"-3", b"12x", b"99999999999", b"\xff"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
