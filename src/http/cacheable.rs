//! Responses that a cache may keep for a while: `ETag`, `Cache-Control`, 304 (RFC 9110, section 13;
//! RFC 9111).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use uuid::Uuid;

/// The response with this body, or 304 where the client has it. The `ETag` is a hash of the body:
/// it changes with a redaction, and all servers have the same.
pub(super) fn cacheable(
    body: Bytes,
    content_type: &'static str,
    max_age_seconds: u32,
    request: &HeaderMap,
) -> Response {
    let tag = format!("\"{}\"", Uuid::new_v5(&Uuid::NAMESPACE_OID, &body).simple());
    let mut response = if has_tag(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], body).into_response()
    };
    let headers = response.headers_mut();
    let control = format!("public, max-age={max_age_seconds}");
    for (name, value) in [(header::ETAG, tag), (header::CACHE_CONTROL, control)] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    response
}

/// Whether `If-None-Match` names the tag: weakly, as RFC 9110, section 13.1.2, has it.
pub(super) fn has_tag(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(known: Option<&str>) -> (StatusCode, String) {
        let known = known.map(|known| (header::IF_NONE_MATCH, known.parse().expect("a value")));
        let response = cacheable(
            Bytes::from("{}"),
            "application/json",
            60,
            &known.into_iter().collect(),
        );
        let tag = response.headers()[header::ETAG].to_str().expect("ASCII");
        (response.status(), tag.to_owned())
    }

    #[test]
    fn a_client_that_has_the_body_gets_a_304() {
        let (status, tag) = answer(None);
        assert_eq!(status, StatusCode::OK);
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"a\", {tag}"),
            "*".to_owned(),
        ] {
            assert_eq!(
                answer(Some(&known)),
                (StatusCode::NOT_MODIFIED, tag.clone()),
                "{known}"
            );
        }
        for other in ["\"a\"", "", "W/", &tag[1..]] {
            assert_eq!(answer(Some(other)).0, StatusCode::OK, "{other}");
        }
    }
}
