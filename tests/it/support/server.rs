//! An EventStreams server in the process of the test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use eventstreams::config::Config;
use eventstreams::server::{Listeners, Server};
use eventstreams::shutdown::Shutdown;
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;

use super::admin::Cluster;
use super::deadline::{eventually, within};
use super::wire::Request;

/// The configuration of a test: streams, and keys that replace the defaults of the tests.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    streams: String,
    keys: String,
    kafka: String,
}

impl Settings {
    /// Adds a stream of these topics.
    pub fn stream(mut self, name: &str, topics: &[&str]) -> Self {
        let topics = topics.join(", ");
        write!(self.streams, "\n  {name}: {{topics: [{topics}]}}").expect("a String");
        self
    }

    /// Adds a stream with settings in YAML.
    pub fn stream_with(mut self, name: &str, settings: &str) -> Self {
        write!(self.streams, "\n  {name}: {settings}").expect("a String");
        self
    }

    /// Sets a key to a value in YAML.
    pub fn key(mut self, key: &str, value: &str) -> Self {
        write!(self.keys, "\n{key}: {value}").expect("a String");
        self
    }

    /// Sets a librdkafka property to a value in YAML.
    pub fn kafka(mut self, property: &str, value: &str) -> Self {
        write!(self.kafka, ", {property}: {value}").expect("a String");
        self
    }

    /// The configuration file for these brokers.
    pub fn yaml(&self, brokers: &str) -> String {
        let defaults = [
            ("port", "0"),
            ("interface", "127.0.0.1"),
            ("admin_interface", "127.0.0.1"),
            ("drain_delay_ms", "0"),
            ("drain_ms", "0"),
            ("metadata_refresh_ms", "1000"),
        ];
        let mut yaml = format!(
            "kafka: {{metadata.broker.list: '{brokers}'{}}}\nstream_config_defaults:{}",
            self.kafka, self.streams
        );
        for (key, value) in defaults {
            if !self.keys.contains(&format!("\n{key}:")) {
                write!(yaml, "\n{key}: {value}").expect("a String");
            }
        }
        yaml + self.keys.as_str() + "\n"
    }
}

/// A running server. Dropping it shuts it down.
pub struct TestServer {
    /// The public address.
    pub address: SocketAddr,
    /// The admin address.
    pub admin: SocketAddr,
    shutdown: Shutdown,
    running: Option<JoinHandle<()>>,
    brokers: String,
    file: NamedTempFile,
}

impl TestServer {
    /// Starts a server for `cluster` and waits until it is ready.
    pub async fn start(cluster: &Cluster, settings: &Settings) -> Self {
        let server = Self::start_without_waiting(&cluster.brokers, settings);
        server.wait_until_ready().await;
        server
    }

    /// Starts a server, which may not find its brokers.
    pub fn start_without_waiting(brokers: &str, settings: &Settings) -> Self {
        let yaml = settings.yaml(brokers);
        let mut config = Config::parse(&yaml, std::iter::empty())
            .unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        config.http.admin_port = Some(0);
        let listeners = Listeners::bind(&config).expect("two ports on loopback");
        let address = listeners.public[0].local_addr().expect("an address");
        let admin = listeners.admin[0].local_addr().expect("an address");
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(yaml.as_bytes())
            .expect("the configuration is written");
        let path = file.path().to_owned();
        let shutdown = Shutdown::default();
        let signal = shutdown.clone();
        let running = tokio::spawn(async move {
            let server = Server::start(config, Some(path), signal).await;
            let server = server.unwrap_or_else(|error| panic!("the server cannot start: {error}"));
            if let Err(error) = server.serve(listeners).await {
                panic!("the server cannot end: {error:#}");
            }
        });
        Self {
            address,
            admin,
            shutdown,
            running: Some(running),
            brokers: brokers.to_owned(),
            file,
        }
    }

    /// Waits until it serves streams.
    pub async fn wait_until_ready(&self) {
        eventually("the server to be ready", async || {
            let response = Request::get("/readyz").send(self.admin).await;
            (response.status == 200).then_some(())
        })
        .await;
    }

    /// Writes an invalid file and waits until a reload fails.
    pub async fn write_invalid_configuration(&self, text: &str) {
        let sample = "eventstreams_config_reloads_total{reason=\"failed\"}";
        std::fs::write(self.file.path(), text).expect("the file is written");
        eventually("a failed reload", async || {
            (self.metric(sample).await > 0).then_some(())
        })
        .await;
    }

    /// Writes new settings into the server's file and waits until they apply.
    pub async fn reconfigure(&self, settings: &Settings) {
        let sample = "eventstreams_config_reloads_total{reason=\"ok\"}";
        let before = self.metric(sample).await;
        std::fs::write(self.file.path(), settings.yaml(&self.brokers))
            .expect("the configuration is written");
        eventually("a reload", async || {
            (self.metric(sample).await > before).then_some(())
        })
        .await;
    }

    /// Writes new settings and waits until the reload fails.
    pub async fn reconfigure_and_expect_failure(&self, settings: &Settings) {
        let sample = "eventstreams_config_reloads_total{reason=\"failed\"}";
        let before = self.metric(sample).await;
        std::fs::write(self.file.path(), settings.yaml(&self.brokers))
            .expect("the configuration is written");
        eventually("a refused reload", async || {
            (self.metric(sample).await > before).then_some(())
        })
        .await;
    }

    /// Starts the shutdown, as SIGTERM does, without waiting for it.
    pub fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    /// Shuts down, as at SIGTERM, and waits until the last stream ends.
    pub async fn stop(mut self) {
        self.shutdown.begin();
        let running = self.running.take().expect("it runs");
        within("the server to end", running)
            .await
            .expect("it ends without a panic");
    }

    /// See [`metric`].
    pub async fn metric(&self, sample: &str) -> u64 {
        metric(self.admin, sample).await
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        Request::get("/metrics").send(self.admin).await.text().await
    }
}

/// The value of a sample in `/metrics` of the admin address, 0 when it is absent. The sample is
/// named with its labels.
pub async fn metric(admin: SocketAddr, sample: &str) -> u64 {
    let text = Request::get("/metrics").send(admin).await.text().await;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().expect("a whole number"))
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// The value of a sample in a text of `/metrics`, if present.
pub fn sample_in(metrics: &str, sample: &str) -> Option<String> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
        .map(str::to_owned)
}
