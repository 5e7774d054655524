//! Logs that lose their newest records: more than once, or records that another server had read.

use crate::support::admin::unique;
use crate::support::numbered::{TIME, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

on_both_brokers!(
    /// After the first cut the partition is read on, and no record follows it. Before anything is
    /// fetched after the second cut, the log is longer again than what was read.
    async fn a_second_cut_that_the_log_outgrows_is_noticed(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        let topic = unique("eqiad.cut-twice");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("cut", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut live = Request::get("/v2/stream/cut")
            .subscribe(server.address)
            .await;
        let records = |numbers: std::ops::Range<usize>| {
            let record = |n| record(&topic, 0, TIME + to_i64(n), n);
            numbers.map(record).collect::<Vec<_>>()
        };
        for n in 0..10 {
            cluster.produce_many("none", records(n..n + 1)).await;
        }
        live.events(10).await;
        faulty.truncate_log(&topic, 0, 5).await;
        live.comment("asked=10; actual=5; reason=log_truncated")
            .await;
        let others: Vec<usize> = (20..40).collect();
        faulty.replace_log_end(&topic, 0, 3, records(20..40)).await;
        assert_eq!(
            numbers(&live.events(others.len()).await),
            others,
            "{:?}",
            live.comments
        );
    }

    /// Its client comes from a server that had read two records more before they were lost. The log
    /// has outgrown their offsets.
    async fn an_id_of_records_that_were_lost_unread_goes_on_at_the_cut(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        let topic = unique("eqiad.cut-unread");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("cut", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/cut");
        let mut live = request.subscribe(server.address).await;
        for n in 0..10 {
            cluster
                .produce(record(&topic, 0, TIME + to_i64(n), n))
                .await;
        }
        let id = live.events(10).await[9].id.clone().expect("an id");
        let ahead = id.replace("\"offset\":10,", "\"offset\":12,").replace(
            &format!("\"timestamp\":{}", TIME + 9),
            &format!("\"timestamp\":{}", TIME + 11),
        );
        faulty.truncate_log(&topic, 0, 5).await;
        live.comment("asked=10; actual=5; reason=log_truncated")
            .await;
        for n in 20..40 {
            cluster
                .produce(record(&topic, 0, TIME + to_i64(n), n))
                .await;
        }
        let new = live.events(20).await;
        let (mut resumed, moved) = resume(&server, &ahead).await;
        assert!(
            moved.contains("asked=12; actual=5; reason=log_truncated"),
            "{moved}"
        );
        assert_eq!(
            numbers(&resumed.events(20).await),
            (20..40).collect::<Vec<_>>()
        );
        let id = new[6].id.as_ref().expect("an id");
        assert!(id.contains("\"offset\":12,"), "{id}");
        let (mut resumed, moved) = resume(&server, id).await;
        assert_eq!(moved, "", "an id of the new log");
        assert_eq!(
            numbers(&resumed.events(13).await),
            (27..40).collect::<Vec<_>>()
        );
    }
);

/// The stream from an id on, and the notice that its response has.
async fn resume(server: &TestServer, id: &str) -> (Subscriber, String) {
    let request = Request::get("/v2/stream/cut").last_event_id(id);
    let resumed = request.subscribe(server.address).await;
    let moved = resumed.response.header("x-eventstreams-moved");
    let moved = moved.unwrap_or_default().to_owned();
    (resumed, moved)
}
