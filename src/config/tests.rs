//! Sentences about what an operator may type and what becomes of it.

mod environment;
mod files;
mod table;

use proptest::prelude::*;
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

fn told(text: &str) -> String {
    parse(text).expect_err("the file is wrong").to_string()
}

#[test]
fn the_file_that_the_chart_renders_is_taken_unchanged() {
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
fn known_keys_without_meaning_are_named() {
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
fn kafka_properties_are_text_for_librdkafka_and_ours_have_defaults() {
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
fn kafka_properties_that_are_ours_are_named_and_not_taken() {
    for (name, _) in OWN_PROPERTIES {
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
        told("kafka: {bootstrap.servers: 'a:1', metadata.broker.list: 'b:1'}")
            .contains("another name of metadata.broker.list")
    );
    let config = parse_with(
        "kafka: {bootstrap.servers: 'a:1'}",
        &[("EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST", "b:1")],
    )
    .unwrap();
    assert_eq!(config.kafka.brokers(), Some("b:1"));
}

#[test]
fn a_plain_file_holds_the_keys_of_conf_and_the_top_ones() {
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
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_valid_key() {
    let long = format!("allowed_stream{}", "x".repeat(1_000));
    for (wrong, near) in [
        ("prot", "port"),
        ("allowed_stream", "allowed_streams"),
        ("stream_config_url", "stream_config_uri"),
        (&long, "allowed_streams"),
    ] {
        assert_eq!(
            told(&format!("cors: '*'\n{wrong}: 1\n")),
            format!("line 2, {wrong}: unknown key; the nearest valid key is `{near}`")
        );
    }
    let text = RENDERED
        .replace("      stream_ui_enabled", "      stream_ui_enable")
        .replace("    module", "    modul");
    let expected = "line 15, services[0].modul: unknown key; the nearest valid key is `module`\n\
                    line 53, services[0].conf.stream_ui_enable: unknown key; the nearest valid key is `stream_ui_enabled`";
    assert_eq!(told(&text), expected);
}

#[test]
fn unknown_keys_deeper_down_are_errors_too() {
    assert!(told("logging: {levle: info}").contains("the nearest valid key is `level`"));
    assert!(
        told("stream_config_uri_options: {header: {}}")
            .contains("the nearest valid key is `headers`")
    );
}

#[test]
fn a_key_at_the_other_place_of_the_rendered_file_says_where_it_belongs() {
    let expected = "line 1, port: this key belongs in `services[0].conf`\n\
                    line 3, services[0].conf.logging: this key belongs at the top of the file";
    assert_eq!(
        told("port: 1\nservices:\n- conf: {logging: {level: info}}\n"),
        expected
    );
}

#[test]
fn all_problems_of_a_file_are_told_together() {
    let text = "port: 70000\ncors: \"a\\nb\"\nheartbeat_ms: 1.5\nlog_format: xml\ntrusted_proxies: [10.0.0.0/8, here]\nkafka: [a]\n";
    let expected = "line 1, port: must be a whole number from 0 to 65535, is 70000\n\
                    line 2, cors: \"a\\nb\" cannot stand in an HTTP header\n\
                    line 3, heartbeat_ms: must be a whole number from 100 to 3600000, is 1.5\n\
                    line 4, log_format: must be one of auto, json, text; is \"xml\"\n\
                    line 5, trusted_proxies[1]: must be an IP network like 10.0.0.0/8 or an address, is \"here\"\n\
                    line 6, kafka: must be a map of librdkafka properties, is a list";
    assert_eq!(told(text), expected);
}

#[test]
fn bounds_are_part_of_what_is_taken() {
    for key in KEYS {
        let (min, max) = match key.kind {
            Kind::Number { min, max } => (min, max),
            Kind::NumberOrOff { max } => (1, max),
            _ => continue,
        };
        for (number, taken) in [(min, true), (max, true), (max + 1, false)] {
            assert_eq!(
                parse(&format!("{}: {number}", key.name)).is_ok(),
                taken,
                "{} {number}",
                key.name
            );
            assert_eq!(
                parse(&format!("{}: '{number}'", key.name)).is_ok(),
                taken,
                "{} '{number}'",
                key.name
            );
        }
        let below = parse(&format!("{}: {}", key.name, i128::from(min) - 1));
        assert_eq!(
            below.is_ok(),
            matches!(key.kind, Kind::NumberOrOff { .. }),
            "{} below {min}",
            key.name
        );
    }
}

#[test]
fn headers_of_answers_can_be_left_out() {
    let http = parse("cors: false\ncsp: off\n").unwrap().http;
    assert_eq!((http.cors, http.csp), (None, None));
}

#[test]
fn empty_text_is_nothing_where_nothing_is_the_default() {
    let streams =
        parse("stream_config_uri: ''\nstream_config_object_path: ''\notlp_endpoint: ''\n")
            .unwrap()
            .streams;
    assert_eq!((streams.uri, streams.object_path), (None, None));
}

#[test]
fn secrets_do_not_get_into_a_log() {
    let config = parse(
        "kafka: {sasl.password: hunter2}\nschema_uri_options: {headers: {Authorization: hunter2}}",
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(format!("{config:?}").contains("sasl.password"));
}

#[test]
fn a_url_of_a_collector_is_http() {
    assert_eq!(
        parse("otlp_endpoint: https://c:4318")
            .unwrap()
            .otlp_endpoint
            .as_deref(),
        Some("https://c:4318")
    );
    for wrong in ["c:4318", "http://", "ftp://c"] {
        assert!(
            told(&format!("otlp_endpoint: '{wrong}'")).contains("is no http:// or https:// URL"),
            "{wrong}"
        );
    }
}

#[test]
fn options_of_requests_are_headers_and_a_timeout() {
    let options =
        parse("stream_config_uri_options: {headers: {X-A: 1}, timeout: 500, method: get}").unwrap();
    assert_eq!(
        options.streams.uri_options,
        UriOptions {
            headers: [("X-A".to_owned(), "1".to_owned())].into(),
            timeout_ms: Some(500)
        }
    );
    assert_eq!(options.ignored_keys, ["stream_config_uri_options.method"]);
    for (wrong, expected) in [
        (
            "{headers: {'a b': x}}",
            "line 1, stream_config_uri_options.headers.a b: is no name of an HTTP header",
        ),
        (
            "{headers: {a: \"x\\ny\"}}",
            "line 1, stream_config_uri_options.headers.a: cannot stand in an HTTP header",
        ),
        (
            "{timeout: 0}",
            "line 1, stream_config_uri_options.timeout: must be milliseconds from 1 to 3600000, is 0",
        ),
    ] {
        assert_eq!(
            told(&format!("stream_config_uri_options: {wrong}")),
            expected
        );
    }
}

#[test]
fn streams_in_the_file_are_maps_of_settings() {
    assert_eq!(
        Value::from(
            parse("stream_config_defaults: {a: }")
                .unwrap()
                .streams
                .defaults
        ),
        json!({"a": {}})
    );
    assert!(
        told("stream_config_defaults: {a: [b]}")
            .contains("must be a map of the stream's settings, is a list")
    );
}

#[test]
fn a_key_given_twice_is_an_error_with_the_line() {
    assert!(
        told("port: 1\nport: 2\n").starts_with("line 2: "),
        "{}",
        told("port: 1\nport: 2\n")
    );
}

#[test]
fn a_file_that_is_no_map_or_has_no_one_service_says_so() {
    assert_eq!(told("- a\n"), "the file is not a map of keys");
    assert_eq!(
        told("services: []"),
        "line 1, services: must be a list with one service, has 0"
    );
}

#[test]
fn a_page_title_that_yaml_would_change_is_an_error() {
    for title in ["1.10", "Null", "true", "[a]", "''"] {
        let text = format!("mediawiki_redacted_pages:\n  en.wikipedia.org:\n  - {title}\n");
        assert!(
            told(&text).starts_with("line 3, mediawiki_redacted_pages.en.wikipedia.org[0]: "),
            "{title}"
        );
    }
}

#[test]
fn a_page_title_of_digits_is_redacted_under_its_written_name() {
    let titles = [
        "0x1F", "0o17", "0b11", "+5", "007", "1984", "'1.10'", "1_000", "12:30", "0",
    ];
    let expected = [
        "0x1F", "0o17", "0b11", "+5", "007", "1984", "1.10", "1_000", "12:30", "0",
    ];
    let list = titles.join(", ");
    let rendered = format!(
        "services:\n- conf:\n    mediawiki_redacted_pages: {{en.wikipedia.org: [{list}], de.wikipedia.org: }}\n"
    );
    let plain = format!("mediawiki_redacted_pages: {{en.wikipedia.org: [{list}]}}\n");
    for config in [
        parse(&rendered),
        parse(&plain),
        parse_with(
            "",
            &[(
                "EVENTSTREAMS__MEDIAWIKI_REDACTED_PAGES",
                &format!("{{en.wikipedia.org: [{list}]}}"),
            )],
        ),
    ] {
        assert_eq!(config.unwrap().redacted_pages["en.wikipedia.org"], expected);
    }
}

#[test]
fn trusted_proxies_are_networks_or_single_addresses() {
    let config = parse("trusted_proxies: [10.0.0.0/8, '2001:db8::1']").unwrap();
    assert_eq!(
        config.http.trusted_proxies,
        [
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::1/128".parse().unwrap()
        ]
    );
}

#[test]
fn interfaces_are_addresses_localhost_or_all() {
    let config = parse("interface: localhost\nport: 1\nadmin_interface: '::1'\n").unwrap();
    assert_eq!(config.http.listen(), ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(config.http.admin_listen(), ["[::1]:9102".parse().unwrap()]);
    assert!(told("interface: eth0").contains("must be an IP address, localhost or all"));
}

#[test]
fn one_port_cannot_serve_both() {
    assert_eq!(
        told("admin_port: 8092"),
        "line 1, admin_port: port and admin_port are both 8092; give one of them another"
    );
}

#[test]
fn admin_port_goes_over_the_service_runners_metrics_port() {
    assert_eq!(
        parse("admin_port: 9200\nmetrics: [{type: prometheus, port: 9100}]")
            .unwrap()
            .http
            .admin_port,
        Some(9200)
    );
    let config =
        parse("metrics: [{type: statsd, host: x}, {type: prometheus, port: 9100, name: y}]")
            .unwrap();
    assert_eq!(config.http.admin_port, Some(9100));
    assert_eq!(config.ignored_keys, ["metrics[0]", "metrics[1].name"]);
}

/// Small trees whose keys are often real ones, so that checks deep inside are reached.
fn trees() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let real = proptest::sample::select(
            KEYS.iter()
                .map(|key| key.name)
                .chain(["services", "conf", "level", "headers"])
                .collect::<Vec<_>>(),
        );
        let name = prop_oneof![3 => real.prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_tree_and_no_environment_makes_it_panic(tree in trees(), variable in "[A-Z_]{0,12}", value in ".{0,12}") {
        let env = [(format!("EVENTSTREAMS__{variable}"), value.clone()), (format!("EVENTSTREAMS__KAFKA__{variable}"), value)];
        if let Err(error) = Config::parse(&tree.to_string(), env.into_iter()) {
            prop_assert!(!error.problems.is_empty());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(?s)[-a-z:\\[\\]{}&*!|>'\"#%@ \\n\\t,.0-9~?<]{0,60}") {
        let _ = parse(&text);
    }
}
