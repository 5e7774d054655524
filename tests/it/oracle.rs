//! The oracle: seeded runs in which publishers, servers and subscribers do what they please, judged by the log itself.
//!
//! While records come in bursts of one millisecond, some of them no events and some of redacted pages, some in transactions and some
//! aborted, dozens of subscribers of
//! different streams are cut at random bytes, come back with their last complete id, lag on purpose, start with `since` or live, and
//! change between the servers of a cluster, which are stopped and started meanwhile, or between two clusters whose offsets differ. What
//! a subscriber was sent must be the log from its start on: on one cluster each event once and in order, on two clusters none missing.
//!
//! `cargo test` plays a few short runs of fixed seeds and a random one. What happens when is up to the machine, but everybody's plans
//! hang on the seed:
//!
//! * `SEED=7 cargo test --test it oracle::embedded` plays one run again;
//! * `ORACLE_RUNS=500 cargo test --release --test it oracle::embedded -- --nocapture` plays many, from a random seed on.
//!
//! Its parts: `publish` makes records, `subscribe` is what a subscriber does, `verdict` holds what it got against the logs.

mod publish;
mod subscribe;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::admin::{Cluster, unique};
use crate::support::server::{Settings, TestServer};

use publish::Publisher;
use subscribe::{Plan, World, subscribe};
use verdict::Logs;

/// Topics of a run: each of two streams in both datacenters, two partitions each.
const STREAMS: [&str; 2] = ["edits", "moves"];
const PARTITIONS: i32 = 2;

/// Plays the runs that the environment asks for, or some.
async fn play_runs(clusters: &[Cluster]) {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let random: u64 = rand::random();
    let seeds: Vec<u64> = match (variable("SEED"), variable("ORACLE_RUNS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).map(|n| random.wrapping_add(n)).collect(),
        (None, None) => vec![1, random],
    };
    let mut events = 0;
    for seed in &seeds {
        let said = SaySeed(*seed);
        events += play(clusters, *seed).await;
        drop(said);
    }
    println!(
        "{} runs, {events} events, the last SEED={}",
        seeds.len(),
        seeds[seeds.len() - 1]
    );
}

/// Says, when a run fails, which it was.
struct SaySeed(u64);

impl Drop for SaySeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with SEED={}", self.0);
        }
    }
}

/// Plays one run, and returns how many events were judged.
async fn play(clusters: &[Cluster], seed: u64) -> usize {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let topics: Vec<[String; 2]> = STREAMS
        .iter()
        .map(|stream| {
            [
                unique(&format!("eqiad.{stream}")),
                unique(&format!("codfw.{stream}")),
            ]
        })
        .collect();
    let mut publisher =
        Publisher::new(clusters, topics.concat(), ChaCha8Rng::from_rng(&mut dice)).await;
    let acknowledged = publisher.publish(40, |_| ()).await;
    let settings = settings(&topics, &mut dice);
    let mut servers = Vec::new();
    for number in 0..2 {
        let cluster = number % clusters.len();
        servers.push((
            cluster,
            TestServer::start(&clusters[cluster], &settings).await,
        ));
    }
    let addresses = |servers: &[(usize, TestServer)]| {
        servers
            .iter()
            .map(|(cluster, server)| (*cluster, server.address))
            .collect()
    };
    let world = Arc::new(World::new(addresses(&servers), acknowledged));
    let mut subscribers = Vec::new();
    for _ in 0..dice.random_range(24..37) {
        let plan = Plan::new(&topics, ChaCha8Rng::from_rng(&mut dice));
        subscribers.push(tokio::spawn(subscribe(plan, Arc::clone(&world))));
    }
    for _ in 0..dice.random_range(8..16) {
        let count = dice.random_range(5..60);
        world.set_acknowledged(
            publisher
                .publish(count, |counts| world.set_sent(counts.clone()))
                .await,
        );
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..60))).await;
        if dice.random_range(0..5) == 0 {
            let number = dice.random_range(0..servers.len());
            let (cluster, old) = servers.swap_remove(number);
            old.stop().await;
            servers.push((
                cluster,
                TestServer::start(&clusters[cluster], &settings).await,
            ));
            world.set_servers(addresses(&servers));
        }
    }
    let logs = Arc::new(Logs::read(clusters, &topics.concat()).await);
    world.finish(Arc::clone(&logs));
    let mut events = 0;
    for subscriber in subscribers {
        let account = subscriber.await.expect("a subscriber does not panic");
        events += logs.judge(&account);
    }
    events
}

/// Memory and feeds as small as they can be, so that handoffs happen.
fn settings(topics: &[[String; 2]], dice: &mut ChaCha8Rng) -> Settings {
    let mut settings = Settings::default()
        .key("memory_log_bytes_max", "1048576")
        .key(
            "feed_bytes_max",
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
        play_runs(&[cluster]).await;
    }

    async fn on_two_clusters_no_subscriber_misses_an_event(first: Cluster, second: Cluster) {
        play_runs(&[first, second]).await;
    }
}
