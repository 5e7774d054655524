//! The bytes of a stream: the opening, what the subscriber must be told, frames, heartbeats, the end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;

use super::App;
use super::connection_limit::ConnectionPermit;
use super::problem::Problem;
use crate::cursor::TimestampMs;
use crate::event::{Format, frame};
use crate::fanout::{Batch, Delivered, Started, SubscribeError};
use crate::limits;
use crate::metrics::{Metrics, ReasonLabel, StreamLabel};
use crate::stream::{Stream, StreamName};
use crate::traces::{SpanSlot, StreamSummary};

/// The body of a stream request. It ends when the client goes, when the server leaves, or with an `event: error`.
pub(super) fn body(app: &Arc<App>, started: Started, format: Format, mut end: StreamEnd) -> Body {
    let app = Arc::clone(app);
    let Started { mut subscription, moved } = started;
    Body::from_stream(async_stream::stream! {
        yield Ok::<_, std::convert::Infallible>(opening(format, moved.iter().map(ToString::to_string)));
        let ending = ending(&app, end.streams.clone());
        // One timer for the life of the stream: it is looked at when it fires, not set anew for each event.
        let silence = tokio::time::sleep(app.heartbeat());
        let mut last_sent = Instant::now();
        tokio::pin!(ending, silence);
        loop {
            let next = subscription.next();
            tokio::pin!(next);
            // A heartbeat does not disturb what is being waited for: the same future is polled on.
            let batch = loop {
                tokio::select! {
                    biased;
                    // First, or a stream that always has more would never hear of it.
                    last = &mut ending => break Err(last),
                    batch = &mut next => break Ok(batch),
                    () = &mut silence => {
                        if last_sent.elapsed() >= app.heartbeat() {
                            app.metrics.heartbeats.inc();
                            last_sent = Instant::now();
                            yield Ok(Bytes::from_static(format.heartbeat()));
                        }
                        silence.as_mut().reset((last_sent + app.heartbeat()).into());
                    }
                }
            };
            let (pieces, last) = match batch {
                Ok(batch) => spoken(batch, format, &mut end),
                Err(last) => last.spoken(format),
            };
            last_sent = Instant::now();
            for piece in pieces {
                yield Ok(piece);
            }
            if let Some(reason) = last {
                end.because(reason);
                break;
            }
        }
    })
}

/// What is written for a batch, and the reason if the stream ends with it.
fn spoken(batch: Batch, format: Format, end: &mut StreamEnd) -> (Vec<Bytes>, Option<&'static str>) {
    let comment = |text: &str| if format == Format::Sse { vec![frame::comment(text)] } else { Vec::new() };
    match batch {
        Batch::Frames { pieces, delivered, live, .. } => {
            end.count(&delivered, live);
            (pieces, None)
        }
        Batch::Moved(moved) => (comment(&told(&moved.to_string())), None),
        Batch::Waiting(waiting) => (comment(&format!("waiting for a place to read the past, {waiting} in the queue")), None),
        Batch::ReplayRefused => (error_event(&Problem::from(SubscribeError::ReplayRefused), format), Some("replay_refused")),
    }
}

/// Why a stream ends although its client is there.
enum Ending {
    /// The server leaves.
    Shutdown,
    /// Streams of it are public no more.
    Gone(Vec<String>),
    /// Its streams have other topics now: the client is to come back and follow those.
    Changed,
}

impl Ending {
    /// The last words, and the reason.
    fn spoken(self, format: Format) -> (Vec<Bytes>, Option<&'static str>) {
        match self {
            Self::Gone(names) => (error_event(&Problem::StreamGone(names), format), Some("stream_gone")),
            Self::Shutdown => (farewell(format), Some("shutdown")),
            Self::Changed => (farewell(format), Some("stream_changed")),
        }
    }
}

/// What a client is told that is to come back: when, and not in the same instant as all others.
fn farewell(format: Format) -> Vec<Bytes> {
    let pause = rand::random_range(limits::LEAVING_RETRY_MS);
    if format == Format::Sse { vec![frame::retry(pause)] } else { Vec::new() }
}

/// Waits until this stream has to end. When the server leaves, the streams end spread over `drain_ms`, so that their clients
/// do not all come back in the same instant.
async fn ending(app: &App, streams: Vec<Arc<Stream>>) -> Ending {
    let mut catalog = app.catalog.subscribe();
    loop {
        let now = Arc::clone(&catalog.borrow_and_update());
        let (mut gone, mut changed) = (Vec::new(), false);
        for stream in &streams {
            match now.resolve(stream.name.as_str()) {
                None => gone.push(stream.name.to_string()),
                Some(current) => changed |= current.topics != stream.topics,
            }
        }
        if !gone.is_empty() {
            return Ending::Gone(gone);
        }
        if changed {
            return Ending::Changed;
        }
        tokio::select! {
            () = app.shutdown.begun() => {
                let spread = app.config.limits.drain_ms;
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..=spread))).await;
                return Ending::Shutdown;
            }
            // The sender lives in `app`.
            _ = catalog.changed() => {}
        }
    }
}

/// The first bytes, sent at once so that proxies and clients open, and what must be said before the first event.
fn opening(format: Format, moved: impl Iterator<Item = String>) -> Bytes {
    let mut bytes = Vec::from(format.opening());
    if format == Format::Sse {
        for text in moved {
            bytes.extend_from_slice(&frame::comment(&told(&text)));
        }
    }
    bytes.into()
}

fn told(moved: &str) -> String {
    format!("moved: {moved}")
}

/// An error after the first byte (protocol §3).
fn error_event(problem: &Problem, format: Format) -> Vec<Bytes> {
    if format == Format::Ndjson {
        return Vec::new();
    }
    let (status, kind, title) = problem.kind();
    let body = serde_json::json!({"status": status.as_u16(), "type": kind, "title": title, "detail": problem.to_string()});
    vec![frame::error_event(&body.to_string())]
}

/// Counts a stream while it runs, and says how it ended.
#[derive(Debug)]
pub(super) struct StreamEnd {
    metrics: Arc<Metrics>,
    streams: Vec<Arc<Stream>>,
    /// One for each of the streams.
    counters: Vec<StreamCounters>,
    user_agent: String,
    /// The client's address, where the log is to name it.
    client: Option<IpAddr>,
    begun: Instant,
    /// When the time that a delivery takes was last looked at.
    looked: Instant,
    events: u64,
    bytes: u64,
    reason: &'static str,
    /// The request's span; empty without traces.
    span: SpanSlot,
    _permit: Option<ConnectionPermit>,
}

/// What was delivered of one stream, to all its subscribers.
#[derive(Debug)]
struct StreamCounters {
    events: Counter,
    bytes: Counter,
}

impl StreamEnd {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        streams: Vec<Arc<Stream>>,
        user_agent: String,
        (client, permit): (Option<IpAddr>, Option<ConnectionPermit>),
    ) -> Self {
        for stream in &streams {
            metrics.client_connections.get_or_create(&label(&stream.name)).inc();
            metrics.connected_clients.get_or_create(&label(&stream.name)).inc();
        }
        let counters = |stream: &Arc<Stream>| StreamCounters {
            events: metrics.events_delivered.get_or_create(&label(&stream.name)).clone(),
            bytes: metrics.bytes_delivered.get_or_create(&label(&stream.name)).clone(),
        };
        let counters = streams.iter().map(counters).collect();
        // Unless another reason is known, the client went.
        let reason = "client_gone";
        let begun = Instant::now();
        Self {
            metrics,
            streams,
            counters,
            user_agent,
            client,
            begun,
            looked: begun,
            events: 0,
            bytes: 0,
            reason,
            span: SpanSlot::default(),
            _permit: permit,
        }
    }

    /// Where the request's span goes, to end with the stream.
    pub(super) fn span(&self) -> SpanSlot {
        Arc::clone(&self.span)
    }

    /// Ends it for another reason than that the client went.
    fn because(mut self, reason: &'static str) {
        self.reason = reason;
    }

    fn count(&mut self, delivered: &[Delivered], live: Option<TimestampMs>) {
        for Delivered { topic, events, bytes } in delivered {
            self.events += events;
            self.bytes += bytes;
            let is_of = |stream: &Stream| stream.topics.contains(topic) || stream.topics_allowed.contains(topic);
            for (_, counters) in self.streams.iter().zip(&self.counters).filter(|(stream, _)| is_of(stream)) {
                counters.events.inc_by(*events);
                counters.bytes.inc_by(*bytes);
            }
        }
        let Some(timestamp) = live else { return };
        if self.looked.elapsed() < limits::DELIVERY_LOOK {
            return;
        }
        self.looked = Instant::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
        self.metrics.delivery_seconds.observe((now - timestamp.0 as f64 / 1000.0).max(0.0));
    }
}

impl Drop for StreamEnd {
    fn drop(&mut self) {
        for stream in &self.streams {
            self.metrics.connected_clients.get_or_create(&label(&stream.name)).dec();
        }
        self.metrics.streams_closed.get_or_create(&ReasonLabel { reason: self.reason }).inc();
        let streams = self.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>();
        let Self { reason, events, bytes, .. } = *self;
        if let Some(span) = self.span.lock().take() {
            span.stream_ended(StreamSummary { streams: &streams, reason, events, bytes });
        }
        let streams = streams.join(",");
        tracing::info!(
            streams,
            duration_ms = self.begun.elapsed().as_millis(),
            events,
            bytes,
            reason,
            user_agent = self.user_agent,
            client = self.client.map(tracing::field::display),
            "stream ended"
        );
    }
}

fn label(stream: &StreamName) -> StreamLabel {
    StreamLabel { stream: stream.to_string() }
}
