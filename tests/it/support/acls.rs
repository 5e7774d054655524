//! Denying what clients may do with a topic. librdkafka could, but rdkafka has no call for it, so these
//! are requests written by hand.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    ApiKey, CreateAclsRequest, DeleteAclsRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::admin::Cluster;
use super::deadline::within;

/// An operation on a topic, with Kafka's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fetching. Metadata, and offsets by time, are answered all the same.
    Read = 3,
    /// All that shows that the topic is there.
    Describe = 8,
}

/// Kafka's numbers for a topic, a literal name, a denial, a permission, and any and all operations.
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const ANY: i8 = 1;
const ALL: i8 = 2;

impl Cluster {
    /// Denies an operation on the topic to everybody, also to those who are connected. Admin requests are not concerned.
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
        // What nothing is said about is allowed only on a topic that nothing at all is said about.
        let acls = vec![acl(ALL, ALLOW), acl(operation as i8, DENY)];
        let answer = self
            .ask(2, &CreateAclsRequest::default().with_creations(acls))
            .await;
        for result in &answer.results {
            assert_eq!(
                result.error_code, 0,
                "CreateAcls: {:?}",
                result.error_message
            );
        }
    }

    /// Takes back what was denied on the topic.
    pub async fn allow(&self, topic: &str) {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(StrBytes::from_string(topic.to_owned())))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY);
        let answer = self
            .ask(2, &DeleteAclsRequest::default().with_filters(vec![filter]))
            .await;
        let result = &answer.filter_results[0];
        assert_eq!(
            result.error_code, 0,
            "DeleteAcls: {:?}",
            result.error_message
        );
        assert!(
            !result.matching_acls.is_empty(),
            "nothing was denied on {topic}"
        );
    }

    /// Sends one request on a connection of its own.
    async fn ask<T: Request>(&self, version: i16, request: &T) -> T::Response {
        let api = ApiKey::try_from(T::KEY).expect("a known request");
        let header = RequestHeader::default()
            .with_request_api_key(T::KEY)
            .with_request_api_version(version);
        let mut frame = Vec::new();
        header
            .encode(&mut frame, api.request_header_version(version))
            .expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let answer = within("the cluster's answer", async {
            let mut stream = TcpStream::connect(&self.brokers).await?;
            stream
                .write_u32(u32::try_from(frame.len()).expect("a small frame"))
                .await?;
            stream.write_all(&frame).await?;
            let mut answer = vec![0; stream.read_u32().await? as usize];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(answer)
        });
        let mut answer = bytes::Bytes::from(answer.await.expect("an answer"));
        ResponseHeader::decode(&mut answer, api.response_header_version(version))
            .expect("a header");
        T::Response::decode(&mut answer, version).expect("the answer")
    }
}
