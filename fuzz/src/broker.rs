//! Requests to the embedded broker, answered without a socket. Time is paused: what waits is
//! answered at once.

use std::cell::RefCell;

use bytes::{BufMut, Bytes, BytesMut};
use dev_broker::{BrokerConfig, TopicSpec, answer_requests};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(
            Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime"),
        );
}

/// The topic that a new broker has, with two partitions.
pub const TOPIC: &str = "t";

/// What a new broker answers.
pub fn answers(requests: Vec<Bytes>) -> Vec<Bytes> {
    let config = BrokerConfig {
        topics: vec![TopicSpec {
            name: TOPIC.to_owned(),
            partitions: 2,
        }],
        ..BrokerConfig::default()
    };
    RUNTIME
        .with_borrow(|runtime| runtime.block_on(answer_requests(&config, requests)))
        .expect("it opens")
}

/// A request's frame without its length.
pub fn frame<T: Request>(version: i16, request: &T) -> Bytes {
    let mut frame = head(T::KEY, version);
    request
        .encode(&mut frame, version)
        .expect("a request that can be said in this version");
    frame.freeze()
}

/// A request's header; of an API or a version that the codec does not know, the part that all have.
pub fn head(key: i16, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    let api = ApiKey::try_from(key)
        .ok()
        .filter(|api| (api.valid_versions().min..=api.valid_versions().max).contains(&version));
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(7);
    match api {
        Some(api) => header
            .encode(&mut frame, api.request_header_version(version))
            .expect("a header"),
        None => {
            frame.put_i16(key);
            frame.put_i16(version);
            frame.put_i32(7);
        }
    }
    frame
}

/// The response in an answer.
pub fn response<T: Request>(version: i16, answer: &Bytes) -> T::Response {
    let mut rest = answer.slice(4..);
    let api = ApiKey::try_from(T::KEY).expect("an API");
    let header =
        ResponseHeader::decode(&mut rest, api.response_header_version(version)).expect("a header");
    assert_eq!(header.correlation_id, 7);
    let response =
        T::Response::decode(&mut rest, version).expect("a response of the version asked for");
    assert!(rest.is_empty(), "{} bytes behind the response", rest.len());
    response
}
