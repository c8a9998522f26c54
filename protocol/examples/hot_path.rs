//! What one message costs: instructions (callgrind), heap allocations and time of the byte work of a send and a pull.
//!
//! Owns a counting allocator and nothing of the formats. `hot_path` prints the table, `hot_path CASE ROUNDS` runs one
//! case so many times, which is what the table is counted from: twice under valgrind, with different rounds, so that
//! everything besides the case itself cancels out. Reads the captured frames of `tests/wire/golden`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::process::Command as Process;
use std::time::Instant;

#[path = "hot_path/cases.rs"]
mod cases;

use cases::{CASES, Case};

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

/// Counts what it hands on.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as of the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Instructions of a whole run under callgrind; `None` where there is no valgrind.
fn instructions(name: &str, rounds: u64) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = Process::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([name, &rounds.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok())
}

fn table() {
    println!("| case | instructions | allocations | ns |");
    println!("|---|---|---|---|");
    for Case { name, start } in CASES {
        let mut step = start();
        (0..100).for_each(|_| step());
        let before = ALLOCATIONS.get();
        (0..1000).for_each(|_| step());
        let allocations = (ALLOCATIONS.get() - before) as f64 / 1000.0;
        let times = (0..20).map(|_| {
            let begin = Instant::now();
            (0..5000).for_each(|_| step());
            begin.elapsed().as_nanos() as f64 / 5000.0
        });
        let time = times.fold(f64::INFINITY, f64::min);
        let instructions = match (instructions(name, 1000), instructions(name, 3000)) {
            (Some(few), Some(many)) => format!("{:.0}", (many.saturating_sub(few)) as f64 / 2000.0),
            _ => "no valgrind".to_owned(),
        };
        println!("| {name} | {instructions} | {allocations} | {time:.0} |");
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), rounds) = (arguments.next(), arguments.next()) else { return table() };
    let Some(case) = CASES.iter().find(|case| case.name == name) else {
        eprintln!("no case {name}; there are {:?}", CASES.map(|case| case.name));
        std::process::exit(2);
    };
    let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1000u64);
    let mut step = (case.start)();
    (0..rounds).for_each(|_| black_box(&mut step)());
}
