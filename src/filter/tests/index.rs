use super::super::{FilterIndex, Scratch};
use super::cases::{EVENT, filter};

#[test]
fn an_index_finds_what_matches_and_forgets_what_is_removed() {
    let mut index = FilterIndex::default();
    let mut scratch = Scratch::default();
    let texts = [
        r#"event.wiki == "dewiktionary""#,
        r#"event.wiki == "enwiki""#,
        r#"event.wiki == "dewiktionary" && event.title.contains("bar")"#,
        r#"event.wiki == "dewiktionary" && event.title.contains("no")"#,
        "event.length.new > 2000",
        "event.namespace in [0, 1] && event.nope == 1",
        "event.rate == 1.5",
        "event.bot == false",
        "event.n == null",
        "event.tags == ['a']",
    ];
    let ids = texts.map(|text| index.add(&filter(text)));
    let mut found = index.matching(EVENT, &mut scratch).to_vec();
    found.sort_unstable();
    assert_eq!(found, [ids[0], ids[2], ids[4], ids[6], ids[7], ids[8]]);
    assert_eq!((index.len(), index.residual_len()), (10, 2));
    for id in ids {
        index.remove(id);
    }
    assert!(index.matching(EVENT, &mut scratch).is_empty());
    assert_eq!(
        format!("{index:?}").matches("Node {").count(),
        1,
        "{index:?}"
    );
    assert!(index.is_empty() && index.residual_len() == 0);
    let again = index.add(&filter(texts[0]));
    assert_eq!(index.matching(EVENT, &mut scratch), [again]);
}

#[test]
fn a_filter_is_found_by_the_rarest_of_its_values() {
    let event = r#"{"bot":false,"namespace":0,"wiki":"w3"}"#;
    for text in [
        "event.bot == false && event.wiki == 'w{}'",
        "event.wiki == 'w{}' && event.namespace == 0",
    ] {
        let mut index = FilterIndex::default();
        for number in 0..100 {
            index.add(&filter(&text.replace("{}", &number.to_string())));
        }
        let candidates = index.candidates_len(event, &mut Scratch::default());
        assert!(candidates <= 3, "{text}: {candidates}");
    }
}
