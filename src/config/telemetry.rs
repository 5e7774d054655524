//! How the program logs.

use serde::Deserialize;

/// How the program logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Logging {
    /// The least severe level that is written.
    #[serde(rename = "logging")]
    pub level: Level,
    /// In which form lines are written.
    #[serde(rename = "log_format")]
    pub format: LogFormat,
}

impl Logging {
    /// Where the file cannot be understood.
    pub const DEFAULT: Self = Self {
        level: Level::Info,
        format: LogFormat::Auto,
    };
}

/// Levels of the log, from talkative to silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// What a developer wants to see.
    Debug,
    /// What an operator wants to see.
    Info,
    /// What an operator should look at.
    Warn,
    /// What needs mending; the Node service's `fatal` is this too.
    #[serde(alias = "fatal")]
    Error,
}

impl Level {
    /// The level's name as configuration and filters of the log take it.
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

/// In which form lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line, in ECS form.
    Json,
    /// Text for eyes.
    Text,
}
