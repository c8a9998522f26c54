//! A broker with its nameserver, as one process or as two, that can be killed and started again on the same data.
//!
//! Owns the data folder, the ports and the processes. Must not send requests but through the client crate.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use client::{Broker, Nameserver, Options};

use crate::binaries;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::process::Process;

/// A broker's line; the all-in-one's nameserver says its own "boot success" earlier.
const BROKER_READY: &[&str] = &["RingMQ ready in", "The broker["];
const NAMESERVER_READY: &[&str] = &["boot success"];
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What to start.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Helps to find the folder.
    pub name: String,
    /// Lines of the broker's configuration file.
    pub conf: Vec<String>,
    /// `mqnamesrv` and `mqbroker` instead of the all-in-one `ringmq`.
    pub two_processes: bool,
    /// Where the store lies; `None`: inside the case's folder.
    pub data: Option<PathBuf>,
}

impl ServerSpec {
    /// The all-in-one with its defaults.
    pub fn new(name: &str) -> Self {
        ServerSpec { name: name.to_owned(), conf: Vec::new(), two_processes: false, data: None }
    }

    /// Adds a line `key=value` of configuration.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.conf.push(format!("{key}={value}"));
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Server {
        let mut server = self.prepare();
        server.start().unwrap_or_else(|problem| panic!("{problem}"));
        server
    }

    /// Makes folder and ports, starts nothing.
    pub fn prepare(self) -> Server {
        let folder = Folder::new(&self.name);
        let data = self.data.clone().unwrap_or_else(|| folder.join("data"));
        Server { spec: self, data, ports: Ports::take(), broker: None, nameserver: None, folder }
    }
}

/// A broker and a nameserver.
pub struct Server {
    spec: ServerSpec,
    data: PathBuf,
    ports: Ports,
    // Dropped before the folder, so that the processes end first.
    broker: Option<Process>,
    nameserver: Option<Process>,
    folder: Folder,
}

impl Server {
    /// Starts it (again); answers the time to the ready line of the broker.
    pub fn start(&mut self) -> Result<Duration, String> {
        if self.spec.two_processes && self.nameserver.is_none() {
            self.start_nameserver()?;
        }
        let mut process = Process::start(self.broker_command()?, &self.folder.join("broker.log"), BROKER_READY);
        let ready = process.wait_ready(READY_LIMIT);
        self.broker = Some(process);
        ready
    }

    /// Starts it without waiting for the ready line.
    pub fn start_unwaited(&mut self) -> Result<(), String> {
        self.broker = Some(Process::start(self.broker_command()?, &self.folder.join("broker.log"), BROKER_READY));
        Ok(())
    }

    fn start_nameserver(&mut self) -> Result<(), String> {
        let conf = self.folder.join("namesrv.conf");
        write(&conf, &format!("listenPort={}\n", self.ports.nameserver()));
        let mut command = Command::new(binaries::find("mqnamesrv")?);
        command.arg("-c").arg(&conf).env("HOME", self.folder.path());
        let mut process = Process::start(command, &self.folder.join("namesrv.log"), NAMESERVER_READY);
        process.wait_ready(READY_LIMIT)?;
        self.nameserver = Some(process);
        Ok(())
    }

    fn broker_command(&self) -> Result<Command, String> {
        let conf = self.folder.join("broker.conf");
        let mut lines = vec!["brokerIP1=127.0.0.1".to_owned()];
        let mut command;
        if self.spec.two_processes {
            lines.push(format!("listenPort={}", self.ports.broker()));
            lines.push(format!("namesrvAddr=127.0.0.1:{}", self.ports.nameserver()));
            lines.push(format!("storePathRootDir={}", self.data.display()));
            command = Command::new(binaries::find("mqbroker")?);
        } else {
            command = Command::new(binaries::find("ringmq")?);
            command.arg("--data").arg(&self.data);
            command.arg("--namesrv-port").arg(self.ports.nameserver().to_string());
            command.arg("--port").arg(self.ports.broker().to_string());
        }
        lines.extend(self.spec.conf.iter().cloned());
        write(&conf, &(lines.join("\n") + "\n"));
        command.arg("-c").arg(&conf).env("HOME", self.folder.path());
        Ok(command)
    }

    /// Changes or adds a line of configuration for the next start.
    pub fn set(&mut self, key: &str, value: &str) {
        self.spec.conf.retain(|line| line.split('=').next() != Some(key));
        self.spec.conf.push(format!("{key}={value}"));
    }

    /// The broker's process.
    pub fn broker_process(&mut self) -> &mut Process {
        self.broker.as_mut().unwrap_or_else(|| panic!("the broker was not started"))
    }

    /// Kills the broker's process with SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.broker.take() {
            process.kill9();
        }
    }

    /// SIGTERM to the broker's process; it must end with exit code 0 in time.
    pub fn stop(&mut self, limit: Duration) -> Result<Duration, String> {
        let Some(mut process) = self.broker.take() else { return Ok(Duration::ZERO) };
        let (status, took) = process.terminate(limit)?;
        if status.success() { Ok(took) } else { Err(format!("ended with {status}\n{}", process.log_tail())) }
    }

    /// Where the broker listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.broker()))
    }

    /// Where the nameserver listens.
    pub fn nameserver_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.nameserver()))
    }

    /// A connection to the broker.
    pub fn connect(&self) -> Broker {
        Broker::connect(self.address()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A connection to the broker with these options.
    pub fn connect_with(&self, options: Options) -> Broker {
        Broker::connect_with(self.address(), options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A connection to the nameserver.
    pub fn connect_nameserver(&self) -> Nameserver {
        Nameserver::connect(self.nameserver_address()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The store's folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The case's folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
