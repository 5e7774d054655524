use super::super::{Filter, Shorthand};
use super::cases::EVENT;

#[test]
fn a_space_beside_the_asterisk_of_a_title_counts() {
    for (values, is_match) in [
        ("Foo *", true),
        ("foo*", true),
        ("Fo_*", false),
        ("* \"BAR\"", true),
        ("*_ar\"", false),
        ("_*", true),
    ] {
        let filter = Filter::shorthand(Shorthand::Title, values).expect(values);
        assert_eq!(filter.matches(EVENT), is_match, "{values}");
    }
}
