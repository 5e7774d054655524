//! `eventstreams dev`: runs a server on an embedded broker, with sample events or those of another
//! server.
//!
//! * `sample_feed`: fills the broker with sample events.
//! * `remote_feed`: fills it with the events of another server. `remote_source`: which these are.
//! * `http_streams`: streams that clients write over HTTP.

mod http_streams;
mod remote_feed;
mod remote_source;
mod sample_feed;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use dev_broker::{BrokerConfig, DevBroker, TopicSpec};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use self::http_streams::HttpStreams;
use self::remote_feed::RemoteFeed;
use self::remote_source::RemoteSource;
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
    /// Serve the events of another server instead of sample events, from now on. The URL may name
    /// streams and have parameters: `https://server/v2/stream/a,b?since=2026-11-28`. With --data,
    /// reading goes on where it stopped
    #[arg(long, value_name = "URL", conflicts_with_all = ["rate", "seed", "brokers"])]
    from: Option<String>,
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

/// The stream of the example, where there is one of this alias.
const EXAMPLE: &str = "recentchange";

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
    logs::start(&config.logging, &config.service_name);
    let remote = match &args.from {
        Some(url) => Some(RemoteSource::of_url(url).await?),
        None => None,
    };
    config.streams.defaults = match &remote {
        Some(remote) => remote.settings(),
        None => sample_settings(),
    };
    let listeners = Listeners::bind(&config)?;
    let broker = match args.overrides.brokers {
        Some(_) => None,
        None => Some(start_broker(&args, remote.as_ref()).await?),
    };
    let mut feed = None;
    if let Some(broker) = &broker {
        config.kafka.set_brokers(&broker.address().to_string());
        let broker = Arc::clone(broker);
        feed = Some(match remote {
            Some(remote) => {
                let feed = RemoteFeed::new(broker, remote, args.data.clone())?;
                start_remote_feed(feed, shutdown.clone())
            }
            None => start_sample_feed(
                SampleFeed::new(broker, args.seed, args.rate),
                shutdown.clone(),
            )?,
        });
    }
    let brokers = config.kafka.brokers().unwrap_or_default();
    let kind = match (&args.from, &broker) {
        (Some(url), _) => format!("embedded Kafka broker with the events of {url}"),
        (None, Some(_)) => "embedded Kafka broker with sample events".to_owned(),
        (None, None) => "Kafka".to_owned(),
    };
    let source = format!("{kind}: {brokers}");
    let greeting = greeting(&listeners, &source, &config.streams.defaults);
    let server = Server::start(config, None, shutdown).await?;
    if let Some(broker) = &broker {
        server.set_writable(Arc::new(HttpStreams::new(broker)));
    }
    let mut ready = server.watch_ready();
    tokio::spawn(async move {
        if ready.wait_for(|ready| *ready).await.is_ok() {
            println!("{greeting}\nUp in {} ms.", started.elapsed().as_millis());
        }
    });
    server.serve(listeners).await?;
    if let Some(feed) = feed {
        feed.await.context("the events")??;
    }
    if let Some(broker) = broker.and_then(Arc::into_inner) {
        broker.stop().await;
    }
    Ok(())
}

/// Fills the broker in a task. The receiver gets its result.
fn start_remote_feed(
    feed: RemoteFeed,
    shutdown: Shutdown,
) -> oneshot::Receiver<anyhow::Result<()>> {
    let (sender, result) = oneshot::channel();
    tokio::spawn(async move { drop(sender.send(feed.run(&shutdown).await)) });
    result
}

/// Fills the broker on a thread of its own. The receiver gets the result of the thread.
fn start_sample_feed(
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
fn sample_settings() -> Map<String, Value> {
    match sample_events::stream_config() {
        Value::Object(mut document) => match document.remove("streams") {
            Some(Value::Object(streams)) => streams,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

async fn start_broker(
    args: &DevArgs,
    remote: Option<&RemoteSource>,
) -> anyhow::Result<Arc<DevBroker>> {
    let samples = || {
        let topics = sample_events::topics().into_iter();
        topics
            .map(|(name, partitions)| TopicSpec { name, partitions })
            .collect()
    };
    let topics = remote.map_or_else(samples, RemoteSource::topics);
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
fn greeting(listeners: &Listeners, source: &str, streams: &Map<String, Value>) -> String {
    let port = |listeners: &[tokio::net::TcpListener]| {
        listeners
            .first()?
            .local_addr()
            .ok()
            .map(|address| address.port())
    };
    let public = port(&listeners.public).unwrap_or_default();
    let mut text = format!("EventStreams on http://localhost:{public}  ({source})\n");
    if let Some(admin) = port(&listeners.admin) {
        let _ = writeln!(
            text,
            "Metrics and health on http://localhost:{admin}/metrics, /readyz"
        );
    }
    text += "\nStreams:\n";
    for (name, settings) in streams {
        let aliases = settings.get("stream_aliases").and_then(Value::as_array);
        let aliases: Vec<_> = aliases
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let _ = writeln!(text, "  {name:45} {}", aliases.join(", "));
    }
    let has_alias = |settings: &Value| {
        let aliases = settings["stream_aliases"].as_array();
        aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == EXAMPLE))
    };
    let first = match streams.keys().next() {
        Some(first) if !streams.values().any(has_alias) => first,
        _ => EXAMPLE,
    };
    text + &format!("\nTry:\n  curl -N http://localhost:{public}/v2/stream/{first}\n")
}
