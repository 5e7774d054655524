//! A file as the Helm chart of the Node service renders it, used unchanged: the environment
//! replaces only addresses. Covers what happens in production: lists are edited, and the URL of the
//! stream configuration fails.

use std::sync::atomic::Ordering;

use rustix::process::Signal;

use crate::support::program::Program;
use crate::support::wire::Request;

mod setup;

use setup::Production;

on_both_brokers!(
    async fn the_rendered_file_starts_unchanged_and_can_be_edited(cluster: Cluster) {
        let mut production = Production::start(cluster).await;
        let [_, second, third] = production.names.clone();
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        let mut affected = production.subscribe(&second, "192.0.2.2").await;
        assert!(
            production
                .reads(&mut unaffected, 1, "12-я отдельная бригада")
                .await
                .get("performer")
                .is_none()
        );
        assert!(
            production
                .reads(&mut unaffected, 2, "Ещё не названа")
                .await
                .get("performer")
                .is_some()
        );
        assert_eq!(production.status(&third).await, 400);

        production
            .edit(&format!("- {second}"), &format!("- {third}"))
            .await;
        assert_eq!(affected.event().await.json()["type"], "stream_gone");
        assert_eq!(
            (
                production.status(&second).await,
                production.status(&third).await
            ),
            (400, 200)
        );
        production
            .edit("- 12-я отдельная бригада", "- Ещё не названа")
            .await;
        assert!(
            production
                .reads(&mut unaffected, 3, "Ещё не названа")
                .await
                .get("performer")
                .is_none()
        );
        assert!(
            production
                .reads(&mut unaffected, 4, "12-я отдельная бригада")
                .await
                .get("performer")
                .is_some()
        );
        // Only at start: the file takes effect without the URL.
        assert_eq!(production.configs.asked.load(Ordering::SeqCst), 1);

        let held = [
            production.subscribe("first", "192.0.2.3").await,
            production.subscribe("first", "192.0.2.3").await,
        ];
        let over = Request::get("/v2/stream/first")
            .header("X-Client-IP", "192.0.2.3")
            .send(production.process.address)
            .await;
        assert_eq!(over.status, 429);
        drop(held);
    }

    async fn an_unreachable_url_changes_nothing(cluster: Cluster) {
        let mut production = Production::start(cluster).await;
        let [_, second, _] = production.names.clone();
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        production.configs.serving.abort();
        production.process.signal(Signal::HUP);
        let failed = "eventstreams_config_reloads_total{reason=\"failed\"}";
        let failed_once = async || (production.process.metric(failed).await > 0).then_some(());
        crate::support::deadline::eventually("the failure to be counted", failed_once).await;
        production
            .process
            .wait_for_log("an error", |line| line["log.level"] == "error")
            .await;
        production.reads(&mut unaffected, 1, "a").await;
        assert_eq!(production.status(&second).await, 200);
        // An unreachable URL must not keep the editors of a page visible.
        production
            .edit("- 12-я отдельная бригада", "- Ещё не названа")
            .await;
        assert!(
            production
                .reads(&mut unaffected, 2, "Ещё не названа")
                .await
                .get("performer")
                .is_none()
        );
        production.edit(&format!("      - {second}\n"), "").await;
        assert_eq!(production.status(&second).await, 400);
        production.reads(&mut unaffected, 3, "a").await;
    }

    /// The URL is fetched again meanwhile, and again after the edit.
    async fn an_edit_does_not_wait_for_an_unresponsive_url(cluster: Cluster) {
        let options = "{headers: {Host: meta.wikimedia.org}, timeout: 30000}";
        let mut production =
            Production::start_with(cluster, &[("STREAM_CONFIG_URI_OPTIONS", options)]).await;
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        production.configs.now_answers_nothing();
        let before = production.configs.asked.load(Ordering::SeqCst);
        production.process.signal(Signal::HUP);
        for (edits, page) in ["Ещё не названа", "И эта"].into_iter().enumerate() {
            let asks = async || {
                (production.configs.asked.load(Ordering::SeqCst) > before + edits).then_some(())
            };
            crate::support::deadline::eventually("a request to the URL", asks).await;
            production
                .edit(
                    "- 12-я отдельная бригада",
                    &format!("- 12-я отдельная бригада\n        - {page}"),
                )
                .await;
        }
        assert_eq!(
            production
                .process
                .metric("eventstreams_config_reloads_total{reason=\"failed\"}")
                .await,
            0,
            "the request is still open"
        );
        assert!(
            production
                .reads(&mut unaffected, 1, "Ещё не названа")
                .await
                .get("performer")
                .is_none()
        );
        assert!(
            production
                .reads(&mut unaffected, 2, "И эта")
                .await
                .get("performer")
                .is_none()
        );
    }

    async fn sighup_fetches_the_url_again(cluster: Cluster) {
        let mut production = Production::start(cluster).await;
        let [first, second, third] = production.names.clone();
        let mut unaffected = production.subscribe("first", "192.0.2.1").await;
        // Allowed but not configured: planned or decommissioned.
        production
            .edit(
                &format!("- {second}\n"),
                &format!("- {third}\n      - {third}.planned\n"),
            )
            .await;
        assert_eq!(
            (
                production.status(&third).await,
                production.status(&format!("{third}.planned")).await
            ),
            (200, 410)
        );
        let mut affected = production.subscribe(&third, "192.0.2.2").await;

        production.configs.now_answers(&[&first, &second]);
        production.process.signal(Signal::HUP);
        let last = affected.event().await;
        assert_eq!(
            (last.event.as_deref(), &last.json()["type"]),
            (Some("error"), &"stream_gone".into())
        );
        assert_eq!(production.status(&third).await, 410);
        let gone = Request::get(format!("/v2/stream/{third}")).header("X-Client-IP", "192.0.2.98");
        let problem = gone.send(production.process.address).await.json().await;
        assert_eq!(
            (&problem["type"], &problem["title"]),
            (&"stream_gone".into(), &"Stream Gone".into())
        );
        production.reads(&mut unaffected, 1, "a").await;
    }

    async fn the_url_is_fetched_after_its_ttl_and_cached_for_a_start(cluster: Cluster) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kept = folder.path().join("kept.json").display().to_string();
        let more = [
            ("STREAM_CONFIG_TTL", "1"),
            ("STREAM_CONFIG_CACHE_FILE", kept.as_str()),
        ];
        let mut production = Production::start_with(cluster, &more).await;
        let [first, second, third] = production.names.clone();
        production
            .edit(&format!("- {second}"), &format!("- {third}"))
            .await;
        let mut affected = production.subscribe(&third, "192.0.2.2").await;
        production.configs.now_answers(&[&first, &second]);
        assert_eq!(affected.event().await.json()["type"], "stream_gone");

        production.configs.serving.abort();
        let env = [
            (
                "KAFKA__METADATA_BROKER_LIST",
                production.cluster.brokers.as_str(),
            ),
            ("KAFKA__SECURITY_PROTOCOL", "plaintext"),
            ("STREAM_CONFIG_URI", &production.configs.uri),
        ];
        production.process = Program::start(&production.text, &[&env[..], &more].concat()).await;
        production.process.wait_until_ready().await;
        let mut subscriber = production.subscribe("first", "192.0.2.1").await;
        production.reads(&mut subscriber, 1, "a").await;
        assert_eq!(
            production.status(&third).await,
            410,
            "as in the last response of the URL"
        );
    }
);
