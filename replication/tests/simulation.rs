//! Random lives of a master and two slaves, with disks and networks that fail; each seed is a run that comes again.
//!
//! `HA_SEED=<seed> cargo test -p replication --test simulation one_seed -- --nocapture` replays one;
//! `HA_SEEDS=<count>` changes how many are run, `HA_FIRST_SEED=<seed>` where they begin.

mod support;

use std::fmt::Write;
use std::time::Duration;

use replication::ha::options::{InitialSync, Resync};
use support::random::Random;
use support::world::{Bug, Checked, Cut, Setup, Way, World};

/// Things that happen in a life before it is healed.
const EVENTS: usize = 2000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What is different from seed to seed.
fn setup(seed: u64, bug: Bug) -> Setup {
    let mut random = Random::new(seed ^ 0x5eed);
    Setup {
        slaves: 2,
        file_size: [1024, 4096, 1 << 20][random.below(3) as usize],
        batch: [32, 512, 4096][random.below(3) as usize],
        overlap: [64, 500, 5000][random.below(3) as usize],
        is_master_sync_flush: random.permille(500),
        is_slave_sync_flush: random.permille(500),
        resync: if random.permille(600) { Resync::Aside } else { Resync::Never },
        initial: if random.permille(850) { InitialSync::All } else { InitialSync::LastFile },
        bug,
        ..Setup::default()
    }
}

/// One event, chosen by the seed; `story` gets a line when it is wanted.
fn event(world: &mut World, calm: bool, story: &mut Option<String>) -> Checked {
    let choice = world.random.below(1000);
    let slave = world.random.below(2) as usize;
    let at = world.random.below(world.links().max(1) as u64) as usize;
    if let Some(story) = story {
        let _ = writeln!(story, "{choice} slave {slave} link {at} of {}", world.links());
    }
    match choice {
        0..150 => {
            let len = 92 + world.random.below(300) as usize;
            world.put(len)
        }
        150..200 => world.flush_master(),
        200..300 => world.flush_slave(slave),
        300..600 => {
            let max = [1, 13, 700, usize::MAX][world.random.below(4) as usize];
            world.deliver(at, Way::ToSlave, max)
        }
        600..800 => {
            let max = [1, 8, 100][world.random.below(3) as usize];
            world.deliver(at, Way::ToMaster, max)
        }
        800..930 => {
            let time = [1, 20, 200, 700][world.random.below(4) as usize];
            world.pass(Duration::from_millis(time))
        }
        _ if calm => world.settle(),
        930..950 => {
            let cut = match world.random.below(5) {
                0 | 1 => Cut::Reset,
                2 => Cut::HalfOpen,
                3 => Cut::OneWay(Way::ToSlave),
                _ => Cut::OneWay(Way::ToMaster),
            };
            world.cut(at, cut);
            Ok(())
        }
        950..957 => {
            let is_power_lost = world.random.permille(500);
            world.crash_master(is_power_lost)
        }
        957..970 => {
            world.start_master();
            Ok(())
        }
        970..977 => {
            let is_power_lost = world.random.permille(500);
            world.crash_slave(slave, is_power_lost);
            Ok(())
        }
        977..986 => {
            world.start_slave(slave);
            Ok(())
        }
        986..992 => {
            let is_full = world.random.permille(400);
            world.fill_slave(slave, is_full);
            Ok(())
        }
        _ => {
            // What a stranger says never was sent to it, so it may count for nothing.
            let first = world.random.below(20_000) as i64;
            let then = [i64::MAX, -1, i64::MIN, 1 << 40][world.random.below(4) as usize];
            world.stranger(&[first, first, then]);
            Ok(())
        }
    }
}

#[derive(Default)]
struct Totals {
    successes: u64,
    timeouts: u64,
    lives: u64,
}

fn run(seed: u64, bug: Bug, story: &mut Option<String>, totals: &mut Totals) -> Checked {
    let mut world = World::new(seed, setup(seed, bug));
    for count in 0..EVENTS {
        // Some lives are quiet for their first half, so that logs grow.
        let is_calm = seed.is_multiple_of(3) && count < EVENTS / 2;
        event(&mut world, is_calm, story)?;
    }
    world.heal()?;
    totals.successes += world.successes;
    totals.timeouts += world.timeouts;
    totals.lives += 1;
    Ok(())
}

#[test]
fn two_thousand_seeds() {
    let first = number("HA_FIRST_SEED").unwrap_or(1);
    let count = number("HA_SEEDS").unwrap_or(2000);
    let mut totals = Totals::default();
    for seed in first..first + count {
        if let Err(what) = run(seed, Bug::None, &mut None, &mut totals) {
            panic!(
                "seed {seed}: {what}\nreplay: HA_SEED={seed} cargo test -p replication --test simulation one_seed -- --nocapture"
            );
        }
    }
    println!("{} lives, {} sends answered with success, {} not", totals.lives, totals.successes, totals.timeouts);
    // A cluster that never gets anything done would break no rule either.
    assert!(totals.successes > count * 20, "only {} sends succeeded in {count} lives", totals.successes);
    assert!(totals.timeouts > count, "only {} sends timed out in {count} lives", totals.timeouts);
}

#[test]
fn one_seed() {
    let seed = number("HA_SEED").unwrap_or(1);
    let mut story = Some(format!("{:?}\n", setup(seed, Bug::None)));
    let outcome = run(seed, Bug::None, &mut story, &mut Totals::default());
    if let Err(what) = outcome {
        println!("{}", story.unwrap_or_default());
        panic!("seed {seed}: {what}");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let tell = |seed| {
        let mut story = Some(String::new());
        let outcome = run(seed, Bug::None, &mut story, &mut Totals::default());
        (outcome.is_ok(), story)
    };
    assert_eq!(tell(7), tell(7));
    assert_ne!(tell(7).1, tell(8).1);
}

/// Mistakes built in on purpose are found within a few hundred seeds, or the simulation is worth nothing.
#[cfg(feature = "planted-bug")]
mod planted {
    use super::*;
    use replication::ha::{master, slave};

    #[track_caller]
    fn check(bug: Bug, sign: &str) {
        let found = (1..=500).find_map(|seed| {
            let what = run(seed, bug, &mut None, &mut Totals::default()).err()?;
            Some((seed, what))
        });
        let Some((seed, what)) = found else { panic!("{bug:?} was not found") };
        println!("{bug:?}: seed {seed}: {what}");
        assert!(what.contains(sign), "{bug:?} was found as: {what}");
    }

    #[test]
    fn a_slave_that_reports_what_is_not_safe_is_found() {
        check(Bug::Slave(slave::Bug::ReportsReceived), "success for a record");
    }

    #[test]
    fn a_slave_that_compares_nothing_is_found() {
        check(Bug::Slave(slave::Bug::ComparesNothing), "no beginning of its master's");
    }

    #[test]
    fn a_master_that_believes_any_report_is_found() {
        check(Bug::Master(master::Bug::BelievesAnyReport), "success for a record");
    }

    #[test]
    fn a_master_that_counts_the_start_is_found() {
        check(Bug::Master(master::Bug::CountsTheStart), "success for a record");
    }
}
