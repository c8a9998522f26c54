//! `mqbench fill`: puts a known number of messages into a topic, in batches, for a measurement that follows.
//!
//! One connection, one batch at a time. Owns nothing afterwards. Main thread.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use client::{BatchMessage, Broker, Error, Properties, Send, TopicSpec};

use crate::cli::{Fill, as_given};
use crate::counts::Counting;
use crate::machine::{self, Others, Usage};
use crate::outcome::{Outcome, usage_keys};
use crate::recorder::Failure;
use crate::result::RunResult;
use crate::stamp;
use crate::stop;

/// A busy broker is asked again after so long.
const PACE: Duration = Duration::from_millis(5);
const BUSY_MAX: u64 = 100_000;

/// Fills.
pub fn measure(arguments: &Fill) -> Result<Outcome, String> {
    let said = |error: Error| error.to_string();
    machine::check(&arguments.pid)?;
    let mut broker = Broker::connect(arguments.broker).map_err(said)?;
    broker.create_topic(&TopicSpec::new(&arguments.topic, arguments.queues as i32)).map_err(said)?;
    let body = stamp::filler(1, arguments.body as usize);
    let message = BatchMessage { flag: 0, properties: Properties::new(), body: &body };
    let messages = vec![message; arguments.batch as usize];
    stop::listen();
    let counting = Counting::watch(&arguments.pid, false);
    let counts = counting.now(&mut broker);
    let before = Usage::now(&arguments.pid, Others::now(&arguments.pid));
    let begun = Instant::now();
    let (mut left, mut queue, mut busy, mut errors) = (arguments.messages, 0, 0, BTreeMap::new());
    while left > 0 && !stop::is_asked() {
        let count = left.min(messages.len() as u64);
        match broker.send_batch(&Send::to(&arguments.topic, queue, &[]), &messages[..count as usize]) {
            Ok(_) => left -= count,
            // Too much at once: both codes say that nothing was stored.
            Err(Error::Answer { code: code @ (1 | 2), .. }) if busy < BUSY_MAX => {
                busy += 1;
                *errors.entry(Failure::Code(code).name()).or_insert(0) += 1;
                std::thread::sleep(PACE);
            }
            Err(error) => return Err(said(error)),
        }
        queue = (queue + 1) % arguments.queues as i32;
    }
    let seconds = begun.elapsed().as_secs_f64().max(1e-9);
    let after = Usage::without_others(&arguments.pid);
    let counts = counting.now(&mut broker).since(counts);
    let after = after.with_others(Others::now(&arguments.pid));
    let stored = arguments.messages - left;
    let used = after.since(&before, stored, &arguments.pid);
    let result = RunResult {
        what: "fill".into(),
        arguments: as_given(arguments),
        seconds,
        messages: stored,
        bytes: stored * u64::from(arguments.body),
        bad: busy,
        errors,
        rate: stored as f64 / seconds,
        broker: used.broker.map(|broker| broker.with(counts)),
        loader: used.loader,
        others_cpu_percent: used.others_cpu_percent,
        complete: left == 0,
        ..RunResult::default()
    };
    let line = format!(
        "what=fill messages={stored} body={} batch={} busy={busy} seconds={seconds:.2} rate={:.0} mb_s={:.1} {}",
        arguments.body,
        arguments.batch,
        result.rate,
        result.bytes as f64 / seconds / 1e6,
        usage_keys(&result),
    );
    Outcome::new(result, line, arguments.json.as_deref())
}
