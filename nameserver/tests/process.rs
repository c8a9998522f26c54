//! `mqnamesrv` as a process: options, output, exit codes and signals.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Output, Stdio};

use common::{Peer, TempDir, free_port, register_body};

fn mqnamesrv(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqnamesrv"));
    command.args(arguments).env_remove("ROCKETMQ_HOME").env_remove("RUST_LOG");
    command
}

fn output(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = mqnamesrv(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A configuration file with a port that was free a moment ago.
fn configuration(dir: &TempDir) -> (String, u16) {
    let port = free_port();
    let path = dir.path().join("namesrv.conf");
    let home = dir.path().display();
    let text = format!("# mine\nlistenPort={port}\nbindAddress=127.0.0.1\nkvConfigPath={home}/kvConfig.json\n");
    std::fs::write(&path, text).unwrap();
    (path.display().to_string(), port)
}

/// One that runs; a test that fails leaves none behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

/// Starts it and reads its output up to the boot line.
fn boot(file: &str) -> (Running, Vec<String>) {
    boot_with("--default-signal=HUP", file)
}

/// The same with an option of env(1): whoever runs the tests may have SIGHUP ignored.
fn boot_with(signals: &str, file: &str) -> (Running, Vec<String>) {
    let mut command = Command::new("env");
    command
        .args([signals, env!("CARGO_BIN_EXE_mqnamesrv"), "-c", file])
        .env_remove("ROCKETMQ_HOME")
        .env_remove("RUST_LOG");
    let mut child = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().is_some_and(|line| line == "The Name Server boot success. serializeType=JSON") {
            return (child, lines);
        }
    }
    panic!("it ended: {:?}\n{}", child.wait(), lines.join("\n"));
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn signals_end_it_with_zero() {
    for name in ["TERM", "INT", "HUP"] {
        let dir = TempDir::new("signal");
        let (file, port) = configuration(&dir);
        let (mut child, _) = boot(&file);
        let mut peer = Peer::connect(([127, 0, 0, 1], port).into());
        assert_eq!(peer.register("a", "0", "a:1", false, &register_body(1, ["T"])).code, 0);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
        assert!(peer.channel.receive(common::PATIENCE).is_err());
    }
}

/// A thread that does not block a signal gets it while the main thread is not waiting for it, and the process dies of it.
#[test]
fn only_the_main_thread_gets_signals() {
    let dir = TempDir::new("threads");
    let (file, _) = configuration(&dir);
    let (mut child, _) = boot(&file);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let others: Vec<_> =
        tasks.map(|task| task.unwrap()).filter(|task| *task.file_name() != *child.id().to_string()).collect();
    assert!(!others.is_empty());
    for task in others {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
        // HUP, INT, TERM.
        let ending = (1 << 0) | (1 << 1) | (1 << 14);
        assert_eq!(blocked & ending, ending, "{status}");
    }
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A logout sends SIGHUP to what was started with nohup, too.
#[test]
fn under_nohup_a_logout_does_not_end_it() {
    let dir = TempDir::new("nohup");
    let (file, _) = configuration(&dir);
    let (mut child, _) = boot_with("--ignore-signal=HUP", &file);
    signal(&child, "HUP");
    signal(&child, "TERM");
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // Both signals would be taken in the order of their numbers.
    assert!(rest.contains("signal=15\n") && !rest.contains("signal=1\n"), "{rest}");
}

#[test]
fn a_second_one_says_who_holds_the_port() {
    let dir = TempDir::new("taken");
    let (file, port) = configuration(&dir);
    let (mut child, _) = boot(&file);
    let (code, _, stderr) = output(&["-c", &file]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with(&format!("mqnamesrv: cannot listen on 127.0.0.1:{port}: the port is in use")),
        "{stderr}"
    );
    assert!(stderr.contains(&format!("pid {}", child.id())), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn options_that_only_print() {
    let dir = TempDir::new("print");
    let (file, port) = configuration(&dir);
    let (code, stdout, _) = output(&["-p", "-c", &file]);
    assert_eq!(code, 0);
    assert!(stdout.contains(&format!("listenPort={port}\n")) && stdout.contains("productEnvName=center\n"), "{stdout}");
    let unsound = dir.path().join("unsound.conf").display().to_string();
    std::fs::write(&unsound, "listenPort=x\n").unwrap();
    let (code, stdout, stderr) = output(&["-p", "-c", &unsound]);
    assert_eq!(code, 1, "what would not start is no success");
    assert!(stdout.contains("productEnvName=center\n") && stderr.contains("listenPort=x"), "{stdout}{stderr}");
    let (code, stdout, _) = output(&["-p"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("listenPort=9876\n"), "{stdout}");
    let (code, stdout, _) = output(&["-h"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("--configFile") && stdout.contains("--printConfigItem"), "{stdout}");
    let (code, stdout, stderr) = output(&["--check", "-c", &file, "-n", "127.0.0.1:9876"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains(&format!("ok: {port}")), "{stdout}");
}

#[test]
fn mistakes_are_named_on_stderr_and_end_with_one() {
    let dir = TempDir::new("mistakes");
    let bad = dir.path().join("bad.conf");
    std::fs::write(&bad, "listenPort=many\n").unwrap();
    let bad = bad.display().to_string();
    for (arguments, text) in [
        (&["-c", "/does/not/exist"][..], "/does/not/exist cannot be read"),
        (&["-c", &bad][..], "bad.conf:1:"),
        (&["--check", "-c", &bad][..], "the configuration cannot be used"),
        (&["--wrong"][..], "--wrong"),
    ] {
        let (code, stdout, stderr) = output(arguments);
        assert_eq!(code, 1, "{arguments:?} {stderr}");
        assert!(stderr.contains(text), "{arguments:?}: {stderr}");
        assert!(!stdout.contains("boot success"));
    }
}
