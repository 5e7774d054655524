//! The byte-level client against responses written by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use proptest::prelude::*;

use crate::support::chunked::Dechunker;
use crate::support::sse::{Frame, FrameParser, Subscriber};
use crate::support::wire::{End, Request};

const SSE: &str = concat!(
    "HTTP/1.1 200 OK\r\n",
    "Content-Type: text/event-stream; charset=utf-8\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
);

/// Sends these pieces to one connection, each as a write, then closes it. The thread returns the
/// head of the request.
fn serve(pieces: &[&str]) -> (SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request's head");
            head.push(byte[0]);
        }
        for piece in pieces {
            // A test that disconnects does not read everything.
            if stream.write_all(piece.as_bytes()).is_err() {
                break;
            }
        }
        String::from_utf8(head).expect("a head of text")
    });
    (address, serving)
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn event(id: &str, data: &str) -> String {
    chunk(&format!("event: message\nid: {id}\ndata: {data}\n\n"))
}

#[tokio::test]
async fn a_subscriber_reads_events_comments_and_ids() {
    let (address, request) = serve(&[
        SSE,
        &chunk(":ok\n\n"),
        &event("[1]", r#"{"meta":{"topic":"a","partition":0,"offset":4}}"#),
        &chunk(":\n\n"),
        &event("[2]", r#"{"n":2}"#),
        "0\r\n\r\n",
    ]);
    let mut subscriber = Request::get("/v2/stream/a")
        .last_event_id("[0]")
        .subscribe(address)
        .await;
    assert_eq!(subscriber.last_id(), None);
    let first = subscriber.event().await;
    assert_eq!(first.event.as_deref(), Some("message"));
    assert_eq!(first.record(), ("a".to_owned(), 0, 4));
    let (rest, end) = subscriber.rest().await;
    assert_eq!(
        (rest[0].json()["n"].as_i64(), rest.len(), end),
        (Some(2), 1, End::Complete)
    );
    assert_eq!(subscriber.last_id(), Some("[2]"));
    assert_eq!(subscriber.comment("ok").await, "ok");
    assert_eq!(subscriber.comments, ["ok", ""]);
    let head = request.join().expect("served");
    assert!(
        head.starts_with("GET /v2/stream/a HTTP/1.1\r\nHost: localhost\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nLast-Event-ID: [0]\r\n"), "{head}");
}

#[tokio::test]
async fn events_are_read_by_count_and_up_to_a_sentinel() {
    let events: String = (0..6)
        .map(|n| event(&format!("[{n}]"), &format!("{{\"n\":{n}}}")))
        .collect();
    let (address, _request) = serve(&[SSE, &events]);
    let mut subscriber = Request::get("/").subscribe(address).await;
    assert_eq!(subscriber.events(2).await[1].id.as_deref(), Some("[1]"));
    let more = subscriber
        .events_until(|event| event.json()["n"] == 4)
        .await;
    assert_eq!(
        more.iter()
            .map(|event| event.id.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["[2]", "[3]", "[4]"]
    );
}

#[tokio::test]
async fn a_disconnect_inside_a_frame_keeps_the_last_complete_id() {
    let (first, second) = (event("[1]", "{}"), event("[2]", "{}"));
    let (address, _request) = serve(&[SSE, &first, &second]);
    let mut subscriber = Request::get("/").subscribe(address).await;
    let first_end = subscriber.event().await.end;
    let remains = subscriber.cut_at(first_end + 20).await;
    assert_eq!(
        (remains.events.len(), remains.last_id.as_deref()),
        (1, Some("[1]"))
    );

    let (address, _request) = serve(&[SSE, &first, &second, &second[..30]]);
    let mut subscriber = Request::get("/").subscribe(address).await;
    let (events, end) = subscriber.rest().await;
    assert_eq!((events.len(), end), (2, End::Cut));
    assert_eq!(subscriber.cut().last_id.as_deref(), Some("[2]"));
}

#[tokio::test]
#[should_panic(expected = "a chunk ended inside a frame")]
async fn a_chunk_that_splits_a_frame_is_noticed() {
    let (address, _request) = serve(&[SSE, &chunk("data: {}\n"), &chunk("\n")]);
    Request::get("/").subscribe(address).await.event().await;
}

#[tokio::test]
async fn a_lenient_subscriber_takes_split_frames() {
    let (address, _request) = serve(&[SSE, &chunk("data: {}\n"), &chunk("\n")]);
    let mut subscriber = Subscriber::lenient(Request::get("/").send(address).await);
    assert_eq!(subscriber.event().await.data.as_deref(), Some("{}"));
}

#[tokio::test]
#[should_panic(expected = "not an event stream")]
async fn a_problem_is_not_taken_for_a_stream() {
    let (address, _request) = serve(&["HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}"]);
    Request::get("/").subscribe(address).await;
}

#[tokio::test]
async fn a_body_with_a_length_is_read_to_its_end() {
    let (address, _request) = serve(&[
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 14\r\n\r\n{\"stat",
        "us\":400}",
    ]);
    let mut response = Request::get("/").send(address).await;
    assert_eq!(
        (response.status, response.header("Content-Length")),
        (400, Some("14"))
    );
    assert_eq!(response.json().await["status"], 400);
    assert_eq!(response.end, Some(End::Complete));
}

#[tokio::test]
async fn lines_are_read_one_by_one() {
    let head = SSE.replace("text/event-stream", "application/x-ndjson");
    let (address, _request) = serve(&[
        &head,
        &chunk("\n"),
        &chunk("{\"n\":1}\n{\"n\":2}\n"),
        "0\r\n\r\n",
    ]);
    let mut lines = Request::get("/").subscribe_ndjson(address).await;
    let events = lines.events(2).await;
    assert_eq!(
        (events[0]["n"].as_i64(), events[1]["n"].as_i64()),
        (Some(1), Some(2))
    );
    assert_eq!(lines.line_or_end().await, None);
}

#[test]
fn broken_chunks_are_errors() {
    for broken in [
        "x\r\n",
        "3\r\nabcde",
        "\r\n",
        "3\r\nabc\n\n",
        "0\r\n\r\nmore",
    ] {
        let fed = Dechunker::default().feed(broken.as_bytes(), &mut Vec::new(), &mut Vec::new());
        assert!(fed.is_err(), "{broken:?}: {fed:?}");
    }
}

#[test]
fn every_line_ending_and_byte_order_mark_reads_the_same() {
    for ending in ["\n", "\r\n", "\r"] {
        let text = concat!(
            "\u{feff}:note\nevent:a\nid: 7\ndata: one\ndata:  two\nretry: 10\n\n",
            "\n:beat\n\ndata\n\n",
        )
        .replace('\n', ending);
        let frames = FrameParser::default().feed(text.as_bytes());
        let [first, beat, empty] = frames.as_slice() else {
            panic!("three frames: {frames:?}")
        };
        let expected = Frame {
            event: Some("a".into()),
            id: Some("7".into()),
            data: Some("one\n two".into()),
            retry: Some("10".into()),
            comments: vec!["note".into()],
            end: first.end,
        };
        assert_eq!(*first, expected, "{ending:?}");
        assert_eq!(
            (beat.comments.as_slice(), &beat.data),
            (&["beat".to_owned()][..], &None)
        );
        assert_eq!(empty.data.as_deref(), Some(""));
    }
}

proptest! {
    #[test]
    fn frames_do_not_depend_on_how_the_bytes_are_split(
        cuts in prop::collection::vec(0_usize..400, 0..20),
        ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let event = r#"data: {"title":"Ærøskøbing 岩"}"#;
        let frames = format!(":ok\n\nevent: message\nid: [{{\"topic\":\"a\"}}]\n{event}\n\n")
            .replace('\n', ending);
        let (first, last) = (chunk(&frames), chunk(":\n"));
        let second = format!("{:X};ext=1\r\n{frames}\r\n", frames.len());
        let wire = format!("{first}{second}{last}0\r\nTrailer: x\r\n\r\n");
        let mut cuts: Vec<usize> = cuts
            .into_iter()
            .map(|cut| cut.min(wire.len()))
            .chain([0, wire.len()])
            .collect();
        cuts.sort_unstable();

        let mut dechunker = Dechunker::default();
        let (mut body, mut ends) = (Vec::new(), Vec::new());
        let mut complete = false;
        for piece in cuts.windows(2) {
            let bytes = &wire.as_bytes()[piece[0]..piece[1]];
            if !bytes.is_empty() {
                complete = dechunker.feed(bytes, &mut body, &mut ends).expect("good framing");
            }
        }
        prop_assert!(complete);
        prop_assert_eq!(&ends, &[frames.len(), 2 * frames.len(), 2 * frames.len() + 2]);

        let whole = FrameParser::default().feed(&body);
        let (mut parser, mut pieces) = (FrameParser::default(), Vec::new());
        for piece in cuts.windows(2) {
            pieces.extend(parser.feed(&body[piece[0].min(body.len())..piece[1].min(body.len())]));
        }
        prop_assert_eq!(whole.len(), 4);
        prop_assert_eq!(pieces, whole);
        prop_assert!(parser.inside_frame());
    }
}
