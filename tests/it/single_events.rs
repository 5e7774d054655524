//! `GET /v2/event/{topic}/{partition}/{offset}`: one event, from memory and from Kafka.

use serde_json::Value;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::numbered::{TIME, padded_record};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{Request, Response};

/// Records of 100 kB: the memory log of 1 MiB holds the newest ten.
const PADDING: usize = 100_000;
const RECORDS: usize = 30;

fn settings(topic: &str) -> Settings {
    Settings::default()
        .stream("pages", &[topic])
        .stream_with("other", "{topics: [private]}")
        .key("allowed_streams", "[pages]")
        .key("memory_log_bytes_max", "1048576")
}

/// A topic whose first two records are deleted, with something that is no event at its end.
async fn topic(cluster: &Cluster) -> String {
    let topic = unique("eqiad.pages");
    cluster.create_topic(&topic, 1).await;
    let event = |n| padded_record(&topic, TIME, n, PADDING);
    cluster.produce_many("none", (0..RECORDS).map(event)).await;
    let not_json = NewRecord::new(&topic, 0, TIME, "not JSON");
    cluster.produce(not_json).await;
    cluster.delete_records(&topic, 0, 2).await;
    topic
}

async fn get(server: &TestServer, path: &str) -> Response {
    Request::get(path).send(server.address).await
}

async fn problem(server: &TestServer, path: &str) -> (u16, String, String) {
    let mut response = get(server, path).await;
    let problem = response.json().await;
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (response.status, text("type"), text("detail"))
}

on_both_brokers! {
    async fn an_event_is_read_by_its_position(cluster: Cluster) {
        let topic = topic(&cluster).await;
        let server = TestServer::start(&cluster, &settings(&topic)).await;
        for n in [2, 3, 15, RECORDS - 1] {
            let mut response = get(&server, &format!("/v2/event/{topic}/0/{n}")).await;
            assert_eq!(response.status, 200, "{n}");
            assert_eq!(response.header("content-type"), Some("application/json"));
            assert_eq!(response.header("cache-control"), Some("public, max-age=60"));
            let tag = response.header("etag").expect("a tag").to_owned();
            let event: Value = response.json().await;
            assert_eq!((&event["n"], &event["meta"]["offset"]), (&n.into(), &n.into()));

            let again = Request::get(format!("/v2/event/{topic}/0/{n}"));
            let again = again.header("if-none-match", &tag).send(server.address).await;
            assert_eq!((again.status, again.header("etag")), (304, Some(&*tag)));
        }
        let head = Request::new("HEAD", format!("/v2/event/{topic}/0/3"));
        assert_eq!(head.send(server.address).await.status, 200);
        server.stop().await;
    }

    async fn what_is_not_there_has_its_reason(cluster: Cluster) {
        let topic = topic(&cluster).await;
        let server = TestServer::start(&cluster, &settings(&topic)).await;
        for (path, status, kind, detail) in [
            (format!("{topic}/0/1"), 410, "event_gone", "the log begins at offset 2 now"),
            (format!("{topic}/0/{RECORDS}"), 404, "event_not_found", "is not an event"),
            (format!("{topic}/0/{}", RECORDS + 1), 404, "event_not_found", "ends at offset 31"),
            (format!("{topic}/0/999999"), 404, "event_not_found", "ends at offset 31"),
            (format!("{topic}/7/0"), 404, "event_not_found", "no partition 7"),
            (format!("{topic}/0/-1"), 400, "invalid_position", "meta.offset"),
            (format!("{topic}/0/9223372036854775808"), 400, "invalid_position", "meta.offset"),
            (format!("{topic}/x/1"), 400, "invalid_position", "meta.offset"),
            ("private/0/0".to_owned(), 404, "topic_not_available", "No public stream"),
            (format!("{topic}/0"), 404, "not_found", "no such page"),
        ] {
            let (found, name, text) = problem(&server, &format!("/v2/event/{path}")).await;
            assert_eq!((found, &*name), (status, kind), "{path}: {text}");
            assert!(text.contains(detail), "{path}: {text}");
        }
        server.stop().await;
    }

    async fn a_redacted_event_has_another_tag(cluster: Cluster) {
        let topic = unique("eqiad.pages");
        cluster.create_topic(&topic, 1).await;
        let value = r#"{"meta":{"domain":"a.example.org"},"page_title":"Secret","user":"Eve"}"#;
        cluster.produce(NewRecord::new(&topic, 0, TIME, value)).await;
        let server = TestServer::start(&cluster, &settings(&topic)).await;
        let path = format!("/v2/event/{topic}/0/0");
        let mut before = get(&server, &path).await;
        assert_eq!(before.json().await["user"], "Eve");
        let pages = "{a.example.org: [Secret]}";
        let redacted = settings(&topic).key("mediawiki_redacted_pages", pages);
        server.reconfigure(&redacted).await;
        let tag = before.header("etag").expect("a tag");
        let after = Request::get(&path).header("if-none-match", tag);
        let mut after = after.send(server.address).await;
        assert_eq!(after.status, 200);
        assert_eq!(after.json().await.get("user"), None);
        server.stop().await;
    }
}
