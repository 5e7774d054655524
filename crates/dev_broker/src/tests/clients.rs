use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{TestBroker, record, topic};
use crate::BrokerConfig;
use crate::log::Batches;

const SOON: Duration = Duration::from_secs(20);

/// A record as a consumer got it: offset, timestamp, key, value, headers.
type Read = (
    i64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(String, Vec<u8>)>,
);

/// Produces to topic `t`: partition, timestamp, value; key and header repeat the value. One batch holds several.
pub(super) fn send(
    broker: &TestBroker,
    codec: &str,
    records: impl Iterator<Item = (i32, i64, String)>,
) -> Vec<i64> {
    let mut config = broker.client();
    let producer: FutureProducer = config
        .set("compression.codec", codec)
        .set("linger.ms", "50")
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    let records: Vec<_> = records.collect();
    let sent = records.iter().map(|(partition, timestamp, value)| {
        let headers = OwnedHeaders::new().insert(Header {
            key: "h",
            value: Some(value),
        });
        let record = FutureRecord::to("t")
            .partition(*partition)
            .timestamp(*timestamp)
            .key(value)
            .payload(value)
            .headers(headers);
        producer.send_result(record).unwrap()
    });
    let sent: Vec<_> = sent.collect();
    let deliveries = broker.runtime.block_on(join_all(sent));
    deliveries
        .into_iter()
        .map(|delivery| delivery.unwrap().unwrap().offset)
        .collect()
}

fn assign(broker: &TestBroker, partition: i32, offset: Offset) -> BaseConsumer {
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset("t", partition, offset)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    consumer
}

fn own(message: &BorrowedMessage<'_>) -> Read {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let headers = headers.map(|header| {
        (
            header.key.to_owned(),
            header.value.unwrap_or_default().to_vec(),
        )
    });
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let timestamp = message.timestamp().to_millis().unwrap();
    (
        message.offset(),
        timestamp,
        owned(message.key()),
        owned(message.payload()),
        headers.collect(),
    )
}

fn next(consumer: &BaseConsumer) -> Read {
    own(&poll(consumer).unwrap())
}

/// The next record or error; a rebalance alone ends a single poll early.
fn poll(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>, KafkaError> {
    let deadline = Instant::now() + SOON;
    loop {
        match consumer.poll(SOON) {
            Some(polled) => return polled,
            None => assert!(Instant::now() < deadline, "nothing in time"),
        }
    }
}

/// All records of a partition of topic `t`, from its start to its end.
pub(super) fn read_all(broker: &TestBroker, partition: i32) -> Vec<Read> {
    let consumer = assign(broker, partition, Offset::Beginning);
    let (start, end) = consumer.fetch_watermarks("t", partition, SOON).unwrap();
    (start..end).map(|_| next(&consumer)).collect()
}

fn offset_at(consumer: &BaseConsumer, time: i64) -> Offset {
    let mut asked = TopicPartitionList::new();
    asked
        .add_partition_offset("t", 0, Offset::Offset(time))
        .unwrap();
    let found = consumer.offsets_for_times(asked, SOON).unwrap();
    found.elements()[0].offset()
}

/// Codec numbers (the attributes' lowest bits) of the batches in partition 0 of `t`, and the most records in one.
fn codecs(broker: &TestBroker) -> (BTreeSet<u8>, i32) {
    let log = broker.broker.broker.topics.partition("t", 0).unwrap();
    let Batches { batches, .. } = log.lock().read(0, usize::MAX, false).unwrap();
    let most = batches
        .iter()
        .map(|batch| i32::from_be_bytes(*batch[57..].first_chunk().unwrap()))
        .max()
        .unwrap();
    (batches.iter().map(|batch| batch[22] & 7).collect(), most)
}

#[test]
fn every_codec_comes_back_as_it_went_and_times_are_exact_inside_batches() {
    for (number, codec) in ["none", "gzip", "snappy", "lz4", "zstd"]
        .into_iter()
        .enumerate()
    {
        let broker = TestBroker::with_partitions(1);
        // Times go up and down, several records share one.
        let times: Vec<i64> = (0..200)
            .map(|i| 1_700_000_000_000 + (i * 37) % 90)
            .collect();
        let value = |i: usize| format!("value {i} {}", "compressible ".repeat(20));
        let offsets = send(
            &broker,
            codec,
            times
                .iter()
                .enumerate()
                .map(|(i, time)| (0, *time, value(i))),
        );
        assert_eq!(offsets, (0..200).collect::<Vec<_>>(), "{codec}");
        let (used, most) = codecs(&broker);
        assert_eq!(
            used,
            [u8::try_from(number).unwrap()].into(),
            "{codec} was really used"
        );
        assert!(most > 1, "{codec}: records share batches");

        let read = read_all(&broker, 0);
        for (i, (offset, time, key, payload, headers)) in read.into_iter().enumerate() {
            let value = value(i).into_bytes();
            assert_eq!(
                (offset, time),
                (i64::try_from(i).unwrap(), times[i]),
                "{codec}"
            );
            assert_eq!(
                (key, payload),
                (Some(value.clone()), Some(value.clone())),
                "{codec}"
            );
            assert_eq!(headers, [("h".to_owned(), value)], "{codec}");
        }
        let consumer = assign(&broker, 0, Offset::End);
        for time in (1_700_000_000_000 - 2)..(1_700_000_000_000 + 92) {
            let expected = (0_i64..)
                .zip(&times)
                .find(|(_, t)| **t >= time)
                .map_or(Offset::End, |(offset, _)| Offset::Offset(offset));
            assert_eq!(offset_at(&consumer, time), expected, "{codec} at {time}");
        }
        broker.stop();
    }
}

#[test]
fn a_consumer_starts_anywhere_and_seeks() {
    let broker = TestBroker::with_partitions(2);
    let records: Vec<_> = (0..300)
        .map(|i| record(1000 + i, &format!("{i}")))
        .collect();
    assert_eq!(broker.broker.append("t", 1, &records[..250]).unwrap(), 0);
    assert_eq!(broker.broker.append("t", 1, &records[250..]).unwrap(), 250);
    let consumer = assign(&broker, 1, Offset::Offset(123));
    assert_eq!(consumer.fetch_watermarks("t", 1, SOON).unwrap(), (0, 300));
    assert_eq!(consumer.fetch_watermarks("t", 0, SOON).unwrap(), (0, 0));
    let read = next(&consumer);
    assert_eq!(
        (read.0, read.1, read.2, read.3.as_deref()),
        (123, 1123, None, Some(&b"123"[..]))
    );
    consumer.seek("t", 1, Offset::Offset(7), SOON).unwrap();
    assert_eq!(next(&consumer).0, 7);
    consumer.seek("t", 1, Offset::Offset(299), SOON).unwrap();
    assert_eq!(next(&consumer).0, 299);
    let tail = assign(&broker, 1, Offset::OffsetTail(2));
    assert_eq!(next(&tail).0, 298);
    broker.stop();
}

#[test]
fn a_waiting_fetch_wakes_when_something_is_appended() {
    let broker = TestBroker::with_partitions(1);
    let mut config = broker.client();
    // Were the append not to wake the fetch, the record would come a minute later and the poll would end without it.
    let consumer: BaseConsumer = config
        .set("fetch.wait.max.ms", "60000")
        .set("socket.timeout.ms", "70000")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset("t", 0, Offset::Offset(0))
        .unwrap();
    consumer.assign(&partitions).unwrap();
    for i in 0..5 {
        assert!(consumer.poll(Duration::from_millis(200)).is_none());
        broker.broker.append("t", 0, &[record(1, "woken")]).unwrap();
        assert_eq!(next(&consumer).0, i);
    }
    broker.stop();
}

#[test]
fn a_consumer_outrun_by_retention_is_told() {
    let config = BrokerConfig {
        retention_bytes_per_partition: 20_000,
        topics: vec![topic("t", 1)],
        ..BrokerConfig::default()
    };
    let broker = TestBroker::start(config);
    for i in 0..500 {
        broker
            .broker
            .append("t", 0, &[record(i, &"x".repeat(100))])
            .unwrap();
    }
    let consumer = assign(&broker, 0, Offset::Offset(3));
    let (start, end) = consumer.fetch_watermarks("t", 0, SOON).unwrap();
    assert!((1..500).contains(&start) && end == 500, "{start} {end}");
    let error = poll(&consumer).expect_err("offset 3 is not there any more");
    // `auto.offset.reset: error` makes the lost position visible.
    assert_eq!(
        error,
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset)
    );
    broker.stop();
}

#[test]
fn a_large_record_comes_through_small_fetches() {
    let broker = TestBroker::with_partitions(2);
    let value = "x".repeat(10 << 20);
    let mut config = broker.client();
    let producer: FutureProducer = config
        .set("message.max.bytes", "11000000")
        .create()
        .unwrap();
    let sent = producer
        .send_result(FutureRecord::<(), _>::to("t").partition(0).payload(&value))
        .unwrap();
    assert_eq!(broker.runtime.block_on(sent).unwrap().unwrap().offset, 0);
    broker
        .broker
        .append("t", 0, &[record(1, "after it")])
        .unwrap();
    let consumer = assign(&broker, 0, Offset::Beginning);
    assert_eq!(
        next(&consumer).3.map(|payload| payload.len()),
        Some(10 << 20)
    );
    assert_eq!(next(&consumer).3.as_deref(), Some(&b"after it"[..]));
    broker.stop();
}

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
fn a_topic_that_is_produced_to_comes_to_be_unless_switched_off() {
    let produce = |broker: &TestBroker| {
        let mut config = broker.client();
        let producer: FutureProducer = config
            .set("topic.metadata.propagation.max.ms", "0")
            .create()
            .unwrap();
        let sent = producer
            .send_result(FutureRecord::<(), _>::to("new").payload("v"))
            .unwrap();
        broker
            .runtime
            .block_on(sent)
            .unwrap()
            .map(|delivery| (delivery.partition, delivery.offset))
            .map_err(|(error, _)| error)
    };
    let broker = TestBroker::start(BrokerConfig::default());
    assert_eq!(produce(&broker), Ok((0, 0)));
    broker.stop();
    let broker = TestBroker::start(BrokerConfig {
        auto_create_topics: false,
        ..BrokerConfig::default()
    });
    assert_eq!(
        produce(&broker),
        Err(KafkaError::MessageProduction(
            RDKafkaErrorCode::UnknownTopicOrPartition
        ))
    );
    broker.stop();
}

#[test]
fn a_client_is_told_that_the_new_group_protocol_is_not_here() {
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
