//! Names made of syllables, in many scripts: places for titles, and users.
//!
//! No name is taken from anybody: beginnings, middles and ends are combined at random.

use crate::rng::Rng;

/// A script that names can be made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Latin,
    Cyrillic,
    Greek,
    Armenian,
    Georgian,
    Arabic,
    Hebrew,
    Devanagari,
    Bengali,
    Tamil,
    Telugu,
    Thai,
    Ethiopic,
    Hangul,
    Japanese,
    Han,
}

/// What names of a script are put together from.
struct Syllables {
    first: &'static [&'static str],
    inner: &'static [&'static str],
    last: &'static [&'static str],
}

const LATIN: Syllables = Syllables {
    first: &[
        "Bre", "Cal", "Dor", "El", "Fen", "Gal", "Hol", "Ilm", "Jor", "Kel", "Lor", "Mar", "Nor",
        "Or", "Pel", "Quen", "Ros", "Sel", "Tal", "Ul", "Var", "Wen", "Yar", "Zel",
    ],
    inner: &[
        "a", "e", "i", "o", "ba", "da", "le", "mi", "no", "ra", "ri", "ta", "ve", "zo",
    ],
    last: &[
        "bach", "den", "dra", "fell", "gard", "holm", "ka", "lin", "mond", "na", "nia", "rick",
        "ro", "stad", "ton", "va", "vik", "wick",
    ],
};
const CYRILLIC: Syllables = Syllables {
    first: &[
        "Бел", "Вор", "Гор", "Дол", "Ел", "Зар", "Кам", "Лес", "Мар", "Нов", "Ор", "Пол", "Рад",
        "Сол", "Тал", "Яр",
    ],
    inner: &["а", "о", "и", "ва", "ле", "ми", "но", "ра", "та"],
    last: &[
        "вка", "град", "дино", "ево", "ка", "лов", "мир", "ница", "ново", "рск", "тин", "ча",
    ],
};
const GREEK: Syllables = Syllables {
    first: &[
        "Αλκ", "Βερ", "Γαλ", "Δορ", "Ελ", "Θερ", "Καλ", "Λευκ", "Μελ", "Νικ", "Ορ", "Παν", "Ροδ",
        "Σαλ", "Φιλ",
    ],
    inner: &["α", "ε", "ι", "ο", "αμ", "αν", "εν"],
    last: &["δα", "κος", "λια", "μος", "νη", "ρα", "σια", "της", "χώρι"],
};
const ARMENIAN: Syllables = Syllables {
    first: &[
        "Ար", "Բագ", "Գար", "Դիլ", "Երև", "Զան", "Կար", "Լոր", "Մար", "Նոր", "Սև", "Վար",
    ],
    inner: &["ա", "ի", "ե", "ու", "ան"],
    last: &["բերդ", "գյուղ", "կան", "նիկ", "շեն", "վան", "ձոր"],
};
const GEORGIAN: Syllables = Syllables {
    first: &[
        "ახალ",
        "ბორ",
        "გორ",
        "დიდ",
        "ვარ",
        "თელ",
        "კახ",
        "მარ",
        "ნიკ",
        "სამ",
        "წყალ",
    ],
    inner: &["ა", "ე", "ი", "ო"],
    last: &["ეთი", "თა", "კარი", "ლი", "მთა", "ნი", "სი", "ური"],
};
const ARABIC: Syllables = Syllables {
    first: &[
        "بر", "تل", "جب", "دار", "را", "زه", "سل", "شم", "صا", "عي", "فر", "قل", "كر", "مر", "نو",
        "وا",
    ],
    inner: &["ا", "و", "ي", "ما", "را", "لا"],
    last: &["بة", "دين", "رة", "سان", "لية", "مان", "نة", "ون"],
};
const HEBREW: Syllables = Syllables {
    first: &[
        "אל", "בר", "גל", "דר", "הר", "זי", "חל", "טל", "כר", "לב", "מר", "נו", "סל", "ער", "צו",
        "רמ",
    ],
    inner: &["א", "ו", "י", "מי", "רו", "לי"],
    last: &["ון", "ים", "ית", "מון", "נה", "רה", "תן"],
};
const DEVANAGARI: Syllables = Syllables {
    first: &[
        "अम",
        "कम",
        "गो",
        "चं",
        "जय",
        "दे",
        "नव",
        "पर",
        "बल",
        "मह",
        "राज",
        "रा",
        "सो",
        "हर",
    ],
    inner: &["ल", "न", "र", "म", "व"],
    last: &["गढ़", "गाँव", "नगर", "पुर", "पुरा", "ली", "वाड़ा", "खेड़ा"],
};
const BENGALI: Syllables = Syllables {
    first: &[
        "আম",
        "কম",
        "গোপ",
        "চাঁদ",
        "জয়",
        "নব",
        "বর",
        "মধু",
        "রাজ",
        "সোনা",
        "হরি",
    ],
    inner: &["ল", "ন", "র", "ম"],
    last: &["গঞ্জ", "পুর", "নগর", "হাটি", "খালী", "তলা"],
};
const TAMIL: Syllables = Syllables {
    first: &["அரு", "கரு", "சிவ", "தென்", "நல்", "பெரு", "மணி", "வட"],
    inner: &["க", "ம", "ன", "ல"],
    last: &["பட்டி", "புரம்", "நல்லூர்", "மலை", "குடி"],
};
const TELUGU: Syllables = Syllables {
    first: &["అమ", "కొత్త", "గం", "చిన", "పెద", "రామ", "వెం"],
    inner: &["న", "ల", "ర"],
    last: &["పల్లి", "పురం", "వాడ", "గూడెం", "పేట"],
};
const THAI: Syllables = Syllables {
    first: &["บาง", "ดอน", "หนอง", "ท่า", "โนน", "แม่", "ลำ"],
    inner: &["สา", "มา", "พา", "นา"],
    last: &["แก้ว", "ทอง", "คำ", "ไทร", "งาม", "ใหม่"],
};
const ETHIOPIC: Syllables = Syllables {
    first: &["ሀ", "ለ", "መ", "ሰ", "ረ", "በ", "ተ", "ነ", "አ", "ከ", "ደ", "ገ"],
    inner: &["ላ", "ማ", "ራ", "ሳ", "ና", "ዳ"],
    last: &["ምባ", "ና", "ቴ", "ርጌ", "ቃ", "ያ"],
};
const HANGUL: Syllables = Syllables {
    first: &[
        "가", "강", "나", "대", "동", "마", "백", "산", "서", "송", "영", "유", "청", "한", "해",
    ],
    inner: &["나", "라", "미", "수", "원", "주", "하"],
    last: &["군", "도", "동", "면", "산", "시", "천", "포"],
};
const JAPANESE: Syllables = Syllables {
    first: &[
        "青", "赤", "石", "岩", "上", "大", "川", "北", "小", "桜", "白", "田", "中", "西", "東",
        "松", "南", "山",
    ],
    inner: &["ヶ", "之", "野", "木", "井", "谷"],
    last: &["丘", "川", "崎", "沢", "島", "原", "村", "町", "浜", "山"],
};
const HAN: Syllables = Syllables {
    first: &[
        "安", "白", "北", "长", "大", "东", "福", "高", "广", "海", "河", "金", "兰", "龙", "南",
        "平", "清", "山", "西", "云",
    ],
    inner: &["安", "宁", "阳", "林", "泉", "石", "云", "江"],
    last: &[
        "城", "河", "湖", "岭", "山", "县", "乡", "镇", "州", "村", "桥",
    ],
};

impl Script {
    fn syllables(self) -> &'static Syllables {
        match self {
            Script::Latin => &LATIN,
            Script::Cyrillic => &CYRILLIC,
            Script::Greek => &GREEK,
            Script::Armenian => &ARMENIAN,
            Script::Georgian => &GEORGIAN,
            Script::Arabic => &ARABIC,
            Script::Hebrew => &HEBREW,
            Script::Devanagari => &DEVANAGARI,
            Script::Bengali => &BENGALI,
            Script::Tamil => &TAMIL,
            Script::Telugu => &TELUGU,
            Script::Thai => &THAI,
            Script::Ethiopic => &ETHIOPIC,
            Script::Hangul => &HANGUL,
            Script::Japanese => &JAPANESE,
            Script::Han => &HAN,
        }
    }

    /// A name for a place: two to four syllables of this script, a capital first where it has them.
    pub(crate) fn place(self, rng: &mut Rng) -> String {
        let syllables = self.syllables();
        let mut name = String::from(rng.pick(syllables.first));
        for _ in 0..rng.below(3) {
            name.push_str(rng.pick(syllables.inner));
        }
        name.push_str(rng.pick(syllables.last));
        name
    }
}

/// A name for a user of a wiki in that script. A third of the users of other scripts have a Latin
/// name.
pub(crate) fn user(rng: &mut Rng, script: Script) -> String {
    let script = if rng.chance(350) {
        Script::Latin
    } else {
        script
    };
    let mut name = script.place(rng);
    match rng.below(6) {
        0 => name.push_str(&rng.between(2, 2099).to_string()),
        1 => {
            name.push(' ');
            name.push_str(&script.place(rng));
        }
        2 if script == Script::Latin => name.push_str(&script.place(rng).to_lowercase()),
        _ => {}
    }
    name
}

/// A name for a bot.
pub(crate) fn bot(rng: &mut Rng) -> String {
    Script::Latin.place(rng) + rng.pick(&["Bot", "bot", "-bot", " Bot", "Bot II"])
}

/// The name of a temporary account of that year: a tilde, the year, and a serial number in groups
/// of five digits.
pub(crate) fn temporary_account(rng: &mut Rng, year: i16) -> String {
    let serial = rng.below(9_999_999);
    if serial < 100_000 {
        format!("~{year}-{serial:05}")
    } else {
        format!("~{year}-{:05}-{}", serial % 100_000, serial / 100_000)
    }
}

/// An address from the blocks that stand for examples (RFC 5737, RFC 3849), as MediaWiki writes
/// them.
pub(crate) fn address(rng: &mut Rng) -> String {
    if rng.chance(600) {
        let block: &str = rng.pick(&["192.0.2", "198.51.100", "203.0.113"]);
        format!("{block}.{}", rng.between(1, 254))
    } else {
        let mut word = || rng.below(0x1_0000);
        format!(
            "2001:DB8:{:X}:{:X}:{:X}:{:X}:{:X}:{:X}",
            word(),
            word(),
            word(),
            word(),
            word(),
            word()
        )
    }
}
