//! Any text as `since`: it is refused with a sentence, or is a time that is the same again in
//! digits.

#![no_main]

use eventstreams::cursor::{SinceError, since};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match since::parse(text) {
        Ok(time) => {
            assert!(time.0 >= 0, "{text:?} is {time}");
            let digits = time.to_string();
            match since::parse(&digits) {
                Ok(again) => assert_eq!(again, time),
                Err(error) => assert_eq!(
                    (error, digits.len()),
                    (SinceError::Seconds(digits.clone()), 10)
                ),
            }
            // White space around it means nothing, and a plus that was not escaped is one all the
            // same where it stands behind a time.
            assert_eq!(since::parse(&format!(" {text}\t")), Ok(time));
            let is_named = text
                .trim()
                .starts_with(|first: char| first.is_ascii_alphabetic());
            let is_one_word = !text.contains(' ') && !is_named;
            if let Some(at) = text.find(['T', 't']).filter(|_| is_one_word) {
                let decoded = format!("{}{}", &text[..at], text[at..].replace('+', " "));
                assert_eq!(since::parse(&decoded), Ok(time), "{decoded:?}");
            }
        }
        Err(error) => assert!(error.to_string().contains("since"), "{error}"),
    }
});
