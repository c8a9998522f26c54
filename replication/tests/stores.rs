//! Links between real stores: a master's files go out through sendfile, a slave's store takes them, and SYNC_MASTER's
//! sends succeed when the slave has them safe by its own flush mode.

#[path = "../../engine/tests/common/mod.rs"]
mod common;

use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::slave::{boundaries, contents, feed, log_bytes, messages, settle, slave_options};
use common::{Dir, Rig, SEGMENT, msg, options, segment_path, sync};
use engine::io::{Disk, Faults};
use engine::{PutStatus, Replication, Shared, StoreOptions};
use replication::ha::store::{StoreSink, StoreSource};
use replication::ha::{
    InitialSync, LogExtent, MasterFacts, MasterOptions, MasterServer, Resync, SlaveClient, SlaveOptions, SlavePhase,
};

/// What a slave asks beside the link, without a broker.
struct Facts(Arc<Shared>);

impl MasterFacts for Facts {
    fn extent(&mut self) -> Result<LogExtent, String> {
        Ok(LogExtent { min: self.0.log_min(), max: self.0.log_max() })
    }

    fn record_at(&mut self, offset: i64) -> Result<Vec<u8>, String> {
        self.0.record(offset).map(|range| range.bytes().to_vec()).ok_or_else(|| format!("nothing at {offset}"))
    }
}

fn sync_master(root: &Path) -> StoreOptions {
    let mut options = options(root);
    options.replication = Replication::Sync { timeout: Duration::from_secs(60), fall_behind_max: 1 << 20 };
    options
}

fn serve(rig: &Rig) -> MasterServer {
    let options = MasterOptions { batch: 1000, heartbeat: Duration::from_millis(100), ..MasterOptions::default() };
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    MasterServer::start(any_port, options, Arc::new(StoreSource::new(rig.shared.clone()))).expect("a master")
}

fn quick() -> SlaveOptions {
    SlaveOptions {
        heartbeat: Duration::from_millis(100),
        overlap: 4000,
        ahead_patience: Duration::from_millis(300),
        retry_min: Duration::from_millis(2),
        retry_max: Duration::from_millis(50),
        ..SlaveOptions::default()
    }
}

fn follow(slave: &Rig, master: &Rig, options: SlaveOptions, address: SocketAddr) -> SlaveClient {
    let receiver = slave.shared.receiver().expect("a slave");
    let facts = Box::new(Facts(master.shared.clone()));
    SlaveClient::start(options, Box::new(StoreSink::new(receiver)), facts, Some(address)).expect("a link")
}

/// Both turn until it is so.
#[track_caller]
fn until(what: &str, rigs: &mut [&mut Rig], mut done: impl FnMut(&mut [&mut Rig]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        rigs.iter_mut().for_each(|rig| rig.turn());
        if done(rigs) {
            return;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn until_equal(master: &mut Rig, slave: &mut Rig) {
    until("equal logs", &mut [master, slave], |rigs| {
        let end = rigs[0].shared.watermark();
        rigs[1].shared.watermark() == end && rigs[1].shared.readable() == end
    });
    assert_eq!(log_bytes(slave), log_bytes(master));
    settle(slave);
}

#[test]
fn sends_succeed_once_a_slave_has_them_and_it_reads_the_same() {
    for (number, flush) in [false, true].into_iter().enumerate() {
        let (master_dir, slave_dir) = (Dir::new(&format!("ha-master-{number}")), Dir::new("ha-slave"));
        let mut master = Rig::open(sync_master(master_dir.path()));
        let slave_options = || {
            let options = slave_options(slave_dir.path());
            if flush { sync(options) } else { options }
        };
        let mut slave = Rig::open(slave_options());
        assert_eq!(master.send(&msg("A", 0, "nobody")).status, PutStatus::SlaveNotAvailable);
        let server = serve(&master);
        let client = follow(&slave, &master, quick(), server.address());
        until("a link", &mut [&mut master, &mut slave], |_| server.links().iter().any(|link| link.is_up));
        for message in messages(120) {
            assert_eq!(master.send(&message).status, PutStatus::Ok);
            let end = master.shared.watermark();
            let safe = if flush { slave.shared.flushed() } else { slave.shared.watermark() };
            assert!(safe >= end, "success at {end}, the slave has {safe} safe");
        }
        assert!(master.shared.watermark() > 3 * SEGMENT as i64, "several files");
        until_equal(&mut master, &mut slave);
        assert_eq!(contents(&mut slave), contents(&mut master));
        until("in step", &mut [&mut master, &mut slave], |_| client.state().phase == SlavePhase::InStep);
        drop(client);
        // It comes back after a stop, and the master went on meanwhile.
        drop(slave.stop());
        until("the link's end", &mut [&mut master], |_| server.links().is_empty());
        assert_eq!(master.send(&msg("B", 1, "alone")).status, PutStatus::SlaveNotAvailable);
        let mut slave = Rig::open(slave_options());
        let client = follow(&slave, &master, quick(), server.address());
        until_equal(&mut master, &mut slave);
        assert_eq!(contents(&mut slave), contents(&mut master));
        drop(client);
        drop(server);
        drop(slave.stop());
        drop(master.stop());
    }
}

#[test]
fn a_new_slave_copies_a_long_log_from_its_first_or_its_last_file() {
    let master_dir = Dir::new("ha-long");
    let mut master = Rig::open(options(master_dir.path()));
    for message in messages(150) {
        master.send_ok(&message);
    }
    let server = serve(&master);
    for initial in [InitialSync::All, InitialSync::LastFile] {
        let slave_dir = Dir::new("ha-new");
        let mut slave = Rig::open(slave_options(slave_dir.path()));
        let client = follow(&slave, &master, SlaveOptions { initial, ..quick() }, server.address());
        until("a copy", &mut [&mut master, &mut slave], |rigs| {
            rigs[1].shared.watermark() == rigs[0].shared.watermark()
        });
        let end = master.shared.watermark();
        let start = if initial == InitialSync::All { 0 } else { end - end % SEGMENT as i64 };
        assert_eq!(slave.shared.log_min(), start, "{initial:?}");
        // The link's thread says where it is after it appended.
        until("its start is told", &mut [&mut master, &mut slave], |_| client.state().end == end);
        assert_eq!(client.state().start, start, "{initial:?}");
        drop(client);
        drop(slave.stop());
    }
}

/// Two stores that have nothing in common; the first one's log is the longer.
fn two_masters(first: &Dir, second: &Dir) -> (Rig, Rig) {
    let (mut first, mut second) = (Rig::open(options(first.path())), Rig::open(options(second.path())));
    for message in messages(60) {
        second.send_ok(&message);
    }
    for message in messages(90).iter().rev() {
        first.send_ok(message);
    }
    (first, second)
}

#[test]
fn another_log_is_not_touched_and_set_aside_only_when_told() {
    let (master_dir, slave_dir) = (Dir::new("ha-one"), Dir::new("ha-other"));
    let (mut master, other) = two_masters(&master_dir, &slave_dir);
    let before = log_bytes(&other);
    drop(other.stop());
    let server = serve(&master);
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let client = follow(&slave, &master, quick(), server.address());
    until("it is told", &mut [&mut master, &mut slave], |_| {
        matches!(client.state().phase, SlavePhase::Diverged { .. })
    });
    assert_eq!(log_bytes(&slave), before);
    drop(client);
    let client = follow(&slave, &master, SlaveOptions { resync: Resync::Aside, ..quick() }, server.address());
    until_equal(&mut master, &mut slave);
    assert_eq!(contents(&mut slave), contents(&mut master));
    until("in step", &mut [&mut master, &mut slave], |_| client.state().phase == SlavePhase::InStep);
    let aside = std::fs::read_dir(slave_dir.path()).expect("a directory").flatten();
    let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("commitlog.aside-"));
    assert_eq!(aside.count(), 1, "the old files are kept");
    drop(client);
    drop(slave.stop());
}

#[test]
fn a_record_that_is_damaged_at_the_master_stops_the_slave_before_it() {
    let (master_dir, slave_dir) = (Dir::new("ha-damaged"), Dir::new("ha-stopped"));
    let mut master = Rig::open(options(master_dir.path()));
    for message in messages(20) {
        master.send_ok(&message);
    }
    let log = log_bytes(&master);
    let damaged = boundaries(&log)[10];
    let file = std::fs::OpenOptions::new().write(true).open(segment_path(master_dir.path(), 0)).expect("a file");
    let magic = damaged as u64 + 4;
    file.write_all_at(b"oops", magic).expect("written");
    let server = serve(&master);
    let mut slave = Rig::open(slave_options(slave_dir.path()));
    let client = follow(&slave, &master, quick(), server.address());
    until("it is told", &mut [&mut master, &mut slave], |_| matches!(client.state().phase, SlavePhase::Unsound { .. }));
    assert_eq!(slave.shared.watermark(), damaged);
    assert_eq!(log_bytes(&slave), log[..damaged as usize]);
    drop(client);
    // Mended at the master, it goes on from there.
    file.write_all_at(&log[magic as usize..magic as usize + 4], magic).expect("written");
    let client = follow(&slave, &master, quick(), server.address());
    until_equal(&mut master, &mut slave);
    assert_eq!(contents(&mut slave), contents(&mut master));
    drop(client);
    drop(slave.stop());
    drop(master.stop());
}

/// Two masters whose messages have the same sizes, and where the slave of the one got to. Before that place the other's
/// log has the same bytes for longer than is compared: a body's, or a blank's. What the slave would miss lies before.
#[test]
fn logs_that_part_before_a_long_body_or_blank_are_told_apart() {
    let big = || msg("B", 1, vec![b'b'; 9000]);
    let one = |first: u8| [msg("A", 0, vec![first; 100]), big(), big()];
    let (master_dir, other_dir) = (Dir::new("ha-parted"), Dir::new("ha-parted-other"));
    let (mut master, mut other) = (Rig::open(options(master_dir.path())), Rig::open(options(other_dir.path())));
    one(b'm').iter().for_each(|message| drop(master.send_ok(message)));
    // Only the time tells the second records apart, then.
    let before = master.shared.store_time_at(boundaries(&log_bytes(&master))[1]);
    assert!(before.is_some());
    until("time to pass", &mut [&mut other], |_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        before < Some(now.as_millis() as i64)
    });
    one(b'o').iter().for_each(|message| drop(other.send_ok(message)));
    let (log, other_log) = (log_bytes(&master), log_bytes(&other));
    let (ends, file_end) = (boundaries(&log), SEGMENT as usize);
    assert_eq!(ends, boundaries(&other_log));
    let overlap = quick().overlap as usize;
    let server = serve(&master);
    for end in [ends[2] as usize, ends[1] as usize + 8000, file_end, file_end - 100] {
        let last = end - overlap..end;
        assert!(log[last.clone()] == other_log[last], "the last stretch is the same at {end}");
        let slave_dir = Dir::new("ha-parted-slave");
        let mut slave = Rig::open(slave_options(slave_dir.path()));
        let mut receiver = slave.shared.receiver().expect("a slave");
        feed(&mut receiver, &other_log[..end], 5000).expect("taken");
        drop(receiver);
        let client = follow(&slave, &master, quick(), server.address());
        until("a decision", &mut [&mut master, &mut slave], |_| {
            let phase = client.state().phase;
            phase.needs_operator() || phase == SlavePhase::InStep
        });
        assert!(matches!(client.state().phase, SlavePhase::Diverged { .. }), "{end}: {}", client.state().phase);
        assert_eq!(client.state().end, end as i64, "nothing is appended");
        drop(client);
        drop(slave.stop());
    }
    drop(server);
    drop(other.stop());
    drop(master.stop());
}

/// No room for the first file of the new log: the old one is half set aside by then, and only another try ends that.
#[test]
fn a_log_that_could_not_be_set_aside_is_once_there_is_room() {
    let (master_dir, slave_dir) = (Dir::new("ha-room"), Dir::new("ha-no-room"));
    let (mut master, other) = two_masters(&master_dir, &slave_dir);
    drop(other.stop());
    let server = serve(&master);
    let faults = Arc::new(Faults::default());
    let mut options = slave_options(slave_dir.path());
    options.disk = Disk::with_faults(faults.clone());
    let mut slave = Rig::open(options);
    faults.fail_allocations(0, 3, 28);
    let client = follow(&slave, &master, SlaveOptions { resync: Resync::Aside, ..quick() }, server.address());
    until_equal(&mut master, &mut slave);
    assert_eq!(contents(&mut slave), contents(&mut master));
    until("in step", &mut [&mut master, &mut slave], |_| client.state().phase == SlavePhase::InStep);
    drop(client);
    drop(slave.stop());
    drop(master.stop());
}
