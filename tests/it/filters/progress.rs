//! Progress frames: a client that leaves events out knows how far it is.

use crate::support::admin::{NewRecord, unique};
use crate::support::filtered::{FilteredSubscriber, id_offsets};
use crate::support::numbered::{TIME, number, numbers, record, to_i64, without_log};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

/// A filter that no event matches.
const NOTHING: &str = "/v2/stream/s?wiki=nosuchwiki";

/// Edits of `rare` are few.
fn edit(topic: &str, partition: i32, n: usize, wiki: &str) -> NewRecord {
    let value = format!(r#"{{"n":{n},"wiki":"{wiki}"}}"#);
    NewRecord::new(topic, partition, TIME + to_i64(n), value)
}

/// A stream `s` of one topic, with a heartbeat each 200 ms.
fn lively(topic: &str) -> Settings {
    let settings = Settings::default().stream("s", &[topic]);
    settings.key("heartbeat_ms", "200")
}

on_both_brokers!(
    async fn the_first_frame_has_an_id_and_counts_nothing(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("s", &[&topic])).await;
        let entry = |offset: i64, time: &str| {
            format!(r#"{{"topic":"{topic}","partition":0,"offset":{offset}{time}}}"#)
        };
        let first = async |path: &str| {
            let mut subscriber = Request::get(path).subscribe(server.address).await;
            let end = subscriber.event().await.end;
            let body = subscriber.response.body[..end].to_vec();
            without_log(&String::from_utf8(body).expect("text"))
        };
        let opening = |id: &str, dt: &str| {
            format!(
                ":ok\n\nevent: progress\nid: [{id}]\n\
                 data: {{\"dt\":{dt},\"scanned\":0,\"matched\":0}}\n\n"
            )
        };
        // Never -1, although nothing was ever written, or matched.
        assert_eq!(
            first(NOTHING).await,
            opening(&entry(0, r#","timestamp":0"#), "null")
        );
        let mut whole = Request::get("/v2/stream/s").subscribe(server.address).await;
        cluster.produce(edit(&topic, 0, 0, "other")).await;
        let id = whole.event().await.id.expect("an id");
        let time = format!(r#","timestamp":{TIME}"#);
        assert_eq!(without_log(&id), format!("[{}]", entry(1, &time)));
        let dt = "\"2023-11-14T22:13:20.000Z\"";
        assert_eq!(first(NOTHING).await, opening(&entry(1, &time), dt));
    }

    async fn a_client_cut_before_its_first_match_misses_nothing(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 2).await;
        let server = TestServer::start(&cluster, &lively(&topic)).await;
        let request = Request::get("/v2/stream/s?wiki=rare");
        // Two clients: one is cut after the opening, one after progress that covers what it left
        // out.
        let at_once = FilteredSubscriber::open(&request, server.address).await;
        let mut later = FilteredSubscriber::open(&request, server.address).await;
        let others = (0..50).map(|n| edit(&topic, i32::from(n % 2 == 0), n, "other"));
        cluster.produce_many("none", others).await;
        let progress = later.progress_to(50).await;
        assert_eq!(progress.id, later.last_id());
        let ids = [at_once.last_id(), later.last_id()];
        drop((at_once, later));
        cluster.produce(edit(&topic, 0, 50, "rare")).await;
        cluster.produce(edit(&topic, 1, 51, "other")).await;
        for id in &ids {
            let resumed = request.clone().last_event_id(id);
            let mut resumed = FilteredSubscriber::open(&resumed, server.address).await;
            assert_eq!(resumed.progress.frames[0].id, *id, "it goes on there");
            assert_eq!(number(&resumed.event().await), 50);
        }
        cluster.produce(edit(&topic, 1, 52, "rare")).await;
        for id in ids {
            let resumed = request.clone().last_event_id(id);
            let mut resumed = FilteredSubscriber::open(&resumed, server.address).await;
            assert_eq!(number(&resumed.event().await), 50, "once");
            assert_eq!(number(&resumed.event().await), 52, "once");
        }
    }

    /// Skipped records count, too: every record between two ids. [`FilteredSubscriber`] compares
    /// the counts with the ids and the events.
    async fn progress_counts_each_record_between_two_ids(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 3).await;
        let server = TestServer::start(&cluster, &lively(&topic)).await;
        let some = Request::get("/v2/stream/s?wiki=rare");
        let mut live = FilteredSubscriber::open(&some, server.address).await;
        for round in 0..4 {
            let records = (0..40).map(|n| {
                let partition = i32::try_from(n % 3).expect("a small number");
                match n % 8 {
                    0 => NewRecord::new(&topic, partition, TIME, "no JSON"),
                    1 => NewRecord::tombstone(&topic, partition, TIME, "key"),
                    2 => edit(&topic, partition, n, "rare"),
                    _ => edit(&topic, partition, n, "other"),
                }
            });
            cluster.produce_many("none", records).await;
            for _ in 0..5 {
                live.event().await;
            }
            live.progress_to(40 * (round + 1)).await;
        }
        let sums = |frames: &[crate::support::filtered::Progress]| {
            let scanned = frames.iter().map(|frame| frame.scanned).sum::<i64>();
            (
                scanned,
                frames.iter().map(|frame| frame.matched).sum::<i64>(),
            )
        };
        assert_eq!(sums(&live.progress.frames), (160, 20));
        let since = Request::get("/v2/stream/s?wiki=rare&since=0");
        let late = TestServer::start(&cluster, &lively(&topic)).await;
        for from in [&server, &late] {
            let mut past = FilteredSubscriber::open(&since, from.address).await;
            for _ in 0..20 {
                past.event().await;
            }
            past.progress_to(160).await;
            assert_eq!(sums(&past.progress.frames), (160, 20), "catching up");
        }
    }

    async fn catching_up_without_a_match_sends_progress(cluster: Cluster) {
        const RECORDS: usize = 25_000;
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let records = (0..RECORDS).map(|n| record(&topic, 0, TIME, n));
        cluster.produce_many("lz4", records).await;
        let settings = lively(&topic).key("memory_log_bytes_max", "1048576");
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get(format!("{NOTHING}&since=0"));
        let mut past = FilteredSubscriber::open(&request, server.address).await;
        past.progress_to(to_i64(RECORDS)).await;
        let frames = &past.progress.frames;
        let scanned: Vec<_> = frames.iter().map(|frame| frame.scanned).collect();
        assert!(frames.len() >= 4, "{scanned:?}");
        assert!(scanned.iter().all(|one| *one <= 12_000), "{scanned:?}");
        // Nothing that matched is not the end: the stream goes on.
        cluster
            .produce(edit(&topic, 0, RECORDS, "nosuchwiki"))
            .await;
        assert_eq!(number(&past.event().await), RECORDS);
    }

    /// Where nothing new was written, a heartbeat is enough.
    async fn no_position_is_sent_twice(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &lively(&topic)).await;
        let request = Request::get(NOTHING);
        let mut quiet = FilteredSubscriber::open(&request, server.address).await;
        let heartbeats = async |quiet: &mut FilteredSubscriber, count: usize| {
            let response = &mut quiet.subscriber.response;
            let from = response.body.len();
            while response.body[from..]
                .windows(3)
                .filter(|w| w == b":\n\n")
                .count()
                < count
            {
                assert!(response.read_more("heartbeats").await);
            }
            response.body[from..].to_vec()
        };
        let idle = heartbeats(&mut quiet, 5).await;
        assert_eq!(super::frames_of(&idle), [], "nothing was written");
        // A client that only gets live events gets a position, too.
        cluster.produce(edit(&topic, 0, 0, "other")).await;
        quiet.progress_to(1).await;
        let idle = heartbeats(&mut quiet, 5).await;
        assert_eq!(super::frames_of(&idle), [], "it has the position");
    }

    async fn lines_and_whole_streams_have_no_progress(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &lively(&topic)).await;
        let mut filtered = FilteredSubscriber::open(&Request::get(NOTHING), server.address).await;
        let mut whole = Request::get("/v2/stream/s").subscribe(server.address).await;
        let mut lines = Request::get("/v2/stream/s?wiki=rare")
            .subscribe_ndjson(server.address)
            .await;
        let records = (0..30).map(|n| edit(&topic, 0, n, "other"));
        cluster.produce_many("none", records).await;
        filtered.progress_to(30).await;
        cluster.produce(edit(&topic, 0, 30, "rare")).await;
        let line = lines.line_or_end().await.expect("a line");
        assert!(line.starts_with(r#"{"n":30,"#), "{line}");
        let body = String::from_utf8(lines.response.body.clone()).expect("text");
        assert_eq!(body.trim_matches('\n'), line);
        let events = whole.events(31).await;
        assert_eq!(numbers(&events), (0..=30).collect::<Vec<_>>());
        let past = Request::get(format!("/v2/stream/s?since={TIME}"));
        let mut past = past.subscribe(server.address).await;
        assert_eq!(past.events(31).await.len(), 31);
        for subscriber in [&whole, &past] {
            let body = String::from_utf8(subscriber.response.body.clone()).expect("text");
            assert!(!body.contains("event: progress"), "{body}");
            assert!(body.starts_with(":ok\n\n"), "{body}");
        }
        let ids: Vec<_> = events.iter().map(|event| event.id.as_ref()).collect();
        let last = id_offsets(ids[30].expect("an id"));
        assert_eq!(last.values().sum::<i64>(), 31);
    }
);
