//! Membership of consumer groups: the requests that consumers send.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, RequestHeader, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Peer, code};
use crate::broker::Broker;
use crate::group::MemberSpec;

/// `JoinGroup`. A new member is admitted at once. The extra round that first assigns an id
/// (KIP-394) protects a large cluster from members that vanish; here the session timeout does.
pub(super) async fn join(
    broker: &Broker,
    peer: &Peer,
    version: i16,
    header: &RequestHeader,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let text = |text: &StrBytes| text.to_string();
    let session_timeout = milliseconds(request.session_timeout_ms);
    let spec = MemberSpec {
        client_id: header.client_id.as_ref().map(text).unwrap_or_default(),
        client_host: format!("/{}", peer.client.ip()),
        instance_id: request.group_instance_id.as_ref().map(text),
        protocol_type: text(&request.protocol_type),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| (text(&protocol.name), protocol.metadata))
            .collect(),
        session_timeout,
        // Version 0 has no timeout of its own for this.
        rebalance_timeout: if version == 0 {
            session_timeout
        } else {
            milliseconds(request.rebalance_timeout_ms)
        },
    };
    let nameless = (version < 7).then(StrBytes::new);
    match broker
        .groups
        .join(&request.group_id, &request.member_id, spec)
        .await
    {
        Ok(joined) => {
            let members = joined
                .members
                .into_iter()
                .map(|(id, instance_id, metadata)| {
                    JoinGroupResponseMember::default()
                        .with_member_id(StrBytes::from_string(id))
                        .with_group_instance_id(instance_id.map(StrBytes::from_string))
                        .with_metadata(metadata)
                });
            JoinGroupResponse::default()
                .with_generation_id(joined.generation)
                .with_protocol_type(Some(StrBytes::from_string(joined.protocol_type)))
                .with_protocol_name(Some(StrBytes::from_string(joined.protocol)))
                .with_leader(StrBytes::from_string(joined.leader))
                .with_member_id(StrBytes::from_string(joined.member_id))
                .with_members(members.collect())
        }
        Err(error) => JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(-1)
            .with_protocol_name(nameless)
            .with_member_id(request.member_id),
    }
}

fn milliseconds(count: i32) -> Duration {
    Duration::from_millis(count.max(0).unsigned_abs().into())
}

/// `SyncGroup`.
pub(super) async fn sync(broker: &Broker, request: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = request
        .assignments
        .into_iter()
        .map(|given| (given.member_id.to_string(), given.assignment))
        .collect();
    let synced = broker
        .groups
        .sync(
            &request.group_id,
            request.generation_id,
            &request.member_id,
            assignments,
        )
        .await;
    let response = SyncGroupResponse::default()
        .with_protocol_type(request.protocol_type)
        .with_protocol_name(request.protocol_name);
    match synced {
        Ok(assignment) => response.with_assignment(assignment),
        Err(error) => response.with_error_code(error.code()),
    }
}

/// `Heartbeat`.
pub(super) fn heartbeat(broker: &Broker, request: &HeartbeatRequest) -> HeartbeatResponse {
    let error = broker
        .groups
        .heartbeat(&request.group_id, request.generation_id, &request.member_id)
        .err();
    HeartbeatResponse::default().with_error_code(code(error))
}

/// `LeaveGroup`: one member, or (from version 3 on) several.
pub(super) fn leave(
    broker: &Broker,
    version: i16,
    request: &LeaveGroupRequest,
) -> LeaveGroupResponse {
    let leave = |member: &MemberIdentity| {
        let instance_id = member.group_instance_id.as_deref();
        code(
            broker
                .groups
                .leave(&request.group_id, &member.member_id, instance_id)
                .err(),
        )
    };
    if version < 3 {
        let member = MemberIdentity::default().with_member_id(request.member_id.clone());
        return LeaveGroupResponse::default().with_error_code(leave(&member));
    }
    let members = request.members.iter().map(|member| {
        MemberResponse::default()
            .with_error_code(leave(member))
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

/// `ConsumerGroupHeartbeat` (KIP-848): clients end with this error.
pub(super) fn refuse_new_protocol() -> ConsumerGroupHeartbeatResponse {
    let message = "This broker has the classic group protocol only: set group.protocol=classic.";
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
}
