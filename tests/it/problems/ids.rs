//! Invalid values of `Last-Event-ID`.

use super::{INVALID_ID, TOPIC_NOT_AVAILABLE, get, known};
use crate::support::admin::unique;
use crate::support::server::TestServer;

/// An id of one entry with more members.
fn entry(topic: &str, members: &str) -> String {
    format!(r#"[{{"topic":"{topic}"{members}}}]"#)
}

/// Invalid ids, each with a part of the detail.
fn invalid_ids(topic: &str) -> Vec<(String, &'static str)> {
    let at = |offset: u32| format!(r#"{{"topic":"{topic}","partition":0,"offset":{offset}}}"#);
    vec![
        ("last week".to_owned(), "not JSON"),
        ("[".to_owned(), "not JSON"),
        ("c1.AAAA.AAAA".to_owned(), "not a valid token"),
        ("c9.AAAA.AAAA".to_owned(), "version is not known"),
        ("{}".to_owned(), "not a JSON array"),
        ("[]".to_owned(), "empty array"),
        (" [ ] ".to_owned(), "empty array"),
        ("42".to_owned(), "not a JSON array"),
        ("[42]".to_owned(), "entry 0"),
        (r#"["",""]"#.to_owned(), "`topic`"),
        (r#"[{"partition":0}]"#.to_owned(), "`topic`"),
        (entry(topic, r#","offset":1"#), "`partition`"),
        (
            entry(topic, r#","partition":-1,"offset":1"#),
            "must not be negative",
        ),
        (
            entry(topic, r#","partition":"0","offset":1"#),
            "must be an integer",
        ),
        (
            entry(topic, r#","partition":0,"offset":-3"#),
            "-2 for the earliest",
        ),
        (
            entry(topic, r#","partition":0,"offset":1.5"#),
            "must be an integer",
        ),
        (entry(topic, r#","partition":0,"timestamp":-1"#), "1970"),
        (
            entry(topic, r#","partition":0,"timestamp":18446744073709551616"#),
            "must be an integer",
        ),
        (format!("[{},{}]", at(1), at(2)), "entry 1"),
        (format!("[{}]", "[".repeat(60_000)), "not JSON"),
        (format!("[{}\"\"]", "\"x\",".repeat(16_000)), "4096"),
        (format!("[\"{}\"]", "x".repeat(65_533)), "at most 65536"),
    ]
}

on_both_brokers!(
    async fn invalid_ids_are_refused(cluster: Cluster) {
        let (topic, settings) = known(&cluster).await;
        let other = unique("eqiad.other");
        let settings = settings
            .stream("other", &[&other])
            .key("request_head_bytes_max", "262144");
        let server = TestServer::start(&cluster, &settings).await;
        for (id, detail) in invalid_ids(&topic) {
            get("/v2/stream/known", INVALID_ID, &[detail])
                .header("Last-Event-ID", id)
                .check(&server)
                .await;
        }
        get(
            "/v2/stream/known?lastEventId=%7B%7D",
            INVALID_ID,
            &["not a JSON array"],
        )
        .check(&server)
        .await;
        get(
            "/v2/stream/known?lastEventId=[]",
            INVALID_ID,
            &["empty array"],
        )
        .check(&server)
        .await;
        // The header takes precedence, so its fault is reported despite a valid query parameter.
        get("/v2/stream/known?lastEventId=[]", INVALID_ID, &["not JSON"])
            .header("Last-Event-ID", "x")
            .check(&server)
            .await;
        get("/v2/stream/known", INVALID_ID, &[&topic, "no partition 7"])
            .header(
                "Last-Event-ID",
                entry(&topic, r#","partition":7,"offset":1"#),
            )
            .check(&server)
            .await;
        // All of them are named, each once.
        let secret = |partition: u32| {
            format!(r#"{{"topic":"eqiad.secret","partition":{partition},"offset":1}}"#)
        };
        let ids = format!(r#"[{},"{other}","{topic}",{}]"#, secret(0), secret(1));
        get(
            "/v2/stream/known",
            TOPIC_NOT_AVAILABLE,
            &[&format!(" {other},eqiad.secret")],
        )
        .header("Last-Event-ID", ids)
        .check(&server)
        .await;
        // Topics of other streams stay unavailable, whether they exist or not.
        get("/v2/stream/known", TOPIC_NOT_AVAILABLE, &[&other])
            .header("Last-Event-ID", format!(r#"["{other}"]"#))
            .check(&server)
            .await;
    }
);
