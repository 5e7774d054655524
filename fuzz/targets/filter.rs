//! Any text as a filter, and any text as an event: either the filter has an error with a column, or
//! its normal form is a filter that matches the same events. After a NUL comes the event.

#![no_main]

use eventstreams::filter::{FILTER_BYTES_MAX, Filter, FilterIndex, Scratch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (text, event) = text.split_once('\0').unwrap_or((text, "{}"));
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(error) => {
            let characters = text.chars().count();
            assert!(
                error.column >= 1 && error.column <= characters + 1,
                "{error}"
            );
            return;
        }
    };
    // The normal form may be a little longer than what was written.
    if filter.text().len() <= FILTER_BYTES_MAX {
        let again = Filter::parse(filter.text());
        let again = again.unwrap_or_else(|error| panic!("{}: {error}", filter.text()));
        assert_eq!(again, filter);
    }
    let (mut index, mut scratch) = (FilterIndex::default(), Scratch::default());
    let id = index.add(&filter);
    let matches = filter.matches(event);
    assert_eq!(index.matching(event, &mut scratch).contains(&id), matches);
    index.remove(id);
    assert!(index.matching(event, &mut scratch).is_empty());
});
