//! A run of a load that sends: sets up, starts the threads, looks at the processes, adds everything up.
//!
//! Owns the order of a run. Runs on the main thread, which sleeps while the load runs.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::Broker;

use crate::cli::{Load, Reading};
use crate::fdatasyncs::Fdatasyncs;
use crate::histogram;
use crate::machine::{self, Others, Usage, Used};
use crate::phases::Phases;
use crate::queues::Queues;
use crate::reader::Receiving;
use crate::recorder::{Failure, Tally};
use crate::result::{Received, RunResult, SentShare, Verified};
use crate::sender::Sending;
use crate::series::Series;
use crate::stop;
use crate::template::Manner;
use crate::verify::{ACKS_MAX, Acks, Ledger};
use crate::worker::{Findings, Parts, Shared, Worker};
use crate::{one_way, read_back};

/// The main thread looks at the clock and at signals so often.
const LOOK: Duration = Duration::from_millis(20);
/// The look at all other processes takes some milliseconds: it is over when the measurement begins.
const OTHERS_BEFORE: Duration = Duration::from_millis(40);

/// What to run.
pub struct Plan<'a> {
    pub what: &'a str,
    pub load: &'a Load,
    pub manner: Manner,
    /// The long polls, with their number of groups.
    pub reading: Option<(&'a Reading, u32)>,
    /// Whose figures are the main ones: the receipts', else the sends'.
    pub is_of_receipts: bool,
}

/// What came of a run.
pub struct Done {
    pub result: RunResult,
    pub first_error: Option<String>,
    /// A connection broke or a message is lost or damaged: the program fails.
    pub has_failed: bool,
}

/// What the main thread saw between begin and end.
struct Seen {
    used: (Usage, Usage),
    fdatasyncs: Option<u64>,
    /// Messages stored by the broker's own count, for one-way sends.
    stored: u64,
    stored_seconds: f64,
}

/// Runs the plan.
pub fn run(plan: &Plan<'_>) -> Result<Done, String> {
    let load = plan.load;
    machine::check(&load.pid)?;
    let queues = Queues::new(&load.topic, load.topics, load.queues)?;
    let mut broker = Broker::connect(load.broker).map_err(|error| error.to_string())?;
    if !load.no_create {
        queues.create(&mut broker)?;
    }
    let is_stamped = load.verify || plan.reading.is_some();
    let needs_offsets = is_stamped || plan.manner == Manner::OneWay;
    let from = if needs_offsets { queues.max_offsets(&mut broker)? } else { Vec::new() };
    let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64) ^ load.seed;
    let sending = Sending::new(load, plan.manner, &queues, run, is_stamped)?;
    let receiving = plan.reading.map(|(reading, groups)| Receiving {
        load,
        reading,
        groups,
        queues: &queues,
        from: &from,
        filler: &sending.filler,
        run,
        threads: sending.threads,
    });
    let phases = Phases::new(load.warm, load.seconds);
    let (shared, series) = (Shared::default(), Series::new(sending.threads));
    let parts = Parts {
        phases: &phases,
        shared: &shared,
        sending: &sending,
        receiving: receiving.as_ref(),
        series: &series,
        is_series_of_receipts: plan.is_of_receipts,
        acks_max: if load.verify { ACKS_MAX / sending.threads as usize } else { 0 },
    };
    stop::listen();
    let (findings, seen) = drive(&parts, plan, &queues, &mut broker)?;
    let real_time = shared.real_time.into_inner();
    let has_failed = shared.failed.into_inner();
    let mut sum = Sum::of(findings);
    if plan.manner == Manner::OneWay && !has_failed {
        let before: u64 = from.iter().map(|offset| u64::try_from(*offset).unwrap_or(0)).sum();
        let stored = one_way::settle(&queues, &mut broker, before, sum.sends.all)?;
        // Less those the broker refused in words: they are counted already.
        let missing = sum.sends.all.saturating_sub(stored + sum.sends.bad());
        if missing > 0 {
            let sent = sum.sends.all;
            sum.sends.fail(Failure::NotStored, missing, || format!("{stored} of {sent} messages are stored"));
        }
    }
    let acks = std::mem::take(&mut sum.acks);
    let verified = match stop::is_asked() || has_failed || !load.verify {
        true => None,
        false => Some(read_back::verify(load, &queues, &from, Ledger::new(acks, run, &sending.filler))?),
    };
    let mut notes = Vec::new();
    if load.fifo {
        notes.push(format!("SCHED_FIFO: {real_time} of {} threads", sending.threads));
    }
    if load.spin {
        notes.push("spinning".to_owned());
    }
    if load.verify && verified.is_none() {
        notes.push("cut short: not verified".to_owned());
    }
    let groups = plan.reading.map(|(_, groups)| groups);
    let seconds = series.into_seconds();
    Ok(conclude(plan, &phases, sum, &seen, groups, seconds, verified, notes, has_failed))
}

fn drive(
    parts: &Parts<'_>,
    plan: &Plan<'_>,
    queues: &Queues,
    broker: &mut Broker,
) -> Result<(Vec<Findings>, Seen), String> {
    let (phases, threads) = (parts.phases, parts.sending.threads);
    let barrier = Barrier::new(threads as usize + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let worker = Worker::connect(parts, number);
                    // All have connected; then the clock runs. A thread that could not connect ends the run.
                    if worker.is_err() {
                        parts.shared.failed.store(true, std::sync::atomic::Ordering::Relaxed);
                    }
                    barrier.wait();
                    barrier.wait();
                    worker.map(Worker::run)
                })
            })
            .collect();
        barrier.wait();
        phases.start();
        if parts.shared.failed.load(std::sync::atomic::Ordering::Relaxed) {
            phases.end_now();
        }
        barrier.wait();
        let seen = watch(parts, plan, queues, broker);
        let mut findings = Vec::new();
        for worker in workers {
            findings.push(worker.join().map_err(|_| "a loader thread panicked")??);
        }
        Ok((findings, seen?))
    })
}

/// Waits for an instant of the run's clock; a signal or a failed thread brings the end forward.
fn wait_until(parts: &Parts<'_>, instant: u64) {
    let phases = parts.phases;
    loop {
        if stop::is_asked() || parts.shared.failed.load(std::sync::atomic::Ordering::Relaxed) {
            phases.end_now();
        }
        let (now, until) = (phases.now(), instant.min(phases.end()));
        if now >= until {
            return;
        }
        thread::sleep(Duration::from_nanos(until - now).min(LOOK));
    }
}

fn watch(parts: &Parts<'_>, plan: &Plan<'_>, queues: &Queues, broker: &mut Broker) -> Result<Seen, String> {
    let (phases, pids) = (parts.phases, &plan.load.pid);
    let is_one_way = plan.manner == Manner::OneWay;
    let stored = |broker: &mut Broker| if is_one_way { queues.stored(broker) } else { Ok(0) };
    let fdatasyncs = Fdatasyncs::watch(pids);
    wait_until(parts, phases.begin.saturating_sub(OTHERS_BEFORE.as_nanos() as u64));
    let others = Others::now(pids);
    wait_until(parts, phases.begin);
    let before = Usage::now(pids, others);
    let (syncs_before, stored_at, stored_before) = (fdatasyncs.count(broker), phases.now(), stored(broker));
    wait_until(parts, u64::MAX);
    let after = Usage::without_others(pids);
    // In the order of the begin, so that each pair lies as far apart.
    let (syncs_after, stored_end, stored_after) = (fdatasyncs.count(broker), phases.now(), stored(broker));
    let after = after.with_others(Others::now(pids));
    let stored = match (stored_before, stored_after) {
        (Ok(before), Ok(after)) => after.saturating_sub(before),
        // The broker is gone: the threads say so too.
        _ => 0,
    };
    Ok(Seen {
        used: (before, after),
        fdatasyncs: syncs_after.zip(syncs_before).map(|(after, before)| after.saturating_sub(before)),
        stored,
        stored_seconds: stored_end.saturating_sub(stored_at) as f64 / 1e9,
    })
}

/// All threads' findings together.
#[derive(Default)]
struct Sum {
    sends: Tally,
    receipts: Tally,
    pulls: u64,
    acks: Vec<(Acks, u64)>,
}

impl Sum {
    fn of(findings: Vec<Findings>) -> Sum {
        let mut sum = Sum::default();
        for found in findings {
            sum.sends.add(&found.sends);
            if let Some(receipts) = &found.receipts {
                sum.receipts.add(receipts);
            }
            sum.pulls += found.pulls;
            sum.acks.extend(found.acks.map(|acks| (acks, found.sequences)));
        }
        sum
    }
}

#[allow(clippy::too_many_arguments)]
fn conclude(
    plan: &Plan<'_>,
    phases: &Phases,
    sum: Sum,
    seen: &Seen,
    groups: Option<u32>,
    series: Vec<crate::result::Second>,
    verified: Option<(Verified, Option<String>)>,
    notes: Vec<String>,
    has_failed: bool,
) -> Done {
    let is_one_way = plan.manner == Manner::OneWay;
    let seconds = phases.measured_seconds();
    let rate = |messages: u64, seconds: f64| if seconds > 0.0 { messages as f64 / seconds } else { 0.0 };
    let mut receipts = sum.receipts;
    let received = groups.map(|groups| {
        let expected = sum.sends.all * u64::from(groups);
        let missing = expected.saturating_sub(receipts.all);
        if missing > 0 {
            receipts.fail(Failure::NotReceived, missing, || format!("{missing} acked messages were not received"));
        }
        Received {
            groups: u64::from(groups),
            expected,
            messages: receipts.all,
            missing,
            pulls: sum.pulls,
            rate: rate(receipts.messages, seconds),
            latency_us: histogram::latency(&receipts.latency),
        }
    });
    let sent = SentShare {
        messages: sum.sends.all,
        rate: rate(sum.sends.messages, seconds),
        latency_us: histogram::latency(&sum.sends.latency),
    };
    let main = if plan.is_of_receipts { &receipts } else { &sum.sends };
    let (messages, seconds) = if is_one_way { (seen.stored, seen.stored_seconds) } else { (main.messages, seconds) };
    let bytes = match is_one_way {
        // Of the messages sent their mean; the broker counts messages only.
        true => (main.bytes as f64 / main.messages.max(1) as f64 * messages as f64) as u64,
        false => main.bytes,
    };
    let used: Used = seen.used.1.since(seen.used.0, messages, &plan.load.pid);
    let mut all = Tally::default();
    all.add(&sum.sends);
    all.add(&receipts);
    let (verified, trouble) = verified.map_or((None, None), |(verified, trouble)| (Some(verified), trouble));
    let is_sound = verified.as_ref().is_none_or(crate::verify::is_good);
    let result = RunResult {
        what: plan.what.to_owned(),
        seconds,
        messages,
        bytes,
        bad: all.bad(),
        errors: all.errors(),
        rate: rate(messages, seconds),
        latency_us: histogram::latency(&main.latency),
        percentiles: histogram::curve(&main.latency),
        histogram: (!main.latency.is_empty()).then(|| histogram::encode(&main.latency)).flatten(),
        lateness_us: histogram::latency(&sum.sends.lateness),
        series,
        broker: used.broker.map(|broker| crate::result::BrokerUse { fdatasyncs: seen.fdatasyncs, ..broker }),
        loader: used.loader,
        others_cpu_percent: used.others_cpu_percent,
        verified,
        received,
        sent: groups.map(|_| sent),
        notes,
        complete: !stop::is_asked() && !has_failed,
        ..RunResult::default()
    };
    Done { result, first_error: trouble.or(all.first_error), has_failed: has_failed || !is_sound }
}
