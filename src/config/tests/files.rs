//! Tests of paths in the file, misspelt stream settings, lines of errors, and explicit openings.

use std::path::Path;

use super::*;

fn read_in(folder: &str, text: &str, env: &[(&str, &str)]) -> Config {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(text, Some(Path::new(folder)), env)
        .into_result()
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let text = "
        stream_config_uri: streams.yaml
        stream_config_cache_file: ../cache/streams.json
        kafka: {ssl.ca.location: certs/ca.pem, ssl.key.location: /etc/key.pem, client.id: name}
    ";
    let config = read_in("/etc/es", text, &[]);
    assert_eq!(config.streams.uri.as_deref(), Some("/etc/es/streams.yaml"));
    assert_eq!(
        config.streams.cache_file.as_deref(),
        Some("/etc/es/../cache/streams.json")
    );
    let properties = &config.kafka.properties;
    let of = |name: &str| properties[name].as_str();
    assert_eq!(
        (of("ssl.ca.location"), of("ssl.key.location")),
        ("/etc/es/certs/ca.pem", "/etc/key.pem")
    );
    assert_eq!(of("client.id"), "name");
}

#[test]
fn other_values_than_relative_paths_stay() {
    for uri in ["http://h/a", "https://h/a", "/a", "file:///a", "file:/a"] {
        let config = read_in(
            "/etc/es",
            &format!("{{stream_config_uri: '{uri}', kafka: {{ssl.ca.location: probe}}}}"),
            &[],
        );
        assert_eq!(config.streams.uri.as_deref(), Some(uri));
        assert_eq!(config.kafka.properties["ssl.ca.location"], "probe");
    }
    assert_eq!(
        read_in("/etc/es", "stream_config_uri: file:a", &[])
            .streams
            .uri
            .as_deref(),
        Some("/etc/es/a")
    );
    assert_eq!(
        read_in("", "stream_config_uri: a", &[])
            .streams
            .uri
            .as_deref(),
        Some("a")
    );
    let env = [
        ("EVENTSTREAMS__STREAM_CONFIG_URI", "a"),
        ("EVENTSTREAMS__KAFKA__SSL_CA_LOCATION", "b"),
    ];
    let config = read_in(
        "/etc/es",
        "{stream_config_uri: x, kafka: {ssl.ca.location: x}}",
        &env,
    );
    assert_eq!(
        (
            config.streams.uri.as_deref(),
            &*config.kafka.properties["ssl.ca.location"]
        ),
        (Some("a"), "b")
    );
}

#[test]
fn a_misspelt_setting_of_a_stream_is_an_error_with_its_line() {
    let text = "stream_config_defaults:\n  a.b: {topics: [x], own: 1}\n\
                stream_config_overrides:\n  a.b:\n    topcs: [y]\n";
    let expected = "line 5, stream_config_overrides.a.b.topcs: \
                    unknown stream setting; did you mean `topics`?";
    assert_eq!(errors(text), expected);
}

#[test]
fn a_wrong_file_is_read_as_far_as_possible() {
    let text =
        "prot: 1\nkafka: {metadata.broker.list: 'k:1'}\nlog_format: json\nheartbeat_ms: soon\n";
    let ParsedConfig {
        config,
        diagnostics,
    } = Config::read(text, None, std::iter::empty());
    let config = config.expect("the rest can be read");
    assert_eq!(
        (
            diagnostics.len(),
            config.kafka.brokers(),
            config.logging.format
        ),
        (2, Some("k:1"), LogFormat::Json)
    );
    let ParsedConfig {
        config,
        diagnostics,
    } = Config::read("a: [", None, std::iter::empty());
    assert!(
        diagnostics.len() == 1 && config.is_some_and(|config| config.kafka.brokers().is_none())
    );
}

#[test]
fn all_streams_can_be_opened_explicitly() {
    let all = parse("allowed_streams: all").unwrap();
    assert_eq!(
        (all.streams.allowed_streams, all.opened.all_streams),
        (None, true)
    );
    let silent = parse("allowed_streams:").unwrap();
    assert_eq!(
        (silent.streams.allowed_streams, silent.opened.all_streams),
        (None, false)
    );
    assert!(errors("allowed_streams: some").contains("must be a list"));
    assert!(
        parse("mediawiki_redacted_pages: {}")
            .unwrap()
            .opened
            .no_redaction
    );
    assert!(
        !parse("mediawiki_redacted_pages: {a: []}")
            .unwrap()
            .opened
            .no_redaction
    );
}

#[test]
fn diagnostics_that_are_found_later_are_located() {
    let text =
        "services:\n- conf:\n    kafka:\n      ssl.ca.location: x\n    stream_config_uri: y\n";
    let diagnostics = [
        ("kafka.ssl.ca.location", "one"),
        ("stream_config_uri", "two"),
        ("kafka.from.env", "three"),
        ("", "four"),
    ];
    let diagnostics = diagnostics.map(|(key, message)| Diagnostic::new(key, message));
    let located = locate(text, diagnostics.into())
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    let expected = [
        "line 4, services[0].conf.kafka.ssl.ca.location: one",
        "line 5, services[0].conf.stream_config_uri: two",
        "kafka.from.env: three",
        "four",
    ];
    assert_eq!(located, expected);
}
