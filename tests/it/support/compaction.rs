//! Compacted topics: of the records with the same key the newest stays, the others leave holes in the offsets.

use std::collections::BTreeMap;

use super::admin::{Cluster, LogRecord, NewRecord};
use super::deadline::eventually;

/// A segment is closed by the first record that is later than its first one by more than so many milliseconds.
const SEGMENT_MS: i64 = 100;

/// The key of the record that [`Cluster::compact`] writes.
pub const LAST_KEY: &str = "compacted up to here";

impl Cluster {
    /// A new topic of which [`Self::compact`] leaves the newest record of each key. All of its records need keys.
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

    /// Has the topic compacted, and waits until it is. In each partition that is not empty a record without a value comes last, with
    /// the key [`LAST_KEY`], which is no event; it closes the segment, for the newest segment is never compacted. What is in an
    /// open transaction, or after it, stays.
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

/// Whether no record but those after the last [`LAST_KEY`] of its partition has the key of an earlier one.
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
