//! `CreateAcls` and `DeleteAcls`, as far as tests need them: operations on a topic, by its name,
//! are denied to everybody and allowed again. Allowing everything is accepted and has no effect: on
//! Apache Kafka one must allow the other operations when one denies some.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl,
};
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::acls::ALL;
use crate::broker::Broker;

/// Kafka's numbers for a topic, a literal name, and a denial.
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

/// `CreateAcls`.
pub(super) fn create(broker: &Broker, request: CreateAclsRequest) -> CreateAclsResponse {
    let results = request
        .creations
        .into_iter()
        .map(|acl| match create_one(broker, &acl) {
            Ok(()) => AclCreationResult::default(),
            Err(error) => {
                let message = "This broker can deny operations on a topic, by its literal name, \
                           to User:* from any host.";
                AclCreationResult::default()
                    .with_error_code(error.code())
                    .with_error_message(Some(StrBytes::from_static_str(message)))
            }
        });
    let results = results.collect();
    broker.notify_changed();
    CreateAclsResponse::default().with_results(results)
}

fn create_one(broker: &Broker, acl: &AclCreation) -> Result<(), ResponseError> {
    let resource = (
        acl.resource_type,
        acl.resource_pattern_type,
        &acl.principal[..],
        &acl.host[..],
    );
    match acl.permission_type {
        _ if resource != (TOPIC, LITERAL, "User:*", "*") => Err(ResponseError::InvalidRequest),
        DENY => broker.acls.deny(&acl.resource_name, acl.operation),
        ALLOW if acl.operation == ALL => Ok(()),
        _ => Err(ResponseError::InvalidRequest),
    }
}

/// `DeleteAcls`: filters by name and operation. There is only one kind of entry, so other filters
/// are ignored.
pub(super) fn delete(broker: &Broker, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let results = request.filters.into_iter().map(|filter| {
        let taken = broker
            .acls
            .allow(filter.resource_name_filter.as_deref(), filter.operation);
        let matching = taken.into_iter().map(|(topic, operation)| {
            DeleteAclsMatchingAcl::default()
                .with_resource_type(TOPIC)
                .with_resource_name(StrBytes::from_string(topic))
                .with_pattern_type(LITERAL)
                .with_principal(StrBytes::from_static_str("User:*"))
                .with_host(StrBytes::from_static_str("*"))
                .with_operation(operation)
                .with_permission_type(DENY)
        });
        DeleteAclsFilterResult::default().with_matching_acls(matching.collect())
    });
    let results = results.collect();
    broker.notify_changed();
    DeleteAclsResponse::default().with_filter_results(results)
}
