//! Whose request it is: the address that the edge names, or the peer's own.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::problem::Problem;

/// How a client's address is found.
#[derive(Clone, Debug)]
pub struct ClientAddresses {
    header: String,
    trusted_proxies: Vec<IpNet>,
}

impl ClientAddresses {
    /// `header` is believed from `trusted_proxies` only, or from anybody when there are none of them.
    #[must_use]
    pub fn new(header: String, trusted_proxies: Vec<IpNet>) -> Self {
        Self { header, trusted_proxies }
    }

    /// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, for a single host owns one at least
    /// (RFC 6177).
    ///
    /// # Errors
    /// [`Problem::MissingClientIp`] when the header is to be believed and names no address.
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Result<IpAddr, Problem> {
        let peer = peer.to_canonical();
        if !self.trusted_proxies.is_empty() && !self.trusted_proxies.iter().any(|proxy| proxy.contains(&peer)) {
            return Ok(unit(peer));
        }
        let named = headers.get(&self.header).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
        named.map(unit).ok_or_else(|| Problem::MissingClientIp(self.header.clone()))
    }
}

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

    fn client(header: &str, peer: &str, trusted: &[&str]) -> Result<String, Problem> {
        let trusted = trusted.iter().map(|net| net.parse().expect("a network")).collect();
        let addresses = ClientAddresses::new("x-client-ip".to_owned(), trusted);
        let headers = HeaderMap::from_iter([("x-client-ip".parse().expect("a name"), header.parse().expect("a value"))]);
        addresses.client(&headers, peer.parse().unwrap_or(PEER)).map(|address| address.to_string())
    }

    #[test]
    fn the_header_names_the_client() {
        assert_eq!(client(" 192.0.2.1 ", "", &[]).expect("an address"), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.9", "", &[]).expect("mapped"), "192.0.2.9");
        assert_eq!(client("2001:db8:0:1:ffff::2", "", &[]).expect("an address"), "2001:db8:0:1::");
    }

    #[test]
    fn without_an_address_there_is_a_problem() {
        assert!(matches!(client("nobody", "", &[]), Err(Problem::MissingClientIp(_))));
        let addresses = ClientAddresses::new("x-client-ip".to_owned(), Vec::new());
        assert!(matches!(addresses.client(&HeaderMap::new(), PEER), Err(Problem::MissingClientIp(_))));
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_itself() {
        assert_eq!(client("192.0.2.1", "198.51.100.7", &["10.0.0.0/8"]).expect("the peer"), "198.51.100.7");
        assert_eq!(client("192.0.2.1", "10.1.2.3", &["10.0.0.0/8"]).expect("believed"), "192.0.2.1");
    }
}
