//! Topics and partitions that cannot be read do not block others, and are reported.

use std::time::Duration;

use crate::support::acls::Operation;
use crate::support::admin::{Cluster, unique};
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, now_ms, numbers, padded_record, record};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

fn settings() -> Settings {
    Settings::default().key("metadata_refresh_ms", "200")
}

/// Produces events to another topic all the time.
fn busy(cluster: &Cluster, topic: &str) -> tokio::task::JoinHandle<()> {
    let (cluster, topic) = (cluster.clone(), topic.to_owned());
    tokio::spawn(async move {
        for n in 0.. {
            cluster.produce(record(&topic, 0, TIME, n)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// Waits until the problem of the stream names the reason.
async fn wait_for_problem(server: &TestServer, stream: &str, reason: &str) {
    eventually(&format!("{stream} to report {reason}"), async || {
        let mut response = Request::get(format!("/v2/stream/{stream}"))
            .send(server.address)
            .await;
        if response.status != 503 {
            return None;
        }
        let problem = response.json().await;
        (problem["type"] == "stream_unavailable").then_some(())?;
        problem["detail"].as_str()?.contains(reason).then_some(())
    })
    .await;
}

on_both_brokers!(
    async fn a_partition_without_a_leader_does_not_block_others(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        let (healthy, faulty_topic) = (unique("eqiad.healthy"), unique("eqiad.faulty"));
        cluster.create_topic(&healthy, 1).await;
        faulty.create_topic_on_second(&faulty_topic, 1).await;
        cluster.produce(record(&faulty_topic, 0, TIME, 0)).await;
        faulty.stop_second_node().await;
        let settings = settings()
            .stream("healthy", &[&healthy])
            .stream("faulty", &[&faulty_topic])
            .stream("both", &[&healthy, &faulty_topic]);
        let server = TestServer::start_without_waiting(&cluster.brokers, &settings);
        within("ready with the rest", server.wait_until_ready()).await;
        wait_for_problem(&server, "faulty", "has a partition without a leader").await;
        let mut both = Request::get("/v2/stream/both")
            .subscribe(server.address)
            .await;
        both.comment("unavailable").await;
        cluster.produce(record(&healthy, 0, TIME, 1)).await;
        assert_eq!(numbers(&both.events(1).await), [1]);
        let gauge = format!(
            "eventstreams_topics_unavailable{{topic=\"{faulty_topic}\",reason=\"no_leader\"}}"
        );
        assert_eq!(server.metric(&gauge).await, 1);

        faulty.restart_second_node().await;
        // Records from before the server reads the partition are not new.
        eventually("the stream is served", async || {
            let response = Request::get("/v2/stream/faulty").send(server.address).await;
            (response.status == 200).then_some(())
        })
        .await;
        cluster.produce(record(&faulty_topic, 0, TIME, 2)).await;
        assert_eq!(
            numbers(&both.events(1).await),
            [2],
            "it joins without a restart"
        );
    }

    /// Kafka takes no records of a partition without a leader: all that it takes later are new.
    async fn a_live_client_gets_what_a_new_leader_takes_before_it_is_read(
        mut faulty: FaultyCluster,
    ) {
        let cluster = faulty.cluster.clone();
        let (healthy, faulty_topic) = (unique("eqiad.healthy"), unique("eqiad.faulty"));
        cluster.create_topic(&healthy, 1).await;
        faulty.create_topic_on_second(&faulty_topic, 1).await;
        cluster.produce(record(&faulty_topic, 0, TIME, 0)).await;
        faulty.stop_second_node().await;
        // The server looks late: the records below are there before it does.
        let settings = Settings::default()
            .key("metadata_refresh_ms", "5000")
            .stream("both", &[&healthy, &faulty_topic]);
        let server = TestServer::start_without_waiting(&cluster.brokers, &settings);
        within("ready with the rest", server.wait_until_ready()).await;
        let mut both = Request::get("/v2/stream/both")
            .subscribe(server.address)
            .await;
        both.comment("unavailable").await;
        let queued = now_ms();
        faulty.restart_second_node().await;
        for n in 1..4 {
            cluster.produce(record(&faulty_topic, 0, queued, n)).await;
        }
        assert_eq!(numbers(&both.events(3).await), [1, 2, 3]);
    }

    async fn an_unauthorized_topic_is_reported_and_joins_once_allowed(cluster: Cluster) {
        let (healthy, denied) = (unique("eqiad.healthy"), unique("eqiad.denied"));
        cluster.create_topic(&healthy, 1).await;
        cluster.create_topic(&denied, 1).await;
        cluster.produce(record(&denied, 0, TIME, 0)).await;
        cluster.deny(&denied, Operation::Read).await;
        let busy = busy(&cluster, &healthy);
        let settings = settings()
            .stream("healthy", &[&healthy])
            .stream("denied", &[&denied]);
        let server = TestServer::start_without_waiting(&cluster.brokers, &settings);
        within("ready beside a busy topic", server.wait_until_ready()).await;
        wait_for_problem(&server, "denied", "may not be read").await;
        cluster.allow(&denied).await;
        let mut subscriber = within("it is served", async {
            loop {
                let response = Request::get("/v2/stream/denied").send(server.address).await;
                if response.status == 200 {
                    break crate::support::sse::Subscriber::new(response);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        cluster.produce(record(&denied, 0, TIME, 1)).await;
        assert_eq!(
            numbers(&subscriber.events(1).await),
            [1],
            "older records are not new"
        );
        busy.abort();
    }

    async fn a_missing_topic_is_reported_by_stream_and_metric(cluster: Cluster) {
        let (there, missing) = (unique("eqiad.there"), unique("eqiad.missing"));
        cluster.create_topic(&there, 1).await;
        let settings = settings()
            .stream("missing", &[&missing])
            .stream("half", &[&there, &missing]);
        let server = TestServer::start(&cluster, &settings).await;
        wait_for_problem(&server, "missing", "does not exist").await;
        let mut half = Request::get("/v2/stream/half")
            .subscribe(server.address)
            .await;
        half.comment("unavailable").await;
        let gauge = format!(
            "eventstreams_topics_unavailable{{topic=\"{missing}\",reason=\"does_not_exist\"}}"
        );
        assert_eq!(server.metric(&gauge).await, 1);
        cluster.create_topic(&missing, 1).await;
        cluster.produce(record(&missing, 0, now_ms(), 0)).await;
        assert_eq!(
            numbers(&half.events(1).await),
            [0],
            "a new topic is followed from its start"
        );
        eventually("the gauge goes", async || {
            (!server.metrics().await.contains(&gauge)).then_some(())
        })
        .await;
    }

    /// The client reads from Kafka while Kafka loses the newest records: it still gets all before
    /// them.
    async fn a_replay_loses_nothing_below_a_truncation(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        let topic = unique("eqiad.cut");
        cluster.create_topic(&topic, 1).await;
        let kept = (0..600).map(|n| padded_record(&topic, now_ms(), n, 4000));
        cluster.produce_many("none", kept).await;
        for n in 600..605 {
            cluster.produce(record(&topic, 0, now_ms(), n)).await;
        }
        let settings = settings()
            .stream("cut", &[&topic])
            .key("memory_log_bytes_max", "1048576");
        let server = TestServer::start(&cluster, &settings).await;
        let path = format!("/v2/stream/cut?since={TIME}");
        let mut late = Request::get(path).subscribe(server.address).await;
        let mut live = Request::get("/v2/stream/cut")
            .subscribe(server.address)
            .await;
        assert_eq!(numbers(&late.events(1).await), [0]);
        faulty.truncate_log(&topic, 0, 600).await;
        for n in 700..708 {
            cluster.produce(record(&topic, 0, now_ms(), n)).await;
        }
        live.comment("reason=log_truncated").await;
        assert_eq!(
            numbers(&live.events(8).await),
            (700..708).collect::<Vec<_>>()
        );
        let rest = numbers(
            &late
                .events_until(|frame| numbers(std::slice::from_ref(frame)) == [707])
                .await,
        );
        let expected: Vec<_> = (1..600).chain(700..708).collect();
        assert_eq!(
            rest.iter()
                .copied()
                .filter(|n| !(600..605).contains(n))
                .collect::<Vec<_>>(),
            expected
        );
    }

    /// Its partitions had elections, so librdkafka knows a higher leader epoch than that of the new
    /// topic.
    async fn a_topic_recreated_after_elections_is_read(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        let (other, topic) = (unique("eqiad.other"), unique("eqiad.again"));
        cluster.create_topic(&other, 1).await;
        faulty.create_topic_on_second(&topic, 1).await;
        let settings = settings()
            .stream("again", &[&topic])
            .stream("other", &[&other]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut again = Request::get("/v2/stream/again")
            .subscribe(server.address)
            .await;
        let mut others = Request::get("/v2/stream/other")
            .subscribe(server.address)
            .await;
        for n in 0..2 {
            cluster.produce(record(&topic, 0, now_ms(), n)).await;
            assert_eq!(numbers(&again.events(1).await), [n]);
            faulty.stop_second_node().await;
            faulty.restart_second_node().await;
        }
        cluster.delete_topic(&topic).await;
        cluster.create_topic(&topic, 1).await;
        for n in 10..13 {
            cluster.produce(record(&topic, 0, now_ms(), n)).await;
            cluster.produce(record(&other, 0, now_ms(), n)).await;
        }
        assert_eq!(numbers(&again.events(3).await), [10, 11, 12]);
        assert_eq!(
            numbers(&others.events(3).await),
            [10, 11, 12],
            "the other topic is read as well"
        );
    }

    /// What is no longer in Kafka cannot be compared with what was read.
    async fn a_log_whose_records_were_deleted_is_not_a_cut_log(mut faulty: FaultyCluster) {
        let cluster = faulty.cluster.clone();
        let (emptied, cut) = (unique("eqiad.emptied"), unique("eqiad.cut"));
        let settings = settings().stream("both", &[&emptied, &cut]);
        for topic in [&emptied, &cut] {
            cluster.create_topic(topic, 1).await;
        }
        let server = TestServer::start(&cluster, &settings).await;
        let mut both = Request::get("/v2/stream/both")
            .subscribe(server.address)
            .await;
        for n in 0..5 {
            cluster.produce(record(&emptied, 0, now_ms(), n)).await;
            cluster.produce(record(&cut, 0, now_ms(), n)).await;
        }
        both.events(10).await;
        cluster.delete_records(&emptied, 0, 5).await;
        // While the server looks into this, it looks at all logs.
        faulty.truncate_log(&cut, 0, 2).await;
        both.comment(&format!("topic={cut}")).await;
        cluster.produce(record(&emptied, 0, now_ms(), 100)).await;
        assert_eq!(numbers(&both.events(1).await), [100]);
        let of_emptied = both
            .comments
            .iter()
            .find(|comment| comment.contains(&emptied));
        assert_eq!(of_emptied, None);
    }

    /// Rights granted later do not make a topic new.
    async fn a_topic_that_becomes_visible_starts_at_its_end(cluster: Cluster) {
        let (there, hidden) = (unique("eqiad.there"), unique("eqiad.hidden"));
        cluster.create_topic(&there, 1).await;
        cluster.create_topic(&hidden, 1).await;
        cluster
            .produce_many("none", (0..100).map(|n| record(&hidden, 0, TIME, n)))
            .await;
        cluster.deny(&hidden, Operation::Describe).await;
        let settings = settings().stream("half", &[&there, &hidden]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut half = Request::get("/v2/stream/half")
            .subscribe(server.address)
            .await;
        half.comment("unavailable").await;
        cluster.allow(&hidden).await;
        let gauge = format!("eventstreams_topics_unavailable{{topic=\"{hidden}\"");
        eventually("it is read", async || {
            (!server.metrics().await.contains(&gauge)).then_some(())
        })
        .await;
        cluster.produce(record(&hidden, 0, now_ms(), 100)).await;
        assert_eq!(numbers(&half.events(1).await), [100]);
    }
);
