//! The rows of the service itself: logs, addresses, headers, clients.

use super::super::{Key, Section, ValueKind, conf, ignored, number, top};
use super::HOUR_MS;

pub(super) const KEYS: &[Key] = &[
    top(
        "service_name",
        ValueKind::Text,
        "eventstreams",
        "Name of the service in logs, metrics and `/_info`.",
    ),
    top(
        "logging",
        ValueKind::Logging,
        "{level: info}",
        "Level of the log: trace, debug, info, warn or error.",
    ),
    top(
        "metrics",
        ValueKind::Metrics,
        "null",
        "The reporters of service-runner; the port of `prometheus` is `admin_port`.",
    ),
    ignored("num_workers", Section::Top),
    ignored("worker_heap_limit_mb", Section::Top),
    ignored("worker_heartbeat_timeout", Section::Top),
    ignored("worker_startup_timeout", Section::Top),
    ignored("ratelimiter", Section::Top),
    ignored("package", Section::Top),
    ignored("info", Section::Top),
    ignored("tracing", Section::Top),
    // Addresses.
    conf(
        "port",
        number(0, 65_535),
        "8092",
        "TCP port of the public service; 0 takes any free port.",
    ),
    conf(
        "interface",
        ValueKind::Interface,
        "all",
        "IP address to listen on; `all` means IPv6 and IPv4.",
    ),
    conf(
        "admin_port",
        ValueKind::NumberOrOff { max: 65_535 },
        "9102",
        "TCP port of metrics and health; `off` for none.",
    ),
    conf(
        "admin_interface",
        ValueKind::Interface,
        "all",
        "IP address that metrics and health listen on.",
    ),
    // Headers.
    conf(
        "cors",
        ValueKind::HeaderValueOrOff,
        "'*'",
        "The header `access-control-allow-origin`; `off` for none.",
    ),
    conf(
        "csp",
        ValueKind::HeaderValueOrOff,
        "\"default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; \
         frame-ancestors 'self'\"",
        "The header `content-security-policy`; `off` for none.",
    ),
    conf(
        "user_agent",
        ValueKind::HeaderValue,
        "eventstreams",
        "Name of this program for Kafka (`client.id`) and HTTP servers.",
    ),
    conf(
        "stream_ui_enabled",
        ValueKind::Flag,
        "true",
        "Serve the web page at `/v2/ui/`.",
    ),
    conf(
        "heartbeat_ms",
        number(100, HOUR_MS),
        "15000",
        "Milliseconds of silence after which a subscriber is sent a comment.",
    ),
    // Clients.
    conf(
        "client_ip_connection_limit",
        ValueKind::NumberOrOff { max: 1_000_000 },
        "off",
        "Simultaneous streams of one client address.",
    ),
    conf(
        "streams_max",
        ValueKind::NumberOrOff { max: 1_000_000 },
        "off",
        "Simultaneous streams of all clients; further ones get 429.",
    ),
    conf(
        "client_ip_header",
        ValueKind::HeaderName,
        "x-client-ip",
        "Header in which the proxy in front passes the address of the client.",
    ),
    conf(
        "trusted_proxies",
        ValueKind::Networks,
        "[]",
        "IP networks whose `client_ip_header` is trusted; if empty, every peer is.",
    ),
    conf(
        "request_rate_limit",
        ValueKind::NumberOrOff { max: 1_000_000 },
        "off",
        "New requests a second from one client address.",
    ),
    conf(
        "require_user_agent",
        ValueKind::Flag,
        "false",
        "Refuse stream requests without a usable User-Agent.",
    ),
    conf(
        "compression",
        ValueKind::ChoiceOrFlag {
            words: &["auto", "always", "off"],
            on: "auto",
            off: "off",
        },
        "auto",
        "`auto`: compress streams for clients that are known to decompress while they read; \
         `always`: by `Accept-Encoding`; `off`: never.",
    ),
    conf(
        "connections_max",
        number(1, 1_000_000),
        "20000",
        "Simultaneous connections of all clients.",
    ),
    conf(
        "connections_per_address_max",
        ValueKind::NumberOrOff { max: 1_000_000 },
        "10000",
        "Connections and HTTP/2 streams of one peer address; peers in `trusted_proxies` are not \
         limited.",
    ),
    conf(
        "http2_streams_max",
        number(1, 100_000),
        "100",
        "Simultaneous requests of one HTTP/2 connection.",
    ),
    conf(
        "streams_per_request_max",
        number(1, 10_000),
        "100",
        "Streams that one request may name.",
    ),
    conf(
        "filters_max",
        number(1, 1_000_000),
        "20000",
        "Different filters of all clients at the same time; further ones get 503.",
    ),
    conf(
        "filters_per_client_max",
        ValueKind::NumberOrOff { max: 1_000_000 },
        "100",
        "Different filters of one client address at the same time; further ones get 429.",
    ),
    conf(
        "unindexed_filters_max",
        number(1, 100_000),
        "500",
        "Filters among them that are evaluated for each event; further ones get 503.",
    ),
];
