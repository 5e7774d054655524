//! How far the stream is, on standard error. On a terminal it is one line that is written over.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use jiff::Timestamp;

use crate::client::{Cause, Progress};

/// A stream whose records are older than this catches up.
const CATCHES_UP: Duration = Duration::from_secs(30);

/// Clears the line and goes back to its beginning.
const CLEAR: &str = "\r\u{1b}[2K";

/// The line on standard error.
pub(super) struct Status {
    is_terminal: bool,
    is_shown: bool,
    scanned: u64,
    matched: u64,
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            is_shown: false,
            scanned: 0,
            matched: 0,
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            write(CLEAR);
        }
    }

    pub(super) fn opened(&mut self, again: bool, moved: Option<&str>) {
        self.clear();
        if again {
            self.report("connected again");
        }
        if let Some(moved) = moved {
            self.report(&format!("a position could not be had: {moved}"));
        }
    }

    pub(super) fn closed(&mut self, cause: &Cause, pause: Duration) {
        let seconds = pause.as_secs_f64();
        self.report(&format!(
            "no connection: {cause}; the next attempt is in {seconds:.1} s"
        ));
    }

    /// Shows how far a filtered stream is that catches up.
    pub(super) fn progress(&mut self, progress: &Progress) {
        self.scanned += progress.scanned;
        self.matched += progress.matched;
        if !self.is_terminal {
            return;
        }
        self.clear();
        if self.scanned == 0 {
            return;
        }
        let Some(time) = progress.dt.as_deref().filter(|time| is_past(time)) else {
            return;
        };
        write(&format!(
            "catching up: {time}, {} records looked at, {} events sent",
            self.scanned, self.matched
        ));
        self.is_shown = true;
    }

    fn report(&mut self, message: &str) {
        self.clear();
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let message: String = message.chars().map(printable).collect();
        write(&format!("eventstreams: {message}\n"));
    }
}

fn is_past(time: &str) -> bool {
    let time: Result<Timestamp, _> = time.parse();
    time.is_ok_and(|time| Timestamp::now().duration_since(time).unsigned_abs() > CATCHES_UP)
}

/// Nobody may read standard error: events matter more.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}
