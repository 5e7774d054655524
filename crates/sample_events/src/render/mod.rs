//! From one happening to the events that speak of it, a file for each schema.
//!
//! An edit is told three times, as revision-create, as `page_change` and as recentchange, with the same page, revision,
//! user, comment and request id; what else happened decides who tells it besides:
//!
//! | deed   | revision-create | page-create  | page-move, page-delete | `page_change`  | recentchange |
//! |--------|-----------------|--------------|------------------------|----------------|--------------|
//! | edit   | yes             |              |                        | edit           | edit         |
//! | create | yes             | yes          |                        | create         | new, for an upload log |
//! | move   | yes             | its redirect | page-move              | move, create   | log          |
//! | delete |                 |              | page-delete            | delete         | log          |
//! | log    |                 |              |                        |                | log          |
//!
//! and each category that the page joined or left is a recentchange of type categorize.
//!
//! * `recentchange`, `revision_create`, `page_change`, `page_events` (delete, move, properties): one schema each.
//! * `canary`: canaries of every stream, and the test stream.
//!
//! Fields stand in the order in which the producers write them.

#![allow(clippy::struct_field_names, reason = "the schemas name the fields")]

mod canary;
mod page_change;
mod page_events;
mod recentchange;
mod revision_create;

pub(super) use canary::{canary, test_event};

use super::dice::Dice;
use super::happenings::{Deed, Happening};
use super::outbox::Outbox;
use super::pages::{Page, User};
use super::streams::Stream;
use super::time;
use super::titles::in_url;
use serde::Serialize;

/// `meta` of an event.
#[derive(Debug, Serialize)]
struct Meta<'a> {
    uri: String,
    request_id: &'a str,
    id: String,
    domain: &'a str,
    stream: &'static str,
    dt: String,
}

impl<'a> Meta<'a> {
    /// The `meta` of an event about a page of that title, received at that time.
    fn new(
        happening: &'a Happening,
        title: &str,
        stream: Stream,
        dice: &mut Dice,
        at_ms: i64,
    ) -> Self {
        let domain = happening.wiki.domain;
        Self {
            uri: format!("https://{domain}/wiki/{}", in_url(title)),
            request_id: &happening.request_id,
            id: dice.uuid(),
            domain,
            stream: stream.name(),
            dt: time::milliseconds(at_ms),
        }
    }
}

/// The user as the older schemas have it.
#[derive(Debug, Serialize)]
struct Performer<'a> {
    user_text: &'a str,
    user_groups: &'static [&'static str],
    user_is_bot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_registration_dt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_edit_count: Option<u64>,
}

impl<'a> From<&'a User> for Performer<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            user_text: &user.name,
            user_groups: user.groups,
            user_is_bot: user.bot,
            user_id: user.id,
            user_registration_dt: user.registered_ms.map(time::seconds),
            user_edit_count: user.edits,
        }
    }
}

/// The event's bytes.
fn bytes(event: &impl Serialize) -> Vec<u8> {
    let mut value = Vec::with_capacity(2048);
    serde_json::to_writer(&mut value, event).expect("structs with string keys, written to memory");
    value
}

/// All events of a happening, each some moments after it, into the outbox.
pub(super) fn events(happening: &Happening, dice: &mut Dice, outbox: &mut Outbox) {
    let (stored, changed) = (outbox.moment(dice, 20, 120), outbox.moment(dice, 120, 250));
    let page = &happening.page;
    match &happening.deed {
        Deed::Edit { .. } => revision_create(
            happening,
            page,
            Stream::RevisionCreate,
            dice,
            outbox,
            stored,
        ),
        Deed::Create { .. } => {
            // One deferred update writes both: they carry the same millisecond.
            revision_create(
                happening,
                page,
                Stream::RevisionCreate,
                dice,
                outbox,
                stored,
            );
            revision_create(happening, page, Stream::PageCreate, dice, outbox, stored);
        }
        Deed::Move { redirect, .. } => {
            revision_create(
                happening,
                page,
                Stream::RevisionCreate,
                dice,
                outbox,
                stored,
            );
            page_event(happening, Stream::PageMove, dice, outbox, stored);
            if let Some(redirect) = redirect {
                revision_create(
                    happening,
                    redirect,
                    Stream::RevisionCreate,
                    dice,
                    outbox,
                    stored,
                );
                revision_create(
                    happening,
                    redirect,
                    Stream::PageCreate,
                    dice,
                    outbox,
                    stored,
                );
                page_change(happening, redirect, dice, outbox, changed);
            }
        }
        Deed::Delete { .. } => page_event(happening, Stream::PageDelete, dice, outbox, stored),
        Deed::Log { .. } => {}
    }
    if !matches!(happening.deed, Deed::Log { .. }) {
        page_change(happening, page, dice, outbox, changed);
    }
    if !happening.properties.is_empty() {
        let later = outbox.moment(dice, 250, 500);
        page_event(happening, Stream::PagePropertiesChange, dice, outbox, later);
    }
    let listed = outbox.moment(dice, 500, 800);
    let meta = Meta::new(
        happening,
        &page.title,
        Stream::Recentchange,
        dice,
        outbox.ms(listed),
    );
    outbox.put(
        Stream::Recentchange,
        listed,
        0,
        None,
        recentchange::of(happening, meta),
    );
    let mut categorized = outbox.moment(dice, 800, 950);
    for change in &happening.categorized {
        // Jobs write them one after the other, some within the same millisecond.
        categorized += if dice.chance(300) {
            0
        } else {
            outbox.moment(dice, 0, 10) - outbox.moment(dice, 0, 0)
        };
        let meta = Meta::new(
            happening,
            &change.category,
            Stream::Recentchange,
            dice,
            outbox.ms(categorized),
        );
        outbox.put(
            Stream::Recentchange,
            categorized,
            0,
            None,
            recentchange::categorize(happening, change, meta),
        );
    }
}

fn revision_create(
    happening: &Happening,
    page: &Page,
    stream: Stream,
    dice: &mut Dice,
    outbox: &mut Outbox,
    at: u64,
) {
    let meta = Meta::new(happening, &page.title, stream, dice, outbox.ms(at));
    let partition = if stream.partitions() > 1 {
        dice.below(2)
    } else {
        0
    };
    outbox.put(
        stream,
        at,
        partition,
        None,
        revision_create::of(happening, page, stream, meta),
    );
}

fn page_event(
    happening: &Happening,
    stream: Stream,
    dice: &mut Dice,
    outbox: &mut Outbox,
    at: u64,
) {
    let meta = Meta::new(
        happening,
        &happening.page.title,
        stream,
        dice,
        outbox.ms(at),
    );
    let value = match stream {
        Stream::PageDelete => page_events::delete(happening, meta),
        Stream::PageMove => page_events::rename(happening, meta),
        _ => page_events::properties(happening, meta),
    };
    outbox.put(stream, at, 0, None, value);
}

fn page_change(happening: &Happening, page: &Page, dice: &mut Dice, outbox: &mut Outbox, at: u64) {
    let meta = Meta::new(
        happening,
        &page.title,
        Stream::PageChange,
        dice,
        outbox.ms(at),
    );
    let key = page_change::key(happening.wiki.database, page.id);
    // The same page always in the same partition, so that its changes stay in order.
    outbox.put(
        Stream::PageChange,
        at,
        page.id,
        Some(key),
        page_change::of(happening, page, meta),
    );
}
