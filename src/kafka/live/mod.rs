//! Reading every partition once, and keeping up with what Kafka has.
//!
//! * `consumer`: reads the partitions it is given, and publishes what it reads.
//! * `discovery`: looks for topics and partitions, again and again, and decides what is read.
//! * `partitions`: the partitions that are read, and the commands to the consumer.
//! * `unread`: which partitions are not read yet, and where reading of each begins.
//! * `topic_states`: what the last look found of each topic.
//! * `readiness`: when the server may begin to serve.
//! * `log_check`: whether the logs are still the ones that were read.
//! * `last_read`: where reading goes on after an interruption.

mod consumer;
mod discovery;
mod last_read;
mod log_check;
mod partitions;
mod readiness;
mod topic_states;
mod unread;

pub(super) use consumer::LiveConsumer;
pub(super) use discovery::Discovery;
