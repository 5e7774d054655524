//! Tests of the test support: a suite on broken tools proves nothing.

mod canned_responses;
mod faulty_cluster;
mod kafka_process;
mod offset_gaps;
mod topic_descriptions;

use crate::support::admin::{NewRecord, unique};

on_both_brokers!(
    /// Keys, timestamps, tombstones and every codec survive.
    async fn the_log_holds_what_was_produced(cluster: Cluster) {
        let topic = unique("selftest");
        cluster.create_topic(&topic, 2).await;
        for (i, codec) in (0_i64..).zip(["none", "gzip", "snappy", "lz4", "zstd"]) {
            let keyed = NewRecord::new(
                &topic,
                0,
                1_700_000_000_000 + i,
                format!("value in {codec}"),
            )
            .key("a key");
            let offsets = cluster
                .produce_many(codec, [keyed, NewRecord::tombstone(&topic, 1, 5, "gone")])
                .await;
            assert_eq!(offsets, [i, i]);
        }
        let log = cluster.log(&topic).await;
        assert_eq!(log.len(), 10);
        assert_eq!(
            (log[3].partition, log[3].offset, log[3].timestamp),
            (0, 3, 1_700_000_000_003)
        );
        assert_eq!(log[3].key.as_deref(), Some(&b"a key"[..]));
        assert_eq!(log[3].value.as_deref(), Some(&b"value in lz4"[..]));
        assert_eq!(
            (log[5].partition, log[5].offset, log[5].timestamp),
            (1, 0, 5)
        );
        assert_eq!(log[5].value, None);
    }

    async fn two_clusters_have_independent_offsets(first: Cluster, second: Cluster) {
        let topic = unique("selftest");
        first.create_topic(&topic, 1).await;
        second.create_topic(&topic, 1).await;
        second
            .produce_many(
                "none",
                (0..7).map(|i| NewRecord::new(&topic, 0, i, "filler")),
            )
            .await;
        let same = NewRecord::new(&topic, 0, 8, "the same event");
        assert_eq!(first.produce(same.clone()).await, 0);
        assert_eq!(second.produce(same).await, 7);
        assert_eq!(first.watermarks(&topic, 0).await, (0, 1));
        assert_eq!(second.watermarks(&topic, 0).await, (0, 8));
    }

    async fn partitions_are_added_and_topics_deleted(cluster: Cluster) {
        let topic = unique("selftest");
        cluster.create_topic(&topic, 1).await;
        cluster.add_partitions(&topic, 3).await;
        assert_eq!(
            cluster
                .produce(NewRecord::new(&topic, 2, 1, "in the new one"))
                .await,
            0
        );
        cluster.delete_topic(&topic).await;
        cluster.create_topic(&topic, 1).await;
        assert_eq!(cluster.log(&topic).await, []);
    }

    async fn the_start_of_a_log_moves_when_records_are_deleted(cluster: Cluster) {
        let topic = unique("selftest");
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce_many(
                "none",
                (0..10).map(|i| NewRecord::new(&topic, 0, i, "event")),
            )
            .await;
        cluster.delete_records(&topic, 0, 6).await;
        assert_eq!(cluster.watermarks(&topic, 0).await, (6, 10));
        assert_eq!(cluster.log(&topic).await[0].offset, 6);
    }

    async fn a_record_of_ten_megabytes_is_accepted(cluster: Cluster) {
        let topic = unique("selftest");
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce(NewRecord::new(&topic, 0, 1, vec![b'x'; 10_485_760]))
            .await;
        assert_eq!(
            cluster.log(&topic).await[0].value.as_ref().map(Vec::len),
            Some(10_485_760)
        );
    }
);
