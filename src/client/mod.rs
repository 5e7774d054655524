//! Reads the streams of an `EventStreams` server over HTTP, and goes on exactly where it stopped
//! after each cut.
//!
//! * `reader`: one stream, over as many connections as it takes.
//! * `request`: what is asked for, as a URL.
//! * `stream_list`: which streams a server has.
//! * `refusal`: what a server refuses, in its own words.
//! * `pauses`: how long to wait before the next connection.

mod pauses;
mod reader;
mod refusal;
mod request;
mod stream_list;

pub use reader::{Cause, Item, Progress, ReadError, Reader};
pub use request::{StreamRequest, UrlError};
pub use stream_list::{ListError, RemoteStream, RemoteTopic, list_streams};

/// The innermost cause: "connection refused", and not that a request could not be sent.
fn describe(error: &dyn std::error::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
