//! Logs that lose their newest records, more than once.

use crate::support::admin::unique;
use crate::support::numbered::{TIME, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

on_both_brokers!(
    /// After the first cut the partition is read on, and no record follows it. Before anything is
    /// fetched after the second cut, the log is longer again than what was read.
    async fn a_second_cut_that_the_log_outgrows_is_noticed(faulty: FaultyCluster) {
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
);
