//! Brokers as processes, a plain client, and peers that answer by script.
//!
//! Owns a folder and a block of ports for each broker, gone when it is dropped.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::command::{Head, HeaderForm};
use protocol::{FRAME_MAX, FieldWriter, frame_len, write_command};
use remoting::blocking::Channel;

/// How long anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A listenPort whose neighbours are free too, for `listenPort - 2` to `listenPort + 1`.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + (std::process::id() % 2_000) as u16 * 8;
    for _ in 0..2_000 {
        let port = start.wrapping_add(NEXT.fetch_add(8, Ordering::Relaxed)) % 20_000 + 12_000;
        if (port - 2..=port + 1).all(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()) {
            return port;
        }
    }
    panic!("no free block of ports");
}

/// A folder of its own.
pub fn folder(name: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("ringmq-broker-{}-{number}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder for the test");
    path
}

/// A configuration of `key=value` lines over those of a small broker on loopback.
fn configuration(root: &Path, port: u16, lines: &str) -> PathBuf {
    let text = format!(
        "listenPort={port}\nbindAddress=127.0.0.1\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\nbrokerName=a\nshardNums=2\n\
         pinShards=false\nstorePathRootDir={}\nmappedFileSizeCommitLog=4194304\nmaxMessageSize=65536\nmaxHashSlotNum=100\n\
         maxIndexNum=400\nmappedFileSizeConsumeQueue=4000\ndiskMaxUsedSpaceRatio=95\ndiskSpaceCleanForciblyRatio=98\n\
         diskSpaceWarningLevelRatio=99\nhaCopyTablesInterval=100\nsyncFlushTimeout=30000\n{lines}\n",
        root.join("store").display()
    );
    let path = root.join("broker.conf");
    std::fs::write(&path, text).expect("the folder is there");
    path
}

fn command(root: &Path, port: u16, lines: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqbroker"));
    command.arg("-c").arg(configuration(root, port, lines)).env_remove("NAMESRV_ADDR").env_remove("ROCKETMQ_HOME");
    command.stdin(Stdio::null());
    command
}

/// A broker that runs as a process of its own.
pub struct TestBroker {
    pub root: PathBuf,
    pub port: u16,
    lines: String,
    process: Option<Child>,
}

impl TestBroker {
    pub fn start(name: &str, lines: &str) -> Self {
        let mut broker = TestBroker { root: folder(name), port: free_port(), lines: lines.into(), process: None };
        broker.start_again();
        broker
    }

    /// Starts it again where it was; returns when it says that it is up.
    pub fn start_again(&mut self) {
        let out = File::create(self.root.join("out")).expect("the folder is there");
        let mut command = command(&self.root, self.port, &self.lines);
        command.stderr(out.try_clone().expect("a descriptor")).stdout(out);
        let mut process = command.spawn().expect("mqbroker is built with its tests");
        let up = eventually(
            "the broker is up",
            || (self.output(), process.try_wait().expect("a child")),
            |(output, ended)| output.contains("boot success") || ended.is_some(),
        );
        assert!(up.1.is_none(), "the broker ended: {}", up.0);
        self.process = Some(process);
    }

    /// Starts it again with other lines.
    pub fn start_as(&mut self, lines: &str) {
        lines.clone_into(&mut self.lines);
        self.start_again();
    }

    /// What a broker says that does not start on this port.
    pub fn refused(port: u16, lines: &str) -> String {
        let root = folder("refused");
        let output = command(&root, port, lines).output().expect("mqbroker is built with its tests");
        let _ = std::fs::remove_dir_all(&root);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// All it printed since its last start.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.root.join("out")).unwrap_or_default()
    }

    /// Stops it in order; whether it was clean.
    pub fn stop(&mut self) -> bool {
        self.end(libc::SIGTERM)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.end(libc::SIGKILL);
    }

    fn end(&mut self, signal: i32) -> bool {
        let Some(mut process) = self.process.take() else { return true };
        // SAFETY: a signal to a child that was not waited for, so its number is its own.
        unsafe { libc::kill(process.id() as i32, signal) };
        process.wait().is_ok_and(|status| status.success())
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// A file of `config/` as it is now.
    pub fn table(&self, file: &str) -> String {
        std::fs::read_to_string(self.root.join("store/config").join(file)).unwrap_or_default()
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broker on {}:\n{}", self.port, self.output());
        }
        self.kill();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// An answer, undone.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub remark: String,
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn of(command: &protocol::Command<'_>) -> Self {
        Answer {
            code: command.code,
            remark: command.remark.as_ref().map(|text| text.to_string()).unwrap_or_default(),
            fields: command.fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            body: command.body.to_vec(),
        }
    }
}

/// A client that asks one thing at a time.
pub struct Client(Channel);

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Client(Channel::connect(address, PATIENCE).unwrap_or_else(|error| panic!("{error}")))
    }

    pub fn call(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let write = |writer: &mut FieldWriter<'_>| fields.iter().for_each(|(name, value)| writer.str(name, value));
        let answer =
            self.0.call(code, HeaderForm::Json, write, body, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        Answer::of(&answer.command())
    }

    /// Sends a message to a queue; the answer.
    pub fn send(&mut self, topic: &str, queue_id: i32, body: &str) -> Answer {
        self.send_with(topic, queue_id, body, "")
    }

    /// As [`Client::send`], with properties `name\u{1}value\u{2}…`.
    pub fn send_with(&mut self, topic: &str, queue_id: i32, body: &str, properties: &str) -> Answer {
        let queue_id = queue_id.to_string();
        let fields = [
            ("producerGroup", "p"),
            ("topic", topic),
            ("defaultTopic", "TBW102"),
            ("defaultTopicQueueNums", "4"),
            ("queueId", queue_id.as_str()),
            ("sysFlag", "0"),
            ("bornTimestamp", "1700000000000"),
            ("flag", "0"),
            ("properties", properties),
            ("reconsumeTimes", "0"),
            ("unitMode", "false"),
            ("batch", "false"),
        ];
        self.call(10, &fields, body.as_bytes())
    }

    /// Pulls with the subscription `*` of the request itself and further bits of sysFlag; does not wait unless they say so.
    pub fn pull(&mut self, group: &str, topic: &str, queue_id: i32, offset: i64, bits: i32, commit: i64) -> Answer {
        let (queue_id, offset, commit) = (queue_id.to_string(), offset.to_string(), commit.to_string());
        let sys_flag = (bits | 4).to_string();
        let fields = [
            ("consumerGroup", group),
            ("topic", topic),
            ("queueId", queue_id.as_str()),
            ("queueOffset", offset.as_str()),
            ("maxMsgNums", "32"),
            ("sysFlag", sys_flag.as_str()),
            ("commitOffset", commit.as_str()),
            ("suspendTimeoutMillis", "15000"),
            ("subscription", "*"),
            ("subVersion", "0"),
        ];
        self.call(11, &fields, &[])
    }

    /// The bodies of the messages a pull brings.
    pub fn bodies(&mut self, topic: &str, queue_id: i32, offset: i64) -> Vec<String> {
        let answer = self.pull("bodies", topic, queue_id, offset, 0, 0);
        let mut rest = answer.body.as_slice();
        let mut bodies = Vec::new();
        while let Ok(record) = protocol::message::Record::decode(rest) {
            bodies.push(String::from_utf8_lossy(record.body).into_owned());
            rest = rest.get(record.total_size as usize..).unwrap_or_default();
        }
        bodies
    }
}

/// Asks until the answer is what is wanted; the last one says why it never was.
#[track_caller]
pub fn eventually<T: std::fmt::Debug>(what: &str, mut ask: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ask();
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a peer answers to a request: fields and body, or a code other than 0.
pub struct Scripted {
    pub code: i32,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Scripted {
    pub fn body(text: &str) -> Self {
        Scripted { code: 0, fields: Vec::new(), body: text.as_bytes().to_vec() }
    }
}

type Script = dyn Fn(i32, &Answer) -> Scripted + Send + Sync;

/// A server of the remoting protocol that answers by script and remembers what it was asked.
pub struct Peer {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(i32, Answer)>>>,
    stopping: Arc<AtomicBool>,
}

impl Peer {
    pub fn start(script: impl Fn(i32, &Answer) -> Scripted + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let (asked, stopping) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, stop) = (asked.clone(), stopping.clone());
        let script: Arc<Script> = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let (script, log, stop) = (script.clone(), log.clone(), stop.clone());
                std::thread::spawn(move || serve(stream, &script, &log, &stop));
            }
        });
        Peer { address, asked, stopping }
    }

    /// How often it was asked a code.
    pub fn count(&self, code: i32) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|(asked, _)| *asked == code).count()
    }

    /// Fields and body of the last request of a code.
    pub fn last(&self, code: i32) -> Option<(BTreeMap<String, String>, String)> {
        let asked = self.asked.lock().expect("no panic");
        asked
            .iter()
            .rev()
            .find(|(asked, _)| *asked == code)
            .map(|(_, request)| (request.fields.clone(), request.text()))
    }

    /// Closes every connection with its next request and takes no more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(mut stream: TcpStream, script: &Arc<Script>, log: &Mutex<Vec<(i32, Answer)>>, stopping: &AtomicBool) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while let Ok(Some(len)) = frame_len(&received, FRAME_MAX)
            && len <= received.len()
        {
            let frame: Vec<u8> = received.drain(..len).collect();
            let command = protocol::Command::decode(&frame).expect("a sound request");
            if stopping.load(Ordering::Acquire) {
                return;
            }
            let request = Answer::of(&command);
            let reply = script(command.code, &request);
            log.lock().expect("no panic").push((command.code, request));
            let mut bytes = Vec::new();
            let head = Head::reply(command.opaque, HeaderForm::Json, reply.code, None);
            let write =
                |writer: &mut FieldWriter<'_>| reply.fields.iter().for_each(|(name, value)| writer.str(name, value));
            write_command(&mut bytes, &head, write, reply.body.len());
            bytes.extend_from_slice(&reply.body);
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => received.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            _ => return,
        }
    }
}
