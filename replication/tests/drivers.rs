//! Real threads and sockets over logs in memory: copying, several slaves, coming back, and every state that an
//! operator may meet.

mod support;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use replication::ha::{
    InitialSync, LogSink, MasterOptions, MasterServer, Resync, SlaveClient, SlaveOptions, SlavePhase,
};
use support::memory::{MemoryLog, MemorySink, eventually};
use support::quick::{any_port, master, master_options, slave, slave_options};

const FILE: u64 = 4096;

#[track_caller]
fn wait_phase(slave: &SlaveClient, what: &str, is_it: impl Fn(&SlavePhase) -> bool) -> SlavePhase {
    eventually(&format!("{what}, it is {:?}", slave.state()), || Some(slave.state().phase).filter(&is_it))
}

fn filled(seed: u64, count: usize) -> MemoryLog {
    let log = MemoryLog::new(seed, FILE);
    for _ in 0..count {
        log.put(300);
    }
    log
}

#[test]
fn two_slaves_copy_and_confirm_what_is_safe() {
    let log = filled(1, 50);
    let mut server = master(&log);
    let written = MemorySink::new(FILE);
    let flushed = MemorySink::new(FILE).sync_flush();
    log.proved_by(&written);
    log.proved_by(&flushed);
    let first = slave(&log, &flushed, slave_options(), server.address());
    flushed.wait_end(log.end());
    wait_phase(&first, "in step", |phase| *phase == SlavePhase::InStep);
    let links = eventually("one link", || Some(server.links()).filter(|links| links.len() == 1 && links[0].is_up));
    assert!(links[0].lag > 0, "nothing is flushed there: {links:?}");
    flushed.flush();
    log.wait_acked(log.end());
    let second = slave(&log, &written, slave_options(), server.address());
    for _ in 0..20 {
        let end = log.put(700);
        log.wait_acked(end);
    }
    for sink in [&written, &flushed] {
        sink.wait_end(log.end());
        assert_eq!(sink.bytes(), log.bytes());
    }
    flushed.flush();
    let links = eventually("no lag", || Some(server.links()).filter(|links| links.iter().all(|link| link.lag == 0)));
    assert_eq!(links.len(), 2);
    assert!(links.iter().all(|link| link.acked == log.end() && link.sent == log.end()), "{links:?}");
    assert_eq!(log.falsehoods(), Vec::<String>::new());
    // Told after the report has gone out.
    eventually("its end is told", || Some(()).filter(|()| second.state().end == log.end()));
    server.stop();
    assert_eq!(log.ups().0, 0, "nothing counts any more");
    assert_eq!(server.links(), []);
    assert_eq!(server.ended().len(), 2);
    wait_phase(&first, "lost", |phase| matches!(phase, SlavePhase::Lost { .. }));
}

/// Whenever a flush ends between two steps of the slave's thread, its report does not wait for the next sign of life.
#[test]
fn a_flush_that_ends_at_any_moment_is_confirmed() {
    let log = filled(2, 1);
    let quiet = Duration::from_secs(600);
    let options = MasterOptions { heartbeat: quiet, housekeeping: quiet, ..master_options() };
    let server = MasterServer::start(any_port(), options, Arc::new(log.clone())).expect("started");
    let sink = MemorySink::new(FILE).sync_flush();
    let options = SlaveOptions { heartbeat: quiet, housekeeping: quiet, ..slave_options() };
    let _slave = slave(&log, &sink, options, server.address());
    sink.flush_after_looks(0);
    log.wait_acked(log.end());
    for looks in 0..16 {
        sink.flush_after_looks(looks);
        let end = log.put(300);
        sink.wait_end(end);
        // So many looks may not come; then the flush ends by itself.
        std::thread::sleep(Duration::from_millis(20));
        sink.flush();
        log.wait_acked(end);
    }
}

#[test]
fn a_slave_follows_its_master_elsewhere_and_through_pauses() {
    let log = filled(2, 5);
    let sink = MemorySink::new(FILE);
    log.proved_by(&sink);
    let mut first = master(&log);
    let mut client = slave(&log, &sink, slave_options(), first.address());
    sink.wait_end(log.end());
    first.stop();
    log.put(500);
    wait_phase(&client, "lost", |phase| matches!(phase, SlavePhase::Lost { .. }));
    let second = master(&log);
    client.set_master(Some(second.address()));
    log.wait_acked(log.end());
    assert_eq!(sink.bytes(), log.bytes());
    client.set_master(None);
    let end = log.put(500);
    log.wait_acked(end);
    let third = master(&log);
    client.set_master(Some(third.address()));
    eventually("the link moves", || Some(()).filter(|()| third.links().len() == 1 && second.links().is_empty()));
    // The master may have accepted what the slave does not know to be a link yet.
    eventually("the slave counts it", || Some(()).filter(|()| client.state().links >= 3));
    client.stop();
    assert_eq!(client.state().phase, SlavePhase::Stopped);
    eventually("the master sees it", || Some(()).filter(|()| third.links().is_empty()));
    assert_eq!(log.falsehoods(), Vec::<String>::new());
}

#[test]
fn a_slave_without_a_master_waits_for_one() {
    let log = filled(3, 5);
    let sink = MemorySink::new(FILE);
    let client =
        SlaveClient::start(slave_options(), Box::new(sink.clone()), Box::new(log.clone()), None).expect("a slave");
    wait_phase(&client, "no master", |phase| *phase == SlavePhase::NoMaster);
    let server = master(&log);
    client.set_master(Some(server.address()));
    sink.wait_end(log.end());
}

/// A slave with this log beside this master: the phase it comes to, and that not a byte of its log changed.
#[track_caller]
fn stays(log: &MemoryLog, sink: &MemorySink, options: SlaveOptions, is_it: impl Fn(&SlavePhase) -> bool) -> String {
    let server = master(log);
    let before = sink.bytes();
    let client = slave(log, sink, options, server.address());
    let phase = wait_phase(&client, "stuck", is_it);
    assert!(phase.needs_operator());
    assert_eq!(sink.bytes(), before, "{phase:?}");
    assert!(sink.aside().is_empty());
    phase.to_string()
}

/// The same with haResync=aside: the old log is aside, the new one is the master's.
#[track_caller]
fn goes_aside(log: &MemoryLog, sink: &MemorySink) {
    let server = master(log);
    let before = sink.bytes();
    let client = slave(log, sink, SlaveOptions { resync: Resync::Aside, ..slave_options() }, server.address());
    let end = log.end();
    eventually("copied anew", || Some(()).filter(|()| !sink.aside().is_empty() && sink.end() == end));
    assert_eq!(sink.aside(), [before]);
    assert_eq!(sink.bytes(), log.bytes()[sink.base() as usize..]);
    wait_phase(&client, "in step", |phase| *phase == SlavePhase::InStep);
}

#[test]
fn a_log_with_other_bytes_is_kept_until_told_otherwise() {
    let log = filled(4, 30);
    for common in [0, 40, 5000] {
        let mut other = filled(5, 20).bytes();
        other[..common].copy_from_slice(&log.bytes()[..common]);
        let sink = MemorySink::with(FILE, other.clone());
        let text = stays(&log, &sink, slave_options(), |phase| matches!(phase, SlavePhase::Diverged { .. }));
        assert!(text.contains(&other.len().to_string()) && text.contains("haResync=aside"), "{text}");
        goes_aside(&log, &sink);
    }
}

#[test]
fn masters_that_take_turns_do_not_fill_the_disk() {
    let logs = [filled(20, 10), filled(21, 10)];
    let servers = logs.each_ref().map(master);
    let sink = MemorySink::new(FILE);
    let options = SlaveOptions { resync: Resync::Aside, ..slave_options() };
    let client = slave(&logs[0], &sink, options, servers[0].address());
    for turn in 0..4 {
        sink.wait_end(logs[turn % 2].end());
        eventually("copied", || Some(()).filter(|()| sink.bytes() == logs[turn % 2].bytes()));
        assert_eq!(sink.aside().len(), turn);
        client.set_master(Some(servers[(turn + 1) % 2].address()));
    }
    wait_phase(&client, "stuck", |phase| matches!(phase, SlavePhase::Diverged { .. }));
    assert_eq!((sink.aside().len(), sink.bytes()), (3, logs[1].bytes()));
}

#[test]
fn a_log_longer_than_the_masters_is_kept_until_told_otherwise() {
    for missing in [100, 3000] {
        let log = filled(6, 30);
        let sink = MemorySink::with(FILE, log.bytes());
        log.truncate(log.bytes().len() - missing);
        let text = stays(&log, &sink, slave_options(), |phase| matches!(phase, SlavePhase::Ahead { .. }));
        assert!(text.contains(&log.end().to_string()), "{text}");
        goes_aside(&log, &sink);
    }
}

#[test]
fn a_log_whose_continuation_is_deleted_is_kept_until_told_otherwise() {
    let log = filled(7, 60);
    let sink = MemorySink::with(FILE, log.bytes()[..FILE as usize].to_vec());
    log.delete_before(2 * FILE as i64);
    let text = stays(&log, &sink, slave_options(), |phase| matches!(phase, SlavePhase::BehindFirst { .. }));
    assert!(text.contains("4096") && text.contains("8192"), "{text}");
    goes_aside(&log, &sink);
    assert_eq!(sink.base(), 2 * FILE as i64);
}

#[test]
fn files_of_another_size_are_told() {
    let log = filled(8, 60);
    let server = master(&log);
    let smaller = MemorySink::new(1000);
    let client = slave(&log, &smaller, slave_options(), server.address());
    let phase = wait_phase(&client, "stuck", |phase| matches!(phase, SlavePhase::OtherFiles { .. }));
    assert!(phase.to_string().contains("mappedFileSizeCommitLog"), "{phase}");
    assert!(log.bytes().starts_with(&smaller.bytes()) && smaller.end() <= 1000);
}

#[test]
fn what_is_no_sound_log_is_dropped_and_copied_again_but_not_for_ever() {
    let log = filled(9, 10);
    let server = master(&log);
    let sink = MemorySink::with(FILE, log.bytes()[..300].to_vec());
    log.proved_by(&sink);
    sink.spoil(2);
    let client = slave(&log, &sink, slave_options(), server.address());
    log.wait_acked(log.end());
    assert_eq!(sink.bytes(), log.bytes());
    sink.spoil(2);
    let end = log.end();
    log.put(300);
    let phase = wait_phase(&client, "stuck", |phase| matches!(phase, SlavePhase::Unsound { .. }));
    assert!(phase.to_string().contains(&format!("the record at {end}")), "{phase}");
    assert_eq!(sink.bytes()[..end as usize], log.bytes()[..end as usize]);
    assert_eq!(log.falsehoods(), Vec::<String>::new());
}

#[test]
fn an_empty_slave_copies_all_or_the_last_file() {
    for (min, initial, base) in [
        (0, InitialSync::All, 0),
        (FILE as i64, InitialSync::All, FILE as i64),
        (0, InitialSync::LastFile, 4 * FILE as i64),
    ] {
        let log = filled(10, 60);
        log.delete_before(min);
        assert_eq!(log.end() / FILE as i64, 4);
        let server = master(&log);
        let sink = MemorySink::new(FILE);
        let client = slave(&log, &sink, SlaveOptions { initial, ..slave_options() }, server.address());
        sink.wait_end(log.end());
        assert_eq!(sink.base(), base, "{initial:?} from {min}");
        assert_eq!(sink.bytes(), log.bytes()[base as usize..]);
        let end = log.put(200);
        log.wait_acked(end);
        wait_phase(&client, "in step", |phase| *phase == SlavePhase::InStep);
    }
}

#[test]
fn an_empty_slave_waits_for_the_masters_answer() {
    let log = filled(11, 60);
    log.keep_silent(true);
    let server = master(&log);
    let sink = MemorySink::new(FILE);
    let client = slave(&log, &sink, slave_options(), server.address());
    let phase = wait_phase(&client, "lost", |phase| matches!(phase, SlavePhase::Lost { .. }));
    assert!(phase.to_string().contains("does not answer"), "{phase}");
    log.keep_silent(false);
    sink.wait_end(log.end());
    // With a log of its own it needs no answer.
    log.keep_silent(true);
    let mut client = client;
    client.stop();
    let _client = slave(&log, &sink, slave_options(), server.address());
    let end = log.put(200);
    sink.wait_end(end);
}

#[test]
fn a_full_disk_is_told_and_passes() {
    let log = filled(12, 10);
    let server = master(&log);
    let sink = MemorySink::new(FILE);
    log.proved_by(&sink);
    let client = slave(&log, &sink, slave_options(), server.address());
    sink.wait_end(log.end());
    sink.fill(true);
    log.put(400);
    let phase = wait_phase(&client, "refuses", |phase| matches!(phase, SlavePhase::StoreRefuses { .. }));
    assert!(phase.to_string().contains("the disk is full"), "{phase}");
    sink.fill(false);
    log.wait_acked(log.end());
    assert_eq!(sink.bytes(), log.bytes());
    assert_eq!(log.falsehoods(), Vec::<String>::new());
}

#[test]
fn a_store_that_failed_for_good_links_no_more() {
    let log = filled(16, 10);
    let server = master(&log);
    let sink = MemorySink::new(FILE);
    let client = slave(&log, &sink, slave_options(), server.address());
    sink.wait_end(log.end());
    sink.break_down();
    log.put(400);
    wait_phase(&client, "refuses", |phase| matches!(phase, SlavePhase::StoreRefuses { .. }));
    eventually("no link", || Some(()).filter(|()| server.links().is_empty()));
    // Ten times the longest pause between links.
    let links = client.state().links;
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(client.state().links, links);
}

#[test]
fn what_is_deleted_under_a_slave_ends_its_link() {
    let log = filled(13, 2000);
    let server = master(&log);
    let sink = MemorySink::new(FILE);
    // It begins at 0, and while it copies all but the last file goes.
    let client = slave(&log, &sink, slave_options(), server.address());
    eventually("it copies", || Some(()).filter(|()| sink.end() > 0));
    let last_file = log.end() - log.end() % FILE as i64;
    log.delete_before(last_file);
    eventually("stuck, or it was faster", || {
        let phase = client.state().phase;
        Some(()).filter(|()| matches!(phase, SlavePhase::BehindFirst { .. }) || sink.end() == log.end())
    });
    assert!(log.bytes().starts_with(&sink.bytes()));
}

#[test]
fn links_beyond_the_limit_are_turned_away() {
    let log = filled(14, 5);
    let options = replication::ha::MasterOptions { links_max: 2, ..master_options() };
    let server =
        replication::ha::MasterServer::start(any_port(), options, std::sync::Arc::new(log.clone())).expect("a master");
    let sinks: Vec<_> = (0..2).map(|_| MemorySink::new(FILE)).collect();
    let mut slaves: Vec<_> = sinks.iter().map(|sink| slave(&log, sink, slave_options(), server.address())).collect();
    sinks.iter().for_each(|sink| sink.wait_end(log.end()));
    let third = MemorySink::new(FILE);
    let client = slave(&log, &third, slave_options(), server.address());
    wait_phase(&client, "turned away", |phase| matches!(phase, SlavePhase::Lost { .. }));
    assert_eq!((third.end(), server.links().len()), (0, 2));
    slaves.clear();
    third.wait_end(log.end());
}

#[test]
fn stopping_does_not_wait_for_anybody() {
    // Nobody accepts here, and after the backlog is full nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let log = filled(15, 5);
    let sink = MemorySink::new(FILE);
    let options = SlaveOptions { housekeeping: Duration::from_secs(60), ..slave_options() };
    let mut client = slave(&log, &sink, options, address);
    eventually("linked", || Some(()).filter(|()| client.state().links == 1));
    let begun = std::time::Instant::now();
    client.stop();
    assert!(begun.elapsed() < Duration::from_secs(5));
}
