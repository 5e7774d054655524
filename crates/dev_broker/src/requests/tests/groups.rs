use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};

use super::*;

/// The newest version of `JoinGroup` that the broker has.
const NEWEST_JOIN: i16 = 9;

fn join(_version: i16) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"m"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_session_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

#[test]
fn every_version_of_the_member_apis_is_answered() {
    let broker = TestBroker::with_partitions(1);
    let groups = &broker.broker.broker.groups;
    let raw = &mut Raw::connect(&broker);
    let group = || GroupId(text("g"));
    every_version(raw, join, |version, answer| {
        assert_eq!(
            (answer.error_code, answer.members.len(), &answer.leader),
            (0, 1, &answer.member_id),
            "version {version}"
        );
        // The next version joins an empty group; the last one's member stays.
        if version < NEWEST_JOIN {
            groups.leave("g", &answer.member_id, None).unwrap();
        }
    });
    let member = groups
        .with("g", |group| group.members.keys().next().cloned())
        .flatten()
        .unwrap();
    let (member, generation) = (
        StrBytes::from_string(member),
        groups.with("g", |group| group.generation).unwrap(),
    );
    let sync = |_| {
        let request = SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(generation);
        let given = sync_group_request::SyncGroupRequestAssignment::default()
            .with_member_id(member.clone());
        request
            .with_member_id(member.clone())
            .with_assignments(vec![given.with_assignment(Bytes::from_static(b"a"))])
    };
    every_version(raw, sync, |_, answer| {
        assert_eq!((answer.error_code, &answer.assignment[..]), (0, &b"a"[..]));
    });
    let beat = |_| {
        HeartbeatRequest::default()
            .with_group_id(group())
            .with_generation_id(generation)
            .with_member_id(member.clone())
    };
    every_version(raw, beat, |_, answer| assert_eq!(answer.error_code, 0));
    broker.stop();
}

#[test]
fn every_version_of_leave_group_is_answered() {
    let broker = TestBroker::with_partitions(1);
    let raw = &mut Raw::connect(&broker);
    let member = raw.ask(NEWEST_JOIN, &join(NEWEST_JOIN)).member_id;
    let group = || GroupId(text("g"));
    let leave = |version| {
        if version < 3 {
            return LeaveGroupRequest::default()
                .with_group_id(group())
                .with_member_id(member.clone());
        }
        let member = MemberIdentity::default().with_member_id(member.clone());
        LeaveGroupRequest::default()
            .with_group_id(group())
            .with_members(vec![member])
    };
    every_version(raw, leave, |version, answer| {
        let error = if version < 3 {
            answer.error_code
        } else {
            answer.members[0].error_code
        };
        let expected = match version {
            0 => 0,
            _ => ResponseError::UnknownMemberId.code(),
        };
        assert_eq!(error, expected, "a member can leave once");
    });
    broker.stop();
}

#[test]
fn every_version_of_the_group_commit_apis_is_answered() {
    let broker = TestBroker::with_partitions(1);
    let raw = &mut Raw::connect(&broker);
    let group = || GroupId(text("g"));
    let commit = |version: i16| {
        let partition =
            OffsetCommitRequestPartition::default().with_committed_offset(version.into());
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default().with_group_id(group());
        request.with_topics(vec![topic])
    };
    every_version(raw, commit, |_, answer| {
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    });
    let fetch = |version| {
        if version < 8 {
            let topic = OffsetFetchRequestTopic::default()
                .with_name(name("t"))
                .with_partition_indexes(vec![0]);
            return OffsetFetchRequest::default()
                .with_group_id(group())
                .with_topics(Some(vec![topic]));
        }
        let topic = OffsetFetchRequestTopics::default()
            .with_name(name("t"))
            .with_partition_indexes(vec![0]);
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group())
            .with_topics(Some(vec![topic]));
        OffsetFetchRequest::default().with_groups(vec![asked])
    };
    every_version(raw, fetch, |version, answer| {
        let offset = match version {
            0..8 => answer.topics[0].partitions[0].committed_offset,
            _ => answer.groups[0].topics[0].partitions[0].committed_offset,
        };
        assert_eq!(offset, 9, "the newest version committed last");
    });
    broker.stop();
}

#[test]
fn every_version_of_the_group_tool_apis_is_answered() {
    let broker = TestBroker::with_partitions(1);
    let groups = &broker.broker.broker.groups;
    groups.commit("g", -1, "", Vec::new()).unwrap();
    let raw = &mut Raw::connect(&broker);
    let group = || GroupId(text("g"));
    every_version(
        raw,
        |_| ListGroupsRequest::default(),
        |_, answer| assert_eq!(answer.groups.len(), 1),
    );
    every_version(
        raw,
        |_| DescribeGroupsRequest::default().with_groups(vec![group()]),
        |_, answer| {
            assert_eq!(
                (
                    &answer.groups[0].group_state[..],
                    answer.groups[0].members.len()
                ),
                ("Empty", 0)
            );
        },
    );
    every_version(
        raw,
        |_| DeleteGroupsRequest::default().with_groups_names(vec![group()]),
        |version, answer| {
            let expected = if version == 0 {
                0
            } else {
                ResponseError::GroupIdNotFound.code()
            };
            assert_eq!(answer.results[0].error_code, expected);
        },
    );
    broker.stop();
}
