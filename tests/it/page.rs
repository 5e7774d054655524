//! The page at `/v2/ui/`, in a real browser against the embedded broker.

use std::ops::Range;

use serde_json::json;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::brokers::Brokers;
use crate::support::numbered::now_ms;
use crate::support::server::{Settings, TestServer};

mod browser;
mod refusals;
mod requests;
mod views;

use browser::Browser;

/// A broker, a server with two streams, and a browser.
struct Setup {
    brokers: Brokers,
    cluster: Cluster,
    server: TestServer,
    browser: Browser,
    topics: [String; 2],
}

impl Setup {
    /// `None` without a browser.
    async fn start() -> Option<Self> {
        let browser = Browser::start().await?;
        let mut brokers = Brokers::embedded();
        let cluster = brokers.next_cluster().await.expect("an embedded broker");
        let topics = ["eqiad.edits", "eqiad.pages"].map(unique);
        for topic in &topics {
            cluster.create_topic(topic, 1).await;
        }
        let edits = format!(
            "{{topics: [{}], stream_aliases: [e], description: Every edit.}}",
            topics[0]
        );
        let settings = Settings::default()
            .stream_with("wiki.edits", &edits)
            .stream("wiki.pages", &[&topics[1]]);
        let server = TestServer::start(&cluster, &settings).await;
        Some(Self {
            brokers,
            cluster,
            server,
            browser,
            topics,
        })
    }

    async fn open(&self, choice: &str) {
        let url = format!("http://{}/v2/ui/{choice}", self.server.address);
        self.browser.open(&url).await;
    }

    async fn stop(self) {
        drop(self.browser);
        self.server.stop().await;
        drop(self.brokers);
    }
}

/// An edit of the page `title`, now.
fn edit(topic: &str, wiki: &str, title: &str) -> NewRecord {
    let now = now_ms();
    let dt = jiff::Timestamp::from_millisecond(now)
        .expect("a time")
        .to_string();
    let event = json!({
        "$schema": "/mediawiki/recentchange/1.0.1",
        "meta": {
            "stream": if topic.contains("edits") { "wiki.edits" } else { "wiki.pages" },
            "domain": "wiki.example.org",
            "uri": format!("https://wiki.example.org/wiki/{title}"),
            "dt": dt,
        },
        "wiki": wiki,
        "title": title,
        "user": "Someone",
        "type": "edit",
        "bot": false,
        "length": {"old": 1000, "new": 1234},
    });
    NewRecord::new(topic, 0, now, event.to_string())
}

/// The titles that the rows of a stream have, oldest first.
async fn titles(browser: &Browser, stream: &str) -> Vec<String> {
    let rows = format!(
        "[...document.querySelectorAll('#rows tr')]\
         .filter((row) => row.cells[1].textContent === {})\
         .map((row) => row.cells[3].textContent).reverse()",
        json!(stream)
    );
    serde_json::from_value(browser.value(&rows).await).expect("a list of text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_two_streams_loses_no_event() {
    let Some(setup) = Setup::start().await else {
        return;
    };
    let Setup {
        browser,
        cluster,
        topics,
        ..
    } = &setup;
    setup.open("").await;
    browser.until_text("#begin", "Start with wiki.").await;
    browser.picture("empty").await;
    browser.click("#streams li:nth-child(1) input").await;
    browser.click("#streams li:nth-child(2) input").await;
    browser.until_text("#state", "Live").await;

    let producer = cluster.producer("none");
    let send = async |numbers: Range<usize>| {
        for n in numbers {
            let title = format!("Page {n}");
            let events = topics.iter().map(|topic| edit(topic, "awiki", &title));
            producer.produce_many(events).await;
        }
    };
    let rows = |condition: &str| {
        let rows = "document.querySelectorAll('#rows tr').length";
        format!("{rows} {condition}")
    };
    send(0..50).await;
    browser.until(&rows("> 20")).await;
    browser.picture("live").await;
    tokio::join!(send(50..100), browser.click("#pause"));
    browser.until_text("#state", "Paused").await;
    browser.picture("paused").await;
    send(100..150).await;
    tokio::join!(send(150..200), browser.click("#pause"));
    browser.until(&rows("=== 400")).await;
    for (topic, stream) in topics.iter().zip(["edits", "pages"]) {
        let log = cluster.log(topic).await;
        let expected: Vec<_> = log
            .iter()
            .map(|record| {
                let value = record.value.as_deref().expect("a value");
                let event: serde_json::Value = serde_json::from_slice(value).expect("JSON");
                event["title"].as_str().expect("a title").to_owned()
            })
            .collect();
        assert_eq!(titles(browser, stream).await, expected, "{stream}");
    }
    browser.until_text("#numbers", "400 events").await;
    browser.assert_quiet(&[]).await;
    setup.stop().await;
}
