//! The people and bots of one wiki, and which of them is active next.

use crate::names;
use crate::pages::User;
use crate::rng::Rng;
use crate::time::year;
use crate::wikis::{Project, Wiki};
use std::sync::Arc;

/// Enough people that names vary, few enough that the same ones come back within minutes.
const PEOPLE: usize = 60;
/// The first people are administrators.
const ADMINISTRATORS: usize = 4;
const BOTS: usize = 6;

const ADDRESS_GROUPS: &[&str] = &["*"];
const TEMPORARY_GROUPS: &[&str] = &["temp", "*", "user"];
const NEW_GROUPS: &[&str] = &["*", "user"];
const KNOWN_GROUPS: &[&str] = &["*", "user", "autoconfirmed"];
const OLD_GROUPS: &[&str] = &["extendedconfirmed", "*", "user", "autoconfirmed"];
const PATROLLER_GROUPS: &[&str] = &["patroller", "rollbacker", "*", "user", "autoconfirmed"];
const ADMINISTRATOR_GROUPS: &[&str] = &["sysop", "*", "user", "autoconfirmed"];
const BOT_GROUPS: &[&str] = &["bot", "*", "user", "autoconfirmed"];

/// 2005-01-01, before which no account of the samples was made, in milliseconds since 1970.
const FIRST_ACCOUNT_MS: i64 = 1_104_537_600_000;
const ANY_DAYS: u64 = u64::MAX;
const DAY_MS: u64 = 86_400_000;

/// Who is active on one wiki.
#[derive(Debug)]
pub(crate) struct People {
    known: Vec<Arc<User>>,
    bots: Vec<Arc<User>>,
    /// The share of what people do without an account, in thousandths.
    without_account: u32,
    temporary_accounts: bool,
    start_ms: i64,
}

impl People {
    /// The people of a wiki at that time.
    pub(crate) fn new(rng: &mut Rng, wiki: &Wiki, start_ms: i64) -> Self {
        let script = wiki.words().script;
        let known = (0..PEOPLE).map(|place| {
            let (groups, edits, days) = match place {
                0..ADMINISTRATORS => (ADMINISTRATOR_GROUPS, 8_000, ANY_DAYS),
                4..8 => (PATROLLER_GROUPS, 3_000, ANY_DAYS),
                8..20 if wiki.database == "enwiki" => (OLD_GROUPS, 600, ANY_DAYS),
                // Four days make an account autoconfirmed.
                50.. => (NEW_GROUPS, 1, 4),
                _ => (KNOWN_GROUPS, 40, ANY_DAYS),
            };
            let name = names::user(rng, script);
            Arc::new(account(rng, name, groups, edits, start_ms, days))
        });
        let known = known.collect();
        let bots = (0..BOTS).map(|_| {
            let name = names::bot(rng);
            Arc::new(User {
                bot: true,
                ..account(rng, name, BOT_GROUPS, 20_000, start_ms, ANY_DAYS)
            })
        });
        let bots = bots.collect();
        let without_account = match wiki.project {
            Project::Wikidata | Project::Commons => 25,
            Project::Wikipedia => 140,
            Project::Wiktionary | Project::Wikisource => 200,
            Project::Other => 60,
        };
        Self {
            known,
            bots,
            without_account,
            temporary_accounts: wiki.temporary_accounts(),
            start_ms,
        }
    }

    /// The author of the next edit on a wiki where bots make `bots` of 1000 edits; counts the edit.
    pub(crate) fn editor(&mut self, rng: &mut Rng, bots: u32) -> Arc<User> {
        if rng.chance(bots) {
            let place = rng.low(BOTS as u64);
            return edited(&mut self.bots[usize::try_from(place).unwrap_or(0)]);
        }
        if rng.chance(self.without_account) {
            Arc::new(self.visitor(rng))
        } else {
            edited(&mut self.known[some_place(rng)])
        }
    }

    /// Who made some edit in the past.
    pub(crate) fn author(&self, rng: &mut Rng, bots: u32) -> Arc<User> {
        if rng.chance(bots) {
            Arc::clone(&self.bots[rng.index(BOTS)])
        } else {
            self.somebody(rng)
        }
    }

    /// Somebody who has just made an account.
    pub(crate) fn new_account(rng: &mut Rng, wiki: &Wiki, at_ms: i64) -> User {
        let name = names::user(rng, wiki.words().script);
        User {
            edits: Some(0),
            ..account(rng, name, NEW_GROUPS, 1, at_ms, 0)
        }
    }

    /// Somebody with an account, who is no bot.
    pub(crate) fn somebody(&self, rng: &mut Rng) -> Arc<User> {
        Arc::clone(&self.known[some_place(rng)])
    }

    /// An administrator.
    pub(crate) fn administrator(&self, rng: &mut Rng) -> Arc<User> {
        Arc::clone(&self.known[rng.index(ADMINISTRATORS)])
    }

    /// Somebody without an account of their own: a temporary one, or an address.
    pub(crate) fn visitor(&self, rng: &mut Rng) -> User {
        let temporary = self.temporary_accounts;
        // Made lately: it ends with the browser's session.
        let made_ms = self.start_ms - i64::try_from(rng.below(DAY_MS)).unwrap_or(0);
        User {
            name: if temporary {
                names::temporary_account(rng, year(made_ms))
            } else {
                names::address(rng)
            },
            id: temporary.then(|| rng.between(60_000_000, 99_000_000)),
            groups: if temporary {
                TEMPORARY_GROUPS
            } else {
                ADDRESS_GROUPS
            },
            registered_ms: temporary.then_some(made_ms),
            edits: temporary.then(|| rng.low(40)),
            bot: false,
            temporary,
        }
    }
}

/// An account with at least so many edits, at most so many days old.
fn account(
    rng: &mut Rng,
    name: String,
    groups: &'static [&'static str],
    edits: u64,
    start_ms: i64,
    days: u64,
) -> User {
    let oldest_ms = start_ms
        .saturating_sub(FIRST_ACCOUNT_MS)
        .max(0)
        .unsigned_abs();
    let age_ms = rng.below(oldest_ms.min(days.saturating_mul(DAY_MS)));
    User {
        name,
        id: Some(rng.between(1_000, 90_000_000)),
        groups,
        registered_ms: Some(start_ms - i64::try_from(age_ms).unwrap_or(0)),
        edits: Some(rng.long_tail(edits, 6)),
        bot: false,
        temporary: false,
    }
}

/// The few most active ones most often.
fn some_place(rng: &mut Rng) -> usize {
    usize::try_from(rng.low(PEOPLE as u64)).unwrap_or(0)
}

fn edited(user: &mut Arc<User>) -> Arc<User> {
    if let Some(edits) = &mut Arc::make_mut(user).edits {
        *edits += 1;
    }
    Arc::clone(user)
}
