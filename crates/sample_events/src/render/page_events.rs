//! Schemas mediawiki/page/delete, mediawiki/page/move and mediawiki/page/properties-change.

use super::{Meta, Performer, bytes};
use crate::activity::{Action, Activity};
use crate::streams::Stream;
use serde::Serialize;
use serde_json::{Map, Value};

/// What the three schemas share, and then what is each one's own.
#[derive(Debug, Serialize)]
struct PageEvent<'a, Own> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    meta: Meta<'a>,
    database: &'a str,
    performer: Performer<'a>,
    page_id: u64,
    page_title: String,
    page_namespace: i64,
    page_is_redirect: bool,
    rev_id: u64,
    #[serde(flatten)]
    own: Own,
}

#[derive(Debug, Serialize)]
struct Comments<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    comment: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    parsedcomment: &'a str,
}

#[derive(Debug, Serialize)]
struct Delete<'a> {
    rev_count: u64,
    #[serde(flatten)]
    comments: Comments<'a>,
}

#[derive(Debug, Serialize)]
struct Move<'a> {
    prior_state: PriorState,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_redirect_page: Option<NewRedirectPage>,
    #[serde(flatten)]
    comments: Comments<'a>,
}

#[derive(Debug, Serialize)]
struct PriorState {
    page_title: String,
    page_namespace: i64,
    rev_id: u64,
}

#[derive(Debug, Serialize)]
struct NewRedirectPage {
    page_id: u64,
    page_title: String,
    page_namespace: i64,
    rev_id: u64,
}

#[derive(Debug, Serialize)]
struct Properties {
    #[serde(skip_serializing_if = "Map::is_empty")]
    added_properties: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    removed_properties: Map<String, Value>,
}

/// The event of a deletion.
pub(super) fn delete(activity: &Activity, meta: Meta<'_>) -> Vec<u8> {
    let own = Delete {
        rev_count: activity.page.revisions,
        comments: comments(activity),
    };
    bytes(&page_event(activity, Stream::PageDelete, meta, own))
}

/// The event of a move; of any other action, one that says that the title stayed.
pub(super) fn rename(activity: &Activity, meta: Meta<'_>) -> Vec<u8> {
    let page = &activity.page;
    let (prior_state, new_redirect_page) = match &activity.action {
        Action::Move {
            prior,
            old_title,
            old_namespace,
            redirect,
            ..
        } => {
            let redirect = redirect.as_ref().map(|redirect| NewRedirectPage {
                page_id: redirect.id,
                page_title: redirect.key_title(),
                page_namespace: redirect.namespace,
                rev_id: redirect.head.id,
            });
            let page_title = old_title.replace(' ', "_");
            (
                PriorState {
                    page_title,
                    page_namespace: *old_namespace,
                    rev_id: prior.id,
                },
                redirect,
            )
        }
        _ => (
            PriorState {
                page_title: page.key_title(),
                page_namespace: page.namespace,
                rev_id: page.head.id,
            },
            None,
        ),
    };
    let own = Move {
        prior_state,
        new_redirect_page,
        comments: comments(activity),
    };
    bytes(&page_event(activity, Stream::PageMove, meta, own))
}

/// The event of changed page properties.
pub(super) fn properties(activity: &Activity, meta: Meta<'_>) -> Vec<u8> {
    let mut own = Properties {
        added_properties: Map::new(),
        removed_properties: Map::new(),
    };
    for (name, before, after) in &activity.properties {
        if let Some(before) = before {
            own.removed_properties
                .insert((*name).to_owned(), before.clone().into());
        }
        if let Some(after) = after {
            own.added_properties
                .insert((*name).to_owned(), after.clone().into());
        }
    }
    bytes(&page_event(
        activity,
        Stream::PagePropertiesChange,
        meta,
        own,
    ))
}

fn comments(activity: &Activity) -> Comments<'_> {
    Comments {
        comment: &activity.comment.text,
        parsedcomment: &activity.comment.parsed,
    }
}

fn page_event<'a, Own>(
    activity: &'a Activity,
    stream: Stream,
    meta: Meta<'a>,
    own: Own,
) -> PageEvent<'a, Own> {
    let page = &activity.page;
    PageEvent {
        schema: stream.schema(),
        meta,
        database: activity.wiki.database,
        performer: Performer::from(&*activity.user),
        page_id: page.id,
        page_title: page.key_title(),
        page_namespace: page.namespace,
        page_is_redirect: page.redirect.is_some(),
        rev_id: page.head.id,
        own,
    }
}
