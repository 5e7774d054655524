//! An embedded broker with sample events, for `eventstreams dev` and the tests.
//!
//! * `samples`: deterministic, realistic events to fill it with.

pub mod samples;
