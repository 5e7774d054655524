//! The health of Kafka: whether it answers, which errors its client reports, and which topics
//! cannot be read.
//!
//! The Kafka threads report here. `/readyz`, `/metrics` and the log read the same state, so they
//! agree.
//!
//! * `lines`: the log lines about it: one for each change, and a summary a minute.
//! * `tests`: tests of the state and of the lines.

mod lines;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::limits;
use crate::shutdown::Shutdown;
use crate::stream::Topic;
use crate::telemetry::metrics::{Metrics, TopicReasonLabel};

/// The health of Kafka.
#[derive(Debug)]
pub struct KafkaHealth {
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

/// Why a topic, or a partition of it, cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicTrouble {
    /// Kafka has no topic of this name.
    DoesNotExist,
    /// An ACL forbids this client to describe or read it.
    NotAuthorized,
    /// A partition of it has no leader.
    NoLeader,
    /// Kafka answers with another error.
    Failing,
}

impl TopicTrouble {
    /// The word in metrics and problems.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoesNotExist => "does_not_exist",
            Self::NotAuthorized => "not_authorized",
            Self::NoLeader => "no_leader",
            Self::Failing => "failing",
        }
    }

    /// The same for people, to follow a topic's name.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::DoesNotExist => "does not exist in Kafka",
            Self::NotAuthorized => "may not be read: Kafka does not authorize this client",
            Self::NoLeader => "has a partition without a leader",
            Self::Failing => "cannot be read",
        }
    }
}

/// The current state.
#[derive(Debug)]
struct State {
    begun: Instant,
    /// When Kafka last answered, by both clocks.
    answered: Option<(Instant, SystemTime)>,
    /// The start of the outage, while no broker can be reached.
    lost_since: Option<Instant>,
    /// The last fault of each broker, and when it was reported. A fault that names no broker is
    /// under the empty name.
    faults: BTreeMap<String, (String, Instant)>,
    /// What follows from other faults: no broker is left.
    consequence: Option<String>,
    /// The number of faults that no log line counts yet.
    errors: u64,
    topics: BTreeMap<Topic, TopicTrouble>,
    lines: lines::Lines,
    /// How long Kafka may be silent before it counts as lost. A network that drops packets causes
    /// no report.
    silence_max: Duration,
}

impl Default for KafkaHealth {
    fn default() -> Self {
        Self::new(Arc::default(), Duration::from_secs(10))
    }
}

impl KafkaHealth {
    /// The health as seen by a client that queries Kafka every `refresh`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, refresh: Duration) -> Self {
        let begun = Instant::now();
        let state = State {
            begun,
            answered: None,
            lost_since: None,
            faults: BTreeMap::new(),
            consequence: None,
            errors: 0,
            topics: BTreeMap::new(),
            lines: lines::Lines::new(begun),
            silence_max: refresh + limits::KAFKA_SILENCE_MAX,
        };
        Self {
            metrics,
            state: Mutex::new(state),
        }
    }

    /// Records a fault that Kafka's client reports. librdkafka starts the fault of a broker with
    /// the broker's name.
    pub fn report(&self, fault: String) {
        self.state.lock().report(fault, Instant::now());
    }

    /// Records that no broker can be reached. This follows from other faults and hides none.
    pub fn report_lost(&self, consequence: String) {
        self.state.lock().lose(consequence, Instant::now());
    }

    /// Records an answer from Kafka: metadata, a record, the end of a partition.
    pub fn answered(&self) {
        self.state.lock().answer(Instant::now(), SystemTime::now());
    }

    /// Whether Kafka answers. `false` until its first answer.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let state = self.state.lock();
        state.answered.is_some() && state.lost_since(Instant::now()).is_none()
    }

    /// When Kafka last answered.
    #[must_use]
    pub fn last_answer(&self) -> Option<SystemTime> {
        self.state.lock().answered.map(|(_, time)| time)
    }

    /// Why Kafka cannot be read: the faults of the last [`limits::KAFKA_FAULT_TTL`], even if Kafka
    /// has answered since. A broker may answer and name others that cannot be reached.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state.lock().fault(Instant::now())
    }

    /// Records why `topic` cannot be read, or with `None` that it can.
    pub fn set_topic(&self, topic: &Topic, trouble: Option<TopicTrouble>) {
        let mut state = self.state.lock();
        let before = match trouble {
            Some(trouble) => state.topics.insert(topic.clone(), trouble),
            None => state.topics.remove(topic),
        };
        if before == trouble {
            return;
        }
        let label = |trouble: TopicTrouble| TopicReasonLabel {
            topic: topic.to_string(),
            reason: trouble.as_str(),
        };
        if let Some(before) = before {
            self.metrics.topics_unavailable.remove(&label(before));
        }
        if let Some(trouble) = trouble {
            self.metrics
                .topics_unavailable
                .get_or_create(&label(trouble))
                .set(1);
        }
    }

    /// Forgets the topics for which `is_wanted` is false: the configuration no longer names them.
    pub fn retain_topics(&self, is_wanted: impl Fn(&Topic) -> bool) {
        for topic in self.topics().into_keys().filter(|topic| !is_wanted(topic)) {
            self.set_topic(&topic, None);
        }
    }

    /// Why `topic` cannot be read, if it cannot.
    #[must_use]
    pub fn topic(&self, topic: &Topic) -> Option<TopicTrouble> {
        self.state.lock().topics.get(topic).copied()
    }

    /// Every topic that cannot be read.
    #[must_use]
    pub fn topics(&self) -> BTreeMap<Topic, TopicTrouble> {
        self.state.lock().topics.clone()
    }

    /// Updates the gauges.
    pub fn update_gauges(&self) {
        self.metrics
            .kafka_connected
            .set(u8::from(self.is_connected()));
        let since_1970 = self
            .last_answer()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        self.metrics
            .kafka_last_answer
            .set(since_1970.unwrap_or_default());
    }

    /// Logs changes until `shutdown`.
    pub async fn log(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(limits::KAFKA_LOG_INTERVAL) => {}
                () = shutdown.begun() => return,
            }
            let lines = self.state.lock().log_lines(Instant::now());
            lines.iter().for_each(lines::Line::log);
        }
    }
}

impl State {
    fn report(&mut self, fault: String, now: Instant) {
        self.errors += 1;
        self.faults
            .retain(|_, (_, reported)| now.duration_since(*reported) < limits::KAFKA_FAULT_TTL);
        if self.faults.len() < limits::KAFKA_FAULTS_MAX
            || self.faults.contains_key(broker_of(&fault))
        {
            self.faults
                .insert(broker_of(&fault).to_owned(), (fault, now));
        }
    }

    fn lose(&mut self, consequence: String, now: Instant) {
        self.errors += 1;
        self.lost_since.get_or_insert(now);
        self.consequence = Some(consequence);
    }

    fn answer(&mut self, now: Instant, time: SystemTime) {
        self.answered = Some((now, time));
        self.lost_since = None;
        self.consequence = None;
    }

    fn lost_since(&self, now: Instant) -> Option<Instant> {
        let silent_since = self.answered.map_or(self.begun, |(answered, _)| answered);
        let silent = (now.duration_since(silent_since) > self.silence_max).then_some(silent_since);
        self.lost_since.or(silent)
    }

    fn fault(&self, now: Instant) -> Option<String> {
        let kept = self
            .faults
            .values()
            .filter(|(_, reported)| now.duration_since(*reported) < limits::KAFKA_FAULT_TTL);
        let faults: Vec<&str> = kept.map(|(fault, _)| fault.as_str()).collect();
        if faults.is_empty() {
            self.consequence.clone()
        } else {
            Some(faults.join("; "))
        }
    }

    fn log_lines(&mut self, now: Instant) -> Vec<lines::Line> {
        let snapshot = lines::Snapshot {
            lost_since: self.lost_since(now),
            has_answered: self.answered.is_some(),
            errors: std::mem::take(&mut self.errors),
            cause: self.fault(now),
            topics: &self.topics,
        };
        self.lines.update(&snapshot, now)
    }
}

/// The broker that a fault names: `ssl://kafka1:9093/1` in
/// `...: ssl://kafka1:9093/1: Connect to ... failed`. Empty if it names none.
fn broker_of(fault: &str) -> &str {
    let is_broker = |part: &&str| part.contains('/') && part.contains(':') && !part.contains(' ');
    fault.split(": ").find(is_broker).unwrap_or_default()
}

#[cfg(test)]
mod tests;
