//! The wikis, their shares of all activity, and their counters.

use crate::languages::Language;
use crate::rng::Rng;

/// The kind of a wiki: it decides which activities there are and what pages look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Project {
    Wikidata,
    Commons,
    Wikipedia,
    Wiktionary,
    Wikisource,
    /// Meta, mediawiki.org, Incubator, ...
    Other,
}

/// One wiki.
#[derive(Debug)]
pub(crate) struct Wiki {
    /// Its database's name: `enwiki`.
    pub(crate) database: &'static str,
    /// Its domain: `en.wikipedia.org`.
    pub(crate) domain: &'static str,
    pub(crate) project: Project,
    /// The code of its language.
    language: &'static str,
    /// Its share of all activity, in ten thousandths.
    pub(crate) share: u32,
    /// The share of what bots do there, in thousandths.
    pub(crate) bots: u32,
    /// Its newest revision's number, in thousands.
    pub(crate) revisions: u64,
    /// Its newest page's number, in thousands.
    pub(crate) pages: u64,
}

impl Wiki {
    /// The words of its language.
    pub(crate) fn words(&self) -> &'static Language {
        Language::of(self.language)
    }

    /// Whether people without an account appear there as temporary accounts; else by their address.
    pub(crate) fn temporary_accounts(&self) -> bool {
        !matches!(self.project, Project::Wiktionary | Project::Wikisource)
    }

    /// Whether its edits can be marked as patrolled: recentchange has the field only on such wikis.
    pub(crate) fn patrols(&self) -> bool {
        matches!(
            self.project,
            Project::Wikidata | Project::Commons | Project::Other
        ) || matches!(
            self.database,
            "frwiki" | "itwiki" | "nlwiki" | "zhwiki" | "svwiki" | "ptwiki" | "ukwiki"
        )
    }

    /// The name of its namespace for pages about itself.
    pub(crate) fn project_namespace(&self) -> &'static str {
        match self.project {
            Project::Wikidata => "Wikidata",
            Project::Commons => "Commons",
            Project::Wikipedia => self.words().namespaces[3],
            Project::Wiktionary => "Wiktionary",
            Project::Wikisource => "Wikisource",
            Project::Other => match self.database {
                "metawiki" => "Meta",
                "mediawikiwiki" => "Project",
                "specieswiki" => "Wikispecies",
                _ => "Incubator",
            },
        }
    }
}

macro_rules! wikis {
    ($(
        $database:literal $domain:literal $project:ident $language:literal
        $share:literal $bots:literal $revisions:literal $pages:literal;
    )*) => {
        &[$(Wiki {
            database: $database,
            domain: $domain,
            project: Project::$project,
            language: $language,
            share: $share,
            bots: $bots,
            revisions: $revisions,
            pages: $pages,
        },)*]
    };
}

/// All wikis of the samples; their shares add up to 10,000.
#[rustfmt::skip]
pub(crate) static WIKIS: &[Wiki] = wikis! {
    // database      domain                       project    language share bots revisions pages
    "wikidatawiki"   "www.wikidata.org"           Wikidata   "en"     4600  470  2_430_000 136_400;
    "commonswiki"    "commons.wikimedia.org"      Commons    "en"     2000  340  1_120_000 181_200;
    "enwiki"         "en.wikipedia.org"           Wikipedia  "en"     1020  120  1_330_000  81_500;
    "dewiki"         "de.wikipedia.org"           Wikipedia  "de"      180   70    262_000  13_900;
    "frwiki"         "fr.wikipedia.org"           Wikipedia  "fr"      220  210    233_000  17_200;
    "eswiki"         "es.wikipedia.org"           Wikipedia  "es"      170  150    172_000  11_900;
    "ruwiki"         "ru.wikipedia.org"           Wikipedia  "ru"      180  130    150_000  11_600;
    "itwiki"         "it.wikipedia.org"           Wikipedia  "it"      140  180    149_000  10_800;
    "jawiki"         "ja.wikipedia.org"           Wikipedia  "ja"      120   60    109_000   5_200;
    "zhwiki"         "zh.wikipedia.org"           Wikipedia  "zh"      120  160     91_000   9_100;
    "ptwiki"         "pt.wikipedia.org"           Wikipedia  "pt"       80  140     71_500   7_700;
    "plwiki"         "pl.wikipedia.org"           Wikipedia  "pl"       80  170     79_000   6_300;
    "arwiki"         "ar.wikipedia.org"           Wikipedia  "ar"       90  430     74_000   9_900;
    "fawiki"         "fa.wikipedia.org"           Wikipedia  "fa"       70  330     44_000   6_900;
    "hewiki"         "he.wikipedia.org"           Wikipedia  "he"       70  180     42_500   2_400;
    "ukwiki"         "uk.wikipedia.org"           Wikipedia  "uk"       70  220     48_500   5_300;
    "nlwiki"         "nl.wikipedia.org"           Wikipedia  "nl"       60  190     70_500   6_100;
    "kowiki"         "ko.wikipedia.org"           Wikipedia  "ko"       50  200     41_000   3_900;
    "trwiki"         "tr.wikipedia.org"           Wikipedia  "tr"       50  200     37_000   4_100;
    "cawiki"         "ca.wikipedia.org"           Wikipedia  "ca"       40  260     37_000   2_600;
    "cswiki"         "cs.wikipedia.org"           Wikipedia  "cs"       35  210     25_900   2_000;
    "svwiki"         "sv.wikipedia.org"           Wikipedia  "sv"       35  310     59_500  10_200;
    "viwiki"         "vi.wikipedia.org"           Wikipedia  "vi"       35  260     75_000  20_500;
    "idwiki"         "id.wikipedia.org"           Wikipedia  "id"       35  180     29_500   4_700;
    "srwiki"         "sr.wikipedia.org"           Wikipedia  "sr"       15  300     31_000   4_900;
    "bgwiki"         "bg.wikipedia.org"           Wikipedia  "bg"       12  200     13_100   1_000;
    "elwiki"         "el.wikipedia.org"           Wikipedia  "el"       14  150     11_700     950;
    "hywiki"         "hy.wikipedia.org"           Wikipedia  "hy"       16  230     11_400   1_300;
    "kawiki"         "ka.wikipedia.org"           Wikipedia  "ka"        9  250      5_200     640;
    "kkwiki"         "kk.wikipedia.org"           Wikipedia  "kk"        9  250      3_700     870;
    "hiwiki"         "hi.wikipedia.org"           Wikipedia  "hi"       12  160      6_700   1_600;
    "bnwiki"         "bn.wikipedia.org"           Wikipedia  "bn"       14  170      8_900   1_800;
    "tawiki"         "ta.wikipedia.org"           Wikipedia  "ta"        8  210      4_600     720;
    "tewiki"         "te.wikipedia.org"           Wikipedia  "te"        8  230      4_700     520;
    "urwiki"         "ur.wikipedia.org"           Wikipedia  "ur"        8  270      9_800   1_500;
    "arzwiki"        "arz.wikipedia.org"          Wikipedia  "arz"      15  560     13_600   4_600;
    "thwiki"         "th.wikipedia.org"           Wikipedia  "th"       12  110     13_300   1_300;
    "amwiki"         "am.wikipedia.org"           Wikipedia  "am"        6  190        410      72;
    "cebwiki"        "ceb.wikipedia.org"          Wikipedia  "ceb"      10  850     37_500  11_300;
    "simplewiki"     "simple.wikipedia.org"       Wikipedia  "en"       25  130     10_900   1_200;
    "enwiktionary"   "en.wiktionary.org"          Wiktionary "en"       65  420     89_000  11_300;
    "frwiktionary"   "fr.wiktionary.org"          Wiktionary "fr"       25  500     39_800   8_400;
    "ruwiktionary"   "ru.wiktionary.org"          Wiktionary "ru"       12  350     15_300   3_600;
    "zhwiktionary"   "zh.wiktionary.org"          Wiktionary "zh"       10  320     10_300   2_700;
    "enwikisource"   "en.wikisource.org"          Wikisource "en"       35   60     15_600   4_700;
    "dewikisource"   "de.wikisource.org"          Wikisource "de"        6   40      4_800     680;
    "plwikisource"   "pl.wikisource.org"          Wikisource "pl"       12  110      4_100   1_300;
    "hewikisource"   "he.wikisource.org"          Wikisource "he"        7  160      3_300   1_600;
    "metawiki"       "meta.wikimedia.org"         Other      "en"       45  170     30_200  13_200;
    "mediawikiwiki"  "www.mediawiki.org"          Other      "en"       15   90      8_200   1_900;
    "incubatorwiki"  "incubator.wikimedia.org"    Other      "en"       15   30      7_000     960;
    "specieswiki"    "species.wikimedia.org"      Other      "en"       10  120     10_900   1_700;
};

/// Any wiki, the small ones as often as the large.
pub(crate) fn any(rng: &mut Rng) -> &'static Wiki {
    &WIKIS[rng.index(WIKIS.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_ten_thousand() {
        assert_eq!(WIKIS.iter().map(|wiki| wiki.share).sum::<u32>(), 10_000);
    }

    #[test]
    fn every_language_but_english_has_words_of_its_own() {
        for wiki in WIKIS {
            assert_eq!(wiki.words().code, wiki.language, "{}", wiki.database);
        }
    }
}
