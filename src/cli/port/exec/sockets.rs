//! Listening at leased numbers for the command, as systemd's socket activation does (sd_listen_fds(3)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};

use super::leases::Transport;

/// The first descriptor that is handed over; those before it are standard input and output.
const FIRST: i32 = 3;

/// A socket at a port.
#[derive(Debug)]
pub(super) struct Socket {
    /// What the port is called.
    pub(super) name: String,
    socket: OwnedFd,
}

/// Sockets at an address: for TCP one that listens, for UDP one that is bound. All or none.
pub(super) fn bind(name: &str, address: SocketAddr, transports: &[Transport]) -> io::Result<Vec<Socket>> {
    let one = |transport: &Transport| {
        let socket = match transport {
            Transport::Tcp => TcpListener::bind(address)?.into(),
            Transport::Udp => UdpSocket::bind(address)?.into(),
        };
        Ok(Socket { name: name.to_owned(), socket })
    };
    transports.iter().map(one).collect()
}

/// Whether nothing on this machine uses the number.
pub(super) fn is_free(port: u16, transports: &[Transport]) -> bool {
    bind("", at(Ipv4Addr::UNSPECIFIED.into(), port), transports).is_ok()
}

/// Hands sockets to a command. Which process they are for, LISTEN_PID, only the command itself can say.
pub(super) fn hand_over(sockets: Vec<Socket>, command: &mut Command) -> io::Result<()> {
    let names: Vec<&str> = sockets.iter().map(|socket| socket.name.as_str()).collect();
    command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    // Where somebody activated onex itself, these tell of that.
    command.env_remove("LISTEN_PID").env_remove("LISTEN_PIDFDID");
    let mappings = (FIRST..).zip(sockets);
    let mappings = mappings.map(|(child_fd, socket)| FdMapping { parent_fd: socket.socket, child_fd }).collect();
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    Ok(())
}

/// The address of a port.
pub(super) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_taken_for_one_transport_is_bound_for_none() {
        let port = crate::testing::free_port();
        let address = at(Ipv4Addr::LOCALHOST.into(), port);
        let _held = UdpSocket::bind(address).unwrap();
        let error = bind("PORT", address, &[Transport::Tcp, Transport::Udp]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(is_free(port, &[Transport::Tcp]) && !is_free(port, &[Transport::Udp]));
        let sockets = bind("PORT", address, &[Transport::Tcp]).unwrap();
        assert!(!is_free(port, &[Transport::Tcp]));
        drop(sockets);
        assert!(is_free(port, &[Transport::Tcp]));
    }
}
