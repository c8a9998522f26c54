//! A slave of a master: what was sent to the one is read from the other.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use common::{Client, TestBroker, eventually, free_port};

const RUNTIME: i32 = 28;
const HA_STATUS: i32 = 907;

fn slave_of(master: &TestBroker, lines: &str) -> TestBroker {
    let text = format!("brokerRole=SLAVE\nbrokerId=1\nhaMasterAddress=127.0.0.1:{}\n{lines}", master.port + 1);
    TestBroker::start("slave", &text)
}

/// A key of request 28.
fn runtime(client: &mut Client, key: &str) -> String {
    let body: serde_json::Value = serde_json::from_slice(&client.call(RUNTIME, &[], &[]).body).expect("JSON");
    body["table"][key].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn await_read(slave: &TestBroker, queue_id: i32, expected: &[String]) {
    let mut client = slave.client();
    eventually("the slave has it", || client.bodies("T", queue_id, 0), |bodies| bodies == expected);
}

/// Sends numbered messages to queues 0 and 1; what each queue holds then is appended to `sent`.
#[track_caller]
fn send(master: &mut Client, count: usize, sent: &mut [Vec<String>; 2]) {
    for _ in 0..count {
        for (queue_id, sent) in sent.iter_mut().enumerate() {
            let body = format!("{queue_id}-{}", sent.len());
            let answer = master.send("T", queue_id as i32, &body);
            assert_eq!(answer.code, 0, "{answer:?}");
            sent.push(body);
        }
    }
}

/// The bytes of the log's first file, without the zeros behind them.
fn log(root: &Path) -> Vec<u8> {
    let mut bytes =
        std::fs::read(root.join("store/commitlog/00000000000000000000")).expect("the first file of the log");
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

#[test]
fn what_is_sent_to_the_master_is_read_from_the_slave() {
    for (master_lines, slave_lines) in [
        ("flushDiskType=ASYNC_FLUSH", "flushDiskType=ASYNC_FLUSH"),
        ("flushDiskType=SYNC_FLUSH", "flushDiskType=SYNC_FLUSH"),
        ("brokerRole=SYNC_MASTER\nslaveTimeout=30000\nflushDiskType=SYNC_FLUSH", "flushDiskType=ASYNC_FLUSH"),
        ("brokerRole=SYNC_MASTER\nslaveTimeout=30000\nflushDiskType=ASYNC_FLUSH", "flushDiskType=SYNC_FLUSH"),
    ] {
        let mut master = TestBroker::start("master", master_lines);
        let mut slave = slave_of(&master, slave_lines);
        let mut client = master.client();
        let is_sync = master_lines.contains("SYNC_MASTER");
        if is_sync {
            let first = client.send("T", 2, "first");
            assert!(matches!(first.code, 0 | 11 | 12), "{first:?}");
            eventually("the slave counts", || client.send("T", 2, "more").code, |code| *code == 0);
        }
        let mut sent = [Vec::new(), Vec::new()];
        send(&mut client, 10, &mut sent);
        if is_sync {
            let mut slave = slave.client();
            assert_eq!(runtime(&mut slave, "ringmqHaState"), "inStep", "acknowledged means that the slave has it");
        }
        await_read(&slave, 0, &sent[0]);
        await_read(&slave, 1, &sent[1]);
        // Down and up again: what was sent meanwhile follows. A SYNC_MASTER says that nobody else has it.
        assert!(slave.stop());
        let alone = eventually("the link is gone", || client.send("T", 3, "alone").code, |code| *code != 12);
        assert_eq!(alone, if is_sync { 11 } else { 0 }, "{master_lines}");
        slave.start_again();
        eventually("the slave counts again", || client.send("T", 3, "again").code, |code| *code == 0);
        send(&mut client, 3, &mut sent);
        await_read(&slave, 0, &sent[0]);
        await_read(&slave, 1, &sent[1]);
        // The master goes and comes back; the slave serves on and then follows on.
        assert!(master.stop());
        await_read(&slave, 0, &sent[0]);
        master.start_again();
        let mut client = master.client();
        eventually("the slave is back", || client.send("T", 3, "back").code, |code| *code == 0);
        send(&mut client, 3, &mut sent);
        await_read(&slave, 1, &sent[1]);
        assert!(master.stop() && slave.stop());
        assert!(log(&master.root) == log(&slave.root), "{master_lines}: the slave's log is the master's");
    }
}

#[test]
fn a_held_pull_at_the_slave_wakes_with_the_copy() {
    let master = TestBroker::start("master", "");
    let slave = slave_of(&master, "");
    let mut client = master.client();
    assert_eq!(client.send("T", 0, "one").code, 0);
    await_read(&slave, 0, &["one".to_owned()]);
    let mut consumer = slave.client();
    const SUSPEND: i32 = 2;
    let began = std::time::Instant::now();
    let answer = std::thread::scope(|scope| {
        let held = scope.spawn(move || consumer.pull("bodies", "T", 0, 1, SUSPEND, 0));
        let mut other = slave.client();
        eventually("the pull is held", || runtime(&mut other, "ringmqHeldPulls"), |held| held == "1");
        assert_eq!(client.send("T", 0, "two").code, 0);
        held.join().expect("no panic")
    });
    assert_eq!((answer.code, answer.field("nextBeginOffset")), (0, "2"), "{answer:?}");
    assert!(began.elapsed().as_secs() < 15, "not by the end of its time");
}

#[test]
fn what_is_committed_at_the_slave_reaches_a_master_that_comes_back() {
    let mut master = TestBroker::start("master", "flushDiskType=SYNC_FLUSH");
    let slave = slave_of(&master, "");
    let mut client = master.client();
    let mut sent = [Vec::new(), Vec::new()];
    send(&mut client, 5, &mut sent);
    await_read(&slave, 1, &sent[1]);
    const COMMIT: i32 = 15;
    let at = |queue_id: &'static str| [("consumerGroup", "g"), ("topic", "T"), ("queueId", queue_id)];
    let commit = |client: &mut Client, queue_id, offset: &'static str| {
        let answer = client.call(COMMIT, &[&at(queue_id)[..], &[("commitOffset", offset)]].concat(), &[]);
        assert_eq!(answer.code, 0, "{answer:?}");
    };
    commit(&mut client, "0", "4");
    commit(&mut client, "1", "1");
    let mut copy = slave.client();
    eventually("copied", || copy.call(14, &at("0"), &[]).field("offset").to_owned(), |offset| offset == "4");
    eventually("copied", || copy.call(14, &at("1"), &[]).field("offset").to_owned(), |offset| offset == "1");
    // Progress is told before it is written.
    eventually("kept", || master.table("consumerOffset.json"), |text| text.contains("\"0\": 4"));
    master.kill();
    // Forwards on one queue, backwards on another, beyond the end on a third.
    commit(&mut copy, "1", "3");
    commit(&mut copy, "0", "2");
    commit(&mut copy, "2", "77");
    master.start_again();
    let mut client = master.client();
    eventually("told", || client.call(14, &at("1"), &[]).field("offset").to_owned(), |offset| offset == "3");
    assert_eq!(client.call(14, &at("0"), &[]).field("offset"), "4", "only onwards");
    assert_eq!(client.call(14, &at("2"), &[]).field("offset"), "0", "not beyond the end");
    eventually(
        "the master's counts",
        || copy.call(14, &at("0"), &[]).field("offset").to_owned(),
        |offset| offset == "4",
    );
}

#[test]
fn only_the_master_delivers_what_was_delayed() {
    let master = TestBroker::start("master", "messageDelayLevel=1s 2s");
    let slave = slave_of(&master, "messageDelayLevel=1s 2s");
    let mut client = master.client();
    assert_eq!(client.send("T", 0, "now").code, 0);
    assert_eq!(client.send_with("T", 0, "later", "DELAY\u{1}1\u{2}").code, 0);
    await_read(&slave, 0, &["now".to_owned(), "later".to_owned()]);
    let mut copy = slave.client();
    let delay =
        eventually("how far it was delivered", || copy.call(45, &[], &[]).text(), |text| text.contains("{1:1,"));
    assert_eq!(delay, client.call(45, &[], &[]).text());
    assert_eq!(client.bodies("T", 0, 0).len(), 2, "once");
}

#[test]
fn a_slave_started_as_master_goes_on_where_its_master_ended() {
    // The second level is long enough for the old master to be gone before it is over.
    const DELAYS: &str = "messageDelayLevel=1s 10s";
    let mut old = TestBroker::start("old", DELAYS);
    let mut new = slave_of(&old, DELAYS);
    let mut client = old.client();
    assert_eq!(client.send("T", 0, "before").code, 0);
    await_read(&new, 0, &["before".to_owned()]);
    assert_eq!(client.send_with("T", 0, "delayed", "DELAY\u{1}2\u{2}").code, 0);
    let link = || runtime(&mut old.client(), "ringmqHaLink_1");
    eventually("the slave has it all", link, |text| text.contains("lag 0 bytes"));
    eventually("and its tables", || new.client().call(21, &[], &[]).text(), |text| text.contains("\"T\""));
    old.kill();
    assert!(new.stop());
    new.start_as(&format!("brokerRole=ASYNC_MASTER\n{DELAYS}"));
    let mut client = new.client();
    let sent = client.send("T", 0, "after");
    assert_eq!((sent.code, sent.field("queueOffset")), (0, "1"), "{sent:?}");
    let all = ["before", "after", "delayed"].map(str::to_owned);
    await_read(&new, 0, &all);
    // The old master comes back as slave of the new.
    let master = format!("haMasterAddress=127.0.0.1:{}", new.port + 1);
    old.start_as(&format!("brokerRole=SLAVE\nbrokerId=1\n{master}\n{DELAYS}"));
    await_read(&old, 0, &all);
    assert_eq!(old.client().send("T", 0, "x").code, 14);
}

#[test]
fn a_slave_that_has_what_its_master_lost_says_so_and_copies_anew_only_if_told() {
    let mut master = TestBroker::start("master", "");
    let mut slave = slave_of(&master, "");
    let mut client = master.client();
    assert_eq!(client.send("T", 0, "lost").code, 0);
    await_read(&slave, 0, &["lost".to_owned()]);
    // The master's store is gone; it begins anew with other messages.
    master.kill();
    std::fs::remove_dir_all(master.root.join("store")).expect("the master's store");
    master.start_again();
    let mut client = master.client();
    assert_eq!(client.send("T", 0, "anew").code, 0);
    let state = || runtime(&mut slave.client(), "ringmqHaState");
    let state = eventually("it is seen", state, |state| state == "ahead" || state == "diverged");
    let text = runtime(&mut slave.client(), "ringmqHaStateText");
    assert!(text.contains("haResync=aside"), "{state}: {text}");
    assert_eq!(slave.client().bodies("T", 0, 0), ["lost"], "and nothing was overwritten");
    assert!(slave.stop());
    let lines = format!("brokerRole=SLAVE\nbrokerId=1\nhaMasterAddress=127.0.0.1:{}\nhaResync=aside", master.port + 1);
    slave.start_as(&lines);
    await_read(&slave, 0, &["anew".to_owned()]);
    let aside = std::fs::read_dir(slave.root.join("store")).expect("the store").flatten();
    let aside: Vec<String> = aside.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(aside.iter().any(|name| name.starts_with("commitlog.aside-")), "{aside:?}");
}

#[test]
fn a_sync_master_tells_who_did_not_confirm() {
    let master = TestBroker::start("master", "brokerRole=SYNC_MASTER\nslaveTimeout=200");
    let mut client = master.client();
    let alone = client.send("T", 0, "a");
    assert_eq!((alone.code, alone.remark.as_str()), (11, "SLAVE_NOT_AVAILABLE"), "{alone:?}");
    assert_eq!((alone.field("queueOffset"), alone.field("msgId").len()), ("0", 32), "stored all the same");
    assert_eq!(client.send_with("T", 0, "b", "WAIT\u{1}false\u{2}").code, 0, "who does not wait needs no slave");
    // A peer that reports once and never again: it is there, but it confirms nothing.
    let mut peer = TcpStream::connect(("127.0.0.1", master.port + 1)).expect("the replication port");
    peer.write_all(&0i64.to_be_bytes()).expect("a report");
    let silent = eventually("its first report counts", || client.send("T", 0, "c"), |answer| answer.code != 11);
    assert_eq!((silent.code, silent.remark.as_str()), (12, "FLUSH_SLAVE_TIMEOUT"), "{silent:?}");
    let mut header = [0; 12];
    peer.read_exact(&mut header).expect("the log");
    // One that claims more than there is never counts, and its link is closed.
    peer.write_all(&i64::MAX.to_be_bytes()).expect("a report");
    eventually("the forger is gone", || client.send("T", 0, "d").code, |code| *code == 11);
    let bodies = client.bodies("T", 0, 0);
    assert_eq!(bodies[..3], ["a", "b", "c"], "all are readable");
}

#[test]
fn operators_see_how_replication_stands() {
    let master = TestBroker::start("master", "");
    let mut client = master.client();
    assert_eq!(client.send("T", 0, "x").code, 0);
    assert_eq!(
        (runtime(&mut client, "ringmqRole"), runtime(&mut client, "ringmqHaLinks")),
        ("ASYNC_MASTER".into(), "0".into())
    );
    let slave = slave_of(&master, "");
    await_read(&slave, 0, &["x".to_owned()]);
    eventually(
        "confirmed",
        || runtime(&mut client, "ringmqHaLink_1"),
        |text| text.contains("up") && text.contains("lag 0 bytes"),
    );
    let status = client.call(HA_STATUS, &[], &[]);
    let status: serde_json::Value = serde_json::from_slice(&status.body).expect("JSON");
    let end: i64 = runtime(&mut client, "commitLogMaxOffset").parse().expect("an offset");
    assert_eq!((&status["master"], &status["inSyncSlaveNums"]), (&true.into(), &1.into()), "{status}");
    assert_eq!(status["masterCommitLogMaxOffset"], end);
    let link = &status["haConnectionInfo"][0];
    assert_eq!(
        (&link["slaveAckOffset"], &link["diff"], &link["inSync"]),
        (&end.into(), &0.into(), &true.into()),
        "{status}"
    );

    let mut copy = slave.client();
    for (key, expected) in [
        ("ringmqRole", "SLAVE".to_owned()),
        ("ringmqHaState", "inStep".to_owned()),
        ("ringmqHaEnd", end.to_string()),
        ("ringmqHaLagBytes", "0".to_owned()),
    ] {
        // Told by the link's thread after it has reported.
        eventually(key, || runtime(&mut copy, key), |found| *found == expected);
    }
    let status = copy.call(HA_STATUS, &[], &[]);
    let status: serde_json::Value = serde_json::from_slice(&status.body).expect("JSON");
    assert_eq!(
        (&status["master"], &status["haClientRuntimeInfo"]["maxOffset"]),
        (&false.into(), &end.into()),
        "{status}"
    );
    assert_eq!(status["haClientRuntimeInfo"]["masterAddr"], format!("127.0.0.1:{}", master.port + 1));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let port = free_port();
    let _other = TcpListener::bind(("127.0.0.1", port + 1)).expect("the replication port");
    let error = TestBroker::refused(port, "");
    for part in [
        format!("cannot listen on 127.0.0.1:{}", port + 1),
        format!("pid {}", std::process::id()),
        format!(
            "{port} (listenPort), {} (listenPort - 2, VIP channel) and {} (listenPort + 1, replication)",
            port - 2,
            port + 1
        ),
        "at least 4 away".to_owned(),
    ] {
        assert!(error.contains(&part), "{part} in {error}");
    }
    // The step users take: a slave beside its master, on the next port.
    let master = TestBroker::start("master", "");
    let lines = format!("brokerRole=SLAVE\nbrokerId=1\nhaMasterAddress=127.0.0.1:{}", master.port + 1);
    let error = TestBroker::refused(master.port + 1, &lines);
    assert!(error.contains(&format!("cannot listen on 127.0.0.1:{}", master.port + 1)), "{error}");
}
