//! librdkafka's statistics as samples, with the names of node-rdkafka-prometheus, which the Node
//! service uses.
//!
//! Values of producers are omitted, and so are sums: Prometheus reserves `_sum` for histograms.

use rdkafka::Statistics;
use rdkafka::statistics::{Broker, Partition, Window};

use crate::telemetry::metrics::Sample;

/// Name, help, and how to get the value.
type Row<T> = (&'static str, &'static str, fn(&T) -> i64);

const CLIENT: &[Row<Statistics>] = &[
    (
        "rdkafka_ts",
        "librdkafka's internal monotonic clock (microseconds)",
        |client| client.ts,
    ),
    (
        "rdkafka_time",
        "Wall clock time in seconds since the epoch",
        |client| client.time,
    ),
    (
        "rdkafka_replyq",
        "Number of ops waiting in queue for the application",
        |client| client.replyq,
    ),
    (
        "rdkafka_msg_cnt",
        "Current number of messages in instance queues",
        |client| saturating(client.msg_cnt),
    ),
    (
        "rdkafka_msg_size",
        "Current total size of messages in instance queues",
        |client| saturating(client.msg_size),
    ),
    (
        "rdkafka_simple_cnt",
        "Internal tracking of legacy vs new consumer API state",
        |client| client.simple_cnt,
    ),
    (
        "rdkafka_metadata_cache_cnt",
        "Number of topics in the metadata cache",
        |client| client.metadata_cache_cnt,
    ),
];

const BROKER: &[Row<Broker>] = &[
    (
        "rdkafka_broker_state",
        "Broker state (0 = INIT, 1 = DOWN, 2 = CONNECT, 3 = AUTH, 4 = UP, 5 = UPDATE, \
         6 = APIVERSION_QUERY, 7 = AUTH_HANDSHAKE; -1 = another)",
        |broker| state_number(&broker.state, &BROKER_STATES),
    ),
    (
        "rdkafka_broker_stateage",
        "Time since last broker state change (microseconds)",
        |broker| broker.stateage,
    ),
    (
        "rdkafka_broker_outbuf_cnt",
        "Number of requests awaiting transmission to broker",
        |broker| broker.outbuf_cnt,
    ),
    (
        "rdkafka_broker_waitresp_cnt",
        "Number of requests in flight to broker awaiting response",
        |broker| broker.waitresp_cnt,
    ),
    (
        "rdkafka_broker_tx",
        "Number of requests sent since the client's start",
        |broker| saturating(broker.tx),
    ),
    (
        "rdkafka_broker_txbytes",
        "Number of bytes sent since the client's start",
        |broker| saturating(broker.txbytes),
    ),
    (
        "rdkafka_broker_txerrs",
        "Number of transmission errors since the client's start",
        |broker| saturating(broker.txerrs),
    ),
    (
        "rdkafka_broker_txretries",
        "Number of request retries since the client's start",
        |broker| saturating(broker.txretries),
    ),
    (
        "rdkafka_broker_req_timeouts",
        "Number of requests timed out since the client's start",
        |broker| saturating(broker.req_timeouts),
    ),
    (
        "rdkafka_broker_rx",
        "Number of responses received since the client's start",
        |broker| saturating(broker.rx),
    ),
    (
        "rdkafka_broker_rxbytes",
        "Number of bytes received since the client's start",
        |broker| saturating(broker.rxbytes),
    ),
    (
        "rdkafka_broker_rxerrs",
        "Number of receive errors since the client's start",
        |broker| saturating(broker.rxerrs),
    ),
    (
        "rdkafka_broker_rxcorriderrs",
        "Number of unmatched correlation ids in responses since the client's start",
        |broker| saturating(broker.rxcorriderrs),
    ),
    (
        "rdkafka_broker_rxpartial",
        "Number of partial message sets received since the client's start",
        |broker| saturating(broker.rxpartial),
    ),
    (
        "rdkafka_broker_zbuf_grow",
        "Number of decompression buffer size increases",
        |broker| saturating(broker.zbuf_grow),
    ),
    (
        "rdkafka_broker_buf_grow",
        "Number of buffer size increases",
        |broker| saturating(broker.buf_grow),
    ),
    (
        "rdkafka_broker_wakeups",
        "Broker thread poll wakeups",
        |broker| saturating(broker.wakeups.unwrap_or(0)),
    ),
    (
        "rdkafka_broker_rtt_min",
        "Round-trip time in microseconds (smallest value)",
        |broker| window_value(broker.rtt.as_ref(), |window| window.min),
    ),
    (
        "rdkafka_broker_rtt_max",
        "Round-trip time in microseconds (largest value)",
        |broker| window_value(broker.rtt.as_ref(), |window| window.max),
    ),
    (
        "rdkafka_broker_rtt_avg",
        "Round-trip time in microseconds (average value)",
        |broker| window_value(broker.rtt.as_ref(), |window| window.avg),
    ),
    (
        "rdkafka_broker_rtt_cnt",
        "Round-trip time (number of value samples)",
        |broker| window_value(broker.rtt.as_ref(), |window| window.cnt),
    ),
    (
        "rdkafka_broker_throttle_min",
        "Throttling in milliseconds (smallest value)",
        |broker| window_value(broker.throttle.as_ref(), |window| window.min),
    ),
    (
        "rdkafka_broker_throttle_max",
        "Throttling in milliseconds (largest value)",
        |broker| window_value(broker.throttle.as_ref(), |window| window.max),
    ),
    (
        "rdkafka_broker_throttle_avg",
        "Throttling in milliseconds (average value)",
        |broker| window_value(broker.throttle.as_ref(), |window| window.avg),
    ),
    (
        "rdkafka_broker_throttle_cnt",
        "Throttling (number of value samples)",
        |broker| window_value(broker.throttle.as_ref(), |window| window.cnt),
    ),
];

const PARTITION: &[Row<Partition>] = &[
    (
        "rdkafka_topic_partition_leader",
        "Current leader broker id",
        |partition| partition.leader.into(),
    ),
    (
        "rdkafka_topic_partition_desired",
        "Partition is desired by the application (1 = true, 0 = false)",
        |partition| partition.desired.into(),
    ),
    (
        "rdkafka_topic_partition_unknown",
        "Partition is not seen in metadata from broker (1 = true, 0 = false)",
        |partition| partition.unknown.into(),
    ),
    (
        "rdkafka_topic_partition_fetchq_cnt",
        "Number of pre-fetched messages in fetch queue",
        |partition| partition.fetchq_cnt,
    ),
    (
        "rdkafka_topic_partition_fetchq_size",
        "Bytes in fetch queue",
        |partition| saturating(partition.fetchq_size),
    ),
    (
        "rdkafka_topic_partition_fetch_state",
        "Fetch state of this partition (0 = none, 1 = stopping, 2 = stopped, 3 = offset-query, \
         4 = offset-wait, 5 = active; -1 = another)",
        |partition| state_number(&partition.fetch_state, &FETCH_STATES),
    ),
    (
        "rdkafka_topic_partition_query_offset",
        "Current or last logical offset query",
        |partition| partition.query_offset,
    ),
    (
        "rdkafka_topic_partition_next_offset",
        "Next offset to fetch",
        |partition| partition.next_offset,
    ),
    (
        "rdkafka_topic_partition_app_offset",
        "Offset of last message passed to the application",
        |partition| partition.app_offset,
    ),
    (
        "rdkafka_topic_partition_eof_offset",
        "Last offset signalled as end of partition",
        |partition| partition.eof_offset,
    ),
    (
        "rdkafka_topic_partition_lo_offset",
        "Low watermark offset on broker",
        |partition| partition.lo_offset,
    ),
    (
        "rdkafka_topic_partition_hi_offset",
        "High watermark offset on broker",
        |partition| partition.hi_offset,
    ),
    (
        "rdkafka_topic_partition_consumer_lag",
        "Difference between hi_offset and app_offset; -1 = not known",
        lag,
    ),
    (
        "rdkafka_topic_partition_msgs",
        "Number of messages received since the client's start",
        |partition| saturating(partition.msgs),
    ),
    (
        "rdkafka_topic_partition_rx_ver_drops",
        "Number of outdated messages dropped",
        |partition| saturating(partition.rx_ver_drops),
    ),
];

/// In librdkafka's order.
const BROKER_STATES: [&str; 8] = [
    "INIT",
    "DOWN",
    "CONNECT",
    "AUTH",
    "UP",
    "UPDATE",
    "APIVERSION_QUERY",
    "AUTH_HANDSHAKE",
];
const FETCH_STATES: [&str; 6] = [
    "none",
    "stopping",
    "stopped",
    "offset-query",
    "offset-wait",
    "active",
];

/// Every value of a report.
pub(super) fn samples(client: &Statistics) -> Vec<Sample> {
    let mut samples = Vec::new();
    append(CLIENT, client, &[], &mut samples);
    for broker in client.brokers.values() {
        let labels = [
            ("name", broker.name.clone()),
            ("nodeid", broker.nodeid.to_string()),
        ];
        append(BROKER, broker, &labels, &mut samples);
    }
    for topic in client.topics.values() {
        let labels = [("topic", topic.topic.clone())];
        let age: Row<i64> = (
            "rdkafka_topic_metadata_age",
            "Age of metadata from broker for this topic (milliseconds)",
            |age| *age,
        );
        append(&[age], &topic.metadata_age, &labels, &mut samples);
        // -1 is internal to librdkafka, for messages without a partition.
        for partition in topic
            .partitions
            .values()
            .filter(|partition| partition.partition >= 0)
        {
            let labels = [
                ("topic", topic.topic.clone()),
                ("partition", partition.partition.to_string()),
            ];
            append(PARTITION, partition, &labels, &mut samples);
        }
    }
    samples
}

fn append<T>(
    rows: &[Row<T>],
    source: &T,
    labels: &[(&'static str, String)],
    samples: &mut Vec<Sample>,
) {
    samples.extend(rows.iter().map(|(name, help, value)| Sample {
        name,
        help,
        labels: labels.to_vec(),
        value: value(source),
    }));
}

/// librdkafka's own `consumer_lag` relates to committed offsets, and nothing is committed.
fn lag(partition: &Partition) -> i64 {
    let known = partition.hi_offset >= 0 && partition.app_offset >= 0;
    if known {
        (partition.hi_offset - partition.app_offset).max(0)
    } else {
        -1
    }
}

fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn window_value(window: Option<&Window>, value: fn(&Window) -> i64) -> i64 {
    window.map_or(0, value)
}

fn state_number(name: &str, names: &[&str]) -> i64 {
    names
        .iter()
        .position(|known| *known == name)
        .and_then(|index| i64::try_from(index).ok())
        .unwrap_or(-1)
}
