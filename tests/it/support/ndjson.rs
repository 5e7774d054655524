//! Newline-delimited JSON, the format of `Accept: application/x-ndjson`.

use serde_json::Value;

use super::wire::Response;

/// A connected client that reads events line by line.
#[derive(Debug)]
pub struct Lines {
    /// The response; its whole body is kept.
    pub response: Response,
    parsed: usize,
    chunks_seen: usize,
}

impl Lines {
    /// Fails unless the response is a stream of JSON lines.
    pub fn new(response: Response) -> Self {
        let content_type = response.header("content-type").unwrap_or_default();
        let is_json = response.status == 200 && content_type.starts_with("application/");
        assert!(
            is_json,
            "not a stream of JSON lines: {:?}; {}",
            response.headers,
            response.received()
        );
        Self {
            response,
            parsed: 0,
            chunks_seen: 0,
        }
    }

    /// The next line that is not empty, without its LF, or `None` at the end of the stream. Fails
    /// when a chunk ends inside a line.
    pub async fn line_or_end(&mut self) -> Option<String> {
        loop {
            self.check_chunks();
            let body = &self.response.body;
            if let Some(length) = body[self.parsed..].iter().position(|byte| *byte == b'\n') {
                let line = body[self.parsed..self.parsed + length].to_vec();
                self.parsed += length + 1;
                if !line.is_empty() {
                    return Some(String::from_utf8(line).expect("a line of text"));
                }
            } else if !self.response.read_more("the next line").await {
                return None;
            }
        }
    }

    fn check_chunks(&mut self) {
        for end in &self.response.chunk_ends[self.chunks_seen..] {
            let whole = self.response.body[end - 1] == b'\n';
            assert!(
                whole,
                "a chunk ended inside a line, at byte {end}; {}",
                self.response.received()
            );
            self.chunks_seen += 1;
        }
    }

    /// The next `count` events.
    pub async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let line = self.line_or_end().await;
            let line = line
                .unwrap_or_else(|| panic!("the stream ended early; {}", self.response.received()));
            events.push(
                serde_json::from_str(&line)
                    .unwrap_or_else(|err| panic!("not JSON: {err}: {line:?}")),
            );
        }
        events
    }
}
