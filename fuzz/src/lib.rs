//! What several targets need.
//!
//! * [`json`]: a reader of JSON that is nothing but slow and plain, and a maker of JSON in every
//!   spelling.
//! * [`broker`]: requests to the embedded broker, answered without a socket and without waiting.

pub mod broker;
pub mod json;
