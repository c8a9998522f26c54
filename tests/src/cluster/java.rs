//! Java beside the processes of RingMQ: whether its servers and clients can be run here, and running the clients.
//!
//! Owns nothing but the command lines; the jars are fetched by the scripts of `tests/java`.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use checker::Report;

use crate::cluster::Cluster;
use crate::cluster::node::{JAVA, java_folder};
use crate::cluster::traffic::{History, TrafficSpec};
use crate::wait;

/// Fetches and compiles what the scripts need; the error says why Java cannot be used here.
pub fn available() -> Result<(), String> {
    for script in ["fetch.sh", "build.sh"] {
        let path = java_folder().join(script);
        let output = Command::new(&path).arg(JAVA).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", path.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{script} {JAVA}: {}", said.lines().last().unwrap_or("failed")));
        }
    }
    let java = Command::new("java").arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).status();
    if java.is_ok_and(|status| status.success()) { Ok(()) } else { Err("no java in the path".to_owned()) }
}

/// Runs scenarios of the Java client (`tests/clients/java`) against these nameservers; prints its lines. The error holds
/// the last of them.
pub fn scenarios(names: &str, namesrv_addr: &str, options: &[&str], log: &Path) -> Result<(), String> {
    let script = java_folder().with_file_name("clients").join("java").join("run.sh");
    let out = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let both = out.try_clone().map_err(|error| error.to_string())?;
    let status = Command::new(&script)
        .arg(JAVA)
        .arg(names)
        .arg(format!("ns={namesrv_addr}"))
        .args(options)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(both)
        .status()
        .map_err(|error| format!("{}: {error}", script.display()))?;
    let said = std::fs::read_to_string(log).unwrap_or_default();
    for line in said.lines().filter(|line| line.starts_with("PASS ") || line.starts_with("FAIL ")) {
        println!("  Java client: {line}");
    }
    if status.success() { Ok(()) } else { Err(format!("the Java client ended with {status}:\n{said}")) }
}

/// A Java client that sends and consumes until it is told to stop.
pub struct Endure {
    child: Child,
    topic: String,
    folder: PathBuf,
}

impl Endure {
    /// Starts it; its topic must exist, with four queues a master. Waits until it sends.
    pub fn start(topic: &str, namesrv_addr: &str, folder: &Path) -> Result<Endure, String> {
        let folder = folder.join("java-client");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let out = File::create(folder.join("out")).map_err(|error| error.to_string())?;
        let both = out.try_clone().map_err(|error| error.to_string())?;
        let script = java_folder().with_file_name("clients").join("java").join("run.sh");
        let child = Command::new(script)
            .arg(JAVA)
            .arg("endure")
            .arg(format!("ns={namesrv_addr}"))
            .arg(format!("topic={topic}"))
            .arg(format!("out={}", folder.join("history.jsonl").display()))
            .arg(format!("until={}", folder.join("until").display()))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(both)
            .spawn()
            .map_err(|error| error.to_string())?;
        let endure = Endure { child, topic: topic.to_owned(), folder };
        let history = endure.folder.join("history.jsonl");
        wait::until(Duration::from_secs(60), || fs::metadata(&history).is_ok_and(|file| file.len() > 0).then_some(()))
            .ok_or_else(|| format!("the Java client sends nothing:\n{}", endure.said()))?;
        Ok(endure)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("out")).unwrap_or_default()
    }

    /// Ends it once its consumer has all that was acked; prints what it measured, drains its topic on every broker that
    /// runs and judges its history.
    pub fn judge(mut self, cluster: &mut Cluster) -> Report {
        let topic = self.topic.clone();
        self.finish().unwrap_or_else(|problem| panic!("{problem}"));
        let path = self.folder.join("history.jsonl");
        let records = File::open(&path)
            .map_err(|error| error.to_string())
            .and_then(|file| checker::read_jsonl(BufReader::new(file)).map_err(|error| error.to_string()));
        let records = records.unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        let spec = TrafficSpec::new(&topic, 0);
        cluster.judge(History { spec, start: Instant::now(), records })
    }

    fn finish(&mut self) -> Result<(), String> {
        fs::write(self.folder.join("until"), "").map_err(|error| error.to_string())?;
        let status = wait::until(Duration::from_secs(90), || self.child.try_wait().ok().flatten());
        let said = self.said();
        for line in said.lines().filter(|line| line.starts_with("PASS ") || line.starts_with("FAIL ")) {
            println!("  Java client: {line}");
        }
        match status {
            Some(status) if status.success() => Ok(()),
            ended => Err(format!("the Java client ended with {ended:?}:\n{said}")),
        }
    }
}

impl Drop for Endure {
    fn drop(&mut self) {
        // Its script removes what it made; the program ends by itself with the file.
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = fs::write(self.folder.join("until"), "");
            if wait::until(Duration::from_secs(10), || self.child.try_wait().ok().flatten()).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}
