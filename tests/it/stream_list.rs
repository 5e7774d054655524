//! `GET /v2/streams` and `GET /v2/streams/{name}`.

use serde_json::{Value, json};

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{now_ms, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

async fn json_of(server: &TestServer, path: &str) -> Value {
    let mut response = Request::get(path).send(server.address).await;
    assert_eq!(response.status, 200, "{path}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("public, max-age=10"));
    response.json().await
}

/// A record each ten minutes for two days, and ten in the last half minute.
async fn produce(cluster: &Cluster, topic: &str, now: i64) {
    let record = |time| {
        let value = r#"{"meta":{"domain":"a.example.org"},"wiki":"awiki","title":null}"#;
        NewRecord::new(topic, 0, time, value)
    };
    let old = (1..=288).rev().map(|n| record(now - n * 600_000));
    let new = (0..10).map(|n| record(now - 30_000 + n * 1000));
    cluster.produce_many("none", old.chain(new)).await;
}

on_both_brokers! {
    async fn the_list_describes_each_public_stream(cluster: Cluster) {
        let [topic, empty] = ["eqiad.edits", "codfw.edits"].map(unique);
        cluster.create_topic(&topic, 1).await;
        cluster.create_topic(&empty, 2).await;
        let now = now_ms();
        produce(&cluster, &topic, now).await;
        let edits = format!(
            "{{topics: [{topic}, {empty}], stream_aliases: [e], description: Edits, \
             schema_title: mediawiki/edit}}"
        );
        let settings = Settings::default()
            .stream_with("edits", &edits)
            .stream("idle", &[&empty])
            .stream("private", &[&topic])
            .key("allowed_streams", "[edits, idle]");
        let server = TestServer::start(&cluster, &settings).await;
        let list = eventually("the facts of Kafka are there", async || {
            let list = json_of(&server, "/v2/streams").await;
            (!list["streams"][0]["oldest"].is_null()).then_some(list)
        });
        let list = list.await;
        let streams = list["streams"].as_array().expect("a list");
        let names: Vec<_> = streams.iter().map(|stream| &stream["name"]).collect();
        assert_eq!(names, ["edits", "idle"]);
        let stream = &streams[0];
        let topics = [(&topic, 1), (&empty, 2)];
        let topics = topics.map(|(name, count)| json!({"name": name, "partitions": count}));
        for (member, value) in [
            ("url", json!("/v2/stream/edits")),
            ("description", json!("Edits")),
            ("aliases", json!(["e"])),
            ("schema_title", json!("mediawiki/edit")),
            ("topics", json!(topics)),
            ("shorthand", json!(["wiki", "domain"])),
        ] {
            assert_eq!(stream[member], value, "{member}");
        }
        let time = |member: &str| stream[member].as_str().expect("a time").parse();
        let times = ["oldest", "newest"].map(|member| time(member).expect("a time"));
        let expected = [now - 288 * 600_000, now - 21_000].map(jiff::Timestamp::from_millisecond);
        assert_eq!(times.map(Ok::<_, ()>), expected.map(|time| time.map_err(drop)));
        let rate = |of: &str| stream["records_per_second"][of].as_f64().expect("a rate");
        let day = rate("last_day") * 86_400.0;
        // 144 of the old ones and ten new ones; the server rounds, and time passes.
        assert!((140.0..164.0).contains(&day), "{stream}");
        let minute = rate("last_minute") * 60.0;
        assert!(minute > 9.0 && minute < 11.0, "{stream}");

        let idle = json_of(&server, "/v2/streams/idle").await;
        assert_eq!((&idle["oldest"], &idle["newest"]), (&Value::Null, &Value::Null));
        assert_eq!(idle["records_per_second"]["last_minute"], 0.0);
        let by_alias = json_of(&server, "/v2/streams/e").await;
        assert_eq!(by_alias["name"], "edits");
        server.stop().await;
    }

    async fn other_names_are_not_found(cluster: Cluster) {
        let topic = unique("eqiad.edits");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("edits", &[&topic])
            .stream("private", &[&topic])
            .key("allowed_streams", "[edits, later]");
        let server = TestServer::start(&cluster, &settings).await;
        for (name, status, kind) in [
            ("private", 400, "not_found"),
            ("edit", 400, "not_found"),
            ("later", 410, "stream_gone"),
        ] {
            let request = Request::get(format!("/v2/streams/{name}"));
            let mut response = request.send(server.address).await;
            assert_eq!(response.status, status, "{name}");
            assert_eq!(response.json().await["type"], kind, "{name}");
        }
        let mut list = Request::get("/v2/streams").send(server.address).await;
        let tag = list.header("etag").expect("a tag").to_owned();
        let text = list.text().await;
        assert!(!text.contains("private"), "{text}");
        let again = Request::get("/v2/streams").header("if-none-match", tag);
        assert!(to_i64(again.send(server.address).await.body.len()) < 1000);
        server.stop().await;
    }
}
