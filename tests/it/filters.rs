//! Filtered streams compared with a filter in Rust over the whole stream (docs/protocol.md,
//! "Filters"): the same events in the same order, none twice, wherever they come from.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::http2;
use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::filtered::{
    CASES, FORMS, FilterCase, ProgressCheck, Reader, closing_edit, edit_record, is_closing,
};
use crate::support::numbered::{TIME, padded_record};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, FrameParser, record};
use crate::support::wire::Request;

mod fields;
mod limits;
mod progress;
mod redaction;
mod refusals;
mod sharing;

/// Two topics of two partitions each, and a stream of both.
async fn edits(cluster: &Cluster) -> (Settings, [String; 2]) {
    let topics = ["eqiad.edits", "codfw.edits"].map(unique);
    for topic in &topics {
        cluster.create_topic(topic, 2).await;
    }
    let settings = Settings::default().stream("edits", &[&topics[0], &topics[1]]);
    (settings, topics)
}

/// These edits, spread over the partitions.
fn records(topics: &[String; 2], numbers: Range<usize>) -> impl Iterator<Item = NewRecord> {
    numbers.map(|n| {
        let partition = i32::from(n % 3 == 0);
        edit_record(&topics[n % 2], partition, n)
    })
}

async fn produce(cluster: &Cluster, topics: &[String; 2], numbers: Range<usize>) {
    cluster.produce_many("lz4", records(topics, numbers)).await;
}

/// The smallest memory log and feeds.
fn little_memory(settings: Settings) -> Settings {
    settings
        .key("memory_log_bytes_max", "1048576")
        .key("feeds_bytes_max", "65536")
}

fn path(case: &FilterCase, more: &str) -> String {
    format!("/v2/stream/edits?{}{more}", case.parameters)
}

/// The events partition by partition, each in order of arrival.
fn by_partition(events: &[String]) -> Vec<String> {
    let mut all = events.to_vec();
    all.sort_by_cached_key(|data| {
        let event = serde_json::from_str(data).expect("an event is JSON");
        let (topic, partition, _) = record(&event);
        (topic, partition)
    });
    all
}

/// Fails with the first difference, not with all events.
fn assert_same(got: &[String], expected: &[String], what: &str) {
    let differs = got
        .iter()
        .zip(expected)
        .position(|(got, wanted)| got != wanted);
    if let Some(at) = differs {
        panic!("{what}: event {at} is {}, not {}", got[at], expected[at]);
    }
    assert_eq!(got.len(), expected.len(), "{what}");
}

/// Fails unless clients with filters get from `since=0` on what they would choose from the whole,
/// and after it one event that is live.
async fn assert_past(cluster: &Cluster, server: &TestServer, topics: &[String; 2], next: usize) {
    let since = "/v2/stream/edits?since=0";
    let mut whole = Reader::open(since, FORMS[0], true, server.address).await;
    let past = whole.data_until_closing().await;
    let mut readers = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        for form in [FORMS[number % 6], FORMS[(number + 3) % 6]] {
            let path = path(case, "&since=0");
            let mut reader = Reader::open(&path, form, false, server.address).await;
            let expected = case.of(&past);
            let got = reader.data(expected.len()).await;
            assert_same(&got, &expected, &format!("{path}, {form:?}"));
            readers.push(reader);
        }
    }
    cluster.produce(closing_edit(&topics[0], next)).await;
    let live = whole.data(1).await;
    for reader in &mut readers {
        assert_eq!(reader.data(1).await, live);
    }
}

/// Reads a filtered stream that is cut at random bytes until the closing event, and checks each
/// connection.
async fn read_with_cuts(server: &TestServer, path: &str, dice: &mut ChaCha8Rng) -> Vec<String> {
    let mut events = Vec::new();
    let mut last_id = None;
    for _ in 0..1000 {
        let mut request = Request::get(path);
        if let Some(id) = &last_id {
            request = request.last_event_id(id);
        }
        let mut response = request.send(server.address).await;
        let cut = dice.random_range(1..40_000);
        let mut parser = FrameParser::default();
        let (mut check, mut parsed) = (ProgressCheck::default(), 0);
        while parsed < cut {
            let end = response.body.len().min(cut);
            for frame in parser.feed(&response.body[parsed..end]) {
                last_id = frame.id.clone().or(last_id);
                let frame = frame.data.is_some().then_some(frame);
                events.extend(frame.and_then(|frame| check.take(frame)?.data));
            }
            if events.last().is_some_and(|data| is_closing(data)) {
                return events;
            }
            parsed = end;
            if parsed < cut {
                assert!(response.read_more("more of a filtered stream").await);
            }
        }
    }
    panic!(
        "not everything after 1000 connections: {} events",
        events.len()
    );
}

on_both_brokers!(
    async fn a_filtered_stream_is_the_filtered_whole_live(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let mut readers = Vec::new();
        for (case, form) in CASES.iter().flat_map(|case| FORMS.map(|form| (case, form))) {
            let reader = Reader::open(&path(case, ""), form, false, server.address).await;
            readers.push((case, form, reader));
        }
        let mut sent = Vec::new();
        for round in 0..3 {
            produce(&cluster, &topics, round * 150..round * 150 + 150).await;
            sent.extend(whole.data(150).await);
        }
        cluster.produce(closing_edit(&topics[1], 450)).await;
        sent.extend(whole.data(1).await);
        for (case, form, reader) in &mut readers {
            let expected = case.of(&sent);
            let got = reader.data(expected.len()).await;
            assert_same(&got, &expected, &format!("{case:?} {form:?}"));
        }
    }

    async fn a_filtered_stream_is_the_filtered_whole_over_http2(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let mut requests = http2::connect(server.address).await;
        let mut bodies = Vec::new();
        for case in &CASES {
            bodies.push(http2::get(&mut requests, &path(case, "")).await.into_body());
        }
        produce(&cluster, &topics, 0..150).await;
        let mut sent = whole.data(150).await;
        cluster.produce(closing_edit(&topics[1], 150)).await;
        sent.extend(whole.data(1).await);
        // Together: they share the window of the connection.
        let closing = "\"closing\":true";
        let texts = bodies
            .iter_mut()
            .map(|body| http2::read_until(body, closing));
        for (case, text) in CASES.iter().zip(join_all(texts).await) {
            let mut check = ProgressCheck::default();
            let frames = FrameParser::default().feed(text.as_bytes()).into_iter();
            let events = frames.filter(|frame| frame.data.is_some());
            let events: Vec<_> = events.filter_map(|frame| check.take(frame)?.data).collect();
            assert_same(&events, &case.of(&sent), &format!("{case:?}"));
        }
    }

    async fn a_filtered_stream_is_the_filtered_whole_from_memory_and_kafka(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        produce(&cluster, &topics, 0..300).await;
        whole.data(300).await;
        cluster.produce(closing_edit(&topics[1], 300)).await;
        whole.data(1).await;
        assert_past(&cluster, &server, &topics, 301).await;
        assert_eq!(server.metric("eventstreams_replay_reads_total").await, 0);
        let late = TestServer::start(&cluster, &little_memory(settings)).await;
        assert_past(&cluster, &late, &topics, 302).await;
        assert!(late.metric("eventstreams_replay_reads_total").await > 0);
    }

    async fn filtered_clients_that_join_while_events_come_miss_none(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &little_memory(settings)).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let stops = Arc::new(AtomicBool::new(false));
        let producing = tokio::spawn({
            let (cluster, topics, stops) = (cluster.clone(), topics.clone(), Arc::clone(&stops));
            async move {
                let mut next = 0;
                while !stops.load(Ordering::Relaxed) {
                    produce(&cluster, &topics, next..next + 100).await;
                    next += 100;
                }
                cluster.produce(closing_edit(&topics[0], next)).await;
            }
        });
        let mut readers = Vec::new();
        for (number, case) in CASES.iter().enumerate() {
            whole.data(100).await;
            let (path, form) = (path(case, "&since=0"), FORMS[number % 6]);
            readers.push((case, Reader::open(&path, form, false, server.address).await));
        }
        whole.data(100).await;
        stops.store(true, Ordering::Relaxed);
        producing.await.expect("it does not panic");
        let since = "/v2/stream/edits?since=0";
        let mut whole = Reader::open(since, FORMS[0], true, server.address).await;
        let all = whole.data_until_closing().await;
        for (case, reader) in &mut readers {
            let (got, expected) = (reader.data_until_closing().await, case.of(&all));
            let what = format!("{case:?}");
            assert_same(&by_partition(&got), &by_partition(&expected), &what);
        }
        assert!(server.metric("eventstreams_handoffs_total").await > 0);
    }

    async fn a_filtered_reader_that_falls_behind_gets_everything(cluster: Cluster) {
        let topic = unique("eqiad.edits");
        cluster.create_topic(&topic, 1).await;
        let settings = little_memory(Settings::default().stream("edits", &[&topic]));
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let path = format!("/v2/stream/edits?filter=event.n%3E=0&since={TIME}");
        let mut slow = Vec::new();
        for form in &FORMS[..2] {
            slow.push(Reader::open(&path, *form, false, server.address).await);
        }
        let padded = |n| padded_record(&topic, TIME, n, 4000);
        // The first one alone is live: what it counts must not be lost.
        for numbers in [0..1, 1..1000, 1000..2000, 2000..3000] {
            let count = numbers.len();
            cluster.produce_many("zstd", numbers.map(padded)).await;
            whole.data(count).await;
        }
        let fallen = "eventstreams_subscribers_fallen_behind_total";
        assert!(server.metric(fallen).await > 0);
        cluster.produce(closing_edit(&topic, 3000)).await;
        for reader in &mut slow {
            let got = reader.data_until_closing().await;
            let numbers = got.iter().map(|data| {
                let event: serde_json::Value = serde_json::from_str(data).expect("JSON");
                event["n"].as_u64().expect("a number")
            });
            assert_eq!(numbers.collect::<Vec<_>>(), (0..=3000).collect::<Vec<_>>());
        }
    }

    async fn a_filtered_stream_that_is_cut_resumes_without_a_gap(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        produce(&cluster, &topics, 0..300).await;
        let mut sent = whole.data(300).await;
        cluster.produce(closing_edit(&topics[1], 300)).await;
        sent.extend(whole.data(1).await);
        let late = TestServer::start(&cluster, &little_memory(settings)).await;
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for case in &CASES {
            for from in [&server, &late] {
                let path = path(case, "&since=0");
                let got = read_with_cuts(from, &path, &mut dice).await;
                let expected = case.of(&sent);
                let what = format!("{case:?}");
                assert_same(&by_partition(&got), &by_partition(&expected), &what);
            }
        }
    }
);

/// The frames with data of a body.
fn frames_of(body: &[u8]) -> Vec<Frame> {
    let frames = FrameParser::default().feed(body).into_iter();
    frames.filter(|frame| frame.data.is_some()).collect()
}
