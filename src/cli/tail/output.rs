//! Where events are written, and in which form.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::ColorChoice;
use serde_json::Value;

use super::terminal::escaped;
use super::{line, pretty};

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One readable line.
    Line,
    /// The JSON as the server sends it, on one line.
    Json,
    /// The JSON over several lines.
    Pretty,
}

/// Standard output.
pub(super) struct Output {
    form: Form,
    has_colours: bool,
    is_terminal: bool,
    names_streams: bool,
}

impl Output {
    /// Without a form, people get lines and programs get JSON.
    pub(super) fn new(form: Option<Form>, colour: ColorChoice, names_streams: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        // https://no-color.org
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            form: form.unwrap_or(if is_terminal { Form::Line } else { Form::Json }),
            has_colours: match colour {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => is_terminal && !is_refused,
            },
            is_terminal,
            names_streams,
        }
    }

    /// Writes one event. Returns `false` when nobody reads the output any more.
    ///
    /// # Errors
    /// The output cannot be written, for instance because the disk is full.
    pub(super) fn write(&self, json: &str) -> anyhow::Result<bool> {
        let mut text = self.text(json);
        text.push('\n');
        let mut output = io::stdout().lock();
        let written = output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush());
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            result => result.context("standard output").map(|()| true),
        }
    }

    fn text(&self, json: &str) -> String {
        let event = || serde_json::from_str::<Value>(json).ok();
        let text = match self.form {
            Form::Json => None,
            Form::Line => {
                event().map(|event| line::line(&event, self.names_streams, self.has_colours))
            }
            Form::Pretty => event().map(|event| pretty::pretty(&event, self.has_colours)),
        };
        match text {
            Some(text) => text,
            None if self.is_terminal => escaped(json),
            None => json.to_owned(),
        }
    }
}
