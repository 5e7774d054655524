//! Logs: JSON lines for machines, text on a terminal; the level from the configuration or `RUST_LOG`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logging};

/// Starts logging to standard error. Once in a process; a second call changes nothing.
pub fn start(logging: &Logging) {
    let level = logging.level.as_str();
    let default = || EnvFilter::new(format!("{level},hyper=warn,librdkafka=warn,rdkafka=warn"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default());
    let text = match logging.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if text { lines.try_init() } else { lines.json().flatten_event(true).try_init() };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
