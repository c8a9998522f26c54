//! The tail of the log under every interleaving of two writers and a reader. Run it with
//! `RUSTFLAGS="--cfg loom" cargo test -p engine --test loom_tail`; without that flag there is nothing here.
#![cfg(loom)]

use engine::commitlog::tail::Tail;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

const SEGMENT: i64 = 32;

/// What a writer put where: one flag a byte, set with no ordering of its own, so only the tail can order it.
fn write(tail: &Tail, bytes: &[AtomicBool], size: i64) -> (i64, i64) {
    let mut pieces = Vec::new();
    tail.reserve([size].into_iter(), 0, SEGMENT * 4, &mut pieces).expect("room");
    let (from, to) = (pieces[0].offset, pieces[pieces.len() - 1].end());
    for byte in &bytes[from as usize / 8..to as usize / 8] {
        assert!(!byte.swap(true, Ordering::Relaxed), "no byte belongs to two writers");
    }
    tail.complete(from, to);
    (from, to)
}

/// Whoever reads the watermark finds every byte below it written; it never goes back; in the end it is the log's end.
#[test]
fn below_the_watermark_everything_is_written() {
    loom::model(|| {
        let tail = Arc::new(Tail::new(SEGMENT, 0, 0));
        let bytes: Arc<Vec<AtomicBool>> = Arc::new((0..16).map(|_| AtomicBool::new(false)).collect());
        let writers: Vec<_> = [16, 24]
            .into_iter()
            .map(|size| {
                let (tail, bytes) = (tail.clone(), bytes.clone());
                thread::spawn(move || write(&tail, &bytes, size))
            })
            .collect();
        let mut before = 0;
        for _ in 0..2 {
            let watermark = tail.watermark();
            assert!(watermark >= before, "the watermark never goes back");
            for (number, byte) in bytes[..watermark as usize / 8].iter().enumerate() {
                assert!(byte.load(Ordering::Relaxed), "unit {number} lies below {watermark}");
            }
            before = watermark;
        }
        let mut ranges: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        ranges.sort();
        assert!(ranges[0].0 == 0 && ranges[0].1 == ranges[1].0, "reservations follow one another");
        assert_eq!(tail.watermark(), ranges[1].1);
        assert_eq!(tail.next(), ranges[1].1);
        assert!(bytes[..ranges[1].1 as usize / 8].iter().all(|byte| byte.load(Ordering::Relaxed)));
    });
}

/// Three writers: whatever the order, the last to complete moves the watermark over all.
#[test]
fn the_last_to_complete_moves_the_watermark_over_all() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let tail = Arc::new(Tail::new(1024, 0, 0));
        let bytes: Arc<Vec<AtomicBool>> = Arc::new((0..8).map(|_| AtomicBool::new(false)).collect());
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (tail, bytes) = (tail.clone(), bytes.clone());
                thread::spawn(move || write(&tail, &bytes, 8))
            })
            .collect();
        write(&tail, &bytes, 16);
        for writer in writers {
            writer.join().expect("no panic");
        }
        assert_eq!(tail.watermark(), 32);
    });
}
