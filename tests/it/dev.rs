//! `eventstreams dev` as a program: rates, signals, a persistent folder.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::admin::{Cluster, LogRecord};
use crate::support::deadline::{eventually, within};

/// A signal ends it within a second. This limit allows for a slow, shared machine.
const SOON: Duration = Duration::from_secs(10);

/// `eventstreams dev` on free ports. Dropping it kills it.
struct Dev(Child);

impl Dev {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eventstreams"));
        command
            .args(["dev", "--port", "0", "--admin-port", "0"])
            .args(args);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(child.spawn().expect("the program starts"))
    }

    /// Its broker, once it is ready.
    async fn cluster(&mut self) -> Cluster {
        let stdout = self.0.stdout.take().expect("standard output is a pipe");
        let address = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout)
                .lines()
                .map(|line| line.expect("a line of text"));
            let greeting = lines
                .find(|line| line.contains("embedded Kafka broker"))
                .expect("a greeting");
            let (_, address) = greeting.rsplit_once(' ').expect("words");
            // A closed pipe would end the program when it prints.
            std::thread::spawn(move || lines.count());
            address.trim_end_matches(')').to_owned()
        });
        Cluster::new(&within("the greeting", address).await.expect("no panic"))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("the process exists");
    }

    async fn wait_for_exit(&mut self) -> ExitStatus {
        eventually("the program to end", async || {
            self.0.try_wait().expect("it can be waited for")
        })
        .await
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const TOPIC: &str = "eqiad.mediawiki.recentchange";

fn ids(records: &[LogRecord]) -> BTreeSet<String> {
    let value = |record: &LogRecord| {
        serde_json::from_slice::<serde_json::Value>(record.value.as_deref().expect("a value"))
    };
    let id = |record| {
        value(record).expect("an event")["meta"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    records.iter().map(id).collect()
}

/// The log, once it has `count` records.
async fn log_of(cluster: &Cluster, count: usize) -> Vec<LogRecord> {
    eventually(format!("{count} records"), async || {
        let log = cluster.log(TOPIC).await;
        (log.len() >= count).then_some(log)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_folder_is_continued() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |folder: &Path| folder.to_str().expect("text").to_owned();
    let args = ["--rate", "20", "--data", &path(folder.path())];
    let mut first = Dev::start(&args);
    let cluster = first.cluster().await;
    let before = log_of(&cluster, 1000).await;
    first.signal(Signal::INT);
    assert!(first.wait_for_exit().await.success());
    let mut second = Dev::start(&args);
    let cluster = second.cluster().await;
    let kept = cluster.log(TOPIC).await.len();
    let after = log_of(&cluster, kept + 20).await;
    assert_eq!(before[..], after[..before.len()], "what was there is there");
    assert_eq!(ids(&after).len(), after.len(), "every id once");
    assert!(
        after
            .windows(2)
            .all(|pair| pair[0].timestamp <= pair[1].timestamp),
        "time does not go back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_at_once_while_it_produces_history() {
    // The history has twenty thousand events.
    let mut dev = Dev::start(&["--rate", "33"]);
    let cluster = dev.cluster().await;
    log_of(&cluster, 1).await;
    let signalled = Instant::now();
    dev.signal(Signal::INT);
    let status = dev.wait_for_exit().await;
    assert!(signalled.elapsed() < SOON, "{:?}", signalled.elapsed());
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_rate_is_refused_with_a_message() {
    for rate in ["100000", "0", "many"] {
        let output = Command::new(env!("CARGO_BIN_EXE_eventstreams"))
            .args(["dev", "--rate", rate])
            .output();
        let output = output.expect("the program starts");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(
            words.contains("--rate") && words.contains("events a second"),
            "{words}"
        );
    }
}
