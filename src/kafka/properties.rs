//! Whether librdkafka takes the operator's properties, asked before anything is started with them.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// What librdkafka says against each property that it does not take: its name, and what is wrong. Files that a property names (certificates) are
/// not looked at.
#[must_use]
pub fn refused_properties(properties: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let refused = properties.iter().filter_map(|(name, value)| {
        let error = ClientConfig::new().set(name, value).create_native_config().err()?;
        Some((name.clone(), told(name, &error)))
    });
    refused.collect()
}

fn told(name: &str, error: &KafkaError) -> String {
    let KafkaError::ClientConfig(result, description, ..) = error else { return error.to_string() };
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
    NAMES.iter().copied().max_by(|a, b| near(a).total_cmp(&near(b)))
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
        refused_properties(&[(name.to_owned(), value.to_owned())].into()).pop().map(|(of, what)| {
            assert_eq!(of, name);
            what
        })
    }

    #[test]
    fn a_misspelt_property_is_refused_with_the_nearest() {
        for (wrong, near) in [
            ("securty.protocol", "security.protocol"),
            ("ssl.ca.locaton", "ssl.ca.location"),
            ("sasl.mechansim", "sasl.mechanism"),
            ("fetch.mesage.max.bytes", "fetch.message.max.bytes"),
        ] {
            assert_eq!(refused(wrong, "x"), Some(format!("librdkafka has no such property; the nearest is `{near}`")), "{wrong}");
        }
    }

    #[test]
    fn a_value_that_is_none_of_a_property_is_refused() {
        assert!(refused("security.protocol", "tls").is_some_and(|what| what.contains("does not take it")));
        assert!(refused("fetch.wait.max.ms", "soon").is_some());
        assert_eq!(refused("sasl.password", "anything"), None);
        assert_eq!(refused("ssl.ca.location", "/nonexistent"), None);
    }

    #[test]
    fn every_name_that_may_be_called_the_nearest_is_one_of_librdkafkas() {
        for name in NAMES {
            let unknown = refused(name, "?").is_some_and(|what| what.contains("no such property"));
            assert!(!unknown, "{name}");
        }
    }
}
