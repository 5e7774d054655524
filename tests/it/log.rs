//! What the log reports about streams, and what it must not contain.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use crate::support::admin::{NewRecord, unique};
use crate::support::program::{Program, stream_yaml};
use crate::support::wire::Request;

on_both_brokers!(
    async fn the_end_of_a_stream_is_one_line_without_private_data(cluster: Cluster) {
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = stream_yaml(&cluster, &topic) + "logging: {level: trace}\n";
        for addresses_logged in ["false", "true"] {
            let process =
                Program::start(&file, &[("LOG_CLIENT_ADDRESSES", addresses_logged)]).await;
            process.wait_until_ready().await;
            let request = Request::get("/v2/stream/s")
                .header("X-Client-IP", "192.0.2.77")
                .header("User-Agent", "logged/1.0");
            let mut subscriber = request.subscribe(process.address).await;
            cluster
                .produce(NewRecord::new(&topic, 0, 1, r#"{"secret":"of an event"}"#))
                .await;
            let bytes = subscriber.event().await.end - ":ok\n\n".len();
            drop(subscriber);
            let line = process
                .wait_for_log("the stream's end", |line| line["message"] == "stream ended")
                .await;
            let labels = &line["labels"];
            assert_eq!(
                (&labels["streams"], &labels["reason"]),
                (&"s".into(), &"client_gone".into())
            );
            assert_eq!(
                (&labels["events"], &labels["bytes"], &labels["user_agent"]),
                (&1.into(), &bytes.into(), &"logged/1.0".into())
            );
            assert!(
                labels["duration_ms"]
                    .to_string()
                    .trim_matches('"')
                    .parse::<u64>()
                    .is_ok(),
                "{labels}"
            );
            assert_eq!(
                labels.get("client").map(|client| client == "192.0.2.77"),
                (addresses_logged == "true").then_some(true)
            );
            let log = process.log_text();
            assert!(
                !log.contains("of an event")
                    && (addresses_logged == "true" || !log.contains("192.0.2.77")),
                "{log}"
            );
        }
    }

    async fn a_user_agent_is_logged_up_to_a_length_in_any_script(cluster: Cluster) {
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = stream_yaml(&cluster, &topic);
        let process = Program::start(&file, &[]).await;
        process.wait_until_ready().await;
        for (sent, logged) in [
            ("Бот/1.0 (пример)".to_owned(), "Бот/1.0 (пример)".to_owned()),
            (
                format!("long {}", "ж".repeat(20_000)),
                format!("long {}", "ж".repeat(125)),
            ),
            (
                "tab\tand \u{85}control".to_owned(),
                "tab\u{fffd}and \u{fffd}control".to_owned(),
            ),
        ] {
            drop(
                Request::get("/v2/stream/s")
                    .header("User-Agent", sent)
                    .subscribe(process.address)
                    .await,
            );
            process
                .wait_for_log("the stream's end", |line| {
                    line["labels"]["user_agent"] == logged.as_str()
                })
                .await;
        }
    }

    /// A wrongly configured proxy must neither lock all clients out nor fill the log.
    async fn an_unreadable_client_address_is_logged_once(cluster: Cluster) {
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = stream_yaml(&cluster, &topic) + "client_ip_connection_limit: 9\n";
        let process = Program::start(&file, &[]).await;
        process.wait_until_ready().await;
        for address in ["unix:", "unix:", "nobody"] {
            Request::get("/v2/stream/s")
                .header("X-Client-IP", address)
                .subscribe(process.address)
                .await;
        }
        process
            .wait_for_log("the address", |line| line["labels"]["value"] == "unix:")
            .await;
        assert_eq!(
            process
                .log_text()
                .matches("the header with the client's address")
                .count(),
            1,
            "{}",
            process.log_text()
        );
    }

    /// Another program listens on IPv6 only: IPv4 is served, and the log reports that IPv6 is not.
    async fn a_port_taken_on_one_address_family_is_logged(cluster: Cluster) {
        let taken = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
        taken.set_only_v6(true).expect("an option");
        let any: SocketAddr = "[::]:0".parse().expect("an address");
        taken.bind(&any.into()).expect("a port");
        taken.listen(1).expect("it listens");
        let port = taken
            .local_addr()
            .expect("an address")
            .as_socket()
            .expect("of IP")
            .port();
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = stream_yaml(&cluster, &topic);
        let process = Program::start_on_port(port, &file, &[("INTERFACE", "all")]).await;
        let line = process
            .wait_for_log("that the port is taken", |line| {
                line["labels"]["address"] == format!("[::]:{port}")
            })
            .await;
        assert!(
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains("one address family")),
            "{line}"
        );
        let v4 = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(Request::get("/robots.txt").send(v4).await.status, 200);
    }

    async fn streams_whose_ids_would_be_too_long_are_logged_at_start(cluster: Cluster) {
        let (many, few) = (unique("eqiad.many"), unique("eqiad.few"));
        cluster.create_topic(&many, 600).await;
        cluster.create_topic(&few, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\nrequest_head_bytes_max: 8192\n\
             stream_config_defaults: {{many: {{topics: [{many}]}}, few: {{topics: [{few}]}}}}\n",
            cluster.brokers
        );
        let process = Program::start(&file, &[]).await;
        process.wait_until_ready().await;
        let line = process
            .wait_for_log("the warning", |line| line["labels"]["streams"] == "many")
            .await;
        assert!(
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains("for their ids to be accepted back")),
            "{line}"
        );
    }
);
