//! The routes besides streams (docs/protocol.md), and those of the admin port.

use serde_json::{Value, json};

use crate::support::admin::{Cluster, unique};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A server with two public streams: one with aliases and a hostile description.
async fn start(cluster: &Cluster) -> TestServer {
    let topic = unique("eqiad.routes");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default()
        .stream_with(
            "mediawiki.page-create",
            &format!(
                "{{topics: [{topic}], stream_aliases: [page-create, pages], \
                 description: 'Pages & <script>alert(1)</script>'}}"
            ),
        )
        .stream_with(
            "mediawiki.recentchange",
            &format!("{{topics: [{topic}], schema_title: mediawiki/recentchange}}"),
        )
        .stream("private", &[&topic])
        .key(
            "allowed_streams",
            "[mediawiki.page-create, mediawiki.recentchange]",
        )
        .key("service_name", "eventstreams-test");
    TestServer::start(cluster, &settings).await
}

async fn json_of(server: &TestServer, path: &str) -> Value {
    let mut response = Request::get(path).send(server.address).await;
    assert_eq!(
        (response.status, response.header("content-type")),
        (200, Some("application/json")),
        "{path}"
    );
    response.json().await
}

/// What stands in the specification, or what it refers to.
fn resolved<'a>(spec: &'a Value, item: &'a Value) -> &'a Value {
    let Some(reference) = item["$ref"].as_str() else {
        return item;
    };
    let pointer = reference.strip_prefix('#').expect("of this document");
    spec.pointer(pointer).expect(reference)
}

/// Checks the parameters and responses of a path in the specification.
fn assert_path_is_described(spec: &Value, path: &str, item: &Value) {
    let get = &item["get"];
    for parameter in get["parameters"].as_array().into_iter().flatten() {
        let parameter = resolved(spec, parameter);
        assert!(
            parameter["name"].is_string() && parameter["schema"].is_object(),
            "{path}: {parameter}"
        );
        let location = parameter["in"].as_str().expect("a location");
        assert!(
            ["query", "header", "path"].contains(&location),
            "{path}: {parameter}"
        );
        assert!(
            location != "path" || parameter["required"] == true,
            "{path}: {parameter}"
        );
    }
    let responses = get["responses"]
        .as_object()
        .unwrap_or_else(|| panic!("{path} has no responses"));
    assert!(
        responses
            .values()
            .all(|response| resolved(spec, response)["description"].is_string()),
        "{path}: {responses:?}"
    );
    if path.starts_with("/v2/stream/") {
        assert!(
            resolved(spec, &responses["200"])["content"]["text/event-stream"].is_object(),
            "{path}: {responses:?}"
        );
    }
}

on_both_brokers!(
    async fn small_pages_and_redirects(cluster: Cluster) {
        let server = start(&cluster).await;
        for (path, status, location) in [
            ("/", 303, "/?doc"),
            ("/rc", 301, "/?doc"),
            (
                "/_info/home",
                301,
                "https://wikitech.wikimedia.org/wiki/Event_Platform/EventStreams_HTTP_Service",
            ),
        ] {
            let response = Request::get(path).send(server.address).await;
            assert_eq!(
                (response.status, response.header("location")),
                (status, Some(location)),
                "{path}"
            );
            assert_eq!(
                response.header("x-content-type-options"),
                Some("nosniff"),
                "{path}"
            );
        }
        let mut robots = Request::get("/robots.txt").send(server.address).await;
        assert_eq!(
            (robots.status, robots.header("content-type")),
            (200, Some("text/plain; charset=utf-8"))
        );
        assert_eq!(robots.text().await, "User-agent: *\nDisallow: /\n");
        let info = json_of(&server, "/_info").await;
        let members: Vec<_> = info
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(members, ["name", "version", "description", "home"]);
        assert_eq!(
            (&info["name"], &info["version"]),
            (&json!("eventstreams-test"), &json!(VERSION))
        );
        assert_eq!(
            json_of(&server, "/_info/name").await,
            json!({"name": "eventstreams-test"})
        );
        assert_eq!(
            json_of(&server, "/_info/version").await,
            json!({"version": VERSION})
        );
        for path in [
            "/_info/nope",
            "/favicon.ico",
            "/index.html",
            "/metrics",
            "/healthz",
            "/readyz",
        ] {
            let mut response = Request::get(path).send(server.address).await;
            assert_eq!(
                (response.status, &response.json().await["type"]),
                (404, &json!("not_found")),
                "{path}"
            );
        }
    }

    async fn the_specification_lists_every_public_stream_and_alias(cluster: Cluster) {
        let server = start(&cluster).await;
        let spec = json_of(&server, "/?spec").await;
        assert!(
            spec["openapi"]
                .as_str()
                .is_some_and(|version| version.starts_with("3.")),
            "{}",
            spec["openapi"]
        );
        assert!(
            spec["info"]["title"].is_string() && spec["info"]["version"].is_string(),
            "{}",
            spec["info"]
        );
        let paths = spec["paths"].as_object().expect("paths");
        let mut names: Vec<_> = paths
            .keys()
            .filter_map(|path| path.strip_prefix("/v2/stream/"))
            .collect();
        names.retain(|name| !name.contains('{'));
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "mediawiki.page-create",
                "mediawiki.recentchange",
                "page-create",
                "pages"
            ]
        );
        assert!(
            !spec.to_string().contains("private"),
            "private streams stay hidden"
        );
        for (path, item) in paths {
            assert_path_is_described(&spec, path, item);
        }
        // Each of them exists.
        for name in names {
            let head = Request::new("HEAD", format!("/v2/stream/{name}"))
                .send(server.address)
                .await;
            assert_eq!(head.status, 200, "{name}");
        }
    }

    async fn the_documentation_loads_nothing_from_other_hosts(cluster: Cluster) {
        let server = start(&cluster).await;
        let mut page = Request::get("/?doc").send(server.address).await;
        let is_html = page
            .header("content-type")
            .is_some_and(|value| value.starts_with("text/html"));
        assert!(page.status == 200 && is_html, "{:?}", page.headers);
        let text = page.text().await;
        for loaded in ["src=\"http", "src=\"//", "src='http", "@import", "url(http"] {
            assert!(!text.contains(loaded), "{loaded}: {text}");
        }
        let links = text
            .split("<link")
            .skip(1)
            .map(|rest| rest.split('>').next().unwrap_or_default());
        assert_eq!(
            links
                .filter(|link| link.contains("http") || link.contains("//"))
                .count(),
            0,
            "{text}"
        );
        assert!(
            !text.contains("<script>alert(1)"),
            "a description is text, not markup: {text}"
        );
    }

    async fn the_admin_port_serves_metrics_health_and_readiness(cluster: Cluster) {
        let server = start(&cluster).await;
        let mut metrics = Request::get("/metrics").send(server.admin).await;
        let content_type = metrics
            .header("content-type")
            .expect("a content type")
            .to_owned();
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        let text = metrics.text().await;
        assert!(text.ends_with('\n') && !text.contains("# EOF"), "{text}");
        for name in [
            "eventstreams_connections",
            "eventstreams_partitions",
            "eventstreams_memory_log_bytes",
        ] {
            assert!(
                text.contains(&format!("# TYPE {name} gauge\n")),
                "{name} in {text}"
            );
        }
        let names: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let is_ours = |line: &&str| {
            ["eventstreams_", "rdkafka_", "process_"]
                .iter()
                .any(|prefix| line.starts_with(prefix))
        };
        assert!(names.iter().all(is_ours), "{names:?}");
        assert_eq!(server.metric("eventstreams_partitions").await, 1);
        assert_eq!(
            server.metric("eventstreams_connections").await,
            0,
            "connections of the admin port do not count"
        );
        let mut alive = Request::get("/healthz").send(server.admin).await;
        assert_eq!(
            (alive.status, alive.json().await),
            (200, json!({"status": "ok"}))
        );
        let mut ready = Request::get("/readyz?verbose").send(server.admin).await;
        let mut body = ready.json().await;
        let age = body
            .as_object_mut()
            .and_then(|body| body.remove("kafka_last_answer_age_s"));
        assert!(
            age.and_then(|age| age.as_u64())
                .is_some_and(|seconds| seconds < 60),
            "{body}"
        );
        let expected =
            json!({"status": "ready", "kafka": "connected", "topics_unavailable": 0, "topics": []});
        assert_eq!((ready.status, body), (200, expected));
        for path in ["/v2/stream/mediawiki.recentchange", "/_info", "/"] {
            assert_eq!(
                Request::get(path).send(server.admin).await.status,
                404,
                "{path} is not for the admin port"
            );
        }
    }
);
