//! `GET /v1/stream/{streams}`: the read protocol of Durable Streams (docs/protocol.md, "Durable
//! Streams").

use std::net::SocketAddr;

use rand::RngExt as _;
use serde_json::Value;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, padded_record, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, FrameParser};
use crate::support::wire::{Request, Response};

const NEXT: &str = "stream-next-offset";
const CURSOR: &str = "stream-cursor";

/// A page that a client got.
struct Page {
    status: u16,
    numbers: Vec<usize>,
    next: String,
    cursor: u64,
    is_up_to_date: bool,
}

async fn get(address: SocketAddr, path: &str) -> Response {
    Request::get(path).send(address).await
}

async fn page(address: SocketAddr, query: &str) -> Page {
    let mut response = get(address, &format!("/v1/stream/pages?{query}")).await;
    let header = |name: &str| response.header(name).expect(name).to_owned();
    let (next, cursor) = (header(NEXT), header(CURSOR));
    let is_up_to_date = response.header("stream-up-to-date") == Some("true");
    let status = response.status;
    let events = if status == 200 {
        response.json().await
    } else {
        Value::Array(Vec::new())
    };
    let number = |event: &Value| usize::try_from(event["n"].as_u64().expect("a number"));
    let events = events.as_array().expect("an array").iter();
    Page {
        status,
        numbers: events.map(|event| number(event).expect("small")).collect(),
        next,
        cursor: cursor.parse().expect("a number"),
        is_up_to_date,
    }
}

/// Two topics of two partitions, and a stream of both.
async fn two_topics(cluster: &Cluster) -> ([String; 2], Settings) {
    let topics = [unique("eqiad.pages"), unique("codfw.pages")];
    for topic in &topics {
        cluster.create_topic(topic, 2).await;
    }
    let settings = Settings::default()
        .stream("pages", &[&topics[0], &topics[1]])
        .key("memory_log_bytes_max", "1048576");
    (topics, settings)
}

async fn one_topic(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.pages");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default()
        .stream("pages", &[&topic])
        .stream("others", &[&unique("eqiad.others")]);
    (topic, settings)
}

async fn produce(cluster: &Cluster, topic: &str, n: usize) {
    cluster.produce(record(topic, 0, TIME + to_i64(n), n)).await;
}

/// Reads the frames of `live=sse`.
struct Frames {
    response: Response,
    parser: FrameParser,
    parsed: usize,
}

impl Frames {
    /// The next frames, one at least.
    async fn next(&mut self) -> Vec<Frame> {
        loop {
            let frames = self.parser.feed(&self.response.body[self.parsed..]);
            self.parsed = self.response.body.len();
            if !frames.is_empty() {
                return frames;
            }
            assert!(self.response.read_more("a frame").await, "it goes on");
        }
    }
}

on_both_brokers! {
    async fn pages_are_the_log_whatever_their_size(cluster: Cluster) {
        let (topics, settings) = two_topics(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut expected = Vec::new();
        let mut next = "-1".to_owned();
        let mut got = Vec::new();
        for round in 0..3 {
            let mut records = Vec::new();
            for n in round * 30..(round + 1) * 30 {
                let topic = &topics[n % 2];
                let padding = rand::rng().random_range(0..150_000);
                let mut one = padded_record(topic, TIME + to_i64(n), n, padding);
                one.partition = i32::from(n % 4 > 1);
                records.push(one);
                expected.push(n);
            }
            cluster.produce_many("none", records).await;
            let count = expected.len();
            within("all pages", async {
                while got.len() < count {
                    let page = page(server.address, &format!("offset={next}")).await;
                    assert_eq!(page.status, 200);
                    assert!(page.next > next || page.numbers.is_empty(), "tokens sort");
                    got.extend(page.numbers);
                    next = page.next;
                }
            })
            .await;
        }
        let end = page(server.address, &format!("offset={next}")).await;
        assert_eq!((end.numbers, end.is_up_to_date, end.next), (vec![], true, next));
        got.sort_unstable();
        assert_eq!(got, expected);
        server.stop().await;
    }

    async fn a_long_poll_ends_without_an_event(cluster: Cluster) {
        let (_, settings) = one_topic(&cluster).await;
        let settings = settings.key("heartbeat_ms", "200");
        let server = TestServer::start(&cluster, &settings).await;
        let now = page(server.address, "offset=now").await;
        assert_eq!((now.status, now.numbers.len(), now.is_up_to_date), (200, 0, true));
        let path = format!("offset={}&live=long-poll", now.next);
        let mut cursor = now.cursor;
        for _ in 0..3 {
            let quiet = page(server.address, &format!("{path}&cursor={cursor}")).await;
            assert_eq!((quiet.status, &quiet.next), (204, &now.next));
            assert!(quiet.is_up_to_date && quiet.cursor > cursor);
            cursor = quiet.cursor;
        }
        server.stop().await;
    }

    async fn a_long_poll_ends_with_an_event_or_the_server(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        // Without an event it ends after an hour.
        let settings = settings.key("heartbeat_ms", "3600000");
        let server = TestServer::start(&cluster, &settings).await;
        let now = page(server.address, "offset=now").await;
        let path = format!("offset={}&live=long-poll&cursor={}", now.next, now.cursor);
        let poll = page(server.address, &path);
        let both = async { tokio::join!(poll, produce(&cluster, &topic, 7)) };
        let (waited, ()) = within("the event", both).await;
        assert_eq!((waited.status, waited.numbers), (200, vec![7]));
        assert!(waited.is_up_to_date);
        assert!(waited.next > now.next && waited.cursor > now.cursor);
        let no_offset = get(server.address, "/v1/stream/pages?live=long-poll").await;
        assert_eq!(no_offset.status, 400);

        let path = format!("offset={}&live=long-poll", waited.next);
        let end = async {
            // The request is there before the shutdown begins: its limit is taken.
            eventually("the long poll", async || {
                let feeds = server.metric("eventstreams_feeds").await;
                (feeds > 0).then_some(())
            })
            .await;
            server.begin_shutdown();
        };
        let both = async { tokio::join!(page(server.address, &path), end) };
        let (ended, ()) = within("the end", both).await;
        assert_eq!((ended.status, ended.next), (204, waited.next));
        server.stop().await;
    }

    async fn a_stream_of_pages_says_where_it_is(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        for n in 0..3 {
            produce(&cluster, &topic, n).await;
        }
        let response = get(server.address, "/v1/stream/pages?offset=-1&live=sse").await;
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        assert_eq!(response.header("cache-control"), Some("no-cache"));
        let parser = FrameParser::default();
        let mut frames = Frames { response, parser, parsed: 0 };
        let mut numbers = Vec::new();
        let mut offset = String::new();
        while numbers.len() < 4 {
            for frame in frames.next().await {
                let data = frame.json();
                if frame.event.as_deref() == Some("data") {
                    let events = data.as_array().expect("an array").iter();
                    numbers.extend(events.map(|event| event["n"].as_i64().expect("a number")));
                    continue;
                }
                assert_eq!(frame.event.as_deref(), Some("control"));
                let next = data["streamNextOffset"].as_str().expect("an offset");
                assert!(next >= &*offset, "{next}");
                next.clone_into(&mut offset);
                let cursor = data["streamCursor"].as_str().expect("a cursor");
                cursor.parse::<u64>().expect("digits");
                if numbers.len() == 3 && data["upToDate"] == true {
                    produce(&cluster, &topic, 3).await;
                }
            }
        }
        assert_eq!(numbers, [0, 1, 2, 3]);
        // Its offsets are those of pages.
        let rest = page(server.address, &format!("offset={offset}")).await;
        assert!(rest.numbers.is_empty() || rest.numbers == [3], "{:?}", rest.numbers);
        server.stop().await;
    }

    async fn a_cached_page_is_fresh_until_a_redaction(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        let meta = r#"{"domain":"a.example.org"}"#;
        let value = format!(r#"{{"n":1,"meta":{meta},"page_title":"Secret","user":"Eve"}}"#);
        cluster.produce(NewRecord::new(&topic, 0, TIME, value)).await;
        let server = TestServer::start(&cluster, &settings).await;
        let path = "/v1/stream/pages?offset=-1";
        let mut before = get(server.address, path).await;
        assert_eq!(before.header("cache-control"), Some("public, max-age=5"));
        let tag = before.header("etag").expect("a tag").to_owned();
        let next = before.header(NEXT).expect("an offset").to_owned();
        assert_eq!(before.json().await[0]["user"], "Eve");
        let again = Request::get(path).header("if-none-match", &tag);
        let same = again.send(server.address).await;
        assert_eq!((same.status, same.header("etag")), (304, Some(&*tag)));
        assert_eq!(same.header(NEXT), Some(&*next));

        let pages = "{a.example.org: [Secret]}";
        let redacted = settings.key("mediawiki_redacted_pages", pages);
        server.reconfigure(&redacted).await;
        let mut after = again.send(server.address).await;
        assert_eq!(after.status, 200);
        assert_ne!(after.header("etag"), Some(&*tag));
        assert_eq!(after.json().await[0].get("user"), None);

        // An event more is another page, too.
        produce(&cluster, &topic, 2).await;
        let tag = after.header("etag").expect("a tag").to_owned();
        let again = Request::get(path).header("if-none-match", &tag);
        eventually("the event", async || {
            (again.send(server.address).await.status == 200).then_some(())
        })
        .await;
        server.stop().await;
    }

    async fn an_offset_of_deleted_events_is_gone(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        let numbered = |n| record(&topic, 0, TIME + to_i64(n), n);
        cluster.produce_many("none", (0..2).map(numbered)).await;
        let server = TestServer::start(&cluster, &settings).await;
        let old = page(server.address, "offset=-1").await.next;
        cluster.produce_many("none", (2..5).map(numbered)).await;
        eventually("the events", async || {
            let page = page(server.address, &format!("offset={old}")).await;
            (page.numbers == [2, 3, 4]).then_some(())
        })
        .await;
        cluster.delete_records(&topic, 0, 4).await;
        server.stop().await;

        let server = TestServer::start(&cluster, &settings).await;
        let mut gone = get(server.address, &format!("/v1/stream/pages?offset={old}")).await;
        assert_eq!(gone.status, 410);
        let problem = gone.json().await;
        assert_eq!(problem["type"], "offset_gone");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("below_log_start") && detail.contains("offset=-1"), "{detail}");
        let all = page(server.address, "offset=-1").await;
        assert_eq!(all.numbers, [4]);
        server.stop().await;
    }

    async fn a_request_that_is_wrong_has_a_problem(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        produce(&cluster, &topic, 0).await;
        let server = TestServer::start(&cluster, &settings).await;
        let good = page(server.address, "offset=-1").await.next;
        for (path, status, kind) in [
            ("pages?offset=a,b".to_owned(), 400, "invalid_offset"),
            ("pages?offset=".to_owned(), 400, "invalid_offset"),
            ("pages?offset=+1".to_owned(), 400, "invalid_offset"),
            ("pages?offset=-2".to_owned(), 400, "invalid_offset"),
            (format!("pages?offset={}", &good[1..]), 400, "invalid_offset"),
            (format!("pages?offset=f{}", &good[1..]), 400, "invalid_offset"),
            (format!("pages?offset={good}{good}"), 400, "invalid_offset"),
            (format!("pages?offset={good}&offset={good}"), 400, "invalid_query"),
            (format!("others?offset={good}"), 400, "invalid_offset"),
            ("pages?offset=-1&live=yes".to_owned(), 400, "invalid_query"),
            ("pages?live=sse".to_owned(), 400, "invalid_query"),
            ("pages?ofset=-1".to_owned(), 400, "invalid_query"),
            ("pages?filter=event.a+%3D+1".to_owned(), 400, "invalid_filter"),
            ("nothing?offset=-1".to_owned(), 404, "not_found"),
            ("pages,nothing?offset=now&live=sse".to_owned(), 404, "not_found"),
        ] {
            let mut response = get(server.address, &format!("/v1/stream/{path}")).await;
            assert_eq!(response.status, status, "{path}");
            assert_eq!(response.json().await["type"], kind, "{path}");
        }
        for method in ["PUT", "POST", "DELETE"] {
            let write = Request::new(method, "/v1/stream/pages");
            assert_eq!(write.send(server.address).await.status, 405, "{method}");
        }
        server.stop().await;
    }

    async fn head_has_the_end_of_the_stream(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        produce(&cluster, &topic, 0).await;
        let server = TestServer::start(&cluster, &settings).await;
        let read = page(server.address, "offset=-1").await;
        let head = Request::new("HEAD", "/v1/stream/pages").send(server.address).await;
        assert_eq!((head.status, head.header(NEXT)), (200, Some(&*read.next)));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        assert_eq!(head.header("content-type"), Some("application/json"));
        server.stop().await;
    }

    async fn a_filtered_page_moves_past_what_it_leaves_out(cluster: Cluster) {
        let (topic, settings) = one_topic(&cluster).await;
        let records = (0..50).map(|n| record(&topic, 0, TIME + to_i64(n), n));
        cluster.produce_many("none", records).await;
        let server = TestServer::start(&cluster, &settings).await;
        let all = page(server.address, "offset=-1").await;
        assert_eq!(all.numbers, (0..50).collect::<Vec<_>>());
        let filter = "filter=event.n+%3E+10+%26%26+event.n+%3C+13";
        let some = page(server.address, &format!("offset=-1&{filter}")).await;
        assert_eq!((some.numbers, some.next), (vec![11, 12], all.next));
        assert!(some.is_up_to_date);
        let path = format!("/v1/stream/pages?{filter}&fields=n");
        let mut response = get(server.address, &path).await;
        let filter = response.header("x-eventstreams-filter");
        assert_eq!(filter, Some("event.n < 13 && event.n > 10"));
        let events = response.json().await;
        assert_eq!(events[1]["n"], 12);
        server.stop().await;
    }
}
