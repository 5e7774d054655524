//! `check-config`, as an operator runs it.

use std::process::{Command, Output};

use crate::support::acls::Operation;
use crate::support::admin::{Cluster, unique};

fn check_config(text: &str, env: &[(&str, &str)]) -> Output {
    run(&["check-config"], text, env)
}

/// Runs the program with these arguments and the path of a file, from another folder.
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

/// Standard error, after a check of the exit code for a file that cannot be used.
fn refused(output: Output) -> String {
    let printed = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(64), "{printed}");
    printed
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
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(
        printed.contains("security.protocol = sasl_ssl") && !printed.contains("hunter2"),
        "{printed}"
    );
}

#[test]
fn an_unknown_property_is_reported_with_line_and_nearest_name() {
    let output = check_config(
        &FILE.replace("security.protocol", "securty.protocol"),
        &[("EVENTSTREAMS__KAFKA__FETCH_WAIT_MAX_MS", "soon")],
    );
    let printed = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(64), "{printed}");
    let expected = "line 5, services[0].conf.kafka.securty.protocol: \
                    librdkafka has no such property; the nearest is `security.protocol`\n\
                    kafka.fetch.wait.max.ms: librdkafka refuses it: ";
    assert!(
        printed.contains(expected) && !printed.contains("hunter2"),
        "{printed}"
    );
}

/// One error of each kind that only a client, a file or the streams show.
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
fn all_errors_are_reported_at_once_with_key_line_and_path() {
    let printed = refused(check_config(MANY, &[]));
    for problem in [
        "line 3, services[0].conf.prot: unknown key; the nearest valid key is `port`",
        "line 7, services[0].conf.kafka.sasl.mechanisms: this build does not support \
         GSSAPI; use PLAIN, ",
        "line 8, services[0].conf.kafka.ssl.ca.location: cannot read /",
        "/certs/ca.pem: No such file or directory",
        "line 9, services[0].conf.kafka.ssl.cipher.suites: librdkafka refuses it: ",
        "line 11, services[0].conf.stream_config_overrides.a.topcs: unknown stream setting; \
         did you mean `topics`?",
        "stream b: topics is an empty list",
    ] {
        assert!(
            printed.contains(problem),
            "{problem:?} is missing in\n{printed}"
        );
    }
}

#[test]
fn serve_logs_the_errors_of_check_config_in_the_form_of_the_log() {
    for (format, is_json) in [("json", true), ("text", false), ("auto", true)] {
        let file = FILE.replace("sasl.mechanisms: PLAIN", "sasl.mechanisms: GSSAPI")
            + "    log_format: "
            + format
            + "\n";
        let printed = refused(run(
            &["serve", "--port", "0", "--admin-port", "0", "-c"],
            &file,
            &[],
        ));
        let message = match serde_json::from_str::<serde_json::Value>(&printed) {
            Ok(line) => {
                assert_eq!(
                    (&line["log.level"], printed.lines().count(), is_json),
                    (&"error".into(), 1, true),
                    "{printed}"
                );
                line["message"].as_str().expect("text").to_owned()
            }
            Err(_) => printed.clone(),
        };
        assert_eq!(message == printed, !is_json, "{printed}");
        assert!(
            message.contains(
                "line 6, services[0].conf.kafka.sasl.mechanisms: this build does not support GSSAPI"
            ),
            "{printed}"
        );
        assert!(
            !printed.contains('\u{1b}') && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}

#[test]
fn serve_logs_what_is_wrong_with_a_file_that_cannot_be_read() {
    for text in ["a: [", "port: x"] {
        let printed = refused(run(
            &["serve", "-c"],
            text,
            &[("EVENTSTREAMS__LOG_FORMAT", "json")],
        ));
        let line: serde_json::Value = serde_json::from_str(&printed).expect("a JSON object");
        assert!(
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains("line 1")),
            "{printed}"
        );
    }
}

#[test]
fn a_url_that_does_not_answer_ends_serve_with_exit_code_1() {
    let file = "{kafka: {metadata.broker.list: 'k:1'}, \
                stream_config_uri: 'http://user:hunter2@127.0.0.1:9/a?token=hunter3'}";
    let output = run(
        &["serve", "--port", "0", "--admin-port", "0", "-c"],
        file,
        &[],
    );
    let printed = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("http://127.0.0.1:9/a: no response") && !printed.contains("hunter"),
        "{printed}"
    );
}

#[test]
fn a_text_log_has_no_colours_outside_a_terminal() {
    let file =
        "{kafka: {metadata.broker.list: 'k:1'}, log_format: text, stream_config_uri: streams.yaml}";
    let output = run(
        &["serve", "--port", "0", "--admin-port", "0", "-c"],
        file,
        &[],
    );
    let printed = String::from_utf8(output.stderr).expect("text");
    assert!(
        printed.contains("listening address=") && !printed.contains('\u{1b}'),
        "{printed}"
    );
}

/// Exit code, standard output and standard error of `check-config --connect` for a stream of these
/// topics.
async fn connect(cluster: &Cluster, topics: &str) -> (Option<i32>, String, String) {
    let brokers = &cluster.brokers;
    let file = format!(
        "{{kafka: {{metadata.broker.list: '{brokers}'}}, \
         stream_config_defaults: {{s: {{topics: [{topics}]}}}}}}"
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
        let (code, printed, _) = connect(&cluster, &there).await;
        let readable = format!("\n  {there}: 2 partitions, can be read\n");
        assert!(code == Some(0) && printed.contains(&readable), "{printed}");
        let (code, printed, error) = connect(&cluster, &format!("{there}, {missing}")).await;
        assert_eq!(code, Some(1), "{printed}");
        let unknown = format!("\n  {missing} does not exist in Kafka");
        assert!(printed.contains(&unknown), "{printed}");
        assert!(printed.contains("can be read\n"), "{printed}");
        assert!(error.contains("1 of 2 topics cannot be read"), "{error}");
    }

    async fn check_config_connect_names_topics_that_may_not_be_read(cluster: Cluster) {
        let (unread, unseen) = (unique("eqiad.unread"), unique("eqiad.unseen"));
        for (topic, operation) in [(&unread, Operation::Read), (&unseen, Operation::Describe)] {
            cluster.create_topic(topic, 1).await;
            cluster.deny(topic, operation).await;
        }
        let (code, printed, error) = connect(&cluster, &format!("{unread}, {unseen}")).await;
        for topic in [unread, unseen] {
            let denied = "may not be read: Kafka does not authorize this client";
            assert!(printed.contains(&format!("\n  {topic} {denied}\n")), "{printed}{error}");
        }
        assert!(code == Some(1) && error.contains("2 of 2 topics cannot be read"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_connect_says_why_kafka_does_not_answer() {
    let file =
        "{kafka: {metadata.broker.list: 'nowhere.invalid:9092'}, stream_config_defaults: {s: {}}}";
    let output = run(&["check-config", "--connect"], file, &[]);
    let printed = String::from_utf8(output.stderr).expect("text");
    assert!(
        output.status.code() == Some(1)
            && printed.contains("Failed to resolve 'nowhere.invalid:9092'"),
        "{printed}"
    );
}
