//! The content type of a stream, and its messages. Streams of Kafka have events in JSON. A stream
//! that was created over HTTP has what was written to it, wrapped into events.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::App;
use crate::problem::DurableProblem;
use crate::stream::Stream;

/// What the messages of a stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Without parameters.
    pub(super) media_type: String,
    pub(super) kind: Kind,
    /// Whether the messages are wrapped into events.
    is_wrapped: bool,
}

/// How messages are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As an array.
    Json,
    /// One after another.
    Text,
    /// One after another, in base64 where a response must be text.
    Binary,
}

/// A message that was written over HTTP, as an event.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Content {
    /// The content of a media type, of a stream that is written over HTTP.
    pub(super) fn written(media_type: &str) -> Self {
        let kind = match media_type {
            "application/json" => Kind::Json,
            text if text.starts_with("text/") => Kind::Text,
            _ => Kind::Binary,
        };
        Self {
            media_type: media_type.to_owned(),
            kind,
            is_wrapped: true,
        }
    }

    /// The content of what a request names.
    pub(super) fn of(app: &App, streams: &[Arc<Stream>]) -> Self {
        let written = match (app.writable.get(), streams) {
            (Some(writable), [stream]) => writable.media_type(stream.name.as_str()),
            _ => None,
        };
        written.map_or_else(
            || Self {
                media_type: "application/json".to_owned(),
                kind: Kind::Json,
                is_wrapped: false,
            },
            |media_type| Self::written(&media_type),
        )
    }

    /// The body with the events of these lines.
    pub(super) fn body(&self, lines: &[Bytes]) -> Vec<u8> {
        let is_json = self.kind == Kind::Json;
        let mut body = Vec::with_capacity(lines.iter().map(Bytes::len).sum::<usize>() + 2);
        body.extend_from_slice(if is_json { b"[" } else { b"" });
        for (index, line) in events(lines).enumerate() {
            if is_json && index > 0 {
                body.extend_from_slice(b",\n");
            }
            body.extend_from_slice(&self.message(line));
        }
        body.extend_from_slice(if is_json { b"]" } else { b"" });
        body
    }

    /// The message of an event.
    fn message<'a>(&self, event: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.is_wrapped {
            return event.into();
        }
        let Ok(Wrapped { value }) = serde_json::from_slice(event) else {
            return event.into();
        };
        let value = value.get();
        let text = || serde_json::from_str::<String>(value).unwrap_or_default();
        match self.kind {
            Kind::Json => value.as_bytes().into(),
            Kind::Text => text().into_bytes().into(),
            Kind::Binary => STANDARD.decode(text()).unwrap_or_default().into(),
        }
    }

    /// The events with the messages of a written body.
    ///
    /// # Errors
    /// [`DurableProblem::InvalidBody`].
    pub(super) fn events(&self, body: &[u8]) -> Result<Vec<Bytes>, DurableProblem> {
        let invalid = |reason: String| DurableProblem::InvalidBody(reason);
        let values = match self.kind {
            Kind::Json => json_values(body)?,
            Kind::Text => {
                let text = str::from_utf8(body).map_err(|error| invalid(error.to_string()))?;
                vec![serde_json::Value::from(text).to_string()]
            }
            Kind::Binary => vec![format!("\"{}\"", STANDARD.encode(body))],
        };
        let wrap = |value: String| Bytes::from(format!("{{\"value\":{value}}}"));
        Ok(values.into_iter().map(wrap).collect())
    }
}

/// The values of a body of JSON: an array is several.
fn json_values(body: &[u8]) -> Result<Vec<String>, DurableProblem> {
    let invalid =
        |error: serde_json::Error| DurableProblem::InvalidBody(format!("not JSON: {error}"));
    let text = |value: &RawValue| value.get().to_owned();
    let value: &RawValue = serde_json::from_slice(body).map_err(invalid)?;
    if !value.get().starts_with('[') {
        return Ok(vec![text(value)]);
    }
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(invalid)?;
    Ok(values.into_iter().map(text).collect())
}

/// The lines that hold an event.
fn events(pieces: &[Bytes]) -> impl Iterator<Item = &[u8]> {
    let lines = pieces
        .iter()
        .flat_map(|piece| piece.split(|byte| *byte == b'\n'));
    lines.filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(media_type: &str, bodies: &[&[u8]]) -> String {
        let content = Content::written(media_type);
        let mut lines = Vec::new();
        for body in bodies {
            for event in content.events(body).expect("a body") {
                lines.push([&event[..], b"\n"].concat().into());
            }
        }
        String::from_utf8(content.body(&lines)).expect("UTF-8")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let json = |bodies: &[&str]| {
            let bodies: Vec<_> = bodies.iter().map(|body| body.as_bytes()).collect();
            let body = read_back("application/json", &bodies);
            serde_json::from_str::<serde_json::Value>(&body).expect("JSON")
        };
        assert_eq!(
            json(&[
                "1",
                "[2,[3,\"a\\nb\"]]",
                " {\"a\" : null} ",
                "[[[4]]]",
                "[]"
            ]),
            serde_json::json!([1, 2, [3, "a\nb"], {"a": null}, [[4]]])
        );
        assert_eq!(json(&[]), serde_json::json!([]));
        assert_eq!(read_back("text/plain", &[b"a\r\n", b"\"b"]), "a\r\n\"b");
        assert_eq!(read_back("image/png", &[b"a\0", b"b"]), "a\0b");
        for bad in ["", "{", "[1,]", "a", "1 2"] {
            let content = Content::written("application/json");
            assert!(content.events(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn events_of_kafka_are_an_array_of_their_own_bytes() {
        let content = Content {
            is_wrapped: false,
            ..Content::written("application/json")
        };
        let lines = ["{\"a\": 1}\n{\"b\":2}\n", "\n", "{}\n"].map(Bytes::from);
        assert_eq!(content.body(&lines), b"[{\"a\": 1},\n{\"b\":2},\n{}]");
        assert_eq!(content.body(&[]), b"[]");
    }
}
