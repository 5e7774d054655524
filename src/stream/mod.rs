//! Which streams exist and who may see them.
//!
//! * `name`: the names of streams and topics.

mod name;

pub use name::{StreamName, Topic};
