//! One event, from Kafka's bytes to the bytes on the wire. Pure: no I/O, no clock, no locks.
//!
//! * `record`: what Kafka handed over, and why it may not be delivered.

mod record;

pub use record::{Record, SkipReason};
