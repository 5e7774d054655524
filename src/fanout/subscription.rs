//! A subscription: one loop for live, resume, `since` and falling behind: "give me what comes after
//! my cursor".

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

/// What a subscriber is handed next.
#[derive(Debug)]
pub enum Batch {
    /// Whole frames, each to be written in one piece.
    Frames {
        /// Pieces of whole frames.
        pieces: Vec<Bytes>,
        /// How many events of which topic are in them.
        delivered: Vec<Delivered>,
        /// Kafka's timestamp of the last of them, when they are live.
        live: Option<TimestampMs>,
    },
    /// Events are missing before the next frame, which the client must be told.
    Moved(Moved),
    /// All replay places are taken; it is so many turns until this subscriber gets one. Said again
    /// while it lasts.
    Waiting(usize),
    /// No replay place and no place in the queue: the subscription ends.
    ReplayRefused,
}

/// See the module. It costs a cursor: no thread, no Kafka consumer, no queue.
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
    /// Reads its feed at this sequence number.
    Live(u64),
    /// With a ticket while it waits for a replay place, having said so.
    CatchingUp(Box<CatchUp>, Option<ReplayWaiter>),
}

impl Subscription {
    /// A subscription that goes on at `cursor` (one position per slot of the feed; further slots
    /// begin where the feed did). It must have been made after `member` joined, from positions at
    /// most as far as Kafka's logs.
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

    /// A subscription that goes on live at `next`, with the feed's own positions.
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

    /// Whether it reads its feed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live_at().is_some()
    }

    /// The sequence number of the frame that it reads next in its feed, if it reads its feed. Two
    /// subscriptions of one feed with the same number are at the same place.
    #[must_use]
    pub fn live_at(&self) -> Option<u64> {
        if let State::Live(next) = self.state {
            Some(next)
        } else {
            None
        }
    }

    /// What it shares with others.
    #[must_use]
    pub fn feed_key(&self) -> &FeedKey {
        self.member.feed().key()
    }

    /// Another subscription at the same place, of this client.
    #[must_use]
    pub fn fork(&self, client: Client) -> Self {
        let (member, cursor) = (self.member.clone(), self.cursor.clone());
        match self.live_at() {
            Some(next) => Self::live(member, client, next, cursor),
            None => Self::new(member, client, cursor),
        }
    }

    /// Whose it is, if that is known.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Whether its feed has gone on since the last [`Subscription::next`].
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.wake.has_changed().unwrap_or(false)
    }

    /// What comes after the cursor; waits until there is something. Dropped while it waits, it has
    /// lost nothing.
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
            limits::LIVE_WRITE_BYTES,
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
                // `None`: it is its turn already.
                let position = queued.position();
                *waiter = Some(queued);
                return position.map(Batch::Waiting);
            }
            Step::Unavailable => sleep(limits::REPLAY_RETRY_PAUSE).await,
        }
        None
    }

    async fn wait_for_feed(&mut self) {
        // The sender lives in the feed, which this subscription holds: it cannot be gone.
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
