mod groups;

use futures_util::FutureExt;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;

use super::*;
use crate::BrokerConfig;
use crate::tests::raw::{Raw, fetch_from, name, produce};
use crate::tests::{TestBroker, record};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// Sends the request in every advertised version, and checks each answer.
fn every_version<T: Request>(
    raw: &mut Raw,
    request: impl Fn(i16) -> T,
    check: impl Fn(i16, T::Response),
) {
    let (_, min, max) = APIS.iter().find(|(api, ..)| *api as i16 == T::KEY).unwrap();
    for version in *min..=*max {
        check(version, raw.ask(version, &request(version)));
    }
}

#[test]
fn produce_is_advertised_from_version_0() {
    let advertised = api_versions(None).api_keys;
    assert_eq!(advertised.len(), APIS.len());
    for (api, min, max) in APIS {
        let shown = advertised
            .iter()
            .find(|shown| shown.api_key == *api as i16)
            .unwrap();
        assert_eq!(
            shown.min_version,
            if *api == ApiKey::Produce { 0 } else { *min }
        );
        assert_eq!(shown.max_version, *max);
        let codec = api.valid_versions();
        assert!(codec.min <= *min && *max <= codec.max, "{api:?}");
    }
}

/// A broker with three records in topic `t`.
fn broker_with_records() -> TestBroker {
    let broker = TestBroker::with_partitions(1);
    broker
        .broker
        .append("t", 0, &[record(10, "a"), record(20, "b"), record(15, "c")])
        .unwrap();
    broker
}

#[test]
fn every_version_of_the_lookup_apis_is_answered() {
    let broker = broker_with_records();
    let raw = &mut Raw::connect(&broker);
    for (time, expected) in [(-1, 3), (-2, 0), (11, 1), (15, 1), (21, -1), (-3, 1)] {
        let request = |_| {
            let partition = ListOffsetsPartition::default().with_timestamp(time);
            let topic = ListOffsetsTopic::default()
                .with_name(name("t"))
                .with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_topics(vec![topic])
        };
        every_version(raw, request, |version, answer| {
            assert_eq!(
                answer.topics[0].partitions[0].offset, expected,
                "{time} in version {version}"
            );
        });
    }
    let epoch = |_| {
        let topic = OffsetForLeaderTopic::default()
            .with_topic(name("t"))
            .with_partitions(vec![OffsetForLeaderPartition::default()]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    };
    every_version(raw, epoch, |_, answer| {
        assert_eq!(answer.topics[0].partitions[0].end_offset, 3);
    });
    broker.stop();
}

#[test]
fn every_version_of_the_record_apis_is_answered() {
    let broker = broker_with_records();
    let id = broker.broker.broker.topics.get("t").unwrap().id;
    let raw = &mut Raw::connect(&broker);
    every_version(
        raw,
        |_| ApiVersionsRequest::default(),
        |_, answer| assert_eq!(answer.api_keys.len(), APIS.len()),
    );
    every_version(
        raw,
        |version| {
            let mut request = fetch_from(1);
            request.topics[0].topic_id = if version >= 13 { id } else { uuid::Uuid::nil() };
            request
        },
        |version, answer| {
            let partition = &answer.responses[0].partitions[0];
            assert_eq!(
                (
                    partition.error_code,
                    partition.high_watermark,
                    partition.last_stable_offset
                ),
                (0, 3, 3),
                "{version}"
            );
            assert!(
                partition
                    .records
                    .as_ref()
                    .is_some_and(|records| !records.is_empty()),
                "{version}"
            );
        },
    );
    let batch = crate::batch::Batch::encode(&[record(1, "v")]).unwrap();
    every_version(
        raw,
        |version| {
            let mut request = produce(1, batch.bytes().clone());
            request.topic_data[0].topic_id = if version >= 13 { id } else { uuid::Uuid::nil() };
            request
        },
        |version, answer| {
            let partition = &answer.responses[0].partition_responses[0];
            assert_eq!(
                (partition.error_code, partition.base_offset),
                (0, i64::from(version)),
                "three were there before version 3"
            );
        },
    );
    broker.stop();
}

#[test]
fn every_version_of_the_cluster_apis_is_answered() {
    let broker = TestBroker::with_partitions(2);
    let raw = &mut Raw::connect(&broker);
    let metadata = |_| {
        MetadataRequest::default().with_topics(Some(vec![
            MetadataRequestTopic::default().with_name(Some(name("t"))),
        ]))
    };
    every_version(raw, metadata, |version, answer| {
        assert_eq!(
            (
                answer.topics[0].partitions.len(),
                answer.topics[0].error_code
            ),
            (2, 0),
            "{version}"
        );
        assert_eq!(
            answer.brokers[0].port,
            i32::from(broker.broker.address().port()),
            "{version}"
        );
    });
    every_version(
        raw,
        |_| DescribeClusterRequest::default(),
        |_, answer| assert_eq!(answer.brokers.len(), 1),
    );
    let configs = |_| {
        let resource = |kind, name| {
            DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
        };
        let resources = [(2, "t"), (4, "1"), (2, "none")]
            .map(|(kind, name)| resource(kind, name).with_configuration_keys(None));
        DescribeConfigsRequest::default().with_resources(resources.into())
    };
    every_version(raw, configs, |_, answer| {
        assert!(!answer.results[0].configs.is_empty() && !answer.results[1].configs.is_empty());
        assert_eq!(
            answer.results[2].error_code,
            ResponseError::UnknownTopicOrPartition.code()
        );
    });
    let coordinator = |version| match version {
        0..4 => FindCoordinatorRequest::default().with_key(text("g")),
        _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]),
    };
    every_version(raw, coordinator, |version, answer| {
        let node = if version < 4 {
            answer.node_id
        } else {
            answer.coordinators[0].node_id
        };
        assert_eq!((node.0, answer.error_code), (1, 0));
    });
    every_version(
        raw,
        |_| InitProducerIdRequest::default().with_transactional_id(None),
        |_, answer| {
            assert!(answer.producer_id.0 >= 0 && answer.error_code == 0);
        },
    );
    broker.stop();
}

#[test]
fn every_version_of_the_topic_apis_is_answered() {
    let broker = TestBroker::with_partitions(1);
    broker.broker.append("t", 0, &[record(1, "v")]).unwrap();
    let topics = &broker.broker.broker.topics;
    let raw = &mut Raw::connect(&broker);
    let create = |_| {
        let topic = CreatableTopic::default()
            .with_name(name("new"))
            .with_num_partitions(1)
            .with_replication_factor(1);
        CreateTopicsRequest::default().with_topics(vec![topic])
    };
    every_version(raw, create, |version, answer| {
        assert_eq!(
            answer.topics[0].error_code, 0,
            "version {version}: {:?}",
            answer.topics[0].error_message
        );
        topics.delete("new").unwrap();
    });
    let grow = |version| {
        let topic = CreatePartitionsTopic::default()
            .with_name(name("t"))
            .with_count(2 + i32::from(version))
            .with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic])
    };
    every_version(raw, grow, |version, answer| {
        assert_eq!(answer.results[0].error_code, 0);
        assert_eq!(
            topics.get("t").unwrap().partitions.len(),
            2 + usize::try_from(version).unwrap()
        );
    });
    let records = |_| {
        let topic = DeleteRecordsTopic::default().with_name(name("t"));
        let partition = DeleteRecordsPartition::default().with_offset(1);
        DeleteRecordsRequest::default().with_topics(vec![topic.with_partitions(vec![partition])])
    };
    every_version(raw, records, |_, answer| {
        assert_eq!(answer.topics[0].partitions[0].low_watermark, 1);
    });
    let delete = |version| {
        topics.create("old", 1, [].into(), false).unwrap();
        if version < 6 {
            return DeleteTopicsRequest::default().with_topic_names(vec![name("old")]);
        }
        let state = DeleteTopicState::default()
            .with_name(None)
            .with_topic_id(topics.get("old").unwrap().id);
        DeleteTopicsRequest::default().with_topics(vec![state])
    };
    every_version(raw, delete, |_, answer| {
        assert_eq!(answer.responses[0].error_code, 0);
        assert!(topics.get("old").is_none());
    });
    broker.stop();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A request of any API with any body is answered, refused, or waits.
    #[test]
    fn no_frame_makes_the_broker_panic(api in 0..APIS.len(), version in 0..20_i16, body: Vec<u8>) {
        let broker = Broker::open(&BrokerConfig::default()).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let mut frame = BytesMut::new();
        frame.put_i16(APIS[api].0 as i16);
        frame.put_i16(version);
        frame.put_i32(1);
        frame.put_i16(-1);
        frame.extend_from_slice(&body);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _in_runtime = runtime.enter();
        let peer = Peer { client: address, advertised: address };
        let _ = answer(&broker, &peer, frame.freeze()).now_or_never();
    }
}
