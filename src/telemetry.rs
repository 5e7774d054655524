//! Logs: JSON lines in ECS form for machines, text on a terminal; the level from the configuration or `RUST_LOG`.

use std::fmt;
use std::io::IsTerminal as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, Logging};

/// Starts logging to standard error. Once in a process; a second call changes nothing.
pub fn start(logging: &Logging, service_name: &str) {
    let level = logging.level.as_str();
    let default = || EnvFilter::new(format!("{level},hyper=warn,librdkafka=warn,rdkafka=warn,opentelemetry=warn,reqwest=warn"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| default());
    let text = match logging.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ecs = || Ecs { service_name: service_name.to_owned() };
    let started = if text { lines.try_init() } else { lines.event_format(ecs()).try_init() };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}

/// One JSON object a line, in the Elastic Common Schema 1.7, with our own fields under `labels`, as Wikimedia's services log.
struct Ecs {
    service_name: String,
}

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut labels = Labels(Map::new());
        event.record(&mut labels);
        let message = labels.0.remove("message").unwrap_or_default();
        let line = serde_json::json!({
            "@timestamp": jiff::Timestamp::now().to_string(),
            "log.level": metadata.level().as_str().to_ascii_lowercase(),
            "message": message,
            "ecs.version": "1.7.0",
            "service.name": self.service_name,
            "log.logger": metadata.target(),
            "labels": labels.0,
        });
        writeln!(writer, "{line}")
    }
}

/// The fields of one event.
struct Labels(Map<String, Value>);

impl Visit for Labels {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_json_object_in_ecs_form() {
        let written = Written::default();
        let into = written.clone();
        let lines =
            tracing_subscriber::fmt().event_format(Ecs { service_name: "es".to_owned() }).with_writer(move || into.clone());
        tracing::subscriber::with_default(lines.finish(), || {
            tracing::warn!(events = 3_u64, reason = "client\ngone", "stream ended");
        });
        let text = String::from_utf8(written.0.lock().clone()).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&line["log.level"], &line["message"]), (&"warn".into(), &"stream ended".into()));
        assert_eq!(line["labels"], serde_json::json!({"events": 3, "reason": "client\ngone"}));
        assert!(line["@timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    }
}
