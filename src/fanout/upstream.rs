//! The requests of the fan-out to Kafka, as plain values over bounded queues. The fan-out does not
//! know Kafka, and the Kafka side does not know subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::{Receiver, Sender, TrySendError};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::fair_queue::Client;
use super::log_entry::LogEntry;
use super::lookup_permits::{LookupLimits, LookupPermits};
use crate::cursor::{LogAnswer, LogQuestion, Offset, Partition};
use crate::limits;
use crate::stream::Topic;

/// A range of one partition's log to read from Kafka.
#[derive(Clone, Debug)]
pub struct ReplayRange {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// The first offset wanted.
    pub from: Offset,
    /// The first offset after the range.
    pub to: Offset,
}

/// The result of reading a [`ReplayRange`], or a part of it.
#[derive(Debug)]
pub struct ReplayRead {
    /// The entries, in offset order, skipped records included.
    pub entries: Vec<LogEntry>,
    /// The offset at which reading continues; `to` or beyond when the range is done. It may be
    /// beyond the last entry, where the log has a hole.
    pub next: Offset,
    /// The start of the log, if it is above `from`: the records between are gone.
    pub log_start: Option<Offset>,
}

/// One request to the replay consumers.
#[derive(Debug)]
pub struct ReplayRequest {
    /// The range to read.
    pub range: ReplayRange,
    /// Reading stops after about this many bytes of values.
    pub bytes_max: usize,
    /// Takes the result; dropped when Kafka could not be read in time.
    pub reply: oneshot::Sender<ReplayRead>,
}

/// One question about a partition's log.
#[derive(Debug)]
pub struct LookupRequest {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// The question.
    pub question: LogQuestion,
    /// Takes the answer; dropped when Kafka did not respond in time.
    pub reply: oneshot::Sender<LogAnswer>,
}

/// The fan-out's end of the queues.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// One queue for each replay consumer.
    replays: Arc<[Sender<ReplayRequest>]>,
    /// Where the search for the consumer of the next subscriber starts.
    next_consumer: Arc<AtomicUsize>,
    /// Ranges that are requested at once: two for each consumer, so that no consumer waits for its
    /// next one.
    reads: Arc<Semaphore>,
    lookups: Sender<LookupRequest>,
    lookup_permits: LookupPermits,
    rediscover: Sender<()>,
    /// When a client last caused a look-up of topics.
    last_client_look_up: Arc<Mutex<Option<Instant>>>,
}

/// Kafka's end of the queues.
#[derive(Clone, Debug)]
pub struct UpstreamRequests {
    /// Ranges to read: one queue for each replay consumer.
    pub replays: Vec<Receiver<ReplayRequest>>,
    /// Questions about logs.
    pub lookups: Receiver<LookupRequest>,
    /// Requests to look for new topics and partitions now.
    pub rediscover: Receiver<()>,
}

/// Kafka did not respond, or too many requests wait already. Before the first byte it is a 503,
/// after it a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka did not respond in time")]
pub struct UpstreamUnavailable;

/// The replay consumer that a subscriber always uses: it stands where the subscriber's last range
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayConsumerNumber(usize);

/// Both ends. At most `queue` requests of a kind wait; there is one queue of ranges for each of
/// `replay_consumers`.
#[must_use]
pub fn upstream(queue: usize, replay_consumers: usize) -> (Upstream, UpstreamRequests) {
    let (replays, replay_requests): (Vec<_>, Vec<_>) = (0..replay_consumers.max(1))
        .map(|_| async_channel::bounded(queue))
        .unzip();
    let (lookups, lookup_requests) = async_channel::bounded(queue);
    let (rediscover, rediscover_requests) = async_channel::bounded(1);
    let lookup_permits = LookupPermits::new(LookupLimits {
        permits: limits::LOOKUP_THREADS,
        permits_per_client: limits::LOOKUPS_PER_CLIENT,
        queue: queue.saturating_mul(limits::LOOKUP_QUEUE_FACTOR),
        queue_per_client: queue,
    });
    let reads = Arc::new(Semaphore::new(2 * replays.len()));
    (
        Upstream {
            replays: replays.into(),
            next_consumer: Arc::default(),
            reads,
            lookups,
            lookup_permits,
            rediscover,
            last_client_look_up: Arc::default(),
        },
        UpstreamRequests {
            replays: replay_requests,
            lookups: lookup_requests,
            rediscover: rediscover_requests,
        },
    )
}

impl UpstreamRequests {
    /// Accepts no more requests: they fail with [`UpstreamUnavailable`], and the threads that serve
    /// them end.
    pub fn close(&self) {
        for replays in &self.replays {
            replays.close();
        }
        self.lookups.close();
        self.rediscover.close();
    }
}

impl Upstream {
    /// A replay consumer with the shortest queue, for a new replay.
    #[must_use]
    pub fn replay_consumer(&self) -> ReplayConsumerNumber {
        let count = self.replays.len();
        let first = self.next_consumer.fetch_add(1, Ordering::Relaxed);
        let numbers = (0..count).map(|number| (first + number) % count);
        ReplayConsumerNumber(
            numbers
                .min_by_key(|number| self.replays[*number].len())
                .unwrap_or(0),
        )
    }

    /// Waits until a range may be requested. Dropping the permit lets the next one go.
    ///
    /// # Errors
    /// None while the server runs.
    pub async fn read_permit(&self) -> Result<OwnedSemaphorePermit, UpstreamUnavailable> {
        Arc::clone(&self.reads)
            .acquire_owned()
            .await
            .map_err(|_| UpstreamUnavailable)
    }

    /// Reads a range, or a part of it.
    ///
    /// # Errors
    /// When Kafka could not be read in time.
    pub async fn replay(
        &self,
        ReplayConsumerNumber(number): ReplayConsumerNumber,
        range: ReplayRange,
        bytes_max: usize,
    ) -> Result<ReplayRead, UpstreamUnavailable> {
        let (reply, answer) = oneshot::channel();
        self.replays[number]
            .send(ReplayRequest {
                range,
                bytes_max,
                reply,
            })
            .await
            .map_err(|_| UpstreamUnavailable)?;
        answer.await.map_err(|_| UpstreamUnavailable)
    }

    /// Reads the record at an offset. Clients are served round-robin.
    ///
    /// # Errors
    /// When too many look-ups of this client, or of all, wait already, or Kafka could not be read
    /// in time.
    pub async fn read_record(
        &self,
        client: Client,
        topic: Topic,
        partition: Partition,
        offset: Offset,
    ) -> Result<ReplayRead, UpstreamUnavailable> {
        let permit = self.lookup_permits.acquire(client).await;
        let _permit = permit.map_err(|_| UpstreamUnavailable)?;
        let _reading = self.read_permit().await?;
        let range = ReplayRange {
            topic,
            partition,
            from: offset,
            to: Offset(offset.0 + 1),
        };
        self.replay(self.replay_consumer(), range, 1).await
    }

    /// Asks a question about a partition's log. Clients are served round-robin.
    ///
    /// # Errors
    /// When too many look-ups of this client, or of all, wait already, or Kafka did not respond in
    /// time.
    pub async fn lookup(
        &self,
        client: Client,
        topic: Topic,
        partition: Partition,
        question: LogQuestion,
    ) -> Result<LogAnswer, UpstreamUnavailable> {
        let _permit = self
            .lookup_permits
            .acquire(client)
            .await
            .map_err(|_| UpstreamUnavailable)?;
        let (reply, answer) = oneshot::channel();
        self.lookups
            .try_send(LookupRequest {
                topic,
                partition,
                question,
                reply,
            })
            .map_err(|_| UpstreamUnavailable)?;
        answer.await.map_err(|_| UpstreamUnavailable)
    }

    /// Like [`Self::rediscover`], because a client requested something unknown. However many do,
    /// they cause one look-up in each [`limits::CLIENT_DISCOVERY_PAUSE`].
    pub fn rediscover_for_client(&self) {
        let mut last = self.last_client_look_up.lock();
        if last.is_none_or(|last| last.elapsed() >= limits::CLIENT_DISCOVERY_PAUSE) {
            *last = Some(Instant::now());
            self.rediscover();
        }
    }

    /// Requests a look-up of new topics and partitions now instead of at the next interval.
    pub fn rediscover(&self) {
        match self.rediscover.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Closed(())) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_for_unknown_topics_cause_one_look_up_a_second() {
        let (upstream, requests) = upstream(1, 1);
        let mut looks = 0;
        // A hundred clients in each of 50 hundredths of a second, five seconds in all.
        for _ in 0..50 {
            (0..100).for_each(|_| upstream.rediscover_for_client());
            looks += usize::from(requests.rediscover.try_recv().is_ok());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(looks, 5);
        upstream.rediscover();
        assert!(
            requests.rediscover.try_recv().is_ok(),
            "a request of the operator does not wait"
        );
    }

    #[tokio::test]
    async fn look_ups_of_one_client_do_not_hold_up_another() {
        let (upstream, requests) = upstream(limits::UPSTREAM_QUEUE_MAX, 1);
        let look_up = |client: u8| {
            let (upstream, topic) = (
                upstream.clone(),
                Topic::from(format!("of-{client}").as_str()),
            );
            let client = Some(std::net::IpAddr::from([192, 0, 2, client]));
            let question = LogQuestion::default();
            tokio::spawn(
                async move { upstream.lookup(client, topic, Partition(0), question).await },
            )
        };
        let _many: Vec<_> = (0..200).map(|_| look_up(1)).collect();
        tokio::task::yield_now().await;
        let _other = look_up(2);
        let mut served = Vec::new();
        while served
            .last()
            .is_none_or(|topic: &Topic| topic.as_str() != "of-2")
        {
            let request = requests.lookups.recv().await.expect("a question");
            served.push(request.topic);
            drop(request.reply);
        }
        assert!(
            served.len() <= 2 * limits::LOOKUP_THREADS,
            "{} came before",
            served.len()
        );
    }
}
