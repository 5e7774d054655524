//! The one table of all keys: names, kinds with bounds, defaults, a line of documentation each.
//!
//! The check for unknown keys, defaults and bounds come from here. Tests compare it with
//! `config/production.yaml` and the table in docs/configuration.md.

/// A key of the operator's file.
#[derive(Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// Where it stands in the file that the Node service's chart renders. A plain file has all at the top.
    pub place: Place,
    /// What its value may be.
    pub kind: Kind,
    /// The default, as YAML; `null` is "none".
    pub default: &'static str,
    /// What to show in `config/production.yaml` where the default would teach nothing, as YAML.
    pub example: Option<&'static str>,
    /// What it means, in one line, with its unit.
    pub doc: &'static str,
}

/// Where a key stands in the file that the Node service's chart renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top of the file.
    Top,
    /// In `services[0].conf`.
    Conf,
}

/// What the value of a key may be. `null` always means "the default".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; numbers and booleans are taken as they are written.
    Text,
    /// Text that can stand in an HTTP header (RFC 9110 section 5.5).
    HeaderValue,
    /// The same, or `false` or `off` for none.
    HeaderValueOrOff,
    /// The name of an HTTP header (RFC 9110 section 5.1).
    HeaderName,
    /// An `http:` or `https:` URL.
    HttpUrl,
    /// `true` or `false`.
    Flag,
    /// A whole number from `min` to `max`.
    Number {
        /// The smallest value taken.
        min: u64,
        /// The largest value taken.
        max: u64,
    },
    /// A whole number from 1 to `max`, or `off`, `false` or 0 for none.
    NumberOrOff {
        /// The largest value taken.
        max: u64,
    },
    /// A whole number from `min` to `max`, or `auto` for what the program finds fit.
    NumberOrAuto {
        /// The smallest value taken.
        min: u64,
        /// The largest value taken.
        max: u64,
    },
    /// An IP address, `localhost`, or `all`.
    Interface,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words; `true` and `false`, which earlier versions took, mean two of them.
    ChoiceOrFlag {
        /// The words.
        words: &'static [&'static str],
        /// What `true` means.
        on: &'static str,
        /// What `false` means.
        off: &'static str,
    },
    /// A list of names.
    Names,
    /// A list of names, or `all`.
    NamesOrAll,
    /// A list of IP networks (`10.0.0.0/8`) or single addresses.
    Networks,
    /// A map of librdkafka properties.
    Properties,
    /// A map of domains, each with a list of page titles.
    RedactedPages,
    /// A map of stream names, each with a map of settings.
    Streams,
    /// `headers` (a map) and `timeout` (milliseconds) of requests to a URL.
    UriOptions,
    /// The service runner's `logging`: only `level` means something.
    Logging,
    /// The service runner's `metrics`: a list of reporters; only the port of the one of type `prometheus` means something.
    Metrics,
    /// Known from the Node service, without meaning here: named once at start.
    Ignored,
}

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal"];
const GIB: u64 = 1 << 30;
const HOUR_MS: u64 = 3_600_000;
const DAY_S: u64 = 86_400;

const fn conf(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        place: Place::Conf,
        kind,
        default,
        example: None,
        doc,
    }
}

const fn top(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        place: Place::Top,
        kind,
        default,
        example: None,
        doc,
    }
}

const fn ignored(name: &'static str, place: Place) -> Key {
    Key {
        name,
        place,
        kind: Kind::Ignored,
        default: "null",
        example: None,
        doc: "No meaning here; named once at start.",
    }
}

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

impl Key {
    const fn shown_as(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }
}

/// Levels that `logging.level` takes; `fatal` is the Node service's and means `error`.
pub(super) const fn levels() -> &'static [&'static str] {
    LEVELS
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Every key of the file.
pub static KEYS: &[Key] = &[
    top(
        "service_name",
        Kind::Text,
        "eventstreams",
        "Name of the service in logs, metrics and `/_info`.",
    ),
    top(
        "logging",
        Kind::Logging,
        "{level: info}",
        "Level of the log: trace, debug, info, warn or error.",
    ),
    top(
        "metrics",
        Kind::Metrics,
        "null",
        "The service runner's list of reporters; the port of `prometheus` is `admin_port`.",
    ),
    ignored("num_workers", Place::Top),
    ignored("worker_heap_limit_mb", Place::Top),
    ignored("worker_heartbeat_timeout", Place::Top),
    ignored("worker_startup_timeout", Place::Top),
    ignored("ratelimiter", Place::Top),
    ignored("package", Place::Top),
    ignored("info", Place::Top),
    ignored("tracing", Place::Top),
    // Where to listen.
    conf(
        "port",
        number(0, 65_535),
        "8092",
        "TCP port of the public service; 0 takes any free one.",
    ),
    conf(
        "interface",
        Kind::Interface,
        "all",
        "IP address to listen on; `all` is IPv6 and IPv4.",
    ),
    conf(
        "admin_port",
        Kind::NumberOrOff { max: 65_535 },
        "9102",
        "TCP port of metrics and health; `off` for none.",
    ),
    conf(
        "admin_interface",
        Kind::Interface,
        "all",
        "IP address that metrics and health listen on.",
    ),
    // What answers say.
    conf(
        "cors",
        Kind::HeaderValueOrOff,
        "'*'",
        "The header `access-control-allow-origin`; `off` for none.",
    ),
    conf(
        "csp",
        Kind::HeaderValueOrOff,
        "\"default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'\"",
        "The header `content-security-policy`; `off` for none.",
    ),
    conf(
        "user_agent",
        Kind::HeaderValue,
        "eventstreams",
        "Our name towards Kafka (client.id) and HTTP servers.",
    ),
    conf(
        "stream_ui_enabled",
        Kind::Flag,
        "true",
        "Serve the web page at `/v2/ui/`.",
    ),
    conf(
        "heartbeat_ms",
        number(100, HOUR_MS),
        "15000",
        "Milliseconds of silence after which a comment is sent to a subscriber.",
    ),
    // Who may connect, and how often.
    conf(
        "client_ip_connection_limit",
        Kind::NumberOrOff { max: 1_000_000 },
        "off",
        "Simultaneous streams for one client address.",
    ),
    conf(
        "streams_max",
        Kind::NumberOrOff { max: 1_000_000 },
        "off",
        "Simultaneous streams of all clients; further ones get 429.",
    ),
    conf(
        "client_ip_header",
        Kind::HeaderName,
        "x-client-ip",
        "Header in which the edge names the client's address.",
    ),
    conf(
        "trusted_proxies",
        Kind::Networks,
        "[]",
        "IP networks whose `client_ip_header` is believed; empty: everyone's.",
    ),
    conf(
        "request_rate_limit",
        Kind::NumberOrOff { max: 1_000_000 },
        "off",
        "New requests a second for one client address.",
    ),
    conf(
        "require_user_agent",
        Kind::Flag,
        "false",
        "Refuse stream requests without a usable User-Agent.",
    ),
    conf(
        "compression",
        Kind::ChoiceOrFlag {
            words: &["auto", "always", "off"],
            on: "auto",
            off: "off",
        },
        "auto",
        "Compress streams: `auto`, for clients that surely undo it while they read; `always`, by `Accept-Encoding`; or `off`.",
    ),
    conf(
        "connections_max",
        number(1, 1_000_000),
        "20000",
        "Simultaneous connections of all clients.",
    ),
    conf(
        "connections_per_address_max",
        Kind::NumberOrOff { max: 1_000_000 },
        "10000",
        "Connections and HTTP/2 streams of one peer address; peers in `trusted_proxies` have no bound.",
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
    // Which streams there are.
    conf(
        "allowed_streams",
        Kind::NamesOrAll,
        "null",
        "The public allowlist, a list of stream names; `all` or absent: all configured.",
    )
    .shown_as("[mediawiki.recentchange, mediawiki.page-create, test.event]"),
    conf(
        "stream_config_uri",
        Kind::Text,
        "null",
        "File path or http(s) URL of stream configuration (JSON or YAML).",
    )
    .shown_as("stream-config.yaml"),
    conf(
        "stream_config_uri_options",
        Kind::UriOptions,
        "{}",
        "`headers` and `timeout` (ms) of requests to that URL.",
    ),
    conf(
        "stream_config_object_path",
        Kind::Text,
        "null",
        "Dotted path to the map of streams inside what the URI returned.",
    )
    .shown_as("streams"),
    conf(
        "stream_config_ttl",
        number(0, 365 * DAY_S),
        "0",
        "Seconds between reloads; 0: only at start.",
    ),
    conf(
        "stream_config_cache_file",
        Kind::Text,
        "null",
        "Path that keeps the last good answer of the URL for starts without it.",
    ),
    conf(
        "stream_config_defaults",
        Kind::Streams,
        "{}",
        "Stream settings merged deep UNDER what the URI returned.",
    )
    .shown_as("{mediawiki.recentchange: {stream_aliases: [recentchange]}}"),
    conf(
        "stream_config_overrides",
        Kind::Streams,
        "{}",
        "Stream settings merged deep OVER it (per datacenter).",
    ),
    conf(
        "mediawiki_redacted_pages",
        Kind::RedactedPages,
        "{}",
        "Domains, each with page titles whose editors are not shown.",
    )
    .shown_as("{en.wikipedia.org: [An example page]}"),
    conf(
        "schema_base_uris",
        Kind::Names,
        "[]",
        "Where the schemas of streams are read for the documentation.",
    ),
    conf(
        "schema_latest_version",
        Kind::Text,
        "latest",
        "The schema version read for a stream.",
    ),
    conf(
        "schema_uri_options",
        Kind::UriOptions,
        "{}",
        "`headers` and `timeout` (ms) of requests for schemas.",
    ),
    // Kafka.
    conf(
        "kafka",
        Kind::Properties,
        "{}",
        "librdkafka properties, verbatim.",
    )
    .shown_as("{metadata.broker.list: 'localhost:9092'}"),
    conf(
        "live_reach_back_ms",
        number(0, 24 * HOUR_MS),
        "300000",
        "Milliseconds of the past that are read into memory at start.",
    ),
    conf(
        "metadata_refresh_ms",
        number(100, HOUR_MS),
        "10000",
        "Milliseconds between looks for new topics and partitions.",
    ),
    conf(
        "replay_consumers_max",
        number(1, 64),
        "4",
        "Kafka consumers that read the past for subscribers.",
    ),
    conf(
        "replay_places_max",
        number(1, 10_000),
        "64",
        "Subscribers that may read the past out of Kafka at once.",
    ),
    conf(
        "replay_places_per_client_max",
        Kind::NumberOrOff { max: 10_000 },
        "16",
        "Such places that one client address may have; `off` for all.",
    ),
    conf(
        "replay_queue_max",
        number(0, 1_000_000),
        "256",
        "Clients that may wait for such a place; further ones get 503.",
    ),
    // Memory and time.
    conf(
        "memory_log_bytes_max",
        number(1 << 20, 1024 * GIB),
        "268435456",
        "Bytes of recent events kept for those who come back.",
    ),
    conf(
        "memory_bytes_max",
        Kind::NumberOrAuto {
            min: 1 << 20,
            max: 1024 * GIB,
        },
        "auto",
        "Bytes of memory for what clients cause; `auto`: half of what the container, or the machine, has beside the memory log.",
    ),
    conf(
        "feed_bytes_max",
        number(1 << 16, 16 * GIB),
        "1048576",
        "Bytes of rendered frames kept for each set of streams.",
    ),
    conf(
        "event_bytes_max",
        number(1 << 10, GIB),
        "10485760",
        "Bytes of the largest event delivered; larger ones are skipped.",
    ),
    conf(
        "drain_delay_ms",
        number(0, HOUR_MS),
        "5000",
        "Milliseconds that `/readyz` is 503 at shutdown before the port closes and streams end.",
    ),
    conf(
        "drain_ms",
        number(0, HOUR_MS),
        "10000",
        "Milliseconds over which streams are ended at shutdown.",
    ),
    conf(
        "batch_wait_max_ms",
        number(0, 10_000),
        "20",
        "Milliseconds that live events may wait under load, so that a write carries more of them; 0: never.",
    ),
    conf(
        "write_timeout_ms",
        number(100, HOUR_MS),
        "60000",
        "Milliseconds a client may not read before it is disconnected.",
    ),
    conf(
        "request_head_timeout_ms",
        number(100, HOUR_MS),
        "10000",
        "Milliseconds a client may take to send a request's head.",
    ),
    conf(
        "request_head_bytes_max",
        number(8192, 16 << 20),
        "65536",
        "Bytes of a request's head; Last-Event-ID must fit.",
    ),
    // What is told about ourselves.
    conf(
        "log_format",
        Kind::Choice(&["auto", "json", "text"]),
        "auto",
        "`json` (ECS), `text`, or `auto`: text on a terminal.",
    ),
    conf(
        "log_client_addresses",
        Kind::Flag,
        "false",
        "Name the client's address in the log's line of each stream that ends.",
    ),
    conf(
        "otlp_endpoint",
        Kind::HttpUrl,
        "null",
        "URL of an OpenTelemetry collector (OTLP); absent: no traces.",
    ),
    ignored("spec", Place::Conf),
    ignored("compression_level", Place::Conf),
    ignored("max_body_size", Place::Conf),
    ignored("log_header_whitelist", Place::Conf),
    ignored("proxy", Place::Conf),
    ignored("no_proxy_list", Place::Conf),
    ignored("mwapi_req", Place::Conf),
    ignored("restbase_req", Place::Conf),
];
