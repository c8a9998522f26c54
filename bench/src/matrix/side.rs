//! A running side: its store, configuration, processes and ports, from the start to the end.
//!
//! Owns the folder and the processes of one side at a time. Must not know what is measured on it. Main thread only.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use client::{Broker, HeaderForm, Options, Send};

use crate::matrix::child::Child;
use crate::matrix::conf::{self, Member, write};
use crate::matrix::plan::{Job, Kind};
use crate::matrix::ports::{self, Ports};
use crate::matrix::scenario::{Java, Replication, Scalar};
use crate::matrix::{interrupt, java, slave};

const FIRST_ACK_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Between two tries for the first ack: too short to matter.
const PAUSE: Duration = Duration::from_millis(2);
const TRY: Options = Options { form: HeaderForm::Json, timeout: Duration::from_secs(2) };

/// Where programs and folders are.
#[derive(Clone, Debug)]
pub struct Places {
    pub ringmq: PathBuf,
    /// Folder of the stores.
    pub work: PathBuf,
    pub java: Java,
}

/// One side that answers.
pub struct Running {
    pub address: SocketAddr,
    pub pids: Vec<u32>,
    /// From the start of the broker's command to its first ack, ms; `None` for a broker that ran already.
    pub first_ack_ms: Option<f64>,
    /// Where its slave answers, when it has one.
    pub slave: Option<SocketAddr>,
    folder: Option<PathBuf>,
    ports: Option<Ports>,
    // The broker first, then what it depends on, then its slave.
    children: Vec<Child>,
}

/// Starts a side on the folder it had before or on a fresh one, and waits for its first ack.
pub fn start(places: &Places, job: &Job, settings: &BTreeMap<String, Scalar>, keep: bool) -> Result<Running, String> {
    let folder = match &job.side.kind {
        Kind::Running { address, pids, .. } => {
            return Ok(Running {
                address: *address,
                pids: pids.clone(),
                first_ack_ms: None,
                slave: None,
                folder: None,
                ports: None,
                children: Vec::new(),
            });
        }
        _ => places.work.join("run"),
    };
    if !keep {
        empty(&folder)?;
    }
    let ports = ports::find(None)?;
    let mut running = Running {
        address: SocketAddr::from(([127, 0, 0, 1], ports.broker)),
        pids: Vec::new(),
        first_ack_ms: None,
        slave: None,
        folder: Some(folder.clone()),
        ports: Some(ports),
        children: Vec::new(),
    };
    let broker_conf = |ports, settings: &[&BTreeMap<String, Scalar>]| {
        let text = conf::broker(&folder, (&job.flush, job.replication, Member::Master), ports, settings);
        write(&folder.join("broker.conf"), &text)
    };
    let mut command = match &job.side.kind {
        Kind::Ringmq { settings: own } => {
            broker_conf(None, &[settings, own])?;
            ringmq(places, &folder, ports)
        }
        Kind::Java { version } => {
            broker_conf(Some(ports), &[settings])?;
            running.children.push(java::start_nameserver(version, &places.java, &folder, ports)?);
            java::broker(version, &places.java, &folder)?
        }
        Kind::Running { .. } => return Err("a broker that runs already is not started".into()),
    };
    command.current_dir(&folder).env("HOME", &folder);
    let begun = Instant::now();
    running.children.insert(0, Child::start(command, &folder.join("broker.out"))?);
    running.pids = running.children.iter().map(Child::pid).collect();
    // A master that waits for slaves acks nothing without one.
    if job.replication != Replication::Single {
        running.start_slave(places, job, settings)?;
    }
    first_ack(&mut running)?;
    running.first_ack_ms = Some(begun.elapsed().as_secs_f64() * 1e3);
    if let Some(slave) = running.slave {
        slave::wait_in_step(running.address, slave)?;
    }
    Ok(running)
}

fn ringmq(places: &Places, folder: &Path, ports: Ports) -> Command {
    let mut command = Command::new(&places.ringmq);
    command.arg("--data").arg(folder.join("data"));
    command.arg("--namesrv-port").arg(ports.nameserver.to_string());
    command.arg("--port").arg(ports.broker.to_string());
    command.arg("-c").arg(folder.join("broker.conf"));
    command
}

/// A broker without a nameserver of its own: the program beside `ringmq`.
fn mqbroker(places: &Places, folder: &Path) -> Result<Command, String> {
    let program = places.ringmq.with_file_name("mqbroker");
    if !program.is_file() {
        return Err(format!(
            "a slave needs {}, which is missing; build it (cargo build --release -p broker)",
            program.display()
        ));
    }
    let mut command = Command::new(program);
    command.arg("-c").arg(folder.join("broker.conf"));
    Ok(command)
}

fn empty(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot remove {}: {error}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(folder.join("data")).map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

fn first_ack(running: &mut Running) -> Result<(), String> {
    let begun = Instant::now();
    let mut last = String::from("nothing was tried");
    while begun.elapsed() < FIRST_ACK_LIMIT {
        if interrupt::count() > 0 {
            return Err("interrupted during the start".into());
        }
        for child in &mut running.children {
            if let Some(status) = child.ended() {
                return Err(format!("{} ended with {status} before its first ack:\n{}", child.name(), child.tail()));
            }
        }
        let sent = Broker::connect_with(running.address, TRY)
            .and_then(|mut broker| broker.send(&Send::to("FirstAck", 0, b"first")));
        match sent {
            Ok(sent) if sent.status == 0 => return Ok(()),
            Ok(sent) => last = format!("stored with code {}", sent.status),
            Err(error) => last = error.to_string(),
        }
        thread::sleep(PAUSE);
    }
    let tail = running.children.first().map(Child::tail).unwrap_or_default();
    Err(format!("no ack in {FIRST_ACK_LIMIT:?}; the last try: {last}\n{tail}"))
}

impl Running {
    /// Starts a slave of it on a store of its own, which is kept where there is one.
    pub fn start_slave(
        &mut self,
        places: &Places,
        job: &Job,
        settings: &BTreeMap<String, Scalar>,
    ) -> Result<SocketAddr, String> {
        let (Some(folder), Some(master)) = (&self.folder, self.ports) else {
            return Err("a broker that runs already gets no slave from here".into());
        };
        let folder = folder.join("slave");
        fs::create_dir_all(folder.join("data"))
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let own = Ports { nameserver: master.nameserver, ..ports::find(Some(master))? };
        let member = (job.flush.as_str(), job.replication, Member::Slave);
        let (settings, mut command) = match &job.side.kind {
            Kind::Ringmq { settings: own } => (vec![settings, own], mqbroker(places, &folder)?),
            Kind::Java { version } => (vec![settings], java::broker(version, &places.java, &folder)?),
            Kind::Running { .. } => return Err("a broker that runs already gets no slave from here".into()),
        };
        write(&folder.join("broker.conf"), &conf::broker(&folder, member, Some(own), &settings))?;
        command.current_dir(&folder).env("HOME", &folder);
        let child = Child::start(command, &folder.join("broker.out"))?;
        self.pids.push(child.pid());
        self.children.push(child);
        let address = SocketAddr::from(([127, 0, 0, 1], own.broker));
        self.slave = Some(address);
        Ok(address)
    }

    /// Whether it was started here.
    pub fn is_own(&self) -> bool {
        self.folder.is_some()
    }

    /// SIGKILL to all its processes; the store stays.
    pub fn kill(&mut self) {
        self.children.iter_mut().for_each(Child::kill);
        self.children.clear();
    }

    /// What the broker printed last, when it has ended though nobody ended it.
    pub fn died(&mut self) -> Option<String> {
        let broker = self.children.first_mut()?;
        let status = broker.ended()?;
        Some(format!("{} ended with {status} in the midst:\n{}", broker.name(), broker.tail()))
    }

    /// SIGTERM, SIGKILL after 20 s (5 s when it is urgent); removes the store. Says who did not end in good order.
    pub fn stop(mut self, urgent: bool) -> Result<(), String> {
        let limit = if urgent { Duration::from_secs(5) } else { STOP_LIMIT };
        let problems: Vec<String> = self.children.iter_mut().filter_map(|child| child.stop(limit).err()).collect();
        self.children.clear();
        if let Some(folder) = self.folder.take() {
            fs::remove_dir_all(&folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}
