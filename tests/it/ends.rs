//! Streams that end (docs/protocol.md, "Streams that end"): which events they have, their last
//! frame, and how a client goes on.

use std::net::SocketAddr;
use std::ops::Range;

use crate::http2;
use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::within;
use crate::support::filtered::FORMS;
use crate::support::numbered::{TIME, number, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::{Frame, FrameParser};
use crate::support::wire::{End, Request};

mod limit;
mod until;

/// Two topics of two partitions each, and a stream of both.
async fn two_topics(cluster: &Cluster) -> ([String; 2], Settings) {
    let topics = [unique("eqiad.ends"), unique("codfw.ends")];
    for topic in &topics {
        cluster.create_topic(topic, 2).await;
    }
    let settings = Settings::default().stream("ends", &[&topics[0], &topics[1]]);
    (topics, settings)
}

/// Numbered records, a millisecond apart, spread over the partitions.
fn records(topics: &[String; 2], begin: i64, range: Range<usize>) -> Vec<NewRecord> {
    let spread = |n: usize| {
        let partition = i32::from(n % 4 > 1);
        record(&topics[n % 2], partition, begin + to_i64(n), n)
    };
    range.map(spread).collect()
}

/// What a client received of a stream that ended in order.
#[derive(Debug)]
struct Received {
    numbers: Vec<usize>,
    /// The frame `event: end`; `None` in NDJSON.
    end: Option<Frame>,
    /// The ids of all events.
    ids: Vec<String>,
}

impl Received {
    fn of(frames: Vec<Frame>) -> Self {
        let frames = frames.into_iter().filter(|frame| frame.data.is_some());
        let (events, mut others): (Vec<Frame>, Vec<Frame>) =
            frames.partition(|frame| frame.event.as_deref() == Some("message"));
        others.retain(|frame| frame.event.as_deref() != Some("progress"));
        assert!(others.len() <= 1, "one end: {others:?}");
        let id = |frame: &Frame| frame.id.clone().expect("an id");
        Self {
            numbers: events.iter().map(number).collect(),
            ids: events.iter().map(id).collect(),
            end: others.pop(),
        }
    }

    /// The id of the last frame, which has this reason.
    fn end_id(&self, reason: &str) -> String {
        let end = self.end.as_ref().expect("event: end");
        assert_eq!(end.event.as_deref(), Some("end"));
        assert_eq!(
            end.data.clone(),
            Some(format!(r#"{{"reason":"{reason}"}}"#))
        );
        end.id.clone().expect("an id")
    }
}

/// Reads a stream to its end.
async fn read(
    request: &Request,
    (is_ndjson, coding): (bool, &str),
    address: SocketAddr,
) -> Received {
    let request = request.clone().header("Accept-Encoding", coding);
    if !is_ndjson {
        let (frames, end) = request.subscribe(address).await.rest().await;
        assert_eq!(end, End::Complete);
        return Received::of(frames);
    }
    let mut lines = request.subscribe_ndjson(address).await;
    let mut numbers = Vec::new();
    while let Some(line) = within("the next line, or the end", lines.line_or_end()).await {
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        numbers.push(usize::try_from(event["n"].as_u64().expect("a number")).expect("small"));
    }
    assert_eq!(lines.response.end, Some(End::Complete));
    Received {
        numbers,
        end: None,
        ids: Vec::new(),
    }
}

/// Reads a stream of Server-Sent Events over HTTP/2 to its end.
async fn read_http2(path: &str, address: SocketAddr) -> Received {
    let mut requests = http2::connect(address).await;
    let mut body = http2::get(&mut requests, path).await.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = within("more, or the end", body.data()).await {
        let piece = piece.expect("the stream is not reset");
        let released = body.flow_control().release_capacity(piece.len());
        released.expect("the capacity is released");
        bytes.extend_from_slice(&piece);
    }
    Received::of(FrameParser::default().feed(&bytes))
}
