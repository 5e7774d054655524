//! Reading what Kafka already holds: ranges of the past, and answers about a log.
//!
//! * `range_reader`: reads a range of one partition.
//! * `time_search`: finds records by their time.
//! * `lookups`: answers questions about a log (bounds, times, the record before an offset).
//! * `replay`: a bounded pool of consumers that read ranges of the past.

mod lookups;
mod range_reader;
mod replay;
mod time_search;

pub(super) use lookups::Lookups;
pub(super) use range_reader::{RangeEnd, RangeReader};
pub(super) use replay::ReplayConsumer;
