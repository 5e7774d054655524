//! How old the log of a partition is, and how much is written to it.

use std::time::Duration;

use super::hub::Hub;
use super::partition::HubPartition;
use super::subscribe::look_up;
use super::upstream::UpstreamUnavailable;
use crate::cursor::{LogQuestion, Offset, TimestampMs};

/// What Kafka knows of a partition's log at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFacts {
    /// The timestamp of the first record; `None` for a log without records.
    pub oldest: Option<TimestampMs>,
    /// A time in the past.
    pub since: TimestampMs,
    /// The first offset of that time or later.
    pub from: Offset,
}

/// Asks Kafka about the log of a partition, and where it was `past` ago.
///
/// # Errors
/// When Kafka did not respond in time.
pub async fn log_facts(
    hub: &Hub,
    partition: &HubPartition,
    past: Duration,
) -> Result<LogFacts, UpstreamUnavailable> {
    let ask = |question| look_up(hub, None, partition, question);
    let since = TimestampMs::now().saturating_sub(past);
    let low = ask(LogQuestion::default()).await?.low;
    let question = LogQuestion {
        before: Some(low),
        time: Some(since),
    };
    let answer = ask(question).await?;
    Ok(LogFacts {
        oldest: answer.before.or(answer.after),
        since,
        from: answer.by_time.map_or(answer.high, |found| found.offset),
    })
}

impl HubPartition {
    /// How many records of this time or later the memory log holds, and since when it holds all of
    /// them: this time, or the one from which it does.
    #[must_use]
    pub fn records_since(&self, time: TimestampMs) -> (u64, TimestampMs) {
        self.log.read().records_since(time)
    }
}
