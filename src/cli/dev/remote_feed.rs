//! Fills the embedded broker with the events of another server.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dev_broker::{DevBroker, NewRecord};
use serde_json::Value;

use super::remote_source::{Position, RemoteSource, USER_AGENT};
use crate::cli::error::CliError;
use crate::client::{Item, Reader};
use crate::cursor::TimestampMs;
use crate::shutdown::Shutdown;

/// How often the position is written.
const STORE_INTERVAL: Duration = Duration::from_secs(1);

/// Fills the broker.
pub(super) struct RemoteFeed {
    broker: Arc<DevBroker>,
    reader: Reader,
    /// The folder of the broker, if it has one.
    folder: Option<PathBuf>,
    position: Position,
    stored_at: Option<Instant>,
    /// Events that the broker has already, by partition: the first ones after the position. A
    /// process that was killed appended them after it wrote its position.
    repeated: HashMap<String, i64>,
}

/// Where an event goes.
struct Place {
    topic: String,
    partition: i32,
}

impl RemoteFeed {
    /// A feed that goes on where the last one with this folder stopped.
    ///
    /// # Errors
    /// The folder is one of other streams.
    pub(super) fn new(
        broker: Arc<DevBroker>,
        source: RemoteSource,
        folder: Option<PathBuf>,
    ) -> Result<Self, CliError> {
        let topics = source.topics();
        let mut request = source.request;
        let streams: Vec<_> = request.streams().map(str::to_owned).collect();
        let stored = match &folder {
            Some(folder) => Position::load(folder, &streams)?,
            None => None,
        };
        let is_new = stored.is_none();
        let mut position = stored.unwrap_or_default();
        position.streams = streams;
        request.last_event_id.clone_from(&position.last_event_id);
        let reader = Reader::new(request, USER_AGENT).map_err(anyhow::Error::from)?;
        let mut repeated = HashMap::new();
        for topic in &topics {
            for partition in 0..topic.partitions {
                let end = broker.append(&topic.name, partition, &[]);
                let end = end.map_err(anyhow::Error::from)?;
                let key = key(&topic.name, partition);
                let default = if is_new { end } else { 0 };
                let stored = *position.ends.entry(key.clone()).or_insert(default);
                repeated.insert(key, end - stored);
            }
        }
        Ok(Self {
            broker,
            reader,
            folder,
            position,
            stored_at: None,
            repeated,
        })
    }

    /// Runs until the shutdown is announced.
    ///
    /// # Errors
    /// The server refuses the streams. The shutdown begins then.
    pub(super) async fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        loop {
            let item = tokio::select! {
                item = self.reader.next() => item,
                () = shutdown.announced() => return self.store(),
            };
            match item {
                Ok(Item::Event(json)) => self.append(&json)?,
                Ok(Item::Opened { moved }) => tracing::info!(moved, "reading from the source"),
                Ok(Item::Closed { cause, .. }) => {
                    tracing::warn!(%cause, "no connection to the source");
                }
                Ok(Item::Progress(_)) => {}
                Ok(Item::Ended) => {
                    tracing::info!("the source has ended");
                    shutdown.announced().await;
                    return self.store();
                }
                Err(error) => {
                    shutdown.begin();
                    return Err(error.into());
                }
            }
        }
    }

    fn append(&mut self, json: &str) -> anyhow::Result<()> {
        let Ok(event) = serde_json::from_str::<Value>(json) else {
            tracing::warn!("the source sent an event that is not JSON");
            return Ok(());
        };
        let place = self.place(&event);
        let key = key(&place.topic, place.partition);
        let repeated = self.repeated.get_mut(&key).filter(|left| **left > 0);
        if let Some(left) = repeated {
            *left -= 1;
            *self.position.ends.entry(key).or_default() += 1;
        } else {
            let record = NewRecord {
                timestamp_ms: self.timestamp(&event, &place).0,
                key: event["meta"]["key"]
                    .as_str()
                    .map(|key| Bytes::copy_from_slice(key.as_bytes())),
                value: Some(Bytes::copy_from_slice(json.as_bytes())),
            };
            let appended = self.broker.append(&place.topic, place.partition, &[record]);
            match appended {
                Ok(offset) => drop(self.position.ends.insert(key, offset + 1)),
                Err(error) => tracing::warn!(topic = place.topic, %error, "not appended"),
            }
        }
        self.position.last_event_id = self.reader.last_event_id().map(str::to_owned);
        let is_due = |at: Instant| at.elapsed() >= STORE_INTERVAL;
        if self.stored_at.is_none_or(is_due) {
            self.store()?;
        }
        Ok(())
    }

    /// The topic and partition that the server names. A server whose topics are not known has one
    /// stream for one topic.
    fn place(&self, event: &Value) -> Place {
        let meta = &event["meta"];
        let partition = meta["partition"].as_i64().and_then(|n| n.try_into().ok());
        if let (Some(topic), Some(partition)) = (meta["topic"].as_str(), partition)
            && self.broker.append(topic, partition, &[]).is_ok()
        {
            let topic = topic.to_owned();
            return Place { topic, partition };
        }
        let streams = &self.position.streams;
        let named = streams.iter().find(|name| meta["stream"] == name.as_str());
        Place {
            topic: named.or(streams.first()).cloned().unwrap_or_default(),
            partition: 0,
        }
    }

    /// The record's timestamp, which the id has, or the event's.
    fn timestamp(&self, event: &Value, place: &Place) -> TimestampMs {
        let id = self.reader.last_event_id();
        let id = id.and_then(|id| serde_json::from_str::<Vec<Value>>(id).ok());
        let entry = id.into_iter().flatten().find(|entry| {
            entry["topic"] == place.topic.as_str() && entry["partition"] == place.partition
        });
        let of_record = entry.and_then(|entry| entry["timestamp"].as_i64());
        let of_event = || {
            let time: jiff::Timestamp = event["meta"]["dt"].as_str()?.parse().ok()?;
            Some(time.as_millisecond())
        };
        let time = of_record.or_else(of_event).filter(|time| *time >= 0);
        time.map_or_else(TimestampMs::now, TimestampMs)
    }

    fn store(&mut self) -> anyhow::Result<()> {
        self.stored_at = Some(Instant::now());
        match &self.folder {
            Some(folder) => self.position.store(folder),
            None => Ok(()),
        }
    }
}

/// The name of a partition in a [`Position`].
fn key(topic: &str, partition: i32) -> String {
    format!("{topic}/{partition}")
}
