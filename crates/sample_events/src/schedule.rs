//! Events that are not due yet, in the order in which Kafka gets them.

use crate::SampleEvent;
use crate::rng::Rng;
use crate::streams::{PREFIXES, Stream};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The longest time between an activity and its last event, in nanoseconds.
const SPREAD_NS_MAX: u64 = 700_000_000;
/// The same in events at the current rate, so that a high rate does not queue events up.
const SPREAD_EVENTS_MAX: u64 = 20;

/// The events that are not due yet. All times are nanoseconds since the samples' start:
/// milliseconds are too coarse for a hundred thousand events a second.
#[derive(Debug)]
pub(crate) struct Schedule {
    start_ms: i64,
    spread_ns: u64,
    now_ns: u64,
    /// The datacenter prefix of the topics of added events.
    prefix: &'static str,
    due: BinaryHeap<Reverse<Due>>,
    /// How many events were added so far: the second key of the order, so that ties keep their
    /// order.
    count: u64,
}

#[derive(Debug)]
struct Due {
    at_ns: u64,
    number: u64,
    event: SampleEvent,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl Schedule {
    /// An empty one, for events that come every `ns_per_event` nanoseconds on average.
    pub(crate) fn new(start_ms: i64, ns_per_event: u64) -> Self {
        let spread_ns = SPREAD_NS_MAX.min(ns_per_event.saturating_mul(SPREAD_EVENTS_MAX));
        Self {
            start_ms,
            spread_ns,
            now_ns: 0,
            prefix: PREFIXES[0],
            due: BinaryHeap::new(),
            count: 0,
        }
    }

    /// Events that are added from here on belong to that time and datacenter.
    pub(crate) fn at(&mut self, now_ns: u64, prefix: &'static str) {
        self.now_ns = now_ns;
        self.prefix = prefix;
    }

    /// A moment after now, between two thousandths of the spread.
    pub(crate) fn moment(&self, rng: &mut Rng, low: u64, high: u64) -> u64 {
        self.now_ns + self.spread_ns * rng.between(low, high) / 1000
    }

    /// A moment as milliseconds since 1970.
    pub(crate) fn ms(&self, at_ns: u64) -> i64 {
        self.start_ms
            .saturating_add(i64::try_from(at_ns / 1_000_000).unwrap_or(i64::MAX))
    }

    /// Adds an event that is due at that moment. Its partition is the remainder of `key_hash` by
    /// the number of partitions.
    pub(crate) fn add(
        &mut self,
        stream: Stream,
        at_ns: u64,
        key_hash: u64,
        key: Option<Vec<u8>>,
        value: Vec<u8>,
    ) {
        let partitions = u64::from(stream.partitions().unsigned_abs());
        let event = SampleEvent {
            topic: [self.prefix, stream.name()].concat(),
            partition: i32::try_from(key_hash % partitions).unwrap_or(0),
            key,
            timestamp_ms: self.ms(at_ns),
            value,
        };
        self.due.push(Reverse(Due {
            at_ns,
            number: self.count,
            event,
        }));
        self.count += 1;
    }

    /// How many events were added so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The next event, if it is due by then.
    pub(crate) fn pop_due(&mut self, at_ns: u64) -> Option<SampleEvent> {
        let first = self
            .due
            .peek()
            .is_some_and(|Reverse(first)| first.at_ns <= at_ns);
        if first {
            self.due.pop().map(|Reverse(due)| due.event)
        } else {
            None
        }
    }
}
