use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{TestBroker, record};
use crate::{BrokerConfig, BrokerError};

const SOON: Duration = Duration::from_secs(20);

/// Keep it until its answer is there. An answer that comes after the drop is lost, and the future
/// of the call then waits forever (rdkafka leaks the sender).
fn admin(broker: &TestBroker) -> AdminClient<DefaultClientContext> {
    broker.client().create().unwrap()
}

fn new_topic(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(1))
}

fn create(broker: &TestBroker, topic: &NewTopic<'_>) -> Result<String, (String, RDKafkaErrorCode)> {
    let admin = admin(broker);
    let created = admin.create_topics([topic], &AdminOptions::new());
    broker.runtime.block_on(created).unwrap().remove(0)
}

#[test]
fn topics_are_created_grown_deleted_and_recreated() {
    let broker = TestBroker::start(BrokerConfig::default());
    assert_eq!(create(&broker, &new_topic("t", 2)), Ok("t".to_owned()));
    assert_eq!(
        create(&broker, &new_topic("t", 2)).unwrap_err().1,
        RDKafkaErrorCode::TopicAlreadyExists
    );
    assert_eq!(
        create(&broker, &new_topic("no/name", 1)).unwrap_err().1,
        RDKafkaErrorCode::InvalidTopic
    );
    assert_eq!(
        create(&broker, &new_topic("none", 0)).unwrap_err().1,
        RDKafkaErrorCode::InvalidPartitions
    );
    let replicated = NewTopic::new("r", 1, TopicReplication::Fixed(3));
    assert_eq!(
        create(&broker, &replicated).unwrap_err().1,
        RDKafkaErrorCode::InvalidReplicationFactor
    );

    let more = [NewPartitions::new("t", 5)];
    let admin = admin(&broker);
    let grown = admin.create_partitions(&more, &AdminOptions::new());
    assert_eq!(
        broker.runtime.block_on(grown).unwrap(),
        [Ok("t".to_owned())]
    );
    assert_eq!(broker.broker.append("t", 4, &[record(1, "v")]).unwrap(), 0);
    assert!(matches!(
        broker.broker.append("t", 5, &[]),
        Err(BrokerError::UnknownPartition { partition: 5, .. })
    ));

    let deleted = admin.delete_topics(&["t"], &AdminOptions::new());
    assert_eq!(
        broker.runtime.block_on(deleted).unwrap(),
        [Ok("t".to_owned())]
    );
    assert!(broker.broker.append("t", 0, &[record(1, "v")]).is_err());
    assert_eq!(create(&broker, &new_topic("t", 5)), Ok("t".to_owned()));
    assert_eq!(
        broker.broker.append("t", 4, &[record(1, "v")]).unwrap(),
        0,
        "a topic made anew starts at offset 0"
    );
    broker.stop();
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let broker = TestBroker::with_partitions(1);
    broker
        .broker
        .append("t", 0, &(0..10).map(|i| record(i, "v")).collect::<Vec<_>>())
        .unwrap();
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset("t", 0, Offset::Offset(4))
        .unwrap();
    let admin = admin(&broker);
    let deleted = admin.delete_records(&before, &AdminOptions::new());
    assert_eq!(
        broker.runtime.block_on(deleted).unwrap().elements()[0].offset(),
        Offset::Offset(4)
    );
    let consumer: BaseConsumer = broker.client().create().unwrap();
    assert_eq!(consumer.fetch_watermarks("t", 0, SOON).unwrap(), (4, 10));
    before
        .set_partition_offset("t", 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&before).unwrap();
    let read = consumer.poll(SOON).unwrap().unwrap();
    assert_eq!(rdkafka::Message::offset(&read), 4);
    broker.stop();
}

#[test]
fn a_topics_own_retention_is_used_and_shown() {
    let broker = TestBroker::start(BrokerConfig::default());
    let small = new_topic("small", 1)
        .set("retention.bytes", "5000")
        .set("retention.ms", "-1");
    assert_eq!(create(&broker, &small), Ok("small".to_owned()));
    for (key, value) in [("cleanup.policy", "compact,delete"), ("segment.ms", "0")] {
        let refused = create(&broker, &new_topic("c", 1).set(key, value)).unwrap_err();
        assert_eq!(refused.1, RDKafkaErrorCode::InvalidConfig, "{key}={value}");
    }
    for i in 0..100 {
        broker
            .broker
            .append("small", 0, &[record(i, &"x".repeat(100))])
            .unwrap();
    }
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let (start, end) = consumer.fetch_watermarks("small", 0, SOON).unwrap();
    assert!(start > 60 && end == 100, "{start} {end}");
    let admin = admin(&broker);
    let described =
        admin.describe_configs(&[ResourceSpecifier::Topic("small")], &AdminOptions::new());
    let described = broker
        .runtime
        .block_on(described)
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(
        described.get("retention.bytes").unwrap().value.as_deref(),
        Some("5000")
    );
    assert_eq!(
        described.get("cleanup.policy").unwrap().value.as_deref(),
        Some("delete")
    );
    broker.stop();
}

#[test]
fn a_broker_with_a_folder_compacts_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let broker = TestBroker::start(BrokerConfig {
        data: Some(folder.path().to_owned()),
        ..BrokerConfig::default()
    });
    let compacted = new_topic("c", 1).set("cleanup.policy", "compact");
    assert_eq!(
        create(&broker, &compacted).unwrap_err().1,
        RDKafkaErrorCode::InvalidConfig
    );
    broker.stop();
}
