//! `mqbench matrix` with a real RingMQ: what it measures is there and sound, its reports can be read, and it leaves
//! nothing behind, however it ends.
//!
//! Functional only: no time and no rate is judged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::folder::Folder;
use tests::{Case, Outcome, binaries, suite, wait};

/// For things that end by themselves.
const PATIENCE: Duration = Duration::from_secs(300);

const VERIFIED: &str = "name = 'verified'\n[[broker]]\nname = 'one'\nflush = ['ASYNC_FLUSH', 'SYNC_FLUSH']\n\
    [[broker.step]]\nname = 'verified'\nmqbench = 'produce --connections 2 --outstanding 8 --verify'\n";
/// The second step outlives every test.
const LONG: &str = "name = 'long'\nrounds = 3\nseconds = 1\nwarm_seconds = 0\njit_seconds = 0\n[[broker]]\nname = 'one'\n\
    [[broker.step]]\nname = 'short'\nmqbench = 'produce'\n[[broker.step]]\nname = 'endless'\nmqbench = 'produce --seconds 80000'\n\
    [[broker.step]]\nname = 'never'\nmqbench = 'produce'\n";
const HALF_BROKEN: &str = "name = 'half'\n[[broker]]\nname = 'one'\nvary.flushWay = ['no-such-way', 'ring']\n\
    [[broker.step]]\nname = 'sends'\nmqbench = 'produce'\n";

fn main() {
    suite::run(&[
        Case { name: "the_quick_report_has_everything", run: the_quick_report_has_everything },
        Case { name: "the_ways_to_flush_are_all_measured", run: the_ways_to_flush_are_all_measured },
        Case { name: "a_slave_runs_beside_each_broker", run: a_slave_runs_beside_each_broker },
        Case { name: "an_empty_slave_catches_up", run: an_empty_slave_catches_up },
        Case { name: "calls_and_allocations_are_counted", run: calls_and_allocations_are_counted },
        Case { name: "verified_sends_are_all_there", run: verified_sends_are_all_there },
        Case { name: "a_side_that_fails_does_not_stop_the_rest", run: a_side_that_fails_does_not_stop_the_rest },
        Case { name: "ctrl_c_leaves_a_report_and_no_broker", run: ctrl_c_leaves_a_report_and_no_broker },
        Case { name: "a_killed_matrix_leaves_no_broker", run: a_killed_matrix_leaves_no_broker },
        Case { name: "what_cannot_be_measured_is_refused", run: what_cannot_be_measured_is_refused },
    ]);
}

/// A matrix that runs; killed when dropped.
struct Matrix {
    child: Child,
    log: PathBuf,
}

impl Matrix {
    fn start(folder: &Folder, arguments: &[&str]) -> Matrix {
        let program = |name| binaries::find(name).unwrap_or_else(|problem| panic!("{problem}"));
        let log = folder.join("matrix.log");
        let file = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let both = file.try_clone().unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(program("mqbench"));
        command.arg("matrix").args(arguments).arg("--ringmq").arg(program("ringmq"));
        command.arg("--work").arg(folder.join("work")).arg("--out").arg(folder.join("out"));
        command.stdin(Stdio::null()).stdout(file).stderr(both);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Matrix { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait(&mut self) -> ExitStatus {
        let ended = wait::until(PATIENCE, || self.child.try_wait().unwrap_or_else(|error| panic!("{error}")));
        ended.unwrap_or_else(|| panic!("still runs after {PATIENCE:?}\n{}", self.log()))
    }

    /// Waits for words in what it prints.
    fn wait_for(&mut self, words: &str) {
        let seen = wait::until(PATIENCE, || {
            let ended = self.child.try_wait().unwrap_or_else(|error| panic!("{error}"));
            assert!(ended.is_none(), "ended with {ended:?} before it said {words:?}\n{}", self.log());
            self.log().contains(words).then_some(())
        });
        seen.unwrap_or_else(|| panic!("never said {words:?}\n{}", self.log()));
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap_or_else(|error| panic!("{error}"));
        // SAFETY: our own child, not waited for yet, so the pid is still its own.
        unsafe { libc::kill(pid, signal) };
    }

    /// The processes it started, by what they are called.
    fn children(&self, name: &str) -> Vec<String> {
        let own = self.child.id().to_string();
        let entries = fs::read_dir("/proc").unwrap_or_else(|error| panic!("{error}")).flatten();
        let pids = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        pids.filter(|pid| stat(pid).is_some_and(|(found, parent)| found == name && parent == own)).collect()
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        // Fails when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Name and parent of a process that is no zombie.
fn stat(pid: &str) -> Option<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = text.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    if fields.next() == Some("Z") {
        return None;
    }
    Some((before.split_once('(')?.1.to_owned(), fields.next()?.to_owned()))
}

fn gone(pids: &[String], name: &str) {
    let gone = wait::until(Duration::from_secs(30), || {
        let is_there = |pid: &String| stat(pid).is_some_and(|(found, _)| found == name);
        (!pids.iter().any(is_there)).then_some(())
    });
    assert!(gone.is_some(), "{name} {pids:?} still runs");
}

fn scenario(folder: &Folder, text: &str) -> String {
    let path = folder.join("scenario.toml");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path.display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn report(folder: &Folder, name: &str) -> Value {
    let path = folder.join(&format!("out/{name}.json"));
    serde_json::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn runs(report: &Value) -> &[Value] {
    report["runs"].as_array().unwrap_or_else(|| panic!("no runs in {report}"))
}

/// Nothing of a finished matrix but its lock is left in the folder of the stores.
fn assert_clean(folder: &Folder) {
    let left = fs::read_dir(folder.join("work")).unwrap_or_else(|error| panic!("{error}")).flatten();
    let left: Vec<String> = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(left, ["lock"]);
}

fn assert_all_ran(report: &Value) {
    assert_eq!(report["complete"], true);
    for run in runs(report) {
        assert!(run["failure"].is_null() && run["complete"] == true, "{run}");
    }
}

/// Runs a scenario of perf/scenarios; its report.
fn quickly(folder: &Folder, name: &str) -> Value {
    let scenario = format!("{}/../perf/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut matrix = Matrix::start(folder, &["--quick", "--scenario", &scenario]);
    let status = matrix.wait();
    assert_eq!(status.code(), Some(0), "{}", matrix.log());
    let report = report(folder, name);
    assert_all_ran(&report);
    assert_clean(folder);
    report
}

fn a_slave_runs_beside_each_broker() -> Outcome {
    let folder = Folder::new("mqbench-replication");
    let report = quickly(&folder, "replication");
    for mode in ["single", "async-slave", "sync-slave"] {
        let mut of_mode = runs(&report).iter().filter(|run| run["replication"] == mode).peekable();
        assert!(of_mode.peek().is_some(), "{mode}: {report}");
        for run in of_mode {
            assert!(run["result"]["messages"].as_u64() > Some(0), "{run}");
            assert_eq!(run["figures"]["lag_max_kib"].is_number(), mode != "single", "{run}");
        }
    }
    Outcome::Passed
}

fn an_empty_slave_catches_up() -> Outcome {
    let folder = Folder::new("mqbench-catch-up");
    let report = quickly(&folder, "catch-up");
    let caught = runs(&report).iter().filter_map(|run| run["figures"]["catch_up_mb_s"].as_f64());
    assert!(caught.clone().count() == 1 && caught.sum::<f64>() > 0.0, "{report}");
    Outcome::Passed
}

fn calls_and_allocations_are_counted() -> Outcome {
    let folder = Folder::new("mqbench-counts");
    let report = quickly(&folder, "counts");
    for run in runs(&report) {
        let broker = &run["result"]["broker"];
        assert!(broker["allocations"].is_u64(), "{run}");
        // The kernel tells only those who may trace.
        assert!(broker["syscalls"].is_null() || broker["syscalls"].as_u64() > Some(0), "{run}");
    }
    Outcome::Passed
}

fn the_ways_to_flush_are_all_measured() -> Outcome {
    let folder = Folder::new("mqbench-ways");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../perf/scenarios/flush-ways.toml");
    let mut matrix = Matrix::start(&folder, &["--quick", "--scenario", scenario]);
    let status = matrix.wait();
    assert_eq!(status.code(), Some(0), "{}", matrix.log());
    let report = report(&folder, "flush-ways");
    assert_all_ran(&report);
    for way in ["auto", "thread", "inline", "ring"] {
        let of_way = runs(&report)
            .iter()
            .filter(|run| run["side"].as_str().is_some_and(|side| side.ends_with(&format!("={way}"))));
        let sent: Vec<_> = of_way.map(|run| run["result"]["messages"].as_u64()).collect();
        assert!(sent.len() == 2 && sent.iter().all(|sent| *sent > Some(0)), "{way}: {sent:?}");
    }
    assert_clean(&folder);
    Outcome::Passed
}

fn the_quick_report_has_everything() -> Outcome {
    let folder = Folder::new("mqbench-quick");
    // Less data than --quick itself has: this may be a debug build on a small disk. The drain must still outlast some
    // of the 10 ms in which the kernel counts a process's time.
    let less = ["--set", "drain_messages=200000", "--set", "restart_messages=65536", "--set", "loopback_mib=64"];
    let mut matrix = Matrix::start(&folder, &[&["--quick"], less.as_slice()].concat());
    let status = matrix.wait();
    assert_eq!(status.code(), Some(0), "{}", matrix.log());
    let report = report(&folder, "peers");
    assert_all_ran(&report);
    // What the scenario asks for is what was measured.
    let brokers = report["scenario"]["broker"].as_array().unwrap_or_else(|| panic!("no brokers in {report}"));
    let mut workloads = 0;
    for broker in brokers {
        for step in broker["step"].as_array().unwrap_or_else(|| panic!("no steps in {broker}")) {
            let of_step: Vec<&Value> = runs(&report).iter().filter(|run| run["step"] == step["name"]).collect();
            assert_eq!(of_step.is_empty(), step["measured"] == false, "{}", step["name"]);
            for run in of_step.into_iter().filter(|_| step["action"].is_null()) {
                workloads += 1;
                assert!(run["result"]["messages"].as_u64() > Some(0), "{run}");
                assert_eq!(run["result"]["bad"].as_u64(), Some(0), "{run}");
                assert!(run["figures"]["cpu_us_per_message"].as_f64() > Some(0.0), "{run}");
            }
        }
    }
    assert_eq!(workloads, 9);
    for (probe, figure) in [("disk", "fdatasync_p50_us"), ("loopback", "mb_s")] {
        let run = runs(&report).iter().find(|run| run["step"] == probe);
        assert!(run.is_some_and(|run| run["figures"][figure].as_f64() > Some(0.0)), "{probe}: {run:?}");
    }
    for figure in ["start on an empty store", "start after kill -9 under load"] {
        let run = runs(&report).iter().find(|run| run["step"] == figure);
        assert!(run.is_some_and(|run| run["figures"]["ms"].as_f64() > Some(0.0)), "{figure}: {run:?}");
    }
    assert!(report["aims"].as_array().is_some_and(|aims| aims.iter().any(|aim| aim["met"].is_boolean())));
    assert_clean(&folder);
    pages(&folder);
    Outcome::Passed
}

/// The pages are whole, need nothing from elsewhere, and come out the same from the JSON.
fn pages(folder: &Folder) {
    let page = |name: &str| read(&folder.join(name));
    let html = page("out/peers.html");
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    assert!(html.contains("<polyline") && html.contains("async 4x16, 1 KiB"));
    for foreign in ["src=", "href=", "@import", "url("] {
        assert!(!html.contains(foreign), "the page asks for {foreign}");
    }
    let picture = page("out/peers.svg");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n") && picture.contains("<rect"));
    assert!(page("out/peers.md").contains("## Aims"));
    let mqbench = binaries::find("mqbench").unwrap_or_else(|problem| panic!("{problem}"));
    let mut command = Command::new(mqbench);
    command.arg("report").arg(folder.join("out/peers.json")).arg("--out").arg(folder.join("again"));
    let output = command.output().unwrap_or_else(|error| panic!("{error}"));
    assert!(output.status.success(), "{output:?}");
    for suffix in ["md", "html", "svg"] {
        assert_eq!(page(&format!("again/peers.{suffix}")), page(&format!("out/peers.{suffix}")), "{suffix}");
    }
}

fn verified_sends_are_all_there() -> Outcome {
    let folder = Folder::new("mqbench-verified");
    let scenario = scenario(&folder, VERIFIED);
    let mut matrix = Matrix::start(&folder, &["--quick", "--scenario", &scenario]);
    let status = matrix.wait();
    assert_eq!(status.code(), Some(0), "{}", matrix.log());
    let report = report(&folder, "verified");
    assert_eq!(runs(&report).len(), 2);
    for run in runs(&report) {
        let verified = &run["result"]["verified"];
        assert!(verified["acked"].as_u64() > Some(0), "{run}");
        for key in ["lost", "damaged"] {
            assert_eq!(verified[key].as_u64(), Some(0), "{run}");
        }
        println!("  {}: {}", run["flush"], verified);
    }
    Outcome::Passed
}

fn a_side_that_fails_does_not_stop_the_rest() -> Outcome {
    let folder = Folder::new("mqbench-half");
    let scenario = scenario(&folder, HALF_BROKEN);
    let mut matrix = Matrix::start(&folder, &["--quick", "--scenario", &scenario]);
    let status = matrix.wait();
    assert_eq!(status.code(), Some(1), "{}", matrix.log());
    let report = report(&folder, "half");
    assert_eq!(report["complete"], true);
    let [broken, sound] = runs(&report) else { panic!("{report}") };
    assert!(broken["failure"].as_str().is_some_and(|failure| failure.contains("no-such-way")), "{broken}");
    assert!(sound["failure"].is_null() && sound["result"]["messages"].as_u64() > Some(0), "{sound}");
    assert!(read(&folder.join("out/half.md")).contains("## Failed"));
    assert_clean(&folder);
    Outcome::Passed
}

fn ctrl_c_leaves_a_report_and_no_broker() -> Outcome {
    let folder = Folder::new("mqbench-ctrl-c");
    let scenario = scenario(&folder, LONG);
    let mut matrix = Matrix::start(&folder, &["--scenario", &scenario]);
    matrix.wait_for("ringmq | endless");
    let loaders = wait::until(PATIENCE, || Some(matrix.children("mqbench")).filter(|pids| !pids.is_empty()));
    let loaders = loaders.unwrap_or_else(|| panic!("no loader runs\n{}", matrix.log()));
    let brokers = matrix.children("ringmq");
    assert_eq!(brokers.len(), 1, "{}", matrix.log());
    matrix.signal(libc::SIGINT);
    let status = matrix.wait();
    assert_eq!(status.code(), Some(130), "{}", matrix.log());
    gone(&brokers, "ringmq");
    gone(&loaders, "mqbench");
    let report = report(&folder, "long");
    assert_eq!(report["complete"], false);
    let of_step = |name: &str| runs(&report).iter().filter(|run| run["step"] == name).collect::<Vec<_>>();
    let [short] = of_step("short")[..] else { panic!("{report}") };
    assert!(short["complete"] == true && short["result"]["messages"].as_u64() > Some(0), "{short}");
    // Whether the loader had begun to measure or not: what it wrote is not taken for a whole run.
    assert!(of_step("endless").iter().all(|run| run["complete"] == false && run["failure"].is_null()), "{report}");
    assert!(of_step("never").is_empty(), "{report}");
    for page in ["out/long.md", "out/long.html"] {
        assert!(read(&folder.join(page)).contains("Incomplete"), "{page}");
    }
    assert_clean(&folder);
    Outcome::Passed
}

fn a_killed_matrix_leaves_no_broker() -> Outcome {
    let folder = Folder::new("mqbench-killed");
    let scenario = scenario(&folder, LONG);
    let mut matrix = Matrix::start(&folder, &["--scenario", &scenario]);
    matrix.wait_for("ringmq | endless");
    let brokers = matrix.children("ringmq");
    assert_eq!(brokers.len(), 1, "{}", matrix.log());
    matrix.signal(libc::SIGKILL);
    matrix.wait();
    gone(&brokers, "ringmq");
    Outcome::Passed
}

fn what_cannot_be_measured_is_refused() -> Outcome {
    let folder = Folder::new("mqbench-refused");
    let replicated = scenario(&folder, &format!("replication = ['dledger']\n{VERIFIED}"));
    for (arguments, word) in [
        (vec!["--peer", "java-1.2.3"], "unknown peer"),
        (vec!["--peer-address", "127.0.0.1"], "HOST:PORT"),
        (vec!["--scenario", "/no/such/scenario.toml"], "/no/such/scenario.toml"),
        (vec!["--scenario", replicated.as_str()], "dledger"),
        (vec!["--quick", "--set", "no_such=1"], "no_such"),
        (vec!["--only", "no-such"], "no-such"),
    ] {
        let mut matrix = Matrix::start(&folder, &arguments);
        let status = matrix.wait();
        assert_eq!(status.code(), Some(1), "{arguments:?}: {}", matrix.log());
        assert!(matrix.log().contains(word), "{arguments:?}: {}", matrix.log());
        assert!(!folder.join("out").exists(), "{arguments:?} made a report");
    }
    Outcome::Passed
}
