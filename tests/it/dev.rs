//! `eventstreams dev` as a program: rates, signals, a persistent folder.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::admin::{Cluster, LogRecord, unique};
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

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
        self.ready().await.0
    }

    /// Its broker and its public address, once it is ready.
    async fn ready(&mut self) -> (Cluster, SocketAddr) {
        let stdout = self.0.stdout.take().expect("standard output is a pipe");
        let greeting = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout)
                .lines()
                .map(|line| line.expect("a line of text"));
            let greeting = lines
                .find(|line| line.contains("embedded Kafka broker"))
                .expect("a greeting");
            // A closed pipe would end the program when it prints.
            std::thread::spawn(move || lines.count());
            greeting
        });
        let greeting = within("the greeting", greeting).await.expect("no panic");
        let (_, brokers) = greeting.rsplit_once(' ').expect("words");
        let port = greeting
            .split([':', ' '])
            .find_map(|word| word.parse().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
        (Cluster::new(brokers.trim_end_matches(')')), address)
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

on_both_brokers!(
    async fn the_events_of_another_server_are_served_after_every_kill(cluster: Cluster) {
        let topic = unique("eqiad.source");
        cluster.create_topic(&topic, 2).await;
        let settings = format!("{{topics: [{topic}], stream_aliases: [short]}}");
        let settings = Settings::default().stream_with("s", &settings);
        let server = TestServer::start(&cluster, &settings).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().to_str().expect("text").to_owned();
        let url = format!("http://{}/v2/stream/short?since={TIME}", server.address);
        let args = ["--from", &url, "--data", &data];
        let mut produced = 0;
        for kills in 1..=3 {
            let mut dev = Dev::start(&args);
            let (local, address) = dev.ready().await;
            // It is killed, at its drop, while it appends the second half.
            for count in [kills * 100, kills * 100 + 50] {
                let records = produced..count;
                produced = count;
                let record = |n| record(&topic, i32::from(n % 2 == 0), TIME + to_i64(n), n);
                cluster.produce_many("none", records.map(record)).await;
                eventually("most events", async || {
                    (local.log(&topic).await.len() + 20 > produced).then_some(())
                })
                .await;
            }
            let mut events = Request::get(format!("/v2/stream/short?since={TIME}"))
                .subscribe(address)
                .await;
            let expected: Vec<_> = (0..kills * 100).collect();
            assert_eq!(numbers(&events.events(expected.len()).await), expected);
        }
        let mut dev = Dev::start(&args);
        let local = dev.cluster().await;
        eventually("all events", async || {
            (local.log(&topic).await.len() >= produced).then_some(())
        })
        .await;
        let both = [local.log(&topic).await, cluster.log(&topic).await];
        let [local, source] = both.map(|log| {
            let place = |record: &LogRecord| (record.partition, record.offset, record.timestamp);
            log.iter().map(place).collect::<BTreeSet<_>>()
        });
        assert_eq!(local, source);
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_answer_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_eventstreams"))
        .args(["dev", "--from", "http://127.0.0.1:1"])
        .output();
    let output = output.expect("the program starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("--from http://127.0.0.1:1: no response"),
        "{words}"
    );
}
