//! The charts of the page: latency by percentile, throughput over time, CPU per message.
//!
//! Owns their layout. Pure. Every shape carries `data-side`, so that a page can hide a side.

use std::fmt::Write;

use crate::report::figures::spread;
use crate::report::model::{Report, Row, Run};
use crate::report::svg::{Scale, colour, escape, short, step, time};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 262.0;

/// Where the sides stand in the report, with their names.
fn sides<'a>(report: &'a Report, row: &Row) -> Vec<(usize, &'a str)> {
    let all = report.sides.iter().map(|side| side.name.as_str()).enumerate();
    all.filter(|(_, name)| report.runs_of(row, name).any(|run| run.result.is_some())).collect()
}

/// The run in the middle by a figure: one that was measured, not an average of several.
fn middle<'a>(runs: &[&'a Run], figure: &str) -> Option<&'a Run> {
    let mut runs: Vec<&Run> = runs.iter().copied().filter(|run| run.figures.contains_key(figure)).collect();
    let value = |run: &Run| run.figures.get(figure).copied().unwrap_or(0.0);
    runs.sort_by(|one, other| value(one).total_cmp(&value(other)));
    runs.get(runs.len() / 2).copied()
}

fn open(label: &str) -> String {
    format!(r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escape(label))
}

/// A line across with its label on the left.
fn across(out: &mut String, y: f64, label: &str) {
    // Writing to a string does not fail.
    let _ = write!(
        out,
        r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
        LEFT - 6.0,
        y + 4.0,
        escape(label)
    );
}

fn below(out: &mut String, x: f64, label: &str) {
    let _ = write!(
        out,
        r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{BOTTOM}"/><text class="tick" x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        BOTTOM + 18.0,
        escape(label)
    );
}

/// A curve: number and name of its side, whether it is the strong one, its points.
type Curve<'a> = (usize, &'a str, bool, Vec<(f64, f64)>);

/// Draws the curves, the strong ones on top, and ends the picture.
fn close(mut out: String, mut curves: Vec<Curve<'_>>, x: &Scale, y: &Scale) -> String {
    curves.sort_by_key(|(_, _, is_main, _)| *is_main);
    for (index, name, is_main, points) in &curves {
        let drawn: Vec<(f64, f64)> = points.iter().map(|(px, py)| (x.at(*px), y.at(*py))).collect();
        path(&mut out, *index, name, *is_main, &drawn);
    }
    out.push_str("</svg>");
    out
}

fn caption(out: &mut String, text: &str) {
    let middle = (LEFT + RIGHT) / 2.0;
    let _ = write!(
        out,
        r#"<text class="tick" x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
        HEIGHT - 4.0,
        escape(text)
    );
}

fn path(out: &mut String, index: usize, side: &str, is_main: bool, points: &[(f64, f64)]) {
    let drawn: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(
        out,
        r#"<polyline data-side="{index}" class="{}" stroke="{}" points="{}"><title>{}</title></polyline>"#,
        if is_main { "line" } else { "line faint" },
        colour(index),
        drawn.join(" "),
        escape(side)
    );
}

/// How many nines a quantile has: 0.9 is 1, 0.99 is 2.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// Latency by percentile; the median round drawn strong, the others faint. `None` where nothing has a latency.
pub fn latency(report: &Report, row: &Row) -> Option<String> {
    let sides = sides(report, row);
    let mut curves = Vec::new();
    for (index, name) in &sides {
        let runs: Vec<&Run> = report.runs_of(row, name).filter(|run| run.complete).collect();
        let main = middle(&runs, "p999_us");
        for run in &runs {
            let Some(result) = &run.result else { continue };
            // The last point is the max, at 100 %: it is drawn where its one message lies.
            let last = nines(1.0 - 1.0 / result.latency_us.map_or(1.0, |latency| latency.count.max(1) as f64));
            let points = result.percentiles.iter().filter(|(quantile, us)| *quantile >= 0.0 && *us > 0.0);
            let points: Vec<(f64, f64)> =
                points.map(|(quantile, us)| (nines(*quantile).min(last), us.log10())).collect();
            if points.len() > 1 {
                curves.push((*index, *name, main.is_some_and(|main| std::ptr::eq(main, *run)), points));
            }
        }
    }
    let all = || curves.iter().flat_map(|(_, _, _, points)| points.iter());
    let low = all().map(|(_, y)| y.floor()).min_by(f64::total_cmp)?;
    let high = all().map(|(_, y)| y.ceil()).max_by(f64::total_cmp)?.max(low + 1.0);
    let right = all().map(|(x, _)| *x).max_by(f64::total_cmp)?.clamp(4.0, 7.0);
    let x = Scale { from: 0.0, to: right, start: LEFT, end: RIGHT };
    let y = Scale { from: low, to: high, start: BOTTOM, end: TOP };
    let mut out = open(&format!("latency by percentile of {}", row.label));
    for power in low as i32..=high as i32 {
        across(&mut out, y.at(f64::from(power)), &time(10f64.powi(power)));
    }
    for (at, label) in
        [(0.0, "0 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"), (5.0, "99.999 %"), (6.0, "…")]
    {
        if at <= right {
            below(&mut out, x.at(at), label);
        }
    }
    caption(&mut out, "percentile; latency, both logarithmic");
    Some(close(out, curves, &x, &y))
}

/// Messages each second; the median round drawn strong. `None` where nothing lasted two seconds.
pub fn throughput(report: &Report, row: &Row) -> Option<String> {
    let mut curves = Vec::new();
    for (index, name) in sides(report, row) {
        let runs: Vec<&Run> = report.runs_of(row, name).filter(|run| run.complete).collect();
        let main = middle(&runs, "rate");
        for run in &runs {
            let series = run.result.iter().flat_map(|result| &result.series);
            let points: Vec<(f64, f64)> = series.map(|second| (second.second as f64, second.messages as f64)).collect();
            if points.len() > 1 {
                curves.push((index, name, main.is_some_and(|main| std::ptr::eq(main, *run)), points));
            }
        }
    }
    let all = || curves.iter().flat_map(|(_, _, _, points)| points.iter());
    let most = all().map(|(_, y)| *y).max_by(f64::total_cmp)?.max(1.0);
    let last = all().map(|(x, _)| *x).max_by(f64::total_cmp)?.max(1.0);
    let each = step(most, 5.0);
    let x = Scale { from: 0.0, to: last, start: LEFT, end: RIGHT };
    let y = Scale { from: 0.0, to: (most / each).ceil() * each, start: BOTTOM, end: TOP };
    let mut out = open(&format!("throughput over time of {}", row.label));
    for count in 0..=(y.to / each).round() as u32 {
        across(&mut out, y.at(f64::from(count) * each), &short(f64::from(count) * each));
    }
    let second = step(last, 8.0).max(1.0);
    for count in 0..=(last / second) as u32 {
        below(&mut out, x.at(f64::from(count) * second), &short(f64::from(count) * second));
    }
    caption(&mut out, "messages a second; seconds");
    Some(close(out, curves, &x, &y))
}

/// Bars of the median CPU time a message, for all rows that have one; each row to its own scale.
pub fn cpu(report: &Report) -> Option<String> {
    const BAR: f64 = 16.0;
    const LABEL: f64 = 250.0;
    let mut groups = Vec::new();
    for row in report.rows() {
        let mut bars = Vec::new();
        for (index, side) in report.sides.iter().enumerate() {
            if let Some(found) = spread(&report.values(&row, &side.name, "cpu_us_per_message")) {
                bars.push((index, side.name.as_str(), found));
            }
        }
        if !bars.is_empty() {
            groups.push((row.label, bars));
        }
    }
    if groups.is_empty() {
        return None;
    }
    let width = 1140.0;
    let height: f64 = 4.0 + groups.iter().map(|(_, bars)| bars.len() as f64 * BAR + 12.0).sum::<f64>();
    let mut out =
        format!(r#"<svg class="chart wide" viewBox="0 0 {width} {height}" role="img" aria-label="CPU per message">"#);
    let mut top = 4.0;
    for (label, bars) in &groups {
        // Each row has its own scale: a message of a drain takes a hundredth of one that is flushed alone.
        let most = bars.iter().map(|(_, _, found)| found.max).fold(0.0, f64::max);
        let x = Scale { from: 0.0, to: most, start: LABEL, end: width - 80.0 };
        let middle = top + bars.len() as f64 * BAR / 2.0 + 4.0;
        let _ = write!(
            out,
            r#"<text class="tick" x="{}" y="{middle:.1}" text-anchor="end">{}</text>"#,
            LABEL - 8.0,
            escape(label)
        );
        for (index, name, found) in bars {
            let [from, to] = [found.min, found.max].map(|us| x.at(us));
            let end = x.at(found.median);
            let _ = write!(
                out,
                r#"<g data-side="{index}"><rect x="{LABEL}" y="{top:.1}" width="{:.1}" height="{}" fill="{}"><title>{}</title></rect><line class="spread" x1="{from:.1}" x2="{to:.1}" y1="{middle:.1}" y2="{middle:.1}"/><text class="tick" x="{:.1}" y="{:.1}">{} µs</text></g>"#,
                (end - LABEL).max(1.0),
                BAR - 3.0,
                colour(*index),
                escape(name),
                to.max(end) + 5.0,
                top + 11.0,
                short(found.median),
                middle = top + (BAR - 3.0) / 2.0,
            );
            top += BAR;
        }
        top += 12.0;
    }
    out.push_str("</svg>");
    Some(out)
}
