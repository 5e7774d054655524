//! A stream as the body of a response that hyper writes: for what is not written on the socket itself ([`super::handover`]).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use tokio::sync::mpsc;

use super::line::Line;
use super::sink::{Chunk, Sink};
use super::stream_task::StreamTask;
use super::voice::Voice;
use crate::fanout::Started;
use crate::limits;

/// The body. It ends when its stream does, with an error when that was cut; and the stream ends when nobody has the body any more.
pub(super) fn body(started: Started, mut voice: Voice) -> Body {
    let Started {
        subscription,
        moved,
    } = started;
    let (sender, mut chunks) = mpsc::channel(limits::BODY_CHUNKS_MAX);
    let write_timeout = Duration::from_millis(voice.app.config.limits.write_timeout_ms);
    let memory = Arc::clone(voice.app.hub.memory());
    let line = Line {
        sink: Sink::Body(sender),
        write_timeout,
        reset: super::http2::reset(),
        memory,
    };
    let first = line
        .sink
        .as_ref()
        .form(&Chunk::of(&voice.opening(&moved), &line.memory))
        .clone();
    tokio::spawn(StreamTask::new(line, voice, subscription, first).run(()));
    Body::from_stream(futures_util::stream::poll_fn(move |cx| {
        chunks.poll_recv(cx).map(|chunk| match chunk {
            Some(last) if last.is_empty() => None,
            Some(chunk) => Some(Ok(chunk)),
            None => Some(Err(io::Error::from(io::ErrorKind::TimedOut))),
        })
    }))
}
