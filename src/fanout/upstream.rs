//! What the fan-out asks of Kafka, as plain values over bounded queues: it knows no Kafka, and
//! Kafka's side knows no subscriber.

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
}

/// What was read of a [`ReplayRange`].
#[derive(Debug)]
pub struct ReplayRead {
    /// The entries, in offset order, skipped records included.
    pub entries: Vec<LogEntry>,
    /// Where reading goes on; `to` or beyond when the range is done. Beyond the last entry where
    /// the log has a hole.
    pub next: Offset,
    /// The log began only here, above what was asked: the records between are gone.
    pub log_start: Option<Offset>,
}

/// One request to the replay consumers: a range, how many bytes of events at the most, and where
/// the answer goes.
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
    /// One queue for each replay consumer.
    replays: Arc<[Sender<ReplayRequest>]>,
    /// Whose turn it is to get the next subscriber.
    next_consumer: Arc<AtomicUsize>,
    /// Ranges that may be asked for at once: two for each consumer, so that none waits for its next
    /// one.
    reading: Arc<Semaphore>,
    lookups: Sender<LookupRequest>,
    lookup_permits: LookupPermits,
    rediscover: Sender<()>,
    /// When topics were last looked for because a client asked for something unknown.
    looked_for_client: Arc<Mutex<Option<Instant>>>,
}

/// Kafka's end of the same queues.
#[derive(Clone, Debug)]
pub struct UpstreamRequests {
    /// Ranges to read: one queue for each replay consumer.
    pub replays: Vec<Receiver<ReplayRequest>>,
    /// Questions about logs.
    pub lookups: Receiver<LookupRequest>,
    /// Wishes to look for new topics and partitions now.
    pub rediscover: Receiver<()>,
}

/// Kafka did not answer, or too many wait for its answer already: 503 before the first byte, a
/// pause after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka could not be asked in time")]
pub struct UpstreamUnavailable;

/// The replay consumer that a subscriber keeps to: it stands where that subscriber's last range
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayConsumerNumber(usize);

/// Both ends; `queue` bounds how many requests of a kind may wait, `replay_consumers` is how many
/// queues of ranges there are.
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
    let reading = Arc::new(Semaphore::new(2 * replays.len()));
    (
        Upstream {
            replays: replays.into(),
            next_consumer: Arc::default(),
            reading,
            lookups,
            lookup_permits,
            rediscover,
            looked_for_client: Arc::default(),
        },
        UpstreamRequests {
            replays: replay_requests,
            lookups: lookup_requests,
            rediscover: rediscover_requests,
        },
    )
}

impl UpstreamRequests {
    /// Takes no more requests: whoever asks gets [`UpstreamUnavailable`], and the threads that
    /// serve end.
    pub fn close(&self) {
        for replays in &self.replays {
            replays.close();
        }
        self.lookups.close();
        self.rediscover.close();
    }
}

impl Upstream {
    /// A replay consumer with the shortest queue, for a subscriber that begins to be replayed.
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

    /// Waits until a range may be asked for. The turn is given back when the answer is dropped.
    ///
    /// # Errors
    /// None while the server runs.
    pub async fn read_permit(&self) -> Result<OwnedSemaphorePermit, UpstreamUnavailable> {
        Arc::clone(&self.reading)
            .acquire_owned()
            .await
            .map_err(|_| UpstreamUnavailable)
    }

    /// Reads a part of a range.
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

    /// Asks about a partition's log for a client. Clients take turns.
    ///
    /// # Errors
    /// When too many questions of this client, or of all, wait already, or Kafka did not answer in
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

    /// The same because a client has asked for something unknown. However many ask, the cluster's
    /// topics are listed once in
    /// [`limits::CLIENT_DISCOVERY_PAUSE`] for them.
    pub fn rediscover_for_client(&self) {
        let mut looked = self.looked_for_client.lock();
        if looked.is_none_or(|looked| looked.elapsed() >= limits::CLIENT_DISCOVERY_PAUSE) {
            *looked = Some(Instant::now());
            self.rediscover();
        }
    }

    /// Asks that new topics and partitions be looked for now rather than at the next turn.
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
    async fn however_many_clients_ask_for_unknown_topics_the_cluster_is_listed_once_a_second() {
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
            "what the operator asks for does not wait"
        );
    }

    #[tokio::test]
    async fn two_hundred_look_ups_of_one_client_leave_another_its_turn() {
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
