//! The log lines about Kafka's health: one for each change, a summary a minute during an outage,
//! and one with the duration at its end.
//!
//! Lines are limited: [`BURST`] at once, then one every [`PAUSE`]. The next line counts the changes
//! that had no line. A broker that restarts every minute does not fill a disk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::TopicTrouble;
use crate::stream::Topic;

/// The number of lines that may be written at once.
const BURST: u32 = 10;

/// The interval of the lines after a burst.
const PAUSE: Duration = Duration::from_secs(30);

/// The interval between two summaries.
const SUMMARY: Duration = Duration::from_mins(1);

/// How long errors wait for a line. They often announce an outage, whose line then counts them.
const ERRORS_WAIT: Duration = Duration::from_secs(2);

/// The number of topics named in one line.
const NAMED_MAX: usize = 10;

/// A snapshot of Kafka's health.
pub(super) struct Snapshot<'a> {
    pub(super) lost_since: Option<Instant>,
    pub(super) has_answered: bool,
    /// Errors since the last snapshot.
    pub(super) errors: u64,
    pub(super) cause: Option<String>,
    pub(super) topics: &'a BTreeMap<Topic, TopicTrouble>,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Lost {
        cause: String,
    },
    StillLost {
        seconds: u64,
        errors: u64,
        cause: String,
    },
    Back {
        seconds: u64,
        errors: u64,
        losses: u64,
    },
    Errors {
        errors: u64,
        cause: String,
    },
    Unreadable {
        reason: &'static str,
        topics: String,
    },
    ReadableAgain {
        topics: String,
    },
}

/// The lines so far.
#[derive(Debug)]
pub(super) struct Lines {
    left: u32,
    refilled: Instant,
    /// The start of the outage, if a line reports it.
    written_lost: Option<Instant>,
    was_lost: bool,
    losses: u64,
    errors: u64,
    errors_since: Option<Instant>,
    last_summary: Option<Instant>,
    topics: BTreeMap<Topic, TopicTrouble>,
}

impl Lines {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            refilled: now,
            written_lost: None,
            was_lost: false,
            losses: 0,
            errors: 0,
            errors_since: None,
            last_summary: None,
            topics: BTreeMap::new(),
        }
    }

    /// The lines to write for a snapshot.
    pub(super) fn update(&mut self, snapshot: &Snapshot<'_>, now: Instant) -> Vec<Line> {
        self.refill(now);
        self.errors += snapshot.errors;
        if self.errors > 0 {
            self.errors_since.get_or_insert(now);
        }
        let is_lost = snapshot.lost_since.is_some();
        self.losses += u64::from(is_lost && !self.was_lost);
        self.was_lost = is_lost;
        let mut lines: Vec<Line> = self.connection(snapshot, now).into_iter().collect();
        // During an outage the state of topics is unknown.
        if !is_lost {
            lines.extend(self.topics(snapshot.topics));
        }
        lines
    }

    fn connection(&mut self, snapshot: &Snapshot<'_>, now: Instant) -> Option<Line> {
        let cause = || {
            snapshot
                .cause
                .clone()
                .unwrap_or_else(|| "it does not answer".to_owned())
        };
        let is_due =
            |last: Option<Instant>| last.is_none_or(|last| now.duration_since(last) >= SUMMARY);
        match (self.written_lost, snapshot.lost_since) {
            (None, Some(since)) if self.may_write() => {
                self.written_lost = Some(since);
                self.begin_summary(now);
                Some(Line::Lost { cause: cause() })
            }
            (Some(since), Some(_)) if is_due(self.last_summary) => {
                let errors = self.begin_summary(now);
                Some(Line::StillLost {
                    seconds: now.duration_since(since).as_secs(),
                    errors,
                    cause: cause(),
                })
            }
            (Some(since), None) if snapshot.has_answered && self.may_write() => {
                self.written_lost = None;
                let errors = self.begin_summary(now);
                let losses = std::mem::take(&mut self.losses);
                Some(Line::Back {
                    seconds: now.duration_since(since).as_secs(),
                    errors,
                    losses,
                })
            }
            (None, None)
                if is_due(self.last_summary) && self.are_errors_due(now) && self.may_write() =>
            {
                let errors = self.begin_summary(now);
                Some(Line::Errors {
                    errors,
                    cause: cause(),
                })
            }
            _ => None,
        }
    }

    fn topics(&mut self, now: &BTreeMap<Topic, TopicTrouble>) -> Vec<Line> {
        let mut lines = Vec::new();
        let is_known = |known: &BTreeMap<Topic, TopicTrouble>, topic, trouble| {
            known.get(topic) == Some(trouble)
        };
        let mut begun: BTreeMap<TopicTrouble, Vec<&Topic>> = BTreeMap::new();
        for (topic, trouble) in now
            .iter()
            .filter(|(topic, trouble)| !is_known(&self.topics, *topic, *trouble))
        {
            begun.entry(*trouble).or_default().push(topic);
        }
        for (trouble, topics) in begun {
            if self.may_write() {
                lines.push(Line::Unreadable {
                    reason: trouble.as_str(),
                    topics: named(&topics),
                });
                self.topics
                    .extend(topics.into_iter().map(|topic| (topic.clone(), trouble)));
            }
        }
        let over: Vec<Topic> = self
            .topics
            .keys()
            .filter(|topic| !now.contains_key(*topic))
            .cloned()
            .collect();
        if !over.is_empty() && self.may_write() {
            lines.push(Line::ReadableAgain {
                topics: named(&over.iter().collect::<Vec<_>>()),
            });
            self.topics.retain(|topic, _| now.contains_key(topic));
        }
        lines
    }

    fn are_errors_due(&self, now: Instant) -> bool {
        self.errors_since
            .is_some_and(|since| now.duration_since(since) >= ERRORS_WAIT)
    }

    /// Starts a new summary interval. Returns the errors of the last one.
    fn begin_summary(&mut self, now: Instant) -> u64 {
        self.last_summary = Some(now);
        self.errors_since = None;
        std::mem::take(&mut self.errors)
    }

    fn may_write(&mut self) -> bool {
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    fn refill(&mut self, now: Instant) {
        while now.duration_since(self.refilled) >= PAUSE {
            self.refilled += PAUSE;
            self.left = BURST.min(self.left + 1);
        }
    }
}

fn named(topics: &[&Topic]) -> String {
    let named = topics
        .iter()
        .take(NAMED_MAX)
        .map(|topic| topic.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    match topics.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl Line {
    /// Writes the line.
    pub(super) fn log(&self) {
        match self {
            Self::Lost { cause } => tracing::warn!(cause, "Kafka cannot be reached"),
            Self::StillLost {
                seconds,
                errors,
                cause,
            } => {
                tracing::warn!(
                    duration_s = seconds,
                    errors,
                    cause,
                    "Kafka still cannot be reached"
                );
            }
            Self::Back {
                seconds,
                errors,
                losses,
            } => {
                tracing::info!(duration_s = seconds, errors, losses, "Kafka answers again");
            }
            Self::Errors { errors, cause } => {
                tracing::warn!(errors, cause, "Kafka's client reports errors");
            }
            Self::Unreadable { reason, topics } => {
                tracing::warn!(reason, topics, "topics cannot be read");
            }
            Self::ReadableAgain { topics } => tracing::info!(topics, "topics can be read again"),
        }
    }
}
