//! A write group: live streams at the same position of the same feed, which are written together.
//!
//! A group has one subscription. Each batch is read once, compressed once, framed as one chunk, and
//! written to each socket, so that a delivery costs little more than a write. Bodies that hyper
//! writes (HTTP/2) get the same bytes. A stream joins when it is live. First it receives the events
//! between its position and that of the group. It leaves when its client is slow or when it ends,
//! with its position and the bytes that the client did not take. The other streams do not notice.
//!
//! An uncompressed feed has up to one group for each core, so that all cores write. For each
//! content coding of a feed there is one group, with the only compressor. A stream that joins is
//! written to alone, in blocks of its own, until the compressor restarts. The compressor restarts
//! when a stream waits for it, though not at every event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::compression::{Checksum, Compressor, ContentCoding};
use super::counters::DeliveryTotals;
use super::sink::Sink;
use crate::fanout::{Client, FeedKey, Subscription};
use crate::stream::Stream;

/// What the streams of a group share.
pub(super) type GroupKey = (FeedKey, ContentCoding);

/// What a group shares with its streams.
#[derive(Debug, Default)]
pub(super) struct WriteGroup {
    /// The streams to admit.
    pub(super) joining: Mutex<Vec<Joining>>,
    /// Wakes the task: a stream joins, leaves or is gone.
    pub(super) wake: Notify,
    /// A stream wants to leave or is gone.
    pub(super) leaving: AtomicBool,
    /// The number of streams, the joining ones included.
    pub(super) size: AtomicUsize,
    /// What each stream received that was a member from the beginning.
    pub(super) events: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// A stream that is not yet at the position of its group.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) subscription: Subscription,
    /// For the blocks of its own.
    pub(super) compressor: Compressor,
    pub(super) member: Member,
}

/// A stream of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) sink: Sink,
    pub(super) client: Client,
    pub(super) streams: Arc<[Arc<Stream>]>,
    /// The checksum of what it received while it joined.
    pub(super) before: Checksum,
    /// The checksum of the group when it was admitted.
    pub(super) joined: Checksum,
    pub(super) state: Arc<MemberState>,
    released: oneshot::Sender<Box<Detached>>,
}

/// State that a stream shares with its group.
#[derive(Debug, Default)]
pub(super) struct MemberState {
    wants_to_leave: AtomicBool,
    pub(super) deliveries: Mutex<Deliveries>,
}

/// How a stream's deliveries are known without counting each.
#[derive(Debug)]
pub(super) enum Deliveries {
    /// Outside the group: these.
    Own(DeliveryTotals),
    /// Inside the group: those of the group, less these.
    InGroup(DeliveryTotals),
}

impl Default for Deliveries {
    fn default() -> Self {
        Self::Own(DeliveryTotals::default())
    }
}

/// A stream that its group has released.
#[derive(Debug)]
pub(super) struct Detached {
    /// Where the stream goes on.
    pub(super) subscription: Subscription,
    /// The bytes that the client has not taken.
    pub(super) unwritten: Bytes,
    /// The checksum of what the group compressed for it.
    pub(super) checksum: Checksum,
    /// The group admits no stream now.
    pub(super) not_admitted: bool,
}

/// A stream's handle on its group. Dropped, the stream leaves.
pub(super) struct Membership {
    group: Arc<WriteGroup>,
    state: Arc<MemberState>,
    released: oneshot::Receiver<Box<Detached>>,
}

impl WriteGroup {
    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// Lets a live stream join.
    pub(super) fn add(
        self: &Arc<Self>,
        sink: Sink,
        subscription: Subscription,
        streams: Arc<[Arc<Stream>]>,
        coding: ContentCoding,
    ) -> Membership {
        let (sender, released) = oneshot::channel();
        let state = Arc::new(MemberState::default());
        let member = Member {
            sink,
            client: subscription.client(),
            streams,
            before: Checksum::default(),
            joined: Checksum::default(),
            state: Arc::clone(&state),
            released: sender,
        };
        self.size.fetch_add(1, Ordering::Relaxed);
        self.joining.lock().push(Joining {
            subscription,
            compressor: Compressor::new(coding),
            member,
        });
        self.wake.notify_one();
        Membership {
            group: Arc::clone(self),
            state,
            released,
        }
    }

    /// What a member received that was there from the beginning.
    pub(super) fn delivered(&self) -> DeliveryTotals {
        DeliveryTotals {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Membership {
    /// Waits until the group releases the stream. Returns `None` when the client is gone.
    pub(super) async fn released(&mut self) -> Option<Box<Detached>> {
        (&mut self.released).await.ok()
    }

    /// Asks to be released at the end of a frame.
    pub(super) async fn leave(&mut self) -> Option<Box<Detached>> {
        self.state.wants_to_leave.store(true, Ordering::Relaxed);
        self.group.leaving.store(true, Ordering::Release);
        self.group.wake.notify_one();
        self.released().await
    }

    /// What the group delivered to the stream.
    pub(super) fn delivered(&self) -> DeliveryTotals {
        match *self.state.deliveries.lock() {
            Deliveries::Own(delivered) => delivered,
            Deliveries::InGroup(before) => self.group.delivered() - before,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.released.close();
        self.group.leaving.store(true, Ordering::Release);
        self.group.wake.notify_one();
    }
}

impl Member {
    /// The stream has dropped its membership.
    pub(super) fn is_gone(&self) -> bool {
        self.released.is_closed()
    }

    pub(super) fn wants_to_leave(&self) -> bool {
        self.state.wants_to_leave.load(Ordering::Relaxed)
    }

    /// Counts by the group from now on, which has delivered `group` so far.
    pub(super) fn count_in_group(&self, group: DeliveryTotals) {
        let mut deliveries = self.state.deliveries.lock();
        if let Deliveries::Own(own) = *deliveries {
            *deliveries = Deliveries::InGroup(group - own);
        }
    }

    /// Hands the stream back to its task. The group has delivered `group` so far.
    pub(super) fn release(self, group: DeliveryTotals, detached: Detached) {
        let mut deliveries = self.state.deliveries.lock();
        if let Deliveries::InGroup(before) = *deliveries {
            *deliveries = Deliveries::Own(group - before);
        }
        drop(deliveries);
        // The task may be gone.
        let _ = self.released.send(Box::new(detached));
    }
}
