//! Unknown streams and pages.

use super::{
    METHOD_NOT_ALLOWED, PAGE_NOT_FOUND, Row, STREAM_LIST, STREAM_NOT_FOUND, TOO_MANY_STREAMS,
    check_all, get, known,
};
use crate::support::admin::unique;
use crate::support::server::TestServer;
use crate::support::wire::Request;

/// The whole detail of a problem with these unknown names.
fn invalid(names: &str) -> String {
    format!("=Invalid streams: {names}. {STREAM_LIST}")
}

/// A GET of these streams, of which at least one is unknown.
fn unknown(names: &str, detail: &[&str]) -> Row {
    get(format!("/v2/stream/{names}"), STREAM_NOT_FOUND, detail)
}

fn unknown_stream_rows(topic: &str, hidden: &str) -> Vec<Row> {
    let is_topic = format!("{topic} is a topic of known");
    vec![
        unknown("nope", &[&invalid("nope")]),
        unknown("nope,known,nada%2Cnope", &[&invalid("nope,nada")]),
        unknown("known,private,nope/", &[&invalid("private,nope")]),
        unknown("known,", &["Invalid streams: .", "A name is empty"])
            .detail("comma")
            .detail(STREAM_LIST),
        unknown(",", &["A name is empty", STREAM_LIST]),
        unknown("known/other", &["Invalid streams: known/other."]).detail("did you mean known?"),
        // Suggestions name only public streams. A private stream looks like an unknown one.
        unknown("KNOWN", &["Invalid streams: KNOWN.", STREAM_LIST]).detail("did you mean known?"),
        unknown("alaised", &["did you mean aliased?"]),
        unknown("mediawiki.aliasd", &["did you mean mediawiki.aliased?"]),
        unknown("privat", &[&invalid("privat")]),
        unknown(topic, &[&is_topic, STREAM_LIST]),
        unknown(hidden, &[&invalid(hidden)]),
        unknown("%FF%00%0D%0A%3Cscript%3E", &["Invalid streams: "]),
        unknown("a,b,c,d,e", &[&invalid("a,b,c,d,e")]),
    ]
}

fn page_rows() -> Vec<Row> {
    let pages = "See /?doc for the list of streams, or /?spec for programs.";
    let missing = ["name of a stream is missing", pages];
    vec![
        get(
            "/v2/stream/a,b,c,d,e,f",
            TOO_MANY_STREAMS,
            &["6 streams", "at most 5"],
        ),
        get("/v2/stream/", PAGE_NOT_FOUND, &missing),
        get("/v2/stream", PAGE_NOT_FOUND, &missing),
        get("/v3/stream/known?x=y", PAGE_NOT_FOUND, &["/?doc"]),
        get("/..%2f..%2fetc%2fpasswd", PAGE_NOT_FOUND, &[]),
    ]
}

on_both_brokers!(
    async fn unknown_streams_and_pages_are_not_found(cluster: Cluster) {
        let (topic, settings) = known(&cluster).await;
        let hidden = unique("zzz.hidden");
        let settings = settings
            .stream("private", &[&topic, &hidden])
            .stream_with(
                "mediawiki.aliased",
                &format!("{{topics: [{topic}], stream_aliases: [aliased]}}"),
            )
            .key("allowed_streams", "[known, mediawiki.aliased]")
            .key("streams_per_request_max", "5");
        let server = TestServer::start(&cluster, &settings).await;
        check_all(&server, unknown_stream_rows(&topic, &hidden)).await;
        check_all(&server, page_rows()).await;
        for (uri, answer) in [
            ("/v2/stream/known", METHOD_NOT_ALLOWED),
            ("/robots.txt", METHOD_NOT_ALLOWED),
        ] {
            let row = Row {
                request: Request::new("DELETE", uri),
                method: "DELETE",
                ..get(uri, answer, &["GET, HEAD"])
            };
            row.check(&server).await;
        }
        let counted = async |kind: &str| {
            server
                .metric(&format!("eventstreams_problems_total{{reason=\"{kind}\"}}"))
                .await
        };
        assert_eq!(counted("not_found").await, 18);
        assert_eq!(counted("too_many_streams").await, 1);
        assert_eq!(counted("method_not_allowed").await, 2);
        assert_eq!(
            server
                .metric("eventstreams_connected_clients{stream=\"known\"}")
                .await,
            0
        );
    }
);
