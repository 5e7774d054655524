//! Numbered events, for tests that ask which ones came, and in what order.

use std::collections::BTreeMap;

use super::admin::{Cluster, NewRecord};
use super::sse::Frame;

/// Some time of 2023: records of it are older than any reach-back.
pub const TIME: i64 = 1_700_000_000_000;

/// A record whose value is `{"n":n}`.
pub fn record(topic: &str, partition: i32, timestamp: i64, n: usize) -> NewRecord {
    NewRecord::new(topic, partition, timestamp, format!(r#"{{"n":{n}}}"#))
}

/// The same with so many bytes of padding.
pub fn padded_record(topic: &str, timestamp: i64, n: usize, bytes: usize) -> NewRecord {
    NewRecord::new(
        topic,
        0,
        timestamp,
        format!(r#"{{"n":{n},"padding":"{}"}}"#, "x".repeat(bytes)),
    )
}

/// The numbers of the events, in the order in which they came.
pub fn numbers(frames: &[Frame]) -> Vec<usize> {
    frames.iter().map(number).collect()
}

/// The number of an event.
pub fn number(frame: &Frame) -> usize {
    usize::try_from(frame.json()["n"].as_u64().expect("a number")).expect("a small one")
}

/// The offsets of events by topic and partition, each in the order in which they came.
pub type Offsets = BTreeMap<(String, i64), Vec<i64>>;

/// The offsets of what came.
pub fn offsets(frames: &[Frame]) -> Offsets {
    let mut offsets = Offsets::new();
    for (topic, partition, offset) in frames.iter().map(Frame::record) {
        offsets.entry((topic, partition)).or_default().push(offset);
    }
    offsets
}

/// The offsets of what lies in the topics' logs.
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

/// Bytes of the `log` of an id's entry: `,"log":"` eight characters `"`.
pub const LOG_BYTES: usize = 17;

/// A text with ids, each without its `log`, which is of the cluster and of the topic that a test made.
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
