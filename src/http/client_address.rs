//! Which client a request comes from: the address in the proxy's header, or that of the peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use super::App;
use super::printable::printable;
use crate::limits;
use crate::problem::Problem;

/// The client of a request.
#[derive(Clone, Debug)]
pub(super) struct ClientIp {
    /// The client's address; `None` when the header with it is missing.
    pub(super) address: Option<IpAddr>,
    /// The other side of the connection.
    pub(super) peer: IpAddr,
    header: String,
}

impl ClientIp {
    /// The address, for limits that need it.
    ///
    /// # Errors
    /// [`Problem::MissingClientIp`] without the header.
    pub(super) fn required(&self) -> Result<IpAddr, Problem> {
        let missing = || Problem::MissingClientIp(self.header.clone());
        self.address.ok_or_else(missing)
    }

    /// The address, or that of the peer if the header is missing.
    pub(super) fn or_peer(&self) -> IpAddr {
        self.address.unwrap_or(self.peer)
    }
}

impl FromRequestParts<Arc<App>> for ClientIp {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip());
        Ok(Self {
            address: app.addresses.client(&parts.headers, peer),
            peer,
            header: app.addresses.header.clone(),
        })
    }
}

/// Finds the address of a client. Clones share whether an invalid header was logged.
#[derive(Clone, Debug)]
pub struct ClientAddresses {
    header: String,
    trusted_proxies: Vec<IpNet>,
    invalid_logged: Arc<AtomicBool>,
}

/// The content of the header.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// An address.
    Client(IpAddr),
    /// No header, an empty one, or several and no `trusted_proxies` to decide between them.
    Missing,
    /// A value with an entry that is not an address.
    Invalid(String),
}

impl ClientAddresses {
    /// `header` counts from `trusted_proxies` only. Without any it counts from every peer.
    #[must_use]
    pub fn new(header: String, trusted_proxies: Vec<IpNet>) -> Self {
        Self {
            header,
            trusted_proxies,
            invalid_logged: Arc::default(),
        }
    }

    /// The client of a request: an IPv4 address, or an IPv6 network of 64 bits, because every host
    /// has at least one (RFC 6177). An IPv4 address inside an IPv6 one (mapped, or NAT64 by RFC
    /// 6052) counts as the IPv4 address.
    ///
    /// Each entry of the header may have a port and brackets. The leftmost entry of a list counts.
    /// With `trusted_proxies` it is the first from the right that is none of these. For an invalid
    /// header, the peer counts, so that a faulty proxy does not lock out all clients. It is logged
    /// once.
    ///
    /// Returns `None` when the header is expected and missing.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        let peer = canonical(peer);
        if !self.trusted_proxies.is_empty() && !self.is_trusted(peer) {
            return Some(network_of(peer));
        }
        match self.named(headers) {
            Named::Client(address) => Some(network_of(address)),
            Named::Missing => None,
            Named::Invalid(value) => {
                if !self.invalid_logged.swap(true, Ordering::Relaxed) {
                    let header = &self.header;
                    tracing::warn!(
                        header,
                        value,
                        "the header with the client's address has no IP address: such requests \
                         count for the peer that sends them; this is logged once"
                    );
                }
                Some(network_of(peer))
            }
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|proxy| proxy.contains(&address))
    }

    fn named(&self, headers: &HeaderMap) -> Named {
        let values: Vec<_> = headers
            .get_all(&self.header)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        if self.trusted_proxies.is_empty() && values.len() > 1 {
            return Named::Missing;
        }
        let list = values.join(",");
        let invalid = || Named::Invalid(printable(&list, limits::LOGGED_HEADER_BYTES_MAX));
        let mut entries = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        if self.trusted_proxies.is_empty() {
            return entries.next().map_or(Named::Missing, |entry| {
                address(entry).map_or_else(invalid, Named::Client)
            });
        }
        let mut nearest = None;
        for entry in entries.rev() {
            let Some(address) = address(entry) else {
                return invalid();
            };
            nearest = Some(address);
            if !self.is_trusted(address) {
                break;
            }
        }
        nearest.map_or(Named::Missing, Named::Client)
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`, each also in
/// quotes or with a zone.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches('"').trim();
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(canonical(address));
    }
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return Some(canonical(address.ip()));
    }
    let (entry, rest) = match entry.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => (entry, ""),
    };
    let port = rest
        .strip_prefix(':')
        .is_some_and(|port| port.parse::<u16>().is_ok());
    let without_zone = entry.split_once('%').map_or(entry, |(address, _)| address);
    let address = without_zone
        .parse::<Ipv6Addr>()
        .ok()
        .filter(|_| rest.is_empty() || port)?;
    Some(canonical(address.into()))
}

/// `64:ff9b::/96`, the well-known prefix of NAT64 (RFC 6052, section 2.1), as the upper 96 bits.
const NAT64_PREFIX: u128 = 0x0064_ff9b << 64;

/// The IPv4 address inside an IPv6 one, if there is one.
fn canonical(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if address.to_bits() >> 32 == NAT64_PREFIX => {
            let [.., a, b, c, d] = address.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address,
    }
}

/// An IPv4 address, or the network of an IPv6 host, which has 64 bits to itself (RFC 6177).
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests;
