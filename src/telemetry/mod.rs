//! What operators see of the server: logs, metrics and traces.
//!
//! * `logs`: JSON lines in ECS form for machines, text on a terminal.
//! * `log_pace`: keeps a fault that repeats from flooding the log.
//! * `metrics`: all metrics, in one table.
//! * `kafka_health`: whether Kafka answers, and which topics cannot be read.
//! * `traces`: spans by OTLP.

pub mod kafka_health;
mod log_pace;
pub mod logs;
pub mod metrics;
pub mod traces;

pub use log_pace::LogPace;
