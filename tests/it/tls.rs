//! TLS and SASL to Apache Kafka, with certificates of the tests, and the reports when they do not
//! fit.

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

/// A broker with a plaintext listener, TLS on its first extra port, and TLS with passwords on its
/// second one; and the PEM of its certificate authority.
async fn broker() -> Option<&'static (KafkaBroker, String)> {
    static BROKER: OnceCell<(KafkaBroker, String)> = OnceCell::const_new();
    if !kafka_available().await {
        return None;
    }
    let started = BROKER.get_or_init(async || {
        // The broker reads the certificates only at its start.
        let certificates = Certificates::generate();
        let store = certificates.key_store().display().to_string();
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                     user_reader=\"secret\";";
        let extra = [
            (
                "listeners",
                "PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},\
                 SSL://127.0.0.1:{extra_port},SASL_SSL://127.0.0.1:{second_extra_port}",
            ),
            (
                "advertised.listeners",
                "PLAINTEXT://127.0.0.1:{port},SSL://127.0.0.1:{extra_port},\
                 SASL_SSL://127.0.0.1:{second_extra_port}",
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
        let broker = KafkaBroker::try_start("with TLS", &extra)
            .await
            .unwrap_or_else(|cause| panic!("{cause}"));
        broker.add_scram_user("scrambled", "hidden");
        (broker, certificates.authority_pem())
    });
    Some(started.await)
}

/// The TLS settings of production.
const PRODUCTION: &str = "
  ssl.cipher.suites: ECDHE-ECDSA-AES256-GCM-SHA384
  ssl.curves.list: P-256
  ssl.sigalgs.list: ECDSA+SHA256";

fn file(port: u16, protocol: &str, authority: &NamedTempFile, topic: &str, more: &str) -> String {
    format!(
        "stream_config_defaults: {{s: {{topics: [{topic}]}}}}\n\
         kafka:\n  metadata.broker.list: 127.0.0.1:{port}\n  \
         security.protocol: {protocol}\n  ssl.ca.location: {}{more}\n",
        authority.path().display()
    )
}

fn pem_file(authority: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(authority.as_bytes())
        .expect("the authority is pem_file");
    file
}

/// An event travels from the topic through the program with this file.
async fn assert_delivers(broker: &KafkaBroker, topic: &str, file: &str, env: &[(&str, &str)]) {
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
    // Separate clients read history.
    let mut past = Request::get("/v2/stream/s?since=1")
        .subscribe(process.address)
        .await;
    assert_eq!(past.event().await.json()["n"], 1);
    assert!(process.stop().await.success());
}

/// The program keeps running, responds with 503, and names the cause in `/readyz` and in its log.
async fn assert_cause_reported(file: &str, env: &[(&str, &str)], cause: &[&str]) {
    let mut process = Program::start(file, env).await;
    let names_the_cause = |text: &str| cause.iter().all(|part| text.contains(part));
    eventually(format!("{cause:?} in /readyz"), async || {
        let mut response = Request::get("/readyz").send(process.admin).await;
        assert_eq!(response.status, 503);
        names_the_cause(response.json().await["reason"].as_str()?).then_some(())
    })
    .await;
    let line =
        |line: &Value| line["log.level"] == "warn" && names_the_cause(&line["labels"].to_string());
    process
        .wait_for_log("a warning that names the cause", line)
        .await;
    let mut refused = Request::get("/v2/stream/s").send(process.address).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("5"))
    );
    let body = refused.text().await;
    assert!(!names_the_cause(&body), "no inner cause to clients: {body}");
    assert_eq!(
        Request::get("/healthz").send(process.admin).await.status,
        200
    );
    assert!(process.is_running());
    assert!(process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_read_over_tls_with_production_settings() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = pem_file(authority);
    let topic = unique("eqiad.tls");
    let file = file(broker.extra_port, "ssl", &authority, &topic, PRODUCTION);
    assert_delivers(broker, &topic, &file, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_read_with_a_password_from_the_environment() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = pem_file(authority);
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
        assert_delivers(broker, &topic, &file, &[("KAFKA__SASL_PASSWORD", password)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_reported() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let other = pem_file(&Certificates::generate().authority_pem());
    assert_ne!(std::fs::read_to_string(&other).expect("a file"), *authority);
    let file = file(broker.extra_port, "ssl", &other, "t", PRODUCTION);
    assert_cause_reported(&file, &[], &["certificate verify failed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = pem_file(authority);
    for (mechanism, user) in [("PLAIN", "reader"), ("SCRAM-SHA-512", "scrambled")] {
        let more = format!(
            "\n  sasl.mechanisms: {mechanism}\n  sasl.username: {user}\n  sasl.password: hunter2"
        );
        let file = file(broker.second_extra_port, "sasl_ssl", &authority, "t", &more);
        assert_cause_reported(&file, &[], &["uthentication failed"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plaintext_client_of_a_tls_listener_is_reported() {
    let Some((broker, authority)) = broker().await else {
        return;
    };
    let authority = pem_file(authority);
    let file = file(broker.extra_port, "plaintext", &authority, "t", "");
    assert_cause_reported(&file, &[], &["security.protocol"]).await;
}
