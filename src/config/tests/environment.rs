//! Tests of environment variables.

use super::*;

#[test]
fn any_key_can_be_set_and_is_named() {
    let env = [
        ("EVENTSTREAMS__PORT", "8094"),
        ("EVENTSTREAMS__ALLOWED_STREAMS", r#"["a", b]"#),
        (
            "EVENTSTREAMS__STREAM_CONFIG_OVERRIDES",
            "{a: {topics: [x]}}",
        ),
        ("EVENTSTREAMS__LOGGING__LEVEL", "debug"),
        ("EVENTSTREAMS__REQUIRE_USER_AGENT", "true"),
        ("EVENTSTREAMS_SERVICE_HOST", "10.0.0.1"),
    ];
    let config = parse_with(RENDERED, &env).unwrap();
    assert_eq!(
        (
            config.http.port,
            config.logging.level,
            config.http.require_user_agent
        ),
        (8094, Level::Debug, true)
    );
    assert_eq!(config.streams.allowed_streams.unwrap(), ["a", "b"]);
    assert_eq!(
        Value::from(config.streams.overrides),
        json!({"a": {"topics": ["x"]}})
    );
    assert_eq!(config.env_overrides.len(), 5);
}

#[test]
fn underscores_of_a_kafka_variable_are_dots() {
    let env = [
        ("EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST", "other:9092"),
        (
            "EVENTSTREAMS__KAFKA__ENABLE_SSL_CERTIFICATE_VERIFICATION",
            "false",
        ),
        ("EVENTSTREAMS__KAFKA__SASL_PASSWORD", "{0123: "),
    ];
    let properties = parse_with(RENDERED, &env).unwrap().kafka.properties;
    assert_eq!(properties["metadata.broker.list"], "other:9092");
    assert_eq!(properties["enable.ssl.certificate.verification"], "false");
    // Verbatim, not read as YAML.
    assert_eq!(properties["sasl.password"], "{0123: ");
    assert_eq!(properties["security.protocol"], "ssl");
}

#[test]
fn a_whole_map_is_replaced_before_its_entries_are_set() {
    let env = [
        ("EVENTSTREAMS__KAFKA__CLIENT_ID", "c"),
        ("EVENTSTREAMS__KAFKA", "{metadata.broker.list: 'x:1'}"),
    ];
    let kafka = parse_with(RENDERED, &env).unwrap().kafka;
    assert_eq!(
        (kafka.brokers(), kafka.properties["client.id"].as_str()),
        (Some("x:1"), "c")
    );
    assert!(!kafka.properties.contains_key("security.protocol"));
}

#[test]
fn the_last_of_two_variables_with_one_name_wins() {
    let env = [("EVENTSTREAMS__PORT", "1"), ("EVENTSTREAMS__PORT", "2")];
    assert_eq!(parse_with("", &env).unwrap().http.port, 2);
}

#[test]
fn the_text_of_a_variable_is_verbatim() {
    let config = parse_with(
        "",
        &[
            ("EVENTSTREAMS__USER_AGENT", "yes: [no"),
            ("EVENTSTREAMS__SERVICE_NAME", "007"),
        ],
    )
    .unwrap();
    assert_eq!(
        (
            config.http.user_agent.as_str(),
            config.service_name.as_str()
        ),
        ("yes: [no", "007")
    );
}

#[test]
fn null_resets_a_value_of_the_file() {
    let config = parse_with(RENDERED, &[("EVENTSTREAMS__ALLOWED_STREAMS", "null")]).unwrap();
    assert_eq!(config.streams.allowed_streams, None);
}

#[test]
fn an_error_names_its_variable() {
    for (variable, value, expected) in [
        (
            "EVENTSTREAMS__PROT",
            "1",
            "unknown key; the nearest valid key is `port`",
        ),
        (
            "EVENTSTREAMS__PORT",
            "many",
            "must be a whole number from 0 to 65535, not \"many\"",
        ),
        (
            "EVENTSTREAMS__LOGGING__LEVEL",
            "loud",
            "must be one of trace, debug, info, warn, error, fatal; not \"loud\"",
        ),
        (
            "EVENTSTREAMS__KAFKA__A__B",
            "1",
            "must be EVENTSTREAMS__KAFKA__ and the name of a property, with `_` for each dot",
        ),
        (
            "EVENTSTREAMS__STREAM_CONFIG_OVERRIDES__A",
            "1",
            "a single entry of this key cannot be set; \
             set EVENTSTREAMS__STREAM_CONFIG_OVERRIDES to the whole value, as JSON or YAML",
        ),
    ] {
        let error = parse_with("", &[(variable, value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{variable}: {expected}"));
    }
    let error = parse_with("", &[("EVENTSTREAMS__ALLOWED_STREAMS", "[a")])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("EVENTSTREAMS__ALLOWED_STREAMS: is not a JSON or YAML value: "),
        "{error}"
    );
}
