use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;

const PLAIN: &str = "title: plain\ntype: object\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn uri_of(folder: &TempDir) -> String {
    folder.path().display().to_string()
}

fn loader(base_uris: &[String], change: impl FnOnce(&mut LoaderConfig)) -> SchemaLoader {
    let mut config = LoaderConfig {
        base_uris: base_uris.to_vec(),
        ..LoaderConfig::default()
    };
    change(&mut config);
    SchemaLoader::new(config).unwrap()
}

/// The title of the schema, or why there is none.
async fn title(loader: &SchemaLoader, uri: &str) -> Result<String, LoadError> {
    let schema = loader.load(uri).await?;
    Ok(schema.document()["title"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

fn reasons(error: &LoadError) -> Vec<String> {
    match error {
        LoadError::NoDocument { failed, .. } => {
            failed.iter().map(|(_, error)| error.to_string()).collect()
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_first_base_with_a_usable_document_counts() {
    let first = folder(&[
        ("a/1.0.0", "title: first"),
        ("b/1.0.0", "title: [broken"),
        ("c/1.0.0", "pattern: a"),
    ]);
    let second = folder(&[
        ("a/1.0.0", "title: second"),
        ("b/1.0.0", "{\"title\": \"second\"}"),
        ("c/1.0.0", "title: second"),
    ]);
    let bases = [uri_of(&first), format!("file://{}/", uri_of(&second))];
    let loader = loader(&bases, |_| {});
    assert_eq!(title(&loader, "/a/1.0.0").await.unwrap(), "first");
    assert_eq!(title(&loader, "/b/1.0.0").await.unwrap(), "second");
    assert_eq!(title(&loader, "/c/1.0.0").await.unwrap(), "second");
    assert_eq!(title(&loader, "//a//1.0.0").await.unwrap(), "first");
    // Without a slash it fits only a base that ends in one.
    assert_eq!(title(&loader, "a/1.0.0").await.unwrap(), "second");
    let error = title(&loader, "/d/1.0.0").await.unwrap_err();
    assert_eq!(error.to_string(), "Failed loading schema at /d/1.0.0");
    assert_eq!(reasons(&error), ["not found", "not found"]);
}

#[tokio::test]
async fn an_extension_is_appended_where_there_is_none() {
    let folder = folder(&[
        ("a/1.0.0.yaml", PLAIN),
        ("a/latest.yaml", PLAIN),
        ("a/b.json", "{}"),
    ]);
    let loader = loader(&[uri_of(&folder)], |config| {
        config.file_extension = Some(".yaml".to_owned());
    });
    for uri in ["/a/1.0.0", "/a/latest", "/a/1.0.0.yaml"] {
        assert_eq!(title(&loader, uri).await.unwrap(), "plain");
    }
    assert!(title(&loader, "/a/b.json").await.is_ok());
    assert!(title(&loader, "/a/b").await.is_err());
}

#[tokio::test]
async fn no_uri_leads_out_of_a_folder() {
    let outer = folder(&[
        ("secret", PLAIN),
        ("base/a/1.0.0", PLAIN),
        ("basement", PLAIN),
    ]);
    let base = outer.path().join("base");
    std::os::unix::fs::symlink(outer.path().join("secret"), base.join("out")).unwrap();
    std::os::unix::fs::symlink(base.join("a/1.0.0"), base.join("in")).unwrap();
    let loader = loader(&[base.display().to_string()], |_| {});
    for uri in [
        "/../secret",
        "/a/../../secret",
        "/out",
        "ment",
        "/a",
        "/\0",
        "/%2e%2e/secret",
    ] {
        let error = title(&loader, uri).await.unwrap_err();
        assert!(!error.is_temporary(), "{uri}: {:?}", reasons(&error));
        assert!(!error.to_string().contains("tmp"), "{error}");
    }
    assert_eq!(title(&loader, "/in").await.unwrap(), "plain");
    assert_eq!(title(&loader, "/b/../a/1.0.0").await.unwrap(), "plain");
}

#[tokio::test]
async fn a_whole_address_is_used_only_where_that_is_allowed() {
    let folder = folder(&[("a/1.0.0", PLAIN)]);
    let uri = format!("file://{}/a/1.0.0", uri_of(&folder));
    let error = title(&loader(&[uri_of(&folder)], |_| {}), &uri)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Absolute schema URIs are not allowed but event schema_uri is {uri}")
    );
    let loader = loader(&[], |config| config.allow_absolute_uris = true);
    assert_eq!(title(&loader, &uri).await.unwrap(), "plain");
    assert!(title(&loader, "/a/1.0.0").await.is_err());
}

#[tokio::test]
async fn references_load_other_documents() {
    let folder = folder(&[
        (
            "event/1.0.0",
            "$id: /event/1.0.0\nallOf: [{$ref: /fragment/a/1.0.0#}]",
        ),
        (
            "fragment/a/1.0.0",
            "$id: /fragment/a/1.0.0\nproperties: {b: {$ref: ../b/1.0.0}}",
        ),
        ("fragment/b/1.0.0", "type: string"),
        ("broken/1.0.0", "$ref: /none/1.0.0"),
        ("invalid/1.0.0", "type: sting"),
    ]);
    let loader = loader(&[uri_of(&folder)], |_| {});
    let schema = loader.load("/event/1.0.0").await.unwrap();
    let json = super::super::Json::parse(r#"{"b":1}"#).unwrap();
    assert!(!schema.validate(json.root(), 10).is_valid());
    let error = title(&loader, "/broken/1.0.0").await.unwrap_err();
    assert_eq!(error.to_string(), "Failed loading schema at /none/1.0.0");
    let error = title(&loader, "/invalid/1.0.0").await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("schema is invalid: data.type should be"),
        "{error}"
    );
}

/// Every document of an HTTP server, which counts its requests.
async fn serve(status: StatusCode, body: &'static str) -> (String, Arc<AtomicU32>) {
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    let handler = move |Path(path): Path<String>| async move {
        counted.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if path.starts_with("hang") {
            std::future::pending::<()>().await;
        }
        (status, body)
    };
    let router = Router::new().route("/schemas/{*path}", get(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/schemas", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, requests)
}

#[tokio::test]
async fn all_that_wait_for_a_schema_share_one_request() {
    let (base, requests) = serve(StatusCode::OK, PLAIN).await;
    let loader = loader(&[base], |_| {});
    let loads = (0..200).map(|_| loader.load("/a/1.0.0"));
    for schema in futures_util::future::join_all(loads).await {
        assert_eq!(schema.unwrap().document()["title"], "plain");
    }
    loader.load("/a/1.0.0").await.unwrap();
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_missing_schema_is_remembered_and_a_server_error_is_not() {
    for (status, count) in [(StatusCode::NOT_FOUND, 1), (StatusCode::BAD_GATEWAY, 2)] {
        let (base, requests) = serve(status, "").await;
        let loader = loader(&[base], |_| {});
        let loads = (0..20).map(|_| loader.load("/a/1.0.0"));
        for result in futures_util::future::join_all(loads).await {
            assert_eq!(result.unwrap_err().is_temporary(), count == 2);
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{status}");
        assert!(loader.load("/a/1.0.0").await.is_err());
        assert_eq!(requests.load(Ordering::SeqCst), count, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_floods_is_given_up() {
    let (base, _) = serve(StatusCode::OK, PLAIN).await;
    let hanging = loader(&[base], |config| {
        config.fetch_timeout = Duration::from_millis(50);
    });
    let error = hanging.load("/hang/1.0.0").await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let flood: &str = Box::leak(
        " ".repeat(crate::limits::SCHEMA_BYTES_MAX + 1)
            .into_boxed_str(),
    );
    let (base, _) = serve(StatusCode::OK, flood).await;
    let error = loader(&[base], |_| {}).load("/a/1.0.0").await.unwrap_err();
    assert_eq!(reasons(&error), ["the document is too large"]);
}

#[tokio::test]
async fn a_url_stays_below_its_base() {
    let (base, requests) = serve(StatusCode::OK, PLAIN).await;
    let below = loader(&[format!("{base}/below")], |_| {});
    for uri in ["/../a", "/%2e%2e/a", "/x/../../a"] {
        assert_eq!(
            reasons(&below.load(uri).await.unwrap_err()),
            ["the URI leads out of the base"]
        );
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    assert!(below.load("/x/../a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn latest_and_failures_are_kept_for_their_time() {
    let folder = folder(&[("a/latest", "title: one"), ("a/1.0.0", "title: one")]);
    let loader = loader(&[uri_of(&folder)], |_| {});
    for uri in ["/a/latest", "/a/1.0.0"] {
        assert_eq!(title(&loader, uri).await.unwrap(), "one");
        fs::write(folder.path().join(&uri[1..]), "title: two").unwrap();
    }
    assert!(title(&loader, "/b/1.0.0").await.is_err());
    fs::create_dir(folder.path().join("b")).unwrap();
    fs::write(folder.path().join("b/1.0.0"), "title: b").unwrap();
    assert_eq!(title(&loader, "/a/latest").await.unwrap(), "one");
    assert!(title(&loader, "/b/1.0.0").await.is_err());
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(title(&loader, "/a/latest").await.unwrap(), "two");
    assert_eq!(title(&loader, "/a/1.0.0").await.unwrap(), "one");
    assert_eq!(title(&loader, "/b/1.0.0").await.unwrap(), "b");
}

#[tokio::test]
async fn only_so_many_schemas_are_kept() {
    let folder = folder(&[("a", PLAIN)]);
    let loader = loader(&[uri_of(&folder)], |config| config.capacity = 10);
    for number in 0..1000 {
        _ = loader.load(&format!("/{number}")).await;
    }
    assert!(loader.schemas.len() <= 10);
    assert_eq!(title(&loader, "/a").await.unwrap(), "plain");
}

#[tokio::test]
async fn a_load_that_is_cancelled_leaves_no_one_waiting() {
    let (base, requests) = serve(StatusCode::OK, PLAIN).await;
    let loader = loader(&[base], |config| {
        config.fetch_timeout = Duration::from_secs(1);
    });
    let is_requested = async {
        while requests.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let first = async {
        tokio::select! {
            _ = loader.load("/hang") => {}
            () = is_requested => {}
        }
    };
    let ((), second) = tokio::join!(first, loader.load("/hang"));
    assert!(second.unwrap_err().is_temporary());
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn a_base_that_is_no_address_is_named() {
    let config = LoaderConfig {
        base_uris: vec!["ftp://a.example/".to_owned()],
        ..LoaderConfig::default()
    };
    assert!(
        SchemaLoader::new(config)
            .unwrap_err()
            .contains("ftp://a.example/")
    );
}
