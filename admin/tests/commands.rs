//! What the golden cases do not show: mistakes, help, exit codes, other sources, and answers that are no answers.

mod play;

use admin::Ended;
use play::{Play, answers};

const NS: &str = "ns:9876";

#[track_caller]
fn check(line: &str, told: &str, ended: Ended, want: &[&str]) {
    let play = Play { answers: answers(told, 0), now_ms: 0, namesrv: Some(NS) };
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let played = play.run(&words);
    let all = format!("{}{}", played.out, played.said.join("\n"));
    for part in want {
        assert!(all.contains(part), "{line}: {part} in:\n{all}");
    }
    assert_eq!(played.ended, ended, "{line}:\n{all}");
}

#[test]
fn help_and_mistakes() {
    use Ended::{Misused, Well};
    check("", "", Misused, &["mqadmin <command>", "haStatus"]);
    check("help", "", Well, &["clusterList", "topicRoute", "topicStatus", "brokerStatus", "haStatus"]);
    check(
        "help CLUSTERLIST",
        "",
        Well,
        &["usage: mqadmin clusterList [-c <arg>] [-h] [-i <arg>] [--json] [-m] [-n <arg>]", "-m,--moreStats"],
    );
    check("topicRoute -h", "", Well, &["usage: mqadmin topicRoute [-h] [--json] [-l] [-n <arg>] -t <arg>"]);
    check("help nosuch", "", Misused, &["there is no command nosuch"]);
    check("clusterLst", "", Misused, &["did you mean clusterList, clusterRT?"]);
    check("topic", "", Misused, &["did you mean topicList, topicRoute, topicStatus?"]);
    check("DELETETOPIC -t T", "", Misused, &["deleteTopic is a command of Java's mqadmin"]);
    check("topicRoute", "", Misused, &["topicRoute: -t (topic) is missing", "mqadmin help topicRoute"]);
    check("topicRoute -t T -n ns", "", Misused, &["-n ns: ns is no host:port"]);
    check("topicRoute -t T -n h1:9876,h2:9876", "", Misused, &["separated by a semicolon", "'h1:9876;h2:9876'"]);
    check("topicRoute -t T -n ;", "", Misused, &["names no nameserver"]);
    check("brokerStatus", "", Misused, &["-b host:port for one broker, -c cluster"]);
    check("brokerStatus -b away", "", Misused, &["-b away is no host:port"]);
    check("clusterList -i 0", "", Misused, &["-i 0: give a whole number of seconds"]);
}

#[test]
fn without_a_nameserver_the_remedy_is_said() {
    let play = Play { answers: answers("", 0), now_ms: 0, namesrv: None };
    let played = play.run(&["clusterList".to_owned()]);
    assert_eq!(played.ended, Ended::Misused);
    assert!(played.said[0].contains("give -n host:9876 or set the environment's NAMESRV_ADDR"), "{:?}", played.said);
}

#[test]
fn failures_name_the_address_and_the_reason() {
    use Ended::{Failed, Well};
    let route = r#"105 {"brokerDatas":[{"brokerAddrs":{"0":"a:1"},"brokerName":"a","cluster":"C"},{"brokerAddrs":{"0":"b:1"},"brokerName":"b","cluster":"C"},{"brokerAddrs":{},"brokerName":"c","cluster":"C"}],"queueDatas":[]}"#;
    let stats = r#"202 {"offsetTable":{{"brokerName":"a","queueId":0,"topic":"T"}:{"lastUpdateTimestamp":0,"maxOffset":6,"minOffset":0}}}"#;
    check("clusterList", "", Failed, &["no nameserver answers: ns:9876: nobody plays this address"]);
    check("clusterList -n x:1;y:2", "", Failed, &["x:1: nobody", "y:2: nobody"]);
    // The second nameserver answers where the first is away.
    let second = r#"y:2 106 {"brokerAddrTable":{},"clusterAddrTable":{}}"#;
    check("clusterList -n x:1;y:2", second, Well, &["#Cluster Name", "nameserver x:1: nobody plays"]);
    check(
        "clusterList -c D -n y:2",
        second,
        Failed,
        &["nameserver y:2 knows no cluster D; it knows no cluster at all"],
    );
    check("clusterList", "ns:9876 106 {broken", Failed, &["ns:9876: the answer to request 106 is malformed"]);
    let unknown = "ns:9876 105 !17 No topic route info in name server for the topic: T";
    check("topicRoute -t T", unknown, Failed, &["no broker serves topic T", "ns:9876", "17 TOPIC_NOT_EXIST"]);
    check("topicRoute -t T", "ns:9876 105 !1 broken", Failed, &["ns:9876: request 105", "1 SYSTEM_ERROR: broken"]);
    check("topicRoute -l -t T", &format!("ns:9876 {route}"), Well, &["{0=a:1}", "{}", "Total:"]);
    let half = format!("ns:9876 {route}\na:1 {stats}");
    check(
        "topicStatus -t T",
        &half,
        Failed,
        &["a                                 0     0", "broker b at b:1: nobody plays"],
    );
    check("topicStatus -t T --json", &half, Failed, &["\"maxOffset\": 6", "\"errors\": [\n    \"broker b at b:1"]);
    let none = format!("ns:9876 {}\na:1 202 {{}}", route.replace("b:1", "a:1"));
    check("topicStatus -t T", &none, Failed, &["no broker of topic T has queues of it: a:1, a:1"]);
    check("brokerStatus -b a:1", "", Failed, &["broker at a:1: nobody plays this address"]);
    let no_master = r#"ns:9876 106 {"brokerAddrTable":{"a":{"brokerAddrs":{1:"a:1"},"brokerName":"a","cluster":"C"}},"clusterAddrTable":{"C":["a"]}}"#;
    check("brokerStatus -c C", no_master, Failed, &["cluster C has no master now"]);
    check("brokerStatus -c c", no_master, Failed, &["knows no cluster c; it knows C"]);
}

/// Brokers of Java 4 answer 907 with code 3: the offsets then come from the runtime info of master and slaves.
#[test]
fn ha_status_of_a_broker_of_4x_comes_from_runtime_info() {
    use Ended::{Failed, Well};
    let info = |address: &str, end: i64| format!("{address} 28 {{\"table\":{{\"commitLogMaxOffset\":\"{end}\"}}}}\n");
    let cluster = r#"ns:9876 106 {"brokerAddrTable":{"a":{"brokerAddrs":{0:"a:1",1:"a:2",2:"a:3"},"brokerName":"a","cluster":"C"},"b":{"brokerAddrs":{1:"b:1"},"brokerName":"b","cluster":"C"}},"clusterAddrTable":{"C":["a","b"]}}
"#;
    let all = [cluster, &info("a:1", 300_000_000), &info("a:2", 300_000_100), &info("a:3", 31_564_544)].concat();
    check(
        "haStatus -c C",
        &all,
        Well,
        &[
            "\n#MasterAddr\ta:1\n#MasterCommitLogMaxOffset\t300000000\n#SlaveNum\t2\n#InSyncSlaveNum\t1\n",
            "a:2                               300000100                       0                -               OK                -\n",
            "a:3                               31564544                268435456                -      Fall Behind                -\n",
            "does not serve request 907; its offsets are from runtime info (28)",
            "b has no master now; its slave 1 at b:1 is asked with -b b:1",
        ],
    );
    check(
        "haStatus -b a:2",
        &all,
        Well,
        &["\n#MasterAddr\ta:1\n#CommitLogMaxOffset\t300000100\n#TransferSpeed(KB/s)\t-\n#LastReadTime\t-\n"],
    );
    check("haStatus -b a:1 --json", &all, Well, &["\"source\": \"runtimeInfo\"", "\"diff\": 268435456"]);
    let away = [cluster, &info("a:1", 5), &info("a:2", 5)].concat();
    check("haStatus -b a:1", &away, Failed, &["Unreachable", "slave at a:3: nobody plays", "#InSyncSlaveNum\t1"]);
    let odd =
        [cluster, &info("a:1", 5), "a:2 28 {\"table\":{}}\na:3 28 {\"table\":{\"commitLogMaxOffset\":\"x\"}}"].concat();
    check(
        "haStatus -b a:1",
        &odd,
        Failed,
        &["slave at a:2", "commitLogMaxOffset is None", "Some(\"x\") and no number"],
    );
    check("haStatus -b c:1", &[cluster, &info("c:1", 1)].concat(), Failed, &["knows no broker of this address"]);
    let play = Play { answers: answers(&info("a:1", 1), 0), now_ms: 0, namesrv: None };
    let played = play.run(&["haStatus", "-b", "a:1"].map(str::to_owned));
    assert!(played.said[0].contains("add -n host:9876"), "{:?}", played.said);
}

/// Java tells of a broker without messages that its oldest one is of 1970; programs are told that there is none.
#[test]
fn an_empty_broker_has_no_hours() {
    let cluster = r#"ns:9876 106 {"brokerAddrTable":{"a":{"brokerAddrs":{0:"a:1"},"brokerName":"a","cluster":"C"}},"clusterAddrTable":{"C":["a"]}}"#;
    for (earliest, want) in [("-1", "\"hours\": null"), ("3600000", "\"hours\": -1.0")] {
        let told = format!("{cluster}\na:1 28 {{\"table\":{{\"earliestMessageTimeStamp\":\"{earliest}\"}}}}");
        check("clusterList --json", &told, Ended::Well, &[want]);
    }
}

/// Where 202 is not served the offsets are asked for queue by queue.
#[test]
fn topic_status_without_202_comes_from_single_offsets() {
    let route = r#"ns:9876 105 {"brokerDatas":[{"brokerAddrs":{"0":"a:1"},"brokerName":"a"}],"queueDatas":[{"brokerName":"a","readQueueNums":2,"writeQueueNums":1}]}
"#;
    let told = [route, "a:1 31 ?offset=7\na:1 30 ?offset=9"].concat();
    check(
        "topicStatus -t T",
        &told,
        Ended::Well,
        &[
            "a                                 0     7                     9                       \n",
            "a                                 1     7                     9                       \n",
            "broker a at a:1 does not serve request 202",
        ],
    );
    let told = [route, "a:1 31 ?offset=7\na:1 30 ?offset=x"].concat();
    check("topicStatus -t T", &told, Ended::Failed, &["a:1: the answer to request 30 is malformed: its field offset"]);
    let many = route.replace("\"readQueueNums\":2", "\"readQueueNums\":2147483647");
    let told = [&many, "a:1 31 ?offset=7\na:1 30 ?offset=9"].concat();
    check("topicStatus -t T", &told, Ended::Failed, &["2147483647 queues, the first 4096 are shown"]);
}

/// A slave of this broker says in words how it stands; the line comes after those of Java.
#[test]
fn a_slave_says_what_keeps_it() {
    let told = "s:1 907 {\"master\":false,\"haClientRuntimeInfo\":{\"masterAddr\":\"m:1\"}}\n\
                s:1 28 {\"table\":{\"ringmqHaStateText\":\"diverged at 4096\"}}";
    check(
        "haStatus -b s:1",
        told,
        Ended::Well,
        &["#LastReadTime\t-\n", "#MasterFlushOffset\t0\n#State\tdiverged at 4096\n"],
    );
    check("haStatus -b s:1 --json", told, Ended::Well, &["\"state\": \"diverged at 4096\""]);
}

/// The table of a master shows links; a slave that is registered and has none is named, with what keeps it.
#[test]
fn slaves_without_a_link_are_named() {
    use Ended::{Failed, Well};
    let cluster = r#"ns:9876 106 {"brokerAddrTable":{"a":{"brokerAddrs":{0:"a:1",1:"a:2",2:"a:3"},"brokerName":"a","cluster":"C"},"b":{"brokerAddrs":{1:"b:1"},"brokerName":"b","cluster":"C"}},"clusterAddrTable":{"C":["a","b"]}}
a:1 907 {"master":true,"haConnectionInfo":[{"addr":"x:5"}]}
"#;
    let copies = "a:2 28 {\"table\":{\"ringmqHaState\":\"inStep\",\"ringmqHaStateText\":\"in step\"}}\n";
    let stands = "a:3 28 {\"table\":{\"ringmqHaState\":\"diverged\",\"ringmqHaStateText\":\"other bytes at 4096\"}}\n";
    let told = [cluster, copies, stands].concat();
    let named = "slave a (2) at a:3 is registered, but 1 of 2 slaves have a link: other bytes at 4096";
    for line in ["haStatus -c C", "haStatus -b a:1"] {
        check(line, &told, Well, &["#SlaveNum\t1\n", named]);
    }
    check("haStatus -b a:1 --json", &told, Well, &["\"state\": \"other bytes at 4096\"", "\"brokerId\": 2", named]);
    check("haStatus -c C", &told, Well, &["b has no master now; its slave 1 at b:1"]);
    check("haStatus -b a:1", &[cluster, copies].concat(), Failed, &["slave a (2) at a:3: nobody plays this address"]);
    let java = [cluster, copies, "a:3 28 {\"table\":{}}"].concat();
    check("haStatus -b a:1", &java, Well, &["1 of 2 slaves have a link: look at its log"]);
    // Two masters of one name: the slaves stay with the one that nameservers do not name any more.
    let elsewhere = |address: &str| copies.replace("a:2", address).replace("}}", ",\"ringmqHaMaster\":\"old:2\"}}");
    let told = [cluster, &elsewhere("a:2"), &elsewhere("a:3")].concat();
    check("haStatus -b a:1", &told, Well, &["at a:2 is registered, but 1 of 2 slaves have a link: in step at old:2"]);
    let told = [cluster, copies, stands].concat();
    // A broker that is asked by its address answers without a nameserver.
    check("haStatus -b a:1 -n away:1", &told, Well, &["#SlaveNum\t1\n"]);
}

/// Bytes of a broker never end the program: it prints, or says what is wrong.
#[test]
fn whatever_is_answered_something_is_said() {
    let cluster = r#"ns:9876 106 {"brokerAddrTable":{"a":{"brokerAddrs":{0:"a:1"},"brokerName":"a","cluster":"C"}},"clusterAddrTable":{"C":["a"]}}"#;
    let route = r#"ns:9876 105 {"brokerDatas":[{"brokerAddrs":{"0":"a:1"},"brokerName":"a"}],"queueDatas":[{"brokerName":"a","readQueueNums":2147483647,"writeQueueNums":-2147483648}]}"#;
    let bodies = [
        "-",
        "[]",
        "{\"table\":[]}",
        "{\"table\":{\"putTps\":\" \",\"earliestMessageTimeStamp\":\"-9223372036854775808\",\"commitLogDiskRatio\":\"1e308\"}}",
        "{\"table\":{\"putTps\":\"NaN\",\"getTransferedTps\":\"-inf\",\"msgPutTotalTodayMorning\":\"-9223372036854775808\",\"msgPutTotalYesterdayMorning\":\"9\"}}",
        "{\"master\":true,\"masterCommitLogMaxOffset\":-9223372036854775808,\"haConnectionInfo\":[{\"diff\":-1}]}",
        "{\"master\":false,\"haClientRuntimeInfo\":{\"lastReadTimestamp\":9223372036854775807}}",
        "{\"master\":false,\"haClientRuntimeInfo\":null}",
        "{\"offsetTable\":{{}:{\"lastUpdateTimestamp\":9223372036854775807}}}",
    ];
    for body in bodies {
        for code in [28, 202, 907] {
            let told = format!("{cluster}\n{route}\na:1 {code} {body}");
            for line in [
                "clusterList",
                "clusterList -m",
                "topicRoute -t T -l",
                "topicStatus -t T",
                "brokerStatus -b a:1",
                "haStatus -b a:1",
                "haStatus -b a:1 --json",
                "clusterList --json",
            ] {
                let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                let played = Play { answers: answers(&told, 0), now_ms: i64::MAX, namesrv: Some(NS) }.run(&words);
                assert_ne!(played.ended, Ended::Misused, "{line} {body}");
                assert!(!played.out.is_empty() || !played.said.is_empty(), "{line} {body}");
            }
        }
    }
}
