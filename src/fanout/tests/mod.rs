//! The fan-out without sockets and without Kafka: seeded runs of random events, compared with the
//! log itself.
//!
//! Rings and memory logs are so small that handoffs between feed, memory log and Kafka happen all
//! the time. `SEED=` repeats one run, `MODEL_RUNS=` sets the number of runs:
//! `MODEL_RUNS=100000 cargo test --release --lib fanout::tests`.
//!
//! * `cluster`: Kafka as plain vectors.
//! * `server`: a hub that reads the model.
//! * `client`: what a client gets, and what it should get.
//! * `run`: one run.
//! * `ends`: streams that end at a time.
//! * `pages`: streams that are read page by page.
//! * `logs`: logs that are recreated, truncated or unavailable.
//! * `neighbours`: how the streams of one client affect other clients.
//! * `together`: cases that random runs do not reach.

mod client;
mod cluster;
mod ends;
mod logs;
mod neighbours;
mod pages;
mod run;
mod server;
mod together;

use run::{Kind, Run};

use super::StepLimits;

/// So small that runs of a hundred events meet every boundary.
const TINY_STEPS: StepLimits = StepLimits {
    memory_entries_max: 3,
    catch_up_bytes: 1024,
    live_bytes_max: 1024,
    scanned_records_max: 5,
    progress_records: 7,
};

fn runs(kind: Kind) {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let random: u64 = rand::random();
    let (first, count) = match (variable("SEED"), variable("MODEL_RUNS")) {
        (Some(seed), _) => (seed, 1),
        (None, Some(count)) => (random, count),
        (None, None) => (random, 50),
    };
    let fixed = if count > 1 { 0..20 } else { 0..0 };
    let mut events = 0;
    for seed in fixed.chain((0..count).map(|n| first.wrapping_add(n))) {
        let on_failure = PrintSeedOnPanic { kind, seed };
        events += Run::new(kind, seed).play();
        drop(on_failure);
    }
    assert!(count == 1 || events > 1000, "too few events were delivered");
    println!("{count} runs from SEED={first} on: {events} events");
}

/// Prints the seed of a run that fails.
struct PrintSeedOnPanic {
    kind: Kind,
    seed: u64,
}

impl Drop for PrintSeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?} failed; repeat with SEED={}", self.kind, self.seed);
        }
    }
}

#[test]
fn on_one_cluster_every_client_gets_each_event_once_and_in_order() {
    runs(Kind::OneCluster);
}

#[test]
fn on_two_clusters_every_client_gets_the_whole_log() {
    runs(Kind::TwoClusters);
}

#[test]
fn partitions_that_are_added_lose_nothing() {
    runs(Kind::Growth);
}

#[test]
fn what_retention_has_taken_is_reported() {
    runs(Kind::Retention);
}

#[test]
fn compacted_records_are_skipped_and_nothing_is_repeated() {
    runs(Kind::Compaction);
}
