//! TLS and SASL to Kafka: Apache Kafka with certificates made here, and what is said when they do not fit.

use std::io::Write as _;

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::sync::OnceCell;

use crate::support::admin::{NewRecord, unique};
use crate::support::brokers::kafka_available;
use crate::support::certificates::{Certificates, STORE_PASSWORD};
use crate::support::deadline::eventually;
use crate::support::kafka::KafkaBroker;
use crate::support::program::Program;
use crate::support::wire::Request;

/// A broker with a listener without protection, one with TLS at its first extra port, and one with TLS and passwords at its second; and
/// PEM of the authority that it is to be believed for.
async fn broker() -> Option<&'static (KafkaBroker, String)> {
    static BROKER: OnceCell<(KafkaBroker, String)> = OnceCell::const_new();
    if !kafka_available().await {
        return None;
    }
    let started = BROKER.get_or_init(async || {
        // The broker reads it at its start only.
        let certificates = Certificates::generate();
        let store = certificates.key_store().display().to_string();
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required user_reader=\"secret\";";
        let extra = [
            (
                "listeners",
                "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},SSL://127.0.0.1:{extra_port},\
                 SASL_SSL://127.0.0.1:{second_extra_port}",
            ),
            (
                "advertised.listeners",
                "PLAINTEXT://127.0.0.1:{port},SSL://127.0.0.1:{extra_port},SASL_SSL://127.0.0.1:{second_extra_port}",
            ),
            ("ssl.keystore.location", &store),
            ("ssl.keystore.type", "PKCS12"),
            ("ssl.keystore.password", STORE_PASSWORD),
            ("ssl.key.password", STORE_PASSWORD),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512"),
            ("listener.name.sasl_ssl.plain.sasl.jaas.config", plain),
            (
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
        ];
        let broker = KafkaBroker::try_start("with TLS", &extra).await.unwrap_or_else(|cause| panic!("{cause}"));
        broker.add_scram_user("scrambled", "hidden");
        (broker, certificates.authority_pem())
    });
    Some(started.await)
}

/// As production is configured for TLS.
const PRODUCTION: &str = "
  ssl.cipher.suites: ECDHE-ECDSA-AES256-GCM-SHA384
  ssl.curves.list: P-256
  ssl.sigalgs.list: ECDSA+SHA256";

fn file(port: u16, protocol: &str, authority: &NamedTempFile, topic: &str, more: &str) -> String {
    format!(
        "stream_config_defaults: {{s: {{topics: [{topic}]}}}}\nkafka:\n  metadata.broker.list: 127.0.0.1:{port}\n  \
         security.protocol: {protocol}\n  ssl.ca.location: {}{more}\n",
        authority.path().display()
    )
}

fn written(authority: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(authority.as_bytes())
        .expect("the authority is written");
    file
}

/// An event goes from the topic through the program, which reads it by this file.
async fn delivers(broker: &KafkaBroker, topic: &str, file: &str, env: &[(&str, &str)]) {
    broker.cluster().create_topic(topic, 1).await;
    let process = Program::start(file, env).await;
    process.wait_until_ready().await;
    let mut subscriber = Request::get("/v2/stream/s")
        .subscribe(process.address)
        .await;
    broker
        .cluster()
        .produce(NewRecord::new(topic, 0, 1, r#"{"n":1}"#))
        .await;
    assert_eq!(subscriber.event().await.json()["n"], 1);
    // The past is read by clients of its own.
    let mut past = Request::get("/v2/stream/s?since=1")
        .subscribe(process.address)
        .await;
    assert_eq!(past.event().await.json()["n"], 1);
    assert!(process.stop().await.success());
}

/// The program lives, answers 503, and says why in /readyz and in its log.
async fn says_why(file: &str, env: &[(&str, &str)], why: &[&str]) {
    let mut process = Program::start(file, env).await;
    let says = |text: &str| why.iter().all(|part| text.contains(part));
    eventually(format!("{why:?} in /readyz"), async || {
        let mut response = Request::get("/readyz").send(process.admin).await;
        assert_eq!(response.status, 503);
        says(response.json().await["reason"].as_str()?).then_some(())
    })
    .await;
    let line = |line: &Value| line["log.level"] == "warn" && says(&line["labels"].to_string());
    process.wait_for_log("a warning that says why", line).await;
    let mut refused = Request::get("/v2/stream/s").send(process.address).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("5"))
    );
    let body = refused.text().await;
    assert!(!says(&body), "no inner cause to clients: {body}");
    assert_eq!(
        Request::get("/healthz").send(process.admin).await.status,
        200
    );
    assert!(process.is_running());
    assert!(process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_read_over_tls_as_production_is_configured() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = written(authority);
    let topic = unique("eqiad.tls");
    let file = file(broker.extra_port, "ssl", &authority, &topic, PRODUCTION);
    delivers(broker, &topic, &file, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_read_with_a_password_out_of_the_environment() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = written(authority);
    for (mechanism, user, password) in [
        ("PLAIN", "reader", "secret"),
        ("SCRAM-SHA-512", "scrambled", "hidden"),
    ] {
        let topic = unique("eqiad.sasl");
        let more = format!("\n  sasl.mechanisms: {mechanism}\n  sasl.username: {user}");
        let file = file(
            broker.second_extra_port,
            "sasl_ssl",
            &authority,
            &topic,
            &more,
        );
        delivers(broker, &topic, &file, &[("KAFKA__SASL_PASSWORD", password)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_authority_that_is_not_known_is_told() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let other = written(&Certificates::generate().authority_pem());
    assert_ne!(std::fs::read_to_string(&other).expect("a file"), *authority);
    let file = file(broker.extra_port, "ssl", &other, "t", PRODUCTION);
    says_why(&file, &[], &["certificate verify failed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = written(authority);
    for (mechanism, user) in [("PLAIN", "reader"), ("SCRAM-SHA-512", "scrambled")] {
        let more = format!(
            "\n  sasl.mechanisms: {mechanism}\n  sasl.username: {user}\n  sasl.password: hunter2"
        );
        let file = file(broker.second_extra_port, "sasl_ssl", &authority, "t", &more);
        says_why(&file, &[], &["uthentication failed"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_speaks_tls_to_a_client_that_does_not_is_told() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = written(authority);
    let file = file(broker.extra_port, "plaintext", &authority, "t", "");
    says_why(&file, &[], &["security.protocol"]).await;
}
