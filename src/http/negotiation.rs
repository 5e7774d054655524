//! Content negotiation (RFC 9110, section 12): the media type and the content coding of a stream.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Compression;
use crate::delivery::ContentCoding;
use crate::event::Format;

/// The media type of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`: the Node service's name for newline-delimited JSON.
    Json,
    /// `application/x-ndjson`.
    XNdjson,
    /// `application/ndjson`.
    Ndjson,
    /// `text/event-stream`: the default.
    EventStream,
}

/// The elements of a list header with their weights. Without a `q` the weight is 1, with an invalid
/// one 0.
pub(super) fn weighted(list: &str) -> impl DoubleEndedIterator<Item = (&str, f32)> {
    list.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(|element| {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let q = parts.find_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
            });
            let weight = q.map_or(Some(1.0), |q| q.parse::<f32>().ok());
            (
                name,
                weight
                    .filter(|weight| (0.0..=1.0).contains(weight))
                    .unwrap_or(0.0),
            )
        })
}

/// All lines of a list header as one list (RFC 9110, section 5.3), without lines that are not
/// ASCII.
fn list(headers: &HeaderMap, name: HeaderName) -> String {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",")
}

impl MediaType {
    const ALL: [Self; 4] = [Self::XNdjson, Self::Ndjson, Self::Json, Self::EventStream];

    /// The type of the greatest weight in `Accept`. Of the same weight: `application/json` if it is
    /// the first of the list, then an NDJSON type that is named, then `text/event-stream`. Clients
    /// that accept none of them get `text/event-stream` (docs/protocol.md,
    /// "GET /v2/stream").
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self::preferred(&list(headers, header::ACCEPT))
    }

    fn preferred(accept: &str) -> Self {
        let ranges: Vec<_> = weighted(accept).collect();
        let mut best = Self::EventStream;
        // A weight of 0 never wins.
        let mut best_key = (0.0, u8::MAX);
        for media in Self::ALL {
            let key = (media.weight(&ranges), media.precedence(&ranges));
            if key > best_key {
                best = media;
                best_key = key;
            }
        }
        best
    }

    /// The weight of the most precise range that matches this type (RFC 9110, section 12.5.1).
    fn weight(self, ranges: &[(&str, f32)]) -> f32 {
        let (kind, _) = self.name().split_once('/').unwrap_or_default();
        let of = |wanted: &str| {
            ranges
                .iter()
                .find(|(range, _)| range.eq_ignore_ascii_case(wanted))
                .map(|(_, weight)| *weight)
        };
        let weight = of(self.name())
            .or_else(|| of(&format!("{kind}/*")))
            .or_else(|| of("*/*"));
        weight.filter(|_| self.is_eligible(ranges)).unwrap_or(0.0)
    }

    /// `application/json` is in many lists of clients that do not expect lines of JSON (`text/html,
    /// application/json`). It is eligible if it is the first, or if the list also has a range for
    /// `text/event-stream`.
    fn is_eligible(self, ranges: &[(&str, f32)]) -> bool {
        let first = ranges
            .first()
            .is_some_and(|(range, _)| range.eq_ignore_ascii_case(self.name()));
        let holds_events = |range: &str| {
            ["text/event-stream", "text/*", "*/*"]
                .iter()
                .any(|all| range.eq_ignore_ascii_case(all))
        };
        self != Self::Json || first || ranges.iter().any(|(range, _)| holds_events(range))
    }

    /// Decides between types of the same weight: the higher one wins.
    fn precedence(self, ranges: &[(&str, f32)]) -> u8 {
        let position = ranges
            .iter()
            .position(|(range, _)| range.eq_ignore_ascii_case(self.name()));
        match (self, position) {
            (Self::Json, Some(0)) => 4,
            (Self::XNdjson | Self::Ndjson, Some(_)) => 3,
            (Self::EventStream, _) => 2,
            _ => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::XNdjson => "application/x-ndjson",
            Self::Ndjson => "application/ndjson",
            Self::EventStream => "text/event-stream",
        }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::XNdjson => "application/x-ndjson; charset=utf-8",
            Self::Ndjson => "application/ndjson; charset=utf-8",
            Self::EventStream => "text/event-stream; charset=utf-8",
        })
    }

    pub(super) fn format(self) -> Format {
        if self == Self::EventStream {
            Format::Sse
        } else {
            Format::Ndjson
        }
    }
}

/// Headers of Fetch Metadata, which browsers add to requests of secure pages. Scripts cannot set
/// them.
const FETCH_METADATA: [&str; 3] = ["sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest"];

/// The content coding of a stream. `in_query` takes precedence over the headers.
/// `auto` compresses only for clients that certainly decompress while they read. With many
/// libraries the HTTP client requests gzip, and the library then reads the raw socket, or cannot
/// read zstd as a sequence of frames.
pub(super) fn coding(
    compression: Compression,
    in_query: Option<ContentCoding>,
    headers: &HeaderMap,
) -> ContentCoding {
    let accepted = || list(headers, header::ACCEPT_ENCODING);
    match (compression, in_query) {
        (Compression::Off, _) => ContentCoding::Identity,
        (_, Some(coding)) => coding,
        (Compression::Always, None) => preferred_coding(&accepted()),
        (Compression::Auto, None) => {
            let accepted = accepted();
            let is_sure = is_browser(headers) || is_curl(headers) || names_one_coding(&accepted);
            if is_sure {
                preferred_coding(&accepted)
            } else {
                ContentCoding::Identity
            }
        }
    }
}

/// The coding that `Accept-Encoding` prefers (RFC 9110, section 12.5.3). Of two with the same
/// weight it is zstd, which saves more. Clients that state no preference, or refuse every coding,
/// get identity.
fn preferred_coding(accept_encoding: &str) -> ContentCoding {
    let weight = |coding: &str| {
        let of = |wanted: &str| {
            weighted(accept_encoding).find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        of(coding).or_else(|| of("*")).map(|(_, weight)| weight)
    };
    let mut best = 0.0;
    let mut coding = ContentCoding::Identity;
    for (candidate, name) in [(ContentCoding::Zstd, "zstd"), (ContentCoding::Gzip, "gzip")] {
        let weight = weight(name).unwrap_or(0.0);
        if weight > best {
            best = weight;
            coding = candidate;
        }
    }
    if weight("identity").is_none_or(|identity| identity <= best) {
        coding
    } else {
        ContentCoding::Identity
    }
}

fn is_browser(headers: &HeaderMap) -> bool {
    FETCH_METADATA
        .iter()
        .any(|name| headers.contains_key(*name))
}

fn is_curl(headers: &HeaderMap) -> bool {
    headers
        .get(header::USER_AGENT)
        .is_some_and(|name| name.as_bytes().starts_with(b"curl/"))
}

/// Whether the coding was chosen by hand, or by a library that knows and decodes only this one.
fn names_one_coding(accept_encoding: &str) -> bool {
    let mut names = weighted(accept_encoding)
        .filter(|(name, weight)| *weight > 0.0 && !name.eq_ignore_ascii_case("identity"));
    matches!((names.next(), names.next()), (Some((name, _)), None) if name != "*")
}

/// The request headers that the response depends on.
pub(super) fn vary(compression: Compression) -> HeaderValue {
    HeaderValue::from_static(match compression {
        Compression::Auto => {
            "accept, accept-encoding, sec-fetch-mode, sec-fetch-site, sec-fetch-dest, user-agent"
        }
        Compression::Always => "accept, accept-encoding",
        Compression::Off => "accept",
    })
}

#[cfg(test)]
mod tests;
