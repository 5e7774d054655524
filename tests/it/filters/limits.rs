//! How many different filters there may be, and the metrics of filters.

use super::{edits, path, produce};
use crate::support::admin::{Cluster, unique};
use crate::support::deadline::eventually;
use crate::support::filtered::{CASES, FORMS, FilteredSubscriber, Reader, encoded};
use crate::support::server::{Settings, TestServer, sample_in};
use crate::support::wire::{Request, Response};

/// A server of a stream `s` with these limits. The proxy names the clients.
async fn limited(cluster: &Cluster, limits: &[(&str, &str)]) -> TestServer {
    let topic = unique("eqiad.s");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default()
        .stream("s", &[&topic])
        .key("client_ip_connection_limit", "100");
    let with = |settings: Settings, (key, value): &(&str, &str)| settings.key(key, value);
    TestServer::start(cluster, &limits.iter().fold(settings, with)).await
}

/// A request of a client, by the last number of its address.
fn from(client: u8, filter: &str) -> Request {
    Request::get(format!("/v2/stream/s?filter={}", encoded(filter)))
        .header("X-Client-IP", format!("192.0.2.{client}"))
}

/// The status, the type and the time to wait of a refusal.
async fn refusal(mut response: Response) -> (u16, String, Option<String>) {
    let retry = response.header("retry-after").map(str::to_owned);
    assert_ne!(response.status, 200, "a stream has no end to wait for");
    let problem = response.json().await;
    let kind = problem["type"].as_str().unwrap_or_default().to_owned();
    (response.status, kind, retry)
}

/// The numbers of filters by kind: indexed, residual, pattern.
async fn kinds(server: &TestServer) -> [u64; 3] {
    let metrics = server.metrics().await;
    ["indexed", "residual", "pattern"].map(|kind| {
        let sample = format!("eventstreams_filters{{kind=\"{kind}\"}}");
        sample_in(&metrics, &sample).map_or(0, |count| count.parse().expect("a number"))
    })
}

async fn await_kinds(server: &TestServer, expected: [u64; 3]) {
    eventually(format!("{expected:?} filters"), async || {
        (kinds(server).await == expected).then_some(())
    })
    .await;
}

on_both_brokers!(
    async fn equal_filters_of_a_client_count_once(cluster: Cluster) {
        let server = limited(&cluster, &[("filters_per_client_max", "2")]).await;
        let open =
            async |filter: &str| FilteredSubscriber::open(&from(1, filter), server.address).await;
        let first = open("event.a == 1 && event.b == 2").await;
        let second = open("event.c == 1").await;
        let same = open("2==event.b&&(event.a==1)").await;
        let third = from(1, "event.d == 1");
        let refused = refusal(third.send(server.address).await).await;
        assert_eq!(refused, (429, "too_many_filters".into(), Some("5".into())));
        // Neither another client nor a stream without a filter.
        let _other = FilteredSubscriber::open(&from(2, "event.d == 1"), server.address).await;
        let whole = from(1, "true").send(server.address).await;
        assert_eq!(whole.status, 200);
        drop(first);
        await_kinds(&server, [3, 0, 0]).await;
        assert_eq!(
            third.send(server.address).await.status,
            429,
            "one still uses it"
        );
        drop((same, second));
        eventually("a filter to be free", async || {
            (third.send(server.address).await.status == 200).then_some(())
        })
        .await;
    }

    async fn all_clients_together_have_a_limit_of_filters(cluster: Cluster) {
        let server = limited(&cluster, &[("filters_max", "2")]).await;
        let first = FilteredSubscriber::open(&from(1, "event.a == 1"), server.address).await;
        let _second = FilteredSubscriber::open(&from(2, "event.a > 1"), server.address).await;
        let third = from(3, "event.a == 3");
        let refused = refusal(third.send(server.address).await).await;
        assert_eq!(refused, (503, "unavailable".into(), Some("5".into())));
        let _same = FilteredSubscriber::open(&from(3, "event.a==1"), server.address).await;
        let _whole = from(3, "true").subscribe(server.address).await;
        drop(first);
        assert_eq!(
            third.send(server.address).await.status,
            503,
            "one still uses it"
        );
    }

    /// A condition that cannot be indexed must not make the others useless.
    async fn one_indexed_condition_is_enough_for_a_filter(cluster: Cluster) {
        let server = limited(&cluster, &[("unindexed_filters_max", "1")]).await;
        let mut all = Vec::new();
        for filter in [
            "event.wiki == 'enwiki' && event.length.new > 100",
            "event.length.new > 100 && !event.bot && event.wiki in ['dewiki', 'frwiki']",
            "event.comment.matches('^a.*b') && event.wiki == 'enwiki'",
            "event.n > 100",
        ] {
            all.push(FilteredSubscriber::open(&from(1, filter), server.address).await);
        }
        assert_eq!(kinds(&server).await, [3, 1, 0]);
        for filter in ["event.n > 101", "event.comment.matches('^a')"] {
            let refused = refusal(from(2, filter).send(server.address).await).await;
            assert_eq!(
                refused,
                (503, "unavailable".into(), Some("5".into())),
                "{filter}"
            );
        }
        let _same = FilteredSubscriber::open(&from(2, "event.n > 100"), server.address).await;
        all.pop();
        let _indexed = FilteredSubscriber::open(&from(2, "event.n == 1"), server.address).await;
        assert_eq!(kinds(&server).await, [4, 1, 0]);
    }

    async fn no_filter_is_counted_when_all_clients_are_gone(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let mut readers = Vec::new();
        for (case, form) in CASES.iter().zip(FORMS.into_iter().cycle()) {
            readers.push(Reader::open(&path(case, ""), form, false, server.address).await);
        }
        assert_eq!(kinds(&server).await.iter().sum::<u64>(), CASES.len() as u64);
        produce(&cluster, &topics, 0..50).await;
        whole.data(50).await;
        let refused = Request::get("/v2/stream/edits?wiki=ttwiki&since=never");
        assert_eq!(refused.send(server.address).await.status, 400);
        let head = Request::new("HEAD", "/v2/stream/edits?wiki=ttwiki");
        assert_eq!(head.send(server.address).await.status, 200);
        drop(readers);
        await_kinds(&server, [0, 0, 0]).await;
        assert_eq!(
            server.metric("eventstreams_feeds").await,
            1,
            "of the whole stream"
        );
    }
);
