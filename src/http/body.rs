//! The bytes of a stream: the opening, what the subscriber must be told, frames, heartbeats, the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Sleep;

use super::App;
use super::connection_limit::ConnectionPermit;
use super::problem::Problem;
use crate::cursor::TimestampMs;
use crate::event::{Format, frame};
use crate::fanout::{Batch, Moved, Started, SubscribeError, Subscription};
use crate::limits;
use crate::metrics::{Metrics, ReasonLabel, StreamLabel};
use crate::stream::{Stream, StreamName};

/// What a stream says besides its events, and when it ends: the same whether hyper writes its body or [`super::socket`] does.
pub(super) struct Voice {
    pub(super) app: Arc<App>,
    pub(super) format: Format,
    pub(super) end: StreamEnd,
    ending: BoxFuture<'static, Ending>,
}

impl Voice {
    pub(super) fn new(app: &Arc<App>, format: Format, end: StreamEnd) -> Self {
        let ending = Box::pin(ending(Arc::clone(app), end.streams.clone()));
        Self { app: Arc::clone(app), format, end, ending }
    }

    /// What is to be written next. Dropped while it waits, it has lost nothing.
    pub(super) async fn next(&mut self, subscription: &mut Subscription, silence: &mut Silence) -> Said {
        let said = tokio::select! {
            biased;
            // First, or a stream that always has more would never hear of it.
            ending = &mut self.ending => ending.spoken(self.format),
            batch = subscription.next() => Said::of(batch, self.format),
            () = silence.fallen() => {
                self.app.metrics.heartbeats.inc();
                Said { pieces: vec![Bytes::from_static(self.format.heartbeat())], ..Said::default() }
            }
        };
        silence.break_now();
        if said.events > 0 {
            self.end.count(said.delivered());
            self.end.look.at(said.live);
        }
        self.because_of(said)
    }

    /// Waits until the stream has to end, and gives its last words.
    pub(super) async fn last_words(&mut self) -> Said {
        let said = (&mut self.ending).await.spoken(self.format);
        self.because_of(said)
    }

    fn because_of(&mut self, said: Said) -> Said {
        if let Some(reason) = said.last {
            self.end.because(reason);
        }
        said
    }
}

/// When nothing was said for a whole `heartbeat`. One timer for the life of a stream: it is looked at when it fires, not set
/// anew for each event.
pub(super) struct Silence {
    heartbeat: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(super) fn new(heartbeat: Duration) -> Self {
        Self { heartbeat, since: Instant::now(), timer: Box::pin(tokio::time::sleep(heartbeat)) }
    }

    /// Something is said.
    pub(super) fn break_now(&mut self) {
        self.since = Instant::now();
    }

    /// Waits until it has lasted long enough to be broken.
    pub(super) async fn fallen(&mut self) {
        loop {
            self.timer.as_mut().await;
            let long = self.since.elapsed() >= self.heartbeat;
            if long {
                self.since = Instant::now();
            }
            self.timer.as_mut().reset((self.since + self.heartbeat).into());
            if long {
                return;
            }
        }
    }
}

/// The stream as the body of a response, for hyper to write.
pub(super) fn body(started: Started, voice: Voice) -> Body {
    let opening = opening(voice.format, &started.moved);
    let first = futures_util::stream::iter([Ok::<_, Infallible>(opening)]);
    let silence = Silence::new(voice.app.heartbeat());
    let rest = futures_util::stream::unfold(Some((started.subscription, silence, voice)), |running| async {
        let (mut subscription, mut silence, mut voice) = running?;
        let said = voice.next(&mut subscription, &mut silence).await;
        let running = if said.last.is_none() { Some((subscription, silence, voice)) } else { None };
        Some((futures_util::stream::iter(said.pieces.into_iter().map(Ok)), running))
    });
    Body::from_stream(first.chain(rest.flatten()))
}

/// What is written for a batch.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) pieces: Vec<Bytes>,
    /// How many events are in them.
    pub(super) events: usize,
    /// Kafka's timestamp of the last of them, when they are live.
    pub(super) live: Option<TimestampMs>,
    /// The stream ends with it, and why.
    pub(super) last: Option<&'static str>,
}

impl Said {
    pub(super) fn of(batch: Batch, format: Format) -> Self {
        let comment = |comment: Bytes| if format == Format::Sse { vec![comment] } else { Vec::new() };
        match batch {
            Batch::Frames { pieces, events, live } => Self { pieces, events, live, last: None },
            Batch::Moved(moved) => Self { pieces: comment(told(&moved)), ..Self::default() },
            Batch::Waiting(waiting) => {
                let text = format!("waiting for a place to read the past, {waiting} in the queue");
                Self { pieces: comment(frame::comment(&text)), ..Self::default() }
            }
            Batch::ReplayRefused => {
                let pieces = error_event(&Problem::from(SubscribeError::ReplayRefused), format);
                Self { pieces, last: Some("replay_refused"), ..Self::default() }
            }
        }
    }

    /// The events in it.
    pub(super) fn delivered(&self) -> Delivered {
        if self.events == 0 {
            return Delivered::default();
        }
        Delivered { events: self.events as u64, bytes: self.pieces.iter().map(Bytes::len).sum::<usize>() as u64 }
    }
}

/// Events and their bytes that were delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivered {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl std::ops::AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// Wraps: what a stream was handed before it joined others may be more than what they were.
impl std::ops::Sub for Delivered {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { events: self.events.wrapping_sub(other.events), bytes: self.bytes.wrapping_sub(other.bytes) }
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
    fn spoken(self, format: Format) -> Said {
        let (pieces, reason) = match self {
            Self::Gone(names) => (error_event(&Problem::StreamGone(names), format), "stream_gone"),
            Self::Shutdown => (farewell(format), "shutdown"),
            Self::Changed => (farewell(format), "stream_changed"),
        };
        Said { pieces, last: Some(reason), ..Said::default() }
    }
}

/// What a client is told that is to come back: when, and not in the same instant as all others.
fn farewell(format: Format) -> Vec<Bytes> {
    let pause = rand::random_range(limits::LEAVING_RETRY_MS);
    if format == Format::Sse { vec![frame::retry(pause)] } else { Vec::new() }
}

/// Waits until this stream has to end. When the server leaves, the streams end spread over `drain_ms`, so that their clients
/// do not all come back in the same instant.
async fn ending(app: Arc<App>, streams: Vec<Arc<Stream>>) -> Ending {
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
pub(super) fn opening(format: Format, moved: &[Moved]) -> Bytes {
    let mut bytes = Vec::from(format.opening());
    if format == Format::Sse {
        for moved in moved {
            bytes.extend_from_slice(&told(moved));
        }
    }
    bytes.into()
}

fn told(moved: &Moved) -> Bytes {
    frame::comment(&format!("moved: {moved}"))
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
    user_agent: String,
    begun: Instant,
    look: DeliveryLook,
    delivered: Delivered,
    reason: &'static str,
    _permit: Option<ConnectionPermit>,
}

impl StreamEnd {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        streams: Vec<Arc<Stream>>,
        user_agent: String,
        permit: Option<ConnectionPermit>,
    ) -> Self {
        for stream in &streams {
            metrics.client_connections.get_or_create(&label(&stream.name)).inc();
            metrics.connected_clients.get_or_create(&label(&stream.name)).inc();
        }
        // Unless another reason is known, the client went.
        let reason = "client_gone";
        let begun = Instant::now();
        let look = DeliveryLook::new(Arc::clone(&metrics));
        Self { metrics, streams, user_agent, begun, look, delivered: Delivered::default(), reason, _permit: permit }
    }

    /// Its socket was handed more.
    pub(super) fn count(&mut self, delivered: Delivered) {
        self.delivered += delivered;
    }

    /// Says why it ends, if not because its client went.
    pub(super) fn because(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

/// Looks now and then at the time that a delivery takes.
#[derive(Debug)]
pub(super) struct DeliveryLook {
    metrics: Arc<Metrics>,
    last: Instant,
}

impl DeliveryLook {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, last: Instant::now() }
    }

    /// An event with this timestamp of Kafka's is delivered now.
    pub(super) fn at(&mut self, live: Option<TimestampMs>) {
        let Some(timestamp) = live.filter(|_| self.last.elapsed() >= limits::DELIVERY_LOOK) else { return };
        self.last = Instant::now();
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
        let streams = self.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(",");
        tracing::info!(
            streams,
            duration_ms = self.begun.elapsed().as_millis(),
            events = self.delivered.events,
            bytes = self.delivered.bytes,
            reason = self.reason,
            user_agent = self.user_agent,
            "stream ended"
        );
    }
}

fn label(stream: &StreamName) -> StreamLabel {
    StreamLabel { stream: stream.to_string() }
}
