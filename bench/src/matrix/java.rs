//! Apache RocketMQ as a peer: its jars, its flags, its two processes.
//!
//! Owns what is particular to Java. Jars lie where the tests keep theirs (tests/java/env.sh). Must not change them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::matrix::child::Child;
use crate::matrix::conf::write;
use crate::matrix::interrupt;
use crate::matrix::ports::Ports;
use crate::matrix::scenario::Java;

const NAMESERVER_LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Scripts and pom of the tests, in the source tree this program was built from.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/java");

/// The flags of Java's own start script of the broker (runbroker.sh) but for heap, direct memory, AlwaysPreTouch and the
/// logging of collections, for the nameserver too; and what JDK 17 needs to let 4.9.7 unmap its files.
const FLAGS: &str = "-server -XX:+UseG1GC -XX:G1HeapRegionSize=16m -XX:G1ReservePercent=25 \
    -XX:InitiatingHeapOccupancyPercent=30 -XX:SoftRefLRUPolicyMSPerMB=0 -XX:-OmitStackTraceInFastThrow \
    -XX:-UseLargePages -XX:+IgnoreUnrecognizedVMOptions -XX:-UseBiasedLocking \
    --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/jdk.internal.ref=ALL-UNNAMED";

/// MaxDirectMemorySize of broker and nameserver.
const DIRECT_MEMORY: &str = "4g";
const NAMESERVER_DIRECT_MEMORY: &str = "1g";

fn program() -> PathBuf {
    std::env::var_os("JAVA_HOME").map_or_else(|| "java".into(), |home| PathBuf::from(home).join("bin/java"))
}

fn home(version: &str) -> Result<PathBuf, String> {
    let cache = match std::env::var_os("RINGMQ_TEST_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").ok_or("neither RINGMQ_TEST_CACHE nor HOME is set")?)
            .join(".cache/ringmq-tests"),
    };
    Ok(cache.join(format!("rocketmq-{version}")))
}

fn has_broker(home: &Path) -> bool {
    let entries = fs::read_dir(home.join("lib")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("rocketmq-broker-"))
}

/// Fetches the jars of a version from Maven Central, once.
pub fn set_up(version: &str) -> Result<(), String> {
    let home = home(version)?;
    let answers = Command::new(program()).arg("-version").output();
    if !answers.is_ok_and(|output| output.status.success()) {
        return Err(format!("java-{version}: {} does not run; install a JDK 17 or set JAVA_HOME", program().display()));
    }
    if !has_broker(&home) {
        // The tests' script fetches 4.9.x as a server and the others as clients only.
        if version.starts_with("4.9.") {
            run(Command::new(Path::new(SOURCES).join("fetch.sh")).arg(version))?;
        } else {
            let partial = home.join("lib.server");
            let copied = run(Command::new("mvn")
                .args(["-q", "-B", "-Pserver", "dependency:copy-dependencies", "-DincludeScope=runtime", "-f"])
                .arg(Path::new(SOURCES).join("pom.xml"))
                .arg(format!("-Drocketmq.version={version}"))
                .arg(format!("-DoutputDirectory={}", partial.display())));
            copied?;
            let lib = home.join("lib");
            // Jars for clients may be there; the server's are a superset.
            let _ = fs::remove_dir_all(&lib);
            fs::rename(&partial, &lib).map_err(|error| format!("cannot move {}: {error}", partial.display()))?;
        }
    }
    if has_broker(&home) {
        Ok(())
    } else {
        Err(format!("{} has no rocketmq-broker jar after its set-up", home.display()))
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}

/// `4.9.7 on Java 17.0.15`
pub fn describe(version: &str, memory: &Java) -> String {
    let text = Command::new(program()).arg("-version").output().map(|output| output.stderr).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let jdk = text.split('"').nth(1).unwrap_or("?");
    format!(
        "Apache RocketMQ {version} on Java {jdk}; broker: heap {}, MaxDirectMemorySize {DIRECT_MEMORY}, other flags as in \
         runbroker.sh, but without AlwaysPreTouch and GC logging; nameserver: heap {}, MaxDirectMemorySize \
         {NAMESERVER_DIRECT_MEMORY}, else the same flags",
        memory.heap, memory.nameserver_heap
    )
}

fn command(version: &str, heap: &str, direct: &str, folder: &Path, main: &str, conf: &str) -> Result<Command, String> {
    let home = home(version)?;
    let mut command = Command::new(program());
    command.args(FLAGS.split_whitespace());
    command.args([format!("-Xms{heap}"), format!("-Xmx{heap}"), format!("-XX:MaxDirectMemorySize={direct}")]);
    command.arg(format!("-Duser.home={}", folder.display()));
    command.arg(format!("-Drocketmq.home.dir={}", home.display()));
    command.arg("-cp").arg(home.join("lib/*")).arg(main).arg("-c").arg(folder.join(conf));
    Ok(command)
}

/// Starts a nameserver and waits until it says that it runs.
pub fn start_nameserver(version: &str, memory: &Java, folder: &Path, ports: Ports) -> Result<Child, String> {
    write(&folder.join("namesrv.conf"), &format!("listenPort={}\n", ports.nameserver))?;
    let main = "org.apache.rocketmq.namesrv.NamesrvStartup";
    let mut command =
        command(version, &memory.nameserver_heap, NAMESERVER_DIRECT_MEMORY, folder, main, "namesrv.conf")?;
    command.current_dir(folder);
    let mut child = Child::start(command, &folder.join("namesrv.out"))?;
    let begun = Instant::now();
    while !child.tail().contains("boot success") {
        if let Some(status) = child.ended() {
            return Err(format!("the nameserver of {version} ended with {status}:\n{}", child.tail()));
        }
        if interrupt::count() > 0 || begun.elapsed() > NAMESERVER_LIMIT {
            return Err(format!("the nameserver of {version} does not say that it runs:\n{}", child.tail()));
        }
        thread::sleep(LOOK);
    }
    Ok(child)
}

/// The broker's command; its configuration is broker.conf in the folder.
pub fn broker(version: &str, memory: &Java, folder: &Path) -> Result<Command, String> {
    command(version, &memory.heap, DIRECT_MEMORY, folder, "org.apache.rocketmq.broker.BrokerStartup", "broker.conf")
}
