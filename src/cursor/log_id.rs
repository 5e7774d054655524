//! Which log an offset was counted in.
//!
//! Kafka gives every cluster an id, and every topic a UUID, which changes when the topic is
//! recreated (brokers since 2.8, KIP-516). Each entry of an event id holds a short hash of both, so
//! that any process can check whether an offset belongs to the log that it reads.

use std::fmt;

use uuid::Uuid;

/// A short name of one topic's log in one cluster: eight characters, four for the cluster and four
/// for the topic, each six bits of a hash.
///
/// Two clusters, or two topics of one cluster, share a half by chance once in 16 million.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId {
    text: [u8; 8],
}

/// How the log id in a client's request relates to the log that is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogMatch {
    /// The same log: its offsets are valid.
    Same,
    /// The topic was deleted and recreated in the same cluster.
    Recreated,
    /// Another cluster's log.
    Other,
}

/// The digits of base64url (RFC 4648, section 5): none needs escaping in JSON or in a URL.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl LogId {
    /// A log that no process reads.
    pub const UNKNOWN: Self = Self { text: *b"--------" };

    /// The id of a topic's log. `topic` is Kafka's UUID or, for a broker that has none, its name: a
    /// recreated topic then has the same id as the old one.
    #[must_use]
    pub fn new(cluster: &str, topic: TopicIdentity<'_>) -> Self {
        let topic = match topic {
            TopicIdentity::Id(id) => Uuid::new_v5(&Uuid::NAMESPACE_OID, &id),
            TopicIdentity::Name(name) => Uuid::new_v5(&Uuid::NAMESPACE_DNS, name.as_bytes()),
        };
        let cluster = Uuid::new_v5(&Uuid::NAMESPACE_OID, cluster.as_bytes());
        let mut text = [0; 8];
        text[..4].copy_from_slice(&digits(cluster));
        text[4..].copy_from_slice(&digits(topic));
        Self { text }
    }

    /// Reads the text of an id; `None` for anything but eight base64url digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: [u8; 8] = text.as_bytes().try_into().ok()?;
        text.iter()
            .all(|digit| DIGITS.contains(digit))
            .then_some(Self { text })
    }

    /// The hashes of the cluster and of the topic, 24 bits each.
    #[must_use]
    pub(super) fn halves(self) -> [[u8; 3]; 2] {
        let value = |digit: &u8| DIGITS.iter().position(|known| known == digit);
        let half = |digits: &[u8]| {
            let bits = digits.iter().fold(0, |bits, digit| {
                bits << 6 | value(digit).unwrap_or_default()
            });
            [16, 8, 0].map(|shift| (bits >> shift).to_le_bytes()[0])
        };
        [half(&self.text[..4]), half(&self.text[4..])]
    }

    /// The id of these hashes.
    #[must_use]
    pub(super) fn of_halves([cluster, topic]: [[u8; 3]; 2]) -> Self {
        let mut text = [0; 8];
        text[..4].copy_from_slice(&digits_of(cluster));
        text[4..].copy_from_slice(&digits_of(topic));
        Self { text }
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("base64url digits are ASCII")
    }

    /// How the id that a client sent (`self`) relates to the log that is read now.
    #[must_use]
    pub fn compare(self, current: Self) -> LogMatch {
        if self == current {
            LogMatch::Same
        } else if self.text[..4] == current.text[..4] {
            LogMatch::Recreated
        } else {
            LogMatch::Other
        }
    }
}

/// What distinguishes a topic's log from another's.
#[derive(Clone, Copy, Debug)]
pub enum TopicIdentity<'a> {
    /// Kafka's topic id.
    Id([u8; 16]),
    /// The topic's name, for brokers before 2.8.
    Name(&'a str),
}

/// The first 24 bits of a hash as four digits.
fn digits(hash: Uuid) -> [u8; 4] {
    let [a, b, c, ..] = *hash.as_bytes();
    digits_of([a, b, c])
}

fn digits_of([a, b, c]: [u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 0x3f) as usize])
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(cluster: &str, topic: u8) -> LogId {
        LogId::new(cluster, TopicIdentity::Id([topic; 16]))
    }

    #[test]
    fn an_id_is_the_same_on_every_machine_and_version() {
        assert_eq!(id("lkc-1", 7).as_str(), "Y7Jp3O_G");
        let named = LogId::new("lkc-1", TopicIdentity::Name("eqiad.a"));
        assert_eq!(named.compare(id("lkc-1", 7)), LogMatch::Recreated);
    }

    #[test]
    fn a_recreated_log_and_another_clusters_log_have_other_ids() {
        assert_eq!(id("a", 1).compare(id("a", 1)), LogMatch::Same);
        assert_eq!(id("a", 1).compare(id("a", 2)), LogMatch::Recreated);
        assert_eq!(id("a", 1).compare(id("b", 1)), LogMatch::Other);
        assert_eq!(id("a", 1).compare(id("b", 2)), LogMatch::Other);
    }

    #[test]
    fn only_an_id_is_parsed() {
        let here = id("a", 1);
        assert_eq!(LogId::parse(here.as_str()), Some(here));
        for text in ["", "k7Qx2f", "abcdefghi", "abc defg", "abcdéf"] {
            assert_eq!(LogId::parse(text), None, "{text}");
        }
    }
}
