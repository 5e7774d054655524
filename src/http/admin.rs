//! Metrics, health and readiness, on a port that the public does not reach.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::App;

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
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], app.metrics.render()).into_response()
}

/// The process is alive: it answers.
async fn healthz() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// Streams can be served; else why not.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let reason = if app.shutdown.is_announced() {
        Some("draining".to_owned())
    } else if app.hub.is_ready() {
        None
    } else if let Some(fault) = app.kafka_health.fault() {
        Some(format!("Kafka cannot be read: {fault}"))
    } else {
        Some("Kafka has not answered yet, or not every partition was read up to its end".to_owned())
    };
    match reason {
        None => axum::Json(json!({"status": "ready"})).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({"status": "not ready", "reason": reason}))).into_response()
        }
    }
}
