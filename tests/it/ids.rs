//! Values of `Last-Event-ID` that other programs write: the Node service, humans, browsers
//! (docs/protocol.md).

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::support::admin::{Cluster, unique};
use crate::support::numbered::{TIME, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

/// A topic of one partition with `count` numbered records, a millisecond apart, and a server with
/// its stream `ids`.
async fn filled(cluster: &Cluster, count: usize) -> (String, TestServer) {
    let topic = unique("eqiad.ids");
    cluster.create_topic(&topic, 1).await;
    cluster
        .produce_many(
            "none",
            (0..count).map(|n| record(&topic, 0, TIME + to_i64(n), n)),
        )
        .await;
    let server = TestServer::start(cluster, &Settings::default().stream("ids", &[&topic])).await;
    (topic, server)
}

async fn subscribe(server: &TestServer, id: &str) -> Subscriber {
    Request::get("/v2/stream/ids")
        .last_event_id(id)
        .subscribe(server.address)
        .await
}

/// The id in the query of a browser, percent-encoded.
fn in_query(id: &str) -> Request {
    let encoded = percent_encode(id.as_bytes(), NON_ALPHANUMERIC);
    Request::get(format!("/v2/stream/ids?lastEventId={encoded}"))
}

on_both_brokers!(
    async fn ids_of_the_node_service_start_at_their_timestamp(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let time = TIME + 4;
        for id in [
            format!(r#"[{{"topic":"{topic}","partition":0,"timestamp":{time}}}]"#),
            format!(r#"[{{"topic":"{topic}","partition":0,"offset":-1,"timestamp":{time}}}]"#),
            format!(r#"[{{"timestamp":{time},"partition":0,"topic":"{topic}"}}]"#),
            format!(
                r#" [ {{ {}, "timestamp": {time}, "metadata": null, {} }} ] "#,
                format_args!(r#""partition" : 0, "topic": "{topic}""#),
                r#""x": [1, {"y": 2}]"#
            ),
        ] {
            let mut subscriber = subscribe(&server, &id).await;
            assert_eq!(
                numbers(&subscriber.events(6).await),
                [4, 5, 6, 7, 8, 9],
                "{id}"
            );
            let mut subscriber = in_query(&id).subscribe(server.address).await;
            assert_eq!(
                numbers(&subscriber.events(6).await),
                [4, 5, 6, 7, 8, 9],
                "{id} in the query"
            );
        }
    }

    async fn an_offset_alone_is_the_next_to_read(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        for (offset, first) in [(7, 7), (0, 0), (-2, 0)] {
            let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":{offset}}}]"#);
            let mut subscriber = subscribe(&server, &id).await;
            assert_eq!(
                numbers(&subscriber.events(10 - first).await),
                (first..10).collect::<Vec<_>>(),
                "{id}"
            );
        }
    }

    async fn minus_one_a_plain_name_and_the_end_start_live(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let mut subscribers = Vec::new();
        for id in [
            format!(r#"[{{"topic":"{topic}","partition":0,"offset":-1}}]"#),
            format!(r#"[{{"topic":"{topic}","partition":0}}]"#),
            format!(r#"["{topic}"]"#),
            format!(r#"[{{"topic":"{topic}","partition":0,"offset":10}}]"#),
            String::new(),
        ] {
            let subscriber = subscribe(&server, &id).await;
            assert_eq!(
                subscriber.response.header("x-eventstreams-moved"),
                None,
                "{id}"
            );
            subscribers.push((id, subscriber));
        }
        cluster.produce(record(&topic, 0, TIME, 10)).await;
        for (id, mut subscriber) in subscribers {
            assert_eq!(numbers(&subscriber.events(1).await), [10], "{id}");
        }
    }

    async fn a_plain_name_starts_at_since_when_present(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let request = Request::get(format!("/v2/stream/ids?since={}", TIME + 8))
            .last_event_id(format!(r#"["{topic}"]"#));
        assert_eq!(
            numbers(&request.subscribe(server.address).await.events(2).await),
            [8, 9]
        );
        // An explicit position takes precedence over `since`.
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":5}}]"#);
        let request = Request::get(format!("/v2/stream/ids?since={}", TIME + 8)).last_event_id(id);
        assert_eq!(
            numbers(&request.subscribe(server.address).await.events(5).await),
            [5, 6, 7, 8, 9]
        );
    }

    async fn the_header_takes_precedence_over_the_query(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let at =
            |offset: usize| format!(r#"[{{"topic":"{topic}","partition":0,"offset":{offset}}}]"#);
        let mut subscriber = in_query(&at(2))
            .last_event_id(at(8))
            .subscribe(server.address)
            .await;
        assert_eq!(numbers(&subscriber.events(2).await), [8, 9]);
    }

    /// Polyfills and proxies send an empty header before there is an id. It must not hide the
    /// position in the query.
    async fn an_empty_header_is_ignored(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":7}}]"#);
        for empty in ["", "  "] {
            let mut subscriber = in_query(&id)
                .last_event_id(empty)
                .subscribe(server.address)
                .await;
            assert_eq!(numbers(&subscriber.events(3).await), [7, 8, 9], "{empty:?}");
        }
        let mut subscriber = in_query(&id)
            .last_event_id("")
            .last_event_id(id.replace(":7", ":8"))
            .last_event_id("")
            .subscribe(server.address)
            .await;
        assert_eq!(
            numbers(&subscriber.events(2).await),
            [8, 9],
            "an empty header hides no other one"
        );
    }

    /// A polyfill appends the newer id to a URL that already has one.
    async fn the_last_of_repeated_ids_in_the_query_counts(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let encoded = |offset: usize| {
            let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":{offset}}}]"#);
            percent_encode(id.as_bytes(), NON_ALPHANUMERIC).to_string()
        };
        for (query, first) in [
            (
                format!("lastEventId={}&lastEventId={}", encoded(2), encoded(8)),
                8,
            ),
            (format!("lastEventId={}&lastEventId=", encoded(6)), 6),
            (format!("lastEventId=&lastEventId={}", encoded(5)), 5),
        ] {
            let mut subscriber = Request::get(format!("/v2/stream/ids?{query}"))
                .subscribe(server.address)
                .await;
            assert_eq!(
                numbers(&subscriber.events(10 - first).await),
                (first..10).collect::<Vec<_>>(),
                "{query}"
            );
        }
    }

    async fn an_offset_above_the_end_falls_back_to_time_or_live(cluster: Cluster) {
        let (topic, server) = filled(&cluster, 10).await;
        let id = format!(
            r#"[{{"topic":"{topic}","partition":0,"offset":99,"timestamp":{}}}]"#,
            TIME + 6
        );
        let mut subscriber = subscribe(&server, &id).await;
        let moved = format!("topic={topic}; partition=0; asked=99; actual=6; reason=above_log_end");
        assert_eq!(
            subscriber.response.header("x-eventstreams-moved"),
            Some(moved.as_str())
        );
        assert_eq!(numbers(&subscriber.events(4).await), [6, 7, 8, 9]);
        assert_eq!(
            subscriber
                .comments
                .iter()
                .filter(|comment| comment.contains(&moved))
                .count(),
            1
        );
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"offset":99}}]"#);
        let mut subscriber = subscribe(&server, &id).await;
        let moved =
            format!("topic={topic}; partition=0; asked=99; actual=10; reason=above_log_end");
        assert_eq!(
            subscriber.response.header("x-eventstreams-moved"),
            Some(moved.as_str())
        );
        cluster.produce(record(&topic, 0, TIME, 10)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [10]);
        assert_eq!(
            server
                .metric(r#"eventstreams_positions_moved_total{reason="above_log_end"}"#)
                .await,
            2
        );
    }

    async fn an_id_of_another_datacenter_stays_in_its_topic(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.twice"), unique("codfw.twice"));
        for topic in [&eqiad, &codfw] {
            cluster.create_topic(topic, 1).await;
        }
        // Each datacenter computes the stream, so both topics hold the same events.
        let both = |n: usize| {
            let time = TIME + to_i64(n);
            [record(&eqiad, 0, time, n), record(&codfw, 0, time, n)]
        };
        cluster.produce_many("none", (0..6).flat_map(both)).await;
        let allowed = format!("{{topics: [{codfw}], topics_allowed: [{eqiad}, {codfw}]}}");
        let server = TestServer::start(
            &cluster,
            &Settings::default().stream_with("twice", &allowed),
        )
        .await;
        let id = format!(
            r#"[{{"topic":"{eqiad}","partition":0,"offset":2,"timestamp":{}}}]"#,
            TIME + 1
        );
        let mut subscriber = Request::get("/v2/stream/twice")
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        let mut events = subscriber.events(4).await;
        cluster.produce_many("none", (6..8).flat_map(both)).await;
        events.extend(subscriber.events(2).await);
        assert_eq!(numbers(&events), [2, 3, 4, 5, 6, 7]);
        assert!(events.iter().all(|event| event.record().0 == eqiad));
        let last = subscriber.last_id().expect("an id");
        assert!(!last.contains(&codfw), "{last}");
        let mut second = Request::get("/v2/stream/twice?since=0")
            .subscribe(server.address)
            .await;
        assert!(
            second
                .events(8)
                .await
                .iter()
                .all(|event| event.record().0 == codfw)
        );
    }
);
