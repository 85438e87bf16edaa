//! How many connections there may be, in all and from one address. Each holds a place, from its first byte to its last,
//! also while it is a websocket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections one address may have where the settings do not say: many programs behind one address fit, and a
/// single one cannot take the places of all others.
const PER_ADDRESS_USUAL: usize = 1_000;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// For nobody.
    All,
    /// For this address, which has so many.
    Address(usize),
}

/// Counts those who are inside.
#[derive(Debug)]
pub(super) struct Gate {
    max: usize,
    per_address_max: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    /// For so many connections in all, and so many from one address; 0 stands for the usual number of them, and for no
    /// bound where the address is this machine's own: all who come through a proxy there have that one.
    pub(super) fn new(max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Gate { max, per_address_max, inside: Mutex::default() })
    }

    /// A place for a connection from an address, where there is one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let address = counted(address);
        let limit = match self.per_address_max {
            0 if address.is_loopback() => usize::MAX,
            0 => PER_ADDRESS_USUAL,
            limit => limit,
        };
        let mut inside = self.inside();
        if inside.all >= self.max {
            return Err(Full::All);
        }
        let count = inside.by_address.entry(address).or_default();
        if *count >= limit {
            return Err(Full::Address(limit));
        }
        *count += 1;
        inside.all += 1;
        drop(inside);
        Ok(Place { gate: self.clone(), address })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.all -= 1;
        if let Entry::Occupied(mut count) = inside.by_address.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one address: of IPv6, the network of 64 bits that one subscriber has at least.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn there_are_so_many_places_and_a_place_given_up_is_had_again() {
        let gate = Gate::new(2, 0);
        let first = gate.enter(address("127.0.0.1")).unwrap();
        let _second = gate.enter(address("192.0.2.1")).unwrap();
        assert_eq!(gate.enter(address("127.0.0.1")).unwrap_err(), Full::All);
        drop(first);
        gate.enter(address("127.0.0.1")).unwrap();
    }

    #[test]
    fn one_address_does_not_take_the_places_of_all() {
        let gate = Gate::new(100, 2);
        let _held = [(); 2].map(|()| gate.enter(address("192.0.2.1")).unwrap());
        for same in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(gate.enter(address(same)).unwrap_err(), Full::Address(2), "{same}");
        }
        gate.enter(address("192.0.2.2")).unwrap();
        let _held = ["2001:db8::1", "2001:db8::2"].map(|one| gate.enter(address(one)).unwrap());
        assert_eq!(gate.enter(address("2001:db8::3")).unwrap_err(), Full::Address(2));
        gate.enter(address("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn unless_it_is_said_this_machines_own_address_has_no_bound_and_others_have() {
        let gate = Gate::new(10_000, 0);
        let _here: Vec<_> = (0..2_000).map(|_| gate.enter(address("127.0.0.1")).unwrap()).collect();
        let _there: Vec<_> = (0..1_000).map(|_| gate.enter(address("192.0.2.1")).unwrap()).collect();
        assert_eq!(gate.enter(address("192.0.2.1")).unwrap_err(), Full::Address(1_000));
    }
}
