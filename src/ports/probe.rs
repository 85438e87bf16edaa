//! Looking at a number: whether it can be bound, and listened at, on this machine right now.
//!
//! What that promises, and what it cannot, is in docs/ports.md.

use crate::model::{Transport, Transports};
use crate::registry::command::Found;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

/// Looks at numbers as the portpicker crate does: every address, IPv6 and IPv4.
#[derive(Debug)]
pub(super) struct Prober {
    /// The crate takes a machine without IPv6 for one on which nothing is free.
    ipv6: bool,
}

impl Prober {
    pub(super) fn new() -> Self {
        Prober { ipv6: UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() }
    }

    /// Binds the number for each transport, and lets go of it at once. An error says nothing of the number: the system
    /// could not look, for want of file handles for example.
    pub(super) fn look(&self, port: u16, transports: Transports) -> io::Result<Found> {
        for transport in transports.all() {
            let free = match (self.ipv6, transport) {
                (true, Transport::Tcp) => portpicker::is_free_tcp(port),
                (true, Transport::Udp) => portpicker::is_free_udp(port),
                (false, _) => bind((Ipv4Addr::UNSPECIFIED, port).into(), *transport).is_ok(),
            };
            if !free {
                return self.what_is_wrong(port, *transport).map(Found::InUse);
            }
        }
        Ok(Found::Free)
    }

    /// The system's words for why a number cannot be bound, which the crate does not tell.
    fn what_is_wrong(&self, port: u16, transport: Transport) -> io::Result<String> {
        let ipv4 = bind((Ipv4Addr::UNSPECIFIED, port).into(), transport);
        let ipv6 = if self.ipv6 { bind((Ipv6Addr::UNSPECIFIED, port).into(), transport) } else { Ok(()) };
        match ipv4.and(ipv6) {
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                Ok(format!("binding {transport} {port} says: {error}"))
            }
            Err(error) => Err(error),
            Ok(()) => Ok(format!("binding {transport} {port} failed a moment ago")),
        }
    }
}

fn bind(address: std::net::SocketAddr, transport: Transport) -> io::Result<()> {
    match transport {
        Transport::Tcp => TcpListener::bind(address).map(drop),
        Transport::Udp => UdpSocket::bind(address).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_uses_is_found_in_use_on_its_transport_alone() {
        let prober = Prober::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let Found::InUse(reason) = prober.look(port, Transports::One(Transport::Tcp)).unwrap() else {
            panic!("found free")
        };
        assert!(reason.contains(&port.to_string()), "{reason}");
        assert!(matches!(prober.look(port, Transports::Both), Ok(Found::InUse(_))));
        let v4 = Prober { ipv6: false };
        assert!(matches!(v4.look(port, Transports::One(Transport::Tcp)), Ok(Found::InUse(_))));
    }
}
