//! A subscription: one loop that delivers what comes after a cursor. It serves live streams,
//! resumed ones, those with `since` and those that fall behind.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::catch_up::{CatchUp, Step};
use super::delivered::Delivered;
use super::fair_queue::Client;
use super::feed::{FeedKey, FeedRead};
use super::hub::FeedMembership;
use super::moved::Moved;
use super::replay_permits::{ReplayWaiter, WaitOutcome};
use crate::cursor::{Position, TimestampMs};
use crate::limits;

/// What a subscriber gets next.
#[derive(Debug)]
pub enum Batch {
    /// Whole frames.
    Frames {
        /// The frames. No frame spans two pieces.
        pieces: Vec<Bytes>,
        /// The events in them, by topic.
        delivered: Vec<Delivered>,
        /// Kafka's timestamp of the last event, if the frames are live.
        live: Option<TimestampMs>,
    },
    /// Events are missing before the next frame. The client must be notified.
    Moved(Moved),
    /// All permits for replays are in use. The subscriber has this position in the queue, and gets
    /// it again from time to time.
    Waiting(usize),
    /// There is no permit for a replay and no room in the queue: the subscription ends.
    ReplayRefused,
}

/// A cursor and its state. It needs no thread, no Kafka consumer and no queue.
#[derive(Debug)]
pub struct Subscription {
    member: FeedMembership,
    wake: watch::Receiver<u64>,
    client: Client,
    cursor: Vec<Position>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Reads the feed at this sequence number.
    Live(u64),
    /// Catches up. While it waits for a permit, it has a waiter.
    CatchingUp(Box<CatchUp>, Option<ReplayWaiter>),
}

impl Subscription {
    /// A subscription that continues at `cursor`: one position for each slot of the feed. Further
    /// slots start where the feed did. The cursor must be created after `member` joined, from
    /// positions that are not beyond the ends of Kafka's logs.
    #[must_use]
    pub(super) fn new(member: FeedMembership, client: Client, cursor: Vec<Position>) -> Self {
        let wake = member.feed().watch();
        let state = catching_up(&member, client);
        Self {
            member,
            wake,
            client,
            cursor,
            state,
        }
    }

    /// A subscription that continues live at `next`, with the feed's own positions.
    #[must_use]
    pub(super) fn live(
        member: FeedMembership,
        client: Client,
        next: u64,
        cursor: Vec<Position>,
    ) -> Self {
        let wake = member.feed().watch();
        Self {
            member,
            wake,
            client,
            cursor,
            state: State::Live(next),
        }
    }

    /// Whether it reads the feed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live_at().is_some()
    }

    /// The sequence number of the next frame, if it reads the feed. Two subscriptions of one feed
    /// with the same number have the same position.
    #[must_use]
    pub fn live_at(&self) -> Option<u64> {
        if let State::Live(next) = self.state {
            Some(next)
        } else {
            None
        }
    }

    /// The key of the feed, which it shares with others.
    #[must_use]
    pub fn feed_key(&self) -> &FeedKey {
        self.member.feed().key()
    }

    /// Another subscription for `client` at the same position.
    #[must_use]
    pub fn fork(&self, client: Client) -> Self {
        let (member, cursor) = (self.member.clone(), self.cursor.clone());
        match self.live_at() {
            Some(next) => Self::live(member, client, next, cursor),
            None => Self::new(member, client, cursor),
        }
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Whether the feed has moved since the last [`Subscription::next`].
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.wake.has_changed().unwrap_or(false)
    }

    /// Returns what comes after the cursor, and waits until there is something. Cancel-safe.
    pub async fn next(&mut self) -> Batch {
        loop {
            self.wake.borrow_and_update();
            let batch = match self.state {
                State::Live(next) => self.next_live(next).await,
                State::CatchingUp(..) => self.next_catching_up().await,
            };
            if let Some(batch) = batch {
                return batch;
            }
        }
    }

    async fn next_live(&mut self, next: u64) -> Option<Batch> {
        let (mut pieces, mut delivered) = (Vec::new(), Vec::new());
        match self.member.feed().read(
            next,
            self.member.hub().step_limits().live_bytes_max,
            &mut self.cursor,
            &mut pieces,
            &mut delivered,
        ) {
            FeedRead::Frames { next, timestamp } => {
                self.state = State::Live(next);
                return Some(Batch::Frames {
                    pieces,
                    delivered,
                    live: timestamp,
                });
            }
            FeedRead::Nothing => self.wait_for_feed().await,
            FeedRead::Behind => {
                self.member.hub().metrics.fallen_behind.increment(1);
                self.state = catching_up(&self.member, self.client);
            }
        }
        None
    }

    async fn next_catching_up(&mut self) -> Option<Batch> {
        let State::CatchingUp(catch_up, waiter) = &mut self.state else {
            return None;
        };
        let hub = self.member.hub();
        if let Some(waiting) = waiter {
            match waiting.wait().await {
                WaitOutcome::Granted(permit) => catch_up.set_permit(permit),
                WaitOutcome::Expired => {}
                WaitOutcome::StillWaiting(position) => return Some(Batch::Waiting(position)),
                WaitOutcome::Evicted => {
                    hub.metrics.replays_refused.increment(1);
                    return Some(Batch::ReplayRefused);
                }
            }
            *waiter = None;
        }
        let tail = self.member.feed().tail();
        match catch_up.step(&tail, &mut self.cursor).await {
            Step::Frames { bytes, delivered } => {
                return Some(Batch::Frames {
                    pieces: vec![bytes],
                    delivered,
                    live: None,
                });
            }
            Step::Live(next) => {
                hub.metrics.handoffs.increment(1);
                self.state = State::Live(next);
            }
            Step::Again => {}
            Step::Wait => self.wait_for_feed().await,
            Step::Moved(moved) => {
                hub.metrics.count_moved(moved.reason);
                return Some(Batch::Moved(moved));
            }
            Step::PermitNeeded => {
                let Some(queued) = hub.replay_permits.enqueue(self.client) else {
                    hub.metrics.replays_refused.increment(1);
                    return Some(Batch::ReplayRefused);
                };
                // `None`: the permit is granted already.
                let position = queued.position();
                *waiter = Some(queued);
                return position.map(Batch::Waiting);
            }
            Step::Unavailable => sleep(limits::REPLAY_RETRY_PAUSE).await,
        }
        None
    }

    async fn wait_for_feed(&mut self) {
        // It cannot fail: the subscription keeps the feed, and thereby the sender, alive.
        let _ = self.wake.changed().await;
    }
}

fn catching_up(member: &FeedMembership, client: Client) -> State {
    State::CatchingUp(
        Box::new(CatchUp::new(
            Arc::clone(member.hub()),
            member.feed().key().format,
            client,
        )),
        None,
    )
}
