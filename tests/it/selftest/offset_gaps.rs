//! Transactions, compaction and ACLs: the tools that make logs with offset gaps, and topics that
//! cannot be read.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;

use crate::support::acls::Operation;
use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::transactions::Outcome;

/// Offset, timestamp and value of each committed record.
async fn committed(cluster: &Cluster, topic: &str) -> Vec<(i64, i64, String)> {
    let value =
        |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).expect("text");
    let log = cluster.log(topic).await.into_iter();
    log.map(|record| (record.offset, record.timestamp, value(record.value)))
        .collect()
}

fn records(
    topic: &str,
    count: i64,
    timestamp: i64,
    value: &str,
) -> impl Iterator<Item = NewRecord> {
    (0..count).map(move |n| NewRecord::new(topic, 0, timestamp + n, value))
}

on_both_brokers!(
    /// Each transaction takes an offset for its marker. Consumers read neither an aborted
    /// transaction nor anything after an open one.
    async fn transactions_leave_offsets_without_a_record(cluster: Cluster) {
        let (topic, open) = (unique("gaps"), unique("open"));
        cluster.create_topic(&topic, 1).await;
        let producer = cluster.transactional_producer(&unique("writer")).await;
        assert_eq!(
            producer
                .transaction(records(&topic, 2, 1000, "a"), Outcome::Committed)
                .await,
            [0, 1]
        );
        assert_eq!(
            producer
                .transaction(records(&topic, 3, 2000, "b"), Outcome::Aborted)
                .await,
            [3, 4, 5]
        );
        assert_eq!(
            producer
                .transaction(records(&topic, 1, 3000, "c"), Outcome::Committed)
                .await,
            [7]
        );
        let opener = cluster.transactional_producer(&open).await;
        assert_eq!(
            opener
                .transaction(records(&topic, 1, 4000, "d"), Outcome::LeftOpen)
                .await,
            [9]
        );
        assert_eq!(
            cluster.produce(NewRecord::new(&topic, 0, 5000, "e")).await,
            10
        );
        let before =
            [(0, 1000, "a"), (1, 1001, "a"), (7, 3000, "c")].map(|(o, t, v)| (o, t, v.to_owned()));
        assert_eq!(committed(&cluster, &topic).await, before);
        opener.commit().await;
        let after = [(9, 4000, "d"), (10, 5000, "e")].map(|(o, t, v)| (o, t, v.to_owned()));
        assert_eq!(
            committed(&cluster, &topic).await,
            [&before[..], &after].concat()
        );
        assert_eq!(
            cluster.watermarks(&topic, 0).await,
            (0, 12),
            "the log ends in a marker"
        );
    }

    async fn a_new_producer_of_the_same_id_aborts_an_open_transaction(cluster: Cluster) {
        let (topic, id) = (unique("gaps"), unique("writer"));
        cluster.create_topic(&topic, 2).await;
        let first = cluster.transactional_producer(&id).await;
        let both = [
            NewRecord::new(&topic, 0, 1, "gone"),
            NewRecord::new(&topic, 1, 1, "gone"),
        ];
        first.transaction(both, Outcome::LeftOpen).await;
        let second = cluster.transactional_producer(&id).await;
        second
            .transaction([NewRecord::new(&topic, 1, 2, "kept")], Outcome::Committed)
            .await;
        assert_eq!(
            committed(&cluster, &topic).await,
            [(2, 2, "kept".to_owned())]
        );
    }

    async fn an_expired_transaction_is_aborted(cluster: Cluster) {
        let topic = unique("gaps");
        cluster.create_topic(&topic, 1).await;
        let producer = cluster
            .transactional_producer_with_timeout(&unique("writer"), Duration::from_secs(1))
            .await;
        producer
            .transaction([NewRecord::new(&topic, 0, 1, "gone")], Outcome::LeftOpen)
            .await;
        cluster.produce(NewRecord::new(&topic, 0, 2, "kept")).await;
        eventually("the transaction to be aborted", async || {
            let committed = committed(&cluster, &topic).await;
            (committed == [(1, 2, "kept".to_owned())]).then_some(())
        })
        .await;
    }

    async fn compaction_leaves_the_newest_record_of_each_key(cluster: Cluster) {
        let topic = unique("compacted");
        cluster.create_compacted_topic(&topic, 2).await;
        let keyed = |n: i64| {
            NewRecord::new(&topic, 0, 1000 + n, format!("{n}")).key(format!("key {}", n % 3))
        };
        cluster.produce_many("gzip", (0..10).map(keyed)).await;
        cluster
            .produce(NewRecord::new(&topic, 1, 5, "alone").key("key 0"))
            .await;
        cluster.compact(&topic).await;
        let log = cluster.log(&topic).await;
        let positions: Vec<(i32, i64)> = log
            .iter()
            .map(|record| (record.partition, record.offset))
            .collect();
        assert_eq!(positions, [(0, 7), (0, 8), (0, 9), (0, 10), (1, 0), (1, 1)]);
        assert_eq!(cluster.watermarks(&topic, 0).await, (0, 11));
        cluster.produce(keyed(11)).await;
        cluster.compact(&topic).await;
        let log = cluster.log(&topic).await;
        let positions: Vec<(i32, i64)> = log
            .iter()
            .map(|record| (record.partition, record.offset))
            .collect();
        assert_eq!(
            positions,
            [
                (0, 7),
                (0, 9),
                (0, 10),
                (0, 11),
                (0, 12),
                (1, 0),
                (1, 1),
                (1, 2)
            ]
        );
    }

    async fn a_topic_can_be_described_but_not_read(cluster: Cluster) {
        let topic = unique("denied");
        cluster.create_topic(&topic, 1).await;
        cluster.produce(NewRecord::new(&topic, 0, 1, "event")).await;
        cluster.deny(&topic, Operation::Read).await;
        let described = cluster.describe(&[&topic]).await.remove(0);
        assert_eq!((described.error, described.partitions.len()), (None, 1));
        let rights = described.authorized_operations.expect("rights");
        assert!(
            !rights.contains(&kafka_topic_ids::Operation::Read),
            "{rights:?}"
        );
        assert_eq!(cluster.watermarks(&topic, 0).await, (0, 1));
        let refused = cluster.read_error(&topic).await;
        assert_eq!(refused, RDKafkaErrorCode::TopicAuthorizationFailed);
        cluster.deny(&topic, Operation::Describe).await;
        let described = cluster.describe(&[&topic]).await.remove(0);
        assert_eq!(
            described.error,
            Some(RDKafkaErrorCode::TopicAuthorizationFailed)
        );
        cluster.allow(&topic).await;
        assert_eq!(committed(&cluster, &topic).await.len(), 1);
    }
);
