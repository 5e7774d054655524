//! Kafka fails and returns: the reports in the log, the metrics and `/readyz`.

use std::time::Duration;

use serde_json::Value;

use crate::support::admin::{NewRecord, unique};
use crate::support::brokers::kafka_available;
use crate::support::deadline::eventually;
use crate::support::kafka::KafkaBroker;
use crate::support::program::Program;
use crate::support::wire::Request;

fn file(brokers: &str, topic: &str) -> String {
    format!(
        "kafka: {{metadata.broker.list: '{brokers}'}}\nmetadata_refresh_ms: 1000\n\
         stream_config_defaults: {{s: {{topics: [{topic}]}}}}\n"
    )
}

async fn readyz(process: &Program) -> (u16, Value) {
    let mut response = Request::get("/readyz").send(process.admin).await;
    (response.status, response.json().await)
}

fn assert_contains(value: &Value, part: &str) {
    let contains = value.as_str().is_some_and(|text| text.contains(part));
    assert!(contains, "no {part:?} in {value}");
}

/// All log lines about Kafka.
fn about_kafka(process: &Program) -> Vec<Value> {
    let lines: Vec<Value> = process
        .log_text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    lines
        .into_iter()
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains("Kafka"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_one_line_at_each_end_and_streams_continue() {
    if !kafka_available().await {
        return;
    }
    let mut broker = KafkaBroker::start("with an outage").await;
    let topic = unique("eqiad.outage");
    broker.cluster().create_topic(&topic, 3).await;
    let process = Program::start(&file(&broker.bootstrap, &topic), &[]).await;
    process.wait_until_ready().await;
    let connected = async |wanted: u64| {
        let what = format!("eventstreams_kafka_connected to be {wanted}");
        eventually(what, async || {
            (process.metric("eventstreams_kafka_connected").await == wanted).then_some(())
        })
        .await;
    };
    connected(1).await;
    let mut subscriber = Request::get("/v2/stream/s")
        .subscribe(process.address)
        .await;
    let before = process.log_text().lines().count();
    broker.kill();
    connected(0).await;
    process
        .wait_for_log("that Kafka is away", |line| {
            line["message"] == "Kafka cannot be reached"
        })
        .await;
    // Long enough for hundreds of connection attempts.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (status, body) = readyz(&process).await;
    assert_eq!(
        (status, &body["status"], &body["kafka"]),
        (200, &"ready".into(), &"not connected".into())
    );
    assert_contains(&body["kafka_fault"], "Connection refused");
    broker.restart().await;
    let back = process
        .wait_for_log("that Kafka is back", |line| {
            line["message"] == "Kafka answers again"
        })
        .await;
    assert!(
        back["labels"]["duration_s"]
            .as_u64()
            .is_some_and(|seconds| seconds >= 5),
        "{back}"
    );
    connected(1).await;
    assert_eq!(readyz(&process).await.1["kafka"], "connected");
    broker
        .cluster()
        .produce(NewRecord::new(&topic, 0, 1, r#"{"n":1}"#))
        .await;
    assert_eq!(subscriber.event().await.json()["n"], 1);
    let lines = about_kafka(&process);
    let lost = lines
        .iter()
        .filter(|line| line["message"] == "Kafka cannot be reached")
        .count();
    let added = process.log_text().lines().count() - before;
    assert!(lost == 1 && added < 12, "{}", process.log_text());
    let cause = &lines
        .iter()
        .find(|line| line["message"] == "Kafka cannot be reached")
        .expect("a line")["labels"]["cause"];
    assert_contains(cause, &broker.bootstrap);
}

/// A name that does not resolve stays visible, however long it lasts.
#[tokio::test(flavor = "multi_thread")]
async fn an_unresolvable_broker_name_stays_the_reason_in_readyz() {
    // librdkafka warns of this property for each client.
    let process = Program::start(
        &file("nowhere.invalid:9092", "t"),
        &[("KAFKA__QUEUE_BUFFERING_MAX_MS", "5")],
    )
    .await;
    let names_the_cause = |body: &Value| {
        body["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("Failed to resolve"))
    };
    eventually("the cause in /readyz", async || {
        names_the_cause(&readyz(&process).await.1).then_some(())
    })
    .await;
    for _ in 0..20 {
        let (status, body) = readyz(&process).await;
        assert!(status == 503 && names_the_cause(&body), "{body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    process
        .wait_for_log("the cause in the log", |line| {
            line["labels"]["cause"]
                .as_str()
                .is_some_and(|cause| cause.contains("Failed to resolve 'nowhere.invalid:9092'"))
        })
        .await;
    let warned = |line: &&Value| {
        line["message"] == "Kafka property without effect"
            && line["labels"]
                .to_string()
                .contains("queue.buffering.max.ms")
    };
    assert_eq!(
        about_kafka(&process).iter().filter(warned).count(),
        1,
        "{}",
        process.log_text()
    );
}
