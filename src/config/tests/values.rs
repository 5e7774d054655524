//! Tests of the values that keys accept.

use super::*;

#[test]
fn numbers_are_accepted_up_to_their_bounds() {
    for key in KEYS {
        let (min, max) = match key.kind {
            ValueKind::Number { min, max } => (min, max),
            ValueKind::NumberOrOff { max } => (1, max),
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
            matches!(key.kind, ValueKind::NumberOrOff { .. }),
            "{} below {min}",
            key.name
        );
    }
}

#[test]
fn headers_can_be_turned_off() {
    let http = parse("cors: false\ncsp: off\n").unwrap().http;
    assert_eq!((http.cors, http.csp), (None, None));
}

#[test]
fn empty_text_is_none_where_none_is_the_default() {
    let streams =
        parse("stream_config_uri: ''\nstream_config_object_path: ''\notlp_endpoint: ''\n")
            .unwrap()
            .streams;
    assert_eq!((streams.uri, streams.object_path), (None, None));
}

#[test]
fn debug_output_has_no_secrets() {
    let config = parse(
        "kafka: {sasl.password: hunter2}\nschema_uri_options: {headers: {Authorization: hunter2}}",
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(format!("{config:?}").contains("sasl.password"));
}

#[test]
fn the_url_of_a_collector_is_http() {
    assert_eq!(
        parse("otlp_endpoint: https://c:4318")
            .unwrap()
            .otlp_endpoint
            .as_deref(),
        Some("https://c:4318")
    );
    for wrong in ["c:4318", "http://", "ftp://c"] {
        assert!(
            errors(&format!("otlp_endpoint: '{wrong}'"))
                .contains("is not an http:// or https:// URL"),
            "{wrong}"
        );
    }
}

#[test]
fn request_options_are_headers_and_a_timeout() {
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
            "line 1, stream_config_uri_options.headers.a b: is not a valid HTTP header name",
        ),
        (
            "{headers: {a: \"x\\ny\"}}",
            "line 1, stream_config_uri_options.headers.a: is not a valid HTTP header value",
        ),
        (
            "{timeout: 0}",
            "line 1, stream_config_uri_options.timeout: must be 1 to 3600000 milliseconds, not 0",
        ),
    ] {
        assert_eq!(
            errors(&format!("stream_config_uri_options: {wrong}")),
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
        errors("stream_config_defaults: {a: [b]}")
            .contains("must be a map of stream settings, not a list")
    );
}

#[test]
fn a_page_title_that_yaml_would_change_is_an_error() {
    for title in ["1.10", "Null", "true", "[a]", "''"] {
        let text = format!("mediawiki_redacted_pages:\n  en.wikipedia.org:\n  - {title}\n");
        assert!(
            errors(&text).starts_with("line 3, mediawiki_redacted_pages.en.wikipedia.org[0]: "),
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
        "services:\n- conf:\n    mediawiki_redacted_pages: \
         {{en.wikipedia.org: [{list}], de.wikipedia.org: }}\n"
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
    assert!(errors("interface: eth0").contains("must be an IP address, localhost or all"));
}

#[test]
fn the_two_ports_must_differ() {
    assert_eq!(
        errors("admin_port: 8092"),
        "line 1, admin_port: port and admin_port are both 8092; change one of them"
    );
}

#[test]
fn admin_port_overrides_the_metrics_port_of_service_runner() {
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
