//! A convoy: streams that are live at the same place of the same feed, and where they are written to.
//!
//! It has one subscription. What comes is read once, coded once, put into one chunk, and written to each socket, so that a delivery costs a
//! write and hardly anything else; bodies that hyper writes (HTTP/2) are handed the same bytes. A stream joins when it is live, and what lies between its place and the convoy's is written to it
//! first. It leaves, with its place and what was not taken of it, when its client is slow, or when it ends; the others
//! do not notice.
//!
//! A feed has a few convoys at the most, one for each core, so that all cores write. Of each coding of a feed there is one, with the only
//! compressor: who joins is written to alone, in blocks of its own, until the compressor begins anew; that it does when somebody waits
//! for it, though not at every event.
//!
//! * `journey`: the task that writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use self::journey::Journey;
use super::audience::Sum;
use super::coding::{Checksum, Coder, Coding};
use super::sink::Sink;
use super::voice::Voice;
use crate::fanout::{Client, FeedKey, Subscription};
use crate::limits;
use crate::stream::Stream;

mod journey;

/// What the streams of a convoy share.
type ConvoyKey = (FeedKey, Coding);

/// The convoys of all feeds.
#[derive(Debug, Default)]
pub struct Convoys {
    by_key: Mutex<HashMap<ConvoyKey, Vec<Arc<Convoy>>>>,
}

/// What a convoy shares with its streams.
#[derive(Debug, Default)]
struct Convoy {
    /// Who is to be taken in.
    door: Mutex<Vec<Newcomer>>,
    knock: Notify,
    /// Somebody wants to leave, or is gone.
    leaving: AtomicBool,
    /// How many streams there are, those at the door too.
    size: AtomicUsize,
    /// What each stream was handed that was there from the beginning.
    events: AtomicU64,
    bytes: AtomicU64,
}

/// A stream before it is where the convoy is.
#[derive(Debug)]
struct Newcomer {
    subscription: Subscription,
    /// Of what is written to it alone.
    coder: Coder,
    member: Member,
}

/// A stream of a convoy.
#[derive(Debug)]
struct Member {
    sink: Sink,
    client: Client,
    streams: Arc<[Arc<Stream>]>,
    /// Checksum of what was written to it while it came aboard.
    before: Checksum,
    /// The convoy's when it was aboard.
    joined: Checksum,
    state: Arc<SeatState>,
    left: oneshot::Sender<Box<Left>>,
}

/// What a stream and its convoy tell each other.
#[derive(Debug, Default)]
struct SeatState {
    wants_out: AtomicBool,
    tally: Mutex<Tally>,
}

/// How a stream's deliveries are found without counting each.
#[derive(Debug)]
enum Tally {
    /// Not in the convoy: so many.
    Apart(Sum),
    /// In the convoy: what the convoy has delivered, less this.
    Aboard(Sum),
}

impl Default for Tally {
    fn default() -> Self {
        Self::Apart(Sum::default())
    }
}

/// A stream leaves its convoy.
#[derive(Debug)]
pub(super) struct Left {
    /// Where it goes on.
    pub(super) subscription: Subscription,
    /// What was not taken of it.
    pub(super) unwritten: Bytes,
    /// Checksum of what the convoy has coded for it.
    pub(super) sum: Checksum,
    /// The convoy takes nobody in now.
    pub(super) turned_away: bool,
}

/// A stream's hold on its convoy.
pub(super) struct Seat {
    convoy: Arc<Convoy>,
    state: Arc<SeatState>,
    left: oneshot::Receiver<Box<Left>>,
}

impl Convoys {
    /// Brings a live stream into the smallest convoy of its feed, or a new one.
    pub(super) fn join(&self, voice: &Voice, sink: Sink, subscription: Subscription) -> Seat {
        let (sender, left) = oneshot::channel();
        let state = Arc::new(SeatState::default());
        let member = Member {
            sink,
            client: subscription.client(),
            streams: Arc::clone(voice.end.streams()),
            before: Checksum::default(),
            joined: Checksum::default(),
            state: Arc::clone(&state),
            left: sender,
        };
        let key = (subscription.feed_key().clone(), voice.coder.coding());
        let mut by_key = self.by_key.lock();
        let convoys = by_key.entry(key).or_default();
        // One compressor is enough for all that are coded.
        let max = if voice.coder.coding() == Coding::Identity {
            limits::convoys_of_a_feed_max()
        } else {
            1
        };
        let smallest = convoys
            .iter()
            .min_by_key(|convoy| convoy.size())
            .filter(|convoy| convoy.size() < limits::CONVOY_SPLIT_STREAMS || convoys.len() >= max);
        let convoy = smallest.cloned().unwrap_or_else(|| {
            let convoy = Arc::new(Convoy::default());
            convoys.push(Arc::clone(&convoy));
            tokio::spawn(Journey::new(voice, &convoy, subscription.fork(None)).run());
            convoy
        });
        convoy.size.fetch_add(1, Ordering::Relaxed);
        let coder = Coder::new(voice.coder.coding());
        convoy.door.lock().push(Newcomer {
            subscription,
            coder,
            member,
        });
        drop(by_key);
        convoy.knock.notify_one();
        Seat {
            convoy,
            state,
            left,
        }
    }

    /// Ends a convoy without streams; whether nobody was at its door.
    fn close(&self, key: &ConvoyKey, convoy: &Arc<Convoy>) -> bool {
        let mut by_key = self.by_key.lock();
        if !convoy.door.lock().is_empty() {
            return false;
        }
        if let Some(convoys) = by_key.get_mut(key) {
            convoys.retain(|other| !Arc::ptr_eq(other, convoy));
            if convoys.is_empty() {
                by_key.remove(key);
            }
        }
        true
    }
}

impl Convoy {
    fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    fn delivered(&self) -> Sum {
        Sum {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Seat {
    /// Waits until the convoy leaves the stream; `None` when nobody takes what is written.
    pub(super) async fn left(&mut self) -> Option<Box<Left>> {
        (&mut self.left).await.ok()
    }

    /// Asks to be left at the end of a frame.
    pub(super) async fn leave(&mut self) -> Option<Box<Left>> {
        self.state.wants_out.store(true, Ordering::Relaxed);
        self.convoy.leaving.store(true, Ordering::Release);
        self.convoy.knock.notify_one();
        self.left().await
    }

    /// What the stream was handed here.
    pub(super) fn delivered(&self) -> Sum {
        match *self.state.tally.lock() {
            Tally::Apart(delivered) => delivered,
            Tally::Aboard(before) => self.convoy.delivered() - before,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.left.close();
        self.convoy.leaving.store(true, Ordering::Release);
        self.convoy.knock.notify_one();
    }
}

impl SeatState {
    fn wants_out(&self) -> bool {
        self.wants_out.load(Ordering::Relaxed)
    }
}

impl Member {
    /// Comes aboard a convoy that has delivered so much.
    fn come_aboard(&self, convoy: Sum) {
        let mut tally = self.state.tally.lock();
        if let Tally::Apart(own) = *tally {
            *tally = Tally::Aboard(convoy - own);
        }
    }

    fn leave(self, convoy: Sum, left: Left) {
        let mut tally = self.state.tally.lock();
        if let Tally::Aboard(before) = *tally {
            *tally = Tally::Apart(convoy - before);
        }
        drop(tally);
        // It may be gone already.
        let _ = self.left.send(Box::new(left));
    }
}
