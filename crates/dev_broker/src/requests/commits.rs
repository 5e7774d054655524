//! Committed offsets of consumer groups, and the requests of tools about groups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::code;
use crate::broker::Broker;
use crate::group::{CommittedOffset, Group, GroupState};

/// `OffsetCommit`: commits all existing partitions of a request, or none.
pub(super) fn commit(broker: &Broker, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let exists = |topic: &str, partition| broker.topics.partition(topic, partition).map(|_| ());
    let mut offsets = Vec::new();
    for topic in &request.topics {
        for partition in topic
            .partitions
            .iter()
            .filter(|partition| exists(&topic.name, partition.partition_index).is_ok())
        {
            let committed = CommittedOffset {
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition
                    .committed_metadata
                    .as_ref()
                    .map(StrBytes::to_string)
                    .unwrap_or_default(),
            };
            offsets.push((
                (topic.name.to_string(), partition.partition_index),
                committed,
            ));
        }
    }
    let done = broker.groups.commit(
        &request.group_id,
        request.generation_id_or_member_epoch,
        &request.member_id,
        offsets,
    );
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let error = done
                .and_then(|()| exists(&topic.name, partition.partition_index))
                .err();
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(error))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Committed offsets by topic, as both shapes of the answer need them.
type Committed = Vec<(TopicName, Vec<(i32, Option<CommittedOffset>)>)>;

/// `OffsetFetch`: one group, or several from version 8 on. A partition without a commit has -1.
pub(super) fn fetch(
    broker: &Broker,
    version: i16,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if version < 8 {
        let asked = request.topics.map(|topics| {
            topics
                .into_iter()
                .map(|t| (t.name, t.partition_indexes))
                .collect()
        });
        let topics =
            committed(broker, &request.group_id, asked)
                .into_iter()
                .map(|(name, partitions)| {
                    let partitions = partitions.into_iter().map(|(index, committed)| {
                        let committed = committed.unwrap_or_else(nothing_committed);
                        OffsetFetchResponsePartition::default()
                            .with_partition_index(index)
                            .with_committed_offset(committed.offset)
                            .with_committed_leader_epoch(committed.leader_epoch)
                            .with_metadata(Some(StrBytes::from_string(committed.metadata)))
                    });
                    OffsetFetchResponseTopic::default()
                        .with_name(name)
                        .with_partitions(partitions.collect())
                });
        return OffsetFetchResponse::default().with_topics(topics.collect());
    }
    let groups = request.groups.into_iter().map(|group| {
        let asked = group.topics.map(|topics| {
            topics
                .into_iter()
                .map(|t| (t.name, t.partition_indexes))
                .collect()
        });
        let topics =
            committed(broker, &group.group_id, asked)
                .into_iter()
                .map(|(name, partitions)| {
                    let partitions = partitions.into_iter().map(|(index, committed)| {
                        let committed = committed.unwrap_or_else(nothing_committed);
                        OffsetFetchResponsePartitions::default()
                            .with_partition_index(index)
                            .with_committed_offset(committed.offset)
                            .with_committed_leader_epoch(committed.leader_epoch)
                            .with_metadata(Some(StrBytes::from_string(committed.metadata)))
                    });
                    OffsetFetchResponseTopics::default()
                        .with_name(name)
                        .with_partitions(partitions.collect())
                });
        let topics = topics.collect();
        OffsetFetchResponseGroup::default()
            .with_group_id(group.group_id)
            .with_topics(topics)
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

fn nothing_committed() -> CommittedOffset {
    CommittedOffset {
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
    }
}

/// The commits of a group for the requested partitions, or for all (`None`).
fn committed(
    broker: &Broker,
    group_id: &str,
    asked: Option<Vec<(TopicName, Vec<i32>)>>,
) -> Committed {
    let offsets = broker
        .groups
        .with(group_id, |group| group.offsets.clone())
        .unwrap_or_default();
    let Some(asked) = asked else {
        let mut all: Committed = Vec::new();
        for ((topic, partition), committed) in offsets {
            let name = TopicName(StrBytes::from_string(topic));
            match all.last_mut() {
                Some((last, partitions)) if *last == name => {
                    partitions.push((partition, Some(committed)));
                }
                _ => all.push((name, vec![(partition, Some(committed))])),
            }
        }
        return all;
    };
    let look_up = |(name, partitions): (TopicName, Vec<i32>)| {
        let found = partitions.into_iter().map(|partition| {
            (
                partition,
                offsets.get(&(name.to_string(), partition)).cloned(),
            )
        });
        let found = found.collect();
        (name, found)
    };
    asked.into_iter().map(look_up).collect()
}

fn state_name(state: GroupState) -> &'static str {
    match state {
        GroupState::Empty => "Empty",
        GroupState::Joining => "PreparingRebalance",
        GroupState::Syncing => "CompletingRebalance",
        GroupState::Stable => "Stable",
    }
}

/// `ListGroups`.
pub(super) fn list_groups(broker: &Broker, request: &ListGroupsRequest) -> ListGroupsResponse {
    let picked = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|given| given.eq_ignore_ascii_case(name))
    };
    let listed = broker.groups.ids().into_iter().filter_map(|id| {
        let (state, protocol_type) = broker.groups.with(&id, |group| {
            (state_name(group.state), group.protocol_type.clone())
        })?;
        let wanted =
            picked(&request.states_filter, state) && picked(&request.types_filter, "classic");
        wanted.then(|| {
            ListedGroup::default()
                .with_group_id(GroupId(StrBytes::from_string(id)))
                .with_protocol_type(StrBytes::from_string(protocol_type))
                .with_group_state(StrBytes::from_static_str(state))
                .with_group_type(StrBytes::from_static_str("classic"))
        })
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

/// `DescribeGroups`. A group that does not exist is `Dead`; from version 6 on that is an error of
/// its own (KIP-1043).
pub(super) fn describe_groups(
    broker: &Broker,
    version: i16,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let described = request.groups.into_iter().map(|id| {
        let unknown = (version >= 6).then_some(ResponseError::GroupIdNotFound);
        let dead = || {
            DescribedGroup::default()
                .with_group_state(StrBytes::from_static_str("Dead"))
                .with_error_code(code(unknown))
        };
        broker
            .groups
            .with(&id, describe)
            .unwrap_or_else(dead)
            .with_group_id(id)
    });
    DescribeGroupsResponse::default().with_groups(described.collect())
}

fn describe(group: &Group) -> DescribedGroup {
    let protocol = group.protocol.clone().unwrap_or_default();
    let members = group.members.iter().map(|(id, member)| {
        DescribedGroupMember::default()
            .with_member_id(StrBytes::from_string(id.clone()))
            .with_group_instance_id(member.spec.instance_id.clone().map(StrBytes::from_string))
            .with_client_id(StrBytes::from_string(member.spec.client_id.clone()))
            .with_client_host(StrBytes::from_string(member.spec.client_host.clone()))
            .with_member_metadata(member.metadata(&protocol))
            .with_member_assignment(member.assignment.clone())
    });
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(state_name(group.state)))
        .with_protocol_type(StrBytes::from_string(group.protocol_type.clone()))
        .with_members(members.collect())
        .with_protocol_data(StrBytes::from_string(protocol))
}

/// `DeleteGroups`: those without members.
pub(super) fn delete_groups(broker: &Broker, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|id| {
        let error = broker.groups.delete(&id).err();
        DeletableGroupResult::default()
            .with_group_id(id)
            .with_error_code(code(error))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
