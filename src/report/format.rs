//! Numbers and text as a reader wants them.

use std::borrow::Cow;

/// Text made safe for HTML content and for quoted attributes. Control characters, which no browser shows, go.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// `12 345 678`, with thin spaces.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `272 k`, `1.24 M`: three digits and a unit.
pub fn count(n: u64) -> String {
    scaled(n, &["", "k", "M", "B", "T"])
}

/// `1.09 MB`: three digits and a unit of 1000.
pub fn bytes(n: u64) -> String {
    scaled(n, &["B", "kB", "MB", "GB", "TB"])
}

fn scaled(n: u64, units: &[&str]) -> String {
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let number = if unit == 0 { n.to_string() } else { three_digits(value) };
    format!("{number} {}", units[unit]).trim_end().to_string()
}

/// `0.123`, `1.23`, `12.3`, `123`.
pub fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// Milliseconds as `12.3 µs`, `4.56 ms`, `1.20 s`.
pub fn time(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{} µs", three_digits(ms * 1e3)),
        ms if ms < 1e3 => format!("{} ms", three_digits(ms)),
        ms => format!("{} s", three_digits(ms * 1e-3)),
    }
}

/// Three significant digits: `0.0123`, `1.23`, `12.3`, `1.23e-7`.
pub fn significant(value: f64) -> String {
    match value.abs().log10().floor() {
        power if value == 0.0 || (0.0..2.0).contains(&power) => three_digits(value),
        power if (-4.0..0.0).contains(&power) => format!("{value:.*}", (2.0 - power) as usize),
        power if (2.0..6.0).contains(&power) => format!("{value:.0}"),
        _ => format!("{value:.2e}"),
    }
}

/// A fraction as a percentage without its sign: `91.25`. Never a rounded-up 100.
pub fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    let value = if value < 100.0 { value.min(99.99) } else { value };
    format!("{value:.2}")
}

/// `1 seed`, `3 seeds`.
pub fn seeds(n: usize) -> String {
    format!("{n} seed{}", if n == 1 { "" } else { "s" })
}

/// Text for a terminal: without control characters, which could move the cursor or change colours.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!([count(7), count(999), count(272_474), count(999_600)], ["7", "999", "272 k", "1.00 M"]);
        assert_eq!([bytes(0), bytes(1_090_000), bytes(u64::MAX)], ["0 B", "1.09 MB", "18446744 TB"]);
        assert_eq!([percent(0.91254), percent(1.0), percent(0.999_99)], ["91.25", "100.00", "99.99"]);
        let values = [0.0, 0.001_234, -0.5, 12.34, 123_456.0, 1.234e-7];
        assert_eq!(values.map(significant), ["0.000", "0.00123", "-0.500", "12.3", "123456", "1.23e-7"]);
    }

    #[test]
    fn times() {
        assert_eq!([0.0123, 4.56, 1200.0].map(time), ["12.3 µs", "4.56 ms", "1.20 s"]);
    }

    #[test]
    fn hostile_text() {
        assert_eq!(escape("<a b=\"c\">'&\u{1b}"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
        assert_eq!(printable("a\u{1b}[31m"), "a [31m");
    }
}
