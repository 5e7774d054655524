//! A stream as the body of a response that hyper writes: for what is not written on the socket itself ([`super::handover`]).

use std::convert::Infallible;

use axum::body::Body;
use futures_util::StreamExt as _;

use super::voice::{Solo, Voice};
use crate::fanout::Started;

/// The body.
pub(super) fn body(started: Started, mut voice: Voice) -> Body {
    let first = futures_util::stream::iter(voice.opening(&started.moved)).map(Ok::<_, Infallible>);
    let solo = Solo::new(&voice);
    let rest = futures_util::stream::unfold(Some((started.subscription, solo, voice)), |running| async {
        let (mut subscription, mut solo, mut voice) = running?;
        let said = voice.next(&mut subscription, &mut solo).await;
        let is_last = said.last.is_some();
        let mut pieces = voice.coder.encode(said.pieces);
        if is_last {
            pieces.push(voice.coder.last());
        }
        let running = if is_last { None } else { Some((subscription, solo, voice)) };
        Some((futures_util::stream::iter(pieces.into_iter().map(Ok)), running))
    });
    Body::from_stream(first.chain(rest.flatten()))
}
