//! The events of an activity, a file for each schema.
//!
//! An edit is in three streams, as revision-create, `page_change` and recentchange, with the same
//! page, revision, user, comment and request id. Other actions have these events:
//!
//! | action | revision-create | page-create  | own stream  | `page_change` | recentchange |
//! |--------|-----------------|--------------|-------------|---------------|--------------|
//! | edit   | yes             |              |             | edit          | edit         |
//! | create | yes             | yes          |             | create        | new (or log) |
//! | move   | yes             | its redirect | page-move   | move, create  | log          |
//! | delete |                 |              | page-delete | delete        | log          |
//! | log    |                 |              |             |               | log          |
//!
//! The recentchange of an upload is a log entry. Each category that the page joined or left is a
//! recentchange of type categorize.
//!
//! * `recentchange`, `revision_create`, `page_change`, `page_events` (delete, move, properties):
//!   one schema each.
//! * `canary`: canaries of every stream, and the test stream.
//!
//! Fields are in the order in which the producers write them.

#![expect(clippy::struct_field_names, reason = "the schemas name the fields")]

mod canary;
mod page_change;
mod page_events;
mod recentchange;
mod revision_create;

pub(crate) use canary::{canary, test_event};

use crate::activity::{Action, Activity};
use crate::pages::{Page, User};
use crate::rng::Rng;
use crate::schedule::Schedule;
use crate::streams::Stream;
use crate::time;
use crate::titles::in_url;
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
    fn new(activity: &'a Activity, title: &str, stream: Stream, rng: &mut Rng, at_ms: i64) -> Self {
        let domain = activity.wiki.domain;
        Self {
            uri: format!("https://{domain}/wiki/{}", in_url(title)),
            request_id: &activity.request_id,
            id: rng.uuid(),
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

/// Adds all events of an activity to the schedule, each some moments after it.
pub(crate) fn events(activity: &Activity, rng: &mut Rng, schedule: &mut Schedule) {
    let stored_ns = schedule.moment(rng, 20, 120);
    let changed_ns = schedule.moment(rng, 120, 250);
    let mut renderer = Renderer {
        activity,
        rng,
        schedule,
    };
    renderer.page_streams(stored_ns, changed_ns);
    renderer.recentchange();
    renderer.categorizations();
}

/// Renders the events of one activity.
struct Renderer<'a> {
    activity: &'a Activity,
    rng: &'a mut Rng,
    schedule: &'a mut Schedule,
}

impl<'a> Renderer<'a> {
    /// The events of the streams about pages and revisions.
    fn page_streams(&mut self, stored_ns: u64, changed_ns: u64) {
        let page = &self.activity.page;
        match &self.activity.action {
            Action::Edit { .. } => self.revision_create(page, Stream::RevisionCreate, stored_ns),
            Action::Create { .. } => {
                // One deferred update writes both: they carry the same millisecond.
                self.revision_create(page, Stream::RevisionCreate, stored_ns);
                self.revision_create(page, Stream::PageCreate, stored_ns);
            }
            Action::Move { redirect, .. } => {
                self.revision_create(page, Stream::RevisionCreate, stored_ns);
                self.page_event(Stream::PageMove, stored_ns);
                if let Some(redirect) = redirect {
                    self.revision_create(redirect, Stream::RevisionCreate, stored_ns);
                    self.revision_create(redirect, Stream::PageCreate, stored_ns);
                    self.page_change(redirect, changed_ns);
                }
            }
            Action::Delete { .. } => self.page_event(Stream::PageDelete, stored_ns),
            Action::Log { .. } => {}
        }
        if !matches!(self.activity.action, Action::Log { .. }) {
            self.page_change(page, changed_ns);
        }
        if !self.activity.properties.is_empty() {
            let properties_ns = self.schedule.moment(self.rng, 250, 500);
            self.page_event(Stream::PagePropertiesChange, properties_ns);
        }
    }

    fn revision_create(&mut self, page: &Page, stream: Stream, at_ns: u64) {
        let meta = self.meta(&page.title, stream, at_ns);
        let partition = if stream.partitions() > 1 {
            self.rng.below(2)
        } else {
            0
        };
        let value = revision_create::of(self.activity, page, stream, meta);
        self.schedule.add(stream, at_ns, partition, None, value);
    }

    fn page_event(&mut self, stream: Stream, at_ns: u64) {
        let activity = self.activity;
        let meta = self.meta(&activity.page.title, stream, at_ns);
        let value = match stream {
            Stream::PageDelete => page_events::delete(activity, meta),
            Stream::PageMove => page_events::rename(activity, meta),
            _ => page_events::properties(activity, meta),
        };
        self.schedule.add(stream, at_ns, 0, None, value);
    }

    fn page_change(&mut self, page: &Page, at_ns: u64) {
        let activity = self.activity;
        let meta = self.meta(&page.title, Stream::PageChange, at_ns);
        let key = page_change::key(activity.wiki.database, page.id);
        let value = page_change::of(activity, page, meta);
        // All changes of a page go to the same partition, so that they stay in order.
        self.schedule
            .add(Stream::PageChange, at_ns, page.id, Some(key), value);
    }

    fn recentchange(&mut self) {
        let at_ns = self.schedule.moment(self.rng, 500, 800);
        let meta = self.meta(&self.activity.page.title, Stream::Recentchange, at_ns);
        let value = recentchange::of(self.activity, meta);
        self.schedule
            .add(Stream::Recentchange, at_ns, 0, None, value);
    }

    /// One recentchange event for each category that the page joined or left.
    fn categorizations(&mut self) {
        let mut at_ns = self.schedule.moment(self.rng, 800, 950);
        for change in &self.activity.categorized {
            // Jobs write them one after the other, some within the same millisecond.
            at_ns += if self.rng.chance(300) {
                0
            } else {
                self.schedule.moment(self.rng, 0, 10) - self.schedule.moment(self.rng, 0, 0)
            };
            let meta = self.meta(&change.category, Stream::Recentchange, at_ns);
            let value = recentchange::categorize(self.activity, change, meta);
            self.schedule
                .add(Stream::Recentchange, at_ns, 0, None, value);
        }
    }

    /// The `meta` of an event about a page with this title.
    fn meta(&mut self, title: &str, stream: Stream, at_ns: u64) -> Meta<'a> {
        let received_ms = self.schedule.ms(at_ns);
        Meta::new(self.activity, title, stream, self.rng, received_ms)
    }
}
