//! A full disk: sends are refused with code 14 and a remark that says what to do, reads and offsets go on, and once
//! there is room the broker serves again by itself.
//!
//! Needs root: the store lies on a small ext4 image mounted through a loop device.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use checker::Uid;
use client::{Broker, Error, Pull, Send, TopicSpec};
use tests::folder::Folder;
use tests::load::{LoadTopic, Shared, send_recorded};
use tests::{Case, Outcome, Recorder, ServerSpec, body, drain, suite, wait};

const IMAGE_BYTES: u64 = 192 << 20;
const BALLAST_BYTES: usize = 80 << 20;
const TOPIC: &str = "Filling";
/// From the removal of the ballast to the first ack.
const BACK_MAX: Duration = Duration::from_secs(15);

fn main() {
    suite::run(&[Case { name: "disk_full_refuses_and_comes_back", run: refuses_and_comes_back }]);
}

/// A mounted image; unmounted when dropped.
struct Mount {
    point: PathBuf,
    _folder: Folder,
}

impl Mount {
    fn new() -> Result<Mount, String> {
        // SAFETY: geteuid takes nothing and cannot fail.
        if unsafe { libc::geteuid() } != 0 {
            return Err("not root: cannot mount a small disk".into());
        }
        let folder = Folder::new("disk-full-image");
        let (image, point) = (folder.join("disk.img"), folder.join("mnt"));
        let made = fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES));
        made.and_then(|()| fs::create_dir(&point)).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").arg("-q").arg("-F").arg(&image))?;
        run(Command::new("mount").arg("-o").arg("loop").arg(&image).arg(&point))?;
        Ok(Mount { point, _folder: folder })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(problem) = run(Command::new("umount").arg("-l").arg(&self.point)) {
            eprintln!("{}: {problem}", self.point.display());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn ballast(point: &Path) -> PathBuf {
    let path = point.join("ballast");
    fs::write(&path, vec![1u8; BALLAST_BYTES]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

fn refuses_and_comes_back() -> Outcome {
    let mount = match Mount::new() {
        Ok(mount) => mount,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let ballast = ballast(&mount.point);
    let mut spec = ServerSpec::new("disk-full")
        .set("mappedFileSizeCommitLog", "8388608")
        // As Java does it, a full disk otherwise costs the oldest messages, expired or not.
        .set("cleanFileForciblyEnable", "false");
    spec.data = Some(mount.point.join("data"));
    let mut server = spec.start();
    let mut broker = server.connect();
    broker.create_topic(&TopicSpec::new(TOPIC, 1)).unwrap_or_else(|error| panic!("{error}"));
    let topics = vec![LoadTopic { name: TOPIC.into(), queues: 1 }];
    let shared = Shared::new(server.address(), topics.clone(), 64 << 10);
    let mut recorder = Recorder::new(1, shared.start);

    let mut seq = 0;
    let mut refusal = None;
    while refusal.is_none() && seq < IMAGE_BYTES / (32 << 10) {
        let acked = recorder.acked();
        let uid = Uid { producer: 1, seq };
        let bytes = body::make(uid, 32 << 10);
        if !send_recorded(&shared, &mut broker, &mut recorder, uid, TOPIC, 0, &bytes) {
            broker = server.connect();
        }
        seq += 1;
        if recorder.acked() == acked {
            refusal = Some(refused(&mut broker));
        }
    }
    let (code, remark) = refusal.unwrap_or_else(|| panic!("{seq} messages of 32 KiB fit on a disk of 192 MiB"));
    println!("  after {seq} messages: code {code}: {remark}");
    assert_eq!(code, 14, "{remark}");
    let store = server.data().display().to_string();
    assert!(remark.contains(&store), "the remark does not name the store's path {store}: {remark}");
    assert!(remark.contains("free"), "the remark does not say how much is free: {remark}");
    assert!(
        ["diskMaxUsedSpaceRatio", "fileReservedTime", "deleteWhen"].iter().any(|key| remark.contains(key)),
        "the remark names no key to turn: {remark}"
    );

    // Reads and offsets go on.
    let pulled = broker.pull(&Pull::from("CID_full", TOPIC, 0, 0)).unwrap_or_else(|error| panic!("pull: {error}"));
    assert!(!pulled.messages.is_empty(), "nothing can be read while the disk is full: {pulled:?}");
    broker.update_offset("CID_full", TOPIC, 0, 3).unwrap_or_else(|error| panic!("commit: {error}"));
    assert_eq!(broker.query_offset("CID_full", TOPIC, 0).unwrap_or_else(|error| panic!("{error}")), Some(3));
    assert!(server.broker_process().is_running());

    fs::remove_file(&ballast).unwrap_or_else(|error| panic!("{error}"));
    let begun = Instant::now();
    let back = wait::until(BACK_MAX, || {
        let uid = Uid { producer: 1, seq };
        seq += 1;
        let bytes = body::make(uid, 1000);
        let acked = recorder.acked();
        if !send_recorded(&shared, &mut broker, &mut recorder, uid, TOPIC, 0, &bytes) {
            broker = server.connect();
        }
        (recorder.acked() > acked).then_some(())
    });
    assert!(back.is_some(), "{BACK_MAX:?} after room was made sends are still refused");
    println!("  serves again {} ms after room was made", begun.elapsed().as_millis());

    // And all that was acked is there, also after a restart.
    server.kill9();
    server.start().unwrap_or_else(|problem| panic!("{problem}"));
    drain::topics(&mut server.connect(), &mut recorder, &topics);
    let report = checker::check(&recorder.into_records());
    println!("  {report}");
    assert!(report.is_clean(), "{report}");
    drop(server);
    Outcome::Passed
}

/// How a message is refused that is as large as the ones before it.
fn refused(broker: &mut Broker) -> (i32, String) {
    match broker.send(&Send::to(TOPIC, 0, &vec![0; 32 << 10])) {
        Err(Error::Answer { code, remark, .. }) => (code, remark),
        other => panic!("the message before was refused, this one: {other:?}"),
    }
}
