//! `eventstreams dev`: runs a server on an embedded broker with sample events.
//!
//! * `sample_feed`: fills the broker.

mod sample_feed;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use dev_broker::{BrokerConfig, DevBroker, TopicSpec};
use tokio::sync::oneshot;

use self::sample_feed::{SampleFeed, parse_rate};
use super::error::CliError;
use super::overrides::Overrides;
use crate::config::Config;
use crate::server::{Listeners, Server};
use crate::shutdown::Shutdown;
use crate::telemetry::logs;

/// Options of `eventstreams dev`.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    #[command(flatten)]
    overrides: Overrides,
    /// Sample events a second over all topics: 0.001 to 5000. The broker starts with ten minutes of
    /// them, or with 20000
    #[arg(long, default_value_t = 30.0, value_parser = parse_rate)]
    rate: f64,
    /// The seed of the sample events: the same seed gives the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the topics of the embedded broker in this folder: 8 MiB of each partition
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port of the embedded broker; 0 takes any free port
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    broker_port: u16,
}

/// The configuration of `dev`, as an operator would write it.
const CONFIG: &str = include_str!("../../config/dev.yaml");

/// Bytes of records in each of the 22 partitions of the samples: 176 MiB in all, and some minutes
/// of the busiest partition at 30 events a second.
const RETENTION_BYTES_PER_PARTITION: u64 = 8 << 20;

/// How long a shutdown may take. The operating system cleans up what is left.
const SHUTDOWN_MAX: Duration = Duration::from_millis(800);

/// Runs until SIGTERM or SIGINT.
pub(super) async fn run(args: DevArgs) -> Result<(), CliError> {
    let shutdown = Shutdown::default();
    shutdown.on_signals().context("signals")?;
    let timeout = async {
        shutdown.announced().await;
        tokio::time::sleep(SHUTDOWN_MAX).await;
    };
    tokio::select! {
        result = run_until(args, shutdown.clone()) => result,
        // Nothing is lost: an appended record is in the folder at once.
        () = timeout => Ok(()),
    }
}

async fn run_until(args: DevArgs, shutdown: Shutdown) -> Result<(), CliError> {
    let started = Instant::now();
    let mut config =
        Config::parse(CONFIG, std::env::vars()).context("config/dev.yaml and the environment")?;
    args.overrides.apply(&mut config);
    config.streams.defaults = stream_settings();
    logs::start(&config.logging, &config.service_name);
    let listeners = Listeners::bind(&config)?;
    let broker = match args.overrides.brokers {
        Some(_) => None,
        None => Some(start_broker(&args).await?),
    };
    let mut feed = None;
    if let Some(broker) = &broker {
        config.kafka.set_brokers(&broker.address().to_string());
        let samples = SampleFeed::new(Arc::clone(broker), args.seed, args.rate);
        feed = Some(start_feed(samples, shutdown.clone())?);
    }
    let brokers = config.kafka.brokers().unwrap_or_default();
    let greeting = greeting(&listeners, brokers, broker.is_some());
    let server = Server::start(config, None, shutdown).await?;
    let mut ready = server.watch_ready();
    tokio::spawn(async move {
        if ready.wait_for(|ready| *ready).await.is_ok() {
            println!("{greeting}\nUp in {} ms.", started.elapsed().as_millis());
        }
    });
    server.serve(listeners).await?;
    if let Some(feed) = feed {
        feed.await.context("the samples")??;
    }
    if let Some(broker) = broker.and_then(Arc::into_inner) {
        broker.stop().await;
    }
    Ok(())
}

/// Fills the broker on a thread of its own. The receiver gets the result of the thread.
fn start_feed(
    feed: SampleFeed,
    shutdown: Shutdown,
) -> anyhow::Result<oneshot::Receiver<anyhow::Result<()>>> {
    let (sender, result) = oneshot::channel();
    let run = move || drop(sender.send(feed.run(&shutdown)));
    std::thread::Builder::new()
        .name("samples".to_owned())
        .spawn(run)
        .context("a thread for the samples")?;
    Ok(result)
}

/// The stream configuration of the samples.
fn stream_settings() -> serde_json::Map<String, serde_json::Value> {
    match sample_events::stream_config() {
        serde_json::Value::Object(mut document) => match document.remove("streams") {
            Some(serde_json::Value::Object(streams)) => streams,
            _ => serde_json::Map::new(),
        },
        _ => serde_json::Map::new(),
    }
}

async fn start_broker(args: &DevArgs) -> anyhow::Result<Arc<DevBroker>> {
    let topics = sample_events::topics()
        .into_iter()
        .map(|(name, partitions)| TopicSpec { name, partitions })
        .collect();
    let listen = ([127, 0, 0, 1], args.broker_port).into();
    let config = BrokerConfig {
        listen,
        data: args.data.clone(),
        topics,
        retention_bytes_per_partition: RETENTION_BYTES_PER_PARTITION,
        ..BrokerConfig::default()
    };
    let broker = DevBroker::start(config)
        .await
        .context("the embedded broker")?;
    Ok(Arc::new(broker))
}

/// What `dev` prints on standard output: the addresses, the streams and an example.
fn greeting(listeners: &Listeners, brokers: &str, embedded: bool) -> String {
    let port = |listeners: &[tokio::net::TcpListener]| {
        listeners
            .first()?
            .local_addr()
            .ok()
            .map(|address| address.port())
    };
    let public = port(&listeners.public).unwrap_or_default();
    let kind = if embedded {
        "embedded Kafka broker with sample events"
    } else {
        "Kafka"
    };
    let mut text = format!("EventStreams on http://localhost:{public}  ({kind}: {brokers})\n");
    if let Some(admin) = port(&listeners.admin) {
        let _ = writeln!(
            text,
            "Metrics and health on http://localhost:{admin}/metrics, /readyz"
        );
    }
    text += "\nStreams:\n";
    for (name, settings) in &stream_settings() {
        let aliases = settings
            .get("stream_aliases")
            .and_then(serde_json::Value::as_array);
        let aliases: Vec<_> = aliases
            .into_iter()
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .collect();
        let _ = writeln!(text, "  {name:45} {}", aliases.join(", "));
    }
    text + &format!("\nTry:\n  curl -N http://localhost:{public}/v2/stream/recentchange\n")
}
