//! Any bytes as a batch of records from a producer, with the length and checksum that they should
//! have (or, if the first byte is odd, not): it is refused, or comes back as it was sent and is
//! found at its times.

#![no_main]

use bytes::{BufMut, Bytes, BytesMut};
use eventstreams_fuzz::broker::{TOPIC, answers, frame, response};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, ListOffsetsRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use libfuzzer_sys::fuzz_target;

/// Where in a batch the checked part begins.
const CHECKED_AT: usize = 21;

fuzz_target!(|bytes: &[u8]| {
    let Some((damage, checked)) = bytes.split_first() else {
        return;
    };
    let mut batch = BytesMut::new();
    batch.put_i64(0);
    batch.put_i32(i32::try_from(checked.len() + 9).expect("short"));
    batch.put_i32(-1);
    batch.put_u8(2);
    batch.put_u32(crc32c::crc32c(checked) ^ u32::from(damage & 1));
    batch.put_slice(checked);
    let batch = batch.freeze();
    let time = checked
        .get(6..14)
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
        .max(0);
    let answers = answers(vec![
        frame(9, &produce(&batch)),
        frame(12, &fetch()),
        frame(7, &list(time)),
        frame(7, &list(-1)),
    ]);
    assert_eq!(answers.len(), 4);
    let produced = response::<ProduceRequest>(9, &answers[0]);
    let fetched = response::<FetchRequest>(12, &answers[1]);
    let found = response::<ListOffsetsRequest>(7, &answers[2]);
    let end = response::<ListOffsetsRequest>(7, &answers[3]).topics[0].partitions[0].offset;
    let records = fetched.responses[0].partitions[0]
        .records
        .clone()
        .unwrap_or_default();
    if produced.responses[0].partition_responses[0].error_code != 0 {
        assert!(
            records.is_empty() && end == 0,
            "what was refused is not there"
        );
        return;
    }
    assert!(damage & 1 == 0, "a wrong checksum was believed");
    assert_eq!(
        records[CHECKED_AT..],
        batch[CHECKED_AT..],
        "it comes back as it was sent"
    );
    assert!(end > 0);
    let offset = found.topics[0].partitions[0].offset;
    assert!((-1..end).contains(&offset), "{offset} of {end}");
});

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

fn produce(batch: &Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(batch.clone()));
    let topic = TopicProduceData::default()
        .with_name(name())
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(1)
        .with_topic_data(vec![topic])
}

fn fetch() -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(name())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

fn list(time: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(time);
    let topic = ListOffsetsTopic::default()
        .with_name(name())
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}
