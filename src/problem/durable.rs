//! Problems of the protocol of Durable Streams.

use axum::http::StatusCode;

use super::{ProblemKind, kind};
use crate::fanout::Moved;

/// What can be wrong with a request of that protocol. Each variant documents its status and its
/// type.
#[derive(Debug, thiserror::Error)]
pub enum DurableProblem {
    /// 404 `not_found`: streams that are unknown or not public. The protocol wants that status.
    #[error("Invalid streams: {}. {}", .names.join(","), .hints.join(" "))]
    NoStream {
        /// The names, as they were sent.
        names: Vec<String>,
        /// Hints at names that may be meant.
        hints: Vec<String>,
    },
    /// 400 `invalid_offset`: an offset that the server did not hand out for these streams.
    #[error(
        "The offset is not valid: {0}. Send -1, now, or the last Stream-Next-Offset as it was."
    )]
    InvalidOffset(String),
    /// 410 `offset_gone`: events at the offset are deleted, or the topic was recreated.
    #[error("Events after the offset are gone: {0}. Begin again with offset=-1.")]
    OffsetGone(Box<Moved>),
    /// 409 `content_type_conflict`: a write with another content type than the stream has.
    #[error("The stream has the content type {0}")]
    OtherContentType(String),
    /// 409 `not_writable`: a write to a stream that was not created over HTTP.
    #[error("Only a stream that was created over HTTP can be written over HTTP")]
    NotWritable,
    /// 400 `invalid_body`: a write without a message, or with one that cannot be stored.
    #[error("{0}")]
    InvalidBody(String),
    /// 413 `body_too_large`: a write that is too long.
    #[error("A request may have at most {0} bytes")]
    BodyTooLarge(usize),
}

impl DurableProblem {
    /// Status, name and title.
    pub(super) fn kind(&self) -> ProblemKind {
        use StatusCode as S;
        match self {
            Self::NoStream { .. } => kind(S::NOT_FOUND, "not_found", "Stream Not Found"),
            Self::InvalidOffset(_) => kind(S::BAD_REQUEST, "invalid_offset", "Invalid Offset"),
            Self::OffsetGone(_) => kind(S::GONE, "offset_gone", "Offset Gone"),
            Self::OtherContentType(_) => kind(
                S::CONFLICT,
                "content_type_conflict",
                "Content Type Conflict",
            ),
            Self::NotWritable => kind(S::CONFLICT, "not_writable", "Not Writable"),
            Self::InvalidBody(_) => kind(S::BAD_REQUEST, "invalid_body", "Invalid Body"),
            Self::BodyTooLarge(_) => kind(S::PAYLOAD_TOO_LARGE, "body_too_large", "Body Too Large"),
        }
    }
}
