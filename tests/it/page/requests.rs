//! The requests that load the page, and `/`.

use crate::support::admin::unique;
use crate::support::brokers::Brokers;
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_has_its_own_policy_and_tags() {
    let mut brokers = Brokers::embedded();
    let cluster = brokers.next_cluster().await.expect("an embedded broker");
    let topic = unique("eqiad.edits");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("wiki.edits", &[&topic]);
    let server = TestServer::start(&cluster, &settings).await;
    let get = async |path: &str| Request::get(path).send(server.address).await;
    let response = get("/v2/ui").await;
    assert_eq!(
        (response.status, response.header("location")),
        (308, Some("/v2/ui/"))
    );
    let mut page = get("/v2/ui/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let tag = page.header("etag").expect("a tag").to_owned();
    assert!(page.text().await.contains("<h1>EventStreams</h1>"));
    let again = Request::get("/v2/ui/").header("if-none-match", &tag);
    assert_eq!(again.send(server.address).await.status, 304);
    let zipped = Request::get("/v2/ui/main.js").header("accept-encoding", "gzip, br");
    let zipped = zipped.send(server.address).await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(get("/v2/ui/tests.rs").await.status, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_leads_a_browser_to_the_page_and_gives_curl_commands() {
    let mut brokers = Brokers::embedded();
    let cluster = brokers.next_cluster().await.expect("an embedded broker");
    let topic = unique("eqiad.edits");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("wiki.edits", &[&topic]);
    let off = settings.clone().key("stream_ui_enabled", "false");
    for (settings, location) in [(settings, "/v2/ui/"), (off, "/?doc")] {
        let server = TestServer::start(&cluster, &settings).await;
        let of_browser = Request::get("/").header("accept", "text/html,*/*;q=0.8");
        let response = of_browser.send(server.address).await;
        assert_eq!(
            (response.status, response.header("location")),
            (303, Some(location))
        );
        let mut response = Request::get("/")
            .header("accept", "*/*")
            .send(server.address)
            .await;
        assert_eq!(
            (response.status, response.header("location")),
            (303, Some("/?doc"))
        );
        assert_eq!(
            response.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        let text = response.text().await;
        let command = "\ncurl -N http://localhost/v2/stream/wiki.edits\n";
        assert!(text.contains(command), "{text}");
        assert_eq!(text.contains("/v2/ui/"), location == "/v2/ui/", "{text}");
        let page = Request::get("/v2/ui/").send(server.address).await;
        assert_eq!(page.status, if location == "/v2/ui/" { 200 } else { 404 });
        server.stop().await;
    }
}
