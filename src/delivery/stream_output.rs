//! What a stream sends besides its events, and when it ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Delivery;
use super::compression::{Compressor, ContentCoding};
use super::counters::DeliveryCounters;
use super::heartbeat::HeartbeatTimer;
use super::payload::{self, EndReason, Payload};
use super::stream_guard::StreamGuard;
use crate::event::Format;
use crate::fanout::{FeedKey, Moved, Subscription};
use crate::stream::{Stream, Topic};

/// Produces a stream's output. It is the same for a socket of its own and for a body that hyper
/// writes.
pub struct StreamOutput {
    pub(super) delivery: Arc<Delivery>,
    pub(super) format: Format,
    pub(super) guard: StreamGuard,
    pub(super) compressor: Compressor,
    /// Comments before the first event.
    notes: Vec<String>,
    end_reason: BoxFuture<'static, EndReason>,
}

impl StreamOutput {
    /// The output of a stream that follows the topics of `key`. `notes` are sent as comments before
    /// its first event.
    #[must_use]
    pub fn new(
        delivery: &Arc<Delivery>,
        key: &FeedKey,
        coding: ContentCoding,
        notes: Vec<String>,
        guard: StreamGuard,
    ) -> Self {
        let end_reason = Box::pin(end_reason(
            Arc::clone(delivery),
            Arc::clone(guard.streams()),
            Arc::clone(&key.topics),
        ));
        Self {
            delivery: Arc::clone(delivery),
            format: key.format,
            guard,
            compressor: Compressor::new(coding),
            notes,
            end_reason,
        }
    }

    /// What every stream shares.
    #[must_use]
    pub fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// The bytes before the first event.
    pub(super) fn opening(&mut self, moved: &[Moved]) -> Vec<Bytes> {
        let mut pieces = vec![self.compressor.head()];
        let notes = std::mem::take(&mut self.notes);
        let opening = payload::opening(self.format, &notes, moved);
        pieces.extend(self.compressor.compress(vec![opening]));
        pieces
    }

    /// What is written next to this stream alone. Cancel safe: dropped while it waits, it has lost
    /// nothing.
    pub(super) async fn next(
        &mut self,
        subscription: &mut Subscription,
        solo: &mut SoloState,
    ) -> Payload {
        let payload = tokio::select! {
            biased;
            // First: otherwise a stream that always has more events would never end.
            reason = &mut self.end_reason => reason.into_payload(self.format),
            batch = subscription.next() => Payload::of(batch, self.format),
            () = solo.heartbeat_timer.due() => {
                self.delivery.metrics.heartbeats.increment(1);
                Payload::heartbeat(self.format)
            }
        };
        solo.heartbeat_timer.reset();
        self.guard.count(solo.counters.deliver(&payload));
        self.record_reason(payload)
    }

    /// Waits until the stream has to end, and returns its last payload.
    pub(super) async fn final_payload(&mut self) -> Payload {
        let payload = (&mut self.end_reason).await.into_payload(self.format);
        self.record_reason(payload)
    }

    fn record_reason(&mut self, payload: Payload) -> Payload {
        if let Some(reason) = payload.end {
            self.guard.set_reason(reason);
        }
        payload
    }
}

/// What a stream needs while it is written alone.
pub(super) struct SoloState {
    heartbeat_timer: HeartbeatTimer,
    counters: DeliveryCounters,
}

impl SoloState {
    pub(super) fn new(output: &StreamOutput) -> Self {
        let mut counters = DeliveryCounters::new(Arc::clone(&output.delivery.metrics));
        counters.add(output.guard.streams());
        Self {
            heartbeat_timer: HeartbeatTimer::new(output.delivery.heartbeat),
            counters,
        }
    }
}

/// Waits until a stream that follows `topics` has to end. When the server shuts down, the ends are
/// spread over the drain time, so that not all clients reconnect at once.
async fn end_reason(
    delivery: Arc<Delivery>,
    streams: Arc<[Arc<Stream>]>,
    topics: Arc<[Topic]>,
) -> EndReason {
    let mut catalog = delivery.catalog.subscribe();
    loop {
        let current = Arc::clone(&catalog.borrow_and_update());
        let mut gone = Vec::new();
        let mut changed = false;
        let mut allowed = HashSet::new();
        for stream in &*streams {
            match current.resolve(stream.name.as_str()) {
                None => gone.push(stream.name.to_string()),
                Some(current) => {
                    changed |= current.topics != stream.topics;
                    allowed.extend(&current.topics_allowed);
                }
            }
        }
        // An id may have named topics that are only in `topics_allowed`.
        changed |= topics.iter().any(|topic| !allowed.contains(topic));
        if !gone.is_empty() {
            return EndReason::Gone(gone);
        }
        if changed {
            return EndReason::Changed;
        }
        tokio::select! {
            () = delivery.shutdown.begun() => {
                let spread = rand::random_range(Duration::ZERO..=delivery.drain);
                Box::pin(tokio::time::sleep(spread)).await;
                return EndReason::Shutdown;
            }
            // The sender lives in `delivery`.
            _ = catalog.changed() => {}
        }
    }
}
