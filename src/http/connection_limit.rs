//! What one client may ask for: streams at once (`client_ip_connection_limit`) and requests a second (`request_rate_limit`); and how many
//! streams all clients may have (`streams_max`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::HeaderMap;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

use super::client_address::ClientAddresses;
use super::problem::Problem;
use crate::limits;

/// Counts the streams of each client, and of all.
#[derive(Debug)]
pub struct ConnectionLimit {
    client_max: Option<u32>,
    total_max: Option<u32>,
    addresses: ClientAddresses,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    /// Clients that have a stream.
    clients: HashMap<IpAddr, u32>,
}

/// One stream of a client; given back when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    /// `None` when streams are not counted for each client.
    client: Option<IpAddr>,
    counts: Arc<Mutex<Counts>>,
}

impl ConnectionLimit {
    /// `client_max` streams for each client, `total_max` for all together; `None` bounds nothing.
    #[must_use]
    pub fn new(
        client_max: Option<u32>,
        total_max: Option<u32>,
        addresses: ClientAddresses,
    ) -> Self {
        Self {
            client_max,
            total_max,
            addresses,
            counts: Arc::default(),
        }
    }

    /// Whose request it is, if that can be told.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        self.addresses.client(headers, peer).ok()
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// [`Problem::MissingClientIp`] without a client address, [`Problem::TooManyRequests`] or [`Problem::TooManyStreamsInTotal`] over a
    /// limit.
    pub fn take(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<ConnectionPermit>, Problem> {
        if self.client_max.is_none() && self.total_max.is_none() {
            return Ok(None);
        }
        let client = match self.client_max {
            Some(max) => Some((self.addresses.client(headers, peer)?, max)),
            None => None,
        };
        let mut counts = self.counts.lock();
        if let Some((client, max)) = client {
            let count = counts.clients.get(&client).copied().unwrap_or(0);
            if count >= max {
                return Err(Problem::TooManyRequests(max));
            }
        }
        if let Some(max) = self.total_max.filter(|max| counts.total >= *max) {
            return Err(Problem::TooManyStreamsInTotal(max));
        }
        counts.total += 1;
        let client = client.map(|(client, _)| client);
        if let Some(client) = client {
            *counts.clients.entry(client).or_default() += 1;
        }
        Ok(Some(ConnectionPermit {
            client,
            counts: Arc::clone(&self.counts),
        }))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total -= 1;
        let Some(client) = self.client else { return };
        if let Some(count) = counts.clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.clients.remove(&client);
            }
        }
    }
}

/// How often each client may ask for a stream.
#[derive(Debug)]
pub struct RequestRate {
    per_second: Option<NonZeroU32>,
    addresses: ClientAddresses,
    clients: DefaultKeyedRateLimiter<IpAddr>,
}

impl RequestRate {
    /// `per_second` requests of each client, as many in one burst; `None` (or 0) bounds nothing.
    #[must_use]
    pub fn new(per_second: Option<u32>, addresses: ClientAddresses) -> Self {
        let per_second = per_second.and_then(NonZeroU32::new);
        let clients = RateLimiter::keyed(Quota::per_second(per_second.unwrap_or(NonZeroU32::MIN)));
        Self {
            per_second,
            addresses,
            clients,
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`Problem::MissingClientIp`] without a client address, [`Problem::TooFrequent`] over the limit.
    pub fn check(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), Problem> {
        let Some(per_second) = self.per_second else {
            return Ok(());
        };
        let client = self.addresses.client(headers, peer)?;
        if self.clients.len() > limits::RATED_CLIENTS_MAX {
            self.clients.retain_recent();
        }
        self.clients
            .check_key(&client)
            .map_err(|_| Problem::TooFrequent(per_second.get()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn from(address: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            "x-client-ip".parse().expect("a name"),
            address.parse().expect("a value"),
        )])
    }

    fn addresses() -> ClientAddresses {
        ClientAddresses::new("x-client-ip".to_owned(), Vec::new())
    }

    #[test]
    fn a_permit_is_taken_and_given_back() {
        let limit = ConnectionLimit::new(Some(2), None, addresses());
        let one = limit.take(&from("192.0.2.1"), PEER).expect("the first");
        let _two = limit.take(&from("192.0.2.1"), PEER).expect("the second");
        assert!(matches!(
            limit.take(&from("192.0.2.1"), PEER),
            Err(Problem::TooManyRequests(2))
        ));
        let _other = limit
            .take(&from("192.0.2.2"), PEER)
            .expect("another address");
        drop(one);
        let _again = limit
            .take(&from("192.0.2.1"), PEER)
            .expect("after one was given back");
    }

    #[test]
    fn all_clients_together_have_a_limit_too_which_needs_no_address() {
        let limit = ConnectionLimit::new(None, Some(2), addresses());
        let one = limit.take(&HeaderMap::new(), PEER).expect("the first");
        let _two = limit.take(&from("192.0.2.1"), PEER).expect("the second");
        assert!(matches!(
            limit.take(&from("192.0.2.2"), PEER),
            Err(Problem::TooManyStreamsInTotal(2))
        ));
        drop(one);
        let _again = limit
            .take(&from("192.0.2.2"), PEER)
            .expect("after one was given back");
    }

    #[test]
    fn counts_of_clients_without_streams_are_forgotten() {
        let limit = ConnectionLimit::new(Some(1), None, addresses());
        drop(limit.take(&from("192.0.2.1"), PEER).expect("free"));
        assert!(limit.counts.lock().clients.is_empty());
        assert!(
            ConnectionLimit::new(Some(0), None, addresses())
                .take(&from("192.0.2.1"), PEER)
                .is_err()
        );
    }

    #[test]
    fn no_limit_needs_no_address() {
        assert!(
            ConnectionLimit::new(None, None, addresses())
                .take(&HeaderMap::new(), PEER)
                .expect("free")
                .is_none()
        );
        RequestRate::new(None, addresses())
            .check(&HeaderMap::new(), PEER)
            .expect("free");
    }

    #[test]
    fn a_client_over_its_rate_is_refused_and_others_are_not() {
        let rate = RequestRate::new(Some(3), addresses());
        let refused = (0..4)
            .filter(|_| rate.check(&from("192.0.2.1"), PEER).is_err())
            .count();
        assert!(refused >= 1, "four at once are more than three a second");
        rate.check(&from("192.0.2.2"), PEER)
            .expect("another client");
    }
}
