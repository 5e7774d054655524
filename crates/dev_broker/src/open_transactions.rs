//! The transactions in a partition's log: which are open, and which were aborted.

use std::collections::BTreeMap;

use crate::batch::{Batch, BatchKind};

/// The transactions in one partition's log (KIP-98).
#[derive(Debug, Default)]
pub(crate) struct OpenTransactions {
    /// First offset of the open transaction of each producer.
    open: BTreeMap<i64, i64>,
    /// In order of the offsets of their marks.
    aborted: Vec<Aborted>,
}

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// The offset of the mark that ended it.
    pub(crate) mark_offset: i64,
}

impl OpenTransactions {
    /// Records the effect of a batch that was appended.
    pub(crate) fn note(&mut self, batch: &Batch) {
        let Some(producer) = batch.producer() else {
            return;
        };
        let offset = batch.base_offset();
        match batch.kind() {
            BatchKind::Plain => {}
            BatchKind::Transactional => {
                self.open.entry(producer.id).or_insert(offset);
            }
            BatchKind::Commit => {
                self.open.remove(&producer.id);
            }
            BatchKind::Abort => {
                let first = self.open.remove(&producer.id);
                self.aborted.extend(first.map(|first_offset| Aborted {
                    producer_id: producer.id,
                    first_offset,
                    mark_offset: offset,
                }));
            }
        }
    }

    /// The producers whose transactions are open.
    pub(crate) fn producers(&self) -> Vec<i64> {
        self.open.keys().copied().collect()
    }

    /// The first offset of the oldest open transaction: everything before it is decided.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.values().min().copied()
    }

    /// The aborted transactions with records in `from..to`, in order of their marks.
    pub(crate) fn aborted_in(&self, from: i64, to: i64) -> Vec<Aborted> {
        let first = self
            .aborted
            .partition_point(|aborted| aborted.mark_offset < from);
        self.aborted[first..]
            .iter()
            .copied()
            .filter(|aborted| aborted.first_offset < to)
            .collect()
    }

    /// Whether the record at `offset` of this producer was aborted.
    pub(crate) fn is_aborted(&self, producer_id: i64, offset: i64) -> bool {
        let holds =
            |aborted: &&Aborted| (aborted.first_offset..aborted.mark_offset).contains(&offset);
        self.aborted
            .iter()
            .filter(holds)
            .any(|aborted| aborted.producer_id == producer_id)
    }

    /// Forgets what ended before `start`.
    pub(crate) fn forget_before(&mut self, start: i64) {
        self.aborted.retain(|aborted| aborted.mark_offset >= start);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::transactional_batch;
    use super::*;

    #[test]
    fn the_oldest_open_transaction_holds_back_and_the_aborted_are_listed() {
        let mut transactions = OpenTransactions::default();
        let mark = |producer, commit, offset| Batch::mark(producer, 0, commit, 1).placed_at(offset);
        transactions.note(&transactional_batch(1, 0, 0, 2).placed_at(10));
        transactions.note(&transactional_batch(2, 0, 0, 1).placed_at(12));
        transactions.note(&transactional_batch(1, 0, 2, 1).placed_at(13));
        assert_eq!(
            (transactions.first_open(), transactions.producers()),
            (Some(10), vec![1, 2])
        );
        transactions.note(&mark(1, false, 14));
        assert_eq!(transactions.first_open(), Some(12));
        transactions.note(&mark(2, true, 15));
        assert_eq!(transactions.first_open(), None);
        let aborted = Aborted {
            producer_id: 1,
            first_offset: 10,
            mark_offset: 14,
        };
        assert_eq!(transactions.aborted_in(14, 20), [aborted]);
        assert_eq!(transactions.aborted_in(0, 11), [aborted]);
        assert_eq!(
            (
                transactions.aborted_in(15, 20),
                transactions.aborted_in(0, 10)
            ),
            (vec![], vec![])
        );
        assert!(
            transactions.is_aborted(1, 13)
                && !transactions.is_aborted(2, 12)
                && !transactions.is_aborted(1, 14)
        );
        transactions.forget_before(15);
        assert_eq!(transactions.aborted_in(0, 20), []);
    }
}
