//! Whether librdkafka accepts the operator's properties, checked before anything is started.

use std::collections::BTreeMap;
use std::fs::File;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::client::{KafkaClient, KafkaClientError};
use crate::config::{BROKERS, PATH_PROPERTIES};
use crate::spelling::nearest;

/// Everything that is wrong with the operator's properties: names and reasons. An empty name means
/// all properties together.
///
/// Each property is tried alone, files are opened, and then a client is created from all of them
/// without its brokers, so that it connects to nothing.
#[must_use]
pub fn refused_properties(properties: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut usable = properties.clone();
    usable.remove(BROKERS);
    let mut refused = Vec::new();
    for (name, value) in properties {
        if let Some(what) =
            refused_alone(name, value).or_else(|| unreadable(name, value, properties))
        {
            usable.remove(name);
            refused.push((name.clone(), what));
        }
    }
    // librdkafka reports only the first fault: it gets to the next one without that property.
    while let Some((name, what)) = refused_together(&usable) {
        let is_given = usable.remove(&name).is_some();
        let is_known = refused.iter().any(|(known, _)| *known == name);
        if name.starts_with("sasl.mechanism") {
            let protocol = usable
                .get("security.protocol")
                .map(|protocol| protocol.to_ascii_lowercase());
            let without = if protocol.as_deref() == Some("sasl_ssl") {
                "ssl"
            } else {
                "plaintext"
            };
            usable.insert("security.protocol".to_owned(), without.to_owned());
        }
        // A fault of a property that the operator did not set follows from one that was refused.
        if is_given || refused.is_empty() {
            refused.push((name, what));
        }
        if !is_given || is_known {
            break;
        }
    }
    refused
}

fn refused_alone(name: &str, value: &str) -> Option<String> {
    let error = ClientConfig::new()
        .set(name, value)
        .create_native_config()
        .err()?;
    Some(reason(name, &error))
}

/// Opens the files that TLS needs: of a missing one librdkafka reports only OpenSSL's error.
fn unreadable(name: &str, path: &str, properties: &BTreeMap<String, String>) -> Option<String> {
    let protocol = properties
        .get("security.protocol")
        .map(|protocol| protocol.to_ascii_lowercase());
    let is_needed =
        protocol.is_some_and(|protocol| protocol.ends_with("ssl") == name.starts_with("ssl."));
    if !is_needed || !PATH_PROPERTIES.contains(&name) || path == "probe" {
        return None;
    }
    File::open(path)
        .err()
        .map(|error| format!("cannot read {path}: {error}"))
}

/// The property that keeps librdkafka from creating a client from all of them, if one does.
fn refused_together(properties: &BTreeMap<String, String>) -> Option<(String, String)> {
    let client = KafkaClient::new(
        properties,
        std::sync::Arc::default(),
        std::sync::Arc::default(),
    );
    let KafkaClientError(error) = client.consumer("check", &[]).err()?;
    let what = match error {
        KafkaError::ClientCreation(what) | KafkaError::ClientConfig(_, what, ..) => what,
        other => other.to_string(),
    };
    let given = |name: &str| properties.contains_key(name);
    if let Some((_, mechanism)) = what.split_once("No provider for SASL mechanism ") {
        let mechanism = mechanism.split(':').next().unwrap_or(mechanism);
        let what = format!(
            "this build does not support {mechanism}; \
             use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        );
        let name = ["sasl.mechanisms", "sasl.mechanism"]
            .into_iter()
            .find(|name| given(name));
        return Some(match name {
            Some(name) => (name.to_owned(), what),
            None => (
                "security.protocol".to_owned(),
                format!(
                    "needs sasl.mechanisms: without it, librdkafka uses {mechanism}, and {what}"
                ),
            ),
        });
    }
    // The longest match, because a short name such as `client.id` may be part of another.
    let named = |names: &mut dyn Iterator<Item = &str>| {
        names
            .filter(|name| what.contains(*name))
            .max_by_key(|name| name.len())
            .map(str::to_owned)
    };
    let name = named(&mut properties.keys().map(String::as_str))
        .or_else(|| named(&mut NAMES.iter().copied()));
    let name = name.unwrap_or_default();
    let what = what
        .strip_prefix(&format!("{name} failed: "))
        .unwrap_or(&what)
        .to_owned();
    Some((name, format!("librdkafka refuses it: {what}")))
}

fn reason(name: &str, error: &KafkaError) -> String {
    let KafkaError::ClientConfig(result, description, ..) = error else {
        return error.to_string();
    };
    match result {
        RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => match nearest(name, NAMES.iter().copied()) {
            Some(near) => format!("librdkafka has no such property; the nearest is `{near}`"),
            None => "librdkafka has no such property".to_owned(),
        },
        _ => format!("librdkafka refuses it: {description}"),
    }
}

/// The properties of a consumer, from which the nearest is suggested. librdkafka decides: a name
/// that is missing here may still be one.
const NAMES: &[&str] = &[
    "allow.auto.create.topics",
    "api.version.request.timeout.ms",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "broker.address.family",
    "broker.address.ttl",
    "builtin.features",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "debug",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.metrics.push",
    "enable.partition.eof",
    "enable.random.seed",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "https.ca.location",
    "https.ca.pem",
    "internal.termination.signal",
    "isolation.level",
    "log.connection.close",
    "log.queue",
    "log.thread.name",
    "log_level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.copy.max.bytes",
    "message.max.bytes",
    "metadata.broker.list",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "partition.assignment.strategy",
    "plugin.library.paths",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.certificate.stores",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.id",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.providers",
    "ssl.sigalgs.list",
    "statistics.interval.ms",
    "topic.blacklist",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.refresh.sparse",
];

#[cfg(test)]
mod tests;
