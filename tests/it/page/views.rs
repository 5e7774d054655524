//! Filters, an event, and the URL that keeps both.

use serde_json::json;

use super::{Setup, edit};
use crate::support::admin::NewRecord;
use crate::support::numbered::now_ms;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_applied_by_the_server_and_a_wrong_one_explained() {
    let Some(setup) = Setup::start().await else {
        return;
    };
    let Setup {
        browser,
        cluster,
        topics,
        ..
    } = &setup;
    setup.open("#/?streams=e&wiki=awiki").await;
    browser.until_text("#state", "Live").await;
    cluster.produce(edit(&topics[0], "bwiki", "Not this")).await;
    cluster.produce(edit(&topics[0], "awiki", "This")).await;
    browser.until_text("#rows", "This").await;
    assert!(!browser.text("#rows").await.contains("Not"));
    browser.until_text("#numbers", "of").await;

    browser.enter("[name=wiki]", "bwiki").await;
    browser
        .until("location.hash === '#/?streams=e&wiki=bwiki'")
        .await;
    browser.until_text("#state", "Live").await;
    cluster.produce(edit(&topics[0], "bwiki", "Now this")).await;
    browser.until_text("#rows", "Now this").await;
    let command = browser.text("#snippet").await;
    let url = format!("http://{}/v2/stream/e?wiki=bwiki", setup.server.address);
    assert_eq!(command, format!("curl -N '{url}'"));

    browser.enter("#filter", "event.bot = true").await;
    let words = "The filter is not valid, column 11: found '='; compare with '=='";
    browser.until_text("#wrong", words).await;
    assert_eq!(
        browser.value("document.activeElement.ariaInvalid").await,
        "true"
    );
    assert!(
        browser
            .text("#wrong")
            .await
            .starts_with("event.bot = true\n          ^")
    );
    browser.until_text("#state", "Refused").await;
    browser.picture("filter-error").await;
    browser.enter("#filter", "event.bot == false").await;
    browser.until_text("#state", "Live").await;
    assert_eq!(browser.text("#wrong").await.trim(), "");
    browser.assert_quiet(&["400 (Bad Request)"]).await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reloaded_url_shows_the_same_event_and_choice() {
    let Some(setup) = Setup::start().await else {
        return;
    };
    let Setup {
        browser,
        cluster,
        topics,
        ..
    } = &setup;
    setup.open("#/?streams=wiki.edits&bot=false&code=Go").await;
    browser.until_text("#state", "Live").await;
    let hostile = json!({
        "meta": {"uri": "javascript:alert(1)", "stream": "wiki.edits"},
        "title": "<img src=x onerror=alert(1)>",
        "user": "</td><script>alert(1)</script>",
        "bot": false,
        "list": [[[["deep"]]]],
    });
    let record = NewRecord::new(&topics[0], 0, now_ms(), hostile.to_string());
    cluster.produce(record).await;
    cluster.produce(edit(&topics[0], "awiki", "A page")).await;
    browser
        .until("document.querySelectorAll('#rows tr').length === 2")
        .await;
    browser.click("#rows tr:nth-child(2)").await;
    browser.until_text("#detail h2", "<img src=x").await;
    let links = "[...document.querySelectorAll('#detail a')].map(({ href }) => href)";
    let own = format!("http://{}/v2/event/{}/0/0", setup.server.address, topics[0]);
    assert_eq!(
        browser.value(links).await,
        json!([own]),
        "no link of another scheme"
    );

    browser.click("#rows tr:nth-child(1)").await;
    browser.until_text("#detail h2", "A page").await;
    browser
        .until_text("#detail .json", "\"wiki.example.org\"")
        .await;
    browser.picture("event-open").await;
    let page = "https://wiki.example.org/wiki/A%20page";
    assert_eq!(browser.value(links).await[0], page);
    let view = "[location.hash, document.querySelector('#detail').innerText, \
                document.querySelector('#snippet').innerText, \
                document.querySelector('[name=bot]').value, \
                document.querySelector('#streams li:has(:checked) span').innerText]";
    let before = browser.value(view).await;
    browser.reload().await;
    browser.until_text("#state", "Live").await;
    browser.until_text("#detail h2", "A page").await;
    browser
        .until("document.querySelector('#streams :checked') !== null")
        .await;
    assert_eq!(browser.value(view).await, before);
    // Escape closes the event, and the way back opens it.
    browser
        .value("dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }))")
        .await;
    browser
        .until("document.querySelector('#detail').hidden")
        .await;
    browser.value("history.back()").await;
    browser.until_text("#detail h2", "A page").await;
    browser.assert_quiet(&[]).await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_a_phone_and_the_dark_are_no_trouble() {
    let Some(setup) = Setup::start().await else {
        return;
    };
    let Setup {
        browser,
        cluster,
        topics,
        ..
    } = &setup;
    let yesterday = "const now = Date.now; Date.now = () => now() - 86400000";
    let script = json!({ "source": yesterday });
    browser
        .command("Page.addScriptToEvaluateOnNewDocument", script)
        .await;
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.command("Emulation.setEmulatedMedia", dark).await;
    setup.open("#/?streams=wiki.edits,wiki.pages").await;
    browser.until_text("#state", "Live").await;
    for n in 0..30 {
        cluster
            .produce(edit(&topics[n % 2], "awiki", &format!("Page {n}")))
            .await;
    }
    browser.until_text("#rows", "Page 29").await;
    browser.until_text("#numbers", "newest under 2 s old").await;
    assert_eq!(browser.text("#state").await, "Live");
    browser.picture("dark").await;
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
    browser
        .command("Emulation.setDeviceMetricsOverride", phone)
        .await;
    browser.reload().await;
    browser.until_text("#state", "Live").await;
    cluster.produce(edit(&topics[0], "awiki", "A page")).await;
    browser.until_text("#rows", "A page").await;
    let width = "document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(browser.value(width).await, true, "no sideways scrolling");
    browser.picture("phone").await;
    browser.assert_quiet(&[]).await;
    setup.stop().await;
}
