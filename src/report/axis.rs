//! Axes: which range to show, where the ticks go, how they read.

/// One axis: data range, direction of growth, ticks.
#[derive(Debug, Clone)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Values and labels of the ticks, all within the range.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis that covers the values and ends on ticks; `None` without finite values.
    pub fn linear(values: impl IntoIterator<Item = f64>, count: usize) -> Option<Axis> {
        let (low, high) = range(values)?;
        let step = nice_step((high - low) / count.max(1) as f64);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let (low, high) = (first * step, last * step);
        Some(Axis { low, high, log: false, ticks: ticks(low, high, step) })
    }

    /// A linear axis that ends where the values end, for epochs.
    pub fn tight(values: impl IntoIterator<Item = f64>, count: usize) -> Option<Axis> {
        let (low, high) = range(values)?;
        let step =
            nice_step((high - low) / count.max(1) as f64).max(if high - low >= 1.0 { 1.0 } else { 0.0 });
        let (first, last) = ((low / step).ceil() * step, (high / step + 1e-9).floor() * step);
        Some(Axis { low, high, log: false, ticks: ticks(first, last, step) })
    }

    /// A logarithmic axis when all values are positive and span more than a factor of 20; else a linear one.
    pub fn loss(values: impl IntoIterator<Item = f64> + Clone, count: usize) -> Option<Axis> {
        let finite = || values.clone().into_iter().filter(|v| v.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
        if low.is_nan() || low < f64::MIN_POSITIVE || high / low <= 20.0 {
            return Axis::linear(values, count);
        }
        let decades = (high / low).log10();
        let mantissas: &[f64] = if decades < 1.6 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (decades / count.max(1) as f64).ceil().max(1.0) as i32;
        let mut ticks = Vec::new();
        for exponent in low.log10().floor() as i32..=high.log10().ceil() as i32 {
            for mantissa in mantissas.iter().filter(|_| exponent.rem_euclid(every) == 0) {
                let value = mantissa * 10f64.powi(exponent);
                if (low..=high).contains(&value) {
                    ticks.push((value, plain(value)));
                }
            }
        }
        Some(Axis { low, high, log: true, ticks })
    }

    /// A logarithmic axis from a power of ten to a power of ten around the positive values; `None` without any.
    pub fn log(values: impl IntoIterator<Item = f64>) -> Option<Axis> {
        let positive = values.into_iter().filter(|v| v.is_finite() && *v >= f64::MIN_POSITIVE);
        let (low, high) = positive.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return None;
        }
        let first = (low.log10().floor() as i32).max(-300);
        let last = (high.log10().ceil() as i32).clamp(first + 1, 301);
        let ticks = (first..=last).map(|e| 10f64.powi(e)).map(|value| (value, plain(value))).collect();
        Some(Axis { low: 10f64.powi(first), high: 10f64.powi(last), log: true, ticks })
    }

    /// Where a value lies, 0 at the low end and 1 at the high end; what is off the axis lies outside, within bounds.
    pub fn at(&self, value: f64) -> f64 {
        let (low, high, value) =
            if self.log { (self.low.ln(), self.high.ln(), value.ln()) } else { (self.low, self.high, value) };
        ((value - low) / (high - low)).clamp(-50.0, 50.0)
    }

    /// The low and the high end.
    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Whether the axis is logarithmic.
    pub fn is_log(&self) -> bool {
        self.log
    }
}

/// The finite range of values, widened where it would be empty.
fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|v| v.is_finite());
    // Beyond this, differences overflow or lose the step.
    let bounded = finite.map(|v| v.clamp(-1e100, 1e100));
    let (low, high) = bounded.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return None;
    }
    let least = (high.abs().max(low.abs()) * 1e-9).max(1e-12);
    if high - low < least {
        let pad = if high == 0.0 { 0.5 } else { high.abs() * 0.01 };
        return Some((low - pad, high + pad));
    }
    Some((low, high))
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `raw`.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let nice = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|m| m * power >= raw * (1.0 - 1e-9));
    nice.unwrap_or(10.0) * power
}

fn ticks(first: f64, last: f64, step: f64) -> Vec<(f64, String)> {
    let count = ((last - first) / step).round().clamp(0.0, 100.0) as usize;
    let decimals = (0..=9).find(|&d| {
        let scaled = step * 10f64.powi(d);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    let label = |value: f64| match decimals {
        Some(d) if value.abs() < 1e7 => format!("{value:.*}", d as usize),
        _ => format!("{value:.1e}"),
    };
    let ticks = (0..=count).map(|i| (first + i as f64 * step, i));
    // Adding 0 turns -0 into 0.
    ticks.map(|(value, _)| (value, label(value + 0.0).replace('-', "\u{2212}"))).collect()
}

fn plain(value: f64) -> String {
    if (1e-4..1e6).contains(&value) {
        let decimals = (-value.log10().floor()).max(0.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.0e}").replace('-', "\u{2212}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Option<Axis>) -> Vec<String> {
        axis.unwrap().ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(Axis::linear([0.31, 0.92], 4)), ["0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(
            labels(Axis::linear([-3.0, 7.0], 4)),
            ["\u{2212}5.0", "\u{2212}2.5", "0.0", "2.5", "5.0", "7.5"]
        );
        assert_eq!(labels(Axis::linear([91.2, 91.9], 4)), ["91.2", "91.4", "91.6", "91.8", "92.0"]);
        assert_eq!(labels(Axis::tight([0.0, 19.0], 5)), ["0", "5", "10", "15"]);
        assert_eq!(labels(Axis::tight([1.0, 3.0], 6)), ["1", "2", "3"]);
        assert_eq!(labels(Axis::loss([0.02, 2.3], 4)), ["0.1", "1"]);
        assert_eq!(labels(Axis::loss([0.11, 3.0], 4)), ["0.2", "0.5", "1", "2"]);
    }

    #[test]
    fn decades() {
        assert_eq!(labels(Axis::log([0.2, 30.0, -1.0, f64::NAN])), ["0.1", "1", "10", "100"]);
        assert_eq!(labels(Axis::log([10.0])), ["10", "100"]);
        assert!(Axis::log([0.0, f64::INFINITY]).is_none());
    }

    #[test]
    fn degenerate_ranges_still_make_an_axis() {
        assert!(Axis::linear([f64::NAN, f64::INFINITY], 4).is_none());
        for values in
            [[0.0, 0.0], [5.0, 5.0], [-1e300, 1e300], [1e-300, 2e-300], [1.0, 1.0 + 1e-15], [0.0, 1e-320]]
        {
            for axis in [Axis::linear(values, 4), Axis::tight(values, 4), Axis::loss(values, 4)] {
                let axis = axis.unwrap();
                assert!(axis.ticks.len() < 120, "{values:?}");
                for value in values {
                    assert!(
                        (-1e-6..=1.000001).contains(&axis.at(value.clamp(-1e100, 1e100))),
                        "{values:?} {axis:?}"
                    );
                }
            }
        }
    }
}
