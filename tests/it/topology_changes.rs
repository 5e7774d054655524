//! Topics and partitions that appear, disappear and return while the server runs.

use dev_broker::{BrokerConfig, DevBroker};

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, now_ms, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, Subscriber};
use crate::support::wire::Request;

/// `count` records a millisecond apart, numbered from `first`.
fn records(topic: &str, partition: i32, first: usize, count: usize) -> Vec<NewRecord> {
    records_since(TIME, topic, partition, first, count)
}

/// [`records`] from another time.
fn records_since(
    time: i64,
    topic: &str,
    partition: i32,
    first: usize,
    count: usize,
) -> Vec<NewRecord> {
    (first..first + count)
        .map(|n| record(topic, partition, time + to_i64(n), n))
        .collect()
}

fn sorted(mut numbers: Vec<usize>) -> Vec<usize> {
    numbers.sort_unstable();
    numbers
}

fn settings(topics: &[&str]) -> Settings {
    Settings::default()
        .stream("changing", topics)
        .key("metadata_refresh_ms", "200")
}

async fn resume(server: &TestServer, id: &str) -> Subscriber {
    Request::get("/v2/stream/changing")
        .last_event_id(id)
        .subscribe(server.address)
        .await
}

/// A broker is replaced by another one that has the same topic with more records, between two
/// fetches of the live consumer. The records that the live consumer skips by reading on arrive all
/// the same. The records are recent: the memory log cannot identify a log by older ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_log_with_fitting_offsets_is_noticed_and_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = now_ms();
    let topic = unique("eqiad.changing");
    let config = BrokerConfig {
        auto_create_topics: false,
        ..BrokerConfig::default()
    };
    let other = BrokerConfig {
        data: Some(folder.path().to_owned()),
        ..config.clone()
    };
    let broker = DevBroker::start(other.clone()).await.expect("a broker");
    let cluster = Cluster::new(&broker.address().to_string());
    cluster.create_topic(&topic, 1).await;
    cluster
        .produce_many("none", records_since(now, &topic, 0, 3, 9))
        .await;
    broker.stop().await;
    let broker = DevBroker::start(config).await.expect("a broker");
    let address = broker.address();
    let cluster = Cluster::new(&address.to_string());
    cluster.create_topic(&topic, 1).await;
    let rarely = Settings::default()
        .stream("changing", &[&topic])
        .key("metadata_refresh_ms", "600000");
    let server = TestServer::start(&cluster, &rarely).await;
    let mut subscriber = Request::get("/v2/stream/changing")
        .subscribe(server.address)
        .await;
    cluster
        .produce_many("none", records_since(now, &topic, 0, 0, 3))
        .await;
    subscriber.events(3).await;
    trigger_discovery(&server, &topic).await;
    broker.stop().await;
    let _broker = DevBroker::start(BrokerConfig {
        listen: address,
        ..other
    })
    .await
    .expect("the other broker at the same address");
    let is_last = |frame: &Frame| numbers(std::slice::from_ref(frame)) == [11];
    let after_swap = numbers(&subscriber.events_until(is_last).await);
    assert_eq!(
        after_swap,
        (6..12).collect::<Vec<_>>(),
        "it continues at its offset"
    );
    trigger_discovery(&server, &topic).await;
    assert_eq!(
        numbers(&subscriber.events_until(is_last).await),
        (3..12).collect::<Vec<_>>(),
        "then it reads the new log"
    );
}

/// An id with an unknown partition makes the server look for it at once.
async fn trigger_discovery(server: &TestServer, topic: &str) {
    let id = format!(r#"[{{"topic":"{topic}","partition":7,"offset":0}}]"#);
    assert_eq!(
        Request::get("/v2/stream/changing")
            .last_event_id(id)
            .send(server.address)
            .await
            .status,
        400
    );
}

on_both_brokers!(
    async fn a_new_partition_is_followed_from_its_first_record(cluster: Cluster) {
        let topic = unique("eqiad.changing");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &settings(&[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(server.address)
            .await;
        cluster.produce_many("none", records(&topic, 0, 0, 3)).await;
        subscriber.events(3).await;
        cluster.add_partitions(&topic, 2).await;
        cluster.produce_many("none", records(&topic, 1, 3, 5)).await;
        assert_eq!(numbers(&subscriber.events(5).await), [3, 4, 5, 6, 7]);
        let id = subscriber.last_id().expect("an id").to_owned();
        assert!(id.contains(r#""partition":1,"offset":5"#), "{id}");
        drop(subscriber);
        cluster.produce_many("none", records(&topic, 1, 8, 1)).await;
        assert_eq!(numbers(&resume(&server, &id).await.events(1).await), [8]);
    }

    async fn a_partition_added_after_a_disconnect_is_read_from_its_start(cluster: Cluster) {
        let topic = unique("eqiad.changing");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &settings(&[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many("none", records(&topic, 0, 10, 3))
            .await;
        subscriber.events(3).await;
        let id = subscriber.last_id().expect("an id").to_owned();
        drop(subscriber);
        cluster.add_partitions(&topic, 2).await;
        // The clock of a producer may be late: these records are older than those that the client
        // has.
        cluster.produce_many("none", records(&topic, 1, 0, 5)).await;
        assert_eq!(
            numbers(&resume(&server, &id).await.events(5).await),
            [0, 1, 2, 3, 4]
        );
        eventually("the server to know two partitions", async || {
            (server.metric("eventstreams_partitions").await > 1).then_some(())
        })
        .await;
        assert_eq!(
            numbers(&resume(&server, &id).await.events(5).await),
            [0, 1, 2, 3, 4]
        );
    }

    async fn an_id_may_name_a_partition_known_to_another_server_only(cluster: Cluster) {
        let topic = unique("eqiad.changing");
        cluster.create_topic(&topic, 1).await;
        let early = TestServer::start(&cluster, &settings(&[&topic])).await;
        let rarely = Settings::default()
            .stream("changing", &[&topic])
            .key("metadata_refresh_ms", "600000");
        let late = TestServer::start(&cluster, &rarely).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(early.address)
            .await;
        cluster.add_partitions(&topic, 2).await;
        cluster.produce_many("none", records(&topic, 1, 0, 5)).await;
        let id = subscriber.events(3).await[2].id.clone().expect("an id");
        assert_eq!(numbers(&resume(&late, &id).await.events(2).await), [3, 4]);
    }

    async fn a_new_topic_is_followed_from_its_first_record(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.changing"), unique("codfw.changing"));
        cluster.create_topic(&eqiad, 1).await;
        let server = TestServer::start(&cluster, &settings(&[&eqiad, &codfw])).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(server.address)
            .await;
        cluster.produce_many("none", records(&eqiad, 0, 0, 2)).await;
        assert_eq!(numbers(&subscriber.events(2).await), [0, 1]);
        cluster.create_topic(&codfw, 2).await;
        let new = records(&codfw, 0, 2, 3)
            .into_iter()
            .chain(records(&codfw, 1, 5, 3));
        cluster.produce_many("none", new).await;
        assert_eq!(
            sorted(numbers(&subscriber.events(6).await)),
            [2, 3, 4, 5, 6, 7]
        );
        let id = subscriber.last_id().expect("an id").to_owned();
        drop(subscriber);
        cluster.produce_many("none", records(&eqiad, 0, 8, 1)).await;
        cluster.produce_many("none", records(&codfw, 1, 9, 1)).await;
        assert_eq!(
            sorted(numbers(&resume(&server, &id).await.events(2).await)),
            [8, 9]
        );
    }

    async fn a_recreated_topic_with_fewer_records_is_followed(cluster: Cluster) {
        let topic = unique("eqiad.changing");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &settings(&[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many("none", records(&topic, 0, 0, 10))
            .await;
        let id = subscriber.events(10).await[9].id.clone().expect("an id");
        cluster.delete_topic(&topic).await;
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce_many("none", records(&topic, 0, 10, 4))
            .await;
        assert_eq!(numbers(&subscriber.events(4).await), [10, 11, 12, 13]);
        let mut resumed = resume(&server, &id).await;
        assert!(
            resumed
                .response
                .header("x-eventstreams-moved")
                .is_some_and(|moved| moved.contains("reason=topic_recreated"))
        );
        assert_eq!(numbers(&resumed.events(4).await), [10, 11, 12, 13]);
        cluster
            .produce_many("none", records(&topic, 0, 14, 1))
            .await;
        for mut subscriber in [subscriber, resumed] {
            let last = subscriber.event().await;
            assert_eq!(numbers(std::slice::from_ref(&last)), [14]);
            assert_eq!(
                last.id.expect("an id").matches(&topic).count(),
                1,
                "the old log has left the id"
            );
        }
    }

    async fn a_recreated_topic_with_more_records_is_followed(cluster: Cluster) {
        let topic = unique("eqiad.changing");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &settings(&[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(server.address)
            .await;
        cluster.produce_many("none", records(&topic, 0, 0, 3)).await;
        let id = subscriber.events(3).await[2].id.clone().expect("an id");
        cluster.delete_topic(&topic).await;
        cluster.create_topic(&topic, 1).await;
        cluster.produce_many("none", records(&topic, 0, 3, 9)).await;
        assert_eq!(
            numbers(&subscriber.events(9).await),
            (3..12).collect::<Vec<_>>()
        );
        assert_eq!(
            numbers(&resume(&server, &id).await.events(9).await),
            (3..12).collect::<Vec<_>>()
        );
    }

    /// The live consumer loses its position, which reveals the new topic.
    async fn a_topic_recreated_between_discoveries_is_followed(cluster: Cluster) {
        let topic = unique("eqiad.changing");
        cluster.create_topic(&topic, 1).await;
        let rarely = Settings::default()
            .stream("changing", &[&topic])
            .key("metadata_refresh_ms", "600000");
        let server = TestServer::start(&cluster, &rarely).await;
        let mut subscriber = Request::get("/v2/stream/changing")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many("none", records(&topic, 0, 0, 10))
            .await;
        subscriber.events(10).await;
        cluster.delete_topic(&topic).await;
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce_many("none", records(&topic, 0, 10, 4))
            .await;
        assert_eq!(numbers(&subscriber.events(4).await), [10, 11, 12, 13]);
    }
);
