//! Logs: JSON lines in ECS form for machines, text on a terminal. The configuration or `RUST_LOG`
//! sets the level.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::OnceLock;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, Logging};

/// The form of the lines, once logging has started.
static STARTED: OnceLock<Started> = OnceLock::new();

#[derive(Debug)]
struct Started {
    is_json: bool,
    service_name: String,
}

/// Starts logging to standard error, panics included. A second call in a process changes nothing.
pub fn start(logging: &Logging, service_name: &str) {
    let level = logging.level.as_str();
    let quiet = "hyper=warn,librdkafka=warn,rdkafka=warn,opentelemetry=warn,reqwest=warn";
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},{quiet}")));
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match logging.format {
        LogFormat::Text => false,
        LogFormat::Json => true,
        LogFormat::Auto => !is_terminal,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal);
    let ecs = || Ecs {
        service_name: service_name.to_owned(),
    };
    let started = if is_json {
        lines.event_format(ecs()).try_init()
    } else {
        lines.try_init()
    };
    if let Err(error) = started {
        return tracing::debug!(%error, "logging has already started");
    }
    // It was empty: `try_init` succeeds once.
    let _ = STARTED.set(Started {
        is_json,
        service_name: service_name.to_owned(),
    });
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            place,
            "panic: {}",
            panic.payload_as_str().unwrap_or("no text")
        );
    }));
}

/// Writes why the program ends to standard error, at any log level. Before logging has started, the
/// line is text.
pub fn fatal(message: &str) {
    match STARTED.get().filter(|started| started.is_json) {
        Some(started) => eprintln!(
            "{}",
            ecs_line(
                &started.service_name,
                "error",
                "eventstreams",
                message,
                &Map::new()
            )
        ),
        None => eprintln!("eventstreams: {message}"),
    }
}

/// One JSON object a line, in the Elastic Common Schema 1.7. Other fields are under `labels`, as in
/// the logs of Wikimedia's services.
struct Ecs {
    service_name: String,
}

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut labels = Labels(Map::new());
        event.record(&mut labels);
        let mut labels = labels.0;
        let text = |value: Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let message = labels.remove("message").map_or_else(String::new, text);
        // Records of the `log` crate have their target in a field, and paths of the build machine
        // in others.
        let target = labels
            .remove("log.target")
            .map_or_else(|| metadata.target().to_owned(), text);
        labels.retain(|name, _| !name.starts_with("log."));
        let level = metadata.level().as_str().to_ascii_lowercase();
        writeln!(
            writer,
            "{}",
            ecs_line(&self.service_name, &level, &target, &message, &labels)
        )
    }
}

fn ecs_line(
    service_name: &str,
    level: &str,
    logger: &str,
    message: &str,
    labels: &Map<String, Value>,
) -> Value {
    serde_json::json!({
        "@timestamp": jiff::Timestamp::now().to_string(),
        "log.level": level,
        "message": message,
        "ecs.version": "1.7.0",
        "service.name": service_name,
        "log.logger": logger,
        "labels": labels,
    })
}

/// The fields of one event.
struct Labels(Map<String, Value>);

impl Labels {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Labels {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    /// `Duration::as_millis` returns these.
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(field, u64::try_from(value).unwrap_or(u64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    /// Values with `Display` come here too (`%offset`). Whole numbers of the fields in [`NUMBERS`]
    /// stay numbers; a name of digits in another field stays text.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match text.parse::<i64>() {
            Ok(number) if NUMBERS.contains(&field.name()) && number.to_string() == text => {
                self.set(field, number);
            }
            _ => self.set(field, text),
        }
    }
}

/// Fields whose values are numbers in types of this program.
const NUMBERS: &[&str] = &[
    "partition",
    "from",
    "to",
    "end",
    "low",
    "high",
    "read",
    "next",
    "offset",
    "kept_from",
    "agrees_up_to",
];

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

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

    /// The lines that `log` writes, a JSON object each.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let into = written.clone();
        let lines = tracing_subscriber::fmt()
            .event_format(Ecs {
                service_name: "es".to_owned(),
            })
            .with_writer(move || into.clone());
        tracing::subscriber::with_default(lines.finish(), log);
        let text = String::from_utf8(written.0.lock().clone()).expect("UTF-8");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn a_line_is_one_json_object_in_ecs_form() {
        let lines =
            logged(|| tracing::warn!(events = 3_u64, reason = "client\ngone", "stream ended"));
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (&line["log.level"], &line["message"]),
            (&"warn".into(), &"stream ended".into())
        );
        assert_eq!(
            line["labels"],
            serde_json::json!({"events": 3, "reason": "client\ngone"})
        );
        assert!(
            line["@timestamp"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z'))
        );
    }

    #[test]
    fn numbers_stay_numbers_in_json() {
        let lines = logged(|| {
            let offset = crate::cursor::Offset(-7);
            let topic = "123";
            tracing::info!(
                duration_ms = Duration::from_secs(2).as_millis(),
                ratio = 0.5,
                from = %offset,
                topic = %topic,
                n = 3_i32
            );
        });
        let expected = serde_json::json!({
            "duration_ms": 2000,
            "ratio": 0.5,
            "from": -7,
            "topic": "123",
            "n": 3,
        });
        assert_eq!(lines[0]["labels"], expected);
    }

    /// A record of the `log` crate, as `tracing_log` converts it.
    #[test]
    fn records_of_the_log_crate_name_their_target_and_no_file() {
        let lines = logged(|| {
            tracing::warn!(
                target: "log",
                {
                    log.target = "librdkafka",
                    log.file = "/builds/x/src/client.rs",
                    log.line = 74_u64,
                    log.module_path = "rdkafka::client"
                },
                "a message"
            );
        });
        assert_eq!(
            (&lines[0]["log.logger"], &lines[0]["labels"]),
            (&"librdkafka".into(), &serde_json::json!({}))
        );
    }
}
