//! The bound of all memory logs together: the record that arrived first is forgotten first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cursor::TimestampMs;
use crate::fanout::partition::HubPartition;

/// The records of all memory logs, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Retention {
    arrivals: VecDeque<Arrived>,
    bytes: usize,
}

/// A record in a memory log.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) partition: Arc<HubPartition>,
    /// Its memory, in bytes.
    pub(super) cost: usize,
    /// Kafka's timestamp.
    pub(super) timestamp: TimestampMs,
}

impl Retention {
    pub(super) fn add(&mut self, arrived: Arrived) {
        self.bytes += arrived.cost;
        self.arrivals.push_back(arrived);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The time from the oldest record to the newest.
    pub(super) fn span_ms(&self) -> i64 {
        let time = |arrived: Option<&Arrived>| arrived.map_or(0, |arrived| arrived.timestamp.0);
        time(self.arrivals.back()) - time(self.arrivals.front())
    }

    /// Forgets the oldest records until at most `bytes_max` are left.
    pub(super) fn trim(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(oldest) = self.arrivals.pop_front() else {
                return;
            };
            self.bytes -= oldest.cost;
            oldest.partition.log.write().forget_oldest();
        }
    }
}
