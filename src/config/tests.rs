//! Tests of what an operator may write, and how it is understood.

mod environment;
mod files;
mod generated;
mod table;
mod values;

use serde_json::{Value, json};

use super::*;

/// The shape of the file that the Node service's chart renders, shortened.
const RENDERED: &str = r"
service_name: eventstreams
num_workers: 0
worker_heap_limit_mb: 750
logging:
  level:  warn
  streams:
    - type: stdout
      named_levels: true
metrics:
  - type: prometheus
    port: 9103
services:
  - name: eventstreams
    module: app.js
    conf:
      port: 8093
      cors: '*'
      spec: ./spec.yaml
      user_agent: eventstreams-example
      allowed_streams:
      - mediawiki.recentchange
      - test.event
      client_ip_connection_limit: 2
      kafka:
        fetch.message.max.bytes: 10485760
        metadata.broker.list: kafka1.example.org:9093,kafka2.example.org:9093
        security.protocol: ssl
        ssl.sigalgs.list: ECDSA+SHA256
        enable.auto.commit: true
        api.version.request: true
      mediawiki_redacted_pages:
        ru.wikipedia.org:
        - Пример (фильм)
        - 1984
        - 007
      schema_base_uris:
      - http://localhost:6023/repositories/primary/jsonschema
      stream_config_defaults:
        test.event:
          stream_aliases:
          - test
      stream_config_object_path: streams
      stream_config_overrides:
        test.event:
          topics:
          - eqiad.test.event
      stream_config_ttl: 0
      stream_config_uri: http://localhost:6500/w/api.php?format=json&action=streamconfigs
      stream_config_uri_options:
        headers:
          Host: meta.example.org
      stream_ui_enabled: true
";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, std::iter::empty())
}

fn parse_with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(
        text,
        env.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn errors(text: &str) -> String {
    parse(text).expect_err("the file is wrong").to_string()
}

#[test]
fn the_file_that_the_chart_renders_is_read_unchanged() {
    let config = parse(RENDERED).unwrap();
    assert_eq!(config.service_name, "eventstreams");
    assert_eq!(
        config.logging,
        Logging {
            level: Level::Warn,
            format: LogFormat::Auto
        }
    );
    assert_eq!(
        (config.http.port, config.http.admin_port),
        (8093, Some(9103))
    );
    assert_eq!(config.http.client_ip_connection_limit, Some(2));
    assert_eq!(
        config.streams.allowed_streams.unwrap(),
        ["mediawiki.recentchange", "test.event"]
    );
    assert_eq!(
        config.streams.uri.unwrap(),
        "http://localhost:6500/w/api.php?format=json&action=streamconfigs"
    );
    assert_eq!(
        config.streams.uri_options.headers,
        [("Host".to_owned(), "meta.example.org".to_owned())].into()
    );
    assert_eq!(config.streams.object_path.unwrap(), "streams");
    assert_eq!(
        Value::from(config.streams.overrides),
        json!({"test.event": {"topics": ["eqiad.test.event"]}})
    );
    assert_eq!(
        config.redacted_pages["ru.wikipedia.org"],
        ["Пример (фильм)", "1984", "007"]
    );
    assert_eq!(
        config.schemas.base_uris,
        ["http://localhost:6023/repositories/primary/jsonschema"]
    );
}

#[test]
fn known_keys_without_effect_are_named() {
    let config = parse(RENDERED).unwrap();
    let expected = [
        "num_workers",
        "worker_heap_limit_mb",
        "services[0].module",
        "services[0].conf.spec",
        "logging.streams",
        "services[0].conf.kafka.enable.auto.commit",
    ];
    assert_eq!(config.ignored_keys, expected);
}

#[test]
fn kafka_properties_are_text_and_two_have_defaults() {
    let properties = parse(RENDERED).unwrap().kafka.properties;
    let expected = [
        ("api.version.request", "true"),
        ("client.id", "eventstreams-example"),
        ("fetch.message.max.bytes", "10485760"),
        ("group.id", "eventstreams"),
        (
            "metadata.broker.list",
            "kafka1.example.org:9093,kafka2.example.org:9093",
        ),
        ("security.protocol", "ssl"),
        ("ssl.sigalgs.list", "ECDSA+SHA256"),
    ];
    assert_eq!(
        properties,
        expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    );
}

#[test]
fn own_kafka_properties_are_named_and_ignored() {
    for OwnProperty { name, .. } in OWN_PROPERTIES {
        let config = parse(&format!("kafka: {{'{name}': x}}")).unwrap();
        assert_eq!(config.ignored_keys, [format!("kafka.{name}")]);
        assert!(!config.kafka.properties.contains_key(*name), "{name}");
    }
}

#[test]
fn the_brokers_have_one_name() {
    assert_eq!(
        parse("kafka: {bootstrap.servers: 'a:1'}")
            .unwrap()
            .kafka
            .brokers(),
        Some("a:1")
    );
    assert!(
        errors("kafka: {bootstrap.servers: 'a:1', metadata.broker.list: 'b:1'}")
            .contains("another name for metadata.broker.list")
    );
    let config = parse_with(
        "kafka: {bootstrap.servers: 'a:1'}",
        &[("EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST", "b:1")],
    )
    .unwrap();
    assert_eq!(config.kafka.brokers(), Some("b:1"));
}

#[test]
fn a_plain_file_has_all_keys_at_its_top() {
    let config =
        parse("port: 0\nservice_name: streams\nlogging: {level: fatal}\nadmin_port: off\n")
            .unwrap();
    assert_eq!((config.http.port, config.http.admin_port), (0, None));
    assert_eq!(
        (config.service_name.as_str(), config.logging.level),
        ("streams", Level::Error)
    );
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = parse("").unwrap();
    assert_eq!(
        (
            config.http.port,
            config.http.admin_port,
            config.http.client_ip_connection_limit
        ),
        (8092, Some(9102), None)
    );
    assert_eq!(
        config.http.listen(),
        ["[::]:8092", "0.0.0.0:8092"].map(|address| address.parse().unwrap())
    );
    assert_eq!(
        (config.streams.allowed_streams, config.streams.uri),
        (None, None)
    );
    assert_eq!(
        (config.limits.event_bytes_max, config.http.heartbeat_ms),
        (10_485_760, 15_000)
    );
}

#[test]
fn an_empty_value_is_the_default() {
    let config =
        parse("port:\nkafka: ~\nallowed_streams: null\nmediawiki_redacted_pages:\n").unwrap();
    assert_eq!(config, parse("").unwrap());
}

#[test]
fn zero_and_off_are_no_limit() {
    for off in ["0", "off", "false", "null", "'off'"] {
        assert_eq!(
            parse(&format!("client_ip_connection_limit: {off}"))
                .unwrap()
                .http
                .client_ip_connection_limit,
            None,
            "{off}"
        );
    }
}

#[test]
fn an_unknown_key_is_an_error_with_line_and_nearest_key() {
    let long = format!("allowed_stream{}", "x".repeat(1_000));
    for (wrong, near) in [
        ("prot", "port"),
        ("allowed_stream", "allowed_streams"),
        ("stream_config_url", "stream_config_uri"),
        (&long, "allowed_streams"),
    ] {
        assert_eq!(
            errors(&format!("cors: '*'\n{wrong}: 1\n")),
            format!("line 2, {wrong}: unknown key; the nearest valid key is `{near}`")
        );
    }
    let text = RENDERED
        .replace("      stream_ui_enabled", "      stream_ui_enable")
        .replace("    module", "    modul");
    let expected = "line 15, services[0].modul: unknown key; the nearest valid key is `module`\n\
                    line 53, services[0].conf.stream_ui_enable: unknown key; \
                    the nearest valid key is `stream_ui_enabled`";
    assert_eq!(errors(&text), expected);
}

#[test]
fn unknown_keys_in_nested_maps_are_errors_too() {
    assert!(errors("logging: {levle: info}").contains("the nearest valid key is `level`"));
    assert!(
        errors("stream_config_uri_options: {header: {}}")
            .contains("the nearest valid key is `headers`")
    );
}

#[test]
fn a_key_in_the_wrong_section_is_an_error_that_names_the_right_one() {
    let expected = "line 1, port: this key belongs in `services[0].conf`\n\
                    line 3, services[0].conf.logging: this key belongs at the top of the file";
    assert_eq!(
        errors("port: 1\nservices:\n- conf: {logging: {level: info}}\n"),
        expected
    );
}

#[test]
fn all_errors_of_a_file_are_reported_together() {
    let text = "port: 70000\ncors: \"a\\nb\"\nheartbeat_ms: 1.5\nlog_format: xml\n\
                trusted_proxies: [10.0.0.0/8, here]\nkafka: [a]\n";
    let expected = "line 1, port: must be a whole number from 0 to 65535, not 70000\n\
                    line 2, cors: \"a\\nb\" is not a valid HTTP header value\n\
                    line 3, heartbeat_ms: must be a whole number from 100 to 3600000, not 1.5\n\
                    line 4, log_format: must be one of auto, json, text; not \"xml\"\n\
                    line 5, trusted_proxies[1]: must be an IP address or a network such as \
                    10.0.0.0/8, not \"here\"\n\
                    line 6, kafka: must be a map of librdkafka properties, not a list";
    assert_eq!(errors(text), expected);
}

#[test]
fn a_key_given_twice_is_an_error_with_the_line() {
    assert!(
        errors("port: 1\nport: 2\n").starts_with("line 2: "),
        "{}",
        errors("port: 1\nport: 2\n")
    );
}

#[test]
fn a_file_must_be_a_map_of_one_service() {
    assert_eq!(errors("- a\n"), "the file is not a map of keys");
    assert_eq!(
        errors("services: []"),
        "line 1, services: must be a list of one service, not of 0"
    );
}
