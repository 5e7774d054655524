//! Listening, headers, who may connect.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;

/// For which clients streams are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// For those that surely undo it while they read: browsers, curl, whoever names exactly one coding
    /// in `Accept-Encoding`, or asks for it by the query's `compression`.
    Auto,
    /// For all whose `Accept-Encoding` names a coding that we have.
    Always,
    /// For nobody.
    Off,
}

/// The HTTP side of the configuration. Fields are named like their keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct HttpConfig {
    /// TCP port of the public service; 0 takes any free one.
    pub port: u16,
    /// Address to listen on; `::` is all, IPv6 and IPv4 ([`Self::listen`]).
    pub interface: IpAddr,
    /// TCP port of metrics and health; `None` for none of it.
    pub admin_port: Option<u16>,
    /// Address that metrics and health listen on.
    pub admin_interface: IpAddr,
    /// The header `access-control-allow-origin`, if it is sent; a valid header value.
    pub cors: Option<String>,
    /// The header `content-security-policy`, if it is sent; a valid header value.
    pub csp: Option<String>,
    /// Our name towards HTTP servers; a valid header value.
    pub user_agent: String,
    /// Whether the web page is served.
    pub stream_ui_enabled: bool,
    /// Milliseconds of silence after which a comment is sent to a subscriber.
    pub heartbeat_ms: u64,
    /// Simultaneous streams for one client address.
    pub client_ip_connection_limit: Option<u32>,
    /// Simultaneous streams of all clients.
    pub streams_max: Option<u32>,
    /// Header in which the edge names the client's address; in lower case, a valid header name.
    pub client_ip_header: String,
    /// Networks whose `client_ip_header` is believed; when empty, everyone's is, as in the Node service.
    pub trusted_proxies: Vec<IpNet>,
    /// New requests a second for one client address.
    pub request_rate_limit: Option<u32>,
    /// Whether stream requests without a usable User-Agent are refused.
    pub require_user_agent: bool,
    /// For which clients streams are compressed.
    pub compression: Compression,
    /// Whether the log names clients' addresses.
    pub log_client_addresses: bool,
}

impl HttpConfig {
    /// The addresses to try for the public service, in order: the first that can be bound is the one.
    pub fn listen(&self) -> Vec<SocketAddr> {
        addresses(self.interface, self.port)
    }

    /// The addresses to try for metrics and health, in order; none when they are off.
    pub fn admin_listen(&self) -> Vec<SocketAddr> {
        self.admin_port
            .map_or_else(Vec::new, |port| addresses(self.admin_interface, port))
    }
}

/// `::` takes IPv4 too on every system we run on, but a machine without IPv6 cannot bind it.
fn addresses(interface: IpAddr, port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::new(interface, port)];
    if interface.is_ipv6() && interface.is_unspecified() {
        addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    }
    addresses
}
