//! The HTTP settings: addresses, headers, limits of clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;

/// For which clients streams are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// For those that are known to decompress while they read: browsers, curl, clients that name
    /// exactly one coding in `Accept-Encoding`, and clients that use the query parameter
    /// `compression`.
    Auto,
    /// For all clients whose `Accept-Encoding` names a supported coding.
    Always,
    /// For no client.
    Off,
}

/// The HTTP settings. Fields are named after their keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HttpConfig {
    /// TCP port of the public service; 0 takes any free one.
    pub port: u16,
    /// The address to listen on; `::` means all, IPv6 and IPv4 ([`Self::listen`]).
    pub interface: IpAddr,
    /// TCP port of metrics and health; `None` turns them off.
    pub admin_port: Option<u16>,
    /// The address that metrics and health listen on.
    pub admin_interface: IpAddr,
    /// The header `access-control-allow-origin`, if it is sent; valid.
    pub cors: Option<String>,
    /// The header `content-security-policy`, if it is sent; valid.
    pub csp: Option<String>,
    /// The name of this program in requests to HTTP servers; a valid header value.
    pub user_agent: String,
    /// Whether the web page is served.
    pub stream_ui_enabled: bool,
    /// Milliseconds of silence after which a subscriber is sent a comment.
    pub heartbeat_ms: u64,
    /// Simultaneous streams of one client address.
    pub client_ip_connection_limit: Option<u32>,
    /// Simultaneous streams of all clients.
    pub streams_max: Option<u32>,
    /// The header in which the proxy in front passes the address of the client, in lower case.
    pub client_ip_header: String,
    /// Networks whose `client_ip_header` is trusted. If empty, every peer is trusted, as in the
    /// Node service.
    pub trusted_proxies: Vec<IpNet>,
    /// New requests a second for one client address.
    pub request_rate_limit: Option<u32>,
    /// Whether stream requests without a usable User-Agent are refused.
    pub require_user_agent: bool,
    /// For which clients streams are compressed.
    pub compression: Compression,
    /// Whether the log contains the addresses of clients.
    pub log_client_addresses: bool,
}

impl HttpConfig {
    /// The addresses to bind for the public service, the most general one first.
    pub fn listen(&self) -> Vec<SocketAddr> {
        addresses(self.interface, self.port)
    }

    /// The same for metrics and health; none if they are off.
    pub fn admin_listen(&self) -> Vec<SocketAddr> {
        self.admin_port
            .map_or_else(Vec::new, |port| addresses(self.admin_interface, port))
    }
}

/// `::` usually accepts IPv4 too, but a machine without IPv6 cannot bind it.
fn addresses(interface: IpAddr, port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::new(interface, port)];
    if interface.is_ipv6() && interface.is_unspecified() {
        addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    }
    addresses
}
