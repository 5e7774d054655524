//! A stream as the body of a response that hyper writes: for what is not written on the socket itself ([`super::handover`]).

use std::convert::Infallible;

use axum::body::Body;
use futures_util::StreamExt as _;

use super::voice::{self, Solo, Voice};
use crate::fanout::Started;

/// The body.
pub(super) fn body(started: Started, voice: Voice) -> Body {
    let opening = voice::opening(voice.format, &started.moved);
    let first = futures_util::stream::iter([Ok::<_, Infallible>(opening)]);
    let solo = Solo::new(&voice);
    let rest = futures_util::stream::unfold(Some((started.subscription, solo, voice)), |running| async {
        let (mut subscription, mut solo, mut voice) = running?;
        let said = voice.next(&mut subscription, &mut solo).await;
        let running = if said.last.is_none() { Some((subscription, solo, voice)) } else { None };
        Some((futures_util::stream::iter(said.pieces.into_iter().map(Ok)), running))
    });
    Body::from_stream(first.chain(rest.flatten()))
}
