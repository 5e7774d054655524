use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::types::RDKafkaErrorCode;

use super::clients::{SOON, poll};
use super::{TestBroker, record};

#[test]
fn a_group_goes_on_where_it_committed() {
    let broker = TestBroker::with_partitions(2);
    for partition in 0..2 {
        broker
            .broker
            .append(
                "t",
                partition,
                &(0..10).map(|i| record(i, "v")).collect::<Vec<_>>(),
            )
            .unwrap();
    }
    let subscribe = || {
        let mut config = broker.client();
        let consumer: BaseConsumer = config
            .set("auto.offset.reset", "earliest")
            .set("group.id", "g")
            .create()
            .unwrap();
        consumer.subscribe(&["t"]).unwrap();
        consumer
    };
    let first = subscribe();
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        let read = poll(&first).unwrap();
        assert!(seen.insert((read.partition(), read.offset())));
        first.store_offset_from_message(&read).unwrap();
    }
    first.commit_consumer_state(CommitMode::Sync).unwrap();
    drop(first);
    let second = subscribe();
    while seen.len() < 20 {
        let read = poll(&second).unwrap();
        assert!(
            seen.insert((read.partition(), read.offset())),
            "read again: {} {}",
            read.partition(),
            read.offset()
        );
    }
    broker.stop();
}

#[test]
fn members_of_a_group_share_its_partitions() {
    let broker = TestBroker::with_partitions(4);
    let subscribe = || {
        let mut config = broker.client();
        let consumer: BaseConsumer = config
            .set("heartbeat.interval.ms", "100")
            .set("group.id", "shared")
            .create()
            .unwrap();
        consumer.subscribe(&["t"]).unwrap();
        consumer
    };
    let count = |consumer: &BaseConsumer| consumer.assignment().unwrap().count();
    let settle = |consumers: &[&BaseConsumer], expected: usize| {
        let deadline = Instant::now() + SOON;
        while consumers.iter().any(|consumer| count(consumer) != expected) {
            assert!(
                Instant::now() < deadline,
                "{:?}",
                consumers
                    .iter()
                    .map(|consumer| count(consumer))
                    .collect::<Vec<_>>()
            );
            for consumer in consumers {
                drop(consumer.poll(Duration::from_millis(20)));
            }
        }
    };
    let first = subscribe();
    settle(&[&first], 4);
    let second = subscribe();
    settle(&[&first, &second], 2);
    drop(second);
    settle(&[&first], 4);
    let groups = first.fetch_group_list(Some("shared"), SOON).unwrap();
    assert_eq!(
        (
            groups.groups()[0].state(),
            groups.groups()[0].members().len()
        ),
        ("Stable", 1)
    );
    broker.stop();
}

#[test]
fn a_client_learns_that_the_new_group_protocol_is_unsupported() {
    let broker = TestBroker::with_partitions(1);
    let mut config = broker.client();
    let consumer: BaseConsumer = config
        .set("group.protocol", "consumer")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let deadline = Instant::now() + SOON;
    let refused = loop {
        if let Some((code, _)) = consumer.client().fatal_error() {
            break code;
        }
        assert!(Instant::now() < deadline, "it goes on asking");
        let read = consumer.poll(Duration::from_millis(100));
        assert!(!matches!(read, Some(Ok(_))), "it reads");
    };
    assert_eq!(refused, RDKafkaErrorCode::UnsupportedVersion);
    broker.stop();
}
