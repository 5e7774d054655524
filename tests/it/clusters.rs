//! Resuming on another cluster, where the same records have other offsets.

use std::collections::BTreeSet;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::numbered::{TIME, number, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Frame;
use crate::support::wire::Request;

/// Numbers of the older records that shift the offsets of a cluster start here.
const FILLER: usize = 1_000_000;

/// A record of both clusters: bursts of ten within a millisecond, a second apart, alternating
/// between two topics of two partitions.
fn burst(topics: &[String; 2], n: usize) -> NewRecord {
    let second = to_i64(n / 10 * 1000);
    record(
        &topics[n / 10 % 2],
        i32::from(!(n / 20).is_multiple_of(2)),
        TIME + second,
        n,
    )
}

/// Creates the topics with `fillers` older records in each partition, then the first `count`
/// records.
async fn fill(cluster: &Cluster, topics: &[String; 2], fillers: usize, count: usize) {
    for topic in topics {
        cluster.create_topic(topic, 2).await;
        let older = |partition| (0..fillers).map(move |n| (partition, n));
        let records = older(0)
            .chain(older(1))
            .map(|(partition, n)| record(topic, partition, TIME - 100_000, FILLER + n));
        cluster.produce_many("none", records).await;
    }
    cluster
        .produce_many("none", (0..count).map(|n| burst(topics, n)))
        .await;
}

/// Fails when an event is missing after `have`, or when an event is repeated that is older than the
/// last burst of its partition.
fn assert_resumed(have: &[Frame], rest: &[Frame], count: usize) {
    let mut all: Vec<usize> = numbers(have).into_iter().chain(numbers(rest)).collect();
    let repeated: Vec<usize> = numbers(rest)
        .into_iter()
        .filter(|n| numbers(have).contains(n))
        .collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..count).collect::<Vec<_>>(), "nothing is missing");
    for n in repeated {
        // Each partition has one burst in four.
        let later = have
            .iter()
            .map(number)
            .filter(|other| other / 10 % 4 == n / 10 % 4)
            .max()
            .expect("the burst itself");
        assert_eq!(
            n / 10,
            later / 10,
            "{n} is of an older burst than {later}, the last of its partition"
        );
    }
}

/// Reads `have` events at `from` and the rest of `count` at `to`.
async fn switch_cluster(from: &TestServer, to: &TestServer, have: usize, count: usize) {
    let request = Request::get(format!("/v2/stream/moved?since={TIME}"));
    let had = request.subscribe(from.address).await.events(have).await;
    let id = had[have - 1].id.clone().expect("an id");
    let mut subscriber = Request::get("/v2/stream/moved")
        .last_event_id(id)
        .subscribe(to.address)
        .await;
    let rest = subscriber
        .events_until(|frame| number(frame) == count - 1)
        .await;
    assert_resumed(&had, &rest, count);
}

async fn two_servers(
    first: &Cluster,
    second: &Cluster,
    fillers: [usize; 2],
    count: usize,
) -> ([String; 2], [TestServer; 2]) {
    let topics = [unique("eqiad.moved"), unique("codfw.moved")];
    fill(first, &topics, fillers[0], count).await;
    fill(second, &topics, fillers[1], count).await;
    let settings = Settings::default().stream("moved", &[&topics[0], &topics[1]]);
    let servers = [
        TestServer::start(first, &settings).await,
        TestServer::start(second, &settings).await,
    ];
    (topics, servers)
}

on_both_brokers!(
    async fn a_disconnect_inside_a_burst_loses_nothing_at_higher_offsets(
        first: Cluster,
        second: Cluster,
    ) {
        let (_topics, [here, there]) = two_servers(&first, &second, [0, 3], 60).await;
        for have in [1, 3, 10, 14, 25, 37, 50] {
            switch_cluster(&here, &there, have, 60).await;
        }
    }

    async fn a_disconnect_inside_a_burst_loses_nothing_at_lower_offsets(
        first: Cluster,
        second: Cluster,
    ) {
        let (_topics, [here, there]) = two_servers(&first, &second, [3, 0], 60).await;
        for have in [1, 3, 10, 14, 25, 37, 50] {
            switch_cluster(&here, &there, have, 60).await;
        }
    }

    async fn a_live_client_moves_to_another_cluster_and_back(first: Cluster, second: Cluster) {
        let (topics, servers) = two_servers(&first, &second, [2, 25], 0).await;
        let mut subscriber = Request::get("/v2/stream/moved")
            .subscribe(servers[0].address)
            .await;
        let mut have: Vec<Frame> = Vec::new();
        for round in 0..6 {
            for cluster in [&first, &second] {
                cluster
                    .produce_many(
                        "none",
                        (round * 17..round * 17 + 17).map(|n| burst(&topics, n)),
                    )
                    .await;
            }
            have.extend(
                subscriber
                    .events_until(|frame| number(frame) >= round * 17 + 9)
                    .await,
            );
            let id = have.last().expect("events").id.clone().expect("an id");
            drop(subscriber);
            let server = &servers[(round + 1) % 2];
            subscriber = Request::get("/v2/stream/moved")
                .last_event_id(id)
                .subscribe(server.address)
                .await;
        }
        // A partition without events so far starts at its last filler; the other cluster has more
        // of them.
        let mut all: BTreeSet<usize> = numbers(&have).into_iter().filter(|n| *n < FILLER).collect();
        subscriber
            .events_until(|frame| {
                all.extend(Some(number(frame)).filter(|n| *n < FILLER));
                all.len() >= 102
            })
            .await;
        assert_eq!(all, (0..102).collect());
    }
);
