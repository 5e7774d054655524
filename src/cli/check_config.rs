//! `eventstreams check-config`: shows how a file is understood, or what is wrong with it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::config_file::ConfigFile;
use super::config_report;
use super::error::CliError;
use crate::config::Config;
use crate::kafka::{KafkaClient, Probe, probe};
use crate::stream::{Topic, load_catalog};

/// Options of `eventstreams check-config`.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    /// The operator's file
    file: PathBuf,
    /// Also ask Kafka for each topic: whether it exists, has leaders, and may be read
    #[arg(long)]
    connect: bool,
}

/// Prints the report on standard output.
pub(super) async fn run(args: &CheckConfigArgs) -> Result<(), CliError> {
    let mut file = ConfigFile::read(&args.file);
    let loaded = match file.config() {
        Some(config) => load_catalog(&config.streams, &config.http.user_agent).await,
        None => return file.into_config().map(drop),
    };
    let catalog = match loaded {
        Ok(loaded) => loaded.catalog,
        Err(error) => {
            file.add_load_error(&error);
            return file.into_config().map(drop);
        }
    };
    let config = file.into_config()?;
    print!("{}", config_report::report(&config, &catalog));
    if args.connect {
        check_topics(&config, catalog.topics()).await?;
    }
    Ok(())
}

/// Prints for each topic whether it can be read.
async fn check_topics(config: &Config, topics: BTreeSet<Topic>) -> anyhow::Result<()> {
    let brokers = config
        .kafka
        .brokers()
        .ok_or_else(|| anyhow!("no Kafka brokers to ask: set kafka's metadata.broker.list"))?;
    let client = KafkaClient::new(&config.kafka.properties, Arc::default(), Arc::default());
    let probed = tokio::task::spawn_blocking(move || probe(&client, &topics))
        .await
        .context("asking Kafka")?;
    let Probe {
        brokers: count,
        topics,
    } = probed.with_context(|| format!("brokers {brokers}"))?;
    println!("\ntopics in Kafka, of {count} brokers");
    for topic in &topics {
        println!("  {topic}");
    }
    let unreadable = topics.iter().filter(|topic| topic.result.is_err()).count();
    anyhow::ensure!(
        unreadable == 0,
        "{unreadable} of {} topics cannot be read",
        topics.len()
    );
    Ok(())
}
