use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use super::clients::{read_all, send};
use super::{TestBroker, idempotent_batch, record, topic, transactional_batch};
use crate::batch::Batch;
use crate::log::PartitionLog;
use crate::{BrokerConfig, BrokerError, DevBroker};

fn config(folder: &TempDir, topics: &[(&str, i32)]) -> BrokerConfig {
    let topics = topics
        .iter()
        .map(|(name, partitions)| topic(name, *partitions))
        .collect();
    BrokerConfig {
        data: Some(folder.path().to_owned()),
        topics,
        ..BrokerConfig::default()
    }
}

fn open(folder: &TempDir) -> PartitionLog {
    PartitionLog::open(16_000, Some(folder.path().to_owned())).unwrap()
}

fn append(log: &mut PartitionLog, value: &str) -> i64 {
    log.append(&Batch::encode(&[record(7, value)]).unwrap())
        .unwrap()
}

fn everything(log: &PartitionLog) -> Vec<bytes::Bytes> {
    log.read(log.start(), usize::MAX, false).unwrap().batches
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    logs.sort();
    logs
}

#[test]
fn topics_and_records_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let before = TestBroker::start(config(&folder, &[("t", 2)]));
    send(
        &before,
        "none",
        (0..50).map(|i| (1, i, format!("value {i}"))),
    );
    before
        .broker
        .append("t", 0, &[record(5, "in the process")])
        .unwrap();
    let metadata = |broker: &TestBroker| {
        let consumer: BaseConsumer = broker.client().create().unwrap();
        let metadata = consumer
            .fetch_metadata(None, std::time::Duration::from_secs(10))
            .unwrap();
        metadata
            .topics()
            .iter()
            .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
            .collect::<Vec<_>>()
    };
    let (logs, topics) = (
        (read_all(&before, 0), read_all(&before, 1)),
        metadata(&before),
    );
    assert_eq!(
        (logs.0.len(), logs.1.len(), &topics),
        (1, 50, &vec![("t".to_owned(), 2)])
    );
    let cluster_id = before.broker.broker.topics.cluster_id().to_owned();
    before.kill();

    let after = TestBroker::start(config(&folder, &[]));
    assert_eq!((read_all(&after, 0), read_all(&after, 1)), logs);
    assert_eq!(metadata(&after), topics);
    assert_eq!(after.broker.broker.topics.cluster_id(), cluster_id);
    assert_eq!(
        after.broker.append("t", 1, &[record(5, "next")]).unwrap(),
        50
    );
    after.stop();
}

#[test]
fn a_folder_serves_one_broker_at_a_time_and_the_next_after_stop() {
    let folder = tempfile::tempdir().unwrap();
    let first = TestBroker::start(config(&folder, &[]));
    let second = first
        .runtime
        .block_on(DevBroker::start(config(&folder, &[])));
    assert!(matches!(second, Err(BrokerError::FolderInUse { .. })));
    first.stop();
    TestBroker::start(config(&folder, &[])).stop();
}

#[test]
fn a_recreated_topic_starts_empty_without_the_old_files() {
    let folder = tempfile::tempdir().unwrap();
    let first = TestBroker::start(config(&folder, &[("t", 1)]));
    first.broker.append("t", 0, &[record(1, "old")]).unwrap();
    let topics = &first.broker.broker.topics;
    let old = topics.get("t").unwrap().id;
    topics.delete("t").unwrap();
    topics.create("t", 1, [].into(), false).unwrap();
    assert_ne!(topics.get("t").unwrap().id, old);
    assert!(!folder.path().join(old.to_string()).exists());
    // A kill in the middle of a deletion leaves this.
    fs::create_dir_all(folder.path().join(old.to_string()).join("0")).unwrap();
    first.kill();
    let second = TestBroker::start(config(&folder, &[]));
    assert_eq!(
        second.broker.append("t", 0, &[record(1, "new")]).unwrap(),
        0
    );
    assert!(!folder.path().join(old.to_string()).exists());
    second.stop();
}

#[test]
fn retention_and_deletion_hold_across_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder);
    (0..1000).for_each(|offset| assert_eq!(append(&mut log, "some value"), offset));
    let (start, all) = (log.start(), everything(&log));
    assert!(start > 0);
    drop(log);
    let mut log = open(&folder);
    assert_eq!(
        (log.start(), log.end(), everything(&log)),
        (start, 1000, all)
    );
    let on_disk: u64 = segments(folder.path())
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(on_disk <= 16_000);

    log.delete_before(start + 3).unwrap();
    drop(log);
    let mut log = open(&folder);
    assert_eq!(log.start(), start + 3);
    log.delete_before(-1).unwrap();
    drop(log);
    let mut log = open(&folder);
    assert_eq!((log.start(), log.end()), (1000, 1000));
    assert_eq!(append(&mut log, "next"), 1000);
}

#[test]
fn groups_do_not_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = TestBroker::start(config(&folder, &[("t", 1)]));
    first
        .broker
        .broker
        .groups
        .commit("g", -1, "", Vec::new())
        .unwrap();
    assert_eq!(first.broker.broker.groups.ids(), ["g"]);
    first.stop();
    let second = TestBroker::start(config(&folder, &[]));
    assert!(second.broker.broker.groups.ids().is_empty());
    second.stop();
}

#[test]
fn a_hole_keeps_the_newest_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder);
    (0..100).for_each(|_| {
        append(&mut log, "some value");
    });
    drop(log);
    let files = segments(folder.path());
    assert!(files.len() > 3);
    fs::remove_file(&files[1]).unwrap();
    let log = open(&folder);
    let expected: i64 = files[2]
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!((log.start(), log.end()), (expected, 100));
    assert_eq!(segments(folder.path()), files[2..]);
}

#[test]
fn an_idempotent_producer_is_remembered_across_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder);
    log.append(&idempotent_batch(1, 0, 0, 3)).unwrap();
    drop(log);
    let mut log = open(&folder);
    assert_eq!(log.append(&idempotent_batch(1, 0, 0, 3)), Ok(0));
    assert_eq!(log.append(&idempotent_batch(1, 0, 3, 1)), Ok(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After a kill during a write, or a flipped byte on disk, the log ends before that batch and
    /// continues from there.
    #[test]
    fn a_torn_or_corrupt_tail_is_cut(kept_bytes in 0..4000_usize, turned in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(&folder);
        (0..10).for_each(|_| { append(&mut log, "some value of some size"); });
        let all = everything(&log);
        drop(log);
        let file = segments(folder.path()).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let first: i64 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let kept = kept_bytes.min(bytes.len() - 1);
        if turned { bytes[kept] ^= 0x40 } else { bytes.truncate(kept) }
        fs::write(&file, bytes).unwrap();

        let mut log = open(&folder);
        let whole = i64::try_from(kept / all[0].len()).unwrap();
        // The leader epoch (bytes 12 to 15) is under no checksum and has no meaning here: a flipped
        // byte in it loses nothing.
        let harmless = turned && (12..16).contains(&(kept % all[0].len()));
        let end = if harmless { 10 } else { first + whole };
        prop_assert_eq!((log.start(), log.end()), (0, end));
        prop_assert_eq!(&everything(&log)[..], &all[..usize::try_from(end).unwrap()]);
        prop_assert_eq!(append(&mut log, "next"), end);
        drop(log);
        prop_assert_eq!(open(&folder).end(), end + 1);
    }
}

#[test]
fn open_transactions_are_aborted_by_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut before = open(&folder);
    before.append(&transactional_batch(7, 3, 0, 2)).unwrap();
    before.append(&transactional_batch(8, 0, 0, 1)).unwrap();
    before.end_transaction(8, 0, true, 5).unwrap();
    assert_eq!(before.last_stable(), 0);
    drop(before);
    let mut after = open(&folder);
    assert_eq!((after.last_stable(), after.end()), (5, 5));
    assert_eq!(after.transactions().aborted_in(0, 5).len(), 1);
    assert_eq!(
        after.append(&transactional_batch(7, 2, 2, 1)),
        Err(kafka_protocol::ResponseError::InvalidProducerEpoch)
    );
    drop(after);
    assert_eq!(open(&folder).end(), 5, "a mark is written once");
}
