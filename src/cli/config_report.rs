//! The report of `check-config` on a configuration that can be used.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use crate::config::{Config, redacted_value};
use crate::stream::{Catalog, Stream, redacted_uri};

/// The configuration as the program understands it, without secrets.
pub fn report(config: &Config, catalog: &Catalog) -> String {
    let mut text = String::new();
    write_report(&mut text, config, catalog).expect("writing into a String cannot fail");
    text
}

fn write_report(out: &mut String, config: &Config, catalog: &Catalog) -> fmt::Result {
    writeln!(out, "service       {}", config.service_name)?;
    writeln!(
        out,
        "listens on    {}",
        first_address(&config.http.listen())
    )?;
    writeln!(
        out,
        "admin         {}",
        first_address(&config.http.admin_listen())
    )?;
    writeln!(out, "log level     {}", config.logging.level.as_str())?;
    writeln!(
        out,
        "brokers       {}",
        config
            .kafka
            .brokers()
            .unwrap_or("none: set kafka's metadata.broker.list, or --brokers")
    )?;
    write_streams(out, config, catalog)?;
    write_kafka(out, config)?;
    write_limits(out, config)?;
    writeln!(out, "\nredacted pages")?;
    if config.redacted_pages.is_empty() {
        writeln!(out, "  none")?;
    }
    for (domain, titles) in &config.redacted_pages {
        writeln!(out, "  {domain}: {}", titles.len())?;
    }
    let filters = config.filters.named.iter();
    let filters: Vec<_> = filters
        .map(|(name, filter)| format!("@{name}: {filter}"))
        .collect();
    write_list(out, "filters", &filters)?;
    write_list(out, "overridden by the environment", &config.env_overrides)?;
    write_list(out, "recognised but ignored", &config.ignored_keys)?;
    write_list(out, "warnings", catalog.warnings())
}

fn first_address(addresses: &[SocketAddr]) -> String {
    addresses
        .first()
        .map_or_else(|| "off".to_owned(), ToString::to_string)
}

fn write_streams(out: &mut String, config: &Config, catalog: &Catalog) -> fmt::Result {
    let from = config
        .streams
        .uri
        .as_deref()
        .map_or_else(|| "this file".to_owned(), redacted_uri);
    writeln!(
        out,
        "\nstreams: {}, of {} topics, configured in {from}",
        catalog.streams().count(),
        catalog.topics().len()
    )?;
    let rows: Vec<_> = catalog.streams().map(|stream| row(stream)).collect();
    let widths = [0, 1].map(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    for [name, aliases, topics] in rows {
        writeln!(
            out,
            "  {name:0$}  {aliases:1$}  {topics}",
            widths[0], widths[1]
        )?;
    }
    Ok(())
}

/// Name, aliases, topics. Topics that only an id may name are in brackets.
fn row(stream: &Stream) -> [String; 3] {
    let aliases = if stream.aliases.is_empty() {
        "-".to_owned()
    } else {
        stream.aliases.join(", ")
    };
    let topics = stream.topics_allowed.iter().map(|topic| {
        if stream.topics.contains(topic) {
            topic.to_string()
        } else {
            format!("[{topic}]")
        }
    });
    [
        stream.name.to_string(),
        aliases,
        topics.collect::<Vec<_>>().join(" "),
    ]
}

fn write_kafka(out: &mut String, config: &Config) -> fmt::Result {
    writeln!(out, "\nkafka")?;
    for (name, value) in &config.kafka.properties {
        writeln!(out, "  {name} = {}", redacted_value(name, value))?;
    }
    Ok(())
}

fn auto_or(bytes: Option<usize>) -> String {
    bytes.map_or_else(|| "auto".to_owned(), |bytes| bytes.to_string())
}

fn off_or(limit: Option<impl ToString>) -> String {
    limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string())
}

fn write_limits(out: &mut String, config: &Config) -> fmt::Result {
    let (http, kafka, limits) = (&config.http, &config.kafka, &config.limits);
    let filters = &config.filters;
    writeln!(out, "\nlimits")?;
    for (name, value) in [
        (
            "client_ip_connection_limit",
            off_or(http.client_ip_connection_limit),
        ),
        ("streams_max", off_or(http.streams_max)),
        ("request_rate_limit", off_or(http.request_rate_limit)),
        ("filters_max", filters.filters_max.to_string()),
        (
            "filters_per_client_max",
            off_or(filters.filters_per_client_max),
        ),
        (
            "unindexed_filters_max",
            filters.unindexed_filters_max.to_string(),
        ),
        ("connections_max", limits.connections_max.to_string()),
        (
            "connections_per_address_max",
            off_or(limits.connections_per_address_max),
        ),
        ("http2_streams_max", limits.http2_streams_max.to_string()),
        (
            "streams_per_request_max",
            limits.streams_per_request_max.to_string(),
        ),
        ("heartbeat_ms", http.heartbeat_ms.to_string()),
        ("live_reach_back_ms", kafka.live_reach_back_ms.to_string()),
        ("metadata_refresh_ms", kafka.metadata_refresh_ms.to_string()),
        (
            "replay_consumers_max",
            kafka.replay_consumers_max.to_string(),
        ),
        ("replay_places_max", kafka.replay_places_max.to_string()),
        (
            "replay_places_per_client_max",
            off_or(kafka.replay_places_per_client_max),
        ),
        ("replay_queue_max", kafka.replay_queue_max.to_string()),
        (
            "memory_log_bytes_max",
            limits.memory_log_bytes_max.to_string(),
        ),
        ("memory_bytes_max", auto_or(limits.memory_bytes_max)),
        ("feeds_bytes_max", auto_or(limits.feeds_bytes_max)),
        ("event_bytes_max", limits.event_bytes_max.to_string()),
        ("drain_delay_ms", limits.drain_delay_ms.to_string()),
        ("drain_ms", limits.drain_ms.to_string()),
        ("batch_wait_max_ms", limits.batch_wait_max_ms.to_string()),
        ("write_timeout_ms", limits.write_timeout_ms.to_string()),
        (
            "request_head_timeout_ms",
            limits.request_head_timeout_ms.to_string(),
        ),
        (
            "request_head_bytes_max",
            limits.request_head_bytes_max.to_string(),
        ),
    ] {
        writeln!(out, "  {name} = {value}")?;
    }
    Ok(())
}

fn write_list(out: &mut String, title: &str, entries: &[impl fmt::Display]) -> fmt::Result {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    entries
        .iter()
        .try_for_each(|entry| writeln!(out, "  {entry}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_report_shows_everything_except_secrets() {
        let file = "
            service_name: streams
            port: 8093
            admin_port: off
            num_workers: 0
            allowed_streams: [mediawiki.recentchange, twice.v1, gone]
            client_ip_connection_limit: 2
            mediawiki_redacted_pages: {ru.wikipedia.org: [a, b]}
            kafka:
              metadata.broker.list: kafka1:9093
              sasl.password: hunter2
              ssl.key.password: hunter3
        ";
        let env = [("EVENTSTREAMS__DRAIN_MS".to_owned(), "5000".to_owned())];
        let config = Config::parse(file, env.into_iter()).unwrap();
        let document = json!({
            "mediawiki.recentchange": {
                "topic_prefixes": ["eqiad.", "codfw."],
                "stream_aliases": ["recentchange"],
            },
            "twice.v1": {"topics": ["eqiad.twice"], "topics_allowed": ["codfw.twice"]},
        });
        let text = report(
            &config,
            &Catalog::build(&document, &config.streams).unwrap(),
        );
        for line in [
            "listens on    [::]:8093",
            "admin         off",
            "brokers       kafka1:9093",
            "streams: 2, of 4 topics, configured in this file",
            "  mediawiki.recentchange  recentchange  eqiad.mediawiki.recentchange \
             codfw.mediawiki.recentchange",
            "  twice.v1                -             eqiad.twice [codfw.twice]",
            "  sasl.password = (not shown)",
            "  client_ip_connection_limit = 2",
            "  drain_ms = 5000",
            "  ru.wikipedia.org: 2",
            "  EVENTSTREAMS__DRAIN_MS",
            "  num_workers",
            "  stream gone is in allowed_streams but is not configured: it is not served",
        ] {
            assert!(
                text.lines().any(|reported| reported == line),
                "{line:?} is missing in\n{text}"
            );
        }
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn the_report_shows_every_limit_in_the_table() {
        let config = Config::parse("stream_config_defaults: {a: {}}", std::iter::empty()).unwrap();
        let catalog = Catalog::build(&serde_json::Value::Null, &config.streams).unwrap();
        let text = report(&config, &catalog);
        let is_limit = |name: &str| {
            ["_max", "_ms", "_limit"]
                .iter()
                .any(|unit| name.ends_with(unit))
        };
        for key in crate::config::KEYS.iter().filter(|key| is_limit(key.name)) {
            assert!(
                text.contains(&format!("  {} = {}\n", key.name, key.default)),
                "{} is missing in\n{text}",
                key.name
            );
        }
    }
}
