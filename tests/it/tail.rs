//! `eventstreams tail` as a program: what it writes, how it goes on after a cut, how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, record, to_i64};
use crate::support::program::{Program, stream_yaml};
use crate::support::server::{Settings, TestServer};

/// A running `eventstreams tail` whose output is read. Dropping it kills it.
struct Tail {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Tail {
    fn start(server: SocketAddr, args: &[&str]) -> Self {
        let mut child = command(server, args).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        Self {
            child,
            lines: Some(BufReader::new(stdout)),
        }
    }

    /// The numbers of the next events.
    async fn numbers(&mut self, count: usize) -> Vec<usize> {
        let mut lines = self.lines.take().expect("one reader at a time");
        let read = tokio::task::spawn_blocking(move || {
            let numbers = (0..count).map(|_| {
                let mut line = String::new();
                lines.read_line(&mut line).expect("a line of text");
                number(&line)
            });
            (numbers.collect(), lines)
        });
        let (numbers, lines) = within(format!("{count} events"), read)
            .await
            .expect("numbers");
        self.lines = Some(lines);
        numbers
    }

    /// The status and standard error, once it has ended.
    async fn end(&mut self) -> (Option<i32>, String) {
        let status = eventually("the program to end", async || {
            self.child.try_wait().expect("it can be waited for")
        })
        .await;
        let mut words = String::new();
        let stderr = self
            .child
            .stderr
            .as_mut()
            .expect("standard error is a pipe");
        stderr.read_to_string(&mut words).expect("text");
        (status.code(), words)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(server: SocketAddr, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eventstreams"));
    command
        .args(["tail", "--url", &format!("http://{server}")])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end.
async fn run(server: SocketAddr, args: &[&str]) -> Output {
    let mut command = command(server, args);
    let output = tokio::task::spawn_blocking(move || command.output());
    within("the program to end", output)
        .await
        .expect("no panic")
        .expect("the program starts")
}

fn number(line: &str) -> usize {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line:?}"));
    usize::try_from(event["n"].as_u64().expect("a number")).expect("a number that fits")
}

fn numbers(output: &Output) -> Vec<usize> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines().map(number).collect()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn records(topic: &str, range: Range<usize>) -> Vec<NewRecord> {
    range
        .map(|n| record(topic, 0, TIME + to_i64(n), n))
        .collect()
}

/// A server with a stream `s` of a new topic with ten events.
async fn ten_events(cluster: &Cluster) -> (String, TestServer) {
    let topic = unique("eqiad.tail");
    cluster.create_topic(&topic, 1).await;
    cluster.produce_many("none", records(&topic, 0..10)).await;
    let settings = Settings::default().stream("s", &[&topic]);
    let server = TestServer::start(cluster, &settings).await;
    (topic, server)
}

on_both_brokers!(
    async fn it_goes_on_where_it_was_after_the_server_is_killed(cluster: Cluster) {
        let topic = unique("eqiad.tail");
        cluster.create_topic(&topic, 1).await;
        cluster.produce_many("none", records(&topic, 0..100)).await;
        let yaml = stream_yaml(&cluster, &topic);
        let first = Program::start(&yaml, &[]).await;
        first.wait_until_ready().await;
        let since = TIME.to_string();
        let mut tail = Tail::start(first.address, &["s", "--since", &since, "-n", "250"]);
        assert_eq!(tail.numbers(100).await, (0..100).collect::<Vec<_>>());
        let address = first.address;
        first.signal(Signal::KILL);
        drop(first);
        cluster
            .produce_many("none", records(&topic, 100..200))
            .await;
        let second = Program::start_on_port(address.port(), &yaml, &[]).await;
        second.wait_until_ready().await;
        assert_eq!(tail.numbers(100).await, (100..200).collect::<Vec<_>>());
        cluster
            .produce_many("none", records(&topic, 200..300))
            .await;
        assert_eq!(tail.numbers(50).await, (200..250).collect::<Vec<_>>());
        let (status, words) = tail.end().await;
        assert_eq!(status, Some(0), "{words}");
        assert!(words.contains("no connection: "), "{words}");
        assert!(
            words.ends_with("eventstreams: connected again\n"),
            "{words}"
        );
    }

    async fn a_live_stream_without_events_goes_on_where_it_began(cluster: Cluster) {
        let topic = unique("eqiad.tail");
        cluster.create_topic(&topic, 1).await;
        let yaml = stream_yaml(&cluster, &topic);
        let first = Program::start(&yaml, &[]).await;
        first.wait_until_ready().await;
        let address = first.address;
        let mut tail = Tail::start(address, &["s", "-n", "1"]);
        let streams = "eventstreams_connected_clients";
        eventually("the stream to be open", async || {
            (first.metric(&format!("{streams}{{stream=\"s\"}}")).await > 0).then_some(())
        })
        .await;
        first.signal(Signal::KILL);
        drop(first);
        cluster
            .produce_many(
                "none",
                [record(&topic, 0, crate::support::numbered::now_ms(), 7)],
            )
            .await;
        let second = Program::start_on_port(address.port(), &yaml, &[]).await;
        second.wait_until_ready().await;
        assert_eq!(tail.numbers(1).await, [7]);
        assert_eq!(tail.end().await.0, Some(0));
    }

    async fn a_range_with_a_filter_ends(cluster: Cluster) {
        let (_, server) = ten_events(&cluster).await;
        let (since, until) = ((TIME + 2).to_string(), (TIME + 8).to_string());
        let range = ["s", "--since", &since, "--until", &until];
        let output = run(server.address, &range).await;
        assert_eq!(numbers(&output), [2, 3, 4, 5, 6, 7], "{}", words(&output));
        let filtered = [
            &range[..],
            &["--filter", "event.n > 4", "-q", "max_event_bytes=9999"],
        ];
        let output = run(server.address, &filtered.concat()).await;
        assert_eq!(numbers(&output), [5, 6, 7], "{}", words(&output));
        assert_eq!(
            (output.status.code(), words(&output).as_str()),
            (Some(0), "")
        );
    }

    async fn it_ends_when_its_output_is_not_read_any_more(cluster: Cluster) {
        let (topic, server) = ten_events(&cluster).await;
        let mut tail = Tail::start(server.address, &["s", "--since", &TIME.to_string()]);
        assert_eq!(tail.numbers(2).await, [0, 1]);
        tail.lines = None;
        cluster.produce_many("none", records(&topic, 10..20)).await;
        assert_eq!(tail.end().await, (Some(0), String::new()));
    }

    async fn an_event_is_a_line_or_several(cluster: Cluster) {
        let topic = unique("eqiad.tail");
        cluster.create_topic(&topic, 1).await;
        let event = r#"{"meta":{"dt":"2026-11-28T10:00:00Z"},"type":"edit","title":"A B"}"#;
        cluster
            .produce(NewRecord::new(&topic, 0, TIME, event.to_owned()))
            .await;
        let server = TestServer::start(&cluster, &Settings::default().stream("s", &[&topic])).await;
        let since = TIME.to_string();
        let text = async |args: &[&str]| {
            let args = [&["s", "--since", &since, "-n", "1"], args].concat();
            String::from_utf8(run(server.address, &args).await.stdout).expect("UTF-8")
        };
        assert_eq!(text(&["--line"]).await, "2026-11-28 10:00:00  edit  A B\n");
        let coloured = text(&["--line", "--color", "always"]).await;
        assert!(coloured.contains("\u{1b}[1mA B\u{1b}[0m"), "{coloured:?}");
        let pretty = text(&["--pretty"]).await;
        assert!(pretty.contains("\n  \"title\": \"A B\"\n}"), "{pretty}");
    }

    async fn a_refusal_has_the_words_of_the_server(cluster: Cluster) {
        let (_, server) = ten_events(&cluster).await;
        for (args, status, part) in [
            (&["nope"][..], 1, "(400): Invalid streams: nope."),
            (
                &["s", "--filter", "event.n ="],
                1,
                "The filter is not valid, column 9",
            ),
            (
                &["s", "--url", "localhost:8092"],
                64,
                "is not an http or https URL",
            ),
            (&["s", "-q", "wiki"], 2, "such as wiki=enwiki"),
            (
                &["s", "--url", "http://127.0.0.1:1"],
                1,
                "start a server with `eventstreams dev`",
            ),
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_eventstreams"));
            command.arg("tail").args(args);
            if !args.contains(&"--url") {
                command.args(["--url", &format!("http://{}", server.address)]);
            }
            let output = tokio::task::spawn_blocking(move || command.output());
            let output = within("the program to end", output)
                .await
                .expect("no panic");
            let output = output.expect("the program starts");
            assert_eq!(output.status.code(), Some(status), "{}", words(&output));
            assert!(words(&output).contains(part), "{}", words(&output));
        }
    }
);
