//! How many streams one client address may read at once (`client_ip_connection_limit`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;
use parking_lot::Mutex;

use super::problem::Problem;

/// Counts the streams of each address.
#[derive(Debug)]
pub struct ConnectionLimit {
    max: Option<u32>,
    header: String,
    trusted_proxies: Vec<IpNet>,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// One stream of an address; given back when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl ConnectionLimit {
    /// `max` streams for each address that `header` names; `None` counts nothing. `header` is believed from
    /// `trusted_proxies` only, or from anybody when there are none of them.
    #[must_use]
    pub fn new(max: Option<u32>, header: String, trusted_proxies: Vec<IpNet>) -> Self {
        Self { max, header, trusted_proxies, counts: Arc::default() }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// [`Problem::MissingClientIp`] without a client address, [`Problem::TooManyRequests`] over the limit.
    pub fn take(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Option<ConnectionPermit>, Problem> {
        let Some(max) = self.max else { return Ok(None) };
        let address = unit(self.client_address(headers, peer)?);
        let mut counts = self.counts.lock();
        let count = counts.entry(address).or_insert(0);
        if *count >= max {
            return Err(Problem::TooManyRequests(max));
        }
        *count += 1;
        Ok(Some(ConnectionPermit { address, counts: Arc::clone(&self.counts) }))
    }

    fn client_address(&self, headers: &HeaderMap, peer: IpAddr) -> Result<IpAddr, Problem> {
        let peer = peer.to_canonical();
        if !self.trusted_proxies.is_empty() && !self.trusted_proxies.iter().any(|proxy| proxy.contains(&peer)) {
            return Ok(peer);
        }
        let named = headers.get(&self.header).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
        named.ok_or_else(|| Problem::MissingClientIp(self.header.clone()))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, for a single host owns one at least (RFC 6177).
fn unit(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn from(address: &str) -> HeaderMap {
        HeaderMap::from_iter([("x-client-ip".parse().expect("a name"), address.parse().expect("a value"))])
    }

    fn limit(max: u32, trusted: &[&str]) -> ConnectionLimit {
        let trusted = trusted.iter().map(|net| net.parse().expect("a network")).collect();
        ConnectionLimit::new(Some(max), "x-client-ip".to_owned(), trusted)
    }

    #[test]
    fn a_permit_is_taken_and_given_back() {
        let limit = limit(2, &[]);
        let one = limit.take(&from("192.0.2.1"), PEER).expect("the first");
        let _two = limit.take(&from("192.0.2.1"), PEER).expect("the second");
        assert!(matches!(limit.take(&from("192.0.2.1"), PEER), Err(Problem::TooManyRequests(2))));
        let _other = limit.take(&from("192.0.2.2"), PEER).expect("another address");
        drop(one);
        let _again = limit.take(&from("192.0.2.1"), PEER).expect("after one was given back");
    }

    #[test]
    fn counts_of_addresses_without_streams_are_forgotten() {
        let limit = limit(1, &[]);
        drop(limit.take(&from("192.0.2.1"), PEER).expect("free"));
        assert!(limit.counts.lock().is_empty());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client_and_a_mapped_address_is_ipv4() {
        let limit = limit(1, &[]);
        let _one = limit.take(&from("2001:db8:0:1::1"), PEER).expect("the first");
        assert!(limit.take(&from("2001:db8:0:1:ffff::2"), PEER).is_err());
        let _next = limit.take(&from("2001:db8:0:2::1"), PEER).expect("the next network");
        let _mapped = limit.take(&from("::ffff:192.0.2.9"), PEER).expect("mapped");
        assert!(limit.take(&from("192.0.2.9"), PEER).is_err());
    }

    #[test]
    fn without_an_address_the_request_is_refused() {
        assert!(matches!(limit(1, &[]).take(&HeaderMap::new(), PEER), Err(Problem::MissingClientIp(_))));
        assert!(matches!(limit(1, &[]).take(&from("nobody"), PEER), Err(Problem::MissingClientIp(_))));
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_itself() {
        let limit = limit(1, &["10.0.0.0/8"]);
        let peer = "198.51.100.7".parse().expect("an address");
        let _one = limit.take(&from("192.0.2.1"), peer).expect("the first");
        assert!(limit.take(&from("192.0.2.2"), peer).is_err(), "its header is not believed");
        let proxy = "10.1.2.3".parse().expect("an address");
        let _two = limit.take(&from("192.0.2.1"), proxy).expect("the proxy's client is another");
    }

    #[test]
    fn no_limit_needs_no_address() {
        let limit = ConnectionLimit::new(None, "x-client-ip".to_owned(), Vec::new());
        assert!(limit.take(&HeaderMap::new(), PEER).expect("free").is_none());
    }
}
