//! The link of a session of some 2 KiB is cut after every byte, each way, told and untold: the slave's log is a
//! beginning of the master's throughout, equal after healing, and no send succeeds that should not (`support::world`
//! checks all three as it goes).

mod support;

use std::time::Duration;

use support::world::{Cut, Setup, Way, World};

/// A few records, signs of life, and a record more.
fn session(world: &mut World) -> Result<(), String> {
    for round in 0..4 {
        world.pass(Duration::from_millis(250))?;
        world.settle()?;
        world.put(180 + 40 * round)?;
        world.settle()?;
        world.flush_master()?;
        world.flush_slave(0)?;
        world.settle()?;
    }
    for _ in 0..3 {
        world.pass(Duration::from_millis(300))?;
        world.settle()?;
    }
    world.put(300)?;
    world.settle()?;
    world.flush_slave(0)?;
    world.settle()
}

/// What was there before the session.
fn history(world: &mut World, is_slave_behind: bool) -> Result<(), String> {
    for len in [150, 250, 150] {
        world.put(len)?;
    }
    if is_slave_behind {
        world.pass(Duration::from_millis(250))?;
        world.settle()?;
        world.flush_slave(0)?;
        world.cut(0, Cut::Reset);
        world.put(200)?;
    }
    Ok(())
}

#[track_caller]
fn check(setup: Setup, is_slave_behind: bool) {
    let mut whole = World::new(1, setup.clone());
    let run = |world: &mut World, cut| {
        history(world, is_slave_behind)?;
        world.planned_cut = cut;
        session(world)
    };
    run(&mut whole, None).unwrap_or_else(|what| panic!("uncut: {what}"));
    let (to_slave, to_master) = whole.delivered();
    assert!(to_slave > 1400 && to_master > 48, "a session of {to_slave} and {to_master} bytes shows little");
    assert!(whole.is_equal() && whole.successes >= 3, "uncut: {} successes", whole.successes);
    let mut cuts = 0;
    for (way, total) in [(Way::ToSlave, to_slave), (Way::ToMaster, to_master)] {
        for after in 0..=total {
            for cut in [Cut::Reset, Cut::HalfOpen, Cut::OneWay(Way::ToSlave), Cut::OneWay(Way::ToMaster)] {
                let mut world = World::new(1, setup.clone());
                let case = format!("{cut:?} after {after} of {total} bytes {way:?}");
                run(&mut world, Some((way, after, cut))).unwrap_or_else(|what| panic!("{case}: {what}"));
                assert_eq!(world.planned_cut, None, "{case}: never came");
                world.heal().unwrap_or_else(|what| panic!("{case}: {what}"));
                assert!(world.is_equal(), "{case}: not equal after healing");
                cuts += 1;
            }
        }
    }
    println!("{cuts} cuts");
}

#[test]
fn every_byte_of_a_session_of_a_new_slave() {
    check(Setup::default(), false);
}

#[test]
fn every_byte_with_a_slave_that_flushes() {
    check(Setup { is_slave_sync_flush: true, is_master_sync_flush: true, ..Setup::default() }, false);
}

#[test]
fn every_byte_of_catching_up_over_files() {
    check(Setup { file_size: 512, batch: 100, ..Setup::default() }, true);
}
