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
use crate::matrix::plan::{Job, Kind};
use crate::matrix::ports::{self, Ports};
use crate::matrix::scenario::{Java, Scalar};
use crate::matrix::{interrupt, java};

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
    folder: Option<PathBuf>,
    // The broker first, then what it depends on.
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
                folder: None,
                children: Vec::new(),
            });
        }
        _ => places.work.join("run"),
    };
    if !keep {
        empty(&folder)?;
    }
    let ports = ports::find()?;
    let mut running = Running {
        address: SocketAddr::from(([127, 0, 0, 1], ports.broker)),
        pids: Vec::new(),
        first_ack_ms: None,
        folder: Some(folder.clone()),
        children: Vec::new(),
    };
    let mut command = match &job.side.kind {
        Kind::Ringmq { settings: own } => {
            write_conf(&folder, job, ports, &[settings, own], true)?;
            ringmq(places, &folder, ports)
        }
        Kind::Java { version } => {
            write_conf(&folder, job, ports, &[settings], false)?;
            running.children.push(java::start_nameserver(version, &places.java, &folder, ports)?);
            java::broker(version, &places.java, &folder)?
        }
        Kind::Running { .. } => return Err("a broker that runs already is not started".into()),
    };
    command.current_dir(&folder).env("HOME", &folder);
    let begun = Instant::now();
    running.children.insert(0, Child::start(command, &folder.join("broker.out"))?);
    running.pids = running.children.iter().map(Child::pid).collect();
    first_ack(&mut running)?;
    running.first_ack_ms = Some(begun.elapsed().as_secs_f64() * 1e3);
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

/// The keys both know; later settings replace earlier ones.
fn write_conf(
    folder: &Path,
    job: &Job,
    ports: Ports,
    settings: &[&BTreeMap<String, Scalar>],
    all_in_one: bool,
) -> Result<(), String> {
    let store = folder.join("data/store").display().to_string();
    let mut lines: BTreeMap<String, String> = [
        ("brokerClusterName", "DefaultCluster".into()),
        ("brokerName", "broker-a".into()),
        ("brokerId", "0".into()),
        ("brokerIP1", "127.0.0.1".into()),
        ("brokerRole", "ASYNC_MASTER".into()),
        ("flushDiskType", job.flush.clone()),
        ("deleteWhen", "04".into()),
        ("fileReservedTime", "48".into()),
        ("storePathCommitLog", format!("{store}/commitlog")),
        ("storePathRootDir", store),
    ]
    .map(|(key, value): (&str, String)| (key.to_owned(), value))
    .into();
    if !all_in_one {
        lines.insert("namesrvAddr".into(), format!("127.0.0.1:{}", ports.nameserver));
        lines.insert("listenPort".into(), ports.broker.to_string());
    }
    for (key, value) in settings.iter().copied().flatten() {
        lines.insert(key.clone(), value.to_string());
    }
    let text: String = lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    write(&folder.join("broker.conf"), &text)
}

/// Writes a small file.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
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
