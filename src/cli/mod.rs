//! The command line: `dev` (also without a subcommand), `serve`, `check-config`.
//!
//! * `overrides`: options that override the configuration.
//! * `dev`: runs a server on an embedded broker with sample events.
//! * `config_report`: the text that `check-config` prints.

mod config_report;
pub mod dev;
mod overrides;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use self::overrides::Overrides;
use crate::config::{Config, Logging, Problem, Reading, place_problems};
use crate::kafka::{KafkaClient, KafkaClientError, Probe, probe, refused_properties};
use crate::server::{Listeners, Server};
use crate::shutdown::Shutdown;
use crate::stream::{LoadError, Topic, load_catalog};
use crate::telemetry::logs;

/// Public event streams: Kafka topics to Server-Sent Events.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::DevArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve sample streams out of an embedded Kafka broker: for a first look, and for development.
    Dev(dev::DevArgs),
    /// Serve the streams of a configuration file.
    Serve(ServeArgs),
    /// Say what is understood of a configuration file, or what is wrong with it and where.
    CheckConfig {
        /// The operator's file.
        file: PathBuf,
        /// Ask Kafka for each topic too: whether it exists, has leaders, and may be read
        #[arg(long)]
        connect: bool,
    },
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The operator's file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

/// `EX_USAGE` of sysexits.h: what the operator gave cannot be used.
const EXIT_CONFIG: u8 = 64;

/// A configuration that cannot be used: exit code 64.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unusable(#[from] anyhow::Error);

/// Does what the command line asks for.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return failed(&anyhow::Error::new(error).context("the async runtime cannot start"));
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            None => dev::run(cli.dev).await,
            Some(Command::Dev(args)) => dev::run(args).await,
            Some(Command::Serve(args)) => serve(&args).await,
            Some(Command::CheckConfig { file, connect }) => check(&file, connect).await,
        }
    });
    // Whatever is left of the runtime (a look-up that Kafka never answers) is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    logs::fatal(&format!("{error:#}"));
    let config = error.is::<Unusable>() || error.is::<KafkaClientError>();
    let config = config
        || error
            .downcast_ref::<LoadError>()
            .is_some_and(LoadError::stays);
    if config {
        ExitCode::from(EXIT_CONFIG)
    } else {
        ExitCode::FAILURE
    }
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let read = Read::of(&args.config);
    // As far as the file can be understood: why it cannot be used belongs into the log.
    logs::start(&read.logging(), read.service_name());
    let mut config = read.usable()?;
    args.overrides.apply(&mut config);
    if config.kafka.brokers().is_none() {
        let missing = anyhow::anyhow!(
            "no Kafka brokers: set kafka's metadata.broker.list in the file, or --brokers"
        );
        return Err(Unusable(missing).into());
    }
    let shutdown = Shutdown::default();
    shutdown.on_signals().context("signals")?;
    let listeners = Listeners::bind(&config)?;
    for listener in &listeners.public {
        tracing::info!(address = %listener.local_addr()?, "listening");
    }
    for listener in &listeners.admin {
        tracing::info!(address = %listener.local_addr()?, "metrics and health");
    }
    Server::start(config, Some(args.config.clone()), shutdown)
        .await?
        .serve(listeners)
        .await
}

async fn check(file: &Path, connect: bool) -> anyhow::Result<()> {
    let mut read = Read::of(file);
    let loaded = match &read.config {
        Some(config) => Some(load_catalog(&config.streams, &config.http.user_agent).await),
        None => None,
    };
    match loaded {
        Some(Ok(loaded)) => {
            let config = read.usable()?;
            print!("{}", config_report::describe(&config, &loaded.catalog));
            if connect {
                ask_kafka(config, loaded.catalog.topics()).await
            } else {
                Ok(())
            }
        }
        Some(Err(error)) => {
            read.add(&error);
            read.usable().map(drop)
        }
        None => read.usable().map(drop),
    }
}

/// Says of each topic whether it can be read.
async fn ask_kafka(config: Config, topics: BTreeSet<Topic>) -> anyhow::Result<()> {
    let Some(brokers) = config.kafka.brokers().map(str::to_owned) else {
        anyhow::bail!("no Kafka brokers to ask: set kafka's metadata.broker.list");
    };
    let client = KafkaClient::new(&config.kafka.properties, Arc::default(), Arc::default());
    let asked = tokio::task::spawn_blocking(move || probe(&client, &topics))
        .await
        .context("asking Kafka")?;
    let Probe {
        brokers: found,
        topics,
    } = asked.with_context(|| format!("brokers {brokers}"))?;
    println!("\ntopics in Kafka, of {found} brokers");
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

/// The operator's file, and everything that is wrong with it as far as nobody else is asked.
struct Read {
    file: PathBuf,
    text: String,
    config: Option<Config>,
    problems: Vec<Problem>,
    /// The file itself cannot be read.
    unread: Option<std::io::Error>,
}

impl Read {
    fn of(file: &Path) -> Self {
        let (text, unread) = match std::fs::read_to_string(file) {
            Ok(text) => (text, None),
            Err(error) => (String::new(), Some(error)),
        };
        let Reading {
            config,
            mut problems,
        } = Config::read(&text, file.parent(), std::env::vars());
        if unread.is_none()
            && let Some(config) = &config
        {
            let refused = refused_properties(&config.kafka.properties).into_iter();
            let under_kafka = |name: String| {
                if name.is_empty() {
                    "kafka".to_owned()
                } else {
                    format!("kafka.{name}")
                }
            };
            let refused = refused
                .map(|(name, what)| (under_kafka(name), what))
                .collect();
            problems.extend(place_problems(&text, refused));
        }
        Self {
            file: file.to_owned(),
            text,
            config,
            problems,
            unread,
        }
    }

    /// What is wrong with stream configuration, if that is not the consequence of what is wrong already.
    fn add(&mut self, error: &LoadError) {
        if self.problems.is_empty() || !error.may_be_a_consequence() {
            self.problems
                .extend(place_problems(&self.text, error.problems()));
        }
    }

    fn logging(&self) -> Logging {
        self.config
            .as_ref()
            .map_or(Logging::DEFAULT, |config| config.logging.clone())
    }

    fn service_name(&self) -> &str {
        self.config
            .as_ref()
            .map_or("eventstreams", |config| &config.service_name)
    }

    fn usable(mut self) -> anyhow::Result<Config> {
        let file = self.file.display();
        if let Some(error) = self.unread {
            return Err(
                Unusable(anyhow::Error::new(error).context(format!("cannot read {file}"))).into(),
            );
        }
        self.problems
            .sort_by_key(|problem| problem.line.unwrap_or(u64::MAX));
        let usable = Reading {
            config: self.config,
            problems: self.problems,
        }
        .usable();
        Ok(usable
            .with_context(|| format!("{file} cannot be used"))
            .map_err(Unusable)?)
    }
}
