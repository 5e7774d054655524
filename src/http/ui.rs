//! `GET /v2/ui/`: the page for people (docs/protocol.md, "Other routes"). Its files are plain ES
//! modules without a build. They are served without comments and indentation.

use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;

use super::App;
use super::cacheable::cacheable;
use super::negotiation::coding;
use crate::config::Compression;
use crate::delivery::ContentCoding;
use crate::problem::Problem;

/// Scripts, styles, images and requests of this host only, and nothing inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page: its name, its media type and its text.
type Source = (&'static str, &'static str, &'static str);

/// The files are compressed once: as small as possible.
const LEVEL: u32 = 9;

/// All files of the page. The first is the page itself.
const SOURCES: [Source; 14] = [
    ("index.html", HTML, include_str!("ui/index.html")),
    ("style.css", CSS, include_str!("ui/style.css")),
    ("icon.svg", SVG, include_str!("ui/icon.svg")),
    ("main.js", SCRIPT, include_str!("ui/main.js")),
    ("choose.js", SCRIPT, include_str!("ui/choose.js")),
    ("detail.js", SCRIPT, include_str!("ui/detail.js")),
    ("dom.js", SCRIPT, include_str!("ui/dom.js")),
    ("list.js", SCRIPT, include_str!("ui/list.js")),
    ("plot.js", SCRIPT, include_str!("ui/plot.js")),
    ("reader.js", SCRIPT, include_str!("ui/reader.js")),
    ("sse.js", SCRIPT, include_str!("ui/sse.js")),
    ("take.js", SCRIPT, include_str!("ui/take.js")),
    ("texts.js", SCRIPT, include_str!("ui/texts.js")),
    ("url.js", SCRIPT, include_str!("ui/url.js")),
];

/// A file as it is sent: once in each coding.
struct File {
    name: &'static str,
    media_type: &'static str,
    plain: Bytes,
    gzip: Bytes,
    zstd: Bytes,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| SOURCES.iter().map(File::new).collect());

impl File {
    fn new((name, media_type, text): &Source) -> Self {
        let plain = Bytes::from(without_comments(text));
        Self {
            name,
            media_type,
            gzip: gzip(&plain),
            zstd: zstd(&plain),
            plain,
        }
    }

    fn response(&self, compression: Compression, request: &HeaderMap) -> Response {
        // A file ends, so every client that names a coding decompresses it.
        let compression = match compression {
            Compression::Off => Compression::Off,
            Compression::Auto | Compression::Always => Compression::Always,
        };
        let coding = coding(compression, None, request);
        let body = match coding {
            ContentCoding::Identity => &self.plain,
            ContentCoding::Gzip => &self.gzip,
            ContentCoding::Zstd => &self.zstd,
        };
        let mut response = cacheable(body.clone(), self.media_type, 0, request);
        let headers = response.headers_mut();
        let constant = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ];
        for (name, value) in constant {
            headers.insert(name, value);
        }
        if let Some(name) = coding.name() {
            headers.insert(header::CONTENT_ENCODING, name);
        }
        response
    }
}

/// `GET /v2/ui/`.
pub(super) async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    respond(
        &app,
        SOURCES[0].0,
        request.method(),
        request.uri(),
        request.headers(),
    )
}

/// `GET /v2/ui/{file}`.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    respond(&app, &name, &method, &uri, &headers)
}

/// `GET /v2/ui`: the page, whose files are relative to its folder.
pub(super) async fn folder(State(app): State<Arc<App>>, request: Request) -> Response {
    if app.config.http.stream_ui_enabled {
        Redirect::permanent("/v2/ui/").into_response()
    } else {
        Problem::PageNotFound.response(request.method(), request.uri())
    }
}

fn respond(app: &App, name: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let http = &app.config.http;
    let file = FILES.iter().find(|file| file.name == name);
    match file.filter(|_| http.stream_ui_enabled) {
        Some(file) => file.response(http.compression, headers),
        None => Problem::PageNotFound.response(method, uri),
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(LEVEL));
    let written = encoder.write_all(bytes);
    let gzip = written.and_then(|()| encoder.finish());
    gzip.expect("a Vec takes every byte").into()
}

fn zstd(bytes: &[u8]) -> Bytes {
    let zstd = zstd::bulk::compress(bytes, LEVEL.cast_signed());
    zstd.expect("a Vec takes every byte").into()
}

/// The text without indentation and without lines of comments. The lines of a template literal of a
/// script stay as they are.
fn without_comments(text: &str) -> String {
    let mut short = String::new();
    let (mut in_comment, mut in_template) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if !in_template {
            in_comment |= trimmed.starts_with("/*") || trimmed.starts_with("<!--");
            if in_comment {
                in_comment = !(trimmed.ends_with("*/") || trimmed.ends_with("-->"));
                continue;
            }
            if trimmed.is_empty() || trimmed.starts_with("//") {
                continue;
            }
        }
        short.push_str(if in_template { line } else { trimmed });
        short.push('\n');
        in_template ^= line.matches('`').count() % 2 == 1;
    }
    short
}

#[cfg(test)]
mod tests;
