//! From one reader of Kafka to every subscriber. Knows no HTTP and no Kafka.
//!
//! A subscriber is a cursor. What comes after it is found in three tiers, which the caller of
//! [`Subscription::next`] cannot distinguish: the feed (rendered frames, shared), the memory log
//! (the last minutes of every partition) and Kafka (through [`upstream`]).
//!
//! * `hub`: events arrive here once and go out to the feeds that follow.
//! * `feed`: the ring of rendered frames of one set of topics and one format.
//! * `followers`: the feeds that follow a partition; joining does not wait for rendering.
//! * `partition`: a partition that is read.
//! * `partition_log`: the memory log of one partition. `log_entry`: an entry of it.
//! * `single_event`: one event by its position. `log_facts`: how old a log is, and how much is
//!   written to it.
//! * `subscribe`: where a subscription starts. `subscribe_request`: what its client requests.
//! * `last_events`: where a subscription starts that wants the last events.
//! * `subscription`: the loop that every subscriber polls.
//! * `bound`: where a stream ends whose client asks for an end.
//! * `over`: whether a stream with an end is over before it starts.
//! * `moved`: the notice that a subscriber continues at another offset than expected.
//! * `delivered`: counts of the events in a batch.
//! * `catch_up`: what comes before the feed: merge by time, handoff.
//! * `partition_buffer`: one partition's input to that merge.
//! * `replay_permits`: the bounded permits for replays from Kafka, and their queue.
//! * `lookup_permits`: the bounded permits for look-ups in Kafka, and their queue.
//! * `fair_queue`: the queue of both, served round-robin by client.
//! * `projected`: the frames of a live subscriber that wants only some members of its events.
//! * `progress`: what a filtered subscriber knows of the events that it does not get.
//! * `scan_pace`: how fast filtered subscribers look at records while they catch up.
//! * `upstream`: the requests to Kafka, over bounded queues.
//!
//! Quirks, each with the test that locks it:
//!
//! * The memory log does not answer for a time at or below its floor, although it may hold later
//!   records only: `a_time_that_may_lie_in_kafka_only_is_not_answered`.
//! * A record of the future is delivered, but look-ups by time skip it:
//!   `a_record_of_the_future_hides_no_later_record`.

mod bound;
mod catch_up;
mod delivered;
mod fair_queue;
mod feed;
mod followers;
mod hub;
mod last_events;
mod log_entry;
mod log_facts;
mod lookup_permits;
mod moved;
mod over;
mod partition;
mod partition_buffer;
mod partition_log;
mod progress;
mod projected;
mod replay_permits;
mod scan_pace;
mod single_event;
mod subscribe;
mod subscribe_request;
mod subscription;
#[cfg(test)]
mod tests;
pub mod upstream;

pub use bound::{AtTail, Bound, BoundReached, PageBound};
pub use delivered::Delivered;
pub use fair_queue::Client;
pub use feed::FeedKey;
pub use hub::{FUTURE_MIN, Hub, HubLimits, StepLimits};
pub use log_entry::LogEntry;
pub use log_facts::{LogFacts, log_facts};
pub use moved::Moved;
pub use partition::{Arrival, HubPartition};
pub use partition_log::LogStart;
pub use single_event::{EventAt, EventAtError, event_at};
pub use subscribe::{SubscribeError, Subscribed, subscribe};
pub use subscribe_request::SubscribeRequest;
pub use subscription::{Batch, Place, Subscription};
