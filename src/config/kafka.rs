//! The Kafka settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::Diagnostics;
use super::value::{describe, text};
use super::yaml::join;

/// The property with librdkafka's initial brokers: `host:port,host:port`.
pub const BROKERS: &str = "metadata.broker.list";

/// A property of librdkafka that the program decides.
#[derive(Clone, Copy, Debug)]
pub struct OwnProperty {
    /// Its name.
    pub name: &'static str,
    /// Its value; `None` if it is never set.
    pub value: Option<&'static str>,
    /// Why the operator cannot decide it.
    pub reason: &'static str,
}

const fn own(name: &'static str, value: Option<&'static str>, reason: &'static str) -> OwnProperty {
    OwnProperty {
        name,
        value,
        reason,
    }
}

const NO_COMMITS: &str = "nothing is committed, clients keep their own positions";

/// The properties that the program decides. The operator's values for them are ignored, with a
/// notice at startup, so that a file that works with the Node service works here.
pub const OWN_PROPERTIES: &[OwnProperty] = &[
    own("enable.auto.commit", Some("false"), NO_COMMITS),
    own("auto.commit.enable", None, NO_COMMITS),
    own("enable.auto.offset.store", Some("false"), NO_COMMITS),
    own(
        "auto.offset.reset",
        Some("error"),
        "a lost position must not go unnoticed",
    ),
    own(
        "enable.partition.eof",
        Some("true"),
        "the end of a partition shows that reading has caught up",
    ),
    own(
        "allow.auto.create.topics",
        Some("false"),
        "reading must never create a topic",
    ),
    own("group.instance.id", None, "the program joins no group"),
];

/// The Kafka settings. Fields are named after their keys.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct KafkaConfig {
    /// The operator's librdkafka properties, without [`OWN_PROPERTIES`], with defaults for
    /// `group.id` and `client.id`. `bootstrap.servers` is under its other name, [`BROKERS`].
    #[serde(rename = "kafka")]
    pub properties: BTreeMap<String, String>,
    /// Milliseconds of history that the live consumer reads into memory at startup.
    pub live_reach_back_ms: u64,
    /// Milliseconds between two checks for new topics and partitions.
    pub metadata_refresh_ms: u64,
    /// Kafka consumers that read history for subscribers.
    pub replay_consumers_max: usize,
    /// Subscribers that may read history from Kafka at the same time.
    pub replay_places_max: usize,
    /// The same for one client address; `None` for no bound.
    pub replay_places_per_client_max: Option<u32>,
    /// Subscribers that may wait to read history; further ones get 503.
    pub replay_queue_max: usize,
}

impl fmt::Debug for KafkaConfig {
    /// Only the names of the properties: their values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

impl KafkaConfig {
    /// The initial brokers, if the file names any.
    pub fn brokers(&self) -> Option<&str> {
        self.properties.get(BROKERS).map(String::as_str)
    }

    /// Replaces the brokers (`--brokers`, the embedded broker).
    pub fn set_brokers(&mut self, brokers: &str) {
        self.properties
            .insert(BROKERS.to_owned(), brokers.to_owned());
    }

    pub(super) fn set_defaults(&mut self, service_name: &str, user_agent: &str) {
        // librdkafka requires a group even for consumers that never join one.
        self.properties
            .entry("group.id".to_owned())
            .or_insert_with(|| service_name.to_owned());
        self.properties
            .entry("client.id".to_owned())
            .or_insert_with(|| user_agent.to_owned());
    }
}

/// The name of a property for which librdkafka has two names.
pub(super) fn canonical(property: &str) -> &str {
    match property {
        "bootstrap.servers" => BROKERS,
        other => other,
    }
}

/// The value of the property `name` for display: passwords, keys and tokens are replaced.
pub(crate) fn redacted_value<'a>(name: &str, value: &'a str) -> &'a str {
    let secret = [
        "password",
        "passphrase",
        "secret",
        "oauthbearer.config",
        "key.pem",
        "token",
    ]
    .iter()
    .any(|word| name.contains(word));
    if secret { "(not shown)" } else { value }
}

pub(super) fn check_properties(
    value: &Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let Value::Object(entries) = value else {
        let message = format!(
            "must be a map of librdkafka properties, not {}",
            describe(value)
        );
        diagnostics.error(path, message);
        return None;
    };
    let mut checked = Map::new();
    for (name, value) in entries {
        let path = join(path, name);
        if value.is_null() {
            continue;
        }
        if OWN_PROPERTIES.iter().any(|own| own.name == name) {
            diagnostics.ignored_keys.push(path);
            continue;
        }
        match text(value) {
            Ok(text) => {
                let canonical = canonical(name).to_owned();
                if checked.insert(canonical, Value::String(text)).is_some() {
                    let message = format!("is another name for {BROKERS}; set only one of them");
                    diagnostics.error(&path, message);
                }
            }
            // The message does not repeat the value, which may hold a secret: it is not a scalar.
            Err(message) => diagnostics.error(&path, message),
        }
    }
    Some(Value::Object(checked))
}
