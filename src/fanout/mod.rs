//! From one reader of Kafka to every subscriber. Knows no HTTP and no Kafka.
//!
//! A subscriber is a cursor and nothing else. What comes after a cursor is found in three tiers
//! that the caller of
//! [`Subscription::next`] cannot tell apart: the feed (rendered frames, shared), the memory log
//! (the last minutes of every partition) and Kafka (through [`upstream`]).
//!
//! * `hub`: where events come in once and go out to the feeds; who follows what.
//! * `feed`: the ring of rendered frames of one set of topics and one format.
//! * `followers`: the feeds of a partition; who joins or leaves waits for no event that is
//!   rendered.
//! * `partition`: a partition that is read.
//! * `partition_log`: the memory log of one partition.
//! * `start`: where a subscription begins.
//! * `subscription`: the loop that every subscriber pulls.
//! * `catch_up`: what comes before the feed: merge by time, handoff.
//! * `places`: the bounded places for replays out of Kafka, and who gets them.
//! * `turns`: the queue before them, in which clients take turns.
//! * `lookups`: the places for look-ups, which clients take in turns.
//! * `upstream`: what is asked of Kafka, over bounded queues.
//!
//! Quirks, each with the test that locks it:
//!
//! * The memory log says nothing about a time at or below its floor, although it may hold later
//!   records only: `a_time_that_may_lie_in_kafka_only_is_not_answered`.
//! * A record of the future is delivered, and passed over by look-ups by time:
//!   `a_record_of_the_future_hides_no_later_record`.

mod catch_up;
mod feed;
mod followers;
mod hub;
mod lookups;
mod partition;
mod partition_log;
mod places;
mod start;
mod subscription;
#[cfg(test)]
mod tests;
mod turns;
pub mod upstream;

pub use feed::{Delivered, FeedKey};
pub use hub::{FUTURE_MIN, Hub, HubLimits};
pub use partition::{Arrival, HubPartition};
pub use partition_log::{LogEntry, LogStart};
pub use start::{SubscribeError, SubscribeRequest, Subscribed, subscribe};
pub use subscription::{Batch, Moved, Subscription};
pub use turns::Client;
