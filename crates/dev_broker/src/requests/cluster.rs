//! Requests about the broker itself.

use std::net::SocketAddr;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::{Peer, code};
use crate::NODE_ID;
use crate::acls::DESCRIBE;
use crate::broker::Broker;
use crate::log::PartitionLog;
use crate::topics::{RETENTION_BYTES, Topic};

/// The most topics that one request may create by naming them: each copies the list of all topics.
const TOPICS_MADE_MAX: usize = 100;

/// Kinds of resources of `DescribeConfigs` (`org.apache.kafka.common.config.ConfigResource.Type`).
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

/// `Metadata`: the node, and all topics or those named (by name, or by id from version 10 on). A
/// list of all topics omits those that must not be described.
pub(super) fn metadata(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    request: MetadataRequest,
) -> MetadataResponse {
    let rights = request.include_topic_authorized_operations;
    let may_be_seen = |topic: &Arc<Topic>| broker.acls.check(&topic.name, DESCRIBE).is_ok();
    let all = || {
        let topics = broker.topics.all().into_iter().filter(may_be_seen);
        topics
            .map(|topic| topic_metadata(broker, &topic, rights))
            .collect()
    };
    let mut made = 0;
    let mut get_or_create = |name: &str| {
        broker.acls.check(name, DESCRIBE)?;
        let allowed = request.allow_auto_topic_creation && made < TOPICS_MADE_MAX;
        made += usize::from(broker.topics.get(name).is_none());
        broker.get_or_create(name, allowed)
    };
    let topics = match request.topics {
        None => all(),
        // Before version 1 there was no null, and an empty list meant all.
        Some(topics) if topics.is_empty() && version == 0 => all(),
        Some(topics) => topics
            .into_iter()
            .map(|asked| match asked.name {
                Some(name) => match get_or_create(&name) {
                    Ok(topic) => topic_metadata(broker, &topic, rights),
                    Err(error) => MetadataResponseTopic::default()
                        .with_error_code(error.code())
                        .with_name(Some(name)),
                },
                None => match broker.topics.get_by_id(asked.topic_id).filter(may_be_seen) {
                    Some(topic) => topic_metadata(broker, &topic, rights),
                    None => MetadataResponseTopic::default()
                        .with_error_code(ResponseError::UnknownTopicId.code())
                        .with_name(None)
                        .with_topic_id(asked.topic_id),
                },
            })
            .collect(),
    };
    let (host, port) = host_and_port(peer.advertised);
    MetadataResponse::default()
        .with_brokers(vec![
            MetadataResponseBroker::default()
                .with_node_id(NODE_ID.into())
                .with_host(host)
                .with_port(port),
        ])
        .with_cluster_id(Some(StrBytes::from_string(
            broker.topics.cluster_id().to_owned(),
        )))
        .with_controller_id(NODE_ID.into())
        .with_topics(topics)
}

fn topic_metadata(broker: &Broker, topic: &Topic, rights: bool) -> MetadataResponseTopic {
    let partitions = (0..)
        .zip(&topic.partitions)
        .map(|(index, log)| partition_metadata(index, &log.lock()));
    let described = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.clone()))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect());
    if rights {
        described.with_topic_authorized_operations(broker.acls.allowed(&topic.name))
    } else {
        described
    }
}

fn partition_metadata(index: i32, log: &PartitionLog) -> MetadataResponsePartition {
    let partition = MetadataResponsePartition::default()
        .with_partition_index(index)
        .with_leader_epoch(log.leader_epoch())
        .with_replica_nodes(vec![NODE_ID.into()]);
    if log.has_leader {
        partition
            .with_leader_id(NODE_ID.into())
            .with_isr_nodes(vec![NODE_ID.into()])
    } else {
        partition
            .with_error_code(ResponseError::LeaderNotAvailable.code())
            .with_leader_id((-1).into())
    }
}

/// `DescribeCluster` (KIP-700).
pub(super) fn describe_cluster(
    broker: &Broker,
    peer: &Peer,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != 1 {
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "This is a broker; it has no controller endpoint.",
            )))
            .with_endpoint_type(request.endpoint_type);
    }
    let (host, port) = host_and_port(peer.advertised);
    DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_string(broker.topics.cluster_id().to_owned()))
        .with_controller_id(NODE_ID.into())
        .with_brokers(vec![
            DescribeClusterBroker::default()
                .with_broker_id(NODE_ID.into())
                .with_host(host)
                .with_port(port),
        ])
}

/// `DescribeConfigs`: a topic's configuration, and the defaults of all topics.
pub(super) fn describe_configs(
    broker: &Broker,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let configs = match resource.resource_type {
            TOPIC_RESOURCE => broker
                .topics
                .get(&resource.resource_name)
                .map(|topic| topic_configs(broker, &topic)),
            BROKER_RESOURCE => Some(broker_configs(broker)),
            _ => return result.with_error_code(ResponseError::InvalidRequest.code()),
        };
        let Some(mut configs) = configs else {
            return result.with_error_code(ResponseError::UnknownTopicOrPartition.code());
        };
        if let Some(keys) = resource.configuration_keys {
            configs.retain(|config| keys.contains(&config.name));
        }
        result.with_configs(configs)
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn config(name: &str, value: String, source: i8) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(name.to_owned()))
        .with_value(Some(StrBytes::from_string(value)))
        .with_config_source(source)
}

fn topic_configs(broker: &Broker, topic: &Topic) -> Vec<DescribeConfigsResourceResult> {
    let defaults = [
        ("cleanup.policy", "delete".to_owned()),
        ("max.message.bytes", broker.request_bytes_max.to_string()),
        ("message.timestamp.type", "CreateTime".to_owned()),
        (RETENTION_BYTES, broker.topics.retention_bytes().to_string()),
        ("retention.ms", "-1".to_owned()),
    ];
    let unset = defaults
        .into_iter()
        .filter(|(name, _)| !topic.configs.contains_key(*name));
    let set = topic
        .configs
        .iter()
        .map(|(name, value)| config(name, value.clone(), FROM_TOPIC));
    set.chain(unset.map(|(name, value)| config(name, value, FROM_DEFAULT)))
        .collect()
}

fn broker_configs(broker: &Broker) -> Vec<DescribeConfigsResourceResult> {
    [
        (
            "auto.create.topics.enable",
            broker.auto_create_topics.to_string(),
        ),
        ("default.replication.factor", "1".to_owned()),
        (
            "log.retention.bytes",
            broker.topics.retention_bytes().to_string(),
        ),
        ("log.retention.ms", "-1".to_owned()),
        ("num.partitions", "1".to_owned()),
        (
            "socket.request.max.bytes",
            broker.request_bytes_max.to_string(),
        ),
    ]
    .into_iter()
    .map(|(name, value)| config(name, value, FROM_DEFAULT).with_read_only(true))
    .collect()
}

/// `FindCoordinator`: this node, for groups (kind 0) and transactions (kind 1).
pub(super) fn find_coordinator(
    peer: &Peer,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (host, port) = host_and_port(peer.advertised);
    let error = (!matches!(request.key_type, 0 | 1)).then_some(ResponseError::InvalidRequest);
    let message = error.map(|_| {
        StrBytes::from_static_str(
            "This broker coordinates only consumer groups and transactions: \
             it has no share groups.",
        )
    });
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_error_code(code(error))
            .with_error_message(message)
            .with_node_id(NODE_ID.into())
            .with_host(host)
            .with_port(port);
    }
    let coordinator = |key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(NODE_ID.into())
            .with_host(host.clone())
            .with_port(port)
            .with_error_code(code(error))
            .with_error_message(message.clone())
    };
    FindCoordinatorResponse::default().with_coordinators(
        request
            .coordinator_keys
            .into_iter()
            .map(coordinator)
            .collect(),
    )
}

fn host_and_port(address: SocketAddr) -> (StrBytes, i32) {
    (
        StrBytes::from_string(address.ip().to_string()),
        i32::from(address.port()),
    )
}
