//! Merges settings.

use serde_json::{Map, Value};

/// Merges `over` into `under`. Maps are merged key by key; anything else, including lists and null,
/// is replaced as a whole.
pub(super) fn merge(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(under: &Value, over: &Value) -> Value {
        let mut result = under.as_object().unwrap().clone();
        merge(&mut result, over.as_object().unwrap());
        Value::Object(result)
    }

    #[test]
    fn maps_are_merged_deeply() {
        let under = json!({"a": {"b": 1, "c": {"d": 2}}, "e": 3});
        let over = json!({"a": {"c": {"f": 4}, "b": 5}, "g": 6});
        assert_eq!(
            merged(&under, &over),
            json!({"a": {"b": 5, "c": {"d": 2, "f": 4}}, "e": 3, "g": 6})
        );
    }

    #[test]
    fn lists_and_scalars_are_replaced_as_a_whole() {
        let under = json!({"topics": ["eqiad.a", "codfw.a"], "prefixes": ["x"], "map": {"a": 1}});
        let over = json!({"topics": ["eqiad.a"], "prefixes": null, "map": 5});
        assert_eq!(
            merged(&under, &over),
            json!({"topics": ["eqiad.a"], "prefixes": null, "map": 5})
        );
    }
}
