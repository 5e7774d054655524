//! What the log says of a stream that ends, and what it does not say.

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
            process.ready().await;
            let request = Request::get("/v2/stream/s").header("X-Client-IP", "192.0.2.77").header("User-Agent", "logged/1.0");
            let mut subscriber = request.subscribe(process.address).await;
            cluster.produce(NewRecord::new(&topic, 0, 1, r#"{"secret":"of an event"}"#)).await;
            let bytes = subscriber.event().await.end - ":ok\n\n".len();
            drop(subscriber);
            let line = process.logged("the stream's end", |line| line["message"] == "stream ended").await;
            let labels = &line["labels"];
            assert_eq!((&labels["streams"], &labels["reason"]), (&"s".into(), &"client_gone".into()));
            assert_eq!((&labels["events"], &labels["bytes"], &labels["user_agent"]), (&1.into(), &bytes.into(), &"logged/1.0".into()));
            assert!(labels["duration_ms"].to_string().trim_matches('"').parse::<u64>().is_ok(), "{labels}");
            assert_eq!(labels.get("client").map(|client| client == "192.0.2.77"), (switched_on == "true").then_some(true));
            let log = process.log_text();
            assert!(!log.contains("of an event") && (switched_on == "true" || !log.contains("192.0.2.77")), "{log}");
        }
    }
}
