//! What a request asks for by its headers: the media type of its stream and the coding (RFC 9110 section 12).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Compression;
use crate::delivery::ContentCoding;
use crate::event::Format;

/// The form of a stream, as `Content-Type` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`: newline-delimited JSON all the same, by the Node service's name for it.
    Json,
    /// `application/x-ndjson`.
    XNdjson,
    /// `application/ndjson`.
    Ndjson,
    /// `text/event-stream`: what everybody gets that asks for none of the others.
    EventStream,
}

/// The elements of a list header with their weights: 1 without a `q`, 0 with one that is no weight.
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

/// All lines of a list header as one list (RFC 9110 section 5.3). What is not ASCII names nothing.
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

    /// The one that weighs most in `Accept`. Of several with one weight: `application/json` when it
    /// is the first of the list, then an NDJSON type that is named, then `text/event-stream`
    /// (protocol section 1). Who accepts none of them gets `text/event-stream`.
    pub(super) fn asked(headers: &HeaderMap) -> Self {
        Self::preferred(&list(headers, header::ACCEPT))
    }

    fn preferred(accept: &str) -> Self {
        let ranges: Vec<_> = weighted(accept).collect();
        let mut best = (Self::EventStream, (0.0, 0));
        for media in Self::ALL {
            let key = (media.weight(&ranges), media.rank(&ranges));
            if key > best.1 {
                best = (media, key);
            }
        }
        if best.1.0 > 0.0 {
            best.0
        } else {
            Self::EventStream
        }
    }

    /// The weight of the most precise range that holds this type (RFC 9110 section 12.5.1).
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
        weight.filter(|_| self.counts(ranges)).unwrap_or(0.0)
    }

    /// `application/json` stands in many lists whose senders expect no lines (`text/html, application/json`): it
    /// counts where it is the first, or where the list weighs it against `text/event-stream`.
    fn counts(self, ranges: &[(&str, f32)]) -> bool {
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

    /// Which of several with one weight is taken.
    fn rank(self, ranges: &[(&str, f32)]) -> u8 {
        let place = ranges
            .iter()
            .position(|(range, _)| range.eq_ignore_ascii_case(self.name()));
        match (self, place) {
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

/// Headers that browsers add by themselves to requests of secure pages (Fetch Metadata), and that
/// no script or library of theirs can set.
const FETCH_METADATA: [&str; 3] = ["sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest"];

/// How a stream is coded. `asked`: what the query says, which goes before the headers.
///
/// `auto` codes only for clients that surely undo it while they read: many libraries ask for gzip by way
/// of their HTTP client and then read the raw socket, or cannot read zstd as a row of frames.
pub(super) fn coding(
    compression: Compression,
    asked: Option<ContentCoding>,
    headers: &HeaderMap,
) -> ContentCoding {
    let accepted = || list(headers, header::ACCEPT_ENCODING);
    match (compression, asked) {
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

/// The coding that `Accept-Encoding` prefers (RFC 9110, section 12.5.3). Of two with the same weight it is zstd, which
/// saves more. Clients that state no preference, or refuse every coding, get identity.
fn preferred_coding(accept_encoding: &str) -> ContentCoding {
    let weight = |coding: &str| {
        let of = |wanted: &str| {
            weighted(accept_encoding).find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        of(coding).or_else(|| of("*")).map(|(_, weight)| weight)
    };
    let (mut best, mut coding) = (0.0, ContentCoding::Identity);
    for (candidate, name) in [(ContentCoding::Zstd, "zstd"), (ContentCoding::Gzip, "gzip")] {
        let weight = weight(name).unwrap_or(0.0);
        if weight > best {
            (best, coding) = (weight, candidate);
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

/// Whether a coding was chosen by hand, or by a library that knows only one and undoes it itself.
fn names_one_coding(accept_encoding: &str) -> bool {
    let mut names = weighted(accept_encoding)
        .filter(|(name, weight)| *weight > 0.0 && !name.eq_ignore_ascii_case("identity"));
    matches!((names.next(), names.next()), (Some((name, _)), None) if name != "*")
}

/// The request headers that the answer depends on.
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
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn the_media_type_that_weighs_most_is_taken() {
        use MediaType::{EventStream, Json, Ndjson, XNdjson};
        for (accept, expected) in [
            ("", EventStream),
            ("*/*", EventStream),
            ("text/html,application/xhtml+xml,*/*;q=0.8", EventStream),
            ("text/event-stream", EventStream),
            ("application/json", Json),
            ("Application/JSON; charset=utf-8", Json),
            ("application/json, text/plain, */*", Json),
            ("text/event-stream, application/json", EventStream),
            ("text/html, application/json", EventStream),
            ("application/*", XNdjson),
            ("text/event-stream, application/x-ndjson", XNdjson),
            ("application/ndjson", Ndjson),
            ("APPLICATION/NDJSON", Ndjson),
            ("text/html, application/X-NDJSON", XNdjson),
            ("application/json;q=0.5, text/event-stream", EventStream),
            ("application/json;q=0.5, text/event-stream;Q=0.4", Json),
            (
                "application/json; charset=utf-8; q=0.5, text/event-stream",
                EventStream,
            ),
            (
                "text/event-stream;q=0.5, application/x-ndjson;q=0.6",
                XNdjson,
            ),
            ("text/event-stream, application/x-ndjson;q=0.9", EventStream),
            ("application/x-ndjson;q=0", EventStream),
            ("application/json;q=0", EventStream),
            ("application/json;q=0, */*", EventStream),
            ("text/event-stream;q=0, */*", XNdjson),
            ("text/event-stream;q=0, application/json;q=0.001", Json),
            ("text/event-stream;q=0", EventStream),
            ("text/*;q=0.3, application/*;q=0.2, */*", EventStream),
            ("application/json;q=2", EventStream),
            ("application/jsonp, application/x-ndjsonp", EventStream),
        ] {
            assert_eq!(MediaType::preferred(accept), expected, "{accept}");
        }
        let two = headers(&[("accept", "text/html"), ("accept", "application/ndjson")]);
        assert_eq!(MediaType::asked(&two), Ndjson);
    }

    #[test]
    fn weights_decide_and_no_preference_means_identity() {
        let cases = [
            ("", ContentCoding::Identity),
            ("identity", ContentCoding::Identity),
            ("br", ContentCoding::Identity),
            ("gzip", ContentCoding::Gzip),
            ("GZIP", ContentCoding::Gzip),
            ("gzip, deflate, br, zstd", ContentCoding::Zstd),
            ("gzip, zstd;q=0.5", ContentCoding::Gzip),
            ("gzip;q=0.2 , zstd; q=0.3", ContentCoding::Zstd),
            ("gzip;q=0, zstd;q=0.0", ContentCoding::Identity),
            ("gzip;q=0.5, identity", ContentCoding::Identity),
            ("gzip, identity;q=0", ContentCoding::Gzip),
            ("*", ContentCoding::Zstd),
            ("*;q=0", ContentCoding::Identity),
            ("zstd;q=0, *", ContentCoding::Gzip),
            ("gzip;q=nonsense", ContentCoding::Identity),
            ("gzip;q=2", ContentCoding::Identity),
            ("gzip;Q=0.1, zstd; Q=0.2", ContentCoding::Zstd),
            ("gzip;Q=0", ContentCoding::Identity),
        ];
        for (asked, expected) in cases {
            assert_eq!(preferred_coding(asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn auto_codes_for_clients_that_surely_undo_it() {
        let all = "gzip, deflate, br, zstd";
        for (sent, expected) in [
            (&[("accept-encoding", all)][..], ContentCoding::Identity),
            (
                &[("accept-encoding", "gzip, deflate")],
                ContentCoding::Identity,
            ),
            (
                &[("accept-encoding", "gzip;q=1.0,deflate;q=0.6,identity;q=0.3")],
                ContentCoding::Identity,
            ),
            (&[("accept-encoding", "*")], ContentCoding::Identity),
            (&[("accept-encoding", "gzip, *")], ContentCoding::Identity),
            (&[("accept-encoding", "deflate")], ContentCoding::Identity),
            (&[("accept-encoding", "gzip;q=0")], ContentCoding::Identity),
            (&[], ContentCoding::Identity),
            (&[("accept-encoding", "gzip")], ContentCoding::Gzip),
            (&[("accept-encoding", "ZSTD")], ContentCoding::Zstd),
            (
                &[("accept-encoding", "gzip;q=0.5, br;q=0, identity;q=0.1")],
                ContentCoding::Gzip,
            ),
            (
                &[("accept-encoding", "gzip"), ("accept-encoding", "deflate")],
                ContentCoding::Identity,
            ),
            (
                &[("accept-encoding", all), ("sec-fetch-mode", "cors")],
                ContentCoding::Zstd,
            ),
            (
                &[
                    ("accept-encoding", "gzip, deflate, br"),
                    ("sec-fetch-dest", "empty"),
                ],
                ContentCoding::Gzip,
            ),
            (&[("sec-fetch-mode", "cors")], ContentCoding::Identity),
            (
                &[
                    ("accept-encoding", "deflate, gzip, br, zstd"),
                    ("user-agent", "curl/8.5.0"),
                ],
                ContentCoding::Zstd,
            ),
            (&[("user-agent", "curl/8.5.0")], ContentCoding::Identity),
            (
                &[
                    ("accept-encoding", all),
                    ("user-agent", "pycurl/7.4 libcurl/8.5.0"),
                ],
                ContentCoding::Identity,
            ),
        ] {
            assert_eq!(
                coding(Compression::Auto, None, &headers(sent)),
                expected,
                "{sent:?}"
            );
        }
    }

    #[test]
    fn the_query_goes_before_the_headers_and_the_operator_before_both() {
        let sent = headers(&[("accept-encoding", "gzip, zstd")]);
        assert_eq!(
            coding(Compression::Always, None, &sent),
            ContentCoding::Zstd
        );
        for (mode, asked, expected) in [
            (Compression::Auto, ContentCoding::Gzip, ContentCoding::Gzip),
            (
                Compression::Always,
                ContentCoding::Gzip,
                ContentCoding::Gzip,
            ),
            (
                Compression::Always,
                ContentCoding::Identity,
                ContentCoding::Identity,
            ),
            (
                Compression::Off,
                ContentCoding::Gzip,
                ContentCoding::Identity,
            ),
        ] {
            assert_eq!(
                coding(mode, Some(asked), &sent),
                expected,
                "{mode:?} {asked:?}"
            );
        }
        assert_eq!(
            coding(Compression::Off, None, &sent),
            ContentCoding::Identity
        );
    }

    #[test]
    fn vary_names_every_header_that_is_looked_at() {
        let auto = vary(Compression::Auto);
        let named: Vec<_> = auto.to_str().expect("text").split(", ").collect();
        assert!(
            FETCH_METADATA.iter().all(|name| named.contains(name)),
            "{named:?}"
        );
        assert!(
            ["accept", "accept-encoding", "user-agent"]
                .iter()
                .all(|name| named.contains(name)),
            "{named:?}"
        );
    }
}
