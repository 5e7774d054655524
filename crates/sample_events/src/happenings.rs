//! What can happen on a wiki, told once; the events of all streams that speak of it are rendered from it.

use super::comments::Comment;
use super::pages::{Page, Revision, User};
use super::wikis::Wiki;
use serde_json::Value;
use std::sync::Arc;

/// One thing that somebody did on one wiki, in one request.
#[derive(Debug)]
pub(super) struct Happening {
    pub(super) wiki: &'static Wiki,
    /// When it happened, in milliseconds since 1970. Its events follow within a second.
    pub(super) at_ms: i64,
    /// The id of the web request, the same in all its events.
    pub(super) request_id: String,
    /// The number of its recentchange.
    pub(super) change_id: u64,
    /// The page as it is afterwards; of a deleted one, as it was.
    pub(super) page: Page,
    pub(super) user: Arc<User>,
    pub(super) comment: Comment,
    pub(super) deed: Deed,
    /// The categories that the page joined or left by it.
    pub(super) categorized: Vec<Categorized>,
    /// The page properties that it changed: name, value before, value after.
    pub(super) properties: Vec<(&'static str, Option<String>, Option<String>)>,
}

/// What was done.
#[derive(Debug)]
pub(super) enum Deed {
    /// A new revision of a page.
    Edit {
        prior: Arc<Revision>,
        restored: Option<Restored>,
    },
    /// A page's first revision; for a file that was uploaded, with a log entry in the place of a "new" recentchange.
    Create { upload: Option<LogEntry> },
    /// A page got another title. `redirect` is the page made at the old one.
    Move {
        prior: Arc<Revision>,
        old_title: Arc<str>,
        old_namespace: i64,
        redirect: Option<Page>,
        entry: LogEntry,
    },
    /// A page is gone.
    Delete { entry: LogEntry },
    /// Something that only the log tells: an account, a block, thanks.
    Log { entry: LogEntry },
}

/// An edit that brought an earlier content back.
#[derive(Debug)]
pub(super) struct Restored {
    /// `rollback`, `undo` or `manual`.
    pub(super) method: &'static str,
    /// The revision whose content is there again.
    pub(super) original: u64,
    /// The revisions that it took back.
    pub(super) reverted: Vec<u64>,
}

/// A line of the wiki's log.
#[derive(Debug)]
pub(super) struct LogEntry {
    pub(super) id: u64,
    pub(super) kind: &'static str,
    pub(super) action: &'static str,
    /// An object, or an empty array when there is nothing to say: PHP does not tell them apart.
    pub(super) params: Value,
    /// The line in words.
    pub(super) words: String,
}

/// A page that joined or left a category.
#[derive(Debug)]
pub(super) struct Categorized {
    /// The number of its own recentchange.
    pub(super) change_id: u64,
    /// The category's full title.
    pub(super) category: String,
    pub(super) joins: bool,
}
