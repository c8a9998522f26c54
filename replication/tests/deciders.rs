//! Both deciders, input by input: what they ask for, and what they make of peers that are no good.

use std::time::{Duration, Instant};

use replication::ha::ending::{MasterEnd, SlaveEnd};
use replication::ha::options::InitialSync;
use replication::ha::plan::{Begin, Own, Plan, Start, plan};
use replication::ha::seam::LogExtent;
use replication::ha::wire::{BadFrame, header, report};
use replication::ha::{master, slave};

const HEARTBEAT: Duration = Duration::from_millis(50);
const HOUSEKEEPING: Duration = Duration::from_millis(200);
const FILE: u64 = 1000;

fn master_session(now: Instant, log: LogExtent) -> master::Session {
    let rules = master::Rules {
        heartbeat: HEARTBEAT,
        housekeeping: HOUSEKEEPING,
        batch: 300,
        file_size: FILE,
        #[cfg(feature = "planted-bug")]
        bug: None,
    };
    master::Session::new(now, rules, log)
}

/// One step of a master, and what it asked for.
fn step(session: &mut master::Session, now: Instant, input: master::Input<'_>) -> Vec<master::Effect> {
    let mut effects = Vec::new();
    session.step(now, input, &mut effects);
    effects
}

fn log(min: i64, max: i64) -> LogExtent {
    LogExtent { min, max }
}

#[test]
fn a_master_sends_from_the_report_on_and_never_across_files() {
    use master::Effect::{Ack, Frame, Up};
    let now = Instant::now();
    let mut session = master_session(now, log(0, 1250));
    assert_eq!(step(&mut session, now, master::Input::Tick), [], "nothing before the first report");
    assert_eq!(
        step(&mut session, now, master::Input::Bytes(&report(500))),
        [Up { start: 500 }, Frame { offset: 500, len: 300 }]
    );
    assert_eq!(step(&mut session, now, master::Input::Tick), [], "one frame at a time");
    assert_eq!(step(&mut session, now, master::Input::Sent), [Frame { offset: 800, len: 200 }]);
    assert_eq!(step(&mut session, now, master::Input::Sent), [Frame { offset: 1000, len: 250 }]);
    assert_eq!(step(&mut session, now, master::Input::Sent), []);
    let reports = [report(900), report(1000)].concat();
    assert_eq!(step(&mut session, now, master::Input::Bytes(&reports)), [Ack(1000)], "the last one counts");
    assert_eq!(step(&mut session, now, master::Input::Bytes(&report(1000))), [], "a sign of life");
    assert_eq!(step(&mut session, now, master::Input::Log(log(0, 1300))), [Frame { offset: 1250, len: 50 }]);
    assert_eq!((session.sent(), session.acked(), session.start()), (1300, 1000, Some(500)));
}

#[test]
fn a_report_of_nothing_begins_with_the_last_file() {
    use master::Effect::{Frame, Up};
    let now = Instant::now();
    for (max, start) in [(0, 0), (999, 0), (1000, 1000), (2500, 2000)] {
        let mut session = master_session(now, log(0, max));
        let effects = step(&mut session, now, master::Input::Bytes(&report(0)));
        assert_eq!(effects.first(), Some(&Up { start }));
        let len = (max - start).min(300) as u32;
        assert_eq!(effects.get(1), (len > 0).then_some(&Frame { offset: start, len }), "log of {max}");
        // A slave of Java repeats its 0 until it got something.
        assert_eq!(step(&mut session, now, master::Input::Bytes(&report(0))), []);
    }
}

#[test]
fn a_master_gives_signs_of_life_and_wants_them() {
    use master::Effect::{Close, Frame};
    let now = Instant::now();
    let mut session = master_session(now, log(0, 500));
    step(&mut session, now, master::Input::Bytes(&report(500)));
    assert!(session.is_idle());
    assert_eq!(session.deadline(), now + HEARTBEAT);
    let due = now + HEARTBEAT;
    assert_eq!(step(&mut session, due, master::Input::Tick), [Frame { offset: 500, len: 0 }]);
    step(&mut session, due, master::Input::Sent);
    let silence = now + HOUSEKEEPING;
    let end = MasterEnd::Silent { had_reported: true, limit: HOUSEKEEPING };
    assert!(step(&mut session, silence, master::Input::Tick).contains(&Close(end)));
    assert_eq!(step(&mut session, silence, master::Input::Bytes(&report(500))), [], "it has ended");
    let mut session = master_session(now, log(0, 500));
    let end = MasterEnd::Silent { had_reported: false, limit: HOUSEKEEPING };
    assert_eq!(step(&mut session, silence, master::Input::Tick), [Close(end)]);
}

/// What a master whose log spans 1000 to 2500, and sends nothing after 1300, makes of these reports.
#[track_caller]
fn hostile_slave(reports: &[i64], want: MasterEnd) {
    let now = Instant::now();
    let bytes: Vec<u8> = reports.iter().flat_map(|offset| report(*offset)).collect();
    for piece in [1, 3, 8] {
        let mut session = master_session(now, log(1000, 2500));
        let mut effects = Vec::new();
        for bytes in bytes.chunks(piece) {
            session.step(now, master::Input::Bytes(bytes), &mut effects);
        }
        let acked = effects.iter().any(|effect| matches!(effect, master::Effect::Ack(_)));
        let closes: Vec<_> = effects.iter().filter(|effect| matches!(effect, master::Effect::Close(_))).collect();
        assert_eq!(closes, [&master::Effect::Close(want)], "{reports:?} in pieces of {piece}");
        let honest = reports.len() > 2;
        assert_eq!(acked, honest, "{reports:?} in pieces of {piece}: {effects:?}");
    }
}

#[test]
fn reports_that_cannot_be_count_for_nothing_and_end_the_link() {
    hostile_slave(&[2501], MasterEnd::BeyondEnd { report: 2501, max: 2500 });
    hostile_slave(&[0x007f_ffff_ffff_ffff], MasterEnd::BeyondEnd { report: 0x007f_ffff_ffff_ffff, max: 2500 });
    hostile_slave(&[-1], MasterEnd::NegativeReport { report: -1 });
    hostile_slave(&[i64::MIN], MasterEnd::NegativeReport { report: i64::MIN });
    hostile_slave(&[999], MasterEnd::BelowMin { report: 999, min: 1000 });
    hostile_slave(&[1000, i64::MAX], MasterEnd::BeyondEnd { report: i64::MAX, max: 2500 });
    hostile_slave(&[1000, 1301], MasterEnd::BeyondSent { report: 1301, sent: 1300 });
    hostile_slave(&[1000, 999], MasterEnd::Backwards { report: 999, before: 1000 });
    hostile_slave(&[1000, -5], MasterEnd::NegativeReport { report: -5 });
    hostile_slave(&[1000, 1200, 1100], MasterEnd::Backwards { report: 1100, before: 1200 });
    hostile_slave(&[1000, 1200, 1000], MasterEnd::Backwards { report: 1000, before: 1200 });
    let garbage = i64::from_be_bytes(*b"GET / HT");
    hostile_slave(&[garbage], MasterEnd::BeyondEnd { report: garbage, max: 2500 });
}

fn slave_session(now: Instant, own: Own, facts: LogExtent) -> slave::Session {
    let Plan::Link(start) = plan(own, Some(facts), InitialSync::All, 100) else { panic!("{own:?} and {facts:?}") };
    with_start(now, start)
}

fn with_start(now: Instant, start: Start) -> slave::Session {
    let rules = slave::Rules {
        heartbeat: HEARTBEAT,
        housekeeping: HOUSEKEEPING,
        body_max: 300,
        file_size: FILE,
        #[cfg(feature = "planted-bug")]
        bug: None,
    };
    slave::Session::new(now, rules, start)
}

fn copy_step(session: &mut slave::Session, now: Instant, input: slave::Input<'_>) -> Vec<slave::Effect> {
    let mut effects = Vec::new();
    session.step(now, input, &mut effects);
    effects
}

fn own(end: i64, durable: i64) -> Own {
    Own { start: 0, end, durable, file_size: FILE }
}

fn frame(offset: i64, len: u32) -> Vec<u8> {
    let mut bytes = header(offset, len).to_vec();
    bytes.resize(bytes.len() + len as usize, 7);
    bytes
}

#[test]
fn a_slave_compares_before_it_appends_and_reports_what_is_safe() {
    use slave::Effect::{Append, Compare, Report};
    let now = Instant::now();
    let mut session = slave_session(now, own(500, 500), log(0, 900));
    assert_eq!(copy_step(&mut session, now, slave::Input::Connected), [Report(400)]);
    assert_eq!(
        copy_step(&mut session, now, slave::Input::Bytes(&frame(400, 60))),
        [Compare { offset: 400, at: 12..72 }]
    );
    assert!(session.is_comparing());
    assert_eq!(copy_step(&mut session, now, slave::Input::Stored { durable: 500 }), [], "not all is compared");
    assert_eq!(
        copy_step(&mut session, now, slave::Input::Bytes(&frame(460, 100))),
        [Compare { offset: 460, at: 12..52 }, Append { offset: 500, at: 52..112 }]
    );
    assert!(!session.is_comparing());
    assert_eq!(copy_step(&mut session, now, slave::Input::Stored { durable: 500 }), [Report(500)]);
    assert_eq!(copy_step(&mut session, now, slave::Input::Stored { durable: 500 }), []);
    assert_eq!(copy_step(&mut session, now, slave::Input::Stored { durable: 560 }), [Report(560)]);
    let later = now + HEARTBEAT;
    assert_eq!(copy_step(&mut session, later, slave::Input::Tick), [Report(560)], "a sign of life");
}

#[test]
fn a_slave_whose_master_ends_before_it_knows() {
    let now = Instant::now();
    let mut session = slave_session(now, own(500, 500), log(0, 450));
    copy_step(&mut session, now, slave::Input::Bytes(&frame(400, 50)));
    assert_eq!(session.master_end(), None);
    copy_step(&mut session, now, slave::Input::Bytes(&frame(450, 0)));
    assert_eq!((session.master_end(), session.is_comparing()), (Some(450), true));
}

#[test]
fn an_empty_slave_begins_with_the_first_frame() {
    use slave::Effect::{Append, Begin as Begins};
    let now = Instant::now();
    let mut session = slave_session(now, own(0, 0), log(2000, 3500));
    assert_eq!(copy_step(&mut session, now, slave::Input::Connected), [slave::Effect::Report(2000)]);
    assert_eq!(
        copy_step(&mut session, now, slave::Input::Bytes(&frame(2000, 5))),
        [Begins { offset: 2000 }, Append { offset: 2000, at: 12..17 }]
    );
    let last_file = Start { report: 0, begin: Begin::WhereTheMasterSays, end: 0, durable: 0 };
    let mut session = with_start(now, last_file);
    assert_eq!(copy_step(&mut session, now, slave::Input::Bytes(&frame(0, 0))), [], "the master has nothing yet");
    assert_eq!(
        copy_step(&mut session, now, slave::Input::Bytes(&frame(3000, 5))),
        [Begins { offset: 3000 }, Append { offset: 3000, at: 12..17 }]
    );
}

/// What a slave that is at 500, after comparing, makes of these bytes: nothing of the last frame may be taken.
#[track_caller]
fn hostile_master(bytes: &[u8], want: SlaveEnd) {
    let now = Instant::now();
    for piece in [1, 5, 12, bytes.len()] {
        let mut session = slave_session(now, own(500, 500), log(0, 900));
        copy_step(&mut session, now, slave::Input::Bytes(&frame(400, 100)));
        let mut effects = Vec::new();
        for bytes in bytes.chunks(piece) {
            session.step(now, slave::Input::Bytes(bytes), &mut effects);
        }
        assert_eq!(effects, [slave::Effect::Close(want)], "pieces of {piece}");
    }
}

#[test]
fn frames_that_cannot_be_end_the_link_and_leave_nothing() {
    let length = |len: i32| {
        let mut bytes = header(500, 0).to_vec();
        bytes[8..].copy_from_slice(&len.to_be_bytes());
        bytes.extend([1; 40]);
        bytes
    };
    hostile_master(&frame(499, 10), SlaveEnd::WrongOffset { found: 499, expected: 500 });
    hostile_master(&frame(501, 10), SlaveEnd::WrongOffset { found: 501, expected: 500 });
    hostile_master(&frame(0, 10), SlaveEnd::WrongOffset { found: 0, expected: 500 });
    hostile_master(&frame(i64::MAX, 10), SlaveEnd::WrongOffset { found: i64::MAX, expected: 500 });
    hostile_master(&frame(501, 0), SlaveEnd::WrongOffset { found: 501, expected: 500 });
    hostile_master(&frame(-1, 10), SlaveEnd::BadFrame(BadFrame::Offset(-1)));
    hostile_master(&length(-1), SlaveEnd::BadFrame(BadFrame::Length { found: -1, max: 300 }));
    hostile_master(&length(i32::MIN), SlaveEnd::BadFrame(BadFrame::Length { found: i32::MIN, max: 300 }));
    hostile_master(&length(301), SlaveEnd::BadFrame(BadFrame::Length { found: 301, max: 300 }));
    hostile_master(&length(i32::MAX), SlaveEnd::BadFrame(BadFrame::Length { found: i32::MAX, max: 300 }));
}

#[test]
fn a_frame_over_the_end_of_a_file_is_of_a_master_with_other_files() {
    let now = Instant::now();
    let mut session = slave_session(now, own(900, 900), log(0, 2000));
    copy_step(&mut session, now, slave::Input::Bytes(&frame(800, 100)));
    assert_eq!(
        copy_step(&mut session, now, slave::Input::Bytes(&frame(900, 101))),
        [slave::Effect::Close(SlaveEnd::FileSize { offset: 900, len: 101, file_size: FILE })]
    );
}

#[test]
fn a_silent_master_is_left() {
    let now = Instant::now();
    let mut session = slave_session(now, own(500, 500), log(0, 900));
    let end = SlaveEnd::Silent { limit: HOUSEKEEPING };
    assert_eq!(copy_step(&mut session, now + HOUSEKEEPING, slave::Input::Tick), [slave::Effect::Close(end)]);
}
