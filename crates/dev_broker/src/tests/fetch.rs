use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ResponseHeader};
use kafka_protocol::protocol::Decodable;

use super::raw::{Raw, fetch_from, frame, name};
use super::{TestBroker, record};

#[test]
fn a_fetch_session_that_does_not_exist_is_refused() {
    let broker = TestBroker::with_partitions(1);
    let mut raw = Raw::connect(&broker);
    let answer = raw.ask(12, &fetch_from(0).with_session_id(5).with_session_epoch(1));
    assert_eq!(
        answer.error_code,
        ResponseError::FetchSessionIdNotFound.code()
    );
    // A request for a new session gets session 0, which is none.
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
    // The client wants two records: the second append ends the wait, long before its time is up.
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
fn the_first_partition_gets_a_batch_and_the_others_what_fits() {
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
fn an_old_topic_id_reads_nothing_of_a_recreated_topic() {
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
fn a_waiting_fetch_ends_when_its_topic_is_deleted() {
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
