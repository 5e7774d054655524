use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, MetadataRequest,
    MetadataResponse, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};

use super::{TestBroker, idempotent_batch, record, topic};
use crate::batch::Batch;
use crate::{BrokerConfig, answer_requests};

/// A connection that sends what no proper client does.
pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub(crate) fn connect(broker: &TestBroker) -> Self {
        let stream = TcpStream::connect(broker.broker.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { stream }
    }

    fn write(&mut self, frame: &[u8]) {
        self.stream
            .write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes())
            .unwrap();
        self.stream.write_all(frame).unwrap();
    }

    fn read(&mut self) -> Bytes {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).unwrap();
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        frame.into()
    }

    /// Sends a request and gives its answer, which has to be of the version asked for and not a byte longer.
    pub(crate) fn ask<T: Request>(&mut self, version: i16, request: &T) -> T::Response {
        self.write(&frame(version, request));
        let mut answer = self.read();
        let header_version = ApiKey::try_from(T::KEY)
            .unwrap()
            .response_header_version(version);
        assert_eq!(
            ResponseHeader::decode(&mut answer, header_version)
                .unwrap()
                .correlation_id,
            77
        );
        let response = T::Response::decode(&mut answer, version).unwrap();
        assert!(answer.is_empty(), "{} bytes after the answer", answer.len());
        response
    }

    fn is_closed(&mut self) -> bool {
        // Closing with bytes unread resets the connection: that is an end as well.
        !matches!(self.stream.read(&mut [0; 1]), Ok(1..))
    }
}

fn frame<T: Request>(version: i16, request: &T) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(T::KEY)
        .with_request_api_version(version)
        .with_correlation_id(77);
    header
        .encode(
            &mut frame,
            ApiKey::try_from(T::KEY)
                .unwrap()
                .request_header_version(version),
        )
        .unwrap();
    request.encode(&mut frame, version).unwrap();
    frame
}

pub(crate) fn name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

pub(crate) fn fetch_from(offset: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(name("t"))
                .with_partitions(vec![partition]),
        ])
}

pub(crate) fn produce(acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(name("t"))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_topic_data(vec![topic])
}

fn some_batch() -> Bytes {
    Batch::encode(&[record(1, "v")]).unwrap().bytes().clone()
}

#[tokio::test]
async fn requests_without_a_socket_are_answered_up_to_the_first_that_closes_a_connection() {
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
fn unsupported_requests_of_api_versions_are_answered_with_what_is_supported() {
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
fn unsupported_requests_malformed_ones_and_oversize_frames_close_their_connection_alone() {
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
fn a_fetch_session_that_does_not_exist_is_refused() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    let answer = raw.ask(12, &fetch_from(0).with_session_id(5).with_session_epoch(1));
    assert_eq!(
        answer.error_code,
        ResponseError::FetchSessionIdNotFound.code()
    );
    // Asking for a new session is answered, with session 0: none.
    let answer = raw.ask(12, &fetch_from(0).with_session_id(0).with_session_epoch(0));
    assert_eq!(
        (answer.error_code, answer.session_id, answer.responses.len()),
        (0, 0, 1)
    );
    broker.stop();
}

#[test]
fn a_fetch_waits_for_enough_bytes_and_no_longer_than_asked() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    let bytes = |answer: &FetchResponse| {
        answer.responses[0].partitions[0]
            .records
            .as_ref()
            .map_or(0, Bytes::len)
    };
    let began = Instant::now();
    let answer = raw.ask(12, &fetch_from(0).with_min_bytes(1).with_max_wait_ms(300));
    assert!(began.elapsed() >= Duration::from_millis(300) && bytes(&answer) == 0);

    broker.broker.append("t", 0, &[record(1, "v")]).unwrap();
    let one = bytes(&raw.ask(12, &fetch_from(0)));
    // Two records are wanted, so the first does not end the wait and the second does, long before its time.
    raw.write(&frame(
        12,
        &fetch_from(0)
            .with_min_bytes(i32::try_from(2 * one).unwrap())
            .with_max_wait_ms(60_000),
    ));
    raw.stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(raw.stream.read(&mut [0; 1]).is_err());
    raw.stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    broker.broker.append("t", 0, &[record(1, "v")]).unwrap();
    let mut answer = raw.read();
    ResponseHeader::decode(&mut answer, 1).unwrap();
    assert_eq!(
        bytes(&FetchResponse::decode(&mut answer, 12).unwrap()),
        2 * one
    );
    broker.stop();
}

#[test]
fn the_first_partition_with_records_gets_a_batch_and_the_others_what_room_is_left() {
    let broker = TestBroker::with_partitions(3);
    for partition in [1, 2] {
        (0..2).for_each(|_| {
            assert!(
                broker
                    .broker
                    .append("t", partition, &[record(1, "v")])
                    .is_ok()
            );
        });
    }
    let mut raw = Raw::connect(&broker);
    let mut ask = |max_bytes: usize| -> Vec<usize> {
        let partition = |index| {
            FetchPartition::default()
                .with_partition(index)
                .with_partition_max_bytes(1 << 20)
        };
        let topic = FetchTopic::default()
            .with_topic(name("t"))
            .with_partitions((0..3).map(partition).collect());
        let request = FetchRequest::default()
            .with_max_bytes(i32::try_from(max_bytes).unwrap())
            .with_topics(vec![topic]);
        let answer = raw.ask(12, &request);
        answer.responses[0]
            .partitions
            .iter()
            .map(|p| p.records.as_ref().map_or(0, Bytes::len))
            .collect()
    };
    let one = ask(1)[1];
    assert!(one > 0);
    assert_eq!(ask(1), [0, one, 0]);
    assert_eq!(ask(3 * one), [0, 2 * one, one]);
    assert_eq!(ask(100 * one), [0, 2 * one, 2 * one]);
    broker.stop();
}

#[test]
fn an_old_topic_id_reads_nothing_of_the_topic_made_anew() {
    let broker = TestBroker::with_partitions(1);
    let topics = &broker.broker.broker.topics;
    let old = topics.get("t").unwrap().id;
    let mut raw = Raw::connect(&broker);
    let mut request = fetch_from(0);
    request.topics[0].topic_id = old;
    let error = |answer: &FetchResponse| answer.responses[0].partitions[0].error_code;
    assert_eq!(error(&raw.ask(13, &request)), 0);
    topics.delete("t").unwrap();
    topics.create("t", 1, [].into(), false).unwrap();
    assert_eq!(
        error(&raw.ask(13, &request)),
        ResponseError::UnknownTopicId.code()
    );
    broker.stop();
}

#[test]
fn a_waiting_fetch_is_told_when_its_topic_is_deleted() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    raw.write(&frame(
        12,
        &fetch_from(0).with_min_bytes(1).with_max_wait_ms(60_000),
    ));
    let mut admin = Raw::connect(&broker);
    let delete =
        kafka_protocol::messages::DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
    assert_eq!(admin.ask(5, &delete).responses[0].error_code, 0);
    let mut answer = raw.read();
    ResponseHeader::decode(&mut answer, 1).unwrap();
    let answer = FetchResponse::decode(&mut answer, 12).unwrap();
    assert_eq!(
        answer.responses[0].partitions[0].error_code,
        ResponseError::UnknownTopicOrPartition.code()
    );
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
fn more_connections_than_allowed_wait_for_a_place() {
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
