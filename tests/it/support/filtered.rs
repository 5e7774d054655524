//! Clients of filtered streams. They check every progress frame, and tests compare what they get
//! with what a filter written in Rust leaves of the whole stream.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::admin::NewRecord;
use super::deadline::within;
use super::ndjson::Lines;
use super::numbered::{TIME, to_i64};
use super::sse::{Frame, Subscriber};
use super::wire::Request;

/// Parameters of a request, and the same filter in Rust.
#[derive(Clone, Copy, Debug)]
pub struct FilterCase {
    pub parameters: &'static str,
    is_wanted: fn(&Value, usize) -> bool,
}

impl FilterCase {
    /// Whether the filter matches an event, which is given as it is sent.
    pub fn wants(&self, data: &str) -> bool {
        let event = serde_json::from_str(data).expect("an event is JSON");
        (self.is_wanted)(&event, data.len())
    }

    /// The events that the filter leaves.
    pub fn of<'a>(&self, whole: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let wanted = whole.into_iter().filter(|data| self.wants(data));
        wanted.cloned().collect()
    }
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_default()
}

/// Filters of every kind over the events of [`edit`]. Each matches [`closing_edit`].
pub const CASES: [FilterCase; 11] = [
    FilterCase {
        parameters: "wiki=enwiki",
        is_wanted: |event, _| event["wiki"] == "enwiki",
    },
    FilterCase {
        parameters: "wiki=dewiki,enwiki&bot=false",
        is_wanted: |event, _| {
            ["dewiki", "enwiki"].contains(&text(event, "wiki")) && event["bot"] == false
        },
    },
    FilterCase {
        parameters: "filter=event.length.new-event.length.old%3E500",
        is_wanted: |event, _| {
            let length = |name: &str| event["length"][name].as_i64();
            let (new, old) = (length("new"), length("old"));
            new.zip(old).is_some_and(|(new, old)| new - old > 500)
        },
    },
    FilterCase {
        parameters: "filter=event.comment.contains(%22vert%22)||event.namespace+in+[1,3]",
        is_wanted: |event, _| {
            text(event, "comment").contains("vert")
                || event["namespace"] == 1
                || event["namespace"] == 3
        },
    },
    FilterCase {
        parameters: "filter=!has(event.namespace)||event.namespace!=0",
        is_wanted: |event, _| event.get("namespace").is_none() || event["namespace"] != 0,
    },
    FilterCase {
        parameters: "title=z%C3%BCrich_*",
        is_wanted: |event, _| text(event, "title").starts_with("Zürich "),
    },
    FilterCase {
        parameters: "filter=event.comment.matches(%22^r.v%22)%26%26!event.bot",
        is_wanted: |event, _| {
            let mut comment = text(event, "comment").chars();
            let is_like = comment.next() == Some('r') && comment.nth(1) == Some('v');
            is_like && event["bot"] == false
        },
    },
    FilterCase {
        parameters: "filter=event.length.new%3E400&wiki=*wiktionary,enwiki",
        is_wanted: |event, _| {
            let wiki = text(event, "wiki");
            let new = event["length"]["new"].as_i64();
            (wiki.ends_with("wiktionary") || wiki == "enwiki") && new.is_some_and(|new| new > 400)
        },
    },
    FilterCase {
        parameters: "max_event_bytes=600&canary=false",
        is_wanted: |event, bytes| bytes <= 600 && event["meta"]["domain"] != "canary",
    },
    FilterCase {
        parameters: "filter=has(event.closing)||event.wiki==%22nosuchwiki%22",
        is_wanted: |event, _| event.get("closing").is_some(),
    },
    FilterCase {
        parameters: "filter=has(event.n)",
        is_wanted: |_, _| true,
    },
];

const WIKIS: [&str; 5] = ["enwiki", "dewiki", "frwiktionary", "wikidatawiki", "ttwiki"];
const COMMENTS: [&str; 5] = ["revert", "rev 5", "Überarbeitet", "controvert", ""];
const TITLES: [&str; 3] = ["Zürich HB", "Zürich", "Another page"];

/// The value of an edit with this number, which decides all its members.
pub fn edit(n: usize) -> Value {
    // Mixed, so that the members do not depend on each other.
    let mixed = (n as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let digit = |place: u32, base: u64| {
        let number = (mixed >> place) % base;
        usize::try_from(number).expect("a small number")
    };
    let domain = if digit(8, 9) == 0 {
        "canary"
    } else {
        "example.org"
    };
    let mut event = json!({
        "n": n,
        "meta": {"domain": domain},
        "wiki": WIKIS[digit(16, 5)],
        "bot": digit(20, 3) == 0,
        "title": TITLES[digit(24, 3)],
        "comment": COMMENTS[digit(28, 5)],
        "length": {"old": digit(32, 1000), "new": digit(36, 2000)},
        "padding": "x".repeat(digit(40, 700)),
    });
    match digit(44, 6) {
        0 => {}
        1 => event["namespace"] = Value::Null,
        number => event["namespace"] = json!(number - 2),
    }
    event
}

/// The record of [`edit`], at a time of its own.
pub fn edit_record(topic: &str, partition: i32, n: usize) -> NewRecord {
    let value = edit(n).to_string();
    NewRecord::new(topic, partition, TIME + to_i64(n), value)
}

/// An edit that every filter of [`CASES`] matches.
pub fn closing_edit(topic: &str, n: usize) -> NewRecord {
    let value = json!({
        "n": n,
        "closing": true,
        "meta": {"domain": "example.org"},
        "wiki": "enwiki",
        "bot": false,
        "title": "Zürich HB",
        "comment": "revert",
        "length": {"old": 0, "new": 1000},
        "namespace": 1,
    });
    NewRecord::new(topic, 0, TIME + to_i64(n), value.to_string())
}

/// Whether an event is that of [`closing_edit`].
pub fn is_closing(data: &str) -> bool {
    data.contains("\"closing\":true")
}

/// Percent-encodes a value of a query parameter.
pub fn encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("a String");
        }
    }
    encoded
}

/// The offsets in an id: where each partition goes on.
pub type IdOffsets = BTreeMap<(String, i64), i64>;

/// Parses an id. Fails at an offset that is negative or missing.
pub fn id_offsets(id: &str) -> IdOffsets {
    let entries: Vec<Value> = serde_json::from_str(id).expect("an id is an array");
    let offset = |entry: &Value| {
        let topic = entry["topic"].as_str().expect("a topic").to_owned();
        let partition = entry["partition"].as_i64().expect("a partition");
        let offset = entry["offset"].as_i64().filter(|offset| *offset >= 0);
        let offset = offset.unwrap_or_else(|| panic!("no offset in {id}"));
        ((topic, partition), offset)
    };
    entries.iter().map(offset).collect()
}

/// A progress frame.
#[derive(Clone, Debug)]
pub struct Progress {
    pub id: String,
    pub dt: Option<String>,
    pub scanned: i64,
    pub matched: i64,
}

/// Checks the progress frames of one connection against its ids and events. The logs have no
/// holes.
#[derive(Debug, Default)]
pub struct ProgressCheck {
    /// The id of the last progress frame.
    last: Option<IdOffsets>,
    /// The events since then.
    events: i64,
    /// All progress frames.
    pub frames: Vec<Progress>,
}

impl ProgressCheck {
    /// Takes in a frame with data. Returns the event, or `None` for a progress frame.
    pub fn take(&mut self, frame: Frame) -> Option<Frame> {
        let id = frame.id.clone().expect("a frame of a filtered stream");
        let offsets = id_offsets(&id);
        if frame.event.as_deref() == Some("message") {
            assert!(self.last.is_some(), "an event before the first progress");
            self.events += 1;
            return Some(frame);
        }
        assert_eq!(frame.event.as_deref(), Some("progress"));
        let data = frame.json();
        let progress = Progress {
            id,
            dt: data["dt"].as_str().map(str::to_owned),
            scanned: data["scanned"].as_i64().expect("a number"),
            matched: data["matched"].as_i64().expect("a number"),
        };
        assert!(
            progress.dt.is_some() || data.get("dt") == Some(&Value::Null),
            "{data}"
        );
        let Some(last) = self.last.replace(offsets) else {
            assert_eq!((progress.scanned, progress.matched), (0, 0), "at first");
            self.frames.push(progress);
            return None;
        };
        let now = self.last.as_ref().expect("it was just set");
        let passed: i64 = now.values().sum::<i64>() - last.values().sum::<i64>();
        let grows = |(key, offset): (&(String, i64), &i64)| now[key] >= *offset;
        assert!(
            last.iter().all(grows),
            "{now:?} is not after {last:?}, nothing goes back"
        );
        assert!(passed > 0, "the same position again: {now:?}");
        assert_eq!(progress.scanned, passed, "records between two ids");
        let events = std::mem::take(&mut self.events);
        assert_eq!(progress.matched, events, "events between two ids");
        self.frames.push(progress);
        None
    }
}

/// A client of a filtered stream of Server-Sent Events.
#[derive(Debug)]
pub struct FilteredSubscriber {
    pub subscriber: Subscriber,
    pub progress: ProgressCheck,
}

impl FilteredSubscriber {
    /// Opens the stream and reads the first frame with data, which is a progress frame.
    pub async fn open(request: &Request, address: SocketAddr) -> Self {
        let mut opened = Self {
            subscriber: request.subscribe(address).await,
            progress: ProgressCheck::default(),
        };
        let first = opened.subscriber.event().await;
        assert_eq!(opened.progress.take(first).map(|event| event.data), None);
        opened
    }

    /// The next event.
    pub async fn event(&mut self) -> Frame {
        within("an event that the filter matches", async {
            loop {
                let frame = self.subscriber.event().await;
                if let Some(event) = self.progress.take(frame) {
                    return event;
                }
            }
        })
        .await
    }

    /// The data of the next `count` events.
    pub async fn data(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            all.push(self.event().await.data.expect("an event"));
        }
        all
    }

    /// Reads until a progress frame with this id or a later one. Fails at an event.
    pub async fn progress_to(&mut self, end: i64) -> Progress {
        within("progress", async {
            loop {
                let last = self.progress.frames.last().expect("the first one");
                if id_offsets(&last.id).values().sum::<i64>() >= end {
                    return last.clone();
                }
                let frame = self.subscriber.event().await;
                let event = self.progress.take(frame);
                assert!(event.is_none(), "an event: {event:?}");
            }
        })
        .await
    }

    /// The id with which the client would resume now.
    pub fn last_id(&self) -> String {
        self.subscriber.last_id().expect("an id").to_owned()
    }
}

/// A client in one of the formats.
#[derive(Debug)]
pub enum Reader {
    Sse(FilteredSubscriber),
    Whole(Subscriber),
    Lines(Lines),
}

/// A format and a content coding.
pub const FORMS: [(bool, &str); 6] = [
    (false, "identity"),
    (true, "identity"),
    (false, "gzip"),
    (true, "gzip"),
    (false, "zstd"),
    (true, "zstd"),
];

impl Reader {
    /// Opens a stream. `path` has a query, of a filter unless it is `is_whole`.
    pub async fn open(
        path: &str,
        (is_ndjson, coding): (bool, &str),
        is_whole: bool,
        address: SocketAddr,
    ) -> Self {
        let request = Request::get(path).header("Accept-Encoding", coding);
        if is_ndjson {
            Self::Lines(request.subscribe_ndjson(address).await)
        } else if is_whole {
            Self::Whole(request.subscribe(address).await)
        } else {
            Self::Sse(FilteredSubscriber::open(&request, address).await)
        }
    }

    /// The data of the next `count` events.
    pub async fn data(&mut self, count: usize) -> Vec<String> {
        match self {
            Self::Sse(filtered) => filtered.data(count).await,
            Self::Whole(subscriber) => {
                let events = subscriber.events(count).await;
                let data = events.into_iter().map(|event| event.data.expect("data"));
                data.collect()
            }
            Self::Lines(lines) => {
                let mut all = Vec::with_capacity(count);
                while all.len() < count {
                    let line = within("the next line", lines.line_or_end()).await;
                    all.push(line.expect("the stream goes on"));
                }
                all
            }
        }
    }

    /// The data of the events up to the closing one.
    pub async fn data_until_closing(&mut self) -> Vec<String> {
        let mut all = self.data(1).await;
        while !is_closing(&all[all.len() - 1]) {
            all.extend(self.data(1).await);
        }
        all
    }
}
