//! Edits, new pages and uploads: who does what to which page.

use crate::activity::{Action, Activity, Categorized, Restored};
use crate::comments::{self, Comment};
use crate::pages::{self, Page, Revision, User};
use crate::rng::Rng;
use crate::titles::{self, namespace};
use crate::wiki_state::WikiState;
use crate::wikis::Project;
use std::sync::Arc;

impl WikiState {
    pub(crate) fn edit(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let mut page = self.take_page(rng, at_ms);
        let user = self.people.editor(rng, self.wiki.bots);
        let prior = Arc::clone(&page.head);
        let entity = self.holds_entity(&page);
        let takes_back = prior.parent != 0 && !user.bot && !entity && rng.chance(60);
        let restored = takes_back.then(|| Restored {
            method: rng.pick_weighted(&[(35, "rollback"), (40, "undo"), (25, "manual")]),
            original: prior.parent,
            reverted: vec![prior.id],
        });
        let comment = match &restored {
            Some(_) => comments::undo(self.wiki.words(), prior.id, &prior.editor.name),
            None => comments::edit(rng, self.wiki, &page.title, entity),
        };
        let mut revision = self.revision_after(rng, &page, at_ms, &user, comment.clone());
        revision.minor =
            restored.is_none() && !entity && rng.chance(if user.bot { 600 } else { 130 });
        page.head = Arc::new(revision);
        page.revisions += 1;
        self.remember(rng, page.clone());
        let mut activity = self.new_activity(
            rng,
            at_ms,
            page,
            user,
            comment,
            Action::Edit { prior, restored },
        );
        self.categorize(
            rng,
            &mut activity,
            if self.wiki.project == Project::Commons {
                350
            } else {
                150
            },
        );
        change_properties(rng, &mut activity, entity);
        activity
    }

    pub(crate) fn create(&mut self, rng: &mut Rng, at_ms: i64, uploads: bool) -> Activity {
        let namespace = if uploads {
            namespace::FILE
        } else {
            self.namespace_to_create_in(rng)
        };
        let id = self.next_page();
        let user = if uploads {
            self.people.somebody(rng)
        } else {
            self.people.editor(rng, self.wiki.bots)
        };
        let title: Arc<str> = titles::title(rng, self.wiki, namespace, id, &user.name).into();
        let entity = pages::holds_entity(self.wiki, namespace);
        let comment = match (uploads, entity) {
            (true, _) => comments::upload(rng),
            (_, true) => {
                Comment::default().automatic("wbeditentity-create-item:0|", "Created a new Item")
            }
            _ => comments::edit(rng, self.wiki, &title, false),
        };
        let revision_id = self.next_revision();
        let size = rng.long_tail(40, 9);
        let head = Arc::new(Revision {
            id: revision_id,
            parent: 0,
            at_ms,
            minor: false,
            main: pages::content(rng, self.wiki, namespace, size, revision_id),
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
        self.remember(rng, page.clone());
        let upload = uploads.then(|| self.upload_entry(rng, &page, at_ms));
        let mut activity =
            self.new_activity(rng, at_ms, page, user, comment, Action::Create { upload });
        self.categorize(rng, &mut activity, if uploads { 900 } else { 400 });
        change_properties(rng, &mut activity, entity);
        activity
    }

    /// Files come by upload only.
    fn namespace_to_create_in(&self, rng: &mut Rng) -> i64 {
        match titles::pick_namespace(rng, self.wiki) {
            namespace::FILE => namespace::CATEGORY,
            other => other,
        }
    }

    /// The next revision of a page.
    pub(crate) fn revision_after(
        &mut self,
        rng: &mut Rng,
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
            Some(slot) if rng.chance(700) => {
                let size = resized(rng, slot.size, true);
                *slot = pages::description(rng, size, id);
            }
            _ => {
                let size = resized(
                    rng,
                    prior.main.size,
                    pages::holds_entity(self.wiki, page.namespace),
                );
                revision.main = pages::content(rng, self.wiki, page.namespace, size, id);
            }
        }
        revision
    }

    /// In `per_mille` of 1000 cases the page joins or leaves some categories.
    fn categorize(&mut self, rng: &mut Rng, activity: &mut Activity, per_mille: u32) {
        if self.wiki.project == Project::Wikidata || !rng.chance(per_mille) {
            return;
        }
        let new = matches!(activity.action, Action::Create { .. });
        for _ in 0..rng.long_tail(1, 4) {
            let subject = titles::subject(rng, self.wiki.words());
            let category = titles::prefixed(self.wiki, namespace::CATEGORY, &subject);
            let joins = new || rng.chance(650);
            activity.categorized.push(Categorized {
                change_id: self.next_change(),
                category,
                joins,
            });
        }
    }
}

/// A size after an edit: mostly a little larger (a statement of an entity takes some hundred
/// bytes), sometimes smaller, never below 0.
fn resized(rng: &mut Rng, size: u64, entity: bool) -> u64 {
    let change = if entity {
        rng.long_tail(120, 3)
    } else {
        rng.long_tail(4, 10)
    };
    if rng.chance(280) {
        size.saturating_sub(change)
    } else {
        size + change
    }
}

/// Some edits change properties of the page: its picture, its item, its number of statements.
fn change_properties(rng: &mut Rng, activity: &mut Activity, entity: bool) {
    if !rng.chance(if entity { 250 } else { 90 }) {
        return;
    }
    let new = matches!(activity.action, Action::Create { .. });
    if entity {
        let count = rng.long_tail(1, 6);
        activity.properties.push((
            "wb-claims",
            (!new).then(|| count.to_string()),
            Some((count + 1).to_string()),
        ));
        return;
    }
    let words = activity.wiki.words();
    match rng.below(3) {
        0 => activity
            .properties
            .push(("defaultsort", None, Some(words.script.place(rng)))),
        1 => activity.properties.push((
            "wikibase_item",
            None,
            Some(format!("Q{}", rng.between(1, 136_000_000))),
        )),
        _ => {
            let mut file = || format!("{}.jpg", titles::subject(rng, words).replace(' ', "_"));
            let (before, after) = (file(), file());
            activity
                .properties
                .push(("page_image_free", (!new).then_some(before), Some(after)));
        }
    }
}
