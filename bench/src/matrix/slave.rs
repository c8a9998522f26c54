//! How far a slave is behind its master: waiting until it has everything, and sampling the distance under load.
//!
//! Owns the questions (request 28 of both) and the sampling thread. Knows of both brokers their addresses only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use client::Broker;

use crate::matrix::interrupt;

/// Between two looks while a slave catches up.
const LOOK: Duration = Duration::from_millis(5);
/// Between two samples under load: each costs both brokers a table of some hundred lines.
const SAMPLE: Duration = Duration::from_millis(25);
/// How long catching up may take.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(300);
/// Most samples kept.
const SAMPLES_MAX: usize = 1 << 16;

/// The end of a broker's log, bytes.
fn log_end(broker: &mut Broker) -> Result<i64, String> {
    let info = broker.runtime_info().map_err(|error| error.to_string())?;
    let end = info.get("commitLogMaxOffset").ok_or("no commitLogMaxOffset in the answer to request 28")?;
    end.parse().map_err(|_| format!("commitLogMaxOffset={end} is no number"))
}

fn connect(address: SocketAddr) -> Result<Broker, String> {
    Broker::connect(address).map_err(|error| format!("{address}: {error}"))
}

/// Waits until the slave's log ends where the master's does; both must be without load. Returns that end, bytes.
pub fn wait_in_step(master: SocketAddr, slave: SocketAddr) -> Result<i64, String> {
    let begun = Instant::now();
    let mut last = String::from("nothing was asked");
    let ask =
        || -> Result<(i64, i64), String> { Ok((log_end(&mut connect(master)?)?, log_end(&mut connect(slave)?)?)) };
    while begun.elapsed() < CATCH_UP_LIMIT {
        if interrupt::count() > 0 {
            return Err("interrupted while the slave catches up".into());
        }
        match ask() {
            Ok((master, slave)) if master == slave => return Ok(master),
            Ok((master, slave)) => last = format!("the master's log ends at {master}, the slave's at {slave}"),
            Err(problem) => last = problem,
        }
        thread::sleep(LOOK);
    }
    Err(format!("the slave is not in step after {} s: {last}", CATCH_UP_LIMIT.as_secs()))
}

/// Samples the distance while a load runs.
pub struct Sampler {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<i64>>,
}

impl Sampler {
    /// Begins.
    pub fn start(master: SocketAddr, slave: SocketAddr) -> Sampler {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let thread = thread::spawn(move || {
            let mut found = Vec::new();
            let (Ok(mut master), Ok(mut slave)) = (connect(master), connect(slave)) else { return found };
            while !flag.load(Ordering::Acquire) && found.len() < SAMPLES_MAX {
                // The master first: what it gets in between counts for the slave, so the distance is never overstated.
                let (Ok(end), Ok(copied)) = (log_end(&mut master), log_end(&mut slave)) else { break };
                found.push(end.saturating_sub(copied).max(0));
                thread::sleep(SAMPLE);
            }
            found
        });
        Sampler { ended, thread }
    }

    /// Ends; median, 99 % and largest distance, KiB. Nothing when neither answered.
    pub fn stop(self) -> BTreeMap<String, f64> {
        self.ended.store(true, Ordering::Release);
        figures(self.thread.join().unwrap_or_default())
    }
}

fn figures(mut samples: Vec<i64>) -> BTreeMap<String, f64> {
    samples.sort_unstable();
    let at = |share: f64| {
        let index = (samples.len() as f64 * share) as usize;
        samples.get(index.min(samples.len().saturating_sub(1))).map(|bytes| *bytes as f64 / 1024.0)
    };
    let named = [("lag_p50_kib", at(0.5)), ("lag_p99_kib", at(0.99)), ("lag_max_kib", at(1.0))];
    named.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_in_kib() {
        assert!(figures(Vec::new()).is_empty());
        let found = figures((0..1000).rev().map(|n| n * 1024).collect());
        assert_eq!(found["lag_p50_kib"], 500.0);
        assert_eq!((found["lag_p99_kib"], found["lag_max_kib"]), (990.0, 999.0));
    }
}
