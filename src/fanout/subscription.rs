//! A subscription: one loop that delivers what comes after a cursor. It serves live streams,
//! resumed ones, those with `since` and those that fall behind.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::bound::{Bound, BoundReached};
use super::catch_up::{CatchUp, Step, has_reached, progress_point};
use super::delivered::Delivered;
use super::fair_queue::Client;
use super::feed::{FeedKey, FeedRead, Handout, Tail};
use super::hub::FeedMembership;
use super::moved::Moved;
use super::progress::{Counts, ReadProgress};
use super::projected::project;
use super::replay_permits::{ReplayWaiter, WaitOutcome};
use crate::cursor::{IdForm, Position, TimestampMs};
use crate::event::frame::Format;
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
    /// The stream has reached the end that its client asked for.
    End {
        /// What was reached.
        reached: BoundReached,
        /// The id with which a client goes on behind it.
        id: Bytes,
    },
}

/// Where a subscription is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The id with which a client goes on here, in its compact form.
    pub id: Bytes,
    /// Whether nothing more is to be read now.
    pub is_at_tail: bool,
}

/// A cursor and its state. It needs no thread, no Kafka consumer and no queue.
#[derive(Debug)]
pub struct Subscription {
    member: FeedMembership,
    wake: watch::Receiver<u64>,
    client: Client,
    cursor: Vec<Position>,
    /// Where it is in the totals of its feed, while it is live.
    progress: ReadProgress,
    /// The first frame of a subscriber that does not get all events: a client that is cut before
    /// its first event goes on from there.
    opening: Option<Bytes>,
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
    /// A subscription that continues at `cursor`: one position for each slot of the feed, which are
    /// those of `tail` if it `is_live`. Further slots start where the feed did. The cursor must be
    /// created after `member` joined, from positions that are not beyond the ends of Kafka's logs.
    /// With a `bound` it catches up until it ends.
    #[must_use]
    pub(super) fn new(
        member: FeedMembership,
        client: Client,
        cursor: Vec<Position>,
        tail: &Tail,
        is_live: bool,
        bound: Bound,
    ) -> Self {
        let is_live = is_live && !bound.is_set();
        let opening = sends_progress(member.key()).then(|| {
            progress_point(member.key().ids, &tail.slots, &cursor).frame(Counts::default())
        });
        let state = if is_live {
            State::Live(tail.next)
        } else {
            State::CatchingUp(catch_up(&member, client, Counts::default(), bound), None)
        };
        let mut subscription = Self {
            wake: member.watch_feed(),
            member,
            client,
            cursor,
            progress: ReadProgress::default(),
            opening,
            state,
        };
        if is_live {
            subscription.go_live(tail);
        }
        subscription
    }

    /// Continues live at `tail`, which the cursor has reached.
    fn go_live(&mut self, tail: &Tail) {
        self.progress = ReadProgress {
            since: tail.counts,
            seen: tail.counts,
            is_synced: !sends_progress(self.member.key()) || tail.counts == tail.last_progress,
        };
        if !self.progress.is_synced {
            self.member.request_progress();
        }
        self.wake = self.member.watch();
        self.state = State::Live(tail.next);
    }

    fn fall_behind(&mut self) {
        self.member.hub().metrics.fallen_behind.increment(1);
        self.wake = self.member.watch_feed();
        let pending = self.progress.pending();
        self.state = State::CatchingUp(
            catch_up(&self.member, self.client, pending, Bound::default()),
            None,
        );
    }

    /// Whether it reads the feed, in step with others.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live_at().is_some()
    }

    /// The sequence number of the next frame, if it reads the feed. Two subscriptions of one feed
    /// with the same number have the same position. `None` also while its next progress frame
    /// differs from that of others.
    #[must_use]
    pub fn live_at(&self) -> Option<u64> {
        match self.state {
            State::Live(next) if self.progress.is_synced && self.opening.is_none() => Some(next),
            _ => None,
        }
    }

    /// The key of the feed, which it shares with others.
    #[must_use]
    pub fn feed_key(&self) -> &FeedKey {
        self.member.key()
    }

    /// Another subscription for `client` at the same position.
    #[must_use]
    pub fn fork(&self, client: Client) -> Self {
        let member = self.member.clone();
        let (wake, state) = match &self.state {
            State::Live(next) => (member.watch(), State::Live(*next)),
            State::CatchingUp(own, _) => {
                let catch_up = catch_up(&member, client, own.pending(), own.bound());
                (member.watch_feed(), State::CatchingUp(catch_up, None))
            }
        };
        Self {
            member,
            wake,
            client,
            cursor: self.cursor.clone(),
            progress: self.progress.clone(),
            opening: self.opening.clone(),
            state,
        }
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        let tail = self.member.tail();
        let is_at_tail = match self.state {
            State::Live(next) => next == tail.next,
            State::CatchingUp(..) => has_reached(&tail, &self.cursor),
        };
        Place {
            id: progress_point(IdForm::Compact, &tail.slots, &self.cursor).into_id(),
            is_at_tail,
        }
    }

    /// Lets a subscription with an end, which it has reached, go on to another one.
    pub fn go_on_to(&mut self, bound: Bound) {
        if let State::CatchingUp(catch_up, _) = &mut self.state {
            catch_up.set_bound(bound);
        }
    }

    /// Whether the feed has moved since the last [`Subscription::next`].
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.wake.has_changed().unwrap_or(false)
    }

    /// Returns what comes after the cursor, and waits until there is something. Cancel-safe.
    pub async fn next(&mut self) -> Batch {
        if let Some(opening) = self.opening.take() {
            return Batch::progress(opening);
        }
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
        let fields = self.member.key().fields.as_ref();
        let mut handout = Handout::new(fields.is_some());
        match self
            .member
            .read(next, &mut self.cursor, &mut self.progress, &mut handout)
        {
            FeedRead::Frames { next, timestamp } => {
                self.state = State::Live(next);
                if let Some(fields) = fields {
                    let format = self.member.key().format;
                    project(&mut handout, format, fields, self.member.hub().memory());
                }
                return Some(Batch::Frames {
                    pieces: handout.pieces,
                    delivered: handout.delivered,
                    live: timestamp,
                });
            }
            FeedRead::Nothing => self.wait_for_feed().await,
            FeedRead::Behind => self.fall_behind(),
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
        catch_up.keep_pace().await;
        let mut tail = self.member.tail();
        match catch_up.step(&mut tail, &mut self.cursor).await {
            Step::Frames { bytes, delivered } => {
                return Some(Batch::Frames {
                    pieces: vec![bytes],
                    delivered,
                    live: None,
                });
            }
            Step::Live(progress) => {
                hub.metrics.handoffs.increment(1);
                self.go_live(&tail);
                return progress.map(Batch::progress);
            }
            // Looking at events takes time, and a memory log never lets it wait.
            Step::Again if catch_up.is_filtered() => tokio::task::yield_now().await,
            Step::Again => {}
            Step::Wait => match catch_up.time_left() {
                None => self.wait_for_feed().await,
                // When it is over, the next step sees.
                Some(left) => drop(timeout(left, self.wait_for_feed()).await),
            },
            Step::Moved(moved) => {
                hub.metrics.count_moved(moved.reason);
                return Some(Batch::Moved(moved));
            }
            Step::End { reached, id } => return Some(Batch::End { reached, id }),
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

fn catch_up(
    member: &FeedMembership,
    client: Client,
    pending: Counts,
    bound: Bound,
) -> Box<CatchUp> {
    let hub = Arc::clone(member.hub());
    Box::new(CatchUp::new(hub, member.key(), client, pending, bound))
}

/// Whether the subscribers of a feed get progress frames. NDJSON has no ids.
fn sends_progress(key: &FeedKey) -> bool {
    key.selection.is_some() && key.format == Format::Sse
}

impl Batch {
    fn progress(frame: Bytes) -> Self {
        Self::Frames {
            pieces: vec![frame],
            delivered: Vec::new(),
            live: None,
        }
    }
}
