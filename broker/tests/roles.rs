//! What masters and slaves answer, over the wire.

mod common;

use common::{Client, Peer, Scripted, TestBroker, eventually};

/// A master with topic T of four queues in `copied`, which knows nothing else.
fn java_master() -> Peer {
    Peer::start(|code, _| {
        let body = match code {
            21 => {
                "{\"dataVersion\":{\"counter\":5,\"timestamp\":1},\"topicConfigTable\":{\"T\":{\"perm\":6,\"readQueueNums\":4,\
                 \"topicName\":\"T\",\"writeQueueNums\":4}}}"
            }
            43 | 45 => "{\"offsetTable\":{}}",
            _ => {
                "{\"dataVersion\":{\"counter\":5,\"timestamp\":1},\"subscriptionGroupTable\":{\"g\":{\"brokerId\":0,\
                 \"groupName\":\"g\",\"whichBrokerWhenConsumeSlowly\":1}}}"
            }
        };
        Scripted::body(body)
    })
}

fn nameserver(master: &Peer) -> Peer {
    let address = master.address.to_string();
    Peer::start(move |_, _| Scripted {
        code: 0,
        fields: vec![("masterAddr".into(), address.clone()), ("haServerAddr".into(), "127.0.0.1:1".into())],
        body: Vec::new(),
    })
}

/// A slave that has copied the tables of a scripted master, which is gone.
fn slave(lines: &str) -> (TestBroker, Client) {
    let master = java_master();
    let nameserver = nameserver(&master);
    let text = format!("brokerRole=SLAVE\nbrokerId=1\nnamesrvAddr={}\n{lines}", nameserver.address);
    let slave = TestBroker::start("slave", &text);
    let mut client = slave.client();
    eventually("groups come last", || client.call(201, &[], &[]).text(), |text| text.contains("\"g\""));
    eventually("topics are on every shard", || client.pull("g", "T", 0, 0, 0, 0), |answer| answer.code == 19);
    eventually("topics are on every shard", || client.pull("g", "T", 1, 0, 0, 0), |answer| answer.code == 19);
    (slave, client)
}

#[test]
fn a_slave_takes_no_messages_and_no_changes() {
    let (_slave, mut client) = slave("");
    let sent = client.send("T", 0, "x");
    assert_eq!(sent.code, 14, "{sent:?}");
    assert_eq!(sent.field("MSG_REGION"), "DefaultRegion", "as with every send");
    let unknown = client.send("NEW", 0, "x");
    assert_eq!(unknown.code, 14, "and no topic is made: {unknown:?}");
    assert_eq!(client.call(351, &[("topic", "NEW")], &[]).code, 17);
    for (code, expected) in [(36, 1), (37, 11), (17, 1), (215, 1), (200, 1), (207, 1)] {
        let answer = client.call(code, &[], &[]);
        assert_eq!(answer.code, expected, "{code}: {answer:?}");
    }
}

#[test]
fn pulls_of_a_slave_commit_nothing_while_commits_count() {
    let (_slave, mut client) = slave("");
    let asked = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "2")];
    const COMMIT: i32 = 1;
    client.pull("g", "T", 2, 0, COMMIT, 17);
    assert_eq!(client.call(14, &asked, &[]).field("offset"), "0");
    let commit = [&asked[..], &[("commitOffset", "3")]].concat();
    assert_eq!(client.call(15, &commit, &[]).code, 0);
    assert_eq!(client.call(14, &asked, &[]).field("offset"), "3");
}

#[test]
fn a_slave_corrects_offsets_only_if_told_so() {
    // A queue of the slave that is empty, and a consumer that has read five messages of it at the master.
    for (lines, code, next, suggested) in
        [("", 20, "5", "0"), ("slaveReadEnable=true", 20, "5", "0"), ("offsetCheckInSlave=true", 21, "0", "0")]
    {
        let (_slave, mut client) = slave(lines);
        let answer = client.pull("g", "T", 3, 5, 0, 0);
        let found = (answer.code, answer.field("nextBeginOffset"), answer.field("suggestWhichBrokerId"));
        assert_eq!(found, (code, next, suggested), "{lines}: {answer:?}");
        const SUSPEND: i32 = 2;
        assert_eq!(client.pull("g", "T", 3, 5, SUSPEND, 0).code, code, "{lines}: soon, though it could wait");
    }
}

#[test]
fn who_lags_is_sent_to_a_slave_if_that_is_allowed() {
    for (lines, suggested) in [
        ("slaveReadEnable=true\naccessMessageInMemoryMaxRatio=0", "1"),
        ("slaveReadEnable=true", "0"),
        ("accessMessageInMemoryMaxRatio=0", "0"),
    ] {
        let master = TestBroker::start("master", lines);
        let mut client = master.client();
        for body in ["x", "y"] {
            assert_eq!(client.send("T", 0, body).code, 0);
        }
        // Makes the group, whose slave is broker 1.
        client.pull("g", "T", 0, 0, 0, 0);
        let answer = client.pull("g", "T", 0, 0, 0, 0);
        assert_eq!((answer.code, answer.field("suggestWhichBrokerId")), (0, suggested), "{lines}: {answer:?}");
    }
}

#[test]
fn a_master_gives_its_tables_away_on_both_ports() {
    let master = TestBroker::start("master", "");
    let mut client = master.client();
    let sent = client.send("T", 1, "x");
    assert_eq!(sent.code, 0, "{sent:?}");
    client.pull("g", "T", 1, 0, 0, 0);
    let commit = [("consumerGroup", "g"), ("topic", "T"), ("queueId", "1"), ("commitOffset", "1")];
    assert_eq!(client.call(15, &commit, &[]).code, 0);
    let vip = std::net::SocketAddr::from(([127, 0, 0, 1], master.port - 2));
    for address in [master.address(), vip] {
        let mut slave = Client::connect(address);
        for (code, part) in [
            (21, "\"T\":{"),
            (201, "\"g\":{"),
            (43, "{\"offsetTable\":{\"T@g\":{1:1}}}"),
            (
                45,
                "{\"offsetTable\":{1:0,2:0,3:0,4:0,5:0,6:0,7:0,8:0,9:0,10:0,11:0,12:0,13:0,14:0,15:0,16:0,17:0,18:0}}",
            ),
        ] {
            eventually(part, || slave.call(code, &[], &[]).text(), |text| text.contains(part));
        }
    }
}

#[test]
fn roles_are_said_where_the_broker_says_that_it_is_up() {
    for (lines, end) in [
        ("", "boot success. serializeType=JSON"),
        ("brokerRole=SYNC_MASTER", "boot success. serializeType=JSON, brokerRole SYNC_MASTER, brokerId 0"),
        (
            "brokerRole=SLAVE\nbrokerId=3\nhaMasterAddress=127.0.0.1:2",
            "boot success. serializeType=JSON, brokerRole SLAVE, brokerId 3",
        ),
    ] {
        let broker = TestBroker::start("role", lines);
        let start = format!("The broker[a, 127.0.0.1:{}] ", broker.port);
        let output = broker.output();
        assert!(output.lines().any(|line| line == format!("{start}{end}")), "{output}");
    }
}
