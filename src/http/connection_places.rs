//! Places for connections: so many in all, and so many of one peer address, with the streams of HTTP/2 among them.
//!
//! The peer counts and not a header: a connection has a place before it has sent a byte. Proxies in `trusted_proxies`
//! have no bound of their own, for they send everybody here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module. Clones share the places.
#[derive(Clone, Debug)]
pub struct ConnectionPlaces {
    all: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    open: Gauge,
    refused: Counter,
}

#[derive(Debug)]
struct Addresses {
    max: Option<usize>,
    exempt: Vec<IpNet>,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// One of all places, for a connection that has not come yet.
#[derive(Debug)]
pub(super) struct FreePlace(OwnedSemaphorePermit);

/// The place of a connection; given back when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    open: Gauge,
    share: Share,
    _permit: OwnedSemaphorePermit,
}

/// What counts once against an address; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    /// `None` where nothing is counted.
    address: Option<IpAddr>,
    addresses: Arc<Addresses>,
}

impl ConnectionPlaces {
    /// `max` places, `per_address_max` of one peer address that is in none of `exempt`; `None` bounds nothing. `open` and
    /// `refused` count connections.
    #[must_use]
    pub fn new(
        max: usize,
        per_address_max: Option<usize>,
        exempt: Vec<IpNet>,
        open: Gauge,
        refused: Counter,
    ) -> Self {
        let addresses = Arc::new(Addresses {
            max: per_address_max,
            exempt,
            held: Mutex::default(),
        });
        Self {
            all: Arc::new(Semaphore::new(max)),
            addresses,
            open,
            refused,
        }
    }

    /// Waits for a free place.
    pub(super) async fn free(&self) -> FreePlace {
        FreePlace(
            Arc::clone(&self.all)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed"),
        )
    }

    /// Gives a place to a connection from `peer`; `None` when that address has all that it may have.
    pub(super) fn give(
        &self,
        FreePlace(permit): FreePlace,
        peer: IpAddr,
    ) -> Option<ConnectionPlace> {
        let Some(share) = self.addresses.share(peer) else {
            self.refused.inc();
            return None;
        };
        self.open.inc();
        Some(ConnectionPlace {
            open: self.open.clone(),
            share,
            _permit: permit,
        })
    }

    /// What one peer address may have; `None` for no bound.
    pub(super) fn per_address_max(&self) -> Option<usize> {
        self.addresses.max
    }
}

impl Addresses {
    fn share(self: &Arc<Self>, peer: IpAddr) -> Option<Share> {
        let peer = peer.to_canonical();
        let max = self
            .max
            .filter(|_| !self.exempt.iter().any(|network| network.contains(&peer)));
        let Some(max) = max else {
            return Some(Share {
                address: None,
                addresses: Arc::clone(self),
            });
        };
        let address = network_of(peer);
        let mut all = self.held.lock();
        let held = all.entry(address).or_default();
        if *held >= max {
            return None;
        }
        *held += 1;
        Some(Share {
            address: Some(address),
            addresses: Arc::clone(self),
        })
    }
}

/// An IPv6 host has a network of 64 bits to itself (RFC 6177).
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl ConnectionPlace {
    /// One more share of the same address, for a stream of HTTP/2.
    ///
    /// # Errors
    /// What the address may have, when it has all of it.
    pub(super) fn another_share(&self, peer: IpAddr) -> Result<Share, usize> {
        let addresses = &self.share.addresses;
        addresses
            .share(peer)
            .ok_or(addresses.max.unwrap_or_default())
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut all = self.addresses.held.lock();
        if let Some(held) = all.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                all.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn places(per_address_max: Option<usize>, exempt: &[&str]) -> ConnectionPlaces {
        let exempt = exempt
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect();
        ConnectionPlaces::new(
            6,
            per_address_max,
            exempt,
            Gauge::default(),
            Counter::default(),
        )
    }

    fn take(places: &ConnectionPlaces, peer: &str) -> Option<ConnectionPlace> {
        let free = places.free().now_or_never().expect("a free place");
        places.give(free, peer.parse().expect("an address"))
    }

    #[test]
    fn one_address_cannot_have_all_places() {
        let places = places(Some(2), &[]);
        let (one, _two) = (
            take(&places, "192.0.2.1"),
            take(&places, "::ffff:192.0.2.1"),
        );
        assert!(take(&places, "192.0.2.1").is_none() && take(&places, "192.0.2.2").is_some());
        assert_eq!((places.refused.get(), places.open.get()), (1, 2));
        drop(one);
        assert!(
            take(&places, "192.0.2.1").is_some(),
            "after one was given back"
        );
        let (_one, _two) = (take(&places, "2001:db8::1"), take(&places, "2001:db8::2"));
        assert!(
            take(&places, "2001:db8::3").is_none(),
            "one network of 64 bits is one host"
        );
    }

    #[test]
    fn streams_of_http2_count_with_connections_of_their_address() {
        let places = places(Some(2), &[]);
        let peer = "192.0.2.1".parse().expect("an address");
        let connection = take(&places, "192.0.2.1").expect("the first");
        let stream = connection.another_share(peer).expect("the second");
        assert!(connection.another_share(peer).is_err() && take(&places, "192.0.2.1").is_none());
        drop(stream);
        assert!(connection.another_share(peer).is_ok());
    }

    #[test]
    fn proxies_that_are_trusted_have_no_bound_of_their_own_and_nothing_is_remembered() {
        let bounded = places(Some(1), &["10.0.0.0/8"]);
        let all: Vec<_> = (0..5)
            .map(|_| take(&bounded, "10.1.2.3").expect("trusted"))
            .collect();
        drop(all);
        drop(take(&bounded, "192.0.2.1"));
        assert!(bounded.addresses.held.lock().is_empty());
        let unbounded = places(None, &[]);
        let all: Vec<_> = (0..5)
            .map(|_| take(&unbounded, "192.0.2.1").expect("no bound"))
            .collect();
        assert_eq!(all.len(), 5);
    }
}
