//! The values in `/metrics`, compared with what happened.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::server::{Settings, TestServer, sample_in};
use crate::support::wire::Request;

const TIME: i64 = 1_700_000_000_000;
const PERFORMER: &str = r#""performer":{"user_text":"S"}"#;

fn event(topic: &str, partition: i32, n: i64, title: &str) -> NewRecord {
    let value =
        format!(r#"{{"n":{n},"meta":{{"domain":"x.org"}},"page_title":"{title}",{PERFORMER}}}"#);
    NewRecord::new(topic, partition, TIME + n, value)
}

/// Waits until each sample, given without the common prefix, has its value. Some change with the
/// next query of Kafka.
async fn hold(server: &TestServer, samples: &[(String, &str)]) {
    for (sample, expected) in samples {
        let sample = format!("eventstreams_{sample}");
        let what = format!("{sample} to be {expected}");
        eventually(what, async || {
            (sample_in(&server.metrics().await, &sample)? == *expected).then_some(())
        })
        .await;
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs_f64()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds since 1970 fit"
)]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

fn number(metrics: &str, sample: &str) -> f64 {
    let value = sample_in(metrics, sample).unwrap_or_else(|| panic!("no {sample} in:\n{metrics}"));
    value.parse().expect("a number")
}

/// Two streams on a topic each.
async fn two_streams(cluster: &Cluster) -> (String, String, Settings) {
    let (loud, calm) = (unique("eqiad.loud"), unique("eqiad.calm"));
    cluster.create_topic(&loud, 2).await;
    cluster.create_topic(&calm, 1).await;
    let settings = Settings::default()
        .stream_with(
            "loud",
            &format!("{{topics: [{loud}], owner: somebody, silence_max_seconds: 60}}"),
        )
        .stream("calm", &[&calm])
        .key("mediawiki_redacted_pages", "{x.org: [Named]}")
        .kafka("statistics.interval.ms", "100");
    (loud, calm, settings)
}

on_both_brokers! {
    async fn what_is_read_and_delivered_is_counted(cluster: Cluster) {
        let (loud, calm, settings) = two_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("heartbeat_ms", "3600000")).await;
        let mut both = Request::get("/v2/stream/loud,calm").subscribe(server.address).await;
        let mut lines = Request::get("/v2/stream/calm").subscribe_ndjson(server.address).await;
        // The first and the last come alone: their order decides the span of the memory log.
        cluster.produce(event(&loud, 0, 0, "Other")).await;
        let mut frames = both.events(1).await;
        let skipped = [
            NewRecord::new(&loud, 0, TIME + 2, "no JSON"),
            NewRecord::tombstone(&loud, 0, TIME + 3, "key"),
        ];
        let named = event(&loud, 1, 1, "Named");
        cluster.produce_many("none", skipped.into_iter().chain([named])).await;
        let calm_events = [event(&calm, 0, 4, "Other"), event(&calm, 0, 5, "Other")];
        cluster.produce_many("none", calm_events).await;
        frames.extend(both.events(3).await);
        cluster.produce(event(&loud, 0, 7_000, "Other")).await;
        frames.extend(both.events(1).await);
        let mut bytes = [0, 0];
        let mut before = ":ok\n\n".len();
        for frame in frames {
            bytes[usize::from(frame.record().0 == calm)] += frame.end - before;
            before = frame.end;
        }
        for _ in 0..2 {
            bytes[1] += lines.line_or_end().await.expect("a line").len() + 1;
        }
        let of = |metric: &str, topic: &str| format!("{metric}{{topic=\"{topic}\"}}");
        let stream = |metric: &str, stream: &str| format!("{metric}{{stream=\"{stream}\"}}");
        let reason = |metric: &str, reason: &str| format!("{metric}{{reason=\"{reason}\"}}");
        let [loud_bytes, calm_bytes] = bytes.map(|bytes| bytes.to_string());
        hold(&server, &[
            (of("records_read_total", &loud), "5"),
            (of("records_read_total", &calm), "2"),
            (stream("events_delivered_total", "loud"), "3"),
            (stream("events_delivered_total", "calm"), "4"),
            (stream("bytes_delivered_total", "loud"), &loud_bytes),
            (stream("bytes_delivered_total", "calm"), &calm_bytes),
            (of("newest_record_timestamp_seconds", &loud), "1700000007"),
            (of("lag_records", &loud), "0"),
            ("memory_log_seconds".to_owned(), "7"),
            ("feeds".to_owned(), "2"),
            ("partitions".to_owned(), "3"),
            ("connections".to_owned(), "2"),
            (reason("records_skipped_total", "not_json"), "1"),
            (reason("records_skipped_total", "empty"), "1"),
            ("events_redacted_total".to_owned(), "1"),
            (stream("connected_clients", "loud"), "1"),
            (stream("connected_clients", "calm"), "2"),
            (stream("client_connections_total", "calm"), "2"),
            (format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), "1"),
            ("stream_info{stream=\"loud\",owner=\"somebody\"}".to_owned(), "1"),
            (stream("stream_silence_max_seconds", "loud"), "60"),
        ]).await;
        let metrics = server.metrics().await;
        let age = of("eventstreams_newest_record_age_seconds", &loud);
        let age = number(&metrics, &age);
        assert!((now() - 1_700_000_007.0 - age).abs() < 60.0, "{age}");
        assert!(number(&metrics, "eventstreams_memory_log_bytes") > 0.0);
    }

    async fn a_stream_that_was_silent_so_far_has_no_newest_record(cluster: Cluster) {
        let (loud, _, settings) = two_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let of_loud = format!("{{topic=\"{loud}\"}}");
        let metrics = server.metrics().await;
        assert!(metrics.contains("eventstreams_records_read_total"), "{metrics}");
        for name in ["newest_record_timestamp_seconds", "newest_record_age_seconds"] {
            let sample = format!("eventstreams_{name}{of_loud}");
            assert_eq!(sample_in(&metrics, &sample), None, "{name}");
        }
        // The newest, not the latest that was read.
        cluster.produce(event(&loud, 0, 9_000, "Other")).await;
        hold(&server, &[(format!("records_read_total{of_loud}"), "1")]).await;
        cluster.produce(event(&loud, 1, 1_000, "Other")).await;
        hold(&server, &[
            (format!("records_read_total{of_loud}"), "2"),
            (format!("newest_record_timestamp_seconds{of_loud}"), "1700000009"),
        ]).await;
    }

    async fn a_record_from_the_future_does_not_make_its_topic_look_alive(cluster: Cluster) {
        let (loud, _, settings) = two_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let started = now();
        let in_a_year = milliseconds(started + 31_536_000.0);
        cluster.produce(NewRecord::new(&loud, 0, in_a_year, "{}")).await;
        let newest = format!("eventstreams_newest_record_timestamp_seconds{{topic=\"{loud}\"}}");
        let first = eventually("a newest record", async || {
            sample_in(&server.metrics().await, &newest)
        })
        .await;
        let first: f64 = first.parse().expect("a number");
        assert!((started - 60.0..=now()).contains(&first), "{first}");
        let later = number(&server.metrics().await, &newest);
        assert!((later - first).abs() < 1e-3, "it grows older from then on");
    }

    async fn what_happens_to_subscribers_is_counted(cluster: Cluster) {
        let (loud, calm, settings) = two_streams(&cluster).await;
        let settings = settings.key("heartbeat_ms", "100");
        let server = TestServer::start(&cluster, &settings).await;
        cluster.produce_many("none", (0..4).map(|n| event(&loud, 0, n, "Other"))).await;
        hold(&server, &[(format!("records_read_total{{topic=\"{loud}\"}}"), "4")]).await;
        // From the memory log, then live.
        let since = format!("/v2/stream/loud?since={TIME}");
        let mut caught_up = Request::get(since).subscribe(server.address).await;
        caught_up.events(4).await;
        hold(&server, &[
            ("events_caught_up_total".into(), "4"),
            ("handoffs_total".into(), "1"),
        ]).await;
        let ahead = format!(r#"[{{"topic":"{calm}","partition":0,"offset":90}}]"#);
        let request = Request::get("/v2/stream/calm").last_event_id(ahead);
        let moved = request.subscribe(server.address).await;
        hold(&server, &[("positions_moved_total{reason=\"above_log_end\"}".into(), "1")]).await;
        drop(moved);
        hold(&server, &[("streams_closed_total{reason=\"client_gone\"}".into(), "1")]).await;
        eventually("heartbeats", async || {
            (server.metric("eventstreams_heartbeats_total").await > 2).then_some(())
        })
        .await;
        assert_eq!(Request::get("/v2/stream/nope").send(server.address).await.status, 400);
        server.reconfigure(&settings.key("allowed_streams", "[calm]")).await;
        hold(&server, &[
            ("problems_total{reason=\"not_found\"}".into(), "1"),
            ("streams_closed_total{reason=\"stream_gone\"}".into(), "1"),
            ("config_reloads_total{reason=\"ok\"}".into(), "1"),
            ("connected_clients{stream=\"loud\"}".into(), "0"),
            ("replays_running".into(), "0"),
            ("replays_waiting".into(), "0"),
            ("replays_refused_total".into(), "0"),
        ]).await;
    }

    async fn the_time_from_kafka_to_the_socket_is_a_histogram(cluster: Cluster) {
        let (loud, _, settings) = two_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/loud").subscribe(server.address).await;
        let observed = "eventstreams_delivery_seconds_count";
        eventually("an observed delivery", async || {
            // An hour old: it was produced with that timestamp.
            let hour_ago = milliseconds(now() - 3_600.0);
            cluster.produce(NewRecord::new(&loud, 0, hour_ago, "{}")).await;
            subscriber.event().await;
            (server.metric(observed).await > 0).then_some(())
        })
        .await;
        let metrics = server.metrics().await;
        let sum = number(&metrics, "eventstreams_delivery_seconds_sum");
        let mean = sum / number(&metrics, observed);
        assert!((3_600.0..3_660.0).contains(&mean), "{mean}");
        let within_a_minute = "eventstreams_delivery_seconds_bucket{le=\"60.0\"}";
        assert_eq!(sample_in(&metrics, within_a_minute).as_deref(), Some("0"));
    }

    async fn librdkafkas_statistics_keep_the_names_of_the_node_service(cluster: Cluster) {
        let (loud, _, settings) = two_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        cluster.produce_many("none", (0..4).map(|n| event(&loud, 1, n, "Other"))).await;
        let client = "handle=\"eventstreams-live\",type=\"consumer\"";
        let labels = format!("{{{client},topic=\"{loud}\",partition=\"1\"}}");
        let samples = [
            ("app_offset", "4"),
            ("hi_offset", "4"),
            ("msgs", "4"),
            ("consumer_lag", "0"),
            ("desired", "1"),
        ];
        for (name, expected) in samples {
            let sample = format!("rdkafka_topic_partition_{name}{labels}");
            eventually(format!("{sample} to be {expected}"), async || {
                (sample_in(&server.metrics().await, &sample)? == expected).then_some(())
            })
            .await;
        }
        let metrics = server.metrics().await;
        let is_state = |line: &&str| line.starts_with("rdkafka_broker_state{");
        let brokers: Vec<&str> = metrics.lines().filter(is_state).collect();
        assert!(brokers.iter().any(|line| line.ends_with(" 4")), "none is UP: {brokers:?}");
        let handles = metrics.lines().filter(|line| line.starts_with("rdkafka_time{")).count();
        assert_eq!(handles, 1, "consumers that come and go leave nothing behind");
        write_for_promtool(&metrics);
    }
}

/// Writes them to a file that `.ci/run` has promtool check.
fn write_for_promtool(metrics: &str) {
    std::fs::write(
        concat!(env!("CARGO_TARGET_TMPDIR"), "/metrics.txt"),
        metrics,
    )
    .expect("target/tmp can be written to");
}
