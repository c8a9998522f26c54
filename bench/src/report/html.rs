//! The report as one page of HTML that needs nothing else.
//!
//! Owns its layout, style and script. All text goes through `escape`. Pure.

use std::fmt::Write;

use crate::report::aims::AimRow;
use crate::report::charts;
use crate::report::figures::{heading, spread, text};
use crate::report::markdown::{columns, facts, failures, mode, notes, ratio, rounds, verdict};
use crate::report::model::{Report, Row};
use crate::report::svg::{colour, escape, variables};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn page(report: &Report) -> String {
    let title = escape(if report.title.is_empty() { &report.name } else { &report.title });
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>:root{{{}}}@media(prefers-color-scheme:dark){{:root{{{}}}}}\n{STYLE}</style></head><body>\n\
         <h1>{title}</h1><p>{}. {}.</p>\n",
        variables(false),
        variables(true),
        escape(&report.date),
        escape(&rounds(report)),
    );
    if !report.complete {
        page.push_str("<p class=\"no\">Incomplete: it was interrupted; what was measured until then is here.</p>\n");
    }
    // Writing to a string does not fail, here and below.
    let _ = write!(page, "<pre>{}</pre>\n<dl>", escape(&report.command));
    for (name, value) in facts(report) {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(&name), escape(&value));
    }
    page.push_str("</dl>\n<fieldset id=\"sides\"><legend>Sides</legend>");
    for (index, side) in report.sides.iter().enumerate() {
        let (paint, name) = (colour(index), escape(&side.name));
        let _ = write!(
            page,
            "<label><input type=\"checkbox\" checked value=\"{index}\"><i style=\"background:{paint}\"></i>{name}</label> "
        );
    }
    page.push_str("</fieldset>\n");
    aims(&mut page, report);
    if let Some(chart) = charts::cpu(report) {
        let _ = write!(
            page,
            "<h2>CPU per message</h2><p>Median over the rounds, line: min to max; each row has its own scale.</p>\n{chart}\n"
        );
    }
    page.push_str("<h2>Workloads</h2><p>Cells: median, below it min – max. Curves: the round in the middle strong, the others faint.</p>\n");
    for row in report.rows() {
        section(&mut page, report, &row);
    }
    let failures = failures(report);
    if !failures.is_empty() {
        page.push_str("<h2>Failed</h2><ul>");
        for failure in failures {
            let _ = write!(page, "<li class=\"no\"><pre>{}</pre></li>", escape(&failure));
        }
        page.push_str("</ul>\n");
    }
    let _ = write!(page, "<script>{SCRIPT}</script>\n</body></html>\n");
    page
}

fn aims(page: &mut String, report: &Report) {
    if report.aims.is_empty() {
        return;
    }
    page.push_str("<h2>Aims</h2>\n<div class=\"scroll\"><table><thead><tr><th>what</th><th>figure</th><th>ours</th><th>peer or reference</th><th>ratio of medians</th><th>aim</th><th>met</th></tr></thead><tbody>\n");
    for aim in &report.aims {
        let class = match aim.met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"{class}\">{}</td></tr>",
            escape(&aim.label),
            escape(heading(&aim.figure)),
            side(&aim.ours),
            values(aim, aim.our_values),
            if aim.peer == "-" {
                values(aim, aim.other_values)
            } else {
                side(&aim.peer) + &values(aim, aim.other_values)
            },
            ratio(aim.ratio),
            escape(&aim.aim),
            escape(&verdict(aim))
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn side(name: &str) -> String {
    format!("<small>{}</small><br>", escape(name))
}

fn values(aim: &AimRow, values: Option<[f64; 3]>) -> String {
    values.map_or("-".into(), |[min, median, max]| cell(&aim.figure, min, median, max))
}

fn cell(figure: &str, min: f64, median: f64, max: f64) -> String {
    format!("<b>{}</b><br><small>{} – {}</small>", text(figure, median), text(figure, min), text(figure, max))
}

fn section(page: &mut String, report: &Report, row: &Row) {
    let columns = columns(report, row);
    if columns.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<section><h3>{}</h3><p>{}</p>\n<div class=\"scroll\"><table><thead><tr><th>side</th>",
        escape(&row.label),
        escape(mode(row).trim())
    );
    for column in &columns {
        let _ = write!(page, "<th>{}</th>", escape(column.heading));
    }
    page.push_str("</tr></thead><tbody>\n");
    for name in report.sides_of(row) {
        let index = report.sides.iter().position(|side| side.name == name);
        let place = index.map(|index| format!(" data-side=\"{index}\"")).unwrap_or_default();
        let _ = write!(page, "<tr{place}><td>{}</td>", escape(name));
        for column in &columns {
            let found = spread(&report.values(row, name, column.name));
            let cell = found.map_or("-".into(), |found| cell(column.name, found.min, found.median, found.max));
            let _ = write!(page, "<td class=\"n\">{cell}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    for note in notes(report, row) {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(&note));
    }
    let drawn = [charts::latency(report, row), charts::throughput(report, row)];
    if drawn.iter().any(Option::is_some) {
        let _ = writeln!(page, "<div class=\"charts\">{}</div>", drawn.into_iter().flatten().collect::<String>());
    }
    page.push_str("</section>\n");
}
