//! Schema mediawiki/page/change: every change of a page's state, with the state before where it
//! differs.

use super::{Meta, bytes};
use crate::activity::{Action, Activity};
use crate::pages::{Page, Revision, Slot, User};
use crate::streams::Stream;
use crate::time;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
struct PageChange<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    meta: Meta<'a>,
    changelog_kind: &'static str,
    page_change_kind: &'static str,
    dt: String,
    wiki_id: &'a str,
    page: PageState,
    performer: UserState<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    comment: &'a str,
    revision: RevisionState<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prior_state: Option<PriorState<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_redirect_page: Option<PageState>,
}

#[derive(Debug, Serialize)]
struct PriorState<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PriorPage>,
    revision: RevisionState<'a>,
}

/// What of a page was different before.
#[derive(Debug, Serialize)]
struct PriorPage {
    page_title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_id: Option<i64>,
}

#[derive(Debug, Serialize)]
struct PageState {
    page_id: u64,
    page_title: String,
    namespace_id: i64,
    is_redirect: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_page_link: Option<PageLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision_count: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PageLink {
    page_id: u64,
    page_title: String,
    namespace_id: i64,
    is_redirect: bool,
}

#[derive(Debug, Serialize)]
struct UserState<'a> {
    user_text: &'a str,
    groups: &'static [&'static str],
    is_bot: bool,
    is_system: bool,
    is_temp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_dt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edit_count: Option<u64>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the schema's fields")]
struct RevisionState<'a> {
    rev_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_parent_id: Option<u64>,
    rev_dt: String,
    is_minor_edit: bool,
    rev_sha1: String,
    rev_size: u64,
    comment: &'a str,
    editor: UserState<'a>,
    is_content_visible: bool,
    is_editor_visible: bool,
    is_comment_visible: bool,
    content_slots: ContentSlots<'a>,
}

#[derive(Debug, Serialize)]
struct ContentSlots<'a> {
    main: ContentSlot<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mediainfo: Option<ContentSlot<'a>>,
}

#[derive(Debug, Serialize)]
struct ContentSlot<'a> {
    slot_role: &'static str,
    content_model: &'static str,
    content_sha1: &'a str,
    content_size: u64,
    content_format: &'static str,
    origin_rev_id: u64,
}

/// The key of a record about that page, as the stream's `message_key_fields` say.
pub(super) fn key(database: &str, page_id: u64) -> Vec<u8> {
    format!("{{\"wiki_id\":\"{database}\",\"page_id\":{page_id}}}").into_bytes()
}

/// The event of the change of `page`: the activity's own, or the redirect that its move left
/// behind.
pub(super) fn of(activity: &Activity, page: &Page, meta: Meta<'_>) -> Vec<u8> {
    let (changelog_kind, page_change_kind) = match &activity.action {
        Action::Create { .. } => ("insert", "create"),
        Action::Move { .. } if page.head.parent == 0 => ("insert", "create"),
        Action::Move { .. } => ("update", "move"),
        Action::Delete { .. } => ("delete", "delete"),
        Action::Edit { .. } | Action::Log { .. } => ("update", "edit"),
    };
    let mut state = PageState::from(page);
    if page_change_kind == "delete" {
        state.revision_count = Some(page.revisions);
    }
    let (prior_state, created_redirect_page) = match &activity.action {
        Action::Edit { prior, .. } => (
            Some(PriorState {
                page: None,
                revision: revision_state(prior),
            }),
            None,
        ),
        Action::Move {
            prior,
            old_title,
            old_namespace,
            redirect,
            ..
        } if page_change_kind == "move" => {
            let before = prior_page(page, old_title, *old_namespace);
            let redirect = redirect.as_ref().map(|redirect| PageState {
                redirect_page_link: None,
                ..PageState::from(redirect)
            });
            (
                Some(PriorState {
                    page: Some(before),
                    revision: revision_state(prior),
                }),
                redirect,
            )
        }
        _ => (None, None),
    };
    bytes(&PageChange {
        schema: Stream::PageChange.schema(),
        meta,
        changelog_kind,
        page_change_kind,
        dt: time::seconds(activity.at_ms),
        wiki_id: activity.wiki.database,
        page: state,
        performer: UserState::from(&*activity.user),
        comment: &activity.comment.text,
        revision: revision_state(&page.head),
        prior_state,
        created_redirect_page,
    })
}

fn prior_page(page: &Page, old_title: &Arc<str>, old_namespace: i64) -> PriorPage {
    let namespace_id = (old_namespace != page.namespace).then_some(old_namespace);
    PriorPage {
        page_title: old_title.replace(' ', "_"),
        namespace_id,
    }
}

impl From<&Page> for PageState {
    fn from(page: &Page) -> Self {
        let link = page.redirect.as_ref().map(|(title, page_id)| PageLink {
            page_id: *page_id,
            page_title: title.replace(' ', "_"),
            namespace_id: page.namespace,
            is_redirect: false,
        });
        Self {
            page_id: page.id,
            page_title: page.key_title(),
            namespace_id: page.namespace,
            is_redirect: page.redirect.is_some(),
            redirect_page_link: link,
            revision_count: None,
        }
    }
}

impl<'a> From<&'a User> for UserState<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            user_text: &user.name,
            groups: user.groups,
            is_bot: user.bot,
            is_system: false,
            is_temp: user.temporary,
            user_id: user.id,
            registration_dt: user.registered_ms.map(time::seconds),
            edit_count: user.edits,
        }
    }
}

fn revision_state(revision: &Revision) -> RevisionState<'_> {
    RevisionState {
        rev_id: revision.id,
        rev_parent_id: (revision.parent != 0).then_some(revision.parent),
        rev_dt: time::seconds(revision.at_ms),
        is_minor_edit: revision.minor,
        rev_sha1: revision.sha1(),
        rev_size: revision.size(),
        comment: &revision.comment.text,
        editor: UserState::from(&*revision.editor),
        is_content_visible: true,
        is_editor_visible: true,
        is_comment_visible: true,
        content_slots: ContentSlots {
            main: content_slot(&revision.main, "main"),
            mediainfo: revision
                .mediainfo
                .as_ref()
                .map(|slot| content_slot(slot, "mediainfo")),
        },
    }
}

fn content_slot<'a>(slot: &'a Slot, slot_role: &'static str) -> ContentSlot<'a> {
    ContentSlot {
        slot_role,
        content_model: slot.model,
        content_sha1: &slot.sha1,
        content_size: slot.size,
        content_format: slot.format,
        origin_rev_id: slot.origin,
    }
}
