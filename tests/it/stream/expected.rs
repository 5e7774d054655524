//! What a stream must be on the wire: headers, fixtures, ids.

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::numbered::{LOG_BYTES, TIME, record, without_log};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{Request, Response};

/// Replaces the topic of the fixtures.
pub(super) fn fixture(text: &str, topic: &str) -> String {
    text.replace("eqiad.mediawiki.recentchange", topic)
}

/// An entry of an id, as the server writes it.
pub(super) fn entry(topic: &str, partition: i32, offset: i64, timestamp: i64) -> String {
    format!(
        r#"{{"topic":"{topic}","partition":{partition},"offset":{offset},"timestamp":{timestamp}}}"#
    )
}

/// The headers of docs/protocol.md, with the values of the default configuration.
pub(super) const HEADERS: [(&str, &str); 10] = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("access-control-allow-origin", "*"),
    (
        "access-control-allow-headers",
        "accept, x-requested-with, content-type, last-event-id",
    ),
    (
        "access-control-expose-headers",
        "etag, retry-after, x-request-id, x-eventstreams-moved",
    ),
    ("cache-control", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    (
        "content-security-policy",
        "default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; \
         frame-ancestors 'self'",
    ),
    ("x-accel-buffering", "no"),
    ("incremental", "?1"),
];

pub(super) fn assert_headers(response: &Response) {
    for (name, value) in HEADERS {
        let sent: Vec<_> = response
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .collect();
        assert_eq!(sent.len(), 1, "{name} is sent once: {:?}", response.headers);
        assert_eq!(sent[0].1, value, "{name}");
    }
}

/// Produces the record of the fixture after 42 others, and compares all bytes that a subscriber
/// gets.
pub(super) async fn assert_golden(
    cluster: &Cluster,
    settings: Settings,
    accept: &str,
    expected: &str,
) {
    let topic = unique("eqiad.mediawiki.recentchange");
    cluster.create_topic(&topic, 1).await;
    cluster
        .produce_many("none", (0..42).map(|n| record(&topic, 0, TIME, n)))
        .await;
    let server = TestServer::start(
        cluster,
        &settings.stream("mediawiki.recentchange", &[&topic]),
    )
    .await;
    let request = Request::get("/v2/stream/mediawiki.recentchange").header("Accept", accept);
    let response = request.send(server.address).await;
    let value = include_bytes!("../../fixtures/frames/recentchange.value.json");
    cluster
        .produce(NewRecord::new(&topic, 0, 1_700_000_100_011, value).key("ttwiki"))
        .await;
    let expected = fixture(expected, &topic);
    let logs = usize::from(expected.contains("id: ["));
    let received = response.cut_at(expected.len() + logs * LOG_BYTES).await;
    let received = String::from_utf8(received).expect("UTF-8");
    assert_eq!(received.matches(",\"log\":\"").count(), logs);
    assert_eq!(without_log(&received), expected, "with Accept: {accept}");
}
