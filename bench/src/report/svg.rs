//! Small pieces of SVG: escaping, scales, colours.
//!
//! Owns no layout. Pure.

/// Colours of the sides, for light and for dark grounds; RingMQ's first.
pub const COLOURS: &[(&str, &str)] = &[
    ("#c2410c", "#fb923c"),
    ("#1d4ed8", "#7db2ff"),
    ("#15803d", "#5fd48a"),
    ("#7e22ce", "#cf9bff"),
    ("#b91c5c", "#ff8fbe"),
    ("#0e7490", "#5fd6ee"),
    ("#854d0e", "#e3c15a"),
    ("#475569", "#aab7c8"),
];

/// CSS variables of the colours: `--s0` and so on.
pub fn variables(is_dark: bool) -> String {
    let named = COLOURS.iter().enumerate();
    named.map(|(index, (light, dark))| format!("--s{index}:{};", if is_dark { dark } else { light })).collect()
}

/// The variable of a side, by its place in the report.
pub fn colour(index: usize) -> String {
    format!("var(--s{})", index % COLOURS.len())
}

/// Text for HTML and SVG, also between quotes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// From values to pixels.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub from: f64,
    pub to: f64,
    pub start: f64,
    pub end: f64,
}

impl Scale {
    /// Where a value lies; what is outside lies on the edge.
    pub fn at(&self, value: f64) -> f64 {
        let span = self.to - self.from;
        let part = if span > 0.0 { ((value - self.from) / span).clamp(0.0, 1.0) } else { 0.0 };
        self.start + part * (self.end - self.start)
    }
}

/// 1, 2 or 5 times a power of ten, so that some `count` steps reach `max`.
pub fn step(max: f64, count: f64) -> f64 {
    let rough = (max / count).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    factor * power
}

/// `1.2M`, `350k`, `12`.
pub fn short(value: f64) -> String {
    let (number, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match number.abs() {
        size if size >= 100.0 || number.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.digits$}{unit}")
}

/// Microseconds as people read them.
pub fn time(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", short(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", short(us / 1e3)),
        us => format!("{} µs", short(us)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (max, expected) in [(100.0, 20.0), (99_000.0, 20_000.0), (7.0, 2.0), (0.4, 0.1), (0.0, f64::MIN_POSITIVE)] {
            let found = step(max, 5.0);
            assert!((found - expected).abs() <= expected * 1e-9 || max == 0.0, "{max}: {found}");
            assert!(found > 0.0);
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in
            [(0.0, "0"), (12.0, "12"), (12.34, "12.3"), (1.234, "1.23"), (155_000.0, "155k"), (1_250_000.0, "1.25M")]
        {
            assert_eq!(short(value), expected);
        }
        assert_eq!([time(71.2), time(1500.0), time(2e6)], ["71.2 µs", "1.50 ms", "2 s"]);
    }

    #[test]
    fn scales_stay_inside() {
        let scale = Scale { from: 0.0, to: 10.0, start: 100.0, end: 0.0 };
        assert_eq!([scale.at(-1.0), scale.at(5.0), scale.at(99.0)], [100.0, 50.0, 0.0]);
        assert_eq!(Scale { to: 0.0, ..scale }.at(5.0), 100.0);
        assert_eq!(escape("<a & \"b\">'"), "&lt;a &amp; &quot;b&quot;&gt;&#39;");
    }
}
