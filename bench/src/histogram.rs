//! Histograms of nanoseconds and what is told of them.
//!
//! Owns bounds and precision: 100 ns to 10 minutes, three digits; longer counts as the bound. Plain values, any thread.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::result::Latency;

const LOWEST_NS: u64 = 100;
const HIGHEST_NS: u64 = 600_000_000_000;
/// Points of the curve for each halving of what is left to the max.
const TICKS_PER_HALF: u32 = 2;

/// Nothing recorded yet; `digits` of precision.
pub fn new(digits: u8) -> Histogram<u64> {
    match Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, digits) {
        Ok(histogram) => histogram,
        // Constant arguments: wrong for all or for none, and the tests make one.
        Err(error) => unreachable!("{error}"),
    }
}

/// Microseconds of a quantile, never above the max.
pub fn at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile).min(histogram.max()) as f64 / 1e3
}

/// The figures; `None` when nothing was recorded.
pub fn latency(histogram: &Histogram<u64>) -> Option<Latency> {
    (!histogram.is_empty()).then(|| Latency {
        count: histogram.len(),
        p50: at(histogram, 0.5),
        p90: at(histogram, 0.9),
        p99: at(histogram, 0.99),
        p999: at(histogram, 0.999),
        p9999: at(histogram, 0.9999),
        max: histogram.max() as f64 / 1e3,
        mean: histogram.mean() / 1e3,
    })
}

/// (quantile, microseconds), denser towards the max and ending there; nothing when nothing was recorded.
pub fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let count = histogram.len();
    if count == 0 {
        return Vec::new();
    }
    let mut curve = Vec::new();
    for tick in 0.. {
        let left = 0.5f64.powf(f64::from(tick) / f64::from(TICKS_PER_HALF));
        if left * (count as f64) < 1.0 {
            break;
        }
        curve.push((1.0 - left, at(histogram, 1.0 - left)));
    }
    curve.push((1.0, histogram.max() as f64 / 1e3));
    curve
}

/// HdrHistogram's V2 with deflate, in base64: what its tools read.
pub fn encode(histogram: &Histogram<u64>) -> Option<String> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).ok()?;
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;

    /// 1 to 100,000 microseconds, each once.
    fn ramp() -> Histogram<u64> {
        let mut histogram = new(3);
        for micros in 1..=100_000u64 {
            histogram.saturating_record(micros * 1000);
        }
        histogram
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let latency = latency(&ramp()).unwrap();
        assert_eq!(latency.count, 100_000);
        for (found, wanted) in [
            (latency.p50, 50_000.0),
            (latency.p90, 90_000.0),
            (latency.p99, 99_000.0),
            (latency.p999, 99_900.0),
            (latency.p9999, 99_990.0),
            (latency.max, 100_000.0),
            (latency.mean, 50_000.5),
        ] {
            assert!((found / wanted - 1.0f64).abs() < 2e-3, "{found} for {wanted}");
        }
    }

    #[test]
    fn nothing_recorded_has_no_figures() {
        assert_eq!((super::latency(&new(3)), curve(&new(3))), (None, Vec::new()));
    }

    #[test]
    fn the_curve_rises_to_the_max() {
        for count in [1u64, 2, 100, 100_000] {
            let mut histogram = new(3);
            (1..=count).for_each(|value| histogram.saturating_record(value * 1000));
            let curve = curve(&histogram);
            assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{curve:?}");
            let last = *curve.last().unwrap();
            assert_eq!(last.0, 1.0);
            assert!((last.1 - count as f64).abs() < 0.064 + count as f64 * 2e-3, "{last:?}");
            assert!(curve.len() <= 60);
        }
    }

    #[test]
    fn the_text_holds_the_whole_histogram() {
        let histogram = ramp();
        let text = encode(&histogram).unwrap();
        assert!(text.starts_with("HISTF"), "{}", &text[..8]);
        let bytes = STANDARD.decode(text).unwrap();
        let back: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        assert_eq!(back, histogram);
    }

    #[test]
    fn values_past_the_bounds_are_kept_at_them() {
        let mut histogram = new(3);
        histogram.saturating_record(u64::MAX);
        histogram.saturating_record(0);
        let latency = super::latency(&histogram).unwrap();
        assert_eq!(latency.count, 2);
        assert!(latency.max >= 6e8 && latency.max.is_finite());
    }
}
