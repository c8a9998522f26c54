//! The mesh between real executors: order, fullness, and that no wake is lost. More shards than cores included.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use shard::{MeshPort, ShardSpec, ShardThread, mesh, start};

/// A lost wake shows as a shard that never ends; this is when the test says so.
const DEADLINE: Duration = Duration::from_secs(120);

/// Starts one shard a port and returns what their bodies return, in the order of the ports.
fn run<M, F, Fut, T>(ports: Vec<MeshPort<M>>, body: F) -> Vec<T>
where
    M: Send + 'static,
    F: Fn(MeshPort<M>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let threads = ports
        .into_iter()
        .map(|port| {
            let body = body.clone();
            let spec = ShardSpec { name: format!("mesh-{}", port.id()), cpu: None };
            start(spec, move || async move {
                port.attach();
                body(port).await
            })
            .unwrap()
        })
        .collect();
    join_all(threads)
}

fn join_all<T>(threads: Vec<ShardThread<T>>) -> Vec<T> {
    let began = Instant::now();
    while !threads.iter().all(ShardThread::is_finished) {
        assert!(began.elapsed() < DEADLINE, "a shard does not end: a wake was lost");
        thread::sleep(Duration::from_millis(5));
    }
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Every shard sends `count` numbers to every shard over rings of `capacity`, and checks what it gets.
fn check_all_to_all(shards: usize, capacity: usize, count: u64) {
    let full: u64 = run(mesh::<u64>(shards, capacity), move |port| async move {
        let mut sent = vec![0u64; shards];
        let mut received = vec![0u64; shards];
        let mut full = 0;
        while sent.iter().chain(&received).any(|done| *done < count) {
            let mut blocked = false;
            for (to, next) in sent.iter_mut().enumerate() {
                while *next < count {
                    match port.send(to, *next) {
                        Ok(()) => *next += 1,
                        Err(back) => {
                            assert_eq!(back, *next);
                            blocked = true;
                            full += 1;
                            break;
                        }
                    }
                }
            }
            port.drain(usize::MAX, |from, value| {
                assert_eq!(value, received[from], "from {from} to {}", port.id());
                received[from] += 1;
            });
            if blocked {
                shard::turn().await;
            } else if received.iter().any(|done| *done < count) {
                port.wait().await;
            }
        }
        assert_eq!(port.drain(usize::MAX, |_, _| ()), 0);
        full
    })
    .into_iter()
    .sum();
    assert!(full > 0, "rings of {capacity} were never full");
}

#[test]
fn one_shard_talks_to_itself() {
    check_all_to_all(1, 8, 20_000);
}

#[test]
fn two_shards_keep_the_order_of_each_pair() {
    check_all_to_all(2, 64, 100_000);
}

#[test]
fn four_shards_on_fewer_cores_keep_the_order_of_each_pair() {
    check_all_to_all(4, 16, 10_000);
}

/// Tokens go round the shards; each shard sleeps unless one is there, so each hop needs its wake.
fn check_tokens(shards: usize, tokens: u64, hops: u64) {
    let totals = run(mesh::<u64>(shards, 16), move |port| async move {
        let next = (port.id() + 1) % port.shards();
        if port.id() == 0 {
            for _ in 0..tokens {
                port.send(next, 1).unwrap();
            }
        }
        let mut seen = 0;
        let mut ended = 0;
        // Every token passes every shard once more after its last hop, so that all shards learn of the end.
        while ended < tokens {
            port.wait().await;
            port.drain(usize::MAX, |_, hop| {
                seen += 1;
                if hop >= hops {
                    ended += 1;
                }
                if hop < hops + port.shards() as u64 - 1 {
                    port.send(next, hop + 1).unwrap();
                }
            });
        }
        seen
    });
    assert_eq!(totals.iter().sum::<u64>(), tokens * (hops + shards as u64 - 1));
}

#[test]
fn no_wake_is_lost_between_two_shards() {
    check_tokens(2, 1, 10_000);
}

#[test]
fn no_wake_is_lost_with_more_shards_than_cores() {
    check_tokens(4, 3, 3_000);
}

#[test]
fn any_thread_wakes_a_shard_also_before_it_is_attached() {
    const ROUNDS: u64 = 3_000;
    let mut ports = mesh::<()>(1, 2);
    let port = ports.remove(0);
    let waker = port.waker();
    waker.wake();
    let asked = Arc::new(AtomicU64::new(0));
    let answered = Arc::new(AtomicU64::new(0));
    let shard = {
        let (asked, answered) = (asked.clone(), answered.clone());
        start(ShardSpec { name: "woken".into(), cpu: None }, move || async move {
            port.attach();
            // The wake from before there was a shard. Said, because the first round's wake must not fall together with it.
            port.wait().await;
            answered.store(1, Ordering::Release);
            let mut done = 0;
            while done < ROUNDS {
                port.wait().await;
                done = asked.load(Ordering::Acquire);
                answered.store(done, Ordering::Release);
            }
        })
        .unwrap()
    };
    let began = Instant::now();
    let await_answer = |round| {
        while answered.load(Ordering::Acquire) < round {
            assert!(began.elapsed() < DEADLINE, "wake {round} was lost");
            thread::yield_now();
        }
    };
    await_answer(1);
    for round in 2..=ROUNDS {
        asked.store(round, Ordering::Release);
        waker.wake();
        await_answer(round);
    }
    shard.join().unwrap();
    // After the shard ended a wake does nothing.
    waker.wake();
}

#[test]
fn a_poked_waiter_runs_after_the_tasks_that_were_ready() {
    let order = run(mesh::<()>(1, 2), |port| async move {
        let port = std::rc::Rc::new(port);
        let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let waiting = {
            let (port, order) = (port.clone(), order.clone());
            async move {
                port.wait().await;
                order.borrow_mut().push("committer");
            }
        };
        shard::spawn_local(waiting);
        shard::turn().await;
        for name in ["first", "second"] {
            let (port, order) = (port.clone(), order.clone());
            shard::spawn_local(async move {
                order.borrow_mut().push(name);
                port.poke();
            });
        }
        while order.borrow().len() < 3 {
            shard::turn().await;
        }
        order.take()
    });
    assert_eq!(order, [["first", "second", "committer"]]);
}
