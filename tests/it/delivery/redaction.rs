//! Redaction: members of named pages that no client may see.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{SINCE_START, TIME, data};
use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, record};
use crate::support::wire::Request;

const SECRET_PAGE: &str = "{ru.wikipedia.org: [' Secret Page', 'Another']}";

/// Streams for each kind of redaction, and their topics.
async fn redacted_streams(cluster: &Cluster) -> (Settings, [String; 3]) {
    let streams = [
        "mediawiki.page_change.v1",
        "mediawiki.recentchange",
        "mediawiki.page-move",
    ];
    let topics = streams.map(|stream| unique(&format!("eqiad.{stream}")));
    let mut settings = Settings::default()
        .key("mediawiki_redacted_pages", SECRET_PAGE)
        .key("memory_log_bytes_max", "1048576");
    for (stream, topic) in streams.iter().zip(&topics) {
        cluster.create_topic(topic, 1).await;
        settings = settings.stream(stream, &[topic]);
    }
    (settings, topics)
}

/// For each of [`redacted_streams`] an event of a redacted page and one of another page.
fn secrets(topics: &[String; 3]) -> Vec<NewRecord> {
    let [page_change, recentchange, page_move] = topics;
    let editor = r#"{"user_text":"Hidden"}"#;
    let event = |topic: &str, ms: i64, domain: &str, rest: String| {
        NewRecord::new(
            topic,
            0,
            TIME + ms,
            format!(r#"{{"meta":{{"domain":"{domain}"}},{rest}}}"#),
        )
    };
    let change = |title: &str, editor: &str| {
        let revision = |id: u32| format!(r#""revision":{{"rev_id":{id},"editor":{editor}}}"#);
        let (new, prior) = (revision(2), revision(1));
        let page = format!(r#""page":{{"page_title":"{title}"}},"performer":{editor}"#);
        format!(r#"{page},{new},"prior_state":{{{prior}}}"#)
    };
    let (ru, shown) = ("ru.wikipedia.org", r#"{"user_text":"Shown"}"#);
    vec![
        event(page_change, 1, ru, change("secret_page", editor)),
        event(page_change, 2, ru, change("Public_page", shown)),
        event(
            recentchange,
            3,
            ru,
            r#""title":"Secret Page","user":"Hidden","bot":false"#.to_owned(),
        ),
        event(
            recentchange,
            4,
            "tt.wikipedia.org",
            r#""title":"Secret Page","user":"Shown","bot":false"#.to_owned(),
        ),
        event(
            page_move,
            5,
            ru,
            format!(r#""page_title":"Another","performer":{editor},"page_id":7"#),
        ),
        event(
            page_move,
            6,
            ru,
            format!(r#""page_title":"Another one","performer":{shown},"page_id":8"#),
        ),
    ]
}

/// The events that clients get for [`secrets`], by topic, with `meta` reduced to the domain.
fn redacted(topics: &[String; 3]) -> BTreeMap<String, Vec<Value>> {
    let shown = json!({"user_text": "Shown"});
    let meta = json!({"domain": "ru.wikipedia.org"});
    let of = |topic: usize, events: [Value; 2]| (topics[topic].clone(), events.to_vec());
    BTreeMap::from([
        of(
            0,
            [
                json!({
                    "meta": meta,
                    "page": {"page_title": "secret_page"},
                    "performer": {},
                    "revision": {"rev_id": 2},
                    "prior_state": {"revision": {"rev_id": 1}},
                }),
                json!({
                    "meta": meta,
                    "page": {"page_title": "Public_page"},
                    "performer": shown,
                    "revision": {"rev_id": 2, "editor": shown},
                    "prior_state": {"revision": {"rev_id": 1, "editor": shown}},
                }),
            ],
        ),
        of(
            1,
            [
                json!({"meta": meta, "title": "Secret Page", "bot": false}),
                json!({
                    "meta": {"domain": "tt.wikipedia.org"},
                    "title": "Secret Page",
                    "user": "Shown",
                    "bot": false,
                }),
            ],
        ),
        of(
            2,
            [
                json!({"meta": meta, "page_title": "Another", "page_id": 7}),
                json!({
                    "meta": meta,
                    "page_title": "Another one",
                    "performer": shown,
                    "page_id": 8,
                }),
            ],
        ),
    ])
}

/// Fails unless the events are exactly [`redacted`].
fn assert_redacted(way: &str, topics: &[String; 3], events: impl IntoIterator<Item = Value>) {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut event in events {
        assert!(!event.to_string().contains("Hidden"), "{way}: {event}");
        let (topic, ..) = record(&event);
        event["meta"] = json!({"domain": event["meta"]["domain"]});
        seen.entry(topic).or_default().push(event);
    }
    assert_eq!(seen, redacted(topics), "{way}");
}

const REDACTED_STREAMS: &str =
    "/v2/stream/mediawiki.page_change.v1,mediawiki.recentchange,mediawiki.page-move";

on_both_brokers!(
    async fn redaction_is_the_same_live_from_memory_and_from_kafka(cluster: Cluster) {
        let (settings, topics) = redacted_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut live = Request::get(REDACTED_STREAMS)
            .subscribe(server.address)
            .await;
        let mut lines = Request::get(REDACTED_STREAMS)
            .subscribe_ndjson(server.address)
            .await;
        cluster
            .produce(NewRecord::new(&topics[0], 0, TIME, r#"{"first":true}"#))
            .await;
        let first = live.event().await.id.expect("an id");
        lines.events(1).await;
        cluster.produce_many("none", secrets(&topics)).await;
        assert_redacted(
            "live",
            &topics,
            live.events(6).await.iter().map(Frame::json),
        );
        assert_redacted("live, as lines", &topics, lines.events(6).await);
        assert_eq!(server.metric("eventstreams_events_redacted_total").await, 3);

        let after_first = Request::get(REDACTED_STREAMS).last_event_id(first);
        let mut memory = after_first.subscribe(server.address).await;
        assert_redacted(
            "from memory",
            &topics,
            memory.events(6).await.iter().map(Frame::json),
        );
        let mut memory = after_first.subscribe_ndjson(server.address).await;
        assert_redacted("from memory, as lines", &topics, memory.events(6).await);
        assert_eq!(
            server.metric("eventstreams_replay_reads_total").await,
            0,
            "nothing was read again"
        );

        // Two megabytes more than memory keeps.
        let filler = format!(r#"{{"filler":"{}"}}"#, "x".repeat(50_000));
        let filler =
            (0..60).map(|n| NewRecord::new(&topics[2], 0, TIME + 100 + n, filler.as_str()));
        cluster.produce_many("none", filler).await;
        live.events(60).await;
        let mut kafka = after_first.subscribe(server.address).await;
        assert_redacted(
            "from Kafka",
            &topics,
            kafka.events(6).await.iter().map(Frame::json),
        );
        let mut kafka = after_first.subscribe_ndjson(server.address).await;
        assert_redacted("from Kafka, as lines", &topics, kafka.events(6).await);
        assert!(server.metric("eventstreams_replay_reads_total").await > 0);

        let late = TestServer::start(&cluster, &settings).await;
        let mut past = Request::get(format!("{REDACTED_STREAMS}{SINCE_START}"))
            .subscribe(late.address)
            .await;
        assert_eq!(past.event().await.json()["first"], true);
        assert_redacted(
            "since, after a restart",
            &topics,
            past.events(6).await.iter().map(Frame::json),
        );
    }

    async fn a_topic_of_two_streams_gets_the_redactions_of_both(cluster: Cluster) {
        let topic = unique("eqiad.shared");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("mediawiki.recentchange", &[&topic])
            .stream("edits", &[&topic])
            .key("mediawiki_redacted_pages", SECRET_PAGE);
        let server = TestServer::start(&cluster, &settings).await;
        let mut changes = Request::get("/v2/stream/mediawiki.recentchange")
            .subscribe(server.address)
            .await;
        let mut edits = Request::get("/v2/stream/edits")
            .subscribe(server.address)
            .await;
        let secret = concat!(
            r#"{"meta":{"domain":"ru.wikipedia.org"},"title":"Another","#,
            r#""user":"Hidden","performer":{"a":"Hidden"},"n":1}"#,
        );
        cluster
            .produce(NewRecord::new(&topic, 0, TIME, secret))
            .await;
        let record = format!(r#""topic":"{topic}","partition":0,"offset":0"#);
        let meta = format!(r#"{{"domain":"ru.wikipedia.org",{record}}}"#);
        let expected = format!(r#"{{"meta":{meta},"title":"Another","n":1}}"#);
        assert_eq!(data(&changes.events(1).await), [expected.as_str()]);
        assert_eq!(data(&edits.events(1).await), [expected.as_str()]);
    }
);
