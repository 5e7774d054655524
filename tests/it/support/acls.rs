//! ACLs that deny an operation on a topic. rdkafka has no call for them, so the requests are
//! encoded here.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    ApiKey, CreateAclsRequest, DeleteAclsRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::admin::Cluster;
use super::deadline::{eventually, within};

/// An operation on a topic, with its number in the Kafka protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fetch records. Metadata and offsets by time stay available.
    Read = 3,
    /// See that the topic exists.
    Describe = 8,
}

/// Numbers of the Kafka protocol: a topic, a literal name, deny, allow, any operation, all
/// operations.
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const ANY: i8 = 1;
const ALL: i8 = 2;

impl Cluster {
    /// Denies the operation on the topic to every client, connected ones included. Admin requests
    /// still succeed.
    pub async fn deny(&self, topic: &str, operation: Operation) {
        let acl = |operation: i8, permission: i8| {
            AclCreation::default()
                .with_resource_type(TOPIC)
                .with_resource_name(StrBytes::from_string(topic.to_owned()))
                .with_resource_pattern_type(LITERAL)
                .with_principal(StrBytes::from_static_str("User:*"))
                .with_host(StrBytes::from_static_str("*"))
                .with_operation(operation)
                .with_permission_type(permission)
        };
        // `allow.everyone.if.no.acl.found` no longer applies to a topic that has an ACL, so all
        // else is allowed explicitly.
        let acls = vec![acl(ALL, ALLOW), acl(operation as i8, DENY)];
        let response = self
            .send(2, &CreateAclsRequest::default().with_creations(acls))
            .await;
        for result in &response.results {
            assert_eq!(
                result.error_code, 0,
                "CreateAcls: {:?}",
                result.error_message
            );
        }
        // Brokers apply ACLs a little later.
        if operation == Operation::Describe {
            eventually(format!("{topic} to be hidden"), async || {
                let described = self.describe(&[topic]).await;
                described[0].error.is_some().then_some(())
            })
            .await;
        }
    }

    /// Removes all ACLs of the topic.
    pub async fn allow(&self, topic: &str) {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(StrBytes::from_string(topic.to_owned())))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY);
        let response = self
            .send(2, &DeleteAclsRequest::default().with_filters(vec![filter]))
            .await;
        let result = &response.filter_results[0];
        assert_eq!(
            result.error_code, 0,
            "DeleteAcls: {:?}",
            result.error_message
        );
        assert!(!result.matching_acls.is_empty(), "{topic} has no ACL");
    }

    /// Sends one request on a new connection.
    async fn send<T: Request>(&self, version: i16, request: &T) -> T::Response {
        let api = ApiKey::try_from(T::KEY).expect("a known request");
        let header = RequestHeader::default()
            .with_request_api_key(T::KEY)
            .with_request_api_version(version);
        let mut frame = Vec::new();
        header
            .encode(&mut frame, api.request_header_version(version))
            .expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let response = within("the response of the cluster", async {
            let mut stream = TcpStream::connect(&self.brokers).await?;
            stream
                .write_u32(u32::try_from(frame.len()).expect("a small frame"))
                .await?;
            stream.write_all(&frame).await?;
            let mut response = vec![0; stream.read_u32().await? as usize];
            stream.read_exact(&mut response).await?;
            std::io::Result::Ok(response)
        });
        let mut response = bytes::Bytes::from(response.await.expect("a response"));
        ResponseHeader::decode(&mut response, api.response_header_version(version))
            .expect("a header");
        T::Response::decode(&mut response, version).expect("the response")
    }
}
