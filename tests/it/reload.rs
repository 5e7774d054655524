//! Configuration that changes while clients are connected.

use crate::support::admin::{NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, Subscriber};
use crate::support::wire::Request;

const TIME: i64 = 1_700_000_000_000;

fn event(topic: &str, n: i64, title: &str) -> NewRecord {
    let value = format!(
        r#"{{"n":{n},"meta":{{"domain":"ru.wikipedia.org"}},"page_title":"{title}",{PERFORMER}}}"#
    );
    NewRecord::new(topic, 0, TIME + n, value)
}

fn has_performer(frame: &Frame) -> bool {
    frame.json().to_string().contains("Somebody")
}

/// A member that redaction removes.
const PERFORMER: &str = r#""performer":{"user_text":"Somebody"}"#;

const REDACTED: &str = "{ru.wikipedia.org: [Named]}";

on_both_brokers!(
    async fn a_stream_that_is_no_longer_public_ends_with_an_error(cluster: Cluster) {
        let (kept, gone) = (unique("eqiad.kept"), unique("eqiad.gone"));
        cluster.create_topic(&kept, 1).await;
        cluster.create_topic(&gone, 1).await;
        let both = Settings::default()
            .stream("kept", &[&kept])
            .stream("gone", &[&gone]);
        let server = TestServer::start(&cluster, &both).await;
        let mut unaffected = Request::get("/v2/stream/kept")
            .subscribe(server.address)
            .await;
        let mut affected = Request::get("/v2/stream/gone,kept")
            .subscribe(server.address)
            .await;
        server
            .reconfigure(&both.clone().key("allowed_streams", "[kept]"))
            .await;
        let last = affected.event().await;
        assert_eq!(last.event.as_deref(), Some("error"));
        assert_eq!(last.json()["type"], "stream_gone");
        assert_eq!(
            affected.event_or_end().await.map(|frame| frame.data),
            None,
            "the stream ends"
        );
        cluster.produce(event(&kept, 1, "Any")).await;
        assert_eq!(unaffected.event().await.json()["n"], 1);
        let refused = Request::get("/v2/stream/gone").send(server.address).await;
        assert_eq!(refused.status, 400);
        server
            .reconfigure(&both.key("allowed_streams", "all"))
            .await;
        let mut again = Request::get("/v2/stream/gone")
            .subscribe(server.address)
            .await;
        cluster.produce(event(&gone, 2, "Any")).await;
        assert_eq!(again.event().await.json()["n"], 2);
    }

    async fn a_new_stream_is_served_at_once(cluster: Cluster) {
        let (first, second) = (unique("eqiad.first"), unique("eqiad.second"));
        cluster.create_topic(&first, 1).await;
        cluster.create_topic(&second, 1).await;
        cluster
            .produce(event(&second, 1, "Before the stream"))
            .await;
        let one = Settings::default().stream("first", &[&first]);
        let server = TestServer::start(&cluster, &one).await;
        server.reconfigure(&one.stream("second", &[&second])).await;
        let mut subscriber = eventually("the new stream", async || {
            let response = Request::get("/v2/stream/second").send(server.address).await;
            (response.status == 200).then(|| Subscriber::new(response))
        })
        .await;
        cluster.produce(event(&second, 2, "After")).await;
        assert_eq!(subscriber.event().await.json()["n"], 2, "live, not history");
    }

    async fn a_newly_named_page_is_redacted_live_and_in_memory(cluster: Cluster) {
        let topic = unique("eqiad.redacted");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("pages", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/pages")
            .subscribe(server.address)
            .await;
        cluster.produce(event(&topic, 1, "Named")).await;
        cluster.produce(event(&topic, 2, "Other")).await;
        assert!(
            has_performer(&subscriber.events(2).await[0]),
            "not named yet"
        );
        server
            .reconfigure(&settings.key("mediawiki_redacted_pages", REDACTED))
            .await;
        cluster.produce(event(&topic, 3, "Named")).await;
        assert!(!has_performer(&subscriber.event().await), "live");
        let since = format!("/v2/stream/pages?since={TIME}");
        let replayed = Request::get(since)
            .subscribe(server.address)
            .await
            .events(3)
            .await;
        let shown: Vec<bool> = replayed.iter().map(has_performer).collect();
        assert_eq!(shown, [false, true, false], "memory");
    }

    async fn an_invalid_file_changes_nothing(cluster: Cluster) {
        let topic = unique("eqiad.kept");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("kept", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/kept")
            .subscribe(server.address)
            .await;
        server
            .write_invalid_configuration("allowed_stream: [typo]")
            .await;
        cluster.produce(event(&topic, 1, "Any")).await;
        assert_eq!(subscriber.event().await.json()["n"], 1);
        let status = Request::get("/v2/stream/kept")
            .send(server.address)
            .await
            .status;
        assert_eq!(status, 200);
    }

    async fn a_topic_removed_from_topics_allowed_ends_only_its_readers(cluster: Cluster) {
        let (here, there) = (unique("eqiad.twice"), unique("codfw.twice"));
        cluster.create_topic(&here, 1).await;
        cluster.create_topic(&there, 1).await;
        let with = |settings: Settings, allowed: &str| {
            settings.stream_with("twice", &format!("{{topics: [{here}]{allowed}}}"))
        };
        let server = TestServer::start(
            &cluster,
            &with(Settings::default(), &format!(", topics_allowed: [{there}]")),
        )
        .await;
        let mut unaffected = Request::get("/v2/stream/twice")
            .subscribe(server.address)
            .await;
        let id = format!(r#"[{{"topic":"{there}","partition":0,"offset":0}}]"#);
        let mut affected = Request::get("/v2/stream/twice")
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        cluster.produce(event(&there, 1, "Any")).await;
        assert_eq!(affected.event().await.json()["n"], 1);
        server.reconfigure(&with(Settings::default(), "")).await;
        assert_eq!(
            affected.event_or_end().await.map(|frame| frame.data),
            None,
            "the stream ends"
        );
        assert_eq!(
            server
                .metric("eventstreams_streams_closed_total{reason=\"stream_changed\"}")
                .await,
            1
        );
        cluster.produce(event(&here, 2, "Any")).await;
        assert_eq!(unaffected.event().await.json()["n"], 2);
    }

    /// The file as an editor or a copy leaves it for a moment: cut off, but valid.
    async fn a_list_missing_in_the_file_makes_nothing_public(cluster: Cluster) {
        let (shown, hidden) = (unique("eqiad.shown"), unique("eqiad.hidden"));
        cluster.create_topic(&shown, 1).await;
        cluster.create_topic(&hidden, 1).await;
        let open = Settings::default()
            .stream("shown", &[&shown])
            .stream("hidden", &[&hidden]);
        let closed = open
            .clone()
            .key("allowed_streams", "[shown]")
            .key("mediawiki_redacted_pages", REDACTED);
        let server = TestServer::start(&cluster, &closed).await;
        let mut subscriber = Request::get("/v2/stream/shown")
            .subscribe(server.address)
            .await;
        for partial in [
            open.clone(),
            open.clone().key("allowed_streams", "[shown]"),
            open.clone().key("mediawiki_redacted_pages", REDACTED),
        ] {
            server.reconfigure_and_expect_failure(&partial).await;
            assert_eq!(
                Request::get("/v2/stream/hidden")
                    .send(server.address)
                    .await
                    .status,
                400
            );
        }
        let other = "{fr.wikipedia.org: [Named]}";
        server
            .reconfigure_and_expect_failure(
                &open
                    .clone()
                    .key("allowed_streams", "[shown]")
                    .key("mediawiki_redacted_pages", other),
            )
            .await;
        cluster.produce(event(&shown, 1, "Named")).await;
        assert!(!has_performer(&subscriber.event().await));
        server
            .reconfigure(
                &open
                    .clone()
                    .key("allowed_streams", "all")
                    .key("mediawiki_redacted_pages", "{}"),
            )
            .await;
        let hidden = Request::new("HEAD", "/v2/stream/hidden");
        assert_eq!(hidden.send(server.address).await.status, 200);
        cluster.produce(event(&shown, 2, "Named")).await;
        assert!(has_performer(&subscriber.event().await));
    }
);
