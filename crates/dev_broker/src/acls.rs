//! The topic operations that are denied to everybody: the only access control here.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use parking_lot::RwLock;

/// Operations, by Kafka's numbers (`org.apache.kafka.common.acl.AclOperation`).
pub(crate) const ANY: i8 = 1;
pub(crate) const ALL: i8 = 2;
pub(crate) const READ: i8 = 3;
pub(crate) const WRITE: i8 = 4;
pub(crate) const DESCRIBE: i8 = 8;
/// The operations on topics: read, write, create, delete, alter, describe, describe and alter the
/// configuration.
const OF_TOPICS: [i8; 8] = [READ, WRITE, 5, 6, 7, DESCRIBE, 10, 11];

/// The most denials: the bound for a client that invents them.
const DENIALS_MAX: usize = 10_000;

/// The operations that are denied, by topic.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    denied: RwLock<BTreeMap<String, BTreeSet<i8>>>,
}

impl Acls {
    /// Denies an operation on a topic, which need not exist.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for an operation that topics do not know, `POLICY_VIOLATION` for too many.
    pub(crate) fn deny(&self, topic: &str, operation: i8) -> Result<(), ResponseError> {
        if operation != ALL && !OF_TOPICS.contains(&operation) {
            return Err(ResponseError::InvalidRequest);
        }
        let mut denied = self.denied.write();
        if denied.len() >= DENIALS_MAX && !denied.contains_key(topic) {
            return Err(ResponseError::PolicyViolation);
        }
        denied
            .entry(topic.to_owned())
            .or_default()
            .insert(operation);
        Ok(())
    }

    /// Allows operations again: on one topic or all (`None`), one operation or [`ANY`]. Returns
    /// what was denied.
    pub(crate) fn allow(&self, topic: Option<&str>, operation: i8) -> Vec<(String, i8)> {
        let mut taken = Vec::new();
        self.denied.write().retain(|name, operations| {
            if topic.is_none_or(|topic| topic == name) {
                operations.retain(|denied| {
                    let matches = operation == ANY || *denied == operation;
                    taken.extend(matches.then(|| (name.clone(), *denied)));
                    !matches
                });
            }
            !operations.is_empty()
        });
        taken
    }

    /// Whether the operation is allowed.
    ///
    /// # Errors
    /// `TOPIC_AUTHORIZATION_FAILED`.
    pub(crate) fn check(&self, topic: &str, operation: i8) -> Result<(), ResponseError> {
        let denied = self.denied.read();
        let is_denied = |operations: &BTreeSet<i8>| {
            operations.contains(&operation) || operations.contains(&ALL)
        };
        if denied.get(topic).is_some_and(is_denied) {
            Err(ResponseError::TopicAuthorizationFailed)
        } else {
            Ok(())
        }
    }

    /// What is allowed on a topic, as bits (KIP-430).
    pub(crate) fn allowed(&self, topic: &str) -> i32 {
        let allowed = OF_TOPICS
            .into_iter()
            .filter(|operation| self.check(topic, *operation).is_ok());
        allowed.fold(0, |bits, operation| bits | 1 << operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_denied_by_topic_and_can_be_allowed_again() {
        let acls = Acls::default();
        assert_eq!(acls.deny("t", READ), Ok(()));
        assert_eq!(acls.deny("t", 9), Err(ResponseError::InvalidRequest));
        assert_eq!(
            acls.check("t", READ),
            Err(ResponseError::TopicAuthorizationFailed)
        );
        assert_eq!(
            (acls.check("t", DESCRIBE), acls.check("u", READ)),
            (Ok(()), Ok(()))
        );
        assert_eq!(acls.allowed("u") & !acls.allowed("t"), 1 << READ);
        acls.deny("u", ALL).unwrap();
        assert_eq!(acls.allowed("u"), 0);
        assert_eq!(acls.allow(Some("t"), ANY), [("t".to_owned(), READ)]);
        assert_eq!(
            (acls.check("t", READ), acls.allow(None, READ)),
            (Ok(()), vec![])
        );
    }
}
