//! How many bytes the bodies have: a number, a range or weights.
//!
//! Owns the text form and the drawing of sizes. Must not make bodies. Read-only after the start, shared by all threads.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::random::Random;

/// Largest body, bytes: what brokers take by default.
pub const BODY_SIZE_MAX: u32 = 4 * 1024 * 1024;

/// `1024`, `100-4000` (each size equally likely) or `128:60,1024:30,16384:10` (size:weight).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySize {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Fixed(u32),
    Uniform {
        min: u32,
        max: u32,
    },
    /// Sizes with the sums of the weights up to and with them.
    Weighted {
        sizes: Vec<(u32, u64)>,
        total: u64,
    },
}

impl BodySize {
    /// Always this many bytes.
    pub fn fixed(bytes: u32) -> BodySize {
        BodySize { text: bytes.to_string(), kind: Kind::Fixed(bytes) }
    }

    /// One size.
    pub fn draw(&self, random: &mut Random) -> usize {
        match &self.kind {
            Kind::Fixed(size) => *size as usize,
            Kind::Uniform { min, max } => *min as usize + random.below(u64::from(max - min) + 1) as usize,
            Kind::Weighted { sizes, total } => {
                let place = random.below(*total);
                let index = sizes.partition_point(|(_, up_to)| *up_to <= place);
                sizes.get(index).map_or(0, |(size, _)| *size as usize)
            }
        }
    }

    /// The smallest size it draws.
    pub fn min(&self) -> u32 {
        match &self.kind {
            Kind::Fixed(size) => *size,
            Kind::Uniform { min, .. } => *min,
            Kind::Weighted { sizes, .. } => sizes.iter().map(|(size, _)| *size).min().unwrap_or(0),
        }
    }

    /// The largest size it draws.
    pub fn max(&self) -> u32 {
        match &self.kind {
            Kind::Fixed(size) => *size,
            Kind::Uniform { max, .. } => *max,
            Kind::Weighted { sizes, .. } => sizes.iter().map(|(size, _)| *size).max().unwrap_or(0),
        }
    }
}

impl FromStr for BodySize {
    type Err = String;

    fn from_str(text: &str) -> Result<BodySize, String> {
        let kind = if text.contains(':') {
            let mut sizes = Vec::new();
            let mut total = 0u64;
            for part in text.split(',') {
                let (bytes, weight) = part.split_once(':').ok_or_else(|| format!("{part:?} is not SIZE:WEIGHT"))?;
                let weight: u32 = weight.trim().parse().map_err(|_| format!("weight {weight:?} is no number"))?;
                let bytes = size(bytes)?;
                if weight > 0 {
                    total += u64::from(weight);
                    sizes.push((bytes, total));
                }
            }
            if sizes.is_empty() {
                return Err("all weights are 0".into());
            }
            Kind::Weighted { sizes, total }
        } else if let Some((min, max)) = text.split_once('-') {
            let (min, max) = (size(min)?, size(max)?);
            if min > max {
                return Err(format!("range {min}-{max} runs backwards"));
            }
            Kind::Uniform { min, max }
        } else {
            Kind::Fixed(size(text)?)
        };
        Ok(BodySize { text: text.to_owned(), kind })
    }
}

fn size(text: &str) -> Result<u32, String> {
    let text = text.trim();
    match text.parse() {
        Ok(size) if (1..=BODY_SIZE_MAX).contains(&size) => Ok(size),
        _ => Err(format!("{text:?} is no size from 1 to {BODY_SIZE_MAX} bytes")),
    }
}

impl fmt::Display for BodySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for BodySize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws 20,000 and checks bounds, mean (5 %) and that the text is kept.
    fn check(text: &str, min: u32, max: u32, mean: f64) {
        let sizes: BodySize = text.parse().unwrap();
        assert_eq!((sizes.min(), sizes.max(), sizes.to_string().as_str()), (min, max, text));
        let mut random = Random::new(5);
        let drawn: Vec<usize> = (0..20_000).map(|_| sizes.draw(&mut random)).collect();
        assert_eq!(*drawn.iter().min().unwrap(), min as usize, "{text}");
        assert_eq!(*drawn.iter().max().unwrap(), max as usize, "{text}");
        let found = drawn.iter().sum::<usize>() as f64 / drawn.len() as f64;
        assert!((found / mean - 1.0).abs() < 0.05, "{text}: mean {found}");
    }

    #[test]
    fn sizes_follow_their_distribution() {
        check("1024", 1024, 1024, 1024.0);
        check("100-300", 100, 300, 200.0);
        check("7-7", 7, 7, 7.0);
        check("128:60,1024:30,16384:10", 128, 16384, 0.6 * 128.0 + 0.3 * 1024.0 + 0.1 * 16384.0);
        check("10:0,20:1", 20, 20, 20.0);
    }

    #[test]
    fn weights_are_kept() {
        let sizes: BodySize = "1:60,2:30,3:10".parse().unwrap();
        let mut random = Random::new(9);
        let mut seen = [0u32; 4];
        for _ in 0..10_000 {
            seen[sizes.draw(&mut random)] += 1;
        }
        assert!((5700..6300).contains(&seen[1]) && (2700..3300).contains(&seen[2]), "{seen:?}");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0", "x", "5-", "9-3", "1:", "1:0", ":3", "1:1,,", "4194305", "0-5", "1:x"] {
            assert!(text.parse::<BodySize>().is_err(), "{text:?}");
        }
    }
}
