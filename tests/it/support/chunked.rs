//! `Transfer-Encoding: chunked` (RFC 9112, section 7.1), taken apart as it comes, in pieces of any size.

/// Where in the framing the next byte stands.
#[derive(Debug, Default)]
enum State {
    /// In a chunk's head line, collected without its CR LF.
    #[default]
    Head,
    /// In a chunk, with so many bytes still to come.
    Chunk(usize),
    /// In the CR LF after a chunk, with so many of its two bytes seen.
    AfterChunk(usize),
    /// In the trailer after the last chunk, which an empty line ends.
    Trailer,
    /// After that line.
    Complete,
}

/// Removes chunk framing, strictly: a broken one is an error, not something to get over.
#[derive(Debug, Default)]
pub struct Dechunker {
    state: State,
    line: Vec<u8>,
}

impl Dechunker {
    /// Takes the next bytes of the connection, appends what is body to `body` and where a chunk ended to `chunk_ends`. True once the last
    /// chunk and its trailer are there.
    ///
    /// # Errors
    /// The bytes are no chunked framing; says where.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        body: &mut Vec<u8>,
        chunk_ends: &mut Vec<usize>,
    ) -> Result<bool, String> {
        while let [first, rest @ ..] = bytes {
            if let State::Chunk(left) = &mut self.state {
                let (now, later) = bytes.split_at(bytes.len().min(*left));
                body.extend_from_slice(now);
                bytes = later;
                *left -= now.len();
                if *left == 0 {
                    chunk_ends.push(body.len());
                    self.state = State::AfterChunk(0);
                }
                continue;
            }
            self.framing_byte(*first)?;
            bytes = rest;
        }
        Ok(matches!(self.state, State::Complete))
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), String> {
        match &mut self.state {
            State::AfterChunk(seen) => {
                if byte != b"\r\n"[*seen] {
                    return Err(format!("byte {byte:#04x} instead of CR LF after a chunk"));
                }
                *seen += 1;
                if *seen == 2 {
                    self.state = State::Head;
                }
            }
            State::Head | State::Trailer => {
                self.line.push(byte);
                if let Some(line) = self.line.strip_suffix(b"\r\n") {
                    self.state = after_line(&self.state, line)?;
                    self.line.clear();
                }
            }
            State::Chunk(_) => unreachable!("bytes of a chunk are taken in feed"),
            State::Complete => return Err(format!("byte {byte:#04x} after the last chunk")),
        }
        Ok(())
    }
}

fn after_line(state: &State, line: &[u8]) -> Result<State, String> {
    if matches!(state, State::Trailer) {
        return Ok(if line.is_empty() {
            State::Complete
        } else {
            State::Trailer
        });
    }
    let text = String::from_utf8_lossy(line);
    let size = text.split(';').next().unwrap_or_default();
    match usize::from_str_radix(size, 16) {
        Ok(0) => Ok(State::Trailer),
        Ok(size) => Ok(State::Chunk(size)),
        Err(_) => Err(format!("{text:?} is no chunk size")),
    }
}
