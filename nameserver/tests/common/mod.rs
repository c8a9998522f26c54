//! A name server on a port of its own choice, and a channel that speaks to it.

#![allow(dead_code)]

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use nameserver::{NamesrvOptions, Running};
use protocol::HeaderForm;
use protocol::code::request;
use remoting::blocking::{CallError, Channel};
use serde_json::{Value, json};

/// Long enough for a loaded machine; nothing waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A port that stays free until it is listened on again: below those the kernel gives to connections.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() % 100 * 20;
    for _ in 0..2_000 {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 2_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> TempDir {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nameserver-it-{name}-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A started name server in this process; `text` adds configuration lines.
pub fn start(dir: &TempDir, text: &str) -> Running {
    start_on(dir, text, 0)
}

pub fn start_on(dir: &TempDir, text: &str, port: u16) -> Running {
    let text = format!("bindAddress=127.0.0.1\nkvConfigPath={}/kvConfig.json\n{text}", dir.path().display());
    let source = config::Source { name: "test", bytes: text.as_bytes() };
    let loaded = config::load_namesrv(Some(source), &[], &config::Environment::default());
    let mut settings = loaded.settings.unwrap_or_else(|| panic!("{}", loaded.report));
    settings.config_file = None;
    settings.listen_port = port;
    nameserver::start(NamesrvOptions::new(settings, &loaded.values)).unwrap()
}

/// An answer taken apart.
#[derive(Debug)]
pub struct Reply {
    pub code: i32,
    pub remark: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub struct Peer {
    pub channel: Channel,
    pub form: HeaderForm,
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Peer {
        Peer { channel: Channel::connect(address, PATIENCE).unwrap(), form: HeaderForm::Json }
    }

    pub fn try_call(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Result<Reply, CallError> {
        let write = |writer: &mut protocol::FieldWriter<'_>| {
            fields.iter().for_each(|(key, value)| writer.str(key, value));
        };
        let answer = self.channel.call(code, self.form, write, body, PATIENCE)?;
        let command = answer.command();
        assert!(command.is_response() && command.form == self.form);
        Ok(Reply {
            code: command.code,
            remark: command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default(),
            fields: command.fields.iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
            body: command.body.to_vec(),
        })
    }

    pub fn call(&mut self, code: i32, fields: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_call(code, fields, body).unwrap()
    }

    pub fn register(&mut self, name: &str, id: &str, address: &str, compressed: bool, body: &[u8]) -> Reply {
        let crc = protocol::message::crc32(body).to_string();
        let fields = [
            ("brokerName", name),
            ("brokerAddr", address),
            ("clusterName", "DefaultCluster"),
            ("haServerAddr", "127.0.0.1:10912"),
            ("brokerId", id),
            ("compressed", if compressed { "true" } else { "false" }),
            ("bodyCrc32", &crc),
        ];
        self.call(request::REGISTER_BROKER, &fields, body)
    }

    pub fn route(&mut self, topic: &str) -> Reply {
        self.call(request::GET_ROUTEINFO_BY_TOPIC, &[("topic", topic)], b"")
    }

    /// Asks for the route until `is_wanted`, and answers the last reply.
    pub fn route_until(&mut self, topic: &str, is_wanted: impl Fn(&Reply) -> bool) -> Reply {
        let start = Instant::now();
        loop {
            let reply = self.route(topic);
            if is_wanted(&reply) {
                return reply;
            }
            assert!(start.elapsed() < PATIENCE, "{reply:?}");
        }
    }
}

pub fn register_body<'a>(counter: i64, topics: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let table: serde_json::Map<_, _> = topics
        .into_iter()
        .map(|topic| {
            let config = json!({"topicName": topic, "readQueueNums": 8, "writeQueueNums": 8, "perm": 6,
                "topicSysFlag": 0, "topicFilterType": "SINGLE_TAG", "order": false});
            (topic.to_owned(), config)
        })
        .collect();
    let body = json!({"filterServerList": [], "topicConfigSerializeWrapper":
        {"dataVersion": {"counter": counter, "timestamp": 1}, "topicConfigTable": table}});
    serde_json::to_vec(&body).unwrap()
}

/// The compressed form: lengths, texts, one zlib stream.
pub fn compressed_body<'a>(topics: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let topics: Vec<_> = topics.into_iter().collect();
    let mut plain = Vec::new();
    let mut sized = |part: &str| {
        plain.extend_from_slice(&(part.len() as i32).to_be_bytes());
        plain.extend_from_slice(part.as_bytes());
    };
    sized(r#"{"counter":1,"timestamp":1}"#);
    for (i, topic) in topics.iter().enumerate() {
        if i == 0 {
            // The count stands between the version and the first topic, without a length of its own.
            let count = (topics.len() as i32).to_be_bytes();
            plain.extend_from_slice(&count);
        }
        let line = format!("{topic} 8 8 6 SINGLE_TAG");
        plain.extend_from_slice(&(line.len() as i32).to_be_bytes());
        plain.extend_from_slice(line.as_bytes());
    }
    plain.extend_from_slice(&2i32.to_be_bytes());
    plain.extend_from_slice(b"[]");
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain).unwrap();
    encoder.finish().unwrap()
}
