//! What happens on a wiki: who does what to which page, with counters and pages that stay true to what came before.

use super::comments::{self, Comment};
use super::dice::Dice;
use super::happenings::{Categorized, Deed, Happening, Restored};
use super::pages::{self, Page, Revision, User};
use super::people::People;
use super::titles::{self, namespace};
use super::wikis::{Project, Wiki};
use std::sync::Arc;

/// How many pages of each wiki are remembered: the ones that can be edited again, moved or deleted.
const PAGES_MAX: usize = 48;

/// One wiki as it goes along.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) wiki: &'static Wiki,
    pub(super) people: People,
    /// The newest numbers given to a revision, page, recentchange and log entry.
    revision: u64,
    page: u64,
    change: u64,
    log: u64,
    /// Pages that something happened to lately.
    pages: Vec<Page>,
}

/// What may be done on a wiki.
#[derive(Clone, Copy, Debug)]
enum Act {
    Edit,
    Create,
    Upload,
    Move,
    Delete,
    Log,
}

/// How often each is done, by the kind of wiki.
fn acts(project: Project) -> &'static [(u32, Act)] {
    match project {
        Project::Wikidata => &[
            (957, Act::Edit),
            (33, Act::Create),
            (4, Act::Delete),
            (6, Act::Log),
        ],
        Project::Commons => &[
            (715, Act::Edit),
            (45, Act::Create),
            (180, Act::Upload),
            (13, Act::Move),
            (24, Act::Delete),
            (23, Act::Log),
        ],
        Project::Wikipedia => &[
            (862, Act::Edit),
            (38, Act::Create),
            (3, Act::Upload),
            (12, Act::Move),
            (15, Act::Delete),
            (70, Act::Log),
        ],
        _ => &[
            (870, Act::Edit),
            (75, Act::Create),
            (10, Act::Move),
            (15, Act::Delete),
            (30, Act::Log),
        ],
    }
}

impl Life {
    pub(super) fn new(dice: &mut Dice, wiki: &'static Wiki, start_ms: i64) -> Self {
        let people = People::new(dice, wiki, start_ms);
        let revision = wiki.revisions * 1000 + dice.below(1000);
        let page = wiki.pages * 1000 + dice.below(1000);
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

    /// Lets the next thing happen.
    pub(super) fn next(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        match dice.pick_weighted(acts(self.wiki.project)) {
            Act::Edit => self.edit(dice, at_ms),
            Act::Create => self.create(dice, at_ms, false),
            Act::Upload => self.create(dice, at_ms, true),
            Act::Move => self.rename(dice, at_ms),
            Act::Delete => self.delete(dice, at_ms),
            Act::Log => self.log(dice, at_ms),
        }
    }

    pub(super) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    pub(super) fn next_page(&mut self) -> u64 {
        self.page += 1;
        self.page
    }

    pub(super) fn next_change(&mut self) -> u64 {
        self.change += 1;
        self.change
    }

    pub(super) fn next_log(&mut self) -> u64 {
        self.log += 1;
        self.log
    }

    /// A happening with what most have in common.
    pub(super) fn happening(
        &mut self,
        dice: &mut Dice,
        at_ms: i64,
        page: Page,
        user: Arc<User>,
        comment: Comment,
        deed: Deed,
    ) -> Happening {
        let change_id = self.next_change();
        let request_id = dice.uuid();
        let (categorized, properties) = (Vec::new(), Vec::new());
        Happening {
            wiki: self.wiki,
            at_ms,
            request_id,
            change_id,
            page,
            user,
            comment,
            deed,
            categorized,
            properties,
        }
    }

    fn edit(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let mut page = self.take_page(dice, at_ms);
        let user = self.people.editor(dice, self.wiki.bots);
        let prior = Arc::clone(&page.head);
        let entity = self.holds_entity(&page);
        let takes_back = prior.parent != 0 && !user.bot && !entity && dice.chance(60);
        let restored = takes_back.then(|| Restored {
            method: dice.pick_weighted(&[(35, "rollback"), (40, "undo"), (25, "manual")]),
            original: prior.parent,
            reverted: vec![prior.id],
        });
        let comment = match &restored {
            Some(_) => comments::undo(self.wiki.words(), prior.id, &prior.editor.name),
            None => comments::edit(dice, self.wiki, &page.title, entity),
        };
        let mut revision = self.revision_after(dice, &page, at_ms, &user, comment.clone());
        revision.minor =
            restored.is_none() && !entity && dice.chance(if user.bot { 600 } else { 130 });
        page.head = Arc::new(revision);
        page.revisions += 1;
        self.remember(dice, page.clone());
        let mut happening = self.happening(
            dice,
            at_ms,
            page,
            user,
            comment,
            Deed::Edit { prior, restored },
        );
        self.categorize(
            dice,
            &mut happening,
            if self.wiki.project == Project::Commons {
                350
            } else {
                150
            },
        );
        change_properties(dice, &mut happening, entity);
        happening
    }

    fn create(&mut self, dice: &mut Dice, at_ms: i64, uploads: bool) -> Happening {
        let namespace = if uploads {
            namespace::FILE
        } else {
            self.namespace_to_create_in(dice)
        };
        let id = self.next_page();
        let user = if uploads {
            self.people.somebody(dice)
        } else {
            self.people.editor(dice, self.wiki.bots)
        };
        let title: Arc<str> = titles::title(dice, self.wiki, namespace, id, &user.name).into();
        let entity = pages::holds_entity(self.wiki, namespace);
        let comment = match (uploads, entity) {
            (true, _) => comments::upload(dice),
            (_, true) => {
                Comment::default().automatic("wbeditentity-create-item:0|", "Created a new Item")
            }
            _ => comments::edit(dice, self.wiki, &title, false),
        };
        let revision_id = self.next_revision();
        let size = dice.long_tail(40, 9);
        let head = Arc::new(Revision {
            id: revision_id,
            parent: 0,
            at_ms,
            minor: false,
            main: pages::content(dice, self.wiki, namespace, size, revision_id),
            mediainfo: None,
            comment: comment.clone(),
            editor: Arc::clone(&user),
        });
        let page = Page {
            id,
            namespace,
            title,
            redirect: None,
            revisions: 1,
            head,
        };
        self.remember(dice, page.clone());
        let upload = uploads.then(|| self.upload_entry(dice, &page, at_ms));
        let mut happening =
            self.happening(dice, at_ms, page, user, comment, Deed::Create { upload });
        self.categorize(dice, &mut happening, if uploads { 900 } else { 400 });
        change_properties(dice, &mut happening, entity);
        happening
    }

    /// Files come by upload only.
    fn namespace_to_create_in(&self, dice: &mut Dice) -> i64 {
        match titles::pick_namespace(dice, self.wiki) {
            namespace::FILE => namespace::CATEGORY,
            other => other,
        }
    }

    fn holds_entity(&self, page: &Page) -> bool {
        pages::holds_entity(self.wiki, page.namespace) || page.head.mediainfo.is_some()
    }

    /// The next revision of a page.
    pub(super) fn revision_after(
        &mut self,
        dice: &mut Dice,
        page: &Page,
        at_ms: i64,
        user: &Arc<User>,
        comment: Comment,
    ) -> Revision {
        let (id, prior) = (self.next_revision(), &page.head);
        let mut revision = Revision {
            id,
            parent: prior.id,
            at_ms,
            minor: false,
            comment,
            editor: Arc::clone(user),
            ..Revision::clone(prior)
        };
        match &mut revision.mediainfo {
            Some(slot) if dice.chance(700) => {
                let size = resized(dice, slot.size, true);
                *slot = pages::description(dice, size, id);
            }
            _ => {
                let size = resized(
                    dice,
                    prior.main.size,
                    pages::holds_entity(self.wiki, page.namespace),
                );
                revision.main = pages::content(dice, self.wiki, page.namespace, size, id);
            }
        }
        revision
    }

    /// A page to do something to: a third of the time one that something happened to lately.
    pub(super) fn take_page(&mut self, dice: &mut Dice, at_ms: i64) -> Page {
        if !self.pages.is_empty() && dice.chance(350) {
            let place = dice.index(self.pages.len());
            return self.pages.swap_remove(place);
        }
        self.old_page(dice, at_ms)
    }

    /// A page that was there before the samples began.
    fn old_page(&mut self, dice: &mut Dice, at_ms: i64) -> Page {
        let namespace = titles::pick_namespace(dice, self.wiki);
        let id = dice.between(1000, self.wiki.pages * 1000 - 1);
        let editor = self.people.author(dice, self.wiki.bots);
        let title: Arc<str> = titles::title(dice, self.wiki, namespace, id, &editor.name).into();
        let age = dice.low(self.revision / 2) + 1;
        let revision = self.revision - age;
        let first = dice.chance(100);
        let mediainfo = (namespace == namespace::FILE
            && self.wiki.project == Project::Commons
            && !first)
            .then(|| {
                let size = dice.long_tail(400, 6);
                pages::description(dice, size, revision)
            });
        let size = dice.long_tail(
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
                revision - dice.between(1, revision / 3)
            },
            at_ms: (at_ms - age_ms)
                .max(editor.registered_ms.unwrap_or(0))
                .min(at_ms),
            minor: false,
            main: pages::content(dice, self.wiki, namespace, size, revision),
            comment: comments::edit(
                dice,
                self.wiki,
                &title,
                mediainfo.is_some() || pages::holds_entity(self.wiki, namespace),
            ),
            mediainfo,
            editor,
        });
        let redirect = (namespace == namespace::MAIN
            && !matches!(self.wiki.project, Project::Wikidata)
            && dice.chance(30))
        .then(|| {
            let target = titles::title(dice, self.wiki, namespace, id, "");
            (target.into(), dice.between(1000, id + 1000))
        });
        Page {
            id,
            namespace,
            title,
            redirect,
            revisions: if first { 1 } else { 1 + dice.long_tail(1, 9) },
            head,
        }
    }

    /// Keeps a page for later, in the place of another one when there are many.
    pub(super) fn remember(&mut self, dice: &mut Dice, page: Page) {
        if self.pages.len() < PAGES_MAX {
            self.pages.push(page);
        } else {
            let place = dice.index(PAGES_MAX);
            self.pages[place] = page;
        }
    }

    /// In `per_mille` of 1000 cases the page joins or leaves some categories.
    fn categorize(&mut self, dice: &mut Dice, happening: &mut Happening, per_mille: u32) {
        if self.wiki.project == Project::Wikidata || !dice.chance(per_mille) {
            return;
        }
        let new = matches!(happening.deed, Deed::Create { .. });
        for _ in 0..dice.long_tail(1, 4) {
            let subject = titles::subject(dice, self.wiki.words());
            let category = titles::prefixed(self.wiki, namespace::CATEGORY, &subject);
            let joins = new || dice.chance(650);
            happening.categorized.push(Categorized {
                change_id: self.next_change(),
                category,
                joins,
            });
        }
    }
}

/// A size after an edit: mostly a little more (a statement of an entity takes some hundred bytes), at times less, never below 0.
fn resized(dice: &mut Dice, size: u64, entity: bool) -> u64 {
    let change = if entity {
        dice.long_tail(120, 3)
    } else {
        dice.long_tail(4, 10)
    };
    if dice.chance(280) {
        size.saturating_sub(change)
    } else {
        size + change
    }
}

/// Some edits change what a page is known by: its picture, its item, its number of statements.
fn change_properties(dice: &mut Dice, happening: &mut Happening, entity: bool) {
    if !dice.chance(if entity { 250 } else { 90 }) {
        return;
    }
    let new = matches!(happening.deed, Deed::Create { .. });
    if entity {
        let count = dice.long_tail(1, 6);
        happening.properties.push((
            "wb-claims",
            (!new).then(|| count.to_string()),
            Some((count + 1).to_string()),
        ));
        return;
    }
    let words = happening.wiki.words();
    match dice.below(3) {
        0 => happening
            .properties
            .push(("defaultsort", None, Some(words.script.place(dice)))),
        1 => happening.properties.push((
            "wikibase_item",
            None,
            Some(format!("Q{}", dice.between(1, 136_000_000))),
        )),
        _ => {
            let mut file = || format!("{}.jpg", titles::subject(dice, words).replace(' ', "_"));
            let (before, after) = (file(), file());
            happening
                .properties
                .push(("page_image_free", (!new).then_some(before), Some(after)));
        }
    }
}
