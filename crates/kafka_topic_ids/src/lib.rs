//! librdkafka's `DescribeTopics` for any client of the `rdkafka` crate, which has no safe call for it.
//!
//! [`describe_topics`] asks for a topic's id (a UUID, new when a topic is deleted and created again),
//! its partitions and whether each has a leader, and what the client may do with it. librdkafka
//! sends one Metadata request for all topics, and never creates a topic by it. It sends it to the node
//! that it takes for the controller, and waits for that node when it is down, although any other could
//! answer: so the question is asked again, each time after the nodes have been looked up anew.
//!
//! This crate exists to keep `unsafe` out of the server, which forbids it. Every `unsafe` block holds
//! one call and says why it is sound.
//!
//! * `handles`: pointers of librdkafka that free themselves.
//! * `read`: what a result holds, copied into Rust values.

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

/// How long the first node is waited for; each further one twice as long as the one before.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// The topic's name, as asked for.
    pub name: String,
    /// Why the cluster does not describe the topic: it does not exist, the client may not see it.
    /// Without a description there are no partitions; `id` may still be there.
    pub error: Option<RDKafkaErrorCode>,
    /// The topic's id. `None` when the broker has no topic ids (Kafka before 2.8), or does not tell
    /// the id of a topic with an error.
    pub id: Option<[u8; 16]>,
    /// Its partitions, in the order of the broker's answer.
    pub partitions: Vec<PartitionDescription>,
    /// What the client may do with the topic. `None` unless asked for, and when the broker does not
    /// say (Kafka before 2.3).
    pub authorized_operations: Option<Vec<Operation>>,
}

/// A partition as the cluster describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number, from 0 on.
    pub number: i32,
    /// Whether it has a leader now. Without one it can neither be read nor written.
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

/// Describes topics, in the order of `topics` and each name once. Blocks for `timeout` at most (one
/// millisecond at least, one hour at most). With `include_authorized_operations` it also asks what the
/// client may do with each topic.
///
/// # Errors
/// [`KafkaError::Nul`] for a name with a NUL byte. [`KafkaError::AdminOp`] when there is no answer in
/// time (`OperationTimedOut`), the broker does not know the request, a name is empty, or the answer
/// cannot be read. What is wrong with a single topic is in [`TopicDescription::error`].
pub fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    include_authorized_operations: bool,
    timeout: Duration,
) -> Result<Vec<TopicDescription>, KafkaError> {
    // librdkafka refuses a whole request in which a name stands twice.
    let mut seen = HashSet::new();
    let unique = topics.iter().filter(|topic| seen.insert(**topic));
    let names = unique
        .map(|topic| CString::new(*topic))
        .collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + timeout;
    let mut patience = FIRST_PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match ask(
            client,
            &names,
            include_authorized_operations,
            patience.min(left),
        ) {
            Err(KafkaError::AdminOp(error)) if is_of_the_node(error) && !left.is_zero() => {
                let left = deadline.saturating_duration_since(Instant::now());
                handles::look_up_nodes(client.native_ptr(), left);
                patience *= 2;
            }
            answer => return answer,
        }
    }
}

/// Whether another node may answer.
fn is_of_the_node(error: RDKafkaErrorCode) -> bool {
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
    // SAFETY: `client` keeps its handle alive for this call, and names, options and queue are alive.
    // librdkafka copies names and options, and holds a reference of its own to the queue for as long
    // as an answer may come.
    unsafe { sys::rd_kafka_DescribeTopics(native, names.ptr(), options.ptr(), queue.ptr()) };
    let event = queue
        .wait(timeout)
        .ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
    read::descriptions(&event)
}
