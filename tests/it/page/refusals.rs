//! What the page shows when the server refuses a stream, or is gone.

use crate::support::admin::unique;
use crate::support::brokers::Brokers;
use crate::support::process::ServerProcess;
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

use super::browser::Browser;
use super::{edit, titles};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_goes_on_when_a_killed_server_is_back() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let mut brokers = Brokers::embedded();
    let cluster = brokers.next_cluster().await.expect("an embedded broker");
    let topic = unique("eqiad.edits");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("wiki.edits", &[&topic]);
    let mut server = ServerProcess::start(&cluster.brokers, &settings).await;
    let url = format!("http://{}/v2/ui/#/?streams=wiki.edits", server.address);
    browser.open(&url).await;
    browser.until_text("#state", "Live").await;
    cluster.produce(edit(&topic, "awiki", "Before")).await;
    browser.until_text("#rows", "Before").await;
    server.kill();
    browser.until_text("#state", "Connection lost").await;
    browser.until_text("#problem", "Next attempt in").await;
    browser.picture("disconnected").await;
    cluster.produce(edit(&topic, "awiki", "Meanwhile")).await;
    server.restart().await;
    browser.until_text("#rows", "Meanwhile").await;
    browser.until_text("#state", "Live").await;
    assert_eq!(browser.text("#problem").await, "");
    cluster.produce(edit(&topic, "awiki", "After")).await;
    browser.until_text("#rows", "After").await;
    assert_eq!(
        titles(&browser, "edits").await,
        ["Before", "Meanwhile", "After"]
    );
    browser
        .assert_quiet(&["net::ERR_", "(Service Unavailable)"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_shown_in_the_words_of_the_server() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let mut brokers = Brokers::embedded();
    let cluster = brokers.next_cluster().await.expect("an embedded broker");
    let topic = unique("eqiad.edits");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default()
        .stream("wiki.edits", &[&topic])
        .stream("wiki.missing", &["nowhere"])
        .key("allowed_streams", "[wiki.edits, wiki.missing, wiki.later]")
        .key("streams_max", "1");
    let server = TestServer::start(&cluster, &settings).await;
    let origin = format!("http://{}", server.address);
    for (choice, state, words) in [
        ("wiki.later", "Refused", "wiki.later"),
        ("wiki.edit", "Refused", "Invalid streams: wiki.edit"),
        ("wiki.missing", "asks to wait", "wiki.missing"),
        ("wiki.edits&since=never", "Refused", "is not a time"),
        (
            "wiki.edits&lastEventId=no",
            "Refused",
            "Invalid Last-Event-ID",
        ),
    ] {
        browser
            .open(&format!("{origin}/v2/ui/#/?streams={choice}"))
            .await;
        browser.until_text("#state", state).await;
        browser.until_text("#problem", words).await;
    }
    // The limit of one stream is reached, and the page gets it when it is free again.
    let taken = Request::get("/v2/stream/wiki.edits")
        .send(server.address)
        .await;
    browser
        .open(&format!("{origin}/v2/ui/#/?streams=wiki.edits"))
        .await;
    browser.until_text("#state", "asks to wait").await;
    browser.until_text("#problem", "Too Many").await;
    browser.until_text("#problem", "Next attempt in").await;
    drop(taken);
    browser.until_text("#state", "Live").await;
    let statuses = [
        "(Bad Request)",
        "(Gone)",
        "(Service Unavailable)",
        "(Too Many Requests)",
    ];
    browser.assert_quiet(&statuses).await;
    drop(browser);
    server.stop().await;
}
