//! An EventStreams server in the test's process, on ports of its own.

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

/// What an operator writes for a test: streams, and keys over the test's own.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    streams: String,
    keys: String,
    kafka: String,
}

impl Settings {
    /// A stream whose topics are `topics`.
    pub fn stream(mut self, name: &str, topics: &[&str]) -> Self {
        let topics = topics.join(", ");
        write!(self.streams, "\n  {name}: {{topics: [{topics}]}}").expect("a String");
        self
    }

    /// A stream with settings as YAML.
    pub fn stream_with(mut self, name: &str, settings: &str) -> Self {
        write!(self.streams, "\n  {name}: {settings}").expect("a String");
        self
    }

    /// A key of the configuration, with its value as YAML.
    pub fn key(mut self, key: &str, value: &str) -> Self {
        write!(self.keys, "\n{key}: {value}").expect("a String");
        self
    }

    /// A property of librdkafka, with its value as YAML.
    pub fn kafka(mut self, property: &str, value: &str) -> Self {
        write!(self.kafka, ", {property}: {value}").expect("a String");
        self
    }

    /// The file, with these brokers.
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
        yaml + &self.keys + "\n"
    }
}

/// A running server; dropped, it stops.
pub struct TestServer {
    /// Where the public port is.
    pub address: SocketAddr,
    /// Where the admin port is.
    pub admin: SocketAddr,
    shutdown: Shutdown,
    running: Option<JoinHandle<()>>,
    brokers: String,
    file: NamedTempFile,
}

impl TestServer {
    /// A server that reads `cluster`, ready to serve streams.
    pub async fn start(cluster: &Cluster, settings: &Settings) -> Self {
        let server = Self::start_without_waiting(&cluster.brokers, settings);
        server.wait_until_ready().await;
        server
    }

    /// A server that has not necessarily found its brokers.
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
        let ending = shutdown.clone();
        let running = tokio::spawn(async move {
            let server = Server::start(config, Some(path), ending).await;
            let result = match server {
                Ok(server) => server.serve(listeners).await,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                panic!("the server could not start: {error:#}");
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

    /// Waits until streams are served.
    pub async fn wait_until_ready(&self) {
        eventually("the server to be ready", async || {
            let response = Request::get("/readyz").send(self.admin).await;
            (response.status == 200).then_some(())
        })
        .await;
    }

    /// Writes a file that cannot be used, and waits until that was noticed.
    pub async fn write_invalid_configuration(&self, text: &str) {
        let sample = "eventstreams_config_reloads_total{reason=\"failed\"}";
        std::fs::write(self.file.path(), text).expect("the file is written");
        eventually("a failed reload", async || {
            (self.metric(sample).await > 0).then_some(())
        })
        .await;
    }

    /// Writes other settings into the server's file, and waits until they were read.
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

    /// Writes other settings, and waits until they were refused.
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

    /// Begins to leave, as at SIGTERM, and does not wait.
    pub fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    /// Leaves in order, as at SIGTERM, and returns when the last stream has ended.
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

    /// All of `/metrics`.
    pub async fn metrics(&self) -> String {
        Request::get("/metrics").send(self.admin).await.text().await
    }
}

/// The value of a metric's sample that counts whole things, as `/metrics` on `admin` names it with its labels; 0 when it is not there yet.
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

/// The value of a sample in the text of `/metrics`, if it is there.
pub fn sample_in(metrics: &str, sample: &str) -> Option<String> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
        .map(str::to_owned)
}
