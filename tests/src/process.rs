//! One process under test: started, watched for the line that says it is ready, ended by signal.
//!
//! Owns the child and a thread that copies its output to a log file. Must not know what the program is. The child is
//! killed when this is dropped, so that no test leaves one behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::proc_files;
use crate::wait;

/// A running (or ended) program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    started: Instant,
    ready: Receiver<Instant>,
    copier: Option<JoinHandle<()>>,
    exit: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; its output is appended to `log`; a line with one of `ready_marks` says it is ready.
    pub fn start(mut command: Command, log: &Path, ready_marks: &'static [&'static str]) -> Process {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(log)
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()))
        };
        let mut out = open();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(open());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = child.stdout.take();
        let (tell, ready) = mpsc::channel();
        let copier = thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { break };
                if ready_marks.iter().any(|mark| line.windows(mark.len()).any(|part| part == mark.as_bytes())) {
                    // Nobody listens any more once the caller saw it.
                    let _ = tell.send(Instant::now());
                }
                let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
            }
        });
        Process { name, child, log: log.to_owned(), started, ready, copier: Some(copier), exit: None }
    }

    /// Waits for the ready line; answers how long it took from the start.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<Duration, String> {
        match self.ready.recv_timeout(limit) {
            Ok(at) => Ok(at.duration_since(self.started)),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("{} not ready after {limit:?}\n{}", self.name, self.log_tail()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let exit = self.wait_exit(Duration::from_secs(5));
                Err(format!("{} ended before it was ready ({exit:?})\n{}", self.name, self.log_tail()))
            }
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Resident memory, KiB; 0 once it has ended.
    pub fn rss_kib(&self) -> u64 {
        proc_files::status_kib(self.pid(), "VmRSS").unwrap_or(0)
    }

    /// CPU time used so far, ms; 0 once it has ended.
    pub fn cpu_ms(&self) -> u64 {
        proc_files::cpu_ms(self.pid()).unwrap_or(0)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.poll_exit().is_none()
    }

    fn poll_exit(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name));
        }
        self.exit
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        let Ok(pid) = i32::try_from(self.pid()) else { return };
        if self.exit.is_none() {
            // SAFETY: the pid is our own child's, not reaped yet (exit is none), so it cannot be another process.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait_exit(Duration::from_secs(30)).unwrap_or_else(|| panic!("{} outlives SIGKILL", self.name));
        if let Some(copier) = self.copier.take() {
            let _ = copier.join();
        }
    }

    /// SIGTERM, and waits; the exit status and the time it took.
    pub fn terminate(&mut self, limit: Duration) -> Result<(ExitStatus, Duration), String> {
        let begun = Instant::now();
        self.signal(libc::SIGTERM);
        match self.wait_exit(limit) {
            Some(status) => Ok((status, begun.elapsed())),
            None => Err(format!("{} still runs {limit:?} after SIGTERM\n{}", self.name, self.log_tail())),
        }
    }

    /// Waits for the end.
    pub fn wait_exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait::until(limit, || self.poll_exit())
    }

    /// All it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines it printed.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill9();
        }
        if thread::panicking() {
            eprintln!("--- end of {} ({}):\n{}", self.name, self.log.display(), self.log_tail());
        }
    }
}
