//! The bytes for one batch of a subscription, and what they contain.

use bytes::Bytes;

use super::close_reason::CloseReason;
use crate::cursor::TimestampMs;
use crate::event::{Format, frame};
use crate::fanout::{Batch, BoundReached, Delivered, Moved, SubscribeError};
use crate::limits;
use crate::problem::Problem;

/// What is written next, uncompressed and without chunk framing.
#[derive(Debug, Default)]
pub(super) struct Payload {
    pub(super) pieces: Vec<Bytes>,
    /// The events in the pieces.
    pub(super) delivered: Vec<Delivered>,
    /// Kafka's timestamp of the last event, when the events are live.
    pub(super) live: Option<TimestampMs>,
    /// Set when the stream ends with this payload.
    pub(super) end: Option<CloseReason>,
}

impl Payload {
    /// The payload for a batch. NDJSON has no comments, so notices are empty there.
    pub(super) fn of(batch: Batch, format: Format) -> Self {
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
                end: None,
            },
            Batch::Moved(moved) => Self::comment(&moved_comment(&moved), format),
            Batch::Waiting(waiting) => Self::comment(
                &format!("waiting to replay history, {waiting} in the queue"),
                format,
            ),
            Batch::ReplayRefused => Self {
                pieces: error_event(&Problem::from(SubscribeError::ReplayRefused), format),
                end: Some(CloseReason::ReplayRefused),
                ..Self::default()
            },
            Batch::End { reached, id } => Self::at_end(reached, &id, format),
        }
    }

    /// A heartbeat.
    pub(super) fn heartbeat(format: Format) -> Self {
        Self {
            pieces: vec![Bytes::from_static(format.heartbeat())],
            ..Self::default()
        }
    }

    /// NDJSON ends without a word.
    fn at_end(reached: BoundReached, id: &[u8], format: Format) -> Self {
        let is_sse = format == Format::Sse;
        let frame = is_sse.then(|| frame::end(id, reached.as_str()));
        Self {
            pieces: frame.into_iter().collect(),
            end: Some(CloseReason::Bound(reached)),
            ..Self::default()
        }
    }

    fn comment(text: &str, format: Format) -> Self {
        let is_sse = format == Format::Sse;
        Self {
            pieces: is_sse.then(|| frame::comment(text)).into_iter().collect(),
            ..Self::default()
        }
    }
}

/// Why the server ends a stream whose client is still connected.
pub(super) enum EndReason {
    /// The server shuts down.
    Shutdown,
    /// These streams are no longer public.
    Gone(Vec<String>),
    /// The streams have other topics now. The client reconnects and follows those.
    Changed,
}

impl EndReason {
    /// The last payload of the stream.
    pub(super) fn into_payload(self, format: Format) -> Payload {
        let (pieces, reason) = match self {
            Self::Gone(names) => (
                error_event(&Problem::StreamGone(names), format),
                CloseReason::StreamGone,
            ),
            Self::Shutdown => (retry_frame(format), CloseReason::Shutdown),
            Self::Changed => (retry_frame(format), CloseReason::StreamChanged),
        };
        Payload {
            pieces,
            end: Some(reason),
            ..Payload::default()
        }
    }
}

/// The first bytes: they are sent at once so that proxies and clients open the stream. Notes and
/// notices follow.
pub(super) fn opening(format: Format, notes: &[String], moved: &[Moved]) -> Bytes {
    let mut bytes = Vec::from(format.opening());
    if format == Format::Sse {
        for note in notes {
            bytes.extend_from_slice(&frame::comment(note));
        }
        for moved in moved {
            bytes.extend_from_slice(&frame::comment(&moved_comment(moved)));
        }
    }
    bytes.into()
}

fn moved_comment(moved: &Moved) -> String {
    format!("moved: {moved}")
}

/// Asks a client to reconnect after a random pause, so that not all clients reconnect at once.
fn retry_frame(format: Format) -> Vec<Bytes> {
    let pause = rand::random_range(limits::SHUTDOWN_RETRY_MS);
    let is_sse = format == Format::Sse;
    is_sse.then(|| frame::retry(pause)).into_iter().collect()
}

/// An error after the first byte (docs/protocol.md, "Errors").
fn error_event(problem: &Problem, format: Format) -> Vec<Bytes> {
    if format == Format::Ndjson {
        return Vec::new();
    }
    vec![frame::error_event(&problem.body().to_string())]
}
