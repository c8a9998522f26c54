//! `mqbench drain`: how fast a backlog can be read.
//!
//! Owns the counting; [`crate::ranges`] reads. The latency is that of a pull. Main thread.

use std::time::Instant;

use client::Broker;
use protocol::message::Record;

use crate::cli::{Drain, as_given};
use crate::counts::Counting;
use crate::histogram;
use crate::machine::{self, Others, Usage};
use crate::outcome::{Outcome, usage_keys};
use crate::ranges::{Batch, Manner, QueueRange, Ranges};
use crate::result::RunResult;
use crate::series::Series;
use crate::stop;

/// Messages a pull asks for when the bytes decide.
const BATCH_BY_BYTES: u32 = 4096;

/// Measures.
pub fn measure(arguments: &Drain) -> Result<Outcome, String> {
    machine::check(&arguments.pid)?;
    let mut broker = Broker::connect(arguments.broker).map_err(|error| error.to_string())?;
    let manner = Manner {
        broker: arguments.broker,
        group: &arguments.group,
        batch: if arguments.bytes.is_some() { BATCH_BY_BYTES } else { arguments.batch },
        bytes: arguments.bytes,
        in_flight: arguments.in_flight,
        connections: arguments.connections,
        form: arguments.form.into(),
    };
    let mut ranges = Ranges::connect(manner, queues(arguments, &mut broker)?)?;
    stop::listen();
    let (series, mut latency, mut messages, mut bytes) = (Series::new(1), histogram::new(3), 0u64, 0u64);
    let mut part = series.part();
    let counting = Counting::watch(&arguments.pid, arguments.count_calls);
    let counts = counting.now(&mut broker);
    let before = Usage::now(&arguments.pid, Others::now(&arguments.pid));
    let begun = Instant::now();
    let is_whole = ranges.read_all(|batch| {
        let (count, took) = ((batch.next - batch.from) as u64, batch.took.as_nanos() as u64);
        latency.saturating_record(took);
        messages += count;
        bytes += batch.body.len() as u64;
        part.count(begun.elapsed().as_nanos() as u64, count);
        part.latency(took);
        if arguments.check { check(batch) } else { Ok(()) }
    })?;
    let took = begun.elapsed();
    let after = Usage::without_others(&arguments.pid);
    let counts = counting.now(&mut broker).since(counts);
    let after = after.with_others(Others::now(&arguments.pid));
    part.finish(took.as_nanos() as u64);
    let seconds = took.as_secs_f64().max(1e-9);
    let used = after.since(&before, messages, &arguments.pid);
    let result = RunResult {
        what: "drain".into(),
        arguments: as_given(arguments),
        seconds,
        messages,
        bytes,
        rate: messages as f64 / seconds,
        latency_us: histogram::latency(&latency),
        percentiles: histogram::curve(&latency),
        histogram: (!latency.is_empty()).then(|| histogram::encode(&latency)).flatten(),
        series: series.into_seconds(),
        broker: used.broker.map(|broker| broker.with(counts)),
        loader: used.loader,
        others_cpu_percent: used.others_cpu_percent,
        complete: is_whole,
        ..RunResult::default()
    };
    let pulls = result.latency_us.unwrap_or_default();
    let line = format!(
        "what=drain batch={} in_flight={} messages={messages} bytes={bytes} pulls={} seconds={seconds:.3} rate={:.0} \
         mb_s={:.1} pull_p50={:.0} pull_p99={:.0} pull_p999={:.0} pull_max={:.0} {} complete={is_whole}",
        manner.batch,
        arguments.in_flight,
        pulls.count,
        result.rate,
        bytes as f64 / seconds / 1e6,
        pulls.p50,
        pulls.p99,
        pulls.p999,
        pulls.max,
        usage_keys(&result),
    );
    Outcome::new(result, line, arguments.json.as_deref())
}

fn queues(arguments: &Drain, broker: &mut Broker) -> Result<Vec<QueueRange>, String> {
    (0..arguments.queues as i32)
        .map(|step| {
            let queue = arguments.queue.saturating_add(step);
            let begin = broker.min_offset(&arguments.topic, queue).map_err(|error| error.to_string())?;
            let mut end = broker.max_offset(&arguments.topic, queue).map_err(|error| error.to_string())?;
            if arguments.messages > 0 {
                end = end.min(begin.saturating_add(i64::try_from(arguments.messages).unwrap_or(i64::MAX)));
            }
            Ok(QueueRange { topic: arguments.topic.clone(), queue, begin, end })
        })
        .collect()
}

fn check(batch: &Batch<'_>) -> Result<(), String> {
    let mut body = batch.body;
    for offset in batch.from..batch.next {
        let record = Record::decode(body).map_err(|error| format!("message {offset}: {error}"))?;
        if record.queue_offset != offset || !record.body_crc_ok() {
            return Err(format!(
                "message {offset} reads as {} (crc ok: {})",
                record.queue_offset,
                record.body_crc_ok()
            ));
        }
        body = body.get(record.total_size as usize..).ok_or("record longer than the body")?;
    }
    if body.is_empty() { Ok(()) } else { Err(format!("{} bytes behind message {}", body.len(), batch.next)) }
}
