//! The table of APIs and versions, and the path from a frame to its answer.
//!
//! * `cluster`: `Metadata`, `DescribeCluster`, `DescribeConfigs`, `FindCoordinator`.
//! * `produce`, `fetch`: records in and out. `offsets`: `ListOffsets`, `OffsetForLeaderEpoch`.
//! * `topics`: `CreateTopics`, `DeleteTopics`, `CreatePartitions`, `DeleteRecords`.
//! * `transactions`: `InitProducerId`, `AddPartitionsToTxn`, `EndTxn`.
//! * `acls`: `CreateAcls`, `DeleteAcls`.
//! * `groups`: membership of consumer groups. `commits`: their committed offsets, and what tools
//!   read.

mod acls;
mod cluster;
mod commits;
mod fetch;
mod groups;
mod offsets;
mod produce;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchRequest, ListOffsetsRequest, MetadataRequest, RequestHeader,
    ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request};

use crate::broker::Broker;
use crate::decode::decode;

/// The supported APIs and versions, which `ApiVersions` advertises. The upper ends are the codec's,
/// those of Apache Kafka 4.0 or 4.1. What the last versions add is for replicas (Fetch 17, 18) or
/// other kinds of groups.
pub(crate) const APIS: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 3, 13),
    (ApiKey::Fetch, 4, 18),
    (ApiKey::ListOffsets, 1, 10),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 6),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    // Later versions are for brokers, or for the second transaction protocol (KIP-890).
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::EndTxn, 0, 4),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::CreateAcls, 1, 3),
    (ApiKey::DeleteAcls, 1, 3),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::DescribeCluster, 0, 2),
    // Every answer is a refusal. Where it is not advertised, librdkafka looks for a coordinator
    // forever and reports nothing.
    (ApiKey::ConsumerGroupHeartbeat, 0, 1),
];

/// The most bytes of a request without records. With [`NAMES_MAX`] this bounds the answer, which is
/// longer than its request.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The most topics, or partitions of all its topics, that a request may name.
const NAMES_MAX: usize = 10_000;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The client's.
    pub(crate) client: SocketAddr,
    /// Ours, as the client reached it, which metadata returns as the broker's address.
    pub(crate) advertised: SocketAddr,
}

/// A request that has no answer: its connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("a frame of {0} bytes is too short for a request")]
    TooShort(usize),
    #[error("api key {0} is not known here")]
    UnknownApi(i16),
    #[error("{api:?} version {version} is not one of those advertised")]
    UnsupportedVersion { api: ApiKey, version: i16 },
    #[error("malformed {api:?} version {version}: {source}")]
    Malformed {
        api: ApiKey,
        version: i16,
        source: anyhow::Error,
    },
    #[error("cannot encode the answer to {api:?} version {version}: {source}")]
    Encode {
        api: ApiKey,
        version: i16,
        source: anyhow::Error,
    },
    #[error(
        "{api:?} of {bytes} bytes: here requests without records have {REQUEST_BYTES_MAX} at most; \
         name fewer topics in each"
    )]
    TooLarge { api: ApiKey, bytes: usize },
    #[error("{api:?} names {names} topics or partitions: here a request names {NAMES_MAX} at most")]
    TooManyNames { api: ApiKey, names: usize },
    #[error("a record that was sent with acks=0 was refused: {0}")]
    Unacknowledged(ResponseError),
}

/// One request: its header and its body.
struct Envelope {
    api: ApiKey,
    version: i16,
    header: RequestHeader,
    body: Bytes,
}

/// Answers the request in `frame`; the answer includes its length. `None` when the client wants no
/// answer (Produce with acks=0).
pub(crate) async fn answer(
    broker: &Broker,
    peer: &Peer,
    frame: Bytes,
) -> Result<Option<BytesMut>, RequestError> {
    let envelope = match open(frame)? {
        Ok(envelope) => envelope,
        Err(refusal) => return Ok(Some(refusal)),
    };
    let e = &envelope;
    match e.api {
        ApiKey::ApiVersions => e.seal(&api_versions(None)),
        ApiKey::Metadata => {
            let request = e.read_bounded(metadata_names)?;
            e.seal(&cluster::metadata(broker, peer, e.version, request))
        }
        ApiKey::DescribeCluster => e.seal(&cluster::describe_cluster(broker, peer, &e.read()?)),
        ApiKey::DescribeConfigs => e.seal(&cluster::describe_configs(broker, e.read()?)),
        ApiKey::FindCoordinator => e.seal(&cluster::find_coordinator(peer, e.version, e.read()?)),
        ApiKey::InitProducerId => e.seal(&transactions::init_producer_id(broker, &e.read()?)),
        ApiKey::AddPartitionsToTxn => e.seal(&transactions::add_partitions(broker, &e.read()?)),
        ApiKey::EndTxn => e.seal(&transactions::end(broker, &e.read()?)),
        ApiKey::Produce => match produce::produce(broker, e.version, e.read()?)? {
            Some(response) => e.seal(&response),
            None => Ok(None),
        },
        ApiKey::Fetch => {
            let request = e.read_bounded(fetch_names)?;
            e.seal(&fetch::fetch(broker, e.version, request).await)
        }
        ApiKey::ListOffsets => {
            let request = e.read_bounded(list_offsets_names)?;
            e.seal(&offsets::list_offsets(broker, e.version, request))
        }
        ApiKey::OffsetForLeaderEpoch => {
            e.seal(&offsets::offset_for_leader_epoch(broker, e.read()?))
        }
        ApiKey::CreateTopics => e.seal(&topics::create_topics(broker, e.read()?)),
        ApiKey::DeleteTopics => e.seal(&topics::delete_topics(broker, e.version, e.read()?)),
        ApiKey::CreatePartitions => e.seal(&topics::create_partitions(broker, e.read()?)),
        ApiKey::DeleteRecords => e.seal(&topics::delete_records(broker, e.read()?)),
        ApiKey::CreateAcls => e.seal(&acls::create(broker, e.read()?)),
        ApiKey::DeleteAcls => e.seal(&acls::delete(broker, e.read()?)),
        ApiKey::JoinGroup => {
            e.seal(&groups::join(broker, peer, e.version, &e.header, e.read()?).await)
        }
        ApiKey::SyncGroup => e.seal(&groups::sync(broker, e.read()?).await),
        ApiKey::Heartbeat => e.seal(&groups::heartbeat(broker, &e.read()?)),
        ApiKey::LeaveGroup => e.seal(&groups::leave(broker, e.version, &e.read()?)),
        ApiKey::ConsumerGroupHeartbeat => e.seal(&groups::refuse_new_protocol()),
        ApiKey::OffsetCommit => e.seal(&commits::commit(broker, e.read()?)),
        ApiKey::OffsetFetch => e.seal(&commits::fetch(broker, e.version, e.read()?)),
        ApiKey::ListGroups => e.seal(&commits::list_groups(broker, &e.read()?)),
        ApiKey::DescribeGroups => e.seal(&commits::describe_groups(broker, e.version, e.read()?)),
        ApiKey::DeleteGroups => e.seal(&commits::delete_groups(broker, e.read()?)),
        api => Err(RequestError::UnknownApi(api as i16)),
    }
}

fn metadata_names(request: &MetadataRequest) -> usize {
    request.topics.as_ref().map_or(0, Vec::len)
}

fn fetch_names(request: &FetchRequest) -> usize {
    let topics = request.topics.iter();
    topics.map(|topic| topic.partitions.len()).sum()
}

fn list_offsets_names(request: &ListOffsetsRequest) -> usize {
    let topics = request.topics.iter();
    topics.map(|topic| topic.partitions.len()).sum()
}

/// Reads the header. The inner error is the answer to an unknown version of `ApiVersions`
/// (KIP-511): version 0 of it, which every client can read, with the supported versions.
fn open(mut frame: Bytes) -> Result<Result<Envelope, BytesMut>, RequestError> {
    let mut start = frame.get(..8).ok_or(RequestError::TooShort(frame.len()))?;
    let (key, version, correlation_id) = (start.get_i16(), start.get_i16(), start.get_i32());
    let api = ApiKey::try_from(key).map_err(|()| RequestError::UnknownApi(key))?;
    let &(_, min, max) = APIS
        .iter()
        .find(|(known, ..)| *known == api)
        .ok_or(RequestError::UnknownApi(key))?;
    if !(min..=max).contains(&version) {
        if api != ApiKey::ApiVersions {
            return Err(RequestError::UnsupportedVersion { api, version });
        }
        let header = RequestHeader::default().with_correlation_id(correlation_id);
        let refusal = Envelope {
            api,
            version: 0,
            header,
            body: Bytes::new(),
        };
        return Ok(Err(refusal
            .seal(&api_versions(Some(ResponseError::UnsupportedVersion)))?
            .unwrap_or_default()));
    }
    let malformed = |source| RequestError::Malformed {
        api,
        version,
        source,
    };
    if api != ApiKey::Produce && frame.len() > REQUEST_BYTES_MAX {
        return Err(RequestError::TooLarge {
            api,
            bytes: frame.len(),
        });
    }
    let header = RequestHeader::decode(&mut frame, api.request_header_version(version))
        .map_err(malformed)?;
    Ok(Ok(Envelope {
        api,
        version,
        header,
        body: frame,
    }))
}

impl Envelope {
    fn read<T: Request>(&self) -> Result<T, RequestError> {
        debug_assert_eq!(T::KEY, self.api as i16);
        let malformed = |source| RequestError::Malformed {
            api: self.api,
            version: self.version,
            source,
        };
        decode(&self.body, self.version).map_err(malformed)
    }

    /// Reads a request that names no more than [`NAMES_MAX`].
    fn read_bounded<T: Request>(&self, count: impl Fn(&T) -> usize) -> Result<T, RequestError> {
        let request = self.read()?;
        let names = count(&request);
        if names > NAMES_MAX {
            Err(RequestError::TooManyNames {
                api: self.api,
                names,
            })
        } else {
            Ok(request)
        }
    }

    fn seal<T: Encodable>(&self, response: &T) -> Result<Option<BytesMut>, RequestError> {
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        let header = ResponseHeader::default().with_correlation_id(self.header.correlation_id);
        let header_version = self.api.response_header_version(self.version);
        let encoded = header
            .encode(&mut frame, header_version)
            .and_then(|()| response.encode(&mut frame, self.version));
        let size = encoded.and_then(|()| Ok(i32::try_from(frame.len() - 4)?));
        let size = size.map_err(|source| RequestError::Encode {
            api: self.api,
            version: self.version,
            source,
        })?;
        frame[..4].copy_from_slice(&size.to_be_bytes());
        Ok(Some(frame))
    }
}

fn api_versions(error: Option<ResponseError>) -> ApiVersionsResponse {
    let advertised = |&(api, min, max): &(ApiKey, i16, i16)| {
        let min = if api == ApiKey::Produce { 0 } else { min };
        ApiVersion::default()
            .with_api_key(api as i16)
            .with_min_version(min)
            .with_max_version(max)
    };
    ApiVersionsResponse::default()
        .with_error_code(code(error))
        .with_api_keys(APIS.iter().map(advertised).collect())
}

/// The number of an error, or 0 for none.
fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}
