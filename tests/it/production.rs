//! A file as the Helm chart of the Node service renders it, used unchanged: the environment
//! replaces only addresses. Covers what happens in production: lists are edited, and the URL of the
//! stream configuration fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::program::Program;
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

/// Names and structure of production, with a wrong address wherever the environment must replace
/// it.
const RENDERED: &str = "\
# service-runner EventStreams app config.yaml.
service_name: eventstreams
num_workers: 0
worker_heap_limit_mb: 750
logging:
  level:  info
  streams:
    - type: stdout
      named_levels: true
metrics:
  - type: prometheus
    port: 9102
services:
  - name: eventstreams
    module: app.js
    conf:
      port: 8092
      cors: '*'
      csp: \"default-src 'none'; connect-src *\"
      spec: ./spec.yaml
      user_agent: eventstreams-production
      allowed_streams:
      - first.t0
      - second.t0
      client_ip_connection_limit: 2
      kafka:
        fetch.message.max.bytes: 10485760
        metadata.broker.list: kafka1.invalid:9093,kafka2.invalid:9093
        queued.max.messages.kbytes: 32768
        queued.min.messages: 1000
        security.protocol: ssl
        ssl.ca.location: /nonexistent/ca-certificates.crt
        ssl.cipher.suites: ECDHE-ECDSA-AES256-GCM-SHA384
        ssl.curves.list: P-256
        ssl.sigalgs.list: ECDSA+SHA256
        statistics.interval.ms: 60000
      mediawiki_redacted_pages:
        ru.wikipedia.org:
        - 12-я отдельная бригада
        - 'Шаблон: Пример (фильм)'
      schema_base_uris:
      - http://localhost:6023/repositories/primary/jsonschema
      schema_latest_version: latest
      stream_config_defaults:
        first.t0:
          description: |-
            Events, so that a long description
            has two lines.
          stream_aliases:
          - first
        second.t0:
          topics_allowed:
          - eqiad.second.t0
          - codfw.second.t0
      stream_config_object_path: streams
      stream_config_overrides:
        second.t0:
          topics:
          - eqiad.second.t0
      stream_config_ttl: 0
      stream_config_uri: http://localhost:1/w/api.php?format=json&action=streamconfigs
      stream_config_uri_options:
        headers:
          Host: meta.wikimedia.org
      stream_ui_enabled: true
";

/// MediaWiki's `action=streamconfigs`, on loopback; dropped, it is gone.
struct StreamConfigs {
    uri: String,
    answer: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl StreamConfigs {
    /// Answers with these streams, each of both datacenters, whoever asks for the right host.
    async fn serve(streams: &[&str]) -> Self {
        let answer = Arc::new(Mutex::new(answer(streams)));
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!(
            "http://{}/w/api.php?format=json&action=streamconfigs",
            listener.local_addr().expect("an address")
        );
        let (answered, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        let handler = move |headers: HeaderMap| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            let right = headers
                .get("host")
                .is_some_and(|host| host == "meta.wikimedia.org");
            let answer = answered.lock().expect("no panic").clone();
            if answer.is_null() {
                std::future::pending::<()>().await;
            }
            if right {
                Ok(answer.to_string())
            } else {
                Err(StatusCode::NOT_FOUND)
            }
        };
        let router = Router::new().route("/w/api.php", get(handler));
        let serving =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self {
            uri,
            answer,
            asked,
            serving,
        }
    }

    fn now_answers_nothing(&self) {
        *self.answer.lock().expect("no panic") = Value::Null;
    }

    fn now_answers(&self, streams: &[&str]) {
        *self.answer.lock().expect("no panic") = answer(streams);
    }
}

impl Drop for StreamConfigs {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn answer(streams: &[&str]) -> Value {
    let configured = |name: &&str| {
        let topics = [format!("eqiad.{name}"), format!("codfw.{name}")];
        (
            (*name).to_owned(),
            json!({"stream": name, "topics": topics, "topic_prefixes": ["eqiad.", "codfw."]}),
        )
    };
    json!({"streams": streams.iter().map(configured).collect::<serde_json::Map<_, _>>()})
}

/// A small production: two public streams and one that is only configured, on topics that no other
/// test uses.
struct Production {
    cluster: Cluster,
    process: Program,
    configs: StreamConfigs,
    text: String,
    names: [String; 3],
}

impl Production {
    async fn start(cluster: Cluster) -> Self {
        Self::start_with(cluster, &[]).await
    }

    /// [`Self::start`] with more environment variables.
    async fn start_with(cluster: Cluster, more: &[(&str, &str)]) -> Self {
        let suffix = unique("").replace('.', "");
        let names = ["first", "second", "third"].map(|name| format!("{name}.{suffix}"));
        for name in &names {
            for datacenter in ["eqiad", "codfw"] {
                cluster
                    .create_topic(&format!("{datacenter}.{name}"), 1)
                    .await;
            }
        }
        let configs = StreamConfigs::serve(&names.each_ref().map(String::as_str)).await;
        let text = RENDERED.replace(".t0", &format!(".{suffix}"));
        let env = [
            ("KAFKA__METADATA_BROKER_LIST", cluster.brokers.as_str()),
            ("KAFKA__SECURITY_PROTOCOL", "plaintext"),
            ("STREAM_CONFIG_URI", &configs.uri),
        ];
        let process = Program::start(&text, &[&env[..], more].concat()).await;
        process.wait_until_ready().await;
        Self {
            cluster,
            process,
            configs,
            text,
            names,
        }
    }

    async fn subscribe(&self, stream: &str, client: &str) -> Subscriber {
        Request::get(format!("/v2/stream/{stream}"))
            .header("X-Client-IP", client)
            .subscribe(self.process.address)
            .await
    }

    async fn status(&self, stream: &str) -> u16 {
        let request =
            Request::get(format!("/v2/stream/{stream}")).header("X-Client-IP", "192.0.2.99");
        request.send(self.process.address).await.status
    }

    async fn produce(&self, stream: usize, n: i64, title: &str) {
        let meta = r#""meta":{"domain":"ru.wikipedia.org"}"#;
        let performer = r#""performer":{"user_text":"Somebody"}"#;
        let value = format!(r#"{{"n":{n},{meta},"page_title":"{title}",{performer}}}"#);
        let topic = format!("eqiad.{}", self.names[stream]);
        self.cluster
            .produce(NewRecord::new(&topic, 0, 1_700_000_000_000 + n, value))
            .await;
    }

    /// Replaces `from` by `to` in the file and waits for the reload.
    async fn edit(&mut self, from: &str, to: &str) {
        let reloads = "eventstreams_config_reloads_total{reason=\"ok\"}";
        let before = self.process.metric(reloads).await;
        assert!(self.text.contains(from), "{from}");
        self.text = self.text.replacen(from, to, 1);
        std::fs::write(self.process.file(), &self.text).expect("the file is written");
        let edited = async || (self.process.metric(reloads).await > before).then_some(());
        crate::support::deadline::eventually(
            format!("the edit to be read; {}", self.process.log_text()),
            edited,
        )
        .await;
    }

    async fn reads(&self, subscriber: &mut Subscriber, n: i64, title: &str) -> Value {
        self.produce(0, n, title).await;
        let event = subscriber.event().await.json();
        assert_eq!(event["n"], n);
        event
    }
}

on_both_brokers!(
    async fn the_rendered_file_starts_unchanged_and_can_be_edited(cluster: Cluster) {
        let mut production = Production::start(cluster).await;
        let [_, second, third] = production.names.clone();
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        let mut affected = production.subscribe(&second, "192.0.2.2").await;
        assert!(
            production
                .reads(&mut unaffected, 1, "12-я отдельная бригада")
                .await
                .get("performer")
                .is_none()
        );
        assert!(
            production
                .reads(&mut unaffected, 2, "Ещё не названа")
                .await
                .get("performer")
                .is_some()
        );
        assert_eq!(production.status(&third).await, 400);

        production
            .edit(&format!("- {second}"), &format!("- {third}"))
            .await;
        assert_eq!(affected.event().await.json()["type"], "stream_gone");
        assert_eq!(
            (
                production.status(&second).await,
                production.status(&third).await
            ),
            (400, 200)
        );
        production
            .edit("- 12-я отдельная бригада", "- Ещё не названа")
            .await;
        assert!(
            production
                .reads(&mut unaffected, 3, "Ещё не названа")
                .await
                .get("performer")
                .is_none()
        );
        assert!(
            production
                .reads(&mut unaffected, 4, "12-я отдельная бригада")
                .await
                .get("performer")
                .is_some()
        );
        // Only at start: the file takes effect without the URL.
        assert_eq!(production.configs.asked.load(Ordering::SeqCst), 1);

        let held = [
            production.subscribe("first", "192.0.2.3").await,
            production.subscribe("first", "192.0.2.3").await,
        ];
        let over = Request::get("/v2/stream/first")
            .header("X-Client-IP", "192.0.2.3")
            .send(production.process.address)
            .await;
        assert_eq!(over.status, 429);
        drop(held);
    }

    async fn an_unreachable_url_changes_nothing(cluster: Cluster) {
        let mut production = Production::start(cluster).await;
        let [_, second, _] = production.names.clone();
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        production.configs.serving.abort();
        production.process.signal(Signal::HUP);
        let failed = "eventstreams_config_reloads_total{reason=\"failed\"}";
        let failed_once = async || (production.process.metric(failed).await > 0).then_some(());
        crate::support::deadline::eventually("the failure to be counted", failed_once).await;
        production
            .process
            .wait_for_log("an error", |line| line["log.level"] == "error")
            .await;
        production.reads(&mut unaffected, 1, "a").await;
        assert_eq!(production.status(&second).await, 200);
        // An unreachable URL must not keep the editors of a page visible.
        production
            .edit("- 12-я отдельная бригада", "- Ещё не названа")
            .await;
        assert!(
            production
                .reads(&mut unaffected, 2, "Ещё не названа")
                .await
                .get("performer")
                .is_none()
        );
        production.edit(&format!("      - {second}\n"), "").await;
        assert_eq!(production.status(&second).await, 400);
        production.reads(&mut unaffected, 3, "a").await;
    }

    /// The URL is fetched again meanwhile, and again after the edit.
    async fn an_edit_does_not_wait_for_an_unresponsive_url(cluster: Cluster) {
        let options = "{headers: {Host: meta.wikimedia.org}, timeout: 30000}";
        let mut production =
            Production::start_with(cluster, &[("STREAM_CONFIG_URI_OPTIONS", options)]).await;
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        production.configs.now_answers_nothing();
        let before = production.configs.asked.load(Ordering::SeqCst);
        production.process.signal(Signal::HUP);
        for (edits, page) in ["Ещё не названа", "И эта"].into_iter().enumerate() {
            let asks = async || {
                (production.configs.asked.load(Ordering::SeqCst) > before + edits).then_some(())
            };
            crate::support::deadline::eventually("a request to the URL", asks).await;
            production
                .edit(
                    "- 12-я отдельная бригада",
                    &format!("- 12-я отдельная бригада\n        - {page}"),
                )
                .await;
        }
        assert_eq!(
            production
                .process
                .metric("eventstreams_config_reloads_total{reason=\"failed\"}")
                .await,
            0,
            "the request is still open"
        );
        assert!(
            production
                .reads(&mut unaffected, 1, "Ещё не названа")
                .await
                .get("performer")
                .is_none()
        );
        assert!(
            production
                .reads(&mut unaffected, 2, "И эта")
                .await
                .get("performer")
                .is_none()
        );
    }

    async fn sighup_fetches_the_url_again(cluster: Cluster) {
        let mut production = Production::start(cluster).await;
        let [first, second, third] = production.names.clone();
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        // Allowed but not configured: planned or decommissioned.
        production
            .edit(
                &format!("- {second}\n"),
                &format!("- {third}\n      - {third}.planned\n"),
            )
            .await;
        assert_eq!(
            (
                production.status(&third).await,
                production.status(&format!("{third}.planned")).await
            ),
            (200, 410)
        );
        let mut affected = production.subscribe(&third, "192.0.2.2").await;

        production.configs.now_answers(&[&first, &second]);
        production.process.signal(Signal::HUP);
        let last = affected.event().await;
        assert_eq!(
            (last.event.as_deref(), &last.json()["type"]),
            (Some("error"), &"stream_gone".into())
        );
        assert_eq!(production.status(&third).await, 410);
        let gone = Request::get(format!("/v2/stream/{third}")).header("X-Client-IP", "192.0.2.98");
        let problem = gone.send(production.process.address).await.json().await;
        assert_eq!(
            (&problem["type"], &problem["title"]),
            (&"stream_gone".into(), &"Stream Gone".into())
        );
        production.reads(&mut unaffected, 1, "a").await;
    }

    async fn the_url_is_fetched_after_its_ttl_and_cached_for_a_start(cluster: Cluster) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kept = folder.path().join("kept.json").display().to_string();
        let more = [
            ("STREAM_CONFIG_TTL", "1"),
            ("STREAM_CONFIG_CACHE_FILE", kept.as_str()),
        ];
        let mut production = Production::start_with(cluster, &more).await;
        let [first, second, third] = production.names.clone();
        production
            .edit(&format!("- {second}"), &format!("- {third}"))
            .await;
        let mut affected = production.subscribe(&third, "192.0.2.2").await;
        production.configs.now_answers(&[&first, &second]);
        assert_eq!(affected.event().await.json()["type"], "stream_gone");

        production.configs.serving.abort();
        let env = [
            (
                "KAFKA__METADATA_BROKER_LIST",
                production.cluster.brokers.as_str(),
            ),
            ("KAFKA__SECURITY_PROTOCOL", "plaintext"),
            ("STREAM_CONFIG_URI", &production.configs.uri),
        ];
        production.process = Program::start(&production.text, &[&env[..], &more].concat()).await;
        production.process.wait_until_ready().await;
        let mut subscriber = production.subscribe("first", "192.0.2.1").await;
        production.reads(&mut subscriber, 1, "a").await;
        assert_eq!(
            production.status(&third).await,
            410,
            "as in the last response of the URL"
        );
    }
);
