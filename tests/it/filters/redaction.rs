//! Filters and redaction: a filter sees an event as its clients do, so neither a match nor a count
//! shows what is redacted.

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::filtered::{FilteredSubscriber, encoded};
use crate::support::numbered::{TIME, number, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

const STREAM: &str = "/v2/stream/mediawiki.recentchange";
const REDACTED_PAGES: &str = "{ru.wikipedia.org: ['Secret page']}";

/// Edits on a page that may be redacted; every third is on another one. All are by one user.
fn edit(topic: &str, n: usize) -> NewRecord {
    let title = if n.is_multiple_of(3) {
        "Open page"
    } else {
        "Secret page"
    };
    let value = format!(
        r#"{{"n":{n},"meta":{{"domain":"ru.wikipedia.org"}},"title":"{title}","user":"Mole",
        "performer":{{"user_text":"Mole","user_is_bot":true}},"comment":"by whom?"}}"#
    );
    NewRecord::new(topic, 0, TIME + to_i64(n), value)
}

/// Filters that find events by their user, and one that matches where there is none.
const BY_USER: [&str; 9] = [
    "user=Mole",
    "user=m*",
    "bot=true",
    "filter=event.user == \"Mole\"",
    "filter=has(event.user) || has(event.performer.user_text)",
    "filter=event.performer.user_text in [\"Mole\"]",
    "filter=event.performer.user_text.contains(\"ol\")",
    "filter=event.user.matches(\"^M\")",
    "filter=event.comment.contains(\"whom\") && event.performer.user_is_bot",
];
const BY_ITS_ABSENCE: &str = "filter=!has(event.user)";

/// A request with such parameters and more of them.
fn request(parameters: &str, more: &str) -> Request {
    let (name, value) = parameters.split_once('=').expect("a parameter");
    let value = value.split('*').map(encoded).collect::<Vec<_>>().join("*");
    Request::get(format!("{STREAM}?{name}={value}{more}"))
}

async fn recent_changes(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.mediawiki.recentchange");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default()
        .stream("mediawiki.recentchange", &[&topic])
        .key("heartbeat_ms", "200");
    (topic, settings)
}

/// Fails unless a filtered stream has these events next, and counts no more than them up to the
/// record `end`.
async fn assert_shown(mut client: FilteredSubscriber, shown: &[usize], end: i64, what: &str) {
    for n in shown {
        let event = client.event().await;
        assert_eq!(number(&event), *n, "{what}");
    }
    // The next frame with data is progress: nothing more matched.
    client.progress_to(end).await;
    let matched: i64 = client.progress.frames.iter().map(|one| one.matched).sum();
    assert_eq!(matched, to_i64(shown.len()), "{what}");
}

on_both_brokers!(
    async fn a_filter_on_the_user_does_not_find_redacted_events(cluster: Cluster) {
        let (topic, settings) = recent_changes(&cluster).await;
        let settings = settings.key("mediawiki_redacted_pages", REDACTED_PAGES);
        let server = TestServer::start(&cluster, &settings).await;
        let all = || BY_USER.into_iter().chain([BY_ITS_ABSENCE]);
        let mut live = Vec::new();
        for parameters in all() {
            let client = request(parameters, "");
            live.push(FilteredSubscriber::open(&client, server.address).await);
        }
        cluster
            .produce_many("none", (0..9).map(|n| edit(&topic, n)))
            .await;
        let shown = |parameters| match parameters {
            BY_ITS_ABSENCE => vec![1, 2, 4, 5, 7, 8],
            _ => vec![0, 3, 6],
        };
        for (parameters, client) in all().zip(live) {
            assert_shown(client, &shown(parameters), 9, parameters).await;
        }
        let late = TestServer::start(&cluster, &settings).await;
        for from in [&server, &late] {
            for parameters in all() {
                let past = request(parameters, "&since=0");
                let client = FilteredSubscriber::open(&past, from.address).await;
                assert_shown(client, &shown(parameters), 9, parameters).await;
            }
        }
        // What stays in an event is found.
        let title = request("filter=event.title == \"Secret page\"", "&since=0");
        let client = FilteredSubscriber::open(&title, server.address).await;
        assert_shown(client, &[1, 2, 4, 5, 7, 8], 9, "the title").await;
    }

    async fn a_page_that_is_redacted_later_is_no_longer_found(cluster: Cluster) {
        let (topic, settings) = recent_changes(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut connected = Vec::new();
        for parameters in BY_USER {
            let client = request(parameters, "");
            let mut client = FilteredSubscriber::open(&client, server.address).await;
            let lines = request(parameters, "")
                .subscribe_ndjson(server.address)
                .await;
            cluster.produce(edit(&topic, 1)).await;
            assert_eq!(number(&client.event().await), 1, "not redacted yet");
            for (_, others, _) in &mut connected {
                let client: &mut FilteredSubscriber = others;
                assert_eq!(number(&client.event().await), 1);
            }
            connected.push((parameters, client, lines));
        }
        let settings = settings.key("mediawiki_redacted_pages", REDACTED_PAGES);
        server.reconfigure(&settings).await;
        let next = to_i64(BY_USER.len());
        cluster
            .produce_many("none", (4..8).map(|n| edit(&topic, n)))
            .await;
        for (number_of_client, (parameters, mut client, mut lines)) in
            connected.into_iter().enumerate()
        {
            assert_eq!(number(&client.event().await), 6, "{parameters}");
            client.progress_to(next + 4).await;
            let before = BY_USER.len() - number_of_client;
            let events = lines.events(before + 1).await;
            assert_eq!(events[before - 1]["n"], 1, "{parameters}");
            assert_eq!(events[before]["n"], 6, "{parameters}");
        }
        // What matched when it came is no longer found in the past.
        for parameters in BY_USER {
            let past = request(parameters, &format!("&since={TIME}"));
            let client = FilteredSubscriber::open(&past, server.address).await;
            assert_shown(client, &[6], next + 4, parameters).await;
        }
    }
);
