//! A decoder of `Transfer-Encoding: chunked` (RFC 9112, section 7.1) that takes pieces of any size.

/// The part of the framing that the next byte belongs to.
#[derive(Debug, Default)]
enum State {
    /// The line before a chunk.
    #[default]
    Head,
    /// A chunk, with this many bytes left.
    Chunk(usize),
    /// The CR LF after a chunk, with this many of its two bytes seen.
    AfterChunk(usize),
    /// The trailer after the last chunk, up to an empty line.
    Trailer,
    /// After the trailer.
    Complete,
}

/// Removes chunk framing strictly: broken framing is an error.
#[derive(Debug, Default)]
pub struct Dechunker {
    state: State,
    line: Vec<u8>,
}

impl Dechunker {
    /// Decodes the next bytes of the connection. Appends the data to `body` and the end of each
    /// complete chunk to `chunk_ends`. Returns true after the last chunk and its trailer.
    ///
    /// # Errors
    /// The framing is broken. The message names the byte or the line.
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
        Err(_) => Err(format!("{text:?} is not a chunk size")),
    }
}
