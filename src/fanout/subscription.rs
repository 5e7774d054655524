//! A subscription: one loop for live, resume, `since` and falling behind: "give me what comes after my cursor".

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::catch_up::{CatchUp, Step};
use super::feed::{Delivered, FeedRead};
use super::hub::FeedMembership;
use super::places::ReplayTicket;
use crate::cursor::{MovedReason, Offset, Partition, Position, TimestampMs};
use crate::limits;
use crate::stream::Topic;

/// A subscriber begins, or goes on, elsewhere than it should have: it must be told (protocol §2, "say so").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// The offset that was asked for.
    pub asked: Offset,
    /// The offset that reading goes on at.
    pub actual: Offset,
    /// Why.
    pub reason: MovedReason,
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, partition, asked, actual, reason } = self;
        write!(f, "topic={topic}; partition={partition}; asked={asked}; actual={actual}; reason={}", reason.as_str())
    }
}

/// What a subscriber is handed next.
#[derive(Debug)]
pub enum Batch {
    /// Whole frames, each to be written in one piece.
    Frames {
        /// Pieces of whole frames.
        pieces: Vec<Bytes>,
        /// How many events are in them.
        events: usize,
        /// The same by topic, for whoever counts.
        delivered: Vec<Delivered>,
        /// Kafka's timestamp of the last of them, when they are live.
        live: Option<TimestampMs>,
    },
    /// Events are missing before the next frame, which the client must be told.
    Moved(Moved),
    /// All replay places are taken; so many wait before and with this subscriber.
    Waiting(usize),
    /// No replay place and no place in the queue: the subscription ends.
    ReplayRefused,
}

/// See the module. It costs a cursor: no thread, no Kafka consumer, no queue.
#[derive(Debug)]
pub struct Subscription {
    member: FeedMembership,
    wake: watch::Receiver<u64>,
    cursor: Vec<Position>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Reads its feed at this sequence number.
    Live(u64),
    /// With a ticket while it waits for a replay place, having said so.
    CatchingUp(Box<CatchUp>, Option<ReplayTicket>),
}

impl Subscription {
    /// A subscription that goes on at `cursor` (one position per slot of the feed; further slots begin where the feed did).
    /// It must have been made after `member` joined, from positions at most as far as Kafka's logs.
    #[must_use]
    pub(super) fn new(member: FeedMembership, cursor: Vec<Position>) -> Self {
        let wake = member.feed().watch();
        let state = catching_up(&member);
        Self { member, wake, cursor, state }
    }

    /// A subscription that goes on live at `next`, with the feed's own positions.
    #[must_use]
    pub(super) fn live(member: FeedMembership, next: u64, cursor: Vec<Position>) -> Self {
        let wake = member.feed().watch();
        Self { member, wake, cursor, state: State::Live(next) }
    }

    /// Whether it reads its feed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// What comes after the cursor; waits until there is something. Dropped while it waits, it has lost nothing.
    pub async fn next(&mut self) -> Batch {
        loop {
            self.wake.borrow_and_update();
            let batch = match self.state {
                State::Live(next) => self.turn_live(next).await,
                State::CatchingUp(..) => self.turn_catching_up().await,
            };
            if let Some(batch) = batch {
                return batch;
            }
        }
    }

    async fn turn_live(&mut self, next: u64) -> Option<Batch> {
        let (mut pieces, mut delivered) = (Vec::new(), Vec::new());
        match self.member.feed().read(next, limits::LIVE_WRITE_BYTES, &mut self.cursor, &mut pieces, &mut delivered) {
            FeedRead::Frames { next, timestamp } => {
                self.state = State::Live(next);
                let events = pieces.len();
                return Some(Batch::Frames { pieces, events, delivered, live: Some(timestamp) });
            }
            FeedRead::Nothing => self.wait_for_feed().await,
            FeedRead::Behind => {
                self.member.hub().metrics.fallen_behind.inc();
                self.state = catching_up(&self.member);
            }
        }
        None
    }

    async fn turn_catching_up(&mut self) -> Option<Batch> {
        let State::CatchingUp(catch_up, ticket) = &mut self.state else { return None };
        if let Some(waiting) = ticket {
            catch_up.take_place(waiting.redeem().await);
            *ticket = None;
        }
        let hub = self.member.hub();
        let tail = self.member.feed().tail();
        match catch_up.step(&tail, &mut self.cursor).await {
            Step::Frames { bytes, delivered } => {
                let events: u64 = delivered.iter().map(|of_topic| of_topic.events).sum();
                hub.metrics.events_caught_up.inc_by(events);
                let events = usize::try_from(events).unwrap_or(usize::MAX);
                return Some(Batch::Frames { pieces: vec![bytes], events, delivered, live: None });
            }
            Step::Live(next) => {
                hub.metrics.handoffs.inc();
                self.state = State::Live(next);
            }
            Step::Again => {}
            Step::Wait => self.wait_for_feed().await,
            Step::Moved(moved) => {
                hub.metrics.count_moved(moved.reason);
                return Some(Batch::Moved(moved));
            }
            Step::PlaceNeeded => {
                *ticket = hub.places.queue();
                if ticket.is_none() {
                    hub.metrics.replays_refused.inc();
                    return Some(Batch::ReplayRefused);
                }
                return Some(Batch::Waiting(hub.places.waiting()));
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

fn catching_up(member: &FeedMembership) -> State {
    State::CatchingUp(Box::new(CatchUp::new(Arc::clone(member.hub()), member.feed().key().format)), None)
}
