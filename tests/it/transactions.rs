//! Offsets without a record: markers of transactions, and aborted or compacted records, at the
//! start, in the middle and at the end of a log.

use crate::support::admin::unique;
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, now_ms, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::transactions::Outcome;
use crate::support::wire::Request;

fn settings(topic: &str) -> Settings {
    Settings::default()
        .stream("marked", &[topic])
        .key("metadata_refresh_ms", "200")
}

/// Waits for several rounds of discovery, which would notice a fault of a log.
async fn some_rounds(server: &TestServer) {
    let refresh = std::time::Duration::from_millis(200);
    tokio::time::sleep(refresh * 8).await;
    assert_eq!(server.metric("eventstreams_kafka_connected").await, 1);
}

on_both_brokers!(
    /// The events are older than their markers, as those of a sink that writes exactly once.
    async fn records_older_than_their_markers_are_delivered_once(cluster: Cluster) {
        let topic = unique("eqiad.marked");
        cluster.create_topic(&topic, 1).await;
        let producer = cluster.transactional_producer(&topic).await;
        let server = TestServer::start(&cluster, &settings(&topic)).await;
        let mut subscriber = Request::get("/v2/stream/marked")
            .subscribe(server.address)
            .await;
        let early = now_ms() - 3_600_000;
        for n in 0..5 {
            producer
                .transaction([record(&topic, 0, early, n)], Outcome::Committed)
                .await;
        }
        assert_eq!(numbers(&subscriber.events(5).await), [0, 1, 2, 3, 4]);
        some_rounds(&server).await;
        producer
            .transaction([record(&topic, 0, early, 5)], Outcome::Committed)
            .await;
        assert_eq!(
            numbers(&subscriber.events(1).await),
            [5],
            "no event was repeated"
        );
    }

    async fn a_log_that_ends_in_a_marker_has_no_lag_beside_a_busy_one(cluster: Cluster) {
        let (marked, busy) = (unique("eqiad.marked"), unique("eqiad.busy"));
        cluster.create_topic(&marked, 1).await;
        cluster.create_topic(&busy, 1).await;
        let producer = cluster.transactional_producer(&marked).await;
        producer
            .transaction(
                (0..3).map(|n| record(&marked, 0, now_ms(), n)),
                Outcome::Committed,
            )
            .await;
        producer
            .transaction(
                (3..2000).map(|n| record(&marked, 0, now_ms(), n)),
                Outcome::Aborted,
            )
            .await;
        let (cluster_too, topic) = (cluster.clone(), busy.clone());
        let writing = tokio::spawn(async move {
            for n in 0.. {
                cluster_too.produce(record(&topic, 0, now_ms(), n)).await;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        });
        let both = settings(&marked).stream("busy", &[&busy]);
        let server = TestServer::start(&cluster, &both).await;
        let lag = format!("eventstreams_lag_records{{topic=\"{marked}\"}}");
        eventually("no lag is left", async || {
            (server.metric(&lag).await == 0).then_some(())
        })
        .await;
        writing.abort();
    }

    /// 46 resumes, at every position of a compacted log, beside an ordinary topic.
    async fn a_resume_after_compaction_repeats_nothing(cluster: Cluster) {
        let (compacted, ordinary) = (unique("eqiad.compacted"), unique("eqiad.ordinary"));
        cluster.create_compacted_topic(&compacted, 1).await;
        cluster.create_topic(&ordinary, 1).await;
        let settings = Settings::default().stream("marked", &[&compacted, &ordinary]);
        let keyed = |n: usize| record(&compacted, 0, TIME + to_i64(n), n).key(format!("{}", n % 7));
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/marked")
            .subscribe(server.address)
            .await;
        for n in 0..23 {
            cluster.produce(keyed(n)).await;
            cluster
                .produce(record(&ordinary, 0, TIME + to_i64(n), 1000 + n))
                .await;
        }
        let had = subscriber.events(46).await;
        cluster.compact(&compacted).await;
        cluster
            .produce(record(&ordinary, 0, TIME + 5000, 2000))
            .await;
        // It has none of it in memory.
        let later = TestServer::start(&cluster, &settings).await;
        for cut in 0..46 {
            let id = had[cut].id.clone().expect("an id");
            let mut resumed = Request::get("/v2/stream/marked")
                .last_event_id(id)
                .subscribe(later.address)
                .await;
            let rest = resumed
                .events_until(|frame| numbers(std::slice::from_ref(frame)) == [2000])
                .await;
            let (before, after) = (numbers(&had[..=cut]), numbers(&rest));
            assert!(
                after.iter().all(|n| !before.contains(n)),
                "cut after {cut}: {after:?}"
            );
            let kept: Vec<_> = (1000..1023).filter(|n| !before.contains(n)).collect();
            let ordinary: Vec<_> = after
                .iter()
                .copied()
                .filter(|n| (1000..1023).contains(n))
                .collect();
            assert_eq!(ordinary, kept, "cut after {cut}");
        }
    }

    /// The time index finds the marker, which is later than its records.
    async fn since_ignores_transaction_markers(cluster: Cluster) {
        let topic = unique("eqiad.marked");
        cluster.create_topic(&topic, 1).await;
        let producer = cluster.transactional_producer(&topic).await;
        let (long_ago, later) = (TIME, TIME + 1000);
        producer
            .transaction(
                (0..3).map(|n| record(&topic, 0, long_ago, n)),
                Outcome::Committed,
            )
            .await;
        producer
            .transaction(
                (3..6).map(|n| record(&topic, 0, later, n)),
                Outcome::Committed,
            )
            .await;
        producer
            .transaction(
                (6..9).map(|n| record(&topic, 0, long_ago, n)),
                Outcome::Committed,
            )
            .await;
        let server = TestServer::start(&cluster, &settings(&topic)).await;
        let all = format!("/v2/stream/marked?since={}", long_ago + 1);
        let mut subscriber = Request::get(all).subscribe(server.address).await;
        assert_eq!(numbers(&subscriber.events(3).await), [3, 4, 5]);
    }

    /// A starting server reads its reach-back, and `since` finds its time, after a record of the
    /// year 58,000.
    async fn a_record_of_the_far_future_hides_no_other(cluster: Cluster) {
        let topic = unique("eqiad.future");
        cluster.create_topic(&topic, 1).await;
        let future = 1_764_000_000_000_000;
        cluster
            .produce_many("none", (0..10).map(|n| record(&topic, 0, TIME, n)))
            .await;
        cluster.produce(record(&topic, 0, future, 10)).await;
        cluster
            .produce_many(
                "none",
                (11..40).map(|n| record(&topic, 0, TIME + to_i64(n), n)),
            )
            .await;
        let server = TestServer::start(&cluster, &settings(&topic)).await;
        let since = format!("/v2/stream/marked?since={}", TIME + 30);
        let mut subscriber = Request::get(since).subscribe(server.address).await;
        assert_eq!(
            numbers(&subscriber.events(10).await),
            (30..40).collect::<Vec<_>>()
        );
        let mut live = Request::get("/v2/stream/marked?since=2999-01-01")
            .subscribe(server.address)
            .await;
        cluster.produce(record(&topic, 0, now_ms(), 40)).await;
        assert_eq!(
            numbers(&live.events(1).await),
            [40],
            "a time in the future is live"
        );
    }
);
