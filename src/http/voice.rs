//! What a stream says: the opening, what the subscriber must be told, frames, heartbeats, the end.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Sleep;

use super::App;
use super::audience::Audience;
use super::coding::{Coder, Coding};
use super::problem::Problem;
use super::stream_end::StreamEnd;
use crate::cursor::TimestampMs;
use crate::event::{Format, frame};
use crate::fanout::{Batch, Delivered, FeedKey, Moved, SubscribeError, Subscription};
use crate::limits;
use crate::stream::{Stream, Topic};

/// What a stream says besides its events, and when it ends: the same whether it has a socket of its own or a body that hyper writes.
pub(super) struct Voice {
    pub(super) app: Arc<App>,
    pub(super) format: Format,
    pub(super) end: StreamEnd,
    pub(super) coder: Coder,
    /// Comments that come before the first event.
    notes: Vec<String>,
    ending: BoxFuture<'static, Ending>,
}

impl Voice {
    /// Of a stream that follows the topics of `key`.
    pub(super) fn new(
        app: &Arc<App>,
        key: &FeedKey,
        coding: Coding,
        notes: Vec<String>,
        end: StreamEnd,
    ) -> Self {
        let ending = Box::pin(ending(
            Arc::clone(app),
            Arc::clone(end.streams()),
            Arc::clone(&key.topics),
        ));
        Self {
            app: Arc::clone(app),
            format: key.format,
            end,
            coder: Coder::new(coding),
            notes,
            ending,
        }
    }

    /// What comes before everything else.
    pub(super) fn opening(&mut self, moved: &[Moved]) -> Vec<Bytes> {
        let mut pieces = vec![self.coder.head()];
        let notes = std::mem::take(&mut self.notes);
        pieces.extend(self.coder.encode(vec![opening(self.format, &notes, moved)]));
        pieces
    }

    /// What is to be written next to this stream alone. Dropped while it waits, it has lost nothing.
    pub(super) async fn next(&mut self, subscription: &mut Subscription, solo: &mut Solo) -> Said {
        let said = tokio::select! {
            biased;
            // First, or a stream that always has more would never hear of it.
            ending = &mut self.ending => ending.spoken(self.format),
            batch = subscription.next() => Said::of(batch, self.format),
            () = solo.silence.fallen() => {
                self.app.metrics.heartbeats.inc();
                Said { pieces: vec![Bytes::from_static(self.format.heartbeat())], ..Said::default() }
            }
        };
        solo.silence.break_now();
        self.end.count(solo.audience.deliver(&said));
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

/// What a stream needs while it is written alone.
pub(super) struct Solo {
    silence: Silence,
    audience: Audience,
}

impl Solo {
    pub(super) fn new(voice: &Voice) -> Self {
        let mut audience = Audience::new(Arc::clone(&voice.app.metrics));
        audience.add(voice.end.streams());
        Self {
            silence: Silence::new(voice.app.heartbeat()),
            audience,
        }
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
        Self {
            heartbeat,
            since: Instant::now(),
            timer: Box::pin(tokio::time::sleep(heartbeat)),
        }
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
            self.timer
                .as_mut()
                .reset((self.since + self.heartbeat).into());
            if long {
                return;
            }
        }
    }
}

/// What is written for a batch.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) pieces: Vec<Bytes>,
    /// The events in them.
    pub(super) delivered: Vec<Delivered>,
    /// Kafka's timestamp of the last of them, when they are live.
    pub(super) live: Option<TimestampMs>,
    /// The stream ends with it, and why.
    pub(super) last: Option<&'static str>,
}

impl Said {
    pub(super) fn of(batch: Batch, format: Format) -> Self {
        let comment = |comment: Bytes| {
            if format == Format::Sse {
                vec![comment]
            } else {
                Vec::new()
            }
        };
        match batch {
            Batch::Frames {
                pieces,
                delivered,
                live,
                ..
            } => Self {
                pieces,
                delivered,
                live,
                last: None,
            },
            Batch::Moved(moved) => Self {
                pieces: comment(told(&moved)),
                ..Self::default()
            },
            Batch::Waiting(waiting) => {
                let text = format!("waiting for a place to read the past, {waiting} in the queue");
                Self {
                    pieces: comment(frame::comment(&text)),
                    ..Self::default()
                }
            }
            Batch::ReplayRefused => {
                let pieces = error_event(&Problem::from(SubscribeError::ReplayRefused), format);
                Self {
                    pieces,
                    last: Some("replay_refused"),
                    ..Self::default()
                }
            }
        }
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
            Self::Gone(names) => (
                error_event(&Problem::StreamGone(names), format),
                "stream_gone",
            ),
            Self::Shutdown => (farewell(format), "shutdown"),
            Self::Changed => (farewell(format), "stream_changed"),
        };
        Said {
            pieces,
            last: Some(reason),
            ..Said::default()
        }
    }
}

/// What a client is told that is to come back: when, and not in the same instant as all others.
fn farewell(format: Format) -> Vec<Bytes> {
    let pause = rand::random_range(limits::LEAVING_RETRY_MS);
    if format == Format::Sse {
        vec![frame::retry(pause)]
    } else {
        Vec::new()
    }
}

/// Waits until this stream, which follows `topics`, has to end. When the server leaves, the streams end spread over `drain_ms`, so that their clients
/// do not all come back in the same instant.
async fn ending(app: Arc<App>, streams: Arc<[Arc<Stream>]>, topics: Arc<[Topic]>) -> Ending {
    let mut catalog = app.catalog.subscribe();
    loop {
        let now = Arc::clone(&catalog.borrow_and_update());
        let (mut gone, mut changed, mut allowed) = (Vec::new(), false, HashSet::new());
        for stream in &*streams {
            match now.resolve(stream.name.as_str()) {
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
            return Ending::Gone(gone);
        }
        if changed {
            return Ending::Changed;
        }
        tokio::select! {
            () = app.shutdown.begun() => {
                let spread = app.config.limits.drain_ms;
                Box::pin(tokio::time::sleep(Duration::from_millis(rand::random_range(0..=spread)))).await;
                return Ending::Shutdown;
            }
            // The sender lives in `app`.
            _ = catalog.changed() => {}
        }
    }
}

/// The first bytes, sent at once so that proxies and clients open, and what must be said before the first event.
fn opening(format: Format, notes: &[String], moved: &[Moved]) -> Bytes {
    let mut bytes = Vec::from(format.opening());
    if format == Format::Sse {
        for note in notes {
            bytes.extend_from_slice(&frame::comment(note));
        }
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
