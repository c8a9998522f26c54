//! Pages of reports that are empty, strange or hostile: they come out whole, and text stays text.
//!
//! Builds reports by hand; measures nothing.

use crate::matrix::scenario::Scenario;
use crate::report::model::{Report, Run, SideFacts};
use crate::report::{html, markdown, picture};
use crate::result::{BrokerUse, Latency, RunResult, Second};

const STRANGE: &str = "<script>alert('x')</script>";

/// A report of one step on one side, with these runs.
fn report(runs: Vec<Run>) -> Report {
    let text = format!(
        "name = 'x'\ntitle = {STRANGE:?}\n[[broker]]\nname = 'a'\nflush = ['ASYNC_FLUSH', 'SYNC_FLUSH']\n\
         [[broker.step]]\nname = {STRANGE:?}\nmqbench = 'produce'\naims = [{{ figure = 'rate', at_least = 1 }}]\n\
         [[chart]]\ntitle = {STRANGE:?}\nstep = {STRANGE:?}\nfigure = 'rate'\n"
    );
    let scenario = Scenario::parse(&text, "here").unwrap();
    let sides = vec![SideFacts { name: STRANGE.into(), is_ringmq: true, version: STRANGE.into() }];
    let mut report = Report {
        name: "x".into(),
        title: STRANGE.into(),
        command: STRANGE.into(),
        machine: vec![(STRANGE.into(), STRANGE.into())],
        sides,
        scenario,
        runs,
        ..Report::default()
    };
    report.judge();
    report
}

fn run(flush: &str, result: RunResult) -> Run {
    Run {
        broker: "a".into(),
        flush: flush.into(),
        replication: "single".into(),
        step: STRANGE.into(),
        side: STRANGE.into(),
        figures: crate::report::figures::of(&result),
        result: Some(result),
        complete: true,
        ..Run::default()
    }
}

fn measured(us: f64) -> RunResult {
    RunResult {
        messages: 7,
        rate: 7.0 / us.max(1.0),
        latency_us: Some(Latency { count: 7, p50: us, p999: us, max: us, ..Latency::default() }),
        percentiles: vec![(0.0, us), (0.5, us), (1.0, us)],
        series: (0..3).map(|second| Second { second, messages: 7 * second, ..Second::default() }).collect(),
        broker: Some(BrokerUse { cpu_us_per_message: Some(us), ..BrokerUse::default() }),
        notes: vec![STRANGE.into()],
        complete: true,
        ..RunResult::default()
    }
}

#[track_caller]
fn check(report: &Report) -> (String, Option<String>) {
    let page = html::page(report);
    let drawn = picture::draw(report);
    for text in [Some(&page), drawn.as_ref()].into_iter().flatten() {
        assert!(!text.contains(STRANGE), "unescaped in {text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
    }
    assert!(page.contains("&lt;script&gt;") && page.ends_with("</html>\n"));
    assert!(!markdown::page(report).contains("NaN"));
    (page, drawn)
}

#[test]
fn a_report_without_runs_has_a_page_and_no_picture() {
    let (page, drawn) = check(&report(Vec::new()));
    assert!(page.contains("Incomplete") && !page.contains("<polyline"));
    assert_eq!(drawn, None);
}

#[test]
fn text_from_outside_stays_text() {
    let (page, drawn) = check(&report(vec![run("ASYNC_FLUSH", measured(71.0)), run("SYNC_FLUSH", measured(2e6))]));
    assert_eq!(page.matches("<polyline").count(), 4, "two curves for each of two rows");
    assert!(drawn.is_some_and(|drawn| drawn.contains("<rect")));
}

#[test]
fn zeros_have_a_place_in_every_chart() {
    check(&report(vec![run("ASYNC_FLUSH", measured(0.0))]));
    check(&report(vec![run("ASYNC_FLUSH", RunResult::default())]));
    check(&report(vec![run("ASYNC_FLUSH", RunResult { percentiles: vec![(1.0, 0.0), (2.0, -1.0)], ..measured(1.0) })]));
}

#[test]
fn failed_and_cut_off_runs_are_told_and_not_counted() {
    let mut failed = run("ASYNC_FLUSH", measured(1.0));
    failed.failure = Some(STRANGE.into());
    let mut cut = run("ASYNC_FLUSH", measured(5.0));
    cut.complete = false;
    let report = report(vec![failed, cut]);
    let (page, _) = check(&report);
    assert!(page.contains("<h2>Failed</h2>"));
    let text = markdown::page(&report);
    assert!(text.contains("## Failed") && text.contains("not measured"), "{text}");
}
