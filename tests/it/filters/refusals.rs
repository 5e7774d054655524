//! Filters that are not valid, names of filters, and what a response tells about its filter.

use serde_json::Value;

use crate::support::admin::{NewRecord, unique};
use crate::support::filtered::{FilteredSubscriber, encoded};
use crate::support::numbered::{TIME, number};
use crate::support::program::{Program, stream_yaml};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

fn filtered(filter: &str) -> Request {
    Request::get(format!("/v2/stream/s?filter={}", encoded(filter)))
}

async fn refused(server: &TestServer, parameters: &str) -> (u16, String, String) {
    let request = Request::get(format!("/v2/stream/s?{parameters}"));
    let mut response = request.send(server.address).await;
    assert_ne!(response.status, 200, "{parameters}");
    let problem = response.json().await;
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (response.status, text("type"), text("detail"))
}

fn event(topic: &str, n: usize, more: &str) -> NewRecord {
    NewRecord::new(topic, 0, TIME, format!(r#"{{"n":{n}{more}}}"#))
}

on_both_brokers!(
    async fn invalid_filters_and_parameters_are_explained(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("s", &[&topic])
            .key("filters", "{humans: '!event.bot'}");
        let server = TestServer::start(&cluster, &settings).await;
        let column = "The filter is not valid, column 9: found '='";
        for (parameters, kind, detail) in [
            ("filter=event.a+%3D+1", "invalid_filter", column),
            ("filter=", "invalid_filter", "column 1"),
            (
                "filter=event.tags.all(t,t==1)",
                "invalid_filter",
                "column 12",
            ),
            ("filter=%D0%B6", "invalid_filter", "column 1"),
            ("filter=@human", "invalid_filter", "did you mean '@humans'?"),
            ("bot=maybe", "invalid_filter", "must be true or false"),
            ("wiki=enwiki,,dewiki", "invalid_filter", "an empty value"),
            ("title=*a*", "invalid_filter", "one end"),
            ("fliter=true", "invalid_query", "did you mean 'filter'?"),
            ("wikis=enwiki", "invalid_query", "did you mean 'wiki'?"),
            (
                "wiki=enwiki&wiki=dewiki",
                "invalid_query",
                "'wiki' is given twice",
            ),
            (
                "filter=true&filter=true",
                "invalid_query",
                "'filter' is given twice",
            ),
            (
                "canary=no",
                "invalid_query",
                "'canary' must be true or false",
            ),
            (
                "max_event_bytes=0",
                "invalid_query",
                "'max_event_bytes' must be",
            ),
        ] {
            let (status, found, text) = refused(&server, parameters).await;
            assert_eq!(
                (status, found.as_str()),
                (400, kind),
                "{parameters}: {text}"
            );
            assert!(text.contains(detail), "{parameters}: {text}");
        }
        let long = format!("filter={}", "true||".repeat(200) + "true");
        assert_eq!(refused(&server, &long).await.0, 400);
        let deep = format!("filter={}true{}", "(".repeat(100), ")".repeat(100));
        assert_eq!(refused(&server, &deep).await.0, 400);
    }

    /// An unknown parameter must not let the client believe that it filters: it is ignored, and the
    /// response names it. An unknown field matches nothing.
    async fn what_is_unknown_does_not_match_everything(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("s", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/s?hidebots=1&wiki=enwiki");
        let mut ignoring = FilteredSubscriber::open(&request, server.address).await;
        let header = |name: &str| ignoring.subscriber.response.header(name).map(str::to_owned);
        assert_eq!(
            header("x-eventstreams-ignored").as_deref(),
            Some("hidebots")
        );
        let filter = Some("wiki == \"enwiki\"".to_owned());
        assert_eq!(header("x-eventstreams-filter"), filter);
        let exposed = header("access-control-expose-headers").expect("it is always there");
        for name in ["x-eventstreams-ignored", "x-eventstreams-filter"] {
            assert!(exposed.split(", ").any(|one| one == name), "{exposed}");
        }
        let mut unknown = Vec::new();
        for filter in [
            "event.nope == 1 || has(event.end)",
            "event.nope != 1 || has(event.end)",
            "!(event.nope == 1) || has(event.end)",
            "event.n.nope == 1 || has(event.end)",
            "event.wiki < 1 || has(event.end)",
        ] {
            unknown.push(FilteredSubscriber::open(&filtered(filter), server.address).await);
        }
        let wiki = r#","wiki":"enwiki""#;
        cluster
            .produce_many("none", (0..5).map(|n| event(&topic, n, wiki)))
            .await;
        cluster
            .produce(event(&topic, 5, r#","end":true,"wiki":"enwiki""#))
            .await;
        for client in &mut unknown {
            assert_eq!(number(&client.event().await), 5);
        }
        assert_eq!(ignoring.data(6).await.len(), 6);
    }

    async fn a_filter_with_a_name_can_be_added_while_clients_are_connected(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("s", &[&topic]);
        let humans = settings.clone().key("filters", "{humans: '!event.bot'}");
        let server = TestServer::start(&cluster, &humans).await;
        let named = |name: &str| Request::get(format!("/v2/stream/s?filter=@{name}"));
        let mut people = FilteredSubscriber::open(&named("humans"), server.address).await;
        let echo = people.subscriber.response.header("x-eventstreams-filter");
        assert_eq!(echo, Some("!event.bot"));
        assert_eq!(named("bots").send(server.address).await.status, 400);
        let more = "{humans: '!event.bot', bots: 'event.bot'}";
        server
            .reconfigure(&settings.clone().key("filters", more))
            .await;
        let mut bots = FilteredSubscriber::open(&named("bots"), server.address).await;
        let edits = (0..4).map(|n| event(&topic, n, &format!(r#","bot":{}"#, n % 2 == 0)));
        cluster.produce_many("none", edits).await;
        for n in [0, 2] {
            assert_eq!(number(&bots.event().await), n);
            assert_eq!(number(&people.event().await), n + 1);
        }
        // An invalid one changes nothing.
        let invalid = settings.key("filters", "{humans: '!event.bot', bots: 'event.bot ='}");
        server.reconfigure_and_expect_failure(&invalid).await;
        assert_eq!(named("bots").send(server.address).await.status, 200);
    }

    async fn canary_events_are_left_out_where_the_client_or_the_operator_wants(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("s", &[&topic]);
        let open = TestServer::start(&cluster, &settings).await;
        let closed = TestServer::start(&cluster, &settings.key("canary_events", "false")).await;
        let path = "/v2/stream/s";
        let mut with = vec![Request::get(path).subscribe(open.address).await];
        let wanted = Request::get(format!("{path}?canary=true"));
        for server in [&open, &closed] {
            with.push(wanted.subscribe(server.address).await);
        }
        let without = Request::get(format!("{path}?canary=false"));
        let mut left_out = vec![
            FilteredSubscriber::open(&without, open.address).await,
            FilteredSubscriber::open(&without, closed.address).await,
            FilteredSubscriber::open(&Request::get(path), closed.address).await,
        ];
        let domain = |n: usize| match n % 3 {
            0 => r#","meta":{"domain":"canary"}"#,
            1 => r#","meta":{"domain":"en.wikipedia.org"}"#,
            _ => "",
        };
        let records = (0..9).map(|n| event(&topic, n, domain(n)));
        cluster.produce_many("none", records).await;
        for subscriber in &mut with {
            let numbers: Vec<_> = subscriber.events(9).await.iter().map(number).collect();
            assert_eq!(numbers, (0..9).collect::<Vec<_>>());
        }
        for client in &mut left_out {
            for n in [1, 2, 4, 5, 7, 8] {
                assert_eq!(number(&client.event().await), n);
            }
        }
    }

    async fn the_log_line_of_a_stream_names_its_filter(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let process = Program::start(&stream_yaml(&cluster, &topic), &[]).await;
        process.wait_until_ready().await;
        let request = Request::get("/v2/stream/s?bot=false&wiki=enwiki&max_event_bytes=5000");
        drop(FilteredSubscriber::open(&request, process.address).await);
        drop(
            Request::get("/v2/stream/s")
                .subscribe(process.address)
                .await,
        );
        let ended = |line: &Value| line["message"] == "stream ended";
        let with = process.wait_for_log("its filter", |line| {
            ended(line) && line["labels"]["filter"].is_string()
        });
        let filter = with.await["labels"]["filter"].clone();
        let expected = "bot == false && wiki == \"enwiki\" (max_event_bytes=5000)";
        assert_eq!(filter, expected);
        process
            .wait_for_log("no filter", |line| {
                ended(line) && line["labels"].get("filter").is_none()
            })
            .await;
    }
);
