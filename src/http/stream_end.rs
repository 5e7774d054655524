//! A stream that was begun, until it ends: its metrics, its line in the log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::audience::Sum;
use super::connection_limit::ConnectionPermit;
use crate::memory::Held;
use crate::metrics::{Metrics, ReasonLabel, StreamLabel};
use crate::stream::{Stream, StreamName};
use crate::traces::{SpanSlot, StreamSummary};

/// Why a stream ends, unless another reason is known.
pub(super) const CLIENT_GONE: &str = "client_gone";

/// Counts a stream while it runs, and says how it ended.
#[derive(Debug)]
pub(super) struct StreamEnd {
    metrics: Arc<Metrics>,
    streams: Arc<[Arc<Stream>]>,
    user_agent: Box<str>,
    /// The client's address, where the log is to name it.
    client: Option<IpAddr>,
    begun: Instant,
    sum: Sum,
    reason: &'static str,
    /// The request's span; empty without traces.
    span: SpanSlot,
    _held: Held,
    _permit: Option<ConnectionPermit>,
}

impl StreamEnd {
    pub(super) fn new(
        (metrics, held): (Arc<Metrics>, Held),
        streams: &[Arc<Stream>],
        user_agent: String,
        (client, permit): (Option<IpAddr>, Option<ConnectionPermit>),
    ) -> Self {
        for stream in streams {
            metrics
                .client_connections
                .get_or_create(&label(&stream.name))
                .inc();
            metrics
                .connected_clients
                .get_or_create(&label(&stream.name))
                .inc();
        }
        let reason = CLIENT_GONE;
        let (streams, user_agent, begun) = (streams.into(), user_agent.into(), Instant::now());
        Self {
            metrics,
            streams,
            user_agent,
            client,
            begun,
            sum: Sum::default(),
            reason,
            span: SpanSlot::default(),
            _held: held,
            _permit: permit,
        }
    }

    /// Where the request's span goes, to end with the stream.
    pub(super) fn span(&self) -> SpanSlot {
        Arc::clone(&self.span)
    }

    /// What was asked for.
    pub(super) fn streams(&self) -> &Arc<[Arc<Stream>]> {
        &self.streams
    }

    /// Its client was handed more.
    pub(super) fn count(&mut self, more: Sum) {
        self.sum += more;
    }

    /// Says why it ends, if not because its client went.
    pub(super) fn because(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for StreamEnd {
    fn drop(&mut self) {
        for stream in &*self.streams {
            self.metrics
                .connected_clients
                .get_or_create(&label(&stream.name))
                .dec();
        }
        self.metrics
            .streams_closed
            .get_or_create(&ReasonLabel {
                reason: self.reason,
            })
            .inc();
        let streams = self
            .streams
            .iter()
            .map(|stream| stream.name.as_str())
            .collect::<Vec<_>>();
        let (reason, Sum { events, bytes }) = (self.reason, self.sum);
        if let Some(span) = self.span.lock().take() {
            span.stream_ended(StreamSummary {
                streams: &streams,
                reason,
                events,
                bytes,
            });
        }
        let streams = streams.join(",");
        tracing::info!(
            streams,
            duration_ms = self.begun.elapsed().as_millis(),
            events,
            bytes,
            reason,
            user_agent = &*self.user_agent,
            client = self.client.map(tracing::field::display),
            "stream ended"
        );
    }
}

fn label(stream: &StreamName) -> StreamLabel {
    StreamLabel {
        stream: stream.to_string(),
    }
}
