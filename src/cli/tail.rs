//! `eventstreams tail`: reads streams of a server, for people and for their scripts.
//!
//! * `output`: where events are written, and in which form. `line`: an event as one line.
//! * `pretty`: an event as JSON over several lines. `terminal`: colours and escapes.
//! * `status`: how far the stream is, on standard error.

mod line;
mod output;
mod pretty;
mod status;
mod terminal;

use anyhow::{Context as _, anyhow};
use clap::{Args, ColorChoice};
use jiff::{SignedDuration, Timestamp};

use self::output::{Form, Output};
use self::status::Status;
use super::error::CliError;
use crate::client::{Cause, Item, Reader, StreamRequest};

/// Options of `eventstreams tail`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TailArgs {
    /// The names of streams
    #[arg(required = true, value_name = "STREAM")]
    streams: Vec<String>,
    /// The server
    #[arg(long, default_value = "http://localhost:8092")]
    url: String,
    /// Begin at this time: 2026-11-28T10:00:00Z, 2026-11-28, or how long ago: 90s, 10m, 2h, 7d
    #[arg(long, value_name = "TIME", conflicts_with = "tail")]
    since: Option<String>,
    /// Begin with the last N events
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
    /// End at this time, in the forms of --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// End after N events
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only events that match: 'wiki == "enwiki" && !event.bot'
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Another query parameter: wiki=enwiki,dewiki, bot=false, canary=false
    #[arg(short = 'q', long = "query", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, String)>,
    /// Go on after the event with this id
    #[arg(long, value_name = "ID")]
    last_event_id: Option<String>,
    #[command(flatten)]
    form: FormArgs,
    /// Colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct FormArgs {
    /// Write one readable line for each event; the default on a terminal
    #[arg(long)]
    line: bool,
    /// Write the JSON of each event on a line, as the server sends it; the default in a pipe
    #[arg(long)]
    json: bool,
    /// Write the JSON of each event over several lines
    #[arg(long)]
    pretty: bool,
}

const EXAMPLES: &str = "\
Examples:
  eventstreams tail recentchange                        what happens now
  eventstreams tail recentchange --tail 5 -n 5          the last five events
  eventstreams tail recentchange -q wiki=enwiki --since 10m
  eventstreams tail recentchange --filter 'event.length.new - event.length.old > 1000'
  eventstreams tail recentchange --since 1h | jq -r .title";

/// Runs until the stream ends, or nobody reads the output any more.
pub(super) async fn run(args: &TailArgs) -> Result<(), CliError> {
    let user_agent = concat!("eventstreams/", env!("CARGO_PKG_VERSION"));
    let mut reader = Reader::new(request(args)?, user_agent).context("the HTTP client")?;
    let names_streams = args.streams.len() > 1 || args.streams[0].contains(',');
    let output = Output::new(form(&args.form), args.color, names_streams);
    let mut status = Status::new();
    let mut has_opened = false;
    loop {
        match reader.next().await.map_err(anyhow::Error::from)? {
            Item::Opened { moved } => {
                status.opened(has_opened, moved.as_deref());
                has_opened = true;
            }
            Item::Event(json) => {
                status.clear();
                if !output.write(&json)? {
                    return Ok(());
                }
            }
            Item::Progress(progress) => status.progress(&progress),
            Item::Closed {
                cause: Cause::Unreachable(cause),
                ..
            } if !has_opened => return Err(unreachable(&args.url, &cause)),
            Item::Closed { cause, pause } => status.closed(&cause, pause),
            Item::Ended => {
                status.clear();
                return Ok(());
            }
        }
    }
}

fn unreachable(url: &str, cause: &str) -> CliError {
    let advice = "start a server with `eventstreams dev`, or name another one with --url";
    CliError::Runtime(anyhow!("cannot reach {url}: {cause}; {advice}"))
}

fn request(args: &TailArgs) -> Result<StreamRequest, CliError> {
    let usage = |error: anyhow::Error| CliError::Config(error);
    let request = StreamRequest::new(&args.url, &args.streams);
    let mut request = request.map_err(|error| usage(error.into()))?;
    for (name, time) in [("since", &args.since), ("until", &args.until)] {
        if let Some(time) = time {
            request.parameter(name, &requested_time(time));
        }
    }
    if let Some(tail) = args.tail {
        request.parameter("tail", &tail.to_string());
    }
    if let Some(filter) = &args.filter {
        request.parameter("filter", filter);
    }
    for (name, value) in &args.parameters {
        request.parameter(name, value);
    }
    request.limit = args.limit;
    request.last_event_id.clone_from(&args.last_event_id);
    Ok(request)
}

/// A time as the server takes it. A duration counts back from now.
fn requested_time(text: &str) -> String {
    let ago = text.parse::<SignedDuration>().ok();
    let ago = ago.or_else(|| days(text));
    let time = ago.and_then(|ago| Timestamp::now().checked_sub(ago).ok());
    time.map_or_else(|| text.to_owned(), |time| time.to_string())
}

/// Days, which have 24 hours here.
fn days(text: &str) -> Option<SignedDuration> {
    let days: i32 = text.strip_suffix('d')?.parse().ok()?;
    Some(SignedDuration::from_hours(i64::from(days) * 24))
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write a name, '=' and a value, such as wiki=enwiki".to_owned()),
    }
}

fn form(args: &FormArgs) -> Option<Form> {
    [
        (args.line, Form::Line),
        (args.json, Form::Json),
        (args.pretty, Form::Pretty),
    ]
    .into_iter()
    .find_map(|(is_given, form)| is_given.then_some(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_time_before_now() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200), ("7d", 604_800)] {
            let time: Timestamp = requested_time(text).parse().expect("a time");
            let ago = Timestamp::now().duration_since(time).as_secs();
            assert!((seconds..seconds + 60).contains(&ago), "{text}: {ago}");
        }
        for text in [
            "2026-11-28",
            "1700000000000",
            "yesterday",
            "99999999999999999d",
        ] {
            assert_eq!(requested_time(text), text);
        }
    }

    #[test]
    fn a_parameter_is_a_name_and_a_value() {
        let parsed = parse_parameter("filter=a == b").expect("a parameter");
        assert_eq!(parsed, ("filter".to_owned(), "a == b".to_owned()));
        for text in ["wiki", "=enwiki", ""] {
            assert!(parse_parameter(text).is_err(), "{text}");
        }
    }
}
