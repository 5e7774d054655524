//! The coordinator of transactions (KIP-98): the producer of each transactional id, and its open
//! transaction.
//!
//! It is in memory only. After a restart with a folder, the open transactions of the logs are
//! aborted and a transactional id gets a new producer id.

use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::log::PartitionLog;

/// The most transactional ids. The one that was used longest ago is forgotten first, unless its
/// transaction is open.
const IDS_MAX: usize = 10_000;

/// The longest that a transaction may stay open (Apache Kafka's `transaction.max.timeout.ms`).
const TIMEOUT_MAX: Duration = Duration::from_mins(15);

/// All transactional ids.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    by_id: Mutex<BTreeMap<String, Transaction>>,
}

/// The producer of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

#[derive(Debug)]
struct Transaction {
    identity: Identity,
    timeout: Duration,
    asked_at: Instant,
    open: Option<Open>,
    /// How the last transaction ended, for a client that repeats a request because it missed the
    /// answer.
    committed: Option<bool>,
}

#[derive(Debug, Default)]
struct Open {
    ends: Option<Instant>,
    /// By topic id and number.
    partitions: BTreeMap<(Uuid, i32), Arc<Mutex<PartitionLog>>>,
}

impl Transactions {
    /// Starts a producer under `id`: it gets the next epoch, so that earlier producers of the id
    /// are fenced off, and their open transaction is aborted. `known` is the identity of a producer
    /// that continues after an error (KIP-360).
    ///
    /// # Errors
    /// `PRODUCER_FENCED` when `known` is not the id's last identity, `INVALID_TRANSACTION_TIMEOUT`,
    /// `POLICY_VIOLATION` for too many ids.
    pub(crate) fn begin_producer(
        &self,
        id: &str,
        known: Option<Identity>,
        timeout_ms: i32,
    ) -> Result<Identity, ResponseError> {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        let mut by_id = self.by_id.lock();
        make_room(&mut by_id, id)?;
        let transaction = match by_id.entry(id.to_owned()) {
            btree_map::Entry::Vacant(new) => new.insert(Transaction::new()),
            btree_map::Entry::Occupied(old) => {
                let old = old.into_mut();
                if known.is_some_and(|known| known != old.identity) {
                    return Err(ResponseError::ProducerFenced);
                }
                old.fence()?;
                old
            }
        };
        (transaction.timeout, transaction.asked_at) = (timeout, Instant::now());
        Ok(transaction.identity)
    }

    /// Adds partitions to the open transaction, or opens one.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(crate) fn add(
        &self,
        id: &str,
        identity: Identity,
        partitions: impl IntoIterator<Item = ((Uuid, i32), Arc<Mutex<PartitionLog>>)>,
    ) -> Result<(), ResponseError> {
        let mut by_id = self.by_id.lock();
        let transaction = Self::of(&mut by_id, id, identity)?;
        let ends = Instant::now() + transaction.timeout;
        let open = transaction.open.get_or_insert_with(|| Open {
            ends: Some(ends),
            ..Open::default()
        });
        open.partitions.extend(partitions);
        Ok(())
    }

    /// Runs `append` if the partition is in the open transaction of `id`, which cannot end
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Self::of`]; `INVALID_TXN_STATE` when the partition is not in it; the error of `append`.
    pub(crate) fn append<T>(
        &self,
        id: &str,
        identity: Identity,
        partition: (Uuid, i32),
        append: impl FnOnce() -> Result<T, ResponseError>,
    ) -> Result<T, ResponseError> {
        let mut by_id = self.by_id.lock();
        let transaction = Self::of(&mut by_id, id, identity)?;
        let holds = |open: &Open| open.partitions.contains_key(&partition);
        if transaction.open.as_ref().is_some_and(holds) {
            append()
        } else {
            Err(ResponseError::InvalidTxnState)
        }
    }

    /// Ends the open transaction with a mark in each of its partitions.
    ///
    /// # Errors
    /// As [`Self::of`]; `INVALID_TXN_STATE` when none is open, unless one has just ended in the
    /// same way; `KAFKA_STORAGE_ERROR` when a mark cannot be written.
    pub(crate) fn end(
        &self,
        id: &str,
        identity: Identity,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let mut by_id = self.by_id.lock();
        let transaction = Self::of(&mut by_id, id, identity)?;
        if transaction.open.is_none() && transaction.committed != Some(commit) {
            return Err(ResponseError::InvalidTxnState);
        }
        transaction.end(commit)
    }

    /// Aborts the transactions that exceeded their timeout, and fences their producers off. Returns
    /// whether there was any.
    pub(crate) fn abort_expired(&self) -> bool {
        let mut any = false;
        for (id, transaction) in self.by_id.lock().iter_mut() {
            let ends = transaction.open.as_ref().and_then(|open| open.ends);
            if ends.is_some_and(|ends| ends <= Instant::now()) {
                any = true;
                let is_aborted = transaction.fence().is_ok();
                tracing::debug!(
                    transactional_id = id,
                    is_aborted,
                    "aborted a transaction: its time was up"
                );
            }
        }
        any
    }

    /// The state of a transactional id, only for its current producer.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_ID_MAPPING` for another producer, `PRODUCER_FENCED` for another epoch.
    fn of<'a>(
        by_id: &'a mut BTreeMap<String, Transaction>,
        id: &str,
        identity: Identity,
    ) -> Result<&'a mut Transaction, ResponseError> {
        let transaction = by_id
            .get_mut(id)
            .ok_or(ResponseError::InvalidProducerIdMapping)?;
        if transaction.identity.producer_id != identity.producer_id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if transaction.identity.epoch != identity.epoch {
            return Err(ResponseError::ProducerFenced);
        }
        transaction.asked_at = Instant::now();
        Ok(transaction)
    }
}

impl Transaction {
    fn new() -> Self {
        let identity = Identity {
            producer_id: new_producer_id(),
            epoch: 0,
        };
        Self {
            identity,
            timeout: TIMEOUT_MAX,
            asked_at: Instant::now(),
            open: None,
            committed: None,
        }
    }

    /// Moves to the next epoch (or to a new producer id after the last one) and aborts the open
    /// transaction.
    fn fence(&mut self) -> Result<(), ResponseError> {
        if self.identity.epoch < i16::MAX - 1 {
            self.identity.epoch += 1;
            let ended = self.end(false);
            self.committed = None;
            return ended;
        }
        let ended = self.end(false);
        self.identity = Identity {
            producer_id: new_producer_id(),
            epoch: 0,
        };
        self.committed = None;
        ended
    }

    fn end(&mut self, commit: bool) -> Result<(), ResponseError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.committed = Some(commit);
        let Identity { producer_id, epoch } = self.identity;
        let marks = open.partitions.values().map(|log| {
            log.lock()
                .end_transaction(producer_id, epoch, commit, now_ms())
        });
        marks.fold(Ok(()), Result::and)
    }
}

fn make_room(by_id: &mut BTreeMap<String, Transaction>, id: &str) -> Result<(), ResponseError> {
    if by_id.len() < IDS_MAX || by_id.contains_key(id) {
        return Ok(());
    }
    let idle = by_id
        .iter()
        .filter(|(_, transaction)| transaction.open.is_none());
    let stalest = idle
        .min_by_key(|(_, transaction)| transaction.asked_at)
        .map(|(id, _)| id.clone());
    by_id.remove(&stalest.ok_or(ResponseError::PolicyViolation)?);
    Ok(())
}

/// Random, so that ids do not repeat when logs outlive the process.
pub(crate) fn new_producer_id() -> i64 {
    (Uuid::new_v4().as_u64_pair().1 >> 1).cast_signed()
}

/// The wall clock, for marks.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
