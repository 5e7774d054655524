//! What the log says of a stream that ends, and what it does not say.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use crate::support::admin::{NewRecord, unique};
use crate::support::program::Program;
use crate::support::wire::Request;

on_both_brokers! {
    async fn a_stream_that_ends_is_one_line_without_address_or_contents_unless_switched_on(cluster: Cluster) {
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\nstream_config_defaults: {{s: {{topics: [{topic}]}}}}\nlogging: {{level: trace}}\n",
            cluster.brokers
        );
        for switched_on in ["false", "true"] {
            let process = Program::start(&file, &[("LOG_CLIENT_ADDRESSES", switched_on)]).await;
            process.wait_until_ready().await;
            let request = Request::get("/v2/stream/s").header("X-Client-IP", "192.0.2.77").header("User-Agent", "logged/1.0");
            let mut subscriber = request.subscribe(process.address).await;
            cluster.produce(NewRecord::new(&topic, 0, 1, r#"{"secret":"of an event"}"#)).await;
            let bytes = subscriber.event().await.end - ":ok\n\n".len();
            drop(subscriber);
            let line = process.wait_for_log("the stream's end", |line| line["message"] == "stream ended").await;
            let labels = &line["labels"];
            assert_eq!((&labels["streams"], &labels["reason"]), (&"s".into(), &"client_gone".into()));
            assert_eq!((&labels["events"], &labels["bytes"], &labels["user_agent"]), (&1.into(), &bytes.into(), &"logged/1.0".into()));
            assert!(labels["duration_ms"].to_string().trim_matches('"').parse::<u64>().is_ok(), "{labels}");
            assert_eq!(labels.get("client").map(|client| client == "192.0.2.77"), (switched_on == "true").then_some(true));
            let log = process.log_text();
            assert!(!log.contains("of an event") && (switched_on == "true" || !log.contains("192.0.2.77")), "{log}");
        }
    }

    async fn a_user_agent_is_bounded_and_kept_whatever_its_letters(cluster: Cluster) {
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\nstream_config_defaults: {{s: {{topics: [{topic}]}}}}\n",
            cluster.brokers
        );
        let process = Program::start(&file, &[]).await;
        process.wait_until_ready().await;
        for (sent, logged) in [
            ("Бот/1.0 (пример)".to_owned(), "Бот/1.0 (пример)".to_owned()),
            (format!("long {}", "ж".repeat(20_000)), format!("long {}", "ж".repeat(125))),
            ("tab\tand \u{85}control".to_owned(), "tab\u{fffd}and \u{fffd}control".to_owned()),
        ] {
            drop(Request::get("/v2/stream/s").header("User-Agent", sent).subscribe(process.address).await);
            process.wait_for_log("the stream's end", |line| line["labels"]["user_agent"] == logged.as_str()).await;
        }
    }

    /// A proxy in front that is set up wrongly must not shut everybody out, nor fill the log.
    async fn a_client_address_that_cannot_be_read_is_logged_once(cluster: Cluster) {
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\nstream_config_defaults: {{s: {{topics: [{topic}]}}}}\n\
             client_ip_connection_limit: 9\n",
            cluster.brokers
        );
        let process = Program::start(&file, &[]).await;
        process.wait_until_ready().await;
        for address in ["unix:", "unix:", "nobody"] {
            Request::get("/v2/stream/s").header("X-Client-IP", address).subscribe(process.address).await;
        }
        process.wait_for_log("the address", |line| line["labels"]["value"] == "unix:").await;
        assert_eq!(process.log_text().matches("header of the client's address").count(), 1, "{}", process.log_text());
    }

    /// Another program listens for IPv6 alone: IPv4 is served, and it is said that IPv6 is not.
    async fn a_port_that_is_taken_on_one_address_family_is_said(cluster: Cluster) {
        let taken = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
        taken.set_only_v6(true).expect("an option");
        let any: SocketAddr = "[::]:0".parse().expect("an address");
        taken.bind(&any.into()).expect("a port");
        taken.listen(1).expect("it listens");
        let port = taken.local_addr().expect("an address").as_socket().expect("of IP").port();
        let topic = unique("eqiad.logged");
        cluster.create_topic(&topic, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\nstream_config_defaults: {{s: {{topics: [{topic}]}}}}\n",
            cluster.brokers
        );
        let process = Program::start_on_port(port, &file, &[("INTERFACE", "all")]).await;
        let line = process.wait_for_log("that the port is taken", |line| line["labels"]["address"] == format!("[::]:{port}")).await;
        assert!(line["message"].as_str().is_some_and(|message| message.contains("one address family")), "{line}");
        let v4 = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(Request::get("/robots.txt").send(v4).await.status, 200);
    }

    async fn streams_whose_ids_would_not_be_accepted_back_are_said_at_start(cluster: Cluster) {
        let (many, few) = (unique("eqiad.many"), unique("eqiad.few"));
        cluster.create_topic(&many, 600).await;
        cluster.create_topic(&few, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\nstream_config_defaults: {{many: {{topics: [{many}]}}, few: {{topics: [{few}]}}}}\n",
            cluster.brokers
        );
        let process = Program::start(&file, &[]).await;
        process.wait_until_ready().await;
        let line = process.wait_for_log("the warning", |line| line["labels"]["streams"] == "many").await;
        assert!(line["message"].as_str().is_some_and(|message| message.contains("would not be accepted back")), "{line}");
    }
}
