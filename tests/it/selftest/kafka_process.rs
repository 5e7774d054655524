//! Starting, killing and stopping Apache Kafka.

use std::process::{Command, Stdio};

use crate::support::admin::{Cluster, NewRecord};
use crate::support::brokers::kafka_available;
use crate::support::deadline::eventually;
use crate::support::jars::java_version;
use crate::support::kafka::KafkaBroker;

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_broker_keeps_its_log_and_address() {
    if !kafka_available().await {
        return;
    }
    let mut broker = KafkaBroker::start("to be killed").await;
    let cluster = broker.cluster();
    cluster.create_topic("kept", 1).await;
    cluster
        .produce(NewRecord::new("kept", 0, 1, "before"))
        .await;
    broker.kill();
    assert!(!cluster.is_reachable().await);
    broker.restart().await;
    assert_eq!(
        cluster
            .produce(NewRecord::new("kept", 0, 2, "between"))
            .await,
        1
    );
    broker.stop();
    assert!(!cluster.is_reachable().await);
    broker.restart().await;
    let values: Vec<_> = cluster
        .log("kept")
        .await
        .into_iter()
        .filter_map(|record| record.value)
        .collect();
    assert_eq!(values, [b"before".to_vec(), b"between".to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_start_reports_why() {
    if !kafka_available().await {
        return;
    }
    let cause = KafkaBroker::try_start("misconfigured", &[("num.io.threads", "none")])
        .await
        .err()
        .expect("it cannot start");
    assert!(cause.contains("num.io.threads"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extra_listener_responds_on_its_own_port() {
    if !kafka_available().await {
        return;
    }
    let extra = [
        (
            "listeners",
            "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},\
             INSIDE://127.0.0.1:{extra_port}",
        ),
        (
            "advertised.listeners",
            "PLAINTEXT://127.0.0.1:{port},INSIDE://127.0.0.1:{extra_port}",
        ),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT",
        ),
    ];
    let broker = KafkaBroker::try_start("with two listeners", &extra)
        .await
        .expect("it starts");
    broker.cluster().create_topic("shared", 1).await;
    let inside = Cluster::new(&format!("127.0.0.1:{}", broker.extra_port));
    assert_eq!(
        inside
            .produce(NewRecord::new("shared", 0, 1, "event"))
            .await,
        0
    );
    assert_eq!(broker.cluster().watermarks("shared", 0).await, (0, 1));
}

/// Set for the process that [`no_broker_outlives_a_killed_test_process`] starts.
const TO_BE_KILLED: &str = "EVENTSTREAMS_TEST_TO_BE_KILLED";

/// Runs [`the_process_that_is_killed`] in another process, kills it and checks what remains.
#[tokio::test(flavor = "multi_thread")]
async fn no_broker_outlives_a_killed_test_process() {
    if !kafka_available().await {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut process = Command::new(std::env::current_exe().expect("the test binary's path"))
        .args([
            "--exact",
            "selftest::kafka_process::the_process_that_is_killed",
            "--ignored",
        ])
        .env("TMPDIR", folder.path())
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("the test binary runs");
    let entries = || {
        folder
            .path()
            .read_dir()
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .collect::<Vec<_>>()
    };
    let address = eventually("the broker's address", async || {
        let [broker] = entries().try_into().ok()?;
        std::fs::read_to_string(broker.join("started"))
            .ok()
            .filter(|address| address.ends_with('\n'))
    });
    let cluster = Cluster::new(address.await.trim());
    assert!(cluster.is_reachable().await);
    process.kill().expect("it can be killed");
    process.wait().expect("it can be waited for");
    eventually("the broker and its folder to be gone", async || {
        entries().is_empty().then_some(())
    })
    .await;
    assert!(!cluster.is_reachable().await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of no_broker_outlives_a_killed_test_process"]
async fn the_process_that_is_killed() {
    if std::env::var_os(TO_BE_KILLED).is_none() {
        return;
    }
    let broker = KafkaBroker::start("to be orphaned").await;
    broker.write_file("started", &format!("{}\n", broker.bootstrap));
    tokio::time::sleep(std::time::Duration::from_mins(10)).await;
}

#[test]
fn every_form_of_the_java_version_is_parsed() {
    assert_eq!(
        java_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"),
        Some(17)
    );
    assert_eq!(java_version("java version \"1.8.0_402\""), Some(8));
    assert_eq!(java_version("openjdk version \"25\" 2025-09-16"), Some(25));
    assert_eq!(
        java_version("openjdk version \"26-ea\" 2026-03-17"),
        Some(26)
    );
    assert_eq!(java_version("no such command"), None);
}
