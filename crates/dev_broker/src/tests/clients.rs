use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::{TestBroker, record, topic};
use crate::BrokerConfig;
use crate::log::Batches;

pub(super) const SOON: Duration = Duration::from_secs(20);

/// A record of a consumer: offset, timestamp, key, value, headers.
pub(super) type Read = (
    i64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(String, Vec<u8>)>,
);

/// Produces to topic `t` by partition, timestamp and value; key and header repeat the value. One
/// batch holds several records.
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

pub(super) fn assign(broker: &TestBroker, partition: i32, offset: Offset) -> BaseConsumer {
    let consumer: BaseConsumer = broker.client().create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset("t", partition, offset)
        .unwrap();
    consumer.assign(&partitions).unwrap();
    consumer
}

pub(super) fn own(message: &BorrowedMessage<'_>) -> Read {
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

pub(super) fn next(consumer: &BaseConsumer) -> Read {
    own(&poll(consumer).unwrap())
}

/// The next record or error; a rebalance alone ends a single poll early.
pub(super) fn poll(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>, KafkaError> {
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

/// The codecs (the lowest bits of the attributes) of the batches in partition 0 of `t`, and the
/// most records in one.
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
fn every_codec_round_trips_and_lookups_by_time_are_exact() {
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
    // If the append did not wake the fetch, the record would come a minute later, after the poll.
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
fn a_consumer_outrun_by_retention_gets_an_error() {
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
fn producing_creates_a_topic_unless_that_is_switched_off() {
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
