//! One consumer group: the states of the classic protocol (KIP-62, KIP-345), without the wire
//! format and without waiting.
//!
//! A group is `Empty`, `Joining` (members have to join again), `Syncing` (the leader has to send
//! the assignments) or `Stable`.

use std::collections::{BTreeMap, btree_map};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::time::Instant;
use uuid::Uuid;

/// The most members of one group: the bound for a client that invents them.
const MEMBERS_MAX: usize = 1000;

/// The longest session or rebalance timeout (Apache Kafka's `group.max.session.timeout.ms`).
const TIMEOUT_MAX: Duration = Duration::from_mins(30);

/// Where a group is between two assignments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GroupState {
    #[default]
    Empty,
    Joining,
    Syncing,
    Stable,
}

/// A group. `Groups` changes its fields, and the requests of tools read them.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) state: GroupState,
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) members: BTreeMap<String, Member>,
    joining_ends: Option<Instant>,
    /// Committed positions by topic and partition.
    pub(crate) offsets: BTreeMap<(String, i32), CommittedOffset>,
}

/// What a member sends when it joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberSpec {
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// Set for a static member: after a restart it replaces its former self.
    pub(crate) instance_id: Option<String>,
    pub(crate) protocol_type: String,
    /// Assignment strategies, best first, each with the metadata for the leader.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) spec: MemberSpec,
    pub(crate) assignment: Bytes,
    /// Whether it has joined the next generation.
    has_joined: bool,
    /// Whether it waits for the leader's assignment. Like a joining member it sends no heartbeats
    /// meanwhile.
    pub(crate) is_syncing: bool,
    heard_at: Instant,
}

/// A position that a group committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// The answer to a join. Only the leader gets `members` (id, instance id, metadata).
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

impl Group {
    /// Admits a member, or admits it again; returns its id.
    pub(crate) fn admit(
        &mut self,
        member_id: &str,
        mut spec: MemberSpec,
    ) -> Result<String, ResponseError> {
        spec.session_timeout = spec.session_timeout.min(TIMEOUT_MAX);
        spec.rebalance_timeout = spec.rebalance_timeout.min(TIMEOUT_MAX);
        let mut member_id = member_id.to_owned();
        if member_id.is_empty() {
            member_id = format!("{}-{}", spec.client_id, Uuid::new_v4());
            if let Some(former) = self.instance(spec.instance_id.as_deref()) {
                self.members.remove(&former);
            }
        } else if !self.members.contains_key(&member_id) {
            return Err(ResponseError::UnknownMemberId);
        }
        let others = || {
            self.members
                .iter()
                .filter(|(id, _)| **id != member_id)
                .map(|(_, member)| &member.spec)
        };
        if others().count() >= MEMBERS_MAX {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        let in_common = |name: &str| {
            others().all(|other| other.protocols.iter().any(|(known, _)| known == name))
        };
        let fits = others().all(|other| other.protocol_type == spec.protocol_type);
        if !fits || !spec.protocols.iter().any(|(name, _)| in_common(name)) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        self.protocol_type.clone_from(&spec.protocol_type);
        let member = Member {
            spec,
            assignment: Bytes::new(),
            has_joined: true,
            is_syncing: false,
            heard_at: Instant::now(),
        };
        self.members.insert(member_id.clone(), member);
        Ok(member_id)
    }

    /// Makes all members join again, except `joiner`, which has just joined.
    pub(crate) fn start_joining(&mut self, joiner: Option<&str>) {
        if self.members.is_empty() {
            self.state = GroupState::Empty;
            self.generation += 1;
            self.leader.clear();
            self.protocol = None;
            return;
        }
        if self.state != GroupState::Joining {
            self.state = GroupState::Joining;
            for (id, member) in &mut self.members {
                member.has_joined = joiner == Some(id.as_str());
                member.is_syncing = false;
            }
            let longest = self
                .members
                .values()
                .map(|member| member.spec.rebalance_timeout)
                .max();
            self.joining_ends = longest.map(|timeout| Instant::now() + timeout);
        }
        self.finish_joining();
    }

    /// Begins the next generation when all members have joined or the rest exceeded their time.
    fn finish_joining(&mut self) {
        let now = Instant::now();
        if self.joining_ends.is_some_and(|end| end <= now) {
            self.members.retain(|_, member| member.has_joined);
            if self.members.is_empty() {
                return self.start_joining(None);
            }
        }
        if !self.members.values().all(|member| member.has_joined) {
            return;
        }
        self.state = GroupState::Syncing;
        self.generation += 1;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        let knows = |member: &Member, name: &str| {
            member.spec.protocols.iter().any(|(known, _)| known == name)
        };
        let preferred = self
            .members
            .get(&self.leader)
            .map(|leader| &leader.spec.protocols[..])
            .unwrap_or_default();
        let common = preferred
            .iter()
            .find(|(name, _)| self.members.values().all(|member| knows(member, name)));
        self.protocol = common.map(|(name, _)| name.clone());
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            member.heard_at = now;
        }
    }

    /// Removes the members that exceeded their session timeout.
    pub(crate) fn expire(&mut self) {
        let (now, before) = (Instant::now(), self.members.len());
        let joining = self.state == GroupState::Joining;
        self.members.retain(|_, member| {
            member.is_waiting(joining) || member.heard_at + member.spec.session_timeout > now
        });
        if self.members.len() < before {
            self.start_joining(None);
        } else if joining {
            self.finish_joining();
        }
    }

    pub(crate) fn next_expiry(&self) -> Instant {
        let joining = self.state == GroupState::Joining;
        let silent = self
            .members
            .values()
            .filter(|member| !member.is_waiting(joining));
        let sessions = silent.map(|member| member.heard_at + member.spec.session_timeout);
        sessions
            .chain(self.joining_ends.filter(|_| joining))
            .min()
            .unwrap_or_else(|| Instant::now() + TIMEOUT_MAX)
    }

    /// A member of this generation; marks it as alive.
    pub(crate) fn member(
        &mut self,
        member_id: &str,
        generation: i32,
    ) -> Result<&mut Member, ResponseError> {
        let member = self
            .members
            .get_mut(member_id)
            .ok_or(ResponseError::UnknownMemberId)?;
        if generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        member.heard_at = Instant::now();
        Ok(member)
    }

    /// The id of the member with this instance id.
    pub(crate) fn instance(&self, instance_id: Option<&str>) -> Option<String> {
        let instance_id = instance_id?;
        let found = self
            .members
            .iter()
            .find(|(_, member)| member.spec.instance_id.as_deref() == Some(instance_id));
        found.map(|(id, _)| id.clone())
    }

    pub(crate) fn joined(&self, member_id: &str) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = if self.leader == member_id {
            self.members.iter()
        } else {
            btree_map::Iter::default()
        };
        let members = members.map(|(id, member)| {
            (
                id.clone(),
                member.spec.instance_id.clone(),
                member.metadata(&protocol),
            )
        });
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            leader: self.leader.clone(),
            member_id: member_id.to_owned(),
            members: members.collect(),
            protocol,
        }
    }
}

impl Member {
    /// Its metadata for this protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self
            .spec
            .protocols
            .iter()
            .find(|(name, _)| name == protocol);
        found
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    /// Whether it waits for an answer, and so cannot send heartbeats.
    fn is_waiting(&self, joining: bool) -> bool {
        self.is_syncing || (joining && self.has_joined)
    }
}
