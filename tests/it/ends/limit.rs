//! `limit`: the stream ends after this number of events.

use super::*;
use crate::support::filtered::encoded;

const SSE: (bool, &str) = FORMS[0];

/// The requests for the stream without a filter, and with one that leaves out those below 20.
fn paths(more: &str) -> [(String, usize); 2] {
    let filter = encoded("event.n >= 20");
    [
        (format!("/v2/stream/ends?{more}"), 0),
        (format!("/v2/stream/ends?{more}&filter={filter}"), 20),
    ]
}

on_both_brokers!(
    /// From Kafka, from memory and across the handoff, in every format and coding.
    async fn a_limit_in_the_past_is_exact(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        cluster
            .produce_many("none", records(&topics, TIME, 0..30))
            .await;
        let server = TestServer::start(&cluster, &settings).await;
        cluster
            .produce_many("none", records(&topics, TIME, 30..60))
            .await;
        for limit in [1, 25, 40] {
            for (path, first) in paths(&format!("since={TIME}&limit={limit}")) {
                for form in FORMS {
                    let received = read(&Request::get(&path), form, server.address).await;
                    let expected: Vec<_> = (first..first + limit).collect();
                    assert_eq!(received.numbers, expected, "{path} {form:?}");
                }
                let received = read_http2(&path, server.address).await;
                assert_eq!(received.numbers.len(), limit, "{path}");
                received.end_id("limit");
            }
        }
        let reasons = server
            .metric(r#"eventstreams_streams_closed_total{reason="limit"}"#)
            .await;
        assert_eq!(reasons, 3 * 2 * 7);
    }

    async fn a_limit_counts_live_events(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut readers = Vec::new();
        for (path, first) in paths("limit=7") {
            for form in FORMS {
                let request = Request::get(&path).header("Accept-Encoding", form.1);
                let accept = if form.0 {
                    "application/x-ndjson"
                } else {
                    "text/event-stream"
                };
                let response = request.header("Accept", accept).send(server.address).await;
                readers.push((path.clone(), first, form, response));
            }
        }
        for n in 0..60 {
            cluster
                .produce_many("none", records(&topics, TIME, n..n + 1))
                .await;
        }
        for (path, first, (is_ndjson, coding), mut response) in readers {
            let text = response.text().await;
            assert_eq!(response.end, Some(End::Complete), "{path} {coding}");
            let events = text.matches("\"n\":").count();
            let ends = text.matches("event: end\n").count();
            assert_eq!(
                (events, ends),
                (7, usize::from(!is_ndjson)),
                "{path} {coding}: {text}"
            );
            for n in first..first + 7 {
                assert!(
                    text.contains(&format!("\"n\":{n},")),
                    "{n} in {path} {coding}: {text}"
                );
            }
        }
    }

    /// Live and in the past: pages of 9 events, each from the id of the end before it.
    async fn a_client_goes_on_behind_the_limit(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        cluster
            .produce_many("none", records(&topics, TIME, 0..110))
            .await;
        for (path, first) in paths(&format!("since={TIME}&limit=9")) {
            let mut numbers = Vec::new();
            let mut id = None;
            for _ in 0..10 {
                let request = Request::get(&path);
                let request = match &id {
                    Some(id) => request.last_event_id(id),
                    None => request,
                };
                let page = read(&request, SSE, server.address).await;
                let (end, last) = (page.end_id("limit"), page.ids.last().expect("9 events"));
                // Nothing lies between the two but what a filter leaves out.
                assert!(first > 0 || &end == last, "{end} behind {last}");
                id = Some(end);
                numbers.extend(page.numbers);
            }
            assert_eq!(numbers, (first..first + 90).collect::<Vec<_>>(), "{path}");
        }
    }

    async fn a_limit_that_is_no_number_above_0_is_refused(cluster: Cluster) {
        let (_, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        for query in [
            "limit=0",
            "limit=",
            "limit=-3",
            "limit=3&limit=3",
            "limits=3",
        ] {
            let request = Request::get(format!("/v2/stream/ends?{query}"));
            let mut response = request.send(server.address).await;
            assert_eq!(response.status, 400, "{query}");
            let text = response.text().await;
            assert!(
                text.contains("invalid_query") && text.contains("limit"),
                "{text}"
            );
        }
    }
);
