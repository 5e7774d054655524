//! A stream as the body of a response that hyper writes: for every stream whose socket is not taken
//! over ([`super::hijack`]).

use std::io;

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::delivery::{Sink, StreamOutput, StreamTask};
use crate::fanout::Subscribed;
use crate::limits;

/// Starts the stream's task and returns the body. An empty chunk is the end. Without it the stream
/// was cut off, and the body ends with an error. When the body is dropped, the task ends.
pub(in crate::http) fn body(subscribed: Subscribed, output: StreamOutput) -> Body {
    let (sender, chunks) = mpsc::channel::<Bytes>(limits::BODY_CHUNKS_MAX);
    let sink = Sink::Body(sender);
    let task = StreamTask::new(subscribed, output, sink, &[], super::http2::reset());
    tokio::spawn(task.run(()));
    let cut_off = tokio_stream::once(Err(io::Error::from(io::ErrorKind::TimedOut)));
    let chunks = ReceiverStream::new(chunks).map(Ok).chain(cut_off);
    Body::from_stream(chunks.take_while(|chunk| !matches!(chunk, Ok(end) if end.is_empty())))
}
