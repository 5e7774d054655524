//! Whether librdkafka takes the operator's properties, asked before anything is started with them.

use std::collections::BTreeMap;
use std::fs::File;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::client::{KafkaClient, KafkaClientError};
use crate::config::{BROKERS, PATH_PROPERTIES};

/// Everything that is wrong with the operator's properties: the property's name, and what. Empty names mean all of them.
///
/// Each property is tried alone, files are opened, and then a client is made out of all, without its brokers: it connects to
/// nothing.
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
    // librdkafka names one thing that is wrong and gives up: without that, it comes to the next.
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
        // What is wrong with a property that stands in for one that was refused is its consequence.
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
    Some(told(name, &error))
}

/// Files are opened where TLS needs them: librdkafka says of a missing one only what OpenSSL says.
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

/// The property that keeps librdkafka from making a client of all, if one does.
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
            "this build cannot do {mechanism}; take PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        );
        let name = ["sasl.mechanisms", "sasl.mechanism"]
            .into_iter()
            .find(|name| given(name));
        return Some(match name {
            Some(name) => (name.to_owned(), what),
            None => (
                "security.protocol".to_owned(),
                format!(
                    "needs sasl.mechanisms: without it, librdkafka takes {mechanism}, and {what}"
                ),
            ),
        });
    }
    // The longest, for `ssl.key.location` is in no other, but `client.id` may be.
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
    Some((name, format!("librdkafka does not take it: {what}")))
}

fn told(name: &str, error: &KafkaError) -> String {
    let KafkaError::ClientConfig(result, description, ..) = error else {
        return error.to_string();
    };
    match result {
        RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => match nearest(name) {
            Some(near) => format!("librdkafka has no such property; the nearest is `{near}`"),
            None => "librdkafka has no such property".to_owned(),
        },
        _ => format!("librdkafka does not take it: {description}"),
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    let near = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    NAMES
        .iter()
        .copied()
        .max_by(|a, b| near(a).total_cmp(&near(b)))
}

/// The properties of a consumer, for the nearest of them to be named. librdkafka is the judge: what is not among these may be one all the same.
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
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> Option<String> {
        refused_alone(name, value)
    }

    #[test]
    fn a_misspelt_property_is_refused_with_the_nearest() {
        for (wrong, near) in [
            ("securty.protocol", "security.protocol"),
            ("ssl.ca.locaton", "ssl.ca.location"),
            ("sasl.mechansim", "sasl.mechanism"),
            ("fetch.mesage.max.bytes", "fetch.message.max.bytes"),
        ] {
            assert_eq!(
                refused(wrong, "x"),
                Some(format!(
                    "librdkafka has no such property; the nearest is `{near}`"
                )),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_value_that_is_none_of_a_property_is_refused() {
        assert!(
            refused("security.protocol", "tls")
                .is_some_and(|what| what.contains("does not take it"))
        );
        assert!(refused("fetch.wait.max.ms", "soon").is_some());
        assert_eq!(refused("sasl.password", "anything"), None);
        assert_eq!(
            all_refused(&[("ssl.ca.location", "/nonexistent")]),
            [],
            "nobody reads it without TLS"
        );
    }

    fn all_refused(properties: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        refused_properties(&owned.collect())
    }

    #[test]
    fn what_only_a_whole_client_shows_is_told_of_each_property() {
        let refused = all_refused(&[
            ("metadata.broker.list", "kafka1:9093"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "GSSAPI"),
            ("ssl.ca.location", "/nonexistent/ca.pem"),
            ("ssl.cipher.suites", "NO-SUCH-CIPHER"),
            ("ssl.sigalgs.list", "NONE+SHA0"),
        ]);
        let names: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "ssl.ca.location",
                "sasl.mechanisms",
                "ssl.cipher.suites",
                "ssl.sigalgs.list"
            ],
            "{refused:?}"
        );
        assert!(
            refused[0]
                .1
                .contains("cannot read /nonexistent/ca.pem: No such file"),
            "{refused:?}"
        );
        assert!(refused[1].1.contains("cannot do GSSAPI"), "{refused:?}");
    }

    #[test]
    fn what_is_missing_is_told_of_the_property_that_needs_it() {
        let refused = all_refused(&[("security.protocol", "sasl_ssl"), ("sasl.password", "x")]);
        assert!(
            refused.len() == 1
                && refused[0].0 == "security.protocol"
                && refused[0].1.contains("sasl.mechanisms"),
            "{refused:?}"
        );
        let refused = all_refused(&[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", "PLAIN"),
        ]);
        assert!(
            refused.len() == 1 && refused[0].1.contains("sasl.username"),
            "{refused:?}"
        );
    }

    #[test]
    fn properties_that_can_be_used_are_not_refused() {
        assert_eq!(
            all_refused(&[
                ("metadata.broker.list", "nowhere.invalid:1"),
                ("fetch.wait.max.ms", "5")
            ]),
            []
        );
    }

    #[test]
    fn every_name_that_may_be_called_the_nearest_is_one_of_librdkafkas() {
        for name in NAMES {
            let unknown = refused(name, "?").is_some_and(|what| what.contains("no such property"));
            assert!(!unknown, "{name}");
        }
    }
}
