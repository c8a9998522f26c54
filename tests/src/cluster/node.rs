//! One nameserver or broker of a cluster, RingMQ's or Java's, with its own configuration, store and ports.
//!
//! Owns the process and its files. Must not know the other nodes but by the addresses it is given.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use client::{Broker, Error, Options};

use crate::binaries;
use crate::ports::Ports;
use crate::process::Process;

const READY: &[&str] = &["boot success"];
const READY_LIMIT: Duration = Duration::from_secs(90);
/// The version of the Java servers.
pub const JAVA: &str = "4.9.7";

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    RingMq,
    Java,
}

/// What a broker is.
#[derive(Clone, Debug)]
pub struct BrokerSpec {
    pub kind: Kind,
    pub name: &'static str,
    /// 0 is the master.
    pub id: u32,
    /// Further lines of configuration, and those that take the place of the harness's own.
    pub keys: Vec<(String, String)>,
    /// Where the store lies; `None`: inside the node's folder.
    pub store: Option<PathBuf>,
}

impl BrokerSpec {
    /// An ASYNC_MASTER with ASYNC_FLUSH and small files.
    pub fn master(name: &'static str) -> BrokerSpec {
        BrokerSpec { kind: Kind::RingMq, name, id: 0, keys: Vec::new(), store: None }.set("brokerRole", "ASYNC_MASTER")
    }

    /// A slave of that name's master.
    pub fn slave(name: &'static str, id: u32) -> BrokerSpec {
        BrokerSpec { kind: Kind::RingMq, name, id, keys: Vec::new(), store: None }.set("brokerRole", "SLAVE")
    }

    /// Java's program instead of RingMQ's.
    #[must_use]
    pub fn java(mut self) -> BrokerSpec {
        self.kind = Kind::Java;
        self
    }

    /// Puts the store there.
    #[must_use]
    pub fn store_at(mut self, path: PathBuf) -> BrokerSpec {
        self.store = Some(path);
        self
    }

    /// Sets a key.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> BrokerSpec {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A node: started, or not.
pub struct Node {
    name: String,
    command: Command,
    log: PathBuf,
    store: PathBuf,
    process: Option<Process>,
    address: SocketAddr,
    _ports: Ports,
}

impl Node {
    /// A nameserver below `folder`; not started.
    pub fn nameserver(kind: Kind, folder: &Path, number: usize) -> Result<Node, String> {
        let ports = Ports::take();
        let home = folder.join(format!("namesrv-{number}"));
        let conf = home.join("namesrv.conf");
        write(&conf, &format!("listenPort={}\nkvConfigPath={}\n", ports.nameserver(), home.join("kv.json").display()))?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports.nameserver()));
        let command = command(kind, "mqnamesrv", "namesrv.NamesrvStartup", &home, &conf)?;
        Ok(Node {
            name: format!("nameserver {number}"),
            command,
            log: home.join("out"),
            store: home.clone(),
            process: None,
            address,
            _ports: ports,
        })
    }

    /// A broker below `folder` that knows these nameservers; not started.
    pub fn broker(spec: &BrokerSpec, folder: &Path, nameservers: &[SocketAddr]) -> Result<Node, String> {
        let ports = Ports::take();
        let name = format!("{}-{}", spec.name, spec.id);
        let home = folder.join(&name);
        let nameservers: Vec<String> = nameservers.iter().map(SocketAddr::to_string).collect();
        let store = spec.store.clone().unwrap_or_else(|| home.join("store"));
        let mut keys: Vec<(String, String)> = [
            ("brokerClusterName", "DefaultCluster".to_owned()),
            ("brokerName", spec.name.to_owned()),
            ("brokerId", spec.id.to_string()),
            ("namesrvAddr", nameservers.join(";")),
            ("brokerIP1", "127.0.0.1".to_owned()),
            ("brokerIP2", "127.0.0.1".to_owned()),
            ("listenPort", ports.broker().to_string()),
            ("haListenPort", (ports.broker() + 1).to_string()),
            ("flushDiskType", "ASYNC_FLUSH".to_owned()),
            ("storePathRootDir", store.display().to_string()),
            ("storePathCommitLog", store.join("commitlog").display().to_string()),
            ("mappedFileSizeCommitLog", "4194304".to_owned()),
            ("mappedFileSizeConsumeQueue", "60000".to_owned()),
            ("maxHashSlotNum", "20000".to_owned()),
            ("maxIndexNum", "80000".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        for (key, value) in &spec.keys {
            keys.retain(|(known, _)| known != key);
            keys.push((key.clone(), value.clone()));
        }
        let lines: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let conf = home.join("broker.conf");
        write(&conf, &lines.concat())?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports.broker()));
        let command = command(spec.kind, "mqbroker", "broker.BrokerStartup", &home, &conf)?;
        Ok(Node { name, command, log: home.join("out"), store, process: None, address, _ports: ports })
    }

    /// Starts it (again) and waits until it says that it is up; answers how long that took.
    pub fn start(&mut self) -> Result<Duration, String> {
        let mut command = Command::new(self.command.get_program());
        command.args(self.command.get_args());
        command.envs(self.command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let mut process = Process::start(command, &self.log, READY);
        let ready = process.wait_ready(READY_LIMIT).map_err(|problem| format!("{}: {problem}", self.name));
        self.process = Some(process);
        ready
    }

    /// Changes a key of a broker for its next start.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let conf = self.log.with_file_name("broker.conf");
        let text = fs::read_to_string(&conf).map_err(|error| format!("{}: {error}", conf.display()))?;
        let kept = text.lines().filter(|line| line.split('=').next() != Some(key));
        let lines: Vec<String> = kept.map(str::to_owned).chain([format!("{key}={value}")]).collect();
        write(&conf, &(lines.join("\n") + "\n"))
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// SIGTERM; it must end in time with a good exit code.
    pub fn stop(&mut self, limit: Duration) -> Result<Duration, String> {
        let Some(mut process) = self.process.take() else { return Ok(Duration::ZERO) };
        let (status, took) = process.terminate(limit)?;
        // Java ends by the signal's own code.
        if status.success() || status.code() == Some(128 + libc::SIGTERM) {
            return Ok(took);
        }
        Err(format!("{} ended with {status}\n{}", self.name, process.log_tail()))
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Its process, while it runs.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a broker listens for slaves.
    pub fn ha_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + 1)
    }

    /// A broker's store.
    pub fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// The last lines that it has printed.
    pub fn log_tail(&self, lines: usize) -> String {
        super::logs::tail(&self.log, lines)
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A connection to a broker.
    pub fn connect(&self) -> Result<Broker, Error> {
        Broker::connect_with(self.address, Options { timeout: Duration::from_secs(5), ..Options::default() })
    }

    /// A figure of a broker's runtime information.
    pub fn runtime_figure(&self, key: &str) -> Result<String, String> {
        let mut broker = self.connect().map_err(|error| error.to_string())?;
        let mut info = broker.runtime_info().map_err(|error| format!("{}: {error}", self.name))?;
        let found = info.remove(key);
        found.ok_or_else(|| format!("{}: runtime information has no {key}", self.name))
    }

    /// One past the last byte of a broker's log.
    pub fn log_end(&self) -> Result<u64, String> {
        let text = self.runtime_figure("commitLogMaxOffset")?;
        text.parse().map_err(|_| format!("{}: commitLogMaxOffset is {text:?}", self.name))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    parent.and_then(|()| fs::write(path, text)).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn command(kind: Kind, program: &str, class: &str, home: &Path, conf: &Path) -> Result<Command, String> {
    let mut command;
    match kind {
        Kind::RingMq => {
            command = Command::new(binaries::find(program)?);
            command.arg("-c").arg(conf).env("HOME", home);
        }
        Kind::Java => {
            // The options and the place of the jars are the scripts' own.
            let script = format!(
                ". \"$0\"/env.sh; home=$CACHE/rocketmq-{JAVA}; exec \"$JAVA\" $(jvm_options 256m 256m) \
                 -Duser.home=\"$1\" -Drocketmq.home.dir=\"$home\" -cp \"$home/lib/*\" org.apache.rocketmq.{class} -c \"$2\""
            );
            command = Command::new("bash");
            command.arg("-c").arg(script).arg(java_folder()).arg(home).arg(conf);
        }
    }
    Ok(command)
}

/// The scripts around Java.
pub fn java_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("java")
}
