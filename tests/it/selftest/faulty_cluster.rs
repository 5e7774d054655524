//! Leaders that disappear and return, and logs that lose their end.

use kafka_topic_ids::PartitionDescription;
use rdkafka::error::RDKafkaErrorCode;

use crate::support::admin::NewRecord;

on_both_brokers!(
    /// Other partitions of the cluster stay available.
    async fn partitions_lose_their_leader_and_get_it_back(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        cluster.create_topic("healthy", 1).await;
        faulty.create_topic_on_second("faulty", 2).await;
        cluster
            .produce(NewRecord::new("faulty", 1, 1, "before"))
            .await;
        faulty.stop_second_node().await;
        let partition = |number| PartitionDescription {
            number,
            has_leader: false,
        };
        let described = cluster.describe(&["faulty", "healthy"]).await;
        assert_eq!(
            (described[0].error, &described[0].partitions),
            (None, &vec![partition(0), partition(1)])
        );
        assert!(described[1].partitions[0].has_leader);
        cluster
            .produce(NewRecord::new("healthy", 0, 1, "meanwhile"))
            .await;
        faulty.restart_second_node().await;
        assert_eq!(
            cluster
                .produce(NewRecord::new("faulty", 1, 2, "after"))
                .await,
            1
        );
        assert_eq!(cluster.log("faulty").await.len(), 2);
    }

    async fn a_log_loses_its_end_and_accepts_other_records(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        cluster.create_topic("truncated", 1).await;
        for n in 0..10 {
            cluster
                .produce(NewRecord::new("truncated", 0, n, format!("{n}")))
                .await;
        }
        faulty.truncate_log("truncated", 0, 6).await;
        assert_eq!(cluster.watermarks("truncated", 0).await, (0, 6));
        assert_eq!(
            cluster
                .produce(NewRecord::new("truncated", 0, 20, "other"))
                .await,
            6
        );
        let values: Vec<_> = cluster
            .log("truncated")
            .await
            .into_iter()
            .filter_map(|record| record.value)
            .collect();
        assert_eq!(values.concat(), b"012345other");
    }

    /// A consumer after the truncation gets an error, although other records have taken the
    /// offsets.
    async fn a_consumer_after_the_truncation_gets_an_error(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        cluster.create_topic("truncated", 1).await;
        for n in 0..4 {
            cluster
                .produce(NewRecord::new("truncated", 0, n, "before"))
                .await;
        }
        let reader = cluster.reader_at("truncated", 0, 2, 2).await;
        faulty.truncate_log("truncated", 0, 1).await;
        for n in 0..6 {
            cluster
                .produce(NewRecord::new("truncated", 0, n, "after"))
                .await;
        }
        assert_eq!(reader.error().await, RDKafkaErrorCode::AutoOffsetReset);
    }
);
