use super::{PatternError, compile, is_valid};

fn matches(pattern: &str, text: &str) -> bool {
    let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
    regex.is_match(text.as_bytes())
}

#[test]
fn classes_mean_what_javascript_means() {
    for (pattern, text, expected) in [
        (r"^\d+$", "12", true),
        (r"^\d+$", "١٢", false),
        (r"^\w$", "ä", false),
        (r"^\W$", "ä", true),
        (r"^\s$", "\u{feff}", true),
        (r"^\s$", "\u{85}", false),
        (r"^[\s\S]$", "\n", true),
        (r"^[^\d-x]+$", "a", true),
        (r"^[\d-x]+$", "1-x", true),
        (r"^[a-]+$", "-a", true),
        (r"^[]", "a", false),
        (r"^[^]$", "\n", true),
        (r"^[a&&b]+$", "&a", true),
        (r"^[[]$", "[", true),
        (r"^.$", "\u{2028}", false),
        (r"a\b", "aä", true),
        (r"^[\b]$", "\u{8}", true),
        (r"a$", "a\n", false),
        (r"^(?:)$", "", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text:?}");
    }
}

#[test]
fn escapes_mean_what_javascript_means() {
    for (pattern, text) in [
        (r"^\x41\u0042\103$", "ABC"),
        (r"^\-\/\a\p\z$", "-/apz"),
        (r"^\cJ$", "\n"),
        (r"^\0$", "\0"),
        (r"^\ud83d\ude42$", "🙂"),
        (r"^a{,2}$", "a{,2}"),
        (r"^a{2}b{1,}c{0,1}?$", "aab"),
        (r"^x{$", "x{"),
        (r"^]}$", "]}"),
        (r"^(?<year>\d{4})$", "2020"),
        (r"^\8$", "8"),
        (r"^\x4$", "x4"),
    ] {
        assert!(matches(pattern, text), "{pattern} {text:?}");
    }
}

#[test]
fn what_is_not_linear_is_no_syntax_error() {
    for pattern in ["(?=a)b", "(?!a)", "(?<=a)b", "(a)\\1", "(?<n>a)\\k<n>"] {
        let error = compile(pattern).unwrap_err();
        assert!(matches!(error, PatternError::Inexpressible(_)), "{pattern}");
        assert!(is_valid(pattern));
    }
}

#[test]
fn what_javascript_refuses_is_refused() {
    for pattern in [
        "(", ")", "[", "[z-a]", "*a", "a**", "a{2,1}", "\\", "(?", "(?<1>a)", "^*", "(?<=a)*",
    ] {
        assert_eq!(
            compile(pattern).err(),
            Some(PatternError::Syntax),
            "{pattern}"
        );
    }
    for pattern in ["", "a|", "|", "(?:a|)", "a??", "{", "a{1"] {
        assert!(is_valid(pattern), "{pattern}");
    }
}
