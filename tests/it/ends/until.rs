//! `until`: the stream ends before the events of this time.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::support::filtered::encoded;
use crate::support::numbered::now_ms;

/// Reads a stream that is cut at random bytes until it is over: the server answers 204.
async fn read_with_cuts(server: &TestServer, path: &str, dice: &mut ChaCha8Rng) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut last_id: Option<String> = None;
    for _ in 0..1000 {
        let mut request = Request::get(path);
        if let Some(id) = &last_id {
            request = request.last_event_id(id);
        }
        let mut response = request.send(server.address).await;
        if response.status == 204 {
            assert_eq!(response.text().await, "");
            return numbers;
        }
        let cut = dice.random_range(1..6_000);
        while response.body.len() < cut && response.read_more("events, or the end").await {}
        response.body.truncate(cut);
        for frame in FrameParser::default().feed(&response.body) {
            last_id = frame.id.clone().or(last_id);
            if frame.event.as_deref() == Some("message") {
                numbers.push(number(&frame));
            }
        }
    }
    panic!("not over after 1000 connections: {numbers:?}");
}

on_both_brokers!(
    async fn a_range_of_time_is_exact_in_every_form(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        cluster
            .produce_many("none", records(&topics, TIME, 0..60))
            .await;
        // Everything has passed the range by time.
        let later = TIME + 60_000;
        cluster
            .produce_many("none", records(&topics, later, 60..70))
            .await;
        let server = TestServer::start(&cluster, &settings).await;
        for (from, to) in [(0, 60), (7, 8), (13, 41)] {
            let (since, until) = (TIME + from, TIME + to);
            let path = format!("/v2/stream/ends?since={since}&until={until}");
            let expected: Vec<_> = (0..60)
                .filter(|n| (from..to).contains(&to_i64(*n)))
                .collect();
            for form in FORMS {
                let received = read(&Request::get(&path), form, server.address).await;
                assert_eq!(received.numbers, expected, "{path} {form:?}");
            }
            let received = read_http2(&path, server.address).await;
            assert_eq!(received.numbers, expected, "{path}");
            received.end_id("until");
        }
        // Ranges of a day one after the other, in dates.
        let path = "/v2/stream/ends?since=2023-11-14&until=2023-11-15";
        let received = read(&Request::get(path), FORMS[1], server.address).await;
        assert_eq!(received.numbers, (0..70).collect::<Vec<_>>());
    }

    async fn a_range_is_exact_whatever_the_cuts(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let begin = now_ms() - 3_600_000;
        cluster
            .produce_many("none", records(&topics, TIME, 0..200))
            .await;
        cluster
            .produce_many("none", records(&topics, begin, 200..400))
            .await;
        let mut dice = ChaCha8Rng::seed_from_u64(7);
        for (until, end) in [(TIME + 150, 150), (TIME + 1_000, 200), (begin + 300, 300)] {
            let filter = encoded("event.n >= 20");
            for (first, more) in [(0, String::new()), (20, format!("&filter={filter}"))] {
                let path = format!("/v2/stream/ends?since={TIME}&until={until}{more}");
                let numbers = read_with_cuts(&server, &path, &mut dice).await;
                assert_eq!(numbers, (first..end).collect::<Vec<_>>(), "{path}");
            }
        }
    }

    /// A partition that gets no more records passes `until` by the clock.
    async fn a_time_to_come_keeps_the_stream_open(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let until = now_ms() + 2_000;
        let path = format!("/v2/stream/ends?until={until}");
        let mut subscriber = Request::get(&path).subscribe(server.address).await;
        cluster.produce(record(&topics[0], 1, until - 1, 0)).await;
        assert_eq!(number(&subscriber.event().await), 0);
        cluster.produce(record(&topics[0], 1, until, 1)).await;
        // A little late.
        cluster.produce(record(&topics[0], 1, until - 2, 2)).await;
        let (frames, end) = subscriber.rest().await;
        assert_eq!(end, End::Complete);
        let received = Received::of(frames);
        assert_eq!(received.numbers, [2]);
        assert!(now_ms() >= until + 10_000, "the grace");
        let id = received.end_id("until");
        let request = Request::get(&path).last_event_id(&id);
        assert_eq!(request.send(server.address).await.status, 204);
        let query = format!("{path}&lastEventId={}", encoded(&id));
        let head = Request::new("HEAD", query).send(server.address).await;
        assert_eq!(head.status, 204);
        // Without `until`, the client goes on with what was left out.
        let request = Request::get("/v2/stream/ends").last_event_id(&id);
        let mut rest = request.subscribe(server.address).await;
        assert_eq!(number(&rest.event().await), 1);
    }

    async fn a_limit_counts_before_until(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        cluster
            .produce_many("none", records(&topics, TIME, 0..30))
            .await;
        let server = TestServer::start(&cluster, &settings).await;
        for (limit, reason, events) in [(5, "limit", 5), (50, "until", 20)] {
            let until = TIME + 20;
            let path = format!("/v2/stream/ends?since={TIME}&until={until}&limit={limit}");
            let received = read(&Request::get(&path), FORMS[0], server.address).await;
            received.end_id(reason);
            assert_eq!(received.numbers, (0..events).collect::<Vec<_>>());
        }
    }

    async fn a_wrong_until_is_refused(cluster: Cluster) {
        let (_, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        for (query, part) in [
            ("until=tomorrow", "`until` is not a time"),
            ("until=", "`until` is empty"),
            (
                "since=2026-01-02&until=2026-01-01",
                "'until' must be later than 'since'",
            ),
            ("until=1&until=2", "'until' is given twice"),
            ("untl=1", "did you mean 'until'?"),
        ] {
            let request = Request::get(format!("/v2/stream/ends?{query}"));
            let mut response = request.send(server.address).await;
            assert_eq!(response.status, 400, "{query}");
            let text = response.text().await;
            assert!(text.contains(part), "{text}");
        }
    }
);
