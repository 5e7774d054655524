//! A subscription: one loop for live, resume, `since` and falling behind: "give me what comes after my cursor".

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::catch_up::{CatchUp, Step};
use super::feed::{Feed, FeedRead};
use super::hub::{FeedMembership, Hub};
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
    CatchingUp(Box<CatchUp>),
    /// Waits for a replay place, having said so.
    Queued(Box<CatchUp>, ReplayTicket),
    /// For the length of a move from one state to the next.
    Moving,
}

impl Subscription {
    /// A subscription that goes on at `cursor` (one position per slot of the feed; further slots begin where the feed did).
    /// It must have been made after `member` joined, from positions at most as far as Kafka's logs.
    #[must_use]
    pub(super) fn new(member: FeedMembership, cursor: Vec<Position>) -> Self {
        let wake = member.feed().watch();
        let state = State::CatchingUp(Box::new(CatchUp::new(Arc::clone(member.hub()), member.feed().key().format)));
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

    /// What comes after the cursor; waits until there is something.
    pub async fn next(&mut self) -> Batch {
        loop {
            if let Some(batch) = self.turn().await {
                return batch;
            }
        }
    }

    async fn turn(&mut self) -> Option<Batch> {
        match std::mem::replace(&mut self.state, State::Moving) {
            State::Live(next) => self.turn_live(next).await,
            State::CatchingUp(catch_up) => self.turn_catching_up(catch_up).await,
            State::Queued(mut catch_up, ticket) => {
                catch_up.take_place(ticket.redeem().await);
                self.state = State::CatchingUp(catch_up);
                None
            }
            State::Moving => unreachable!("a turn always leaves a state behind"),
        }
    }

    async fn turn_live(&mut self, next: u64) -> Option<Batch> {
        self.wake.borrow_and_update();
        let mut pieces = Vec::new();
        match self.member.feed().read(next, limits::LIVE_WRITE_BYTES, &mut self.cursor, &mut pieces) {
            FeedRead::Frames { next, timestamp } => {
                self.state = State::Live(next);
                let events = pieces.len();
                Some(Batch::Frames { pieces, events, live: Some(timestamp) })
            }
            FeedRead::Nothing => {
                self.state = State::Live(next);
                self.wait_for_feed().await;
                None
            }
            FeedRead::Behind => {
                self.hub().metrics.fallen_behind.inc();
                self.state = State::CatchingUp(Box::new(CatchUp::new(Arc::clone(self.hub()), self.feed().key().format)));
                None
            }
        }
    }

    async fn turn_catching_up(&mut self, mut catch_up: Box<CatchUp>) -> Option<Batch> {
        self.wake.borrow_and_update();
        let tail = self.feed().tail();
        let step = catch_up.step(&tail, &mut self.cursor).await;
        if let Step::Live(next) = step {
            self.hub().metrics.handoffs.inc();
            self.state = State::Live(next);
            return None;
        }
        if let Step::PlaceNeeded = step {
            let Some(ticket) = self.hub().places.queue() else {
                self.hub().metrics.replays_refused.inc();
                self.state = State::CatchingUp(catch_up);
                return Some(Batch::ReplayRefused);
            };
            let waiting = self.hub().places.waiting();
            self.state = State::Queued(catch_up, ticket);
            return Some(Batch::Waiting(waiting));
        }
        self.state = State::CatchingUp(catch_up);
        match step {
            Step::Frames { bytes, events } => {
                self.hub().metrics.events_caught_up.inc_by(events as u64);
                return Some(Batch::Frames { pieces: vec![bytes], events, live: None });
            }
            Step::Moved(moved) => {
                self.hub().metrics.count_moved(moved.reason);
                return Some(Batch::Moved(moved));
            }
            Step::Wait => self.wait_for_feed().await,
            Step::Unavailable => sleep(limits::REPLAY_RETRY_PAUSE).await,
            Step::Again | Step::Live(_) | Step::PlaceNeeded => {}
        }
        None
    }

    async fn wait_for_feed(&mut self) {
        // The sender lives in the feed, which this subscription holds: it cannot be gone.
        let _ = self.wake.changed().await;
    }

    fn feed(&self) -> &Feed {
        self.member.feed()
    }

    fn hub(&self) -> &Arc<Hub> {
        self.member.hub()
    }
}
