//! Raw frames on a connection, for what no proper client sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};

use super::{TestBroker, record};
use crate::batch::Batch;

/// A connection that sends what no proper client does.
pub(crate) struct Raw {
    pub(super) stream: TcpStream,
}

impl Raw {
    pub(crate) fn connect(broker: &TestBroker) -> Self {
        let stream = TcpStream::connect(broker.broker.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self { stream }
    }

    pub(super) fn write(&mut self, frame: &[u8]) {
        self.stream
            .write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes())
            .unwrap();
        self.stream.write_all(frame).unwrap();
    }

    pub(super) fn read(&mut self) -> Bytes {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).unwrap();
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        frame.into()
    }

    /// Sends a request and returns its answer, which must have the request's version and no
    /// trailing bytes.
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

    pub(super) fn is_closed(&mut self) -> bool {
        // Closing a connection with unread bytes resets it, which is an end too.
        !matches!(self.stream.read(&mut [0; 1]), Ok(1..))
    }
}

pub(super) fn frame<T: Request>(version: i16, request: &T) -> BytesMut {
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

pub(super) fn some_batch() -> Bytes {
    Batch::encode(&[record(1, "v")]).unwrap().bytes().clone()
}
