//! What the kernel of this machine says: who listens where, and which numbers it gives to outgoing connections.

/// A number that somebody listens at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listening {
    /// `TCP` or `UDP`.
    pub transport: &'static str,
    /// The number.
    pub port: u16,
    /// Whether at every address of the machine, and not at one alone.
    pub everywhere: bool,
}

/// Everything that is listened at; `None` where the kernel does not say.
#[cfg(target_os = "linux")]
pub(super) fn listening() -> Option<Vec<Listening>> {
    use procfs::net::{TcpState, UdpState, tcp, tcp6, udp, udp6};
    let tcp = tcp().ok()?.into_iter().chain(tcp6().unwrap_or_default());
    let tcp = tcp.filter(|entry| entry.state == TcpState::Listen).map(|entry| ("TCP", entry.local_address));
    let udp = udp().ok()?.into_iter().chain(udp6().unwrap_or_default());
    // One that is connected has a number for a while, as any client has.
    let udp = udp.filter(|entry| entry.state == UdpState::Close).map(|entry| ("UDP", entry.local_address));
    let all = tcp.chain(udp).map(|(transport, address)| Listening {
        transport,
        port: address.port(),
        everywhere: address.ip().is_unspecified(),
    });
    let mut all: Vec<Listening> = all.collect();
    all.sort();
    all.dedup();
    Some(all)
}

/// `None`: only Linux is asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn listening() -> Option<Vec<Listening>> {
    None
}

/// The numbers that the kernel gives to outgoing connections, without those that it keeps back; `None` where it does not
/// say.
pub(super) fn ephemeral() -> Option<Vec<(u16, u16)>> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok();
    let range = read("ip_local_port_range")?;
    let mut numbers = range.split_whitespace().filter_map(|number| number.parse().ok());
    let (from, to) = (numbers.next()?, numbers.next()?);
    let kept_back = read("ip_local_reserved_ports").unwrap_or_default();
    Some(without(from, to, &kept_back))
}

/// A range without the ranges in a list such as `8080,9000-9099`.
fn without(from: u16, to: u16, kept_back: &str) -> Vec<(u16, u16)> {
    let read = |entry: &str| {
        let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    };
    let mut kept_back: Vec<(u16, u16)> = kept_back.split(',').filter_map(read).collect();
    kept_back.sort_unstable();
    let mut left = Vec::new();
    let mut next = u32::from(from);
    for (first, last) in kept_back {
        if u32::from(first) > next && first <= to {
            left.push((next as u16, first - 1));
        }
        next = next.max(u32::from(last) + 1);
    }
    if next <= u32::from(to) {
        left.push((next as u16, to));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_kept_back_are_not_given_to_connections() {
        assert_eq!(without(100, 200, ""), [(100, 200)]);
        assert_eq!(without(100, 200, "150,160-169\n"), [(100, 149), (151, 159), (170, 200)]);
        assert_eq!(without(100, 200, "1-120,190-300"), [(121, 189)]);
        assert_eq!(without(100, 200, "100-200"), []);
        assert_eq!(without(100, 65_535, "65535"), [(100, 65_534)]);
    }
}
