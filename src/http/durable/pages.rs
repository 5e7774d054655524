//! Reads a subscription page by page.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::read_request::{ReadRequest, Start};
use super::token::Token;
use crate::cursor::MovedReason;
use crate::delivery::{DeliveryTotals, count_delivered};
use crate::fanout::{
    Batch, Bound, BoundReached, Moved, Place, SubscribeError, Subscribed, Subscription, subscribe,
};
use crate::http::App;
use crate::problem::{DurableProblem, Problem};
use crate::stream::Stream;

/// A subscription that is read page by page.
pub(super) struct Pages {
    app: Arc<App>,
    streams: Vec<Arc<Stream>>,
    subscription: Subscription,
    start: Start,
    /// A gap after the last page.
    gap: Option<Moved>,
    /// Partitions that are read from another position than the requested one.
    pub(super) moved: Vec<Moved>,
}

/// What is read at once.
pub(super) struct Page {
    /// Events, each a line of JSON.
    pub(super) pieces: Vec<Bytes>,
    /// Where the next page begins.
    pub(super) next: Token,
    /// Whether nothing comes after it yet.
    pub(super) is_up_to_date: bool,
    pub(super) moved: Vec<Moved>,
    pub(super) totals: DeliveryTotals,
}

impl Pages {
    /// Subscribes.
    ///
    /// # Errors
    /// The offset is gone; or see [`SubscribeError`].
    pub(super) async fn open(app: &Arc<App>, request: &ReadRequest) -> Result<Self, Problem> {
        let subscribed = subscribe(&app.hub, request.subscribe.clone()).await;
        let Subscribed {
            subscription,
            moved,
        } = subscribed.map_err(of_offset)?;
        let mut pages = Self {
            app: Arc::clone(app),
            streams: request.streams.clone(),
            subscription,
            start: request.start,
            gap: None,
            moved: Vec::new(),
        };
        for moved in moved {
            pages.note(moved)?;
        }
        Ok(pages)
    }

    /// An empty page, at the place of the subscription.
    pub(super) fn tail(&mut self) -> Page {
        let place = self.subscription.place();
        self.page(Vec::new(), DeliveryTotals::default(), &place)
    }

    /// Sets where the next page ends.
    pub(super) fn set_bound(&mut self, bound: Bound) {
        self.subscription.go_on_to(bound);
    }

    /// Reads until the page ends, or until `deadline`, or until the shutdown. Cancelled, it loses
    /// events.
    ///
    /// # Errors
    /// The offset is gone, or there was no capacity for the read.
    pub(super) async fn next(&mut self, deadline: Instant) -> Result<Page, Problem> {
        let mut pieces = Vec::new();
        let mut totals = DeliveryTotals::default();
        let mut waits_for_replay = false;
        if let Some(moved) = self.gap.take() {
            self.note(moved)?;
        }
        let mut place = self.subscription.place();
        loop {
            let batch = tokio::select! {
                biased;
                () = self.app.shutdown.begun() => None,
                batch = timeout_at(deadline, self.subscription.next()) => batch.ok(),
            };
            match batch {
                Some(Batch::Frames {
                    pieces: more,
                    delivered,
                    ..
                }) => {
                    pieces.extend(more);
                    totals += count_delivered(&self.app.metrics, &self.streams, &delivered);
                    waits_for_replay = false;
                    place = self.subscription.place();
                }
                Some(Batch::End { reached, .. }) => {
                    let mut place = self.subscription.place();
                    place.is_at_tail = reached == BoundReached::Tail;
                    return Ok(self.page(pieces, totals, &place));
                }
                Some(Batch::Moved(moved)) if !pieces.is_empty() => {
                    self.gap = Some(moved);
                    place.is_at_tail = false;
                    return Ok(self.page(pieces, totals, &place));
                }
                Some(Batch::Moved(moved)) => self.note(moved)?,
                Some(Batch::Waiting(_)) => waits_for_replay = true,
                Some(Batch::ReplayRefused) => return Err(SubscribeError::ReplayRefused.into()),
                None if waits_for_replay && pieces.is_empty() => {
                    return Err(SubscribeError::ReplayRefused.into());
                }
                None => {
                    let place = self.subscription.place();
                    return Ok(self.page(pieces, totals, &place));
                }
            }
        }
    }

    /// Notes that a partition is read from another position. A client that would miss events must
    /// know it: its offset is gone.
    fn note(&mut self, moved: Moved) -> Result<(), Problem> {
        match moved.reason {
            // Its offset is the start of the log, wherever that is.
            _ if self.start == Start::Oldest => {}
            MovedReason::BelowLogStart | MovedReason::TopicRecreated => {
                return Err(DurableProblem::OffsetGone(Box::new(moved)).into());
            }
            MovedReason::AboveLogEnd | MovedReason::LogTruncated => self.moved.push(moved),
        }
        Ok(())
    }

    fn page(&mut self, pieces: Vec<Bytes>, totals: DeliveryTotals, place: &Place) -> Page {
        self.start = Start::Token;
        Page {
            pieces,
            next: Token::new(&place.id),
            is_up_to_date: place.is_at_tail,
            moved: std::mem::take(&mut self.moved),
            totals,
        }
    }
}

/// A partition that the topic does not have is a mistake of the offset here.
fn of_offset(error: SubscribeError) -> Problem {
    match error {
        SubscribeError::UnknownPartition { .. } => {
            DurableProblem::InvalidOffset(error.to_string()).into()
        }
        other => other.into(),
    }
}
