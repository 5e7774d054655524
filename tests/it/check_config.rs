//! `check-config`, as an operator runs it.

use std::process::{Command, Output};

fn check_config(text: &str, env: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).expect("the file is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_eventstreams"));
    command.arg("check-config").arg(&file).envs(env.iter().copied()).output().expect("the program is there")
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
    assert!(told.contains("security.protocol = sasl_ssl") && !told.contains("hunter2"), "{told}");
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
                    kafka.fetch.wait.max.ms: librdkafka does not take it: ";
    assert!(told.contains(expected) && !told.contains("hunter2"), "{told}");
}
