//! A run of a load that sends: sets up, starts the threads, looks at the processes, adds everything up.
//!
//! Owns the order of a run. Runs on the main thread, which sleeps while the load runs.

use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::Broker;

use crate::cli::{Load, Reading};
use crate::conclude::{Done, Ended, Seen, Sum, conclude};
use crate::counts::Counting;
use crate::machine::{self, Others, Usage};
use crate::phases::Phases;
use crate::queues::Queues;
use crate::reader::Receiving;
use crate::recorder::{Failure, Tally};
use crate::sender::Sending;
use crate::series::Series;
use crate::stop;
use crate::template::Manner;
use crate::verify::{ACKS_MAX, Ledger};
use crate::worker::{Findings, Parts, Shared, Worker};
use crate::{one_way, open_files, read_back};

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

/// Runs the plan.
pub fn run(plan: &Plan<'_>) -> Result<Done, String> {
    let load = plan.load;
    machine::check(&load.pid)?;
    open_files::raise_limit();
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
    let mut ended = Ended {
        sum: Sum::of(findings),
        seen,
        series: series.into_seconds(),
        verified: None,
        trouble: None,
        notes: Vec::new(),
        has_failed: shared.failed.into_inner(),
    };
    if load.fifo {
        ended.notes.push(format!("SCHED_FIFO: {real_time} of {} threads", sending.threads));
    }
    if load.spin {
        ended.notes.push("spinning".to_owned());
    }
    if plan.manner == Manner::OneWay && !ended.has_failed {
        let before = from.iter().map(|offset| u64::try_from(*offset).unwrap_or(0)).sum();
        let settled = one_way::settle(&queues, &mut broker, before, ended.sum.sends.all);
        let settled = settled.map(|stored| count_unstored(&mut ended.sum.sends, stored));
        ended.fail_if("not counted", settled);
    }
    let acks = std::mem::take(&mut ended.sum.acks);
    if load.verify && (stop::is_asked() || ended.has_failed) {
        ended.notes.push("cut short: not verified".to_owned());
    } else if load.verify {
        let verified = read_back::verify(load, &queues, &from, Ledger::new(acks, run, &sending.filler));
        let verified = verified.map(|(verified, trouble)| {
            (ended.verified, ended.trouble) = (Some(verified), trouble);
        });
        ended.fail_if("not verified", verified);
    }
    Ok(conclude(plan, &phases, ended))
}

fn count_unstored(sends: &mut Tally, stored: u64) {
    let sent = sends.all;
    // Less those the broker refused in words: they are counted already.
    let missing = sent.saturating_sub(stored + sends.bad());
    if missing > 0 {
        sends.fail(Failure::NotStored, missing, || format!("{stored} of {sent} messages are stored"));
    }
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
                        parts.shared.failed.store(true, Ordering::Relaxed);
                    }
                    barrier.wait();
                    barrier.wait();
                    worker.map(Worker::run)
                })
            })
            .collect();
        barrier.wait();
        phases.start();
        if parts.shared.failed.load(Ordering::Relaxed) {
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
        if stop::is_asked() || parts.shared.failed.load(Ordering::Relaxed) {
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
    let counting = Counting::watch(pids, plan.load.count_calls);
    wait_until(parts, phases.begin.saturating_sub(OTHERS_BEFORE.as_nanos() as u64));
    let others = Others::now(pids);
    wait_until(parts, phases.begin);
    let before = Usage::now(pids, others);
    let (counts_before, stored_at, stored_before) = (counting.now(broker), phases.now(), stored(broker));
    wait_until(parts, u64::MAX);
    let after = Usage::without_others(pids);
    // In the order of the begin, so that each pair lies as far apart.
    let (counts_after, stored_end, stored_after) = (counting.now(broker), phases.now(), stored(broker));
    let after = after.with_others(Others::now(pids));
    let stored = match (stored_before, stored_after) {
        (Ok(before), Ok(after)) => after.saturating_sub(before),
        // The broker is gone: the threads say so too.
        _ => 0,
    };
    Ok(Seen {
        used: (before, after),
        counts: counts_after.since(counts_before),
        stored,
        stored_seconds: stored_end.saturating_sub(stored_at) as f64 / 1e9,
    })
}
