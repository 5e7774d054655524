//! How the program logs.

use serde::Deserialize;

/// How the program logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Logging {
    /// The least severe level that is written.
    #[serde(rename = "logging")]
    pub level: Level,
    /// The form of the lines.
    #[serde(rename = "log_format")]
    pub format: LogFormat,
}

impl Logging {
    /// The default when the file cannot be read.
    pub const DEFAULT: Self = Self {
        level: Level::Info,
        format: LogFormat::Auto,
    };
}

/// Log levels, from the most verbose to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// For developers.
    Debug,
    /// For operators.
    Info,
    /// Worth an operator's attention.
    Warn,
    /// Needs to be fixed. The Node service's `fatal` maps to it too.
    #[serde(alias = "fatal")]
    Error,
}

impl Level {
    /// The name of the level in the configuration and in log filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line, in the Elastic Common Schema.
    Json,
    /// Text for people.
    Text,
}
