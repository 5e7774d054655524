//! An event's bytes on the wire, in each format (docs/protocol.md, "GET /v2/stream").
//!
//! Server-Sent Events are the format of the WHATWG HTML standard, section "Server-sent events":
//! lines end at CR, LF or CRLF, an empty line ends a frame, and a line that begins with `:` is a
//! comment.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{Projection, PublicEvent};
use crate::cursor::TimestampMs;

/// The format in which a subscriber receives its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Server-Sent Events: `text/event-stream`.
    Sse,
    /// Newline-delimited JSON, without ids: `application/x-ndjson`.
    Ndjson,
}

impl Format {
    /// The first bytes of a response. They are sent at once, so that proxies and clients see it
    /// begin.
    pub fn opening(self) -> &'static [u8] {
        match self {
            Self::Sse => b":ok\n\n",
            Self::Ndjson => b"\n",
        }
    }

    /// Sent when there was nothing to send for a while; clients ignore it.
    pub fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::Sse => b":\n\n",
            Self::Ndjson => b"\n",
        }
    }
}

const EVENT: &[u8] = b"event: message\nid: ";
const PROGRESS: &[u8] = b"event: progress\nid: ";
const ENDED: &[u8] = b"event: end\nid: ";
const DATA: &[u8] = b"\ndata: ";
const END: &[u8] = b"\n\n";

/// One event as one frame: `event: message\nid: {id}\ndata: {json}\n\n`, or `{json}\n`.
///
/// `id`: the JSON array of [`crate::cursor::EventId`], without line breaks. NDJSON has no ids.
pub fn render(format: Format, id: &[u8], event: &PublicEvent) -> Bytes {
    let mut out = BytesMut::with_capacity(rendered_bytes(format, id, event));
    append_to(&mut out, format, id, event);
    out.freeze()
}

/// Appends the frame of [`render`] to `out`.
pub fn append_to(out: &mut BytesMut, format: Format, id: &[u8], event: &PublicEvent) {
    debug_assert!(
        memchr::memchr3(b'\n', b'\r', 0, id).is_none(),
        "an id is one line without NUL"
    );
    out.reserve(rendered_bytes(format, id, event));
    match format {
        Format::Sse => {
            for part in [EVENT, id, DATA, event.json(), END] {
                out.extend_from_slice(part);
            }
        }
        Format::Ndjson => {
            out.extend_from_slice(event.json());
            out.extend_from_slice(b"\n");
        }
    }
}

/// Appends the frame of [`render`] with those members of the event that `fields` has.
pub fn append_fields_to(
    out: &mut BytesMut,
    format: Format,
    id: &[u8],
    event: &PublicEvent,
    fields: &Projection,
) {
    match format {
        Format::Sse => {
            for part in [EVENT, id, DATA] {
                out.extend_from_slice(part);
            }
            fields.append_to(out, event);
            out.extend_from_slice(END);
        }
        Format::Ndjson => {
            fields.append_to(out, event);
            out.extend_from_slice(b"\n");
        }
    }
}

/// Appends a frame of [`render`] with those members of its event that `fields` has. Returns whether
/// `frame` is one; otherwise appends nothing.
pub fn append_projected(
    out: &mut BytesMut,
    format: Format,
    frame: &[u8],
    fields: &Projection,
) -> bool {
    let Some(json) = event_of(format, frame) else {
        return false;
    };
    out.extend_from_slice(&frame[..json.start]);
    fields.append_text(
        out,
        str::from_utf8(&frame[json.clone()]).unwrap_or_default(),
    );
    out.extend_from_slice(&frame[json.end..]);
    true
}

/// Where the event is in a frame of [`render`].
fn event_of(format: Format, frame: &[u8]) -> Option<Range<usize>> {
    match format {
        Format::Sse => {
            let rest = frame.strip_prefix(EVENT)?;
            // An id is one line.
            let line = EVENT.len() + memchr::memchr(b'\n', rest)?;
            Some(line + DATA.len()..frame.len() - END.len())
        }
        Format::Ndjson => frame.starts_with(b"{").then(|| 0..frame.len() - 1),
    }
}

/// The length of the frame of [`render`], in bytes.
pub fn rendered_bytes(format: Format, id: &[u8], event: &PublicEvent) -> usize {
    match format {
        Format::Sse => EVENT.len() + id.len() + DATA.len() + event.json().len() + END.len(),
        Format::Ndjson => event.json().len() + 1,
    }
}

/// An SSE comment, for people and logs; a text of several lines becomes a comment of several lines.
pub fn comment(text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 4);
    append_lines(&mut out, b": ", text);
    out.extend_from_slice(b"\n");
    out.freeze()
}

/// The last SSE frame of a stream that fails after its first byte: `event: error` with a problem's
/// JSON (docs/protocol.md, "Errors"). It carries no id, so that a client resumes with the id of its
/// last event.
pub fn error_event(json: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(json.len() + 24);
    out.extend_from_slice(b"event: error\n");
    append_lines(&mut out, b"data: ", json);
    out.extend_from_slice(b"\n");
    out.freeze()
}

/// An SSE frame that moves the id of a filtered stream past events that its client does not get
/// (docs/protocol.md, "Filters"): `event: progress`, the id, and
/// `{"dt":"2026-11-27T10:00:00.000Z","scanned":1000,"matched":3}`.
///
/// `time` is Kafka's timestamp of the newest record before the id; `dt` is null where it is no
/// date. `scanned` records were looked at since the frame before, of which `matched` were sent.
pub fn progress(id: &[u8], time: TimestampMs, scanned: u64, matched: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(id.len() + 112);
    out.extend_from_slice(PROGRESS);
    out.extend_from_slice(id);
    let dt = time
        .to_iso8601()
        .map_or_else(|| "null".to_owned(), |dt| format!("\"{dt}\""));
    let data = format!("{{\"dt\":{dt},\"scanned\":{scanned},\"matched\":{matched}}}");
    for part in [DATA, data.as_bytes(), END] {
        out.extend_from_slice(part);
    }
    out.freeze()
}

/// The last SSE frame of a stream that has reached the end that its client asked for: `event: end`,
/// the id with which a client goes on, and `{"reason":"limit"}` (docs/protocol.md, "Streams that
/// end").
pub fn end(id: &[u8], reason: &str) -> Bytes {
    let data = format!("{{\"reason\":\"{reason}\"}}");
    let parts = [ENDED, id, DATA, data.as_bytes(), END];
    parts.concat().into()
}

/// The SSE field that sets how many milliseconds a client waits before it reconnects.
pub fn retry(ms: u64) -> Bytes {
    Bytes::from(format!("retry: {ms}\n\n"))
}

/// Writes each line of `text` after `field`. No line of `text` can become a field or end the frame.
fn append_lines(out: &mut BytesMut, field: &[u8], text: &str) {
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        out.extend_from_slice(field);
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\n");
    }
}
