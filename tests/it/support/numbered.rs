//! Numbered events, for tests of which events arrive and in what order.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::admin::{Cluster, NewRecord};
use super::sse::Frame;

/// A time in 2023. A starting server does not read records of this age into memory.
pub const TIME: i64 = 1_700_000_000_000;

/// A small number, such as an index, as an `i64`.
pub fn to_i64(number: usize) -> i64 {
    i64::try_from(number).expect("a small number")
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_millis()).expect("a time in range")
}

/// A record whose value is `{"n":n}`.
pub fn record(topic: &str, partition: i32, timestamp: i64, n: usize) -> NewRecord {
    NewRecord::new(topic, partition, timestamp, format!(r#"{{"n":{n}}}"#))
}

/// A numbered record with padding of this many bytes.
pub fn padded_record(topic: &str, timestamp: i64, n: usize, bytes: usize) -> NewRecord {
    NewRecord::new(
        topic,
        0,
        timestamp,
        format!(r#"{{"n":{n},"padding":"{}"}}"#, "x".repeat(bytes)),
    )
}

/// The numbers of the events, in order of arrival.
pub fn numbers(frames: &[Frame]) -> Vec<usize> {
    frames.iter().map(number).collect()
}

/// The number of an event.
pub fn number(frame: &Frame) -> usize {
    usize::try_from(frame.json()["n"].as_u64().expect("a number")).expect("a number that fits")
}

/// The offsets of events by topic and partition, in order of arrival.
pub type Offsets = BTreeMap<(String, i64), Vec<i64>>;

/// The offsets of the received events.
pub fn offsets(frames: &[Frame]) -> Offsets {
    let mut offsets = Offsets::new();
    for (topic, partition, offset) in frames.iter().map(Frame::record) {
        offsets.entry((topic, partition)).or_default().push(offset);
    }
    offsets
}

/// The offsets of all records in the logs of the topics.
pub async fn offsets_in_log(cluster: &Cluster, topics: &[String]) -> Offsets {
    let mut offsets = Offsets::new();
    for topic in topics {
        for record in cluster.log(topic).await {
            offsets
                .entry((topic.clone(), record.partition.into()))
                .or_default()
                .push(record.offset);
        }
    }
    offsets
}

/// The length of the `log` member in an entry of an id: `,"log":"`, eight characters, `"`.
pub const LOG_BYTES: usize = 17;

/// Removes the `log` members from ids in a text: they depend on the cluster and on the topic of the
/// test.
pub fn without_log(text: &str) -> String {
    let mut parts = text.split(",\"log\":\"");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (log, rest) = part.split_once('"').expect("the end of a log's name");
        assert_eq!(log.len(), 8, "a short hash of cluster and topic: {log}");
        kept.push_str(rest);
    }
    kept
}
