//! Compacted topics: only the newest record of each key stays, and the offsets have gaps.

use std::collections::BTreeMap;

use super::admin::{Cluster, LogRecord, NewRecord};
use super::deadline::eventually;

/// A record closes a segment when it is this many milliseconds newer than the first record of it.
const SEGMENT_MS: i64 = 100;

/// The key of the record that [`Cluster::compact`] produces.
pub const LAST_KEY: &str = "compacted up to here";

impl Cluster {
    /// Creates a topic for [`Self::compact`]. All its records need keys.
    pub async fn create_compacted_topic(&self, topic: &str, partitions: i32) {
        let segment_ms = SEGMENT_MS.to_string();
        let settings = [
            ("cleanup.policy", "compact"),
            ("segment.ms", segment_ms.as_str()),
            ("min.cleanable.dirty.ratio", "0.0001"),
            ("min.compaction.lag.ms", "0"),
            ("segment.index.bytes", "4096"),
        ];
        self.create_topic_with(topic, partitions, &settings).await;
    }

    /// Compacts the topic and waits until it is done. Each partition with records ends in a
    /// tombstone with the key [`LAST_KEY`]: it closes the segment, because the newest segment is
    /// never compacted. Records of an open transaction, and all after it, stay.
    pub async fn compact(&self, topic: &str) {
        let mut log = self.log(topic).await;
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        for record in &log {
            let newest = last.entry(record.partition).or_insert(record.timestamp);
            *newest = (*newest).max(record.timestamp);
        }
        for (partition, newest) in last {
            self.produce(NewRecord::tombstone(
                topic,
                partition,
                newest + SEGMENT_MS + 1,
                LAST_KEY,
            ))
            .await;
        }
        eventually(format!("{topic} to be compacted"), async || {
            log = self.log(topic).await;
            is_compacted(&log).then_some(())
        })
        .await;
    }
}

/// Whether all keys of a partition are unique, except [`LAST_KEY`].
fn is_compacted(log: &[LogRecord]) -> bool {
    let mut seen = BTreeMap::new();
    for record in log
        .iter()
        .filter(|record| record.key.as_deref() != Some(LAST_KEY.as_bytes()))
    {
        if seen
            .insert((record.partition, record.key.clone()), record.offset)
            .is_some()
        {
            return false;
        }
    }
    true
}
