//! What Kafka's clients are made with.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::{shape, text};
use super::error::Findings;
use super::yaml::join;

/// librdkafka's list of brokers to begin with: `host:port,host:port`.
pub const BROKERS: &str = "metadata.broker.list";

/// Properties that the consumers set themselves, with the reason. An operator's value is named as ignored at start: a file that works with
/// the Node service works here.
pub const OWN_PROPERTIES: &[(&str, &str)] = &[
    (
        "allow.auto.create.topics",
        "reading must never make a topic",
    ),
    (
        "auto.commit.enable",
        "positions live with the clients, nothing is committed",
    ),
    (
        "auto.offset.reset",
        "a lost position must be seen, not skipped",
    ),
    (
        "enable.auto.commit",
        "positions live with the clients, nothing is committed",
    ),
    (
        "enable.auto.offset.store",
        "positions live with the clients, nothing is committed",
    ),
    (
        "enable.partition.eof",
        "the end of a partition ends a replay",
    ),
    (
        "group.instance.id",
        "partitions are assigned by us, there is no group",
    ),
];

/// How Kafka is reached and read.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct KafkaConfig {
    /// librdkafka properties: the operator's, without [`OWN_PROPERTIES`], and with `group.id` and `client.id` when he gave none.
    /// `bootstrap.servers` is under its other name, [`BROKERS`].
    #[serde(rename = "kafka")]
    pub properties: BTreeMap<String, String>,
    /// Milliseconds of the past that the live consumer reads into memory at start.
    pub live_reach_back_ms: u64,
    /// Milliseconds between looks for new topics and partitions.
    pub metadata_refresh_ms: u64,
    /// Kafka consumers that read the past for subscribers.
    pub replay_consumers_max: usize,
    /// Subscribers that may read the past out of Kafka at once.
    pub replay_places_max: usize,
    /// Those of one client address; `None` for no bound.
    pub replay_places_per_client_max: Option<u32>,
    /// Clients that may wait for such a place before the next one gets 503.
    pub replay_queue_max: usize,
}

impl fmt::Debug for KafkaConfig {
    /// Only the names of the properties: their values may be secrets, and a log is read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

impl KafkaConfig {
    /// The brokers to begin with, if any are named.
    pub fn brokers(&self) -> Option<&str> {
        self.properties.get(BROKERS).map(String::as_str)
    }

    /// Reads from these brokers instead (`--brokers`, the embedded broker).
    pub fn set_brokers(&mut self, brokers: &str) {
        self.properties
            .insert(BROKERS.to_owned(), brokers.to_owned());
    }

    pub(super) fn set_defaults(&mut self, service_name: &str, user_agent: &str) {
        // librdkafka wants a group even for consumers that are only assigned to; no group is ever joined.
        self.properties
            .entry("group.id".to_owned())
            .or_insert_with(|| service_name.to_owned());
        self.properties
            .entry("client.id".to_owned())
            .or_insert_with(|| user_agent.to_owned());
    }
}

/// A property's one name where librdkafka knows two.
pub(super) fn canonical(property: &str) -> &str {
    match property {
        "bootstrap.servers" => BROKERS,
        other => other,
    }
}

/// The value of property `name` as it may be shown: passwords, keys and tokens are not.
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
    findings: &mut Findings,
) -> Option<Value> {
    let Value::Object(entries) = value else {
        findings.problem(
            path,
            format!(
                "must be a map of librdkafka properties, is {}",
                shape(value)
            ),
        );
        return None;
    };
    let mut checked = Map::new();
    for (name, value) in entries {
        let path = join(path, name);
        if value.is_null() {
            continue;
        }
        if OWN_PROPERTIES.iter().any(|(own, _)| own == name) {
            findings.ignored.push(path);
            continue;
        }
        match text(value) {
            Ok(text) => {
                if checked
                    .insert(canonical(name).to_owned(), Value::String(text))
                    .is_some()
                {
                    findings.problem(
                        &path,
                        format!("is another name of {BROKERS}; give one of them"),
                    );
                }
            }
            // The value may be a secret: only its shape is told.
            Err(what) => findings.problem(&path, what),
        }
    }
    Some(Value::Object(checked))
}
