//! HTTP/1.1 as bytes: a request written by hand, a response read without a library. The tests see
//! exactly what the server sends: chunks, their sizes, how the body ends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::chunked::Dechunker;
use super::content_coding::Decoder;
use super::deadline::{TIMEOUT, within};
use super::ndjson::Lines;
use super::sse::Subscriber;

/// A request. Nothing is escaped or checked, so that it can be malformed.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    version: &'static str,
}

impl Request {
    /// `GET target`, with `Host` and a valid `User-Agent` unless the test adds these headers.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A request of any method.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            version: "HTTP/1.1",
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Makes it a request of HTTP/1.0.
    pub fn http_1_0(self) -> Self {
        Self {
            version: "HTTP/1.0",
            ..self
        }
    }

    /// Adds `Last-Event-ID`, as a reconnecting client does.
    pub fn last_event_id(self, id: impl Into<String>) -> Self {
        self.header("Last-Event-ID", id)
    }

    /// Sends the request on a new connection and reads the head of the response.
    pub async fn send(&self, address: SocketAddr) -> Response {
        let mut stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the server accepts");
        stream
            .write_all(self.head().as_bytes())
            .await
            .expect("the request is written");
        Response::read_head(stream, self.method == "HEAD").await
    }

    /// [`Self::send`] to a server that may be gone: `None` without a complete head. The kernel
    /// keeps about `receive_buffer` bytes for a client that does not read.
    pub async fn try_send(&self, address: SocketAddr, receive_buffer: u32) -> Option<Response> {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(receive_buffer).expect("a size");
        let mut stream = within("a connection", socket.connect(address)).await.ok()?;
        stream.write_all(self.head().as_bytes()).await.ok()?;
        Response::try_read_head(stream, self.method == "HEAD")
            .await
            .ok()
    }

    /// [`Self::send`] for a response that must be an event stream.
    pub async fn subscribe(&self, address: SocketAddr) -> Subscriber {
        Subscriber::new(self.send(address).await)
    }

    /// [`Self::send`] with `Accept: application/x-ndjson` for a response that must be a stream of
    /// JSON lines.
    pub async fn subscribe_ndjson(&self, address: SocketAddr) -> Lines {
        Lines::new(
            self.clone()
                .header("Accept", "application/x-ndjson")
                .send(address)
                .await,
        )
    }

    /// The bytes of the request.
    pub fn head(&self) -> String {
        let has = |wanted: &str| {
            self.headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        let defaults = [
            ("Host", "localhost"),
            ("User-Agent", "eventstreams-tests (https://example.org)"),
        ];
        let added = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in defaults
            .into_iter()
            .filter(|(name, _)| !has(name))
            .chain(added)
        {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

/// Writes any bytes on a new connection and returns all that the server sends until it closes the
/// connection.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let stream = within("a connection", TcpStream::connect(address))
        .await
        .expect("the server accepts");
    exchange_on(stream, bytes).await
}

/// [`exchange`] on an open connection.
pub async fn exchange_on(mut stream: TcpStream, bytes: impl AsRef<[u8]>) -> String {
    // The server may close the connection before it reads everything: its response counts.
    let _ = within("the bytes to be written", stream.write_all(bytes.as_ref())).await;
    let mut response = Vec::new();
    let _ = within(
        "the server to close the connection",
        stream.read_to_end(&mut response),
    )
    .await;
    String::from_utf8(response).expect("a response of text")
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the last chunk, or with all of Content-Length.
    Complete,
    /// The connection ended too early, or the body has no framing.
    Cut,
}

/// The framing of a body (RFC 9112, section 6.3).
#[derive(Debug)]
enum Framing {
    Chunked(Dechunker),
    Length(usize),
    UntilClose,
}

/// A response whose body is read piece by piece.
#[derive(Debug)]
pub struct Response {
    /// `200`
    pub status: u16,
    /// The headers as sent, in order.
    pub headers: Vec<(String, String)>,
    /// The body so far, without framing and compression.
    pub body: Vec<u8>,
    /// The end of each complete chunk as a position in the body; empty without chunked framing.
    pub chunk_ends: Vec<usize>,
    /// The length of the body before decompression.
    pub encoded_bytes: usize,
    /// `None` until the body ends.
    pub end: Option<End>,
    stream: TcpStream,
    framing: Framing,
    decoder: Option<Decoder>,
}

impl Response {
    async fn read_head(stream: TcpStream, is_head_request: bool) -> Self {
        Self::try_read_head(stream, is_head_request)
            .await
            .unwrap_or_else(|err| panic!("{err}"))
    }

    async fn try_read_head(mut stream: TcpStream, is_head_request: bool) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let what = format!(
                "a response's head, having received {:?}",
                String::from_utf8_lossy(&bytes)
            );
            let read = within(&what, stream.read_buf(&mut bytes))
                .await
                .map_err(|err| format!("{what}: {err}"))?;
            if read == 0 {
                return Err(format!("the connection ended before {what}"));
            }
        };
        let rest = bytes.split_off(head_end);
        let text = String::from_utf8(bytes).expect("a head of text");
        let (status, headers) =
            parse_head(&text).unwrap_or_else(|| panic!("not a response's head: {text:?}"));
        let framing = framing(status, &headers, is_head_request);
        let mut response = Self {
            status,
            headers,
            body: Vec::new(),
            chunk_ends: Vec::new(),
            encoded_bytes: 0,
            end: None,
            stream,
            framing,
            decoder: None,
        };
        response.decoder = response.header("content-encoding").map(Decoder::new);
        response.handle_bytes(&rest);
        Ok(response)
    }

    /// The first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Waits for more of the body. Returns false at its end. `what` appears in failures.
    pub async fn read_more(&mut self, what: &str) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut bytes = Vec::with_capacity(64 * 1024);
        let Ok(read) = timeout(TIMEOUT, self.stream.read_buf(&mut bytes)).await else {
            panic!("waited {TIMEOUT:?} for {what}; {}", self.received());
        };
        // A reset ends the connection, as a close does.
        if read.is_err() || bytes.is_empty() {
            self.end = Some(End::Cut);
            return false;
        }
        self.handle_bytes(&bytes);
        true
    }

    /// Reads the whole body.
    pub async fn text(&mut self) -> String {
        // The heartbeats of a stream would extend the limit of `read_more` for ever.
        within("the end of the body", async {
            while self.read_more("the end of the body").await {}
        })
        .await;
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    /// Reads the whole body as JSON.
    pub async fn json(&mut self) -> serde_json::Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("not JSON: {err}: {text:?}"))
    }

    /// Closes the connection after exactly `bytes` of the body, and returns them.
    pub async fn cut_at(mut self, bytes: usize) -> Vec<u8> {
        while self.body.len() < bytes {
            assert!(
                self.read_more("the byte to cut at").await,
                "ended before byte {bytes}: {}",
                self.received()
            );
        }
        self.body.truncate(bytes);
        self.body
    }

    /// The status and the end of the body, for failures.
    pub fn received(&self) -> String {
        let tail = &self.body[self.body.len().saturating_sub(2000)..];
        format!(
            "status {}, {} bytes of body in {} chunks, end: {:?}, the last of them {:?}",
            self.status,
            self.body.len(),
            self.chunk_ends.len(),
            self.end,
            String::from_utf8_lossy(tail)
        )
    }

    /// Checks that the content coding is complete. An uncompressed body is.
    ///
    /// # Errors
    /// It is incomplete.
    pub fn check_coding_complete(&mut self) -> Result<(), String> {
        self.decoder
            .as_mut()
            .map_or(Ok(()), Decoder::check_complete)
    }

    fn handle_bytes(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            Framing::Chunked(dechunker) => {
                let (mut encoded, mut ends) = (Vec::new(), Vec::new());
                let complete = dechunker.feed(bytes, &mut encoded, &mut ends);
                let complete = complete.unwrap_or_else(|err| {
                    panic!("chunked framing is broken: {err}; {}", self.received())
                });
                let mut begin = 0;
                for end in ends {
                    self.decode(&encoded[begin..end]);
                    self.chunk_ends.push(self.body.len());
                    begin = end;
                }
                self.decode(&encoded[begin..]);
                self.end = complete.then_some(End::Complete);
            }
            &mut Framing::Length(length) => {
                self.body.extend_from_slice(bytes);
                assert!(
                    self.body.len() <= length,
                    "more bytes than Content-Length: {length}; {}",
                    self.received()
                );
                self.end = (self.body.len() == length).then_some(End::Complete);
            }
            Framing::UntilClose => self.decode(bytes),
        }
        if self.end.is_some() && !matches!(self.framing, Framing::Length(0)) {
            self.check_coding_complete()
                .unwrap_or_else(|err| panic!("{err}; {}", self.received()));
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        self.encoded_bytes += bytes.len();
        match &mut self.decoder {
            None => self.body.extend_from_slice(bytes),
            Some(decoder) => {
                let fed = decoder.feed(bytes, &mut self.body);
                fed.unwrap_or_else(|err| panic!("{err}; {}", self.received()));
            }
        }
    }
}

fn parse_head(text: &str) -> Option<(u16, Vec<(String, String)>)> {
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .get(2..5)?
        .parse()
        .ok()?;
    let header = |line: &str| {
        line.split_once(':')
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
    };
    Some((status, lines.map(header).collect::<Option<_>>()?))
}

fn framing(status: u16, headers: &[(String, String)], is_head_request: bool) -> Framing {
    let value = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
    };
    if is_head_request || matches!(status, 100..=199 | 204 | 304) {
        Framing::Length(0)
    } else if value("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        Framing::Chunked(Dechunker::default())
    } else if let Some(length) = value("content-length") {
        Framing::Length(length.parse().expect("Content-Length is a number"))
    } else {
        Framing::UntilClose
    }
}
