//! Reads the streams of an `EventStreams` server over HTTP, and goes on exactly where it stopped
//! after each cut.
//!
//! * `reader`: one stream, over as many connections as it takes.
//! * `request`: what is asked for, as a URL.
//! * `refusal`: what a server refuses, in its own words.
//! * `pauses`: how long to wait before the next connection.

mod pauses;
mod reader;
mod refusal;
mod request;

pub use reader::{Cause, Item, Progress, ReadError, Reader};
pub use request::{StreamRequest, UrlError};
