//! librdkafka's `DescribeTopics` for any client of the `rdkafka` crate, which has no safe call for
//! it.
//!
//! [`describe_topics`] returns a topic's id (a UUID, which changes when the topic is deleted and
//! created again), its partitions and whether each has a leader, and what the client may do with
//! it. librdkafka sends one Metadata request for all topics, and never creates a topic with it. It
//! sends the request to the node that it considers the controller, and waits for that node when it
//! is down, although any other could answer. The request is therefore repeated, each time after the
//! nodes are looked up again.
//!
//! This crate keeps `unsafe` out of the server, which forbids it. Every `unsafe` block contains one
//! call and explains why it is sound.
//!
//! * `handles`: librdkafka pointers that free themselves.
//! * `read`: copies a result into Rust values.

mod handles;
mod read;

use std::collections::HashSet;
use std::ffi::CString;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use handles::{Options, Queue, TopicNames};

/// How long to wait for the first node. The wait doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// The topic's name, as requested.
    pub name: String,
    /// Why the cluster does not describe the topic, for example because it does not exist or the
    /// client may not see it. Then there are no partitions; `id` may still be set.
    pub error: Option<RDKafkaErrorCode>,
    /// The topic's id. `None` when the broker has no topic ids (Kafka before 2.8), or omits the id
    /// of a topic with an error.
    pub id: Option<[u8; 16]>,
    /// Its partitions, in the order of the broker's answer.
    pub partitions: Vec<PartitionDescription>,
    /// What the client may do with the topic. `None` unless requested, and when the broker does not
    /// support it (Kafka before 2.3).
    pub authorized_operations: Option<Vec<Operation>>,
}

/// A partition as the cluster describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number, from 0.
    pub number: i32,
    /// Whether it has a leader now. Without one it can be neither read nor written.
    pub has_leader: bool,
}

/// An operation that an access control list grants (`org.apache.kafka.common.acl.AclOperation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Fetch records.
    Read,
    /// Produce records.
    Write,
    /// Create the topic.
    Create,
    /// Delete the topic or its records.
    Delete,
    /// Add partitions.
    Alter,
    /// See the topic, its partitions and offsets.
    Describe,
    /// See its configuration.
    DescribeConfigs,
    /// Change its configuration.
    AlterConfigs,
    /// Any other, by Kafka's number.
    Other(u32),
}

/// Describes topics, in the order of `topics` and each name once. Blocks for at most `timeout`
/// (between one millisecond and one hour). With `include_authorized_operations` it also asks what
/// the client may do with each topic.
///
/// # Errors
/// [`KafkaError::Nul`] for a name with a NUL byte. [`KafkaError::AdminOp`] when there is no answer
/// in time (`OperationTimedOut`), the broker does not support the request, a name is empty, or the
/// answer cannot be parsed. The error of a single topic is in [`TopicDescription::error`].
pub fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    include_authorized_operations: bool,
    timeout: Duration,
) -> Result<Vec<TopicDescription>, KafkaError> {
    // librdkafka refuses a whole request that contains a name twice.
    let mut seen = HashSet::new();
    let unique = topics.iter().filter(|topic| seen.insert(**topic));
    let names = unique
        .map(|topic| CString::new(*topic))
        .collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + timeout;
    let mut wait = FIRST_WAIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match ask(
            client,
            &names,
            include_authorized_operations,
            wait.min(left),
        ) {
            Err(KafkaError::AdminOp(error))
                if may_pass_on_another_node(error) && !left.is_zero() =>
            {
                let left = deadline.saturating_duration_since(Instant::now());
                handles::look_up_nodes(client.native_ptr(), left);
                wait *= 2;
            }
            answer => return answer,
        }
    }
}

/// Whether another node may answer.
fn may_pass_on_another_node(error: RDKafkaErrorCode) -> bool {
    matches!(
        error,
        RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure
    )
}

fn ask<C: ClientContext>(
    client: &Client<C>,
    names: &[CString],
    rights: bool,
    timeout: Duration,
) -> Result<Vec<TopicDescription>, KafkaError> {
    let native = client.native_ptr();
    let names = TopicNames::new(names);
    let options = Options::new(native, rights, timeout)?;
    let queue = Queue::new(native);
    // SAFETY: `client` keeps its handle alive for this call, and names, options and queue are
    // alive. librdkafka copies names and options, and holds its own reference to the queue for as
    // long as an answer may come.
    unsafe { sys::rd_kafka_DescribeTopics(native, names.ptr(), options.ptr(), queue.ptr()) };
    let event = queue
        .wait(timeout)
        .ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
    read::descriptions(&event)
}
