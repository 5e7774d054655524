//! `eventstreams serve`: runs a server with the operator's file.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::config_file::ConfigFile;
use super::error::CliError;
use super::overrides::Overrides;
use crate::server::{Listeners, Server};
use crate::shutdown::Shutdown;
use crate::telemetry::logs;

/// Options of `eventstreams serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The operator's file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs until a signal ends it.
pub(super) async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let file = ConfigFile::read(&args.config);
    // The log starts even if the file cannot be used: the reason belongs in the log.
    logs::start(&file.logging(), file.service_name());
    let mut config = file.into_config()?;
    args.overrides.apply(&mut config);
    if config.kafka.brokers().is_none() {
        return Err(CliError::Config(anyhow!(
            "no Kafka brokers: set kafka's metadata.broker.list in the file, or --brokers"
        )));
    }
    let shutdown = Shutdown::default();
    shutdown.on_signals().context("signals")?;
    let listeners = Listeners::bind(&config)?;
    log_addresses(&listeners).context("listeners")?;
    let server = Server::start(config, Some(args.config.clone()), shutdown).await?;
    Ok(server.serve(listeners).await?)
}

fn log_addresses(listeners: &Listeners) -> std::io::Result<()> {
    for listener in &listeners.public {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    for listener in &listeners.admin {
        tracing::info!(address = %listener.local_addr()?, "metrics and health");
    }
    Ok(())
}
