//! Which connections may stay: newcomers, which have proved nothing yet, in a room of their own, and
//! those that are settled.
//!
//! A newcomer never keeps another one out: when their room is full, the oldest one goes, of the address
//! that has most of them. A client that does its handshake at once is no newcomer for long.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

use crate::protocol::ConnectionId;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) settled: usize,
    pub(crate) settled_per_address: usize,
    pub(crate) newcomers: usize,
}

/// Every connection, by whether it is settled.
#[derive(Debug)]
pub(crate) struct Admission {
    bounds: Bounds,
    newcomers: BTreeMap<ConnectionId, IpAddr>,
    settled: BTreeMap<ConnectionId, IpAddr>,
}

/// Why a newcomer cannot settle.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Full {
    #[error("there are {0} connections, which is the limit")]
    InAll(usize),
    #[error("there are {0} connections from its address, which is the limit for one")]
    OfAddress(usize),
}

impl Admission {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            newcomers: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// Lets a newcomer in. Answers with the one that has to go for it, if there is no room for both.
    pub(crate) fn arrive(
        &mut self,
        connection: ConnectionId,
        address: IpAddr,
    ) -> Option<(ConnectionId, IpAddr)> {
        let is_full = self.newcomers.len() >= self.bounds.newcomers;
        let evicted = if is_full { self.evict() } else { None };
        self.newcomers.insert(connection, address);
        evicted
    }

    /// Removes the oldest newcomer of the address that has most of them.
    pub(crate) fn evict(&mut self) -> Option<(ConnectionId, IpAddr)> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for address in self.newcomers.values() {
            *counts.entry(origin(*address)).or_default() += 1;
        }
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let mut oldest_first = self.newcomers.iter();
        let (connection, address) = oldest_first.find(|(_, address)| origin(**address) == most)?;
        let evicted = (*connection, *address);
        self.newcomers.remove(&evicted.0);
        Some(evicted)
    }

    /// A newcomer has proved what it had to, and stays, if there is room.
    pub(crate) fn settle(&mut self, connection: ConnectionId) -> Result<(), Full> {
        let Some(address) = self.newcomers.get(&connection).copied() else {
            // It is settled already, or was evicted and ends at its next step.
            return Ok(());
        };
        if self.settled.len() >= self.bounds.settled {
            return Err(Full::InAll(self.bounds.settled));
        }
        let same = |other: &&IpAddr| origin(**other) == origin(address);
        if self.settled.values().filter(same).count() >= self.bounds.settled_per_address {
            return Err(Full::OfAddress(self.bounds.settled_per_address));
        }
        self.newcomers.remove(&connection);
        self.settled.insert(connection, address);
        Ok(())
    }

    pub(crate) fn leave(&mut self, connection: ConnectionId) {
        self.newcomers.remove(&connection);
        self.settled.remove(&connection);
    }
}

/// What counts as one address: one of version 4, or a network of version 6 that a single machine has.
fn origin(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !(u64::MAX as u128);
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn admission() -> Admission {
        Admission::new(Bounds {
            settled: 3,
            settled_per_address: 2,
            newcomers: 3,
        })
    }

    fn id(number: u64) -> ConnectionId {
        ConnectionId(number)
    }

    #[test]
    fn the_oldest_newcomer_of_the_address_with_most_makes_room() {
        let mut admission = admission();
        for (number, address) in [(1, OTHER), (2, ONE), (3, ONE)] {
            assert_eq!(admission.arrive(id(number), address), None);
        }
        assert_eq!(admission.arrive(id(4), ONE), Some((id(2), ONE)));
        assert_eq!(admission.arrive(id(5), OTHER), Some((id(3), ONE)));
        assert_eq!(admission.arrive(id(6), OTHER), Some((id(1), OTHER)));
    }

    #[test]
    fn who_is_settled_makes_no_room_and_takes_none_of_newcomers() {
        let mut admission = admission();
        for number in 1..=2 {
            admission.arrive(id(number), ONE);
            assert_eq!(admission.settle(id(number)), Ok(()));
        }
        for number in 3..=5 {
            assert_eq!(admission.arrive(id(number), ONE), None);
        }
        assert_eq!(admission.arrive(id(6), OTHER), Some((id(3), ONE)));
    }

    #[test]
    fn connections_are_bounded_in_all_and_for_each_address() {
        let mut admission = admission();
        let mut come = |number, address| {
            admission.arrive(id(number), address);
            admission.settle(id(number))
        };
        assert_eq!(come(1, ONE), Ok(()));
        assert_eq!(come(2, ONE), Ok(()));
        assert_eq!(come(3, ONE), Err(Full::OfAddress(2)));
        assert_eq!(come(4, OTHER), Ok(()));
        assert_eq!(come(5, OTHER), Err(Full::InAll(3)));
        admission.leave(id(1));
        assert_eq!(admission.settle(id(3)), Ok(()));
    }

    #[test]
    fn a_machine_has_a_whole_network_of_version_6() {
        let [one, same, other, mapped]: [IpAddr; 4] = [
            "2001:db8::1",
            "2001:db8::2:3",
            "2001:db8:0:1::1",
            "::ffff:10.0.0.1",
        ]
        .map(|text| text.parse().unwrap());
        assert_eq!(origin(one), origin(same));
        assert_ne!(origin(one), origin(other));
        assert_eq!(origin(mapped), ONE);
    }
}
