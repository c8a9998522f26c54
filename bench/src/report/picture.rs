//! The one picture for a README: a few panels of bars, RingMQ beside its peers.
//!
//! Owns its layout; which panels there are is the scenario's word. Self-contained, light and dark. Pure.

use std::fmt::Write;

use crate::report::figures::{Spread, of_name, spread};
use crate::report::model::{Report, Row};
use crate::report::svg::{Scale, colour, escape, short, variables};

const WIDTH: f64 = 860.0;
const LABEL: f64 = 120.0;
const BAR: f64 = 22.0;
const PANEL_HEAD: f64 = 30.0;
const PANEL_GAP: f64 = 16.0;
/// Panels stand in so many columns.
const COLUMNS: usize = 2;

/// `None` when nothing of what the scenario's charts show was measured.
pub fn draw(report: &Report) -> Option<String> {
    let rows = report.rows();
    let panels: Vec<_> = report
        .scenario
        .charts
        .iter()
        .filter_map(|chart| {
            let row = rows.iter().find(|row| row.step == chart.step)?;
            let bars = bars(report, row, &chart.figure);
            (!bars.is_empty()).then_some((chart, bars))
        })
        .collect();
    let most = panels.iter().map(|(_, bars)| bars.len()).max()?;
    let panel_height = PANEL_HEAD + most as f64 * BAR + PANEL_GAP;
    let lines = panels.len().div_ceil(COLUMNS);
    let height = lines as f64 * panel_height + 26.0;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{}"><style>svg{{{}--ink:#1f2328;--quiet:#656d76;font-family:system-ui,sans-serif}}@media(prefers-color-scheme:dark){{svg{{{}--ink:#e6edf3;--quiet:#8d96a0}}}}.t{{font-size:14px;font-weight:600;fill:var(--ink)}}.l{{font-size:12px;fill:var(--ink)}}.q{{font-size:11px;fill:var(--quiet)}}.w{{stroke:var(--ink);stroke-width:1.2}}</style>"#,
        escape(&report.title),
        variables(false),
        variables(true)
    );
    let column_width = WIDTH / COLUMNS as f64;
    for (place, (chart, bars)) in panels.iter().enumerate() {
        let left = (place % COLUMNS) as f64 * column_width;
        let top = (place / COLUMNS) as f64 * panel_height;
        // Writing to a string does not fail.
        let _ = write!(
            out,
            r#"<text class="t" x="{:.1}" y="{:.1}">{}</text>"#,
            left + 8.0,
            top + 20.0,
            escape(&chart.title)
        );
        let divisor = of_name(&chart.figure).map_or(1.0, |figure| figure.divisor);
        let max = bars.iter().map(|(_, _, found)| found.max).fold(0.0, f64::max);
        let x = Scale { from: 0.0, to: max, start: left + LABEL, end: left + column_width - 96.0 };
        for (line, (index, name, found)) in bars.iter().enumerate() {
            let y = top + PANEL_HEAD + line as f64 * BAR;
            let middle = y + (BAR - 6.0) / 2.0;
            let _ = write!(
                out,
                r#"<text class="l" x="{:.1}" y="{:.1}" text-anchor="end">{}</text><rect x="{:.1}" y="{y:.1}" width="{:.1}" height="{}" rx="2" fill="{}"/><line class="w" x1="{:.1}" x2="{:.1}" y1="{middle:.1}" y2="{middle:.1}"/><text class="l" x="{:.1}" y="{:.1}">{} {}</text>"#,
                x.start - 8.0,
                y + 13.0,
                escape(name),
                x.start,
                (x.at(found.median) - x.start).max(1.0),
                BAR - 6.0,
                colour(*index),
                x.at(found.min),
                x.at(found.max),
                x.at(found.max) + 6.0,
                y + 13.0,
                short(found.median / divisor),
                escape(&chart.unit)
            );
        }
    }
    let machine = report.machine.iter().find(|(name, _)| name == "machine").map_or("", |(_, value)| value);
    let done = report.runs.iter().map(|run| run.round + 1).max().unwrap_or(0);
    let state = if report.complete { "" } else { "; incomplete" };
    let day = report.date.split(' ').next().unwrap_or_default();
    let foot = format!(
        "{day}, {machine}; broker and loader on the same machine; median of {done} rounds, line: min to max{state}"
    );
    let _ = write!(out, r#"<text class="q" x="8" y="{:.1}">{}</text></svg>"#, height - 8.0, escape(&foot));
    out.push('\n');
    Some(out)
}

fn bars<'a>(report: &'a Report, row: &Row, figure: &str) -> Vec<(usize, &'a str, Spread)> {
    let sides = report.sides.iter().enumerate();
    sides
        .filter_map(|(index, side)| Some((index, side.name.as_str(), spread(&report.values(row, &side.name, figure))?)))
        .collect()
}
