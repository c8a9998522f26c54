//! One job from start to end: the side is started, goes through its steps, is stopped; what was found is put down.
//!
//! Owns the order of things within a job and the answer to Ctrl-C. Must not decide what comes next, and must not judge.
//! Main thread only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::matrix::child::Child;
use crate::matrix::plan::{Job, Side};
use crate::matrix::progress::Progress;
use crate::matrix::scenario::{Action, Broker, Probe, Scenario, Step, TIMED};
use crate::matrix::side::{self, Places, Running};
use crate::matrix::slave::{self, Sampler};
use crate::matrix::{disk, interrupt, loopback};
use crate::report::figures;
use crate::report::model::{MACHINE, Report, Run};
use crate::result::RunResult;

/// Beyond its own duration: creating topics, looking for lost messages, reading a large queue.
const STEP_GRACE: Duration = Duration::from_secs(600);
/// How long a loader may take to write what it has after Ctrl-C.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
const WRITE_BACK: Duration = Duration::from_secs(1);

/// What all jobs share.
pub struct Runner<'a> {
    pub scenario: &'a Scenario,
    pub places: &'a Places,
    pub progress: Progress,
    /// This program.
    pub mqbench: PathBuf,
    pub begun: Instant,
    pub report: Report,
}

/// Seconds a job is thought to take.
pub fn expected_seconds(scenario: &Scenario, job: &Job) -> f64 {
    let Some(broker) = scenario.brokers.get(job.broker) else { return 0.0 };
    let start = if job.side.is_ringmq() { 2.0 } else { 8.0 };
    let jit = if broker.jit { scenario.jit_seconds as f64 } else { 0.0 };
    start + jit + broker.steps.iter().map(|step| step_seconds(scenario, step)).sum::<f64>()
}

fn step_seconds(scenario: &Scenario, step: &Step) -> f64 {
    match (&step.mqbench, step.action) {
        (_, Some(Action::Memory | Action::Start)) => 0.1,
        (_, Some(Action::KillAndRestart | Action::CatchUp)) => 12.0,
        (Some(line), None) if is_timed(line) => (scenario.warm_seconds + scenario.seconds) as f64 + 0.5,
        _ => 5.0,
    }
}

fn is_timed(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|what| TIMED.contains(&what))
}

impl Runner<'_> {
    /// The probes that the broker of these jobs asks for, once a round.
    pub fn probe(&mut self, broker: &Broker, round: u32) {
        for probe in &broker.probes {
            if interrupt::count() > 0 {
                return;
            }
            self.progress.begin(&format!("round {}: {} of the machine", round + 1, probe.name()));
            let mut run = self.blank(broker, round, MACHINE);
            run.step = probe.name().into();
            let begun = Instant::now();
            let measured = match probe {
                Probe::Disk => {
                    self.scenario.number("disk_writes", 2000).and_then(|n| disk::measure(&self.places.work, n))
                }
                Probe::Loopback => {
                    self.scenario.number("loopback_mib", 4096).and_then(|n| loopback::measure(&self.places.work, n))
                }
            };
            match measured {
                Ok(found) => run.figures = found,
                Err(problem) => run.failure = Some(problem),
            }
            self.put_down(run, begun);
        }
    }

    /// Runs a job; all that goes wrong with it is put down in the report.
    pub fn job(&mut self, job: &Job, round: u32) {
        let scenario = self.scenario;
        let Some(broker) = scenario.brokers.get(job.broker) else { return };
        settle();
        if interrupt::count() > 0 {
            return;
        }
        self.progress.begin(&format!("round {}: {} {} of {}", round + 1, broker.name, job.flush, job.side.name));
        let begun = Instant::now();
        let mut running = match side::start(self.places, job, &broker.settings, false) {
            Ok(running) => Some(running),
            Err(_) if interrupt::count() > 0 => None,
            Err(problem) => {
                let mut run = self.blank_of(broker, round, job);
                run.step = "start".into();
                run.failure = Some(problem);
                self.put_down(run, begun);
                None
            }
        };
        if running.is_some() {
            self.steps(broker, job, round, &mut running);
        }
        match running.map_or(Ok(()), |running| running.stop(interrupt::count() > 0)) {
            Ok(()) => {}
            // How a peer ends is nobody's measurement.
            Err(problem) if !job.side.is_ringmq() => self.progress.say(&format!("{} | {problem}", job.side.name)),
            Err(problem) => {
                let mut run = self.blank_of(broker, round, job);
                run.step = "stop".into();
                run.failure = Some(problem);
                self.put_down(run, begun);
            }
        }
        // Of a side that did not start, or was not started again.
        let _ = fs::remove_dir_all(self.places.work.join("run"));
    }

    fn steps(&mut self, broker: &Broker, job: &Job, round: u32, running: &mut Option<Running>) {
        // A cold broker may refuse; nothing is measured yet.
        let jit = format!("produce --topic Warm --allow-errors --warm 0 --seconds {}", self.scenario.jit_seconds);
        let warm = Step { name: "load before measuring".into(), mqbench: Some(jit), ..Step::default() };
        let is_warmed = broker.jit && self.scenario.jit_seconds > 0;
        for step in is_warmed.then_some(&warm).into_iter().chain(&broker.steps) {
            if interrupt::count() > 0 {
                return;
            }
            let Some(now) = running.as_mut() else { return };
            self.progress.begin(&format!("round {}: {} | {}", round + 1, job.side.name, step.name));
            let mut run = self.blank_of(broker, round, job);
            run.step.clone_from(&step.name);
            let begun = Instant::now();
            let outcome = match step.action {
                Some(Action::Memory) => memory(&now.pids).map(|figures| run.figures = figures),
                Some(Action::Start) => match now.first_ack_ms {
                    Some(ms) => {
                        run.figures.insert("ms".into(), ms);
                        Ok(())
                    }
                    None => Err("this broker was not started here".into()),
                },
                Some(Action::KillAndRestart) => {
                    self.kill_and_restart(broker, job, step, running).map(|figures| run.figures = figures)
                }
                Some(Action::CatchUp) => self.catch_up(broker, job, now).map(|figures| run.figures = figures),
                None => self.load(step, now, &mut run),
            };
            let mut is_over = false;
            if let Err(problem) = outcome {
                let died = running.as_mut().and_then(Running::died);
                // Refused or missing messages are put down with the figures; what follows can be measured.
                is_over = died.is_some() || !run.is_measured();
                run.failure = Some(died.map_or(problem.clone(), |died| format!("{problem}; {died}")));
            }
            // A step that Ctrl-C cut short is no failure, whatever its loader said about it.
            let is_cut = interrupt::count() > 0 && run.result.is_none() && run.figures.is_empty();
            if (step.measured || is_over) && !is_cut {
                self.put_down(run, begun);
            } else {
                self.progress.advance(step_seconds(self.scenario, step));
            }
            if is_over {
                return;
            }
        }
    }

    /// A line for mqbench.
    fn load(&mut self, step: &Step, running: &mut Running, run: &mut Run) -> Result<(), String> {
        let line = self.scenario.fill_in(step.mqbench.as_deref().unwrap_or_default())?;
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let has = |name: &str| line.split_whitespace().any(|word| word.split('=').next() == Some(name));
        if is_timed(&line) {
            for (name, seconds) in [("--warm", self.scenario.warm_seconds), ("--seconds", self.scenario.seconds)] {
                if !has(name) {
                    words.extend([name.to_owned(), seconds.to_string()]);
                }
            }
        }
        words.extend(["--broker".into(), running.address.to_string()]);
        let json = self.places.work.join("result.json");
        // What an earlier step wrote must not be taken for this one's.
        let _ = fs::remove_file(&json);
        if step.measured {
            words.extend(["--json".into(), json.display().to_string()]);
            let what = words.first().map(String::as_str);
            if !running.pids.is_empty() && !matches!(what, Some("fill" | "first-ack")) {
                let pids: Vec<String> = running.pids.iter().map(u32::to_string).collect();
                words.extend(["--pid".into(), pids.join(",")]);
            }
        }
        run.command = format!("mqbench {}", words.join(" "));
        let mut command = Command::new(&self.mqbench);
        command.args(&words);
        let child = Child::start(command, &self.places.work.join("loader.out"))?;
        let sampler = running.slave.filter(|_| step.measured).map(|slave| Sampler::start(running.address, slave));
        let outcome = self.wait(child);
        let lag = sampler.map(Sampler::stop).unwrap_or_default();
        if let Ok(result) = RunResult::read(&json) {
            run.figures = figures::of(&result);
            run.figures.extend(lag);
            run.complete = result.complete;
            run.result = Some(result);
        } else if step.measured && outcome.is_ok() {
            return Err(format!("{} wrote no result to --json", run.command));
        }
        // Counted is clearer than what the loader printed; why it could not go on, it alone can say.
        match run.result.as_ref().filter(|_| run.is_measured()).and_then(RunResult::faults) {
            Some(faults) => Err(faults),
            None => outcome,
        }
    }

    /// Waits for a loader. Ctrl-C is passed on once, so that it writes what it has; the second one ends it.
    fn wait(&mut self, mut child: Child) -> Result<(), String> {
        let limit = STEP_GRACE + Duration::from_secs(self.scenario.warm_seconds + self.scenario.seconds);
        let begun = Instant::now();
        let progress = &mut self.progress;
        let mut told: Option<Instant> = None;
        let status = child.wait(limit, |child| {
            progress.tick(begun.elapsed().as_secs_f64());
            let count = interrupt::count();
            match told {
                None if count > 0 => {
                    child.signal(libc::SIGINT);
                    told = Some(Instant::now());
                }
                Some(at) if count > 1 || at.elapsed() > WRITE_LIMIT => child.kill(),
                _ => {}
            }
        });
        match status {
            Some(status) if status.success() => Ok(()),
            Some(_) if told.is_some() => Ok(()),
            Some(status) => Err(format!("the loader ended with {status}:\n{}", child.tail())),
            None => {
                child.kill();
                Err(format!("the loader still ran after {} s and was killed:\n{}", limit.as_secs(), child.tail()))
            }
        }
    }

    /// An empty slave until it has everything. The rate is of the log's bytes over the time from the slave's command on.
    fn catch_up(&mut self, broker: &Broker, job: &Job, running: &mut Running) -> Result<BTreeMap<String, f64>, String> {
        if running.slave.is_some() {
            return Err("catch-up needs replication = [\"single\"]: this broker has a slave already".into());
        }
        settle();
        let begun = Instant::now();
        let slave = running.start_slave(self.places, job, &broker.settings)?;
        let end = slave::wait_in_step(running.address, slave)?;
        let seconds = begun.elapsed().as_secs_f64();
        let megabytes = end as f64 / 1e6;
        let named =
            [("ms", seconds * 1e3), ("catch_up_mb_s", megabytes / seconds), ("store_mib", end as f64 / 1_048_576.0)];
        Ok(named.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn kill_and_restart(
        &mut self,
        broker: &Broker,
        job: &Job,
        step: &Step,
        running: &mut Option<Running>,
    ) -> Result<BTreeMap<String, f64>, String> {
        let Some(mut now) = running.take() else { return Err("the broker does not run".into()) };
        if !now.is_own() {
            *running = Some(now);
            return Err("a broker that was not started here is not killed".into());
        }
        let line = step.mqbench.as_deref().unwrap_or("produce --topic Restart --warm 0 --seconds 600");
        let mut command = Command::new(&self.mqbench);
        command.args(self.scenario.fill_in(line)?.split_whitespace());
        command.arg("--broker").arg(now.address.to_string());
        let mut load = Child::start(command, &self.places.work.join("loader.out"))?;
        let under_load = Duration::from_secs(self.scenario.number("kill_after_seconds", 3)?);
        let begun = Instant::now();
        while begun.elapsed() < under_load && interrupt::count() == 0 {
            if let Some(status) = load.ended() {
                *running = Some(now);
                return Err(format!("the loader ended with {status} before the kill:\n{}", load.tail()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        now.kill();
        load.kill();
        settle();
        if interrupt::count() > 0 {
            *running = Some(now);
            return Ok(BTreeMap::new());
        }
        let store_mib = size(&self.places.work.join("run/data")) as f64 / 1_048_576.0;
        let started = side::start(self.places, job, &broker.settings, true)?;
        let ms = started.first_ack_ms.unwrap_or_default();
        *running = Some(started);
        Ok(BTreeMap::from([("ms".into(), ms), ("store_mib".into(), store_mib)]))
    }

    fn blank_of(&self, broker: &Broker, round: u32, job: &Job) -> Run {
        let Side { name, .. } = &job.side;
        let flush = job.flush.clone();
        Run { flush, replication: job.replication.name().into(), ..self.blank(broker, round, name) }
    }

    fn blank(&self, broker: &Broker, round: u32, side: &str) -> Run {
        Run {
            round,
            broker: broker.name.clone(),
            side: side.into(),
            at_seconds: self.begun.elapsed().as_secs_f64(),
            complete: true,
            ..Run::default()
        }
    }

    fn put_down(&mut self, mut run: Run, begun: Instant) {
        run.took_seconds = begun.elapsed().as_secs_f64();
        self.progress.say(&run.line());
        let broker = self.scenario.brokers.iter().find(|broker| broker.name == run.broker);
        let step = broker.and_then(|broker| broker.steps.iter().find(|step| step.name == run.step));
        self.progress.advance(step.map_or(1.0, |step| step_seconds(self.scenario, step)));
        self.report.runs.push(run);
    }
}

/// Until what was written before is on the disk, so that nobody pays for somebody else's store.
fn settle() {
    // SAFETY: sync takes nothing and cannot fail.
    unsafe { libc::sync() };
    let begun = Instant::now();
    while begun.elapsed() < WRITE_BACK && interrupt::count() == 0 {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Resident and anonymous memory of some processes together.
fn memory(pids: &[u32]) -> Result<BTreeMap<String, f64>, String> {
    if pids.is_empty() {
        return Err("the pids of this broker are not known; give them as HOST:PORT:PID,PID".into());
    }
    let (mut rss, mut anonymous) = (0.0, 0.0);
    for pid in pids {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let kib = |key: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.split(':').next() == Some(key))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let (Some(all), Some(own)) = (kib("VmRSS"), kib("RssAnon")) else {
            return Err(format!("{path} has no VmRSS and RssAnon: the process has ended"));
        };
        rss += all / 1024.0;
        anonymous += own / 1024.0;
    }
    Ok(BTreeMap::from([("rss_mib".into(), rss), ("anon_mib".into(), anonymous)]))
}

/// Bytes that the files below a folder take on the disk.
fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
