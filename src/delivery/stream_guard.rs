//! A stream from its start to its end: its metrics, its span, and its line in the log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::close_reason::CloseReason;
use super::counters::DeliveryTotals;
use super::filter_limit::FilterPermit;
use super::stream_limit::StreamPermit;
use crate::memory::Held;
use crate::stream::{Stream, StreamName};
use crate::telemetry::metrics::{Metrics, ReasonLabel, StreamLabel};
use crate::telemetry::traces::{RequestSpan, StreamSummary};

/// Who a stream is for.
#[derive(Debug)]
pub struct StreamClient {
    /// The `User-Agent` header, as it may stand in the log.
    pub user_agent: String,
    /// The client's address, when the log is to name it.
    pub address: Option<IpAddr>,
    /// The stream's permit.
    pub permit: StreamPermit,
    /// The stream's filter, if it has one.
    pub filter: Option<FilterPermit>,
    /// The span of the client's request, which lasts until the stream ends; `None` without traces.
    pub span: Option<RequestSpan>,
}

/// Counts a stream while it lives. Dropped, it records how the stream ended.
#[derive(Debug)]
pub struct StreamGuard {
    metrics: Arc<Metrics>,
    streams: Arc<[Arc<Stream>]>,
    client: StreamClient,
    started: Instant,
    totals: DeliveryTotals,
    reason: CloseReason,
    _held: Held,
}

impl StreamGuard {
    /// Counts a new stream. `held` is its share of the memory budget.
    #[must_use]
    pub fn new(
        metrics: &Arc<Metrics>,
        streams: &[Arc<Stream>],
        client: StreamClient,
        held: Held,
    ) -> Self {
        for stream in streams {
            let label = label(&stream.name);
            metrics
                .client_connections
                .get_or_create(&label)
                .increment(1);
            metrics.connected_clients.get_or_create(&label).increment(1);
        }
        Self {
            metrics: Arc::clone(metrics),
            streams: streams.into(),
            client,
            started: Instant::now(),
            totals: DeliveryTotals::default(),
            reason: CloseReason::ClientGone,
            _held: held,
        }
    }

    /// The streams that the request named.
    pub(super) fn streams(&self) -> &Arc<[Arc<Stream>]> {
        &self.streams
    }

    /// Adds what was delivered.
    pub fn count(&mut self, delivered: DeliveryTotals) {
        self.totals += delivered;
    }

    /// Sets why the stream ends. Without it, the client went.
    pub(super) fn set_reason(&mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        for stream in &*self.streams {
            let connected = &self.metrics.connected_clients;
            connected.get_or_create(&label(&stream.name)).decrement(1);
        }
        let reason = self.reason.as_str();
        let closed = &self.metrics.streams_closed;
        closed.get_or_create(&ReasonLabel { reason }).increment(1);
        let names: Vec<&str> = self
            .streams
            .iter()
            .map(|stream| stream.name.as_str())
            .collect();
        let DeliveryTotals { events, bytes } = self.totals;
        if let Some(span) = &self.client.span {
            span.record_stream(StreamSummary {
                streams: &names,
                reason,
                events,
                bytes,
            });
        }
        let streams = names.join(",");
        let filter = self.client.filter.as_ref();
        let filter = filter.and_then(FilterPermit::selection);
        tracing::info!(
            streams,
            duration_ms = self.started.elapsed().as_millis(),
            events,
            bytes,
            reason,
            filter = filter.map(tracing::field::display),
            user_agent = self.client.user_agent,
            client = self.client.address.map(tracing::field::display),
            "stream ended"
        );
    }
}

fn label(stream: &StreamName) -> StreamLabel {
    StreamLabel {
        stream: stream.to_string(),
    }
}
