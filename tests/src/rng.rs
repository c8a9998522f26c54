//! Random choices that can be made again: a small seeded generator (splitmix64).
//!
//! Owns one number. Must never be seeded from anything that is not printed. One thread each.

use std::time::{SystemTime, UNIX_EPOCH};

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same choices.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The seed of this run: `RINGMQ_SEED` if given, else the clock. The caller prints it.
    pub fn seed_of_run() -> u64 {
        match std::env::var("RINGMQ_SEED").ok().and_then(|text| text.parse().ok()) {
            Some(seed) => seed,
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64),
        }
    }

    /// Any 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..below; 0 when `below` is 0.
    pub fn below(&mut self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.word() % below }
    }

    /// low..=high.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Fills with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}
