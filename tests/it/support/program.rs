//! The program as an operator starts it, with a file, an environment, a log and signals.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::admin::Cluster;
use super::deadline::eventually;
use super::server::sample_in;
use super::wire::Request;

/// A configuration of one stream, `s`, of one topic.
pub fn stream_yaml(cluster: &Cluster, topic: &str) -> String {
    format!(
        "kafka: {{metadata.broker.list: '{}'}}\n\
         stream_config_defaults: {{s: {{topics: [{topic}]}}}}\n",
        cluster.brokers
    )
}

/// `eventstreams serve -c FILE` on free ports of loopback. Dropping it kills it.
pub struct Program {
    /// The public address.
    pub address: SocketAddr,
    /// The admin address.
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    folder: TempDir,
}

impl Program {
    /// Starts it with this configuration and environment. Names in `env` lack `EVENTSTREAMS__`,
    /// except those of OpenTelemetry.
    pub async fn start(text: &str, env: &[(&str, &str)]) -> Self {
        Self::start_on_port(0, text, env).await
    }

    /// [`Self::start`] on this public port.
    pub async fn start_on_port(port: u16, text: &str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, text).expect("the file is written");
        let defaults = [
            ("INTERFACE", "127.0.0.1"),
            ("ADMIN_INTERFACE", "127.0.0.1"),
            ("LOG_FORMAT", "json"),
            ("DRAIN_MS", "0"),
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_eventstreams"))
            .args([
                "serve",
                "--port",
                &port.to_string(),
                "--admin-port",
                "0",
                "-c",
            ])
            .arg(&file)
            .env_remove("RUST_LOG")
            .envs(
                defaults
                    .iter()
                    .chain(env)
                    .map(|(name, value)| (variable(name), *value)),
            )
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let written = Arc::clone(&log);
        std::thread::spawn(move || keep_log(stderr, &written));
        let (address, admin) = (
            logged_address(&log, "listening").await,
            logged_address(&log, "metrics and health").await,
        );
        Self {
            address,
            admin,
            child,
            log,
            folder,
        }
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Waits until it serves streams.
    pub async fn wait_until_ready(&self) {
        let ready =
            async || (Request::get("/readyz").send(self.admin).await.status == 200).then_some(());
        eventually(
            format!(
                "the program to be ready; its log: {:#?}",
                self.log.lock().expect("no panic")
            ),
            ready,
        )
        .await;
    }

    /// Waits for a line of the log that matches.
    pub async fn wait_for_log(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            self.log
                .lock()
                .expect("no panic")
                .iter()
                .find(|line| matches(line))
                .cloned()
        })
        .await
    }

    /// The log so far.
    pub fn log_text(&self) -> String {
        self.log
            .lock()
            .expect("no panic")
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it can be waited for")
            .is_none()
    }

    /// The value of a sample in `/metrics`, 0 when it is absent.
    pub async fn metric(&self, sample: &str) -> u64 {
        let metrics = Request::get("/metrics").send(self.admin).await.text().await;
        sample_in(&metrics, sample).map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("the process exists");
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        eventually("the program to end", async || {
            self.child.try_wait().expect("it can be waited for")
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn variable(name: &str) -> String {
    if name.starts_with("OTEL_") {
        name.to_owned()
    } else {
        format!("EVENTSTREAMS__{name}")
    }
}

fn keep_log(stderr: ChildStderr, log: &Mutex<Vec<Value>>) {
    for line in BufReader::new(stderr).lines() {
        let line = line.expect("a line of text");
        let parsed = serde_json::from_str(&line).unwrap_or(Value::String(line));
        log.lock().expect("no panic").push(parsed);
    }
}

async fn logged_address(log: &Mutex<Vec<Value>>, message: &str) -> SocketAddr {
    eventually(format!("the program to log {message:?}"), async || {
        let log = log.lock().expect("no panic");
        let line = log.iter().find(|line| line["message"] == message)?;
        line["labels"]["address"].as_str()?.parse().ok()
    })
    .await
}
