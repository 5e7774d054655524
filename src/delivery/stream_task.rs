//! The task of one stream: it writes alone until the stream is live, then a write group writes it.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio_util::sync::CancellationToken;

use super::compression::{Checksum, Compressor};
use super::payload::Payload;
use super::sink::{Chunk, Sink};
use super::stream_output::{SoloState, StreamOutput};
use super::stream_writer::{StreamWriter, reason};
use super::write_group::Detached;
use crate::fanout::{Subscribed, Subscription};

/// A stream and its client.
pub struct StreamTask {
    writer: StreamWriter,
    output: StreamOutput,
    first: Option<Box<Detached>>,
}

impl StreamTask {
    /// A stream that writes to `sink`: first `head`, which is framed already, then its opening and
    /// its events. `reset` resets a stream of HTTP/2 whose client stalls.
    #[must_use]
    pub fn new(
        subscribed: Subscribed,
        mut output: StreamOutput,
        sink: Sink,
        head: &[u8],
        reset: Option<CancellationToken>,
    ) -> Self {
        let Subscribed {
            subscription,
            moved,
        } = subscribed;
        let writer = StreamWriter {
            sink,
            write_timeout: output.delivery.write_timeout,
            reset,
            memory: Arc::clone(&output.delivery.memory),
        };
        let opening = Chunk::of(&output.opening(&moved), &writer.memory);
        let opening = writer.sink.as_ref().bytes_of(&opening);
        let unwritten = if head.is_empty() {
            opening.clone()
        } else {
            let mut bytes = BytesMut::with_capacity(head.len() + opening.len());
            bytes.extend_from_slice(head);
            bytes.extend_from_slice(opening);
            bytes.freeze()
        };
        let first = Detached {
            subscription,
            unwritten,
            checksum: Checksum::default(),
            not_admitted: false,
        };
        Self {
            writer,
            output,
            first: Some(Box::new(first)),
        }
    }

    /// Writes the stream until it ends or its client goes. Drops `slot` then.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn would keep its arguments twice, for each stream"
    )]
    pub fn run<T: Send>(mut self, slot: T) -> impl Future<Output = ()> + Send {
        async move {
            let mut detached = self.first.take();
            while let Some(next) = detached {
                // Boxed: its memory is freed when the stream is live.
                detached = match Box::pin(write_alone(&self.writer, &mut self.output, next)).await {
                    Ok(Some(subscription)) => {
                        write_in_group(&self.writer, &mut self.output, subscription).await
                    }
                    Ok(None) => None,
                    Err(error) => {
                        self.output.guard.set_reason(reason(&error));
                        self.writer.reset_stream();
                        None
                    }
                };
            }
            drop(slot);
        }
    }
}

/// Writes the stream until it is live. Returns `None` when it has ended.
async fn write_alone(
    writer: &StreamWriter,
    output: &mut StreamOutput,
    detached: Box<Detached>,
) -> io::Result<Option<Box<Subscription>>> {
    let Detached {
        mut subscription,
        unwritten,
        checksum,
        not_admitted,
    } = *detached;
    output.compressor.add(checksum);
    let mut solo = SoloState::new(output);
    writer.write_all(unwritten).await?;
    // Not admitted, it writes one payload at least, or it would ask the group again at once.
    let mut write_one = not_admitted;
    while write_one || !subscription.is_live() {
        let payload = tokio::select! {
            biased;
            reason = writer.client_closed() => {
                output.guard.set_reason(reason);
                return Ok(None);
            }
            payload = output.next(&mut subscription, &mut solo) => payload,
        };
        let is_last = payload.end.is_some();
        writer
            .write(output.compressor.compress(payload.pieces))
            .await?;
        if is_last {
            writer.end(&output.compressor).await?;
            return Ok(None);
        }
        write_one = false;
    }
    Ok(Some(Box::new(subscription)))
}

/// Lets a write group write the stream until the group releases it. Returns `None` when the stream
/// has ended.
async fn write_in_group(
    writer: &StreamWriter,
    output: &mut StreamOutput,
    subscription: Box<Subscription>,
) -> Option<Box<Detached>> {
    let delivery = Arc::clone(&output.delivery);
    let mut membership = delivery
        .groups
        .join(output, writer.sink.clone(), *subscription);
    let detached = tokio::select! {
        biased;
        detached = membership.released() => detached,
        reason = writer.client_closed() => {
            output.guard.set_reason(reason);
            None
        }
        payload = output.final_payload() => {
            let detached = membership.leave();
            Box::pin(write_end(writer, &mut output.compressor, detached, payload)).await;
            None
        }
    };
    output.guard.count(membership.delivered());
    detached
}

/// Ends a stream in order after its group has released it.
async fn write_end(
    writer: &StreamWriter,
    compressor: &mut Compressor,
    detached: impl Future<Output = Option<Box<Detached>>>,
    payload: Payload,
) {
    let Some(detached) = detached.await else {
        return;
    };
    compressor.add(detached.checksum);
    let written = async {
        writer.write_all(detached.unwritten).await?;
        writer.write(compressor.compress(payload.pieces)).await?;
        writer.end(compressor).await
    };
    // The stream ends in either case.
    let _: io::Result<()> = written.await;
}
