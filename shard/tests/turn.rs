//! `turn` under load: other work gets in between, and nothing hangs.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use shard::{Notify, ShardSpec, start};

#[test]
fn timers_run_beside_tasks_that_never_rest() {
    let shard = start(ShardSpec { name: "busy".into(), cpu: None }, || async {
        let stop = Rc::new(Cell::new(false));
        let running = Rc::new(Cell::new(0));
        let done = Rc::new(Notify::new());
        for _ in 0..20 {
            running.set(running.get() + 1);
            let (stop, running, done) = (stop.clone(), running.clone(), done.clone());
            shard::spawn_local(async move {
                while !stop.get() {
                    let began = Instant::now();
                    while began.elapsed() < Duration::from_micros(50) {
                        std::hint::spin_loop();
                    }
                    shard::turn().await;
                }
                running.set(running.get() - 1);
                done.notify();
            });
        }
        let mut worst = Duration::ZERO;
        for _ in 0..100 {
            let began = Instant::now();
            shard::sleep(Duration::from_millis(2)).await;
            worst = worst.max(began.elapsed());
        }
        stop.set(true);
        while running.get() > 0 {
            done.wait().await;
        }
        worst
    })
    .unwrap();
    let worst = shard.join().unwrap();
    // A turn of these tasks is one millisecond; a yield that does not reach the reactor would make it 100 ms each time,
    // 10 s in all. The bound leaves room for a machine shared with others.
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}

#[test]
fn many_turns_at_once_all_return() {
    let shard = start(ShardSpec { name: "turns".into(), cpu: None }, || async {
        let left = Rc::new(Cell::new(500u32));
        for _ in 0..500 {
            let left = left.clone();
            shard::spawn_local(async move {
                for _ in 0..20 {
                    shard::turn().await;
                }
                left.set(left.get() - 1);
            });
        }
        let mut turns = 0u32;
        while left.get() > 0 {
            shard::turn().await;
            turns += 1;
        }
        turns
    })
    .unwrap();
    let turns = shard.join().unwrap();
    // All tasks that ask in one turn share the next one.
    assert!((20..1_000).contains(&turns), "{turns}");
}

#[test]
fn a_notify_before_the_wait_is_kept_once() {
    let shard = start(ShardSpec { name: "notify".into(), cpu: None }, || async {
        let notify = Rc::new(Notify::new());
        notify.notify();
        notify.notify();
        notify.wait().await;
        let woken = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (notify, woken) = (notify.clone(), woken.clone());
            shard::spawn_local(async move {
                notify.wait().await;
                woken.set(woken.get() + 1);
            });
        }
        for _ in 0..5 {
            shard::turn().await;
        }
        assert_eq!(woken.get(), 0, "the first two rings were one, and it was used");
        notify.notify();
        while woken.get() < 3 {
            shard::turn().await;
        }
    })
    .unwrap();
    shard.join().unwrap();
}
