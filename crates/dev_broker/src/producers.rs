//! The idempotent producers of a partition, so that a batch sent twice is kept once (KIP-98).

use std::collections::{HashMap, VecDeque};

use kafka_protocol::ResponseError;

use crate::batch::{Batch, BatchProducer};

/// How many batches of one producer are recognised when they come again: as many as a producer may
/// have in flight (`max.in.flight.requests.per.connection` is at most 5 for idempotent producers).
const BATCHES_REMEMBERED: usize = 5;

/// The most producers of one partition. The one that wrote longest ago is forgotten first. A
/// forgotten producer may continue with any sequence, as on Apache Kafka.
const PRODUCERS_MAX: usize = 1000;

/// The idempotent producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// New: append it.
    Append,
    /// Already in the log, at this base offset.
    Duplicate(i64),
}

impl Producers {
    /// Compares a batch with what its producer wrote before.
    ///
    /// # Errors
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap or an old batch that is forgotten,
    /// `INVALID_PRODUCER_EPOCH` for an older epoch.
    pub(crate) fn check(&self, batch: &Batch) -> Result<Verdict, ResponseError> {
        let Some(sender) = batch.producer() else {
            return Ok(Verdict::Append);
        };
        let Some(known) = self.by_id.get(&sender.id) else {
            return Ok(Verdict::Append);
        };
        if sender.epoch < known.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if sender.epoch > known.epoch {
            return if sender.first_sequence == 0 {
                Ok(Verdict::Append)
            } else {
                Err(ResponseError::OutOfOrderSequenceNumber)
            };
        }
        let last = last_sequence(sender, batch.span());
        if let Some(same) = known
            .batches
            .iter()
            .find(|b| b.first_sequence == sender.first_sequence && b.last_sequence == last)
        {
            return Ok(Verdict::Duplicate(same.base_offset));
        }
        match known.batches.back() {
            Some(before) if sender.first_sequence != sequence_after(before.last_sequence, 1) => {
                Err(ResponseError::OutOfOrderSequenceNumber)
            }
            _ => Ok(Verdict::Append),
        }
    }

    /// Remembers a batch that was appended.
    pub(crate) fn remember(&mut self, batch: &Batch) {
        let Some(sender) = batch.producer() else {
            return;
        };
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains_key(&sender.id) {
            self.forget_the_stalest();
        }
        let producer = self.by_id.entry(sender.id).or_insert(Producer {
            epoch: sender.epoch,
            batches: VecDeque::new(),
        });
        if producer.epoch != sender.epoch {
            *producer = Producer {
                epoch: sender.epoch,
                batches: VecDeque::new(),
            };
        }
        // A mark that ends a transaction has no sequence. Its epoch may be later, which fences the
        // older ones off.
        if sender.first_sequence < 0 {
            return;
        }
        if producer.batches.len() == BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: sender.first_sequence,
            last_sequence: last_sequence(sender, batch.span()),
            base_offset: batch.base_offset(),
        });
    }

    /// The producer's last epoch.
    pub(crate) fn epoch(&self, producer_id: i64) -> Option<i16> {
        self.by_id.get(&producer_id).map(|producer| producer.epoch)
    }

    fn forget_the_stalest(&mut self) {
        let written = |producer: &Producer| producer.batches.back().map(|batch| batch.base_offset);
        if let Some(id) = self
            .by_id
            .iter()
            .min_by_key(|(_, producer)| written(producer))
            .map(|(id, _)| *id)
        {
            self.by_id.remove(&id);
        }
    }
}

fn last_sequence(sender: BatchProducer, records: i32) -> i32 {
    sequence_after(sender.first_sequence, records - 1)
}

/// Sequences count from 0 to `i32::MAX` and start over.
fn sequence_after(sequence: i32, steps: i32) -> i32 {
    sequence.wrapping_add(steps) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::idempotent_batch as batch;

    #[test]
    fn repeated_batches_gaps_and_old_epochs_are_recognised() {
        let mut producers = Producers::default();
        producers.remember(&batch(7, 1, 0, 3).placed_at(10));
        producers.remember(&batch(7, 1, 3, 2).placed_at(13));
        assert_eq!(
            producers.check(&batch(7, 1, 0, 3)),
            Ok(Verdict::Duplicate(10))
        );
        assert_eq!(
            producers.check(&batch(7, 1, 3, 2)),
            Ok(Verdict::Duplicate(13))
        );
        assert_eq!(producers.check(&batch(7, 1, 5, 1)), Ok(Verdict::Append));
        assert_eq!(
            producers.check(&batch(7, 1, 6, 1)),
            Err(ResponseError::OutOfOrderSequenceNumber)
        );
        assert_eq!(
            producers.check(&batch(7, 0, 5, 1)),
            Err(ResponseError::InvalidProducerEpoch)
        );
        assert_eq!(producers.check(&batch(7, 2, 0, 1)), Ok(Verdict::Append));
        assert_eq!(
            producers.check(&batch(7, 2, 1, 1)),
            Err(ResponseError::OutOfOrderSequenceNumber)
        );
        assert_eq!(producers.check(&batch(8, 0, 99, 1)), Ok(Verdict::Append));
    }

    #[test]
    fn sequences_start_over_after_the_largest() {
        let mut producers = Producers::default();
        producers.remember(&batch(1, 0, i32::MAX - 1, 3));
        assert_eq!(producers.check(&batch(1, 0, 1, 1)), Ok(Verdict::Append));
        assert_eq!(
            producers.check(&batch(1, 0, 0, 1)),
            Err(ResponseError::OutOfOrderSequenceNumber)
        );
    }

    #[test]
    fn the_number_of_producers_is_bounded() {
        let mut producers = Producers::default();
        for id in 0..=i64::try_from(PRODUCERS_MAX).unwrap() {
            producers.remember(&batch(id, 0, 0, 1).placed_at(id));
        }
        assert_eq!(producers.by_id.len(), PRODUCERS_MAX);
        assert!(!producers.by_id.contains_key(&0));
    }
}
