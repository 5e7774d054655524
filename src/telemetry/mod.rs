//! What operators see of the server: logs, metrics and traces.
//!
//! * `logs`: JSON lines in ECS form for machines, text on a terminal.
//! * `metrics`: all metrics, in one table.
//! * `kafka_health`: whether Kafka answers, and which topics cannot be read.
//! * `traces`: spans by OTLP.

pub mod kafka_health;
pub mod logs;
pub mod metrics;
pub mod traces;
