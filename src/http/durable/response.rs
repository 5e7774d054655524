//! A page as a response, with the headers of the protocol and of caches.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use uuid::Uuid;

use super::content::Content;
use super::pages::Page;
use super::read_request::{Live, ReadRequest, Start};
use super::token::Token;
use crate::http::App;
use crate::http::cacheable::has_tag;
use crate::http::stream::add_moved_headers;
use crate::memory::Use;

const NEXT_OFFSET: HeaderName = HeaderName::from_static("stream-next-offset");
const UP_TO_DATE: HeaderName = HeaderName::from_static("stream-up-to-date");
const CURSOR: HeaderName = HeaderName::from_static("stream-cursor");

/// The headers of the protocol, which scripts of other origins may read.
pub(in crate::http) const HEADERS: [HeaderName; 3] = [NEXT_OFFSET, UP_TO_DATE, CURSOR];

/// For how many seconds a cache may keep a page that will not grow: a redacted event is gone from
/// caches after that.
const FULL_MAX_AGE: u32 = 60;

/// For how many seconds a cache may keep a page at the end of the streams. Clients that wait for
/// the same event share it.
const TAIL_MAX_AGE: u32 = 5;

/// The response to HEAD.
pub(super) fn head(request: &ReadRequest, content: &Content, page: &Page) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    add_headers(headers, request, page);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    insert(headers, header::CONTENT_TYPE, content.media_type.clone());
    response
}

/// The response with a page: 204 for a long poll that ends without an event, 304 for a client that
/// has the page.
pub(super) fn page(
    app: &App,
    request: &ReadRequest,
    content: &Content,
    page: &Page,
    sent: &HeaderMap,
) -> Response {
    let is_empty = page.pieces.is_empty();
    let is_timeout = request.live == Some(Live::LongPoll) && is_empty && page.is_up_to_date;
    let body = content.body(&page.pieces);
    let tag = tag(&body, page);
    let mut response = if is_timeout {
        StatusCode::NO_CONTENT.into_response()
    } else if request.start != Start::Now && has_tag(sent, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = app.hub.memory().keep(Use::Unwritten, Bytes::from(body));
        Body::from(body).into_response()
    };
    let has_body = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    add_headers(headers, request, page);
    if has_body {
        insert(headers, header::CONTENT_TYPE, content.media_type.clone());
    }
    let control = if request.start == Start::Now {
        "no-store".to_owned()
    } else {
        let max_age = if page.is_up_to_date {
            TAIL_MAX_AGE
        } else {
            FULL_MAX_AGE
        };
        format!("public, max-age={max_age}")
    };
    insert(headers, header::CACHE_CONTROL, control);
    if !is_timeout && request.start != Start::Now {
        insert(headers, header::ETAG, tag);
    }
    response
}

/// The headers of every response of the protocol.
pub(super) fn add_headers(headers: &mut HeaderMap, request: &ReadRequest, page: &Page) {
    let Token { text, .. } = &page.next;
    insert(headers, NEXT_OFFSET, text.clone());
    insert(
        headers,
        CURSOR,
        page.next.cursor(request.cursor).to_string(),
    );
    if page.is_up_to_date {
        headers.insert(UP_TO_DATE, HeaderValue::from_static("true"));
    }
    add_moved_headers(headers, &page.moved);
    request.add_headers(headers);
}

/// A tag of everything that the client learns from a page. It changes with a redaction.
fn tag(body: &[u8], page: &Page) -> String {
    let body = Uuid::new_v5(&Uuid::NAMESPACE_OID, body);
    let rest = format!("{}{}", page.next.text, page.is_up_to_date);
    format!("\"{}\"", Uuid::new_v5(&body, rest.as_bytes()).simple())
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
}
