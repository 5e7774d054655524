//! `eventstreams dev`: a server on an embedded broker that is filled with sample events. Not reachable from `serve`.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;

use crate::cli::Overrides;
use crate::config::Config;
use crate::cursor::TimestampMs;
use crate::dev_broker::samples::{self, SampleEvent, Samples};
use crate::dev_broker::{BrokerConfig, DevBroker, NewRecord, TopicSpec};
use crate::server::{Listeners, Server};
use crate::shutdown::Shutdown;
use crate::telemetry;

/// Options of `eventstreams dev`.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    #[command(flatten)]
    overrides: Overrides,
    /// Sample events a second, over all topics
    #[arg(long, default_value_t = 30.0)]
    rate: f64,
    /// Another seed gives other sample events, the same one the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the embedded broker's topics in this folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The embedded broker's port; any free one by default
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    broker_port: u16,
}

/// The configuration of `dev`, as an operator would write it.
const CONFIG: &str = include_str!("../config/dev.yaml");

/// The past that an empty broker is filled with.
const PAST: Duration = Duration::from_mins(10);

/// How often new sample events are due.
const TICK: Duration = Duration::from_millis(10);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When a port or the folder cannot be used.
pub async fn run(args: DevArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut config = Config::parse(CONFIG, std::env::vars()).context("config/dev.yaml and the environment")?;
    args.overrides.apply(&mut config);
    config.streams.defaults = stream_settings();
    telemetry::start(&config.logging, &config.service_name);
    let listeners = Listeners::bind(&config)?;
    let shutdown = Shutdown::default();
    shutdown.on_signals().context("signals")?;
    let broker = match args.overrides.brokers {
        Some(_) => None,
        None => Some(start_broker(&args).await?),
    };
    if let Some(broker) = &broker {
        config.kafka.set_brokers(&broker.address().to_string());
        let begin = now_ms() - i64::try_from(PAST.as_millis()).unwrap_or(i64::MAX);
        let mut samples = Samples::new(args.seed, args.rate, begin).peekable();
        append_due(broker, &mut samples);
        tokio::spawn(produce(Arc::clone(broker), samples, shutdown.clone()));
    }
    let greeting = greeting(&listeners, config.kafka.brokers().unwrap_or_default(), broker.is_some());
    let server = Server::start(config, None, shutdown).await?;
    let mut ready = server.watch_ready();
    tokio::spawn(async move {
        if ready.wait_for(|ready| *ready).await.is_ok() {
            println!("{greeting}\nUp in {} ms.", started.elapsed().as_millis());
        }
    });
    server.serve(listeners).await?;
    if let Some(broker) = broker.and_then(Arc::into_inner) {
        broker.stop().await;
    }
    Ok(())
}

/// The streams of the samples, as stream configuration.
fn stream_settings() -> serde_json::Map<String, serde_json::Value> {
    match samples::stream_config() {
        serde_json::Value::Object(mut document) => match document.remove("streams") {
            Some(serde_json::Value::Object(streams)) => streams,
            _ => serde_json::Map::new(),
        },
        _ => serde_json::Map::new(),
    }
}

async fn start_broker(args: &DevArgs) -> anyhow::Result<Arc<DevBroker>> {
    let topics = samples::topics().into_iter().map(|(name, partitions)| TopicSpec { name, partitions }).collect();
    let listen = ([127, 0, 0, 1], args.broker_port).into();
    let config = BrokerConfig { listen, data: args.data.clone(), topics, ..BrokerConfig::default() };
    let broker = DevBroker::start(config).await.context("the embedded broker")?;
    Ok(Arc::new(broker))
}

/// Goes on in step with the clock.
async fn produce(broker: Arc<DevBroker>, mut samples: Peekable<Samples>, shutdown: Shutdown) {
    while !shutdown.has_begun() {
        append_due(&broker, &mut samples);
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.begun() => return,
        }
    }
}

/// Appends every sample event whose time has come.
fn append_due(broker: &DevBroker, samples: &mut Peekable<Samples>) {
    let now = now_ms();
    while let Some(sample) = samples.next_if(|sample| sample.timestamp_ms <= now) {
        append(broker, sample);
    }
}

fn append(broker: &DevBroker, sample: SampleEvent) {
    let record = NewRecord {
        timestamp: TimestampMs(sample.timestamp_ms),
        key: sample.key.map(Bytes::from),
        value: Some(Bytes::from(sample.value)),
    };
    if let Err(error) = broker.append(&sample.topic, sample.partition, &[record]) {
        tracing::warn!(topic = sample.topic, %error, "a sample event was not taken");
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Says where everything is: the one thing that `dev` prints on standard output.
fn greeting(listeners: &Listeners, brokers: &str, embedded: bool) -> String {
    let port = |listeners: &[tokio::net::TcpListener]| listeners.first()?.local_addr().ok().map(|address| address.port());
    let public = port(&listeners.public).unwrap_or_default();
    let kind = if embedded { "embedded Kafka broker with sample events" } else { "Kafka" };
    let mut text = format!("EventStreams on http://localhost:{public}  ({kind}: {brokers})\n");
    if let Some(admin) = port(&listeners.admin) {
        let _ = writeln!(text, "Metrics and health on http://localhost:{admin}/metrics, /readyz");
    }
    text += "\nStreams:\n";
    for (name, settings) in &stream_settings() {
        let aliases = settings.get("stream_aliases").and_then(serde_json::Value::as_array);
        let aliases: Vec<_> = aliases.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        let _ = writeln!(text, "  {name:45} {}", aliases.join(", "));
    }
    text + &format!("\nTry:\n  curl -N http://localhost:{public}/v2/stream/recentchange\n")
}
