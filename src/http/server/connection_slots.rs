//! Slots for connections: a limit in all, and a limit for each peer address, HTTP/2 streams
//! included.
//!
//! The limit applies to the address of the peer, not to one in a header: a connection takes a slot
//! before it has sent a byte. Proxies in `trusted_proxies` have no limit of their own, because all
//! clients connect through them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::client_address::network_of;

/// The slots of a port. Clones share them.
#[derive(Clone, Debug)]
pub struct ConnectionSlots {
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

/// A slot for a connection that has not been accepted yet.
#[derive(Debug)]
pub(super) struct FreeSlot(OwnedSemaphorePermit);

/// The slot of a connection. Dropped, it is free.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    open: Gauge,
    share: Share,
    _permit: OwnedSemaphorePermit,
}

/// Counts once for an address. Dropped, it no longer counts.
#[derive(Debug)]
pub(super) struct Share {
    /// `None` where nothing is counted.
    address: Option<IpAddr>,
    addresses: Arc<Addresses>,
}

impl ConnectionSlots {
    /// At most `max` slots in all, and `per_address_max` for each peer address outside `exempt`
    /// (`None` is no limit). `open` and `refused` count connections.
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

    /// Waits for a free slot.
    pub(super) async fn free(&self) -> FreeSlot {
        FreeSlot(
            Arc::clone(&self.all)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed"),
        )
    }

    /// Takes a slot for a connection from `peer`.
    ///
    /// # Errors
    /// The limit of the address, when it is reached.
    pub(super) fn take(&self, free: FreeSlot, peer: IpAddr) -> Result<ConnectionSlot, usize> {
        let share = self
            .addresses
            .share(peer)
            .inspect_err(|_| self.refused.increment(1))?;
        self.open.increment(1);
        Ok(ConnectionSlot {
            open: self.open.clone(),
            share,
            _permit: free.0,
        })
    }
}

impl Addresses {
    /// Counts once for the address of `peer`, if it has a limit.
    fn share(self: &Arc<Self>, peer: IpAddr) -> Result<Share, usize> {
        let peer = peer.to_canonical();
        let is_exempt = || self.exempt.iter().any(|network| network.contains(&peer));
        let Some(max) = self.max.filter(|_| !is_exempt()) else {
            return Ok(Share {
                address: None,
                addresses: Arc::clone(self),
            });
        };
        let address = network_of(peer);
        let mut all = self.held.lock();
        let held = all.entry(address).or_default();
        if *held >= max {
            return Err(max);
        }
        *held += 1;
        Ok(Share {
            address: Some(address),
            addresses: Arc::clone(self),
        })
    }
}

impl ConnectionSlot {
    /// One more share of the same address, for an HTTP/2 stream.
    ///
    /// # Errors
    /// The limit of the address, when it is reached.
    pub(super) fn another_share(&self, peer: IpAddr) -> Result<Share, usize> {
        self.share.addresses.share(peer)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.open.decrement(1);
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
    use crate::telemetry::metrics::Metrics;

    fn slots(per_address_max: Option<usize>, exempt: &[&str]) -> ConnectionSlots {
        let exempt = exempt
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect();
        ConnectionSlots::new(6, per_address_max, exempt, Gauge::noop(), Counter::noop())
    }

    fn take(slots: &ConnectionSlots, peer: &str) -> Result<ConnectionSlot, usize> {
        let free = slots.free().now_or_never().expect("a free slot");
        slots.take(free, peer.parse().expect("an address"))
    }

    #[test]
    fn one_address_cannot_take_all_slots() {
        let metrics = Metrics::default();
        let slots = ConnectionSlots {
            open: metrics.connections.clone(),
            refused: metrics.connections_refused.clone(),
            ..slots(Some(2), &[])
        };
        let one = take(&slots, "192.0.2.1");
        let _two = take(&slots, "::ffff:192.0.2.1");
        assert!(take(&slots, "192.0.2.1").is_err() && take(&slots, "192.0.2.2").is_ok());
        let text = metrics.render();
        assert!(
            text.contains("eventstreams_connections_refused_total 1\n"),
            "{text}"
        );
        assert!(text.contains("eventstreams_connections 2\n"), "{text}");
        drop(one);
        assert!(take(&slots, "192.0.2.1").is_ok(), "after one was dropped");
        let _one = take(&slots, "2001:db8::1");
        let _two = take(&slots, "2001:db8::2");
        assert!(
            take(&slots, "2001:db8::3").is_err(),
            "one network of 64 bits is one host"
        );
    }

    #[test]
    fn streams_of_http2_count_with_connections_of_their_address() {
        let slots = slots(Some(2), &[]);
        let peer = "192.0.2.1".parse().expect("an address");
        let connection = take(&slots, "192.0.2.1").expect("the first");
        let stream = connection.another_share(peer).expect("the second");
        assert!(connection.another_share(peer).is_err() && take(&slots, "192.0.2.1").is_err());
        drop(stream);
        assert!(connection.another_share(peer).is_ok());
    }

    #[test]
    fn trusted_proxies_have_no_limit_and_are_not_counted() {
        let bounded = slots(Some(1), &["10.0.0.0/8"]);
        let all: Vec<_> = (0..5)
            .map(|_| take(&bounded, "10.1.2.3").expect("trusted"))
            .collect();
        drop(all);
        drop(take(&bounded, "192.0.2.1"));
        assert!(bounded.addresses.held.lock().is_empty());
        let unbounded = slots(None, &[]);
        let all: Vec<_> = (0..5)
            .map(|_| take(&unbounded, "192.0.2.1").expect("no limit"))
            .collect();
        assert_eq!(all.len(), 5);
    }
}
