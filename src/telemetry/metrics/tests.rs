use super::*;
use crate::config::Config;

fn catalog(yaml: &str) -> Catalog {
    let config = Config::parse(yaml, std::iter::empty()).expect("a configuration");
    Catalog::build(&Value::Null, &config.streams).expect("a catalog")
}

fn stream(name: &str) -> StreamLabel {
    StreamLabel {
        stream: name.to_owned(),
    }
}

fn topic(name: &str) -> TopicLabel {
    TopicLabel {
        topic: name.to_owned(),
    }
}

/// Creates a series of each family.
fn metrics_with_all_series() -> Metrics {
    let metrics = Metrics::default();
    metrics.describe_streams(&catalog(
        "stream_config_defaults: {a: {silence_max_seconds: 60, events_per_second_max: 50}}",
    ));
    let reason = ReasonLabel { reason: "reason" };
    for family in [
        &metrics.records_skipped,
        &metrics.moved,
        &metrics.problems,
        &metrics.streams_closed,
        &metrics.config_reloads,
    ] {
        family.get_or_create(&reason).increment(1);
    }
    for family in [
        &metrics.client_connections,
        &metrics.events_delivered,
        &metrics.bytes_delivered,
    ] {
        family.get_or_create(&stream("a")).increment(1);
    }
    metrics
        .connected_clients
        .get_or_create(&stream("a"))
        .increment(1);
    for family in [&metrics.memory_used_bytes, &metrics.filters] {
        family.get_or_create(&KindLabel { kind: "kind" }).set(1);
    }
    metrics.records_read.get_or_create(&topic("a")).increment(1);
    metrics
        .newest_record_seconds
        .get_or_create(&topic("a"))
        .raise_to(1.5);
    metrics.lag_records.get_or_create(&topic("a")).set(1);
    let unavailable = TopicReasonLabel {
        topic: "a".to_owned(),
        reason: "reason",
    };
    metrics
        .topics_unavailable
        .get_or_create(&unavailable)
        .set(1);
    let sample = Sample {
        name: "rdkafka_ts",
        help: "Clock (micro)",
        labels: vec![("broker", "b".to_owned())],
        value: -1,
    };
    metrics.set_kafka_client("live", vec![sample]);
    metrics
}

#[test]
fn names_types_and_help_stay_as_they_are() {
    let text = metrics_with_all_series().render();
    let descriptions: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    let expected = include_str!("../../../tests/fixtures/metrics/descriptions.txt");
    assert_eq!(descriptions, expected.lines().collect::<Vec<_>>());
}

#[test]
fn a_record_from_the_future_counts_as_one_of_now() {
    let metrics = Metrics::default();
    metrics.describe_streams(&catalog("stream_config_defaults: {a: {}}"));
    let newest = metrics.newest_record_seconds.get_or_create(&topic("a"));
    let counted = || {
        let text = metrics.render();
        let sample = "eventstreams_newest_record_timestamp_seconds{topic=\"a\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(sample));
        value.expect("a sample").parse::<f64>().expect("a number")
    };
    let now = || TimestampMs::now().as_secs_f64();
    let before = now();
    // A year ahead, and microseconds taken for milliseconds.
    for from_the_future in [before + 31_536_000.0, before * 1000.0] {
        newest.raise_to(from_the_future);
        let first = counted();
        assert!((before..=now()).contains(&first), "{first}");
        assert!(
            (counted() - first).abs() < 1e-9,
            "it grows older from then on"
        );
    }
}

#[test]
fn the_newest_record_is_the_one_with_the_largest_timestamp() {
    let metrics = Metrics::default();
    let newest = metrics.newest_record_seconds.get_or_create(&topic("a"));
    newest.raise_to(9.5);
    newest.raise_to(1.0);
    let text = metrics.render();
    let sample = "eventstreams_newest_record_timestamp_seconds{topic=\"a\"} 9.5\n";
    assert!(text.contains(sample), "{text}");
}

#[test]
fn the_names_of_the_node_service_are_kept() {
    let metrics = Metrics::default();
    metrics.connected_clients.get_or_create(&stream("a")).set(1);
    metrics
        .client_connections
        .get_or_create(&stream("a"))
        .increment(1);
    let text = metrics.render();
    for sample in [
        "eventstreams_connected_clients{stream=\"a\"} 1\n",
        "eventstreams_client_connections_total{stream=\"a\"} 1\n",
    ] {
        assert!(text.contains(sample), "{text}");
    }
}

#[test]
fn series_are_sorted_and_each_family_is_described_once() {
    let metrics = Metrics::default();
    for name in ["b", "c", "a"] {
        metrics
            .events_delivered
            .get_or_create(&stream(name))
            .increment(2);
    }
    let text = metrics.render();
    let family = concat!(
        "# HELP eventstreams_events_delivered_total",
        " Events handed to subscribers, live or catching up, by stream.\n",
        "# TYPE eventstreams_events_delivered_total counter\n",
        "eventstreams_events_delivered_total{stream=\"a\"} 2\n",
        "eventstreams_events_delivered_total{stream=\"b\"} 2\n",
        "eventstreams_events_delivered_total{stream=\"c\"} 2\n",
        "# HELP ",
    );
    assert!(text.contains(family), "{text}");
}

#[test]
fn two_servers_do_not_share_series() {
    let metrics = [Metrics::default(), Metrics::default()];
    metrics[0].handoffs.increment(3);
    let handoffs = |metrics: &Metrics| {
        let text = metrics.render();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix("eventstreams_handoffs_total "));
        value.map(str::to_owned)
    };
    assert_eq!(
        metrics.each_ref().map(handoffs),
        [Some("3".into()), Some("0".into())]
    );
}

#[test]
fn deliveries_are_counted_into_buckets_of_seconds() {
    let metrics = Metrics::default();
    for seconds in [0.001, 0.3, 59.0, 3600.0] {
        metrics.delivery_seconds.record(seconds);
    }
    let text = metrics.render();
    for (bound, count) in [
        ("0.001", 1),
        ("0.25", 1),
        ("0.5", 2),
        ("60.0", 3),
        ("+Inf", 4),
    ] {
        let sample = format!("eventstreams_delivery_seconds_bucket{{le=\"{bound}\"}} {count}\n");
        assert!(text.contains(&sample), "no {sample} in {text}");
    }
    assert!(
        text.contains("eventstreams_delivery_seconds_sum 3659.301\n"),
        "{text}"
    );
    assert!(
        text.contains("eventstreams_delivery_seconds_count 4\n"),
        "{text}"
    );
}

#[test]
fn streams_are_described_as_they_are_configured_now() {
    let metrics = Metrics::default();
    metrics.describe_streams(&catalog(
        "stream_config_defaults: \
         {a: {owner: team, canary_events_enabled: true}, b: {topics: [x.b]}}",
    ));
    let text = metrics.render();
    for sample in [
        "eventstreams_stream_info{stream=\"a\",owner=\"team\"} 1\n",
        "eventstreams_stream_topic_info{stream=\"b\",topic=\"x.b\"} 1\n",
        "eventstreams_stream_silence_max_seconds{stream=\"a\"} 7200\n",
    ] {
        assert!(text.contains(sample), "{text}");
    }
    metrics.describe_streams(&catalog(
        "stream_config_defaults: {b: {events_per_second_max: 50}}",
    ));
    let text = metrics.render();
    assert!(!text.contains("stream=\"a\""), "{text}");
    let rate = "eventstreams_stream_events_per_second_max{stream=\"b\"} 50\n";
    assert!(text.contains(rate), "{text}");
}
