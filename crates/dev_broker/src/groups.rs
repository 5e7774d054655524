//! All consumer groups, and waiting for their other members.
//!
//! Nothing runs in the background: every call and every wait removes expired members first.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::group::{CommittedOffset, Group, GroupState, Joined, MemberSpec};

/// The most groups: the bound for a client that invents them.
const GROUPS_MAX: usize = 1000;

/// All groups of the broker.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_id: Mutex<HashMap<String, Group>>,
    changed: watch::Sender<()>,
}

impl Groups {
    /// Joins a group, or joins it again, and waits until all its members have joined or exceeded
    /// their time. A new member has an empty `member_id`.
    pub(crate) async fn join(
        &self,
        group_id: &str,
        member_id: &str,
        spec: MemberSpec,
    ) -> Result<Joined, ResponseError> {
        if group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let (member_id, before) = {
            let mut groups = self.by_id.lock();
            if groups.len() >= GROUPS_MAX && !groups.contains_key(group_id) {
                return Err(ResponseError::GroupMaxSizeReached);
            }
            let group = groups.entry(group_id.to_owned()).or_default();
            group.expire();
            let member_id = group.admit(member_id, spec)?;
            let before = group.generation;
            group.start_joining(Some(&member_id));
            (member_id, before)
        };
        self.changed.send_replace(());
        let joined = |group: &mut Group| {
            if !group.members.contains_key(&member_id) {
                return Some(Err(ResponseError::UnknownMemberId));
            }
            (group.generation > before).then(|| Ok(group.joined(&member_id)))
        };
        self.wait(group_id, joined).await
    }

    /// Takes the leader's assignments, or waits for them.
    pub(crate) async fn sync(
        &self,
        group_id: &str,
        generation: i32,
        member_id: &str,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, ResponseError> {
        {
            let mut group = self.known(group_id)?;
            let leads = group.leader == member_id;
            let member = group.member(member_id, generation)?;
            member.is_syncing = true;
            if leads && group.state == GroupState::Syncing {
                for (id, assignment) in assignments {
                    if let Some(member) = group.members.get_mut(&id) {
                        member.assignment = assignment;
                    }
                }
                group.state = GroupState::Stable;
            }
        }
        self.changed.send_replace(());
        self.wait(group_id, |group| {
            let state = group.state;
            match group.member(member_id, generation) {
                Err(ResponseError::UnknownMemberId) => Some(Err(ResponseError::UnknownMemberId)),
                Ok(member) if state == GroupState::Stable => {
                    member.is_syncing = false;
                    Some(Ok(member.assignment.clone()))
                }
                Ok(_) if state == GroupState::Syncing => None,
                _ => Some(Err(ResponseError::RebalanceInProgress)),
            }
        })
        .await
    }

    /// Marks a member as alive; `REBALANCE_IN_PROGRESS` makes it join again.
    pub(crate) fn heartbeat(
        &self,
        group_id: &str,
        generation: i32,
        member_id: &str,
    ) -> Result<(), ResponseError> {
        let mut group = self.known(group_id)?;
        group.member(member_id, generation)?;
        if group.state == GroupState::Joining {
            Err(ResponseError::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    /// Removes a member, named by its id or (a static one) by its instance id.
    pub(crate) fn leave(
        &self,
        group_id: &str,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let mut group = self.known(group_id)?;
        let id = group
            .instance(instance_id)
            .unwrap_or_else(|| member_id.to_owned());
        group
            .members
            .remove(&id)
            .ok_or(ResponseError::UnknownMemberId)?;
        group.start_joining(None);
        drop(group);
        self.changed.send_replace(());
        Ok(())
    }

    /// Commits offsets for a member of this generation. A negative generation is a client that is
    /// in no group.
    pub(crate) fn commit(
        &self,
        group_id: &str,
        generation: i32,
        member_id: &str,
        offsets: Vec<((String, i32), CommittedOffset)>,
    ) -> Result<(), ResponseError> {
        let mut groups = self.by_id.lock();
        if group_id.is_empty() || (groups.len() >= GROUPS_MAX && !groups.contains_key(group_id)) {
            return Err(ResponseError::InvalidGroupId);
        }
        let group = groups.entry(group_id.to_owned()).or_default();
        group.expire();
        if generation >= 0 {
            group.member(member_id, generation)?;
        } else if !group.members.is_empty() {
            return Err(ResponseError::UnknownMemberId);
        }
        group.offsets.extend(offsets);
        Ok(())
    }

    /// Forgets what groups committed for a deleted topic: a new one of that name starts at offset
    /// 0.
    pub(crate) fn forget_topic(&self, topic: &str) {
        for group in self.by_id.lock().values_mut() {
            group.offsets.retain(|(name, _), _| name != topic);
        }
    }

    /// Looks at a group.
    pub(crate) fn with<T>(&self, group_id: &str, look: impl FnOnce(&Group) -> T) -> Option<T> {
        let mut groups = self.by_id.lock();
        groups.get_mut(group_id).map(|group| {
            group.expire();
            look(group)
        })
    }

    /// The ids of all groups.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.by_id.lock().keys().cloned().collect()
    }

    /// Deletes a group that has no members.
    pub(crate) fn delete(&self, group_id: &str) -> Result<(), ResponseError> {
        let mut groups = self.by_id.lock();
        let group = groups
            .get_mut(group_id)
            .ok_or(ResponseError::GroupIdNotFound)?;
        group.expire();
        if !group.members.is_empty() {
            return Err(ResponseError::NonEmptyGroup);
        }
        groups.remove(group_id);
        Ok(())
    }

    fn known(
        &self,
        group_id: &str,
    ) -> Result<parking_lot::MappedMutexGuard<'_, Group>, ResponseError> {
        let group = MutexGuard::try_map(self.by_id.lock(), |groups| groups.get_mut(group_id));
        let mut group = group.map_err(|_| ResponseError::UnknownMemberId)?;
        group.expire();
        Ok(group)
    }

    /// Waits until `done` has an answer; looks at the group now and after each change.
    async fn wait<T>(
        &self,
        group_id: &str,
        mut done: impl FnMut(&mut Group) -> Option<Result<T, ResponseError>>,
    ) -> Result<T, ResponseError> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.mark_unchanged();
            let next_expiry = {
                let mut group = self.known(group_id)?;
                if let Some(answer) = done(&mut group) {
                    return answer;
                }
                group.next_expiry()
            };
            // A member has expired. The next look at the group removes it, which concerns the
            // others who wait.
            if timeout_at(next_expiry, changes.changed()).await.is_err() {
                self.changed.send_replace(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(100);

    fn spec(protocol: &str, session_timeout: Duration, rebalance_timeout: Duration) -> MemberSpec {
        let protocols = vec![(protocol.to_owned(), Bytes::new())];
        MemberSpec {
            protocol_type: "consumer".to_owned(),
            protocols,
            session_timeout,
            rebalance_timeout,
            ..MemberSpec::default()
        }
    }

    #[tokio::test]
    async fn a_silent_member_is_thrown_out_and_the_others_go_on() {
        let groups = Groups::default();
        let silent = groups
            .join("g", "", spec("range", SHORT, LONG))
            .await
            .unwrap();
        let other = groups
            .join("g", "", spec("range", LONG, LONG))
            .await
            .unwrap();
        assert_eq!(
            (silent.generation, other.generation, other.members.len()),
            (1, 2, 1)
        );
        assert_eq!(
            groups.heartbeat("g", 1, &silent.member_id),
            Err(ResponseError::UnknownMemberId)
        );
    }

    #[tokio::test]
    async fn a_member_that_does_not_join_again_in_time_is_thrown_out() {
        let groups = Groups::default();
        let late = groups
            .join("g", "", spec("range", LONG, SHORT))
            .await
            .unwrap();
        let other = groups
            .join("g", "", spec("range", LONG, SHORT))
            .await
            .unwrap();
        assert_eq!((other.generation, other.members.len()), (2, 1));
        let again = groups
            .join("g", &late.member_id, spec("range", LONG, SHORT))
            .await;
        assert_eq!(again.unwrap_err(), ResponseError::UnknownMemberId);
    }

    #[tokio::test]
    async fn the_leader_hands_out_what_each_member_gets() {
        let groups = Groups::default();
        let first = groups
            .join("g", "", spec("range", LONG, LONG))
            .await
            .unwrap();
        let rejoin = async {
            // The second member's join makes the first one join again, which it learns by a
            // heartbeat.
            while groups.heartbeat("g", 1, &first.member_id).is_ok() {
                tokio::task::yield_now().await;
            }
            groups
                .join("g", &first.member_id, spec("range", LONG, LONG))
                .await
        };
        let (second, first) = tokio::join!(groups.join("g", "", spec("range", LONG, LONG)), rejoin);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(
            (first.members.len(), second.members.len(), &second.leader),
            (2, 0, &first.member_id)
        );
        let given = vec![
            (first.member_id.clone(), "1".into()),
            (second.member_id.clone(), "2".into()),
        ];
        let follower = groups.sync("g", 2, &second.member_id, Vec::new());
        let (for_second, for_first) =
            tokio::join!(follower, groups.sync("g", 2, &first.member_id, given));
        assert_eq!((for_first, for_second), (Ok("1".into()), Ok("2".into())));
        assert_eq!(
            groups.sync("g", 1, &first.member_id, Vec::new()).await,
            Err(ResponseError::IllegalGeneration)
        );
        assert_eq!(
            groups.heartbeat("g", 1, &first.member_id),
            Err(ResponseError::IllegalGeneration)
        );
        groups.leave("g", &second.member_id, None).unwrap();
        assert_eq!(
            groups.heartbeat("g", 2, &first.member_id),
            Err(ResponseError::RebalanceInProgress)
        );
    }

    #[tokio::test]
    async fn a_restarted_static_member_replaces_itself() {
        let groups = Groups::default();
        let named = || MemberSpec {
            instance_id: Some("one".to_owned()),
            ..spec("range", LONG, LONG)
        };
        let former = groups.join("g", "", named()).await.unwrap();
        let again = groups.join("g", "", named()).await.unwrap();
        assert_eq!((again.generation, again.members.len()), (2, 1));
        assert_ne!(again.member_id, former.member_id);
        groups.leave("g", "", Some("one")).unwrap();
        assert_eq!(
            groups.with("g", |group| group.state),
            Some(GroupState::Empty)
        );
    }

    #[tokio::test]
    async fn a_member_that_shares_no_protocol_with_the_others_is_refused() {
        let groups = Groups::default();
        groups
            .join("g", "", spec("range", LONG, LONG))
            .await
            .unwrap();
        let odd = groups.join("g", "", spec("other", LONG, LONG)).await;
        assert_eq!(odd.unwrap_err(), ResponseError::InconsistentGroupProtocol);
        assert_eq!(groups.delete("g"), Err(ResponseError::NonEmptyGroup));
        assert_eq!(
            groups.commit("g", -1, "", Vec::new()),
            Err(ResponseError::UnknownMemberId),
            "the group has members"
        );
    }

    #[test]
    fn what_was_committed_for_a_topic_goes_with_it() {
        let groups = Groups::default();
        let committed = CommittedOffset {
            offset: 5,
            leader_epoch: 0,
            metadata: String::new(),
        };
        let offsets = ["t", "u"].map(|topic| ((topic.to_owned(), 0), committed.clone()));
        groups.commit("g", -1, "", offsets.into()).unwrap();
        groups.forget_topic("t");
        let left = groups
            .with("g", |group| {
                group.offsets.keys().cloned().collect::<Vec<_>>()
            })
            .unwrap();
        assert_eq!(left, [("u".to_owned(), 0)]);
    }
}
