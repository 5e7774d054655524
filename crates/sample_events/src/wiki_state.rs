//! One wiki over time: its people, the counters for ids, and the pages that recent activities
//! touched.

use crate::activity::{Action, Activity};
use crate::comments::{self, Comment};
use crate::pages::{self, Page, Revision, User};
use crate::people::People;
use crate::rng::Rng;
use crate::titles::{self, namespace};
use crate::wikis::{Project, Wiki};
use std::sync::Arc;

/// How many pages of each wiki are remembered, to be edited again, moved or deleted.
const PAGES_MAX: usize = 48;

/// One wiki over time.
#[derive(Debug)]
pub(crate) struct WikiState {
    pub(crate) wiki: &'static Wiki,
    pub(crate) people: People,
    /// The newest numbers given to a revision, page, recentchange and log entry.
    revision: u64,
    page: u64,
    change: u64,
    log: u64,
    /// Pages with recent activity.
    pages: Vec<Page>,
}

/// What may be done on a wiki.
#[derive(Clone, Copy, Debug)]
enum ActionKind {
    Edit,
    Create,
    Upload,
    Move,
    Delete,
    Log,
}

/// How often each is done, by the kind of wiki.
fn action_weights(project: Project) -> &'static [(u32, ActionKind)] {
    match project {
        Project::Wikidata => &[
            (957, ActionKind::Edit),
            (33, ActionKind::Create),
            (4, ActionKind::Delete),
            (6, ActionKind::Log),
        ],
        Project::Commons => &[
            (715, ActionKind::Edit),
            (45, ActionKind::Create),
            (180, ActionKind::Upload),
            (13, ActionKind::Move),
            (24, ActionKind::Delete),
            (23, ActionKind::Log),
        ],
        Project::Wikipedia => &[
            (862, ActionKind::Edit),
            (38, ActionKind::Create),
            (3, ActionKind::Upload),
            (12, ActionKind::Move),
            (15, ActionKind::Delete),
            (70, ActionKind::Log),
        ],
        _ => &[
            (870, ActionKind::Edit),
            (75, ActionKind::Create),
            (10, ActionKind::Move),
            (15, ActionKind::Delete),
            (30, ActionKind::Log),
        ],
    }
}

impl WikiState {
    pub(crate) fn new(rng: &mut Rng, wiki: &'static Wiki, start_ms: i64) -> Self {
        let people = People::new(rng, wiki, start_ms);
        let revision = wiki.revisions * 1000 + rng.below(1000);
        let page = wiki.pages * 1000 + rng.below(1000);
        Self {
            wiki,
            people,
            revision,
            page,
            change: revision + revision / 4,
            log: page + page / 2,
            pages: Vec::new(),
        }
    }

    /// Creates the next activity.
    pub(crate) fn next(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        match rng.pick_weighted(action_weights(self.wiki.project)) {
            ActionKind::Edit => self.edit(rng, at_ms),
            ActionKind::Create => self.create(rng, at_ms, false),
            ActionKind::Upload => self.create(rng, at_ms, true),
            ActionKind::Move => self.rename(rng, at_ms),
            ActionKind::Delete => self.delete(rng, at_ms),
            ActionKind::Log => self.log(rng, at_ms),
        }
    }

    pub(crate) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    pub(crate) fn next_page(&mut self) -> u64 {
        self.page += 1;
        self.page
    }

    pub(crate) fn next_change(&mut self) -> u64 {
        self.change += 1;
        self.change
    }

    pub(crate) fn next_log(&mut self) -> u64 {
        self.log += 1;
        self.log
    }

    /// An activity with the fields that most have in common.
    pub(crate) fn new_activity(
        &mut self,
        rng: &mut Rng,
        at_ms: i64,
        page: Page,
        user: Arc<User>,
        comment: Comment,
        action: Action,
    ) -> Activity {
        let change_id = self.next_change();
        let request_id = rng.uuid();
        let (categorized, properties) = (Vec::new(), Vec::new());
        Activity {
            wiki: self.wiki,
            at_ms,
            request_id,
            change_id,
            page,
            user,
            comment,
            action,
            categorized,
            properties,
        }
    }

    /// A page for an activity: a third of the time one with recent activity.
    pub(crate) fn take_page(&mut self, rng: &mut Rng, at_ms: i64) -> Page {
        if !self.pages.is_empty() && rng.chance(350) {
            let place = rng.index(self.pages.len());
            return self.pages.swap_remove(place);
        }
        self.old_page(rng, at_ms)
    }

    /// A page that was there before the samples began.
    fn old_page(&mut self, rng: &mut Rng, at_ms: i64) -> Page {
        let namespace = titles::pick_namespace(rng, self.wiki);
        let id = rng.between(1000, self.wiki.pages * 1000 - 1);
        let editor = self.people.author(rng, self.wiki.bots);
        let title: Arc<str> = titles::title(rng, self.wiki, namespace, id, &editor.name).into();
        let age = rng.low(self.revision / 2) + 1;
        let revision = self.revision - age;
        let first = rng.chance(100);
        let mediainfo = (namespace == namespace::FILE
            && self.wiki.project == Project::Commons
            && !first)
            .then(|| {
                let size = rng.long_tail(400, 6);
                pages::description(rng, size, revision)
            });
        let size = rng.long_tail(
            if self.wiki.project == Project::Wikidata {
                3_000
            } else {
                500
            },
            7,
        );
        let age_ms = i64::try_from(age).unwrap_or(0).saturating_mul(700);
        let head = Arc::new(Revision {
            id: revision,
            parent: if first {
                0
            } else {
                revision - rng.between(1, revision / 3)
            },
            at_ms: (at_ms - age_ms)
                .max(editor.registered_ms.unwrap_or(0))
                .min(at_ms),
            minor: false,
            main: pages::content(rng, self.wiki, namespace, size, revision),
            comment: comments::edit(
                rng,
                self.wiki,
                &title,
                mediainfo.is_some() || pages::holds_entity(self.wiki, namespace),
            ),
            mediainfo,
            editor,
        });
        let redirect = (namespace == namespace::MAIN
            && !matches!(self.wiki.project, Project::Wikidata)
            && rng.chance(30))
        .then(|| {
            let target = titles::title(rng, self.wiki, namespace, id, "");
            (target.into(), rng.between(1000, id + 1000))
        });
        Page {
            id,
            namespace,
            title,
            redirect,
            revisions: if first { 1 } else { 1 + rng.long_tail(1, 9) },
            head,
        }
    }

    /// Remembers a page, in place of another one when there are many.
    pub(crate) fn remember(&mut self, rng: &mut Rng, page: Page) {
        if self.pages.len() < PAGES_MAX {
            self.pages.push(page);
        } else {
            let place = rng.index(PAGES_MAX);
            self.pages[place] = page;
        }
    }

    pub(crate) fn holds_entity(&self, page: &Page) -> bool {
        pages::holds_entity(self.wiki, page.namespace) || page.head.mediainfo.is_some()
    }
}
