//! The Helm chart, as far as that can be judged without Helm: its README lists its values.

use serde_json::Value;

/// The chart's README has a row for each value, with its default, in the order of values.yaml.
pub fn check_values(readme: &str, values: &str) -> Vec<String> {
    let values: Value = serde_saphyr::from_str(values).expect("values.yaml is YAML");
    let mut expected = Vec::new();
    collect(&values, "", &mut expected);
    let rows = readme
        .split_once("\n| value | default | meaning |\n|---|---|---|\n")
        .map_or("", |(_, rows)| rows);
    let rows: Vec<&str> = rows
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    let missing = expected
        .iter()
        .filter(|start| !rows.iter().any(|row| row.starts_with(*start)));
    let missing: Vec<String> = missing
        .map(|start| format!("has no row: {start} ... |"))
        .collect();
    let gone = rows
        .iter()
        .filter(|row| !expected.iter().any(|start| row.starts_with(start)));
    let gone: Vec<String> = gone
        .map(|row| format!("values.yaml has no such value or another default: {row}"))
        .collect();
    let mut found = [missing, gone].concat();
    if found.is_empty()
        && !rows
            .iter()
            .zip(&expected)
            .all(|(row, start)| row.starts_with(start))
    {
        found.push("the rows are in another order than values.yaml".to_owned());
    }
    found
        .into_iter()
        .map(|what| format!("helm/eventstreams/README.md: {what}"))
        .collect()
}

/// The start of the row of each value that is not a map, or an empty one.
fn collect(value: &Value, path: &str, rows: &mut Vec<String>) {
    match value {
        Value::Object(map) if path.is_empty() || !map.is_empty() => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                collect(value, &format!("{path}{dot}{key}"), rows);
            }
        }
        default => rows.push(format!("| `{path}` | `{default}` |")),
    }
}

#[cfg(test)]
mod tests {
    use super::check_values;

    const VALUES: &str = "a: 1\nb:\n  c: x\n  d: {}\n";
    const HEAD: &str = "\n| value | default | meaning |\n|---|---|---|\n";

    #[test]
    fn values_without_a_row_and_rows_without_a_value_are_found() {
        let check = |rows: &str| check_values(&format!("{HEAD}{rows}"), VALUES);
        let good = "| `a` | `1` | A. |\n| `b.c` | `\"x\"` | C. |\n| `b.d` | `{}` | D. |\n";
        assert_eq!(check(good), Vec::<String>::new());
        assert!(
            check(&good.replace("| `b.d` | `{}` | D. |\n", ""))[0]
                .contains("has no row: | `b.d` | `{}` |")
        );
        assert!(check(&good.replace("`1`", "`2`"))[1].contains("another default: | `a` | `2` |"));
        assert!(check(&format!("{good}| `e` | `1` | E. |\n"))[0].contains("no such value"));
        let turned = "| `b.c` | `\"x\"` | C. |\n| `a` | `1` | A. |\n| `b.d` | `{}` | D. |\n";
        assert!(check(turned)[0].contains("another order"));
    }
}
