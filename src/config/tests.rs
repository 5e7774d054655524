//! Sentences about what an operator may type and what becomes of it.

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
        - Z (символ)
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
    Config::parse(text, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn told(text: &str) -> String {
    parse(text).expect_err("the file is wrong").to_string()
}

#[test]
fn the_file_that_the_chart_renders_is_taken_unchanged() {
    let config = parse(RENDERED).unwrap();
    assert_eq!(config.service_name, "eventstreams");
    assert_eq!(config.logging, Logging { level: Level::Warn, format: LogFormat::Auto });
    assert_eq!((config.http.port, config.http.admin_port), (8093, Some(9103)));
    assert_eq!(config.http.client_ip_connection_limit, Some(2));
    assert_eq!(config.streams.allowed_streams.unwrap(), ["mediawiki.recentchange", "test.event"]);
    assert_eq!(config.streams.uri.unwrap(), "http://localhost:6500/w/api.php?format=json&action=streamconfigs");
    assert_eq!(config.streams.uri_options.headers, [("Host".to_owned(), "meta.example.org".to_owned())].into());
    assert_eq!(config.streams.object_path.unwrap(), "streams");
    assert_eq!(Value::from(config.streams.overrides), json!({"test.event": {"topics": ["eqiad.test.event"]}}));
    assert_eq!(config.redacted_pages["ru.wikipedia.org"], ["Z (символ)", "1984", "007"]);
    assert_eq!(config.schemas.base_uris, ["http://localhost:6023/repositories/primary/jsonschema"]);
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
        ("metadata.broker.list", "kafka1.example.org:9093,kafka2.example.org:9093"),
        ("security.protocol", "ssl"),
        ("ssl.sigalgs.list", "ECDSA+SHA256"),
    ];
    assert_eq!(properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
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
    assert_eq!(parse("kafka: {bootstrap.servers: 'a:1'}").unwrap().kafka.brokers(), Some("a:1"));
    assert!(
        told("kafka: {bootstrap.servers: 'a:1', metadata.broker.list: 'b:1'}").contains("another name of metadata.broker.list")
    );
    let config =
        parse_with("kafka: {bootstrap.servers: 'a:1'}", &[("EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST", "b:1")]).unwrap();
    assert_eq!(config.kafka.brokers(), Some("b:1"));
}

#[test]
fn a_plain_file_holds_the_keys_of_conf_and_the_top_ones() {
    let config = parse("port: 0\nservice_name: streams\nlogging: {level: fatal}\nadmin_port: off\n").unwrap();
    assert_eq!((config.http.port, config.http.admin_port), (0, None));
    assert_eq!((config.service_name.as_str(), config.logging.level), ("streams", Level::Error));
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = parse("").unwrap();
    assert_eq!((config.http.port, config.http.admin_port, config.http.client_ip_connection_limit), (8092, Some(9102), None));
    assert_eq!(config.http.listen(), ["[::]:8092", "0.0.0.0:8092"].map(|address| address.parse().unwrap()));
    assert_eq!((config.streams.allowed_streams, config.streams.uri), (None, None));
    assert_eq!((config.limits.event_bytes_max, config.http.heartbeat_ms), (10_485_760, 15_000));
}

#[test]
fn an_empty_value_is_the_default() {
    let config = parse("port:\nkafka: ~\nallowed_streams: null\nmediawiki_redacted_pages:\n").unwrap();
    assert_eq!(config, parse("").unwrap());
}

#[test]
fn zero_and_off_are_no_limit() {
    for off in ["0", "off", "false", "null", "'off'"] {
        assert_eq!(parse(&format!("client_ip_connection_limit: {off}")).unwrap().http.client_ip_connection_limit, None, "{off}");
    }
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_valid_key() {
    for (wrong, near) in [("prot", "port"), ("allowed_stream", "allowed_streams"), ("stream_config_url", "stream_config_uri")] {
        assert_eq!(
            told(&format!("cors: '*'\n{wrong}: 1\n")),
            format!("line 2, {wrong}: unknown key; the nearest valid key is `{near}`")
        );
    }
    let text = RENDERED.replace("      stream_ui_enabled", "      stream_ui_enable").replace("    module", "    modul");
    let expected = "line 15, services[0].modul: unknown key; the nearest valid key is `module`\n\
                    line 53, services[0].conf.stream_ui_enable: unknown key; the nearest valid key is `stream_ui_enabled`";
    assert_eq!(told(&text), expected);
}

#[test]
fn unknown_keys_deeper_down_are_errors_too() {
    assert!(told("logging: {levle: info}").contains("the nearest valid key is `level`"));
    assert!(told("stream_config_uri_options: {header: {}}").contains("the nearest valid key is `headers`"));
}

#[test]
fn a_key_at_the_other_place_of_the_rendered_file_says_where_it_belongs() {
    let expected = "line 1, port: this key belongs in `services[0].conf`\n\
                    line 3, services[0].conf.logging: this key belongs at the top of the file";
    assert_eq!(told("port: 1\nservices:\n- conf: {logging: {level: info}}\n"), expected);
}

#[test]
fn all_problems_of_a_file_are_told_together() {
    let text =
        "port: 70000\ncors: \"a\\nb\"\nheartbeat_ms: 1.5\nlog_format: xml\ntrusted_proxies: [10.0.0.0/8, here]\nkafka: [a]\n";
    let expected = "line 1, port: must be a whole number from 0 to 65535, is 70000\n\
                    line 2, cors: \"a\\nb\" cannot stand in an HTTP header\n\
                    line 3, heartbeat_ms: must be a whole number from 100 to 3600000, is 1.5\n\
                    line 4, log_format: must be one of auto, json, text; is \"xml\"\n\
                    line 5, trusted_proxies[1]: must be an IP network like 10.0.0.0/8 or an address, is \"here\"\n\
                    line 6, kafka: must be a map of librdkafka properties, is a list";
    assert_eq!(told(text), expected);
}

#[test]
fn a_key_given_twice_is_an_error_with_the_line() {
    assert!(told("port: 1\nport: 2\n").starts_with("line 2: "), "{}", told("port: 1\nport: 2\n"));
}

#[test]
fn a_file_that_is_no_map_or_has_no_one_service_says_so() {
    assert_eq!(told("- a\n"), "the file is not a map of keys");
    assert_eq!(told("services: []"), "line 1, services: must be a list with one service, has 0");
}

#[test]
fn a_page_title_that_yaml_would_change_is_an_error() {
    for title in ["1.10", "Null", "true", "[a]", "''"] {
        let text = format!("mediawiki_redacted_pages:\n  en.wikipedia.org:\n  - {title}\n");
        assert!(told(&text).starts_with("line 3, mediawiki_redacted_pages.en.wikipedia.org[0]: "), "{title}");
    }
}

#[test]
fn trusted_proxies_are_networks_or_single_addresses() {
    let config = parse("trusted_proxies: [10.0.0.0/8, '2001:db8::1']").unwrap();
    assert_eq!(config.http.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()]);
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
    assert_eq!(told("admin_port: 8092"), "line 1, admin_port: port and admin_port are both 8092; give one of them another");
}

#[test]
fn admin_port_goes_over_the_service_runners_metrics_port() {
    assert_eq!(parse("admin_port: 9200\nmetrics: [{type: prometheus, port: 9100}]").unwrap().http.admin_port, Some(9200));
    let config = parse("metrics: [{type: statsd, host: x}, {type: prometheus, port: 9100, name: y}]").unwrap();
    assert_eq!(config.http.admin_port, Some(9100));
    assert_eq!(config.ignored_keys, ["metrics[0]", "metrics[1].name"]);
}

mod environment {
    use super::*;

    #[test]
    fn any_key_can_be_set_and_is_named() {
        let env = [
            ("EVENTSTREAMS__PORT", "8094"),
            ("EVENTSTREAMS__ALLOWED_STREAMS", r#"["a", b]"#),
            ("EVENTSTREAMS__STREAM_CONFIG_OVERRIDES", "{a: {topics: [x]}}"),
            ("EVENTSTREAMS__LOGGING__LEVEL", "debug"),
            ("EVENTSTREAMS__REQUIRE_USER_AGENT", "true"),
            ("EVENTSTREAMS_SERVICE_HOST", "10.0.0.1"),
        ];
        let config = parse_with(RENDERED, &env).unwrap();
        assert_eq!((config.http.port, config.logging.level, config.http.require_user_agent), (8094, Level::Debug, true));
        assert_eq!(config.streams.allowed_streams.unwrap(), ["a", "b"]);
        assert_eq!(Value::from(config.streams.overrides), json!({"a": {"topics": ["x"]}}));
        assert_eq!(config.env_overrides.len(), 5);
    }

    #[test]
    fn underscores_of_a_kafka_variable_are_dots() {
        let env = [
            ("EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST", "other:9092"),
            ("EVENTSTREAMS__KAFKA__ENABLE_SSL_CERTIFICATE_VERIFICATION", "false"),
            ("EVENTSTREAMS__KAFKA__SASL_PASSWORD", "{0123: "),
        ];
        let properties = parse_with(RENDERED, &env).unwrap().kafka.properties;
        assert_eq!(properties["metadata.broker.list"], "other:9092");
        assert_eq!(properties["enable.ssl.certificate.verification"], "false");
        // Verbatim: no YAML is read into it.
        assert_eq!(properties["sasl.password"], "{0123: ");
        assert_eq!(properties["security.protocol"], "ssl");
    }

    #[test]
    fn a_whole_map_is_replaced_before_its_entries_are_set() {
        let env = [("EVENTSTREAMS__KAFKA__CLIENT_ID", "c"), ("EVENTSTREAMS__KAFKA", "{metadata.broker.list: 'x:1'}")];
        let kafka = parse_with(RENDERED, &env).unwrap().kafka;
        assert_eq!((kafka.brokers(), kafka.properties["client.id"].as_str()), (Some("x:1"), "c"));
        assert!(!kafka.properties.contains_key("security.protocol"));
    }

    #[test]
    fn of_two_with_one_name_the_last_wins() {
        let env = [("EVENTSTREAMS__PORT", "1"), ("EVENTSTREAMS__PORT", "2")];
        assert_eq!(parse_with("", &env).unwrap().http.port, 2);
    }

    #[test]
    fn text_is_taken_verbatim() {
        let config = parse_with("", &[("EVENTSTREAMS__USER_AGENT", "yes: [no"), ("EVENTSTREAMS__SERVICE_NAME", "007")]).unwrap();
        assert_eq!((config.http.user_agent.as_str(), config.service_name.as_str()), ("yes: [no", "007"));
    }

    #[test]
    fn a_null_takes_a_value_of_the_file_back() {
        let config = parse_with(RENDERED, &[("EVENTSTREAMS__ALLOWED_STREAMS", "null")]).unwrap();
        assert_eq!(config.streams.allowed_streams, None);
    }

    #[test]
    fn what_is_wrong_names_the_variable() {
        for (variable, value, expected) in [
            ("EVENTSTREAMS__PROT", "1", "unknown key; the nearest valid key is `port`"),
            ("EVENTSTREAMS__PORT", "many", "must be a whole number from 0 to 65535, is \"many\""),
            ("EVENTSTREAMS__LOGGING__LEVEL", "loud", "must be one of trace, debug, info, warn, error, fatal; is \"loud\""),
            ("EVENTSTREAMS__KAFKA__A__B", "1", "must be EVENTSTREAMS__KAFKA__ and a property's name with `_` for each dot"),
            (
                "EVENTSTREAMS__STREAM_CONFIG_OVERRIDES__A",
                "1",
                "no single entry of this key can be set; set EVENTSTREAMS__STREAM_CONFIG_OVERRIDES to the whole value, as JSON or YAML",
            ),
        ] {
            let error = parse_with("", &[(variable, value)]).unwrap_err();
            assert_eq!(error.to_string(), format!("{variable}: {expected}"));
        }
        let error = parse_with("", &[("EVENTSTREAMS__ALLOWED_STREAMS", "[a")]).unwrap_err().to_string();
        assert!(error.starts_with("EVENTSTREAMS__ALLOWED_STREAMS: is no JSON or YAML value: "), "{error}");
    }
}

mod table {
    use super::*;

    const PRODUCTION: &str = include_str!("../../config/production.yaml");

    fn documented() -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(|key| !matches!(key.kind, Kind::Ignored | Kind::Metrics))
    }

    #[test]
    fn every_default_is_yaml_and_passes_its_own_check() {
        for key in KEYS {
            check::default(key);
        }
    }

    #[test]
    fn every_key_has_one_row() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|other| other.name != key.name), "{} is there twice", key.name);
        }
    }

    #[test]
    fn production_yaml_shows_every_key_with_its_line_of_documentation_and_its_default_or_example() {
        let Value::Object(shown) = yaml::parse(PRODUCTION).unwrap() else { panic!("not a map") };
        let expected: Vec<_> = documented().map(|key| key.name).collect();
        assert_eq!(shown.keys().collect::<Vec<_>>(), expected, "the same keys in the same order as the table");
        for key in documented() {
            let value = yaml::parse(key.example.unwrap_or(key.default)).unwrap();
            assert_eq!(shown[key.name], value, "{}", key.name);
            assert!(
                PRODUCTION.contains(&format!("\n# {}\n{}: ", key.doc, key.name)),
                "{} is not documented as in the table",
                key.name
            );
        }
    }

    #[test]
    fn production_yaml_can_be_used_and_is_the_defaults_but_for_its_examples() {
        let shown = parse(PRODUCTION).unwrap();
        let mut defaults = parse("").unwrap();
        defaults.kafka.set_brokers("localhost:9092");
        defaults.streams = shown.streams.clone();
        defaults.redacted_pages.clone_from(&shown.redacted_pages);
        assert_eq!(shown, defaults);
    }
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
            KEYS.iter().map(|key| key.name).chain(["services", "conf", "level", "headers"]).collect::<Vec<_>>(),
        );
        let name = prop_oneof![3 => real.prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect())),
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
