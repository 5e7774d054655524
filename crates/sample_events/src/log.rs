//! The log of a wiki: moves, deletions, uploads, accounts, blocks, protections, reviews, thanks.

use crate::activity::{Action, Activity, LogEntry};
use crate::comments::Comment;
use crate::pages::{self, Page, Revision};
use crate::people::People;
use crate::rng::Rng;
use crate::time::digits;
use crate::titles::{self, namespace};
use crate::wiki_state::WikiState;
use serde_json::{Value, json};
use std::sync::Arc;

const REASONS: &[&str] = &[
    "spam",
    "test page",
    "duplicate of another page",
    "vandalism",
    "by request of the author",
    "out of scope",
];
const EXPIRIES: &[&str] = &[
    "31 hours", "3 days", "1 week", "3 months", "1 year", "infinite",
];

impl WikiState {
    /// Moves a page; most of the time a redirect stays behind.
    pub(crate) fn rename(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let mut page = self.take_page(rng, at_ms);
        let user = self.people.somebody(rng);
        let (old_title, old_namespace) = (Arc::clone(&page.title), page.namespace);
        let title = titles::title(rng, self.wiki, page.namespace, page.id, &user.name);
        page.title = if *title == *old_title {
            format!("{title} (2)").into()
        } else {
            title.into()
        };
        page.redirect = None;
        let comment = Comment::default().plain(rng.pick(&[
            "correct spelling",
            "name as in the sources",
            "disambiguation needed",
        ]));
        let words = format!("moved [[{old_title}]] to [[{}]]", page.title);
        let prior = Arc::clone(&page.head);
        let noted = Comment::default().plain(&format!("{} {words}: {}", user.name, comment.text));
        // The content stays: slots keep their hashes and origins.
        let id = self.next_revision();
        let editor = Arc::clone(&user);
        let head = Revision {
            id,
            parent: prior.id,
            at_ms,
            minor: true,
            comment: noted,
            editor,
            ..Revision::clone(&prior)
        };
        page.head = Arc::new(head);
        page.revisions += 1;
        let redirect = rng
            .chance(700)
            .then(|| self.redirect_left(rng, &page, &old_title, old_namespace));
        let noredir = if redirect.is_some() { "0" } else { "1" };
        let params = json!({ "target": &*page.title, "noredir": noredir });
        let words = format!("{words}: {}", comment.text);
        let entry = LogEntry {
            id: self.next_log(),
            kind: "move",
            action: "move",
            params,
            words,
        };
        self.remember(rng, page.clone());
        let action = Action::Move {
            prior,
            old_title,
            old_namespace,
            redirect,
            entry,
        };
        self.new_activity(rng, at_ms, page, user, comment, action)
    }

    /// The page that a move leaves at the old title.
    fn redirect_left(
        &mut self,
        rng: &mut Rng,
        to: &Page,
        title: &Arc<str>,
        namespace: i64,
    ) -> Page {
        let (id, revision) = (self.next_page(), self.next_revision());
        let size = 14 + to.title.len() as u64;
        let head = Revision {
            id: revision,
            parent: 0,
            minor: false,
            main: pages::content(rng, self.wiki, namespace, size, revision),
            mediainfo: None,
            ..Revision::clone(&to.head)
        };
        let redirect = Some((Arc::clone(&to.title), to.id));
        Page {
            id,
            namespace,
            title: Arc::clone(title),
            redirect,
            revisions: 1,
            head: Arc::new(head),
        }
    }

    /// Deletes a page and forgets it.
    pub(crate) fn delete(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let page = self.take_page(rng, at_ms);
        let user = self.people.administrator(rng);
        let comment = Comment::default().plain(rng.pick(REASONS));
        let words = format!("deleted \"[[{}]]\": {}", page.title, comment.text);
        let entry = LogEntry {
            id: self.next_log(),
            kind: "delete",
            action: "delete",
            params: json!([]),
            words,
        };
        self.new_activity(rng, at_ms, page, user, comment, Action::Delete { entry })
    }

    /// The log entry of an upload.
    pub(crate) fn upload_entry(&mut self, rng: &mut Rng, page: &Page, at_ms: i64) -> LogEntry {
        let params = json!({ "img_sha1": rng.sha1_base36(), "img_timestamp": digits(at_ms) });
        let words = format!(
            "uploaded \"[[{}]]\": {}",
            page.title, page.head.comment.text
        );
        LogEntry {
            id: self.next_log(),
            kind: "upload",
            action: "upload",
            params,
            words,
        }
    }

    /// An activity that is only in the log.
    pub(crate) fn log(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        match rng.below(100) {
            0..=44 => self.account(rng, at_ms),
            45..=59 => self.block(rng, at_ms),
            60..=69 => self.protect(rng, at_ms),
            70..=84 => self.review(rng, at_ms),
            _ => self.thanks(rng, at_ms),
        }
    }

    fn account(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let user = Arc::new(People::new_account(rng, self.wiki, at_ms));
        let page = self.page_of_user(rng, at_ms, &user.name);
        let entry = self.entry(
            "newusers",
            "create",
            json!({ "userid": user.id }),
            String::new(),
        );
        self.new_activity(
            rng,
            at_ms,
            page,
            user,
            Comment::default(),
            Action::Log { entry },
        )
    }

    fn block(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let blocked = self.people.visitor(rng);
        let user = self.people.administrator(rng);
        let page = self.page_of_user(rng, at_ms, &blocked.name);
        let comment = Comment::default().plain(rng.pick(REASONS));
        let expiry = rng.pick(EXPIRIES);
        let words = format!(
            "blocked [[{}]] (nocreate) with an expiration time of {expiry}: {}",
            page.title, comment.text
        );
        let params = json!({ "duration": expiry, "flags": "nocreate", "sitewide": true });
        let entry = self.entry("block", "block", params, words);
        self.new_activity(rng, at_ms, page, user, comment, Action::Log { entry })
    }

    fn protect(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let page = self.take_page(rng, at_ms);
        let user = self.people.administrator(rng);
        let comment = Comment::default().plain("repeated vandalism");
        let description = "[edit=autoconfirmed] (indefinite)";
        let details = json!([{
            "type": "edit",
            "level": "autoconfirmed",
            "expiry": "infinity",
            "cascade": false,
        }]);
        let params = json!({ "description": description, "cascade": false, "details": details });
        let words = format!(
            "protected \"[[{}]]\" {description}: {}",
            page.title, comment.text
        );
        let entry = self.entry("protect", "protect", params, words);
        self.remember(rng, page.clone());
        self.new_activity(rng, at_ms, page, user, comment, Action::Log { entry })
    }

    fn review(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let page = self.take_page(rng, at_ms);
        let user = self.people.somebody(rng);
        let params =
            json!({ "0": page.head.id, "1": page.head.parent, "2": digits(page.head.at_ms) });
        let entry = self.entry(
            "review",
            "approve",
            params,
            format!("approved a revision of [[{}]]", page.title),
        );
        self.remember(rng, page.clone());
        self.new_activity(
            rng,
            at_ms,
            page,
            user,
            Comment::default(),
            Action::Log { entry },
        )
    }

    fn thanks(&mut self, rng: &mut Rng, at_ms: i64) -> Activity {
        let user = self.people.somebody(rng);
        let thanked = self.people.somebody(rng);
        let page = self.page_of_user(rng, at_ms, &thanked.name);
        let entry = self.entry("thanks", "thank", json!([]), String::new());
        self.new_activity(
            rng,
            at_ms,
            page,
            user,
            Comment::default(),
            Action::Log { entry },
        )
    }

    fn entry(
        &mut self,
        kind: &'static str,
        action: &'static str,
        params: Value,
        words: String,
    ) -> LogEntry {
        LogEntry {
            id: self.next_log(),
            kind,
            action,
            params,
            words,
        }
    }

    /// The user page that a log entry about somebody names. It need not exist.
    fn page_of_user(&mut self, rng: &mut Rng, at_ms: i64, name: &str) -> Page {
        let mut page = self.take_page(rng, at_ms);
        let kept = page.clone();
        self.remember(rng, kept);
        page.namespace = namespace::USER;
        page.title = titles::prefixed(self.wiki, namespace::USER, name).into();
        page
    }
}
