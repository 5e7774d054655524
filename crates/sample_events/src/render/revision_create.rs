//! Schema mediawiki/revision/create: the streams revision-create and page-create.

use super::{Meta, Performer, bytes};
use crate::activity::{Action, Activity, Restored};
use crate::pages::{Page, Revision, Slot};
use crate::streams::Stream;
use crate::time;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct RevisionCreate<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    meta: Meta<'a>,
    database: &'a str,
    page_id: u64,
    page_title: String,
    page_namespace: i64,
    rev_id: u64,
    rev_timestamp: String,
    rev_sha1: String,
    rev_minor_edit: bool,
    rev_len: u64,
    rev_content_model: &'static str,
    rev_content_format: &'static str,
    performer: Performer<'a>,
    page_is_redirect: bool,
    comment: &'a str,
    parsedcomment: &'a str,
    dt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_parent_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_content_changed: Option<bool>,
    rev_is_revert: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_revert_details: Option<RevertDetails<'a>>,
    rev_slots: Slots<'a>,
}

#[derive(Debug, Serialize)]
struct RevertDetails<'a> {
    rev_revert_method: &'static str,
    rev_is_exact_revert: bool,
    rev_reverted_revs: &'a [u64],
    rev_original_rev_id: u64,
}

#[derive(Debug, Serialize)]
struct Slots<'a> {
    main: RevisionSlot<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mediainfo: Option<RevisionSlot<'a>>,
}

#[derive(Debug, Serialize)]
struct RevisionSlot<'a> {
    rev_slot_content_model: &'static str,
    rev_slot_sha1: &'a str,
    rev_slot_size: u64,
    rev_slot_origin_rev_id: u64,
}

/// The event of the newest revision of `page`: the activity's own, or the redirect that its move
/// left behind.
pub(super) fn of(activity: &Activity, page: &Page, stream: Stream, meta: Meta<'_>) -> Vec<u8> {
    let head: &Revision = &page.head;
    let (prior, restored) = match &activity.action {
        Action::Edit { prior, restored } => (Some(prior), restored.as_ref()),
        Action::Move { prior, .. } if head.parent != 0 => (Some(prior), None),
        _ => (None, None),
    };
    let content_changed = prior.map(|prior| prior.sha1() != head.sha1());
    let dt = time::seconds(head.at_ms);
    bytes(&RevisionCreate {
        schema: stream.schema(),
        meta,
        database: activity.wiki.database,
        page_id: page.id,
        page_title: page.key_title(),
        page_namespace: page.namespace,
        rev_id: head.id,
        rev_timestamp: dt.clone(),
        rev_sha1: head.sha1(),
        rev_minor_edit: head.minor,
        rev_len: head.size(),
        rev_content_model: head.main.model,
        rev_content_format: head.main.format,
        performer: Performer::from(&*activity.user),
        page_is_redirect: page.redirect.is_some(),
        comment: &head.comment.text,
        parsedcomment: &head.comment.parsed,
        dt,
        rev_parent_id: (head.parent != 0).then_some(head.parent),
        rev_content_changed: content_changed,
        rev_is_revert: restored.is_some(),
        rev_revert_details: restored.map(RevertDetails::from),
        rev_slots: Slots {
            main: (&head.main).into(),
            mediainfo: head.mediainfo.as_ref().map(RevisionSlot::from),
        },
    })
}

impl<'a> From<&'a Restored> for RevertDetails<'a> {
    fn from(restored: &'a Restored) -> Self {
        Self {
            rev_revert_method: restored.method,
            rev_is_exact_revert: restored.method != "undo",
            rev_reverted_revs: &restored.reverted,
            rev_original_rev_id: restored.original,
        }
    }
}

impl<'a> From<&'a Slot> for RevisionSlot<'a> {
    fn from(slot: &'a Slot) -> Self {
        Self {
            rev_slot_content_model: slot.model,
            rev_slot_sha1: &slot.sha1,
            rev_slot_size: slot.size,
            rev_slot_origin_rev_id: slot.origin,
        }
    }
}
