//! The rendered file, MediaWiki's answer with the streams, and a server with both.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::program::Program;
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

/// Names and structure of production, with a wrong address wherever the environment must replace
/// it.
pub(super) const RENDERED: &str = "\
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
pub(super) struct StreamConfigs {
    pub(super) uri: String,
    pub(super) answer: Arc<Mutex<Value>>,
    pub(super) asked: Arc<AtomicUsize>,
    pub(super) serving: JoinHandle<()>,
}

impl StreamConfigs {
    /// Answers with these streams, each of both datacenters, whoever asks for the right host.
    pub(super) async fn serve(streams: &[&str]) -> Self {
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

    pub(super) fn now_answers_nothing(&self) {
        *self.answer.lock().expect("no panic") = Value::Null;
    }

    pub(super) fn now_answers(&self, streams: &[&str]) {
        *self.answer.lock().expect("no panic") = answer(streams);
    }
}

impl Drop for StreamConfigs {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(super) fn answer(streams: &[&str]) -> Value {
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
pub(super) struct Production {
    pub(super) cluster: Cluster,
    pub(super) process: Program,
    pub(super) configs: StreamConfigs,
    pub(super) text: String,
    pub(super) names: [String; 3],
}

impl Production {
    pub(super) async fn start(cluster: Cluster) -> Self {
        Self::start_with(cluster, &[]).await
    }

    /// [`Self::start`] with more environment variables.
    pub(super) async fn start_with(cluster: Cluster, more: &[(&str, &str)]) -> Self {
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

    pub(super) async fn subscribe(&self, stream: &str, client: &str) -> Subscriber {
        Request::get(format!("/v2/stream/{stream}"))
            .header("X-Client-IP", client)
            .subscribe(self.process.address)
            .await
    }

    pub(super) async fn status(&self, stream: &str) -> u16 {
        let request =
            Request::get(format!("/v2/stream/{stream}")).header("X-Client-IP", "192.0.2.99");
        request.send(self.process.address).await.status
    }

    pub(super) async fn produce(&self, stream: usize, n: i64, title: &str) {
        let meta = r#""meta":{"domain":"ru.wikipedia.org"}"#;
        let performer = r#""performer":{"user_text":"Somebody"}"#;
        let value = format!(r#"{{"n":{n},{meta},"page_title":"{title}",{performer}}}"#);
        let topic = format!("eqiad.{}", self.names[stream]);
        self.cluster
            .produce(NewRecord::new(&topic, 0, 1_700_000_000_000 + n, value))
            .await;
    }

    /// Replaces `from` by `to` in the file and waits for the reload.
    pub(super) async fn edit(&mut self, from: &str, to: &str) {
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

    pub(super) async fn reads(&self, subscriber: &mut Subscriber, n: i64, title: &str) -> Value {
        self.produce(0, n, title).await;
        let event = subscriber.event().await.json();
        assert_eq!(event["n"], n);
        event
    }
}
