//! A stream's task: writes by itself until it is live, and leaves the rest to a convoy.

use std::io;

use bytes::Bytes;

use super::coding::{Checksum, Coder};
use super::convoy::Left;
use super::line::{Line, reason};
use super::voice::{Said, Solo, Voice};
use crate::fanout::Subscription;

/// A stream, and where it goes.
pub struct StreamTask {
    line: Line,
    voice: Voice,
    begin: Option<Box<Left>>,
}

impl StreamTask {
    /// A stream that begins with `head`, in the sink's form.
    pub(super) fn new(line: Line, voice: Voice, subscription: Subscription, head: Bytes) -> Self {
        let begin = Left {
            subscription,
            unwritten: head,
            sum: Checksum::default(),
            turned_away: false,
        };
        Self {
            line,
            voice,
            begin: Some(Box::new(begin)),
        }
    }

    /// Writes it until it ends or its client goes, and gives up `place` then.
    #[allow(
        clippy::manual_async_fn,
        reason = "an async fn would keep its arguments twice, for each stream"
    )]
    pub fn run<T: Send>(mut self, place: T) -> impl Future<Output = ()> + Send {
        async move {
            let mut left = self.begin.take();
            while let Some(begin) = left {
                // Boxed: what it takes to catch up is given back when the stream is live.
                left = match Box::pin(alone(&self.line, &mut self.voice, begin)).await {
                    Ok(Some(subscription)) => {
                        together(&self.line, &mut self.voice, subscription).await
                    }
                    Ok(None) => None,
                    Err(error) => {
                        self.voice.end.because(reason(&error));
                        self.line.give_up();
                        None
                    }
                };
            }
            drop(place);
        }
    }
}

/// Writes by itself what the stream says until it is live; `None` when it has ended.
async fn alone(
    line: &Line,
    voice: &mut Voice,
    begin: Box<Left>,
) -> io::Result<Option<Box<Subscription>>> {
    let Left {
        mut subscription,
        unwritten,
        sum,
        turned_away,
    } = *begin;
    voice.coder.add(sum);
    let mut solo = Solo::new(voice);
    line.write_all(unwritten).await?;
    let mut turn = turned_away;
    while turn || !subscription.is_live() {
        let said = tokio::select! {
            biased;
            reason = line.hung_up() => {
                voice.end.because(reason);
                return Ok(None);
            }
            said = voice.next(&mut subscription, &mut solo) => said,
        };
        let is_last = said.last.is_some();
        line.write(voice.coder.encode(said.pieces)).await?;
        if is_last {
            line.end(&voice.coder).await?;
            return Ok(None);
        }
        turn = false;
    }
    Ok(Some(Box::new(subscription)))
}

/// Lets a convoy write what the stream says, until the convoy leaves it or it ends: `None`.
async fn together(
    line: &Line,
    voice: &mut Voice,
    subscription: Box<Subscription>,
) -> Option<Box<Left>> {
    let mut seat = voice
        .app
        .convoys
        .join(voice, line.sink.clone(), *subscription);
    let left = tokio::select! {
        biased;
        left = seat.left() => left,
        reason = line.hung_up() => {
            voice.end.because(reason);
            None
        }
        said = voice.last_words() => {
            let left = seat.leave();
            Box::pin(last(line, &mut voice.coder, left, said)).await;
            None
        }
    };
    voice.end.count(seat.delivered());
    left
}

/// Ends a stream in order, when its convoy has left it.
async fn last(
    line: &Line,
    coder: &mut Coder,
    left: impl Future<Output = Option<Box<Left>>>,
    said: Said,
) {
    let Some(left) = left.await else { return };
    coder.add(left.sum);
    let written = async {
        line.write_all(left.unwritten).await?;
        line.write(coder.encode(said.pieces)).await?;
        line.end(coder).await
    };
    // Nobody is there to be told that it did not work.
    let _ = written.await;
}
