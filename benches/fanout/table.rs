//! What is printed, and what is kept in `target/bench/`.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Measured by raw.
    RatioAtMost(f64),
    /// As measured.
    AtMost(f64),
    /// As measured.
    AtLeast(f64),
}

/// One figure of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    case: &'static str,
    /// What it is, one of each case.
    pub what: &'static str,
    unit: &'static str,
    /// Of the server.
    pub measured: f64,
    /// The same of what it is measured against.
    pub raw: Option<f64>,
    ratio: Option<f64>,
    goal: Option<Goal>,
    holds: Option<bool>,
    #[serde(skip_serializing_if = "Value::is_null")]
    details: Value,
}

impl Row {
    /// A figure of the server.
    pub fn new(case: &'static str, what: &'static str, unit: &'static str, measured: f64) -> Self {
        Self {
            case,
            what,
            unit,
            measured,
            raw: None,
            ratio: None,
            goal: None,
            holds: None,
            details: Value::Null,
        }
    }

    /// With the same figure of what the server is measured against.
    pub fn beside(mut self, raw: f64) -> Self {
        self.raw = Some(raw);
        self.ratio = (raw > 0.0).then(|| self.measured / raw);
        self
    }

    /// With what is wanted of it.
    pub fn with_goal(mut self, goal: Option<Goal>) -> Self {
        self.goal = goal;
        self.holds = goal.map(|goal| match goal {
            Goal::RatioAtMost(most) => self.ratio.is_some_and(|ratio| ratio <= most),
            Goal::AtMost(most) => self.measured <= most,
            Goal::AtLeast(least) => self.measured >= least,
        });
        self
    }

    /// With all that it was computed from.
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// Prints a case: a table, then one line of JSON, which is kept as a file too.
pub fn print(rows: &[Row]) -> anyhow::Result<()> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    println!(
        "\n{:<44} {:>12} {:>12} {:>7}  goal",
        first.case, "measured", "raw", "ratio"
    );
    for row in rows {
        let what = if row.unit.is_empty() {
            row.what.to_owned()
        } else {
            format!("{} [{}]", row.what, row.unit)
        };
        let raw = row.raw.map(figure).unwrap_or_default();
        let ratio = row
            .ratio
            .map(|ratio| format!("{ratio:.2}"))
            .unwrap_or_default();
        println!(
            "  {what:<42} {:>12} {raw:>12} {ratio:>7}  {}",
            figure(row.measured),
            row.verdict()
        );
    }
    let line = serde_json::to_string(&serde_json::json!({"case": first.case, "rows": rows}))?;
    println!("{line}");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{}.json", first.case)), line + "\n")?;
    Ok(())
}

impl Row {
    fn verdict(&self) -> String {
        let verdict = match self.goal {
            None => return String::new(),
            Some(Goal::RatioAtMost(most)) => format!("ratio <= {most}"),
            Some(Goal::AtMost(most)) => format!("<= {}", figure(most)),
            Some(Goal::AtLeast(least)) => format!(">= {}", figure(least)),
        };
        format!(
            "{verdict}: {}",
            if self.holds == Some(true) {
                "holds"
            } else {
                "MISSED"
            }
        )
    }
}

/// Three digits or more.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
