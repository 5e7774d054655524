//! Metrics, health and readiness, on a port that is not public.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use super::App;
use crate::telemetry::kafka_health::KafkaHealth;

/// Topics in the reason of `/readyz`. `/readyz?verbose` names all.
const REASON_TOPICS_MAX: usize = 10;

/// The admin routes.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::clone(app))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.hub.update_gauges();
    app.kafka_health.update_gauges();
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.render()).into_response()
}

/// The process responds, so it is alive.
async fn healthz() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// The query of `/readyz`.
#[derive(Debug, Deserialize)]
struct ReadyQuery {
    /// Names every topic that cannot be read. The value is ignored.
    verbose: Option<String>,
}

/// Whether streams are served, and why not. The state of Kafka is for information: it does not
/// matter here once streams are served.
async fn readyz(State(app): State<Arc<App>>, Query(query): Query<ReadyQuery>) -> Response {
    let reason = if app.shutdown.is_announced() {
        Some("draining".to_owned())
    } else if app.hub.is_ready() {
        None
    } else {
        Some(unready_reason(&app.kafka_health))
    };
    let health = &app.kafka_health;
    let kafka = if health.is_connected() {
        "connected"
    } else {
        "not connected"
    };
    let mut body =
        json!({"status": if reason.is_none() { "ready" } else { "not ready" }, "kafka": kafka});
    if !health.is_connected() {
        body["kafka_fault"] = json!(health.fault());
    }
    if let Some(age) = health.last_answer().and_then(|time| time.elapsed().ok()) {
        body["kafka_last_answer_age_s"] = json!(age.as_secs());
    }
    let topics = health.topics();
    body["topics_unavailable"] = json!(topics.len());
    if query.verbose.is_some() {
        let all = topics
            .iter()
            .map(|(topic, trouble)| json!({"topic": topic.as_str(), "reason": trouble.as_str()}));
        body["topics"] = all.collect();
    }
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    (status, axum::Json(body)).into_response()
}

/// Why streams are not served yet.
fn unready_reason(health: &KafkaHealth) -> String {
    let waiting = "not every partition was read up to its end";
    let reason = match (health.fault(), health.is_connected()) {
        (Some(fault), false) => format!("Kafka cannot be read: {fault}"),
        (Some(fault), true) => format!("Kafka answers, but {waiting}; its client reports: {fault}"),
        (None, true) => format!("Kafka answers, but {waiting} yet"),
        (None, false) => format!("Kafka has not answered yet, or {waiting}"),
    };
    let topics = health.topics();
    let topic_reasons = topics
        .iter()
        .take(REASON_TOPICS_MAX)
        .map(|(topic, trouble)| format!("topic {topic} {}", trouble.words()));
    std::iter::once(reason)
        .chain(topic_reasons)
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Topic;
    use crate::telemetry::kafka_health::TopicTrouble;

    #[test]
    fn the_reason_names_the_cause_and_the_unavailable_topics() {
        let health = KafkaHealth::default();
        assert_eq!(
            unready_reason(&health),
            "Kafka has not answered yet, or not every partition was read up to its end"
        );
        health.report("k:1/bootstrap: Failed to resolve 'k:1'".to_owned());
        assert_eq!(
            unready_reason(&health),
            "Kafka cannot be read: k:1/bootstrap: Failed to resolve 'k:1'"
        );
        health.answered();
        health.set_topic(&Topic::from("a"), Some(TopicTrouble::NoLeader));
        let reason = unready_reason(&health);
        for part in [
            "Kafka answers",
            "Failed to resolve",
            "; topic a has a partition without a leader",
        ] {
            assert!(reason.contains(part), "{part:?} is missing in {reason}");
        }
        for n in 0..100 {
            health.set_topic(
                &Topic::from(format!("b{n}")),
                Some(TopicTrouble::DoesNotExist),
            );
        }
        assert_eq!(
            unready_reason(&health).matches("; topic ").count(),
            REASON_TOPICS_MAX
        );
    }
}
