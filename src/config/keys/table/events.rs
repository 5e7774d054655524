//! The rows of what the service reads and how much it holds: streams, Kafka, memory, time.

use super::super::{Key, Section, ValueKind, conf, ignored, number};
use super::{DAY_S, GIB, HOUR_MS};

pub(super) const KEYS: &[Key] = &[
    // Streams.
    conf(
        "allowed_streams",
        ValueKind::NamesOrAll,
        "null",
        "The public streams, a list of names; `all` or absent: all configured streams.",
    )
    .with_example("[mediawiki.recentchange, mediawiki.page-create, test.event]"),
    conf(
        "stream_config_uri",
        ValueKind::Text,
        "null",
        "File path or http(s) URL of the stream configuration (JSON or YAML).",
    )
    .with_example("stream-config.yaml"),
    conf(
        "stream_config_uri_options",
        ValueKind::UriOptions,
        "{}",
        "`headers` and `timeout` (ms) of requests to that URL.",
    ),
    conf(
        "stream_config_object_path",
        ValueKind::Text,
        "null",
        "Dotted path to the map of streams in the stream configuration.",
    )
    .with_example("streams"),
    conf(
        "stream_config_ttl",
        number(0, 365 * DAY_S),
        "0",
        "Seconds between reloads; 0: read it only at startup.",
    ),
    conf(
        "stream_config_cache_file",
        ValueKind::Text,
        "null",
        "File that caches the last good response of the URL, for when it does not answer.",
    ),
    conf(
        "stream_config_defaults",
        ValueKind::Streams,
        "{}",
        "Stream settings merged deeply under those of `stream_config_uri`.",
    )
    .with_example("{mediawiki.recentchange: {stream_aliases: [recentchange]}}"),
    conf(
        "stream_config_overrides",
        ValueKind::Streams,
        "{}",
        "Stream settings merged deeply over them (per datacenter).",
    ),
    conf(
        "mediawiki_redacted_pages",
        ValueKind::RedactedPages,
        "{}",
        "Domains, each with titles of pages whose editors are not shown.",
    )
    .with_example("{en.wikipedia.org: [An example page]}"),
    conf(
        "filters",
        ValueKind::Filters,
        "{}",
        "Filters by name; clients request one with `filter=@name`.",
    )
    .with_example("{humans: '!event.bot'}"),
    conf(
        "canary_events",
        ValueKind::Flag,
        "true",
        "Send canary events to clients that do not request `canary=false`.",
    ),
    conf(
        "schema_base_uris",
        ValueKind::Names,
        "[]",
        "Where the schemas of streams are read.",
    ),
    conf(
        "schema_latest_version",
        ValueKind::Text,
        "latest",
        "Version of a schema that is read.",
    ),
    conf(
        "schema_uri_options",
        ValueKind::UriOptions,
        "{}",
        "`headers` and `timeout` (ms) of requests for schemas.",
    ),
    // Kafka.
    conf(
        "kafka",
        ValueKind::Properties,
        "{}",
        "librdkafka properties, passed on verbatim.",
    )
    .with_example("{metadata.broker.list: 'localhost:9092'}"),
    conf(
        "live_reach_back_ms",
        number(0, 24 * HOUR_MS),
        "300000",
        "Milliseconds of history that are read into memory at startup.",
    ),
    conf(
        "metadata_refresh_ms",
        number(100, HOUR_MS),
        "10000",
        "Milliseconds between two checks for new topics and partitions.",
    ),
    conf(
        "replay_consumers_max",
        number(1, 64),
        "4",
        "Kafka consumers that read history for subscribers.",
    ),
    conf(
        "replay_places_max",
        number(1, 10_000),
        "64",
        "Subscribers that may read history from Kafka at the same time.",
    ),
    conf(
        "replay_places_per_client_max",
        ValueKind::NumberOrOff { max: 10_000 },
        "16",
        "The same for one client address; `off` for no limit of its own.",
    ),
    conf(
        "replay_queue_max",
        number(0, 1_000_000),
        "256",
        "Subscribers that may wait to read history; further ones get 503.",
    ),
    // Memory and time.
    conf(
        "memory_log_bytes_max",
        number(1 << 20, 1024 * GIB),
        "268435456",
        "Bytes of recent events in memory, for clients that resume.",
    ),
    conf(
        "memory_bytes_max",
        ValueKind::NumberOrAuto {
            min: 1 << 20,
            max: 1024 * GIB,
        },
        "auto",
        "Bytes of all memory that clients cause; `auto`: half of what the container, or the \
         machine, has besides the memory log.",
    ),
    conf(
        "feeds_bytes_max",
        ValueKind::NumberOrAuto {
            min: 1 << 16,
            max: 1024 * GIB,
        },
        "auto",
        "Bytes of rendered frames kept for all sets of streams together; `auto`: half of \
         `memory_bytes_max`.",
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
        "Milliseconds at shutdown for which `/readyz` is 503 before the port closes and streams \
         end.",
    ),
    conf(
        "drain_ms",
        number(0, HOUR_MS),
        "10000",
        "Milliseconds over which the ends of streams are spread at shutdown.",
    ),
    conf(
        "batch_wait_max_ms",
        number(0, 10_000),
        "20",
        "Milliseconds that live events may wait under load, so that one write carries more of \
         them; 0: never.",
    ),
    conf(
        "write_timeout_ms",
        number(100, HOUR_MS),
        "60000",
        "Milliseconds without progress after which a client is disconnected.",
    ),
    conf(
        "request_head_timeout_ms",
        number(100, HOUR_MS),
        "10000",
        "Milliseconds that a client may take to send the head of a request.",
    ),
    conf(
        "request_head_bytes_max",
        number(8192, 16 << 20),
        "65536",
        "Bytes of the head of a request; `Last-Event-ID` must fit.",
    ),
    // Logs and traces.
    conf(
        "log_format",
        ValueKind::Choice(&["auto", "json", "text"]),
        "auto",
        "`json` (ECS), `text`, or `auto`: text on a terminal, else JSON.",
    ),
    conf(
        "log_client_addresses",
        ValueKind::Flag,
        "false",
        "Log the address of the client when a stream ends.",
    ),
    conf(
        "otlp_endpoint",
        ValueKind::HttpUrl,
        "null",
        "URL of an OpenTelemetry collector (OTLP); absent: no traces.",
    ),
    ignored("spec", Section::Conf),
    ignored("compression_level", Section::Conf),
    ignored("max_body_size", Section::Conf),
    ignored("log_header_whitelist", Section::Conf),
    ignored("proxy", Section::Conf),
    ignored("no_proxy_list", Section::Conf),
    ignored("mwapi_req", Section::Conf),
    ignored("restbase_req", Section::Conf),
];
