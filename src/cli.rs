//! The command line: `dev` (what no subcommand does too), `serve`, `check-config`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, check_config, place_refused};
use crate::dev;
use crate::kafka::refused_properties;
use crate::server::{Listeners, Server};
use crate::shutdown::Shutdown;
use crate::stream::{LoadError, load_catalog};
use crate::telemetry;

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
    },
}

/// What overrides the configuration, for `serve` and `dev`.
#[derive(Clone, Debug, Default, Args)]
pub struct Overrides {
    /// The public port
    #[arg(long)]
    pub port: Option<u16>,
    /// The port of metrics and health
    #[arg(long)]
    pub admin_port: Option<u16>,
    /// Kafka's brokers, `host:port` with commas between them
    #[arg(long, value_name = "LIST")]
    pub brokers: Option<String>,
}

impl Overrides {
    /// Puts them over what the file says.
    pub fn apply(&self, config: &mut Config) {
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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("the async runtime cannot start")),
    };
    let result = runtime.block_on(async {
        match cli.command {
            None => dev::run(cli.dev).await,
            Some(Command::Dev(args)) => dev::run(args).await,
            Some(Command::Serve(args)) => serve(&args).await,
            Some(Command::CheckConfig { file }) => check(&file).await,
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
    eprintln!("eventstreams: {error:#}");
    let config = error.is::<Unusable>() || error.is::<LoadError>();
    if config { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let mut config = read(&args.config)?;
    args.overrides.apply(&mut config);
    telemetry::start(&config.logging, &config.service_name);
    if config.kafka.brokers().is_none() {
        let missing = anyhow::anyhow!("no Kafka brokers: set kafka's metadata.broker.list in the file, or --brokers");
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
    Server::start(config, Some(args.config.clone()), shutdown).await?.serve(listeners).await
}

async fn check(file: &Path) -> anyhow::Result<()> {
    let config = read(file)?;
    let loaded = load_catalog(&config.streams, &config.http.user_agent).await;
    let loaded = loaded?;
    print!("{}", check_config::describe(&config, &loaded.catalog));
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display())).map_err(Unusable)?;
    let config = Config::parse(&text, std::env::vars());
    let config = config.and_then(|config| {
        let refused = refused_properties(&config.kafka.properties);
        if refused.is_empty() { Ok(config) } else { Err(place_refused(&text, refused)) }
    });
    Ok(config.with_context(|| format!("{} cannot be used", file.display())).map_err(Unusable)?)
}
