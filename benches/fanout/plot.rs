//! The plot of README.md and docs/performance.md: deliveries per CPU second, and memory, against
//! the number of subscribers.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::deliveries::Deliveries;
use crate::run::Options;
use crate::table::{Row, print};

/// Numbers of subscribers, and how many events a second each of them gets: about 50,000 deliveries
/// a second in all cases.
const POINTS: [(usize, f64); 5] = [
    (250, 200.0),
    (500, 100.0),
    (1000, 50.0),
    (2500, 20.0),
    (5000, 10.0),
];

/// Measures, and writes the plot.
pub fn write(file: &Path, case: Deliveries, options: &Options) -> anyhow::Result<()> {
    let mut panels = [
        Panel::new(
            "Deliveries per CPU second",
            "deliveries per CPU second",
            "thousands",
            1e-3,
        ),
        Panel::new("Resident memory", "RSS in all", "MiB", 1.0),
    ];
    for (subscribers, events_per_s) in POINTS {
        let point = Deliveries {
            name: "plot",
            subscribers,
            events_per_s,
            ratio_max: None,
            ..case
        };
        let rows = point.run(options)?;
        print(&rows)?;
        for panel in &mut panels {
            panel.take(subscribers, &rows);
        }
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, svg(&panels)?).with_context(|| format!("cannot write {}", file.display()))
}

/// One diagram with two lines.
struct Panel {
    title: &'static str,
    what: &'static str,
    unit: &'static str,
    scale: f64,
    /// Subscribers, the server's figure, the broadcaster's.
    points: Vec<(f64, f64, f64)>,
}

/// Sizes in the plot, in its own units.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 60.0;
const LABEL_WIDTH: f64 = 30.0;

const LINES: [(&str, &str); 2] = [("EventStreams", "#2a6fb0"), ("raw broadcaster", "#999999")];

impl Panel {
    fn new(title: &'static str, what: &'static str, unit: &'static str, scale: f64) -> Self {
        Self {
            title,
            what,
            unit,
            scale,
            points: Vec::new(),
        }
    }

    fn take(&mut self, subscribers: usize, rows: &[Row]) {
        if let Some(row) = rows.iter().find(|row| row.what == self.what) {
            let raw = row.raw.unwrap_or(0.0) * self.scale;
            self.points
                .push((subscribers as f64, row.measured * self.scale, raw));
        }
    }

    fn draw(&self, out: &mut String, left: f64) -> anyhow::Result<()> {
        let axes = Axes::new(&self.points, left);
        writeln!(
            out,
            r#"<text x="{}" y="{}" font-weight="bold">{} ({})</text>"#,
            axes.x(0.0),
            MARGIN - 20.0,
            self.title,
            self.unit
        )?;
        axes.draw_values(out)?;
        self.draw_numbers_of_subscribers(out, &axes)?;
        for (line, (_, colour)) in LINES.iter().enumerate() {
            let value = |point: &(f64, f64, f64)| if line == 0 { point.1 } else { point.2 };
            let points: Vec<_> = self
                .points
                .iter()
                .map(|point| (axes.x(point.0), axes.y(value(point))))
                .collect();
            let joined: Vec<_> = points
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            writeln!(
                out,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
                joined.join(" ")
            )?;
            for (x, y) in points {
                writeln!(
                    out,
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#
                )?;
            }
        }
        Ok(())
    }

    fn draw_numbers_of_subscribers(&self, out: &mut String, axes: &Axes) -> anyhow::Result<()> {
        // From the right: a number that would overlap the next one is omitted.
        let mut room = f64::INFINITY;
        for (subscribers, ..) in self.points.iter().rev() {
            let at = axes.x(*subscribers);
            if at > room {
                continue;
            }
            room = at - LABEL_WIDTH;
            writeln!(
                out,
                r#"<text x="{at}" y="{}" text-anchor="middle">{subscribers}</text>"#,
                axes.y(0.0) + 18.0
            )?;
        }
        writeln!(
            out,
            r#"<text x="{}" y="{}" text-anchor="middle">subscribers</text>"#,
            axes.x(axes.most_x / 2.0),
            axes.y(0.0) + 36.0
        )?;
        Ok(())
    }
}

/// The scales of a diagram.
struct Axes {
    left: f64,
    most_x: f64,
    most_y: f64,
}

impl Axes {
    fn new(points: &[(f64, f64, f64)], left: f64) -> Self {
        let most_x = points.iter().map(|point| point.0).fold(1.0, f64::max);
        let most_y = points
            .iter()
            .map(|point| point.1.max(point.2))
            .fold(1.0, f64::max);
        Self {
            left,
            most_x,
            most_y: round_up(most_y),
        }
    }

    fn x(&self, value: f64) -> f64 {
        self.left + MARGIN + value / self.most_x * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        MARGIN + HEIGHT - value / self.most_y * HEIGHT
    }

    fn draw_values(&self, out: &mut String) -> anyhow::Result<()> {
        for step in 0..=4 {
            let value = self.most_y * f64::from(step) / 4.0;
            let (x1, x2, at) = (self.x(0.0), self.x(self.most_x), self.y(value));
            writeln!(
                out,
                r##"<line x1="{x1}" x2="{x2}" y1="{at}" y2="{at}" stroke="#dddddd"/>"##
            )?;
            writeln!(
                out,
                r#"<text x="{}" y="{}" text-anchor="end">{value}</text>"#,
                x1 - 6.0,
                at + 4.0
            )?;
        }
        Ok(())
    }
}

fn svg(panels: &[Panel]) -> anyhow::Result<String> {
    let panel_width = WIDTH + 1.5 * MARGIN;
    let (width, height) = (panel_width * panels.len() as f64, HEIGHT + 2.6 * MARGIN);
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(
        out,
        r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##
    )?;
    for (number, panel) in panels.iter().enumerate() {
        panel.draw(&mut out, number as f64 * panel_width)?;
    }
    for (number, (name, colour)) in LINES.iter().enumerate() {
        let (x, y) = (MARGIN + number as f64 * 140.0, height - 20.0);
        writeln!(
            out,
            r#"<rect x="{x}" y="{}" width="14" height="4" fill="{colour}"/>"#,
            y - 6.0
        )?;
        writeln!(out, r#"<text x="{}" y="{y}">{name}</text>"#, x + 20.0)?;
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// The next of 1, 2, 4, 8 or 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 8.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(10.0 * power)
}
