//! Streams that clients create and write over HTTP: each is a topic of the embedded broker.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dev_broker::{DevBroker, NewRecord};
use parking_lot::Mutex;

use crate::cursor::{Offset, TimestampMs};
use crate::http::WritableStreams;

/// The streams of one run. A topic that is kept in the folder of the broker is no longer one of
/// them after a restart.
#[derive(Debug)]
pub(super) struct HttpStreams {
    broker: Weak<DevBroker>,
    media_types: Mutex<HashMap<String, String>>,
}

impl HttpStreams {
    pub(super) fn new(broker: &Arc<DevBroker>) -> Self {
        Self {
            broker: Arc::downgrade(broker),
            media_types: Mutex::default(),
        }
    }

    fn broker(&self) -> Result<Arc<DevBroker>, String> {
        let broker = self.broker.upgrade();
        broker.ok_or_else(|| "the embedded broker has stopped".to_owned())
    }
}

impl WritableStreams for HttpStreams {
    fn media_type(&self, stream: &str) -> Option<String> {
        self.media_types.lock().get(stream).cloned()
    }

    fn create(&self, stream: &str, media_type: &str) -> Result<(), String> {
        let created = self.broker()?.create_topic(stream, 1);
        created.map_err(|error| error.to_string())?;
        let mut media_types = self.media_types.lock();
        media_types.insert(stream.to_owned(), media_type.to_owned());
        Ok(())
    }

    fn append(&self, stream: &str, events: &[Bytes]) -> Result<Offset, String> {
        let record = |event: &Bytes| NewRecord {
            timestamp_ms: TimestampMs::now().0,
            key: None,
            value: Some(event.clone()),
        };
        let records: Vec<_> = events.iter().map(record).collect();
        let first = self.broker()?.append(stream, 0, &records);
        let first = first.map_err(|error| error.to_string())?;
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        Ok(Offset(first.saturating_add(count)))
    }
}
