//! The CPU time of all processes but the measured ones: what else the machine was busy with.
//!
//! Owns the look at every process of `/proc` and the sum over two looks. A process that ends in between leaves its
//! time to the one that waited for it, with the part from before the first look, which is taken off again. Must not
//! use the sums of `/proc/stat`: they are sampled, processes' times are not. Main thread.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Instant;

/// All other processes at an instant.
#[derive(Clone, Debug)]
pub struct Others {
    pub at: Instant,
    processes: HashMap<u32, Process>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Tells processes apart that had the same number one after the other.
    start: u64,
    own: u64,
    /// Of the ended processes it has waited for.
    children: u64,
}

impl Others {
    /// Reads some hundred small files: best just outside of a measured time.
    pub fn now(pids: &[u32]) -> Others {
        let measured = std::process::id();
        let mut processes = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let Some(pid) = pid.filter(|pid| *pid != measured && !pids.contains(pid)) else { continue };
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if let Some(process) = parse(&stat) {
                processes.insert(pid, process);
            }
        }
        Others { at: Instant::now(), processes }
    }

    /// Clock ticks used since `before`.
    pub fn ticks_since(&self, before: &Others) -> u64 {
        ticks(&before.processes, &self.processes)
    }
}

fn ticks(before: &HashMap<u32, Process>, after: &HashMap<u32, Process>) -> u64 {
    let is_there = |pid: u32, start: u64| after.get(&pid).is_some_and(|process| process.start == start);
    // What ended processes had used before, by the nearest process above them that is still there.
    let mut left: HashMap<u32, u64> = HashMap::new();
    for process in before.iter().filter(|(pid, process)| !is_there(**pid, process.start)).map(|(_, process)| process) {
        let (mut heir, mut seen) = (process.parent, HashSet::new());
        while let Some(parent) = before.get(&heir)
            && !is_there(heir, parent.start)
            && seen.insert(heir)
        {
            heir = parent.parent;
        }
        *left.entry(heir).or_default() += process.own + process.children;
    }
    after
        .iter()
        .map(|(pid, process)| {
            let earlier = before.get(pid).filter(|earlier| earlier.start == process.start).copied().unwrap_or_default();
            let ended = process.children.saturating_sub(earlier.children);
            // Not below 0: who ignores its children's ends inherits nothing.
            process.own.saturating_sub(earlier.own) + ended.saturating_sub(left.get(pid).copied().unwrap_or(0))
        })
        .sum()
}

fn parse(stat: &str) -> Option<Process> {
    // The name in parentheses may hold blanks and parentheses; the fields count from behind the last one.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(1)?).ok()?,
        start: number(19)?,
        own: number(11)? + number(12)?,
        children: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (pid, parent, start, own, children)
    fn check(before: &[(u32, u32, u64, u64, u64)], after: &[(u32, u32, u64, u64, u64)], wanted: u64) {
        let table = |rows: &[(u32, u32, u64, u64, u64)]| {
            let row = |(pid, parent, start, own, children): &(u32, u32, u64, u64, u64)| {
                (*pid, Process { parent: *parent, start: *start, own: *own, children: *children })
            };
            rows.iter().map(row).collect::<HashMap<_, _>>()
        };
        assert_eq!(ticks(&table(before), &table(after)), wanted, "{before:?} {after:?}");
    }

    #[test]
    fn time_counts_once_whoever_ends() {
        // One that goes on and one that is new.
        check(&[(1, 0, 1, 100, 0)], &[(1, 0, 1, 130, 0), (9, 1, 5, 7, 0)], 37);
        // One that used 50 before and 20 more, then ended; its parent waited for it.
        check(&[(1, 0, 1, 0, 0), (2, 1, 2, 50, 0)], &[(1, 0, 1, 0, 70)], 20);
        // The same through a parent that ended too, which had used 3 and 1 more.
        check(&[(1, 0, 1, 0, 0), (2, 1, 2, 3, 0), (3, 2, 3, 50, 0)], &[(1, 0, 1, 0, 74)], 21);
        // Born and ended in between.
        check(&[(1, 0, 1, 0, 0)], &[(1, 0, 1, 0, 12)], 12);
    }

    #[test]
    fn nothing_is_taken_off_that_nobody_inherited() {
        check(&[(1, 0, 1, 0, 0), (2, 1, 2, 5000, 0), (4, 0, 1, 10, 0)], &[(1, 0, 1, 0, 0), (4, 0, 1, 15, 0)], 5);
    }

    #[test]
    fn a_number_used_again_is_another_process() {
        check(&[(1, 0, 1, 0, 0), (2, 1, 2, 50, 0)], &[(1, 0, 1, 0, 60), (2, 1, 9, 4, 0)], 14);
    }

    #[test]
    fn a_circle_of_parents_ends() {
        check(&[(2, 3, 1, 5, 0), (3, 2, 1, 5, 0)], &[], 0);
    }

    #[test]
    fn a_line_of_proc_is_read() {
        let stat = "7 (a b) c) S 3 2 3 4 5 6 7 8 9 10 11 12 13 14 20 0 1 0 999 0";
        assert_eq!(parse(stat), Some(Process { parent: 3, start: 999, own: 23, children: 27 }));
        assert_eq!((parse(""), parse("7 (x) S 1")), (None, None));
        assert!(!Others::now(&[]).processes.contains_key(&std::process::id()));
    }
}
