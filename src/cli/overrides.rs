//! Command-line options that override the configuration.

use clap::Args;

use crate::config::Config;

/// The options of `serve` and `dev` that override the configuration.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Overrides {
    /// The public port
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// The port of metrics and health
    #[arg(long)]
    pub(super) admin_port: Option<u16>,
    /// Kafka's brokers: a list of `host:port`, separated by commas
    #[arg(long, value_name = "LIST")]
    pub(super) brokers: Option<String>,
}

impl Overrides {
    /// Applies the options to the configuration.
    pub(super) fn apply(&self, config: &mut Config) {
        if let Some(port) = self.port {
            config.http.port = port;
        }
        if let Some(port) = self.admin_port {
            config.http.admin_port = Some(port);
        }
        if let Some(brokers) = &self.brokers {
            config.kafka.set_brokers(brokers);
        }
    }
}
