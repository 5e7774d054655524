//! The oracle: seeded runs in which publishers, servers and subscribers do what they please, judged
//! by what was written.
//!
//! Records come in bursts of one millisecond. Some are no events, some are of redacted pages, some
//! are in transactions, some of these are aborted. Meanwhile each run has some of these troubles:
//! transactions stay open, and logs lose their oldest records, all but the newest of each key,
//! their newest, or all.
//!
//! Dozens of clients of different streams are cut at random bytes, come back with their last
//! complete id, lag on purpose, start with `since` or live, and change between the servers of a
//! cluster, which are stopped and started meanwhile, or between two clusters with different
//! offsets. On one cluster a client must receive what was written from its start on, each event
//! once and in order; on two clusters no event may be missing. Only what a log has lost may be
//! missing, and only after a notice. Some clients have a filter: what it leaves out is not missing,
//! and their progress frames pass nothing else, never go back, and count what they pass.
//!
//! `cargo test` plays two short runs of fixed seeds. What happens when is up to
//! the machine, but everybody's plans hang on the seed:
//!
//! * `SEED=7 cargo test --test it oracle::embedded` plays one run again;
//! * `ORACLE_RUNS=500 cargo test --release --test it oracle::embedded -- --nocapture` plays many,
//!   from a random seed on.
//!
//! Its parts: `publish` writes records, `trouble` does things to logs, and both enter this in the
//! `ledger`, which has a `partition` for each. `subscribe` is what a client does, `choice` its
//! filter. `verdict` compares what it received with the ledger, `filtered` its progress frames.

mod choice;
mod filtered;
mod ledger;
mod partition;
mod publish;
mod subscribe;
mod trouble;
mod verdict;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::admin::{Cluster, unique};
use crate::support::brokers::FaultyCluster;
use crate::support::server::{Settings, TestServer};

use publish::Publisher;
use subscribe::{Plan, World, subscribe};
use trouble::Trouble;

/// Topics of a run: each of two streams in both datacenters, two partitions each.
const STREAMS: [&str; 2] = ["edits", "moves"];
const PARTITIONS: i32 = 2;

/// Plays the runs that the environment asks for, or some. In each, some of the troubles happen.
async fn play_runs(clusters: &[Cluster], mut faulty: Option<&mut FaultyCluster>, all: &[Trouble]) {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let random: u64 = rand::random();
    let seeds: Vec<u64> = match (variable("SEED"), variable("ORACLE_RUNS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).map(|n| random.wrapping_add(n)).collect(),
        (None, None) => vec![1, 2],
    };
    let mut events = 0;
    for seed in &seeds {
        let seed_on_panic = PrintSeed(*seed);
        events += play(clusters, faulty.as_deref_mut(), all, *seed).await;
        drop(seed_on_panic);
    }
    println!(
        "{} runs, {events} events, the last SEED={}",
        seeds.len(),
        seeds[seeds.len() - 1]
    );
}

/// Says, when a run fails, which it was.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with SEED={}", self.0);
        }
    }
}

/// Plays one run, and returns how many events were judged.
async fn play(
    clusters: &[Cluster],
    mut faulty: Option<&mut FaultyCluster>,
    all: &[Trouble],
    seed: u64,
) -> usize {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let name = |stream: &&str| {
        ["eqiad", "codfw"].map(|datacenter| unique(&format!("{datacenter}.{stream}")))
    };
    let topics: Vec<[String; 2]> = STREAMS.iter().map(name).collect();
    let troubles: Vec<Trouble> = (all.iter().copied())
        .filter(|_| dice.random_range(0..2) == 0)
        .collect();
    let own_dice = ChaCha8Rng::from_rng(&mut dice);
    let mut publisher = Publisher::new(clusters, topics.concat(), &troubles, own_dice).await;
    let acknowledged = publisher.publish(40, |_| ()).await;
    let mut servers = Servers::start(clusters, settings(&topics, &mut dice)).await;
    let world = Arc::new(World::new(servers.addresses(), acknowledged));
    let mut subscribers = Vec::new();
    for _ in 0..dice.random_range(24..37) {
        let plan = Plan::new(&topics, ChaCha8Rng::from_rng(&mut dice));
        subscribers.push(tokio::spawn(subscribe(plan, Arc::clone(&world))));
    }
    let mut was_cut = false;
    for _ in 0..dice.random_range(8..16) {
        let count = dice.random_range(5..60);
        world.set_acknowledged(
            publisher
                .publish(count, |counts| world.set_sent(counts))
                .await,
        );
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..60))).await;
        if !troubles.is_empty() && dice.random_range(0..3) == 0 {
            let trouble = troubles[dice.random_range(0..troubles.len())];
            let sending = |counts| world.set_sent(counts);
            publisher
                .trouble(trouble, faulty.as_deref_mut(), sending)
                .await;
            world.set_acknowledged(publisher.acknowledged());
            was_cut |= trouble == Trouble::Cut;
        }
        // A server that starts after a log was cut cannot know what is gone (ARCHITECTURE.md, "A
        // client that comes back").
        if dice.random_range(0..5) == 0 && !was_cut {
            servers.restart(dice.random_range(0..2)).await;
            world.set_servers(servers.addresses());
        }
    }
    publisher.finish(|counts| world.set_sent(counts)).await;
    let ledger = Arc::new(publisher.into_ledger());
    world.finish(Arc::clone(&ledger));
    let mut events = 0;
    for subscriber in subscribers {
        let account = subscriber.await.expect("a subscriber does not panic");
        events += ledger.judge(&account);
    }
    events
}

/// Two servers, on one cluster or on two.
struct Servers {
    clusters: Vec<Cluster>,
    settings: Settings,
    running: Vec<(usize, TestServer)>,
}

impl Servers {
    async fn start(clusters: &[Cluster], settings: Settings) -> Self {
        let mut running = Vec::new();
        for number in 0..2 {
            let cluster = number % clusters.len();
            let server = TestServer::start(&clusters[cluster], &settings).await;
            running.push((cluster, server));
        }
        Self {
            clusters: clusters.to_vec(),
            settings,
            running,
        }
    }

    async fn restart(&mut self, number: usize) {
        let (cluster, old) = self.running.swap_remove(number);
        old.stop().await;
        let server = TestServer::start(&self.clusters[cluster], &self.settings).await;
        self.running.push((cluster, server));
    }

    /// Of each server the number of its cluster, and its address.
    fn addresses(&self) -> Vec<(usize, SocketAddr)> {
        self.running
            .iter()
            .map(|(cluster, server)| (*cluster, server.address))
            .collect()
    }
}

/// Memory and feeds as small as they can be, so that handoffs happen.
fn settings(topics: &[[String; 2]], dice: &mut ChaCha8Rng) -> Settings {
    let mut settings = Settings::default()
        .key("memory_log_bytes_max", "1048576")
        .key("heartbeat_ms", "100")
        .key(
            "feeds_bytes_max",
            &(65_536 * dice.random_range(1..4)).to_string(),
        )
        .key("replay_places_max", &dice.random_range(1..6).to_string())
        .key(
            "mediawiki_redacted_pages",
            "{en.wikipedia.org: [Secret page]}",
        );
    for (stream, topics) in STREAMS.iter().zip(topics) {
        settings = settings.stream(stream, &[&topics[0], &topics[1]]);
    }
    settings
}

on_both_brokers! {
    async fn on_one_cluster_every_subscriber_gets_the_log_once_and_in_order(cluster: Cluster) {
        let troubles = [Trouble::Held, Trouble::Deleted, Trouble::Compacted, Trouble::Recreated];
        play_runs(&[cluster], None, &troubles).await;
    }

    async fn on_two_clusters_no_subscriber_misses_an_event(first: Cluster, second: Cluster) {
        let troubles = [Trouble::Held, Trouble::Deleted, Trouble::Compacted];
        play_runs(&[first, second], None, &troubles).await;
    }

    async fn a_log_that_loses_its_end_goes_on_at_the_cut(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        play_runs(&[cluster], Some(&mut faulty), &[Trouble::Cut]).await;
    }
}
