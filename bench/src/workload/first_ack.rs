//! `mqbench first-ack`: how long after its start a broker acks its first message.
//!
//! Tries to connect and send, over and over, with a pause too short to matter. May start the broker's command itself;
//! the broker outlives this program. Main thread.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Broker, HeaderForm, Options, Send};

use crate::cli::{FirstAck, as_given};
use crate::outcome::Outcome;
use crate::result::{Latency, RunResult};
use crate::stop;

const PAUSE: Duration = Duration::from_millis(2);
const OPTIONS: Options = Options { form: HeaderForm::Json, timeout: Duration::from_secs(2) };

/// Measures.
pub fn measure(arguments: &FirstAck) -> Result<Outcome, String> {
    let limit = Duration::from_secs(arguments.limit);
    let mut before = Duration::ZERO;
    let mut pid = String::new();
    if let Some(since_ms) = arguments.since_ms {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
        before = now
            .checked_sub(Duration::from_millis(since_ms))
            .ok_or_else(|| format!("--since-ms {since_ms} lies in the future"))?;
    }
    stop::listen();
    let begun = Instant::now();
    if let Some((program, rest)) = arguments.command.split_first() {
        let child = Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        pid = format!(" pid={}", child.id());
    }
    let mut tries = 0u64;
    let mut last = String::from("-");
    while begun.elapsed() < limit && !stop::is_asked() {
        tries += 1;
        let sent = Broker::connect_with(arguments.broker, OPTIONS)
            .and_then(|mut broker| broker.send(&Send::to(&arguments.topic, 0, b"first")));
        match sent {
            Ok(sent) if sent.status == 0 => {
                let took = (before + begun.elapsed()).as_secs_f64();
                let line = format!("what=first-ack ms={:.1} tries={tries}{pid} before={last:?}", took * 1e3);
                return Outcome::new(result(arguments, took), line, arguments.json.as_deref());
            }
            Ok(sent) => last = format!("stored with code {}", sent.status),
            Err(error) => last = error.to_string(),
        }
        thread::sleep(PAUSE);
    }
    if stop::is_asked() {
        let line = format!("what=first-ack ms=- tries={tries}{pid} before={last:?} complete=false");
        return Outcome::new(
            cut_short(arguments, (before + begun.elapsed()).as_secs_f64()),
            line,
            arguments.json.as_deref(),
        );
    }
    Err(format!("no ack in {limit:?}; the last try: {last}"))
}

fn cut_short(arguments: &FirstAck, seconds: f64) -> RunResult {
    RunResult { what: "first-ack".into(), arguments: as_given(arguments), seconds, ..RunResult::default() }
}

fn result(arguments: &FirstAck, seconds: f64) -> RunResult {
    let us = seconds * 1e6;
    let latency = Latency { count: 1, p50: us, p90: us, p99: us, p999: us, p9999: us, max: us, mean: us };
    RunResult {
        what: "first-ack".into(),
        arguments: as_given(arguments),
        seconds,
        messages: 1,
        bytes: 5,
        rate: 1.0 / seconds.max(1e-9),
        latency_us: Some(latency),
        complete: true,
        ..RunResult::default()
    }
}
