//! Where sockets are bound: TCP, and unix sockets that only their user gets to.

use crate::bus::kind::Failure;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// What is read from.
pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
/// What is written to.
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// Where a socket is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Tcp(String, u16),
    Ipc(PathBuf),
}

fn address(text: &str) -> Result<Address, Failure> {
    let refused = |reason: &str| Err(Failure::Refused(format!("{text} {reason}")));
    if let Some(path) = text.strip_prefix("ipc://") {
        // A name that begins with @ is in no folder, and anybody may connect to it.
        return match Path::new(path).is_absolute() {
            true => Ok(Address::Ipc(path.into())),
            false => refused("is no absolute path, such as ipc:///run/onex/shop/publish"),
        };
    }
    let Some((host, port)) = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')) else {
        return refused("is no endpoint, such as tcp://127.0.0.1:5601 or ipc:///run/onex/shop/publish");
    };
    let port = match port {
        "*" => Some(0),
        port => port.parse().ok(),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match port {
        Some(port) if !host.is_empty() => {
            Ok(Address::Tcp(if host == "*" { "0.0.0.0".to_owned() } else { host.to_owned() }, port))
        }
        _ => refused("has no host, or no port, such as tcp://127.0.0.1:5601 has"),
    }
}

fn failed(text: &str, error: &io::Error) -> Failure {
    let said = format!("{text}: {error}");
    match error.kind() {
        // What is in use may be free later.
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Failure::Away(said),
        _ => Failure::Refused(said),
    }
}

/// A bound socket.
pub(super) enum Listening {
    Tcp(TcpListener),
    Ipc(UnixListener, SocketFile),
}

impl Listening {
    /// Binds a socket.
    pub(super) async fn open(text: &str) -> Result<Self, Failure> {
        let opened = match address(text)? {
            Address::Tcp(host, port) => TcpListener::bind((host.as_str(), port)).await.map(Listening::Tcp),
            Address::Ipc(path) => listen_at(path),
        };
        opened.map_err(|error| failed(text, &error))
    }

    /// Where it is, with the port that it got.
    pub(super) fn name(&self) -> String {
        match self {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("tcp://{address}"),
                Err(_) => "tcp://".to_owned(),
            },
            Listening::Ipc(_, file) => format!("ipc://{}", file.path.display()),
        }
    }

    /// Whether others than this machine get to it.
    pub(super) fn is_public(&self) -> bool {
        match self {
            Listening::Tcp(listener) => listener.local_addr().is_ok_and(|address| !address.ip().is_loopback()),
            Listening::Ipc(..) => false,
        }
    }

    /// The next connection; `None` for one of somebody who may not.
    pub(super) async fn accept(&self) -> io::Result<Option<(ReadHalf, WriteHalf)>> {
        match self {
            Listening::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let (reading, writing) = stream.into_split();
                Ok(Some((Box::new(reading), Box::new(writing))))
            }
            Listening::Ipc(listener, file) => {
                let (stream, _) = listener.accept().await?;
                // Between being made and being closed to others, the socket may have been open to them.
                let user = stream.peer_cred()?.uid();
                if user != file.user && user != 0 {
                    return Ok(None);
                }
                let (reading, writing) = stream.into_split();
                Ok(Some((Box::new(reading), Box::new(writing))))
            }
        }
    }
}

/// A unix socket's file, which goes with it.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Which file it is, should there be another by its name.
    file: (u64, u64),
    /// Whose it is.
    user: u32,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_this = std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if is_this {
            // One that stays is taken over by who binds it next.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn listen_at(path: PathBuf) -> io::Result<Listening> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    remove_left_over(&path)?;
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
    let found = std::fs::symlink_metadata(&path)?;
    let file = SocketFile { path, file: (found.dev(), found.ino()), user: found.uid() };
    Ok(Listening::Ipc(listener, file))
}

/// Removes a socket that nobody listens at any more, as a process leaves it that is killed.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_or_refused_with_the_reason() {
        let tcp = |host: &str, port| Ok(Address::Tcp(host.to_owned(), port));
        assert_eq!(address("tcp://127.0.0.1:5601"), tcp("127.0.0.1", 5601));
        assert_eq!(address("tcp://*:*"), tcp("0.0.0.0", 0));
        assert_eq!(address("tcp://[::1]:7"), tcp("::1", 7));
        assert_eq!(address("ipc:///run/x"), Ok(Address::Ipc("/run/x".into())));
        for text in ["", "tcp://", "tcp://host", "tcp://:5", "tcp://host:70000", "ipc://x", "ipc://@x", "udp://a:1"] {
            assert!(matches!(address(text), Err(Failure::Refused(reason)) if reason.starts_with(text)), "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let first = Listening::open("tcp://127.0.0.1:0").await.unwrap();
        let Err(failure) = Listening::open(&first.name()).await else { panic!("it is bound twice") };
        assert!(matches!(&failure, Failure::Away(reason) if reason.contains(&first.name())), "{failure:?}");
    }

    #[tokio::test]
    async fn a_unix_socket_is_its_users_alone_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/socket");
        let name = format!("ipc://{}", path.display());
        let listening = Listening::open(&name).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap()), listening.name()), (0o600, 0o700, name.clone()));
        assert!(matches!(Listening::open(&name).await, Err(Failure::Away(reason)) if reason.contains(&name)));
        drop(listening);
        assert!(!path.exists());
        // One that a process left behind which was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(Listening::open(&name).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "text").unwrap();
        assert!(Listening::open(&format!("ipc://{}", path.display())).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
    }
}
