//! What the fan-out asks of Kafka, as plain values over bounded queues: it knows no Kafka, and Kafka's side knows no subscriber.

use async_channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use super::partition_log::LogEntry;
use crate::cursor::{LogAnswer, LogQuestion, Offset, Partition, RunClock};
use crate::stream::Topic;

/// A part of one partition's log that is to be read from Kafka.
#[derive(Clone, Debug)]
pub struct ReplayRange {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// The first offset wanted.
    pub from: Offset,
    /// The first offset not wanted any more.
    pub to: Offset,
    /// The run clock as it stands before `from`; `None` when not known, and the reader finds it out.
    pub clock: Option<RunClock>,
}

/// What was read of a [`ReplayRange`].
#[derive(Debug)]
pub struct ReplayRead {
    /// The entries, in offset order, skipped records included.
    pub entries: Vec<LogEntry>,
    /// Where reading goes on; `to` or beyond when the range is done. Beyond the last entry where the log has a hole.
    pub next: Offset,
    /// The run clock as it stands before `next`.
    pub clock: Option<RunClock>,
    /// The log began only here, above what was asked: the records between are gone.
    pub log_start: Option<Offset>,
}

/// One request to the replay consumers: a range, how many bytes of events at the most, and where the answer goes.
#[derive(Debug)]
pub struct ReplayRequest {
    /// What to read.
    pub range: ReplayRange,
    /// Stop after about so many bytes of values.
    pub bytes_max: usize,
    /// The answer; dropped unanswered when Kafka could not be read in time.
    pub reply: oneshot::Sender<ReplayRead>,
}

/// One question about a partition's log.
#[derive(Debug)]
pub struct LookupRequest {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// What to find out.
    pub question: LogQuestion,
    /// The answer; dropped unanswered when Kafka could not be asked in time.
    pub reply: oneshot::Sender<LogAnswer>,
}

/// The fan-out's end of the queues to Kafka.
#[derive(Clone, Debug)]
pub struct Upstream {
    replays: Sender<ReplayRequest>,
    lookups: Sender<LookupRequest>,
    rediscover: Sender<()>,
}

/// Kafka's end of the same queues.
#[derive(Clone, Debug)]
pub struct UpstreamRequests {
    /// Ranges to read.
    pub replays: Receiver<ReplayRequest>,
    /// Questions about logs.
    pub lookups: Receiver<LookupRequest>,
    /// Wishes to look for new topics and partitions now.
    pub rediscover: Receiver<()>,
}

/// Kafka did not answer, or too many wait for its answer already: 503 before the first byte, a pause after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka could not be asked in time")]
pub struct UpstreamUnavailable;

/// Both ends; `queue` bounds how many requests of a kind may wait.
#[must_use]
pub fn upstream(queue: usize) -> (Upstream, UpstreamRequests) {
    let (replays, replay_requests) = async_channel::bounded(queue);
    let (lookups, lookup_requests) = async_channel::bounded(queue);
    let (rediscover, rediscover_requests) = async_channel::bounded(1);
    (
        Upstream { replays, lookups, rediscover },
        UpstreamRequests { replays: replay_requests, lookups: lookup_requests, rediscover: rediscover_requests },
    )
}

impl UpstreamRequests {
    /// Takes no more requests: whoever asks gets [`UpstreamUnavailable`], and the threads that serve end.
    pub fn close(&self) {
        self.replays.close();
        self.lookups.close();
        self.rediscover.close();
    }
}

impl Upstream {
    /// Reads a part of a range.
    ///
    /// # Errors
    /// When Kafka could not be read in time.
    pub async fn replay(&self, range: ReplayRange, bytes_max: usize) -> Result<ReplayRead, UpstreamUnavailable> {
        let (reply, answer) = oneshot::channel();
        self.replays.send(ReplayRequest { range, bytes_max, reply }).await.map_err(|_| UpstreamUnavailable)?;
        answer.await.map_err(|_| UpstreamUnavailable)
    }

    /// Asks about a partition's log.
    ///
    /// # Errors
    /// When too many questions wait already, or Kafka did not answer in time.
    pub async fn lookup(
        &self,
        topic: Topic,
        partition: Partition,
        question: LogQuestion,
    ) -> Result<LogAnswer, UpstreamUnavailable> {
        let (reply, answer) = oneshot::channel();
        self.lookups.try_send(LookupRequest { topic, partition, question, reply }).map_err(|_| UpstreamUnavailable)?;
        answer.await.map_err(|_| UpstreamUnavailable)
    }

    /// Asks that new topics and partitions be looked for now rather than at the next turn.
    pub fn rediscover(&self) {
        match self.rediscover.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Closed(())) => {}
        }
    }
}
