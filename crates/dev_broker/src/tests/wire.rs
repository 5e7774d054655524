use std::io::{Read, Write};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse,
    ProduceResponse, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::raw::{Raw, fetch_from, frame, name, produce, some_batch};
use super::{TestBroker, idempotent_batch, topic};
use crate::{BrokerConfig, answer_requests};

#[tokio::test]
async fn answers_without_a_socket_end_where_a_connection_would_close() {
    let config = BrokerConfig {
        topics: vec![topic("t", 1)],
        ..BrokerConfig::default()
    };
    let unanswered = frame(9, &produce(0, some_batch())).freeze();
    let known = frame(9, &MetadataRequest::default().with_topics(None)).freeze();
    let frames = [
        unanswered,
        known.clone(),
        Bytes::from_static(b"no request"),
        known,
    ];
    let mut answers = answer_requests(&config, frames).await.unwrap();
    assert_eq!(
        answers.len(),
        1,
        "one wants no answer, and after the third nothing is looked at"
    );
    let mut answer = answers.remove(0);
    assert_eq!(usize::try_from(answer.get_i32()).unwrap(), answer.len());
    assert_eq!(
        ResponseHeader::decode(&mut answer, 1)
            .unwrap()
            .correlation_id,
        77
    );
    let topics = MetadataResponse::decode(&mut answer, 9).unwrap().topics;
    assert_eq!(topics[0].name, Some(name("t")));
}

#[test]
fn an_unsupported_api_versions_request_gets_the_supported_versions() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    let mut request = frame(4, &ApiVersionsRequest::default());
    request[2..4].copy_from_slice(&99_i16.to_be_bytes());
    raw.write(&request);
    let mut answer = raw.read();
    assert_eq!(
        ResponseHeader::decode(&mut answer, 0)
            .unwrap()
            .correlation_id,
        77
    );
    let answer = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!(answer.error_code, ResponseError::UnsupportedVersion.code());
    assert!(
        answer
            .api_keys
            .iter()
            .any(|api| api.api_key == ApiKey::ApiVersions as i16 && api.max_version == 4)
    );
    assert_eq!(
        raw.ask(4, &ApiVersionsRequest::default()).error_code,
        0,
        "the connection goes on"
    );
    broker.stop();
}

#[test]
fn a_bad_request_closes_only_its_own_connection() {
    let broker = TestBroker::with_partitions(1);
    let mut bystander = Raw::connect(&broker);
    let metadata = frame(9, &MetadataRequest::default());
    let with = |at: usize, number: i16| {
        let mut changed = metadata.clone();
        changed[at..at + 2].copy_from_slice(&number.to_be_bytes());
        changed
    };
    let bad = [
        with(0, 999),
        with(0, ApiKey::Vote as i16),
        with(2, 99),
        with(2, -1),
        metadata[..metadata.len() - 3].into(),
        b"GET /"[..].into(),
    ];
    for frame in bad {
        let mut raw = Raw::connect(&broker);
        raw.write(&frame);
        assert!(raw.is_closed(), "{frame:?}");
    }
    for size in [i32::MAX, -1, (32 << 20) + 1] {
        let mut raw = Raw::connect(&broker);
        raw.stream.write_all(&size.to_be_bytes()).unwrap();
        assert!(raw.is_closed(), "a frame of {size} bytes");
    }
    assert_eq!(
        bystander
            .ask(9, &MetadataRequest::default().with_topics(None))
            .topics
            .len(),
        1
    );
    broker.stop();
}

#[test]
fn a_request_may_arrive_byte_by_byte_and_two_at_once() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    raw.stream.set_nodelay(true).unwrap();
    let request = frame(3, &ApiVersionsRequest::default());
    let mut bytes = u32::try_from(request.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(request);
    for byte in &bytes {
        raw.stream.write_all(&[*byte]).unwrap();
    }
    let one = raw.read();
    raw.stream
        .write_all(&[&bytes[..], &bytes[..]].concat())
        .unwrap();
    assert_eq!([raw.read(), raw.read()], [one.clone(), one]);
    broker.stop();
}

#[test]
fn batches_that_no_producer_may_send_are_refused() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    let mut ask = |acks, records: Bytes| -> i16 {
        let answer: ProduceResponse = raw.ask(9, &produce(acks, records));
        answer.responses[0].partition_responses[0].error_code
    };
    let good = some_batch();
    let with = |at: usize, byte: u8| {
        let mut changed = BytesMut::from(&good[..]);
        changed[at] = byte;
        changed.freeze()
    };
    assert_eq!(
        ask(1, with(60, 9)),
        ResponseError::CorruptMessage.code(),
        "checksum"
    );
    assert_eq!(
        ask(1, good.slice(..good.len() - 1)),
        ResponseError::CorruptMessage.code(),
        "cut short"
    );
    assert_eq!(
        ask(1, Bytes::new()),
        ResponseError::CorruptMessage.code(),
        "nothing"
    );
    assert_eq!(
        ask(1, with(16, 1)),
        ResponseError::InvalidRecord.code(),
        "an old format"
    );
    assert_eq!(
        ask(1, [&good[..], &good[..]].concat().into()),
        ResponseError::InvalidRecord.code(),
        "two batches"
    );
    assert_eq!(
        ask(2, good.clone()),
        ResponseError::InvalidRequiredAcks.code()
    );
    let gap = idempotent_batch(3, 0, 9, 1).bytes().clone();
    assert_eq!(ask(-1, idempotent_batch(3, 0, 0, 1).bytes().clone()), 0);
    assert_eq!(ask(-1, gap), ResponseError::OutOfOrderSequenceNumber.code());
    assert_eq!(ask(-1, good.clone()), 0);
    assert_eq!(
        broker.broker.append("t", 0, &[]).unwrap(),
        2,
        "nothing of what was refused is in the log"
    );
    broker.stop();
}

#[test]
fn acks_0_gets_no_answer_and_a_refusal_closes_the_connection() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    raw.write(&frame(9, &produce(0, some_batch())));
    // The next answer is that of the next request.
    assert_eq!(
        raw.ask(12, &fetch_from(1)).responses[0].partitions[0].high_watermark,
        1
    );
    raw.write(&frame(9, &produce(0, Bytes::from_static(b"no batch"))));
    assert!(raw.is_closed());
    broker.stop();
}

#[test]
fn more_connections_than_allowed_wait() {
    let config = BrokerConfig {
        connections_max: 1,
        topics: vec![topic("t", 1)],
        ..BrokerConfig::default()
    };
    let broker = TestBroker::start(config);
    let mut first = Raw::connect(&broker);
    first.ask(3, &ApiVersionsRequest::default());
    let mut second = Raw::connect(&broker);
    second.write(&frame(3, &ApiVersionsRequest::default()));
    second
        .stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(second.stream.read(&mut [0; 1]).is_err());
    second
        .stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    drop(first);
    second.read();
    broker.stop();
}

#[test]
fn a_request_names_topics_within_a_bound_and_makes_few() {
    let broker = TestBroker::with_partitions(1);
    let names = |count: usize| {
        let topic = |n| {
            MetadataRequestTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(format!("n{n}")))))
        };
        MetadataRequest::default()
            .with_topics(Some((0..count).map(topic).collect()))
            .with_allow_auto_topic_creation(true)
    };
    let mut raw = Raw::connect(&broker);
    let answer: MetadataResponse = raw.ask(8, &names(10_000));
    assert_eq!(
        answer
            .topics
            .iter()
            .filter(|topic| topic.error_code == 0)
            .count(),
        100
    );
    assert_eq!(broker.broker.broker.topics.all().len(), 101);
    raw.write(&frame(8, &names(10_001)));
    assert!(raw.is_closed(), "more names than a request may have");
    let mut raw = Raw::connect(&broker);
    let long = TopicName(StrBytes::from_string("x".repeat(30_000)));
    let topics = vec![MetadataRequestTopic::default().with_name(Some(long)); 40];
    raw.write(&frame(
        8,
        &MetadataRequest::default().with_topics(Some(topics)),
    ));
    assert!(
        raw.is_closed(),
        "more bytes than a request without records may have"
    );
    broker.stop();
}
