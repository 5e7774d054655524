//! Which client a request comes from: the address that the edge sends, or the peer's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use super::App;
use super::middleware::printable;
use crate::limits;
use crate::problem::Problem;

/// The client of a request.
#[derive(Clone, Debug)]
pub(super) struct ClientIp {
    /// The address that counts as the client; `None` when the header with it is missing.
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

/// How a client's address is found. Clones share whether an unreadable header was logged.
#[derive(Clone, Debug)]
pub struct ClientAddresses {
    header: String,
    trusted_proxies: Vec<IpNet>,
    unreadable_logged: Arc<AtomicBool>,
}

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// An address.
    Client(IpAddr),
    /// No header, an empty one, or several without `trusted_proxies` to tell which is right.
    Nobody,
    /// Something that is no address, or not all of it.
    Unreadable(String),
}

impl ClientAddresses {
    /// `header` is believed from `trusted_proxies` only, or from anybody when there are none of them.
    #[must_use]
    pub fn new(header: String, trusted_proxies: Vec<IpNet>) -> Self {
        Self {
            header,
            trusted_proxies,
            unreadable_logged: Arc::default(),
        }
    }

    /// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, for a single host owns one at least
    /// (RFC 6177). An IPv4 address inside an IPv6 one (mapped, or NAT64 by RFC 6052) counts as the
    /// IPv4 address.
    ///
    /// Each entry of the header may have a port and brackets. Of a list the leftmost entry counts, or,
    /// with `trusted_proxies`, the first from the right that is none of these. A header that cannot be
    /// read counts for the peer and is logged once, so that one faulty proxy does not shut everybody out.
    ///
    /// Returns `None` when the header is expected and missing.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        let peer = canonical(peer);
        if !self.trusted_proxies.is_empty() && !self.is_trusted(peer) {
            return Some(unit(peer));
        }
        match self.named(headers) {
            Named::Client(address) => Some(unit(address)),
            Named::Nobody => None,
            Named::Unreadable(value) => {
                if !self.unreadable_logged.swap(true, Ordering::Relaxed) {
                    let header = &self.header;
                    tracing::warn!(
                        header,
                        value,
                        "no IP address in the header of the client's address: such requests count for \
                         the peer that sends them; this is logged once"
                    );
                }
                Some(unit(peer))
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
            return Named::Nobody;
        }
        let list = values.join(",");
        let unreadable = || Named::Unreadable(printable(&list, limits::LOGGED_HEADER_BYTES_MAX));
        let mut entries = list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        if self.trusted_proxies.is_empty() {
            return entries.next().map_or(Named::Nobody, |entry| {
                address(entry).map_or_else(unreadable, Named::Client)
            });
        }
        let mut nearest = None;
        for entry in entries.rev() {
            let Some(address) = address(entry) else {
                return unreadable();
            };
            nearest = Some(address);
            if !self.is_trusted(address) {
                break;
            }
        }
        nearest.map_or(Named::Nobody, Named::Client)
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`, each also in quotes
/// or with a zone.
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

/// `64:ff9b::/96`, the well-known prefix of NAT64 (RFC 6052 section 2.1), as the upper 96 bits.
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

fn unit(address: IpAddr) -> IpAddr {
    match canonical(address) {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    const PEERS_UNIT: &str = "::";

    fn addresses(trusted: &[&str]) -> ClientAddresses {
        let trusted = trusted
            .iter()
            .map(|net| net.parse().expect("a network"))
            .collect();
        ClientAddresses::new("x-client-ip".to_owned(), trusted)
    }

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                "x-client-ip",
                axum::http::HeaderValue::from_bytes(value).expect("a value"),
            );
        }
        headers
    }

    fn client_of(values: &[&str], peer: &str, trusted: &[&str]) -> Option<String> {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let peer = peer.parse().unwrap_or(PEER);
        addresses(trusted)
            .client(&headers(&values), peer)
            .map(|address| address.to_string())
    }

    fn client(header: &str, peer: &str, trusted: &[&str]) -> String {
        client_of(&[header], peer, trusted).expect("an address")
    }

    #[test]
    fn the_header_names_the_client() {
        for (header, expected) in [
            (" 192.0.2.1 ", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("[::ffff:192.0.2.9]:80", "192.0.2.9"),
            ("2001:db8:0:1:ffff::2", "2001:db8:0:1::"),
            ("[2001:db8:0:1:ffff::2]", "2001:db8:0:1::"),
            ("\"[2001:db8:0:1::2]:65535\"", "2001:db8:0:1::"),
            ("fe80::1%eth0", "fe80::"),
            ("[fe80::1%eth0]:80", "fe80::"),
            ("64:ff9b::192.0.2.7", "192.0.2.7"),
            ("64:ff9b::c000:207", "192.0.2.7"),
            ("64:ff9b:1::c000:207", "64:ff9b:1::"),
            ("64:ff9b:0:1::c000:207", "64:ff9b:0:1::"),
        ] {
            assert_eq!(client(header, "", &[]), expected, "{header}");
        }
    }

    #[test]
    fn of_a_list_the_leftmost_counts() {
        assert_eq!(client("192.0.2.1, 10.0.0.1", "", &[]), "192.0.2.1");
        assert_eq!(client(", 192.0.2.1:80,nobody", "", &[]), "192.0.2.1");
    }

    #[test]
    fn of_a_list_the_first_from_the_right_that_is_no_trusted_proxy_counts() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        for (header, expected) in [
            ("198.51.100.9, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
            (
                "198.51.100.9, 192.0.2.1:80, [2001:db8::1]:80, 10.0.0.1",
                "192.0.2.1",
            ),
            ("forged, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
            ("64:ff9b::192.0.2.1, 64:ff9b::10.0.0.1", "192.0.2.1"),
            // What stands before this one is nobody's word.
            ("192.0.2.1, unknown, 10.0.0.1", "10.1.2.3"),
        ] {
            assert_eq!(client(header, "10.1.2.3", &trusted), expected, "{header}");
        }
    }

    #[test]
    fn several_headers_are_none_unless_trusted_proxies_tell_which_is_right() {
        let two = ["198.51.100.9", "192.0.2.1"];
        assert_eq!(client_of(&two, "", &[]), None);
        assert_eq!(
            client_of(&two, "10.1.2.3", &["10.0.0.0/8"]).expect("the last"),
            "192.0.2.1"
        );
    }

    #[test]
    fn a_header_that_cannot_be_read_counts_for_the_peer() {
        for header in [
            "nobody",
            "192.0.2.256",
            "192.0.2.1:65536",
            "192.0.2.1:",
            "[192.0.2.1",
            "[::1]x",
            "1.2.3.4%eth0",
            "кто",
        ] {
            assert_eq!(client(header, "", &[]), PEERS_UNIT, "{header}");
            assert_eq!(client(header, "192.0.2.5", &[]), "192.0.2.5", "{header}");
        }
        let binary = addresses(&[])
            .client(&headers(&[b"\xff\xfe"]), PEER)
            .expect("the peer");
        assert_eq!(binary, unit(PEER));
    }

    #[test]
    fn without_a_header_there_is_no_address() {
        for values in [&[][..], &[""], &[" , "]] {
            assert_eq!(client_of(values, "", &[]), None, "{values:?}");
        }
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_itself() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(
            client("192.0.2.1", "198.51.100.7", &trusted),
            "198.51.100.7"
        );
        assert_eq!(client("192.0.2.1", "10.1.2.3", &trusted), "192.0.2.1");
        assert_eq!(
            client("192.0.2.1", "64:ff9b::10.1.2.3", &trusted),
            "192.0.2.1"
        );
        assert_eq!(
            client("192.0.2.1", "64:ff9b::198.51.100.7", &trusted),
            "198.51.100.7"
        );
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in prop::collection::vec(32_u8..=255, 0..40), trusted: bool) {
            prop_assume!(!value.contains(&127));
            let trusted: &[&str] = if trusted { &["::/0"] } else { &[] };
            let _ = addresses(trusted).client(&headers(&[&value]), PEER);
        }

        #[test]
        fn every_way_to_write_an_address_is_read(bits: u128, port: u16) {
            let v6 = Ipv6Addr::from_bits(bits);
            let v4 = Ipv4Addr::from_bits(u32::try_from(bits >> 96).expect("32 bits"));
            for text in [v6.to_string(), format!("[{v6}]"), format!("[{v6}]:{port}")] {
                prop_assert_eq!(address(&text), Some(canonical(v6.into())));
            }
            for text in [v4.to_string(), format!("{v4}:{port}")] {
                prop_assert_eq!(address(&text), Some(v4.into()));
            }
        }
    }
}
