//! Records of a Kafka log, to produce and as they are read back.

/// A record to produce.
#[derive(Clone, Debug)]
pub struct NewRecord {
    pub topic: String,
    pub partition: i32,
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

impl NewRecord {
    /// A record without a key. `timestamp` is in milliseconds since 1970 (CreateTime).
    pub fn new(topic: &str, partition: i32, timestamp: i64, value: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            timestamp,
            key: None,
            value: Some(value.into()),
        }
    }

    /// A record with a key and no value.
    pub fn tombstone(topic: &str, partition: i32, timestamp: i64, key: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            timestamp,
            key: Some(key.into()),
            value: None,
        }
    }

    /// The same record with this key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// What the embedded broker appends without a client.
    pub(super) fn for_embedded(&self) -> dev_broker::NewRecord {
        dev_broker::NewRecord {
            timestamp_ms: self.timestamp,
            key: self.key.clone().map(Into::into),
            value: self.value.clone().map(Into::into),
        }
    }
}

/// A record as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}
