//! Shutdown: announced first, then carried out, without the loss of an event.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::future::join_all;

use crate::support::admin::{Cluster, unique};
use crate::support::balancer::Balancer;
use crate::support::crowd::{Crowd, crowd_records};
use crate::support::deadline::{eventually, within};
use crate::support::process::ServerProcess;
use crate::support::server::Settings;
use crate::support::sse::Subscriber;
use crate::support::wire::{End, Request};

/// A topic, and settings that serve it as `left`.
async fn draining_stream(cluster: &Cluster, partitions: i32) -> (String, Settings) {
    let topic = unique("eqiad.left");
    cluster.create_topic(&topic, partitions).await;
    let settings = Settings::default().stream("left", &[&topic]);
    (topic, settings)
}

async fn subscribers(server: &ServerProcess, count: usize) -> Vec<Subscriber> {
    let request = Request::get("/v2/stream/left");
    join_all((0..count).map(|_| request.subscribe(server.address))).await
}

async fn wait_for_ready_servers(balancer: &Balancer, count: usize) {
    eventually(format!("{count} servers to be ready"), async || {
        (balancer.ready_servers() == count).then_some(())
    })
    .await;
}

async fn status(address: std::net::SocketAddr, path: &str) -> u16 {
    Request::get(path).send(address).await.status
}

on_both_brokers!(
    /// The delay between the two is ten minutes; a second signal cuts it short.
    async fn readiness_becomes_503_first_and_streams_continue(cluster: Cluster) {
        let (topic, settings) = draining_stream(&cluster, 1).await;
        let mut server =
            ServerProcess::start(&cluster.brokers, &settings.key("drain_delay_ms", "600000")).await;
        let mut before = Request::get("/v2/stream/left")
            .subscribe(server.address)
            .await;
        server.terminate();
        eventually("/readyz to be 503", async || {
            (status(server.admin, "/readyz").await == 503).then_some(())
        })
        .await;
        assert_eq!(
            Request::get("/readyz")
                .send(server.admin)
                .await
                .json()
                .await["reason"],
            "draining"
        );
        assert_eq!(status(server.address, "/_info").await, 503);
        assert_eq!(status(server.admin, "/healthz").await, 200);
        // A client that does not know about it yet is served.
        let mut after = Request::get("/v2/stream/left")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many("none", crowd_records(&topic, 1, 0..1))
            .await;
        for subscriber in [&mut before, &mut after] {
            assert_eq!(subscriber.event().await.json()["n"], 0);
        }
        server.terminate();
        for subscriber in [&mut before, &mut after] {
            assert_eq!(subscriber.rest().await, (Vec::new(), End::Complete));
        }
        assert_eq!(server.wait_for_exit().await.code(), Some(0));
    }

    /// The drain takes five minutes, of which the test sees the start.
    async fn streams_do_not_end_all_at_once(cluster: Cluster) {
        let (topic, settings) = draining_stream(&cluster, 1).await;
        let server =
            ServerProcess::start(&cluster.brokers, &settings.key("drain_ms", "300000")).await;
        let mut all = subscribers(&server, 150).await;
        server.terminate();
        let ended = "eventstreams_streams_closed_total{reason=\"shutdown\"}";
        eventually("a stream to end", async || {
            (server.metric(ended).await > 0).then_some(())
        })
        .await;
        // Most streams continue.
        cluster
            .produce_many("none", crowd_records(&topic, 1, 0..1))
            .await;
        let events = join_all(all.iter_mut().map(Subscriber::event_or_end)).await;
        let gone = events.iter().filter(|event| event.is_none()).count();
        assert!((1..75).contains(&gone), "{gone} of 150 streams have ended");
    }

    async fn streams_end_after_a_whole_frame_with_a_retry_pause(cluster: Cluster) {
        let (topic, settings) = draining_stream(&cluster, 1).await;
        let settings = settings
            .key("drain_delay_ms", "200")
            .key("drain_ms", "2000");
        let mut server = ServerProcess::start(&cluster.brokers, &settings).await;
        let all = subscribers(&server, 200).await;
        let producer = cluster.producer("none");
        let begun = Instant::now();
        server.terminate();
        let publishing = async {
            for n in 0..300 {
                producer
                    .produce_many(crowd_records(&topic, 1, std::iter::once(n)))
                    .await;
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let ends = join_all(all.into_iter().map(async |mut subscriber| {
            let (events, end) = subscriber.rest().await;
            let numbers: Vec<_> = events
                .iter()
                .map(|event| event.json()["n"].as_u64())
                .collect();
            assert_eq!(
                numbers,
                (0..events.len() as u64).map(Some).collect::<Vec<_>>()
            );
            (
                String::from_utf8(subscriber.response.body).expect("text"),
                end,
            )
        }));
        let ended = async {
            (
                server.wait_for_exit().await.code(),
                begun.elapsed().as_millis(),
            )
        };
        let (ends, (code, took), ()) = tokio::join!(ends, ended, publishing);
        println!("drain of 200 streams, drain_delay_ms 200, drain_ms 2000: ended after {took} ms");
        assert_eq!(code, Some(0));
        let mut pauses = BTreeSet::new();
        for (body, end) in ends {
            assert_eq!(end, End::Complete);
            let last = body
                .trim_end_matches('\n')
                .rsplit("\n\n")
                .next()
                .expect("a frame");
            let pause: u64 = last
                .strip_prefix("retry: ")
                .expect("`retry:` is the last frame")
                .parse()
                .expect("milliseconds");
            assert!(
                (500..3000).contains(&pause) && body.ends_with("\n\n"),
                "{last}"
            );
            pauses.insert(pause);
        }
        assert!(
            pauses.len() > 50,
            "{} different pauses of 200",
            pauses.len()
        );
    }

    /// As Kubernetes does it: start a new process, wait until it is ready, then stop an old one.
    async fn a_rolling_restart_loses_and_repeats_nothing(cluster: Cluster) {
        const CLIENTS: usize = 1000;
        let (topic, settings) = draining_stream(&cluster, 2).await;
        let settings = settings
            .key("drain_delay_ms", "1000")
            .key("drain_ms", "2000");
        let balancer = Balancer::start().await;
        let mut running = Vec::new();
        let start = async || {
            let server = ServerProcess::start(&cluster.brokers, &settings).await;
            balancer.add(server.address, server.admin);
            server
        };
        for _ in 0..2 {
            running.push(start().await);
        }
        wait_for_ready_servers(&balancer, 2).await;
        let request = Request::get("/v2/stream/left");
        let crowd = Crowd::start(balancer.address, &request, vec![None; CLIENTS], &[0, 1]);
        crowd.wait_until_opened(1).await;
        let producer = cluster.producer("none");
        producer.produce_many(crowd_records(&topic, 2, 0..10)).await;
        crowd.wait_for_events(10).await;
        let rolled = async {
            for _ in 0..2 {
                running.push(start().await);
                let mut old = running.remove(0);
                wait_for_ready_servers(&balancer, 3).await;
                old.terminate();
                assert_eq!(old.wait_for_exit().await.code(), Some(0));
                wait_for_ready_servers(&balancer, 2).await;
            }
        };
        tokio::pin!(rolled);
        let mut count = 10;
        let rolled = within("both servers to be replaced", async {
            loop {
                tokio::select! {
                    () = &mut rolled => return,
                    () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
                }
                producer
                    .produce_many(crowd_records(&topic, 2, count..count + 2))
                    .await;
                count += 2;
            }
        });
        let begun = Instant::now();
        rolled.await;
        producer
            .produce_many(crowd_records(&topic, 2, count..count + 10))
            .await;
        crowd.wait_for_events(count + 10).await;
        let opened = crowd.sum(|client| &client.opened);
        let reconnects = crowd.sum(|client| &client.retry_frames);
        assert_eq!(
            opened,
            CLIENTS + reconnects,
            "clients reconnect only after `retry:`"
        );
        println!(
            "rolling restart of 2 processes, {CLIENTS} clients: {} events each, \
             {reconnects} streams reopened, in {} ms",
            count + 10,
            begun.elapsed().as_millis()
        );
    }
);
