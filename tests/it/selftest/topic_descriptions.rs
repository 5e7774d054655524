//! `kafka_topic_ids`: descriptions of topics.

use std::time::{Duration, Instant};

use dev_broker::{BrokerConfig, DevBroker, TopicSpec};
use kafka_topic_ids::{Operation, PartitionDescription, describe_topics};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::support::admin::{Cluster, unique};
use crate::support::brokers::kafka_available;
use crate::support::kafka::{KafkaBroker, free_ports};

on_both_brokers!(
    async fn a_recreated_topic_has_another_id(cluster: Cluster) {
        let topic = unique("described");
        cluster.create_topic(&topic, 1).await;
        let first = cluster.topic_id(&topic).await;
        cluster.add_partitions(&topic, 3).await;
        assert_eq!(cluster.topic_id(&topic).await, first);
        cluster.delete_topic(&topic).await;
        cluster.create_topic(&topic, 1).await;
        assert_ne!(cluster.topic_id(&topic).await, first);
    }

    async fn each_topic_is_described_separately(cluster: Cluster) {
        let (topic, other, missing) = (unique("described"), unique("described"), unique("missing"));
        cluster.create_topic(&topic, 2).await;
        cluster.create_topic(&other, 1).await;
        let described = cluster.describe(&[&topic, &missing, &other, &topic]).await;
        let names: Vec<&str> = described.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, [&topic, &missing, &other], "in order, each once");
        let partition = |number| PartitionDescription {
            number,
            has_leader: true,
        };
        assert_eq!(
            (described[0].error, &described[0].partitions),
            (None, &vec![partition(0), partition(1)])
        );
        assert_eq!(described[2].partitions, [partition(0)]);
        assert_ne!(described[0].id, described[2].id);
        assert_eq!(
            described[1].error,
            Some(RDKafkaErrorCode::UnknownTopicOrPartition)
        );
        assert_eq!((described[1].id, described[1].partitions.len()), (None, 0));
        assert_eq!(cluster.describe(&[]).await, []);
    }

    async fn rights_on_a_topic_are_described_on_request(cluster: Cluster) {
        let topic = unique("described");
        cluster.create_topic(&topic, 1).await;
        let described = cluster.describe(&[&topic]).await.remove(0);
        let mut rights = described.authorized_operations.expect("rights");
        rights.sort_by_key(|right| format!("{right:?}"));
        let all = [
            Operation::Alter,
            Operation::AlterConfigs,
            Operation::Create,
            Operation::Delete,
            Operation::Describe,
            Operation::DescribeConfigs,
            Operation::Read,
            Operation::Write,
        ];
        assert_eq!(rights, all);
        let consumer = consumer(&cluster.brokers);
        let ask =
            move || describe_topics(consumer.client(), &[&topic], false, Duration::from_mins(1));
        let without = tokio::task::spawn_blocking(ask)
            .await
            .expect("no panic")
            .expect("an answer")
            .remove(0);
        assert_eq!(without.authorized_operations, None);
        assert_eq!(without.id, described.id);
    }

    async fn two_clusters_have_different_ids(first: Cluster, second: Cluster) {
        let id = first.cluster_id().await;
        assert_eq!(first.cluster_id().await, id);
        assert_ne!(second.cluster_id().await, id);
    }
);

#[test]
fn an_unresponsive_cluster_times_out() {
    let absent = consumer(&format!("127.0.0.1:{}", free_ports()[0]));
    let asked = Instant::now();
    let answer = describe_topics(
        absent.client(),
        &["topic"],
        false,
        Duration::from_millis(300),
    );
    assert_eq!(
        answer,
        Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))
    );
    assert!(asked.elapsed() >= Duration::from_millis(300));
    let nul = describe_topics(absent.client(), &["a\0b"], false, Duration::from_mins(1));
    assert!(matches!(nul, Err(KafkaError::Nul(_))), "{nul:?}");
    let empty = describe_topics(absent.client(), &["a", ""], false, Duration::from_mins(1));
    assert_eq!(
        empty,
        Err(KafkaError::AdminOp(RDKafkaErrorCode::InvalidArgument))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_survive_a_restart_of_the_embedded_broker() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = || {
        let topics = vec![TopicSpec {
            name: "kept".to_owned(),
            partitions: 1,
        }];
        let data = Some(folder.path().to_owned());
        DevBroker::start(BrokerConfig {
            data,
            topics,
            ..BrokerConfig::default()
        })
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let broker = start().await.expect("a broker");
        let cluster = Cluster::new(&broker.address().to_string());
        ids.push((cluster.cluster_id().await, cluster.topic_id("kept").await));
        broker.stop().await;
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_survive_a_restart_of_kafka() {
    if !kafka_available().await {
        return;
    }
    let mut broker = KafkaBroker::start("described twice").await;
    let cluster = broker.cluster();
    cluster.create_topic("kept", 1).await;
    let before = (cluster.cluster_id().await, cluster.topic_id("kept").await);
    broker.kill();
    broker.restart().await;
    assert_eq!(
        (cluster.cluster_id().await, cluster.topic_id("kept").await),
        before
    );
}

fn consumer(brokers: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "described")
        .set("log_level", "2");
    config.create().expect("a consumer")
}
