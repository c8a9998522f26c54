//! Runs every fuzz target over its corpus and over mutations of it, bounded and with fixed seeds. The input that fails
//! is printed. `FUZZ_ROUNDS` sets how many mutations each target gets, `UPDATE_CORPUS=1` writes the corpus anew.

#[path = "wire/golden.rs"]
#[allow(dead_code)]
mod golden;

use std::path::{Path, PathBuf};

use protocol::fuzz_targets::{TARGETS, Target, json_header, rocketmq_header, seeds};

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Prints the input when the target panics.
struct Input<'a> {
    target: &'a str,
    bytes: &'a [u8],
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("target {} failed on {:?}", self.target, String::from_utf8_lossy(self.bytes));
            eprintln!("as bytes {:?}", self.bytes);
        }
    }
}

fn run(target: &str, function: Target, bytes: &[u8]) {
    let input = Input { target, bytes };
    function(input.bytes);
}

/// Bytes that tend to matter in at least one of the formats.
const TELLING: &[u8] = b"\0\x01\x02\x7f\x80\xff{}[]\"'\\,:u0-+.e $%";

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(9) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
            2 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            3 => {
                let end = (at + random.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => drop(bytes.drain(at..(at + random.below(8)).min(bytes.len()))),
            5 => bytes[at.saturating_sub(4).min(at)..at].fill(random.next() as u8),
            6 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            7 if at < bytes.len() => bytes[at] = TELLING[random.below(TELLING.len())],
            _ if at < bytes.len() => bytes[at] = random.next() as u8,
            _ => {}
        }
    }
    bytes
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

#[test]
fn the_corpus_holds_the_seeds() {
    for (target, _) in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{target}");
        for (place, seed) in seeds.iter().enumerate() {
            let file = corpus(target).join(format!("seed-{place}"));
            if std::env::var_os("UPDATE_CORPUS").is_some() {
                std::fs::create_dir_all(corpus(target)).expect("corpus directory");
                std::fs::write(&file, seed).expect("corpus file");
            }
            let found = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(found == *seed, "{} differs from its seed; run with UPDATE_CORPUS=1", file.display());
        }
    }
}

#[test]
fn no_target_fails_on_the_corpus() {
    for (target, function) in TARGETS {
        for entry in std::fs::read_dir(corpus(target)).expect("corpus directory") {
            let bytes = std::fs::read(entry.expect("entry").path()).expect("corpus file");
            run(target, function, &bytes);
            (0..bytes.len()).for_each(|len| run(target, function, &bytes[..len]));
        }
    }
}

#[test]
fn no_target_fails_on_mutations_of_the_corpus() {
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3000);
    for (place, (target, function)) in TARGETS.into_iter().enumerate() {
        let seeds = seeds(target);
        let mut random = Random(0x5eed_0000_0000_0001 + place as u64);
        for _ in 0..rounds {
            run(target, function, &mutate(&mut random, &seeds));
        }
    }
}

/// Headers of real clients are where the short cuts are taken: these, and what is nearly like them.
#[test]
fn headers_of_java_and_mutations_of_them_are_read_alike_with_and_without_short_cuts() {
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6000);
    for (json, name, function) in [(true, "json", json_header as Target), (false, "rocketmq", rocketmq_header)] {
        let frames = golden::frames().into_iter().filter(|frame| frame.json() == json);
        let headers: Vec<Vec<u8>> = frames
            .map(|frame| {
                let len = u32::from_be_bytes(frame.bytes[4..8].try_into().expect("4 bytes")) & 0x00ff_ffff;
                frame.bytes[8..8 + len as usize].to_vec()
            })
            .collect();
        headers.iter().for_each(|header| run(name, function, header));
        let mut random = Random(0x601d_0000_0000_0001);
        for _ in 0..rounds {
            run(name, function, &mutate(&mut random, &headers));
        }
    }
}

#[test]
fn no_target_fails_on_noise() {
    for (place, (target, function)) in TARGETS.into_iter().enumerate() {
        let mut random = Random(0x0a11_0000_0000_0001 + place as u64);
        for _ in 0..500 {
            let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
            run(target, function, &bytes);
        }
    }
}
