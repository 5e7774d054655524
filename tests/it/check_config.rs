//! `check-config`, as an operator runs it.

use std::process::{Command, Output};

use crate::support::acls::Operation;
use crate::support::admin::{Cluster, unique};

fn check_config(text: &str, env: &[(&str, &str)]) -> Output {
    run(&["check-config"], text, env)
}

/// The program with these arguments and the path of a file behind them, in another folder than the file's.
fn run(arguments: &[&str], text: &str, env: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).expect("the file is written");
    std::fs::write(
        folder.path().join("streams.yaml"),
        "b: {topics: [], topcs: [x]}\n",
    )
    .expect("the file is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_eventstreams"));
    command
        .args(arguments)
        .arg(&file)
        .env_remove("RUST_LOG")
        .envs(env.iter().copied());
    command.output().expect("the program is there")
}

/// Standard error, and that the exit code is that of a file that cannot be used.
fn refused(output: Output) -> String {
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(64), "{told}");
    told
}

const FILE: &str = "\
services:
- conf:
    kafka:
      metadata.broker.list: kafka1:9093
      security.protocol: sasl_ssl
      sasl.mechanisms: PLAIN
      sasl.username: reader
      sasl.password: hunter2
    stream_config_defaults: {a: {}}
";

#[test]
fn a_file_that_can_be_used_is_described_without_its_secrets() {
    let output = check_config(FILE, &[]);
    let told = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("security.protocol = sasl_ssl") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn a_property_that_librdkafka_does_not_know_is_told_with_its_line_and_the_nearest() {
    let output = check_config(
        &FILE.replace("security.protocol", "securty.protocol"),
        &[("EVENTSTREAMS__KAFKA__FETCH_WAIT_MAX_MS", "soon")],
    );
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(64), "{told}");
    let expected = "line 5, services[0].conf.kafka.securty.protocol: librdkafka has no such property; the nearest is `security.protocol`\n\
                    kafka.fetch.wait.max.ms: librdkafka refuses it: ";
    assert!(
        told.contains(expected) && !told.contains("hunter2"),
        "{told}"
    );
}

/// One thing of each kind that only a client, a file or the streams show.
const MANY: &str = "\
services:
- conf:
    prot: 8092
    kafka:
      metadata.broker.list: kafka1:9093
      security.protocol: sasl_ssl
      sasl.mechanisms: GSSAPI
      ssl.ca.location: certs/ca.pem
      ssl.cipher.suites: NO-SUCH-CIPHER
    stream_config_uri: streams.yaml
    stream_config_overrides: {a: {topcs: [x]}}
";

#[test]
fn everything_that_is_wrong_is_told_at_once_with_key_line_and_path() {
    let told = refused(check_config(MANY, &[]));
    for problem in [
        "line 3, services[0].conf.prot: unknown key; the nearest valid key is `port`",
        "line 7, services[0].conf.kafka.sasl.mechanisms: this build does not support GSSAPI; use PLAIN, ",
        "line 8, services[0].conf.kafka.ssl.ca.location: cannot read /",
        "/certs/ca.pem: No such file or directory",
        "line 9, services[0].conf.kafka.ssl.cipher.suites: librdkafka refuses it: ",
        "line 11, services[0].conf.stream_config_overrides.a.topcs: no such setting of a stream; did you mean `topics`?",
        "stream b: topics is an empty list",
    ] {
        assert!(told.contains(problem), "{problem:?} is missing in\n{told}");
    }
}

#[test]
fn serve_refuses_what_check_config_refuses_with_a_line_of_the_log_in_its_form() {
    for (format, is_json) in [("json", true), ("text", false), ("auto", true)] {
        let file = FILE.replace("sasl.mechanisms: PLAIN", "sasl.mechanisms: GSSAPI")
            + "    log_format: "
            + format
            + "\n";
        let told = refused(run(
            &["serve", "--port", "0", "--admin-port", "0", "-c"],
            &file,
            &[],
        ));
        let message = match serde_json::from_str::<serde_json::Value>(&told) {
            Ok(line) => {
                assert_eq!(
                    (&line["log.level"], told.lines().count(), is_json),
                    (&"error".into(), 1, true),
                    "{told}"
                );
                line["message"].as_str().expect("text").to_owned()
            }
            Err(_) => told.clone(),
        };
        assert_eq!(message == told, !is_json, "{told}");
        assert!(
            message.contains(
                "line 6, services[0].conf.kafka.sasl.mechanisms: this build does not support GSSAPI"
            ),
            "{told}"
        );
        assert!(
            !told.contains('\u{1b}') && !told.contains("hunter2"),
            "{told}"
        );
    }
}

#[test]
fn serve_says_in_its_log_what_is_wrong_with_a_file_that_cannot_be_understood() {
    for text in ["a: [", "port: x"] {
        let told = refused(run(
            &["serve", "-c"],
            text,
            &[("EVENTSTREAMS__LOG_FORMAT", "json")],
        ));
        let line: serde_json::Value = serde_json::from_str(&told).expect("a JSON object");
        assert!(
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains("line 1")),
            "{told}"
        );
    }
}

#[test]
fn a_url_that_does_not_answer_may_answer_the_next_start() {
    let file = "{kafka: {metadata.broker.list: 'k:1'}, stream_config_uri: 'http://user:hunter2@127.0.0.1:9/a?token=hunter3'}";
    let output = run(
        &["serve", "--port", "0", "--admin-port", "0", "-c"],
        file,
        &[],
    );
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("http://127.0.0.1:9/a: no answer") && !told.contains("hunter"),
        "{told}"
    );
}

#[test]
fn a_log_in_text_form_has_no_colours_where_it_is_no_terminal() {
    let file =
        "{kafka: {metadata.broker.list: 'k:1'}, log_format: text, stream_config_uri: streams.yaml}";
    let output = run(
        &["serve", "--port", "0", "--admin-port", "0", "-c"],
        file,
        &[],
    );
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(
        told.contains("listening address=") && !told.contains('\u{1b}'),
        "{told}"
    );
}

/// Exit code, standard output and standard error of `check-config --connect` for a stream of these topics.
async fn connect(cluster: &Cluster, topics: &str) -> (Option<i32>, String, String) {
    let brokers = &cluster.brokers;
    let file = format!(
        "{{kafka: {{metadata.broker.list: '{brokers}'}}, stream_config_defaults: {{s: {{topics: [{topics}]}}}}}}"
    );
    let ran = tokio::task::spawn_blocking(move || run(&["check-config", "--connect"], &file, &[]))
        .await
        .expect("no panic");
    (
        ran.status.code(),
        String::from_utf8(ran.stdout).expect("text"),
        String::from_utf8(ran.stderr).expect("text"),
    )
}

on_both_brokers! {
    async fn check_config_connect_asks_kafka_for_each_topic(cluster: Cluster) {
        let (there, missing) = (unique("eqiad.there"), unique("eqiad.missing"));
        cluster.create_topic(&there, 2).await;
        let (code, told, _) = connect(&cluster, &there).await;
        assert!(code == Some(0) && told.contains(&format!("\n  {there}: 2 partitions, can be read\n")), "{told}");
        let (code, told, error) = connect(&cluster, &format!("{there}, {missing}")).await;
        assert!(code == Some(1) && told.contains(&format!("\n  {missing} does not exist in Kafka")), "{told}");
        assert!(told.contains("can be read\n") && error.contains("1 of 2 topics cannot be read"), "{told}{error}");
    }

    async fn check_config_connect_names_topics_that_may_not_be_read(cluster: Cluster) {
        let (unread, unseen) = (unique("eqiad.unread"), unique("eqiad.unseen"));
        for (topic, operation) in [(&unread, Operation::Read), (&unseen, Operation::Describe)] {
            cluster.create_topic(topic, 1).await;
            cluster.deny(topic, operation).await;
        }
        let (code, told, error) = connect(&cluster, &format!("{unread}, {unseen}")).await;
        for topic in [unread, unseen] {
            assert!(told.contains(&format!("\n  {topic} may not be read: Kafka does not authorize this client\n")), "{told}{error}");
        }
        assert!(code == Some(1) && error.contains("2 of 2 topics cannot be read"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_connect_says_why_kafka_does_not_answer() {
    let file =
        "{kafka: {metadata.broker.list: 'nowhere.invalid:9092'}, stream_config_defaults: {s: {}}}";
    let output = run(&["check-config", "--connect"], file, &[]);
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(
        output.status.code() == Some(1)
            && told.contains("Failed to resolve 'nowhere.invalid:9092'"),
        "{told}"
    );
}
