//! The frames of a live subscriber that wants only some members of its events.
//!
//! The feed and its views keep whole events. Subscribers that want the same members are in one
//! write group, whose task reads each batch once: so the work is shared, and it is not done on the
//! thread that publishes.

use std::sync::Arc;

use bytes::BytesMut;

use super::delivered::Delivered;
use super::feed::Handout;
use crate::event::Projection;
use crate::event::frame::{self, Format};
use crate::memory::{MemoryBudget, Use};

/// Leaves in the frames of `handout` only the members that `fields` has.
pub(super) fn project(
    handout: &mut Handout,
    format: Format,
    fields: &Projection,
    memory: &Arc<MemoryBudget>,
) {
    let mut bytes = BytesMut::new();
    let mut delivered = Vec::new();
    let mut events = std::mem::take(&mut handout.delivered).into_iter();
    for piece in handout.pieces.drain(..) {
        let before = bytes.len();
        if !frame::append_projected(&mut bytes, format, &piece, fields) {
            // A notice or a progress frame.
            bytes.extend_from_slice(&piece);
        } else if let Some(event) = events.next() {
            let length = (bytes.len() - before) as u64;
            Delivered::count(&mut delivered, &event.topic, length);
        }
    }
    handout.delivered = delivered;
    if !bytes.is_empty() {
        handout
            .pieces
            .push(memory.keep(Use::Unwritten, bytes.freeze()));
    }
}
