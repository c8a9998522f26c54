//! One child process: started apart from the terminal's signals, waited for, ended.
//!
//! Owns the child; none outlives this program, not even when it is killed. Must not know what the child does. Used by
//! the main thread only: the kernel ends a child when the thread that started it ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at a child. Small beside every measured time, and too rare to cost CPU.
const LOOK: Duration = Duration::from_millis(20);
const TAIL_BYTES: usize = 2000;

/// A running or ended child.
pub struct Child {
    process: Process,
    name: String,
    output: PathBuf,
}

impl Child {
    /// Starts it; standard output and error go to `output`, replacing it.
    pub fn start(mut command: Command, output: &Path) -> Result<Child, String> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::create(output).map_err(|error| format!("cannot write {}: {error}", output.display()))?;
        let both = file.try_clone().map_err(|error| format!("cannot write {}: {error}", output.display()))?;
        // A group of its own: Ctrl-C reaches this program only, which decides who ends when.
        command.stdin(Stdio::null()).stdout(file).stderr(both).process_group(0);
        // SAFETY: between fork and exec only prctl is called, which is async-signal-safe and takes plain numbers.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            })
        };
        let process = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Child { process, name, output: output.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its exit, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: i32) {
        let Ok(pid) = i32::try_from(self.pid()) else { return };
        if self.ended().is_none() {
            // SAFETY: our own child, not reaped yet (it has not ended a moment ago and only we reap it), so the pid is
            // still its own.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// Waits for its end; `between` is asked between two looks.
    pub fn wait(&mut self, limit: Duration, mut between: impl FnMut(&mut Child)) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if begun.elapsed() >= limit {
                return None;
            }
            between(self);
            thread::sleep(LOOK);
        }
    }

    /// SIGTERM, and SIGKILL when it is not heeded in time. Says so when it was not, when it ended with an error, and
    /// when it had ended before.
    pub fn stop(&mut self, limit: Duration) -> Result<(), String> {
        if let Some(status) = self.ended() {
            return Err(format!("{} ended with {status} before it was asked to:\n{}", self.name, self.tail()));
        }
        self.signal(libc::SIGTERM);
        match self.wait(limit, |_| ()) {
            Some(status) if is_orderly(status) => return Ok(()),
            Some(status) => {
                return Err(format!("{} ended with {status} after SIGTERM:\n{}", self.name, self.tail()));
            }
            None => self.kill(),
        }
        Err(format!("{} (pid {}) still ran {} s after SIGTERM and was killed", self.name, self.pid(), limit.as_secs()))
    }

    /// SIGKILL, and waits.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        // Cannot fail on a child of ours; were it to, there is nothing left to do.
        let _ = self.process.wait();
    }

    /// The end of what it printed.
    pub fn tail(&self) -> String {
        let text = fs::read(&self.output).unwrap_or_default();
        let from = text.len().saturating_sub(TAIL_BYTES);
        String::from_utf8_lossy(text.get(from..).unwrap_or_default()).trim().to_owned()
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// An end that SIGTERM asks for: without an error, or by the signal (a JVM says so with 128 and its number).
fn is_orderly(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(libc::SIGTERM) || status.code() == Some(128 + libc::SIGTERM)
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, name: &str) -> (Child, PathBuf) {
        let output = std::env::temp_dir().join(format!("mqbench-child-{name}-{}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Child::start(command, &output).unwrap(), output)
    }

    #[test]
    fn what_it_prints_is_kept() {
        let (mut child, output) = start("echo out; echo err >&2; exit 3", "prints");
        let status = child.wait(Duration::from_secs(20), |_| ()).unwrap();
        assert_eq!((status.code(), child.tail().as_str(), child.name()), (Some(3), "out\nerr", "sh"));
        fs::remove_file(output).unwrap();
    }

    /// A script that says `ready`, then waits for SIGTERM: what its stop says.
    #[track_caller]
    fn check_stop(script: &str, name: &str, wanted: Result<(), &str>) {
        let (mut child, output) = start(script, name);
        while child.tail() != "ready" {
            thread::yield_now();
        }
        match (child.stop(Duration::from_secs(20)), wanted) {
            (Ok(()), Ok(())) => {}
            (Err(problem), Err(wanted)) => assert!(problem.contains(wanted) && problem.contains("ready"), "{problem}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
        fs::remove_file(output).unwrap();
    }

    #[test]
    fn an_end_with_an_error_is_told() {
        let ends_with = |code: &str| format!("trap 'exit {code}' TERM; echo ready; while :; do sleep 0.02; done");
        check_stop(&ends_with("0"), "clean", Ok(()));
        check_stop(&ends_with("143"), "jvm", Ok(()));
        check_stop("echo ready; exec sleep 1000", "default", Ok(()));
        check_stop(&ends_with("3"), "error", Err("exit status: 3 after SIGTERM"));
        check_stop("trap 'kill -ABRT $$' TERM; echo ready; while :; do sleep 0.02; done", "aborts", Err("signal: 6"));
    }

    #[test]
    fn who_has_ended_before_is_told() {
        let (mut child, output) = start("echo gone", "early");
        assert!(child.wait(Duration::from_secs(20), |_| ()).is_some_and(|status| status.success()));
        let problem = child.stop(Duration::from_secs(20)).unwrap_err();
        assert!(problem.contains("before it was asked to") && problem.contains("gone"), "{problem}");
        fs::remove_file(output).unwrap();
    }

    #[test]
    fn who_ignores_sigterm_is_killed() {
        let (mut child, output) = start("trap '' TERM; echo ready; while :; do sleep 0.02; done", "deaf");
        assert!(child.wait(Duration::from_millis(1), |_| ()).is_none());
        while child.tail() != "ready" {
            thread::yield_now();
        }
        assert!(child.stop(Duration::from_millis(60)).unwrap_err().contains("SIGTERM"));
        assert!(child.ended().is_some());
        fs::remove_file(output).unwrap();
    }
}
