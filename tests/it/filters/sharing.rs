//! Filters that several clients use at the same time, and ids that outlive a filter.

use super::{edits, little_memory, path, produce, records};
use crate::support::admin::{NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::filtered::{
    CASES, FORMS, FilteredSubscriber, ProgressCheck, Reader, closing_edit, edit,
};
use crate::support::numbered::{TIME, numbers};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

const SCANNED: &str = "eventstreams_filter_records_scanned_total";
const MATCHED: &str = "eventstreams_filter_events_matched_total";

on_both_brokers!(
    /// They end up in one write group. [`FilteredSubscriber`] checks the counts of each.
    async fn clients_of_a_filter_that_join_one_by_one_all_count_right(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("heartbeat_ms", "2000")).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let (case, producer) = (CASES[1], cluster.producer("none"));
        let (mut sent, mut readers) = (Vec::new(), Vec::new());
        for round in 0..8 {
            for coding in ["identity", "gzip", "zstd"] {
                let request = Request::get(path(&case, "")).header("Accept-Encoding", coding);
                let reader = FilteredSubscriber::open(&request, server.address).await;
                readers.push((sent.len(), reader));
            }
            // So soon after the other that they join between the same two progress frames.
            producer
                .produce_many(records(&topics, round * 60..round * 60 + 60))
                .await;
            sent.extend(whole.data(60).await);
        }
        cluster.produce(closing_edit(&topics[0], 480)).await;
        sent.extend(whole.data(1).await);
        for (from, reader) in &mut readers {
            let expected = case.of(&sent[*from..]);
            assert_eq!(reader.data(expected.len()).await, expected);
            reader.progress_to(481).await;
            let frames = &reader.progress.frames;
            let scanned: i64 = frames.iter().map(|frame| frame.scanned).sum();
            let matched: i64 = frames.iter().map(|frame| frame.matched).sum();
            assert_eq!(
                usize::try_from(scanned).expect("not negative"),
                sent.len() - *from
            );
            assert_eq!(
                usize::try_from(matched).expect("not negative"),
                expected.len()
            );
        }
        // One leaves in the middle, the others go on.
        readers.truncate(readers.len() / 2);
        produce(&cluster, &topics, 481..600).await;
        let more = whole.data(119).await;
        cluster.produce(closing_edit(&topics[0], 600)).await;
        let expected = [case.of(&more), whole.data(1).await].concat();
        for (_, reader) in &mut readers {
            assert_eq!(reader.data(expected.len()).await, expected);
        }
    }

    async fn ids_go_on_without_the_filter_and_with_another(cluster: Cluster) {
        let topic = unique("eqiad.edits");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("edits", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let all = || Request::get("/v2/stream/edits");
        let third = || Request::get("/v2/stream/edits?filter=event.third");
        let mut filtered = FilteredSubscriber::open(&third(), server.address).await;
        let mut whole = all().subscribe(server.address).await;
        let records = (0..90).map(|n| {
            let value = format!(r#"{{"n":{n},"third":{},"w":{}}}"#, n % 3 == 0, n % 2);
            NewRecord::new(&topic, 0, TIME + n, value)
        });
        cluster.produce_many("none", records).await;
        let events = whole.events(90).await;
        let mut matches = Vec::new();
        for _ in 0..30 {
            matches.push(filtered.event().await);
        }
        let late = TestServer::start(&cluster, &little_memory(settings)).await;
        for from in [&server, &late] {
            let since = Request::get("/v2/stream/edits?filter=event.third&since=0");
            let mut past = FilteredSubscriber::open(&since, from.address).await;
            for (index, event) in matches.iter().enumerate() {
                assert_eq!(past.event().await.id, event.id, "an event has one id");
                let id = event.id.clone().expect("an id");
                let mut rest = all().last_event_id(&id).subscribe(from.address).await;
                let first = index * 3 + 1;
                let got = numbers(&rest.events(90 - first).await);
                assert_eq!(got, (first..90).collect::<Vec<_>>(), "the filter dropped");
            }
            for event in events.iter().step_by(4) {
                let (id, n) = (event.id.clone().expect("an id"), event.record().2);
                let resumed = third().last_event_id(&id);
                let mut rest = FilteredSubscriber::open(&resumed, from.address).await;
                for expected in (n + 1..90).filter(|n| n % 3 == 0) {
                    assert_eq!(rest.event().await.record().2, expected, "a filter added");
                }
                let other = Request::get("/v2/stream/edits?filter=event.w==1");
                let resumed = other.last_event_id(&id);
                let mut rest = FilteredSubscriber::open(&resumed, from.address).await;
                for expected in (n + 1..90).filter(|n| n % 2 == 1) {
                    assert_eq!(rest.event().await.record().2, expected, "another filter");
                }
            }
        }
    }

    /// Neither its entries in the index nor what they count stay.
    async fn a_filter_whose_clients_are_gone_matches_no_longer(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut whole = Reader::open("/v2/stream/edits", FORMS[0], true, server.address).await;
        let open = async |parameters: &str| {
            let request = Request::get(format!("/v2/stream/edits?{parameters}"));
            FilteredSubscriber::open(&request, server.address).await
        };
        let mut stays = open("filter=event.n%3E=0").await;
        for _ in 0..3 {
            let leaves = [
                open("wiki=enwiki").await,
                open("wiki=dewiki").await,
                open("filter=event.length.new%3E0").await,
            ];
            drop(leaves);
            // The same filter in another place of the index.
            drop(open("wiki=enwiki&bot=true").await);
        }
        eventually("one filter to be left", async || {
            let metrics = server.metrics().await;
            let kinds = ["indexed", "residual", "pattern"].map(|kind| {
                let sample = format!("eventstreams_filters{{kind=\"{kind}\"}}");
                crate::support::server::sample_in(&metrics, &sample)
            });
            let count = |kind: &Option<String>| {
                kind.as_ref()
                    .map_or(0, |count| count.parse().expect("a number"))
            };
            (kinds.iter().map(count).sum::<u64>() == 1).then_some(())
        })
        .await;
        let before = (server.metric(SCANNED).await, server.metric(MATCHED).await);
        produce(&cluster, &topics, 0..100).await;
        whole.data(100).await;
        let got = stays.data(100).await;
        assert!(got.iter().any(|data| data.contains("enwiki")));
        let after = (server.metric(SCANNED).await, server.metric(MATCHED).await);
        assert_eq!((after.0 - before.0, after.1 - before.1), (100, 100));
        let mut again = open("wiki=enwiki").await;
        cluster.produce(closing_edit(&topics[0], 100)).await;
        assert!(again.data(1).await[0].contains("closing"));
    }

    async fn a_client_without_a_filter_joins_a_feed_of_filtered_ones(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/edits?filter=has(event.n)&wiki=enwiki");
        let mut filtered = FilteredSubscriber::open(&request, server.address).await;
        produce(&cluster, &topics, 0..100).await;
        let enwiki =
            |range: std::ops::Range<usize>| range.filter(|n| edit(*n)["wiki"] == "enwiki").count();
        filtered.data(enwiki(0..100)).await;
        for round in 1..6 {
            let mut whole = Request::get("/v2/stream/edits")
                .subscribe(server.address)
                .await;
            produce(&cluster, &topics, round * 100..round * 100 + 100).await;
            let events = whole.events(100).await;
            let mut got = numbers(&events);
            got.sort_unstable();
            assert_eq!(got, (round * 100..round * 100 + 100).collect::<Vec<_>>());
            filtered.data(enwiki(round * 100..round * 100 + 100)).await;
        }
    }
);

/// Not a stream of its own: what a check of frames does with a second opening.
#[test]
#[should_panic(expected = "the same position again")]
fn the_check_of_progress_notices_a_repeated_position() {
    let body = "event: progress\nid: [{\"topic\":\"t\",\"partition\":0,\"offset\":1}]\n\
                data: {\"dt\":null,\"scanned\":0,\"matched\":0}\n\n";
    let mut check = ProgressCheck::default();
    for frame in super::frames_of(body.repeat(2).as_bytes()) {
        check.take(frame);
    }
}
