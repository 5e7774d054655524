//! One activity on a wiki, from which the events of all its streams are rendered.

use crate::comments::Comment;
use crate::pages::{Page, Revision, User};
use crate::wikis::Wiki;
use serde_json::Value;
use std::sync::Arc;

/// One thing that a user did on one wiki, in one request.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) wiki: &'static Wiki,
    /// When it happened, in milliseconds since 1970. Its events follow within a second.
    pub(crate) at_ms: i64,
    /// The id of the web request, the same in all its events.
    pub(crate) request_id: String,
    /// The number of its recentchange.
    pub(crate) change_id: u64,
    /// The page as it is afterwards; of a deleted one, as it was.
    pub(crate) page: Page,
    pub(crate) user: Arc<User>,
    pub(crate) comment: Comment,
    pub(crate) action: Action,
    /// The categories that the page joined or left.
    pub(crate) categorized: Vec<Categorized>,
    /// The page properties that it changed: name, value before, value after.
    pub(crate) properties: Vec<(&'static str, Option<String>, Option<String>)>,
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Action {
    /// A new revision of a page.
    Edit {
        prior: Arc<Revision>,
        restored: Option<Restored>,
    },
    /// A page's first revision. An uploaded file has a log entry instead of a "new" recentchange.
    Create { upload: Option<LogEntry> },
    /// A page was moved. `redirect` is the page that the move created at the old title.
    Move {
        prior: Arc<Revision>,
        old_title: Arc<str>,
        old_namespace: i64,
        redirect: Option<Page>,
        entry: LogEntry,
    },
    /// A page was deleted.
    Delete { entry: LogEntry },
    /// Something that is only in the log: an account, a block, thanks.
    Log { entry: LogEntry },
}

/// An edit that brought an earlier content back.
#[derive(Debug)]
pub(crate) struct Restored {
    /// `rollback`, `undo` or `manual`.
    pub(crate) method: &'static str,
    /// The revision whose content is there again.
    pub(crate) original: u64,
    /// The revisions that it took back.
    pub(crate) reverted: Vec<u64>,
}

/// A line of the wiki's log.
#[derive(Debug)]
pub(crate) struct LogEntry {
    pub(crate) id: u64,
    pub(crate) kind: &'static str,
    pub(crate) action: &'static str,
    /// An object, or an empty array when there are none: PHP does not distinguish them.
    pub(crate) params: Value,
    /// The line in words.
    pub(crate) words: String,
}

/// A page that joined or left a category.
#[derive(Debug)]
pub(crate) struct Categorized {
    /// The number of its own recentchange.
    pub(crate) change_id: u64,
    /// The category's full title.
    pub(crate) category: String,
    pub(crate) joins: bool,
}
