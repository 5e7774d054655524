//! Copies a result into Rust values. Each pointer is checked for NULL, because librdkafka leaves an
//! element of its lists empty when a broker does not answer for it.

use std::ffi::CStr;
use std::slice;

use rdkafka::bindings as sys;
use rdkafka::error::{IsError, KafkaError};
use rdkafka::types::RDKafkaErrorCode;

use crate::handles::Event;
use crate::{Operation, PartitionDescription, TopicDescription};

/// The descriptions in a result of `DescribeTopics`.
pub(crate) fn descriptions(event: &Event) -> Result<Vec<TopicDescription>, KafkaError> {
    // SAFETY: the event is alive.
    let code = unsafe { sys::rd_kafka_event_error(event.ptr()) };
    if code.is_error() {
        return Err(KafkaError::AdminOp(code.into()));
    }
    // SAFETY: the event is alive.
    let result = unsafe { sys::rd_kafka_event_DescribeTopics_result(event.ptr()) };
    if result.is_null() {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::BadMessage));
    }
    let mut count = 0;
    // SAFETY: the result is a part of the event, which is alive; the count is ours to write to.
    let topics = unsafe { sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    // SAFETY: librdkafka's array of `count` pointers, which lives as long as the event.
    let topics = unsafe { elements(topics, count) };
    let described = topics.iter().filter(|topic| !topic.is_null());
    // SAFETY: not NULL, so a description in the event, which is alive.
    Ok(described
        .map(|topic| unsafe { description(*topic) })
        .collect())
}

/// # Safety
/// `topic` points to a description that lives during the call.
unsafe fn description(topic: *const sys::rd_kafka_TopicDescription_t) -> TopicDescription {
    // SAFETY: the description is alive.
    let name = unsafe { sys::rd_kafka_TopicDescription_name(topic) };
    // SAFETY: every description has a name, a C string that lives as long as it.
    let name = unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: the description is alive.
    let error = unsafe { sys::rd_kafka_TopicDescription_error(topic) };
    // SAFETY: NULL, which stands for no error, or an error in the description, which is alive.
    let code = unsafe { sys::rd_kafka_error_code(error) };
    TopicDescription {
        name,
        error: code.is_error().then(|| code.into()),
        // SAFETY: the description is alive.
        id: unsafe { id(topic) },
        // SAFETY: the description is alive.
        partitions: unsafe { partitions(topic) },
        // SAFETY: the description is alive.
        authorized_operations: unsafe { authorized_operations(topic) },
    }
}

/// The topic's id; all zeros mean none.
///
/// # Safety
/// `topic` points to a description that lives during the call.
unsafe fn id(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<[u8; 16]> {
    // SAFETY: the description is alive. The id is a part of it.
    let id = unsafe { sys::rd_kafka_TopicDescription_topic_id(topic) };
    if id.is_null() {
        return None;
    }
    // SAFETY: not NULL, and alive as long as the description.
    let high = unsafe { sys::rd_kafka_Uuid_most_significant_bits(id) };
    // SAFETY: as above.
    let low = unsafe { sys::rd_kafka_Uuid_least_significant_bits(id) };
    let bits = u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned());
    (bits != 0).then(|| bits.to_be_bytes())
}

/// # Safety
/// `topic` points to a description that lives during the call.
unsafe fn partitions(topic: *const sys::rd_kafka_TopicDescription_t) -> Vec<PartitionDescription> {
    let mut count = 0;
    // SAFETY: the description is alive; the count is ours to write to.
    let partitions = unsafe { sys::rd_kafka_TopicDescription_partitions(topic, &raw mut count) };
    // SAFETY: librdkafka's array of `count` pointers, which lives as long as the description.
    let partitions = unsafe { elements(partitions, count) };
    let described = partitions
        .iter()
        .filter(|partition| !partition.is_null())
        .map(|&partition| {
            // SAFETY: not NULL, so a partition in the description, which is alive.
            let number = unsafe { sys::rd_kafka_TopicPartitionInfo_partition(partition) };
            // SAFETY: as above. The leader is not read, only compared with NULL.
            let leader = unsafe { sys::rd_kafka_TopicPartitionInfo_leader(partition) };
            PartitionDescription {
                number,
                has_leader: !leader.is_null(),
            }
        });
    described.collect()
}

/// # Safety
/// `topic` points to a description that lives during the call.
unsafe fn authorized_operations(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Option<Vec<Operation>> {
    let mut count = 0;
    // SAFETY: the description is alive; the count is ours to write to.
    let operations =
        unsafe { sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count) };
    if operations.is_null() {
        return None;
    }
    // Read as numbers: librdkafka may have operations that the bindings' enum lacks. SAFETY:
    // librdkafka's array of `count` enums, each a C `int`; it lives as long as the description. The
    // array of no operations is one byte, which is not read.
    let numbers = unsafe { elements(operations.cast::<u32>(), count) };
    Some(numbers.iter().map(|&number| operation(number)).collect())
}

fn operation(number: u32) -> Operation {
    use sys::rd_kafka_AclOperation_t as Acl;
    const READ: u32 = Acl::RD_KAFKA_ACL_OPERATION_READ as u32;
    const WRITE: u32 = Acl::RD_KAFKA_ACL_OPERATION_WRITE as u32;
    const CREATE: u32 = Acl::RD_KAFKA_ACL_OPERATION_CREATE as u32;
    const DELETE: u32 = Acl::RD_KAFKA_ACL_OPERATION_DELETE as u32;
    const ALTER: u32 = Acl::RD_KAFKA_ACL_OPERATION_ALTER as u32;
    const DESCRIBE: u32 = Acl::RD_KAFKA_ACL_OPERATION_DESCRIBE as u32;
    const DESCRIBE_CONFIGS: u32 = Acl::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS as u32;
    const ALTER_CONFIGS: u32 = Acl::RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS as u32;
    match number {
        READ => Operation::Read,
        WRITE => Operation::Write,
        CREATE => Operation::Create,
        DELETE => Operation::Delete,
        ALTER => Operation::Alter,
        DESCRIBE => Operation::Describe,
        DESCRIBE_CONFIGS => Operation::DescribeConfigs,
        ALTER_CONFIGS => Operation::AlterConfigs,
        other => Operation::Other(other),
    }
}

/// A C array as a slice; an empty one may be NULL.
///
/// # Safety
/// Unless `count` is 0, `array` points to `count` values, which live and stay unchanged for `'a`.
unsafe fn elements<'a, T>(array: *const T, count: usize) -> &'a [T] {
    if count == 0 || array.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(array, count) }
}
