//! More queues than a process may have open files. Alone in its process, whose limit it lowers.

mod common;

use common::{Dir, Rig, msg, options};

const QUEUES: u32 = 2_000;
const FILES: u64 = 1_024;

fn lower_the_limit() {
    let limit = libc::rlimit { rlim_cur: FILES, rlim_max: FILES };
    // SAFETY: reads the struct it is given.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

fn check(rig: &mut Rig, each: usize) {
    for queue_id in 0..QUEUES {
        assert_eq!(rig.read_all("T", queue_id).len(), each, "queue {queue_id}");
    }
}

/// A clean start, one after a crash, and one that builds everything again.
#[test]
fn a_store_with_more_queues_than_descriptors_starts() {
    lower_the_limit();
    let dir = Dir::new("many-queues");
    let mut rig = Rig::open(options(dir.path()));
    let send_to_all = |rig: &mut Rig| {
        for queue_id in 0..QUEUES {
            rig.send_ok(&msg("T", queue_id, "x"));
        }
    };
    send_to_all(&mut rig);
    rig.stop();
    let mut rig = Rig::open(options(dir.path()));
    check(&mut rig, 1);
    send_to_all(&mut rig);
    rig.kill();
    let mut rig = Rig::open(options(dir.path()));
    check(&mut rig, 2);
    rig.stop();
    std::fs::remove_dir_all(dir.path().join("consumequeue")).expect("removed");
    let mut rig = Rig::open(options(dir.path()));
    check(&mut rig, 2);
    rig.stop();
}
