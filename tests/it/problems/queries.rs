//! Invalid query parameters.

use super::{INVALID_QUERY, INVALID_TIMESTAMP, ProblemKind, Row, check_all, get, known};
use crate::support::server::TestServer;
use crate::support::wire::Request;

/// A GET of the stream with this query.
fn query(query: &str, kind: ProblemKind, detail: &[&str]) -> Row {
    get(format!("/v2/stream/known?{query}"), kind, detail)
}

fn time_rows() -> Vec<Row> {
    let digits = format!("since={}", "1".repeat(50_000));
    vec![
        query(
            "since=yesterday",
            INVALID_TIMESTAMP,
            &["ISO 8601", "milliseconds"],
        ),
        query("since=", INVALID_TIMESTAMP, &["empty"]),
        query("since=-1", INVALID_TIMESTAMP, &[]),
        query("since=2026-02-30", INVALID_TIMESTAMP, &[]),
        query(
            "since=1700000000",
            INVALID_TIMESTAMP,
            &["milliseconds", "1700000000000"],
        ),
        query(&digits, INVALID_TIMESTAMP, &["50000 bytes"]),
    ]
}

fn query_rows() -> Vec<Row> {
    let valid = "Valid query parameters here: since, lastEventId, tail,";
    let codings = "gzip, zstd or none";
    let deep = format!("fields=a{}", ".a".repeat(16));
    let many = format!("fields=a{}", ",a".repeat(64));
    let long = format!("fields={}", "a".repeat(1025));
    vec![
        query("sinc=1", INVALID_QUERY, &["'sinc'", valid]),
        query("Since=1", INVALID_QUERY, &["'Since'", valid]),
        query(
            "since=1&since=1",
            INVALID_QUERY,
            &["'since' is given twice", valid],
        ),
        query(
            "last_event_id=[]",
            INVALID_QUERY,
            &["'last_event_id'", valid],
        )
        .detail("did you mean 'lastEventId'?"),
        query("format=json&compresion=gzip", INVALID_QUERY, &[valid])
            .detail("did you mean 'compression'?"),
        query("compression=br", INVALID_QUERY, &[codings]),
        query("compression=", INVALID_QUERY, &[codings]),
        query(
            "fields=",
            INVALID_QUERY,
            &["'fields' must be names of members"],
        ),
        query(
            "fields=a,,b",
            INVALID_QUERY,
            &["'fields' must be names of members"],
        ),
        query(
            "fields=a&fields=b",
            INVALID_QUERY,
            &["'fields' is given twice"],
        ),
        query(&deep, INVALID_QUERY, &["'fields'", "16 names"]),
        query(&many, INVALID_QUERY, &["'fields'", "64 fields"]),
        query(&long, INVALID_QUERY, &["'fields'", "1024 bytes"]),
        query("ids=json", INVALID_QUERY, &["'ids' must be compact"]),
        query("tail=0", INVALID_QUERY, &["'tail'", "from 1 to 10000"]),
        query(
            "tail=5&since=0",
            INVALID_QUERY,
            &["'tail'", "without 'since'"],
        ),
        get("/?spek", INVALID_QUERY, &["'spek'", "spec, doc"]),
        // The first fault is reported, and no invalid query reaches Kafka.
        get("/v2/stream/nope?sinc=1", INVALID_QUERY, &["'sinc'"]),
    ]
}

on_both_brokers!(
    async fn invalid_queries_and_times_are_refused(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        check_all(&server, time_rows()).await;
        check_all(&server, query_rows()).await;
        let absurd = Request::get(format!("/v2/stream/nope?{}", "x".repeat(50_000)))
            .send(server.address)
            .await
            .text()
            .await;
        assert!(
            absurd.len() < 9 * 1024,
            "a problem must not echo {} bytes",
            absurd.len()
        );
        let absurd = Request::get(format!("/v2/stream/{}", "x".repeat(50_000)))
            .send(server.address)
            .await
            .text()
            .await;
        assert!(
            absurd.len() < 18 * 1024,
            "a problem must not echo {} bytes",
            absurd.len()
        );
    }
);
