//! How far the measurement is: a bar with the time left on a terminal, plain lines elsewhere.
//!
//! Owns standard error while a matrix runs. Redraws once a second at most, so that it costs no CPU that is measured.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar, or nothing where nobody looks at it.
pub struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    /// Seconds all is thought to take, and what is behind us of them.
    expected: f64,
    done: f64,
    drawn: Option<Instant>,
}

impl Progress {
    /// `expected`: seconds.
    pub fn new(expected: f64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(1));
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} % {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Progress { bar, begun: Instant::now(), expected: expected.max(1.0), done: 0.0, drawn: None }
    }

    /// Something that was thought to take so long is over.
    pub fn advance(&mut self, expected: f64) {
        self.done += expected;
        self.draw(0.0, None);
    }

    /// Where it is: `within` seconds into something.
    pub fn tick(&mut self, within: f64) {
        if self.drawn.is_none_or(|drawn| drawn.elapsed() > Duration::from_secs(1)) {
            self.draw(within, None);
        }
    }

    /// What comes next.
    pub fn begin(&mut self, what: &str) {
        match &self.bar {
            Some(_) => self.draw(0.0, Some(what)),
            None => eprintln!("{:>6.0} s  {what}", self.begun.elapsed().as_secs_f64()),
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{:>6.0} s  {line}", self.begun.elapsed().as_secs_f64()),
        }
    }

    fn draw(&mut self, within: f64, what: Option<&str>) {
        self.drawn = Some(Instant::now());
        let Some(bar) = &self.bar else { return };
        let part = ((self.done + within) / self.expected).clamp(0.0, 1.0);
        bar.set_position((part * 1000.0) as u64);
        // As slow as so far; at the beginning the plan is all there is.
        let spent = self.begun.elapsed().as_secs_f64();
        let left = if part > 0.05 { spent / part - spent } else { self.expected * (1.0 - part) };
        let name = what.map(str::to_owned).unwrap_or_else(|| last_words(&bar.message()));
        bar.set_message(format!("{} left | {name}", clock(left)));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn last_words(message: &str) -> String {
    message.split_once(" | ").map(|(_, words)| words.to_owned()).unwrap_or_default()
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
