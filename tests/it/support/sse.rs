//! A parser of Server-Sent Events as a browser has it (WHATWG HTML, section 9.2.6), and a client on
//! top of it.

use std::collections::VecDeque;

use serde_json::Value;

use super::deadline::within;
use super::wire::{End, Response};

/// The lines between two empty lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The last `event` field.
    pub event: Option<String>,
    /// The last `id` field.
    pub id: Option<String>,
    /// All `data` fields joined by LF, or `None` for a frame without data, such as `:ok` or a
    /// heartbeat.
    pub data: Option<String>,
    /// The last `retry` field.
    pub retry: Option<String>,
    /// The comments without their colon.
    pub comments: Vec<String>,
    /// The end of the frame as a position in the body.
    pub end: usize,
}

impl Frame {
    /// The data as JSON.
    pub fn json(&self) -> Value {
        let data = self.data.as_deref().expect("a frame with data");
        serde_json::from_str(data).unwrap_or_else(|err| panic!("data is not JSON: {err}: {data}"))
    }

    /// `(meta.topic, meta.partition, meta.offset)`, which identifies the record.
    pub fn record(&self) -> (String, i64, i64) {
        record(&self.json())
    }
}

/// `(meta.topic, meta.partition, meta.offset)` of an event.
pub fn record(event: &Value) -> (String, i64, i64) {
    let meta = &event["meta"];
    let topic = meta["topic"]
        .as_str()
        .unwrap_or_else(|| panic!("no meta.topic in {event}"));
    let number = |name: &str| {
        meta[name]
            .as_i64()
            .unwrap_or_else(|| panic!("no meta.{name} in {event}"))
    };
    (topic.to_owned(), number("partition"), number("offset"))
}

/// Splits a body into frames. Takes pieces of any size; lines end in LF, CR or CR LF.
#[derive(Debug, Default)]
pub struct FrameParser {
    line: Vec<u8>,
    frame: Frame,
    /// The current frame has a line.
    begun: bool,
    /// The last line ended in CR, so that a following LF belongs to it.
    after_cr: bool,
    position: usize,
}

impl FrameParser {
    /// Parses the next bytes of the body and returns the frames that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for &byte in bytes {
            self.position += 1;
            let second_of_crlf = std::mem::take(&mut self.after_cr) && byte == b'\n';
            if second_of_crlf {
                continue;
            }
            self.after_cr = byte == b'\r';
            if !matches!(byte, b'\r' | b'\n') {
                self.line.push(byte);
            } else if self.line.is_empty() {
                let mut frame = std::mem::take(&mut self.frame);
                frame.end = self.position;
                frames.extend(std::mem::take(&mut self.begun).then_some(frame));
            } else {
                self.end_line();
            }
        }
        frames
    }

    /// Whether the bytes so far end inside a frame.
    pub fn inside_frame(&self) -> bool {
        self.begun || !self.line.is_empty()
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8(bytes)
            .unwrap_or_else(|err| panic!("an event stream is UTF-8: {err}"));
        // The body may start with a byte order mark.
        let line = if self.begun {
            &line
        } else {
            line.trim_start_matches('\u{feff}')
        };
        self.begun = true;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        let frame = &mut self.frame;
        match field {
            "" => frame.comments.push(line[1..].to_owned()),
            "event" => frame.event = Some(value),
            "id" => frame.id = Some(value),
            "retry" => frame.retry = Some(value),
            "data" => match &mut frame.data {
                Some(data) => data.extend(["\n", &value]),
                None => frame.data = Some(value),
            },
            _ => panic!("unknown field: {line:?}"),
        }
    }
}

/// What a client has received when its connection ends.
#[derive(Debug)]
pub struct Received {
    /// The complete events since the stream opened.
    pub events: Vec<Frame>,
    /// The id of the last complete frame, with which the client reconnects.
    pub last_id: Option<String>,
}

/// A connected SSE client.
#[derive(Debug)]
pub struct Subscriber {
    /// The response; its whole body is kept.
    pub response: Response,
    /// The comments of all complete frames so far.
    pub comments: Vec<String>,
    parser: FrameParser,
    parsed: usize,
    chunks_seen: usize,
    whole_frames: bool,
    waiting: VecDeque<Frame>,
    last_id: Option<String>,
}

impl Subscriber {
    /// Fails unless the response is an open event stream.
    pub fn new(response: Response) -> Self {
        let content_type = response.header("content-type");
        let is_sse =
            response.status == 200 && content_type == Some("text/event-stream; charset=utf-8");
        assert!(
            is_sse,
            "not an event stream: {:?}; {}",
            response.headers,
            response.received()
        );
        Self::lenient(response).whole_frames(true)
    }

    /// Accepts any response, and chunks that end inside a frame.
    pub fn lenient(response: Response) -> Self {
        Self {
            response,
            comments: Vec::new(),
            parser: FrameParser::default(),
            parsed: 0,
            chunks_seen: 0,
            whole_frames: false,
            waiting: VecDeque::new(),
            last_id: None,
        }
    }

    /// Whether a chunk that ends inside a frame fails the test: the server writes whole events
    /// (docs/protocol.md).
    pub fn whole_frames(mut self, required: bool) -> Self {
        self.whole_frames = required;
        self
    }

    /// The next event (a frame with data), or `None` at the end of the stream. Comments go to
    /// [`Self::comments`]. Heartbeats do not extend the time limit.
    pub async fn event_or_end(&mut self) -> Option<Frame> {
        within("the next event", self.read_event()).await
    }

    async fn read_event(&mut self) -> Option<Frame> {
        loop {
            self.parse();
            if let Some(frame) = self.waiting.pop_front() {
                return Some(frame);
            }
            if !self.response.read_more("the next event").await {
                return None;
            }
        }
    }

    /// The next event.
    pub async fn event(&mut self) -> Frame {
        let frame = self.event_or_end().await;
        frame.unwrap_or_else(|| {
            panic!(
                "the stream ended before the next event; {}",
                self.response.received()
            )
        })
    }

    /// The next `count` events.
    pub async fn events(&mut self, count: usize) -> Vec<Frame> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.event().await);
        }
        events
    }

    /// The events up to the first that `last` accepts. To show that an event does NOT arrive,
    /// produce one that must, and read up to it.
    pub async fn events_until(&mut self, mut last: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        let mut events = vec![self.event().await];
        while !last(&events[events.len() - 1]) {
            events.push(self.event().await);
        }
        events
    }

    /// Waits for a comment that contains `wanted` and returns it.
    pub async fn comment(&mut self, wanted: &str) -> String {
        // Heartbeats keep the stream busy while the comment does not come.
        let what = format!("a comment with {wanted:?}");
        within(&what, self.read_comment(wanted, &what)).await
    }

    async fn read_comment(&mut self, wanted: &str, what: &str) -> String {
        loop {
            self.parse();
            if let Some(comment) = self
                .comments
                .iter()
                .find(|comment| comment.contains(wanted))
            {
                return comment.clone();
            }
            assert!(
                self.response.read_more(what).await,
                "the stream ended before {what}; {}",
                self.response.received()
            );
        }
    }

    /// The events until the stream ends, and how it ended.
    pub async fn rest(&mut self) -> (Vec<Frame>, End) {
        let mut events = Vec::new();
        while let Some(event) = self.event_or_end().await {
            events.push(event);
        }
        (events, self.response.end.expect("it ended"))
    }

    /// The id of the last complete frame that had one, with which a client would reconnect now.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Closes the connection at once, as when the network of the client fails.
    pub fn cut(self) -> Received {
        received(&self.response.body)
    }

    /// Closes the connection after exactly `bytes` of the body ([`Frame::end`] is such a position).
    /// Returns everything since the stream opened.
    pub async fn cut_at(self, bytes: usize) -> Received {
        received(&self.response.cut_at(bytes).await)
    }

    /// Parses the received bytes, chunk by chunk.
    fn parse(&mut self) {
        while self.parsed < self.response.body.len() {
            let chunk_end = self.response.chunk_ends.get(self.chunks_seen).copied();
            let end = chunk_end.unwrap_or(self.response.body.len());
            let frames = self.parser.feed(&self.response.body[self.parsed..end]);
            self.parsed = end;
            if chunk_end.is_some() {
                self.chunks_seen += 1;
                let whole = !self.whole_frames || !self.parser.inside_frame();
                assert!(
                    whole,
                    "a chunk ended inside a frame, at byte {end}; {}",
                    self.response.received()
                );
            }
            for frame in frames {
                self.comments.extend_from_slice(&frame.comments);
                if frame.id.is_some() {
                    self.last_id.clone_from(&frame.id);
                }
                self.waiting.extend(frame.data.is_some().then_some(frame));
            }
        }
    }
}

fn received(body: &[u8]) -> Received {
    let frames = FrameParser::default().feed(body);
    let last_id = frames.iter().rev().find_map(|frame| frame.id.clone());
    Received {
        events: frames
            .into_iter()
            .filter(|frame| frame.data.is_some())
            .collect(),
        last_id,
    }
}
