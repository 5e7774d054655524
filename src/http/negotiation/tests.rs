use super::*;

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.append(*name, value.parse().expect("a value"));
    }
    headers
}

#[test]
fn the_media_type_of_the_greatest_weight_is_chosen() {
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
    assert_eq!(MediaType::of(&two), Ndjson);
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
    for (accepted, expected) in cases {
        assert_eq!(preferred_coding(accepted), expected, "{accepted:?}");
    }
}

#[test]
fn auto_compresses_for_clients_that_certainly_decompress() {
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
fn the_query_precedes_the_headers_and_the_operator_precedes_both() {
    let sent = headers(&[("accept-encoding", "gzip, zstd")]);
    assert_eq!(
        coding(Compression::Always, None, &sent),
        ContentCoding::Zstd
    );
    for (mode, in_query, expected) in [
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
            coding(mode, Some(in_query), &sent),
            expected,
            "{mode:?} {in_query:?}"
        );
    }
    assert_eq!(
        coding(Compression::Off, None, &sent),
        ContentCoding::Identity
    );
}

#[test]
fn vary_names_every_header_that_matters() {
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
