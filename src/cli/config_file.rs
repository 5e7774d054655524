//! The operator's file as `serve` and `check-config` read it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::error::CliError;
use crate::config::{Config, Diagnostic, Logging, ParsedConfig, locate};
use crate::kafka::refused_properties;
use crate::stream::LoadError;

/// The operator's file, and everything that is wrong with it as far as this machine can tell.
pub(super) struct ConfigFile {
    path: PathBuf,
    text: String,
    parsed: ParsedConfig,
    /// Why the file itself cannot be read.
    read_error: Option<std::io::Error>,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Self {
        let (text, read_error) = match std::fs::read_to_string(path) {
            Ok(text) => (text, None),
            Err(error) => (String::new(), Some(error)),
        };
        let mut parsed = Config::read(&text, path.parent(), std::env::vars());
        if read_error.is_none()
            && let Some(config) = &parsed.config
        {
            let refused = refused_kafka_properties(config);
            parsed.diagnostics.extend(locate(&text, refused));
        }
        Self {
            path: path.to_owned(),
            text,
            parsed,
            read_error,
        }
    }

    /// The configuration as far as it can be read.
    pub(super) fn config(&self) -> Option<&Config> {
        self.parsed.config.as_ref()
    }

    /// Adds what is wrong with the stream configuration, unless other errors may have caused it.
    pub(super) fn add_load_error(&mut self, error: &LoadError) {
        if self.parsed.diagnostics.is_empty() || !error.may_be_a_consequence() {
            let located = locate(&self.text, error.diagnostics());
            self.parsed.diagnostics.extend(located);
        }
    }

    pub(super) fn logging(&self) -> Logging {
        self.config()
            .map_or(Logging::DEFAULT, |config| config.logging.clone())
    }

    pub(super) fn service_name(&self) -> &str {
        self.config()
            .map_or("eventstreams", |config| &config.service_name)
    }

    /// The configuration, if nothing is wrong with the file.
    pub(super) fn into_config(self) -> Result<Config, CliError> {
        let path = self.path.display();
        let config = match self.read_error {
            Some(error) => Err(error).with_context(|| format!("cannot read {path}")),
            None => self
                .parsed
                .into_result()
                .with_context(|| format!("cannot use {path}")),
        };
        config.map_err(CliError::Config)
    }
}

fn refused_kafka_properties(config: &Config) -> Vec<Diagnostic> {
    refused_properties(&config.kafka.properties)
        .into_iter()
        .map(|(name, message)| {
            let separator = if name.is_empty() { "" } else { "." };
            Diagnostic::new(format!("kafka{separator}{name}"), message)
        })
        .collect()
}
