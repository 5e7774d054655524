//! `fields`: only some members of each event, with and without a filter.

use serde_json::{Value, json};

use super::{edits, path, produce};
use crate::http2;
use crate::support::filtered::{CASES, FORMS, FilterCase, Reader, closing_edit};
use crate::support::server::TestServer;
use crate::support::sse::FrameParser;
use crate::support::wire::Request;

const FIELDS: &str = "fields=wiki,length.new,closing,title,bot.x,nope,n";

/// The members of [`FIELDS`], and those of `meta` that every event has.
fn projected(data: &String) -> Value {
    let event: Value = serde_json::from_str(data).expect("an event is JSON");
    let mut projected = json!({"meta": event["meta"]});
    let meta = projected["meta"].as_object_mut().expect("an object");
    assert!(
        meta.remove("domain").is_some(),
        "the event is whole: {data}"
    );
    for name in ["wiki", "closing", "title", "n"] {
        if let Some(value) = event.get(name) {
            projected[name] = value.clone();
        }
    }
    projected["length"] = json!({"new": event["length"]["new"]});
    projected
}

fn assert_projected(got: &[String], whole: &[String], what: &str) {
    let got: Vec<Value> = got
        .iter()
        .map(|data| serde_json::from_str(data).expect("an event is JSON"))
        .collect();
    let expected: Vec<Value> = whole.iter().map(projected).collect();
    assert_eq!(got, expected, "{what}");
}

on_both_brokers!(
    /// From Kafka, from memory and live, in every format and coding.
    async fn fields_leave_the_same_events_with_fewer_members(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        produce(&cluster, &topics, 0..60).await;
        let server = TestServer::start(&cluster, &settings).await;
        produce(&cluster, &topics, 60..120).await;
        let since = "/v2/stream/edits?since=0";
        let mut whole = Reader::open(since, FORMS[0], true, server.address).await;
        let past = whole.data(120).await;
        let mut readers = Vec::new();
        for form in FORMS {
            let all = format!("{since}&{FIELDS}");
            readers.push((
                None,
                form,
                Reader::open(&all, form, true, server.address).await,
            ));
            for case in &CASES[..3] {
                let path = path(case, &format!("&since=0&{FIELDS}"));
                let reader = Reader::open(&path, form, false, server.address).await;
                readers.push((Some(case), form, reader));
            }
        }
        let expected = |case: Option<&FilterCase>, events: &[String]| match case {
            None => events.to_vec(),
            Some(case) => case.of(events),
        };
        for (case, form, reader) in &mut readers {
            let expected = expected(*case, &past);
            let got = reader.data(expected.len()).await;
            assert_projected(&got, &expected, &format!("{case:?} {form:?}"));
        }
        // Twice, so that the second part is live for certain.
        for numbers in [120..160, 160..200] {
            produce(&cluster, &topics, numbers.clone()).await;
            cluster
                .produce(closing_edit(&topics[1], 1000 + numbers.end))
                .await;
            let live = whole.data(41).await;
            for (case, form, reader) in &mut readers {
                let expected = expected(*case, &live);
                let got = reader.data(expected.len()).await;
                assert_projected(&got, &expected, &format!("live {case:?} {form:?}"));
            }
        }
    }

    /// A client may change `fields` with each request, and goes on where it was.
    async fn ids_are_those_of_the_whole_stream(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        produce(&cluster, &topics, 0..30).await;
        let server = TestServer::start(&cluster, &settings).await;
        let since = "/v2/stream/edits?since=0";
        let mut whole = Request::get(since).subscribe(server.address).await;
        let whole = whole.events(30).await;
        let mut last_id: Option<String> = None;
        let all = ["fields=n", "fields=wiki&limit=10", "", "fields=meta,n"];
        for (number, fields) in all.into_iter().enumerate() {
            let mut request = Request::get(format!("/v2/stream/edits?{fields}"));
            request = match last_id {
                None => Request::get(format!("{since}&{fields}")),
                Some(id) => request.last_event_id(id),
            };
            let events = request.subscribe(server.address).await.events(7).await;
            for (event, whole) in events.iter().zip(&whole[number * 7..]) {
                assert_eq!(
                    (&event.id, event.record()),
                    (&whole.id, whole.record()),
                    "{fields}"
                );
            }
            last_id = events.last().and_then(|event| event.id.clone());
        }
    }

    async fn fields_over_http2_are_the_same(cluster: Cluster) {
        let (settings, topics) = edits(&cluster).await;
        produce(&cluster, &topics, 0..20).await;
        let server = TestServer::start(&cluster, &settings).await;
        let whole = "/v2/stream/edits?since=0";
        let mut whole = Reader::open(whole, FORMS[0], true, server.address).await;
        let mut requests = http2::connect(server.address).await;
        let path = format!("/v2/stream/edits?since=0&{FIELDS}&limit=20");
        let mut body = http2::get(&mut requests, &path).await.into_body();
        let text = http2::read_until(&mut body, "event: end").await;
        let frames = FrameParser::default().feed(text.as_bytes()).into_iter();
        let events: Vec<_> = frames.filter_map(|frame| frame.data).take(20).collect();
        assert_projected(&events, &whole.data(20).await, &path);
    }
);
