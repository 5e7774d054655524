//! What the log of a wiki tells: moves, deletions, uploads, accounts, blocks, protections, reviews, thanks.

use super::comments::Comment;
use super::dice::Dice;
use super::edits::Life;
use super::happenings::{Deed, Happening, LogEntry};
use super::pages::{self, Page, Revision};
use super::people::People;
use super::time::digits;
use super::titles::{self, namespace};
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

impl Life {
    /// A page gets another title; most of the time a redirect stays behind.
    pub(super) fn rename(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let mut page = self.take_page(dice, at_ms);
        let user = self.people.somebody(dice);
        let (old_title, old_namespace) = (Arc::clone(&page.title), page.namespace);
        let title = titles::title(dice, self.wiki, page.namespace, page.id, &user.name);
        page.title = if *title == *old_title {
            format!("{title} (2)").into()
        } else {
            title.into()
        };
        page.redirect = None;
        let comment = Comment::default().say(dice.pick(&[
            "correct spelling",
            "name as in the sources",
            "disambiguation needed",
        ]));
        let words = format!("moved [[{old_title}]] to [[{}]]", page.title);
        let prior = Arc::clone(&page.head);
        let noted = Comment::default().say(&format!("{} {words}: {}", user.name, comment.text));
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
        let redirect = dice
            .chance(700)
            .then(|| self.redirect_left(dice, &page, &old_title, old_namespace));
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
        self.remember(dice, page.clone());
        let deed = Deed::Move {
            prior,
            old_title,
            old_namespace,
            redirect,
            entry,
        };
        self.happening(dice, at_ms, page, user, comment, deed)
    }

    /// The page that a move leaves at the old title.
    fn redirect_left(
        &mut self,
        dice: &mut Dice,
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
            main: pages::content(dice, self.wiki, namespace, size, revision),
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

    /// A page goes; it is not remembered.
    pub(super) fn delete(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let page = self.take_page(dice, at_ms);
        let user = self.people.administrator(dice);
        let comment = Comment::default().say(dice.pick(REASONS));
        let words = format!("deleted \"[[{}]]\": {}", page.title, comment.text);
        let entry = LogEntry {
            id: self.next_log(),
            kind: "delete",
            action: "delete",
            params: json!([]),
            words,
        };
        self.happening(dice, at_ms, page, user, comment, Deed::Delete { entry })
    }

    /// The log entry of an upload.
    pub(super) fn upload_entry(&mut self, dice: &mut Dice, page: &Page, at_ms: i64) -> LogEntry {
        let params = json!({ "img_sha1": dice.sha1_base36(), "img_timestamp": digits(at_ms) });
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

    /// Something that only the log tells.
    pub(super) fn log(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        match dice.below(100) {
            0..=44 => self.account(dice, at_ms),
            45..=59 => self.block(dice, at_ms),
            60..=69 => self.protect(dice, at_ms),
            70..=84 => self.review(dice, at_ms),
            _ => self.thanks(dice, at_ms),
        }
    }

    fn account(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let user = Arc::new(People::newcomer(dice, self.wiki, at_ms));
        let page = self.page_of_user(dice, at_ms, &user.name);
        let entry = self.entry(
            "newusers",
            "create",
            json!({ "userid": user.id }),
            String::new(),
        );
        self.happening(
            dice,
            at_ms,
            page,
            user,
            Comment::default(),
            Deed::Log { entry },
        )
    }

    fn block(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let blocked = self.people.visitor(dice);
        let user = self.people.administrator(dice);
        let page = self.page_of_user(dice, at_ms, &blocked.name);
        let comment = Comment::default().say(dice.pick(REASONS));
        let expiry = dice.pick(EXPIRIES);
        let words = format!(
            "blocked [[{}]] (nocreate) with an expiration time of {expiry}: {}",
            page.title, comment.text
        );
        let params = json!({ "duration": expiry, "flags": "nocreate", "sitewide": true });
        let entry = self.entry("block", "block", params, words);
        self.happening(dice, at_ms, page, user, comment, Deed::Log { entry })
    }

    fn protect(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let page = self.take_page(dice, at_ms);
        let user = self.people.administrator(dice);
        let comment = Comment::default().say("repeated vandalism");
        let description = "[edit=autoconfirmed] (indefinite)";
        let details = json!([{ "type": "edit", "level": "autoconfirmed", "expiry": "infinity", "cascade": false }]);
        let params = json!({ "description": description, "cascade": false, "details": details });
        let words = format!(
            "protected \"[[{}]]\" {description}: {}",
            page.title, comment.text
        );
        let entry = self.entry("protect", "protect", params, words);
        self.remember(dice, page.clone());
        self.happening(dice, at_ms, page, user, comment, Deed::Log { entry })
    }

    fn review(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let page = self.take_page(dice, at_ms);
        let user = self.people.somebody(dice);
        let params =
            json!({ "0": page.head.id, "1": page.head.parent, "2": digits(page.head.at_ms) });
        let entry = self.entry(
            "review",
            "approve",
            params,
            format!("approved a revision of [[{}]]", page.title),
        );
        self.remember(dice, page.clone());
        self.happening(
            dice,
            at_ms,
            page,
            user,
            Comment::default(),
            Deed::Log { entry },
        )
    }

    fn thanks(&mut self, dice: &mut Dice, at_ms: i64) -> Happening {
        let user = self.people.somebody(dice);
        let thanked = self.people.somebody(dice);
        let page = self.page_of_user(dice, at_ms, &thanked.name);
        let entry = self.entry("thanks", "thank", json!([]), String::new());
        self.happening(
            dice,
            at_ms,
            page,
            user,
            Comment::default(),
            Deed::Log { entry },
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
    fn page_of_user(&mut self, dice: &mut Dice, at_ms: i64, name: &str) -> Page {
        let mut page = self.take_page(dice, at_ms);
        let kept = page.clone();
        self.remember(dice, kept);
        page.namespace = namespace::USER;
        page.title = titles::prefixed(self.wiki, namespace::USER, name).into();
        page
    }
}
