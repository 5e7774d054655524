//! Schema mediawiki/recentchange.

use super::{Meta, bytes};
use crate::activity::{Action, Activity, Categorized, LogEntry};
use crate::comments::Comment;
use crate::streams::Stream;
use crate::titles::{in_url, namespace};
use serde::Serialize;
use serde_json::Value;

/// Fields that an event's type does not have are absent, not null.
#[derive(Debug, Serialize)]
struct Recentchange<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    meta: Meta<'a>,
    id: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    namespace: i64,
    title: &'a str,
    title_url: String,
    comment: &'a str,
    timestamp: i64,
    user: &'a str,
    bot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patrolled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<OldAndNew>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<OldAndNew>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    log: Option<Log<'a>>,
    server_url: String,
    server_name: &'a str,
    server_script_path: &'static str,
    wiki: &'a str,
    parsedcomment: &'a str,
}

#[derive(Debug, Serialize)]
struct OldAndNew {
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<u64>,
    new: u64,
}

#[derive(Debug, Serialize)]
struct Log<'a> {
    log_id: u64,
    log_type: &'static str,
    log_action: &'static str,
    log_params: &'a Value,
    log_action_comment: &'a str,
}

/// The event of what was done to the activity's page.
pub(super) fn of(activity: &Activity, meta: Meta<'_>) -> Vec<u8> {
    let (wiki, head) = (activity.wiki, &activity.page.head);
    let entry = match &activity.action {
        Action::Edit { .. } | Action::Create { upload: None } => None,
        Action::Create {
            upload: Some(entry),
        }
        | Action::Move { entry, .. }
        | Action::Delete { entry }
        | Action::Log { entry } => Some(entry),
    };
    // The log speaks of a move under the title that the page had.
    let (title, namespace) = match &activity.action {
        Action::Move {
            old_title,
            old_namespace,
            ..
        } => (&**old_title, *old_namespace),
        _ => (&*activity.page.title, activity.page.namespace),
    };
    let (kind, prior) = match &activity.action {
        Action::Edit { prior, .. } => ("edit", Some(prior)),
        Action::Create { upload: None } => ("new", None),
        _ => ("log", None),
    };
    let mut event = base(activity, meta, activity.change_id, title, &activity.comment);
    event.kind = kind;
    event.namespace = namespace;
    if let Some(entry) = entry {
        event.log = Some(Log::from(entry));
        return bytes(&event);
    }
    let by_known = activity.user.bot
        || activity.user.groups.contains(&"patroller")
        || activity.user.groups.contains(&"sysop");
    let change = match prior {
        Some(prior) => format!("diff={}&oldid={}", head.id, prior.id),
        None => format!("oldid={}", head.id),
    };
    event.notify_url = Some(format!(
        "https://{}/w/index.php?{change}&rcid={}",
        wiki.domain, activity.change_id
    ));
    event.minor = Some(head.minor);
    event.patrolled = wiki.patrols().then_some(by_known);
    event.length = Some(OldAndNew {
        old: prior.map(|prior| prior.size()),
        new: head.size(),
    });
    event.revision = Some(OldAndNew {
        old: prior.map(|prior| prior.id),
        new: head.id,
    });
    bytes(&event)
}

/// The event of a category that the activity's page joined or left.
pub(super) fn categorize(activity: &Activity, change: &Categorized, meta: Meta<'_>) -> Vec<u8> {
    let (wiki, page) = (activity.wiki, &activity.page);
    let words = wiki.words().categorized(change.joins);
    let comment = Comment::default()
        .link(&format!(":{}", page.title), &page.title)
        .plain(" ")
        .plain(words);
    let mut event = base(activity, meta, change.change_id, &change.category, &comment);
    event.kind = "categorize";
    event.namespace = namespace::CATEGORY;
    event.notify_url = Some(format!(
        "https://{}/w/index.php?diff={}&oldid={}&rcid={}",
        wiki.domain, page.head.id, page.head.parent, change.change_id
    ));
    bytes(&event)
}

/// What all types have.
fn base<'a>(
    activity: &'a Activity,
    meta: Meta<'a>,
    id: u64,
    title: &'a str,
    comment: &'a Comment,
) -> Recentchange<'a> {
    let wiki = activity.wiki;
    Recentchange {
        schema: Stream::Recentchange.schema(),
        meta,
        id,
        kind: "log",
        namespace: activity.page.namespace,
        title,
        title_url: format!("https://{}/wiki/{}", wiki.domain, in_url(title)),
        comment: &comment.text,
        timestamp: activity.at_ms.div_euclid(1000),
        user: &activity.user.name,
        bot: activity.user.bot,
        notify_url: None,
        minor: None,
        patrolled: None,
        length: None,
        revision: None,
        log: None,
        server_url: format!("https://{}", wiki.domain),
        server_name: wiki.domain,
        server_script_path: "/w",
        wiki: wiki.database,
        parsedcomment: &comment.parsed,
    }
}

impl<'a> From<&'a LogEntry> for Log<'a> {
    fn from(entry: &'a LogEntry) -> Self {
        Self {
            log_id: entry.id,
            log_type: entry.kind,
            log_action: entry.action,
            log_params: &entry.params,
            log_action_comment: &entry.words,
        }
    }
}
